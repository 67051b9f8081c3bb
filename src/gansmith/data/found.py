"""What was found in a source."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from .plan import Quarantined


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found. Sizes are (height, width)."""

    source: str
    kind: str
    """The name of its file in `kinds/`."""
    found: int
    """Pictures or rows, bad ones included."""
    usable: int
    """Those whose header (and pixels, if decoded) are fine."""
    decoded: int
    """How many were decoded to the last pixel; of the others only the header was read."""
    sizes: tuple[tuple[int, int, int], ...] = ()
    """(height, width, count), most common first, at most 20."""
    num_sizes: int = 0
    modes: dict[str, int]
    """Pixel formats (Pillow's names for files, dtypes for arrays) and their counts."""
    formats: dict[str, int]
    depths: dict[str, int]
    classes: dict[str, int]
    duplicates: int
    """How many repeat an earlier one byte for byte."""
    duplicate_groups: tuple[tuple[str, ...], ...]
    """Names of equal ones, at most 20 groups of at most 5."""
    constant: int
    """Pictures of a single colour, among those decoded."""
    quarantined: tuple[Quarantined, ...]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]
    shape: tuple[int, ...]
    """Of one sample as trained: (C, H, W) or (D,); empty if training cannot start."""
    dtype: str
    problem: str
    """Why training cannot start as things are; empty if it can."""
    warnings: tuple[str, ...]
    at_most: bool = False
    """Whether fewer may turn out to be usable: a pair of which either half is broken is left out."""
    parts: dict[str, Report] = field(default_factory=dict)
    """Of pairs and domains: what each of the two sets holds."""
    columns: tuple[str, ...] = ()
    """A line for each column of a table."""
    facts: tuple[str, ...] = ()
    """What else there is to know of this kind of data, in words."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return dataclasses.asdict(self)


FEW = 1000


def warnings_of(usable: int, classes: dict[str, int], duplicates: int, constant: int, quarantined: int) -> list[str]:
    """What may spoil training or its judgement."""
    found = []
    if 0 < usable < FEW:
        found.append(
            f"only {usable} samples: a GAN overfits below about {FEW}; augmentation helps, and so does a gentle recipe"
        )
    if small := [name for name, n in classes.items() if n <= 1]:
        found.append(f"{len(small)} classes with at most one sample, such as {small[0]}")
    if classes and (least := min(classes.values())) > 1 and (most := max(classes.values())) > 10 * least:
        found.append(f"classes are imbalanced: from {least} to {most} samples")
    if duplicates > 0.05 * usable:
        found.append(f"{duplicates} of {usable} repeat an earlier one exactly: the score will flatter memorising")
    if constant:
        found.append(f"{constant} pictures have a single colour")
    if quarantined > 0.05 * max(usable, 1):
        found.append(f"{quarantined} files or rows are left out")
    return found
