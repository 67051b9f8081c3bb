"""R3GAN: one fake is judged against one real sample, with gradient penalties at both. The default recipe.

Source: Huang et al., "The GAN is dead; long live the GAN! A Modern GAN Baseline", 2025, arXiv:2501.05441, Eq. 2
    (relativistic pairing), Eq. 4 and 5 (R1 and R2, both at every step), appendix on hyper-parameters (schedules).
Differs from the paper: by default strided convolutions with layer norm in G, as residual networks without any norm
    (`nets` resnet) learn MNIST far more slowly; fully connected ones for vectors and tiny pictures; a higher step size;
    no schedule of Adam's beta2, no augmentation.
Expect: "D/pairing" starts at 0.69, drops, and climbs back towards it as the fakes get better; r1 and r2 stay alike.
    MNIST, 32 x 32, defaults, two minutes on two cores (98,688 images), seed 0: Frechet distance 8.1 on a classifier of
    99.4 % (held-out digits 0.3, untrained 338; dcgan in the same time 16.0), each class 8 % or more; with `nets` resnet
    and lr 3e-4 it is 43.9 after 44,096 images. Stacked MNIST, 4 minutes: 989 of 1,000 modes (docs/tables.md).
    Ring of 8 Gaussians, width 16, z_dim 2, gamma 0.1, batch 64, 160,000 images, seeds 0-2: all 8 modes, 49 to 57 % of
    high quality. Digits, defaults, batch 64, 200,000 images, seed 0: a logistic regression fitted on real digits gives
    each class 7 % or more and is 0.91 sure at the median (real held-out digits: 0.94). After 60,000 images (in fp32,
    `gansmith evaluate`) FD-own is 9.5 and 12.6 for seeds 0 and 1; with gamma 0.2 it is 13.6 and 10.3, with 0.064 (as
    much a value as conv takes) 15.6 and 17.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ..losses import relativistic
from ..nets import conv, mlp, resnet, shapes
from ..penalties import scored, squared_norm
from ..recipe import EMPTY, Adam, Batch, DataSpec, Ramp, Recipe, Terms, Turn, noise


@dataclass(frozen=True, kw_only=True)
class R3GAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    z_dim: int = 64
    """Length of the noise vector; data of few columns want about as few."""
    nets: Literal["auto", "conv", "resnet", "mlp"] = "auto"
    """The networks: auto takes mlp for vectors and pictures of at most 12 x 12 pixels, conv above. resnet is the
    paper's kind, residual without any norm: slower, and it wants an lr of 3e-4 or less."""
    width: int = 32
    """conv, resnet: channels at half the picture's size, doubled at every halving, up to 8 times. mlp: layers are 8
    times as wide."""
    gamma: float = 0.0
    """Weight of R1 and R2. 0 takes, for each value of a picture, 0.001 with conv and resnet (1 for 32 x 32 grey pixels)
    and 0.01 with mlp; 0.1 for vectors. Raise it if training oscillates, lower it if samples stay blurred."""
    lr: float = 1e-3
    """Adam's step size, of both networks."""
    burn_in_images: float = 0.0
    """Over so many images shown, lr falls to `lr_decay` and gamma to `gamma_decay` of its value; 0 keeps both."""
    lr_decay: float = 0.25
    """What is left of lr after the burn-in."""
    gamma_decay: float = 0.1
    """What is left of gamma after the burn-in."""
    betas: tuple[float, float] = (0.0, 0.99)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        if self.nets in ("conv", "resnet") and not shapes.picture(data.shape):
            raise ValueError(
                f"r3gan's {self.nets} takes pictures; the data are vectors: leave nets at auto, or say mlp"
            )
        if self.flat(data.shape):
            widths = (8 * self.width,) * 3
            return {
                "G": mlp.Generator(self.z_dim, data.shape, widths, bounded=data.bounded),
                "D": mlp.Discriminator(data.shape, widths),
            }
        if self.nets == "resnet":
            return {
                "G": resnet.Generator(self.z_dim, data.shape, self.width),
                "D": resnet.Discriminator(data.shape, self.width),
            }
        return {
            "G": conv.Generator(self.z_dim, data.shape, self.width, norm="layer"),
            "D": conv.Discriminator(data.shape, self.width, norm="none"),
        }

    def flat(self, shape: tuple[int, ...]) -> bool:
        """Whether samples of this shape, (C, H, W) or (D,), are taken by fully connected networks."""
        return self.nets == "mlp" or (self.nets == "auto" and shapes.flat(shape))

    def optimizers(self) -> dict[str, Adam]:
        burn_in = self.burn_in_images
        lr = Ramp(self.lr, self.lr * self.lr_decay, burn_in) if burn_in else self.lr
        return {"G": Adam(lr, self.betas), "D": Adam(lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def weight(self, shape: torch.Size) -> float:
        """The gamma that is right for samples of this shape, by measure."""
        if not shapes.picture(shape):
            return 0.1
        return (0.01 if self.flat(shape) else 0.001) * shape.numel()

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 2 with both penalties: one pass gives scores and gradients of real and fake samples."""
        real = batch["x"]
        with torch.no_grad():
            fake = self.sample(nets, len(real))
        scores, slope = scored(nets["D"], torch.cat((real, fake)))
        gamma: float | Tensor = self.gamma or self.weight(real[0].shape)
        if self.burn_in_images:
            gamma = Ramp(gamma, gamma * self.gamma_decay, self.burn_in_images).at(batch["images"])
        r1, r2 = squared_norm(slope).chunk(2)
        return {
            "pairing": relativistic(*scores.chunk(2)),
            "r1": gamma / 2 * r1.mean(),
            "r2": gamma / 2 * r2.mean(),
        }

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 2 with real and fake exchanged; D judges the same real samples that the fakes are paired with."""
        real = batch["x"]
        with torch.no_grad():
            target = nets["D"](real)
        return {"pairing": relativistic(nets["D"](self.sample(nets, len(real))), target)}
