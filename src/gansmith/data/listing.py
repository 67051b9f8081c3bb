"""What picture files a source holds, without opening them: folders, tables of labels, zip and tar archives."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from .bounded import read_file, rows_of
from .plan import Quarantined

MOST_BYTES = 1 << 30
"""Bytes of the largest file that is read, or unpacked from an archive."""
MOST_DEEP = 100
"""Folders within folders that are looked into."""
LABELS = "labels.csv"
_SPLITS = frozenset(("train", "training", "val", "valid", "validation", "dev", "test", "testing", "holdout"))
_FILE_COLUMNS = ("file", "filename", "file_name", "path", "image", "name", "id")
_LABEL_COLUMNS = ("label", "class", "category", "target", "y")


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

    def label_by_folder(self) -> None:
        """If every file lies in a sub-folder, these are the classes (after folders that hold everything)."""
        if not len(self.names):
            return
        first = PurePosixPath(self.names[0]).parts[:-1]
        depth = len(first)
        for name in self.names:
            parts = name.split("/")[:-1]
            same = 0
            while same < min(depth, len(parts)) and parts[same] == first[same]:
                same += 1
            depth = min(depth, same)
        codes: dict[str, int] = {}
        found = np.empty(len(self.names), np.int64)
        for i, name in enumerate(self.names):
            parts = name.split("/")
            if len(parts) < depth + 2:
                return
            found[i] = codes.setdefault(parts[depth], len(codes))
        order = sorted(codes)
        if {c.lower() for c in order} <= _SPLITS:
            self.notes.append(
                f"sub-folders {', '.join(order)} look like splits, not classes: no labels, all files used"
            )
            return
        self.classes = tuple(order)
        self.labels = np.array([order.index(c) for c in codes], np.int64)[found]


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
class _OnDisk(Bytes):
    path: str

    def open(self) -> IO[bytes]:
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


class Folder(Files):
    """A folder of files, with everything below it; `suffixes`: those that samples may have, in lower case."""

    def __init__(self, root: Path, suffixes: frozenset[str]) -> None:
        self.root, self.suffixes = root, suffixes
        self.name = str(root)

    def listing(self) -> Listing:
        """Depth first, each folder in the order of names."""
        found = Listing()
        seen = hashlib.sha256()
        if (self.root / LABELS).is_file():
            return _list_table(self.root / LABELS, self.root, self.suffixes, folder=True)
        real = os.path.realpath(self.root)
        self._walk("", real, found, seen)
        found.identity = seen.hexdigest()
        found.label_by_folder()
        return found

    def _walk(self, under: str, real: str, found: Listing, seen: hashlib._Hash) -> None:
        before = len(found.names)
        path = os.path.join(self.root, under) if under else str(self.root)
        try:
            listed = sorted(os.listdir(path))
        except OSError as error:
            if not under:
                raise
            found.set_aside(under, error.strerror or str(error))
            return
        for entry in listed:
            name, full = f"{under}/{entry}" if under else entry, os.path.join(path, entry)
            try:
                known = os.lstat(full)
                if stat.S_ISLNK(known.st_mode):
                    target = os.path.realpath(full)
                    if os.path.commonpath([target, real]) != real:
                        found.set_aside(name, "a link that leads out of the folder")
                        continue
                    if os.path.isdir(full):
                        found.set_aside(name, "a link to a folder; links to folders are not followed")
                        continue
                    known = os.stat(full)
                elif stat.S_ISDIR(known.st_mode):
                    if not entry.startswith(".") and entry != "__MACOSX":
                        if name.count("/") < MOST_DEEP:
                            self._walk(name, real, found, seen)
                        else:
                            found.set_aside(name, f"a folder more than {MOST_DEEP} deep")
                    continue
            except (OSError, ValueError) as error:  # ValueError: paths on different drives
                found.set_aside(name, getattr(error, "strerror", None) or str(error))
                continue
            if not is_candidate(name, self.suffixes):
                found.ignore(name)
            elif not stat.S_ISREG(known.st_mode):
                found.set_aside(name, "not a regular file")
            elif known.st_size > MOST_BYTES:
                found.set_aside(name, f"{known.st_size} bytes: more than a picture has")
            else:
                found.add(name, known.st_size)
                seen.update(os.fsencode(f"{name}\0{known.st_size}\0{known.st_mtime_ns}\n"))
        if len(found.names) == before and os.path.splitext(under)[1].lower() in self.suffixes:
            found.set_aside(under, "a folder, not a picture")

    def read(self, listing: Listing, wanted: Sequence[tuple[int, int]], most: int) -> Iterator[list[Bytes]]:
        """Paths: the threads that decode also read."""
        del most
        for first, last in wanted:
            yield [_OnDisk(os.path.join(self.root, listing.names[i])) for i in range(first, last)]


class Table(Files):
    """A CSV that names files, relative to itself, and their labels."""

    def __init__(self, path: Path, suffixes: frozenset[str]) -> None:
        self.path, self.suffixes = path, suffixes
        self.name = str(path)

    def listing(self) -> Listing:
        """In the order of the table."""
        return _list_table(self.path, self.path.parent, self.suffixes, folder=False)

    def read(self, listing: Listing, wanted: Sequence[tuple[int, int]], most: int) -> Iterator[list[Bytes]]:
        """Paths: the threads that decode also read."""
        return Folder(self.path.parent, self.suffixes).read(listing, wanted, most)


def _list_table(path: Path, root: Path, suffixes: frozenset[str], *, folder: bool) -> Listing:
    try:
        rows = read_labels(read_file(path).decode("utf-8-sig"), str(path), suffixes)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}; save it as UTF-8") from None
    found = Listing()
    seen = hashlib.sha256()
    labels: list[str] = []
    real = os.path.realpath(root)
    for name, label in rows:
        full = os.path.join(root, name)
        if reason := refusal_of(name):
            found.set_aside(name, reason)
            continue
        if os.path.commonpath([os.path.realpath(full), real]) != real:
            found.set_aside(name, "a link that leads out of the folder")
            continue
        try:
            known = os.stat(full)
        except OSError as error:
            found.set_aside(name, error.strerror or str(error))
            continue
        if not stat.S_ISREG(known.st_mode) or known.st_size > MOST_BYTES:
            what = f"{known.st_size} bytes: more than a picture has" if stat.S_ISREG(known.st_mode) else "not a file"
            found.set_aside(name, what)
            continue
        found.add(name, known.st_size)
        labels.append(label)
        seen.update(os.fsencode(f"{name}\0{known.st_size}\0{known.st_mtime_ns}\0{label}\n"))
    attach_labels(found, labels)
    found.identity = seen.hexdigest()
    if folder:
        named = {os.path.normpath(name) for name, _ in rows}
        for name in names_below(root):
            if name not in named and name != LABELS:
                found.ignore(name)
        found.ignored.sort()
        if extra := sum(is_candidate(name, suffixes) for name in found.ignored):
            found.notes.append(f"{extra} pictures that {LABELS} does not name are not used")
    return found


def names_below(root: str | Path) -> Iterator[str]:
    """The files in a folder and in those inside it, as far down as folders are looked into, relative to it."""
    for here, folders, files in os.walk(root):
        under = os.path.relpath(here, root)
        if under.count(os.sep) >= MOST_DEEP:
            folders.clear()
        yield from (os.path.normpath(os.path.join(under, file)) for file in files)


def attach_labels(found: Listing, labels: list[str]) -> None:
    """Give a listing the labels of its files, in their order; none, where all are empty."""
    names = sorted(set(labels))
    if not any(names):
        return
    with contextlib.suppress(ValueError):
        names.sort(key=int)
    found.classes = tuple(names)
    codes = {name: i for i, name in enumerate(names)}
    found.labels = np.array([codes[label] for label in labels], np.int64)


def read_labels(text: str, name: str, suffixes: frozenset[str]) -> list[tuple[str, str]]:
    """The files and labels a CSV names. Raises `ValueError` if it is not such a table."""
    rows = [[cell.strip() for cell in row] for row in rows_of(text, name) if any(c.strip() for c in row)]
    if not rows:
        raise ValueError(f"{name} is empty: rows of file,label are needed")
    head = [cell.lower() for cell in rows[0]]
    file = next((head.index(c) for c in _FILE_COLUMNS if c in head), None)
    if file is not None:
        label = next((head.index(c) for c in _LABEL_COLUMNS if c in head), None)
        if label is None and len(head) == 2:
            label = 1 - file
        rows = rows[1:]
    elif len(head) <= 2 and is_candidate(rows[0][0], suffixes):
        file, label = 0, 1 if len(head) == 2 else None
    else:
        raise ValueError(f"{name} has columns {', '.join(rows[0])[:200]}: columns file and label are needed")
    width = max(file, label if label is not None else 0) + 1
    for number, row in enumerate(rows):
        if len(row) < width:
            raise ValueError(f"{name}: row {number + 1} has {len(row)} columns, not {width}: {','.join(row)[:100]}")
    return [(row[file].replace("\\", "/"), "" if label is None else row[label]) for row in rows]


def refusal_of(name: str) -> str:
    """Why a member of this name is not touched; empty if it is fine."""
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        return "an absolute path"
    if ".." in name.split("/"):
        return "a path that leads out of the archive"
    return ""
