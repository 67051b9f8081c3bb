"""Batch norm over the rows of all ranks, so that ranks compute what one process would on the joined batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Gather = Callable[[Tensor], Tensor]
"""The tensor (...) of every rank: (world, ...), the same on all of them."""


class _Gathered(torch.autograd.Function):
    """The tensors of all ranks, (...) to (world, ...), whose gradient reaches the rank that each came from.

    A step takes the mean over ranks of the gradients that each finds of its own loss. So what other ranks' losses owe
    to one's own tensor is added up here, and the mean later makes it that of the joined batch.
    """

    @staticmethod
    def forward(ctx: Any, own: Tensor, gather: Gather, rank: int) -> Tensor:
        ctx.gather, ctx.rank = gather, rank
        return gather(own)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        everyone: Any = _Gathered.apply(gradients[0], ctx.gather, ctx.rank)  # differentiable, for penalties
        return everyone[:, ctx.rank].sum(0), None, None


class _Synced(nn.modules.batchnorm._BatchNorm):
    """Batch norm whose mean and variance are those of the rows of all ranks, equally many of each: one exchange.

    Made by `synchronise` of a module that exists: parameters and buffers are its own.
    """

    gather: Gather
    rank: int

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        wide = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input
        along = [0, *range(2, wide.dim())]
        own: Any = torch.stack(torch.var_mean(wide, along, correction=0))
        everyone: Any = _Gathered.apply(own, self.gather, self.rank)
        variances, means = everyone.unbind(1)
        mean = means.mean(0)
        variance = variances.mean(0) + means.var(0, correction=0)
        self._keep(mean.detach(), variance.detach(), wide.numel() // wide.shape[1] * len(everyone))
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        shift = -mean * scale
        if self.affine:
            shift = shift + self.bias
        shape = (-1, *(1 for _ in along[1:]))
        return torch.addcmul(shift.view(shape), wide, scale.view(shape)).to(input.dtype)

    def _keep(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Draw the running statistics towards these of `count` values, as PyTorch's batch norm does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        pull = self.momentum if self.momentum is not None else 1.0 / self.num_batches_tracked.to(mean.dtype)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), pull)
        self.running_var.lerp_(variance.to(self.running_var.dtype) * (count / max(count - 1, 1)), pull)


class _Synced1d(_Synced, nn.BatchNorm1d):
    pass


class _Synced2d(_Synced, nn.BatchNorm2d):
    pass


class _Synced3d(_Synced, nn.BatchNorm3d):
    pass


_KINDS = {nn.BatchNorm1d: _Synced1d, nn.BatchNorm2d: _Synced2d, nn.BatchNorm3d: _Synced3d}


def synchronise(module: nn.Module, rank: int, gather: Gather) -> None:
    """Make every batch norm in it, in place, take its statistics from the rows of all ranks."""
    for layer in module.modules():
        if kind := _KINDS.get(type(layer)):
            layer.__class__ = kind
            assert isinstance(layer, _Synced)
            layer.gather, layer.rank = gather, rank
