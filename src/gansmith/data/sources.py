"""What a source is: tells them apart, and plans how the pictures of folders, tables and archives are packed."""

from __future__ import annotations

import itertools
import numbers
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..options import DataOptions
from . import text, toy
from .arrays import ArraySource, Rows, from_file, from_memory
from .known import KNOWN, known_source
from .listing import Bytes, Files, Folder, Listing, Table, Tar, Zip, printable
from .pack import Block, Plan, progress_bar
from .pictures import MOST_BYTES, Bad, Header, Target, decode, quiet, read_header
from .tabular import is_frame, is_table, table_source

__all__ = ["PictureSource", "Source", "Survey", "recognise", "survey"]


class Source(Protocol):
    """Anything that can be packed."""

    @property
    def name(self) -> str:
        """As the user gave it."""
        ...

    @property
    def identity(self) -> str:
        """Equal for equal content."""
        ...

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Decide what is packed. Raises `ValueError` if that cannot be decided."""
        ...


def _numbers(source: Any) -> bool:
    """Whether rows of numbers were given in lists."""
    while isinstance(source, list | tuple) and len(source):
        source = source[0]
    return isinstance(source, numbers.Real)


def recognise(
    source: str | Path | np.ndarray | Mapping[str, np.ndarray] | Sequence[str] | Any,
    options: DataOptions,
    cache: Path,
    progress: bool,
) -> Source:
    """Tell what a source is, by its name and its content.

    Raises `FileNotFoundError` if it is not there, `ValueError` if it is nothing that is known.
    """
    from . import paired  # which is made of the sources below

    other = not isinstance(source, str | Path | np.ndarray | Mapping) and not is_frame(source)
    if other and (hasattr(source, "__array__") or _numbers(source)):  # a tensor of some library, rows in lists
        source = np.asarray(source)
    if isinstance(source, (list, tuple)) or (
        isinstance(source, np.ndarray) and source.ndim == 1 and source.dtype.kind in "UO"
    ):
        return text.from_lines(source)
    if isinstance(source, (np.ndarray, Mapping)):
        if isinstance(source, Mapping) and "a" in source:
            return paired.from_arrays(source)
        return from_memory(source)
    if is_frame(source):
        return table_source(source)
    spelt = str(source)
    name, _, split = spelt.partition(":")
    if name in ("pairs", "domains"):
        return paired.from_text("pairs" if name == "pairs" else "domains", split)
    if name == "toy":
        return text.oracle_source() if split == "oracle" else _toy(split)
    if name == "table":
        return table_source(split, spelt)
    if name == "text":
        return text.from_file(split)
    if name in KNOWN:
        return known_source(name, split or "train", options.data_dir, cache, progress)
    path = Path(spelt)
    if path.is_dir():
        return paired.found_in(path) or PictureSource(Folder(path))
    if not path.exists():
        raise FileNotFoundError(
            f"there is no {spelt!r}: give a folder, a .csv, .parquet, .zip, .tar, .npy, .npz or .txt file, or one of "
            f"{', '.join(KNOWN)}, {', '.join(f'toy:{n}' for n in (*toy.NAMES, 'oracle'))}"
        )
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        return from_file(path)
    if is_table(path):
        return table_source(path)
    if suffix == ".csv":
        return PictureSource(Table(path))
    if spelt.lower().endswith((".txt", ".txt.gz")):
        return text.from_file(spelt)
    if zipfile.is_zipfile(path):
        return PictureSource(Zip(path))
    if tarfile.is_tarfile(path):
        return PictureSource(Tar(path))
    raise ValueError(
        f"{spelt} is no source that is known: a folder, or a .csv, .parquet, .zip, .tar, .npy, .npz or .txt file"
    )


def _toy(name: str) -> ArraySource:
    modes = len(toy.centres(name))
    points, mode = toy.sample(name, toy.POINTS, seed=0)
    return ArraySource(
        name=f"toy:{name}",
        identity=f"toy:{name} 1",
        x=Rows(points),
        y=mode,
        classes=tuple(str(k) for k in range(modes)),
    )


# --- pictures ---------------------------------------------------------------------------------------------------------


@dataclass
class Survey:
    """What the headers of all files say."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    depths: Counter[str] = field(default_factory=Counter)
    colour: int = 0
    alpha: int = 0
    rotated: int = 0
    animated: int = 0
    deep_colour: int = 0
    bad: dict[int, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    @property
    def good(self) -> int:
        """Files whose header is readable."""
        return sum(self.sizes.values())

    def add(self, header: Header) -> None:
        """Count one file."""
        self.sizes[header.height, header.width] += 1
        self.modes[header.mode] += 1
        self.formats[header.format] += 1
        self.depths[header.depth] += 1
        self.colour += header.colour
        self.alpha += header.alpha
        self.rotated += header.rotated
        self.animated += header.animated
        self.deep_colour += header.deep_colour


def _survey_chunk(files: Sequence[Bytes]) -> list[Header | str]:
    found: list[Header | str] = []
    for file in files:
        try:
            with file.open() as f:
                found.append(read_header(f))
        except Bad as error:
            found.append(str(error))
        except OSError as error:
            found.append(error.strerror or str(error))
    return found


def survey(files: Files, listing: Listing, progress: bool) -> Survey:
    """Read every header."""
    found = Survey()
    bounds = listing.chunks(0)
    ranges = list(itertools.pairwise(bounds.tolist()))
    # Reading headers is mostly Python: more threads only help to wait for a slow disk, and cost on a fast one.
    with quiet(), progress_bar(progress) as bar, ThreadPoolExecutor(2) as pool:
        task = bar.add_task(f"looking at {files.name}", total=len(listing.names))
        running = []

        def collect() -> None:
            first, future = running.pop(0)
            results = future.result()
            for i, result in enumerate(results, first):
                if isinstance(result, Header):
                    found.add(result)
                elif "." not in listing.names[i].rpartition("/")[2] and "not a picture" in result:
                    found.bad[i] = ""  # no reason to list: it is among the ignored
                    found.ignored.append(printable(listing.names[i]))
                else:
                    found.bad[i] = result
            bar.advance(task, len(results))

        for (first, _), batch in zip(ranges, files.read(listing, ranges, MOST_BYTES), strict=True):
            running.append((first, pool.submit(_survey_chunk, batch)))
            del batch
            if len(running) > 3:
                collect()
        while running:
            collect()
    return found


class PictureSource:
    """Picture files of a folder, a table or an archive."""

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


def choose(name: str, seen: Survey, options: DataOptions, listing: Listing) -> tuple[Target, list[str]]:
    """Size, channels and depth to train at, and what there is to say about it. Raises `ValueError` if undecidable."""
    if not seen.good:
        listed = "; ".join(
            f"{printable(listing.names[i])}: {reason or 'not a picture'}" for i, reason in list(seen.bad.items())[:5]
        )
        raise ValueError(f"none of the {len(listing.names)} files in {name} is a readable picture: {listed}")
    height, width = options.size
    common = seen.sizes.most_common(4)
    if not height or not width:
        if len(seen.sizes) > 1:
            listed = ", ".join(f"{n} of {h}x{w}" for (h, w), n in common)
            (h, w), _ = common[0]
            raise ValueError(
                f"pictures in {name} differ in size (height x width: {listed}"
                f"{', ...' if len(seen.sizes) > 4 else ''}): pass --size {h if h == w else f'{h}x{w}'}, or another size"
            )
        height, width = common[0][0]
    colour = seen.colour * 2 >= seen.good
    channels = {"auto": 3 if colour else 1, "grey": 1, "rgb": 3, "rgba": 4}[options.channels]
    depth = max(("uint8", "uint16", "float32"), key=lambda d: seen.depths[d])
    counts = {
        f"pictures of another size made {height}x{width} ({options.fit}, {options.resample})": seen.good
        - seen.sizes[height, width],
        "colour pictures made grey": seen.colour if channels == 1 else 0,
        "grey pictures made colour": seen.good - seen.colour if channels > 1 else 0,
        "pictures with transparency laid on white (channels=rgba keeps it)": seen.alpha if channels != 4 else 0,
        "pictures turned as their EXIF tag says": seen.rotated,
        "animated or multi-page files: only the first frame is used": seen.animated,
        "16-bit colour pictures read with 8 bits a channel": seen.deep_colour,
        f"pictures of another bit depth made {depth}": seen.good - seen.depths[depth],
    }
    target = Target(
        height=height, width=width, channels=channels, dtype=depth, fit=options.fit, resample=options.resample
    )
    return target, [f"{n} {text}" for text, n in counts.items() if n]
