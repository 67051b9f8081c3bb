"""Networks for rows of tables, whose vector is made of spans: numbers and one-hot parts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .running import Running

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

    def outputs(self, raw: Tensor, gumbel: Tensor, temperature: float) -> Tensor:
        """Raw outputs (N, W) as a row: tanh of numbers, Gumbel-softmax of one-hot parts, with Gumbel noise (N, W).

        Jang et al., "Categorical Reparameterization with Gumbel-Softmax", 2016, arXiv:1611.01144, Eq. 2.
        """
        wide = raw if raw.dtype == torch.float64 else raw.float()
        noisy = wide + gumbel
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


def kept(batch: Mapping[str, Tensor]) -> Tensor:
    """The rows `x` (N, W) of a batch as losses may see them: NaN where a cell is missing or `held` out."""
    return batch["x"].masked_fill(batch["held"], torch.nan) if "held" in batch else batch["x"]


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


class Pre(nn.Module):
    """x + W2 relu(W1 norm(x)): (N, width) to (N, width). It starts as the identity."""

    def __init__(self, width: int):
        super().__init__()
        last = nn.Linear(2 * width, width)
        nn.init.zeros_(last.weight)
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), last)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width) to (N, width)."""
        return x + self.layers(x)


class Completer(nn.Module):
    """What is known of a row to a guess at all of it, and to draws about the guess.

    Inside, numbers are in standard deviations from their column's mean, both running means of what was observed, so
    that a column with far outliers counts as much as any. A number also comes as sines and cosines of several
    frequencies, with which a network follows steps that it would else smooth over (Gorishniy et al., "On Embeddings
    for Numerical Features in Tabular Deep Learning", 2022, arXiv:2203.05556, section 3.3).
    """

    frequencies: Tensor

    def __init__(self, codec: TableCodec, width: int, blocks: int, waves: int):
        super().__init__()
        self.cells = Cells(codec)
        size = codec.width
        self.seen = Running(3, size, half_life=200_000)
        self.register_buffer("frequencies", math.pi * 2.0 ** torch.arange(waves), persistent=False)
        self.numbers = [start for hot, start, _ in self.cells.places if not hot]
        self.first = nn.Linear(2 * size + 2 * waves * len(self.numbers), width)
        self.blocks = nn.Sequential(*(Pre(width) for _ in range(blocks)), nn.LayerNorm(width))
        self.last = nn.Linear(width, size)

    def observe(self, x: Tensor, there: Tensor, images: Tensor) -> None:
        """Take rows (N, W) of which the cells `there` are known into the means and deviations."""
        self.seen.advance(images)
        some = torch.where(there, x, 0.0)
        self.seen.add(torch.stack((there.to(x.dtype), some, some * some), 1))

    def scale(self) -> tuple[Tensor, Tensor]:
        """Means and deviations (W,) of numbers; 0 and 1 of categories. As of a uniform number until some were seen."""
        count, total, squares = self.seen.mean
        prior = 1e-3
        mean = (total + prior / 2) / (count + prior)
        variance = (squares + prior / 3) / (count + prior) - mean.square()
        hot = self.cells.binary
        return torch.where(hot, 0.0, mean), torch.where(hot, 1.0, variance.clamp_min(1e-8).sqrt())

    def standard(self, x: Tensor) -> Tensor:
        """Encoded rows (N, W) as the networks see them."""
        mean, deviation = self.scale()
        return (x.nan_to_num() - mean) / deviation

    def row(self, raw: Tensor) -> Tensor:
        """The way back, of raw outputs: numbers, and probabilities of categories."""
        mean, deviation = self.scale()
        numbers = mean + deviation * raw
        parts = [raw[:, a:b].softmax(1) if hot else numbers[:, a:b] for hot, a, b in self.cells.places]
        return torch.cat(parts, 1)

    def forward(self, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded rows (N, W) of which the cells `known` may be seen to features (N, width) and raw outputs (N, W):
        standardised numbers and logits.
        """
        there = known.to(self.frequencies.dtype)
        angle = x.nan_to_num()[:, self.numbers, None] * self.frequencies
        mask = there[:, self.numbers, None]
        waves = torch.cat((angle.sin() * mask, angle.cos() * mask), 2).flatten(1)
        features = self.blocks(self.first(torch.cat((self.standard(x) * there, there, waves), 1)))
        return features, self.last(features)

    def chosen(self, raw: Tensor, gumbel: Tensor, temperature: float) -> Tensor:
        """Raw outputs as D sees rows: standardised numbers, Gumbel-softmax of categories, with Gumbel noise (N, W)."""
        noisy = raw + gumbel
        parts = [(noisy if hot else raw)[:, a:b] for hot, a, b in self.cells.places]
        return torch.cat(
            [(p / temperature).softmax(1) if hot else p for (hot, *_), p in zip(self.cells.places, parts, strict=True)],
            1,
        )

    def missed(self, first: Tensor, second: Tensor, x: Tensor, asked: Tensor) -> Tensor:
        """The error of the mean of what two raw outputs come from, in the cells `asked`; mean over all cells, ().

        Numbers: the product of their two errors. Where both are draws of one distribution it is in expectation the
        squared error of its mean, whatever its spread. Categories: the cross-entropy of the mean probabilities.
        """
        target = self.standard(x)
        parts = []
        for hot, a, b in self.cells.places:
            if hot:
                both = torch.stack([F.log_softmax(raw[:, a:b], 1) for raw in (first, second)])
                parts.append(-((both.logsumexp(0) - math.log(2)) * target[:, a:b] * asked[:, a:b]).sum(1))
            else:
                parts.append(((first - target) * (second - target) * asked)[:, a])
        return torch.stack(parts, 1).mean()


class Drawer(nn.Module):
    """Features (N, width) of a row and noise (N, z_dim) to what a draw adds to the guess (N, W): two layers."""

    def __init__(self, width: int, z_dim: int, size: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width + z_dim, width), nn.ReLU(), nn.Linear(width, size))

    def forward(self, features: Tensor, z: Tensor) -> Tensor:
        """(N, width) and (N, z_dim) to (N, W)."""
        return self.layers(torch.cat((features, z), 1))
