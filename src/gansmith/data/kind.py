"""What a kind of data is: one file or folder of `kinds/` each, whose name is its name; none is known by name here."""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from ..options import MOST_STEPS, DataOptions
from . import listing
from .arrays import Arrays, from_file, from_memory
from .bounded import check_regular
from .codec import Codec
from .found import Report
from .looked import report_of_rows
from .pack import pack
from .plan import Plan, Quarantined
from .spec import DataSpec

MOST_VALUES = 1 << 28
"""Numbers of one encoded sample: 9,400 x 9,400 pixels of three channels."""
ROWS = 1 << 23
"""Bytes of a block of stored rows, where all of them are looked through."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """A source as it was named, before anybody knows what it is."""

    value: Any
    """A string, path, array, mapping of arrays, list of strings, DataFrame."""
    prefix: str = ""
    """Of `text:FILE`: `text`. A prefix is always heeded: only the kind of that name is asked."""
    rest: str = ""
    """Of `text:FILE`: `FILE`."""
    options: DataOptions = DataOptions()
    cache: Path = Path()
    """Where downloads are kept."""
    progress: bool = True

    @property
    def spelt(self) -> str:
        """As it was typed, where it was; empty for arrays and the like."""
        return str(self.value) if isinstance(self.value, str | Path) else ""

    @functools.cached_property
    def path(self) -> Path | None:
        """The file or folder behind the prefix, where there is one. Raises `ValueError` for pipes and devices."""
        text = self.rest if self.prefix else self.spelt
        path = Path(text)
        try:
            there = bool(text) and path.exists()
        except OSError:  # longer than any name of a file
            return None
        if there:
            check_regular(path)
        return path if there else None

    @functools.cached_property
    def columns(self) -> Mapping[str, Any] | None:
        """Of a mapping of several sequences of one length and one axis: itself, the columns of a table."""
        value = self.value
        if not isinstance(value, Mapping) or len(value) < 2 or any(np.ndim(v) != 1 for v in value.values()):
            return None
        words = all(np.asarray(v).dtype.kind in "UO" for v in value.values())
        taken = {*value} == {"x", "y"} or ({*value} == {"a", "b"} and words)  # labelled samples; pairs of lines
        return value if len({len(v) for v in value.values()}) == 1 and not taken else None

    @functools.cached_property
    def arrays(self) -> Arrays | None:
        """Of an array, a mapping of arrays, .npy or .npz: its rows, labels and names, none of them read.

        Raises `ValueError` if it is not clear which array is which.
        """
        if self.columns is not None:
            return None
        if isinstance(self.value, np.ndarray | Mapping):
            return from_memory(self.value, self.options.labels)
        if self.path is not None and self.path.is_file() and self.path.suffix.lower() in (".npy", ".npz"):
            return from_file(self.path, self.options.array, self.options.labels)
        return None


class Source(Protocol):
    """Anything that can be packed and looked at."""

    @property
    def kind(self) -> str:
        """The name of its kind."""
        ...

    @property
    def name(self) -> str:
        """As the user gave it."""
        ...

    @property
    def identity(self) -> str:
        """Equal for equal content: what the store's digest is made of."""
        ...

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Decide what is packed. Raises `ValueError` if that cannot be decided."""
        ...

    def report(self, options: DataOptions, progress: bool) -> Report:
        """What is in it, and what training would make of it (`gansmith data inspect`)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Files:
    """A user's files as stored samples, as the services take them."""

    names: tuple[str, ...]
    chunks: Iterator[np.ndarray]
    """Stored rows (n, ...), a few thousand at a time."""
    labels: np.ndarray | None
    classes: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    """Files that could not be used, and why."""


class Kind(ABC):
    """One kind of data, from a source to stored rows and back to words. Final, without state; `KIND` of its file."""

    name: ClassVar[str]
    """The file's name: `DataSpec.kind`, `Recipe.kinds`, the prefix of sources."""
    samples: ClassVar[str]
    """What a person calls them: "pictures", "rows", "lines of text", "clips"."""
    title: ClassVar[str] = ""
    """What a page calls such data, where it is not `samples`: "tables", "two sets of samples"."""
    sources: ClassVar[tuple[str, ...]]
    """What --data may name, in words: "a folder of pictures", "toy:ring"; listed where a source is nothing known."""
    example: ClassVar[str]
    """What a user types for --data; the pages of recipes are written of it."""
    options: ClassVar[frozenset[str]] = frozenset()
    """Fields of `DataOptions` that it heeds; any other that is not at its default is refused."""
    first: ClassVar[int] = 50
    """Kinds are asked in ascending order whether a source without a prefix is theirs: the particular first."""
    rank: ClassVar[int | None] = None
    """Axes of an encoded sample, where there is one number."""
    sequence: ClassVar[bool] = False
    """Whether the first axis is steps that are made one after another."""
    composite: ClassVar[bool] = False
    """Whether it is two sets of samples, which have kinds of their own (`DataSpec.parts`)."""
    suffixes: ClassVar[frozenset[str]] = frozenset()
    """Suffixes, in lower case, of files that hold one sample each: two folders of them may be pairs or domains."""
    formats: ClassVar[bool] = True
    """Whether formats and bit depths of its files or arrays are worth telling."""
    unscored: ClassVar[str] = ""
    """Why `evaluate` cannot score its samples; empty where judge/kinds/ holds a file of this name."""

    @abstractmethod
    def recognise(self, given: Given) -> Source | None:
        """The source, if it is of this kind; None for all others. Raises `ValueError`, `FileNotFoundError`."""

    @abstractmethod
    def codec(self, saved: Mapping[str, Any]) -> Codec:
        """The codec of `Codec.to_json`. Raises `ValueError` for anything else."""

    @abstractmethod
    def words(self, spec: DataSpec) -> str:
        """What one sample is: "pictures, 32x32, 3 channels"."""

    def recorded(self, options: DataOptions, source: Source) -> dict[str, Any]:
        """The options that decide what is packed of this source: part of the digest, kept in the manifest."""
        del source
        return {name: getattr(options, name) for name in sorted(self.options)}

    def source_of(self, files: listing.Files) -> Source:
        """The source of files that hold one sample each, where there are `suffixes` of such."""
        raise ValueError(f"{files.name}: {self.samples} are no files of one each")

    def heeds(self, source: Source) -> frozenset[str]:
        """Fields of `DataOptions` that this source of this kind heeds."""
        del source
        return self.options

    def decoding(self, plan: Plan) -> contextlib.AbstractContextManager[None]:
        """What surrounds the decoding of its files while they are packed."""
        del plan
        return contextlib.nullcontext()

    def pack(
        self,
        source: Source,
        options: DataOptions,
        digest: str,
        recorded: dict[str, Any],
        final: Path,
        progress: bool,
    ) -> None:
        """Pack a source into the folder `final`. Raises `ValueError` if no row is good, `OSError` on a full disk."""
        pack(source.plan(options, digest, recorded, progress), self, final, progress)

    def measure(self, plan: Plan, x: np.ndarray) -> tuple[Codec, list[str]]:
        """The codec of packed rows, where the source does not know it, and what there is to say about it."""
        raise ValueError(f"{plan.source}: a source of {self.samples} must say how they are encoded")

    def describe(self, plan: Plan, x: np.ndarray) -> tuple[DataSpec, list[str]]:
        """The spec of packed rows, and what there is to say about it."""
        codec, notes = (plan.codec, []) if plan.codec is not None else self.measure(plan, x)
        return DataSpec(kind=self.name, shape=codec.shape(plan.shape), codec=codec, classes=plan.classes), notes

    def spec(self, saved: Mapping[str, Any]) -> DataSpec:
        """The spec of `DataSpec.to_json`. Raises `ValueError` for anything else."""
        match saved:
            case {"shape": [*shape], "codec": {} as codec, "classes": [*classes]} if (
                self.rank in (None, len(shape))
                and all(type(n) is int and n > 0 for n in shape)
                and codec.get("kind") == self.name
            ):
                if math.prod(shape) > MOST_VALUES or (self.sequence and shape[0] > MOST_STEPS):
                    most = f"{MOST_STEPS:,} steps" if self.sequence else f"{MOST_VALUES:,} numbers"
                    raise ValueError(f"a sample of {self.samples} is said to be {str(shape)[:60]}: at most {most} are")
                return DataSpec(
                    kind=self.name,
                    shape=tuple(shape),
                    codec=self.codec(codec),
                    classes=tuple(map(str, classes)),
                    counts=tuple(map(int, saved.get("counts", ()))),
                )
        raise ValueError(f"not a data specification: {str(saved)[:200]}")

    def fields(self, spec: DataSpec, folder: Path, stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The fields of a batch from the arrays of a store: those themselves, views of them (pairs), or others."""
        del spec, folder
        return stored

    def alike(self, options: DataOptions, packed: Mapping[str, Any], spec: DataSpec) -> DataOptions:
        """Options that pack another source as one was that has this spec and these recorded options."""
        del spec
        return replace(options, **{name: value for name, value in packed.items() if name in self.options})

    def reread(self, source: Any, spec: DataSpec) -> tuple[np.ndarray, list[str]] | None:
        """Another source's rows in the codec of `spec` (a table's columns), or None: pack it `alike`."""
        del source, spec
        return None

    def files(self, path: Path, spec: DataSpec) -> Files | None:
        """A user's file or folder as stored samples of this spec; None where it is no such file."""
        del path, spec
        return None

    def report(
        self,
        name: str,
        spec: DataSpec,
        fields: Mapping[str, np.ndarray],
        *,
        quarantined: tuple[Quarantined, ...] = (),
        ignored: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> Report:
        """What is in a packed store: counts, duplicates, and what else there is to say of this kind."""
        return report_of_rows(
            name,
            self.name,
            fields["x"],
            labels=fields.get("y"),
            classes=spec.classes,
            quarantined=quarantined,
            ignored=ignored,
            notes=notes,
            shape=spec.shape,
        )

    def seen(self, shape: tuple[int, ...]) -> str:
        """One sample of this shape in words, as `data inspect` ends: "32x32 in 3 channels"."""
        return "x".join(map(str, shape)) + " numbers"


def picture_options(options: DataOptions) -> dict[str, Any]:
    """How pictures of other sizes and modes become those that are trained on, as it is recorded.

    Stores of vectors and tables have recorded it from the first, and so their digests stay what they were.
    """
    return {
        "size": list(options.size),
        "fit": options.fit,
        "resample": options.resample,
        "antialias": options.resample != "nearest",
        "channels": options.channels,
    }


FROM = ("labels", "split", "follow_links", "array", "encoding")
"""Options that say which samples of a source are read, and where their labels are."""


def picked(options: DataOptions) -> dict[str, Any]:
    """What is read of a source, as it is recorded: only where it is not what is usual, so that digests stay."""
    usual = DataOptions()
    return {name: value for name in FROM if (value := getattr(options, name)) != getattr(usual, name)}


_FOLDER = Path(__file__).parent / "kinds"


@functools.cache
def kind_names() -> tuple[str, ...]:
    """The names of the kinds there are: those of their files or folders."""
    names = {p.stem for p in _FOLDER.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    return tuple(sorted(names - {"__init__"}))


def kind_of(name: str) -> Kind:
    """The kind of that name. Raises `ValueError` for any other: nothing but a file of `kinds/` is ever imported."""
    if name not in kind_names():
        raise ValueError(f"there is no kind of data {str(name)[:40]!r}; there are {', '.join(kind_names())}")
    return importlib.import_module(f".kinds.{name}", __package__).KIND


def all_kinds() -> list[Kind]:
    """All kinds, in the order in which they are asked whether a source is theirs."""
    return sorted((kind_of(name) for name in kind_names()), key=lambda kind: (kind.first, kind.name))


def read_codec(saved: Mapping[str, Any]) -> Codec:
    """The codec of `Codec.to_json`. Raises `ValueError` for anything else."""
    return kind_of(str(saved.get("kind"))).codec(saved)


def read_spec(saved: Mapping[str, Any], where: str = "") -> DataSpec:
    """The spec of `DataSpec.to_json`. Raises `ValueError` for anything else, naming the file `where` it was read."""
    if where:
        try:
            return read_spec(saved)
        except ValueError as error:
            raise ValueError(f"{where} is damaged: {error}") from error
    if not isinstance(saved, Mapping) or not isinstance(saved.get("kind"), str):
        raise ValueError(f"not a data specification: {str(saved)[:200]}")
    try:
        return kind_of(saved["kind"]).spec(saved)
    except (TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError, AssertionError) as error:
        raise ValueError(f"not a data specification: {error!r:.100} in {str(saved)[:200]}") from error


def refuse_foreign(source: Source, options: DataOptions) -> None:
    """Raises `ValueError` for an option that is not at its default and means nothing to this kind of data."""
    kind = kind_of(source.kind)
    heeded = kind.heeds(source)
    for field in fields(DataOptions):
        if field.name not in heeded and getattr(options, field.name) != field.default:
            if field.name in kind.options:
                raise ValueError(f"--{field.name.replace('_', '-')} says nothing of {source.name}: leave it out")
            others = [k.samples for k in all_kinds() if field.name in k.options]
            raise ValueError(
                f"--{field.name.replace('_', '-')} is for {' and '.join(dict.fromkeys(others))}; {source.name} holds "
                f"{kind.samples}: leave it out"
            )
