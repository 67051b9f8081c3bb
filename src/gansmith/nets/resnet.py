"""Residual convolutional networks without normalisation, for pictures of any size.

Source: Huang et al., "The GAN is dead; long live the GAN! A Modern GAN Baseline", 2025, arXiv:2501.05441, section 3.2
(no norm, resampling outside the blocks, a learned constant modulated by the noise) and Zhang et al., "Fixup
Initialization", 2019, arXiv:1901.09321, section 3 (branches start at zero, earlier weights scaled down by depth).
Differs: blocks are two plain 3x3 convolutions, since grouped ones are slow where they are differentiated twice; on
pictures of 16 pixels and more the finest level is one strided convolution, since blocks there cost as much as all
other levels together.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conv import doubling, down, ladder, up

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # keeps the variance through a LeakyReLU (He et al., 2015)


def _scaled(conv: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, gain: float, fan_in: float) -> None:
    nn.init.normal_(conv.weight, 0.0, gain / math.sqrt(fan_in))
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


class Block(nn.Module):
    """x + conv(lrelu(conv(lrelu(x)))): (N, C, H, W) to the same. `depth` is the number of blocks in the network."""

    def __init__(self, channels: int, depth: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, 1, 1)
        self.last = nn.Conv2d(channels, channels, 3, 1, 1)
        _scaled(self.first, GAIN * depth**-0.5, channels * 9)  # L^(-1/(2m-2)) with m = 2 layers a branch
        _scaled(self.last, 0.0, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        return x + self.last(F.leaky_relu(self.first(F.leaky_relu(x, SLOPE)), SLOPE))


class Down(nn.Module):
    """Mean over 2x2 pixels (3 along an odd side, so that none is lost), then a 1x1 convolution."""

    def __init__(self, channels: int, out: int, big: tuple[int, int], small: tuple[int, int]):
        super().__init__()
        self.stride = (1 + (big[0] != small[0]), 1 + (big[1] != small[1]))
        self.kernel = tuple(s + (b % 2 if s == 2 else 0) for s, b in zip(self.stride, big, strict=True))
        self.mix = nn.Conv2d(channels, out, 1)
        _scaled(self.mix, 1.0, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *big) to (N, out, *small)."""
        return self.mix(F.avg_pool2d(x, self.kernel, self.stride))


class Up(nn.Module):
    """A 1x1 convolution, then bilinear resizing."""

    def __init__(self, channels: int, out: int, big: tuple[int, int]):
        super().__init__()
        self.size = big
        self.mix = nn.Conv2d(channels, out, 1)
        _scaled(self.mix, 1.0, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *small) to (N, out, *big)."""
        return F.interpolate(self.mix(x), self.size, mode="bilinear", align_corners=False)


def _levels(shape: tuple[int, ...], width: int) -> tuple[list[tuple[int, int]], list[int]]:
    """Sizes from the picture's own down, and the channels of each level below it: sizes[i + 1] has widths[i].

    Pictures under 16 pixels get a first level of their own size: one halving leaves too little to work on.
    """
    sizes = ladder(shape[1], shape[2])
    if len(sizes) <= 2:
        sizes = [sizes[0], *sizes]
    return sizes, doubling(width, len(sizes) - 1)


class Generator(nn.Module):
    """Noise (N, z_dim) to pictures (N, C, H, W) in [-1, 1].

    `width`: channels of the finest level with blocks, doubled at every coarser one up to 8 times. `blocks`: residual
    blocks a level.
    """

    def __init__(self, z_dim: int, shape: tuple[int, ...], width: int, blocks: int = 1):
        super().__init__()
        sizes, widths = _levels(shape, width)
        depth = blocks * len(widths)
        self.basis = nn.Parameter(torch.randn(widths[-1], *sizes[-1]))
        self.weights = nn.Linear(z_dim, widths[-1])
        _scaled(self.weights, 1.0, z_dim)
        layers: list[nn.Module] = []
        for i in range(len(widths) - 1, -1, -1):
            layers += [Block(widths[i], depth) for _ in range(blocks)]
            if i:
                layers.append(Up(widths[i], widths[i - 1], sizes[i]))
        layers.append(nn.LeakyReLU(SLOPE))
        last = up(widths[0], shape[0], sizes[1], sizes[0])
        taps = math.prod(last.kernel_size) / math.prod(last.stride)  # how many a pixel is made of
        _scaled(last, 1.0, widths[0] * taps)
        self.layers = nn.Sequential(*layers, last, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """(N, z_dim) to (N, C, H, W)."""
        return self.layers(self.basis * self.weights(z)[:, :, None, None])


class Discriminator(nn.Module):
    """Pictures (N, C, H, W) to scores (N,), each from its own sample alone; the mirror image of `Generator`."""

    def __init__(self, shape: tuple[int, ...], width: int, blocks: int = 1):
        super().__init__()
        sizes, widths = _levels(shape, width)
        depth = blocks * len(widths)
        first = down(shape[0], widths[0], sizes[0], sizes[1])
        _scaled(first, 1.0, shape[0] * math.prod(first.kernel_size))
        layers: list[nn.Module] = [first]
        for i in range(len(widths)):
            if i:
                layers.append(Down(widths[i - 1], widths[i], sizes[i], sizes[i + 1]))
            layers += [Block(widths[i], depth) for _ in range(blocks)]
        head = nn.Conv2d(widths[-1], 1, sizes[-1])
        _scaled(head, 1.0, widths[-1] * math.prod(sizes[-1]))
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(SLOPE), head, nn.Flatten(0))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N,)."""
        return self.layers(x)
