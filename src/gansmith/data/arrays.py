"""Arrays as a source: NumPy arrays in memory, .npy and .npz files, and whatever else is already a table of numbers."""

from __future__ import annotations

import hashlib
import itertools
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..options import DataOptions
from .pack import Block, Plan, even_chunks
from .pictures import Target, fit_array

_X = ("x", "images", "data", "arr_0")
_Y = ("y", "labels", "label", "arr_1")


class Rows:
    """Rows of an array that may be larger than memory: in memory, memory-mapped, or compressed inside an .npz."""

    def __init__(self, array: np.ndarray | None, member: tuple[Path, str] | None = None) -> None:
        self._array, self._member = array, member
        if array is None:
            with self._open() as f:
                self.shape, fortran, self.dtype = _read_header(f)
            if fortran:  # columns first: rows cannot be streamed
                assert member is not None
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

    def blocks(self, bounds: np.ndarray) -> Iterator[np.ndarray]:
        """The rows bounds[i] ... bounds[i + 1] - 1, for every i in order."""
        if self._array is not None:
            for first, last in itertools.pairwise(bounds):
                yield np.asarray(self._array[first:last])
            return
        row = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        with self._open() as f:
            _read_header(f)
            for first, last in itertools.pairwise(bounds):
                data = f.read(int(last - first) * row)
                yield np.frombuffer(data, self.dtype).reshape(-1, *self.shape[1:])

    def all(self) -> np.ndarray:
        """The whole array."""
        return next(self.blocks(np.array([0, len(self)])))


def _read_header(f: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(f)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(f)


@dataclass(frozen=True, kw_only=True)
class ArraySource:
    """An array of pictures or vectors, with labels or without."""

    name: str
    identity: str
    """Equal for equal content: what the store's digest is made of."""
    x: Rows
    y: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    """The names of the labels, if the source knows them."""
    notes: tuple[str, ...] = ()

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Decide what is packed. Raises `ValueError` if the array is neither pictures nor vectors."""
        del progress
        shape = self.x.shape
        if len(shape) < 2 or 0 in shape:
            raise ValueError(
                f"{self.name} has shape {shape}: pictures are (N, H, W) or (N, H, W, C), vectors (N, D), N at least 1"
            )
        if self.x.dtype.kind not in "buif":
            raise ValueError(f"{self.name} holds {self.x.dtype.name}: numbers are needed")
        labels, classes = (None, ()) if self.y is None else index_labels(self.y, self.classes, len(self.x))
        if len(shape) == 2:
            return self._plan_vectors(options, digest, recorded, labels, classes)
        return self._plan_pictures(options, digest, recorded, labels, classes)

    def _plan_vectors(
        self,
        options: DataOptions,
        digest: str,
        recorded: dict[str, Any],
        labels: np.ndarray | None,
        classes: tuple[str, ...],
    ) -> Plan:
        if tuple(options.size) != (0, 0) or options.channels != "auto":
            raise ValueError(f"{self.name} holds vectors: a size or channels in pixels does not apply; leave them out")
        chunks = even_chunks(len(self.x), self.x.shape[1] * 4)

        def decode(block: np.ndarray) -> Block:
            return _finite(block.astype(np.float32))

        return Plan(
            source=self.name,
            digest=digest,
            kind="vector",
            shape=self.x.shape[1:],
            dtype="float32",
            bounds=None,
            chunks=chunks,
            payloads=lambda wanted: _wanted(self.x.blocks(chunks), wanted),
            decode=decode,
            name=row_name,
            labels=labels,
            classes=classes,
            options=recorded,
            notes=self.notes,
        )

    def _plan_pictures(
        self,
        options: DataOptions,
        digest: str,
        recorded: dict[str, Any],
        labels: np.ndarray | None,
        classes: tuple[str, ...],
    ) -> Plan:
        axis = channel_axis(self.name, self.x.shape)
        h, w, c = [n for i, n in enumerate(self.x.shape) if i not in (0, axis)] + [self.x.shape[axis] if axis else 1]
        dtype, factor, notes = self._stored_dtype()
        channels = {"auto": c, "grey": 1, "rgb": 3, "rgba": 4}[options.channels]
        if channels != c and not (c in (1, 3, 4) and (c, channels) != (4, 1)):
            raise ValueError(f"{self.name} has {c} channels; channels={options.channels} cannot be made of them")
        target = Target(
            height=options.size[0] or h,
            width=options.size[1] or w,
            channels=channels,
            dtype=dtype,
            fit=options.fit,
            resample=options.resample,
        )
        chunks = even_chunks(len(self.x), max(h * w * c, target.height * target.width * channels) * 4)

        def decode(block: np.ndarray) -> Block:
            if axis == 1:
                block = block.transpose(0, 2, 3, 1)
            elif axis == 0:
                block = block[..., None]
            checked = _finite(block.astype(np.float32 if dtype == "float32" else block.dtype))
            rows = (checked.rows * factor).astype(dtype) if factor != 1 else checked.rows.astype(dtype)
            return Block(fit_array(rows, target), checked.bad)

        whole = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "float32": None}
        return Plan(
            source=self.name,
            digest=digest,
            kind="image",
            shape=(target.height, target.width, channels),
            dtype=dtype,
            bounds=whole[dtype],
            chunks=chunks,
            payloads=lambda wanted: _wanted(self.x.blocks(chunks), wanted),
            decode=decode,
            name=row_name,
            labels=labels,
            classes=classes,
            options=recorded,
            notes=(*self.notes, *notes),
        )

    def _stored_dtype(self) -> tuple[Any, int, list[str]]:
        """The dtype in the store, a factor for the values, and what there is to say about it."""
        kind, name = self.x.dtype.kind, self.x.dtype.name
        if name in ("uint8", "uint16"):
            return name, 1, []
        if kind == "f":
            return "float32", 1, [] if name == "float32" else [f"{name} kept as float32"]
        if kind == "b":
            return "uint8", 255, ["bool kept as 0 and 255"]
        step = even_chunks(len(self.x), int(np.prod(self.x.shape[1:])) * self.x.dtype.itemsize)
        low, high = 0, 0
        for block in self.x.blocks(step):
            low, high = min(low, int(block.min())), max(high, int(block.max()))
        for fits, most in (("uint8", 255), ("uint16", 65535)):
            if low >= 0 and high <= most:
                return fits, 1, [f"{name} values {low} ... {high} kept as {fits}"]
        raise ValueError(
            f"{self.name} holds {name} from {low} to {high}: pictures are uint8, uint16 or float; cast it to float32"
        )


def _wanted(blocks: Iterator[np.ndarray], wanted: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    left = set(wanted)
    for number, block in enumerate(blocks):
        if number in left:
            yield number, block


def row_name(row: int) -> str:
    """How a row of an array is called in lists."""
    return f"row {row}"


def _finite(rows: np.ndarray) -> Block:
    if rows.dtype.kind != "f":
        return Block(rows, {})
    good = np.isfinite(rows).reshape(len(rows), -1).all(1)
    return Block(np.ascontiguousarray(rows), {int(i): "not finite" for i in np.flatnonzero(~good)})


def channel_axis(name: str, shape: tuple[int, ...]) -> int:
    """Which axis of an array of pictures is the colour channel; 0 if it has none.

    Raises `ValueError` if that cannot be told.
    """
    if len(shape) == 3:
        return 0
    if len(shape) == 4:
        first = shape[1] < min(shape[2:])
        last = shape[3] < min(shape[1:3])
        if last and (not first or shape[1] > 4):
            return 3
        if first and (not last or shape[3] > 4):
            return 1
    raise ValueError(
        f"{name} has shape {shape}: cannot tell which axis is the colour channel. Pictures are (N, H, W), "
        "(N, H, W, C) or (N, C, H, W) with fewer channels than pixels a side"
    )


def index_labels(y: np.ndarray, names: tuple[str, ...], n: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels (n,) as indices into class names. Raises `ValueError` if they are not one whole number or name a row."""
    y = np.asarray(y)
    if y.shape == (n, 1):
        y = y[:, 0]
    if y.shape != (n,):
        raise ValueError(f"there are {n} samples but labels of shape {y.shape}: one label a sample is needed")
    if y.dtype.kind == "f" and np.array_equal(y, np.rint(y)):
        y = y.astype(np.int64)
    if y.dtype.kind not in "biuUS":
        raise ValueError(f"labels are {y.dtype.name}: whole numbers or names are needed")
    if names:
        if y.min() < 0 or y.max() >= len(names):
            raise ValueError(f"labels go from {y.min()} to {y.max()}, but there are {len(names)} classes")
        return y.astype(np.int64), names
    found, index = np.unique(y, return_inverse=True)
    if len(found) > 65_536 or (len(found) > 1000 and len(found) > n // 2):
        raise ValueError(f"there are {len(found)} different labels for {n} samples: these are not classes")
    return index.reshape(-1).astype(np.int64), tuple(v.decode() if isinstance(v, bytes) else str(v) for v in found)


def from_memory(given: np.ndarray | Mapping[str, np.ndarray]) -> ArraySource:
    """An array, or {"x": array, "y": labels}, given in Python."""
    fields: Mapping[str, np.ndarray] = {"x": given} if isinstance(given, np.ndarray) else given
    if unknown := set(fields) - {"x", "y"}:
        raise ValueError(f"unknown fields {sorted(map(str, unknown))}: give an array, or {{'x': array, 'y': labels}}")
    if "x" not in fields:
        raise ValueError("there is no field 'x': give an array, or {'x': array, 'y': labels}")
    x = np.asarray(fields["x"])
    y = np.asarray(fields["y"]) if "y" in fields else None
    whole = hashlib.sha256()
    rows = Rows(x)
    for part in (x, y):
        if part is not None:
            whole.update(f"{part.dtype.str} {part.shape}".encode())
            for first in range(0, len(part) if part.ndim else 0, 4096):
                whole.update(np.ascontiguousarray(part[first : first + 4096]).data)
    return ArraySource(name="array", identity=whole.hexdigest(), x=rows, y=y)


def from_file(path: Path) -> ArraySource:
    """An .npy or .npz file. Raises `ValueError` if it is not one, or if it is not clear which array is which."""
    identity = file_identity(path)
    try:
        if path.suffix.lower() == ".npy":
            return ArraySource(
                name=str(path), identity=identity, x=Rows(np.load(path, mmap_mode="r", allow_pickle=False))
            )
        with zipfile.ZipFile(path) as z:
            names = [n.removesuffix(".npy") for n in z.namelist() if n.endswith(".npy")]
        found = {n: Rows(None, (path, f"{n}.npy")) for n in names}
    except (ValueError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read as NumPy arrays: {error}") from error
    x = [n for n in _X if n in found] or [n for n, rows in found.items() if len(rows.shape) >= 2]
    y = [n for n in _Y if n in found and n not in x[:1] and len(found[n].shape) <= 2]
    if not x or (len(x) > 1 and x[0] not in _X):
        listed = ", ".join(f"{n} {rows.shape}" for n, rows in found.items())
        raise ValueError(f"{path} holds {listed or 'no arrays'}: call the samples 'x' and the labels 'y'")
    notes = ()
    if rest := sorted(set(found) - {x[0], *y[:1]}):
        notes = (f"arrays not used: {', '.join(rest)}",)
    labels = found[y[0]].all() if y else None
    return ArraySource(name=str(path), identity=identity, x=found[x[0]], y=labels, notes=notes)


def file_identity(path: Path) -> str:
    """Changes when the file is written: its size and time of change."""
    stat = path.stat()
    return f"{path.name} {stat.st_size} {stat.st_mtime_ns}"
