"""Convolutions beside the picture and a fully connected layer beside the code: networks of InfoGAN and ClusterGAN.

Source: Chen et al., "InfoGAN", 2016, arXiv:1606.03657, appendix C.1, table 1, for pictures of any size: they are halved
while 7 pixels or more a side are left. Weights from N(0, 0.02), as in the authors' code.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from .conv import doubling, down, initialise, ladder, up
from .mlp import Head, Tanh, at_least_one, full

SLOPE = 0.1
UNITS = 16
"""Units of the fully connected layer for each of the finest map's channels."""


def sizes(height: int, width: int) -> list[tuple[int, int]]:
    """From the picture's down to the smallest map, 7 pixels a side or more; at least two, if need be equal."""
    found = ladder(height, width)
    found = found * 2 if len(found) == 1 else found
    return found[: max(sum(max(size) >= 7 for size in found), 2)]


class Generator(nn.Module):
    """Noise (N, z_dim) to pictures (N, C, H, W) in [-1, 1].

    `width`: channels of the finest hidden map, doubled at every coarser one.
    """

    def __init__(self, z_dim: int, shape: tuple[int, ...], width: int):
        super().__init__()
        at_least_one(z_dim=z_dim, width=width)
        rungs = sizes(shape[1], shape[2])[::-1]
        widths = doubling(width, len(rungs) - 1)[::-1]
        units, first = UNITS * width, widths[0] * math.prod(rungs[0])
        layers: list[nn.Module] = []
        for before, after in ((z_dim, units), (units, first)):
            layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
        layers.append(nn.Unflatten(1, (widths[0], *rungs[0])))
        for i, (small, big) in enumerate(pairwise(rungs[:-1])):
            layers += [up(widths[i], widths[i + 1], small, big, bias=False), nn.BatchNorm2d(widths[i + 1]), nn.ReLU()]
        self.layers = nn.Sequential(*layers, up(widths[-1], shape[0], rungs[-2], rungs[-1]), Tanh())
        initialise(self)

    def forward(self, z: Tensor) -> Tensor:
        """(N, z_dim) to (N, C, H, W)."""
        return self.layers(z)


class Trunk(nn.Module):
    """Pictures (N, C, H, W) to features (N, dim), for heads to read: convolutions, then a fully connected layer.

    `norm`: batch norm in all layers but the first; without it samples do not mix.
    """

    def __init__(self, shape: tuple[int, ...], width: int, norm: bool = True, slope: float = SLOPE):
        super().__init__()
        at_least_one(width=width)
        rungs = sizes(shape[1], shape[2])
        widths = doubling(width, len(rungs) - 1)
        self.dim = UNITS * width
        layers: list[nn.Module] = [down(shape[0], widths[0], rungs[0], rungs[1]), nn.LeakyReLU(slope)]
        for i, (big, small) in enumerate(pairwise(rungs[1:])):
            layers.append(down(widths[i], widths[i + 1], big, small, bias=not norm))
            layers += [nn.BatchNorm2d(widths[i + 1])] if norm else []
            layers.append(nn.LeakyReLU(slope))
        layers += [nn.Flatten(), nn.Linear(widths[-1] * math.prod(rungs[-1]), self.dim, bias=not norm)]
        layers += [nn.BatchNorm1d(self.dim)] if norm else []
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(slope))
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, dim)."""
        return self.layers(x)


class Discriminator(nn.Module):
    """Pictures (N, C, H, W) to scores (N,), each sample by itself."""

    def __init__(self, shape: tuple[int, ...], width: int, slope: float = 0.2):
        super().__init__()
        self.trunk = Trunk(shape, width, norm=False, slope=slope)
        self.head = Head(nn.Linear(self.trunk.dim, 1))
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N,)."""
        return self.head(self.trunk(x))


class Encoder(nn.Module):
    """Pictures (N, C, H, W) to `outputs` numbers each (N, outputs), float32 whatever the precision."""

    def __init__(self, shape: tuple[int, ...], width: int, outputs: int, slope: float = 0.2):
        super().__init__()
        at_least_one(outputs=outputs)
        self.trunk = Trunk(shape, width, norm=False, slope=slope)
        self.last = nn.Linear(self.trunk.dim, outputs)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, outputs)."""
        return full(self.last, self.trunk(x))
