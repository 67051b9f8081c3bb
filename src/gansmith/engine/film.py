"""The film of a run: the same latents or sources, drawn again and again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..data import DataSpec
from ..recipe import Batch
from ..show import show_of, side_by_side

SHOWN_SOURCES = 16
FRAMES = 24


def film_samples(spec: DataSpec) -> int:
    """How many samples a moment of the film shows."""
    return show_of(spec.kind).film


def show_sources(spec: DataSpec, rows: Batch, ways: Sequence[tuple[Batch, np.ndarray]]) -> Image.Image:
    """Source | result | target, if there is one way, which is then known; else source | result of each way."""
    columns = []
    for given, made in ways:
        name, kind = spec.made(given)
        columns += [(spec.parts[k].codec.decode(v), spec.parts[k]) for k, v in given.items()]
        columns.append((made, kind))
        if show_of(spec.kind).aligned and len(ways) == 1:
            columns.append((kind.codec.decode(rows[name]), kind))
    return side_by_side(columns, repeat=2)
