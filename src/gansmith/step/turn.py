"""What a recipe declares: whose turn it is, how each network is optimised, how weights are averaged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn

Batch: TypeAlias = Mapping[str, Tensor]
"""`"x"` real samples (N, ...), `"y"` labels (N,) int64, `"step"` () and `"images"` () float32: how far training is."""

EMPTY: Batch = MappingProxyType({})

Terms: TypeAlias = dict[str, Tensor]
"""Named scalar terms of a loss; the engine minimises their sum."""


@dataclass(frozen=True)
class Turn:
    """Who moves: `nets` step down the gradient of `loss`; all others hold still.

    A turn is taken at steps in [start, stop) that are divisible by `every`, `repeat` times, each on a fresh batch. Its
    moves are `rate` times as long as the optimisers' step sizes: for a later stage of a network that learns faster in
    an earlier one. `fresh`: at step `start` the optimisers of its networks forget what they have gathered, as if that
    stage had begun with new ones.
    """

    nets: tuple[str, ...]
    loss: Callable[[nn.ModuleDict, Batch], Terms]
    repeat: int = 1
    every: int = 1
    start: int = 0
    stop: int | None = None
    rate: float = 1.0
    fresh: bool = False

    def due(self, step: int) -> bool:
        """Whether the turn is taken at this step."""
        return step >= self.start and step % self.every == 0 and (self.stop is None or step < self.stop)

    @property
    def name(self) -> str:
        """How the log names who moves, such as `D` or `G+Q`."""
        return "+".join(self.nets)


@dataclass(frozen=True)
class Ramp:
    """A value that goes from `start` to `end` over the first `images` images shown, along half a cosine, and stays.

    `after`: it keeps `start` for so many images first. `linear`: along a straight line instead.
    """

    start: float
    end: float
    images: float
    after: float = 0.0
    linear: bool = False

    def __call__(self, images: float) -> float:
        """The value once this many images were shown."""
        done = min(max((images - self.after) / self.images, 0.0), 1.0)
        if self.linear:
            return self.start + (self.end - self.start) * done
        return self.end + (self.start - self.end) * 0.5 * (1 + math.cos(math.pi * done))

    def at(self, images: Tensor) -> Tensor:
        """The same of a () tensor, without a device wait: for weights inside a loss (`batch["images"]`)."""
        done = ((images - self.after) / self.images).clamp(0.0, 1.0)
        if self.linear:
            return self.start + (self.end - self.start) * done
        return self.end + (self.start - self.end) * 0.5 * (1 + torch.cos(math.pi * done))


@dataclass(frozen=True)
class Adam:
    """How one network is optimised: Adam (Kingma & Ba, 2014) with decoupled weight decay (AdamW) if that is not 0."""

    lr: float | Ramp
    betas: tuple[float, float] = (0.0, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.0
    bound: float = 0.0
    """After each move every weight is clipped to [-bound, bound] (a projection); 0 leaves them free."""

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.AdamW:
        """The PyTorch optimiser over these parameters: fused, with a device-side step count where there is a GPU."""
        lr = self.lr(0.0) if isinstance(self.lr, Ramp) else self.lr
        betas = (float(self.betas[0]), float(self.betas[1]))  # an int 0 makes torch 2.13 raise
        cuda = parameters[0].device.type == "cuda"
        start = torch.tensor(lr, device=parameters[0].device) if cuda else lr
        built = torch.optim.AdamW(parameters, start, betas, self.eps, self.weight_decay, fused=True, capturable=cuda)
        if self.bound:
            weights: list[Tensor] = list(parameters)

            @torch.no_grad()
            def clip(*_: object) -> None:
                torch._foreach_clamp_min_(weights, -self.bound)
                torch._foreach_clamp_max_(weights, self.bound)

            built.register_step_post_hook(clip)
        return built


class Rule(Protocol):
    """How one network moves down its gradient: `Adam`, or what a step of its own brings."""

    @property
    def lr(self) -> float | Ramp:
        """Its step size; one that changes is set before each step."""
        ...

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """The PyTorch optimiser over these parameters. All that it keeps of a parameter is in its `state`."""
        ...


@dataclass(frozen=True)
class Average:
    """The moving average of the weights that samples are drawn with.

    `half_life`: images after which old weights count half. `rampup`: early in training the half-life is at most this
    share of the images shown so far, or the average would be stuck at the initial weights (Karras et al., 2020).
    """

    half_life: float = 10_000
    rampup: float = 0.05

    def decay(self, images: float, batch_size: int) -> float:
        """How much of the old average is kept by a step of `batch_size` that ends at `images` images shown."""
        half_life = min(self.half_life, self.rampup * images)
        return 0.5 ** (batch_size / half_life) if half_life > 0 else 0.0
