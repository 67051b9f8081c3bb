"""RaGAN: a real sample is to look more real than the average fake, and each fake less than the average real one.

Source: Jolicoeur-Martineau, "The relativistic discriminator: a key element missing from standard GAN", 2018,
    arXiv:1807.00734, section 4.2 and Algorithm 2 (RaSGAN).
Differs from the paper: pictures use DCGAN's networks; vectors fully connected ones. The averages are over all ranks,
    but over one micro-batch. Samples are of averaged weights (`--weights raw` takes the last ones).
Expect: "D/average" starts at 1.39 and drops; "G/average" is far above it. Ring of 8 Gaussians, width 16, z_dim 2,
    lr 1e-3, batch 64, 100,000 images, seed 0 alone: 8 modes, 36.8 % of high quality (`pytest -s -m slow
    tests/test_learns_objectives.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..losses import relativistic_average
from ..nets.pair import pair
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, joined, judged, noise


@dataclass(frozen=True, kw_only=True)
class RaGAN(Recipe):
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
        """Algorithm 2, D's step."""
        real, fake = judged(nets, self.sample, batch["x"])
        return {"average": relativistic_average(joined(real), joined(fake))}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Algorithm 2, G's step: both of its terms, the one of real samples too."""
        with torch.no_grad():
            real_scores = nets["D"](batch["x"])
        fake_scores = nets["D"](self.sample(nets, len(batch["x"])))
        return {"average": relativistic_average(joined(fake_scores), joined(real_scores))}
