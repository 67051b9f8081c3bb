"""ReACGAN: AC-GAN whose classifier works on a sphere and learns from pairs of samples, without exploding gradients.

Source: Kang et al., "Rebooting ACGAN: Auxiliary Classifier GANs with Stable Training", 2021, arXiv:2111.01118, section
    3 (features and classes of length 1; D2D-CE of real samples for D, of fakes for G), and the authors' settings of
    BigGAN on CIFAR-10 (hinge loss, 5 D moves, Adam with betas 0.5 and 0.999, margin 0.98, temperature 0.5, weight 0.5).
Differs from the paper: DCGAN's shapes with conditional batch norm in G and spectral norm in D, not BigGAN's; fully
    connected ones for vectors and pictures up to 12 x 12. Pairs are those of one micro-batch; one D move and a longer
    step by default, for a CPU. Fakes are asked for the labels of the batch, where the authors' code draws them apart.
Expect: "D/real" and "D/fake" about 1; "D/class" stays near 2, as good pairs give a constant. Digits, width 16,
    z_dim 32, lr 1e-3, 2 D moves, batch 64, 20,000 images, seed 0: of 1,000 samples 99.8 % are of the class asked
    for, as a logistic regression of real digits sees them (it is right on 93.4 % of held-out real ones); of the
    least class 98.8 %; with the classes exchanged 10.5 %; its certainty 0.980 (`pytest -s -m "slow or not slow"
    tests/test_learns_labels.py`). MNIST at 32 px, seed 0, 100,000 images: 30.0 % are as asked, so its classes come late
    there; with the paper's five moves of D and 2e-4 it does not draw digits at 24,000 (docs/conditional.md).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from .. import losses
from ..nets import conditional
from ..nets.spectral import normalised
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, joined, noise, uniform


@dataclass(frozen=True, kw_only=True)
class ReACGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})
    takes: ClassVar[frozenset[str]] = frozenset({"label", "z"})

    z_dim: int = 80
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors and tiny pictures: layers are
    4, 8 and 16 times as wide."""
    embedding: int = 128
    """Length of the vectors on the sphere."""
    class_weight: float = 0.5
    """Weight of D2D-CE in both players' losses (lambda)."""
    margin: float = 0.98
    """A sample as like its class as this, or less like another class's sample than 1 minus this, is left alone."""
    temperature: float = 0.5
    """What similarities are divided by."""
    discriminator_moves: int = 1
    """D's moves for each of G; 5 in the paper."""
    lr: float = 1e-3
    """Adam's step size, of both networks; 2e-4 in the paper."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        share = conditional.chances(data.classes, data.counts, "reacgan")
        trunk = conditional.Trunk(data.shape, self.width, pooled=True)
        return {
            "G": conditional.Steered(self.z_dim, data.shape, self.width, share),
            "D": normalised(conditional.Embedding(trunk, len(share), self.embedding)),
        }

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        moves = self.discriminator_moves
        return (Turn(("D",), self.discriminator_loss, repeat=moves), Turn(("G",), self.generator_loss))

    def rows_together(self) -> int:
        return 0

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        """`given`: "label", classes (n,), else as often as in the data; "z", noise (n, z_dim)."""
        z = noise(nets, n, self.z_dim)
        return nets["G"](given.get("z", z), given.get("label", uniform(z, n)))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Hinge, and D2D-CE of the real samples."""
        real, y = batch["x"], batch["y"]
        with torch.no_grad():
            fake = self.sample(nets, len(real), {"label": y})
        scores, samples, classes = nets["D"](torch.cat((real, fake)), torch.cat((y, y)))
        real_scores, fake_scores = scores.chunk(2)
        return {
            "real": losses.hinge_real(real_scores),
            "fake": losses.hinge_fake(fake_scores),
            "class": self.relations(samples[: len(real)], classes[: len(real)], y),
        }

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """-E[s], and D2D-CE of the fakes."""
        y = batch["y"]
        scores, samples, classes = nets["D"](self.sample(nets, len(y), {"label": y}), y)
        return {"score": -scores.mean(), "class": self.relations(samples, classes, y)}

    def relations(self, samples: Tensor, classes: Tensor, y: Tensor) -> Tensor:
        """The weighted D2D-CE."""
        samples, classes, y = joined(samples), joined(classes), joined(y)
        return self.class_weight * losses.data_to_data(samples, classes, y, self.margin, self.temperature)
