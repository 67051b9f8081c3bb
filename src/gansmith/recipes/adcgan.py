"""ADC-GAN: a classifier with a class for each label of real samples and another for each label of fakes.

Source: Hou et al., "Conditional GANs with Auxiliary Discriminative Classifier", 2022, arXiv:2107.10060, section 4 (C_d
    tells y+ of real samples and y- of fakes; G raises log C_d(y+) - log C_d(y-); weight 1; hinge loss).
Differs from the paper: DCGAN's shapes with conditional batch norm in G and spectral norm in D, not BigGAN's; fully
    connected ones for vectors and pictures up to 12 x 12. The classifier's last layer has no spectral norm: of so few
    features it could then hardly tell classes apart; one D move and a longer step by default, for a CPU. Samples are of
    averaged weights (`--weights raw` takes the last ones); fakes are asked for the labels of the batch, where the
    authors' code draws them apart.
Expect: "G/class" comes to about 0: the classifier cannot tell real from fake in any class. Digits, width 16, z_dim
    32, lr 1e-3, 2 D moves, batch 64, 20,000 images, seed 0: of 1,000 samples 90.5 % are of the class asked for, as
    a logistic regression of real digits sees them (it is right on 93.4 % of held-out real ones); of the least class
    81.1 %; with the classes exchanged 9.7 %; its certainty 0.952 (`pytest -s -m "slow or not slow"
    tests/test_learns_labels.py`). MNIST at 32 px, seed 0, 100,000 images: 46.5 % are as asked (docs/conditional.md).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from .. import losses
from ..nets import conditional
from ..nets.spectral import normalised
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, noise, uniform


@dataclass(frozen=True, kw_only=True)
class ADCGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})
    takes: ClassVar[frozenset[str]] = frozenset({"label", "z"})

    z_dim: int = 80
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors and tiny pictures: layers are
    4, 8 and 16 times as wide."""
    class_weight: float = 1.0
    """Weight of the classifier in both players' losses (lambda)."""
    discriminator_moves: int = 1
    """D's moves for each of G; 5 in the paper."""
    lr: float = 1e-3
    """Adam's step size, of both networks; 2e-4 in the paper."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        share = conditional.chances(data.classes, data.counts, "adcgan")
        trunk = conditional.Trunk(data.shape, self.width, pooled=True)
        heads = conditional.Heads(trunk, (2 * len(share),))
        normalised(heads.trunk)
        normalised(heads.score)
        return {"G": conditional.Steered(self.z_dim, data.shape, self.width, share), "D": heads}

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        moves = self.discriminator_moves
        return (Turn(("D",), self.discriminator_loss, repeat=moves), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        """`given`: "label", classes (n,), else as often as in the data; "z", noise (n, z_dim)."""
        z = noise(nets, n, self.z_dim)
        return nets["G"](given.get("z", z), given.get("label", uniform(z, n)))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Hinge, and C_d's cross-entropy: logits are y+ of each class, then y- of each."""
        real, y = batch["x"], batch["y"]
        with torch.no_grad():
            fake = self.sample(nets, len(real), {"label": y})
        scores, logits = nets["D"](torch.cat((real, fake)))
        (real_scores, fake_scores), (real_logits, fake_logits) = scores.chunk(2), logits.chunk(2)
        return {
            "real": losses.hinge_real(real_scores),
            "fake": losses.hinge_fake(fake_scores),
            "class_real": self.class_weight * losses.cross_entropy(real_logits, y),
            "class_fake": self.class_weight * losses.cross_entropy(fake_logits, y + logits.shape[1] // 2),
        }

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """-E[s], and log C_d(y-) - log C_d(y+), in which the softmax's sum cancels out."""
        y = batch["y"]
        scores, logits = nets["D"](self.sample(nets, len(y), {"label": y}))
        as_real, as_fake = logits.chunk(2, 1)
        gap = (as_fake - as_real).gather(1, y[:, None])
        return {"score": -scores.mean(), "class": self.class_weight * gap.mean()}
