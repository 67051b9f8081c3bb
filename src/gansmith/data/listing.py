"""What sample files a source holds, without opening them: a listing, and the folders it is made of."""

from __future__ import annotations

import hashlib
import io
import os
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from .plan import Quarantined

MOST_BYTES = 1 << 30
"""Bytes of the largest file that is read, or unpacked from an archive."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a source of files is read: which of them, and where their labels come from."""

    labels: str = ""
    """`none`, a column of the list of labels, or a list as FILE or FILE#COLUMN; empty takes what is there."""
    split: str = ""
    """Of folders that are splits the one that is read, or `all`; empty takes that for training."""
    follow_links: bool = False
    encoding: str = ""
    every: bool = False
    """No file is left out, as a stray or as one of another split: a service is asked for all of them."""


MOST_DEEP = 100
"""Folders within folders that are looked into."""
USUAL = Reading()
"""Training reads a source so where nothing else is asked for."""


def names_below(root: str | Path) -> Iterator[str]:
    """The files in a folder and in those inside it, as far down as folders are looked into, relative to it."""
    for here, folders, files in os.walk(root):
        under = os.path.relpath(here, root)
        if under.count(os.sep) >= MOST_DEEP:
            folders.clear()
        yield from (os.path.normpath(os.path.join(under, file)) for file in files)


class Names(Sequence[str]):
    """Strings end to end in one buffer: a million names take their bytes, not a million objects."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])

    def append(self, name: str) -> None:
        """Add one; names that are not text (undecodable bytes) survive."""
        self._bytes += os.fsencode(name)
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, i):  # type: ignore[no-untyped-def]
        return os.fsdecode(bytes(self._bytes[self._ends[i] : self._ends[i + 1]]))


def printable(name: str) -> str:
    """A file name that can be printed and saved: bytes that are not text become `\\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


@dataclass
class Listing:
    """The candidates of a source in order, and what was set aside without opening it."""

    names: Names = field(default_factory=Names)
    sizes: array = field(default_factory=lambda: array("Q"))
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    quarantined: list[Quarantined] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    identity: str = ""

    def add(self, name: str, size: int) -> None:
        """A file that may be a picture."""
        self.names.append(name)
        self.sizes.append(size)

    def set_aside(self, name: str, reason: str) -> None:
        """A file that is not even tried, and why."""
        self.quarantined.append(Quarantined(printable(name), reason))

    def ignore(self, name: str) -> None:
        """A file that is not a picture and does not claim to be one."""
        self.ignored.append(printable(name))

    def chunks(self, row_bytes: int) -> np.ndarray:
        """Boundaries of chunks of about 4 MiB of stored rows, 32 MiB of files, and at most 256 files."""
        bounds, stored, read = [0], 0, 0
        for i, size in enumerate(self.sizes):
            if i > bounds[-1] and (stored + row_bytes > 4 << 20 or read + size > 32 << 20 or i - bounds[-1] == 256):
                bounds.append(i)
                stored = read = 0
            stored += row_bytes
            read += size
        return np.array([*bounds, len(self.sizes)])

    def keep(self, kept: np.ndarray) -> None:
        """Only the files of these numbers, which ascend; labels go with them."""
        if len(kept) == len(self.names):
            return
        names, sizes = self.names, self.sizes
        self.names, self.sizes = Names(), array("Q")
        for i in kept.tolist():
            self.add(names[i], sizes[i])
        if self.labels is not None:
            self.labels = self.labels[kept]

    def reread(self, rule: str) -> None:
        """What is read of the same files is no longer what an earlier version read: packed stores of it are others."""
        self.identity = hashlib.sha256(f"{self.identity} {rule}".encode()).hexdigest()


class Files(ABC):
    """Where picture files lie. Final subclasses list them and read them."""

    name: str

    @abstractmethod
    def listing(self) -> Listing:
        """All files, in an order that does not depend on the machine. Raises `ValueError` if it cannot be read."""

    @abstractmethod
    def read(self, listing: Listing, wanted: Sequence[tuple[int, int]], most: int) -> Iterator[list[Bytes]]:
        """For each range of candidates, in ascending order, their files; at most `most` bytes of each are needed."""


class Bytes(ABC):
    """One file's content, to be read by whoever decodes it."""

    @abstractmethod
    def open(self) -> IO[bytes]:
        """The file, readable and seekable. Raises `OSError`."""


@dataclass(frozen=True, slots=True)
class OnDisk(Bytes):
    """A file that is opened where it lies."""

    path: str

    def open(self) -> IO[bytes]:
        """The file itself."""
        return open(self.path, "rb")


@dataclass(frozen=True, slots=True)
class Held(Bytes):
    """A file whose bytes are in memory."""

    data: bytes

    def open(self) -> IO[bytes]:
        """The bytes as a file."""
        return io.BytesIO(self.data)


def is_candidate(name: str, suffixes: frozenset[str]) -> bool:
    """By its name: files with such a suffix, and with none at all, which are judged by their content."""
    last = name.rpartition("/")[2]
    dot = last.rfind(".")
    return (dot < 0 or last[dot:].lower() in suffixes) and not last.startswith(".")


def refusal_of(name: str) -> str:
    """Why a member of this name is not touched; empty if it is fine."""
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        return "an absolute path"
    if ".." in name.split("/"):
        return "a path that leads out of the archive"
    return ""
