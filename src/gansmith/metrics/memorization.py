"""Is the generator copying its training set? Distances to nearest training samples, against held-out ones.

Source: Alaa, van Breugel, Saveliev, van der Schaar, "How Faithful is your Synthetic Data?", 2022, arXiv:2102.08921
(authenticity); Meehan, Chaudhuri, Dasgupta, "A Non-Parametric Test to Detect Data-Copying in Generative
Models", 2020, arXiv:2004.05675 (C_T); Lopez-Paz, Oquab, "Revisiting Classifier Two-Sample Tests", 2017,
arXiv:1610.06545, and Xu et al., "An empirical study on evaluation metrics of generative adversarial networks", 2018,
arXiv:1806.07755 (one nearest neighbour, both sides apart); Chen, Yu, Zhang, Fritz, "GAN-Leaks", 2020,
arXiv:1909.03935 (membership by the nearest fake).

No number alone detects copying: score a planted copier and held-out data beside it, and look at the nearest pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .classifier import AreaUnderCurve, area_under_curve
from .clusters import fit_clusters
from .features import pair
from .neighbours import BLOCK_BYTES, Neighbours, nearest


def nearest_training(fake: Tensor, training: Tensor, *, k: int = 1, block_bytes: int = BLOCK_BYTES) -> Neighbours:
    """The k nearest training samples (N, d) of each fake (M, d): the pictures to show beside it.

    Raises:
        ValueError: fewer than k training samples.
    """
    return nearest(fake, training, k=k, block_bytes=block_bytes)


@dataclass(frozen=True, kw_only=True)
class ClosestPairs:
    """Fakes with the training sample each is nearest to, closest pair first."""

    fake: Tensor
    """Rows of the fakes, int64 (count,)."""
    training: Tensor
    """Rows of the training set, int64 (count,)."""
    distances: Tensor
    """Float64 (count,)."""


def closest_pairs(fake: Tensor, training: Tensor, *, count: int = 50, block_bytes: int = BLOCK_BYTES) -> ClosestPairs:
    """The `count` fakes (M, d) that lie nearest to a training sample (N, d); each fake once.

    Raises:
        ValueError: count is not in 1 ... M.
    """
    if not 1 <= count <= len(fake):
        raise ValueError(f"count is {count}; with {len(fake)} fakes it is 1 to {len(fake)}")
    found = nearest(fake, training, block_bytes=block_bytes)
    distances, rows = found.distances[:, 0].sort(stable=True)
    return ClosestPairs(fake=rows[:count], training=found.indices[rows[:count], 0], distances=distances[:count])


def authenticity(training: Tensor, fake: Tensor, *, block_bytes: int = BLOCK_BYTES) -> float:
    """Share of fakes (M, d) farther from their nearest training sample than that sample is from its own nearest.

    In [0, 1]: 0 for a copier. Held-out data scores well below 1 (about 1/2 in the simplest cases), so compare with it.

    Raises:
        ValueError: fewer than 2 training samples.
    """
    training, fake = pair(training, fake, names=("training", "fake"))
    to_training = nearest(fake, training, block_bytes=block_bytes)
    own = nearest(training, training, exclude_self=True, block_bytes=block_bytes).distances[:, 0]
    return float((to_training.distances[:, 0] > own[to_training.indices[:, 0]]).double().mean())


@dataclass(frozen=True, kw_only=True)
class DataCopying:
    """C_T: far below 0 is copying, far above 0 underfitting; about normal with variance <= 1 for a perfect model."""

    value: float
    """The weighted mean of the cells' z-scores."""
    z_scores: tuple[float, ...]
    """Of each cell that counts."""
    weights: tuple[float, ...]
    """Share of the held-out samples in each cell that counts."""
    cells: tuple[int, ...]
    """Which cells count: those with enough fakes, held-out and training samples."""
    num_cells: int
    """Cells of the partition."""


def data_copying(
    training: Tensor,
    held_out: Tensor,
    fake: Tensor,
    *,
    seed: int,
    num_cells: int = 10,
    fewest: int = 20,
    block_bytes: int = BLOCK_BYTES,
) -> DataCopying:
    """C_T: are fakes nearer to the training set than held-out real samples are?

    In each k-means cell of the training set: the Mann-Whitney U of the fakes' distances to their nearest training
    sample of the cell over the held-out samples' distances, z-scored (ties counted half, variance corrected for them);
    then their mean weighted by the held-out samples in the cell.

    Args:
        training: what the generator was trained on (T, d).
        held_out: real samples it never saw (N, d).
        fake: its samples (M, d).
        seed: of the k-means.
        num_cells: cells of the partition.
        fewest: a cell counts if it holds at least this many fakes (20 in the paper) and any held-out sample.
        block_bytes: what a block of distances may take.

    Raises:
        ValueError: no cell counts.
    """
    training, held_out = pair(training, held_out, names=("training", "held_out"))
    training, fake = pair(training, fake, names=("training", "fake"))
    clusters = fit_clusters(training, num_clusters=num_cells, seed=seed)
    sides = [(s, clusters.assign(s)) for s in (training, held_out, fake)]
    cells, scores, weights = [], [], []
    for cell in range(num_cells):
        known, unseen, made = (side[labels == cell] for side, labels in sides)
        if len(made) < max(1, fewest) or not len(unseen) or not len(known):
            continue
        far_made, far_unseen = (
            nearest(side, known, block_bytes=block_bytes).distances[:, 0] for side in (made, unseen)
        )
        cells.append(cell)
        scores.append(_mann_whitney(far_made, far_unseen))
        weights.append(len(unseen) / len(held_out))
    if not cells:
        raise ValueError(
            f"no cell of {num_cells} holds {fewest} fakes and a held-out sample: pass fewer num_cells or draw more"
        )
    value = sum(w * z for w, z in zip(weights, scores, strict=True)) / sum(weights)
    return DataCopying(
        value=value, z_scores=tuple(scores), weights=tuple(weights), cells=tuple(cells), num_cells=num_cells
    )


@dataclass(frozen=True, kw_only=True)
class OneNearestNeighbour:
    """Leave-one-out accuracy of the nearest-neighbour classifier, both sides apart; 1/2 for equal distributions."""

    real: float
    """Share of real samples whose nearest other sample is real."""
    fake: float
    """Share of fakes whose nearest other sample is fake. Both below 1/2: copying; fake 1 and real 0: collapse."""
    accuracy: float
    """Their mean."""
    num_samples: int
    """Samples of each side."""


def one_nearest_neighbour(real: Tensor, fake: Tensor, *, block_bytes: int = BLOCK_BYTES) -> OneNearestNeighbour:
    """Leave-one-out accuracies of real and of fake (N, d) features; a tie between the sides counts half.

    Raises:
        ValueError: unequal counts (chance would not be 1/2), or fewer than 2 samples.
    """
    real, fake = pair(real, fake, 2)
    if len(real) != len(fake):
        raise ValueError(
            f"{len(real)} real and {len(fake)} fake samples; chance is 1/2 only with equal counts: draw equally many"
        )

    def accuracy(own: Tensor, other: Tensor) -> float:
        within = nearest(own, own, exclude_self=True, block_bytes=block_bytes).distances
        across = nearest(own, other, block_bytes=block_bytes).distances
        return float((within < across).double().mean() + (within == across).double().mean() / 2)

    on_real, on_fake = accuracy(real, fake), accuracy(fake, real)
    return OneNearestNeighbour(real=on_real, fake=on_fake, accuracy=(on_real + on_fake) / 2, num_samples=len(real))


@dataclass(frozen=True, kw_only=True)
class MembershipAttack:
    """How well training samples are told from held-out ones by their distance to the nearest fake."""

    auc: AreaUnderCurve
    """1/2: nothing leaks; above .9: a memoriser."""
    true_positives: float
    """Share of training samples found at a false alarm rate of at most `false_positives`."""
    false_positives: float
    """The false alarm rate allowed."""


def membership_attack(
    training: Tensor,
    held_out: Tensor,
    fake: Tensor,
    *,
    false_positives: float = 0.01,
    block_bytes: int = BLOCK_BYTES,
) -> MembershipAttack:
    """The black-box attack of GAN-Leaks: a sample is taken for a member if a fake lies near it.

    Args:
        training: what the generator was trained on (T, d).
        held_out: real samples it never saw (N, d).
        fake: its samples (M, d); more make a stronger attack.
        false_positives: allowed share of held-out samples taken for members, in (0, 1).
        block_bytes: what a block of distances may take.

    Raises:
        ValueError: fewer than 2 samples in training or held_out, or `false_positives` out of range.
    """
    if not 0 < false_positives < 1:
        raise ValueError(f"false_positives is {false_positives}; it is a share in (0, 1)")
    training, held_out = pair(training, held_out, 2, names=("training", "held_out"))
    members, others = (-nearest(s, fake, block_bytes=block_bytes).distances[:, 0] for s in (training, held_out))
    # The highest score that still lets at most that share of the others pass: strictly above the next one.
    allowed = int(false_positives * len(others))
    bar = others.sort(descending=True).values[allowed]
    return MembershipAttack(
        auc=area_under_curve(members, others),
        true_positives=float((members > bar).double().mean()),
        false_positives=false_positives,
    )


def _mann_whitney(first: Tensor, second: Tensor) -> float:
    """The z-score of U = #(first > second) + #ties / 2 under equal distributions."""
    n, m = len(first), len(second)
    ordered = second.sort().values
    below = torch.searchsorted(ordered, first)
    upto = torch.searchsorted(ordered, first, right=True)
    u = float((below + upto).double().sum() / 2)
    ties = torch.cat([first, second]).unique(return_counts=True)[1].double()
    total = n + m
    # Each group of t tied values takes (t^3 - t) from the variance's sum.
    variance = n * m / 12 * (total + 1 - float((ties**3 - ties).sum()) / (total * (total - 1)))
    return (u - n * m / 2) / variance**0.5 if variance > 0 else 0.0
