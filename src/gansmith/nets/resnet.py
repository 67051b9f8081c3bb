"""Residual convolutional networks without any normalisation, for pictures of any size.

Source: Huang et al., "The GAN is dead; long live the GAN! A Modern GAN Baseline", 2025, arXiv:2501.05441, section 3.2
(no norm, branches that start at zero, resampling outside the blocks, a learned constant scaled by the noise, no tanh).
Differs: blocks are two plain 3x3 convolutions, since grouped ones are slow on a CPU; sizes change by convolutions of
kernel 4 and stride 2, since a bilinear resize differs from run to run on a GPU; no blocks at the full size, where they
would cost as much as all others together.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conv import doubling, down, ladder, up
from .mlp import Head, at_least_one

Layer = TypeVar("Layer", nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
Resizing = TypeVar("Resizing", nn.Conv2d, nn.ConvTranspose2d)

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # keeps the variance through a LeakyReLU (He et al., 2015)


class Block(nn.Module):
    """x + conv(lrelu(conv(lrelu(x)))): (N, C, H, W) to the same; x itself at the start.

    `depth` is the number of blocks in the network: the more there are, the smaller each branch starts (Zhang et al.,
    "Fixup Initialization", 2019, arXiv:1901.09321, section 3: depth^(-1 / (2m - 2)) for m = 2 convolutions a branch).
    """

    def __init__(self, channels: int, depth: int):
        super().__init__()
        self.first = _scaled(nn.Conv2d(channels, channels, 3, 1, 1), GAIN * depth**-0.5, channels * 9)
        self.last = _scaled(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), 0.0, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        return x + self.last(F.leaky_relu(self.first(F.leaky_relu(x, SLOPE)), SLOPE))


class Generator(nn.Module):
    """Noise (N, z_dim) to pictures (N, C, H, W), about in [-1, 1]: nothing bounds them.

    `width`: channels of the finest level with blocks (half the picture's size; its own size under 16 pixels), doubled
    at every coarser one up to 8 times. `blocks`: residual blocks a level.
    """

    def __init__(self, z_dim: int, shape: tuple[int, ...], width: int, blocks: int = 1):
        super().__init__()
        at_least_one(z_dim=z_dim, width=width, blocks=blocks)
        sizes = _sizes(shape)
        widths = doubling(width, len(sizes) - 1)  # sizes[i + 1] has widths[i]
        self.basis = nn.Parameter(torch.randn(widths[-1], *sizes[-1]))
        self.weights = _scaled(nn.Linear(z_dim, widths[-1]), 1.0, z_dim)
        layers: list[nn.Module] = []
        for i in range(len(widths) - 1, -1, -1):
            layers += [Block(widths[i], blocks * len(widths)) for _ in range(blocks)]
            if i:
                layers.append(_resized(up(widths[i], widths[i - 1], sizes[i + 1], sizes[i]), 1.0))
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(SLOPE))
        self.last = _resized(up(widths[0], shape[0], sizes[1], sizes[0]), 1.0)

    def forward(self, z: Tensor) -> Tensor:
        """(N, z_dim) to (N, C, H, W)."""
        return self.last(self.layers(self.basis * self.weights(z)[:, :, None, None]))


class Discriminator(nn.Module):
    """Pictures (N, C, H, W) to scores (N,): the generator's levels in the other direction."""

    def __init__(self, shape: tuple[int, ...], width: int, blocks: int = 1):
        super().__init__()
        at_least_one(width=width, blocks=blocks)
        sizes = _sizes(shape)
        widths = doubling(width, len(sizes) - 1)
        layers: list[nn.Module] = []
        for i, channels in enumerate(widths):
            before = widths[i - 1] if i else shape[0]
            layers.append(_resized(down(before, channels, sizes[i], sizes[i + 1]), 1.0))
            layers += [Block(channels, blocks * len(widths)) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(SLOPE))
        last = nn.Conv2d(widths[-1], 1, sizes[-1])
        self.head = Head(_scaled(last, 1.0, widths[-1] * math.prod(sizes[-1])))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N,)."""
        return self.head(self.layers(x))


def _sizes(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """From the picture's down to the smallest; at least three, the first twice where the picture is that small."""
    sizes = ladder(shape[1], shape[2])
    return sizes if len(sizes) > 2 else [sizes[0], *sizes]  # one halving leaves too little to work on


def _scaled(layer: Layer, gain: float, fan_in: float) -> Layer:
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _resized(layer: Resizing, gain: float) -> Resizing:
    """A layer that changes the size, initialised by the number of values that one of its outputs is made of."""
    taps = math.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d):
        taps /= math.prod(layer.stride)
    return _scaled(layer, gain, layer.in_channels * taps)
