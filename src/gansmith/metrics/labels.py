"""Whether samples are of the class that was asked for, as a fixed classifier sees them.

Source: Shmelkov, Schmid, Alahari, "How good is my GAN?", 2018, arXiv:1807.09499 (GAN-test: a classifier of real data,
on samples and the labels they were asked for); Kuhn, "The Hungarian method for the assignment problem", 1955.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How often the classifier sees what was asked for."""

    accuracy: float
    """Of all samples, in [0, 1]."""
    by_class: tuple[float, ...]
    """Of the samples asked to be of each class (or code); NaN where none was."""
    control: float
    """The same with the asked classes exchanged at random among the samples: what no conditioning would give."""
    mapping: tuple[int, ...]
    """The class that each asked number stands for; -1 where there are more codes than classes."""


def agreement(asked: np.ndarray, seen: np.ndarray, classes: int, *, seed: int, codes: int = 0) -> Agreement:
    """Agreement of the asked classes (n,) with the seen ones (n,), both int64 in [0, classes).

    With `codes`, `asked` holds codes in [0, codes) that mean nothing as such: each is matched to at most one class, by
    the one-to-one map with the highest accuracy. The control is matched anew, so that it has the same freedom.

    Raises:
        ValueError: the arrays differ in length or are empty, or hold something out of range.
    """
    asked, seen = np.asarray(asked), np.asarray(seen)
    if asked.shape != seen.shape or asked.ndim != 1 or not len(asked):
        raise ValueError(f"asked has shape {asked.shape} and seen {seen.shape}; both are (n,) with n >= 1")
    rows = codes or classes
    for name, values, most in (("asked", asked, rows), ("seen", seen, classes)):
        if values.min() < 0 or values.max() >= most:
            raise ValueError(f"{name} goes from {values.min()} to {values.max()}; it must lie in [0, {most})")
    table = _counts(asked, seen, rows, classes)
    mapping = _best(table) if codes else np.arange(classes)
    shuffled = np.random.Generator(np.random.Philox(key=[seed % 2**64, 13])).permutation(asked)
    other = _counts(shuffled, seen, rows, classes)
    total = table.sum(1)
    hits = _hits(table, mapping)
    with np.errstate(invalid="ignore"):
        by_class = hits / total
    return Agreement(
        accuracy=float(hits.sum() / len(asked)),
        by_class=tuple(float(v) for v in by_class),
        control=float(_hits(other, _best(other) if codes else mapping).sum() / len(asked)),
        mapping=tuple(int(k) for k in mapping),
    )


def _counts(asked: np.ndarray, seen: np.ndarray, rows: int, classes: int) -> np.ndarray:
    return np.bincount(asked * classes + seen, minlength=rows * classes).reshape(rows, classes)


def _best(table: np.ndarray) -> np.ndarray:
    from scipy.optimize import linear_sum_assignment

    mapping = np.full(len(table), -1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    mapping[rows] = columns
    return mapping


def _hits(table: np.ndarray, mapping: np.ndarray) -> np.ndarray:
    found = table[np.arange(len(table)), mapping.clip(min=0)]
    return np.where(mapping >= 0, found, 0)
