"""DRAGAN: the plain GAN with a D that is kept from being steep around real samples.

Source: Kodali et al., "On Convergence and Stability of GANs", 2017, arXiv:1705.07215, section 2.3: the length of D's
    gradient at real samples with normal noise is drawn to 1; weight 10. Losses of Goodfellow et al., 2014, Eq. 1.
Differs from the paper: `deviation` is the root of the paper's c, in units of the data (its c of about 10 is for other
    units; the authors' code moves each value by at most half of the batch's standard deviation). The gradient is that
    of D's score, as in the authors' code. Pictures use DCGAN's shapes with layer norm in D. Samples are of averaged
    weights (`--weights raw` takes the last ones).
Expect: "D/real" and "D/fake" stay close to 0.69, as D is kept flat where the data are. Ring of 8 Gaussians, width
    16, penalty 0.1, z_dim 2, lr 1e-3, batch 64, 100,000 images, seed 0 alone: 8 modes, 52.1 % of high quality
    (`pytest -s -m slow tests/test_learns_objectives.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ..losses import logistic_fake, logistic_real
from ..nets.pair import pair
from ..penalties import dragan
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, judged, noise


@dataclass(frozen=True, kw_only=True)
class DRAGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    z_dim: int = 100
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors: layers are 8 times as wide."""
    penalty: float = 10.0
    """Weight of the gradient penalty (lambda)."""
    deviation: float = 0.25
    """Standard deviation of the noise around real samples where the gradient is taken."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        return pair(self.z_dim, data.shape, self.width, judge="layer")

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Goodfellow et al., Eq. 1, and the penalty of section 2.3."""
        real, fake = judged(nets, self.sample, batch["x"], together=True)
        return {
            "real": logistic_real(real),
            "fake": logistic_fake(fake),
            "penalty": self.penalty * dragan(nets["D"], batch["x"], self.deviation),
        }

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Goodfellow et al., section 3: non-saturating."""
        return {"adversarial": logistic_real(nets["D"](self.sample(nets, len(batch["x"]))))}
