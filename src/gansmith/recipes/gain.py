"""GAIN: fills the holes of a table; D guesses, cell by cell, what was filled, with a hint of the rest.

Source: Yoon, Jordon & van der Schaar, "GAIN: Missing Data Imputation using Generative Adversarial Nets", 2018,
    arXiv:1806.02920, Algorithm 1; hint of section 3.3 (Eq. 6), losses Eq. 10 to 14.
Differs from the paper: the hint is withheld from each column with a chance of its own (1 - `hint_rate`), not from one
    column a row; sums are divided by how many cells are expected in them; a category is one-hot, and its places share
    mask and hint. A share of the observed cells is left out of the losses, and the weights that fill them best serve.
    Samples are of averaged weights (`--weights raw` takes the last ones).
Expect: "G/reconstruction" falls fast; that of known cells says little of the missing ones: read the held-out error in
    scores/training.jsonl. On a complete table cells are hidden at random to learn from. UCI letter, 20 % of the cells
    hidden, defaults, batch 128, 1,280,000 rows, seed 0: RMSE .1292 with the weights of 449,280 rows, which were chosen;
    MICE .1130 (`python -m benchmarks.imputing`). What to take instead: docs/tabular.md.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import Draw, HeldOut, TableCodec
from ..nets import table
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, of, uniform


@dataclass(frozen=True, kw_only=True)
class GAIN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"table"})
    takes: ClassVar[frozenset[str]] = frozenset({"x"})
    chosen_by: ClassVar[str] = "RMSE of held-out cells"
    from_noise: ClassVar[bool] = False

    hint_rate: float = 0.9
    """Chance that D is told whether a cell was there."""
    alpha: float = 100.0
    """Weight of the reconstruction of cells that are there."""
    missing_rate: float = 0.2
    """Share of the cells hidden in each batch, at random, where the table is complete; one with holes of its own keeps
    to those."""
    held_out: float = 0.05
    """Share of the observed cells that losses leave out. The weights that fill them best serve: trained on, it gets
    worse."""
    spread: float = 0.01
    """The noise that stands in for a missing cell is uniform between 0 and this."""
    width: int = 0
    """Units of each hidden layer; 0 takes as many as an encoded row is long."""
    lr: float = 1e-3
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        assert isinstance(data.codec, TableCodec)
        hidden = self.width or data.codec.width
        return {
            "G": table.Imputer(data.codec, hidden, self.missing_rate),
            "D": table.Imputer(data.codec, hidden, self.missing_rate),
        }

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def draw(self) -> Draw:
        return HeldOut(self.held_out)

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        """`given["x"]` (n, W): encoded rows, NaN where a cell is missing; without it every cell is."""
        like = next(nets.parameters())
        size = of(nets, "G", table.Imputer).cells.size
        x = given["x"].to(like) if "x" in given else like.new_full((n, size), torch.nan)
        known = ~x.isnan()
        return torch.where(known, x, self.fill(nets, x, known)[0])

    def fill(self, nets: nn.ModuleDict, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """What G makes of rows of which the cells `known` are there, and the same as logits (N, W). Eq. 2."""
        noisy = torch.where(known, x.nan_to_num(), self.spread * uniform(x, *x.shape))
        logits = nets["G"](noisy, known.to(x.dtype))
        wide = logits.float() if logits.dtype == torch.bfloat16 else logits  # near 0 and 1 bfloat16 has no gradient
        return wide.sigmoid(), wide

    def verdict(self, nets: nn.ModuleDict, x: Tensor, filling: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """D's logits that each cell was known, and which cells its hint left open (N, W). Eq. 3 and 6."""
        cells = of(nets, "G", table.Imputer).cells
        hinted = cells.by_column(uniform(x, len(x), cells.num_columns)) < self.hint_rate
        hint = torch.where(hinted, known.to(x.dtype), 0.5)
        return nets["D"](torch.where(known, x.nan_to_num(), filling), hint), ~hinted

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 10 and 11: the cross-entropy of the cells that the hint left open."""
        x = table.kept(batch)
        known = self.known(nets, x)
        with torch.no_grad():
            filling, _ = self.fill(nets, x, known)
        logits, unhinted = self.verdict(nets, x, filling, known)
        wrong = F.binary_cross_entropy_with_logits(logits, known.to(logits.dtype), reduction="none")
        return {"cells": (wrong * unhinted).mean() / max(1 - self.hint_rate, 0.01)}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 12 to 14: missing cells are to pass for known ones, and known ones to come out as they are."""
        x, g = table.kept(batch), of(nets, "G", table.Imputer)
        known = self.known(nets, x)
        filling, own_logits = self.fill(nets, x, known)
        logits, unhinted = self.verdict(nets, x, filling, known)
        fooled = F.softplus(-logits) * (unhinted & ~known)
        target = x.nan_to_num()
        squared = (filling - target).square()
        entropy = F.binary_cross_entropy_with_logits(own_logits, target, reduction="none")
        missed = torch.where(g.cells.binary, entropy, squared) * known
        return {
            "adversarial": fooled.mean() / max(1 - self.hint_rate, 0.01),
            "reconstruction": self.alpha * missed.mean() / (g.share * (1 - self.held_out)),
        }

    def known(self, nets: nn.ModuleDict, x: Tensor) -> Tensor:
        """Which cells are known (N, W): those that are not NaN, nor hidden to learn from a complete table."""
        g = of(nets, "G", table.Imputer)
        return ~x.isnan() & (g.cells.by_column(uniform(x, len(x), g.cells.num_columns)) >= g.hidden)

    def errors(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Of the observed cells that losses leave out."""
        x, rows = batch["x"], table.kept(batch)
        filling, _ = self.fill(nets, rows, ~rows.isnan())
        error = of(nets, "G", table.Imputer).cells.error(filling, x, rows.isnan() & ~x.isnan())
        return {self.chosen_by: error}
