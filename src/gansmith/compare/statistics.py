"""Means over seeds, confidence intervals, and Welch's test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..judge.protocol import Scores


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over seeds and its 95 % confidence interval (Student's t)."""

    mean: float
    """Of the values that are finite."""
    half_width: float
    """Of the interval; NaN with one value."""
    values: dict[str, float]
    """By seed."""


@dataclass(frozen=True, kw_only=True)
class Versus:
    """One group against another on one score."""

    first: str
    """A group's label."""
    second: str
    """Another's."""
    metric: str
    """The score."""
    difference: float
    """Mean of second minus first."""
    half_width: float
    """Of the difference's 95 % interval; NaN where one seed says nothing of it."""
    paired: int
    """Seeds that both have and that were subtracted one by one; 0 where the groups were compared as wholes (Welch)."""
    verdict: str
    """`win`, `tie` or `lose` of the first; `unknown` with one seed; empty for a score that has no better direction."""


Members = dict[Path, Scores]


_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)


def t_quantile(degrees: float) -> float:
    """The 97.5 % quantile of Student's t; exact to 4 digits (fractional degrees are rounded down, to be safe)."""
    whole = math.floor(degrees)
    if whole < 1:
        return math.nan
    if whole <= len(_T):
        return _T[whole - 1]
    z = 1.959963984540054
    # Expansion in 1/degrees (Abramowitz, Stegun 26.7.5).
    terms = ((z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384)
    return z + sum(term / whole ** (k + 1) for k, term in enumerate(terms))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half width of the 95 % confidence interval (Student's t); NaN width with one value."""
    n = len(values)
    if not n:
        return math.nan, math.nan
    mean = math.fsum(values) / n
    if n < 2:
        return mean, math.nan
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    return mean, t_quantile(n - 1) * deviation / math.sqrt(n)


def welch(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Difference of means (second minus first) and half width of its 95 % interval, variances not assumed equal."""
    means = [math.fsum(v) / len(v) for v in (first, second)]
    if min(len(first), len(second)) < 2:
        return means[1] - means[0], math.nan
    parts = [
        math.fsum((x - m) ** 2 for x in v) / (len(v) - 1) / len(v) for v, m in zip((first, second), means, strict=True)
    ]
    total = sum(parts)
    if total == 0:
        return means[1] - means[0], 0.0
    degrees = total**2 / sum(p**2 / (len(v) - 1) for p, v in zip(parts, (first, second), strict=True))
    return means[1] - means[0], t_quantile(degrees) * math.sqrt(total)


def _estimate(members: Members, name: str) -> Estimate:
    values: dict[str, float] = {}
    for k, scores in enumerate(members.values()):
        seed = str(scores.run.get("seed", k))
        values[seed if seed not in values else f"{seed} ({k})"] = scores.scores[name]
    mean, half_width = interval([v for v in values.values() if math.isfinite(v)])
    return Estimate(mean=mean, half_width=half_width, values=values)


def _badness(value: float, name: str, better: Mapping[str, str], floor: Mapping[str, float]) -> float:
    """Smaller is better, whatever the score's direction."""
    if math.isnan(value):
        return math.inf
    match better[name]:
        case "higher":
            return -value
        case "floor":
            return abs(value - floor.get(name, 0.0))
    return value


def _versus(
    a: str,
    b: str,
    name: str,
    estimates: Mapping[str, Mapping[str, Estimate]],
    better: Mapping[str, str],
    floor: Mapping[str, float],
) -> Versus:
    first, second = ({k: v for k, v in estimates[label][name].values.items() if math.isfinite(v)} for label in (a, b))
    both = sorted(set(first) & set(second))

    def of(turn: Any) -> tuple[float, float, int]:
        x, y = ({k: turn(v) for k, v in side.items()} for side in (first, second))
        if len(both) >= 2:
            return *interval([y[k] - x[k] for k in both]), len(both)
        return (*welch(list(x.values()), list(y.values())), 0) if x and y else (math.nan, math.nan, 0)

    difference, half_width, paired = of(lambda v: v)
    verdict = ""
    if better[name]:
        worse, reach, _ = of(lambda v: _badness(v, name, better, floor))
        verdict = "unknown" if math.isnan(reach) else "tie" if abs(worse) <= reach else "win" if worse > 0 else "lose"
    return Versus(
        first=a, second=b, metric=name, difference=difference, half_width=half_width, paired=paired, verdict=verdict
    )
