"""A GRU whose steps are few operations: on a CPU several times as fast as PyTorch's, which is used elsewhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .mlp import at_least_one, full


class Layer(torch.autograd.Function):
    """One layer of a GRU over (T, I, N): a column a sample, so that each gate is a block of memory.

    Differentiable once. With PyTorch's weights it gives what `torch.nn.GRU` gives, to rounding: for gates r, z, n
    h[t] = (1 - z) n + z h[t - 1] and n = tanh(W x + b + r (U h[t - 1] + c)).
    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014, arXiv:1406.1078, Eq. 5 to 8,
    with the reset behind the product, as in cuDNN.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, u: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """States (T, H, N) from x (T, I, N), w (3 H, I), u (3 H, H), b and c (3 H,); the state before is 0."""
        steps, _, n = x.shape
        size = u.shape[1]
        gates = torch.baddbmm(b[:, None], w.expand(steps, -1, -1), x)  # r, z, n, from the input alone
        below = c[:, None].expand(-1, n).repeat(steps, 1, 1)  # from the state
        states = x.new_zeros(steps + 1, size, n)
        h, *after = states.unbind()
        # Views are made of all steps at once: one by one they would take as long as the arithmetic.
        for made, own, own_rz, own_n, rz, r, z, new in zip(
            after,
            below.unbind(),
            *(part.unbind() for part in (below[:, : 2 * size], below[:, 2 * size :], gates[:, : 2 * size])),
            *(part.unbind() for part in gates.split(size, 1)),
            strict=True,
        ):
            own.addmm_(u, h)
            rz.add_(own_rz).sigmoid_()
            new.addcmul_(r, own_n).tanh_()
            h = torch.lerp(new, h, z, out=made)
        ctx.save_for_backward(x, w, u, gates, below[:, 2 * size :], states)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor, Tensor, Tensor]:
        """Gradients of x, w, u, b and c."""
        x, w, u, gates, candidate, states = ctx.saved_tensors
        _, size, n = grad.shape
        r, z, new = gates.split(size, 1)
        # What a change of h[t] does to each gate before its nonlinearity; h[t - 1] is left, which is what is summed up.
        to_new = (1 - z) * (1 - new.square())
        to_z = (states[:-1] - new) * z * (1 - z)
        to_r = candidate * r * (1 - r)
        inner = torch.empty_like(gates)  # gradients of what comes from the state: r, z, and U h + c of n
        outer = torch.empty_like(new)  # of n itself
        carried = grad.new_zeros(size, n)
        back = u.t().contiguous()
        of_r, of_z, of_n = (part.unbind() for part in inner.split(size, 1))
        every = zip(
            *(part.unbind() for part in (grad, to_new, to_z, to_r, r, z, inner, outer)), of_r, of_z, of_n, strict=True
        )
        for g, by_new, by_z, by_r, reset, keep, whole, own, d_r, d_z, d_n in reversed(list(every)):
            carried.add_(g)
            torch.mul(carried, by_new, out=own)
            torch.mul(carried, by_z, out=d_z)
            torch.mul(own, by_r, out=d_r)
            torch.mul(own, reset, out=d_n)
            carried.mul_(keep).addmm_(back, whole)
        of_u, of_c = torch.bmm(inner, states[:-1].transpose(1, 2)).sum(0), inner.sum((0, 2))
        inner[:, 2 * size :] = outer
        of_w, of_b = torch.bmm(inner, x.transpose(1, 2)).sum(0), inner.sum((0, 2))
        of_x = torch.matmul(w.t(), inner) if ctx.needs_input_grad[0] else None
        return of_x, of_w, of_u, of_b, of_c


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
        h = x.permute(1, 2, 0).contiguous()
        for w, u, b, c in self.net.all_weights:
            made = Layer.apply(h, w, u, b, c)
            assert isinstance(made, Tensor)
            h = made
        return h.permute(2, 0, 1)
