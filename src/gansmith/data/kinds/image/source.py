"""Picture files of folders, tables and archives as a source, and how they are packed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ....options import DataOptions
from ...found import Report
from ...listing import MOST_BYTES, Bytes, Files, Listing, printable
from ...plan import Block, Plan
from .decode import Bad, Target, decode
from .find import no_pictures
from .inspect import report_of_pictures
from .survey import choose, codec_of, survey

RANGES = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "float32": None}
"""The stored values that become -1 and 1; those of float pictures are measured."""


def decode_each(
    payload: tuple[int, Sequence[Bytes]], known: Mapping[int, str], put: Callable[[int, bytes], None]
) -> dict[int, str]:
    """Hand the bytes of each file to `put`, with its place; the places of bad files, and why.

    `payload`: the number of the first file, and the files; `known`: files that are bad already, by number.
    """
    first, files = payload
    bad: dict[int, str] = {}
    for i, file in enumerate(files):
        if first + i in known:
            bad[i] = known[first + i]
            continue
        try:
            with file.open() as f:
                put(i, f.read())
        except Bad as error:
            bad[i] = str(error)
        except OSError as error:
            bad[i] = error.strerror or str(error)
    return bad


@dataclass(frozen=True, kw_only=True)
class PictureReader:
    """Picture files, decoded into what all of them become."""

    files: Files
    listing: Listing
    target: Target
    bad: Mapping[int, str]
    """Files whose header is broken, and why."""

    def read(self, ranges: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """The number of the first file, and the files."""
        for (first, _), batch in zip(ranges, self.files.read(self.listing, ranges, MOST_BYTES), strict=True):
            yield first, batch

    def decode(self, payload: tuple[int, Sequence[Bytes]]) -> Block:
        """Pictures (n, H, W, C)."""
        rows = np.zeros((len(payload[1]), *self.target.shape), self.target.dtype)

        def put(i: int, data: bytes) -> None:
            rows[i] = decode(data, self.target)

        return Block(rows, decode_each(payload, self.bad, put))

    def name(self, row: int) -> str:
        """The name of the file."""
        return printable(self.listing.names[row])


class PictureSource:
    """Picture files of a folder, a table or an archive."""

    kind: ClassVar[str] = "image"

    def __init__(self, files: Files) -> None:
        self.files = files
        self.listing = files.listing()

    @property
    def name(self) -> str:
        """As the user gave it."""
        return self.files.name

    @property
    def identity(self) -> str:
        """Of names, sizes and times of change."""
        return self.listing.identity

    def report(self, options: DataOptions, progress: bool) -> Report:
        """What is in it. Never raises: what keeps training from starting is told."""
        return report_of_pictures(self, options, progress)

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Read all headers, then decide size, channels and depth. Raises `ValueError` if that cannot be decided."""
        listing = self.listing
        if not len(listing.names):
            raise ValueError(no_pictures(self.name, listing))
        seen = survey(self.files, listing, progress)
        target, notes = choose(self.name, seen, options, listing)
        return Plan(
            source=self.name,
            digest=digest,
            kind=self.kind,
            shape=target.shape,
            dtype=target.dtype,
            bounds=target.bounds or RANGES[target.dtype],
            codec=codec_of(target),
            chunks=listing.chunks(int(np.prod(target.shape)) * np.dtype(target.dtype).itemsize),
            reader=PictureReader(files=self.files, listing=listing, target=target, bad=seen.bad),
            labels=listing.labels,
            classes=listing.classes,
            options=recorded,
            quarantined=tuple(listing.quarantined),
            ignored=tuple(sorted([*listing.ignored, *seen.ignored])),
            notes=tuple([*listing.notes, *notes]),
        )
