"""How a batch is drawn from the data: a pure function of (seed, number of the batch), so there is nothing to save."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np


class Draw(ABC):
    """Which samples the k-th batch of a run holds."""

    together: ClassVar[bool] = True
    """Whether all fields of a batch are of the same rows; if not, each field is drawn on its own."""

    @abstractmethod
    def rows(self, seed: int, k: int, batch_size: int, n: int) -> np.ndarray:
        """Indices (batch_size,) into the n samples, for all ranks together; each rank takes its slice. Read only."""


@dataclass(frozen=True)
class Uniform(Draw):
    """Every sample once an epoch, in an order of its own each epoch; a batch may reach over the epoch's end."""

    def rows(self, seed: int, k: int, batch_size: int, n: int) -> np.ndarray:
        """Positions k * batch_size ... of the endless sequence of shuffled epochs."""
        epoch, first = divmod(k * batch_size, n)
        if first + batch_size <= n:
            return _order(seed, epoch, n)[first : first + batch_size]
        position = np.arange(k * batch_size, (k + 1) * batch_size)
        epochs = position // n
        return np.concatenate(
            [_order(seed, int(e), n)[position[epochs == e] % n] for e in range(epochs[0], epochs[-1] + 1)]
        )


@dataclass(frozen=True)
class Unpaired(Uniform):
    """Each field on its own: every sample of a field once an epoch of that field, in an order of its own."""

    together: ClassVar[bool] = False


@functools.lru_cache(maxsize=8)  # two at an epoch's end, for each of a few feeds in one process
def _order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order of the data in one epoch: a pure function of its arguments, the same on every machine."""
    order = np.random.Generator(np.random.Philox(key=[seed % 2**64, epoch])).permutation(n)
    order.flags.writeable = False  # it is shared by every batch of the epoch
    return order
