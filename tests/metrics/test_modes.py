"""Mode counts, their ceilings and floors, and NDB."""

import math

import pytest
import torch
from torch import Tensor

from gansmith.metrics import different_bins, high_quality_ceiling, label_coverage, mode_counts, mode_coverage


def ring(num: int = 8) -> Tensor:
    angle = 2 * math.pi * torch.arange(num, dtype=torch.float64) / num
    return torch.stack([angle.cos(), angle.sin()], 1)


def sample(n: int, seed: int, sigma: float = 0.01, modes: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    which = torch.randint(modes, (n,), generator=generator)
    return ring()[which] + sigma * torch.randn(n, 2, generator=generator, dtype=torch.float64)


def test_ceiling_in_closed_form() -> None:
    assert high_quality_ceiling(2) == pytest.approx(1 - math.exp(-4.5), rel=1e-12)
    assert high_quality_ceiling(2) == pytest.approx(0.9889, abs=5e-5)
    assert high_quality_ceiling(1) == pytest.approx(math.erf(3 / math.sqrt(2)), rel=1e-12)


def test_a_perfect_sampler() -> None:
    found = mode_coverage(sample(20_000, 0), ring(), 0.01)
    assert found.captured == 8
    assert found.high_quality == pytest.approx(found.ceiling, abs=4 * math.sqrt(0.0111 / 20_000))
    assert found.covariance_ratio == pytest.approx(1.0, abs=0.03)
    assert found.reverse_kl < 4 * found.floor
    assert sum(found.counts) == round(found.high_quality * 20_000)


def test_a_point_a_mode_is_above_the_ceiling_and_has_no_width() -> None:
    found = mode_coverage(sample(2500, 0, sigma=1e-5), ring(), 0.01)
    assert found.captured == 8 and found.high_quality == 1.0 > found.ceiling
    assert found.covariance_ratio < 1e-5


def test_lost_modes_and_misses() -> None:
    found = mode_coverage(sample(2500, 0, modes=2), ring(), 0.01)
    assert found.captured == 2 and found.reverse_kl == pytest.approx(math.log(4), abs=0.01)
    nothing = mode_coverage(torch.zeros(10, 2), ring(), 0.01)
    assert (nothing.captured, nothing.high_quality, nothing.reverse_kl) == (0, 0.0, math.inf)
    assert math.isnan(nothing.covariance_ratio)
    with pytest.raises(ValueError, match="only 7 of 8 centres differ"):
        angle = torch.linspace(0, 2 * math.pi, 8, dtype=torch.float64)
        repeated = torch.stack([angle.cos(), angle.sin()], 1).round(decimals=9)
        mode_coverage(torch.zeros(10, 2), repeated, 0.01)


@pytest.mark.parametrize("n", [2500, 10_000])
def test_reverse_kl_floor_and_expected_modes(n: int) -> None:
    """A perfect sampler over 1000 modes: the published floors .200 and .050, and 918 modes at 2,500 samples."""
    generator = torch.Generator().manual_seed(n)
    found = [label_coverage(torch.randint(1000, (n,), generator=generator), 1000) for _ in range(20)]
    mean = sum(f.reverse_kl for f in found) / 20
    assert found[0].floor == pytest.approx(999 / (2 * n))
    assert mean == pytest.approx(found[0].floor, rel=0.12)
    captured = sum(f.captured for f in found) / 20
    assert captured == pytest.approx(found[0].expected_captured, abs=4)
    if n == 2500:
        assert found[0].expected_captured == pytest.approx(918, abs=0.5)


def test_counts_in_closed_form() -> None:
    assert mode_counts(torch.tensor([5, 5, 5, 5])).reverse_kl == pytest.approx(0.0, abs=1e-15)
    one = mode_counts(torch.tensor([0, 20, 0, 0]))
    assert one.reverse_kl == pytest.approx(math.log(4)) and one.captured == 1
    with pytest.raises(ValueError, match="0 to 3"):
        label_coverage(torch.tensor([0, 4]), 4)
    with pytest.raises(ValueError, match="no sample"):
        mode_counts(torch.tensor([0, 0]))


def test_bins_differ_as_often_as_the_significance_says() -> None:
    def draw(n: int, seed: int) -> Tensor:
        return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))

    found = [different_bins(draw(4000, 2 * s), draw(2000, 2 * s + 1), seed=0, num_bins=20) for s in range(12)]
    assert found[0].expected == pytest.approx(1.0)
    # Centres fitted to the training set take a few more of its samples than of others: a little above 1 a run.
    assert 2 <= sum(f.different for f in found) <= 30
    shifted = different_bins(draw(4000, 0), draw(2000, 1) + 1, seed=0, num_bins=20)
    assert shifted.different >= 15 and shifted.jensen_shannon > 10 * found[0].jensen_shannon
    assert found[0] == different_bins(draw(4000, 0), draw(2000, 1), seed=0, num_bins=20)


def test_jensen_shannon_in_closed_form() -> None:
    training = torch.tensor([[0.0], [10.0]]).repeat_interleave(100, 0)
    fake = torch.zeros(100, 1)
    found = different_bins(training, fake, seed=0, num_bins=2)
    # p = (1/2, 1/2) and q = (1, 0): the middle is (3/4, 1/4).
    expected = 0.5 * (0.5 * math.log(2 / 3) + 0.5 * math.log(2) + math.log(4 / 3))
    assert found.jensen_shannon == pytest.approx(expected)
    assert found.different == 2
    pooled = 200 / 300
    error = math.sqrt(pooled * (1 - pooled) * (1 / 200 + 1 / 100))
    assert max(found.z_scores) == pytest.approx(0.5 / error)
