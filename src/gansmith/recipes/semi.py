"""Semi-supervised GAN: D is a classifier that learns from a few labels and, by playing the game, from all the rest.

Source: Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498, section 5 (K logits, the fake
    class's held at 0), section 3.1 (feature matching), section 5.1 and the authors' MNIST code (networks, noise, weight
    norm set by a first batch, Adam 3e-3, batch 100, 300 epochs, averaged weights of rate 1e-4).
Differs from the paper: the first batch that sets the weight norm is one of training, with its noise.
Expect: "D/labelled" falls to nearly 0; "D/real" and "D/fake" stay near 0.2 to 0.35; "G/features" stays small. Errors on
    data of which labels are known: `gansmith apply RUN mnist:test --out classes.csv`.
    100 labels of MNIST, 9M images, seeds 0 to 2: 94, 96 and 124 errors of 10,000; by the labels alone 2,330, 2,416
    and 2,579 (`python -m benchmarks.semi --images 9M`). The paper has 93 +- 6.5 after 18M.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..nets import weight_norm
from ..recipe import EMPTY, Adam, Average, Batch, DataSpec, FewLabels, Made, Recipe, Terms, Turn, normal, of, uniform


@dataclass(frozen=True, kw_only=True)
class Semi(Recipe):
    serving: ClassVar[tuple[str, ...]] = ("G", "D")

    num_labels: int = 100
    """So many labels are told, equally many of each class, chosen by the seed and kept in run.json; 0 tells all."""
    unlabelled: float = 1.0
    """Weight of the game on unlabelled samples and fakes in D; 0 leaves a classifier that the labels alone teach."""
    z_dim: int = 100
    """Length of the noise vector, uniform in [0, 1)."""
    width: int = 250
    """Units of D's last three hidden layers; those before have 4 and 2 times as many, G's twice."""
    input_noise: float = 0.3
    """Standard deviation of the noise added to pictures, whose values are 0 to 1 for this, before D sees them."""
    noise: float = 0.5
    """Standard deviation of the noise added to each hidden layer of D."""
    average_images: float = 693_147.0
    """Half-life of the moving average that classifies, in images shown: ln 2 / 1e-4 steps of 100."""
    lr: float = 3e-3
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        if len(data.classes) < 2:
            raise ValueError("semi classifies, and this data has no labels: give class folders, or a CSV of labels")
        w = self.width
        widths = (4 * w, 2 * w, w, w, w)
        return {
            "G": weight_norm.Generator(self.z_dim, data.shape, (2 * w, 2 * w)),
            "D": weight_norm.Classifier(data.shape, len(data.classes), widths, self.input_noise, self.noise),
        }

    def optimizers(self) -> dict[str, Adam]:
        # The authors' Adam has 1e-8 inside the root: 1e-4 outside, where gradients are small.
        return dict.fromkeys(("G", "D"), Adam(self.lr, self.betas, eps=1e-4))

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn(("D",), self.first_loss, stop=1),
            Turn(("D",), self.discriminator_loss),
            Turn(("G",), self.generator_loss),
        )

    def draw(self) -> FewLabels:
        return FewLabels(self.num_labels)

    def rows_together(self) -> int:
        return 0

    def average(self) -> Average:
        return Average(half_life=self.average_images)

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](uniform(next(nets.parameters()), n, self.z_dim))

    def gives(self) -> tuple[Made, ...]:
        return ("class",)

    def apply(self, nets: nn.ModuleDict, x: Tensor, what: Made) -> Tensor:
        return nets["D"](x).softmax(1)

    def first_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """The very first batch sets D's scales and biases, then teaches it."""
        return {"labelled": weight_norm.first_loss(of(nets, "D", weight_norm.Classifier), batch)}

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Section 5."""
        d = of(nets, "D", weight_norm.Classifier)
        if not self.unlabelled:
            return {"labelled": weight_norm.labelled(d, batch)}
        with torch.no_grad():
            fake = self.sample(nets, len(batch["x"]))
        terms, _ = weight_norm.game(d, batch, fake)
        return terms | {name: self.unlabelled * terms[name] for name in ("real", "fake")}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Section 3.1: the last hidden layer is to have the same mean on fakes as on real samples."""
        d = of(nets, "D", weight_norm.Classifier)
        with torch.no_grad():
            real = d.features(batch["x"], normal)
        return {"features": weight_norm.matching(real, d.features(self.sample(nets, len(real)), normal))}
