"""CTGAN: rows of a table with numbers and categories, made to any condition on a discrete column.

Source: Xu, Skoularidou, Cuesta-Infante & Veeramachaneni, "Modeling Tabular Data using Conditional GAN", 2019,
    arXiv:1907.00503: mode-specific normalisation (section 4.2), conditional generator and training by sampling (4.3),
    networks and loss (4.4).
Differs from the paper: weight decay is decoupled (AdamW); samples are drawn with averaged weights (`--weights raw`
    takes the last ones) and with the observed frequencies of the conditions; a column with missing cells gets a
    discrete indicator of its own, which conditions may name too.
Expect: "G/condition" falls as G learns to obey its conditions. "D/gap" and "G/score" say nothing of quality; judge by
    `gansmith evaluate`. What was measured, and what was not: docs/tabular.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..data import ByCondition, Codec, Draw, TableCodec
from ..data.kinds.table.codec import select
from ..losses import wasserstein
from ..nets import mlp, table
from ..penalties import wgan_gp
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, gumbel, noise, of, uniform


@dataclass(frozen=True, kw_only=True)
class CTGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"table"})
    takes: ClassVar[frozenset[str]] = frozenset({"condition"})

    z_dim: int = 128
    """Length of the noise vector."""
    width: int = 256
    """Units of each of the two hidden layers of G and of D."""
    modes: int = 10
    """The most modes that the numbers of a column are told apart into; those that weigh less than 0.005 are dropped."""
    pac: int = 10
    """Rows that D judges together (PacGAN); rows of a batch that fill no pack are not judged."""
    temperature: float = 0.2
    """Of the Gumbel-softmax: lower is nearer to one-hot, with less even gradients."""
    penalty: float = 10.0
    """Weight lambda of the gradient penalty, over whole packs."""
    dropout: float = 0.5
    """Share of D's units that are dropped in training."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.5, 0.9)
    """Adam's decay rates, of both networks."""
    weight_decay: float = 1e-6
    """Of both networks."""

    def codec(self, raw: DataSpec, stored: Mapping[str, np.ndarray]) -> Codec:
        assert isinstance(raw.codec, TableCodec)
        if self.modes < 1:
            raise ValueError(f"modes is {self.modes}; it must be at least 1")
        return select(raw.codec, numbers="modes", indicators=True, most=self.modes, stored=stored["x"])

    def draw(self) -> Draw:
        return ByCondition()

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        assert isinstance(data.codec, TableCodec)
        size = self.pac * (data.codec.width + data.codec.num_conditions)
        return {
            "G": table.Generator(self.z_dim, data.codec, (self.width,) * 2),
            "D": mlp.Discriminator((size,), (self.width,) * 2, self.dropout),
        }

    def optimizers(self) -> dict[str, Adam]:
        adam = Adam(self.lr, self.betas, weight_decay=self.weight_decay)
        return {"G": adam, "D": adam}

    def rows_together(self) -> int:
        return self.pac

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.critic_loss), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        """`given["condition"]` (n,) int64: see `TableCodec.condition`; without it as often as the data has them."""
        z = noise(nets, n, self.z_dim)
        condition = given["condition"].to(z.device) if "condition" in given else None
        if condition is None:
            condition = of(nets, "G", table.Generator).any_condition(uniform(z, n, 1))
        return self.row(nets, z, condition)[1]

    def row(self, nets: nn.ModuleDict, z: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """G's raw outputs and what they are as a row, both (N, W)."""
        g = of(nets, "G", table.Generator)
        raw = g(z, g.one_hot(condition, z))
        return raw, g.outputs(raw, gumbel(raw, *raw.shape), self.temperature)

    def packed(self, nets: nn.ModuleDict, rows: Tensor, condition: Tensor) -> Tensor:
        """Rows beside their conditions, in packs, as D sees them."""
        one_hot = of(nets, "G", table.Generator).one_hot(condition, rows)
        return table.packs(torch.cat((rows, one_hot), 1), self.pac)

    def critic_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Section 4.4, with the penalty of arXiv:1704.00028, Eq. 3, on whole packs."""
        n, none = len(batch["x"]), batch["x"].new_zeros(len(batch["x"]), dtype=torch.long)
        condition = batch.get("condition", none)
        with torch.no_grad():
            fake = self.packed(nets, self.row(nets, noise(nets, n, self.z_dim), condition)[1], condition)
        real = self.packed(nets, batch["x"].to(fake.dtype), batch.get("real_condition", none))
        return {
            "gap": wasserstein(*nets["D"](torch.cat((real, fake))).chunk(2)),
            "penalty": self.penalty * wgan_gp(nets["D"], real, fake),
        }

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Section 4.4: D's score, and the cross-entropy of the condition with the column that it is about (4.3)."""
        n, none = len(batch["x"]), batch["x"].new_zeros(len(batch["x"]), dtype=torch.long)
        condition = batch.get("condition", none)
        raw, rows = self.row(nets, noise(nets, n, self.z_dim), condition)
        terms = {"score": -nets["D"](self.packed(nets, rows, condition)).float().mean()}
        if "condition" in batch:
            terms["condition"] = of(nets, "G", table.Generator).missed(raw, condition)
        return terms
