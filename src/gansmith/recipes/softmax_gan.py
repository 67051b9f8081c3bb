"""Softmax GAN: one softmax over the whole batch, which D wants on its real samples and G spread evenly.

Source: Lin, "Softmax GAN", 2017, arXiv:1704.06191, section 3.
Differs from the paper: pictures use DCGAN's networks; vectors fully connected ones. The batch is that of all ranks, but
    one micro-batch. Samples are of averaged weights (`--weights raw` takes the last ones).
Expect: both losses start at log(2 x batch); "D/softmax" drops towards log(batch), "G/softmax" rises. Ring of 8
    Gaussians, width 16, z_dim 2, lr 1e-3, batch 64, 100,000 images, seeds 0 to 2: 8, 8 and 4 modes, 33.7, 40.0
    and 71.1 % of high quality, so one seed in three loses half of them; which, rounding decides (`pytest -s -m slow
    tests/test_learns_objectives.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..losses import softmax_all, softmax_real
from ..nets.pair import pair
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, joined, judged, noise


@dataclass(frozen=True, kw_only=True)
class SoftmaxGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    z_dim: int = 100
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors: layers are 8 times as wide."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        return pair(self.z_dim, data.shape, self.width)

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def rows_together(self) -> int:
        return 0

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Cross-entropy with a target of 1 / |B+| on each real sample."""
        real, fake = judged(nets, self.sample, batch["x"])
        return {"softmax": softmax_real(joined(real), joined(fake))}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Cross-entropy with a target of 1 / |B| on every sample, on fresh scores of the D that has just moved."""
        with torch.no_grad():
            real_scores = nets["D"](batch["x"])
        fake_scores = nets["D"](self.sample(nets, len(batch["x"])))
        return {"softmax": softmax_all(joined(real_scores), joined(fake_scores))}
