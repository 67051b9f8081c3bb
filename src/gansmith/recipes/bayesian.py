"""Bayesian GAN: generators and discriminators are drawn from the posterior of their weights, several of each.

Source: Saatci & Wilson, "Bayesian GAN", 2017, arXiv:1705.09558, Eq. 1 and 2 (conditional posteriors), section 2.2
    (labels: K logits beside the fake class), Algorithm 1 (SGHMC); Chen, Fox & Guestrin, 2014, arXiv:1402.4102, Eq. 15.
Differs from the paper: multilayer perceptrons; the samples of a posterior are where so many parallel chains stand; sums
    over the other player's samples are means; the fake class's logit is held at 0. The first `burn_in`
    steps are Adam's, as the first 5,000 are in the authors' code; a run that ends before has not sampled anything, as
    that of the MNIST table. From there on it is SGHMC, where their unsupervised script stays with Adam.
Expect: "D" terms as of `gan`; "prior" grows slowly. Chains are far apart: `generators` 1 shows what one covers.
    Ring of 8 Gaussians, width 128, z_dim 2, adam_lr 1e-3, burn_in 2000, batch 64, 200,000 images, seeds 0-2: all 8
    modes, 35 to 55 % of high quality (`pytest -s -m slow tests/test_learns_objectives.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import losses
from ..data import Uniform
from ..nets import mlp
from ..recipe import EMPTY, Average, Batch, DataSpec, Draw, FewLabels, Made, Recipe, Step, Terms, Turn, noise, of
from ..step.sghmc import SGHMC, Chain


@dataclass(frozen=True, kw_only=True)
class Bayesian(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})
    serving: ClassVar[tuple[str, ...]] = ("G", "D")
    step_class: ClassVar[type[Step]] = SGHMC

    generators: int = 10
    """Samples of the generator's posterior (J_g), all of which make samples."""
    discriminators: int = 1
    """Samples of the discriminator's posterior (J_d); classes are their average."""
    num_labels: int = 0
    """So many labels are told, equally many of each class: D then knows classes; 0 for a GAN without them."""
    observed: float = 10_000
    """How many samples the posterior is of: as many as there are to train on. More of them, less noise."""
    prior: float = 1.0
    """Standard deviation of the weights' prior."""
    friction: float = 0.1
    """Share of its velocity that a chain loses a step (alpha)."""
    z_dim: int = 100
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 256
    """Units of each of two hidden layers."""
    lr: float = 1e-3
    """Step size, of a mean over samples; the paper's, of a sum over all of them, is this / observed."""
    burn_in: int = 2000
    """So many first steps are Adam's, without noise: a run that ends before never was a chain. The authors: 5000."""
    adam_lr: float = 2e-4
    """Adam's step size in these."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        classes = len(data.classes) if self.num_labels else 1
        if not classes:
            raise ValueError("--num-labels: this data has no labels; leave it at 0, or give class folders")
        widths, bounded = (self.width, self.width), data.bounded
        mlp.at_least_one(generators=self.generators, discriminators=self.discriminators)
        make = [mlp.Generator(self.z_dim, data.shape, widths, bounded) for _ in range(self.generators)]
        judge = [mlp.Encoder(data.shape, widths, classes) for _ in range(self.discriminators)]
        return {"G": nn.ModuleList(make), "D": nn.ModuleList(judge)}

    def optimizers(self) -> dict[str, Chain]:
        return dict.fromkeys(("G", "D"), Chain(self.lr, self.friction, self.observed, self.burn_in, self.adam_lr))

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def draw(self) -> Draw:
        return FewLabels(self.num_labels) if self.num_labels else Uniform()

    def average(self) -> Average:
        return Average(half_life=0)  # the mean of draws from a posterior is no draw from it

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        """Sample i is made by generator i, and round again."""
        z, generators = noise(nets, n, self.z_dim), list(of(nets, "G", nn.ModuleList))
        count = len(generators)
        parts = [g(z[j::count]) for j, g in enumerate(generators[: max(n, 1)])]
        order = torch.cat([torch.arange(n, device=z.device)[j::count] for j in range(len(parts))])
        return torch.cat(parts)[order.argsort()]

    def gives(self) -> tuple[Made, ...]:
        return ("class",) if self.num_labels else ()

    def apply(self, nets: nn.ModuleDict, x: Tensor, what: Made) -> Tensor:
        """The mean of what the discriminators say."""
        return torch.stack([d(x).softmax(1) for d in of(nets, "D", nn.ModuleList)]).mean(0)

    def weights(self, nets: nn.ModuleDict, role: str) -> Tensor:
        """Minus the log-density of the prior of all weights, a sample's share of it; up to a constant."""
        squares = torch.stack([p.square().sum() for p in nets[role].parameters()]).sum()
        return squares / (2 * self.prior**2 * self.observed)

    def fakes(self, nets: nn.ModuleDict, n: int) -> list[Tensor]:
        """Samples (n, ...) of each generator, each of noise of its own."""
        return [g(noise(nets, n, self.z_dim)) for g in of(nets, "G", nn.ModuleList)]

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 2, of every chain: their weights are apart, so one sum serves all."""
        with torch.no_grad():
            fakes = self.fakes(nets, len(batch["x"]))
        judges = of(nets, "D", nn.ModuleList)
        terms = {
            "real": _sum(losses.logistic_real(d(batch["x"]).logsumexp(1)) for d in judges),
            "fake": _sum(losses.logistic_fake(d(f).logsumexp(1)) for d in judges for f in fakes) / len(fakes),
            "prior": self.weights(nets, "D"),
        }
        if self.num_labels:
            terms["labelled"] = _sum(F.cross_entropy(d(batch["labelled.x"]), batch["labelled.y"]) for d in judges)
        return terms

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 1, of every chain."""
        fakes, judges = self.fakes(nets, len(batch["x"])), of(nets, "D", nn.ModuleList)
        fooled = _sum(losses.logistic_real(d(f).logsumexp(1)) for d in judges for f in fakes)
        return {"adversarial": fooled / len(judges), "prior": self.weights(nets, "G")}


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()
