"""What drawings have in common: inks, text, round numbers along an axis."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw, ImageFont

SIDE = 640
"""About how many pixels the longer side of a grid is to have."""
INK, GREY, FAINT, PAPER = (38, 42, 51), (122, 128, 138), (226, 229, 234), (255, 255, 255)
# Okabe & Ito's palette: told apart by colour-blind readers too. The ink is for the sum.
COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))


def put_text(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: float, colour: tuple[int, ...], anchor: str
) -> None:
    """Write a text at a place; `anchor` says what of it lies there, as Pillow has it."""
    if text:
        draw.text(at, text, fill=colour, font=ImageFont.load_default(size), anchor=anchor)


def text_width(text: str, size: float) -> float:
    """How wide a text is, in pixels."""
    return ImageFont.load_default(size).getlength(text)


def wrapped(text: str, size: float, width: float) -> list[str]:
    """A text in lines of at most that width, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def shrunk(image: Image.Image, over: int) -> Image.Image:
    """Back to the intended size: drawn larger, lines and text come out antialiased."""
    return image.resize((image.width // over, image.height // over), Image.Resampling.BOX)


def round_ticks(low: float, high: float, about: int) -> list[float]:
    """About so many round numbers in [low, high]: 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """At most about six powers of ten in [low, high]."""
    powers = [10.0**k for k in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    return powers[:: max(len(powers) // 6, 1)]


def tick_number(value: float) -> str:
    """A tick's number: 20k, 1.5M, 0.25, 1e-05."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.10g}{letter}" if abs(value) < 1e12 else f"{value:.3g}"
    return f"{value:.6g}" if value == 0 or abs(value) >= 1e-4 else f"{value:.3g}"


def short_number(value: float) -> str:
    """A value in three digits."""
    return f"{value:.3g}"
