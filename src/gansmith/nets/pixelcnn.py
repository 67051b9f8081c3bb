"""The density of pictures, pixel by pixel: PixelCNN++ at one resolution.

Source: Salimans, Karpathy, Chen & Kingma, "PixelCNN++", 2017, arXiv:1701.05517, section 2.1 (mixtures of discretised
logistics), 2.2 (channels by linear dependence), 2.4 (gated residual layers in two streams); van den Oord et al., 2016,
arXiv:1606.05328, section 2.2 (the streams that leave no blind spot). Its down-sampling (2.3) is left out.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .mlp import at_least_one, full


class Causal(nn.Module):
    """A convolution that sees only what lies above, and to the left in its own row: (N, C, H, W) to (N, out, H, W).

    `right`: two rows and columns that end at the pixel itself; else two rows that end in its own, three columns wide.
    """

    def __init__(self, channels: int, out: int, right: bool, kernel: tuple[int, int] | None = None):
        super().__init__()
        height, width = kernel or ((2, 2) if right else (2, 3))
        self.pad = (width - 1, 0, height - 1, 0) if right else (width // 2, width // 2, height - 1, 0)
        self.conv = nn.Conv2d(channels, out, (height, width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out, H, W)."""
        return self.conv(F.pad(x, self.pad))


class Gated(nn.Module):
    """x + a * sigmoid(b), a and b being two causal convolutions deep; `beside` of another stream joins halfway."""

    def __init__(self, width: int, right: bool):
        super().__init__()
        self.first = Causal(2 * width, width, right)
        self.second = Causal(2 * width, 2 * width, right)
        self.join = nn.Conv2d(2 * width, width, 1) if right else None

    def forward(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        """(N, width, H, W) to the same."""
        h = self.first(_both_elu(x))
        if self.join is not None and beside is not None:
            h = h + self.join(_both_elu(beside))
        a, b = self.second(_both_elu(h)).chunk(2, 1)
        return x + a * b.sigmoid()


class PixelCNN(nn.Module):
    """log p of pictures (N, C, H, W) in [-1, 1], of `levels` values a pixel, in nats: (N,).

    `low` is what a share `rare` of real pictures lies below: a mean over the last hundred batches given to `observe`.
    """

    low: Tensor
    seen: Tensor

    def __init__(self, channels: int, width: int, blocks: int, mixtures: int, rare: float, levels: int = 256):
        super().__init__()
        at_least_one(width=width, blocks=blocks, mixtures=mixtures)
        self.above = Causal(channels + 1, width, right=False)
        self.row_above = Causal(channels + 1, width, right=False, kernel=(1, 3))
        self.left = Causal(channels + 1, width, right=True, kernel=(2, 1))
        self.down = nn.ModuleList(Gated(width, right=False) for _ in range(blocks))
        self.right = nn.ModuleList(Gated(width, right=True) for _ in range(blocks))
        self.shapes = (mixtures, 3 * channels * mixtures)
        self.last = nn.Conv2d(width, sum(self.shapes), 1)
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(()))
        self.rare, self.half_step = rare, 1.0 / (levels - 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N,)."""
        inside = torch.cat((x, torch.ones_like(x[:, :1])), 1)  # so that the border is told from black
        down = _shift(self.above(inside), rows=1)
        right = _shift(self.row_above(inside), rows=1) + _shift(self.left(inside), columns=1)
        for a, b in zip(self.down, self.right, strict=True):
            down = a(down)
            right = b(right, down)
        return self.log_prob(x, full(self.last, F.elu(right)))

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Of pictures (N, C, H, W), given the mixture of every pixel (N, mixtures * (1 + 3 C), H, W): (N,)."""
        x = x.float() if x.dtype == torch.bfloat16 else x
        weights, rest = parameters.split(self.shapes, 1)
        means, scales, factors = rest.unflatten(1, (3, x.shape[1], -1)).unbind(1)  # (N, C, mixtures, H, W)
        # Each channel leans on the one before it in the same pixel.
        shifted = [means[:, 0]]
        for c in range(1, x.shape[1]):
            shifted.append(means[:, c] + (factors[:, c].tanh() * x[:, c - 1 : c]))
        centred = x[:, :, None] - torch.stack(shifted, 1)
        scales = scales.clamp_min(-7.0)
        sharp = (-scales).exp()
        upper, lower = sharp * (centred + self.half_step), sharp * (centred - self.half_step)
        inside = upper.sigmoid() - lower.sigmoid()
        middle = sharp * centred
        density = middle - scales - 2 * F.softplus(middle) + math.log(2 * self.half_step)
        log_inside = torch.where(inside > 1e-5, inside.clamp_min(1e-12).log(), density)
        edge = x[:, :, None]
        # All that lies beyond black and white belongs to them.
        found = torch.where(edge < -0.999, -F.softplus(-upper), log_inside)
        found = torch.where(edge > 0.999, -F.softplus(lower), found)
        return (found.sum(1) + weights.log_softmax(1)).logsumexp(1).flatten(1).sum(1)

    @torch.no_grad()
    def observe(self, log_prob: Tensor) -> None:
        """Take in log p (N,) of a batch of real pictures."""
        self.seen.add_(1)
        quantile = torch.quantile(log_prob.to(self.low), self.rare)
        self.low.add_((quantile - self.low) / self.seen.clamp_max(100))


def _both_elu(x: Tensor) -> Tensor:
    return F.elu(torch.cat((x, -x), 1))


def _shift(x: Tensor, rows: int = 0, columns: int = 0) -> Tensor:
    height, width = x.shape[2:]
    return F.pad(x, (columns, 0, rows, 0))[:, :, :height, :width]
