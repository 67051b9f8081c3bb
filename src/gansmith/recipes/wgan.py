"""WGAN: a critic whose clipped weights keep it from being steep, and whose loss tells how far apart real and fake are.

Source: Arjovsky et al., "Wasserstein GAN", 2017, arXiv:1701.07875, Algorithm 1 and its defaults.
Differs from the paper: RMSProp is Adam without momentum (betas 0, 0.99), so its first steps are bias-corrected;
    pictures use DCGAN's networks, vectors fully connected ones. Samples are of averaged weights (`--weights raw` takes
    the last ones); vectors' critic has two hidden layers and starts from N(0, 0.02).
Expect: "D/gap", minus the distance in units of the critic, rises towards 0. It does not learn the ring of 8 Gaussians:
    width 16, z_dim 2, lr 1e-3, clip 0.1, 3 critic moves, batch 64, 60,000 images, seed 0 alone: 7 modes, 4.2 % of high
    quality (`pytest -s -m slow tests/test_learns_objectives.py`). Take `wgan_gp` or `wgan_div`.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ..losses import wasserstein
from ..nets import mlp
from ..nets.initial import initialise
from ..nets.pair import pair
from ..nets.shapes import picture
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, judged, noise


@dataclass(frozen=True, kw_only=True)
class WGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    z_dim: int = 100
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors: layers are 8 times as wide."""
    clip: float = 0.01
    """All weights of the critic are clipped to [-clip, clip] after each of its moves (c)."""
    critic_moves: int = 5
    """Critic moves per generator move (n_critic), each on a fresh batch."""
    lr: float = 5e-5
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.0, 0.99)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        nets = pair(self.z_dim, data.shape, self.width)
        if not picture(data.shape):  # clipped layers shrink what they pass on: a third one would see its bias alone
            nets["D"] = mlp.Discriminator(data.shape, (8 * self.width,) * 2)
        initialise(nets["D"], "normal")  # biases start at 0, or clipping would leave them at its bounds
        return nets

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas, bound=self.clip)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.critic_loss, repeat=self.critic_moves), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def critic_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Algorithm 1, line 5; line 7 is the optimiser's bound."""
        return {"gap": wasserstein(*judged(nets, self.sample, batch["x"]))}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Algorithm 1, line 10."""
        return {"score": -nets["D"](self.sample(nets, len(batch["x"]))).float().mean()}
