"""The search for the training samples nearest to samples of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data import Store
from ..metrics import nearest_training
from ..show import Near
from .spaced import spaced

SHOWN = 6
"""Samples shown beside their nearest training pictures: as many as drawn, and as many of those that lie nearest."""
_NEAREST = 3
"""Training pictures beside each; the style has columns for them."""
_READ_BYTES = 2**31
"""What is read of the training data; of larger data, evenly spaced samples."""


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Samples and their nearest training samples, by the distance that `Show.near` says."""

    samples: np.ndarray
    """Rows of the samples drawn, those shown: first as drawn, then the nearest."""
    training: np.ndarray
    """(len(samples), 3) rows of the training data."""
    distances: np.ndarray
    """Distances to those training rows (len(samples), 3)."""
    of_samples: np.ndarray
    """To the nearest, of every sample drawn (N,)."""
    of_training: np.ndarray
    """To the nearest other, of some training samples: what the distances are to be held against."""
    searched: int
    """Training samples searched."""


def search(samples: np.ndarray, store: Store, near: Near) -> Neighbours | None:
    """The nearest training samples, a slice of the data at a time, so that any size is searched in little memory.

    None if there are too few to be searched.
    """
    x = store.fields["x"]
    if len(x) <= _NEAREST + 1:
        return None

    def flat(part: np.ndarray) -> Tensor:
        """(N, d), so scaled that Euclidean distances are those of `Neighbours`."""
        values = torch.from_numpy(np.array(part)).to(torch.float32).flatten(1).div_(near.scale)
        return values.div_(values.shape[1] ** 0.5) if near.mean else values

    rows = spaced(len(x), max(_READ_BYTES // x[:1].nbytes, 1_000))
    witnesses = spaced(len(rows), 128)  # positions in rows
    queries = torch.cat([flat(samples), flat(x[rows[witnesses]])])
    own = torch.full((len(queries),), -1)
    own[len(samples) :] = torch.from_numpy(rows[witnesses])
    best = torch.full((len(queries), _NEAREST), torch.inf, dtype=torch.float64)
    index = torch.full((len(queries), _NEAREST), -1)
    step = max(2**27 // (4 * queries.shape[1]), _NEAREST + 1)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        found = nearest_training(queries, flat(x[part]), k=min(_NEAREST + 1, len(part)))
        which = torch.from_numpy(part)[found.indices]
        distances = found.distances.masked_fill(which == own[:, None], torch.inf)  # no sample is its own neighbour
        best, order = torch.cat([best, distances], 1).sort(dim=1, stable=True)
        index = torch.cat([index, which], 1).gather(1, order)[:, :_NEAREST]
        best = best[:, :_NEAREST]
    n = len(samples)
    first = min(SHOWN, n)
    nearest = [i for i in best[:n, 0].argsort(stable=True).tolist() if i >= first][:SHOWN]
    chosen = np.array([*range(first), *nearest])
    return Neighbours(
        samples=chosen,
        training=index[chosen].numpy(),
        distances=best[chosen].numpy(),
        of_samples=best[:n, 0].numpy(),
        of_training=best[n:, 0].numpy(),
        searched=len(rows),
    )
