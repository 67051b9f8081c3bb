"""A GRU whose steps are few operations: on a CPU several times as fast as PyTorch's, which is used elsewhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .mlp import at_least_one, full


class Layer(torch.autograd.Function):
    """One layer of a GRU over (I, T, N): units first, so that all steps of a matrix product are one product.

    Differentiable once. With PyTorch's weights it gives what `torch.nn.GRU` gives, to rounding: for gates r, z, n
    h[t] = (1 - z) n + z h[t - 1] and n = tanh(W x + b + r (U h[t - 1] + c)).
    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014, arXiv:1406.1078, Eq. 5 to 8,
    with the reset behind the product, as in cuDNN.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, u: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """States (H, T, N) from x (I, T, N), w (3 H, I), u (3 H, H), b and c (3 H,); the state before is 0."""
        (_, steps, n), size = x.shape, u.shape[1]
        outside = torch.cat((b[: 2 * size] + c[: 2 * size], b[2 * size :]))
        gates = torch.mm(w, x.flatten(1)).add_(outside[:, None]).view(3 * size, steps, n)  # r, z, n, of the input
        candidate = c[2 * size :, None, None].repeat(1, steps, n)  # what stands within the reset, of the state
        states = x.new_empty(size, steps + 1, n)
        h, *after = states.unbind(1)
        h.zero_()
        of_rz, of_new = u.split((2 * size, size))
        # Views are made of all steps at once: one by one they would take as long as the arithmetic.
        parts = (candidate, gates[: 2 * size], *gates.split(size))
        for made, own, rz, r, z, new in zip(after, *(part.unbind(1) for part in parts), strict=True):
            rz.addmm_(of_rz, h).sigmoid_()
            own.addmm_(of_new, h)
            new.addcmul_(r, own).tanh_()
            h = torch.lerp(new, h, z, out=made)
        ctx.save_for_backward(x, w, u, gates, candidate, states)
        return states[:, 1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor, Tensor, Tensor]:
        """Gradients of x, w, u, b and c."""
        x, w, u, gates, candidate, states = ctx.saved_tensors
        size, _, n = grad.shape
        r, z, new = gates.split(size)
        # What a change of h[t] does to r, z, U h + c of n, and h[t - 1] beside them, before the nonlinearities.
        keep = 1 - z
        to_new = torch.addcmul(keep, keep, new * new, value=-1)
        to_z = (states[:, :-1] - new).mul_(z).mul_(keep)
        to_r = (1 - r).mul_(r).mul_(candidate).mul_(to_new)
        does = torch.stack((to_r, to_z, r * to_new, z))  # (4, H, T, N)
        made, total = torch.empty_like(does), torch.empty_like(to_new)
        inner = made[:3].flatten(0, 1)
        carried, back = grad.new_zeros(size, n), u.t()
        views = (t.unbind(t.dim() - 2) for t in (grad, total, does, made, inner, made[3]))
        for g, whole, by, each, gate, rest in reversed(list(zip(*views, strict=True))):
            torch.add(g, carried, out=whole)
            torch.mul(by, whole, out=each)
            carried = rest.addmm_(back, gate)
        flat = inner.flatten(1)
        of_u, of_c = flat @ states[:, :-1].reshape(size, -1).t(), flat.sum(1)
        inner[2 * size :] = total.mul_(to_new)
        of_x = (w.t() @ flat).view_as(x) if ctx.needs_input_grad[0] else None
        return of_x, flat @ x.flatten(1).t(), of_u, flat.sum(1), of_c


class GRU(nn.Module):
    """Series (N, T, inputs) to states (N, T, hidden) of the last of `layers` layers, in float32 under autocast too.

    Rounding adds up over steps, so digits are kept. Weights are those of `torch.nn.GRU`, by its names in `net`.
    """

    def __init__(self, inputs: int, hidden: int, layers: int):
        super().__init__()
        at_least_one(inputs=inputs, hidden=hidden, layers=layers)
        self.net = nn.GRU(inputs, hidden, layers, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, inputs) to (N, T, hidden)."""
        return full(self._states, x)

    def _states(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return self.net(x)[0]
        h = x.permute(2, 1, 0).contiguous()
        for w, u, b, c in self.net.all_weights:
            made = Layer.apply(h, w, u, b, c)
            assert isinstance(made, Tensor)
            h = made
        return h.permute(2, 1, 0)
