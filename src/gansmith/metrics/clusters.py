"""A partition of feature space by k-means, fitted once and used on any features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .features import checked
from .neighbours import nearest


@dataclass(frozen=True, kw_only=True, eq=False)
class Clusters:
    """The cells nearest to each of K centres."""

    centres: Tensor
    """(K, d)."""

    def assign(self, features: Tensor) -> Tensor:
        """The cell (N,) int64 of each row of features (N, d)."""
        return nearest(features, self.centres).indices[:, 0]

    def counts(self, features: Tensor) -> Tensor:
        """How many rows of features (N, d) lie in each cell, int64 (K,)."""
        return torch.bincount(self.assign(features), minlength=len(self.centres))


def fit_clusters(features: Tensor, *, num_clusters: int, seed: int) -> Clusters:
    """k-means with k-means++ starts (scikit-learn, one start) on features (N, d).

    Raises:
        ValueError: num_clusters is not in 1 ... N.
    """
    from sklearn.cluster import KMeans

    features = checked(features, "features")
    if not 1 <= num_clusters <= len(features):
        raise ValueError(f"num_clusters is {num_clusters}; with {len(features)} samples it is 1 to {len(features)}")
    found = KMeans(n_clusters=num_clusters, n_init=1, random_state=seed).fit(features.cpu().numpy())
    return Clusters(centres=torch.from_numpy(found.cluster_centers_).to(features.device, features.dtype))


def matched(assigned: Tensor, labels: Tensor) -> tuple[float, float]:
    """How well clusters (N,) tell classes (N,): accuracy when each cluster is matched with one class at most, so that
    the most samples are right (the Hungarian method), and purity, when each stands for the class that most of it has.

    Purity is never lower, and 1 for as many clusters as samples. Raises `ValueError` for other shapes or none.
    """
    from scipy.optimize import linear_sum_assignment

    if assigned.shape != labels.shape or assigned.dim() != 1 or not len(labels):
        raise ValueError(f"assigned is {tuple(assigned.shape)} and labels {tuple(labels.shape)}: both must be (N,)")
    rows, columns = int(assigned.max()) + 1, int(labels.max()) + 1
    table = torch.bincount(assigned * columns + labels, minlength=rows * columns).view(rows, columns).cpu().numpy()
    best = linear_sum_assignment(table, maximize=True)
    return float(table[best].sum() / len(labels)), float(table.max(1).sum() / len(labels))
