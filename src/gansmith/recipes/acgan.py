"""AC-GAN: D also says which class it sees, and G is to make samples whose class can be told.

Source: Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017, arXiv:1610.09585, Eq. 2 and 3
    (both players are to classify real samples and fakes rightly), appendix A (Adam 2e-4, beta1 0.5, dropout 0.5; the
    class joins the noise).
Differs from the paper: DCGAN's shapes for pictures, fully connected for vectors and pictures up to 12 x 12; noise is
    normal; non-saturating loss for G. Samples are of averaged weights (`--weights raw` takes the last ones); fakes are
    asked for the labels of the batch, where the authors' code draws them apart.
Expect: "D/class_real" and "D/class_fake" fall towards 0, "D/real" and "D/fake" to about 0.69. Digits, width 16,
    z_dim 32, lr 2e-3, batch 64, 40,000 images, seed 0: of 1,000 samples 100.0 % are of the class asked for, as a
    logistic regression of real digits sees them (it is right on 93.4 % of held-out real ones); of the least class
    100.0 %; with the classes exchanged 10.5 %; its certainty 0.962 (`pytest -s -m "slow or not slow"
    tests/test_learns_labels.py`). MNIST at 32 px, 100,000 images, seed 0: 88.3 % of 5,000 samples as asked, with lr
    5e-4 95.2 % (`python -m benchmarks.mnist acgan --images 100k`).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from .. import losses
from ..nets import conditional
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, judged, noise, uniform


@dataclass(frozen=True, kw_only=True)
class ACGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})
    takes: ClassVar[frozenset[str]] = frozenset({"label", "z"})

    z_dim: int = 100
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors and tiny pictures: layers are
    4, 8 and 16 times as wide."""
    dropout: float = 0.5
    """Share of D's units that are dropped in training: of each layer, or, where it is convolutional, of the last."""
    class_weight: float = 1.0
    """Weight of the classification in both players' losses (1 in the paper)."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        share = conditional.chances(data.classes, data.counts, "acgan")
        trunk = conditional.Trunk(data.shape, self.width, "batch", self.dropout)
        return {
            "G": conditional.joined(self.z_dim, data.shape, self.width, share),
            "D": conditional.Heads(trunk, (len(share),)),
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
        """L_S + L_C: Eq. 2 and 3."""
        real, fake = judged(nets, self.sample, batch["x"], {"label": batch["y"]})
        (real_scores, real_logits), (fake_scores, fake_logits) = real, fake
        return {
            "real": losses.logistic_real(real_scores),
            "fake": losses.logistic_fake(fake_scores),
            "class_real": self.class_weight * losses.cross_entropy(real_logits, batch["y"]),
            "class_fake": self.class_weight * losses.cross_entropy(fake_logits, batch["y"]),
        }

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """L_C - L_S, of fakes."""
        scores, logits = nets["D"](self.sample(nets, len(batch["x"]), {"label": batch["y"]}))
        return {
            "adversarial": losses.logistic_real(scores),
            "class": self.class_weight * losses.cross_entropy(logits, batch["y"]),
        }
