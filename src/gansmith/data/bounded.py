"""Reading that a hostile file cannot make endless: bounds are on what is read, never on what a header declares.

What is packed (zip, tar, gzip, npz) may unpack to `FREE` bytes, or to `EXPANSION` times the size it has packed, if that
is more. Honest data stay far below: pictures are hardly packed at all, text to a fifth, sparse tables to a fiftieth.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

EXPANSION = 100
"""How many times its packed size something may have unpacked."""
FREE = 64 << 20
"""Bytes that anything may unpack to, however small it is packed."""
MOST_FIELD = 16 << 20
"""Characters of the longest cell of a CSV."""
MOST_HEADER = 1 << 20
"""Bytes of the longest name or record of a tar."""
_BLOCK = 1 << 18
BROKEN = (
    *(zlib.error, lzma.LZMAError, EOFError, OSError, zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile),
    *(NotImplementedError, RuntimeError, OverflowError, UnicodeError),
)
"""What archives raise that are cut off, damaged, encrypted, packed in ways that are not known, or of absurd numbers."""

csv.field_size_limit(MOST_FIELD)  # 131,072 by default, which honest texts exceed


class TooLarge(ValueError):
    """Something unpacks to more than it may. The message says what, and what to do."""

    def __init__(self, what: str, most: int) -> None:
        super().__init__(
            f"{what} unpacks to more than {most / 1e6:,.0f} MB, over {EXPANSION} times its size: if that is what you "
            "expect, unpack it yourself and give what comes out"
        )


def most_unpacked(packed: int) -> int:
    """Bytes that something of this packed size may unpack to."""
    return max(FREE, EXPANSION * packed)


def check_regular(path: Path) -> None:
    """Raises `ValueError` for pipes, devices and sockets, which never end; what is not there is not looked at."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        what = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise ValueError(f"{path} is {what}; a file or a folder is needed: save what comes out of it to a file first")


def read_whole(file: IO[bytes] | gzip.GzipFile, what: str, most: int, block: int = _BLOCK) -> bytes:
    """The rest of a file. Raises `TooLarge` once more than `most` bytes have come."""
    found = bytearray()
    while part := file.read(block):
        found += part
        if len(found) > most:
            raise TooLarge(what, most)
    return bytes(found)


def read_file(path: Path) -> bytes:
    """A file's bytes, unpacked where it is gzip, by its content.

    Raises `ValueError` if it is no regular file, damaged, or unpacks to too much.
    """
    check_regular(path)
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            return file.read()
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                return read_whole(unpacked, str(path), most_unpacked(os.fstat(file.fileno()).st_size))
        except BROKEN as error:
            raise ValueError(f"{path} is a damaged gzip file: {error or 'it ends too early'}") from error


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int | None = None) -> bytes:
    """A member of a zip, of which no more is unpacked than it declares. Raises `ValueError` if that cannot be done.

    `most`: bytes it may have, by default those that `most_unpacked` allows.
    """
    most = most_unpacked(member.compress_size) if most is None else most
    what = f"{member.filename} in {archive.filename}"
    # zipfile bounds what deflate gives by what is asked for; of the others it unpacks all of the bytes that it reads.
    block = _BLOCK if member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) else 1 << 12
    try:
        with archive.open(member) as file:
            return read_whole(file, what, most, block)
    except BROKEN as error:
        raise ValueError(f"{what} cannot be unpacked: {error or 'it ends too early'}") from error


def check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raises `TooLarge` if the members of a zip together declare more than it may hold."""
    most = most_unpacked(path.stat().st_size)  # of the file: members may share their bytes
    if sum(member.file_size for member in members) > most:
        raise TooLarge(str(path), most)


def check_array(path: Path, member: str, size: int) -> None:
    """Raises `ValueError` if an array of so many bytes is not what a member of an .npz can hold."""
    with zipfile.ZipFile(path) as archive:
        packed = archive.getinfo(member)
    if size < 0:
        raise ValueError(f"{member} has a negative size")
    if size > most_unpacked(packed.compress_size):
        raise TooLarge(f"{member} in {path}", most_unpacked(packed.compress_size))


def check_table(path: Path) -> None:
    """Raises `ValueError` if a file of parquet is none, or holds more than its size allows. It needs pyarrow.

    Texts are looked at as dictionaries, as they are packed: a file may hold one long text, and say it is in every row.
    """
    import pyarrow
    import pyarrow.parquet

    most = most_unpacked(path.stat().st_size)
    try:
        with pyarrow.parquet.ParquetFile(path) as plain:
            known, schema = plain.metadata, plain.schema
            columns = [schema.column(i) for i in range(len(schema))]
            texts = [c.path for c in columns if c.physical_type == "BYTE_ARRAY"]
            size = known.num_rows * sum(max(c.length or 0, 8) for c in columns)
            packed = sum(known.row_group(i).total_byte_size for i in range(known.num_row_groups))
        if max(size, packed) > most:
            raise TooLarge(str(path), most)
        with pyarrow.parquet.ParquetFile(path, read_dictionary=texts) as file:
            for i in range(known.num_row_groups if texts else 0):
                for column in file.read_row_group(i, columns=texts).columns:
                    for chunk in column.chunks:
                        if pyarrow.types.is_dictionary(chunk.type):
                            lengths = np.array([len(text) for text in chunk.dictionary.to_pylist()] or [0])
                            size += int(lengths[chunk.indices.drop_null().to_numpy()].sum())
                if size > most:
                    raise TooLarge(str(path), most)
    except TooLarge:
        raise
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise ValueError(f"{path} cannot be read as parquet: {error}") from error


def rows_of(text: str, name: str, delimiter: str = ",") -> Iterator[list[str]]:
    """The rows of a CSV's text. Raises `ValueError` where it is none, such as a quote that is never closed."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        yield from reader
    except csv.Error as error:
        what = f"a cell has more than {MOST_FIELD:,} characters" if "field larger" in str(error) else str(error)
        raise ValueError(f"{name}, line {reader.line_num}: {what}: is a quote not closed?") from None


class Forward(io.RawIOBase):
    """A stream read from front to end for tarfile: of a bounded length, and no piece of it larger than a header."""

    def __init__(self, file: Any, what: str, most: int) -> None:
        self._file, self._what, self._most = file, what, most
        self._at, self._last, self._back = 0, b"", False

    def tell(self) -> int:
        """How many bytes have been read."""
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes. Raises `tarfile.ReadError` for over `MOST_HEADER` at once, `TooLarge` beyond the bound."""
        if not 0 <= size <= MOST_HEADER:
            raise tarfile.ReadError(f"a name or record of {size:,} bytes")
        found = b""
        if self._back and size:
            found, self._back = self._last, False
        while len(found) < size and (part := self._file.read(size - len(found))):
            found += part
        self._at += len(found)
        self._last = found[-1:] or self._last
        if self._at > self._most:
            raise TooLarge(self._what, self._most)
        return found

    def seek(self, place: int, whence: int = 0, /) -> int:
        """On, or one byte back, as tarfile does to see that a member is whole."""
        assert whence == 0
        if place == self._at - 1 and not self._back:
            self._at, self._back = place, True
        while self._at < place and self.read(min(place - self._at, _BLOCK)):
            pass
        if self._at != place:
            raise tarfile.ReadError("unexpected end of data")
        return self._at

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """On alone."""
        return True


def tar_members(path: Path) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The members of a tar, packed or not, in their order, each with the archive to `read_content` it from.

    Raises `ValueError` if it cannot be read to its end.
    """
    opened = None
    try:
        with open(path, "rb") as raw:
            start = raw.read(6)
            raw.seek(0)
            file: Any = raw
            if start.startswith(b"\x1f\x8b"):
                file = gzip.GzipFile(fileobj=raw)
            elif start.startswith(b"BZh"):
                file = bz2.BZ2File(raw)
            elif start == b"\xfd7zXZ\x00":
                file = lzma.LZMAFile(raw)  # noqa: SIM115
            size = os.fstat(raw.fileno()).st_size
            forward = Forward(file, str(path), size if file is raw else most_unpacked(size))
            with tarfile.TarFile(fileobj=forward, mode="r", errorlevel=0) as opened:
                for member in opened:
                    if member.size < 0:
                        raise tarfile.ReadError(f"{member.name!r} has {member.size} bytes")
                    yield opened, member
                    # tarfile remembers every member; a million would fill memory
                    opened.members = []  # ty: ignore[missing-attribute]
    except TooLarge:
        raise
    except (*BROKEN, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a tar: {error or 'it ends too early'}") from error


def read_content(archive: tarfile.TarFile, member: tarfile.TarInfo, most: int) -> bytes:
    """The first `most` bytes of a regular member of a tar that is read from front to end."""
    found = bytearray()
    content = archive.extractfile(member)
    assert content is not None
    while len(found) < min(most, member.size) and (part := content.read(min(_BLOCK, most - len(found)))):
        found += part
    return bytes(found)


def is_tar(path: Path) -> bool:
    """Whether a file is a tar, packed or not, by its first member."""
    try:
        return next(tar_members(path), None) is not None
    except ValueError:
        return False
