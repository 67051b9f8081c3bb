"""LSGAN: least squares instead of cross-entropy, so that fakes far on the right side of D still have a gradient.

Source: Mao et al., "Least Squares Generative Adversarial Networks", 2016, arXiv:1611.04076, Eq. 2, with the labels of
    Eq. 9 (a = 0, b = c = 1). Eq. 8, which minimises the Pearson divergence, is fake_label -1 and target 0.
Differs from the paper: pictures use DCGAN's networks; vectors fully connected ones. Samples are of averaged weights
    (`--weights raw` takes the last ones).
Expect: "D/real" and "D/fake" stay below 0.125, where D cannot tell. Ring of 8 Gaussians, width 16, z_dim 2, lr
    1e-3, batch 64, 100,000 images, seed 0 alone: 7 modes, 21.6 % of high quality, less than the 25 % that count as
    learned (`pytest -s -m slow tests/test_learns_objectives.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ..losses import least_squares
from ..nets.pair import pair
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, judged, noise


@dataclass(frozen=True, kw_only=True)
class LSGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    z_dim: int = 100
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors: layers are 8 times as wide."""
    fake_label: float = 0.0
    """What D's score of fakes is to be (a)."""
    real_label: float = 1.0
    """What D's score of real samples is to be (b)."""
    target: float = 1.0
    """What G wants D's score of fakes to be (c)."""
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
        """Eq. 2, D's line."""
        real, fake = judged(nets, self.sample, batch["x"])
        return {"real": least_squares(real, self.real_label), "fake": least_squares(fake, self.fake_label)}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 2, G's line."""
        return {"adversarial": least_squares(nets["D"](self.sample(nets, len(batch["x"]))), self.target)}
