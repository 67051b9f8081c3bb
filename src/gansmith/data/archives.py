"""Zip and tar archives, read without unpacking them."""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from .bounded import BROKEN, check_members, read_content, read_member, tar_members
from .encoding import text_of
from .folders import label_by_dataset, label_by_list
from .labels import attach_labels, label_by_folder
from .listing import MOST_BYTES, USUAL, Bytes, Files, Held, Listing, Reading, is_candidate, refusal_of
from .lists import DATASET, LABELS, Finder, list_of, named_list


def _member(name: str) -> str:
    """A member's path: Windows tools have been known to write it with backslashes."""
    return name.replace("\\", "/").removeprefix("./")


def _offer(found: Listing, name: str, size: int, suffixes: frozenset[str]) -> bool:
    """Whether a regular member is a candidate; if not, says why in the listing."""
    if reason := refusal_of(name):
        found.set_aside(name, reason)
    elif not is_candidate(name, suffixes) or "__MACOSX" in name.split("/"):
        found.ignore(name)
    elif size > MOST_BYTES:
        found.set_aside(name, f"{size} bytes when unpacked: more than a picture has")
    else:
        return True
    return False


class Zip(Files):
    """A zip of pictures, read without unpacking it."""

    def __init__(self, path: Path, suffixes: frozenset[str], reading: Reading = USUAL) -> None:
        self.path, self.suffixes, self.reading = path, suffixes, reading
        self.name = str(path)
        self._members: list[zipfile.ZipInfo] = []
        try:
            # Closed when nothing refers to it any more: members are read by threads that may outlive `read`.
            self._archive = zipfile.ZipFile(path)
        except BROKEN as error:
            raise ValueError(f"{path} cannot be read as a zip: {error}") from error

    def listing(self) -> Listing:
        """In the order of names."""
        found = Listing()
        seen = hashlib.sha256()
        members: list[zipfile.ZipInfo] = []
        lists: dict[str, bytes] = {}
        try:
            for member in sorted(self._archive.infolist(), key=lambda m: m.filename):
                name = _member(member.filename)
                if member.is_dir() or name.endswith("/"):
                    continue
                seen.update(f"{member.filename}\0{member.file_size}\0{member.CRC}\n".encode("utf-8", "surrogatepass"))
                if PurePosixPath(name).name in (LABELS, DATASET) and member.file_size < MOST_BYTES:
                    lists[name] = read_member(self._archive, member)
                    if PurePosixPath(name).name == DATASET:
                        found.ignore(name)
                elif stat.S_ISLNK(member.external_attr >> 16):
                    found.set_aside(name, "a link inside the archive")
                elif member.flag_bits & 1:
                    found.set_aside(name, "encrypted")
                elif _offer(found, name, member.file_size, self.suffixes):
                    found.add(name, member.file_size)
                    members.append(member)
        except BROKEN as error:
            raise ValueError(f"{self.path} cannot be read as a zip: {error}") from error
        check_members(self.path, members)
        found.identity = seen.hexdigest()
        if any("\\" in member.filename for member in members):
            found.notes.append("names are written with backslashes: they are read as folders")
            found.reread("backslashes")
        kept = _label_members(found, self.name, lists, self.suffixes, self.reading)
        self._members = [members[i] for i in kept.tolist()]
        found.keep(kept)
        return found

    def read(self, listing: Listing, wanted: Sequence[tuple[int, int]], most: int) -> Iterator[list[Bytes]]:
        """Members; the threads that decode also read and inflate."""
        del listing, most
        for first, last in wanted:
            yield [_ZipMember(self._archive, self._members[i]) for i in range(first, last)]


@dataclass(frozen=True, slots=True)
class _ZipMember(Bytes):
    archive: zipfile.ZipFile
    member: zipfile.ZipInfo

    def open(self) -> IO[bytes]:
        try:
            return io.BytesIO(read_member(self.archive, self.member, MOST_BYTES))
        except ValueError as error:
            raise OSError(str(error)) from None


class Tar(Files):
    """A tar of pictures, compressed or not, read from front to end without unpacking it."""

    def __init__(self, path: Path, suffixes: frozenset[str], reading: Reading = USUAL) -> None:
        self.path, self.suffixes, self.reading = path, suffixes, reading
        self.name = str(path)

    def listing(self) -> Listing:
        """In the order of the archive: a compressed stream cannot be read in any other."""
        found = Listing()
        lists: dict[str, bytes] = {}
        known = self.path.stat()
        for t, member in tar_members(self.path):
            name = _member(member.name)
            if member.isdir():
                continue
            if not member.isreg():
                found.set_aside(name, "a link or device inside the archive")
            elif member.issparse():
                found.set_aside(name, "a sparse file: pack it without --sparse")
            elif PurePosixPath(name).name in (LABELS, DATASET) and member.size < MOST_BYTES:
                lists[name] = read_content(t, member, MOST_BYTES)
                if PurePosixPath(name).name == DATASET:
                    found.ignore(name)
            elif _offer(found, name, member.size, self.suffixes):
                found.add(name, member.size)
        found.identity = f"{self.path.name} {known.st_size} {known.st_mtime_ns}"
        found.keep(_label_members(found, self.name, lists, self.suffixes, self.reading))
        return found

    def read(self, listing: Listing, wanted: Sequence[tuple[int, int]], most: int) -> Iterator[list[Bytes]]:
        """Contents, read here: one stream, one reader."""
        ranges = iter(wanted)
        first, last = next(ranges, (0, 0))
        if first == last:
            return
        batch: list[Bytes] = []
        position = 0
        for t, member in tar_members(self.path):
            if position == len(listing.names):
                return
            if not member.isreg() or member.issparse() or _member(member.name) != listing.names[position]:
                continue
            if position >= first:
                batch.append(Held(read_content(t, member, most)))
            position += 1
            if position == last:
                yield batch
                batch = []
                first, last = next(ranges, (0, 0))
                if first == last:
                    return
        raise ValueError(f"{self.path} changed while it was read")


def _label_members(
    found: Listing, name: str, lists: dict[str, bytes], suffixes: frozenset[str], reading: Reading
) -> np.ndarray:
    """Labels of an archive's members from the list that is named, labels.csv or dataset.json in it, or their folders.

    Returns the numbers of the members that are kept. Raises `ValueError` for a list that is none.
    """
    every = np.arange(len(found.names))
    path, column = named_list(reading.labels)
    if reading.labels != "none" and path is not None:
        label_by_list(found, path, column, suffixes, reading)
        return every
    upper = sorted(lists, key=lambda member: (member.count("/"), member))
    tables = [member for member in upper if PurePosixPath(member).name == LABELS]
    if reading.labels != "none" and tables:
        _label_by_table(found, tables[0], lists[tables[0]], column, suffixes, reading)
        return every
    if reading.labels not in ("", "none"):
        raise ValueError(
            f"--labels {reading.labels}: {name} holds no {LABELS}, and there is no such file; write --labels "
            "FILE#COLUMN, or --labels none"
        )
    for member in upper if not reading.labels else ():
        if PurePosixPath(member).name == DATASET:
            under = member.removesuffix(DATASET)
            if label_by_dataset(found, lists[member], member, under):
                return every
    return label_by_folder(found, name, reading)


def _label_by_table(
    found: Listing, table: str, data: bytes, column: str, suffixes: frozenset[str], reading: Reading
) -> None:
    """Names in labels.csv are those of members, or of members below the folder that it, or everything, lies in."""
    own = set(found.names)
    under = table.removesuffix(LABELS)
    tops = {name.partition("/")[0] for name in own}
    prefixes = ["", under, *(f"{top}/" for top in tops if len(tops) == 1)]

    def exists(cell: str) -> bool:
        return any(f"{prefix}{cell}" in own for prefix in prefixes)

    finder = Finder(exists, lambda: found.names)
    told = list_of(text_of(data, table, reading.encoding), table, column, suffixes, finder)
    found.notes += told.notes
    labels: dict[str, str] = {}
    for cell, label in told.rows:
        at = finder.find(cell)
        at = next((f"{prefix}{at}" for prefix in prefixes if f"{prefix}{at}" in own), "")
        labels[at] = label
    attach_labels(found, [labels.get(name, "") for name in found.names], table)
