"""What is in series: how many, how long, and column by column."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ...found import Report
from ...looked import report_of_rows
from ...plan import Quarantined
from ..table.codec import TableCodec
from ..table.inspect import describe_columns
from .codec import SeriesCodec, stored_lengths


def report_of_series(
    name: str, codec: SeriesCodec, x: np.ndarray, bad: tuple[Quarantined, ...], notes: Sequence[str]
) -> Report:
    """What is in stored series (N, T, D)."""
    there = np.nan_to_num(x, nan=-0.125)  # missing cells are no fault of a series
    shape = tuple(x.shape[1:])
    found = report_of_rows(name, "series", there, quarantined=bad, notes=notes, shape=shape, dtype="float64")
    lines = describe_columns(TableCodec(columns=codec.columns))
    marks = [f"{line}{'; the same at every step' if s else ''}" for line, s in zip(lines, codec.static, strict=True)]
    lengths = stored_lengths(x)
    few = (
        f"{len(x):,} series of {lengths.min():,} to {lengths.max():,} steps, half of them up to {np.median(lengths):g}"
    )
    return dataclasses.replace(found, found=len(x), usable=len(x), columns=tuple(marks), facts=(*found.facts, few))
