"""Spectral normalisation: each layer of D stretches no direction by more than 1.

Source: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018, arXiv:1802.05957, Eq. 8 and
Algorithm 1: one power iteration at every pass in training; a convolution's kernel is read as a matrix with one row an
output channel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Spectral(nn.Module):
    """A weight divided by its largest singular value, which is estimated from where the last pass left it.

    The two singular vectors are buffers, and a function of the weights alone: the same on every rank. They are
    constants to the gradient, as in the paper's Eq. 12; the arithmetic is float32 under autocast too.
    """

    alike = True
    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor):
        super().__init__()
        matrix = weight.detach().flatten(1)
        u = F.normalize(matrix.new_empty(len(matrix)).normal_(), dim=0)
        for _ in range(15):  # a start near the truth, or the first steps see a wrong scale
            v = F.normalize(matrix.T @ u, dim=0, eps=1e-12)
            u = F.normalize(matrix @ v, dim=0, eps=1e-12)
        self.register_buffer("u", u)
        self.register_buffer("v", v)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight (out, ...) to the same shape."""
        if weight.is_meta:  # shapes alone are asked for, and autocast knows no such device
            return weight
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            if self.training:
                with torch.no_grad():
                    self.v.copy_(F.normalize(matrix.T @ self.u, dim=0, eps=1e-12))
                    self.u.copy_(F.normalize(matrix @ self.v, dim=0, eps=1e-12))
            u, v = self.u.clone(), self.v.clone()  # the next pass writes into the buffers before this one's gradient
            return weight / (u @ (matrix @ v))


def normalised(net: nn.Module) -> nn.Module:
    """The network with the weight of every linear layer, convolution and embedding normalised, in place."""
    for module in list(net.modules()):
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding):
            parametrize.register_parametrization(module, "weight", Spectral(module.weight), unsafe=True)
    return net
