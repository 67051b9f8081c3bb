"""How sets of series compare: in their course, their spectra, their lengths, and by what small recurrent nets tell.

Sources: Yoon, Jarrett & van der Schaar, "Time-series Generative Adversarial Networks", 2019 (discriminative and
predictive score); Lin et al., 2020, arXiv:1909.13403, section 5 (autocorrelation, Wasserstein-1 of lengths); Künsch,
"The Jackknife and the Bootstrap for General Stationary Observations", 1989 (blocks).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .features import random
from .neighbours import Neighbours, nearest
from .recurrent import GRUs


@dataclass(frozen=True, kw_only=True)
class Series:
    """Series of one number of columns. Each has a length of its own: what it is asked about ends there."""

    values: Tensor
    """(N, T, D) floating point, finite up to the lengths; whatever stands behind them is not looked at."""
    lengths: Tensor
    """(N,) int64, from 1 to T."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for other shapes or dtypes, no series, lengths out of range, NaN or infinity."""
        x, lengths = self.values, self.lengths
        if x.ndim != 3 or 0 in x.shape or not x.is_floating_point():
            raise ValueError(
                f"values are {x.dtype} {tuple(x.shape)}; series are floating point (N, T, D), none of them 0"
            )
        if lengths.shape != x.shape[:1] or lengths.dtype != torch.int64:
            raise ValueError(f"lengths are {lengths.dtype} {tuple(lengths.shape)}; they are int64 ({len(x)},)")
        if int(lengths.min()) < 1 or int(lengths.max()) > x.shape[1]:
            raise ValueError(
                f"lengths are {int(lengths.min())} to {int(lengths.max())}; they are 1 to {x.shape[1]} steps"
            )
        if not bool(torch.isfinite(x[self.alive]).all()):
            raise ValueError(
                "series have NaN or infinity before their end: fill missing cells, or leave the column out"
            )

    @property
    def alive(self) -> Tensor:
        """Which steps (N, T) bool there are."""
        return torch.arange(self.values.shape[1], device=self.lengths.device) < self.lengths[:, None]

    @property
    def clean(self) -> Tensor:
        """The values (N, T, D) float64 on the CPU, 0 behind the ends."""
        return torch.where(self.alive[..., None], self.values, 0.0).to("cpu", torch.float64)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Tensor) -> Series:
        """Some of the series, by their numbers (n,) int64."""
        return Series(values=self.values[rows], lengths=self.lengths[rows])


def _pair(real: Series, fake: Series) -> None:
    if real.values.shape[2] != fake.values.shape[2]:
        raise ValueError(f"real series have {real.values.shape[2]} columns and fake ones {fake.values.shape[2]}")


def _centred(series: Series) -> Tensor:
    """(N, T, D) float64 with the mean of each series and column taken away, 0 behind the ends."""
    x, count = series.clean, series.lengths.cpu()[:, None, None]
    return torch.where(series.alive.cpu()[..., None], x - x.sum(1, keepdim=True) / count, 0.0)


# --- course -----------------------------------------------------------------------------------------------------------


def autocorrelation(series: Series, lags: int) -> Tensor:
    """(lags + 1, D) float64: the mean over series of each one's own autocorrelation at lags 0, 1, ... of each column.

    Of one series of n steps at lag k: the mean of the n - k products of deviations from its mean, over its variance.
    Series that do not move, or have no more than k + 1 steps, have no part in it; NaN where none is left.
    Raises `ValueError` for lags below 0.
    """
    if lags < 0:
        raise ValueError(f"lags is {lags}; it is at least 0")
    x, lengths = _centred(series), series.lengths.cpu()
    power = x.square().sum(1)
    # What rounding leaves of a constant is not movement.
    moves = power > 1e-20 * series.clean.square().sum(1)
    found = []
    for k in range(lags + 1):
        products = (x[:, : max(x.shape[1] - k, 0)] * x[:, k:]).sum(1) / (lengths - k).clamp_min(1)[:, None]
        counts = moves & (lengths > k + 1)[:, None]
        ratio = torch.where(counts, products / (power / lengths[:, None]).where(counts, 1.0), 0.0)
        found.append(ratio.sum(0) / counts.sum(0))
    return torch.stack(found)


def autocorrelation_distance(real: Series, fake: Series, lags: int = 0) -> float:
    """The mean squared difference of both autocorrelations, over columns and lags 1 ... `lags`.

    `lags` 0 takes half of the longest real length. Lags at which one side has no series are left out; NaN if all are.
    Lin et al., 2020, arXiv:1909.13403, section 5.
    """
    _pair(real, fake)
    lags = lags or max(int(real.lengths.max()) // 2, 1)
    gap = (autocorrelation(real, lags) - autocorrelation(fake, lags))[1:].square()
    return float(gap.nanmean())


def spectrum(series: Series, bins: int = 0) -> tuple[Tensor, Tensor]:
    """Frequencies (F,) in cycles a step, 0 left out, up to 1/2, and the share of power at each, (F, D) float64.

    The mean over series of each one's periodogram (its mean taken away), as shares that add up to 1. Series are padded
    with zeros to 2 (F - 1) steps or so, so that all lengths have the same frequencies. `bins` is F; 0 takes half of
    the steps there are. Series that do not move have no part in it; NaN if none does.
    """
    x = _centred(series)
    size = max(2 * bins, x.shape[1])
    power = torch.fft.rfft(x, n=size + size % 2, dim=1).abs().square()[:, 1:]
    power[:, :-1] *= 2  # each stands for a negative frequency too, but for 1/2 itself
    total = power.sum(1, keepdim=True)
    moves = (total > 1e-20 * series.clean.square().sum(1, keepdim=True)).expand_as(power)
    share = torch.where(moves, power / total.where(total > 0, 1.0), 0.0).sum(0) / moves.sum(0)
    return torch.arange(1, len(share) + 1, dtype=torch.float64) / (size + size % 2), share


def spectrum_distance(real: Series, fake: Series) -> float:
    """Wasserstein-1 between both shares of power over frequency, in cycles a step (0 to 1/2); the mean over columns.

    NaN where no series of one side moves.
    """
    _pair(real, fake)
    bins = max(real.values.shape[1], fake.values.shape[1])
    frequencies, of_real = spectrum(real, bins)
    _, of_fake = spectrum(fake, bins)
    return float((of_real - of_fake).cumsum(0).abs().sum(0).mean() * frequencies[0])


def length_distance(real: Series, fake: Series) -> float:
    """Wasserstein-1 between both distributions of lengths, in steps."""
    most = max(int(real.lengths.max()), int(fake.lengths.max()))
    counts = [torch.bincount(s.lengths.cpu(), minlength=most + 1).double() / len(s) for s in (real, fake)]
    return float((counts[0] - counts[1]).cumsum(0).abs().sum())


def cross_correlation(series: Series) -> Tensor:
    """(D, D) float64: the correlation of columns over all steps of all series; NaN for columns that do not move."""
    rows = series.values[series.alive].double().cpu()
    rows = rows - rows.mean(0)
    scatter = rows.T @ rows
    deviation = scatter.diagonal().sqrt()
    still = deviation <= 1e-10 * series.values[series.alive].double().cpu().square().sum(0).sqrt()
    return scatter / deviation.masked_fill(still, torch.nan).outer(deviation)


def cross_correlation_distance(real: Series, fake: Series) -> float:
    """The mean absolute difference of both correlations, over pairs of different columns; NaN where there is none."""
    _pair(real, fake)
    above = torch.ones(real.values.shape[2], real.values.shape[2]).triu(1).bool()
    return float((cross_correlation(real) - cross_correlation(fake))[above].abs().nanmean())


# --- copies and the plain baseline ------------------------------------------------------------------------------------


def nearest_series(queries: Series, points: Series, k: int = 1, *, exclude_self: bool = False) -> Neighbours:
    """The k nearest of `points` to each query, over steps and columns: a copy is at distance 0.

    Columns are in standard deviations of the points; a step that only one of two series has costs 1 for being there,
    and the value that it has. Raises `ValueError` for fewer than k points, or other numbers of columns.
    """
    _pair(points, queries)
    rows = points.values[points.alive].double().cpu()
    centre, scale = rows.mean(0), rows.std(0, correction=0)
    scale = torch.where(scale > 0, scale, 1.0)
    steps = max(points.values.shape[1], queries.values.shape[1])

    def laid_out(series: Series) -> Tensor:
        alive = series.alive.cpu()[..., None]
        x = torch.cat((torch.where(alive, (series.clean - centre) / scale, 0.0), alive.double()), 2)
        return torch.nn.functional.pad(x, (0, 0, 0, steps - x.shape[1])).flatten(1)

    return nearest(laid_out(queries), laid_out(points), k=k, exclude_self=exclude_self)


def block_bootstrap(series: Series, n: int, block: int, seed: int) -> Series:
    """n series, each of blocks of `block` consecutive steps of one of these, drawn anew: what any model must beat.

    A series is drawn at random; its blocks begin anywhere in it and follow one another until its length is reached. So
    lengths, values, columns that do not change and what happens within a block are those of real series, and only
    where blocks meet its course is broken. A series that is no longer than a block is copied. Künsch, 1989, section
    2.1. Raises `ValueError` for n or block below 1.
    """
    if n < 1 or block < 1:
        raise ValueError(f"n is {n} and block {block}; both are at least 1")
    generator = random(seed)
    drawn = torch.randint(len(series), (n,), generator=generator)
    lengths = series.lengths.cpu()[drawn]
    steps = torch.arange(series.values.shape[1])
    places = torch.rand(n, -(-len(steps) // block), generator=generator, dtype=torch.float64)
    starts = (places * ((lengths - block).clamp_min(0) + 1)[:, None]).long()
    source = starts[:, steps // block] + steps % block
    source = torch.where(steps < lengths[:, None], source, 0)  # behind the end any step will do
    values = series.values.cpu()[drawn[:, None], source]
    return Series(values=values, lengths=lengths)


# --- what small nets tell ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RecurrentScore:
    """A score by recurrent nets, of several seeds: initial weights, batches and the split differ."""

    values: tuple[float, ...]
    """One a seed."""
    hidden: int
    """Units of each layer."""
    layers: int
    moves: int
    """Batches that each net learnt from."""
    num_train: int
    """Series that it learnt from, of both sides."""
    num_test: int
    """Series that it was tested on, of both sides."""

    @property
    def mean(self) -> float:
        """Of the seeds."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float:
        """Standard deviation of a seed's score; 0 of one alone."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else 0.0


def discriminative_score(
    real: Series,
    fake: Series,
    *,
    seed: int,
    repeats: int = 5,
    moves: int = 2_000,
    batch: int = 128,
    layers: int = 2,
    hidden: int = 0,
    test_share: float = 0.2,
) -> RecurrentScore:
    """Held-out accuracy of a GRU at telling real from fake, minus 1/2: 0 if it cannot, 1/2 if it always can.

    It is signed, so that chance has a mean of 0; the published one is its absolute value. Columns are in units of the
    real range; the GRU sees a series up to its own end. Windows that overlap tell the test part what was learnt: pass
    series that do not. Yoon et al., 2019, section 5 and the authors' code (2,000 moves, batch 128, a fifth held out;
    there one layer of D / 2 units).

    Args:
        real: N series.
        fake: as many.
        seed: of the splits, initial weights and batches.
        repeats: nets, each with a split of its own.
        moves: batches that each learns from.
        batch: series of each side in a batch.
        layers: of the GRU.
        hidden: units of each; 0 takes half the columns, at least 4.
        test_share: share of each side that is held out.

    Raises:
        ValueError: unequal counts (chance would not be 1/2), or a part without series.
    """
    _pair(real, fake)
    held = round(len(real) * test_share)
    if len(real) != len(fake) or not 1 <= held < len(real):
        raise ValueError(
            f"{len(real)} real and {len(fake)} fake series, a share of {test_share} held out: pass equally many, and a "
            "share that leaves some on both sides"
        )
    nets, hidden = _nets(real.values.shape[2], hidden, layers, seed, repeats)
    train, test = [], []
    for x, lengths in _scaled(real, fake):
        order = torch.stack([torch.randperm(len(x), generator=g) for g in nets.generators])
        for part, rows in ((test, order[:, :held]), (train, order[:, held:])):
            part.append((x[rows], lengths[rows]))

    def loss(drawn: list[Tensor]) -> Tensor:
        (x, n), (y, m) = drawn[:2], drawn[2:]
        of_real, of_fake = nets.at_the_end(torch.cat((x, y), 1), torch.cat((n, m), 1)).chunk(2, 1)
        return (torch.nn.functional.softplus(-of_real) + torch.nn.functional.softplus(of_fake)).mean(1)

    nets.learn(train, batch, moves, loss)
    right = [nets.of_all(nets.at_the_end, *part) > 0 for part in test]
    accuracy = (right[0].double().mean(1) + (~right[1]).double().mean(1)) / 2
    counts = {"num_train": 2 * (len(real) - held), "num_test": 2 * held}
    return RecurrentScore(values=tuple((accuracy - 0.5).tolist()), hidden=hidden, layers=layers, moves=moves, **counts)


def predictive_score(
    train: Series,
    test: Series,
    *,
    seed: int,
    target: int = -1,
    repeats: int = 5,
    moves: int = 5_000,
    batch: int = 128,
    layers: int = 1,
    hidden: int = 0,
) -> RecurrentScore:
    """Mean absolute error on `test` of a GRU that learnt from `train` to say a column's next value: lower is better.

    Train on fakes and test on real series; compare with what real ones teach. The column is said from the others up to
    the step before, or from itself where it is the only one, in units of its range in `test`. Each set counts with
    lengths of its own: the authors' evaluator takes those of real series for fakes too, and so never sees a wrong one.
    Yoon et al., 2019, section 5 and the authors' code.

    Args:
        train: M series, of which those of one step teach nothing.
        test: N series, of which the same are not asked about.
        seed: of initial weights and batches.
        target: the column.
        repeats: nets.
        moves: batches that each learns from.
        batch: series in a batch.
        layers: of the GRU.
        hidden: units of each; 0 takes half the columns, at least 4.

    Raises:
        ValueError: no series of two steps on a side, or no such column.
    """
    _pair(test, train)
    columns = test.values.shape[2]
    if not -columns <= target < columns:
        raise ValueError(f"target is {target}; there are {columns} columns")
    for name, series in (("train", train), ("test", test)):
        if int(series.lengths.max()) < 2:
            raise ValueError(f"no series of {name} has two steps: there is no next one to say")
    rest = [i for i in range(columns) if i != target % columns] or [target % columns]
    nets, hidden = _nets(len(rest), hidden, layers, seed, repeats)
    parts = []
    for series in _scaled(test, train.take((train.lengths > 1).nonzero()[:, 0])):
        x, lengths = series
        parts.append((torch.cat((x[:, :-1, rest], x[:, 1:, [target]]), 2), lengths - 1))

    def errors(x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        there = torch.arange(x.shape[2]) < lengths[..., None]
        return ((nets.at_each_step(x[..., :-1], lengths) - x[..., -1]).abs() * there).sum(2), there.sum(2)

    def loss(drawn: list[Tensor]) -> Tensor:
        missed, counts = errors(*drawn)
        return missed.sum(1) / counts.sum(1)

    nets.learn(parts[1:], batch, moves, loss)
    missed = nets.of_all(lambda x, n: errors(x, n)[0], *parts[0]).double().sum(1) / parts[0][1].sum()
    counts = {"num_train": len(parts[1][1]), "num_test": len(test)}
    return RecurrentScore(values=tuple(missed.tolist()), hidden=hidden, layers=layers, moves=moves, **counts)


def _nets(inputs: int, hidden: int, layers: int, seed: int, repeats: int) -> tuple[GRUs, int]:
    if min(layers, repeats) < 1 or hidden < 0:
        raise ValueError(f"layers is {layers}, repeats {repeats}, hidden {hidden}: none is below 1, hidden may be 0")
    hidden = hidden or max(inputs // 2, 4)
    return GRUs(inputs, hidden, layers, [seed * 1_000 + k for k in range(repeats)]), hidden


def _scaled(real: Series, fake: Series) -> list[tuple[Tensor, Tensor]]:
    """Values float32 in units of the range of real ones (0 to 1), and lengths, of both."""
    rows = real.values[real.alive].double().cpu()
    low, width = rows.amin(0), rows.amax(0) - rows.amin(0)
    found = []
    for series in (real, fake):
        x = (series.clean - low) / torch.where(width > 0, width, 1.0)
        found.append((torch.where(series.alive.cpu()[..., None], x, 0.0).float(), series.lengths.cpu()))
    return found
