"""Stochastic gradient Hamiltonian Monte Carlo: a step that draws networks from a posterior instead of minimising.

Source: Chen, Fox & Guestrin, "Stochastic Gradient Hamiltonian Monte Carlo", 2014, arXiv:1402.4102, Eq. 15 (the form
with momentum, noise of the gradient taken for 0), as in Algorithm 1 of Saatci & Wilson, "Bayesian GAN", 2017,
arXiv:1705.09558.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from .step import Step, Stream, derive
from .turn import Batch, Ramp, Terms, Turn


@dataclass(frozen=True)
class Chain:
    """How one network moves through its posterior: v <- (1 - friction) v - lr gradient + noise, weights <- weights + v.

    The loss is minus the log-posterior divided by `observed`, the number of samples it is of: a mean over a batch is
    an estimate of it. So the step size of the paper is lr / observed, and the noise N(0, 2 friction lr / observed).
    """

    lr: float | Ramp
    friction: float
    observed: float
    burn_in: int = 0
    """So many first moves are Adam's, of step size `adam_lr` and without noise: to where the posterior has its mass."""
    adam_lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """The velocities of these parameters."""
        lr = self.lr(0.0) if isinstance(self.lr, Ramp) else self.lr
        return Momentum(parameters, dataclasses.replace(self, lr=lr))


class Momentum(torch.optim.Optimizer):
    """Velocities as a PyTorch optimiser keeps its state. Its noise is given to it before each step."""

    def __init__(self, parameters: Iterable[nn.Parameter], chain: Chain) -> None:
        super().__init__(parameters, {"lr": chain.lr})
        self.chain = chain
        self.generator: torch.Generator | None = None

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # ty: ignore[incompatible-method-override]
        """One step of the chain, of the gradients that lie in `grad`."""
        del closure
        for group in self.param_groups:
            for param in group["params"]:
                state = self.state[param]
                if not state:
                    # On the host, where the number of moves is read; names differ from AdamW's, which go to the device.
                    state["moves"] = torch.zeros(())
                    state["velocity"] = torch.zeros_like(param)
                    if self.chain.burn_in:
                        state["mean"], state["square"] = torch.zeros_like(param), torch.zeros_like(param)
                if state["moves"] < self.chain.burn_in:
                    self._adam(param, state)
                else:
                    self._chain(param, state, group["lr"])

    def _adam(self, param: nn.Parameter, state: dict[str, Tensor]) -> None:
        assert param.grad is not None
        adam(
            [param],
            [param.grad],
            [state["mean"]],
            [state["square"]],
            [],
            [state["moves"]],
            amsgrad=False,
            beta1=self.chain.betas[0],
            beta2=self.chain.betas[1],
            lr=self.chain.adam_lr,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def _chain(self, param: nn.Parameter, state: dict[str, Tensor], lr: float) -> None:
        assert param.grad is not None
        friction = self.chain.friction
        spread = math.sqrt(2 * friction * lr / self.chain.observed)
        noise = torch.randn(param.shape, device=param.device, dtype=param.dtype, generator=self.generator)
        state["velocity"].mul_(1 - friction).add_(param.grad, alpha=-lr).add_(noise, alpha=spread)
        param.add_(state["velocity"])
        state["moves"] += 1


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
