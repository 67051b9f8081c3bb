"""SNGAN: a D each of whose layers stretches nothing, with the hinge loss.

Source: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018, arXiv:1802.05957, Eq. 8 and
    Algorithm 1; hinge loss (Eq. 16 and 17); Adam 2e-4, betas 0 and 0.9, five moves of D (their residual networks').
Differs from the paper: pictures use DCGAN's shapes, normalised, without any other norm in D; vectors fully connected
    networks. A power iteration is made at each pass through D, in G's turn too. Samples are of averaged weights
    (`--weights raw` takes the last ones); the step size does not decay.
Expect: "D/real" and "D/fake" close to 1: D cannot be steep. Ring of 8 Gaussians, width 16, one move of D, z_dim 2,
    lr 1e-3, batch 64, 100,000 images, seed 0 alone: 8 modes, 10.2 % of high quality: less than the 25 % that count as
    learned (`pytest -s -m slow tests/test_learns_objectives.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ..losses import hinge_fake, hinge_real
from ..nets.pair import pair
from ..nets.spectral import normalised
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, judged, noise


@dataclass(frozen=True, kw_only=True)
class SNGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    z_dim: int = 128
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors: layers are 8 times as wide."""
    critic_moves: int = 5
    """Moves of D per move of G (n_dis), each on a fresh batch."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.0, 0.9)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        nets = pair(self.z_dim, data.shape, self.width, judge="none")
        return nets | {"D": normalised(nets["D"])}

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss, repeat=self.critic_moves), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 16."""
        real, fake = judged(nets, self.sample, batch["x"], together=True)
        return {"real": hinge_real(real), "fake": hinge_fake(fake)}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """G's loss beside the hinge is the plain score."""
        return {"score": -nets["D"](self.sample(nets, len(batch["x"]))).float().mean()}
