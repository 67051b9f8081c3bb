"""Stored numbers as cells: rounded, clipped and written as the source wrote them."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np

from .column import Column

EPOCH = dt.datetime(1970, 1, 1)


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
