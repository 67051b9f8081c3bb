"""How stored samples become tensors and back; the codec travels with the weights."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from torch import Tensor


class Codec(ABC):
    """Stored samples to the networks' tensors and back. Final subclasses are frozen dataclasses."""

    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """The range of encoded values; pictures and audio (-1, 1)."""
    channels_last: ClassVar[bool] = False
    """Stored (N, ..., C) and encoded (N, C, ...): the feed reorders a batch once, while its values are still small."""

    @abstractmethod
    def encode(self, raw: Tensor) -> Tensor:
        """A stored batch to float32 tensors (N, *DataSpec.shape); text stays int64."""

    @abstractmethod
    def decode(self, x: Tensor) -> np.ndarray:
        """Tensors (N, *DataSpec.shape) to arrays as the user gave them; values out of range are clipped."""

    def shape(self, raw: tuple[int, ...]) -> tuple[int, ...]:
        """Of one encoded sample, where the source proposes `raw`: the same, unless the codec lays it out anew."""
        return raw

    @property
    def conditions(self) -> tuple[tuple[str, str], ...]:
        """What a sample can be asked to be, as (column, value); an index into them is a condition."""
        return ()

    def stored(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
        """Shape and dtype of one stored sample whose encoded shape is `shape`."""
        return shape, "float32"

    def present(self, stored: np.ndarray) -> np.ndarray:
        """Decoded samples as a user wants them: as they are stored; of a table, its columns in their own types."""
        return stored

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """A JSON object that `gansmith.data.kind.read_codec` turns back into an equal codec."""
