"""What is to be packed: everything decided, nothing decoded yet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .codec import Codec


@dataclass(frozen=True)
class Quarantined:
    """A file or row that is left out, and why. Bytes of a name that are not text are written as `\\xff`."""

    name: str
    reason: str


@dataclass(frozen=True)
class Block:
    """Some decoded rows (n, *Plan.shape), and which of them are bad: {position in the block: reason}."""

    rows: np.ndarray
    bad: dict[int, str]


class Reader(Protocol):
    """Where the rows of a plan come from: read in one thread, decoded in many."""

    def read(self, ranges: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """What `decode` needs of the source's rows first ... last - 1, for each of these ranges: they ascend."""
        ...

    def decode(self, payload: Any) -> Block:
        """The rows of one range. One that is bad without a reason is left out and not listed."""
        ...

    def name(self, row: int) -> str:
        """What a row of the source is called in the list of those left out."""
        ...


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be packed: everything decided, nothing decoded yet."""

    source: str
    digest: str
    kind: str
    shape: tuple[int, ...]
    """Of one stored row: (H, W, C) of a picture, (D,) of a vector, (T,) of a text."""
    dtype: str
    bounds: tuple[float, float] | None
    """The range of stored values that becomes [-1, 1]; None measures it (float pictures, vectors)."""
    codec: Codec | None = None
    """The codec, where the source knows it; else it is measured."""
    chunks: np.ndarray
    """Boundaries of the chunks: chunk c holds rows chunks[c] ... chunks[c + 1] - 1 of the source."""
    reader: Reader
    """What reads and decodes the rows."""
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    options: dict[str, Any]
    quarantined: tuple[Quarantined, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    parts: Mapping[str, Plan] = field(default_factory=dict)
    """Of rows that hold more than one sample (pairs): the plan of each."""

    @property
    def rows(self) -> int:
        """How many rows the source has, bad ones included."""
        return int(self.chunks[-1])

    @property
    def row_bytes(self) -> int:
        """Bytes of one stored row."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def even_chunks(rows: int, row_bytes: int) -> np.ndarray:
    """Boundaries of chunks of about 4 MiB of stored rows, and at most 1,024 rows."""
    step = min(max((4 << 20) // max(row_bytes, 1), 1), 1024)
    return np.append(np.arange(0, rows, step), rows)


def nothing_usable(source: str, quarantined: Sequence[Quarantined]) -> str:
    """What is said where all of a source is left out."""
    listed = "; ".join(f"{q.name}: {q.reason}" for q in quarantined[:5])
    return f"nothing in {source} can be used ({len(quarantined)} tried): {listed}"


def quarantine_notes(quarantined: Sequence[Quarantined]) -> list[str]:
    """One line that says how many are left out, and the first few."""
    if not quarantined:
        return []
    listed = "; ".join(f"{q.name}: {q.reason}" for q in quarantined[:3])
    more = f"; and {len(quarantined) - 3} more" if len(quarantined) > 3 else ""
    return [f"{len(quarantined)} left out ({listed}{more})"]
