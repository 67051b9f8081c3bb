"""The film of a run: the same latents or sources, drawn again and again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from .. import show
from ..data import DataSpec
from ..recipe import Batch

FILM_SAMPLES = 64
SHOWN_SOURCES = 16
FRAMES = 24


def film_samples(spec: DataSpec) -> int:
    """How many samples a moment of the film shows: pictures and texts one by one, points and rows as a crowd."""
    return FILM_SAMPLES if spec.pictures or spec.kind == "text" else 2_000


def show_sources(spec: DataSpec, rows: Batch, ways: Sequence[tuple[Batch, np.ndarray]]) -> Image.Image:
    """Source | result | target, if there is one way, which is then known; else source | result of each way."""
    columns = []
    for given, made in ways:
        name, kind = spec.made(given)
        columns += [_seen(spec.parts[k], spec.parts[k].codec.decode(v)) for k, v in given.items()]
        columns.append(_seen(kind, made))
        if spec.kind == "pairs" and len(ways) == 1:
            columns.append(_seen(kind, kind.codec.decode(rows[name])))
    return show.strips(columns, repeat=2)


def _seen(spec: DataSpec, samples: np.ndarray) -> np.ndarray:
    saved = spec.codec.to_json()
    return show.to_8_bit(samples, (float(saved["low"]), float(saved["high"])))
