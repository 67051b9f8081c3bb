"""Batch norm over the rows of all ranks, so that ranks compute what one process would on the joined batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .shared import Gather, Gathered


def _own(x: Tensor) -> Tensor:
    """Mean and variance (2, C) of one's own rows, at least float32; differentiable."""
    wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    variance, mean = torch.var_mean(wide, [0, *range(2, x.dim())], correction=0)
    return torch.stack((mean, variance))


def _own_quickly(x: Tensor) -> Tensor:
    """The same without a gradient. On a CPU `var_mean` takes many times as long as what batch norm itself uses."""
    if x.device.type != "cpu":
        return _own(x)
    # Of their dtype the statistics are made; what is kept in them is thrown away.
    kept = x.new_zeros(2, x.shape[1], dtype=torch.promote_types(x.dtype, torch.float32))
    return torch.stack(torch.batch_norm_update_stats(x, kept[0], kept[1], 0.0))


def _of_all(everyone: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (C,) of the rows of all ranks, from those of each (world, 2, C)."""
    means, variances = everyone.unbind(1)
    return means.mean(0), variances.mean(0) + means.var(0, correction=0)


class _Normalised(torch.autograd.Function):
    """(N, C, ...) normalised, mean and variance (C,), ranks: by PyTorch's kernels, but for gradients of gradients."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, gather: Gather, rank: int
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        everyone = gather(_own_quickly(x))
        mean, variance = _of_all(everyone)
        ctx.save_for_backward(x, weight, bias, mean, variance)
        ctx.rest = eps, gather, rank
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps), mean, variance, len(everyone)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (x, weight, bias, mean, variance), (eps, gather, rank) = ctx.saved_tensors, ctx.rest
        slope = gradients[0]
        if torch.is_grad_enabled():
            made = _plainly(x, weight, bias, eps, gather, rank)
            wanted = [t for t, need in zip((x, weight, bias), ctx.needs_input_grad, strict=False) if need]
            found = iter(torch.autograd.grad(made, wanted, slope, create_graph=True))
            return *(next(found) if need else None for need in ctx.needs_input_grad[:3]), None, None, None
        scale = (variance + eps).rsqrt()
        one = torch.ones_like(mean) if weight is None else weight
        # With the statistics held still; what moves them is added below.
        dx, d_weight, d_bias = torch.ops.aten.native_batch_norm_backward(
            slope, x, one, mean, variance, None, None, False, eps, [True, True, True]
        )
        d_weight, d_bias = d_weight.to(mean.dtype), d_bias.to(mean.dtype)
        everyone = gather(torch.stack((d_weight, d_bias)))
        by_weight, by_bias = everyone.sum(0) / (len(everyone) * (x.numel() // x.shape[1]))
        tilt = one * scale * scale * by_weight
        shape = (-1, *(1 for _ in x.shape[2:]))
        constant = tilt * mean - one * scale * by_bias
        dx = dx.addcmul_(x, -tilt.to(x.dtype).view(shape)).add_(constant.to(x.dtype).view(shape))
        return dx, d_weight if weight is not None else None, d_bias if bias is not None else None, None, None, None


def _plainly(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, gather: Gather, rank: int) -> Tensor:
    """The same by operations that can be differentiated as often as one likes."""
    everyone: Any = Gathered.apply(_own(x), gather, rank)
    mean, variance = _of_all(everyone)
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    shape = (-1, *(1 for _ in x.shape[2:]))
    return torch.addcmul(shift.view(shape), x.to(scale.dtype), scale.view(shape)).to(x.dtype)


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
        found: Any = _Normalised.apply(input, self.weight, self.bias, self.eps, self.gather, self.rank)
        made, mean, variance, world = found
        self._keep(mean, variance, input.numel() // input.shape[1] * world)
        return made

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
