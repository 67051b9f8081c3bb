"""Copies of training samples: equal byte for byte, or nearer to training samples than held-out real ones are.

A judge of any kind that stores its samples as arrays of numbers composes a `Copies`; only text looks token by token.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor

from .. import metrics as M
from ..metrics.features import wide
from .judge import Better, Judgement
from .real import Real, hashes_of

BETTER: Final[Mapping[str, Better]] = {
    "exact copies": "lower",
    "near copies": "floor",
    "authenticity": "floor",
    "C_T": "floor",
}
MOST_PAIRS = 50
"""The closest pairs that are told."""


class Copies:
    """The training samples, and how samples lie to them in a space that no training saw.

    Not an encoder's features: an encoder trained on the training set knows that set better than held-out data.
    """

    def __init__(self, real: Real, flat: Callable[[np.ndarray], Tensor], *, dim: int = 0) -> None:
        """`flat`: stored rows (n, ...) as float32 (n, d), in which distances mean something.

        `dim`: of the d directions only so many are kept, those in which training samples differ most; 0 for all.
        """
        self.real, self.flat, self.dim = real, flat, dim

    @functools.cached_property
    def _space(self) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Where the training samples lie (n, k), and the mean and axes that brought them there."""
        training = self.flat(self.real.training)
        if not self.dim:
            return training, None
        mean, axes = main_directions(training, self.dim)
        return (training - mean) @ axes, (mean, axes)

    @functools.cached_property
    def _known(self) -> dict[bytes, int]:
        return hashes_of(self.real.store.fields["x"][self.real.known_rows])

    @functools.cached_property
    def _held(self) -> Tensor:
        return self.place(self.real.held)

    def place(self, raw: np.ndarray) -> Tensor:
        """Where stored rows (n, ...) lie among the training samples, (n, k)."""
        _, axes = self._space
        return self.flat(raw) if axes is None else (self.flat(raw) - axes[0]) @ axes[1]

    def score(self, raw: np.ndarray, parts: tuple[slice, slice]) -> Judgement:
        """Scores of stored rows (n, ...): exact and near copies, authenticity, C_T; and the closest pairs.

        `parts`: which of the rows are held against which of the held-out ones; see `features.Side.parts`.
        """
        training, _ = self._space
        placed = self.place(raw)
        scored, against = placed[parts[0]], self._held[parts[1]]
        near, far = (M.nearest(side, training).distances[:, 0] for side in (scored, against))
        values = {
            "exact copies": sum(n for digest, n in hashes_of(raw).items() if digest in self._known) / len(raw),
            "near copies": float((near < far.quantile(0.01)).double().mean()),
            "authenticity": M.authenticity(training, scored),
        }
        cells = max(1, min(10, len(training) // 100))
        with contextlib.suppress(ValueError):  # too few samples for any cell
            values["C_T"] = M.data_copying(training, against, scored, seed=self.real.seed, num_cells=cells).value
        pairs = M.closest_pairs(placed, training, count=min(MOST_PAIRS, len(placed)))
        rows = self.real.training_rows[pairs.training.numpy()]
        found = zip(pairs.fake.tolist(), rows.tolist(), pairs.distances.tolist(), strict=True)
        return Judgement(values=values, closest=tuple((int(i), int(j), round(d, 6)) for i, j, d in found))


def coordinates(raw: np.ndarray) -> Tensor:
    """Stored rows (n, ...) as float32 (n, d), value by value."""
    return torch.from_numpy(np.array(raw, np.float32)).flatten(1)


def main_directions(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The mean (d,) and the at most `dim` directions (d, k) in which vectors (n, d) differ most: PCA."""
    moments = M.Moments.of(x)
    _, vectors = torch.linalg.eigh(wide(moments.covariance))
    return moments.mean.float(), vectors[:, -min(dim, x.shape[1]) :].float()
