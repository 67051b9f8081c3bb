"""What looking at every row of an array gathers: counts, duplicates, rows that are not finite."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .arrays import Rows, row_name
from .found import Report, warnings_of
from .plan import Quarantined, even_chunks

MOST_DECODED = 10_000


@dataclass
class Seen:
    """What looking at every file or row gathered. 64 bits of a digest tell a million samples apart."""

    digests: array[int] = field(default_factory=lambda: array("Q"))
    which: array[int] = field(default_factory=lambda: array("Q"))
    constant: int = 0
    decoded: int = 0

    def add(self, digest: bytes, which: int) -> None:
        """Note one more: its digest, and its number."""
        self.digests.append(int.from_bytes(digest[:8], "little"))
        self.which.append(which)

    def duplicates(self, name: Callable[[int], str]) -> tuple[int, tuple[tuple[str, ...], ...]]:
        """How many repeat an earlier one, and the names of some that are equal."""
        if not self.digests:
            return 0, ()
        values, which = np.frombuffer(self.digests, np.uint64), np.frombuffer(self.which, np.uint64)
        found, counts = np.unique(values, return_counts=True)
        groups = [np.sort(which[values == value])[:5].tolist() for value in found[counts > 1][:20]]
        return int((counts - 1).sum()), tuple(tuple(name(i) for i in group) for group in sorted(groups))


def report_of_rows(
    name: str,
    kind: str,
    x: Rows | np.ndarray,
    *,
    labels: np.ndarray | None = None,
    classes: tuple[str, ...] = (),
    quarantined: tuple[Quarantined, ...] = (),
    ignored: tuple[str, ...] = (),
    notes: Sequence[str] = (),
    shape: tuple[int, ...] = (),
    dtype: str | None = None,
    problem: str = "",
    constants: bool = False,
) -> Report:
    """What is in rows of numbers (N, ...): duplicates, rows that are not finite; of pictures those of one colour.

    `shape`: of an encoded sample. `dtype`: of the stored rows, that of `x` by default.
    """
    rows = x if isinstance(x, Rows) else Rows(x)
    dtype = rows.dtype.name if dtype is None else dtype
    seen = Seen()
    bad: list[Quarantined] = []
    total = rows.shape[0] if rows.shape else 0
    if rows.dtype.kind in "buif" and len(rows.shape) >= 2 and 0 not in rows.shape:
        row = 0
        for block in rows.blocks(even_chunks(total, int(np.prod(rows.shape[1:])) * rows.dtype.itemsize)):
            flat = np.ascontiguousarray(block).reshape(len(block), -1)
            good = np.isfinite(flat).all(axis=1) if flat.dtype.kind == "f" else np.ones(len(flat), bool)
            broken = set(np.flatnonzero(~np.asarray(good)).tolist())
            if constants:
                seen.constant += int(np.count_nonzero((flat.min(1) == flat.max(1)) & good))
            for i, values in enumerate(flat):
                if i not in broken:
                    seen.add(hashlib.blake2b(values.data, digest_size=8).digest(), row + i)
                else:
                    bad.append(Quarantined(row_name(row + i), "not finite"))
            row += len(flat)
        seen.decoded = total
    duplicates, groups = seen.duplicates(row_name)
    quarantined = (*quarantined, *bad)
    usable = total - len(bad)
    counts = count_classes(labels, classes, np.ones(total, bool))
    return Report(
        source=name,
        kind=kind,
        found=total,
        usable=usable,
        decoded=seen.decoded,
        modes={rows.dtype.name: total},
        formats={},
        depths={dtype: total} if dtype else {},
        classes=counts,
        duplicates=duplicates,
        duplicate_groups=groups,
        constant=seen.constant,
        quarantined=quarantined,
        ignored=ignored,
        notes=tuple(notes),
        shape=shape,
        dtype=dtype,
        problem=problem,
        warnings=tuple(warnings_of(usable, counts, duplicates, seen.constant, len(quarantined))),
    )


def count_classes(labels: np.ndarray | None, names: tuple[str, ...], keep: np.ndarray) -> dict[str, int]:
    """How many of the rows that are kept have each label."""
    if labels is None:
        return {}
    counts = np.bincount(labels[keep], minlength=len(names))
    return {name: int(n) for name, n in zip(names, counts, strict=True)}
