"""Whether the first row of a CSV holds the names of columns or values: told by how it differs from the rows below."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .dates import find_date
from .notation import DECIMAL, find_numbers
from .reading import MISSING

_LOOKED_AT = 300
_YEAR = re.compile(r"(1[5-9]|20|21)\d\d\Z")


def is_header(rows: Sequence[Sequence[str]]) -> tuple[bool, list[str]]:
    """Whether the first row holds names, and the numbers in it.

    Without numbers it does. With numbers it does where text stands over a column of numbers, where its numbers are
    years or count up while the columns below hold other things, or where they are written otherwise than those below.
    """
    first = [cell.strip() for cell in rows[0]]
    numbers = [cell for cell in first if _is_number(cell)]
    if not numbers:
        return True, []
    below = [[row[j].strip() for row in rows[1:_LOOKED_AT] if len(row) == len(first)] for j in range(len(first))]
    below = [[cell for cell in column if cell not in MISSING] for column in below]
    names = values = 0
    for cell, column in zip(first, below, strict=True):
        if not column or cell in MISSING:
            continue
        if _is_number(cell):
            values += _is_one_of(cell, column)
        elif _share_of_numbers(column) >= 0.9 or (not _is_date(cell) and _are_dates(column)):
            names += 2
        elif cell in column:
            values += 1
        elif 2 * len(set(column)) <= len(column):
            names += 1  # one of few words would be among those below
    years = all(_YEAR.match(cell) for cell in numbers) and not _under_years(first, below)
    if years or _counts_up(numbers, len(first)):
        names += 1 + values
    return names > values, numbers


def _is_number(cell: str) -> bool:
    return bool(DECIMAL.match(cell)) or bool(cell[:1] and cell[0] in "+-.0123456789" and find_numbers([cell]).values)


def _share_of_numbers(column: Sequence[str]) -> float:
    return sum(bool(DECIMAL.match(cell)) for cell in column) / len(column)


def _is_date(cell: str) -> bool:
    return find_date([cell]) is not None


def _are_dates(column: Sequence[str]) -> bool:
    return find_date(set(column)) is not None


def _counts_up(numbers: Sequence[str], width: int) -> bool:
    """Whether a row of numbers is 0, 1, 2 ... (a first cell may be none), as programs name columns without names."""
    if len(numbers) < max(3, width - 1) or not all(n.isdigit() for n in numbers):
        return False
    start = int(numbers[0])
    return start in (0, 1) and [int(n) for n in numbers] == list(range(start, start + len(numbers)))


def _under_years(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a year in the first row stands over years."""
    return any(
        _YEAR.match(cell) and column and sum(bool(_YEAR.match(c)) for c in column) > 0.5 * len(column)
        for cell, column in zip(first, below, strict=True)
    )


def _is_one_of(cell: str, column: Sequence[str]) -> bool:
    """Whether a number may be one of those below it: as large, and written alike."""
    there = [c for c in column if DECIMAL.match(c)]
    if len(there) < 0.5 * len(column):
        return bool(
            find_numbers({cell, *column}).values.get(cell) is not None and not there and _same_marks(cell, column)
        )
    if not DECIMAL.match(cell):
        return False
    pointed = sum("." in c for c in there)
    if len(there) >= 5 and pointed == len(there) and "." not in cell:
        return False
    values = [float(c) for c in there]
    low, high = min(values), max(values)
    return low - 3 * (high - low) - 1 <= float(cell) <= high + 3 * (high - low) + 1


def _same_marks(cell: str, column: Sequence[str]) -> bool:
    found = find_numbers(set(column))
    return bool(found.values) and found.notation.parse(cell) is not None
