"""Stochastic gradient Hamiltonian Monte Carlo: a step that draws networks from a posterior instead of minimising.

Source: Chen, Fox & Guestrin, "Stochastic Gradient Hamiltonian Monte Carlo", 2014, arXiv:1402.4102, Eq. 15 (the form
with momentum, noise of the gradient taken for 0), as in Algorithm 1 of Saatci & Wilson, "Bayesian GAN", 2017,
arXiv:1705.09558.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .step import Batch, Ramp, Step, Stream, Terms, Turn, derive


@dataclass(frozen=True)
class Chain:
    """How one network moves through its posterior: v <- (1 - friction) v - lr gradient + noise, weights <- weights + v.

    The loss is minus the log-posterior divided by `observed`, the number of samples it is of: a mean over a batch is
    an estimate of it. So the step size of the paper is lr / observed, and the noise N(0, 2 friction lr / observed).
    """

    lr: float | Ramp
    friction: float
    observed: float

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """The velocities of these parameters."""
        lr = self.lr(0.0) if isinstance(self.lr, Ramp) else self.lr
        return Momentum(parameters, lr, self.friction, self.observed)


class Momentum(torch.optim.Optimizer):
    """Velocities as a PyTorch optimiser keeps its state. Its noise is given to it before each step."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, friction: float, observed: float) -> None:
        super().__init__(parameters, {"lr": lr, "friction": friction, "observed": observed})
        self.generator: torch.Generator | None = None

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # ty: ignore[incompatible-method-override]
        """One step of the chain, of the gradients that lie in `grad`."""
        del closure
        for group in self.param_groups:
            lr, friction = group["lr"], group["friction"]
            spread = math.sqrt(2 * friction * lr / group["observed"])
            for param in group["params"]:
                state = self.state[param]
                if not state:
                    state["velocity"] = torch.zeros_like(param)
                noise = torch.randn(param.shape, device=param.device, dtype=param.dtype, generator=self.generator)
                state["velocity"].mul_(1 - friction).add_(param.grad, alpha=-lr).add_(noise, alpha=spread)
                param.add_(state["velocity"])


class SGHMC(Step):
    """A step whose networks move as chains. Their noise is a pure function of (seed, step, turn, move), too, and the
    same on all ranks, whose chains are one."""

    def move(self, turn: Turn, batch: Batch, seed: int, streams: Callable[[int, int], Stream] | None = None) -> Terms:
        """One move of one turn, with noise of its own."""
        for name in turn.nets:
            optimizer = self.optimizers[name]
            assert isinstance(optimizer, Momentum)
            optimizer.generator = torch.Generator(self.setting.device).manual_seed(derive(seed, "chain", name))
        return super().move(turn, batch, seed, streams)
