"""Draws that need to know the columns: rows held out, and training by sampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...codec import Codec
from ...draw import Draw, Uniform
from .codec import TableCodec


@dataclass(frozen=True)
class HeldOut(Uniform):
    """As `Uniform`; a share of a table's observed cells is marked as kept from training, to measure errors on.

    Adds `"held"` (N, W) bool, over the places of an encoded row: all places of a cell, or none. Which cells they are is
    a pure function of row and column, so the same ones are held in every batch, on every rank and after a resume. The
    recipe must treat them as missing.
    """

    share: float = 0.05

    def bind(self, codec: Codec, stored: Mapping[str, np.ndarray]) -> Draw:
        """Which column each place belongs to. Raises `ValueError` if the data is no table."""
        del stored
        if not isinstance(codec, TableCodec):
            raise ValueError(f"cells are held out of tables; this data has a codec {type(codec).__name__}")
        return _Holding(self.share, tuple(s.column for s in codec.spans for _ in range(s.width)))


@dataclass(frozen=True)
class _Holding(Uniform):
    """`HeldOut` over one table."""

    share: float
    columns: tuple[int, ...]

    def beside(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Which places are held, by a hash of row and column."""
        found, place = np.unique(np.array(self.columns, np.uint64), return_inverse=True)
        mixed = rows.astype(np.uint64)[:, None] * np.uint64(0x9E3779B97F4A7C15) + (found + np.uint64(1)) * np.uint64(
            0xD1342543DE82EF95
        )
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # the finaliser of SplitMix64
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        held = ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)) < self.share * 2**53
        return {"held": held[:, place.reshape(-1)]}


@dataclass(frozen=True)
class ByCondition(Draw):
    """Training by sampling: a discrete column at random, one of its categories by the logarithm of its frequency, and a
    row that has it.

    Adds `"condition"` (N,) int64, a condition for each fake, and `"real_condition"` (N,), the one that each drawn row
    satisfies: the same ones in another order, so that no fake is held against the row of its own condition. A table
    without discrete columns is drawn as `Uniform` draws it. Xu et al., 2019, arXiv:1907.00503, section 4.3.
    """

    def rows(self, seed: int, k: int, batch_size: int, n: int) -> np.ndarray:
        """Raises `ValueError`: this draw must be bound to the data first."""
        raise ValueError("a draw by condition must know the data: call bind")

    def bind(self, codec: Codec, stored: Mapping[str, np.ndarray]) -> Draw:
        """Which rows have each category."""
        if not isinstance(codec, TableCodec):
            raise ValueError(f"a draw by condition needs a table's codec, not {type(codec).__name__}")
        if not codec.choices:
            return Uniform()
        order, starts, counts, chances = [], [], [], []
        x, at = stored["x"], 0
        for span in codec.choices:
            column = np.array(x[:, span.column])
            if span.kind == "missing":
                place = np.isnan(column).astype(np.int64)
            else:
                place = np.where(np.isnan(column), span.width - 1, column).astype(np.int64)
            found = np.bincount(place, minlength=span.width)
            weight = np.log1p(found)  # one that this data lacks is never drawn
            order.append(np.argsort(place, kind="stable"))
            starts.append(at + np.concatenate(([0], found.cumsum()[:-1])))
            counts.append(found)
            chances.append(np.append(weight[:-1].cumsum() / weight.sum(), 1.0))
            at += len(column)
        return _Bound(order, starts, counts, chances)


class _Bound(Draw):
    """`ByCondition` over one table."""

    def __init__(
        self,
        order: list[np.ndarray],
        starts: list[np.ndarray],
        counts: list[np.ndarray],
        chances: list[np.ndarray],
    ) -> None:
        self._order, self._starts, self._counts = (np.concatenate(v) for v in (order, starts, counts))
        # One table for all columns: column j's chances lie in (j, j + 1].
        self._chances, self._columns = np.concatenate([j + c for j, c in enumerate(chances)]), len(chances)

    def rows(self, seed: int, k: int, batch_size: int, n: int) -> np.ndarray:
        """Rows that satisfy the conditions."""
        return self.batch(seed, k, batch_size, n)[0]

    def batch(self, seed: int, k: int, batch_size: int, n: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Rows, and the conditions of the fakes and of the rows."""
        del n
        random = np.random.Generator(np.random.Philox(key=[seed % 2**64, k]))
        column = random.integers(self._columns, size=batch_size)
        condition = np.searchsorted(self._chances, column + random.random(batch_size), side="right")
        condition = condition.clip(max=len(self._chances) - 1)  # rounding up to the very end
        which = (random.random(batch_size) * self._counts[condition]).astype(np.int64)
        rows = self._order[self._starts[condition] + which]
        return rows, {"condition": condition[random.permutation(batch_size)], "real_condition": condition}
