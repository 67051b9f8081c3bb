"""The Frechet distance against closed forms, and moments that merge in any order."""

import itertools
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gansmith.metrics import Moments, Reference, frechet_distance, frechet_infinity


def normal(n: int, d: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gaussian(mean: Tensor, covariance: Tensor, count: int = 100_000) -> Moments:
    return Moments.given(count=count, mean=mean, covariance=covariance)


def test_equal_covariance_is_the_squared_shift() -> None:
    eye = torch.eye(2048, dtype=torch.float64)
    zero = gaussian(torch.zeros(2048), eye)
    one = gaussian(torch.ones(2048), eye)
    assert frechet_distance(zero, one).value == pytest.approx(2048, rel=1e-12)


def test_commuting_diagonals() -> None:
    a, b = torch.linspace(0.1, 5, 30, dtype=torch.float64), torch.linspace(3, 0.2, 30, dtype=torch.float64)
    found = frechet_distance(gaussian(torch.zeros(30), a.diag()), gaussian(torch.zeros(30), b.diag()))
    assert found.value == pytest.approx(float((a.sqrt() - b.sqrt()).square().sum()), rel=1e-12)
    assert found.mean_term == 0.0


@given(st.floats(-3, 3), st.floats(0.1, 3), st.floats(-3, 3), st.floats(0.1, 3))
@settings(max_examples=30, deadline=None)
def test_one_dimension(m1: float, s1: float, m2: float, s2: float) -> None:
    def one(m: float, s: float) -> Moments:
        return gaussian(torch.tensor([m], dtype=torch.float64), torch.tensor([[s * s]], dtype=torch.float64))

    assert frechet_distance(one(m1, s1), one(m2, s2)).value == pytest.approx((m1 - m2) ** 2 + (s1 - s2) ** 2, abs=1e-12)


@pytest.mark.parametrize("n", [200, 20], ids=["cholesky", "nuclear"])
def test_scaled_samples(n: int) -> None:
    x = normal(n, 40, 0)
    x = x - x.mean(0)
    trace = float(Moments.of(x).covariance.trace())
    found = frechet_distance(x, 1.5 * x)
    assert found.value == pytest.approx((1 - 1.5) ** 2 * trace, rel=1e-10)
    assert found.route == ("cholesky" if n == 200 else "nuclear")


@pytest.mark.parametrize(("n", "m"), [(200, 150), (20, 30), (20, 150), (150, 20)])
def test_orthogonal_maps_and_swapping_leave_it_alone(n: int, m: int) -> None:
    x, y = normal(n, 40, 0), 0.7 * normal(m, 40, 1) + 0.3
    turn = torch.linalg.qr(normal(40, 40, 2)).Q
    expected = frechet_distance(x, y).value
    assert frechet_distance(x @ turn, y @ turn).value == pytest.approx(expected, rel=1e-10)
    assert frechet_distance(y, x).value == pytest.approx(expected, rel=1e-10)


def test_every_route_equals_the_definition() -> None:
    """tr (S1 S2)^(1/2) from the eigenvalues of the plain product, for full rank and for N <= d."""
    for n, m in [(300, 200), (300, 20), (20, 300), (20, 15)]:
        x, y = normal(n, 24, 3) @ normal(24, 24, 4), normal(m, 24, 5) + 0.1
        s1, s2 = torch.cov(x.T), torch.cov(y.T)
        root = torch.linalg.eigvals(s1 @ s2).real.clamp(min=0).sqrt().sum()
        direct = float((x.mean(0) - y.mean(0)).square().sum() + s1.trace() + s2.trace() - 2 * root)
        found = frechet_distance(x, y)
        # The definition takes square roots of rounding noise where the covariance is singular.
        assert found.value == pytest.approx(direct, rel=1e-9 if min(n, m) > 24 else 1e-5)
        assert found.route == ("cholesky" if min(n, m) > 24 else "nuclear")
        # Moments alone lead to the same value, without the features.
        assert frechet_distance(Moments.of(x), Moments.of(y)).value == pytest.approx(found.value, rel=1e-9)
        assert frechet_distance(Reference.of(x), Moments.of(y)).value == pytest.approx(found.value, rel=1e-9)


def test_singular_covariance_takes_the_eigh_route() -> None:
    """A feature that is always 0 (a dead unit) makes the covariance singular at any N."""
    x, y = normal(500, 12, 0), normal(400, 12, 1) * 1.2
    expected = frechet_distance(x, y).value
    dead = torch.zeros(1, dtype=torch.float64)
    found = frechet_distance(*(torch.cat([s, dead.expand(len(s), 1)], 1) for s in (x, y)))
    assert found.route == "eigh"
    assert found.value == pytest.approx(expected, rel=1e-9)


def test_rank_deficient_is_finite_and_not_negative() -> None:
    x = normal(5, 10, 0)
    found = frechet_distance(x, x)
    assert found.route == "nuclear"
    assert found.raw >= -1e-6 and found.value >= 0.0
    assert found.value == pytest.approx(0.0, abs=1e-12)
    assert frechet_distance(x, normal(5, 10, 1)).value > 0.0


def test_float32_features_keep_their_digits_far_from_the_origin() -> None:
    x, y = normal(2000, 8, 0), normal(2000, 8, 1) * 1.1
    expected = frechet_distance(x, y).value
    moved = frechet_distance((x + 100).float(), (y + 100).float()).value
    assert moved == pytest.approx(expected, abs=1e-4)


def test_refusals_say_what_was_given() -> None:
    x = normal(20, 4, 0)
    with pytest.raises(ValueError, match=r"shape \(20,\)"):
        frechet_distance(x, x[:, 0])
    with pytest.raises(ValueError, match="4 features and fake 3"):
        frechet_distance(x, x[:, :3])
    with pytest.raises(ValueError, match="at least 2"):
        frechet_distance(x, x[:1])
    with pytest.raises(ValueError, match="NaN or infinity in 1 of 20"):
        frechet_distance(x, x.index_fill(0, torch.tensor([3]), torch.nan))
    with pytest.raises(ValueError, match="floating point"):
        frechet_distance(x, x.long())


# --- moments ---------------------------------------------------------------------------------------------------------


def close(a: Moments, b: Moments, tolerance: float = 1e-12) -> None:
    assert a.count == b.count
    torch.testing.assert_close(a.mean, b.mean, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(a.scatter, b.scatter, rtol=tolerance, atol=tolerance * float(b.scatter.abs().max()))


def test_moments_are_the_mean_and_the_unbiased_covariance() -> None:
    x = normal(9000, 5, 0) * 3 + 7  # more rows than are turned into float64 at once
    moments = Moments.of(x)
    torch.testing.assert_close(moments.mean, x.mean(0), rtol=1e-12, atol=0)
    torch.testing.assert_close(moments.covariance, torch.cov(x.T), rtol=1e-10, atol=1e-12)
    wide = normal(100, 1100, 0)  # more columns than one block of the covariance
    torch.testing.assert_close(Moments.of(wide).covariance, torch.cov(wide.T), rtol=1e-10, atol=1e-12)


def test_chunks_merged_in_any_order_equal_one_pass() -> None:
    x = normal(210, 6, 0) * 2 + 50
    whole = Moments.of(x)
    parts = [Moments.of(p) for p in x.split([1, 70, 13, 126])]
    for order in itertools.permutations(parts):
        total = Moments.empty(6)
        for part in order:
            total = total.merge(part)
        close(total, whole)
    close(parts[0].merge(parts[1]).merge(parts[2].merge(parts[3])), whole)
    assert frechet_distance(total, x * 1.1).value == pytest.approx(frechet_distance(x, x * 1.1).value, rel=1e-10)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_streaming_equals_one_pass(sizes: list[int], seed: int) -> None:
    x = normal(sum(sizes), 3, seed) - 20
    total = Moments.empty(3)
    for part in x.split(sizes):
        total = total.add(part)
    close(total, Moments.of(x), 1e-11)


def test_moments_survive_saving() -> None:
    moments = Moments.of(normal(10, 3, 0))
    again = Moments.from_tensors(moments.tensors())
    assert again.count == 10 and again.mean.equal(moments.mean) and again.scatter.equal(moments.scatter)
    with pytest.raises(ValueError, match="count, mean, scatter"):
        Moments.from_tensors({"mean": moments.mean})
    with pytest.raises(ValueError, match="float64"):
        Moments.from_tensors({**moments.tensors(), "mean": moments.mean.float()})
    with pytest.raises(ValueError, match="3 and of 2"):
        moments.merge(Moments.empty(2))


def _rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    x = normal(50, 4, 0) + 10
    total = Moments.of(x[:13] if rank == 0 else x[13:]).over_ranks()
    torch.save(total.tensors(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_ranks_together_equal_one_pass(tmp_path: Path) -> None:
    whole = Moments.of(normal(50, 4, 0) + 10)
    close(whole.over_ranks(), whole)  # nothing distributed: as they are
    mp.spawn(_rank, (str(tmp_path),), nprocs=2)
    first, second = (Moments.from_tensors(torch.load(tmp_path / f"{r}.pt", weights_only=True)) for r in (0, 1))
    close(first, whole)
    assert first.scatter.equal(second.scatter) and first.mean.equal(second.mean)


# --- the limit -------------------------------------------------------------------------------------------------------


def test_infinity_removes_the_bias_in_n() -> None:
    d = 32
    real = gaussian(torch.zeros(d, dtype=torch.float64), torch.eye(d, dtype=torch.float64), 10**9)
    fake = normal(4000, d, 1)
    plain, limit = frechet_distance(real, fake), frechet_infinity(real, fake, seed=0)
    # The mean alone biases by d / N; the covariance adds about d (d + 1) / (4 N).
    assert plain.value == pytest.approx((d + d * (d + 1) / 4) / 4000, rel=0.15)
    assert abs(limit.value) < 0.15 * plain.value
    assert limit.slope == pytest.approx(4000 * plain.value, rel=0.15)
    assert limit.sizes[0] == 400 and limit.sizes[-1] == 4000 and len(limit.sizes) == 15
    assert 0 < limit.standard_error < 0.1 * plain.value
    assert frechet_infinity(real, fake, seed=0) == limit != frechet_infinity(real, fake, seed=1)


def test_infinity_finds_a_known_distance() -> None:
    d = 16
    real = gaussian(torch.zeros(d, dtype=torch.float64), torch.eye(d, dtype=torch.float64), 10**9)
    found = frechet_infinity(real, 1.5 * normal(4000, d, 2) + 0.5, seed=0)
    assert found.value == pytest.approx(d * 0.25 + d * 0.25, rel=0.03)
    with pytest.raises(ValueError, match="different sizes"):
        frechet_infinity(real, normal(12, d, 0), seed=0)
