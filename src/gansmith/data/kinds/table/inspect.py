"""What is in a table, column by column."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ...found import Report
from ...looked import report_of_rows
from ...plan import Quarantined
from .cells import cell_texts
from .codec import TableCodec


def report_of_table(
    name: str, codec: TableCodec, rows: np.ndarray, bad: tuple[Quarantined, ...], notes: Sequence[str]
) -> Report:
    """What is in the stored rows (N, D) of a table."""
    there = np.nan_to_num(rows, nan=-0.125)  # missing cells are no fault of a row
    found = report_of_rows(name, "table", there, quarantined=bad, notes=notes, shape=(rows.shape[1],), dtype="float64")
    return dataclasses.replace(
        found, found=len(rows) + len(bad), usable=len(rows), columns=tuple(describe_columns(codec))
    )


def describe_columns(codec: TableCodec) -> list[str]:
    """A line for each column: its name, type, range or categories, and missing cells."""
    width = max((len(c.name) for c in codec.columns), default=0)
    lines = []
    for c in codec.columns:
        if c.type == "constant":
            what = f"always {_short(c.values[0])!r}"
        elif c.discrete:
            order = sorted(range(len(c.values)), key=lambda k, c=c: -c.counts[k])
            shown = ", ".join(f"{_short(c.values[k])} {c.counts[k]:,}" for k in order[:4])
            what = f"{len(c.values)} values: {shown}{', ...' if len(order) > 4 else ''}"
        else:
            low, high = cell_texts(c, np.array([c.low, c.high]))
            what = f"{low} to {high}"
            if c.type == "continuous" and c.decimals >= 0:
                what += f", {c.decimals} decimal{'s' if c.decimals != 1 else ''}"
        gone = f"; {c.missing:,} missing" if c.missing else ""
        lines.append(f"{c.name.strip():{width}}  {c.type:10}  {what}{gone}")
    return lines


def _short(text: str) -> str:
    """A cell in one line of a report."""
    text = " ".join(text.split())
    return text if len(text) <= 40 else f"{text[:37]}..."
