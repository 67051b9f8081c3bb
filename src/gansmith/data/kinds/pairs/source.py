"""Two sets of samples as one source of pairs, which belong together row by row.

A pair is packed as one row, so that a broken half takes its partner with it: `x.npy` holds the bytes of both, and the
store's fields `a` and `b` are views of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ....options import DataOptions
from ...found import Report
from ...halves import HALVES, joined_rows
from ...kind import Source
from ...listing import Bytes
from ...plan import Block, Plan, Quarantined, Reader
from ..image.find import no_pictures
from ..image.source import RANGES, PictureReader, PictureSource, decode_each
from ..image.survey import codec_of, survey
from .inspect import choose_half, halves_of, report_of_joined, together


@dataclass(frozen=True, kw_only=True)
class PairReader:
    """Two readers side by side."""

    halves: Mapping[str, Plan]

    def read(self, ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[Any, ...]]:
        """What each half's own reader decodes."""
        yield from zip(*(plan.reader.read(ranges) for plan in self.halves.values()), strict=True)

    def decode(self, payload: tuple[Any, ...]) -> Block:
        """Rows (n, bytes) of both."""
        blocks = [plan.reader.decode(part) for plan, part in zip(self.halves.values(), payload, strict=True)]
        bad: dict[int, str] = {}
        for half, block in zip(HALVES, blocks, strict=True):
            # Without a reason a row would not be listed (a file that is no picture); but half of a pair is missing.
            bad |= {i: f"{half} {reason or 'cannot be used'}" for i, reason in block.bad.items() if i not in bad}
        return Block(joined_rows([block.rows for block in blocks]), bad)

    def name(self, row: int) -> str:
        """The name of a's row."""
        return self.halves["a"].reader.name(row)


@dataclass(frozen=True)
class PairSource:
    """Two sources of as many rows, row i of one belonging to row i of the other."""

    kind: ClassVar[str] = "pairs"
    name: str
    a: Source
    b: Source
    quarantined: tuple[Quarantined, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Equal for equal content."""
        return f"pairs {self.a.identity} {self.b.identity}"

    @property
    def halves(self) -> dict[str, Source]:
        """Both, by name."""
        return {"a": self.a, "b": self.b}

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """One row is both samples. Raises `ValueError` if a half cannot be planned, or one has more rows."""
        plans = {k: half.plan(options, digest, recorded, progress) for k, half in self.halves.items()}
        a, b = plans["a"], plans["b"]
        if a.rows != b.rows:
            raise ValueError(f"{self.name}: a holds {a.rows:,} samples, b {b.rows:,}: pairs need as many of both")
        for half, plan in plans.items():
            if plan.quarantined:  # of a table: they are no rows of the plan, so the others would have moved up
                q = plan.quarantined[0]
                raise ValueError(
                    f"{self.name}: {half} has {len(plan.quarantined)} that cannot be read ({q.name}: {q.reason}), so "
                    "it is not known which row belongs to which: mend them, or take them out of both"
                )
        return replace(
            _plan(self, digest, recorded, plans, PairReader(halves=plans), np.union1d(a.chunks, b.chunks)),
            quarantined=self.quarantined,
            ignored=tuple(sorted({name for plan in plans.values() for name in plan.ignored})),
            notes=(*self.notes, *(f"{k}: {note}" for k, plan in plans.items() for note in plan.notes)),
        )

    def report(self, options: DataOptions, progress: bool) -> Report:
        """What is in each of the two sets, and what they are together."""
        parts = {name: half.report(options, progress) for name, half in self.halves.items()}
        found = together(self.name, self.kind, parts, self.quarantined, self.notes, smaller=True)
        if found.problem:
            return found
        try:
            self.plan(options, "", {}, progress=False)  # which refuses what is no matter of either set alone
        except ValueError as error:
            return replace(found, problem=str(error), shape=())
        return found


@dataclass(frozen=True, kw_only=True)
class JoinedReader:
    """Pictures that are cut in the middle."""

    pictures: PictureReader
    """Which decodes one half."""
    left_is_a: bool

    def read(self, ranges: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """The number of the first file, and the files."""
        return self.pictures.read(ranges)

    def decode(self, payload: tuple[int, Sequence[Bytes]]) -> Block:
        """Rows (n, bytes) of both halves."""
        target = self.pictures.target
        halves = np.zeros((2, len(payload[1]), *target.shape), target.dtype)

        def put(i: int, data: bytes) -> None:
            halves[:, i] = halves_of(data, target)[0]

        bad = decode_each(payload, self.pictures.bad, put)
        return Block(joined_rows(list(halves if self.left_is_a else halves[::-1])), bad)

    def name(self, row: int) -> str:
        """The name of the file."""
        return self.pictures.name(row)


@dataclass(frozen=True)
class JoinedSource:
    """Pictures that hold both halves side by side, as the pix2pix data sets do."""

    kind: ClassVar[str] = "pairs"
    name: str
    pictures: PictureSource
    left_is_a: bool

    @property
    def identity(self) -> str:
        """Equal for equal content."""
        return f"joined {self.left_is_a} {self.pictures.identity}"

    @property
    def halves(self) -> dict[str, Source]:
        """Both are of the same pictures."""
        return {"a": self.pictures, "b": self.pictures}

    def report(self, options: DataOptions, progress: bool) -> Report:
        """What is in the pictures, with the size of a half."""
        return report_of_joined(self.name, self.pictures, options, progress)

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Each picture is cut in the middle. Raises `ValueError` if the halves' size cannot be decided."""
        files, listing = self.pictures.files, self.pictures.listing
        if not len(listing.names):
            raise ValueError(no_pictures(files.name, listing))
        seen = survey(files, listing, progress)
        target, notes = choose_half(self.name, seen, options, listing)
        pictures = PictureReader(files=files, listing=listing, target=target, bad=seen.bad)
        half = Plan(
            source=self.name,
            digest=digest,
            kind=self.pictures.kind,
            shape=target.shape,
            dtype=target.dtype,
            bounds=target.bounds or RANGES[target.dtype],
            codec=codec_of(target),
            chunks=np.array([0, len(listing.names)]),
            reader=pictures,
            options=recorded,
        )
        reader = JoinedReader(pictures=pictures, left_is_a=self.left_is_a)
        where = "left" if self.left_is_a else "right"
        return replace(
            _plan(self, digest, recorded, {"a": half, "b": half}, reader, listing.chunks(2 * half.row_bytes)),
            quarantined=tuple(listing.quarantined),
            ignored=tuple(sorted([*listing.ignored, *seen.ignored])),
            notes=(f"each picture is a pair: a is the {where} half", *notes),
        )


def _plan(
    source: PairSource | JoinedSource,
    digest: str,
    recorded: dict[str, Any],
    halves: Mapping[str, Plan],
    reader: Reader,
    chunks: np.ndarray,
) -> Plan:
    return Plan(
        source=source.name,
        digest=digest,
        kind=source.kind,
        shape=(sum(plan.row_bytes for plan in halves.values()),),
        dtype="uint8",
        bounds=None,
        chunks=chunks,
        reader=reader,
        options=recorded,
        parts=halves,
    )
