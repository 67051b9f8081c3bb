"""Picture files of folders, tables and archives as a source, and how they are packed."""

from __future__ import annotations

import csv
import itertools
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ....options import DataOptions
from ...archives import Tar, Zip
from ...found import Report
from ...listing import MOST_BYTES, Bytes, Files, Folder, Table, printable
from ...plan import Block, Plan
from .decode import SUFFIXES, Bad, decode
from .inspect import report_of_pictures
from .survey import choose, survey

_AT_ONCE = 16
"""Files read at once, where two of each row are read together."""


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

    def chunks(self, row_bytes: int) -> np.ndarray:
        """Boundaries of chunks of files, for a pair."""
        del row_bytes
        n = len(self.listing.names)
        return np.append(np.arange(0, n, _AT_ONCE), n)

    def batches(self, chunks: np.ndarray, ranges: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """What the plan's `decode` needs of each range of files."""
        del chunks
        for (first, _), batch in zip(ranges, self.files.read(self.listing, ranges, MOST_BYTES), strict=True):
            yield first, batch

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
        shape = (target.height, target.width, target.channels)
        chunks = listing.chunks(int(np.prod(shape)) * np.dtype(target.dtype).itemsize)

        def decode_chunk(given: tuple[int, list[Bytes]]) -> Block:
            first, batch = given
            rows = np.zeros((len(batch), *shape), target.dtype)
            bad: dict[int, str] = {}
            for i, file in enumerate(batch):
                if first + i in seen.bad:
                    bad[i] = seen.bad[first + i]
                    continue
                try:
                    with file.open() as f:
                        rows[i] = decode(f.read(), target)
                except Bad as error:
                    bad[i] = str(error)
                except OSError as error:
                    bad[i] = error.strerror or str(error)
            return Block(rows, bad)

        def payloads(wanted: Sequence[int]) -> Iterator[tuple[int, Any]]:
            ranges = [(int(chunks[c]), int(chunks[c + 1])) for c in wanted]
            for c, (first, _), batch in zip(wanted, ranges, self.files.read(listing, ranges, MOST_BYTES), strict=True):
                yield c, (first, batch)

        whole = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "float32": None}
        return Plan(
            source=self.name,
            digest=digest,
            kind="image",
            shape=shape,
            dtype=target.dtype,
            bounds=whole[target.dtype],
            chunks=chunks,
            payloads=payloads,
            decode=decode_chunk,
            name=lambda i: printable(listing.names[i]),
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
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as f:
        rows = [row for row in itertools.islice(csv.reader(f), 21) if any(c.strip() for c in row)]
    if not rows:
        return True
    head = [cell.strip().lower() for cell in rows[0]]
    columns = [i for i, name in enumerate(head) if name in _CATALOGUE] or ([0] if len(head) <= 2 else [])
    cells = [row[i].strip() for row in rows for i in columns if len(row) > i]
    return any(Path(c).suffix.lower() in SUFFIXES or (path.parent / c).is_file() for c in cells if c)


def files_at(path: Path) -> Files | None:
    """The picture files of a folder, an archive or a CSV that lists them; None for anything else."""
    if path.is_dir():
        return Folder(path, SUFFIXES)
    if path.suffix.lower() == ".csv":
        return Table(path, SUFFIXES) if lists_pictures(path) else None
    if zipfile.is_zipfile(path):
        return Zip(path, SUFFIXES)
    return Tar(path, SUFFIXES) if tarfile.is_tarfile(path) else None
