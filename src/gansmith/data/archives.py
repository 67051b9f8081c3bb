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

from .bounded import BROKEN, check_members, read_content, read_member, tar_members
from .listing import (
    LABELS,
    MOST_BYTES,
    Bytes,
    Files,
    Held,
    Listing,
    attach_labels,
    is_candidate,
    read_labels,
    refusal_of,
)


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

    def __init__(self, path: Path, suffixes: frozenset[str]) -> None:
        self.path, self.suffixes = path, suffixes
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
        self._members = []
        table: str | None = None
        try:
            for member in sorted(self._archive.infolist(), key=lambda m: m.filename):
                if member.is_dir():
                    continue
                name = member.filename
                seen.update(f"{name}\0{member.file_size}\0{member.CRC}\n".encode("utf-8", "surrogatepass"))
                if PurePosixPath(name).name == LABELS and member.file_size < MOST_BYTES:
                    table = read_member(self._archive, member).decode("utf-8-sig")
                elif stat.S_ISLNK(member.external_attr >> 16):
                    found.set_aside(name, "a link inside the archive")
                elif member.flag_bits & 1:
                    found.set_aside(name, "encrypted")
                elif _offer(found, name, member.file_size, self.suffixes):
                    found.add(name, member.file_size)
                    self._members.append(member)
        except BROKEN as error:
            raise ValueError(f"{self.path} cannot be read as a zip: {error}") from error
        check_members(self.path, self._members)
        found.identity = seen.hexdigest()
        _label_members(found, table, self.suffixes)
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

    def __init__(self, path: Path, suffixes: frozenset[str]) -> None:
        self.path, self.suffixes = path, suffixes
        self.name = str(path)

    def listing(self) -> Listing:
        """In the order of the archive: a compressed stream cannot be read in any other."""
        found = Listing()
        table: str | None = None
        known = self.path.stat()
        for t, member in tar_members(self.path):
            name = member.name.removeprefix("./")
            if member.isdir():
                continue
            if not member.isreg():
                found.set_aside(name, "a link or device inside the archive")
            elif member.issparse():
                found.set_aside(name, "a sparse file: pack it without --sparse")
            elif PurePosixPath(name).name == LABELS and member.size < MOST_BYTES:
                try:
                    table = read_content(t, member, MOST_BYTES).decode("utf-8-sig")
                except UnicodeDecodeError as error:
                    raise ValueError(f"{self.path} cannot be read as a tar: {name}: {error}") from error
            elif _offer(found, name, member.size, self.suffixes):
                found.add(name, member.size)
        found.identity = f"{self.path.name} {known.st_size} {known.st_mtime_ns}"
        _label_members(found, table, self.suffixes)
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
            if not member.isreg() or member.issparse() or member.name.removeprefix("./") != listing.names[position]:
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


def _label_members(found: Listing, table: str | None, suffixes: frozenset[str]) -> None:
    """Labels of an archive's members: from its labels.csv if it has one, else from their folders."""
    if table is None:
        found.label_by_folder()
        return
    rows = dict(read_labels(table, LABELS, suffixes))
    missing = [name for name in found.names if name not in rows and name.partition("/")[2] not in rows]
    if missing:
        raise ValueError(f"{LABELS} in the archive names no label for {len(missing)} pictures, such as {missing[0]}")
    attach_labels(found, [rows[name] if name in rows else rows[name.partition("/")[2]] for name in found.names])
