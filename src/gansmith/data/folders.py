"""Files in folders, with everything below them, and files that a list names."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .bounded import read_file
from .encoding import text_of
from .labels import are_shards, attach_labels, label_by_folder
from .listing import (
    MOST_BYTES,
    MOST_DEEP,
    USUAL,
    Bytes,
    Files,
    Listing,
    OnDisk,
    Reading,
    is_candidate,
    names_below,
    printable,
    refusal_of,
)
from .lists import DATASET, LABELS, Finder, beside, cells_of, is_list, list_of, named_list, stylegan_labels

_MOST_LIST = 64 << 20
"""Bytes of the largest file that is looked at to see whether it lists pictures."""
_OUTSIDE = "a link that leads out of the folder (--follow-links follows it)"
_INSIDE = "a link to a folder, which is not followed (--follow-links follows it)"


class Folder(Files):
    """A folder of files, with everything below it; `suffixes`: those that samples may have, in lower case."""

    def __init__(self, root: Path, suffixes: frozenset[str], reading: Reading = USUAL) -> None:
        self.root, self.suffixes, self.reading = root, suffixes, reading
        self.name = str(root)

    def listing(self) -> Listing:
        """Depth first, each folder in the order of names; with a list of labels in it, in the order of that."""
        path, column = named_list(self.reading.labels, self.root)
        own = self.root / LABELS
        if self.reading.labels != "none" and own.is_file() and path in (None, own):
            return list_table(own, self.root, self.suffixes, self.reading, column, folder=True)
        found = Listing()
        seen = hashlib.sha256()
        real = os.path.realpath(self.root)
        self._walk("", real, found, seen, frozenset((real,)))
        found.identity = seen.hexdigest()
        if self.reading.labels in ("", "none"):
            found.keep(self._labelled(found))
        elif path is not None:
            label_by_list(found, path, column, self.suffixes, self.reading)
        else:
            raise ValueError(
                f"--labels {self.reading.labels}: {self.name} holds no list of labels ({LABELS}) with a column of that "
                f"name, and there is no such file; write --labels FILE#COLUMN, or --labels none"
            )
        return found

    def _labelled(self, found: Listing) -> np.ndarray:
        """Labels from StyleGAN's dataset.json or from folders; the numbers of the files that are kept."""
        lower = sorted((n for n in found.ignored if n.endswith(f"/{DATASET}")), key=lambda name: name.count("/"))
        for name in [DATASET, *lower] if self.reading.labels != "none" else ():
            path = self.root / name
            under = name.removesuffix(DATASET)
            if path.is_file() and label_by_dataset(found, read_file(path), name, under):
                return np.arange(len(found.names))
        kept = label_by_folder(found, self.name, self.reading)
        if found.labels is None and not self.reading.labels and not self.reading.every:
            found.notes += self._lists(found)
        return kept

    def _lists(self, found: Listing) -> Iterator[str]:
        """Lists of labels that lie in the folder and are not read: they have another name."""
        texts = [name for name in found.ignored if name.lower().endswith((".csv", ".tsv", ".txt"))]
        for name in texts[:20] if len(found.names) else ():
            path = self.root / name
            if not path.is_file() or not is_file_list(path, self.suffixes):
                continue
            yield f"{name} lists these files, and is not read: --labels {path} takes labels from it"

    def _walk(self, under: str, real: str, found: Listing, seen: hashlib._Hash, above: frozenset[str]) -> None:
        """`above`: the folders on the way here, which a link must not lead back into."""
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
                    if not self.reading.follow_links:
                        if os.path.commonpath([target, real]) != real:
                            found.set_aside(name, _OUTSIDE)
                            continue
                        if os.path.isdir(full):
                            found.set_aside(name, _INSIDE)
                            continue
                    elif target in above:
                        found.set_aside(name, "a link to a folder that it lies in")
                        continue
                    known = os.stat(full)
                if stat.S_ISDIR(known.st_mode):
                    if not entry.startswith(".") and entry != "__MACOSX":
                        if name.count("/") < MOST_DEEP:
                            self._walk(name, real, found, seen, above | {os.path.realpath(full)})
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
            yield [OnDisk(os.path.join(self.root, listing.names[i])) for i in range(first, last)]


class Table(Files):
    """A list that names files, relative to itself, and their labels."""

    def __init__(self, path: Path, suffixes: frozenset[str], reading: Reading = USUAL) -> None:
        self.path, self.suffixes, self.reading = path, suffixes, reading
        self.name = str(path)

    def listing(self) -> Listing:
        """In the order of the list."""
        column = "" if self.reading.labels == "none" else self.reading.labels
        return list_table(self.path, self.path.parent, self.suffixes, self.reading, column, folder=False)

    def read(self, listing: Listing, wanted: Sequence[tuple[int, int]], most: int) -> Iterator[list[Bytes]]:
        """Paths: the threads that decode also read."""
        return Folder(self.path.parent, self.suffixes).read(listing, wanted, most)


def is_file_list(path: Path, suffixes: frozenset[str]) -> bool:
    """Whether a text file is a list of files rather than a table of values or a text, by its first rows.

    A .txt must name them in full: single words may be the names of files by chance.
    """
    if path.stat().st_size > _MOST_LIST:
        return False
    with path.open("rb") as f:
        start = f.read(1 << 16)
    try:
        text = text_of(start, "")
    except ValueError:
        text = start.decode("latin-1")
    finder = beside(path.parent, frozenset() if path.suffix.lower() == ".txt" else suffixes)
    return is_list(cells_of("\n".join(text.split("\n")[:40])), suffixes, finder)


def list_table(
    path: Path, root: Path, suffixes: frozenset[str], reading: Reading, column: str, *, folder: bool
) -> Listing:
    """The files that a list names, in its order; `folder`: it lies among them, and the others are ignored."""
    finder = beside(root, suffixes)
    told = list_of(text_of(read_file(path), str(path), reading.encoding), str(path), column, suffixes, finder)
    found = Listing(notes=list(told.notes))
    for name, reason in told.short:
        found.set_aside(name, reason)
    seen = hashlib.sha256()
    labels: list[str] = []
    named: set[str] = set()
    real = os.path.realpath(root)
    moved: dict[str, str] = {}
    for cell, label in told.rows:
        name = finder.find(cell) or cell if not refusal_of(cell) else cell
        if os.path.dirname(name) != os.path.dirname(cell):
            moved[cell] = name
        named.add(os.path.normpath(name))
        full = os.path.join(root, name)
        if reason := refusal_of(name):
            found.set_aside(name, reason)
            continue
        if os.path.commonpath([os.path.realpath(full), real]) != real and not reading.follow_links:
            found.set_aside(name, _OUTSIDE)
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
        labels.append(label if reading.labels != "none" else "")
        seen.update(os.fsencode(f"{name}\0{known.st_size}\0{known.st_mtime_ns}\0{label}\n"))
    found.identity = seen.hexdigest()
    if moved:
        cell, name = next(iter(moved.items()))
        found.notes.append(f"{len(moved):,} files lie in another folder than {path} says, such as {cell} in {name}")
    attach_labels(found, labels, str(path) if not folder else LABELS)
    if folder:
        _ignore_unnamed(found, root, named, suffixes)
    return found


def _ignore_unnamed(found: Listing, root: Path, named: set[str], suffixes: frozenset[str]) -> None:
    for name in names_below(root):
        if name not in named and name != LABELS:
            found.ignore(name)
    found.ignored.sort()
    if extra := sum(is_candidate(name, suffixes) for name in found.ignored):
        found.notes.append(f"{extra} pictures that {LABELS} does not name are not used")


def label_by_list(found: Listing, path: Path, column: str, suffixes: frozenset[str], reading: Reading) -> None:
    """Labels of these files from a list elsewhere.

    Raises `ValueError` if it names none of them.
    """
    whole = set(found.names)
    finder = Finder(whole.__contains__, lambda: found.names)
    text = text_of(read_file(path), str(path), reading.encoding)
    told = list_of(text, str(path), column, suffixes, finder)
    labels = {finder.find(cell): label for cell, label in told.rows}
    unknown = [cell for cell, _ in told.rows if not finder.find(cell)]
    if len(unknown) == len(told.rows):
        raise ValueError(
            f"--labels {path}: none of its {len(told.rows):,} rows names a file of this source; its first is "
            f"{unknown[0] if unknown else 'missing'}, the source's {printable(found.names[0]) if whole else 'missing'}"
        )
    found.notes += [*told.notes, *(f"{name} is left out: {reason}" for name, reason in told.short[:3])]
    if unknown:
        found.notes.append(f"{len(unknown):,} rows of {path} name no file here, such as {unknown[0]}")
    attach_labels(found, [labels.get(name, "") for name in found.names], str(path))
    seen = hashlib.sha256(repr(sorted(labels.items())).encode("utf-8", "surrogateescape"))
    found.reread(f"labels {seen.hexdigest()}")


def label_by_dataset(found: Listing, data: bytes, name: str, under: str) -> bool:
    """Labels of StyleGAN's dataset.json; whether it decides, or folders may be classes.

    `under`: the folder that it lies in, with a slash at its end, or nothing.
    """
    told = stylegan_labels(data, name)
    shards = are_shards(found)
    if told is None:
        told = {}, f"no labels: {name} is not as StyleGAN writes it, and folders such as 00000 beside it are no classes"
    labels, note = told
    if not labels:
        if shards:
            found.notes.append(note)
            found.reread("shards")
        return shards
    found.reread("dataset.json")
    given = [labels.get(file.removeprefix(under), "") for file in found.names]
    if any(given):
        found.notes.append(f"labels are those of {name}")
        attach_labels(found, given, name)
    else:
        found.notes.append(f"no labels: {name} names none of the files that are here")
    return True
