"""Tables: what a column is, and the codec that turns rows of mixed columns into tensors and back.

A stored row is float64 (D,): numbers as they are, categories as indices, dates as seconds since 1970, NaN where a cell
is missing. The codec lays each column out as one or more spans of the networks' vector; what comes back has the types,
decimals, formats and observed ranges of the original.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from .spec import Codec

ColumnType = Literal["continuous", "integer", "category", "boolean", "date", "constant"]
Encoding = Literal["range", "onehot", "modes"]
SpanKind = Literal["scalar", "mode", "value", "missing"]
EPOCH = dt.datetime(1970, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: its type, what was observed in it, how it is written, and how it is encoded."""

    name: str
    type: ColumnType
    dtype: str = "text"
    """How the values were typed: `text` (of a CSV), `int`, `float`, `bool`, `str`, or a NumPy `datetime64[...]`."""
    low: float = 0.0
    high: float = 0.0
    """The observed range of stored values; what is decoded is clipped to it."""
    step: float = 0.0
    """Decoded values are whole multiples of this above `low` (days of dates, 1 of integers); 0 leaves them."""
    values: tuple[str, ...] = ()
    """The categories as they are written; of a constant, its one value."""
    counts: tuple[int, ...] = ()
    """How often each category was seen."""
    missing: int = 0
    """How many cells are missing."""
    blank: str = ""
    """How a missing cell is written."""
    decimals: int = -1
    """Decimal places of numbers; -1 keeps all digits."""
    form: str = ""
    """Of dates, the strftime format; of numbers `fixed` (trailing zeros are kept), `point` (at least one decimal)."""
    comma: bool = False
    """Numbers have a decimal comma."""
    encoding: Encoding = "range"
    modes: tuple[tuple[float, float, float], ...] = ()
    """Weight, mean and standard deviation of each mode of `modes`."""

    @property
    def discrete(self) -> bool:
        """Whether values are indices into `values`."""
        return self.type in ("category", "boolean")

    @classmethod
    def from_json(cls, saved: Any) -> Column:
        """Raises `ValueError` for anything that `dataclasses.asdict` of a column does not give."""
        known = {f.name for f in dataclasses.fields(cls)}
        if not isinstance(saved, dict) or set(saved) != known:
            raise ValueError(f"not a column: {str(saved)[:200]}")
        texts, numbers, counts = ("name", "dtype", "blank", "form"), ("low", "high", "step"), ("missing", "decimals")
        good = (
            all(isinstance(saved[k], str) for k in texts)
            and all(isinstance(saved[k], (int, float)) and math.isfinite(saved[k]) for k in numbers)
            and all(isinstance(v, int) for v in (*(saved[k] for k in counts), *saved["counts"]))
            and all(isinstance(v, str) for v in saved["values"])
            and isinstance(saved["comma"], bool)
            and saved["type"] in get_args(ColumnType)
            and saved["encoding"] in get_args(Encoding)
            and all(len(m) == 3 and all(math.isfinite(v) for v in m) and m[2] > 0 for m in saved["modes"])
            and (saved["type"] not in ("category", "boolean", "constant") or saved["values"])
            and (saved["encoding"] != "modes" or saved["modes"])
        )
        if not good:
            raise ValueError(f"not a column: {str(saved)[:200]}")
        tuples = {"values": tuple(saved["values"]), "counts": tuple(saved["counts"])}
        modes = tuple((float(w), float(m), float(s)) for w, m, s in saved["modes"])
        whole: dict[str, Any] = {**saved, **tuples, "modes": modes}
        return cls(**whole)


@dataclass(frozen=True)
class Span:
    """Where a part of a column stands in the encoded vector."""

    column: int
    kind: SpanKind
    """A number; which mode it belongs to; which category; whether the cell is there (0) or missing (1)."""
    start: int
    width: int

    @property
    def end(self) -> int:
        """One past the last place."""
        return self.start + self.width


@dataclass(frozen=True, kw_only=True)
class TableCodec(Codec):
    """Rows (N, D) of a table to vectors (N, W), and back.

    By its encoding a column becomes: `range`, one number in [0, 1]; `onehot`, a one-hot vector of its categories;
    `modes`, the distance to the mean of a mode in four standard deviations, within +-0.99, and a one-hot vector of the
    mode. A constant takes no room. Missing cells are NaN, or, with `indicators`, one category more of a discrete column
    and a one-hot pair (there, missing) beside a number; then no NaN is left.
    """

    columns: tuple[Column, ...]
    indicators: bool = False
    delimiter: str = ","
    left_out: tuple[str, ...] = ()
    """Columns of the source that are not part of the table: ids."""

    @functools.cached_property
    def spans(self) -> tuple[Span, ...]:
        """The parts of the encoded vector, in order."""
        found: list[Span] = []
        at = 0
        for i, c in enumerate(self.columns):
            parts: list[tuple[SpanKind, int]] = []
            absent = bool(c.missing) and self.indicators
            if c.type == "constant":
                pass
            elif c.discrete and c.encoding == "onehot":
                parts = [("value", len(c.values) + absent)]
            else:
                parts.append(("scalar", 1))
                if c.encoding == "modes":
                    parts.append(("mode", len(c.modes)))
                if absent:
                    parts.append(("missing", 2))
            for kind, width in parts:
                found.append(Span(i, kind, at, width))
                at += width
        return tuple(found)

    @property
    def width(self) -> int:
        """Length of an encoded row."""
        return self.spans[-1].end if self.spans else 0

    @functools.cached_property
    def choices(self) -> tuple[Span, ...]:
        """The spans that a condition may fix: the discrete ones."""
        return tuple(s for s in self.spans if s.kind in ("value", "missing"))

    @functools.cached_property
    def num_conditions(self) -> int:
        """How many (column, category) pairs there are; a condition is an index into them, in the order of `choices`."""
        return sum(s.width for s in self.choices)

    def frequencies(self, span: Span) -> np.ndarray:
        """How often each place of a discrete span was seen in the data, (width,) float64."""
        c = self.columns[span.column]
        if span.kind == "missing":
            total = sum(c.counts) if c.discrete else c.counts[0]
            return np.array([total, c.missing], np.float64)
        return np.array([*c.counts, *([c.missing] if span.width > len(c.values) else [])], np.float64)

    def condition(self, column: int, code: float) -> int | None:
        """The index of the condition that this column has this stored value; None if none can say so."""
        offset = 0
        for span in self.choices:
            if span.column == column:
                if span.kind == "missing" and math.isnan(code):
                    return offset + 1
                if span.kind == "value":
                    place = len(self.columns[column].values) if math.isnan(code) else int(code)
                    return offset + place if place < span.width else None
            offset += span.width
        return None

    def shape(self, raw: tuple[int, ...]) -> tuple[int, ...]:
        """(W,) of one encoded row."""
        del raw
        return (self.width,)

    def encode(self, raw: Tensor) -> Tensor:
        """(N, D) float64 to (N, W) float32. Which mode a number is given to is drawn from their responsibilities by a
        hash of its row, so that it is a pure function of the row.
        """
        parts: list[Tensor] = []
        absent = torch.isnan(raw)
        for i, c in enumerate(self.columns):
            x, gone = raw[:, i : i + 1], absent[:, i : i + 1]
            if c.type == "constant":
                continue
            marked = bool(c.missing) and self.indicators
            if c.discrete and c.encoding == "onehot":
                k = len(c.values)
                places = torch.arange(k + marked, device=raw.device)
                hot = (torch.where(gone, float(k), x) == places).to(torch.float32)
                parts.append(hot if self.indicators else torch.where(gone, math.nan, hot))
                continue
            if c.encoding == "modes":
                parts.append(_to_modes(x, gone, c, _uniform_of(raw, i)))
            else:
                unit = ((x - c.low) / ((c.high - c.low) or 1.0)).to(torch.float32)
                parts.append(torch.where(gone, 0.5, unit) if self.indicators else unit)
            if marked:
                parts += [(~gone).to(torch.float32), gone.to(torch.float32)]
        return torch.cat(parts, 1)

    def decode(self, x: Tensor) -> np.ndarray:
        """(N, W) to stored rows (N, D) float64: within the observed ranges, rounded as the data is."""
        values = x.detach().to("cpu", torch.float32).double().numpy()
        raw = np.zeros((len(values), len(self.columns)))
        for span in self.spans:
            c, part = self.columns[span.column], values[:, span.start : span.end]
            column = raw[:, span.column]
            if span.kind == "scalar" and c.encoding == "range":
                column[:] = restore(c, part[:, 0] * (c.high - c.low) + c.low)
            elif span.kind == "scalar":
                column[:] = part[:, 0].clip(-1, 1)
            elif span.kind == "mode":
                table = np.array(c.modes)[_argmax(part)]
                column[:] = restore(c, column * 4 * table[:, 2] + table[:, 1])
            elif span.kind == "value":
                place = _argmax(part).astype(np.float64)
                column[:] = np.where((place >= len(c.values)) | np.isnan(part).any(1), math.nan, place)
            else:
                column[_argmax(part) == 1] = math.nan
        return raw

    def present(self, stored: np.ndarray) -> np.ndarray:
        """Stored rows (N, D) as a structured array (N,) with a field a column; see `column_values`."""
        arrays = [column_values(c, stored[:, i]) for i, c in enumerate(self.columns)]
        rows = np.empty(len(stored), [(c.name, a.dtype) for c, a in zip(self.columns, arrays, strict=True)])
        for c, a in zip(self.columns, arrays, strict=True):
            rows[c.name] = a
        return rows

    def index(self, name: str) -> int:
        """The number of a column. Raises `ValueError` with the columns there are."""
        for exact in (True, False):
            for i, c in enumerate(self.columns):
                if c.name == name if exact else c.name.strip() == name.strip():
                    return i
        raise ValueError(f"there is no column {name!r}; there are {', '.join(c.name.strip() for c in self.columns)}")

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return {
            "kind": "table",
            "columns": [dataclasses.asdict(c) for c in self.columns],
            "indicators": self.indicators,
            "delimiter": self.delimiter,
            "left_out": list(self.left_out),
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> TableCodec:
        """Raises `ValueError` for anything that `to_json` does not give."""
        match saved:
            case {
                "columns": [*columns],
                "indicators": bool(indicators),
                "delimiter": str(delimiter),
                "left_out": [*left_out],
            } if len(delimiter) == 1:
                found = tuple(Column.from_json(c) for c in columns)
                return cls(
                    columns=found, indicators=indicators, delimiter=delimiter, left_out=tuple(map(str, left_out))
                )
        raise ValueError(f"not a table's codec: {str(saved)[:200]}")


# --- modes ------------------------------------------------------------------------------------------------------------


def fit_modes(values: np.ndarray, most: int, seed: int = 0) -> tuple[tuple[float, float, float], ...]:
    """The modes of one column's numbers (N,): weight, mean, standard deviation of each that weighs more than 0.005.

    A variational Gaussian mixture with at most `most` components, whose Dirichlet process prior of 0.001 leaves those
    that are not needed empty; fitted on at most 10,000 values drawn at random. Xu et al., 2019, arXiv:1907.00503, 4.2.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import BayesianGaussianMixture

    values = values[np.isfinite(values)]
    centre, scale = float(values.mean()), float(values.std()) or 1.0
    distinct = np.unique(values)
    if len(values) > 10_000:
        values = np.random.Generator(np.random.Philox(key=[seed, 12])).choice(values, 10_000, replace=False)
    if len(distinct) < 3 or len(values) < 3:
        return ((1.0, centre, scale),)
    mixture = BayesianGaussianMixture(
        n_components=min(most, len(values), len(distinct)),
        weight_concentration_prior_type="dirichlet_process",
        weight_concentration_prior=0.001,
        max_iter=100,
        n_init=1,
        random_state=seed,
    )
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(((values - centre) / scale)[:, None])
    weights, means, spread = mixture.weights_, mixture.means_[:, 0], np.sqrt(mixture.covariances_[:, 0, 0])
    kept = np.flatnonzero(weights > 0.005)
    kept = kept[np.argsort(means[kept], kind="stable")]
    # A spike (capital gains of 0) has almost no width: floored, so that 4 sigma is a number to divide by.
    found = [(weights[k], means[k] * scale + centre, max(spread[k] * scale, 1e-6 * scale)) for k in kept]
    total = sum(w for w, _, _ in found)
    return tuple((float(w / total), float(m), float(s)) for w, m, s in found)


def _to_modes(x: Tensor, gone: Tensor, c: Column, u: Tensor) -> Tensor:
    weight, mean, sd = (_constant(row, x.device) for row in zip(*c.modes, strict=True))
    z = (x - mean) / sd
    log = torch.where(gone, 0.0, -0.5 * z.square() - sd.log()) + weight.log()
    reached = log.softmax(1).cumsum(1)
    mode = (reached < u).sum(1, keepdim=True).clamp_max(len(c.modes) - 1)
    alpha = torch.where(gone, 0.0, (z.gather(1, mode) / 4)).clamp(-0.99, 0.99)
    hot = mode == torch.arange(len(c.modes), device=x.device)
    return torch.cat((alpha.to(torch.float32), hot.to(torch.float32)), 1)


def _uniform_of(raw: Tensor, column: int) -> Tensor:
    """A number in [0, 1) of each row and this column, (N, 1): a hash of the row's values."""
    factors = _constant(
        tuple(math.modf((j + 1) * 0.6180339887498949)[0] + 0.1 for j in range(raw.shape[1])), raw.device
    )
    mixed = (raw.nan_to_num(-1.0) * factors).sum(1, keepdim=True) * (977.0 + 131.3 * column)
    return mixed - mixed.floor()


@functools.lru_cache(maxsize=1024)
def _constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Copied to the device once: a copy in every batch would make the host wait for it."""
    return torch.tensor(values, dtype=torch.float64, device=device)


def _argmax(part: np.ndarray) -> np.ndarray:
    return np.nan_to_num(part, nan=-math.inf).argmax(1)


# --- values -----------------------------------------------------------------------------------------------------------


def restore(c: Column, values: np.ndarray) -> np.ndarray:
    """Numbers (N,) float64 within the column's observed range, rounded as its own are."""
    if c.step:
        values = c.low + np.rint((values - c.low) / c.step) * c.step
    elif c.decimals >= 0:
        values = np.round(values, c.decimals)
    return values.clip(c.low, c.high)


def column_values(c: Column, stored: np.ndarray) -> np.ndarray:
    """One column's stored values (N,) as an array of its own type.

    Integers are int64, numbers float64 (NaN where missing), categories strings (or the numbers they were), dates
    datetime64 if they were, else text in their format. Integers and booleans with missing cells are objects with None;
    missing text is "".
    """
    gone = np.isnan(stored)
    if c.type == "continuous":
        return stored.copy()
    if c.type == "integer":
        whole = np.where(gone, 0, stored).astype(np.int64)
        return _with_none(whole, gone)
    if c.type == "date":
        if c.dtype.startswith("datetime64"):
            unit = c.dtype.removeprefix("datetime64[").rstrip("]")
            scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
            whole = np.rint(np.where(gone, 0, stored) * 1e6).astype(np.int64)
            ticks = whole * (scale // 10**6) if scale >= 10**6 else whole // (10**6 // scale)
            found = ticks.astype(f"datetime64[{unit}]")
            found[gone] = np.datetime64("NaT")
            return found
        return np.array(["" if g else write_date(c, v) for v, g in zip(stored, gone, strict=True)], dtype=np.str_)
    values = _typed(c)
    if c.type == "constant":
        return np.repeat(values, len(stored))
    found = values[np.where(gone, 0, stored).astype(np.int64)]
    if found.dtype.kind == "U":
        return np.where(gone, "", found)
    if found.dtype.kind == "f":
        return np.where(gone, math.nan, found)
    return _with_none(found, gone)


def _with_none(values: np.ndarray, gone: np.ndarray) -> np.ndarray:
    if not gone.any():
        return values
    found = values.astype(object)
    found[gone] = None
    return found


def _typed(c: Column) -> np.ndarray:
    """The categories as values of their own type."""
    try:
        if c.dtype == "bool" or (c.type == "boolean" and c.dtype == "text"):
            return np.array([v.strip().lower() == "true" for v in c.values])
        if c.dtype == "int" or (c.dtype == "text" and c.form == "int"):
            return np.array([int(v) for v in c.values], np.int64)
        if c.dtype == "float" or (c.dtype == "text" and c.form == "float"):
            return np.array([float(v.replace(",", ".") if c.comma else v) for v in c.values])
    except ValueError:
        pass
    return np.array(c.values, dtype=np.str_)


def write_date(c: Column, seconds: float) -> str:
    """One stored date in the column's format."""
    moment = EPOCH + dt.timedelta(seconds=float(seconds))
    return moment.strftime(c.form) if c.form else moment.isoformat()


def cell_texts(c: Column, stored: np.ndarray) -> list[str]:
    """One column's stored values (N,) as the cells of a CSV, written as the source wrote them."""
    if c.type == "constant":
        return [c.values[0]] * len(stored)
    if c.discrete:
        return [c.blank if math.isnan(v) else c.values[int(v)] for v in stored]
    if c.type == "date":
        return [c.blank if math.isnan(v) else write_date(c, v) for v in stored]
    if c.type == "integer":
        return [c.blank if math.isnan(v) else str(int(v)) for v in stored]
    texts = [c.blank if math.isnan(v) else _number(c, v) for v in stored]
    return [t.replace(".", ",") for t in texts] if c.comma else texts


def _number(c: Column, value: float) -> str:
    if c.decimals < 0:
        return repr(float(value))
    if c.form == "fixed":
        return f"{value:.{c.decimals}f}"
    text = f"{value:.{c.decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    text = "0" if text in ("-0", "") else text
    return text if "." in text or c.form != "point" else f"{text}.0"


def describe_columns(codec: TableCodec) -> list[str]:
    """A line for each column: its name, type, range or categories, and missing cells."""
    width = max((len(c.name) for c in codec.columns), default=0)
    lines = []
    for c in codec.columns:
        if c.type == "constant":
            what = f"always {c.values[0]!r}"
        elif c.discrete:
            order = sorted(range(len(c.values)), key=lambda k, c=c: -c.counts[k])
            shown = ", ".join(f"{c.values[k].strip()} {c.counts[k]:,}" for k in order[:4])
            what = f"{len(c.values)} values: {shown}{', ...' if len(order) > 4 else ''}"
        else:
            low, high = cell_texts(c, np.array([c.low, c.high]))
            what = f"{low} to {high}"
            if c.type == "continuous" and c.decimals >= 0:
                what += f", {c.decimals} decimal{'s' if c.decimals != 1 else ''}"
        gone = f"; {c.missing:,} missing" if c.missing else ""
        lines.append(f"{c.name.strip():{width}}  {c.type:10}  {what}{gone}")
    return lines


def select(codec: TableCodec, *, numbers: Encoding, indicators: bool, most: int, stored: np.ndarray) -> TableCodec:
    """The codec with one-hot discrete columns and this encoding of numbers.

    `modes` are fitted on the stored rows (N, D), with at most `most` modes a column.
    """
    columns = []
    for i, c in enumerate(codec.columns):
        if c.discrete or c.type == "constant":
            columns.append(dataclasses.replace(c, encoding="onehot" if c.discrete else "range", modes=()))
        else:
            modes = fit_modes(np.array(stored[:, i]), most) if numbers == "modes" else ()
            columns.append(dataclasses.replace(c, encoding=numbers, modes=modes))
    return dataclasses.replace(codec, columns=tuple(columns), indicators=indicators)
