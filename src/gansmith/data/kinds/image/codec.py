"""Pictures as tensors in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ...codec import Codec


@dataclass(frozen=True, kw_only=True)
class ImageCodec(Codec):
    """Pictures (N, H, W, C) with values in [low, high] to (N, C, H, W) in [-1, 1], and back."""

    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    channels_last: ClassVar[bool] = True
    dtype: Literal["uint8", "uint16", "float32"] = "uint8"
    low: float = 0.0
    high: float = 255.0

    def encode(self, raw: Tensor) -> Tensor:
        """(N, H, W, C) to (N, C, H, W): channels last in memory, as stored; callers choose another layout."""
        half = (self.high - self.low) / 2
        return raw.permute(0, 3, 1, 2).to(torch.float32, copy=True).sub_(self.low + half).div_(half)

    def decode(self, x: Tensor) -> np.ndarray:
        """(N, C, H, W) in [-1, 1] to (N, H, W, C) of `dtype`; integers are rounded to the nearest."""
        half = (self.high - self.low) / 2
        values = x.detach().to("cpu", torch.float32).clamp(-1, 1).permute(0, 2, 3, 1).numpy() * half + self.low + half
        return (values if self.dtype == "float32" else np.rint(values)).astype(self.dtype)

    @property
    def range(self) -> tuple[float, float]:
        """The stored values that become -1 and 1."""
        return self.low, self.high

    def stored(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
        """(H, W, C) of an encoded (C, H, W)."""
        return (*shape[1:], shape[0]), self.dtype

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return {"kind": "image", "dtype": self.dtype, "low": self.low, "high": self.high}


MOST = {"uint8": 255.0, "uint16": 65535.0}
"""The greatest value that an integer holds."""


def bounds_of(codec: ImageCodec) -> tuple[float, float] | None:
    """The range of a codec of integers where it is not all that they can hold; None for any other."""
    usual = codec.dtype == "float32" or codec.range == (0.0, MOST[codec.dtype])
    return None if usual else codec.range
