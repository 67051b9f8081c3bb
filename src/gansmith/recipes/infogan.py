"""InfoGAN: codes that must be readable from the sample; classes and ways to vary are found without a label.

Source: Chen et al., "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial
    Nets", 2016, arXiv:1606.03657, Eq. 5 and 6 (Q is a last layer on D's own; both players raise the bound L_I), section
    6 and appendix C.1 (networks; 10 categories, 2 continuous codes in [-1, 1] of weight 0.1, Adam 2e-4 for D, 1e-3 for
    G); its code (noise uniform in [-1, 1]).
Differs from the paper: fully connected networks for vectors and pictures up to 12 x 12; larger pictures are halved more
    often; Q's deviation of continuous codes is 1, as in the authors' code, unless `deviation` is learned. Samples are
    of averaged weights (`--weights raw` takes the last ones).
Expect: "D/code" falls from 2.3 (of ten categories) towards 0. Ring of 8 Gaussians, width 4, z_dim 2, 8 categories,
    no continuous code, lr 1e-3, batch 64, 100,000 images, seed 0: each code makes a mode of its own (1,000 samples
    of 1,000; with the codes exchanged 16.0 %), 8 modes, 92 % of high quality (`pytest -s
    tests/test_learns_labels.py`). Digits, width 24, z_dim 16, lr 5e-4, batch 64, 100,000 images, seed 0: codes are
    read well but are not quite the ten digits: by the best one-to-one map 72.1 % of samples are of the class of
    their code (exchanged 14.1 %). MNIST at 32 px: `python -m benchmarks.mnist infogan --images 100k --name labels`.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from .. import losses
from ..nets import conditional, dense
from ..nets.shapes import flat
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, noise, uniform


@dataclass(frozen=True, kw_only=True)
class InfoGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})
    takes: ClassVar[frozenset[str]] = frozenset({"code", "continuous", "z"})

    z_dim: int = 62
    """Length of the noise vector that codes are joined to; data of few columns want about as few."""
    categories: int = 10
    """Values of the categorical code, all equally likely."""
    continuous: int = 2
    """Continuous codes, each uniform in [-1, 1]."""
    info_weight: float = 1.0
    """Weight of the categorical code's part of the mutual information."""
    continuous_weight: float = 0.1
    """Weight of the continuous codes' part."""
    deviation: Literal["fixed", "learned"] = "fixed"
    """Q's standard deviation of a continuous code: 1, or one that Q tells too."""
    code_width: int = 128
    """Units of Q's own hidden layer, which has batch norm; 0: Q is linear in D's features."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving while 7 pixels or more are left; the fully connected
    layer has 16 times as many units. Vectors and tiny pictures: layers are 4, 8 and 16 times as wide."""
    lr: float = 2e-4
    """Adam's step size, of D (and Q)."""
    generator_lr: float = 1e-3
    """Adam's step size, of G."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        if self.categories < 2 or self.continuous < 0:
            raise ValueError(
                f"--categories {self.categories}, --continuous {self.continuous}: at least 2 categories and 0 "
                "continuous codes are needed"
            )
        even = (1 / self.categories,) * self.categories
        numbers = self.continuous * (2 if self.deviation == "learned" else 1)
        size = self.z_dim + self.continuous
        if flat(data.shape):
            generator = conditional.joined(size, data.shape, self.width, even)
            trunk: conditional.Trunk | dense.Trunk = conditional.Trunk(data.shape, self.width, "batch")
        else:
            generator = conditional.Joined(dense.Generator(size + self.categories, data.shape, self.width), even)
            trunk = dense.Trunk(data.shape, self.width)
        return {
            "G": generator,
            "D": conditional.Heads(
                trunk, (self.categories, numbers) if numbers else (self.categories,), self.code_width
            ),
        }

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.generator_lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        """`given`: "code", categories (n,); "continuous", (n, codes) in [-1, 1]; "z", normal noise (n, z_dim)."""
        return self.coded_samples(nets, n, given)[0]

    def coded_samples(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> tuple[Tensor, Tensor, Tensor]:
        """Samples, their categories (n,) and their continuous codes (n, codes)."""
        z = torch.erf(given.get("z", noise(nets, n, self.z_dim)) / math.sqrt(2))  # uniform in (-1, 1)
        code = given.get("code", (uniform(z, n) * self.categories).long())
        continuous = given.get("continuous", uniform(z, n, self.continuous) * 2 - 1)
        return nets["G"](torch.cat((z, continuous), 1), code), code, continuous

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 6, D's and Q's side: the layers that they share move for both."""
        with torch.no_grad():
            fake, *codes = self.coded_samples(nets, len(batch["x"]))
        real_scores, (fake_scores, *readings) = nets["D"](batch["x"])[0], nets["D"](fake)  # two passes: see `judged`
        adversarial = {"real": losses.logistic_real(real_scores), "fake": losses.logistic_fake(fake_scores)}
        return adversarial | self.information(readings, codes)

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 6, G's side, non-saturating."""
        fake, *codes = self.coded_samples(nets, len(batch["x"]))
        scores, *readings = nets["D"](fake)
        return {"adversarial": losses.logistic_real(scores)} | self.information(readings, codes)

    def information(self, readings: list[Tensor], codes: list[Tensor]) -> Terms:
        """-L_I without the codes' entropy: what Q makes of the samples, against the codes (Eq. 5)."""
        terms = {"code": self.info_weight * losses.cross_entropy(readings[0], codes[0])}
        if not self.continuous:
            return terms
        mean, *log_deviation = readings[1].split(self.continuous, 1)
        return terms | {"continuous": self.continuous_weight * losses.gaussian(mean, codes[1], *log_deviation)}
