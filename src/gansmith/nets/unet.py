"""The U-Net of pix2pix: an encoder and a decoder whose levels of equal size are joined, for pictures of any size.

Source: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv:1611.07004,
section 6.1.1: kernel 4, stride 2, C64-C128-C256-C512-C512-..., LeakyReLU 0.2 down, ReLU up, dropout of 0.5 in the three
innermost decoder levels; no norm in the first and the innermost layer; weights from N(0, 0.02). 256 x 256
pixels have the paper's eight levels down to one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conv import doubling, down
from .mlp import Tanh
from .patch import PatchNorm, initialise, norm_of

MOST_LEVELS = 8
Uniform = Callable[..., Tensor]
"""Draws (like, n, *shape) in [0, 1): `gansmith.recipe.uniform`."""


def levels(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes from the picture's down to one pixel, or for eight levels: each side is halved (rounded down) above one."""
    sizes = [(height, width)]
    while max(sizes[-1]) > 1 and len(sizes) <= MOST_LEVELS:
        sizes.append((max(sizes[-1][0] // 2, 1), max(sizes[-1][1] // 2, 1)))
    return sizes


class Dropout(nn.Module):
    """Zeros each value with probability p and scales the others, in training, and if `always` in sampling too.

    It draws by the function it is given, so that a sample depends on its seed and not on its batch.
    """

    def __init__(self, p: float, always: bool, uniform: Uniform):
        super().__init__()
        self.p, self.always, self.uniform = p, always, uniform

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to the same."""
        if not self.p or not (self.training or self.always):
            return x
        kept = self.uniform(x, *x.shape) >= self.p
        return x * kept / (1 - self.p)


class Level(nn.Module):
    """One level around the levels inside it: down, what is inside, up, joined with what came in."""

    def __init__(
        self,
        channels: int,
        inside: int,
        big: tuple[int, int],
        small: tuple[int, int],
        inner: Level | None,
        norm: PatchNorm,
        drop: Dropout | None = None,
        made: int = 0,
    ):
        """`channels` come in, `inside` are at the smaller size. `made`: channels made, of the outermost level alone."""
        super().__init__()
        self.outermost = made > 0
        down_norm: PatchNorm = "none" if self.outermost or inner is None else norm
        up_norm: PatchNorm = "none" if self.outermost else norm
        self.down = down(channels, inside, big, small, bias=down_norm == "none")
        self.down_norm = norm_of(down_norm, inside)
        self.inner = inner
        before = inside if inner is None else 2 * inside  # what is made inside comes beside what went in
        # Not `conv.up`: the size to come back to is known only when a picture comes.
        stride = (self.down.stride[0], self.down.stride[1])
        kernel = (self.down.kernel_size[0], self.down.kernel_size[1])
        self.up = nn.ConvTranspose2d(before, made or channels, kernel, stride, 1, bias=up_norm == "none")
        self.up_norm = norm_of(up_norm, made or channels)
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, 2 * channels, H, W): what came in beside what was made; outermost: that alone."""
        smaller = self.down_norm(self.down(x if self.outermost else F.leaky_relu(x, 0.2)))
        inside = smaller if self.inner is None else self.inner(smaller)
        made = self.up_norm(self.up(F.relu(inside), output_size=list(x.shape[-2:])))
        if self.drop is not None:
            made = self.drop(made)
        return made if self.outermost else torch.cat((x, made), 1)


class UNet(nn.Module):
    """Pictures (N, C, H, W) to pictures (N, out, H, W) in [-1, 1]; `shape` (C, H, W) sets how many levels there are.

    `width`: channels of the first level, doubled at each up to 8 times. `norm`: "instance" is what batch norm is at the
    paper's batch size of 1, at every batch size. `dropout` is the paper's noise; `uniform` draws it, `always` also
    when sampling. Larger pictures than `shape` pass as they are, of any size.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        out: int,
        width: int,
        norm: PatchNorm,
        dropout: float,
        always: bool,
        uniform: Uniform,
    ):
        super().__init__()
        sizes = levels(shape[1], shape[2])
        if len(sizes) < 3:
            raise ValueError(f"pictures are {shape[1]}x{shape[2]}; a U-Net needs 4 pixels on the longer side: --size 4")
        depth = len(sizes) - 1
        widths = doubling(width, depth)
        inner: Level | None = None
        for i in reversed(range(1, depth)):
            drop = Dropout(dropout, always, uniform) if dropout and i >= depth - 3 else None
            inner = Level(widths[i - 1], widths[i], sizes[i], sizes[i + 1], inner, norm, drop)
        self.body = Level(shape[0], widths[0], sizes[0], sizes[1], inner, norm, made=out)
        self.bound = Tanh()
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out, H, W)."""
        return self.bound(self.body(x))
