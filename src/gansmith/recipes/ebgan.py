"""EBGAN: D is an autoencoder, its verdict how badly it reconstructs a sample, up to a margin.

Source: Zhao et al., "Energy-based Generative Adversarial Network", 2016, arXiv:1609.03126, Eq. 1 and 2 (margin), Eq. 4
    (pull-away term, weight 0.1).
Differs from the paper: the energy is the mean squared error of a value, so that a margin fits pictures of any size;
    networks are DCGAN's shapes with layer norm (the energy is one sample's own), or fully connected for vectors.
    Samples are of averaged weights (`--weights raw` takes the last ones).
Expect: "D/fake" between 0 and the margin; "G/energy" falls towards "D/real". Ring of 8 Gaussians, width 16, code 2,
    margin 0.2, z_dim 2, lr 1e-3, batch 64, 100,000 images, seed 0 alone: 6 modes, 21.1 % of high quality, less than
    the 25 % that count as learned (`pytest -s -m slow tests/test_learns_objectives.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..losses import margin, pull_away
from ..nets.autoencoder import AutoEncoder
from ..nets.pair import pair
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, joined, noise


@dataclass(frozen=True, kw_only=True)
class EBGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    z_dim: int = 100
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors: layers are 8 times as wide."""
    code: int = 32
    """Length of the code between D's encoder and decoder; data of few columns want fewer."""
    margin: float = 1.0
    """D raises the energy of fakes up to this (m)."""
    pull_away: float = 0.1
    """Weight of the pull-away term in G's loss; 0 leaves it out."""
    lr: float = 1e-3
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        return {
            "G": pair(self.z_dim, data.shape, self.width, norm="layer")["G"],
            "D": AutoEncoder(data.shape, self.width, self.code),
        }

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def rows_together(self) -> int:
        return 0 if self.pull_away else 1

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 1."""
        with torch.no_grad():
            fake = self.sample(nets, len(batch["x"]))
        real, fake = self.energies(nets, torch.cat((batch["x"], fake)))[0].chunk(2)
        return {"real": real.mean(), "fake": margin(fake, self.margin)}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 2 and 4."""
        energies, codes = self.energies(nets, self.sample(nets, len(batch["x"])))
        terms = {"energy": energies.mean()}
        return terms | ({"variety": self.pull_away * pull_away(joined(codes))} if self.pull_away else {})

    def energies(self, nets: nn.ModuleDict, x: Tensor) -> tuple[Tensor, Tensor]:
        """Energies (N,) and codes (N, code); the gradient comes through both sides of the difference."""
        again, codes = nets["D"](x)
        error = again.float() - x.float() if again.dtype == torch.bfloat16 else again - x
        return error.square().flatten(1).mean(1), codes
