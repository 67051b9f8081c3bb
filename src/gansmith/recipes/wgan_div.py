"""WGAN-div: a critic held by a power of its gradient's length, which needs no Lipschitz bound.

Source: Wu et al., "Wasserstein Divergence for GANs", 2017, arXiv:1712.01026, Algorithm 1; k = 2 and p = 6 are theirs.
Differs from the paper: D scores real samples high, as everywhere here, where the paper's scores them low: the same game
    with the sign of D turned. Critic moves and Adam's decay rates are `wgan_gp`'s; pictures use DCGAN's shapes with
    layer norm in the critic. Samples are of averaged weights (`--weights raw` takes the last ones).
Expect: "D/gap" drops fast, then climbs towards 0. Ring of 8 Gaussians, width 16, one critic move, betas 0.5 0.9,
    z_dim 2, lr 1e-3, batch 64, 100,000 images, seed 0 alone: 8 modes, 41.1 % of high quality (`pytest -s -m slow
    tests/test_learns_objectives.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..losses import wasserstein
from ..nets.pair import pair
from ..penalties import wgan_div
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, noise


@dataclass(frozen=True, kw_only=True)
class WGANDiv(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    z_dim: int = 128
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors: layers are 8 times as wide."""
    penalty: float = 2.0
    """Weight of the gradient's power (k)."""
    power: float = 6.0
    """The power of the gradient's length (p), above 1."""
    critic_moves: int = 5
    """Critic moves per generator move (n_critic), each on a fresh batch."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.0, 0.9)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        return pair(self.z_dim, data.shape, self.width, judge="layer")

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.critic_loss, repeat=self.critic_moves), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def critic_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Algorithm 1, D's step."""
        real = batch["x"]
        with torch.no_grad():
            fake = self.sample(nets, len(real))
        return {
            "gap": wasserstein(*nets["D"](torch.cat((real, fake))).chunk(2)),
            "penalty": self.penalty * wgan_div(nets["D"], real, fake, self.power),
        }

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Algorithm 1, G's step."""
        return {"score": -nets["D"](self.sample(nets, len(batch["x"]))).float().mean()}
