"""pix2pix: from picture to picture, learned from pairs: a U-Net against a PatchGAN that sees source and result.

Source: Isola, Zhu, Zhou & Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2017,
    arXiv:1611.07004, Eq. 1, 3 and 4; section 3 (L1 weight 100, D's loss halved, dropout as noise also in use), section
    6.1 (networks), 6.2 (jitter, Adam 2e-4, beta1 0.5).
Differs from the paper: norm is by instance at every batch size, which is what the paper's batch norm is at its batch
    size of 1 (so nothing depends on batch mates, and training and sampling see the same network); D and G move on
    batches of their own; lr is constant unless `decay_images` is given (the released code decays it to 0 over the
    second half); samples come from averaged weights.
Expect: "G/l1" falls and levels out; "D/real" and "D/fake" start at 0.35 (halved), and near 0 D tells all apart and
    L1 alone teaches G. Digits of 8 x 8 pixels to a fixed colouring, width 16, lr 1e-3, batch 16, 6,000 images, seed 0:
    mean absolute error 11.3 of 255 on digits that were not trained on. Facades: docs/translation.md.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from .. import losses
from ..augment.jitter import jitter
from ..nets import patch, unet
from ..recipe import EMPTY, Adam, Batch, DataSpec, Ramp, Recipe, Terms, Turn, uniform


@dataclass(frozen=True, kw_only=True)
class Pix2Pix(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"pairs"})
    from_noise: ClassVar[bool] = False

    width: int = 64
    """Channels of the first layer of G and of D, doubled at every halving, up to 8 times."""
    patch: int = 3
    """Strided layers of D: a score sees 16, 34, 70 or 142 pixels a side with 1, 2, 3 or 4 (fewer on small pictures)."""
    norm: Literal["instance", "batch", "none"] = "instance"
    """Normalisation of G and D; batch is the paper's only at a batch size of 1."""
    dropout: float = 0.5
    """Share of values dropped in the three innermost layers of G's decoder: its only noise."""
    sample_dropout: bool = True
    """Drop values also when sampling, as the paper does: a source then has many results; else it has one."""
    l1: float = 100.0
    """Weight of the L1 distance to the target (lambda in Eq. 4)."""
    adversarial: float = 1.0
    """Weight of G's adversarial term; 0 is the L1-only baseline of the paper's Table 1."""
    enlarge: float = 1.1171875
    """Jitter: pictures are enlarged by this factor and cut back to their size at a random place; 1 leaves them.
    The papers' is 286 / 256."""
    mirror: bool = True
    """Jitter: pairs are mirrored at random."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    decay_images: float = 0.0
    """Over so many images shown, after `constant_images`, lr falls to 0 in a straight line; 0 keeps it."""
    constant_images: float = 0.0
    """Images shown before the decay begins."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        a, b = data.parts["a"].shape, data.parts["b"].shape
        if a[1:] != b[1:]:
            raise ValueError(f"a is {a[1]}x{a[2]}, b {b[1]}x{b[2]}; pix2pix takes pairs of one size: pass --size")
        return {
            "G": unet.UNet(a, b[0], self.width, self.norm, self.dropout, self.sample_dropout, uniform),
            "D": patch.PatchGAN((a[0] + b[0], *a[1:]), self.width, self.patch, self.norm),
        }

    def optimizers(self) -> dict[str, Adam]:
        decay = self.decay_images
        lr = Ramp(self.lr, 0.0, decay, after=self.constant_images, linear=True) if decay else self.lr
        return {"G": Adam(lr, self.betas), "D": Adam(lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def given(self, batch: Batch) -> tuple[Batch, ...]:
        return ({"a": batch["a"]},)

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](given["a"])

    def pair(self, batch: Batch) -> tuple[Tensor, ...]:
        """Both halves, jittered alike."""
        return jitter(batch["a"], batch["b"], enlarge=self.enlarge, mirror=self.mirror)

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 1, halved (section 3.3): D sees the source beside the target or the result."""
        a, b = self.pair(batch)
        with torch.no_grad():
            fake = nets["G"](a)
        real_scores, fake_scores = nets["D"](torch.cat((a, b), 1)), nets["D"](torch.cat((a, fake), 1))
        return {"real": losses.logistic_real(real_scores) / 2, "fake": losses.logistic_fake(fake_scores) / 2}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 4: non-saturating, plus L1 (Eq. 3)."""
        a, b = self.pair(batch)
        fake = nets["G"](a)
        terms = {"l1": self.l1 * (fake.float() - b).abs().mean()} if self.l1 else {}
        if self.adversarial or not self.l1:
            terms["adversarial"] = self.adversarial * losses.logistic_real(nets["D"](torch.cat((a, fake), 1)))
        return terms
