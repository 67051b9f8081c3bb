"""Minibatch discrimination: each sample is shown to D's last layer with how near the others of its batch are.

Source: Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498, section 3.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..step.randomness import gathered


class Minibatch(nn.Module):
    """Features (N, ...) to (N, features + kernels): behind the features, sum_j exp(-|M_i - M_j|_1) for each kernel.

    M are `kernels` rows of `dims` values, a linear function of the features. The batch is what one call is
    given, on all ranks. D must be shown real samples and fakes apart.
    """

    def __init__(self, features: int, kernels: int, dims: int = 5):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, kernels, dims) / math.sqrt(features))

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to (N, features + kernels)."""
        x = x.flatten(1)
        rows = torch.einsum("nf,fkd->nkd", x, self.weight)
        distances = (rows[:, None] - gathered(rows)[None]).abs().sum(3)
        nearness = torch.exp(-distances).sum(1) - 1  # less each sample's own 1
        return torch.cat((x, nearness.to(x)), 1)
