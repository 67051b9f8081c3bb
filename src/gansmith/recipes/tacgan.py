"""TAC-GAN: a twin classifier learns from fakes alone and holds G back from samples that are too easy to classify.

Source: Gong et al., "Twin Auxiliary Classifiers GAN", 2019, arXiv:1907.02690, section 3 (V_TAC: AC-GAN's objective plus
    the twin's: C and G are to classify well, the twin C_mi too but against G).
Differs from the paper: DCGAN's shapes for pictures, fully connected for vectors and pictures up to 12 x 12, not
    BigGAN's; both classifiers are layers on D's own; non-saturating loss for G. Samples are of averaged weights
    (`--weights raw` takes the last ones); fakes are asked for the labels of the batch, where the authors' code draws
    them apart.
Expect: "D/twin" follows "D/class_fake", and "G/twin" is about minus "G/class". Digits, width 16, z_dim 32, lr 2e-3,
    batch 64, 40,000 images, seed 0: of 1,000 samples 95.9 % are of the class asked for, as a logistic regression of
    real digits sees them (it is right on 93.4 % of held-out real ones); of the least class 91.6 %; with the classes
    exchanged 10.5 %; its certainty 0.952 (`pytest -s -m "slow or not slow" tests/test_learns_labels.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from .. import losses
from ..nets import conditional
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, judged, noise, uniform


@dataclass(frozen=True, kw_only=True)
class TACGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})
    takes: ClassVar[frozenset[str]] = frozenset({"label", "z"})

    z_dim: int = 100
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors and tiny pictures: layers are
    4, 8 and 16 times as wide."""
    dropout: float = 0.3
    """Share of D's units that are dropped in training: of each layer, or, where it is convolutional, of the last."""
    class_weight: float = 1.0
    """Weight of both classifiers in both players' losses (lambda_c)."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        share = conditional.chances(data.classes, data.counts, "tacgan")
        trunk = conditional.Trunk(data.shape, self.width, "batch", self.dropout)
        return {
            "G": conditional.joined(self.z_dim, data.shape, self.width, share),
            "D": conditional.Heads(trunk, (len(share), len(share))),
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
        """D's, C's and the twin's side of V_TAC."""
        y, c = batch["y"], self.class_weight
        real, fake = judged(nets, self.sample, batch["x"], {"label": y})
        (real_scores, real_logits, _), (fake_scores, fake_logits, twin) = real, fake
        return {
            "real": losses.logistic_real(real_scores),
            "fake": losses.logistic_fake(fake_scores),
            "class_real": c * losses.cross_entropy(real_logits, y),
            "class_fake": c * losses.cross_entropy(fake_logits, y),
            "twin": c * losses.cross_entropy(twin, y),
        }

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """G's side of V_TAC: to be classified by C and not by the twin."""
        y, c = batch["y"], self.class_weight
        scores, logits, twin = nets["D"](self.sample(nets, len(y), {"label": y}))
        return {
            "adversarial": losses.logistic_real(scores),
            "class": c * losses.cross_entropy(logits, y),
            "twin": -c * losses.cross_entropy(twin, y),
        }
