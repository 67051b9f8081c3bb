"""cGAN: the label is a further input of both players, so that samples come to order.

Source: Mirza & Osindero, "Conditional Generative Adversarial Nets", 2014, arXiv:1411.1784, Eq. 2 and section 4.1
    (fully connected networks, label one-hot, cross-entropy); losses of Goodfellow et al., 2014, Eq. 1.
Differs from the paper: LeakyReLU instead of ReLU and maxout, three layers instead of two, Adam instead of momentum;
    normal noise; non-saturating loss for G. As there, label and sample (or noise) meet after a layer of their own.
    Samples are of averaged weights (`--weights raw` takes the last ones).
Expect: "D/real" and "D/fake" about 0.6. Digits, width 16, z_dim 16, lr 2e-3, dropout 0.1, batch 64, 60,000 images,
    seed 0: of 1,000 samples 96.5 % are of the class asked for, as a logistic regression of real digits sees them
    (it is right on 93.4 % of held-out real ones); of the least class 82.9 %; with the classes exchanged 10.6 %; its
    certainty 0.935 (`pytest -s -m "slow or not slow" tests/test_learns_labels.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from .. import losses
from ..nets import conditional
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, noise, uniform


@dataclass(frozen=True, kw_only=True)
class CGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})
    takes: ClassVar[frozenset[str]] = frozenset({"label", "z"})

    z_dim: int = 100
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """G's layers have 4, 8 and 16 times as many units, D's 16, 8 and 4 times."""
    dropout: float = 0.3
    """Share of D's units that are dropped in training."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        share = conditional.chances(data.classes, data.counts, "cgan")
        widths = (4 * self.width, 8 * self.width, 16 * self.width)
        return {
            "G": conditional.JoinedGenerator(self.z_dim, data.shape, widths, share, bounded=data.bounded),
            "D": conditional.JoinedDiscriminator(data.shape, len(share), widths[::-1], self.dropout),
        }

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        """`given`: "label", classes (n,), else as often as in the data; "z", noise (n, z_dim)."""
        z = noise(nets, n, self.z_dim)
        return nets["G"](given.get("z", z), given.get("label", uniform(z, n)))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 2, from scores; fakes are asked for the labels of the batch."""
        real, y = batch["x"], batch["y"]
        with torch.no_grad():
            fake = self.sample(nets, len(real), {"label": y})
        real_scores, fake_scores = nets["D"](torch.cat((real, fake)), torch.cat((y, y))).chunk(2)
        return {"real": losses.logistic_real(real_scores), "fake": losses.logistic_fake(fake_scores)}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 2, non-saturating."""
        fake = self.sample(nets, len(batch["x"]), {"label": batch["y"]})
        return {"adversarial": losses.logistic_real(nets["D"](fake, batch["y"]))}
