"""Columns of DataFrames and parquet files: told by their values, written back in their own types."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....extras import need
from ...bounded import check_table
from .cells import cell_texts, column_values
from .codes import codes_of
from .column import Column
from .dates import EPOCH
from .delimited import unique_names
from .infer import infer_text
from .notation import DECIMAL
from .reading import CONTENT, Reading

SCALES = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_USUAL = frozenset(("int64", "float64", "bool", "str", "object", "datetime64[ns]", "datetime64[us]", "datetime64[s]"))
"""Types that come back as they are without being noted."""
_ARROW = "arrow "
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    # the first that all values are of
    *(((bool, np.bool_), "bool"), ((int, np.integer), "int"), ((int, float, np.integer, np.floating), "float")),
    *((decimal.Decimal, "decimal"), (bytes, "bytes"), (dt.datetime, "datetime"), (dt.date, "date"), (dt.time, "time")),
    *(((dt.timedelta, np.timedelta64), "timedelta"),),
)


@dataclass(frozen=True, kw_only=True)
class Typed:
    """A column whose values have types."""

    name: str
    kind: str
    """`bool`, `int`, `float`, `decimal`, `bytes`, `datetime`, `date`, `time`, `timedelta` or `str`."""
    values: Sequence[Any] | np.ndarray
    """Values of those types; what stands where they are missing is not looked at."""
    gone: np.ndarray
    """Which are missing, (N,) bool."""
    typed: str = ""
    """Its exact type: pandas' name of it, or `arrow ` and that of Arrow."""
    order: tuple[Any, ...] = ()
    """Of categories, those there are, in their order."""
    unit: str = "us"
    """Of datetimes and timedeltas: s, ms, us or ns, in which `values` are whole numbers."""

    def texts(self, column: Column) -> list[str]:
        """The values as this column writes them; empty where missing."""
        write: Callable[[Any], str] = str
        match self.kind:
            case "datetime" | "timedelta" | "date" | "time":
                stored = seconds_of(self)
                if column.type in ("date", "continuous"):
                    return cell_texts(dataclasses.replace(column, blank=""), stored)
                write = str
            case "bool":
                write = lambda v: str(bool(v))  # noqa: E731
            case "int":
                write = lambda v: str(int(v))  # noqa: E731
            case "float":
                write = shortest
            case "decimal":
                write = lambda v: format(v, "f")  # noqa: E731
            case "bytes":
                write = lambda v: bytes(v).decode("latin-1")  # noqa: E731
        return ["" if g else write(v) for v, g in zip(self.values, self.gone, strict=True)]


def typed_columns(source: Any) -> list[Typed]:
    """The columns of a DataFrame, or of the parquet file at a path; its index is none."""
    if isinstance(source, Path):
        need("pandas", "tables", f"reading {source.name}")
        parquet = need("pyarrow.parquet", "tables", f"reading {source.name}")
        check_table(source)
        table = parquet.read_table(source)
        index = {k for k in (table.schema.pandas_metadata or {}).get("index_columns", ()) if isinstance(k, str)}
        fields = [field.name for field in table.schema if field.name not in index]
        columns = [table.column(i) for i, field in enumerate(table.schema) if field.name not in index]
        return [_of_arrow(n, c, f"{_ARROW}{c.type}") for n, c in zip(unique_names(fields), columns, strict=True)]
    names = unique_names([str(c) for c in source.columns])
    return [_of_series(name, source.iloc[:, i]) for i, name in enumerate(names)]


def _of_series(name: str, series: Any) -> Typed:
    """A column of a DataFrame."""
    kind, typed = getattr(series.dtype, "kind", "O"), str(series.dtype)
    if typed.endswith("[pyarrow]") and typed != "string[pyarrow]":
        array = need("pyarrow", "tables", "a DataFrame").chunked_array([series.array.__arrow_array__()])
        return _of_arrow(name, array, typed)
    gone = np.asarray(series.isna(), bool)
    if kind in "Mm":
        if "," in typed:  # datetime64[ns, Europe/Berlin]
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        unit = str(series.dtype).partition("[")[2].rstrip("]")
        ticks = series.to_numpy(f"{'datetime' if kind == 'M' else 'timedelta'}64[{unit}]").astype(np.int64)
        found = {"M": "datetime", "m": "timedelta"}[kind]
        return Typed(name=name, kind=found, values=ticks, gone=gone, typed=_unusual(typed), unit=unit)
    order: tuple[Any, ...] = ()
    if typed == "category":
        typed += " ordered" if series.cat.ordered else ""
        order = tuple(series.cat.categories)
        series, kind = series.astype(object), "O"
    if kind in "biuf":
        found = {"b": "bool", "f": "float"}.get(kind, "int")
        plain = type(series.dtype).__module__.startswith("numpy")
        values = series.to_numpy() if plain else series.astype(object).to_numpy()
        return Typed(name=name, kind=found, values=values, gone=gone, typed=_unusual(typed))
    values = list(series)
    found = kind_of_values([v for v, g in zip(values, gone, strict=True) if not g])
    noted = typed if found != "str" or typed != "object" else ""
    column = _of_objects(name, values, gone, noted if typed != "str" else "", found)
    return dataclasses.replace(column, order=order)


def _of_objects(name: str, values: list[Any], gone: np.ndarray, typed: str, kind: str) -> Typed:
    """A column of Python's values."""
    if kind in ("datetime", "timedelta"):
        aware = lambda v: v.astimezone(dt.UTC).replace(tzinfo=None) if v.tzinfo is not None else v  # noqa: E731
        since = (lambda v: aware(v) - EPOCH) if kind == "datetime" else dt.timedelta
        if kind == "timedelta":
            since = lambda v: v if isinstance(v, dt.timedelta) else v.item()  # noqa: E731
        micro = [0 if g else since(v) // dt.timedelta(microseconds=1) for v, g in zip(values, gone, strict=True)]
        return Typed(name=name, kind=kind, values=np.array(micro, np.int64), gone=gone, typed=typed)
    return Typed(name=name, kind=kind, values=values, gone=gone, typed=typed)


def _of_arrow(name: str, column: Any, typed: str) -> Typed:
    """A column of Arrow's."""
    arrow = need("pyarrow", "tables", "parquet")
    types = arrow.types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    gone = np.asarray(column.is_null(nan_is_null=True))
    if types.is_timestamp(column.type) or types.is_duration(column.type):
        kind = "datetime" if types.is_timestamp(column.type) else "timedelta"
        ticks = column.cast(arrow.int64()).fill_null(0).to_numpy()
        return Typed(name=name, kind=kind, values=ticks, gone=gone, typed=typed, unit=column.type.unit)
    values = column.to_pylist()
    if types.is_float32(column.type):
        values = [None if v is None else np.float32(v) for v in values]
    there = [v for v, g in zip(values, gone, strict=True) if not g]
    found = kind_of_values(there)
    if found == "str" and not all(isinstance(v, str) for v in there):
        typed = ""  # lists and the like: written as text
    return Typed(name=name, kind=found, values=values, gone=gone, typed=typed)


def kind_of_values(values: Sequence[Any]) -> str:
    """What all values are: a kind of `Typed`."""
    found = {type(v) for v in values}
    for kinds, name in _KINDS if found else ():
        if all(issubclass(t, kinds) for t in found):
            return name
    return "str"


def _unusual(typed: str) -> str:
    return "" if typed in _USUAL else typed


def seconds_of(column: Typed) -> np.ndarray:
    """Datetimes, dates, times and timedeltas as stored values (N,): seconds, NaN where missing."""
    if column.kind in ("datetime", "timedelta"):
        return np.where(column.gone, math.nan, np.asarray(column.values, np.int64) / SCALES[column.unit])
    if column.kind == "date":
        since = lambda v: (v - EPOCH.date()).days * 86400.0  # noqa: E731
    else:
        since = lambda v: (dt.datetime.combine(dt.date(1900, 1, 1), v) - EPOCH).total_seconds()  # noqa: E731
    return np.array([math.nan if g else since(v) for v, g in zip(column.values, column.gone, strict=True)])


def infer_typed(values: Typed, forced: str = "", reading: Reading = CONTENT) -> tuple[Column | None, np.ndarray, str]:
    """What a typed column is, its stored values, and what there is to say; None leaves it out."""
    known = values.kind in ("datetime", "date", "time", "timedelta") and not values.gone.all()
    if known and forced in ("", "date" if values.kind != "timedelta" else "continuous"):
        return _of_time(values)
    dtype = values.kind if values.kind in ("bool", "int", "float", "decimal", "bytes") else "str"
    texts = values.texts(Column(name=values.name, type="category"))
    numbers = values.kind in ("int", "float", "decimal") or (
        values.kind == "str" and not all(DECIMAL.match(t.strip()) for t in set(texts) if t.strip())
    )
    column, note = infer_text(values.name, texts, forced, numbers=numbers, reading=reading)
    if column is None:
        return None, np.zeros(0), note
    if values.kind == "float":
        column = dataclasses.replace(column, blank="")
        if column.type == "integer" and not forced:
            column = dataclasses.replace(column, type="continuous", step=0.0, decimals=0, form="point")
    column = dataclasses.replace(column, dtype=dtype, typed=values.typed)
    if values.order and column.discrete:
        as_text = dataclasses.replace(values, values=values.order, gone=np.zeros(len(values.order), bool))
        rank = {t: k for k, t in enumerate(as_text.texts(Column(name="", type="category")))}
        order = sorted(range(len(column.values)), key=lambda k: rank[column.values[k]])
        counts = tuple(column.counts[k] for k in order)
        column = dataclasses.replace(column, values=tuple(column.values[k] for k in order), counts=counts)
    return column, codes_of(column, texts)[0] if column.type != "constant" else np.zeros(len(texts)), note


def _of_time(values: Typed) -> tuple[Column, np.ndarray, str]:
    """A column of moments or spans of time."""
    codes = seconds_of(values)
    there = codes[~values.gone]
    shared: dict[str, Any] = {
        "name": values.name,
        "missing": int(values.gone.sum()),
        "counts": (len(there),),
        "low": float(there.min()),
        "high": float(there.max()),
        "typed": values.typed,
    }
    if values.kind == "timedelta":
        step = next((s for s in (86400.0, 3600.0, 60.0, 1.0, 1e-3) if not np.any(there % s)), 1e-6)
        return Column(**shared, type="continuous", dtype=f"timedelta64[{values.unit}]", step=step), codes, ""
    note = "time zone dropped: dates are in UTC" if ", " in values.typed and values.kind == "datetime" else ""
    if values.kind == "datetime":
        step = next((s for s in (86400.0, 3600.0, 60.0, 1.0) if not np.any(there % s)), 1e-6)
        form = "%Y-%m-%d" if step == 86400.0 else "%Y-%m-%d %H:%M:%S" if step >= 1 else "%Y-%m-%d %H:%M:%S.%f"
        return Column(**shared, type="date", dtype=f"datetime64[{values.unit}]", step=step, form=form), codes, note
    step = 86400.0 if values.kind == "date" else 1.0 if not np.any(there % 1) else 1e-6
    form = "%Y-%m-%d" if values.kind == "date" else "%H:%M:%S" if step == 1 else "%H:%M:%S.%f"
    return Column(**shared, type="date", dtype=values.kind, step=step, form=form), codes, note


def codes_of_typed(c: Column, values: Typed) -> tuple[np.ndarray, dict[str, int]]:
    """The stored values (N,) of a typed column of another table, as `codes_of` has them."""
    timed = values.kind in ("datetime", "date", "time", "timedelta")
    if timed and (c.type == "date") == (values.kind != "timedelta") and not c.discrete:
        return seconds_of(values), {}
    return codes_of(c, values.texts(c))


def objects_of(c: Column, stored: np.ndarray) -> list[Any]:
    """Stored values (N,) as Python's values of the column's own type; None where missing."""
    gone = np.isnan(stored) & (c.type != "constant")
    if c.dtype in ("decimal", "date", "time") or c.dtype.startswith(("datetime64", "timedelta64")):
        texts = cell_texts(c, stored)
        make: Callable[[float, str], Any] = lambda v, t: EPOCH + dt.timedelta(seconds=v)  # noqa: E731
        if c.type not in ("date", "continuous", "integer"):
            make = lambda v, t: decimal.Decimal(t) if c.dtype == "decimal" else t  # noqa: E731
        elif c.dtype == "decimal":
            make = lambda v, t: decimal.Decimal(t if c.decimals >= 0 or c.type == "integer" else repr(v))  # noqa: E731
        elif c.dtype == "date":
            make = lambda v, t: (EPOCH + dt.timedelta(seconds=v)).date()  # noqa: E731
        elif c.dtype == "time":
            make = lambda v, t: (EPOCH + dt.timedelta(seconds=v)).time()  # noqa: E731
        elif c.dtype.startswith("timedelta64"):
            make = lambda v, t: dt.timedelta(seconds=v)  # noqa: E731
        return [None if g else make(float(v), t) for v, t, g in zip(stored, texts, gone, strict=True)]
    values = column_values(c, stored)
    found = values.tolist()
    return [None if g else v for v, g in zip(found, gone, strict=True)] if gone.any() else found


def objects_for(values: Typed, c: Column, stored: np.ndarray) -> list[Any]:
    """Stored values (N,) of a column as Python's values of the type that another file's column has."""
    kind = values.kind
    if kind == "str":
        return [None if t == "" else t for t in cell_texts(dataclasses.replace(c, blank=""), stored)]
    if kind == "int" and c.type in ("continuous", "date"):
        texts = cell_texts(dataclasses.replace(c, blank=""), stored) if c.type == "date" else stored.tolist()
        return [None if t in ("", None) or t != t else round(float(t)) for t in texts]
    of_time = {"datetime": "datetime64[us]", "timedelta": "timedelta64[us]"}
    dtype = of_time.get(kind, kind if kind in ("date", "time", "decimal", "bytes") else c.dtype)
    return objects_of(dataclasses.replace(c, dtype=dtype), stored)


def series_of(c: Column, stored: np.ndarray) -> Any:
    """Stored values (N,) as a pandas Series of the column's own type."""
    pandas = need("pandas", "tables", "a DataFrame")
    if c.typed.startswith(_ARROW):
        return arrow_of(c, stored).to_pandas()
    objects = objects_of(c, stored)
    if c.typed.startswith("category"):
        known = column_values(c, np.arange(len(c.values), dtype=np.float64)).tolist() if c.discrete else None
        return pandas.Series(pandas.Categorical(objects, categories=known, ordered="ordered" in c.typed))
    if c.typed.endswith("[pyarrow]"):
        return pandas.Series(objects, dtype=pandas.ArrowDtype(arrow_type(c.typed.removesuffix("[pyarrow]"))))
    if c.typed.startswith("datetime64") and ", " in c.typed:
        zone = c.typed.partition(", ")[2].rstrip("]")
        return pandas.Series(pandas.to_datetime(objects, utc=True)).dt.tz_convert(zone).astype(c.typed)
    series = pandas.Series(objects, dtype=object)
    try:
        return series.astype(c.typed)
    except (TypeError, ValueError):
        return series


def arrow_of(c: Column, stored: np.ndarray) -> Any:
    """Stored values (N,) as an Arrow array of the type that a parquet file's column had."""
    kind = arrow_type(c.typed.removeprefix(_ARROW))
    return to_arrow(objects_of(c, stored), kind)


def to_arrow(objects: list[Any], kind: Any) -> Any:
    """Python's values as an Arrow array of this type."""
    arrow = need("pyarrow", "tables", "parquet")
    if arrow.types.is_dictionary(kind):
        plain = arrow.array(objects, kind.value_type).dictionary_encode()
        indices = plain.indices.cast(kind.index_type)
        return arrow.DictionaryArray.from_arrays(indices, plain.dictionary, ordered=kind.ordered)
    return arrow.array(objects, kind, from_pandas=True)


def arrow_type(text: str) -> Any:
    """Arrow's type of that name, as `str` writes it. Raises `ValueError` for one that is not known."""
    arrow = need("pyarrow", "tables", "parquet")
    if match := re.fullmatch(r"dictionary<values=(.*), indices=(\w+), ordered=([01])>", text):
        return arrow.dictionary(arrow_type(match[2]), arrow_type(match[1]), ordered=match[3] == "1")
    if match := re.fullmatch(r"decimal(\d+)\((\d+), (-?\d+)\)", text):
        return getattr(arrow, f"decimal{int(match[1])}")(int(match[2]), int(match[3]))
    if match := re.fullmatch(r"timestamp\[(\w+)(?:, tz=(.*))?\]", text):
        return arrow.timestamp(match[1], match[2])
    if match := re.fullmatch(r"fixed_size_binary\[(\d+)\]", text):
        return arrow.binary(int(match[1]))
    short = {"halffloat": "float16", "date32[day]": "date32", "date64[ms]": "date64"}.get(text, text)
    return arrow.type_for_alias(short)


def shortest(value: Any) -> str:
    """A number in as few digits as name it: of its own precision, float32 or float64."""
    value = value if isinstance(value, np.floating) else float(value)
    text = np.format_float_positional(value, trim="-")
    return text if len(text) < 40 else repr(float(value))
