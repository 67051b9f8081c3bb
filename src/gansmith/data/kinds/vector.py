"""Vectors: rows of numbers.

Sources: arrays of two axes (.npy, .npz), and the known mixtures `toy:ring`, `toy:grid`, `toy:spiral`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ...options import DataOptions
from .. import toy
from ..arrays import Arrays, Rows, finite, row_name
from ..codec import Codec
from ..found import Report
from ..kind import ROWS, Given, Kind, Source, picked, picture_options
from ..looked import report_of_rows
from ..plan import Block, Plan, even_chunks
from ..spec import DataSpec


@dataclass(frozen=True, kw_only=True)
class VectorCodec(Codec):
    """Vectors (N, D) to (x - mean) / scale, and back. One scale keeps the geometry (modes stay round)."""

    mean: tuple[float, ...]
    scale: float = 1.0

    def encode(self, raw: Tensor) -> Tensor:
        """(N, D) to (N, D)."""
        return raw.to(torch.float32).sub(_on_device(self.mean, raw.device)).div_(self.scale)

    def decode(self, x: Tensor) -> np.ndarray:
        """(N, D) to (N, D) float32."""
        return x.detach().to("cpu", torch.float32).numpy() * np.float32(self.scale) + np.asarray(self.mean, np.float32)

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return {"kind": "vector", "mean": list(self.mean), "scale": self.scale}


@functools.lru_cache(maxsize=64)
def _on_device(values: tuple[float, ...], device: torch.device) -> Tensor:
    """A constant, copied to the device once: a copy in every batch would make the host wait for the device."""
    return torch.tensor(values, device=device)


@dataclass(frozen=True, kw_only=True)
class VectorReader:
    """Rows of an array as they are stored."""

    x: Rows

    def read(self, ranges: Sequence[tuple[int, int]]) -> Iterator[np.ndarray]:
        """The rows themselves."""
        return self.x.at(ranges)

    def decode(self, payload: np.ndarray) -> Block:
        """Vectors (n, D) float32."""
        return finite(payload.astype(np.float32))

    def name(self, row: int) -> str:
        """The number of the row."""
        return row_name(row)


@dataclass(frozen=True, kw_only=True)
class VectorSource:
    """An array of vectors (N, D), with labels or without."""

    kind: ClassVar[str] = "vector"
    arrays: Arrays

    @property
    def name(self) -> str:
        """As the user gave it."""
        return self.arrays.name

    @property
    def identity(self) -> str:
        """Equal for equal content."""
        return self.arrays.identity

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Decide what is packed. Raises `ValueError` if the array holds no vectors."""
        del options, progress
        self.arrays.check()
        x = self.arrays.x
        labels, classes, said = self.arrays.labels()
        return Plan(
            source=self.name,
            digest=digest,
            kind=self.kind,
            shape=x.shape[1:],
            dtype="float32",
            bounds=None,
            chunks=even_chunks(len(x), x.shape[1] * 4),
            reader=VectorReader(x=x),
            labels=labels,
            classes=classes,
            options=recorded,
            notes=(*self.arrays.notes, *said),
        )

    def report(self, options: DataOptions, progress: bool) -> Report:
        """What is in it. Never raises: what keeps training from starting is told."""
        plan, problem = None, ""
        try:
            plan = self.plan(options, "", {}, progress)
        except ValueError as error:
            problem = str(error)
        return report_of_rows(
            self.name,
            self.kind,
            self.arrays.x,
            labels=plan.labels if plan is not None else None,
            classes=plan.classes if plan is not None else (),
            notes=plan.notes if plan is not None else self.arrays.notes,
            shape=plan.shape if plan is not None else (),
            dtype=plan.dtype if plan is not None else "",
            problem=problem,
        )


class Vectors(Kind):
    """Rows of numbers (D,), centred and divided by one scale."""

    name = "vector"
    samples = "vectors"
    sources = ("an .npy or .npz file", *(f"toy:{name}" for name in toy.NAMES))
    example = "toy:ring"
    options = frozenset({"labels", "array"})
    first = 90  # any array that nobody else took: its plan says what is wrong with it
    rank = 1

    def recognise(self, given: Given) -> Source | None:
        """The toys by name, and every array."""
        head, _, name = (given.rest if given.prefix else given.spelt).partition(":")
        if head == "toy":
            classes = tuple(str(k) for k in range(len(toy.centres(name))))  # which refuses unknown names
            points, mode = toy.sample(name, toy.POINTS, seed=0)
            arrays = Arrays(name=f"toy:{name}", identity=f"toy:{name} 1", x=Rows(points), y=mode, classes=classes)
            if given.options.labels == "none":
                arrays = replace(arrays, y=None, classes=())
            return VectorSource(arrays=arrays)
        if given.arrays is not None and given.prefix and len(given.arrays.x.shape) != 2:
            # Here and not in the plan: another kind's store of the same file may be there, and would be opened.
            raise ValueError(f"{given.spelt} has shape {given.arrays.x.shape}: vectors are (N, D)")
        return None if given.arrays is None else VectorSource(arrays=given.arrays)

    def codec(self, saved: Mapping[str, Any]) -> Codec:
        """The codec of these fields."""
        match saved:
            case {"mean": [*mean], "scale": float(scale)}:
                return VectorCodec(mean=tuple(float(v) for v in mean), scale=scale)
        raise ValueError(f"not a codec of vectors: {str(saved)[:200]}")

    def words(self, spec: DataSpec) -> str:
        """How long they are."""
        return f"vectors of {spec.shape[0]:,}"

    def recorded(self, options: DataOptions, source: Source) -> dict[str, Any]:
        """What stores of vectors have recorded from the first: their digests stay what they were."""
        del source
        return picture_options(options) | picked(options)

    def measure(self, plan: Plan, x: np.ndarray) -> tuple[Codec, list[str]]:
        """Mean and scale of all rows."""
        step = max(ROWS // plan.row_bytes, 1)
        blocks = [slice(first, first + step) for first in range(0, len(x), step)]
        mean = sum(x[b].sum(0, dtype=np.float64) for b in blocks) / len(x)
        scale = math.sqrt(sum(float(np.square(x[b] - mean).sum()) for b in blocks) / x.size)
        return VectorCodec(mean=tuple(float(v) for v in np.atleast_1d(mean)), scale=scale or 1.0), []

    def seen(self, shape: tuple[int, ...]) -> str:
        """How long a vector is."""
        return f"{shape[0]} numbers"


KIND = Vectors()
