"""Fully connected networks, for vectors and small pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from .dropout import Dropout
from .minibatch import Minibatch


def at_least_one(**sizes: int) -> None:
    """Raises `ValueError` if one of these sizes of a network is not positive, naming it."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name.replace('_', ' ')} is {size}: a network needs at least 1")


def _hidden(sizes: Sequence[int], slope: float, dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.LeakyReLU(slope)]
        if dropout:
            layers.append(Dropout(dropout))
    return layers


def own_layer(before: int, after: int, dropout: float = 0.0, slope: float = 0.2) -> nn.Sequential:
    """(N, before) to (N, after): Linear, LeakyReLU, dropout."""
    return nn.Sequential(*_hidden((before, after), slope, dropout))


def _normalised(sizes: Sequence[int], slope: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.LeakyReLU(slope)]
    return layers


class Head(nn.Module):
    """D's last layer, one score per sample, always in float32.

    In bfloat16 a score of 10 is a multiple of 1/16, while losses see only the differences between scores, whose level
    is arbitrary: D goes blind as its level drifts.
    """

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, features: Tensor) -> Tensor:
        """(N, ...) to (N,)."""
        with torch.autocast(features.device.type, enabled=False):
            full = features.float() if features.dtype == torch.bfloat16 else features
            return self.layer(full).flatten()


class Maxout(nn.Module):
    """(N, before) to (N, after): each output is the largest of `pieces` linear functions of the input.

    Source: Goodfellow et al., "Maxout Networks", 2013, arXiv:1302.4389, section 3.
    """

    def __init__(self, before: int, after: int, pieces: int):
        super().__init__()
        self.linear = nn.Linear(before, after * pieces)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """(N, before) to (N, after)."""
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)


class Generator(nn.Module):
    """Noise (N, z_dim) to samples (N, *shape): Linear and LeakyReLU per width, then Linear.

    `bounded` ends in tanh, for pictures in [-1, 1]; `batch_norm` normalises before each LeakyReLU.
    """

    def __init__(
        self,
        z_dim: int,
        shape: tuple[int, ...],
        widths: Sequence[int],
        bounded: bool,
        slope: float = 0.2,
        batch_norm: bool = False,
    ):
        super().__init__()
        at_least_one(z_dim=z_dim, width=min(widths, default=1))
        sizes = (z_dim, *widths)
        layers = _normalised(sizes, slope) if batch_norm else _hidden(sizes, slope, 0.0)
        layers.append(nn.Linear(sizes[-1], math.prod(shape)))
        if bounded:
            layers.append(Tanh())
        self.layers = nn.Sequential(*layers, nn.Unflatten(1, shape))

    def forward(self, z: Tensor) -> Tensor:
        """(N, z_dim) to (N, *shape)."""
        return self.layers(z)


class Discriminator(nn.Module):
    """Samples (N, *shape) to scores (N,): Linear, LeakyReLU and dropout per width, then Linear.

    `kernels`: of minibatch discrimination before the last layer; 0 judges each sample alone.
    """

    def __init__(
        self, shape: tuple[int, ...], widths: Sequence[int], dropout: float = 0.0, slope: float = 0.2, kernels: int = 0
    ):
        super().__init__()
        at_least_one(width=min(widths, default=1))
        sizes = (math.prod(shape), *widths)
        last = [Minibatch(sizes[-1], kernels)] if kernels else []
        self.layers = nn.Sequential(nn.Flatten(), *_hidden(sizes, slope, dropout), *last)
        self.head = Head(nn.Linear(sizes[-1] + kernels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, *shape) to (N,)."""
        return self.head(self.layers(x))


class MaxoutDiscriminator(nn.Module):
    """Samples (N, *shape) to scores (N,): a `Maxout` per width, then Linear."""

    def __init__(self, shape: tuple[int, ...], widths: Sequence[int], pieces: int):
        super().__init__()
        sizes = (math.prod(shape), *widths)
        self.layers = nn.Sequential(nn.Flatten(), *(Maxout(a, b, pieces) for a, b in pairwise(sizes)))
        self.head = Head(nn.Linear(sizes[-1], 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, *shape) to (N,)."""
        return self.head(self.layers(x))


class Encoder(nn.Module):
    """Samples (N, *shape) to `outputs` numbers each (N, outputs): Linear and LeakyReLU per width, then Linear.

    `batch_norm` normalises before each LeakyReLU, `last_norm` the numbers themselves; slope 0 is ReLU. The numbers are
    float32 whatever the precision.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        widths: Sequence[int],
        outputs: int,
        slope: float = 0.2,
        batch_norm: bool = False,
        last_norm: bool = False,
    ):
        super().__init__()
        at_least_one(width=min(widths, default=1), outputs=outputs)
        sizes = (math.prod(shape), *widths)
        layers = _normalised(sizes, slope) if batch_norm else _hidden(sizes, slope, 0.0)
        self.layers = nn.Sequential(nn.Flatten(), *layers)
        linear = nn.Linear(sizes[-1], outputs)
        self.last = nn.Sequential(linear, nn.BatchNorm1d(outputs)) if last_norm else linear

    def forward(self, x: Tensor) -> Tensor:
        """(N, *shape) to (N, outputs)."""
        return full(self.last, self.layers(x))


class Tanh(nn.Module):
    """Samples in [-1, 1], float32 under autocast too.

    In bfloat16 every value within 0.002 of an end is the end itself, where the gradient is 0: pixels of a plain ground
    would be stuck there, and G with them.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return full(torch.tanh, x)


def full(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The layer in float32 under autocast too: for codes and logits, of which bfloat16 would keep three digits."""
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float() if x.dtype == torch.bfloat16 else x)
