"""Pictures as tensors in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ...codec import Codec

Depth = Literal["uint8", "uint16", "float32"]


@dataclass(frozen=True, kw_only=True)
class ImageCodec(Codec):
    """Pictures (N, H, W, C) with values in [low, high] to (N, C, H, W) in [-1, 1], and back."""

    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    channels_last: ClassVar[bool] = True
    dtype: Depth = "uint8"
    low: float = 0.0
    high: float = 255.0
    whole: bool = False
    """Whether float32 stands for integers that are signed or of more than 16 bits: decoded values are whole ones."""

    def encode(self, raw: Tensor) -> Tensor:
        """(N, H, W, C) to (N, C, H, W): channels last in memory, as stored; callers choose another layout."""
        half = (self.high - self.low) / 2
        return raw.permute(0, 3, 1, 2).to(torch.float32, copy=True).sub_(self.low + half).div_(half)

    def decode(self, x: Tensor) -> np.ndarray:
        """(N, C, H, W) in [-1, 1] to (N, H, W, C) of `dtype`; integers are rounded to the nearest."""
        half = (self.high - self.low) / 2
        values = x.detach().to("cpu", torch.float32).clamp(-1, 1).permute(0, 2, 3, 1).numpy() * half + self.low + half
        return (np.rint(values) if self.whole or self.dtype != "float32" else values).astype(self.dtype)

    @property
    def range(self) -> tuple[float, float]:
        """The stored values that become -1 and 1."""
        return self.low, self.high

    def stored(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
        """(H, W, C) of an encoded (C, H, W)."""
        return (*shape[1:], shape[0]), self.dtype

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        whole = {"whole": True} if self.whole else {}
        return {"kind": "image", "dtype": self.dtype, "low": self.low, "high": self.high} | whole


MOST = {"uint8": 255.0, "uint16": 65535.0}
"""The greatest value that an integer holds."""
USUAL = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
"""Ranges in which floats are commonly written."""


def bounds_of(codec: ImageCodec) -> tuple[float, float] | None:
    """The range of a codec of integers where it is not all that they can hold; None for any other."""
    usual = not codec.whole and (codec.dtype == "float32" or codec.range == (0.0, MOST[codec.dtype]))
    return None if usual else codec.range


def measured(name: str, dtype: Depth, low: float, high: float) -> tuple[ImageCodec, list[str]]:
    """The codec of pictures whose values go from `low` to `high`, and what there is to say about it.

    Integers have the range that they can hold; floats one of the usual ones that holds them all, or their own.
    Raises `ValueError` if all floats are one value.
    """
    if dtype != "float32":
        most = MOST[dtype]
        notes = [] if high > most / 2 else [_narrow(dtype, int(high), int(most))]
        return ImageCodec(dtype=dtype, low=0.0, high=most), notes
    said = f"values from {low:g} to {high:g}"
    low, high = next(((a, b) for a, b in USUAL if a <= low and high <= b), (low, high))
    if low == high:
        raise ValueError(f"every pixel in {name} is {low:g}: there is nothing to learn")
    return ImageCodec(dtype="float32", low=low, high=high), [f"{said}; {low:g} to {high:g} becomes -1 to 1"]


def _narrow(dtype: Depth, high: int, most: int) -> str:
    """Of integers that leave more than half of their container empty. Depths of 9 to 15 bits are common."""
    bits = (1 << high.bit_length()) - 1
    full = bits if dtype == "uint16" and high > 255 and high > 0.75 * bits else max(high, 1)
    return f"values end at {high:,} of {most:,}: --range 0,{full} makes -1 to 1 of the range that is used"
