"""How a batch is drawn from the data: a pure function of (seed, number of the batch), so there is nothing to save."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .codec import Codec


class Draw(ABC):
    """Which samples the k-th batch of a run holds."""

    together: ClassVar[bool] = True
    """Whether all fields of a batch are of the same rows; if not, each field is drawn on its own."""

    @abstractmethod
    def rows(self, seed: int, k: int, batch_size: int, n: int) -> np.ndarray:
        """Indices (batch_size,) into the n samples, for all ranks together; each rank takes its slice. Read only."""

    def batch(self, seed: int, k: int, batch_size: int, n: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The rows, and further fields of the batch that are drawn with them, each (batch_size, ...)."""
        rows = self.rows(seed, k, batch_size, n)
        return rows, self.beside(rows)

    def beside(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Fields that belong to these rows, whoever drew them, each (len(rows), ...): by default none."""
        del rows
        return {}

    def further(self, seed: int, k: int, batch_size: int, n: int) -> dict[str, np.ndarray]:
        """Further rows (batch_size,) beside the batch's own, by name: field `y` of `labelled` is `labelled.y`."""
        del seed, k, batch_size, n
        return {}

    def spaced(self, num: int, n: int) -> np.ndarray:
        """At most `num` evenly spaced ones of the n samples, in ascending order."""
        num = min(num, n)
        return np.arange(num) * n // num

    def bind(self, codec: Codec, stored: Mapping[str, np.ndarray]) -> Draw:
        """The draw from this data; one that need not know the data is its own."""
        del codec, stored
        return self

    def record(self, seed: int) -> dict[str, list[int]]:
        """What a run should keep of the draw: rows that were chosen once for all of it."""
        del seed
        return {}


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


class Labelled(Draw):
    """Another draw's batches, of those samples alone that have a label."""

    def __init__(self, draw: Draw, y: np.ndarray) -> None:
        """`y`: the labels of all samples (n,), -1 where one has none."""
        self._draw, self._y, self._among = draw, y, np.flatnonzero(y >= 0)

    def bind(self, codec: Codec, stored: Mapping[str, np.ndarray]) -> Draw:
        """The other draw from this data."""
        return Labelled(self._draw.bind(codec, stored), self._y)

    def rows(self, seed: int, k: int, batch_size: int, n: int) -> np.ndarray:
        """Those of the other draw, counted among the samples with a label."""
        del n
        return self._among[self._draw.rows(seed, k, batch_size, len(self._among))]

    def beside(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """What the other draw knows of these rows."""
        return self._draw.beside(rows)

    def spaced(self, num: int, n: int) -> np.ndarray:
        """Among the samples with a label."""
        del n
        return self._among[super().spaced(num, len(self._among))]


@dataclass(frozen=True)
class FewLabels(Uniform):
    """As `Uniform`, and beside every batch as many of the few samples whose label is told: fields `labelled.x`,
    `labelled.y`. They are chosen at random, equally many of each class, once for a seed; 0 tells all labels. Samples
    without a label (-1) are among the others alone.
    """

    num_labels: int

    def bind(self, codec: Codec, stored: Mapping[str, np.ndarray]) -> Draw:
        """Raises `ValueError` if the data has no labels, or the classes too few samples or no equal share."""
        if "y" not in stored:
            raise ValueError("learning from few labels needs some, and this data has none: give class folders")
        y = np.array(stored["y"])
        classes, sizes = np.unique(y[y >= 0], return_counts=True)
        each, rest = divmod(self.num_labels, len(classes))
        if rest:
            raise ValueError(
                f"--num-labels {self.num_labels} cannot be shared evenly by {len(classes)} classes: "
                f"choose a multiple of {len(classes)}"
            )
        if each > sizes.min():
            raise ValueError(f"--num-labels asks for {each} samples of each class; the smallest has {sizes.min()}")
        return _FewOf(self.num_labels, y)


class _FewOf(Uniform):
    """`FewLabels` of one data set."""

    def __init__(self, num_labels: int, y: np.ndarray) -> None:
        self._num, self._y = num_labels, y
        self._told: dict[int, np.ndarray] = {}

    def told(self, seed: int) -> np.ndarray:
        """The rows whose label is told, in ascending order."""
        if seed not in self._told:
            order = np.random.Generator(np.random.Philox(key=[seed % 2**64, 0x1ABE1])).permutation(len(self._y))
            classes = np.unique(self._y[self._y >= 0])
            each = self._num // len(classes)
            rows = [order[self._y[order] == c][:each] for c in classes] if each else [order[self._y[order] >= 0]]
            self._told = {seed: np.sort(np.concatenate(rows))}
        return self._told[seed]

    def further(self, seed: int, k: int, batch_size: int, n: int) -> dict[str, np.ndarray]:
        """Told rows, each once before one comes again."""
        told = self.told(seed)
        return {"labelled": told[self.rows(seed ^ 0x1ABE1, k, batch_size, len(told))]}

    def record(self, seed: int) -> dict[str, list[int]]:
        """The told rows, unless all are."""
        return {"labelled": self.told(seed).tolist()} if self._num else {}
