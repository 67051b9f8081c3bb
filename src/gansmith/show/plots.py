"""Samples that are no pictures, drawn over real ones: clouds of points, histograms, the columns of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from .drawing import COLOURS, FAINT, GREY, INK, PAPER, SIDE, put_text, round_ticks, shrunk, tick_number


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


def marginals(samples: np.ndarray, real: np.ndarray, columns: Sequence[Any]) -> Image.Image:
    """How often each value of up to 12 columns occurs: samples (N, D), lines, over real rows (M, D), grey bars.

    `columns`: what they are (`TableCodec.columns`); of a discrete one the 12 most frequent values are shown, and
    missing cells are the last bar, if there are any.
    """
    real = real if len(real) else np.empty((0, len(columns)))
    shown = [i for i, c in enumerate(columns) if c.type != "constant"]
    chosen = [shown[k] for k in np.unique(np.linspace(0, len(shown) - 1, min(len(shown), 12)).round().astype(int))]
    across = min(len(chosen), 4)
    over, width, height, room = 2, 230, 120, 46
    rows = math.ceil(len(chosen) / across)
    image = Image.new("RGB", (across * width * over, (rows * (height + room) + 24) * over), PAPER)
    draw = ImageDraw.Draw(image)
    for k, i in enumerate(chosen):
        c = columns[i]
        left, top = k % across * width + 10, k // across * (height + room) + 26
        expected, found, labels = _shares(real[:, i], samples[:, i], c)
        most = max(float(expected.max(initial=0)), float(found.max(initial=0)), 1e-12)
        step = (width - 20) / len(expected)
        for j in range(len(expected)):
            x0, x1 = (left + j * step) * over, (left + (j + 1) * step) * over - (over if len(expected) <= 13 else 0)
            base = (top + height - 30) * over
            tall, line = ((height - 30) * over * share / most for share in (expected[j], found[j]))
            draw.rectangle((x0, base - tall, x1, base), fill=(210, 213, 218))
            draw.line((x0, base - line, x1, base - line), fill=COLOURS[0], width=2 * over)
        put_text(draw, (left * over, (top - 12) * over), str(c.name).strip()[:30], 12 * over, INK, "lm")
        ends = ((left, labels[0], "lm"), (left + width - 20, labels[-1], "rm"))
        for x, label, anchor in ends if len(labels) > 1 else ends[:1]:
            put_text(draw, (x * over, (top + height - 18) * over), label[:16], 10 * over, GREY, anchor)
    caption = f"{len(samples):,} samples (lines) over {len(real):,} real rows (bars)"
    put_text(draw, (10 * over, (rows * (height + room) + 10) * over), caption, 12 * over, INK, "lm")
    return shrunk(image, over)


def _shares(real: np.ndarray, fake: np.ndarray, column: Any) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The share of each value, or of 24 ranges of values, in two columns, and what to write beneath."""
    gone = [float(np.isnan(v).mean()) if len(v) else 0.0 for v in (real, fake)]
    there = [v[~np.isnan(v)] for v in (real, fake)]
    if column.discrete:
        counts = [np.bincount(v.astype(np.int64), minlength=len(column.values)) for v in there]
        order = np.argsort(-counts[0], kind="stable")[:12]
        labels = [column.values[k].strip() for k in order]
        shares = [c[order] / max(len(v), 1) for c, v in zip(counts, (real, fake), strict=True)]
    else:
        edges = np.linspace(column.low, column.high if column.high > column.low else column.low + 1, 25)
        shares = [np.histogram(v, edges)[0] / max(len(w), 1) for v, w in zip(there, (real, fake), strict=True)]
        dates = column.type == "date"
        stamps = (np.array([column.low, column.high]) * 1e6).astype(np.int64).astype("datetime64[us]")
        labels = [str(t)[:10] for t in stamps] if dates else [tick_number(column.low), tick_number(column.high)]
    if any(gone):
        shares = [np.append(s, g) for s, g in zip(shares, gone, strict=True)]
        labels = [*labels[:-1], "missing"] if len(labels) > 1 else [*labels, "missing"]
    return shares[0], shares[1], labels
