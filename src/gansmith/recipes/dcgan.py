"""DCGAN: strided convolutions and batch norm, the first GAN that learned pictures reliably.

Source: Radford et al., "Unsupervised Representation Learning with Deep Convolutional GANs", 2015, arXiv:1511.06434,
    section 3 and 4 (architecture, Adam 2e-4, beta1 0.5, N(0, 0.02)); losses of Goodfellow et al., 2014, Eq. 1.
Differs from the paper: noise is normal, not uniform; a picture of H x W pixels gets as many stages as halve it to about
    4 pixels (64 x 64 has the paper's four); `width` is 64 where the paper's G has 128. Tricks that are often added
    (label smoothing, feature matching, instance noise ...) are options of `gan`, which has these networks too. Samples
    are of averaged weights (`--weights raw` takes the last ones).
Expect: "D/real" and "D/fake" stay well below 0.69; both near 0 for long means that D has won.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from .. import losses
from ..nets import conv
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, judged, noise


@dataclass(frozen=True, kw_only=True)
class DCGAN(Recipe):
    removed: ClassVar[Mapping[str, object]] = {
        **dict.fromkeys(("balance", "instance_noise", "noise_decay_images", "label_smoothing", "history"), 0.0),
        "matching": False,
        "kernels": 0,
        "initial": "own",
        "lr_ratio": 1.0,
    }
    instead: ClassVar[str] = "gan has it, with the same networks: --nets conv --width 256 is dcgan's --width 64"

    z_dim: int = 100
    """Length of the noise vector."""
    width: int = 64
    """Channels at half the picture's size; doubled at every halving, up to 8 times."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        return {
            "G": conv.Generator(self.z_dim, data.shape, self.width),
            "D": conv.Discriminator(data.shape, self.width),
        }

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Goodfellow et al., Eq. 1."""
        real, fake = judged(nets, self.sample, batch["x"])
        return {"real": losses.logistic_real(real), "fake": losses.logistic_fake(fake)}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Goodfellow et al., section 3: non-saturating."""
        return {"adversarial": losses.logistic_real(nets["D"](self.sample(nets, len(batch["x"]))))}
