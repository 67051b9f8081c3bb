"""Unrolled GAN: G foresees how D would answer in its next moves, and descends through them.

Source: Metz et al., "Unrolled Generative Adversarial Networks", 2016, arXiv:1611.02163, Eq. 7 to 10: G's gradient
    includes that through D's answer (second term of Eq. 12). As in its experiments the moves in foresight are those of
    D's own Adam (Kingma & Ba, 2014, Algorithm 1), from where its moments stand; they see one batch.
Differs from the paper: step sizes are near those of the authors' demonstration, not the paper's 1e-4. Pictures use
    DCGAN's shapes with layer norm in D. Plain gradient steps (Eq. 8) collapse on the ring. Samples are of averaged
    weights (`--weights raw` takes the last ones).
Expect: "G/foreseen" close to -1.39; near 0 D is far ahead and G is told nothing. Ring of 8 Gaussians, width 16,
    z_dim 2, batch 64, 200,000 images, seeds 0-2: all 8 modes, 45 to 57 % of high quality; without foresight (moves 0)
    nothing (`pytest -s -m slow tests/test_learns_objectives.py`).
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..losses import logistic_fake, logistic_real
from ..nets.pair import pair
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Step, Terms, Turn, joined, judged, noise, of


class Moments(nn.Module):
    """Where the moments of an Adam stand: at zero until it has moved."""

    def __init__(self) -> None:
        super().__init__()
        self.adam: torch.optim.Optimizer | None = None

    def forward(self, weights: list[Tensor]) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Means of gradients and of their squares, as the weights, and how often it moved, ()."""
        states = [self.adam.state[w] if self.adam else {} for w in weights]
        if not all(states):
            zeros = [torch.zeros_like(w) for w in weights]
            return zeros, zeros, torch.zeros((), device=weights[0].device)
        return [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states], states[0]["step"]


class Unrolling(Step):
    """A step that lets losses read where D's Adam stands."""

    def __init__(self, nets: nn.ModuleDict, *rest: Any, **options: Any) -> None:
        super().__init__(nets, *rest, **options)
        of(nets, "moments", Moments).adam = self.optimizers["D"]


@dataclass(frozen=True, kw_only=True)
class Unrolled(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})
    step_class: ClassVar[type[Step]] = Unrolling

    z_dim: int = 100
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors: layers are 8 times as wide."""
    moves: int = 5
    """D's moves in foresight (K); 0 is the plain minimax GAN."""
    lr: float = 1e-3
    """Adam's step size of G."""
    lr_ratio: float = 0.3
    """D's step size over G's: a D that is far ahead leaves the minimax loss without a slope."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        return pair(self.z_dim, data.shape, self.width, judge="layer") | {"moments": Moments()}

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
        real, fake = judged(nets, self.sample, batch["x"], together=True)
        return {"real": logistic_real(real), "fake": logistic_fake(fake)}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 10: minus D's loss after its moves in foresight, which are functions of G; on the batch of all ranks."""
        both = torch.cat((joined(batch["x"]), joined(self.sample(nets, len(batch["x"])))))
        weights: dict[str, Tensor] = dict(nets["D"].named_parameters())
        first, second, count = nets["moments"](list(weights.values()))
        rate, (fast, slow), eps = self.lr * self.lr_ratio, self.betas, self.optimizers()["D"].eps
        for _ in range(self.moves):
            slopes = torch.autograd.grad(self.error(nets, weights, both), list(weights.values()), create_graph=True)
            first = [m.lerp(g, 1 - fast) for m, g in zip(first, slopes, strict=True)]
            second = [v.lerp(g * g, 1 - slow) for v, g in zip(second, slopes, strict=True)]
            count = count + 1
            weights = {
                k: w - rate * (m / _correction(fast, count)) / (_root(v / _correction(slow, count)) + eps)
                for (k, w), m, v in zip(weights.items(), first, second, strict=True)
            }
        return {"foreseen": -self.error(nets, weights, both)}

    def error(self, nets: nn.ModuleDict, weights: dict[str, Tensor], both: Tensor) -> Tensor:
        """D's loss with these weights."""
        real_scores, fake_scores = torch.func.functional_call(nets["D"], weights, (both,)).chunk(2)
        return logistic_real(real_scores) + logistic_fake(fake_scores)


def _correction(beta: float, moves: Tensor) -> Tensor:
    """Adam's: 1 - beta^moves, the weight of all that a moving average from 0 has seen, to all digits of float32."""
    return -torch.expm1(moves * (math.log(beta) if beta else -math.inf))


def _root(x: Tensor) -> Tensor:
    """Its square root, whose slope at 0 is not infinite: weights behind a dead unit have no gradient at all."""
    return (x + 1e-36).sqrt()
