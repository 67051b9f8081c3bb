"""WGAN-GP: a critic kept 1-Lipschitz by a penalty on its gradient.

Source: Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, arXiv:1704.00028, Algorithm 1 and Eq. 3.
    Defaults are Algorithm 1's. Vectors: section 4's toy networks (ReLU, 512 wide).
Differs from the paper: pictures use DCGAN's shapes, with layer norm in the critic (section 4), not the residual ones.
    Samples are of averaged weights (`--weights raw` takes the last ones).
Expect: "D/gap" (minus the estimated Wasserstein-1 distance, in critic units) drops fast, then climbs towards 0.
    Ring of 8 Gaussians, width 16, z_dim 2, lr 1e-3, betas 0.5 0.9, penalty 0.1, batch 64, 45,000 images, seeds 0-2:
    all 8 modes, 42 to 60 % of high quality (`pytest -s tests/test_learns.py`); the defaults do much worse there.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..losses import wasserstein
from ..nets import conv, mlp
from ..nets.shapes import picture
from ..penalties import wgan_gp
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, noise


@dataclass(frozen=True, kw_only=True)
class WGANGP(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    z_dim: int = 128
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors: layers are 8 times as wide."""
    penalty: float = 10.0
    """Weight of the gradient penalty (lambda in Eq. 3)."""
    critic_moves: int = 5
    """Critic moves per generator move (n_critic), each on a fresh batch."""
    lr: float = 1e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.0, 0.9)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        if not picture(data.shape):
            widths = (8 * self.width,) * 3
            return {
                "G": mlp.Generator(self.z_dim, data.shape, widths, bounded=False, slope=0.0),
                "D": mlp.Discriminator(data.shape, widths, slope=0.0),
            }
        return {
            "G": conv.Generator(self.z_dim, data.shape, self.width),
            "D": conv.Discriminator(data.shape, self.width, norm="layer"),  # batch norm would mix the samples
        }

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.critic_loss, repeat=self.critic_moves), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def critic_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 3; Algorithm 1, lines 4 to 8."""
        real = batch["x"]
        with torch.no_grad():
            fake = self.sample(nets, len(real))
        return {
            "gap": wasserstein(*nets["D"](torch.cat((real, fake))).chunk(2)),
            "penalty": self.penalty * wgan_gp(nets["D"], real, fake),
        }

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Algorithm 1, line 11."""
        return {"score": -nets["D"](self.sample(nets, len(batch["x"]))).float().mean()}
