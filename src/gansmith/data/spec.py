"""What one sample is, and the codec that turns raw data into tensors and back.

The codec travels with the weights: a saved model restores the user's own units (bytes of a picture, columns of a
vector) without knowing where the data came from.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

Kind = Literal["image", "vector", "pairs", "domains", "table", "text"]


class Codec(ABC):
    """Stored samples to the networks' tensors and back. Final subclasses are frozen dataclasses."""

    @abstractmethod
    def encode(self, raw: Tensor) -> Tensor:
        """A stored batch to float32 tensors (N, *DataSpec.shape); text stays int64."""

    @abstractmethod
    def decode(self, x: Tensor) -> np.ndarray:
        """Tensors (N, *DataSpec.shape) to arrays as the user gave them; values out of range are clipped."""

    def shape(self, raw: tuple[int, ...]) -> tuple[int, ...]:
        """Of one encoded sample, where the source proposes `raw`: the same, unless the codec lays it out anew."""
        return raw

    def present(self, stored: np.ndarray) -> np.ndarray:
        """Decoded samples as a user wants them: as they are stored; of a table, its columns in their own types."""
        return stored

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """A JSON object that `codec_from_json` turns back into an equal codec."""


@dataclass(frozen=True, kw_only=True)
class ImageCodec(Codec):
    """Pictures (N, H, W, C) with values in [low, high] to (N, C, H, W) in [-1, 1], and back."""

    dtype: Literal["uint8", "uint16", "float32"] = "uint8"
    low: float = 0.0
    high: float = 255.0

    @property
    def range(self) -> tuple[float, float]:
        """The values of black and white."""
        return self.low, self.high

    def encode(self, raw: Tensor) -> Tensor:
        """(N, H, W, C) to (N, C, H, W): channels last in memory, as stored; callers choose another layout."""
        half = (self.high - self.low) / 2
        return raw.permute(0, 3, 1, 2).to(torch.float32, copy=True).sub_(self.low + half).div_(half)

    def decode(self, x: Tensor) -> np.ndarray:
        """(N, C, H, W) in [-1, 1] to (N, H, W, C) of `dtype`; integers are rounded to the nearest."""
        half = (self.high - self.low) / 2
        values = x.detach().to("cpu", torch.float32).clamp(-1, 1).permute(0, 2, 3, 1).numpy() * half + self.low + half
        return (values if self.dtype == "float32" else np.rint(values)).astype(self.dtype)

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return {"kind": "image", "dtype": self.dtype, "low": self.low, "high": self.high}


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


def codec_from_json(saved: dict[str, Any]) -> Codec:
    """The codec of `to_json`. Raises `ValueError` for anything else: the list is closed."""
    match saved:
        case {
            "kind": "image",
            "dtype": "uint8" | "uint16" | "float32" as dtype,
            "low": float(low),
            "high": float(high),
        }:
            return ImageCodec(dtype=dtype, low=low, high=high)
        case {"kind": "vector", "mean": [*mean], "scale": float(scale)}:
            return VectorCodec(mean=tuple(float(v) for v in mean), scale=scale)
        case {"kind": "table"}:
            from .table import TableCodec  # it is built on this module

            return TableCodec.from_json(saved)
        case {"kind": "text"}:
            from .text import TextCodec  # it is made of what is defined here

            return TextCodec.from_json(saved)
    raise ValueError(f"unknown codec {str(saved)[:200]}")


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """What one sample is."""

    kind: Kind
    shape: tuple[int, ...]
    """Of one encoded sample: (C, H, W) of an image, (D,) of a vector, (W,) of a table's encoded row, (T,) tokens of a
    text."""
    codec: Codec
    classes: tuple[str, ...] = ()
    """The names of the labels 0, 1, ...; empty if the data has none."""
    counts: tuple[int, ...] = ()
    """How many samples have each label; empty where that is not known."""
    parts: Mapping[str, DataSpec] = field(default_factory=dict, hash=False)
    """Of `pairs` (aligned pictures) and `domains` (two sets, unaligned): `"a"` and `"b"`, pictures each. `shape` and
    `codec` of the whole are those of b, which is what is made by default."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The range of encoded values: (-1, 1) for images; vectors are unbounded."""
        return (-1.0, 1.0) if self.pictures else (-math.inf, math.inf)

    @property
    def pictures(self) -> bool:
        """Whether what is made is a picture (C, H, W)."""
        return self.kind in ("image", "pairs", "domains")

    @property
    def codecs(self) -> dict[str, Codec]:
        """The codec of each field of a batch that has one."""
        return {name: part.codec for name, part in self.parts.items()} or {"x": self.codec}

    @property
    def beside(self) -> DataSpec:
        """Of pairs and domains: a picture of a and b side by side."""
        a, b = self.parts["a"], self.parts["b"]
        return DataSpec(kind="image", shape=(*a.shape[:2], a.shape[2] + b.shape[2]), codec=b.codec)

    def made(self, given: Collection[str]) -> tuple[str, DataSpec]:
        """The field that `Recipe.sample` makes of these given ones, and what it is: the part that is not given.

        Of two sets of pictures and nothing given that is a pair, which is no field of theirs: `beside`.
        """
        if self.parts and not given:
            return "", self.beside
        left = [(name, part) for name, part in self.parts.items() if name not in given]
        return left[-1] if left and given else ("x", self)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` turns back into an equal spec."""
        return {
            "kind": self.kind,
            "shape": list(self.shape),
            "codec": self.codec.to_json(),
            "classes": list(self.classes),
            **({"counts": list(self.counts)} if self.counts else {}),
            **({"parts": {name: part.to_json() for name, part in self.parts.items()}} if self.parts else {}),
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> DataSpec:
        """The spec of `to_json`. Raises `ValueError` if it is anything else."""
        match saved:
            case {"kind": "pairs" | "domains" as kind, "parts": {"a": {} as a, "b": {} as b}}:
                parts = {"a": cls.from_json(a), "b": cls.from_json(b)}
                if all(part.kind == "image" for part in parts.values()):
                    whole = parts["b"]
                    return cls(kind=kind, shape=whole.shape, codec=whole.codec, parts=parts)
            case {
                "kind": "image" | "vector" | "table" | "text" as kind,
                "shape": [*shape],
                "codec": {} as codec,
                "classes": [*classes],
            }:
                if len(shape) == (3 if kind == "image" else 1) and all(isinstance(s, int) and s > 0 for s in shape):
                    return cls(
                        kind=kind,
                        shape=tuple(shape),
                        codec=codec_from_json(codec),
                        classes=tuple(map(str, classes)),
                        counts=tuple(map(int, saved.get("counts", ()))),
                    )
        raise ValueError(f"not a data specification: {str(saved)[:200]}")
