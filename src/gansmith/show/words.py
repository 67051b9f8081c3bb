"""Numbers, durations and counts as they are printed."""

from __future__ import annotations

import math


def number(value: float | None) -> str:
    """A score in three digits, from 1,000 on and where it is whole without fraction; `-` if there is none or NaN."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1_000 or value == int(value) else f"{value:.3g}"


def duration(seconds: float) -> str:
    """A duration to the second: 3.2 s, 4 min 5 s, 2 h 30 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def count(images: int) -> str:
    """About so many, in two digits, as one would type it: 640, 13k, 1.5M."""
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if images >= size:
            return f"{float(f'{images / size:.2g}'):g}{letter}"
    return str(images)
