"""What one sample is, and the codec that turns raw data into tensors and back.

The codec travels with the weights: a saved model restores the user's own units (bytes of a picture, columns of a
vector) without knowing where the data came from.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from .codec import Codec


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """What one sample is."""

    kind: str
    """The name of its file in `kinds/`."""
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
        """The range of encoded values: (-1, 1) for pictures; vectors are unbounded."""
        return self.codec.bounds

    @property
    def bounded(self) -> bool:
        """Whether encoded values lie in finite bounds, which a generator may then end in (tanh)."""
        return all(map(math.isfinite, self.bounds))

    @property
    def codecs(self) -> dict[str, Codec]:
        """The codec of each field of a batch that has one."""
        return {name: part.codec for name, part in self.parts.items()} or {"x": self.codec}

    @property
    def beside(self) -> DataSpec:
        """Of pairs and domains: a and b side by side, joined along the last axis."""
        a, b = self.parts["a"], self.parts["b"]
        return DataSpec(kind=b.kind, shape=(*a.shape[:2], a.shape[2] + b.shape[2]), codec=b.codec)

    def made(self, given: Collection[str]) -> tuple[str, DataSpec]:
        """The field that `Recipe.sample` makes of these given ones, and what it is: the part that is not given.

        Of two sets of pictures and nothing given that is a pair, which is no field of theirs: `beside`.
        """
        if self.parts and not given:
            return "", self.beside
        left = [(name, part) for name, part in self.parts.items() if name not in given]
        return left[-1] if left and given else ("x", self)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `gansmith.data.kind.read_spec` turns back into an equal spec."""
        return {
            "kind": self.kind,
            "shape": list(self.shape),
            "codec": self.codec.to_json(),
            "classes": list(self.classes),
            **({"counts": list(self.counts)} if self.counts else {}),
            **({"parts": {name: part.to_json() for name, part in self.parts.items()}} if self.parts else {}),
        }
