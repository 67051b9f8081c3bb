"""Tables: column shapes, pair trends, what a classifier learns from samples, whether they lie nearer to training rows.

Rows are float64 (N, D) as the kind `table` stores them: numbers as they are, categories as indices, NaN where missing;
`discrete` says which columns are indices. Shapes and trends are defined as in sdmetrics (DataCebo, MIT licence), and
tested against it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

BINS = 10


def ks_complement(real: np.ndarray, fake: np.ndarray) -> float:
    """1 minus the Kolmogorov-Smirnov distance of two columns of numbers (N,), (M,): 1 if distributed alike.

    Missing cells do not count; NaN if a column has no others.
    """
    real, fake = (np.sort(v[~np.isnan(v)]) for v in (real, fake))
    if not len(real) or not len(fake):
        return math.nan
    every = np.concatenate((real, fake))
    reached = (np.searchsorted(v, every, side="right") / len(v) for v in (real, fake))
    return 1.0 - float(np.abs(np.subtract(*reached)).max())


def tv_complement(real: np.ndarray, fake: np.ndarray) -> float:
    """1 minus the total variation distance of two columns of categories (N,), (M,); missing cells do not count."""
    real, fake = (v[~np.isnan(v)] for v in (real, fake))
    if not len(real) or not len(fake):
        return math.nan
    return 1.0 - _variation(real[:, None], fake[:, None])


def correlation_similarity(real: np.ndarray, fake: np.ndarray) -> float:
    """1 - |difference of Pearson's r| / 2 of two columns of numbers (N, 2), (M, 2); NaN if one of them is constant.

    Rows with a missing cell do not count.
    """
    found = []
    for pair in (real, fake):
        whole = pair[~np.isnan(pair).any(1)]
        if len(whole) < 2 or (whole == whole[0]).all(0).any():
            return math.nan
        found.append(np.corrcoef(whole.T)[0, 1])
    return 1.0 - abs(float(found[0] - found[1])) / 2


def contingency_similarity(real: np.ndarray, fake: np.ndarray) -> float:
    """1 minus the total variation distance of two columns' joint frequencies (N, 2), (M, 2).

    A missing cell is a value of its own.
    """
    return 1.0 - _variation(np.nan_to_num(real, nan=-1.0), np.nan_to_num(fake, nan=-1.0))


def _variation(real: np.ndarray, fake: np.ndarray) -> float:
    """Half the summed absolute difference of the frequencies of rows."""
    _, inverse = np.unique(np.concatenate((real, fake)), axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    shares = [
        np.bincount(part, minlength=int(inverse.max()) + 1) / len(part)
        for part in (inverse[: len(real)], inverse[len(real) :])
    ]
    return float(np.abs(shares[0] - shares[1]).sum()) / 2


def binned(real: np.ndarray, fake: np.ndarray, bins: int = BINS) -> tuple[np.ndarray, np.ndarray]:
    """Two columns of numbers as numbers of equal ranges of the real one; what lies beyond is in the outer ones.

    Missing cells stay NaN.
    """
    edges = np.histogram_bin_edges(real[~np.isnan(real)], bins)[1:-1]
    first, second = (np.where(np.isnan(v), math.nan, np.digitize(v, edges)) for v in (real, fake))
    return first, second


def column_shapes(real: np.ndarray, fake: np.ndarray, discrete: Sequence[bool]) -> np.ndarray:
    """The complement of each column's distance, (D,): total variation of categories, Kolmogorov-Smirnov of numbers."""
    compare = (tv_complement if d else ks_complement for d in discrete)
    return np.array([f(real[:, j], fake[:, j]) for j, f in enumerate(compare)])


def pair_trends(real: np.ndarray, fake: np.ndarray, discrete: Sequence[bool]) -> np.ndarray:
    """The similarity of each pair of columns, (D, D), NaN on the diagonal and where it cannot be told.

    Two columns of numbers: `correlation_similarity`; others: `contingency_similarity`, numbers in ten equal ranges.
    """
    size = len(discrete)
    found = np.full((size, size), math.nan)
    parts = [(real[:, j], fake[:, j]) if discrete[j] else binned(real[:, j], fake[:, j]) for j in range(size)]
    for i in range(size):
        for j in range(i):
            if discrete[i] or discrete[j]:
                pair = [np.stack((parts[i][k], parts[j][k]), 1) for k in (0, 1)]
                found[i, j] = found[j, i] = contingency_similarity(*pair)
            else:
                found[i, j] = found[j, i] = correlation_similarity(real[:, [i, j]], fake[:, [i, j]])
    return found


# --- what can be learnt from samples ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Features:
    """Rows as classifiers take them: numbers standardised, categories one-hot, missing cells marked."""

    discrete: tuple[bool, ...]
    target: int
    means: tuple[float, ...]
    scales: tuple[float, ...]
    places: tuple[int, ...]
    """How many values a discrete column has."""

    @classmethod
    def of(cls, rows: np.ndarray, discrete: Sequence[bool], target: int, places: Sequence[int]) -> Features:
        """Measured on the rows (N, D) that are learnt from, and on no others."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a column with no values
            means, scales = np.nanmean(rows, 0), np.nanstd(rows, 0)
        return cls(
            discrete=tuple(map(bool, discrete)),
            target=target,
            means=tuple(float(m) for m in np.nan_to_num(means)),
            scales=tuple(float(s) if s > 0 else 1.0 for s in np.nan_to_num(scales)),
            places=tuple(places),
        )

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Rows (N, D) without their target as (N, F) float64."""
        parts = []
        for j, discrete in enumerate(self.discrete):
            if j == self.target:
                continue
            x = rows[:, j : j + 1]
            if discrete:
                parts.append((x == np.arange(self.places[j])).astype(np.float64))
            else:
                parts.append(np.nan_to_num((x - self.means[j]) / self.scales[j]))
            if np.isnan(rows[:, j]).any() or discrete:
                parts.append(np.isnan(x).astype(np.float64) if discrete else np.zeros_like(x))
        return np.concatenate(parts, 1)


def efficacy(
    train: np.ndarray, test: np.ndarray, discrete: Sequence[bool], target: int, places: Sequence[int], *, seed: int = 0
) -> dict[str, float]:
    """What {decision tree, AdaBoost, logistic regression, MLP} learn from rows `train`, told on the real rows `test`.

    F1 of the rarer class of a two-valued target (in the test rows), macro F1 of more values; of a numeric target R2 of
    {decision tree, ridge, MLP}. The settings are those of the benchmark of Xu et al., 2019, arXiv:1907.00503, 5:
    trees of depth 15, balanced classes for tree and regression, one hidden layer of 50 units, 50 passes. A numeric
    target is standardised by the rows that are learnt from, and the MLP takes at least 2,000 moves, or it is not there
    yet where rows are few.

    **Test rows must be real, and seen neither by the generator nor in `train`**: rows that both hold raise `ValueError`
    if they are more than half of the test rows.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import f1_score, r2_score

    _guard(train, test)
    train, test = (rows[~np.isnan(rows[:, target])] for rows in (train, test))
    features = Features.of(train, discrete, target, places)
    x, y, held, truth = features(train), train[:, target], features(test), test[:, target]
    classes, counts = np.unique(truth, return_counts=True)
    found: dict[str, float] = {}
    middle, scale = (0.0, 1.0) if discrete[target] or not len(y) else (float(y.mean()), float(y.std()) or 1.0)
    for name, learner in _learners(bool(discrete[target]), seed, len(y)).items():
        if len(np.unique(y)) < 2:
            guess = np.full(len(truth), y[0] if len(y) else math.nan)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                guess = learner.fit(x, y if discrete[target] else (y - middle) / scale).predict(held)
        if not discrete[target]:
            found[name] = float(r2_score(truth, guess * scale + middle if len(np.unique(y)) > 1 else guess))
        elif len(classes) == 2:
            rarer = classes[counts.argmin()]
            found[name] = float(f1_score(truth, guess, pos_label=rarer, average="binary", zero_division=0.0))
        else:
            found[name] = float(f1_score(truth, guess, average="macro", zero_division=0.0))
    return found


def _learners(classify: bool, seed: int, rows: int) -> dict[str, Any]:
    from sklearn.ensemble import AdaBoostClassifier
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if not classify:
        return {
            "decision tree": DecisionTreeRegressor(max_depth=15, random_state=seed),
            "ridge": Ridge(),
            "MLP": MLPRegressor(
                hidden_layer_sizes=(50,), max_iter=max(50, 400_000 // max(rows, 200)), random_state=seed
            ),
        }
    return {
        "decision tree": DecisionTreeClassifier(max_depth=15, class_weight="balanced", random_state=seed),
        "AdaBoost": AdaBoostClassifier(random_state=seed),
        "logistic regression": LogisticRegression(class_weight="balanced", max_iter=50, random_state=seed),
        "MLP": MLPClassifier(hidden_layer_sizes=(50,), max_iter=50, random_state=seed),
    }


def _guard(train: np.ndarray, test: np.ndarray) -> None:
    known = {row.tobytes() for row in np.ascontiguousarray(train)}
    seen = sum(row.tobytes() in known for row in np.ascontiguousarray(test)) / max(len(test), 1)
    if seen > 0.5:
        raise ValueError(
            f"{seen:.0%} of the test rows are among the rows that are learnt from: test on real rows that neither the "
            "generator nor the classifier has seen"
        )


# --- copies -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Nearer:
    """Whether samples lie nearer to training rows than to as many others."""

    share: float
    """Of the samples whose closest record is a training row; ties count half. 0.5 is what new rows give."""
    to_training: float
    """The median distance to the closest training row."""
    to_holdout: float
    """The median distance to the closest row of the holdout."""
    exact: float
    """The share of samples that are a training row, to the last cell."""


def closest_records(
    fake: np.ndarray, training: np.ndarray, holdout: np.ndarray, discrete: Sequence[bool], places: Sequence[int]
) -> Nearer:
    """Distances of samples (N, D) to their closest records among training and holdout rows, as many of each.

    Gower's distance, summed over columns: numbers in units of the range of the training rows, 1 for another category;
    a missing number is 1 away from any (and stands at the mean). Raises `ValueError` if the two differ in number: the
    larger set would be nearer by chance.
    """
    if len(training) != len(holdout):
        raise ValueError(f"{len(training)} training rows against {len(holdout)} others: as many of each are needed")
    low, high = np.nanmin(training, 0), np.nanmax(training, 0)
    span, mean = np.where(high > low, high - low, 1.0), np.nanmean(training, 0)

    def vectors(rows: np.ndarray) -> torch.Tensor:
        parts = []
        for j, d in enumerate(discrete):
            x = rows[:, j : j + 1]
            gone = np.isnan(x)
            if d:
                parts += [(x == np.arange(places[j])) / 2, gone / 2]
            else:
                parts += [np.where(gone, mean[j], x) / span[j], gone]
        return torch.from_numpy(np.concatenate(parts, 1)).float()

    a, known, other = vectors(fake), vectors(training), vectors(holdout)
    first, second = ([torch.cdist(block, side, p=1).min(1).values for block in a.split(512)] for side in (known, other))
    near, far = torch.cat(first), torch.cat(second)
    tie = (near - far).abs() < 1e-6
    share = torch.where(tie, 0.5, (near < far).float()).mean()
    held = {row.tobytes() for row in np.ascontiguousarray(training)}
    exact = sum(row.tobytes() in held for row in np.ascontiguousarray(fake)) / len(fake)
    return Nearer(share=float(share), to_training=float(near.median()), to_holdout=float(far.median()), exact=exact)
