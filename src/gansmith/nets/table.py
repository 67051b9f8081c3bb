"""Networks for rows of tables, whose vector is made of spans: numbers and one-hot parts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from ..data import TableCodec


class Residual(nn.Module):
    """Linear, batch norm and ReLU beside the input: (N, size) to (N, width + size)."""

    def __init__(self, size: int, width: int):
        super().__init__()
        self.layer, self.norm = nn.Linear(size, width), nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        """What the layer makes of x, joined with x."""
        return torch.cat((self.norm(self.layer(x)).relu(), x), 1)


class Generator(nn.Module):
    """Noise and a condition to the raw outputs of a row: residual layers, then one linear one.

    Holds what the spans are, and how often each condition is true of the data, to draw conditions from.
    """

    frequencies: Tensor

    def __init__(self, z_dim: int, codec: TableCodec, widths: Sequence[int]):
        super().__init__()
        self.z_dim, self.num_conditions = z_dim, codec.num_conditions
        self.spans, self.choices = codec.spans, codec.choices
        size = z_dim + self.num_conditions
        layers: list[nn.Module] = []
        for width in widths:
            layers.append(Residual(size, width))
            size += width
        self.layers = nn.Sequential(*layers, nn.Linear(size, codec.width))
        # Chances of the categories of column j lie in (j, j + 1]: one uniform number picks column and category.
        chances = torch.zeros(max(self.num_conditions, 1))
        at = 0
        for j, span in enumerate(self.choices):
            found = torch.from_numpy(codec.frequencies(span))
            reached = found.cumsum(0) / found.sum().clamp_min(1)
            reached[-1] = 1.0
            chances[at : at + span.width] = (j + reached).float()
            at += span.width
        self.register_buffer("frequencies", chances)

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        """(N, z_dim) and one-hot conditions (N, C) to raw outputs (N, W): logits of the one-hot parts."""
        return self.layers(torch.cat((z, condition), 1))

    def one_hot(self, condition: Tensor, like: Tensor) -> Tensor:
        """Indices (N,) of conditions as (N, C) of the dtype of `like`."""
        places = torch.arange(self.num_conditions, device=condition.device)
        return (condition[:, None] == places).to(like.dtype)

    def any_condition(self, u: Tensor) -> Tensor:
        """Conditions (N,) as often as they are true of the data, a column at random; from uniform numbers (N, 1)."""
        found = torch.searchsorted(self.frequencies, u.to(self.frequencies.dtype) * len(self.choices), right=True)
        return found[:, 0].clamp_max(max(self.num_conditions - 1, 0))

    def outputs(self, raw: Tensor, u: Tensor, temperature: float) -> Tensor:
        """Raw outputs (N, W) as a row: tanh of numbers, Gumbel-softmax of one-hot parts, from uniform numbers (N, W).

        Jang et al., "Categorical Reparameterization with Gumbel-Softmax", 2016, arXiv:1611.01144, Eq. 2.
        """
        wide = raw if raw.dtype == torch.float64 else raw.float()
        noisy = wide - (-(u.to(wide.dtype).clamp(1e-7, 1 - 1e-7)).log()).log()
        parts = [
            wide[:, s.start : s.end].tanh()
            if s.kind == "scalar"
            else (noisy[:, s.start : s.end] / temperature).softmax(1)
            for s in self.spans
        ]
        return torch.cat(parts, 1)

    def missed(self, raw: Tensor, condition: Tensor) -> Tensor:
        """The mean cross-entropy of the conditions (N,) with the logits of the columns that they are about: ()."""
        wide = raw if raw.dtype == torch.float64 else raw.float()
        logs = torch.cat([F.log_softmax(wide[:, s.start : s.end], 1) for s in self.choices], 1)
        return -logs.gather(1, condition[:, None]).mean()


def packs(rows: Tensor, pack: int) -> Tensor:
    """Rows (N, W) side by side, `pack` of them in each: (N // pack, pack * W); rows that fill no pack are left out.

    Lin et al., "PacGAN: The power of two samples in generative adversarial networks", 2017, arXiv:1712.04086.
    """
    full = len(rows) // pack
    return rows[: full * pack].reshape(full, pack * rows.shape[1])


class Cells(nn.Module):
    """Which places of an encoded row (W,) make up one cell, and which of them are one-hot; nothing that learns."""

    columns: Tensor
    binary: Tensor
    weight: Tensor

    def __init__(self, codec: TableCodec):
        super().__init__()
        self.size, spans = codec.width, codec.spans
        of_place = [s.column for s in spans for _ in range(s.width)]
        order = {column: k for k, column in enumerate(dict.fromkeys(of_place))}
        self.num_columns = len(order)
        self.places = tuple((s.kind != "scalar", s.start, s.end) for s in spans)
        self.register_buffer("columns", torch.tensor([order[c] for c in of_place]), persistent=False)
        hot = [s.kind != "scalar" for s in spans for _ in range(s.width)]
        self.register_buffer("binary", torch.tensor(hot), persistent=False)
        share = [1.0 / s.width for s in spans for _ in range(s.width)]
        self.register_buffer("weight", torch.tensor(share), persistent=False)
        rows = max((sum(c.counts) + c.missing for c in codec.columns), default=1)
        self.gone = [codec.columns[c].missing / max(rows, 1) for c in of_place]
        """Share of the cells that are missing, of each place."""

    def by_column(self, values: Tensor) -> Tensor:
        """One value a column (N, num_columns) to one a place (N, W)."""
        return values[:, self.columns]

    def error(self, made: Tensor, x: Tensor, asked: Tensor) -> Tensor:
        """The root of the mean squared error of the cells `asked` (N, W), (): numbers in units of their observed range;
        of a category half the squared distance to its one-hot vector (1 where it is wrong and sure). NaN without cells.
        """
        squared = torch.where(asked, made - x.nan_to_num(), 0.0).square() * torch.where(self.binary, 0.5, 1.0)
        return (squared.sum() / (asked * self.weight).sum()).sqrt()


class Imputer(nn.Module):
    """A row beside a second vector of its size (a mask, or a hint) to a number in every place: (N, 2 W) to (N, W).

    Two hidden layers with ReLU, then logits.
    """

    def __init__(self, codec: TableCodec, hidden: int, missing_rate: float):
        super().__init__()
        self.cells = Cells(codec)
        size = codec.width
        layers: list[nn.Module] = []
        for before, after in pairwise((2 * size, hidden, hidden, size)):
            layers += [nn.Linear(before, after), nn.ReLU()]
            nn.init.xavier_normal_(layers[-2].weight)  # ty: ignore[invalid-argument-type]
            nn.init.zeros_(layers[-2].bias)  # ty: ignore[invalid-argument-type]
        self.layers = nn.Sequential(*layers[:-1])
        gone = self.cells.gone
        self.hidden = 0.0 if any(gone) else missing_rate
        """Share of the cells to hide."""
        self.share = 1.0 - (sum(gone) / max(len(gone), 1) or self.hidden)
        """Share of the places that are then known."""

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        """Logits (N, W)."""
        return self.layers(torch.cat((x, beside), 1))
