"""Picture files of folders, tables and archives as a source, and how they are packed."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ....options import DataOptions
from ...archives import Tar, Zip
from ...bounded import is_tar, rows_of
from ...found import Report
from ...listing import MOST_BYTES, Bytes, Files, Folder, Listing, Table, printable
from ...plan import Block, Plan
from .decode import SUFFIXES, Bad, Target, decode
from .inspect import report_of_pictures
from .survey import choose, survey

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
            set_aside = [f"{q.name}: {q.reason}" for q in listing.quarantined[:5]]
            raise ValueError(
                f"there are no pictures in {self.name}: {len(listing.ignored)} other files, "
                f"{len(listing.quarantined)} left out {'; '.join(set_aside)}".rstrip()
            )
        seen = survey(self.files, listing, progress)
        target, notes = choose(self.name, seen, options, listing)
        return Plan(
            source=self.name,
            digest=digest,
            kind=self.kind,
            shape=target.shape,
            dtype=target.dtype,
            bounds=RANGES[target.dtype],
            chunks=listing.chunks(int(np.prod(target.shape)) * np.dtype(target.dtype).itemsize),
            reader=PictureReader(files=self.files, listing=listing, target=target, bad=seen.bad),
            labels=listing.labels,
            classes=listing.classes,
            options=recorded,
            quarantined=tuple(listing.quarantined),
            ignored=tuple(sorted([*listing.ignored, *seen.ignored])),
            notes=tuple([*listing.notes, *notes]),
        )


_CATALOGUE = ("file", "filename", "file_name", "path", "image", "name", "id")


def lists_pictures(path: Path) -> bool:
    """Whether a CSV is a list of picture files rather than a table of values, by its content.

    It is one if it has a column file, filename, path, image, name or id (or, of at most two columns, a first one) and
    one of its first 20 cells ends like a picture or names a file beside the CSV.
    """
    with open(path, "rb") as f:
        start = f.read(1 << 17).decode("utf-8-sig", "replace")
    try:
        rows = [row for row in itertools.islice(rows_of(start, str(path)), 21) if any(c.strip() for c in row)]
    except ValueError:
        return False
    if not rows:
        return True
    head = [cell.strip().lower() for cell in rows[0]]
    columns = [i for i, name in enumerate(head) if name in _CATALOGUE] or ([0] if len(head) <= 2 else [])
    cells = [row[i].strip() for row in rows for i in columns if len(row) > i]
    return any(Path(c).suffix.lower() in SUFFIXES or (len(c) < 256 and (path.parent / c).is_file()) for c in cells if c)


def files_at(path: Path) -> Files | None:
    """The picture files of a folder, an archive or a CSV that lists them; None for anything else."""
    if path.is_dir():
        return Folder(path, SUFFIXES)
    if path.suffix.lower() == ".csv":
        return Table(path, SUFFIXES) if lists_pictures(path) else None
    if zipfile.is_zipfile(path):
        return Zip(path, SUFFIXES)
    return Tar(path, SUFFIXES) if is_tar(path) else None
