"""Stored numbers as cells: rounded, clipped and written as the source wrote them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math

import numpy as np

from . import dates
from .column import Column
from .dates import EPOCH as EPOCH


def restore(c: Column, values: np.ndarray) -> np.ndarray:
    """Numbers (N,) float64 within the column's observed range, rounded as its own are."""
    if c.step:
        values = c.low + np.rint((values - c.low) / c.step) * c.step
    elif c.type == "date":  # months: the nearest first day
        halfway = np.nan_to_num(values, nan=c.low).clip(c.low, c.high) + 15 * 86400
        months = halfway.astype("datetime64[s]").astype("datetime64[M]").astype("datetime64[s]").astype(np.float64)
        values = np.where(np.isnan(values), math.nan, months)
    elif c.form == "e" and 0 <= c.decimals < 15:
        with np.errstate(divide="ignore"):
            places = np.floor(np.log10(np.abs(np.where(values == 0, 1.0, values))))
        scale = 10.0 ** (c.decimals - places)
        values = np.rint(values * scale) / scale
    elif c.decimals >= 0:
        values = np.round(values, c.decimals)
    return values.clip(c.low, c.high) + 0.0  # no -0.0


def column_values(c: Column, stored: np.ndarray) -> np.ndarray:
    """One column's stored values (N,) as an array of its own type.

    Integers are int64, numbers float64 (NaN where missing), categories strings (or the numbers they were), dates
    datetime64 if they were, else text in their format. Integers and booleans with missing cells are objects with None;
    missing text is "".
    """
    gone = np.isnan(stored)
    if c.dtype.startswith(("datetime64", "timedelta64")) and c.type in ("date", "continuous"):
        return _ticks(c, stored, gone)
    if c.type in ("continuous", "integer", "date") and c.dtype == "str":
        return np.array(cell_texts(dataclasses.replace(c, blank=""), stored), dtype=np.str_)
    if c.type == "continuous":
        return stored.copy()
    if c.type == "integer":
        whole = np.where(gone, 0, stored).astype(np.int64)
        return _with_none(whole, gone)
    if c.type == "date":
        texts = cell_texts(dataclasses.replace(c, blank=""), stored)
        if c.dtype == "int":  # 20200912
            return _with_none(np.array([int(t or 0) for t in texts], np.int64), gone)
        return np.array([float(t or "nan") for t in texts] if c.dtype == "float" else texts)
    values = _typed(c)
    if c.type == "constant":
        return np.repeat(values, len(stored))
    found = values[np.where(gone, 0, stored).astype(np.int64)]
    if found.dtype.kind == "U":
        return np.where(gone, "", found)
    if found.dtype.kind == "f":
        return np.where(gone, math.nan, found)
    return _with_none(found, gone)


def _ticks(c: Column, stored: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Seconds as datetime64 or timedelta64 in the unit of the column's dtype."""
    kind, _, unit = c.dtype.rstrip("]").partition("[")
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    whole = np.rint(np.where(gone, 0, stored) * 1e6).astype(np.int64)
    ticks = whole * (scale // 10**6) if scale >= 10**6 else whole // (10**6 // scale)
    found = ticks.astype(f"{kind}[{unit}]")
    found[gone] = np.timedelta64("NaT") if kind == "timedelta64" else np.datetime64("NaT")
    return found


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
            return np.array([int(v) if c.notation.plain else int(_parsed(c, v)) for v in c.values], np.int64)
        if c.dtype == "float" or (c.dtype == "text" and c.form == "float"):
            return np.array([_parsed(c, v) for v in c.values])
        if c.dtype == "bytes":
            return np.array([*(v.encode("latin-1") for v in c.values), None], dtype=object)[:-1]
    except (ValueError, OverflowError):
        pass
    return np.array(c.values, dtype=np.str_)


def write_date(c: Column, seconds: float) -> str:
    """One stored date in the column's format."""
    return dates.write_date(c.form, seconds)


def _parsed(c: Column, text: str) -> float:
    """Raises `ValueError` for a cell that is no number in the column's notation."""
    value = c.notation.parse(text.strip())
    return float(text) if value is None else value


def cell_texts(c: Column, stored: np.ndarray) -> list[str]:
    """One column's stored values (N,) as the cells of a CSV, written as the source wrote them."""
    if c.type == "constant":
        return [c.values[0]] * len(stored)
    if c.discrete:
        return [c.blank if math.isnan(v) else c.values[int(v)] for v in stored]
    if c.type == "date":
        return [c.blank if math.isnan(v) else write_date(c, v) for v in stored]
    if c.dtype.startswith("timedelta64"):
        return [c.blank if math.isnan(v) else span_text(v) for v in stored]
    notation = c.notation
    return [c.blank if math.isnan(v) else notation.write(_digits(c, v)) for v in stored]


def span_text(seconds: float) -> str:
    """A span of time: `3 days 04:05:06.5`."""
    whole = dt.timedelta(seconds=float(seconds))
    rest = whole - dt.timedelta(days=whole.days)
    return f"{whole.days} days {(EPOCH + rest):%H:%M:%S}" + (f".{rest.microseconds:06d}" if rest.microseconds else "")


def _digits(c: Column, value: float) -> str:
    """A number as Python writes it, to the column's decimals."""
    if c.form == "e" and c.decimals >= 0:
        return f"{float(value) + 0.0:.{c.decimals}e}"
    if c.type == "integer":
        return f"{int(value)}" if c.decimals < 1 else f"{int(value)}.{'0' * c.decimals}"
    value = float(value) + 0.0
    if c.decimals < 0:
        return repr(value)
    text = f"{round(value, c.decimals) + 0.0:.{c.decimals}f}"
    if c.form == "bare":
        return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text
    if c.form == "fixed":
        return text
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text if "." in text or c.form != "point" else f"{text}.0"
