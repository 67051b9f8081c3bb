"""BGAN: fakes are to lie on D's decision boundary, not as far beyond it as they can.

Source: Hjelm et al., "Boundary-Seeking Generative Adversarial Networks", 2017, arXiv:1702.08431, the objective for
    continuous data: (log D - log(1 - D))^2 / 2. D's loss is Goodfellow et al.'s, 2014, Eq. 1.
Differs from the paper: its main part, policy gradients for discrete data, is not here. Pictures use DCGAN's networks;
    vectors fully connected ones. Samples are of averaged weights (`--weights raw` takes the last ones).
Expect: "G/boundary" near 0 is a G at D's boundary; above 1, D is ahead. Ring of 8 Gaussians, width 16, z_dim 2, lr
    1e-3, batch 64, 100,000 images, seed 0 alone: 8 modes, 19.4 % of high quality, less than the 25 % that count as
    learned (`pytest -s -m slow tests/test_learns_objectives.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ..losses import boundary, logistic_fake, logistic_real
from ..nets.pair import pair
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, judged, noise


@dataclass(frozen=True, kw_only=True)
class BGAN(Recipe):
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

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Goodfellow et al., Eq. 1."""
        real, fake = judged(nets, self.sample, batch["x"])
        return {"real": logistic_real(real), "fake": logistic_fake(fake)}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """The squared log odds, from scores."""
        return {"boundary": boundary(nets["D"](self.sample(nets, len(batch["x"]))))}
