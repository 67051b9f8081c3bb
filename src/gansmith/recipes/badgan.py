"""Bad GAN: few labels; G is to make samples beside the data, not of it, for D to draw its borders there.

Source: Dai, Yang, Yang, Cohen & Salakhutdinov, "Good Semi-supervised Learning That Requires a Bad GAN", 2017,
    arXiv:1705.09783, section 4 (low density, entropy of G by the pull-away term, conditional entropy in D) and the
    authors' MNIST settings: feature matching and low density alone, weighted 1e-4 in a tenth of the steps after 9,000.
    Networks and losses of Salimans et al., 2016, arXiv:1606.03498.
Differs from the paper: the density (PixelCNN++) has one resolution and learns in the first `density_steps` steps; its
    term is taken of a few samples at each step, weighted by a tenth, not of 30 in a tenth of the steps; what counts as
    low is a running mean over batches. Weights are averaged as in `semi`; lr stays what it is.
Expect: as `semi`; "P/density" falls (nats a value). "G/density" above 0: G still makes what the density finds likely.
    100 labels of MNIST, 500,000 images, seed 0 alone: 460 errors of 10,000, where `semi` makes 1,393 after as many
    (`python -m benchmarks.semi badgan --images 500k`). The paper has 79.5 +- 9.8 after many more.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from .. import losses
from ..nets import pixelcnn, weight_norm
from ..recipe import (
    EMPTY,
    Adam,
    Average,
    Batch,
    DataSpec,
    FewLabels,
    Made,
    Recipe,
    Terms,
    Turn,
    joined,
    normal,
    of,
    of_all_ranks,
    uniform,
)


@dataclass(frozen=True, kw_only=True)
class BadGAN(Recipe):
    serving: ClassVar[tuple[str, ...]] = ("G", "D")

    num_labels: int = 100
    """So many labels are told, equally many of each class, chosen by the seed and kept in run.json; 0 tells all."""
    density: float = 1e-5
    """Weight of log p of samples that the density finds likely, in G."""
    rare: float = 0.1
    """Share of real samples that count as unlikely: samples are pushed until they are among those."""
    density_samples: int = 3
    """Samples of each step that the density looks at."""
    density_steps: int = 9_000
    """Steps in which the density learns; after them G is to avoid it."""
    density_every: int = 4
    """Of those, every so many."""
    density_width: int = 16
    """Channels of the density's convolutions."""
    blocks: int = 3
    """Gated residual layers of each of its two streams."""
    mixtures: int = 10
    """Logistic distributions mixed for a pixel."""
    density_lr: float = 1e-3
    """Adam's step size for the density."""
    pull_away: float = 0.0
    """Weight of the pull-away term in G, which keeps samples apart (0.8 on SVHN in the paper's code)."""
    entropy: float = 0.0
    """Weight of the entropy of D's classes on unlabelled samples (0.1 on SVHN)."""
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
    """Adam's step size for D."""
    g_lr: float = 1e-3
    """Adam's step size for G."""
    betas: tuple[float, float] = (0.5, 0.9999)
    """D's decay rates of Adam."""
    g_betas: tuple[float, float] = (0.0, 0.9999)
    """G's decay rates of Adam."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        if len(data.classes) < 2:
            raise ValueError("badgan classifies, and this data has no labels: give class folders, or a CSV of labels")
        w = self.width
        widths = (4 * w, 2 * w, w, w, w)
        return {
            "G": weight_norm.Generator(self.z_dim, data.shape, (2 * w, 2 * w)),
            "D": weight_norm.Classifier(data.shape, len(data.classes), widths, self.input_noise, self.noise),
            "P": pixelcnn.PixelCNN(data.shape[0], self.density_width, self.blocks, self.mixtures, self.rare),
        }

    def optimizers(self) -> dict[str, Adam]:
        return {
            "D": Adam(self.lr, self.betas),
            "G": Adam(self.g_lr, self.g_betas),
            "P": Adam(self.density_lr, (0.9, 0.999)),
        }

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn(("D",), self.first_loss, stop=1),
            Turn(("P",), self.density_loss, every=self.density_every, stop=self.density_steps),
            Turn(("D",), self.discriminator_loss),
            Turn(("G",), self.matching_loss, stop=self.density_steps),
            Turn(("G",), self.complement_loss, start=self.density_steps),
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

    def density_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """P's negative log-likelihood of real samples, a value of theirs."""
        density = of(nets, "P", pixelcnn.PixelCNN)
        log_prob = density(batch["x"])
        density.observe(of_all_ranks(log_prob)[0])
        return {"density": -log_prob.mean() / batch["x"][0].numel()}

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Section 4: labels, the game, and where asked for D's certainty on unlabelled samples."""
        with torch.no_grad():
            fake = self.sample(nets, len(batch["x"]))
        terms, logits = weight_norm.game(of(nets, "D", weight_norm.Classifier), batch, fake)
        if self.entropy:
            chances = logits.log_softmax(1)
            terms["entropy"] = -self.entropy * (chances.exp() * chances).sum(1).mean()
        return terms

    def matching_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Feature matching (Salimans et al., section 3.1), and where asked for the pull-away term."""
        return self.feature_terms(nets, batch, self.sample(nets, len(batch["x"])))

    def complement_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Section 4: the same, and low density: log p of those samples of which it exceeds the threshold."""
        fake = self.sample(nets, len(batch["x"]))
        density = of(nets, "P", pixelcnn.PixelCNN)
        over = (density(joined(fake)[: self.density_samples]) - density.low).clamp_min(0)
        likely = over.sum() / (over > 0).sum().clamp_min(1)
        return self.feature_terms(nets, batch, fake) | {"density": self.density * likely}

    def feature_terms(self, nets: nn.ModuleDict, batch: Batch, fake: Tensor) -> Terms:
        """G's terms of both stages: of D's features."""
        d = of(nets, "D", weight_norm.Classifier)
        features = d.features(fake, normal)
        with torch.no_grad():
            real = d.features(batch["x"], normal)
        terms = {"features": weight_norm.matching(real, features)}
        return terms | ({"pull_away": self.pull_away * losses.pull_away(joined(features))} if self.pull_away else {})
