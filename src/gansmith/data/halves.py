"""Two sets of samples: rows that hold both, and how each is read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from .found import Report
from .kind import Source, kind_of, read_spec
from .spec import DataSpec

HALVES = ("a", "b")


class HalfSource(Source, Protocol):
    """A source whose rows can be read together with those of another."""

    def chunks(self, row_bytes: int) -> np.ndarray:
        """Boundaries of chunks, where `row_bytes` are stored of each row."""
        ...

    def batches(self, chunks: np.ndarray, ranges: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """What the plan's `decode` needs of each range of rows, which are chunks of these boundaries."""
        ...


def joined_rows(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """The bytes of both, row by row: blocks (n, ...) to (n, bytes)."""
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
    kinds = [part.codec.stored(part.shape) for part in spec.parts.values()]
    return dict(zip(spec.parts, split(x, kinds), strict=True))


def composite(kind: str, parts: Any) -> DataSpec:
    """The spec of two sets: specs by name, or what `DataSpec.to_json` made of them. What is made by default is b.

    Raises `ValueError` for anything but `a` and `b`, each of a kind that is no composite itself.
    """
    match parts:
        case {"a": (DataSpec() | {}) as a, "b": (DataSpec() | {}) as b}:
            both = {"a": a if isinstance(a, DataSpec) else read_spec(a)}
            both["b"] = b if isinstance(b, DataSpec) else read_spec(b)
            if not any(part.parts for part in both.values()):
                return DataSpec(kind=kind, shape=both["b"].shape, codec=both["b"].codec, parts=both)
    raise ValueError(f"not a specification of two sets: {str(parts)[:200]}")


def composite_report(spec: DataSpec, fields: Mapping[str, np.ndarray]) -> dict[str, Report]:
    """What each of the two packed sets holds."""
    return {name: kind_of(part.kind).report(name, part, {"x": fields[name]}) for name, part in spec.parts.items()}
