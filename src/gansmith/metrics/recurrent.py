"""Small GRUs that are trained side by side, one a seed: what they tell of series is a score of those."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .features import random

BLOCK = 2_048
"""Series that are looked at together when nothing is learnt."""


class GRUs:
    """As many GRUs as there are seeds, each with weights and batches of its own, in one set of tensors.

    A step of one small net is all overhead; of several at once it costs hardly more. `layers` layers of `hidden` units,
    then one linear output. Weights start uniform within 1 / sqrt(hidden), as PyTorch's do.
    """

    def __init__(self, inputs: int, hidden: int, layers: int, seeds: list[int]):
        self.hidden, self.generators = hidden, [random(seed) for seed in seeds]
        sizes = [inputs, *[hidden] * (layers - 1)]
        self.cells = [
            [self._weights(*shape) for shape in ((i, 3 * hidden), (hidden, 3 * hidden), (1, 3 * hidden), (1, hidden))]
            for i in sizes
        ]
        self.head = [self._weights(hidden, 1), self._weights(1, 1)]

    def _weights(self, *shape: int) -> Tensor:
        reach = 1 / math.sqrt(self.hidden)
        drawn = [torch.rand(shape, generator=g) * 2 * reach - reach for g in self.generators]
        return torch.stack(drawn).requires_grad_(True)

    def states(self, x: Tensor) -> Tensor:
        """(T, S, N, hidden) of the last layer from (T, S, N, inputs)."""
        two = 2 * self.hidden
        for w, u, b, c in self.cells:
            rz_from, n_from = (part.unbind() for part in (x @ w + b).split((two, self.hidden), 3))  # of the input
            of_rz, of_n = u.split((two, self.hidden), 2)
            h, made = x.new_zeros(x.shape[1], x.shape[2], self.hidden), []
            for rz, n in zip(rz_from, n_from, strict=True):
                r, z = torch.baddbmm(rz, h, of_rz).sigmoid().chunk(2, 2)
                n = torch.addcmul(n, r, torch.baddbmm(c, h, of_n)).tanh()  # c stands within the reset
                h = torch.lerp(n, h, z)
                made.append(h)
            x = torch.stack(made)
        return x

    def at_each_step(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Outputs (S, N, T) at every step of (S, N, T, inputs)."""
        del lengths
        weight, bias = self.head
        return (self.states(x.permute(2, 0, 1, 3)) @ weight + bias)[..., 0].permute(1, 2, 0)

    def at_the_end(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The output (S, N) at the last of the `lengths` (S, N) steps of (S, N, T, inputs)."""
        states = self.states(x.permute(2, 0, 1, 3))
        last = (lengths - 1)[None, ..., None].expand(1, -1, -1, self.hidden)
        weight, bias = self.head
        return (torch.bmm(states.gather(0, last)[0], weight) + bias)[..., 0]

    def learn(
        self, sets: list[tuple[Tensor, Tensor]], batch: int, moves: int, loss: Callable[[list[Tensor]], Tensor]
    ) -> None:
        """`moves` moves of Adam (1e-3) of all nets, each on `batch` series of each of the sets, drawn anew.

        A set is (values (M, T, K), lengths (M,)), or of each seed its own: (S, M, T, K), (S, M). `loss` makes one
        number a seed (S,) of the drawn values (S, batch, T, K) and lengths (S, batch), a pair a set, one after another.
        """
        weights = [w for cell in (*self.cells, self.head) for w in cell]
        optimizer = torch.optim.Adam(weights, lr=1e-3, foreach=True)
        seeds = torch.arange(len(self.generators))[:, None]
        for _ in range(moves):
            drawn = []
            for values, lengths in sets:
                rows = torch.stack([torch.randint(lengths.shape[-1], (batch,), generator=g) for g in self.generators])
                drawn += [t[seeds, rows] if lengths.ndim == 2 else t[rows] for t in (values, lengths)]
            # Each net has its own term, so the sum gives each its own gradient.
            gradients = torch.autograd.grad(loss(drawn).sum(), weights)
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient
            optimizer.step()

    @torch.no_grad()
    def of_all(self, outputs: Callable[[Tensor, Tensor], Tensor], values: Tensor, lengths: Tensor) -> Tensor:
        """What a method says of all series, (M, T, K) or of each seed its own (S, M, T, K), a block at a time."""
        seeds = len(self.generators)
        if lengths.ndim == 1:
            values, lengths = values.expand(seeds, -1, -1, -1), lengths.expand(seeds, -1)
        blocks = zip(values.split(BLOCK, 1), lengths.split(BLOCK, 1), strict=True)
        return torch.cat([outputs(x, n) for x, n in blocks], 1)
