"""Two sets of pictures as one source: pairs that belong together row by row, or two domains that do not.

A pair is packed as one row, so that a broken half takes its partner with it: `x.npy` holds the bytes of both, and the
store's fields `a` and `b` are views of it. Two domains are two ordinary stores in one folder, of any two counts.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from ..options import DataOptions
from .arrays import ArraySource, from_memory
from .listing import Bytes, Files, Folder, Listing, Tar, Zip, printable
from .pack import FORMAT, MANIFEST, Block, Plan, Quarantined, claim, describe, even_chunks, pack, quarantine_notes
from .pictures import MOST_BYTES, Bad, decode, fit_array, read_header
from .sources import PictureSource, Survey, choose, survey
from .spec import DataSpec, ImageCodec

HALVES = ("a", "b")
NAMES = (("a", "b"), ("A", "B"), ("trainA", "trainB"))
"""How the two folders may be called; the last is how the CycleGAN data sets do."""
_AT_ONCE = 16


# --- what it is -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PairSource:
    """Two sources of as many pictures, row i of one belonging to row i of the other."""

    name: str
    a: PictureSource | ArraySource
    b: PictureSource | ArraySource
    quarantined: tuple[Quarantined, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Equal for equal content."""
        return f"pairs {self.a.identity} {self.b.identity}"

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """One row is both pictures. Raises `ValueError` if a half cannot be planned."""
        halves = {k: half.plan(options, digest, recorded, progress) for k, half in self.halves.items()}
        row_bytes = sum(plan.row_bytes for plan in halves.values())
        chunks = _chunks(self.a, row_bytes)

        def payloads(wanted: Sequence[int]) -> Iterator[tuple[int, Any]]:
            ranges = [(int(chunks[c]), int(chunks[c + 1])) for c in wanted]
            both = zip(wanted, *(_payloads(half, chunks, ranges) for half in self.halves.values()), strict=True)
            yield from ((c, parts) for c, *parts in both)

        def decode_chunk(given: Sequence[Any]) -> Block:
            blocks = [plan.decode(part) for plan, part in zip(halves.values(), given, strict=True)]
            bad: dict[int, str] = {}
            for half, block in zip(HALVES, blocks, strict=True):
                # Without a reason a file is no picture and would not be listed; but half of a pair is missing then.
                bad |= {i: f"{half} {reason or 'is not a picture'}" for i, reason in block.bad.items() if i not in bad}
            return Block(_joined([block.rows for block in blocks]), bad)

        plans = list(halves.values())
        return _plan(
            self,
            digest,
            recorded,
            halves,
            chunks,
            payloads,
            decode_chunk,
            name=plans[0].name,
            quarantined=self.quarantined,
            ignored=tuple(sorted({name for plan in plans for name in plan.ignored})),
            notes=(*self.notes, *(f"{k}: {note}" for k, plan in halves.items() for note in plan.notes)),
        )

    @property
    def halves(self) -> dict[str, PictureSource | ArraySource]:
        """Both, by name."""
        return {"a": self.a, "b": self.b}


@dataclass(frozen=True)
class JoinedSource:
    """Pictures that hold both halves side by side, as the pix2pix data sets do."""

    name: str
    pictures: PictureSource
    left_is_a: bool

    @property
    def identity(self) -> str:
        """Equal for equal content."""
        return f"joined {self.left_is_a} {self.pictures.identity}"

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Each picture is cut in the middle. Raises `ValueError` if the halves' size cannot be decided."""
        files, listing = self.pictures.files, self.pictures.listing
        if not len(listing.names):
            raise ValueError(f"there are no pictures in {files.name}")
        seen = survey(files, listing, progress)
        target, notes = choose(self.name, halved(seen), options, listing)
        shape = (target.height, target.width, target.channels)
        half = Plan(
            source=self.name,
            digest=digest,
            kind="image",
            shape=shape,
            dtype=target.dtype,
            bounds={"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "float32": None}[target.dtype],
            chunks=np.array([0, len(listing.names)]),
            payloads=lambda wanted: iter(()),
            decode=lambda given: Block(given, {}),
            name=lambda i: printable(listing.names[i]),
            options=recorded,
        )
        chunks = listing.chunks(2 * half.row_bytes)

        def payloads(wanted: Sequence[int]) -> Iterator[tuple[int, Any]]:
            ranges = [(int(chunks[c]), int(chunks[c + 1])) for c in wanted]
            for c, (first, _), batch in zip(wanted, ranges, files.read(listing, ranges, MOST_BYTES), strict=True):
                yield c, (first, batch)

        def decode_chunk(given: tuple[int, list[Bytes]]) -> Block:
            first, batch = given
            halves = np.zeros((2, len(batch), *shape), target.dtype)
            bad: dict[int, str] = {}
            for i, file in enumerate(batch):
                if first + i in seen.bad:
                    bad[i] = seen.bad[first + i]
                    continue
                try:
                    with file.open() as f:
                        content = f.read()
                    header = read_header(io.BytesIO(content))
                    if header.width % 2:
                        raise Bad(f"is {header.width} pixels wide: two halves side by side have an even width")
                    whole = decode(content, replace(target, height=header.height, width=header.width))
                    for half, cut in enumerate(np.split(whole[None], 2, axis=2)):
                        halves[half, i] = fit_array(cut, target)[0]
                except Bad as error:
                    bad[i] = str(error)
                except OSError as error:
                    bad[i] = error.strerror or str(error)
            return Block(_joined(list(halves if self.left_is_a else halves[::-1])), bad)

        where = "left" if self.left_is_a else "right"
        return _plan(
            self,
            digest,
            recorded,
            {"a": half, "b": half},
            chunks,
            payloads,
            decode_chunk,
            name=half.name,
            quarantined=tuple(listing.quarantined),
            ignored=tuple(sorted([*listing.ignored, *seen.ignored])),
            notes=(f"each picture is a pair: a is the {where} half", *notes),
        )


@dataclass(frozen=True)
class DomainSource:
    """Two sources of pictures that are not aligned, of any two counts."""

    name: str
    a: PictureSource | ArraySource
    b: PictureSource | ArraySource
    notes: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Equal for equal content."""
        return f"domains {self.a.identity} {self.b.identity}"

    @property
    def halves(self) -> dict[str, PictureSource | ArraySource]:
        """Both, by name."""
        return {"a": self.a, "b": self.b}

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Two stores are not one plan: `pack_domains` packs them."""
        raise AssertionError


Paired = PairSource | JoinedSource | DomainSource


def halved(seen: Survey) -> Survey:
    """What the headers of joined pictures say of each half."""
    found = replace(seen, sizes=type(seen.sizes)())
    for (height, width), n in seen.sizes.items():
        if width % 2 == 0:
            found.sizes[height, width // 2] += n
    return found


def _plan(
    source: Paired,
    digest: str,
    recorded: dict[str, Any],
    halves: Mapping[str, Plan],
    chunks: np.ndarray,
    payloads: Any,
    decode_chunk: Any,
    **rest: Any,
) -> Plan:
    def described(x: np.ndarray) -> tuple[DataSpec, list[str]]:
        views = split(x, [(plan.shape, plan.dtype) for plan in halves.values()])
        found = {k: describe(plan, view) for (k, plan), view in zip(halves.items(), views, strict=True)}
        parts = {k: spec for k, (spec, _) in found.items()}
        notes = [f"{k}: {note}" for k, (_, said) in found.items() for note in said]
        return DataSpec(kind="pairs", shape=parts["b"].shape, codec=parts["b"].codec, parts=parts), notes

    return Plan(
        source=source.name,
        digest=digest,
        kind="pairs",
        shape=(sum(plan.row_bytes for plan in halves.values()),),
        dtype="uint8",
        bounds=None,
        chunks=chunks,
        payloads=payloads,
        decode=decode_chunk,
        options=recorded,
        describe=described,
        **rest,
    )


def _joined(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of both pictures' bytes."""
    flat = [np.ascontiguousarray(rows).reshape(len(rows), -1).view(np.uint8) for rows in blocks]
    return np.concatenate(flat, axis=1)


def split(x: np.ndarray, kinds: Sequence[tuple[tuple[int, ...], str]]) -> list[np.ndarray]:
    """Rows of bytes as views: one array (N, *shape) of each (shape, dtype). Raises `ValueError` if they do not fit."""
    ends = list(itertools.accumulate(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in kinds))
    if x.ndim != 2 or x.dtype != np.uint8 or x.shape[1] != ends[-1]:
        raise ValueError(f"x.npy holds {x.dtype.name} {x.shape}; rows of {ends[-1]} bytes were expected")
    firsts = [0, *ends[:-1]]
    return [
        x[:, first:last].view(dtype).reshape(len(x), *shape)
        for first, last, (shape, dtype) in zip(firsts, ends, kinds, strict=True)
    ]


def fields_of(spec: DataSpec, x: np.ndarray) -> dict[str, np.ndarray]:
    """The fields `a` and `b` of packed pairs (N, bytes), without a copy. Raises `ValueError` if they do not fit."""
    kinds = []
    for part in spec.parts.values():
        assert isinstance(part.codec, ImageCodec)
        kinds.append(((*part.shape[1:], part.shape[0]), part.codec.dtype))
    return dict(zip(spec.parts, split(x, kinds), strict=True))


def _chunks(half: PictureSource | ArraySource, row_bytes: int) -> np.ndarray:
    if isinstance(half, ArraySource):
        return even_chunks(len(half.x), row_bytes)
    n = len(half.listing.names)
    return np.append(np.arange(0, n, _AT_ONCE), n)


def _payloads(half: PictureSource | ArraySource, chunks: np.ndarray, ranges: list[tuple[int, int]]) -> Iterator[Any]:
    """What a half's own `decode` needs of each range of rows."""
    if isinstance(half, ArraySource):
        firsts = {first for first, _ in ranges}
        for first, block in zip(chunks, half.x.blocks(chunks), strict=False):
            if int(first) in firsts:
                yield block
        return
    for (first, _), batch in zip(ranges, half.files.read(half.listing, ranges, MOST_BYTES), strict=True):
        yield first, batch


# --- finding it -------------------------------------------------------------------------------------------------------


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


def from_arrays(given: Mapping[str, np.ndarray]) -> Paired:
    """{"a": pictures, "b": pictures}: pairs if there are as many of both, else two domains."""
    if set(given) != set(HALVES):
        raise ValueError(f"fields {sorted(given)}: give {{'a': array, 'b': array}} for pairs or domains, and no more")
    a, b = (from_memory(np.asarray(given[k])) for k in HALVES)
    for k, half in zip(HALVES, (a, b), strict=True):
        if len(half.x.shape) < 3:
            raise ValueError(f"{k} has shape {half.x.shape}: pictures are (N, H, W) or (N, H, W, C)")
    if len(a.x) == len(b.x):
        return PairSource("arrays", a, b)
    return DomainSource("arrays", a, b)


def found_in(path: Path) -> Paired | None:
    """What a folder with trainA and trainB in it holds; None for others: folders a and b may well be classes."""
    if not ((path / "trainA").is_dir() and (path / "trainB").is_dir()):
        return None
    return _two_folders(str(path), path, "", None)


def from_text(kind: Literal["pairs", "domains"], text: str) -> Paired:
    """What `pairs:...` or `domains:...` names; see `open_store`.

    Raises `FileNotFoundError` if it is not there, `ValueError` if it does not hold two sets of pictures.
    """
    path, words = text, []
    while path and not Path(path).exists() and ":" in path:
        path, _, word = path.rpartition(":")
        words.insert(0, word)
    if not path or not Path(path).exists():
        raise FileNotFoundError(f"{kind}:{text}: there is no {text.split(':')[0]!r}; {_HOW[kind]}")
    name = f"{kind}:{text}"
    if words in (["left"], ["right"]) and kind == "pairs":
        return JoinedSource(name, PictureSource(_files(Path(path))), words == ["left"])
    if len(words) not in (0, 2):
        raise ValueError(f"{name}: {':'.join(words)!r} is not understood; {_HOW[kind]}")
    return _two_folders(name, Path(path), kind, (words[0], words[1]) if words else None)


_HOW = {
    "pairs": "write pairs:SRC for a folder or zip that holds folders a and b (A and B, trainA and trainB), "
    "pairs:SRC:FOLDER_A:FOLDER_B for other names, or pairs:SRC:left for pictures that hold both halves side by side, "
    "a on the left (pairs:SRC:right: a on the right)",
    "domains": "write domains:SRC for a folder or zip that holds folders a and b (A and B, trainA and trainB), or "
    "domains:SRC:FOLDER_A:FOLDER_B for other names",
}


def _files(path: Path) -> Files:
    if path.is_dir():
        return Folder(path)
    if path.suffix.lower() == ".zip":
        return Zip(path)
    if path.suffix.lower() in (".tar", ".tgz", ".gz", ".bz2", ".xz"):
        return Tar(path)
    raise ValueError(f"{path} is neither a folder nor a zip of pictures")


def _two_folders(name: str, path: Path, kind: str, folders: tuple[str, str] | None) -> Paired:
    files = _files(path)
    if isinstance(files, Tar):
        raise ValueError(f"{name}: a tar is read from front to end, and two folders of it cannot: unpack it, or zip it")
    whole = files.listing()
    notes: list[str] = []
    if folders is None:
        folders = _find(name, whole, notes)
    members: dict[str, dict[str, int]] = {}
    for half, folder in zip(HALVES, folders, strict=True):
        prefix = PurePosixPath(folder.strip("/")).as_posix() + "/"
        inside = {n[len(prefix) :]: i for i, n in enumerate(whole.names) if n.startswith(prefix)}
        if not inside:
            there = sorted({PurePosixPath(n).parent.as_posix() for n in whole.names})
            raise ValueError(
                f"{name}: there are no pictures in {folder!r} of {path}; folders with pictures: "
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
            _part(f"{path}/{f}", files, whole, sorted(members[h].values()), aside, f)
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
        _part(f"{path}/{f}", files, whole, [keyed[h][stem] for stem in matched], (), "")
        for h, f in zip(HALVES, folders, strict=True)
    )
    return PairSource(name, a, b, tuple(aside), tuple(notes))


def _part(
    name: str, files: Files, whole: Listing, picked: list[int], aside: Sequence[Quarantined], folder: str
) -> PictureSource:
    own = [q for q in aside if q.name.startswith(f"{folder.strip('/')}/")]
    return PictureSource(_Part(name, files, whole, picked, own))


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _find(name: str, whole: Listing, notes: list[str]) -> tuple[str, str]:
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
        notes.append(f"{rest} pictures outside {a} and {b} are not used (other splits stay unseen)")
    return a, b


# --- packing two domains ----------------------------------------------------------------------------------------------


def pack_domains(
    source: DomainSource, options: DataOptions, digest: str, recorded: dict[str, Any], final: Path, progress: bool
) -> None:
    """Pack both into one folder, which afterwards is whole; killed, it goes on where it stopped."""
    final.parent.mkdir(parents=True, exist_ok=True)
    with claim(final) as work:
        if work is None:
            return
        manifests = {}
        for half, part in source.halves.items():
            if not (work / half / MANIFEST).is_file():
                pack(part.plan(options, f"{digest} {half}", recorded, progress), work / half, progress)
            manifests[half] = json.loads((work / half / MANIFEST).read_text(encoding="utf-8"))
        parts = {half: DataSpec.from_json(manifest["spec"]) for half, manifest in manifests.items()}
        # Class folders within a domain are no labels of the whole.
        parts = {half: replace(part, classes=()) for half, part in parts.items()}
        spec = DataSpec(kind="domains", shape=parts["b"].shape, codec=parts["b"].codec, parts=parts)
        quarantined = [q for manifest in manifests.values() for q in manifest["quarantined"]]
        counts = {half: manifest["count"] for half, manifest in manifests.items()}
        manifest = {
            "format": FORMAT,
            "digest": digest,
            "source": source.name,
            "count": max(counts.values()),
            "spec": spec.to_json(),
            "fields": {},
            "options": recorded,
            "quarantined": quarantined,
            "ignored": [name for manifest in manifests.values() for name in manifest["ignored"]],
            "notes": [
                *source.notes,
                f"{counts['a']} pictures of a, {counts['b']} of b",
                *(
                    f"{half}: {note}"
                    for half, manifest in manifests.items()
                    for note in manifest["notes"]
                    if note not in quarantine_notes([Quarantined(*q) for q in manifest["quarantined"]])
                ),
                *quarantine_notes([Quarantined(*q) for q in quarantined]),
            ],
        }
        part = work / f"{MANIFEST}.part"
        with part.open("w", encoding="utf-8") as f:
            f.write(json.dumps(manifest, indent=1) + "\n")
            f.flush()
            os.fsync(f.fileno())
        part.replace(work / MANIFEST)
        if final.is_dir() and not any(final.iterdir()):
            final.rmdir()
        os.replace(work, final)
