"""A residual convolutional generator, for pictures of any size.

Source: Huang et al., "The GAN is dead; long live the GAN! A Modern GAN Baseline", 2025, arXiv:2501.05441, section 3.2
(a learned constant modulated by the noise, resampling outside the blocks, branches that start at zero).
Differs: layer norm in the blocks, without which G did not learn MNIST at a step size of 1e-3; blocks are two plain 3x3
convolutions, since grouped ones are slow on a CPU; the finest level is one transposed convolution, since blocks there
cost as much as all other levels together.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conv import doubling, ladder, up
from .mlp import at_least_one

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # keeps the variance through a LeakyReLU (He et al., 2015)


def _scaled(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, gain: float, fan_in: float) -> None:
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class Block(nn.Module):
    """x + conv(lrelu(conv(lrelu(norm(x))))): (N, C, H, W) to the same; x itself at the start.

    `depth` is the number of blocks in the network: the more there are, the smaller each branch starts (Zhang et al.,
    "Fixup Initialization", 2019, arXiv:1901.09321, section 3).
    """

    def __init__(self, channels: int, depth: int):
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)  # over C, H and W of each sample
        self.first = nn.Conv2d(channels, channels, 3, 1, 1)
        self.last = nn.Conv2d(channels, channels, 3, 1, 1)
        _scaled(self.first, GAIN * depth**-0.5, channels * 9)
        _scaled(self.last, 0.0, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        return x + self.last(F.leaky_relu(self.first(F.leaky_relu(self.norm(x), SLOPE)), SLOPE))


class Up(nn.Module):
    """A 1x1 convolution, then each pixel is repeated up to the size `big`."""

    def __init__(self, channels: int, out: int, big: tuple[int, int]):
        super().__init__()
        self.size = big
        self.mix = nn.Conv2d(channels, out, 1)
        _scaled(self.mix, 1.0, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *small) to (N, out, *big)."""
        # Not bilinear: its gradient on a GPU depends on the order of threads, so a resumed run would not be bit-equal.
        return F.interpolate(self.mix(x), self.size, mode="nearest")


class Generator(nn.Module):
    """Noise (N, z_dim) to pictures (N, C, H, W) in [-1, 1].

    `width`: channels of the finest level with blocks (half the picture's size; its own size under 16 pixels), doubled
    at every coarser one up to 8 times. `blocks`: residual blocks a level.
    """

    def __init__(self, z_dim: int, shape: tuple[int, ...], width: int, blocks: int = 1):
        super().__init__()
        at_least_one(z_dim=z_dim, width=width, blocks=blocks)
        sizes = ladder(shape[1], shape[2])
        if len(sizes) <= 2:  # one halving leaves too little to work on
            sizes = [sizes[0], *sizes]
        widths = doubling(width, len(sizes) - 1)  # sizes[i + 1] has widths[i]
        self.basis = nn.Parameter(torch.randn(widths[-1], *sizes[-1]))
        self.weights = nn.Linear(z_dim, widths[-1])
        _scaled(self.weights, 1.0, z_dim)
        layers: list[nn.Module] = []
        for i in range(len(widths) - 1, -1, -1):
            layers += [Block(widths[i], blocks * len(widths)) for _ in range(blocks)]
            if i:
                layers.append(Up(widths[i], widths[i - 1], sizes[i]))
        layers += [nn.GroupNorm(1, widths[0]), nn.LeakyReLU(SLOPE)]
        last = up(widths[0], shape[0], sizes[1], sizes[0])
        taps = math.prod(last.kernel_size) / math.prod(last.stride)  # how many a pixel is made of
        _scaled(last, 1.0, widths[0] * taps)
        self.layers = nn.Sequential(*layers, last, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """(N, z_dim) to (N, C, H, W)."""
        return self.layers(self.basis * self.weights(z)[:, :, None, None])
