"""Networks for series (N, T, W): TimeGAN's recurrent ones, DoppelGANger's generator of attributes and steps."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .mlp import at_least_one, full
from .recurrent import GRU

if TYPE_CHECKING:
    from ..data.kinds.series.codec import Channels, SeriesCodec


class Recurrent(nn.Module):
    """Series (N, T, inputs) to (N, T, outputs): a GRU, then one linear layer for all steps, float32.

    `bounded` ends in a sigmoid.
    """

    def __init__(self, inputs: int, hidden: int, layers: int, outputs: int, bounded: bool = True):
        super().__init__()
        self.gru, self.head, self.bounded = GRU(inputs, hidden, layers), nn.Linear(hidden, outputs), bounded

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, inputs) to (N, T, outputs)."""
        return full(self._outputs, self.gru(x))

    def _outputs(self, h: Tensor) -> Tensor:
        made = self.head(h)
        return made.sigmoid() if self.bounded else made


class Writer(Recurrent):
    """TimeGAN's G: uniform noise (N, T, z_dim) for each step to codes (N, T, hidden). Knows T and `z_dim`."""

    def __init__(self, steps: int, z_dim: int, hidden: int, layers: int):
        super().__init__(z_dim, hidden, layers, hidden)
        self.steps, self.z_dim = steps, z_dim


class Recovery(Recurrent):
    """TimeGAN's R: codes (N, T, hidden) to series (N, T, W) in [0, 1], the units of its losses. Knows the way there.

    Channels that are encoded in [-1, 1] are halved and moved; places of one-hot vectors are what they are.
    """

    low: Tensor

    def __init__(self, codec: SeriesCodec, hidden: int, layers: int):
        super().__init__(hidden, hidden, layers, codec.width)
        low = [0.0 if c.kind == "category" else -1.0 for c in codec.channels for _ in range(c.width)]
        self.register_buffer("low", torch.tensor(low), persistent=False)

    def unit(self, x: Tensor) -> Tensor:
        """Encoded series (N, T, W) in [0, 1]."""
        return (x - self.low) / (1 - self.low)

    def encoded(self, unit: Tensor) -> Tensor:
        """The way back."""
        return self.low + (1 - self.low) * unit


# --- DoppelGANger -----------------------------------------------------------------------------------------------------


def _activated(raw: Tensor, kinds: Iterable[tuple[str, int]]) -> Tensor:
    """Raw outputs (..., A) as channels: softmax of each category, tanh of everything else."""
    kinds = list(kinds)
    parts = raw.split([width for _, width in kinds], -1)
    made = [p.softmax(-1) if kind == "category" else p.tanh() for (kind, _), p in zip(kinds, parts, strict=True)]
    return torch.cat(made, -1) if made else raw


def _hardened(soft: Tensor, kinds: Iterable[tuple[str, int]]) -> Tensor:
    """Channels (N, A) with every category one-hot, the likeliest; without a gradient."""
    kinds = list(kinds)
    parts = soft.detach().split([width for _, width in kinds], -1)
    made = [
        torch.zeros_like(p).scatter(-1, p.argmax(-1, keepdim=True), 1.0) if kind == "category" else p
        for (kind, _), p in zip(kinds, parts, strict=True)
    ]
    return torch.cat(made, -1) if made else soft.detach()


def _kinds(channels: Iterable[Channels]) -> list[tuple[str, int]]:
    return [(c.kind, c.width) for c in channels]


class Attributes(nn.Module):
    """Noise beside what is known to channels that hold for a whole series; each layer has ReLU and batch norm."""

    def __init__(self, inputs: int, channels: Iterable[Channels], width: int, hidden: int):
        super().__init__()
        self.kinds = _kinds(channels)
        layers: list[nn.Module] = []
        for before, after in pairwise((inputs, *[width] * hidden)):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.BatchNorm1d(after)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(width, sum(size for _, size in self.kinds))

    def forward(self, z: Tensor) -> Tensor:
        """(N, inputs) to (N, A), float32."""
        return full(lambda h: _activated(self.head(h), self.kinds), self.layers(z))


class Doppelganger(nn.Module):
    """DoppelGANger's G: attributes, then ranges given them, then steps given both, several at each turn of an LSTM.

    Also knows how D sees series: attributes and ranges, then of each step its channels and two flags, whether a step
    follows and whether it is the last; all 0 behind the end. `judged` says it of encoded series, and `flat` of what
    `forward` makes. Source: Lin et al., "Using GANs for Sharing Networked Time Series Data", 2020, arXiv:1909.13403,
    section 4 and the authors' code.
    """

    def __init__(
        self, codec: SeriesCodec, steps: int, together: int, z_dims: tuple[int, int], width: int, hidden: int, cell: int
    ):
        super().__init__()
        z_dim, z_step = z_dims
        at_least_one(z_dim=z_dim, z_step=z_step, width=width, hidden=hidden, cell=cell, steps=steps)
        self.steps, self.z_dims, self.cell = steps, z_dims, cell
        self.together = min(together, steps) or max(round(steps / 50), 1)
        self.turns = -(-steps // self.together)
        self.changing, self.still, self.ranges = map(_kinds, (codec.changing, codec.still, codec.ranges))
        self.sizes = [sum(size for _, size in kinds) for kinds in (self.changing, self.still, self.ranges)]
        of_steps, of_still, of_ranges = self.sizes
        self.attributes = Attributes(z_dim, codec.still, width, hidden) if of_still else None
        self.range_of = Attributes(of_still + z_dim, codec.ranges, width, hidden) if of_ranges else None
        self.lstm = nn.LSTM(of_still + of_ranges + z_step, cell, batch_first=True)
        self.head = nn.Linear(cell, self.together * (of_steps + 2))

    @property
    def num_attributes(self) -> int:
        """Channels that hold for a whole series."""
        return self.sizes[1] + self.sizes[2]

    @property
    def num_judged(self) -> int:
        """Length of a series as D sees it."""
        return self.num_attributes + self.steps * (self.sizes[0] + 2)

    @property
    def num_noise(self) -> int:
        """Length of the noise of one series: of attributes, of ranges, the LSTM's first state, and of its turns."""
        return 2 * self.z_dims[0] + 2 * self.cell + self.turns * self.z_dims[1]

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Noise (N, num_noise), standard normal, to attributes and ranges (N, A), channels of steps (N, T, F) and their
        flags (N, T, 2), float32. What precedes does not learn from what is made of it.
        """
        size, state = self.z_dims[0], 2 * self.cell
        of_still, of_range, start, of_turn = z.split([size, size, state, z.shape[1] - 2 * size - state], 1)
        soft, hard = [], [z[:, :0]]
        if self.attributes is not None:
            soft.append(self.attributes(of_still))
            hard.append(_hardened(soft[-1], self.still))
        if self.range_of is not None:
            soft.append(self.range_of(torch.cat((*hard, of_range), 1)))
            hard.append(_hardened(soft[-1], self.ranges))
        known = torch.cat(hard, 1).to(z.dtype)
        own = of_turn.unflatten(1, (self.turns, -1))
        inputs = torch.cat((known[:, None].expand(-1, self.turns, -1), own), 2)
        h, c = (part[None].contiguous() for part in start.chunk(2, 1))
        made = full(self._steps, self.lstm(inputs, (h, c))[0])
        return torch.cat(soft, 1) if soft else z[:, :0], *made.split([self.sizes[0], 2], 2)

    def _steps(self, h: Tensor) -> Tensor:
        """What the LSTM says at each turn (N, turns, cell) to steps and flags (N, T, F + 2)."""
        raw = self.head(h).unflatten(2, (self.together, -1)).flatten(1, 2)[:, : self.steps]
        made = _activated(raw, [*self.changing, ("category", 2)])
        goes_on = (made[..., -2] >= made[..., -1]).to(made.dtype)
        before = torch.cat((torch.ones_like(goes_on[:, :1]), goes_on[:, :-1]), 1)
        return made * before.cumprod(1)[..., None]

    def flat(self, attributes: Tensor, channels: Tensor, flags: Tensor) -> Tensor:
        """Made series as D sees them, (N, num_judged)."""
        return torch.cat((attributes, torch.cat((channels, flags), 2).flatten(1)), 1)

    def judged(self, x: Tensor) -> Tensor:
        """Encoded series (N, T, W) as D sees them, (N, num_judged)."""
        alive = (x[..., -1:] > 0).to(x.dtype)
        follows = torch.cat((alive[:, 1:], torch.zeros_like(alive[:, :1])), 1)
        channels = x[..., : self.sizes[0]] * alive
        return self.flat(x[:, 0, self.sizes[0] : -1], channels, torch.cat((follows, alive - follows), 2))

    def known(self, judged: Tensor) -> Tensor:
        """Of series as D sees them (N, num_judged), the attributes and ranges; a 0 where there are none."""
        return judged[:, : self.num_attributes] if self.num_attributes else torch.zeros_like(judged[:, :1])

    def encoded(self, attributes: Tensor, channels: Tensor, flags: Tensor) -> Tensor:
        """Made series as encoded ones (N, T, W)."""
        alive = flags.amax(2, keepdim=True) > 0
        every = attributes[:, None].expand(-1, channels.shape[1], -1)
        return torch.cat((channels, every, 2.0 * alive.to(channels.dtype) - 1.0), 2)
