"""Convolutional networks in the manner of DCGAN, for pictures of any size.

Source: Radford et al., "Unsupervised Representation Learning with Deep Convolutional GANs", 2015, arXiv:1511.06434,
section 3: strided convolutions of kernel 4, batch norm, ReLU in G, LeakyReLU 0.2 in D, weights from N(0, 0.02).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .minibatch import Minibatch
from .mlp import Head, Tanh, at_least_one, full

Norm = Literal["batch", "layer", "none"]


def ladder(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes from the picture's down to the smallest map: each side is halved (rounded down) while it is at least 8.

    The smallest map is 4 to 7 pixels a side; a side that is there already keeps its length while the other is halved.
    """
    sizes = [(height, width)]
    while max(sizes[-1]) >= 8:
        h, w = sizes[-1]
        sizes.append((h // 2 if h >= 8 else h, w // 2 if w >= 8 else w))
    return sizes


def doubling(width: int, stages: int) -> list[int]:
    """Channels of each stage from the finest on: doubled at every halving, at most 8 times `width`."""
    return [width * min(2**i, 8) for i in range(stages)]


FEW = 3
"""So few channels that a CPU is slow towards such a picture: `python -m benchmarks --only patches`."""


class FewIn(nn.Conv2d):
    """A convolution of a picture of few channels whose gradient at the picture is wanted: by patches, on a CPU.

    As `torch.nn.Conv2d` up to rounding. The patches are laid out first, so that one product does the work and the
    gradient at the picture is a sum of patches; the kernel for it is several times slower.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out, h, w)."""
        if input.device.type != "cpu" or not (input.requires_grad and torch.is_grad_enabled()):
            return super().forward(input)
        pairs = zip(input.shape[2:], self.kernel_size, self.stride, strict=True)
        size = tuple((side + 2 - kernel) // stride + 1 for side, kernel, stride in pairs)
        full = input.float() if input.dtype == torch.bfloat16 else input  # sums of bfloat16 lose digits
        weight = self.weight  # read once: under spectral normalisation every reading is a power iteration
        patches = F.unfold(full, self.kernel_size, padding=1, stride=self.stride).to(weight.dtype)
        return F.conv2d(patches.unflatten(2, size), weight.flatten(1)[:, :, None, None], self.bias)


class FewOut(nn.ConvTranspose2d):
    """A transposed convolution to a picture of few channels: a product, and a sum of patches, on a CPU.

    As `torch.nn.ConvTranspose2d` up to rounding.
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, C, h, w) to (N, out, H, W)."""
        if input.device.type != "cpu":
            return super().forward(input, output_size)
        odd = self.output_padding
        kinds = zip(input.shape[2:], self.kernel_size, self.stride, odd, strict=True)
        size = tuple((side - 1) * stride - 2 + kernel + more for side, kernel, stride, more in kinds)
        patches = F.conv2d(input, self.weight.flatten(1).t()[:, :, None, None]).flatten(2)
        full = patches.float() if patches.dtype == torch.bfloat16 else patches
        made = F.fold(full, size, self.kernel_size, padding=1, stride=self.stride)
        if self.bias is not None:
            made = made + self.bias[:, None, None].to(made.dtype)
        return made.to(patches.dtype)


def down(channels: int, out: int, big: tuple[int, int], small: tuple[int, int], bias: bool = True) -> nn.Conv2d:
    """The convolution from a map of size `big` to `small`: kernel 4 and stride 2 along each side that is halved."""
    halved = [b != s for b, s in zip(big, small, strict=True)]
    kernel = (4 if halved[0] else 3, 4 if halved[1] else 3)
    kind = FewIn if channels <= FEW else nn.Conv2d
    return kind(channels, out, kernel, (1 + halved[0], 1 + halved[1]), 1, bias=bias)


def up(channels: int, out: int, small: tuple[int, int], big: tuple[int, int], bias: bool = True) -> nn.ConvTranspose2d:
    """The transposed convolution from `small` to `big`: the exact adjoint of `down`, for odd sizes too."""
    halved = [b != s for b, s in zip(big, small, strict=True)]
    kernel = (4 if halved[0] else 3, 4 if halved[1] else 3)
    # 2n + 1 is halved to n as 2n is: the lost row comes back as output padding.
    odd = (big[0] % 2 if halved[0] else 0, big[1] % 2 if halved[1] else 0)
    kind = FewOut if out <= FEW else nn.ConvTranspose2d
    return kind(channels, out, kernel, (1 + halved[0], 1 + halved[1]), 1, odd, bias=bias)


def _norm(norm: Norm, channels: int) -> list[nn.Module]:
    match norm:
        case "batch":
            return [nn.BatchNorm2d(channels)]
        case "layer":
            return [nn.GroupNorm(1, channels)]  # over C, H and W of each sample
        case "none":
            return []


def initialise(net: nn.Module) -> None:
    """Weights from N(0, 0.02), biases 0, those of batch norm from N(1, 0.02)."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)


class Generator(nn.Module):
    """Noise (N, z_dim) to pictures (N, C, H, W) in [-1, 1].

    `width`: channels of the finest hidden map; they double at every coarser one, up to 8 times `width`. With batch
    norm the weights start from N(0, 0.02) as in the paper, else from PyTorch's own initialisation.
    """

    def __init__(self, z_dim: int, shape: tuple[int, ...], width: int, norm: Norm = "batch"):
        super().__init__()
        at_least_one(z_dim=z_dim, width=width)
        channels, height, across = shape
        sizes = ladder(height, across)[::-1]
        widths = doubling(width, max(len(sizes) - 1, 1))[::-1]
        bias = norm == "none"
        first = nn.Linear(z_dim, widths[0] * sizes[0][0] * sizes[0][1], bias=bias)
        layers: list[nn.Module] = [first, nn.Unflatten(1, (widths[0], *sizes[0]))]
        layers += [*_norm(norm, widths[0]), nn.ReLU()]
        for i, (small, big) in enumerate(pairwise(sizes[:-1])):
            layers += [up(widths[i], widths[i + 1], small, big, bias), *_norm(norm, widths[i + 1]), nn.ReLU()]
        # Under 8 pixels nothing is doubled, and the convolution keeps the size.
        layers.append(up(widths[-1], channels, sizes[max(-2, -len(sizes))], sizes[-1]))
        self.layers = nn.Sequential(*layers, Tanh())
        if norm == "batch":
            initialise(self)

    def forward(self, z: Tensor) -> Tensor:
        """(N, z_dim) to (N, C, H, W)."""
        return self.layers(z)


class Discriminator(nn.Module):
    """Pictures (N, C, H, W) to scores (N,).

    `width`: channels of the finest hidden map, doubled at every halving up to 8 times. `norm`: "batch" as in the paper
    (all but the first and last layer); "layer" or "none" where samples must not mix, as under a gradient penalty.
    Weights start from N(0, 0.02) as in the paper, those of a critic with layer norm from PyTorch's own initialisation.
    `kernels`: of minibatch discrimination before the last layer; 0 judges each sample alone.
    """

    def __init__(self, shape: tuple[int, ...], width: int, norm: Norm = "batch", kernels: int = 0):
        super().__init__()
        at_least_one(width=width)
        channels, height, across = shape
        sizes = ladder(height, across)
        widths = doubling(width, max(len(sizes) - 1, 1))
        # Under 8 pixels nothing is halved, and the convolution keeps the size.
        layers: list[nn.Module] = [down(channels, widths[0], sizes[0], sizes[min(1, len(sizes) - 1)])]
        layers.append(nn.LeakyReLU(0.2))
        for i, (big, small) in enumerate(pairwise(sizes[1:])):
            layers.append(down(widths[i], widths[i + 1], big, small, bias=norm == "none"))
            layers += [*_norm(norm, widths[i + 1]), nn.LeakyReLU(0.2)]
        features = widths[-1] * math.prod(sizes[-1])
        last = [Minibatch(features, kernels)] if kernels else []
        self.layers = nn.Sequential(*layers, *last)
        self.head = Head(nn.Linear(features + kernels, 1) if kernels else nn.Conv2d(widths[-1], 1, sizes[-1]))
        if norm != "layer":  # without norm D must start flat: a steep one sends G out of range at once
            initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N,)."""
        return self.head(self.layers(x))


class Encoder(nn.Module):
    """Pictures (N, C, H, W) to `outputs` numbers each (N, outputs): the discriminator's layers and a head of its own.

    The numbers are float32 whatever the precision.
    """

    def __init__(self, shape: tuple[int, ...], width: int, outputs: int, norm: Norm = "batch"):
        super().__init__()
        at_least_one(outputs=outputs)
        sizes = ladder(shape[1], shape[2])
        self.layers = Discriminator(shape, width, norm).layers
        self.last = nn.Conv2d(doubling(width, max(len(sizes) - 1, 1))[-1], outputs, sizes[-1])

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, outputs)."""
        return full(self.last, self.layers(x)).flatten(1)
