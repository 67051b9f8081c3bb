"""Unrolled GAN: G foresees how D would answer in its next moves, and descends through them.

Source: Metz et al., "Unrolled Generative Adversarial Networks", 2016, arXiv:1611.02163, Eq. 7 to 10: D's moves in
    foresight are gradient steps, and G's gradient includes that through D's answer (second term of Eq. 12).
Differs from the paper: the steps in foresight are plain gradient steps (Eq. 8), where D itself moves by Adam; they see
    one batch. Step sizes are those of the authors' demonstration. G's loss is Eq. 10's minimax value. Pictures use
    DCGAN's shapes with layer norm in D.
Expect: "G/foreseen" close to -1.39; near 0 D is far ahead and G is told nothing (as with an `lr_ratio` of 1). Not shown
    to learn yet: ring of 8 Gaussians, width 8, z_dim 2, step 0.3, batch 64, 40,000 images, seed 0 alone: 7 modes, 1.8 %
    of high quality (`pytest -s -m slow tests/test_learns_objectives.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..losses import logistic_fake, logistic_real
from ..nets.pair import pair
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, joined, noise


@dataclass(frozen=True, kw_only=True)
class Unrolled(Recipe):
    """GAN whose G sees D's next moves; see the module's docstring."""

    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    z_dim: int = 100
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors: layers are 8 times as wide."""
    moves: int = 5
    """D's moves in foresight (K); 0 is the plain minimax GAN."""
    step: float = 0.1
    """Step size of these moves (eta); D's own are Adam's."""
    lr: float = 1e-3
    """Adam's step size of G."""
    lr_ratio: float = 0.1
    """D's step size over G's: a D that is far ahead leaves the minimax loss without a slope."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        return pair(self.z_dim, data.shape, self.width, judge="layer")

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr * self.lr_ratio, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def rows_together(self) -> int:
        return 0 if self.moves else 1

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Goodfellow et al., 2014, Eq. 1: D itself moves as ever (Eq. 11)."""
        with torch.no_grad():
            fake = self.sample(nets, len(batch["x"]))
        real_scores, fake_scores = nets["D"](torch.cat((batch["x"], fake))).chunk(2)
        return {"real": logistic_real(real_scores), "fake": logistic_fake(fake_scores)}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 10: minus D's loss after its moves in foresight, which are functions of G; on the batch of all ranks."""
        both = torch.cat((joined(batch["x"]), joined(self.sample(nets, len(batch["x"])))))
        weights: dict[str, Tensor] = dict(nets["D"].named_parameters())
        for _ in range(self.moves):
            slopes = torch.autograd.grad(self.error(nets, weights, both), list(weights.values()), create_graph=True)
            weights = {k: w - self.step * g for (k, w), g in zip(weights.items(), slopes, strict=True)}
        return {"foreseen": -self.error(nets, weights, both)}

    def error(self, nets: nn.ModuleDict, weights: dict[str, Tensor], both: Tensor) -> Tensor:
        """D's loss with these weights."""
        real_scores, fake_scores = torch.func.functional_call(nets["D"], weights, (both,)).chunk(2)
        return logistic_real(real_scores) + logistic_fake(fake_scores)
