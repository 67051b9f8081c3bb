"""Two sets of samples found in folders, archives and arrays."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from ....options import DataOptions
from ...archives import Tar, Zip
from ...folders import Folder
from ...halves import HALVES
from ...kind import Given, Kind, Source, all_kinds, kind_of
from ...listing import Bytes, Files, Listing, Reading, printable
from ...plan import Quarantined
from ...source import recognise
from ..image.decode import SUFFIXES
from ..image.find import no_pictures
from ..image.source import PictureSource
from .sets import DomainSource
from .source import JoinedSource, PairSource

Paired = PairSource | JoinedSource | DomainSource

NAMES = (("a", "b"), ("A", "B"), ("trainA", "trainB"))
"""How the two folders may be called; the last is how the CycleGAN data sets do."""


class _Part(Files):
    """Some of the files of a folder or zip, in an order of their own."""

    def __init__(
        self, name: str, files: Files, whole: Listing, picked: Sequence[int], set_aside: Sequence[Quarantined]
    ):
        self.name, self._files, self._whole, self._picked, self._aside = name, files, whole, picked, set_aside

    def listing(self) -> Listing:
        """The picked ones alone."""
        found = Listing(quarantined=list(self._aside))
        seen = hashlib.sha256(self._whole.identity.encode())
        for i in self._picked:
            found.add(self._whole.names[i], self._whole.sizes[i])
            seen.update(os.fsencode(f"{self._whole.names[i]}\n"))
        found.identity = seen.hexdigest()
        return found

    def read(self, listing: Listing, wanted: Sequence[tuple[int, int]], most: int) -> Iterator[list[Bytes]]:
        """From the whole, one by one: their places there are not neighbours."""
        del listing
        for first, last in wanted:
            ones = [(i, i + 1) for i in self._picked[first:last]]
            yield [file for batch in self._files.read(self._whole, ones, most) for file in batch]


def from_arrays(given: Given) -> Paired:
    """{"a": array, "b": array}: pairs if there are as many of both, else two domains."""
    if set(given.value) != set(HALVES):
        raise ValueError(
            f"fields {sorted(given.value)}: give {{'a': array, 'b': array}} for pairs or domains, and no more"
        )
    arrays = [np.asarray(given.value[k]) for k in HALVES]
    a, b = (_half(array, given) for array in arrays)
    return PairSource("arrays", a, b) if len(arrays[0]) == len(arrays[1]) else DomainSource("arrays", a, b)


def _half(value: Any, given: Given) -> Source:
    """One of two sets that is a source of its own, of any kind. Raises `ValueError` if it is two sets itself."""
    found = recognise(value, given.options, given.cache, given.progress)
    if kind_of(found.kind).composite:
        raise ValueError(f"{value} holds two sets itself: name one of them")
    return found


def found_in(path: Path, given: Given) -> Paired | None:
    """What a folder with trainA and trainB in it holds; None for others: folders a and b may well be classes."""
    if not ((path / "trainA").is_dir() and (path / "trainB").is_dir()):
        return None
    return _two_folders(given.spelt, path, "", None, given.options)


def from_text(kind: Literal["pairs", "domains"], given: Given) -> Paired:
    """What `pairs:...` or `domains:...` names; see `open_store`.

    Raises `FileNotFoundError` if it is not there, `ValueError` if it does not hold two sets of samples.
    """
    path, words = given.rest, []
    while path and not Path(path).exists() and ":" in path:
        path, _, word = path.rpartition(":")
        words.insert(0, word)
    if not path or not Path(path).exists():
        raise FileNotFoundError(f"{given.spelt}: there is no {given.rest.split(':')[0]!r}; {_HOW[kind]}")
    if words in (["left"], ["right"]) and kind == "pairs":
        return JoinedSource(given.spelt, PictureSource(_files(Path(path), SUFFIXES, given.options)), words == ["left"])
    if len(words) not in (0, 2):
        raise ValueError(f"{given.spelt}: {':'.join(words)!r} is not understood; {_HOW[kind]}")
    named = (words[0], words[1]) if words else None
    if two := _two_files(Path(path), named):
        a, b = (_half(str(file), given) for file in two)
        return PairSource(given.spelt, a, b) if kind == "pairs" else DomainSource(given.spelt, a, b)
    return _two_folders(given.spelt, Path(path), kind, named, given.options)


def _two_files(folder: Path, named: tuple[str, str] | None) -> tuple[Path, Path] | None:
    """Two files of a folder that are a set each: those named, or those called as the two folders may be."""
    if not folder.is_dir():
        return None
    if named is not None:
        a, b = (folder / name for name in named)
        return (a, b) if a.is_file() and b.is_file() else None
    files = sorted(file for file in folder.iterdir() if file.is_file())
    for names in NAMES:
        a, b = ([file for file in files if file.name.partition(".")[0] == name] for name in names)
        if len(a) == len(b) == 1:
            return a[0], b[0]
    return None


_HOW = {
    "pairs": "write pairs:SRC for a folder or zip that holds folders or files a and b (A and B, trainA and trainB), "
    "pairs:SRC:A:B for other names, or pairs:SRC:left for pictures that hold both halves side by side, "
    "a on the left (pairs:SRC:right: a on the right)",
    "domains": "write domains:SRC for a folder or zip that holds folders or files a and b (A and B, trainA and "
    "trainB), or domains:SRC:A:B for other names",
}


def _files(path: Path, suffixes: frozenset[str], options: DataOptions) -> Files:
    reading = Reading(labels="none", follow_links=options.follow_links, every=True)  # the two folders are no classes
    if path.is_dir():
        return Folder(path, suffixes, reading)
    if path.suffix.lower() == ".zip":
        return Zip(path, suffixes, reading)
    if path.suffix.lower() in (".tar", ".tgz", ".gz", ".bz2", ".xz"):
        return Tar(path, suffixes, reading)
    raise ValueError(f"{path} is neither a folder nor a zip of samples")


def _listed(path: Path, options: DataOptions) -> tuple[Kind, Files, Listing]:
    """The files of the kind that has most of them, of all kinds whose samples are a file each."""
    best: tuple[int, Kind, Files, Listing] | None = None
    for kind in all_kinds():
        if not kind.suffixes:
            continue
        files = _files(path, kind.suffixes, options)
        listing = files.listing()
        count = sum(PurePosixPath(name).suffix.lower() in kind.suffixes for name in listing.names)
        if best is None or count > best[0]:
            best = count, kind, files, listing
    assert best is not None
    return best[1:]


def _two_folders(name: str, path: Path, kind: str, folders: tuple[str, str] | None, options: DataOptions) -> Paired:
    if isinstance(_files(path, frozenset(), options), Tar):
        raise ValueError(f"{name}: a tar is read from front to end, and two folders of it cannot: unpack it, or zip it")
    of, files, whole = _listed(path, options)
    if not len(whole.names):
        raise ValueError(f"{name}: {no_pictures(str(path), whole)}")
    notes: list[str] = []
    if folders is None:
        folders = _find(name, of.samples, whole, notes)
    members: dict[str, dict[str, int]] = {}
    for half, folder in zip(HALVES, folders, strict=True):
        prefix = PurePosixPath(folder.strip("/")).as_posix() + "/"
        inside = {n[len(prefix) :]: i for i, n in enumerate(whole.names) if n.startswith(prefix)}
        if not inside:
            there = sorted({PurePosixPath(n).parent.as_posix() for n in whole.names})
            raise ValueError(
                f"{name}: there are no {of.samples} in {folder!r} of {path}; folders with {of.samples}: "
                f"{', '.join(map(printable, there[:8])) or 'none'}"
            )
        members[half] = inside
    keyed = {half: {_stem(n): i for n, i in inside.items()} for half, inside in members.items()}
    unique = all(len(keyed[half]) == len(members[half]) for half in HALVES)
    matched = [stem for stem in sorted(keyed["a"]) if stem in keyed["b"]]
    every = unique and len(matched) == len(keyed["a"]) == len(keyed["b"])
    aside = [q for q in whole.quarantined if q.name.startswith(tuple(f"{f.strip('/')}/" for f in folders))]
    if kind == "domains" or (not kind and not every):
        if not kind:
            notes.append(
                f"{folders[0]} and {folders[1]} hold two domains: {len(matched)} names of {len(keyed['a'])} and "
                f"{len(keyed['b'])} match (say pairs:{path} for those alone)"
            )
        a, b = (
            _part(of, f"{path}/{f}", files, whole, sorted(members[h].values()), aside, f)
            for h, f in zip(HALVES, folders, strict=True)
        )
        return DomainSource(name, a, b, tuple(notes))
    if not unique:
        twice = next(n for half in HALVES for n, i in members[half].items() if keyed[half][_stem(n)] != i)
        raise ValueError(f"{name}: two files are called {printable(_stem(twice))} but for their suffix: rename one")
    if not matched:
        one, other = (next(iter(keyed[half])) for half in HALVES)
        raise ValueError(
            f"{name}: no file of {folders[0]} has a partner of its name in {folders[1]} ({printable(one)} ... and "
            f"{printable(other)} ...): rename them, or write domains:{path} if they are not pairs"
        )
    for half, other in (HALVES, HALVES[::-1]):
        aside += [
            Quarantined(printable(whole.names[i]), f"has no partner in {folders[HALVES.index(other)]}")
            for stem, i in sorted(keyed[half].items())
            if stem not in keyed[other]
        ]
    if not kind:
        notes.append(f"{folders[0]} and {folders[1]} hold pairs: the {len(matched)} file names match one to one")
    a, b = (
        _part(of, f"{path}/{f}", files, whole, [keyed[h][stem] for stem in matched], (), "")
        for h, f in zip(HALVES, folders, strict=True)
    )
    return PairSource(name, a, b, tuple(aside), tuple(notes))


def _part(
    kind: Kind, name: str, files: Files, whole: Listing, picked: list[int], aside: Sequence[Quarantined], folder: str
) -> Source:
    own = [q for q in aside if q.name.startswith(f"{folder.strip('/')}/")]
    return kind.source_of(_Part(name, files, whole, picked, own))


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _find(name: str, samples: str, whole: Listing, notes: list[str]) -> tuple[str, str]:
    """The two folders of a listing whose names say that they are a and b."""
    folders = {parent.as_posix() for n in whole.names for parent in PurePosixPath(n).parents if parent.name}
    found = []
    for a, b in NAMES:
        for folder in sorted(folders):
            up, _, last = folder.rpartition("/")
            other = f"{up}/{b}" if up else b
            if last == a and other in folders:
                found.append((up, folder, other))
    if not found:
        raise ValueError(
            f"{name} holds no two folders called a and b (or A and B, trainA and trainB), only "
            f"{', '.join(map(printable, sorted(folders)[:8])) or 'files without folders'}: name them, as in "
            f"pairs:SRC:FOLDER_A:FOLDER_B"
        )
    chosen = found if len(found) == 1 else [f for f in found if f[0].rpartition("/")[2] == "train"]
    if len(chosen) != 1:
        listed = "; ".join(f"{a} and {b}" for _, a, b in found[:5])
        raise ValueError(f"{name} holds several such folders ({listed}): name two, as in pairs:SRC:FOLDER_A:FOLDER_B")
    _, a, b = chosen[0]
    rest = sum(not n.startswith((f"{a}/", f"{b}/")) for n in whole.names)
    if rest:
        notes.append(f"{rest} {samples} outside {a} and {b} are not used (other splits stay unseen)")
    return a, b
