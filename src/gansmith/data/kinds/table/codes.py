"""Cells of a column as codes, in the file it was told by and in others that are written otherwise."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from .column import Column
from .dates import find_date, parse_date
from .infer import MOST, decimals_of, written
from .notation import DECIMAL, find_numbers
from .reading import MISSING


def codes_of(c: Column, cells: Sequence[str]) -> tuple[np.ndarray, dict[str, int]]:
    """The stored values (N,) of a column's cells, NaN where missing; beside it what could not be read, and how often.

    What cannot be read is NaN too: a category that was never seen, a word in a column of numbers.
    """
    places = {v: float(k) for k, v in enumerate(c.values)}
    places |= {v.strip(): float(k) for k, v in enumerate(c.values) if v.strip() not in places}
    if c.type == "boolean":
        places |= {v.strip().lower(): float(k) for k, v in enumerate(c.values) if v.strip().lower() not in places}
    absent, notation = MISSING.union(c.absent), c.notation
    known: dict[str, float] = {}
    odd: Counter[str] = Counter()
    for cell in set(cells):
        text = cell.strip()
        value: float | None = None
        if text in absent and cell not in places and text not in places:
            known[cell] = math.nan
            continue
        if c.type == "constant":
            value = 0.0
        elif c.discrete:
            value = places.get(cell, places.get(text, places.get(text.lower()) if c.type == "boolean" else None))
        elif c.type == "date":
            value = parse_date(text, c.form) if c.form else None
        else:
            value = notation.parse(text)
            if value is None and not notation.plain and DECIMAL.match(text):
                value = float(text)  # a file without the marks
        known[cell] = math.nan if value is None else value + 0.0
        if value is None:
            odd[cell] = 0
    if odd:
        counts = Counter(cells)
        odd = Counter({cell: counts[cell] for cell in odd})
    return np.array([known[cell] for cell in cells]), dict(odd)


def as_written(c: Column, cells: Sequence[str], delimiter: str = ",") -> Column:
    """The column as another file writes it: its decimal mark, marks around numbers, format of dates.

    As it is where the file's cells are written as the column's own were, or tell nothing.
    """
    if c.discrete or c.type == "constant":
        return c
    texts = {t for t in (cell.strip() for cell in set(cells)) if t not in MISSING and t not in c.absent}
    if not texts:
        return c
    if c.type == "date":
        if any(parse_date(t, c.form) is not None for t in texts):
            return c
        found = find_date(texts, MOST)
        return c if found is None else dataclasses.replace(c, form=found.form, dtype="text")
    ways = [find_numbers(texts, delimiter=delimiter, said=said) for said in ("", "thousands", "comma")]
    known = {t: v for t in texts if (v := c.notation.parse(t)) is not None}
    best = max(ways, key=lambda way: _fitting(c, way.values))
    if _fitting(c, best.values) > _fitting(c, known):
        c = dataclasses.replace(c, **written(best))
    return _to_places(c, cells)


def _fitting(c: Column, values: Mapping[str, float]) -> int:
    """How many numbers may be of this column: about as large as its own, and whole where those are."""
    room = c.high - c.low
    near = (v for v in values.values() if c.low - room <= v <= c.high + room)
    return 2 * sum(c.type != "integer" or float(v).is_integer() for v in near) + bool(values)


def _to_places(c: Column, cells: Sequence[str]) -> Column:
    """The column with the decimals of a file that has enough numbers to tell them."""
    texts = {t for t in (cell.strip() for cell in set(cells)) if t not in MISSING}
    digits = list(find_numbers(texts).digits.values()) if c.notation.plain else []
    if len(digits) < 20 or c.type == "integer" or c.decimals < 0:
        return c
    decimals, form = decimals_of(digits)
    return dataclasses.replace(c, decimals=decimals, form=form) if 0 <= decimals < c.decimals else c
