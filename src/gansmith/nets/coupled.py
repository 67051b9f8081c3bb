"""Coupled networks: two of a kind that share their deep layers, one pair of layers of their own at the pictures.

Source: Liu & Tuzel, "Coupled Generative Adversarial Networks", 2016, arXiv:1606.07536, section 3: generators share
their first layers, which decode what both pictures show; discriminators share their last ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import conv


class Generator(nn.Module):
    """Noise (N, z_dim) to a pair of pictures (N, C, H, W) in [-1, 1], made of it by two last layers of their own."""

    def __init__(self, z_dim: int, a: tuple[int, ...], b: tuple[int, ...], width: int):
        super().__init__()
        layers = conv.Generator(z_dim, a, width).layers
        self.shared = layers[:-2]
        self.own_a = layers[-2:]  # the last convolution, and tanh
        self.own_b = conv.Generator(z_dim, b, width).layers[-2:]

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(N, z_dim) to a (N, C, H, W) and b (N, C', H, W)."""
        both = self.shared(z)
        return self.own_a(both), self.own_b(both)


class Discriminator(nn.Module):
    """Pictures a and b (N, C, H, W) to scores (N,) each: a first layer of its own for each, all others shared."""

    def __init__(self, a: tuple[int, ...], b: tuple[int, ...], width: int):
        super().__init__()
        whole = conv.Discriminator(a, width)
        self.own_a = whole.layers[:2]  # the first convolution, and LeakyReLU
        self.own_b = conv.Discriminator(b, width).layers[:2]
        self.shared, self.head = whole.layers[2:], whole.head

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """a (N, C, H, W) and b (N, C', H, W) to (N,) and (N,)."""
        # One pass: batch norm sees both kinds together, as the layers are those of both.
        scores = self.head(self.shared(torch.cat((self.own_a(a), self.own_b(b)))))
        return scores[: len(a)], scores[len(a) :]
