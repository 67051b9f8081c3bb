"""Two sets of samples, each of any kind: rows that hold both, and what their kinds say of each."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..options import DataOptions
from .found import Report
from .kind import Source, kind_of, read_spec
from .spec import DataSpec

HALVES = ("a", "b")


class TwoSources(Source, Protocol):
    """A source that is made of two."""

    @property
    def halves(self) -> dict[str, Source]:
        """Both, by name."""
        ...


def heeded(source: TwoSources) -> frozenset[str]:
    """Fields of `DataOptions` that the kind of either set heeds; two sets have no labels, and are named themselves."""
    either = frozenset().union(*(kind_of(half.kind).heeds(half) for half in source.halves.values()))
    return either - {"labels", "split"}


def recorded(source: TwoSources, options: DataOptions) -> dict[str, Any]:
    """The options that decide what is packed of either set."""
    return {
        name: value
        for half in source.halves.values()
        for name, value in kind_of(half.kind).recorded(options, half).items()
    }


def alike(options: DataOptions, packed: Mapping[str, Any], spec: DataSpec) -> DataOptions:
    """Options that pack two other sets as two were that have this spec and these recorded options."""
    for part in spec.parts.values():
        options = kind_of(part.kind).alike(options, packed, part)
    return options


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
