"""Two sets of pictures as one source: pairs that belong together row by row, or two domains that do not.

A pair is packed as one row, so that a broken half takes its partner with it: `x.npy` holds the bytes of both, and the
store's fields `a` and `b` are views of it. Two domains are two ordinary stores in one folder, of any two counts.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ....options import DataOptions
from ...found import Report
from ...halves import HALVES, HalfSource, joined_rows
from ...listing import MOST_BYTES, Bytes, printable
from ...plan import Block, Plan, Quarantined
from ..image.decode import Bad, decode, fit_array, read_header
from ..image.source import PictureSource
from ..image.survey import choose, survey
from .inspect import halved, report_of_joined, together


@dataclass(frozen=True)
class PairSource:
    """Two sources of as many pictures, row i of one belonging to row i of the other."""

    kind: ClassVar[str] = "pairs"
    name: str
    a: HalfSource
    b: HalfSource
    quarantined: tuple[Quarantined, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Equal for equal content."""
        return f"pairs {self.a.identity} {self.b.identity}"

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """One row is both pictures. Raises `ValueError` if a half cannot be planned."""
        halves = {k: half.plan(options, digest, recorded, progress) for k, half in self.halves.items()}
        row_bytes = sum(plan.row_bytes for plan in halves.values())
        chunks = self.a.chunks(row_bytes)

        def payloads(wanted: Sequence[int]) -> Iterator[tuple[int, Any]]:
            ranges = [(int(chunks[c]), int(chunks[c + 1])) for c in wanted]
            both = zip(wanted, *(half.batches(chunks, ranges) for half in self.halves.values()), strict=True)
            yield from ((c, parts) for c, *parts in both)

        def decode_chunk(given: Sequence[Any]) -> Block:
            blocks = [plan.decode(part) for plan, part in zip(halves.values(), given, strict=True)]
            bad: dict[int, str] = {}
            for half, block in zip(HALVES, blocks, strict=True):
                # Without a reason a file is no picture and would not be listed; but half of a pair is missing then.
                bad |= {i: f"{half} {reason or 'is not a picture'}" for i, reason in block.bad.items() if i not in bad}
            return Block(joined_rows([block.rows for block in blocks]), bad)

        plans = list(halves.values())
        return _plan(
            self,
            digest,
            recorded,
            halves,
            chunks,
            payloads,
            decode_chunk,
            name=plans[0].name,
            quarantined=self.quarantined,
            ignored=tuple(sorted({name for plan in plans for name in plan.ignored})),
            notes=(*self.notes, *(f"{k}: {note}" for k, plan in halves.items() for note in plan.notes)),
        )

    def report(self, options: DataOptions, progress: bool) -> Report:
        """What is in each of the two sets, and what they are together."""
        parts = {name: half.report(options, progress) for name, half in self.halves.items()}
        return together(self.name, self.kind, parts, self.quarantined, self.notes, smaller=True)

    @property
    def halves(self) -> dict[str, HalfSource]:
        """Both, by name."""
        return {"a": self.a, "b": self.b}


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

    def report(self, options: DataOptions, progress: bool) -> Report:
        """What is in the pictures, with the size of a half."""
        return report_of_joined(self.name, self.pictures, options, progress)

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Each picture is cut in the middle. Raises `ValueError` if the halves' size cannot be decided."""
        files, listing = self.pictures.files, self.pictures.listing
        if not len(listing.names):
            raise ValueError(f"there are no pictures in {files.name}")
        seen = survey(files, listing, progress)
        target, notes = choose(self.name, halved(seen), options, listing)
        shape = (target.height, target.width, target.channels)
        half = Plan(
            source=self.name,
            digest=digest,
            kind="image",
            shape=shape,
            dtype=target.dtype,
            bounds={"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "float32": None}[target.dtype],
            chunks=np.array([0, len(listing.names)]),
            payloads=lambda wanted: iter(()),
            decode=lambda given: Block(given, {}),
            name=lambda i: printable(listing.names[i]),
            options=recorded,
        )
        chunks = listing.chunks(2 * half.row_bytes)

        def payloads(wanted: Sequence[int]) -> Iterator[tuple[int, Any]]:
            ranges = [(int(chunks[c]), int(chunks[c + 1])) for c in wanted]
            for c, (first, _), batch in zip(wanted, ranges, files.read(listing, ranges, MOST_BYTES), strict=True):
                yield c, (first, batch)

        def decode_chunk(given: tuple[int, list[Bytes]]) -> Block:
            first, batch = given
            halves = np.zeros((2, len(batch), *shape), target.dtype)
            bad: dict[int, str] = {}
            for i, file in enumerate(batch):
                if first + i in seen.bad:
                    bad[i] = seen.bad[first + i]
                    continue
                try:
                    with file.open() as f:
                        content = f.read()
                    header = read_header(io.BytesIO(content))
                    if header.width % 2:
                        raise Bad(f"is {header.width} pixels wide: two halves side by side have an even width")
                    whole = decode(content, replace(target, height=header.height, width=header.width))
                    for half, cut in enumerate(np.split(whole[None], 2, axis=2)):
                        halves[half, i] = fit_array(cut, target)[0]
                except Bad as error:
                    bad[i] = str(error)
                except OSError as error:
                    bad[i] = error.strerror or str(error)
            return Block(joined_rows(list(halves if self.left_is_a else halves[::-1])), bad)

        where = "left" if self.left_is_a else "right"
        return _plan(
            self,
            digest,
            recorded,
            {"a": half, "b": half},
            chunks,
            payloads,
            decode_chunk,
            name=half.name,
            quarantined=tuple(listing.quarantined),
            ignored=tuple(sorted([*listing.ignored, *seen.ignored])),
            notes=(f"each picture is a pair: a is the {where} half", *notes),
        )


def _plan(
    source: PairSource | JoinedSource,
    digest: str,
    recorded: dict[str, Any],
    halves: Mapping[str, Plan],
    chunks: np.ndarray,
    payloads: Any,
    decode_chunk: Any,
    **rest: Any,
) -> Plan:
    return Plan(
        source=source.name,
        digest=digest,
        kind="pairs",
        shape=(sum(plan.row_bytes for plan in halves.values()),),
        dtype="uint8",
        bounds=None,
        chunks=chunks,
        payloads=payloads,
        decode=decode_chunk,
        options=recorded,
        parts=dict(halves),
        **rest,
    )
