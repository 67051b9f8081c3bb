"""What is in a text, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ....options import DataOptions
from ...found import Report, warnings_of
from ...plan import Quarantined
from .read import Line

if TYPE_CHECKING:
    from .source import TextSource


def report_of_text(source: TextSource, options: DataOptions) -> Report:
    """What is in the lines. Never raises: what keeps training from starting is told."""
    found, problem = None, ""
    try:
        found = source.look(options)
    except ValueError as error:
        problem = str(error)
    lines = source.read() if found is None else found.lines
    bad = {} if found is None else found.bad
    places: dict[Line, list[int]] = {}
    for i, line in enumerate(lines):
        if i not in bad:
            places.setdefault(line, []).append(i + 1)
    groups = [rows for rows in places.values() if len(rows) > 1]
    usable = len(lines) - len(bad) if found else 0
    quarantined = tuple(Quarantined(f"line {i + 1}", reason) for i, reason in bad.items() if reason)
    facts: list[str] = []
    duplicates = sum(len(rows) - 1 for rows in groups)
    if found is not None:
        low, middle, high = (int(v) for v in np.percentile(found.lengths, (0, 50, 100)))
        total = int(found.lengths.sum())
        facts = [
            f"tokens a line: {low} to {high}, median {middle}; {total:,} in all",
            f"vocabulary: {len(found.codec.vocabulary):,} of {found.words:,} different {found.codec.level}s, special "
            f"tokens included; {found.unknown / max(total, 1):.2%} of all tokens unknown",
        ]
    return Report(
        source=source.name,
        kind="text",
        found=len(lines),
        usable=usable,
        decoded=len(lines),
        modes={},
        formats={},
        depths={},
        classes={},
        duplicates=duplicates,
        duplicate_groups=tuple(tuple(f"line {i}" for i in rows[:5]) for rows in groups[:20]),
        constant=0,
        quarantined=quarantined,
        ignored=(),
        notes=found.notes if found else (),
        shape=(found.length,) if found else (),
        dtype="int32" if found else "",
        problem=problem,
        warnings=tuple(warnings_of(usable, {}, duplicates, 0, len(quarantined))) if found else (),
        facts=tuple(facts),
    )
