"""What a column of a table is, told by its content, and its cells as codes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from .cells import EPOCH
from .column import Column, ColumnType

MISSING = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "-nan", "NAN", "null", "NULL", "Null", "#N/A", "<NA>", "?"})
"""Cells that mean "not known", blanks around them not counted; a column writes the one it used most."""
FEW_INTEGERS, MOST_VALUES = 10, 1_000
DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y"),
    *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%Y年%m月%d日"),
)
TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%H:%M:%SZ", "%H:%M:%S.%fZ", "%H")
_INTEGER = re.compile(r"[+-]?(0|[1-9]\d*)\Z")
DECIMAL = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")  # 02139 is no number: its zero would go
_INFINITE = re.compile(r"[+-]?inf(inity)?\Z", re.IGNORECASE)
COMMA = re.compile(r"[+-]?(0|[1-9]\d*)?,\d+\Z|[+-]?(0|[1-9]\d*)\Z")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+\Z|[+-]?\d{1,3}\Z")
_ID = re.compile(r"(^|[\W_])(id|uuid|guid|key|index|rowid|nr|no)\Z|^unnamed: \d+\Z|^column 1\Z", re.IGNORECASE)


def infer_text(name: str, cells: Sequence[str], forced: str = "", *, numbers: bool = True) -> tuple[Column | None, str]:
    """What a column of text is, and what there is to say about it; None leaves it out.

    Raises `ValueError` if it cannot be of the type that is forced.
    """
    counts = Counter(cells)
    blanks = {v: n for v, n in counts.items() if v.strip() in MISSING}
    missing = sum(blanks.values())
    blank = max(blanks, key=lambda v: blanks[v]) if blanks else ""
    there = {v: n for v, n in counts.items() if v not in blanks}
    n = len(cells) - missing
    shared: dict[str, Any] = {"name": name, "missing": missing, "blank": blank}
    if not there:
        shared["missing"] = 0
        return Column(**shared, type="constant", values=(blank,), counts=(len(cells),)), "never known"
    if forced == "id":
        return None, "left out as you say"
    if len(there) == 1 and not missing and forced in ("", "constant"):
        return Column(**shared, type="constant", values=tuple(there), counts=(n,)), "the same in every row"
    if forced == "constant":
        raise ValueError(f"column {name} has {len(there)} values: it is no constant")
    stripped = {v: v.strip() for v in there}
    if not forced and {s.lower() for s in stripped.values()} == {"true", "false"}:
        forced = "boolean"
    whole = numbers and all(_INTEGER.match(s) and abs(int(s)) < 2**53 for s in stripped.values())
    comma = numbers and not whole and all(COMMA.match(s) for s in stripped.values())
    if comma and all(_THOUSANDS.match(s) for s in stripped.values()):
        comma = False  # 1,234 may be either: left as text, so that no number is a thousand times too small
    infinite = {v for v, s in stripped.items() if _INFINITE.match(s)}
    number = whole or comma or (numbers and all(v in infinite or DECIMAL.match(s) for v, s in stripped.items()))
    if forced in ("integer", "continuous") and not (whole or (number and forced == "continuous")):
        odd = next(s for s in stripped.values() if not (_INTEGER if forced == "integer" else DECIMAL).match(s))
        raise ValueError(f"column {name} cannot be {forced}: it holds {odd!r}")
    if number and forced in ("", "integer", "continuous"):
        values = {v: float(s.replace(",", ".") if comma else s) for v, s in stripped.items()}
        if not all(map(math.isfinite, values.values())):
            raise ValueError(
                f"column {name} holds numbers that are not finite: make them empty cells, or leave it out with "
                f"--columns {name.strip()}=id"
            )
        low, high = min(values.values()), max(values.values())
        if not forced and whole and n >= 20 and len(there) == n and (high - low == n - 1 or _ID.search(name.strip())):
            return None, f"left out: an id ({n:,} different whole numbers); --columns {name.strip()}=integer keeps it"
        few = len(set(values.values())) <= (FEW_INTEGERS if whole else 2)
        if forced or not few:
            if whole and forced != "continuous":
                return Column(**shared, type="integer", low=low, high=high, step=1.0, counts=(n,)), ""
            decimals, form = _decimals([s.replace(",", ".") if comma else s for s in stripped.values()])
            kind: ColumnType = "continuous"
            column = Column(**shared, type=kind, low=low, high=high, counts=(n,), comma=comma)
            return dataclasses.replace(column, decimals=decimals, form=form), ""
        order = sorted(there, key=lambda v: values[v])
        return _category(shared, order, there, "int" if whole else "float", comma), ""
    if forced in ("", "date") and (date := _date(name, shared, stripped, n)) is not None:
        return date
    if forced == "date":
        raise ValueError(
            f"column {name} cannot be a date: {next(iter(stripped.values()))!r} is in no format that is known"
        )
    if forced == "boolean" and len(there) > 2:
        raise ValueError(f"column {name} has {len(there)} values: it cannot be boolean")
    if not forced and ((len(there) > 20 and len(there) > n / 2) or len(there) > MOST_VALUES):
        return None, (
            f"left out: {len(there):,} different values in {n:,} cells, as of an id or free text; "
            f"--columns {name.strip()}=category keeps it"
        )
    order = sorted(there, key=lambda v: (stripped[v].lower() not in ("false", "true"), v.strip()))
    column = _category(shared, order, there, "", False)
    return (dataclasses.replace(column, type="boolean") if forced == "boolean" else column), ""


def _category(shared: dict[str, Any], order: list[str], counts: dict[str, int], form: str, comma: bool) -> Column:
    numbers = tuple(counts[v] for v in order)
    return Column(
        **shared, type="category", values=tuple(order), counts=numbers, form=form, comma=comma, encoding="onehot"
    )


def _decimals(texts: Sequence[str]) -> tuple[int, str]:
    """How many decimals numbers have, and how they are written."""
    if any("e" in t.lower() for t in texts):
        return -1, ""
    places = {len(t.partition(".")[2]) for t in texts}
    most = max(places)
    if most > 15:
        return -1, ""
    if len(places) == 1:
        return most, "fixed"
    return most, "point" if 0 not in places else ""


def _date(name: str, shared: dict[str, Any], stripped: dict[str, str], n: int) -> tuple[Column, str] | None:
    texts = set(stripped.values())
    sample = next(iter(texts))
    if not any(ch.isdigit() for ch in sample) or len(sample) > 40:
        return None
    plain = [*DATES, *(f"{d}{gap}{t}" for d in DATES for gap in (" ", "T") for t in TIMES), *TIMES[:2]]
    fits = [f for f in plain if parse_date(sample, f) is not None]
    fits = [f for f in fits if all(parse_date(t, f) is not None for t in texts)]
    if not fits:
        return None
    seconds = [s for t in texts if (s := parse_date(t, fits[0])) is not None]
    step = 86400.0
    for unit, marks in ((3600.0, ("%H",)), (60.0, ("%M",)), (1.0, ("%S",)), (1e-6, ("%f",))):
        step = unit if any(m in fits[0] for m in marks) else step
    column = Column(**shared, type="date", low=min(seconds), high=max(seconds), step=step, form=fits[0], counts=(n,))
    text = f"dates {fits[0]}"
    rival = [f for f in fits[1:] if f.replace("%d", "%m") == fits[0].replace("%d", "%m")]
    if rival:
        text += f" ({rival[0]} would fit as well: which is the day cannot be told)"
    return column, text


def parse_date(text: str, form: str) -> float | None:
    """Seconds since 1970 of a date in this format, if it is written exactly so."""
    try:
        moment = dt.datetime.strptime(text, form)
    except ValueError:
        return None
    return (moment - EPOCH).total_seconds() if moment.strftime(form) == text or "%f" in form else None


def codes_of(c: Column, cells: Sequence[str]) -> tuple[np.ndarray, dict[str, int]]:
    """The stored values (N,) of a column's cells, NaN where missing; beside it what could not be read, and how often.

    What cannot be read is NaN too: a category that was never seen, a word in a column of numbers.
    """
    places = {v: float(k) for k, v in enumerate(c.values)}
    places |= {v.strip(): float(k) for k, v in enumerate(c.values) if v.strip() not in places}
    known: dict[str, float] = {}
    odd: Counter[str] = Counter()
    for cell in set(cells):
        text = cell.strip()
        value: float | None = None
        if text in MISSING and cell not in places:
            known[cell] = math.nan
            continue
        if c.type == "constant":
            value = 0.0
        elif c.discrete:
            value = places.get(cell, places.get(text))
        elif c.type == "date":
            value = parse_date(text, c.form) if c.form else None
        else:
            text = text.replace(",", ".") if c.comma else text
            value = float(text) if DECIMAL.match(text) else None
        known[cell] = math.nan if value is None else value
        if value is None:
            odd[cell] = 0
    if odd:
        counts = Counter(cells)
        odd = Counter({cell: counts[cell] for cell in odd})
    return np.array([known[cell] for cell in cells]), dict(odd)


def infer_typed(name: str, values: Any, forced: str = "") -> tuple[Column | None, np.ndarray, str]:
    """What a column of a DataFrame is, its stored values, and what there is to say; None leaves it out."""
    kind = getattr(values.dtype, "kind", "O")
    gone = np.asarray(values.isna(), bool)
    n = int((~gone).sum())
    shared: dict[str, Any] = {"name": name, "missing": int(gone.sum())}
    if kind == "M" and forced in ("", "date") and n:
        text = str(values.dtype)
        note = ""
        if "," in text:  # datetime64[ns, Europe/Berlin]
            values, note = values.dt.tz_convert("UTC").dt.tz_localize(None), "time zone dropped: dates are in UTC"
        unit = str(values.dtype).removeprefix("datetime64[").rstrip("]")
        ticks = values.to_numpy(f"datetime64[{unit}]").astype(np.int64)
        scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
        codes = np.where(gone, math.nan, ticks / scale)
        there = codes[~gone]
        step = next((s for s in (86400.0, 3600.0, 60.0, 1.0) if not np.any(there % s)), 1e-6)
        column = Column(
            **shared,
            type="date",
            dtype=f"datetime64[{unit}]",
            low=float(there.min()),
            high=float(there.max()),
            step=step,
            form="%Y-%m-%d" if step == 86400.0 else "%Y-%m-%d %H:%M:%S" if step >= 1 else "%Y-%m-%d %H:%M:%S.%f",
            counts=(n,),
        )
        return column, codes, note
    if kind == "b":
        texts, dtype = ["" if g else str(bool(v)) for v, g in zip(values, gone, strict=True)], "bool"
    elif kind in "iu":
        texts, dtype = ["" if g else str(int(v)) for v, g in zip(values, gone, strict=True)], "int"
    elif kind == "f":
        texts, dtype = ["" if g else shortest(float(v)) for v, g in zip(values, gone, strict=True)], "float"
        shared["blank"] = ""
    else:
        texts, dtype = ["" if g else str(v) for v, g in zip(values, gone, strict=True)], "str"
    column, note = infer_text(name, texts, forced, numbers=kind in "iuf")
    if column is None:
        return None, np.zeros(0), note
    if kind == "f" and column.type == "integer" and not forced:
        column = dataclasses.replace(column, type="continuous", step=0.0, decimals=0, form="point")
    return dataclasses.replace(column, dtype=dtype), codes_of(column, texts)[0], note


def shortest(value: float) -> str:
    """A number in as few digits as name it."""
    text = np.format_float_positional(value, trim="-")
    return text if len(text) < 40 else repr(value)
