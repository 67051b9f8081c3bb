"""What looking at every row of an array gathers: counts, duplicates, rows that are not finite."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .arrays import Rows, row_name
from .found import Report, warnings_of
from .plan import Quarantined, even_chunks, nothing_usable

MOST_DECODED = 10_000


@dataclass
class Seen:
    """What looking at every file or row gathered. 64 bits of a digest tell a million samples apart."""

    digests: array[int] = field(default_factory=lambda: array("Q"))
    which: array[int] = field(default_factory=lambda: array("Q"))
    constant: int = 0
    decoded: int = 0
    low: float = math.inf
    high: float = -math.inf
    """The least and the greatest value, as training would store it, of what was decoded."""

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
    known: Mapping[int, str] | None = None,
) -> Report:
    """What is in rows of numbers (N, ...): duplicates, rows that are not finite; of pictures those of one colour.

    `shape`: of an encoded sample. `dtype`: of the stored rows, that of `x` by default. `known`: the bad rows, where
    that is known already, and why they are.
    """
    rows = x if isinstance(x, Rows) else Rows(x)
    dtype = rows.dtype.name if dtype is None else dtype
    total = rows.shape[0] if rows.shape else 0
    seen, broken = _look_through(rows, total, constants, known)
    bad = [Quarantined(row_name(row), reason) for row, reason in broken.items()]
    duplicates, groups = seen.duplicates(row_name)
    quarantined = (*quarantined, *bad)
    usable = total - len(bad)
    if total and not usable and not problem:
        problem, shape, dtype = nothing_usable(name, quarantined), (), ""
    keep = np.ones(total, bool)
    keep[list(broken)] = False
    counts = count_classes(labels, classes, keep)
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


def _look_through(
    rows: Rows, total: int, constants: bool, known: Mapping[int, str] | None
) -> tuple[Seen, dict[int, str]]:
    """Every row's digest; the bad ones, by default those not finite; with `constants` how many hold one value alone."""
    seen, bad = Seen(), dict[int, str]()
    if rows.dtype.kind not in "buif" or len(rows.shape) < 2 or 0 in rows.shape:
        return seen, bad
    row = 0
    for block in rows.blocks(even_chunks(total, int(np.prod(rows.shape[1:])) * rows.dtype.itemsize)):
        flat = np.ascontiguousarray(block).reshape(len(block), -1)
        good = np.isfinite(flat).all(axis=1) if flat.dtype.kind == "f" else np.ones(len(flat), bool)
        broken = dict.fromkeys(np.flatnonzero(~np.asarray(good)).tolist(), "not finite")
        if known is not None:
            broken = {i: known[row + i] for i in range(len(flat)) if row + i in known}
        if constants:
            seen.constant += int(np.count_nonzero((flat.min(1) == flat.max(1)) & good))
        for i, values in enumerate(flat):
            if i not in broken:
                seen.add(hashlib.blake2b(values.data, digest_size=8).digest(), row + i)
            else:
                bad[row + i] = broken[i]
        row += len(flat)
    seen.decoded = total
    return seen, bad


def count_classes(labels: np.ndarray | None, names: tuple[str, ...], keep: np.ndarray) -> dict[str, int]:
    """How many of the rows that are kept have each label; those without one (-1) have none."""
    if labels is None:
        return {}
    counts = np.bincount(labels[keep & (labels >= 0)], minlength=len(names))
    return {name: int(n) for name, n in zip(names, counts, strict=True)}
