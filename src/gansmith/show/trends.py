"""What can be read off the terms of a log without looking at a picture of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .drawing import short_number

FEW = 12
"""Lines of the log below which nothing is read off them."""


def reading(log: Sequence[Mapping[str, Any]]) -> list[str]:
    """What can honestly be said of the curves, in plain sentences. Their level is not the quality of the samples."""
    groups = terms_of(log)
    found = []
    for turn, (images, terms) in groups.items():
        for name, values in terms.items():
            if not np.isfinite(values).all():
                first = int(np.flatnonzero(~np.isfinite(values))[0])
                found.append(
                    f"{turn}/{name} is not a finite number at {images[first]:,.0f} images: training broke there."
                )
    if found:
        return found
    lengths = [len(images) for images, _ in groups.values()]
    if not lengths or min(lengths) < FEW:
        return [f"Too early to read: {min(lengths, default=0)} points so far."]
    trends = {turn: _trend(np.sum(list(terms.values()), axis=0)) for turn, (_, terms) in groups.items()}
    found.append("Second half: " + ", ".join(f"the sum of {turn} {how}" for turn, how in trends.items()) + ".")
    found += _balance({turn: terms for turn, (_, terms) in groups.items()})
    found.append("The two play against each other, so no level means quality: look at the samples and score them.")
    return found


def terms_of(log: Sequence[Mapping[str, Any]]) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
    """The terms of each turn: {"D": (images shown (T,), {"real": values (T,), ...})}, in the order of the log."""
    names = list(dict.fromkeys(key for line in log for key in line if "/" in key))
    found: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]] = {}
    for turn in dict.fromkeys(name.split("/", 1)[0] for name in names):
        keys = [name for name in names if name.split("/", 1)[0] == turn]
        rows = [line for line in log if any(key in line for key in keys)]
        images = np.array([line["images"] for line in rows], np.float64)
        found[turn] = (images, {k.split("/", 1)[1]: _held(rows, k) for k in keys})
    return found


def _held(rows: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    """A term's values; lines without it, between the moves of a lazy turn, hold the value before (or the first)."""
    last = next((row[key] for row in rows if key in row), None)
    values = []
    for row in rows:
        last = row.get(key, last)
        values.append(float(last) if isinstance(last, (int, float)) else math.nan)
    return np.array(values)


def _trend(values: np.ndarray) -> str:
    """Whether the second half of a curve goes anywhere, held against its own noise."""
    half = values[len(values) // 2 :]
    a, b = half[: len(half) // 2], half[len(half) // 2 :]
    change = float(b.mean() - a.mean())
    noise = float(np.sqrt(a.var() / len(a) + b.var() / len(b)))
    scale = max(abs(float(a.mean())), 1e-12)
    if abs(change) < 3 * noise or abs(change) < 0.02 * scale:
        return "holds level" if half.std() < 0.25 * scale else "holds level but swings widely"
    return (
        f"{'rises' if change > 0 else 'falls'} from {short_number(float(a.mean()))} to {short_number(float(b.mean()))}"
    )


_EVEN = math.log(2)


def _balance(turns: Mapping[str, Mapping[str, np.ndarray]]) -> list[str]:
    """Who leads, where the terms are those of a logistic game, whose even value is known: log 2 for every score."""
    terms = turns.get("D", {})
    level = {k: float(v[-max(len(v) // 4, 1) :].mean()) for k, v in terms.items()}
    if "pairing" in level and (terms["pairing"] >= 0).all():  # relativistic: one score for a real and a fake sample
        now, even, what = level["pairing"], _EVEN, "D/pairing"
    elif {"real", "fake"} <= level.keys() and all((terms[k] >= 0).all() for k in ("real", "fake")):
        now, even, what = level["real"] + level["fake"], 2 * _EVEN, "D/real + D/fake"
    else:
        return []
    stands = f"{what} stands at {short_number(now)}; a logistic D that cannot tell real from fake stands at {even:.2f}"
    if now < 0.1 * even:
        return [f"{stands}: D tells nearly all apart, and G may get little to learn from."]
    if now < 0.9 * even:
        return [f"{stands}: D is ahead, and still challenged."]
    if now < 1.1 * even:
        return [f"{stands}: close to even, as when G has caught up, or D has not begun to learn."]
    return [f"{stands}: above even, so D is fooled more often than a coin."]
