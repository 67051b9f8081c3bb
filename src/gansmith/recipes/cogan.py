"""CoGAN: two GANs that share their deep layers draw pairs of pictures, never having seen a pair.

Source: Liu & Tuzel, "Coupled Generative Adversarial Networks", 2016, arXiv:1606.07536, Eq. 2, section 3 (the first
    layers of the generators and the last ones of the discriminators are shared), appendix (all but one, Adam 2e-4).
Differs from the paper: DCGAN's convolutions; batch norm in D, none of its max-pooling, PReLU or dropout. Samples are of
    averaged weights (`--weights raw` takes the last ones).
Expect: terms as of `dcgan`, for each kind. Pairs belong together where both kinds show alike things (a digit, and its
    edges); with kinds that have little in common they drift apart.
    Digits beside negatives of other digits, width 16, z_dim 32, lr 5e-4, batch 64, 60,000 images, seeds 0, 1: the
    halves of 91.2, 88.2 % of pairs are one digit (halves of two pairs 10.8, 13.2 %), as a classifier of real digits
    sees them (`pytest -s -m "slow or not slow" tests/test_learns_pictures.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from .. import losses
from ..nets import coupled
from ..recipe import EMPTY, Adam, Batch, DataSpec, Draw, Recipe, Terms, Turn, Unpaired, noise


@dataclass(frozen=True, kw_only=True)
class CoGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"domains", "pairs"})

    z_dim: int = 100
    """Length of the noise vector that a pair is made of."""
    width: int = 64
    """Channels at half the picture's size; doubled at every halving, up to 8 times."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        a, b = data.parts["a"].shape, data.parts["b"].shape
        if a != b:
            raise ValueError(
                f"a is {a[1]}x{a[2]} in {a[0]} channels, b {b[1]}x{b[2]} in {b[0]}; cogan draws pairs of one size and "
                "kind: --size, --channels rgb or grey"
            )
        return {"G": coupled.Generator(self.z_dim, a, b, self.width), "D": coupled.Discriminator(a, b, self.width)}

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def draw(self) -> Draw:
        return Unpaired()

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        """Pairs (n, C, H, 2 W): a beside b, of the same noise."""
        return torch.cat(nets["G"](noise(nets, n, self.z_dim)), 3)

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 2."""
        with torch.no_grad():
            fakes = nets["G"](noise(nets, len(batch["a"]), self.z_dim))
        real_a, real_b = nets["D"](batch["a"], batch["b"])
        fake_a, fake_b = nets["D"](*fakes)
        return {
            "real_a": losses.logistic_real(real_a),
            "real_b": losses.logistic_real(real_b),
            "fake_a": losses.logistic_fake(fake_a),
            "fake_b": losses.logistic_fake(fake_b),
        }

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 2, non-saturating: each picture of a pair is to pass for real."""
        a, b = nets["D"](*nets["G"](noise(nets, len(batch["a"]), self.z_dim)))
        return {"fool_a": losses.logistic_real(a), "fool_b": losses.logistic_real(b)}
