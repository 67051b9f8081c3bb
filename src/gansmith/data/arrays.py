"""Arrays as a source: NumPy arrays in memory, .npy and .npz files, and whatever else is already a table of numbers."""

from __future__ import annotations

import hashlib
import itertools
import math
import numbers
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .bounded import BROKEN, check_array
from .plan import Block

_X = ("x", "images", "data", "arr_0")
_Y = ("y", "labels", "label", "arr_1")


class Rows:
    """Rows of an array that may be larger than memory: in memory, memory-mapped, or compressed inside an .npz."""

    def __init__(self, array: np.ndarray | None, member: tuple[Path, str] | None = None) -> None:
        self._array, self._member = array, member
        if array is None:
            assert member is not None
            with self._open() as f:
                self.shape, fortran, self.dtype = _read_header(f)
            check_array(member[0], member[1], math.prod(self.shape) * self.dtype.itemsize)
            if fortran:  # columns first: rows cannot be streamed
                with np.load(member[0], allow_pickle=False) as z:
                    self._array = np.ascontiguousarray(z[member[1].removesuffix(".npy")])
        else:
            self.shape, self.dtype = array.shape, array.dtype
        if self.dtype.hasobject:
            raise ValueError("the array holds Python objects, which are not read: save numbers")

    def __len__(self) -> int:
        return self.shape[0]

    def _open(self) -> Any:
        assert self._member is not None
        with zipfile.ZipFile(self._member[0]) as z:
            return z.open(self._member[1])

    @property
    def _name(self) -> str:
        assert self._member is not None
        return f"{self._member[1]} in {self._member[0]}"

    def at(self, ranges: Iterable[tuple[int, int]]) -> Iterator[np.ndarray]:
        """The rows first ... last - 1 of each of these ranges, which ascend."""
        if self._array is not None:
            for first, last in ranges:
                yield np.asarray(self._array[first:last])
            return
        row = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        with self._open() as f:
            _read_header(f)
            start = f.tell()
            for first, last in ranges:
                try:
                    f.seek(start + first * row)  # which reads what lies between, where it is compressed
                    data = f.read((last - first) * row)
                except BROKEN as error:
                    raise ValueError(f"{self._name} cannot be unpacked: {error}") from error
                if len(data) != (last - first) * row:
                    raise ValueError(f"{self._name} ends before row {last}: it is cut off")
                yield np.frombuffer(data, self.dtype).reshape(-1, *self.shape[1:])

    def blocks(self, bounds: np.ndarray) -> Iterator[np.ndarray]:
        """The rows bounds[i] ... bounds[i + 1] - 1, for every i in order."""
        yield from self.at(itertools.pairwise(bounds.tolist()))

    def all(self) -> np.ndarray:
        """The whole array."""
        return next(self.at([(0, len(self))]))


def _read_header(f: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(f)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(f)


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """An array of samples, with labels or without; of which kind its rows are is not said."""

    name: str
    """As the user gave it."""
    identity: str
    """Equal for equal content: what the store's digest is made of."""
    x: Rows
    y: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    """The names of the labels, if the source knows them."""
    notes: tuple[str, ...] = ()

    def labels(self) -> tuple[np.ndarray | None, tuple[str, ...], tuple[str, ...]]:
        """Labels (N,) as indices into class names, -1 where there is none; the names; and what there is to say.

        Raises `ValueError` if they are not one a row.
        """
        if self.y is None:
            return None, (), ()
        index, names = index_labels(self.y, self.classes, len(self.x))
        bare = int(np.count_nonzero(index < 0))
        said = f"{bare:,} rows are unlabelled: recipes that are told labels train on the others"
        return index, names, (said,) if bare else ()

    def check(self) -> None:
        """Raises `ValueError` for arrays that are no samples of any kind."""
        if len(self.x.shape) < 2 or 0 in self.x.shape:
            raise ValueError(
                f"{self.name} has shape {self.x.shape}: pictures are (N, H, W) or (N, H, W, C), vectors (N, D), N at "
                "least 1"
            )
        if self.x.dtype.kind not in "buif":
            raise ValueError(f"{self.name} holds {self.x.dtype.name}: numbers are needed")


def row_name(row: int) -> str:
    """How a row of an array is called in lists."""
    return f"row {row}"


def finite(rows: np.ndarray) -> Block:
    """The rows, of which those that hold infinite values or NaN are bad."""
    if rows.dtype.kind != "f":
        return Block(rows, {})
    good = np.isfinite(rows).reshape(len(rows), -1).all(1)
    return Block(np.ascontiguousarray(rows), {int(i): "not finite" for i in np.flatnonzero(~good)})


def index_labels(y: np.ndarray, names: tuple[str, ...], n: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels (n,) as indices into class names; -1 for an empty name, None or NaN, which are no labels.

    Raises `ValueError` if they are not one whole number or name a row.
    """
    y = np.asarray(y)
    if y.shape == (n, 1):
        y = y[:, 0]
    if y.shape != (n,):
        raise ValueError(f"there are {n} samples but labels of shape {y.shape}: one label a sample is needed")
    y = plain_labels(y)
    told = ~unlabelled(y)
    if y.dtype.kind == "f" and np.array_equal(y[told], np.rint(y[told])):
        y = np.where(told, y, 0).astype(np.int64)
    if y.dtype.kind not in "biuUS":
        raise ValueError(f"labels are {y.dtype.name}: whole numbers or names are needed")
    if names:
        if y.min() < 0 or y.max() >= len(names):
            raise ValueError(f"labels go from {y.min()} to {y.max()}, but there are {len(names)} classes")
        return y.astype(np.int64), names
    found, inverse = np.unique(y[told], return_inverse=True)
    if len(found) > 65_536 or (len(found) > 1000 and len(found) > n // 2):
        raise ValueError(f"there are {len(found)} different labels for {n} samples: these are not classes")
    if not len(found):
        raise ValueError(f"all {n} labels are empty: leave them out")
    index = np.full(n, -1, np.int64)
    index[told] = inverse.reshape(-1)
    return index, tuple(v.decode() if isinstance(v, bytes) else str(v) for v in found)


def unlabelled(y: np.ndarray) -> np.ndarray:
    """Which labels are none: empty names, NaN."""
    if y.dtype.kind in "US":
        return np.char.strip(y) == np.array("", y.dtype)
    return np.isnan(y) if y.dtype.kind == "f" else np.zeros(y.shape, bool)


def plain_labels(y: np.ndarray) -> np.ndarray:
    """Labels that are Python objects as an array of names or numbers, None as an empty name or NaN; others as they are.

    Raises `ValueError` that names the first label that is neither, or of another kind than those before.
    """
    if y.dtype.kind != "O":
        return y
    values = y.reshape(-1).tolist()
    given = [v for v in values if not (v is None or v != v)]  # NaN differs from itself
    gone = len(given) < len(values)
    for kind, none in ((str, ""), (bool, math.nan), (numbers.Integral, math.nan)):
        if given and all(isinstance(v, kind) for v in given):
            whole = [none if v is None or v != v else v for v in values] if gone else values
            return np.array(whole).reshape(y.shape)
    first = next((v for v in given if not isinstance(v, str)), None)
    what = f"{first!r} among them is of type {type(first).__name__}" if given else "there are none"
    raise ValueError(f"labels are Python objects, and {what}: names alone or whole numbers alone are needed")


def from_memory(given: np.ndarray | Mapping[str, np.ndarray], labels: str = "") -> Arrays:
    """An array, or {"x": array, "y": labels}, given in Python; `labels`: `none` leaves y alone."""
    fields: Mapping[str, np.ndarray] = {"x": given} if isinstance(given, np.ndarray) else given
    if unknown := set(fields) - {"x", "y"}:
        raise ValueError(f"unknown fields {sorted(map(str, unknown))}: give an array, or {{'x': array, 'y': labels}}")
    if "x" not in fields:
        raise ValueError("there is no field 'x': give an array, or {'x': array, 'y': labels}")
    if labels not in ("", "none"):
        raise ValueError(f"--labels {labels}: arrays in Python have the labels 'y'; leave it out, or write none")
    x = np.asarray(fields["x"])
    y = plain_labels(np.asarray(fields["y"])) if "y" in fields and not labels else None
    whole = hashlib.sha256()
    rows = Rows(x)
    for part in (x, y):
        if part is not None:
            whole.update(f"{part.dtype.str} {part.shape}".encode())
            for first in range(0, len(part) if part.ndim else 0, 4096):
                whole.update(np.ascontiguousarray(part[first : first + 4096]).data)
    return Arrays(name="array", identity=_read_anew(whole.hexdigest(), y), x=rows, y=y)


def _read_anew(identity: str, y: np.ndarray | None) -> str:
    """Stores in which an empty name was a class are others than those where it is none."""
    return f"{identity} unlabelled" if y is not None and unlabelled(y).any() else identity


def from_file(path: Path, array: str = "", labels: str = "") -> Arrays:
    """An .npy or .npz file.

    `array`: which array holds the samples. `labels`: which holds their labels, an .npy file of them, or `none`.
    Raises `ValueError` if it is no such file, or if it is not clear which array is which.
    """
    identity = file_identity(path)
    apart = Path(labels) if labels.lower().endswith(".npy") and Path(labels).is_file() else None
    try:
        if path.suffix.lower() == ".npy":
            found = {"": Rows(np.load(path, mmap_mode="r", allow_pickle=False))}
        else:
            with zipfile.ZipFile(path) as z:
                names = [n.removesuffix(".npy") for n in z.namelist() if n.endswith(".npy")]
            found = {n: Rows(None, (path, f"{n}.npy")) for n in names}
    except Exception as error:  # a header is parsed as Python: there are as many kinds as there are ways to be wrong
        raise ValueError(f"{path} cannot be read as NumPy arrays: {error or type(error).__name__}") from error
    if "" in found and (array or labels not in ("", "none")) and apart is None:
        option = f"--array {array}" if array else f"--labels {labels}"
        raise ValueError(f"{option}: {path} is a single array without names; --labels FILE.npy names one of labels")
    x, y = _which(path, found, array, "none" if apart is not None else labels)
    rest = sorted(set(found) - {x, y})
    values = found[y].all() if y is not None else None
    if apart is not None:
        values = Rows(np.load(apart, allow_pickle=False)).all()
        identity = f"{identity} {file_identity(apart)}"
    notes = (f"arrays not used: {', '.join(rest)}",)
    return Arrays(
        name=str(path), identity=_read_anew(identity, values), x=found[x], y=values, notes=notes if rest else ()
    )


def _which(path: Path, found: Mapping[str, Rows], array: str, labels: str) -> tuple[str, str | None]:
    """The names of the arrays of samples and of labels, if there are labels."""
    listed = ", ".join(f"{n} {rows.shape}" for n, rows in found.items())
    for option, name in (("--array", array), ("--labels", labels if labels != "none" else "")):
        if name and name not in found:
            raise ValueError(f"{option} {name}: {path} holds no such array; it holds {listed or 'none'}")
    large = [n for n, rows in found.items() if len(rows.shape) >= 2]
    x = [array] if array else [n for n in _X if n in found] or large
    if not x or (len(x) > 1 and x[0] not in _X):
        raise ValueError(
            f"{path} holds {listed or 'no arrays'}: call the samples 'x' and the labels 'y', or name them with --array "
            "and --labels"
        )
    if labels == "none":
        return x[0], None
    y = [labels] if labels else [n for n in _Y if n in found and n != x[0] and len(found[n].shape) <= 2]
    return x[0], next(iter(y), None)


def file_identity(path: Path) -> str:
    """Changes when the file is written: its size and time of change."""
    stat = path.stat()
    return f"{path.name} {stat.st_size} {stat.st_mtime_ns}"
