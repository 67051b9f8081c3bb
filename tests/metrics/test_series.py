"""Scores of series against closed forms, plain loops and sets that are known to be equal or not."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gansmith.metrics.recurrent import GRUs
from gansmith.metrics.series import (
    Series,
    autocorrelation,
    autocorrelation_distance,
    block_bootstrap,
    cross_correlation,
    cross_correlation_distance,
    discriminative_score,
    length_distance,
    nearest_series,
    predictive_score,
    spectrum,
    spectrum_distance,
)


def whole(values: Tensor) -> Series:
    return Series(values=values, lengths=torch.full((len(values),), values.shape[1]))


def autoregressive(phi: float, n: int, steps: int, seed: int = 0) -> Tensor:
    """Stationary AR(1) of variance 1, (n, steps, 1)."""
    noise = np.random.default_rng(seed).normal(size=(n, steps))
    x = [noise[:, 0]]
    for t in range(1, steps):
        x.append(phi * x[-1] + math.sqrt(1 - phi**2) * noise[:, t])
    return torch.from_numpy(np.stack(x, 1))[..., None]


def sines(n: int, steps: int, cycles: float, seed: int = 0) -> Tensor:
    phase = torch.from_numpy(np.random.default_rng(seed).uniform(0, 2 * math.pi, (n, 1)))
    return (2 * math.pi * cycles * torch.arange(steps) + phase).sin()[..., None]


def varied(n: int, steps: int = 30, seed: int = 0) -> Series:
    """AR(1) in two columns that go together, of lengths from 2 on; NaN behind the ends."""
    random = np.random.default_rng(seed)
    x = autoregressive(0.8, n, steps, seed)
    x = torch.cat((x, 0.6 * x + 0.8 * autoregressive(0.2, n, steps, seed + 1)), 2)
    lengths = torch.from_numpy(random.integers(2, steps + 1, n))
    return Series(values=torch.where((torch.arange(steps) < lengths[:, None])[..., None], x, math.nan), lengths=lengths)


def shuffled(series: Series, seed: int = 0) -> Series:
    """Each series with its own steps in another order."""
    generator, values = torch.Generator().manual_seed(seed), series.values.clone()
    for i, n in enumerate(series.lengths.tolist()):
        values[i, :n] = values[i, torch.randperm(n, generator=generator)]
    return Series(values=values, lengths=series.lengths)


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.9])
def test_autocorrelation_is_that_of_an_autoregression(phi: float) -> None:
    found = autocorrelation(whole(autoregressive(phi, 200, 2_000)), 10)
    torch.testing.assert_close(found[:, 0], phi ** torch.arange(11.0, dtype=torch.float64), atol=0.015, rtol=0)


def test_autocorrelation_is_that_of_a_plain_loop_over_series_of_all_lengths() -> None:
    series = varied(50)
    series.values[3] = 4.0 + 0 * series.values[3]  # it does not move
    found = autocorrelation(series, 6)
    for k in range(7):
        each = []
        for x, n in zip(series.values[..., 1].numpy(), series.lengths.tolist(), strict=True):
            part = x[:n] - x[:n].mean()
            if n > k + 1 and np.ptp(x[:n]) > 1e-9:
                each.append((part[: n - k] * part[k:]).mean() / (part**2).mean())
        assert float(found[k, 1]) == pytest.approx(np.mean(each), abs=1e-12)
    assert found[0].tolist() == pytest.approx([1, 1])
    assert autocorrelation(series, 40)[30:].isnan().all()


def test_autocorrelation_distance_is_0_of_equals_and_large_of_shuffled_steps() -> None:
    real = varied(400)
    assert autocorrelation_distance(real, real) == 0
    again = autocorrelation_distance(real, varied(400, seed=9))
    assert again < 0.01 < 0.03 < autocorrelation_distance(real, shuffled(real))
    gap = autocorrelation(real, 3) - autocorrelation(shuffled(real), 3)
    assert autocorrelation_distance(real, shuffled(real), 3) == pytest.approx(float((gap[1:] ** 2).mean()))


def test_the_spectrum_of_a_sine_is_one_frequency() -> None:
    frequencies, share = spectrum(whole(sines(10, 64, 8 / 64)))
    assert float(frequencies[7]) == 0.125 and float(share[7, 0]) == pytest.approx(1.0)
    assert float(share.sum()) == pytest.approx(1.0) and frequencies.tolist() == [k / 64 for k in range(1, 33)]
    frequencies, share = spectrum(whole(sines(10, 63, 8 / 64)), 32)
    assert float(frequencies[share[:, 0].argmax()]) == 0.125
    _, share = spectrum(whole(torch.from_numpy(np.random.default_rng(0).normal(size=(4_000, 64, 1)))))
    expected = torch.full((32,), 2 / 63, dtype=torch.float64)
    expected[-1] = 1 / 63  # half of the cycles: one bin where others are two
    torch.testing.assert_close(share[:, 0], expected, rtol=0.1, atol=0)


def test_the_distance_of_the_spectra_of_two_sines_is_that_of_their_frequencies() -> None:
    slow, fast = whole(sines(20, 64, 4 / 64)), whole(sines(20, 64, 12 / 64, seed=1))
    # Padding to common frequencies widens a line to both sides alike.
    assert spectrum_distance(slow, fast) == pytest.approx(8 / 64, rel=0.05)
    assert spectrum_distance(slow, whole(sines(20, 64, 4 / 64, seed=5))) < 0.003
    assert spectrum_distance(slow, slow) == 0
    real = varied(400)
    assert spectrum_distance(real, varied(400, seed=7)) < 0.02 < 0.05 < spectrum_distance(real, shuffled(real))


def test_columns_that_do_not_move_count_for_nothing() -> None:
    still = whole(torch.full((5, 9, 1), 0.1, dtype=torch.float64))
    assert spectrum(still)[1].isnan().all() and autocorrelation(still, 2).isnan().all()
    assert math.isnan(spectrum_distance(still, still)) and math.isnan(autocorrelation_distance(still, still))
    assert cross_correlation(still).isnan().all() and math.isnan(cross_correlation_distance(still, still))


def test_length_distance_is_the_mean_gap_of_sorted_lengths() -> None:
    a, b = varied(300), varied(300, seed=3)
    gap = (a.lengths.sort().values - b.lengths.sort().values).abs().double().mean()
    assert length_distance(a, b) == pytest.approx(float(gap)) and length_distance(a, a) == 0
    assert length_distance(whole(torch.zeros(3, 5, 1)), whole(torch.zeros(7, 9, 1))) == pytest.approx(4)


def test_cross_correlation_is_that_of_numpy() -> None:
    series = varied(200)
    rows = series.values[series.alive].numpy()
    np.testing.assert_allclose(cross_correlation(series).numpy(), np.corrcoef(rows.T), atol=1e-12)
    other = Series(values=series.values * torch.tensor([1.0, -1.0]), lengths=series.lengths)
    expected = 2 * abs(np.corrcoef(rows.T)[0, 1])
    assert cross_correlation_distance(series, other) == pytest.approx(expected)
    assert cross_correlation_distance(series, series) == 0


def test_the_nearest_series_of_a_copy_is_itself_and_lengths_count() -> None:
    series = varied(60)
    found = nearest_series(series, series)
    assert found.indices[:, 0].tolist() == list(range(60)) and float(found.distances.max()) == 0
    assert (nearest_series(series, series, exclude_self=True).distances > 0).all()
    points = whole(torch.tensor([[[0.0], [0.0]], [[2.0], [2.0]]]))  # mean 1, deviation 1
    query = Series(values=torch.tensor([[[0.0], [7.0], [7.0]]]), lengths=torch.tensor([1]))
    found = nearest_series(query, points, 2)
    # One step equal, one missing: sqrt(1 + 1). One step 2 away, one missing: sqrt(4 + 1 + 1).
    assert found.indices.tolist() == [[0, 1]] and found.distances[0].tolist() == pytest.approx([2**0.5, 6**0.5])


def test_block_bootstrap_joins_blocks_of_one_real_series_each() -> None:
    steps, n = 20, 30
    lengths = torch.from_numpy(np.random.default_rng(0).integers(1, steps + 1, n))
    values = (100 * torch.arange(n)[:, None] + torch.arange(steps))[..., None].double()
    made = block_bootstrap(Series(values=values, lengths=lengths), 500, 4, 3)
    seams = set()
    for x, length in zip(made.values[..., 0], made.lengths.tolist(), strict=True):
        own, step = (x[:length] // 100).long(), (x[:length] % 100).long()
        assert (own == own[0]).all() and length == int(lengths[own[0]]) and (step < length).all()
        jumps = (step.diff() != 1).nonzero()[:, 0] + 1
        assert all(j % 4 == 0 for j in jumps.tolist())
        seams |= set(jumps.tolist())
        assert length > 4 or step.tolist() == list(range(length))
    assert seams == {4, 8, 12, 16}
    again = block_bootstrap(Series(values=values, lengths=lengths), 500, 4, 3)
    assert torch.equal(made.values, again.values)
    assert not torch.equal(made.values, block_bootstrap(Series(values=values, lengths=lengths), 500, 4, 4).values)


def test_block_bootstrap_keeps_the_course_within_blocks_and_loses_it_at_seams() -> None:
    real = whole(autoregressive(0.95, 200, 200))
    far, near = (autocorrelation_distance(real, block_bootstrap(real, 200, block, 0), 20) for block in (50, 2))
    assert far < near / 5 and near > 0.1


def test_the_nets_are_grus_of_pytorch_side_by_side() -> None:
    nets = GRUs(3, 4, 2, [5, 6])
    x, lengths = torch.randn(2, 7, 5, 3), torch.randint(1, 6, (2, 7))
    every, last = nets.at_each_step(x, lengths), nets.at_the_end(x, lengths)
    for k in range(2):
        net, head = nn.GRU(3, 4, 2, batch_first=True), nn.Linear(4, 1)
        with torch.no_grad():
            for layer, (w, u, b, c) in enumerate(nets.cells):
                # c stands within the reset gate: behind U h of the candidate alone.
                inner = torch.cat((torch.zeros(8), c[k, 0]))
                for name, value in {
                    "weight_ih": w[k].T,
                    "weight_hh": u[k].T,
                    "bias_ih": b[k, 0],
                    "bias_hh": inner,
                }.items():
                    getattr(net, f"{name}_l{layer}").copy_(value)
            head.weight.copy_(nets.head[0][k].T)
            head.bias.copy_(nets.head[1][k, 0])
        expected = head(net(x[k])[0])[..., 0]
        torch.testing.assert_close(every[k], expected)
        torch.testing.assert_close(last[k], expected.gather(1, lengths[k][:, None] - 1)[:, 0])


QUICK = {"repeats": 3, "moves": 300, "batch": 64, "hidden": 8}


def test_the_discriminative_score_is_0_of_equals_and_high_of_shuffled_steps() -> None:
    real, same = varied(400, 8), varied(400, 8, seed=5)
    score = discriminative_score(real, same, seed=0, **QUICK)
    # Three splits of 160 test series: a mean of 0 within 3 deviations of 0.5 / sqrt(480).
    assert abs(score.mean) < 0.07 and (score.num_train, score.num_test) == (640, 160)
    assert len(set(score.values)) > 1 and score.deviation > 0
    assert score == discriminative_score(real, same, seed=0, **QUICK)
    rising = whole(torch.arange(8.0)[:, None] + torch.randn(400, 8, 1, generator=torch.Generator().manual_seed(0)))
    assert discriminative_score(rising, shuffled(rising), seed=0, **QUICK).mean > 0.35


def test_the_discriminative_score_sees_lengths_alone() -> None:
    values = torch.zeros(300, 8, 1)
    short, long = (Series(values=values, lengths=torch.full((300,), n)) for n in (2, 8))
    assert discriminative_score(short, long, seed=0, **QUICK).mean > 0.45
    assert abs(discriminative_score(short, short, seed=0, **QUICK).mean) < 0.07


def following(n: int, seed: int) -> Tensor:
    """x[t + 1] of column 1 is column 0 at t, which is noise: (n, 6, 2)."""
    x = torch.rand(n, 6, 2, generator=torch.Generator().manual_seed(seed))
    x[:, 1:, 1] = x[:, :-1, 0]
    return x


def test_the_predictive_score_is_good_of_what_really_teaches() -> None:
    lengths = torch.randint(2, 7, (200,), generator=torch.Generator().manual_seed(1))
    real = Series(values=following(200, 1), lengths=lengths)
    taught = predictive_score(Series(values=following(200, 0), lengths=lengths), real, seed=0, **QUICK)
    noise = torch.rand(200, 6, 2, generator=torch.Generator().manual_seed(2))
    blind = predictive_score(Series(values=noise, lengths=lengths), real, seed=0, **QUICK)
    # The best guess at a uniform number of which nothing is known, 1/2, is wrong by 1/4 in the mean.
    assert taught.mean < 0.15 and blind.mean == pytest.approx(0.25, abs=0.03)
    assert (taught.num_train, taught.num_test, taught.layers) == (200, 200, 1)


def test_the_predictive_score_takes_the_lengths_of_each_set_from_that_set() -> None:
    """Behind the ends of fakes stands what would teach the opposite: it must not be looked at."""
    real, wrong = whole(following(200, 1)), following(200, 0)
    wrong[:, 3:, 1] = 5 - 7 * wrong[:, 2:-1, 0]
    fake = Series(values=wrong, lengths=torch.full((200,), 3))
    assert predictive_score(fake, real, seed=0, **QUICK).mean < 0.15
    assert predictive_score(whole(wrong), real, seed=0, **QUICK).mean > 0.3


def test_a_column_alone_is_told_from_itself_and_any_may_be_the_target() -> None:
    real = whole(autoregressive(0.99, 200, 6))
    flat = whole(torch.zeros(200, 6, 1, dtype=torch.float64))
    found, floor = (predictive_score(x, real, seed=0, **QUICK).mean for x in (real, flat))
    assert found < 0.8 * floor
    two, brief = varied(100, 6), QUICK | {"moves": 5}
    assert predictive_score(two, two, seed=0, target=0, **brief) != predictive_score(two, two, seed=0, **brief)


def test_what_are_no_series_is_refused() -> None:
    x = torch.zeros(4, 5, 2)
    for values, lengths, what in (
        (x[0], torch.ones(5, dtype=torch.int64), "floating point"),
        (x.long(), torch.ones(4, dtype=torch.int64), "floating point"),
        (x, torch.ones(3, dtype=torch.int64), "lengths are"),
        (x, torch.ones(4), "int64"),
        (x, torch.tensor([0, 1, 1, 1]), "lengths are 0"),
        (x, torch.tensor([6, 1, 1, 1]), "lengths are 1 to 6"),
        (torch.full_like(x, torch.nan), torch.ones(4, dtype=torch.int64), "NaN"),
    ):
        with pytest.raises(ValueError, match=what):
            Series(values=values, lengths=lengths)
    real, wide = whole(x), whole(torch.zeros(4, 5, 3))
    for call in (length_distance, autocorrelation_distance, spectrum_distance, cross_correlation_distance):
        if call is not length_distance:
            with pytest.raises(ValueError, match="columns"):
                call(real, wide)
    with pytest.raises(ValueError, match="equally many"):
        discriminative_score(real, whole(x[:3]), seed=0)
    with pytest.raises(ValueError, match="share"):
        discriminative_score(real, real, seed=0, test_share=0.0)
    with pytest.raises(ValueError, match="target is 2"):
        predictive_score(real, real, seed=0, target=2)
    with pytest.raises(ValueError, match="two steps"):
        predictive_score(whole(x[:, :1]), real, seed=0)
    with pytest.raises(ValueError, match="block 0"):
        block_bootstrap(real, 3, 0, 0)
    with pytest.raises(ValueError, match="lags"):
        autocorrelation(real, -1)
