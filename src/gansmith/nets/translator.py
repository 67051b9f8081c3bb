"""A residual network from picture to picture, for pictures of any size.

Source: Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
arXiv:1703.10593, section 7.2 (after Johnson et al., 2016, arXiv:1603.08155): c7s1-64, d128, d256, R256 six times (128 x
128 pixels) or nine times (256 x 256), u128, u64, c7s1-3; reflection padding, instance norm, weights from N(0, 0.02).
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .mlp import Tanh
from .patch import initialise

Upsample = Literal["transposed", "resize"]


class Block(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))): (N, C, H, W) to the same, with reflection padding."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        return x + self.layers(x)


class Translator(nn.Module):
    """Pictures (N, C, H, W) to pictures (N, out, H, W) in [-1, 1]; sides of at least 5 pixels.

    `width`: channels at full size. `upsample`: "transposed" convolutions as in the paper, or "resize" (nearest
    neighbour, then a 3x3 convolution), which leaves no checkerboard (Odena et al., 2016).
    """

    def __init__(self, channels: int, out: int, width: int, blocks: int, upsample: Upsample = "transposed"):
        super().__init__()
        self.upsample = upsample
        # The padding is half the kernel, whatever the number of channels.
        self.first = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7, bias=False), nn.InstanceNorm2d(width), nn.ReLU()
        )
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(w, 2 * w, 3, 2, 1, bias=False), nn.InstanceNorm2d(2 * w), nn.ReLU())
            for w in (width, 2 * width)
        )
        self.blocks = nn.Sequential(*(Block(4 * width) for _ in range(blocks)))
        ups = [(4 * width, 2 * width), (2 * width, width)]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 3, 2, 1, bias=False)
            if upsample == "transposed"
            else nn.Conv2d(i, o, 3, padding=1, padding_mode="reflect", bias=False)
            for i, o in ups
        )
        self.up_norm = nn.ModuleList(nn.Sequential(nn.InstanceNorm2d(o), nn.ReLU()) for _, o in ups)
        self.last = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, out, 7), Tanh())
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out, H, W)."""
        if min(x.shape[-2:]) < 5:
            raise ValueError(f"pictures are {x.shape[-2]}x{x.shape[-1]}; this network needs 5 pixels a side: --size 5")
        x = self.first(x)
        sizes: list[torch.Size] = []
        for layer in self.down:
            sizes.append(x.shape[-2:])
            x = layer(x)
        x = self.blocks(x)
        for layer, norm in zip(self.up, self.up_norm, strict=True):
            size = sizes.pop()
            # A side of 2n - 1 pixels was halved to n as 2n is: the way back knows which it was.
            x = layer(x, output_size=list(size)) if self.upsample == "transposed" else layer(F.interpolate(x, size))
            x = norm(x)
        return self.last(x)
