"""VAE/GAN: a variational autoencoder that measures likeness in the features of a discriminator.

Source: Larsen, Sonderby, Larochelle & Winther, "Autoencoding beyond pixels using a learned similarity metric", 2015,
    arXiv:1512.09300, Eq. 5 to 8 and Algorithm 1; section 3.2 (who learns from what), table 1 (batch norm throughout).
Differs from the paper: DCGAN's convolutions of kernel 4, as many as halve the picture to about 4 pixels; Dis_l is D's
    last map; Adam without momentum instead of RMSProp; the players move in turns; G's loss is the non-saturating one.
    Samples are of averaged weights (`--weights raw` takes the last ones).
Expect: "E/likeness" falls and "E/prior" grows from 0 to some nats a picture. `similarity` decides between sharp (low)
    and faithful (high) reconstructions.
    On pictures under 16 pixels D has one layer and no batch norm, and codes tend to carry nothing.
    Digits (8 x 8), width 16, z_dim 16, lr 1e-3, batch 64, 60,000 images, seeds 0, 1: a classifier of real digits sees
    in 60.4, 54.5 % of reconstructions of held-out ones what they were made of (untrained 9.6 %), and is .63, .68 sure
    of samples (`pytest -s -m "slow or not slow" tests/test_learns_pictures.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from .. import losses
from ..nets import conv
from ..recipe import EMPTY, Adam, Batch, DataSpec, Made, Recipe, Terms, Turn, noise, normal, of


@dataclass(frozen=True, kw_only=True)
class VAEGAN(Recipe):
    serving: ClassVar[tuple[str, ...]] = ("G", "E")

    z_dim: int = 128
    """Length of the code."""
    width: int = 64
    """Channels at half the picture's size; doubled at every halving, up to 8 times."""
    similarity: float = 1e-3
    """Weight of the likeness in G, beside fooling D (gamma in Eq. 8)."""
    lr: float = 3e-4
    """Adam's step size, of all networks."""
    betas: tuple[float, float] = (0.0, 0.9)
    """Adam's decay rates, of all networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        return {
            "G": conv.Generator(self.z_dim, data.shape, self.width),
            "E": conv.Encoder(data.shape, self.width, 2 * self.z_dim),
            "D": conv.Discriminator(data.shape, self.width),
        }

    def optimizers(self) -> dict[str, Adam]:
        return dict.fromkeys(("G", "E", "D"), Adam(self.lr, self.betas))

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn(("E",), self.encoder_loss),
            Turn(("G",), self.generator_loss),
            Turn(("D",), self.discriminator_loss),
        )

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def gives(self) -> tuple[Made, ...]:
        return ("picture", "latent")

    def apply(self, nets: nn.ModuleDict, x: Tensor, what: Made) -> Tensor:
        """The mean of the posterior, or the picture of it."""
        mean, _ = nets["E"](x).chunk(2, 1)
        return mean if what == "latent" else nets["G"](mean)

    def likeness(self, nets: nn.ModuleDict, fake: Tensor, real: Tensor) -> Tensor:
        """Eq. 7: minus the log-likelihood of D's features of x, given those of its reconstruction."""
        features = of(nets, "D", conv.Discriminator).layers
        return losses.squared_error(features(fake), features(real).detach())

    def posterior(self, nets: nn.ModuleDict, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A draw of q(z|x), its mean and its log-variance, (N, z_dim) each."""
        mean, log_variance = nets["E"](x).chunk(2, 1)
        return mean + (log_variance / 2).exp() * normal(mean), mean, log_variance

    def encoder_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Algorithm 1: prior and likeness; E learns nothing of D's verdict (section 3.2)."""
        z, mean, log_variance = self.posterior(nets, batch["x"])
        return {
            "prior": losses.normal_divergence(mean, log_variance),
            "likeness": self.likeness(nets, nets["G"](z), batch["x"]),
        }

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Algorithm 1: likeness, and fooling D with reconstructions and with samples."""
        with torch.no_grad():
            z, _, _ = self.posterior(nets, batch["x"])
        again = nets["G"](z)
        return {
            "likeness": self.similarity * self.likeness(nets, again, batch["x"]),
            "reconstruction": losses.logistic_real(nets["D"](again)),
            "sample": losses.logistic_real(nets["D"](self.sample(nets, len(z)))),
        }

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 5 with the reconstructions of Algorithm 1; D learns nothing of the likeness (section 3.2)."""
        with torch.no_grad():
            z, _, _ = self.posterior(nets, batch["x"])
            again, fake = nets["G"](z), self.sample(nets, len(z))
        return {
            "real": losses.logistic_real(nets["D"](batch["x"])),
            "reconstruction": losses.logistic_fake(nets["D"](again)),
            "fake": losses.logistic_fake(nets["D"](fake)),
        }
