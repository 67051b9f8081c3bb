"""The curves of the terms, with a reading of them underneath."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from .drawing import (
    COLOURS,
    FAINT,
    GREY,
    INK,
    PAPER,
    log_ticks,
    put_text,
    round_ticks,
    short_number,
    shrunk,
    text_width,
    tick_number,
    wrapped,
)
from .files import SOFTWARE, write_png
from .trends import FEW, reading, terms_of


def curves(log: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the terms of each turn over the images shown, with a reading of them in plain English underneath.

    `log`: the lines of log.jsonl; a term is a key such as `D/real`. One panel a turn, one line a term (smoothed, over
    the faint raw values) and, of several terms, one for their sum.
    """
    over, width, panel, left, right = 2, 960, 300, 76, 24
    groups = terms_of(log)
    lines = [piece for sentence in reading(log) for piece in wrapped(sentence, 13 * over, (width - 2 * 28) * over)]
    height = 56 + panel * max(len(groups), 1) + 24 + 20 * len(lines) + 16
    image = Image.new("RGB", (width * over, height * over), PAPER)
    draw = ImageDraw.Draw(image)
    put_text(draw, (28 * over, 28 * over), "Terms of each player's loss", 19 * over, INK, "lm")
    if not groups:
        put_text(draw, (28 * over, (56 + panel // 2) * over), "the log holds no terms yet", 14 * over, GREY, "lm")
    for i, (turn, (images, terms)) in enumerate(groups.items()):
        box = (left * over, (56 + panel * i + 34) * over, (width - right) * over, (56 + panel * (i + 1) - 38) * over)
        _panel(image, box, turn, images, terms, over, last=i == len(groups) - 1)
    y = 56 + panel * max(len(groups), 1) + 24
    for k, line in enumerate(lines):
        put_text(draw, (28 * over, (y + 20 * k) * over), line, 13 * over, INK, "lm")
    write_png(shrunk(image, over), path, {"Software": SOFTWARE})


@dataclass(frozen=True, kw_only=True)
class _Axes:
    """Where values lie on the picture."""

    box: tuple[int, int, int, int]
    """Left, top, right, bottom in pixels."""
    images: np.ndarray
    """(T,) images shown, the horizontal axis."""
    low: float
    high: float
    logarithmic: bool

    def x(self, images: np.ndarray) -> np.ndarray:
        """Pixels of numbers of images."""
        first, last = self.images[0], self.images[-1]
        return self.box[0] + (images - first) / max(last - first, 1e-9) * (self.box[2] - self.box[0])

    def y(self, values: np.ndarray) -> np.ndarray:
        """Pixels of values."""
        transform = np.log10 if self.logarithmic else np.asarray
        low, high = transform(self.low), transform(self.high)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.box[3] - (transform(values) - low) / (high - low) * (self.box[3] - self.box[1])


_Shown = list[tuple[str, np.ndarray, tuple[int, int, int]]]
"""Name, values (T,) and colour of each line."""


def _panel(
    image: Image.Image,
    box: tuple[int, int, int, int],
    turn: str,
    images: np.ndarray,
    terms: dict[str, np.ndarray],
    over: int,
    *,
    last: bool,
) -> None:
    x0, y0, x1, y1 = box
    draw = ImageDraw.Draw(image)
    shown: _Shown = [(name, values, COLOURS[i % len(COLOURS)]) for i, (name, values) in enumerate(terms.items())]
    if len(terms) > 1:
        shown.append(("sum", np.sum(list(terms.values()), axis=0), INK))
    finite = np.concatenate([v[np.isfinite(v)] for _, v, _ in shown])
    finite = finite if len(finite) else np.zeros(1)
    logarithmic = _wants_log(finite)
    low, high = _limits(finite, logarithmic)
    axes = _Axes(box=box, images=images, low=low, high=high, logarithmic=logarithmic)
    _ticks(draw, axes, over, last=last)

    # Lines are drawn on a layer of their own, so that what leaves the limits is cut at the frame.
    layer = image.crop(box)
    pen = ImageDraw.Draw(layer)
    for faint in (True, False):
        for _, values, colour in shown:
            drawn = values if faint else _smooth(values)
            tone = tuple(round(255 - (255 - c) * 0.25) for c in colour) if faint else colour
            _line(pen, axes.x(images) - x0, axes.y(drawn) - y0, tone, over * (1 if faint else 2), (y1 - y0))
    image.paste(layer, (x0, y0))
    draw.line((x0, y0, x0, y1), fill=GREY, width=over)
    draw.line((x0, y1, x1, y1), fill=GREY, width=over)

    _legend(draw, (x0, y0), turn, shown, over)
    notes = ["logarithmic scale"] if logarithmic else []
    if cut := int(np.count_nonzero((finite < low) | (finite > high))):
        notes.append(f"{cut:,} of {len(finite):,} values outside")
    put_text(draw, (x1, y0 - 16 * over), ", ".join(notes), 11 * over, GREY, "rm")


def _ticks(draw: ImageDraw.ImageDraw, axes: _Axes, over: int, *, last: bool) -> None:
    """Round numbers along both axes; under the last panel also what the lower one is."""
    x0, _, x1, y1 = axes.box
    for value in log_ticks(axes.low, axes.high) if axes.logarithmic else round_ticks(axes.low, axes.high, 5):
        y = float(axes.y(np.asarray(value)))
        draw.line((x0, y, x1, y), fill=GREY if value == 0 else FAINT, width=over)
        put_text(draw, (x0 - 8 * over, y), tick_number(value), 11 * over, GREY, "rm")
    first, end = float(axes.images[0]), float(axes.images[-1])
    for value in round_ticks(first, end, 8) if len(axes.images) > 1 else [first]:
        x = float(axes.x(np.asarray(value)))
        draw.line((x, y1, x, y1 + 4 * over), fill=GREY, width=over)
        put_text(draw, (x, y1 + 7 * over), tick_number(value), 11 * over, GREY, "mt")
    if last:
        put_text(draw, (x1, y1 + 22 * over), "images shown", 11 * over, GREY, "rt")


def _legend(draw: ImageDraw.ImageDraw, place: tuple[int, int], turn: str, shown: _Shown, over: int) -> None:
    """Above the panel: whose steps, and each line's name with its newest value."""
    at: float
    at, y0 = place
    title = f"{turn} steps"
    put_text(draw, (at, y0 - 16 * over), title, 14 * over, INK, "lm")
    at += text_width(title, 14 * over) + 22 * over
    for name, values, colour in shown:
        end = values[np.isfinite(values)]
        label = f"{name} {short_number(float(_smooth(end)[-1]))}" if len(end) else name
        draw.line((at, y0 - 16 * over, at + 16 * over, y0 - 16 * over), fill=colour, width=3 * over)
        put_text(draw, (at + 21 * over, y0 - 16 * over), label, 12 * over, INK, "lm")
        at += text_width(label, 12 * over) + 40 * over


def _wants_log(values: np.ndarray) -> bool:
    """Whether positive values spread over more than two and a half decades in their middle 90 %."""
    if values.min() <= 0:
        return False
    low, high = np.percentile(values, (5, 95))
    return bool(high / low > 300)


def _limits(values: np.ndarray, logarithmic: bool) -> tuple[float, float]:
    """Robust limits: what lies beyond them may be cut, but only where it would flatten the rest."""
    low, high = np.percentile(values, (2, 98))
    if logarithmic:
        return float(max(values.min(), low / 3)) / 1.2, float(min(values.max(), high * 3)) * 1.2
    spread = high - low
    if spread <= 1e-9 * max(abs(high), 1e-9):
        room = abs(high) * 0.1 or 1.0
        return float(low - room), float(high + room)
    low, high = max(values.min(), low - spread), min(values.max(), high + spread)
    if 0 < low < 0.35 * high:
        low = 0.0
    elif 0.35 * low < high < 0:
        high = 0.0
    margin = 0.06 * (high - low)
    return float(low - (margin if low else 0.0)), float(high + (margin if high else 0.0))


def _smooth(values: np.ndarray) -> np.ndarray:
    """A moving median over a thirtieth of the curve, so that single spikes leave no trace; not finite stays so."""
    half = len(values) // 60
    if half < 1 or len(values) < FEW:
        return values
    padded = np.concatenate(
        [np.full(half, np.nan), np.where(np.isfinite(values), values, np.nan), np.full(half, np.nan)]
    )
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a window of nothing finite has no median: it stays NaN
        return np.where(np.isfinite(values), np.nanmedian(windows, axis=1), np.nan)


def _line(
    pen: ImageDraw.ImageDraw, x: np.ndarray, y: np.ndarray, colour: tuple[int, ...], width: int, height: int
) -> None:
    y = np.clip(y, -height, 2 * height)  # far outside, the pen would overflow
    start = 0
    for end in [*np.flatnonzero(~np.isfinite(y)).tolist(), len(y)]:
        piece = list(zip(x[start:end].tolist(), y[start:end].tolist(), strict=True))
        if len(piece) > 1:
            pen.line(piece, fill=colour, width=width, joint="curve")
        elif piece:
            (a, b), r = piece[0], 2 * width
            pen.ellipse((a - r, b - r, a + r, b + r), fill=colour)
        start = end + 1
