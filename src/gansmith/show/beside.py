"""Samples beside what they were made of, row by row: of kinds that have parts, whatever kind the parts are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..data import DataSpec
from .files import save, save_arrays
from .grid import strips
from .show import Show, show_of


def side_by_side(columns: Sequence[tuple[np.ndarray, DataSpec]], repeat: int = 1) -> Image.Image:
    """Samples (N, ...) of several specs, N the same, each on its own: source, result, target; row by row.

    `repeat`: so many rows stand beside one another.
    """
    return strips([show_of(spec.kind).pictures(samples, spec) for samples, spec in columns], repeat)


def sheet(samples: np.ndarray, spec: DataSpec, real: np.ndarray, columns: int = 0) -> Image.Image:
    """Samples (N, ...) beside the sources (M, ...) they were made of, sample i of source i % M; or without sources,
    the samples alone.

    `spec.parts`: a is what the sources are, b what was made of them.
    """
    source, made = spec.parts["a"], spec.parts["b"]
    if not len(real):
        return show_of(made.kind).sheet(samples, made, real, columns)
    shown = real[np.arange(len(samples)) % len(real)]
    return side_by_side([(shown, source), (samples, made)], repeat=columns or (4 if len(samples) > 8 else 1))


def write(show: Show, samples: np.ndarray, spec: DataSpec, real: np.ndarray, out: Path, columns: int = 0) -> None:
    """The same as a file: a sheet, or numbers with the row of each sample's source; a folder as b's kind writes it."""
    match show.suffix(out):
        case ".png":
            save(sheet(samples, spec, real, columns), out)
        case ".npz":
            source = {"source": np.arange(len(samples)) % len(real)} if len(real) else {}
            save_arrays({"x": samples, **source}, out)
        case _:
            made = spec.parts["b"]
            show_of(made.kind).write(samples, made, real[:0], out)
