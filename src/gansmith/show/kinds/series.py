"""Series: a panel for each column, samples as lines over real ones; rows of steps as files."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image, ImageDraw

from ...data import Column, DataSpec
from ...data.kinds.series.codec import SeriesCodec, stored_lengths
from ...data.kinds.series.write import write_csv
from ..drawing import COLOURS, FAINT, GREY, INK, PAPER, put_text, shrunk, tick_number
from ..files import save, save_arrays
from ..grid import thinned
from ..show import Near, Show

OVER, WIDTH, HEIGHT, ROOM = 2, 300, 150, 48
"""Drawn so much larger; pixels of a panel, and of the text about it."""
LINES, BEHIND, PANELS = 8, 24, 12
"""Samples, real series and columns that are drawn at most."""


Place = Callable[[int, float], tuple[float, float]]
"""Where a value of a step lies, in pixels."""


class SeriesShow(Show):
    """Series (N, T, D), NaN behind their ends."""

    film = 64
    apart = False
    reveals = True
    chart = True
    out = "series.csv"
    writes: ClassVar[Mapping[str, str]] = {
        ".csv": "a row a step",
        ".csv.gz": "a row a step",
        ".tsv": "a row a step",
        ".npz": "an array (N, T, D), NaN behind the ends",
        ".png": "a look at the columns",
    }

    def sheet(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, columns: int = 0) -> Image.Image:
        """A panel for each of up to 12 columns: up to 8 samples, their ends dotted, over two dozen real series."""
        return panels(samples, thinned(real), _codec(spec))

    def write(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, out: Path, columns: int = 0) -> None:
        """Steps with the types and formats of the source; the stored array; or a look at the columns."""
        suffix = self.suffix(out)
        if suffix == ".png":
            save(self.sheet(samples, spec, real, columns), out)
        elif suffix == ".npz":
            names = np.array([c.name for c in _codec(spec).columns])
            save_arrays({"x": samples, "columns": names, "lengths": stored_lengths(samples)}, out)
        else:
            write_csv(_codec(spec), samples, out)

    def near(self, spec: DataSpec) -> Near | str:
        """Columns have no common unit, and cells may be missing, where there is more than one number."""
        c = _codec(spec).columns[0]
        if len(_codec(spec).columns) > 1 or c.discrete or c.missing:
            return "Of series of several columns gansmith evaluate RUN tells whether samples are training series."
        return Near(
            scale=max(c.high - c.low, 1e-12),
            mean=True,
            unit="root mean square over steps, as a share of the range of the data",
            blind="a shift by a step, which is the same course a little later",
        )


SHOW = SeriesShow()


def _codec(spec: DataSpec) -> SeriesCodec:
    assert isinstance(spec.codec, SeriesCodec)
    return spec.codec


def panels(samples: np.ndarray, real: np.ndarray, codec: SeriesCodec) -> Image.Image:
    """Samples (N, T, D) over real series (M, T, D) of `codec`, a panel a column; those that change first."""
    real = real[np.linspace(0, len(real) - 1, min(len(real), BEHIND)).round().astype(int)] if len(real) else real
    shown = [i for i, c in enumerate(codec.columns) if c.type != "constant"]
    shown.sort(key=lambda i: codec.static[i])
    shown = shown[:PANELS]
    across = min(len(shown), 3)
    rows = math.ceil(len(shown) / across)
    size = (across * WIDTH * OVER, (rows * (HEIGHT + ROOM) + 24) * OVER)
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    for k, i in enumerate(shown):
        at = (k % across * WIDTH + 46, k // across * (HEIGHT + ROOM) + 28)
        _panel(draw, at, codec.columns[i], samples[:LINES, :, i], real[..., i] if len(real) else np.empty((0, 2)))
    few = f"{min(len(samples), LINES):,} of {len(samples):,} samples (colours, a dot at the end)"
    behind = f" over {len(real):,} real series (grey)" if len(real) else ""
    put_text(draw, (10 * OVER, (rows * (HEIGHT + ROOM) + 10) * OVER), few + behind, 12 * OVER, INK, "lm")
    return shrunk(image, OVER)


def _panel(draw: ImageDraw.ImageDraw, at: tuple[int, int], c: Column, made: np.ndarray, real: np.ndarray) -> None:
    """One column: made (n, T) over real (m, T), steps to the right."""
    left, top = at
    wide, high, steps = WIDTH - 62, HEIGHT - 4, max(made.shape[1], 2)
    low, top_value = (0.0, len(c.values) - 1.0) if c.discrete else (c.low, c.high)
    span = (top_value - low) or 1.0

    def place(k: int, value: float) -> tuple[float, float]:
        return (left + k / (steps - 1) * wide) * OVER, (top + high - (value - low) / span * high) * OVER

    frame = (left * OVER, top * OVER, (left + wide) * OVER, (top + high) * OVER)
    draw.rectangle(frame, outline=FAINT, width=OVER)
    for line in real:
        _line(draw, place, line, (205, 209, 215), OVER, dot=False)
    for n, line in enumerate(made):
        _line(draw, place, line, COLOURS[n % len(COLOURS)], 2 * OVER, dot=True)
    put_text(draw, (left * OVER, (top - 12) * OVER), c.name.strip()[:34], 12 * OVER, INK, "lm")
    put_text(draw, ((left + wide) * OVER, (top + high + 9) * OVER), f"step {steps}", 10 * OVER, GREY, "rm")
    for value, word in zip((low, top_value), _ends(c), strict=True):
        put_text(draw, ((left - 4) * OVER, place(0, value)[1]), word, 9 * OVER, GREY, "rm")


def _line(
    draw: ImageDraw.ImageDraw, place: Place, line: np.ndarray, colour: tuple[int, ...], width: int, *, dot: bool
) -> None:
    """One series, broken where cells are missing."""
    known = ~np.isnan(line)
    points = [place(k, float(v)) if there else None for k, (v, there) in enumerate(zip(line, known, strict=True))]
    for a, b in itertools.pairwise(points):
        if a is not None and b is not None:
            draw.line((*a, *b), fill=colour, width=width)
    last = [p for p in points if p is not None][-1:]
    for x, y in last if dot else []:
        r = 3 * OVER
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)


def _ends(c: Column) -> tuple[str, str]:
    """The lower and upper end of a column's axis in words."""
    if c.discrete:
        return c.values[0].strip()[:8], c.values[-1].strip()[:8]
    if c.type == "date":
        moments = (np.array([c.low, c.high]) * 1e6).astype(np.int64).astype("datetime64[us]")
        return str(moments[0])[2:10], str(moments[1])[2:10]
    return tick_number(float(f"{c.low:.3g}")), tick_number(float(f"{c.high:.3g}"))
