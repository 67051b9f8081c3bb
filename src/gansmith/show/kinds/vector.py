"""Vectors: clouds of points and histograms, over those of real data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image, ImageDraw

from ...data import DataSpec
from ..drawing import COLOURS, FAINT, GREY, INK, PAPER, SIDE, put_text, round_ticks, shrunk, tick_number
from ..files import save, save_arrays
from ..grid import thinned
from ..show import Near, Show


class VectorShow(Show):
    """Points (N, D) as a crowd."""

    film = 2_000
    apart = False
    reveals = True
    chart = True
    writes: ClassVar[Mapping[str, str]] = {".png": "a cloud of vectors", ".npz": "the numbers"}

    def sheet(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, columns: int = 0) -> Image.Image:
        """A cloud over a few thousand real points, evenly spaced."""
        return scatter(samples, thinned(real))

    def write(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, out: Path, columns: int = 0) -> None:
        """A cloud, or the numbers."""
        if self.suffix(out) == ".png":
            save(self.sheet(samples, spec, real, columns), out)
        else:
            save_arrays({"x": samples}, out)

    def near(self, spec: DataSpec) -> Near:
        """Euclidean distances."""
        return Near(
            scale=1.0,
            mean=False,
            unit="Euclidean, in the data's own units",
            blind="where the data lie densely, anything plausible is near to some of them without being a copy",
        )


SHOW = VectorShow()


def scatter(points: np.ndarray, real: np.ndarray) -> Image.Image:
    """Samples `points` (N, D), coloured, over real data (M, D), grey, with equal axes.

    The frame is that of the real data (of the samples, if there is none) with a margin; samples outside are counted
    in the caption. More than two dimensions are shown along the first two principal axes of the real data, one as
    two histograms.
    """
    if points.ndim != 2 or real.ndim != 2 or points.shape[1] != real.shape[1]:
        raise ValueError(f"points of shape {points.shape} and {real.shape}; (N, D) and (M, D) are expected")
    points, real = points.astype(np.float64), real.astype(np.float64)
    finite = np.isfinite(points).all(axis=1)
    notes = [f"{np.count_nonzero(~finite):,} not finite"] if not finite.all() else []
    points = points[finite]
    anchor = real if len(real) else points
    if not len(anchor):
        raise ValueError("there are no finite points to show")
    dimensions = anchor.shape[1]
    if dimensions == 1:
        return _histograms(points[:, 0], real[:, 0], notes)
    if dimensions > 2:
        centre = anchor.mean(axis=0)
        _, spread, axes = np.linalg.svd(anchor - centre, full_matrices=False)
        axes = axes[:2] if len(axes) > 1 else np.vstack([axes, np.zeros_like(axes)])
        axes = axes * np.where(axes[np.arange(2), np.abs(axes).argmax(axis=1)] < 0, -1, 1)[:, None]  # sign is arbitrary
        share = (spread[:2] ** 2).sum() / max((spread**2).sum(), 1e-300)
        points, real, anchor = ((p - centre) @ axes.T for p in (points, real, anchor))
        notes.insert(0, f"first 2 of {dimensions} principal axes of the real data ({share:.0%} of its variance)")
    low, high = anchor.min(axis=0), anchor.max(axis=0)
    centre, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-9) * 1.25
    over, side = 2, SIDE
    image = Image.new("RGB", (side * over, (side + 28) * over), PAPER)
    draw = ImageDraw.Draw(image)
    frame = (0, 0, side * over, side * over)
    inside = (np.abs(points - centre) <= half).all(axis=1)
    if outside := np.count_nonzero(~inside):
        notes.append(f"{outside:,} outside")
    for cloud, colour, radius in ((real, (196, 200, 206), 2.4), (points[inside], COLOURS[0], 2.0)):
        layer = Image.new("L", (side * over, side * over), 0)
        pen = ImageDraw.Draw(layer)
        place = (0.5 + (cloud - centre) * (0.5 / half) * (1, -1)) * side * over
        for x, y in place:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=210)
        image.paste(Image.new("RGB", layer.size, colour), frame[:2], layer)
    _axis_labels(draw, centre, half, side, over)
    draw.rectangle((*frame[:2], frame[2] - 1, frame[3] - 1), outline=FAINT, width=over)
    caption = [f"{len(points):,} samples over {len(real):,} real points", *notes]
    put_text(draw, (8 * over, (side + 14) * over), "; ".join(caption), 12 * over, INK, "lm")
    return shrunk(image, over)


def _axis_labels(draw: ImageDraw.ImageDraw, centre: np.ndarray, half: float, side: int, over: int) -> None:
    size, step = 10 * over, 0
    for axis in (0, 1):
        for value in round_ticks(float(centre[axis] - half), float(centre[axis] + half), 5):
            at = (0.5 + (value - centre[axis]) * (0.5 / half) * (1 if axis == 0 else -1)) * side * over
            if not 40 * over < at < (side - 40) * over:
                continue
            step = 5 * over
            if axis == 0:
                draw.line((at, side * over, at, side * over - step), fill=GREY, width=over)
                put_text(draw, (at, (side - 8) * over), tick_number(value), size, GREY, "mb")
            else:
                draw.line((0, at, step, at), fill=GREY, width=over)
                put_text(draw, (8 * over, at), tick_number(value), size, GREY, "lm")


def _histograms(points: np.ndarray, real: np.ndarray, notes: list[str]) -> Image.Image:
    anchor = real if len(real) else points
    low, high = float(anchor.min()), float(anchor.max())
    margin = max(high - low, 1e-9) * 0.125
    edges = np.linspace(low - margin, high + margin, 81)
    if outside := np.count_nonzero((points < edges[0]) | (points > edges[-1])):
        notes.append(f"{outside:,} outside")
    over, width, height = 2, SIDE, 360
    image = Image.new("RGB", (width * over, (height + 48) * over), PAPER)
    draw = ImageDraw.Draw(image)
    shares = [np.histogram(v, edges)[0] / max(len(v), 1) for v in (real, points)]
    top = max(float(s.max()) for s in shares) * 1.1 or 1.0
    x = np.linspace(0, width * over, 81)
    for share, filled in zip(shares, (True, False), strict=True):
        y = (1 - share / top) * height * over
        outline = [(x[i + side], y[i]) for i in range(80) for side in (0, 1)]
        if filled:
            draw.polygon([(0, height * over), *outline, (width * over, height * over)], fill=(210, 213, 218))
        else:
            draw.line(outline, fill=COLOURS[0], width=2 * over, joint="curve")
    draw.line((0, height * over, width * over, height * over), fill=GREY, width=over)
    for value in round_ticks(edges[0], edges[-1], 6):
        at = (value - edges[0]) / (edges[-1] - edges[0]) * width * over
        if 20 * over < at < (width - 20) * over:
            put_text(draw, (at, (height + 4) * over), tick_number(value), 10 * over, GREY, "mt")
    caption = "; ".join([f"{len(points):,} samples (line) over {len(real):,} real values (grey)", *notes])
    put_text(draw, (8 * over, (height + 34) * over), caption, 12 * over, INK, "lm")
    return shrunk(image, over)
