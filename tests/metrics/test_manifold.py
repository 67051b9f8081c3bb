"""Precision, recall, density, coverage and copying: against direct definitions, closed forms and planted cases."""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from gansmith.metrics import (
    authenticity,
    closest_pairs,
    data_copying,
    density_coverage,
    expected_coverage,
    membership_attack,
    nearest,
    nearest_training,
    one_nearest_neighbour,
    prdc,
    precision_recall,
)


def normal(n: int, d: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def distances(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a.double(), b.double(), compute_mode="donot_use_mm_for_euclid_dist")


def direct_prdc(real: Tensor, fake: Tensor, k: int) -> tuple[float, float, float, float]:
    """The definitions, sample by sample."""
    real_radii = distances(real, real).sort(1).values[:, k]  # the first is the sample itself
    fake_radii = distances(fake, fake).sort(1).values[:, k]
    precise = recalled = covered = inside = 0
    for y in fake:
        reached = (distances(y[None], real)[0] <= real_radii).sum().item()
        precise += reached > 0
        inside += reached
    for x, radius in zip(real, real_radii, strict=True):
        gaps = distances(x[None], fake)[0]
        recalled += bool((gaps <= fake_radii).any())
        covered += bool((gaps <= radius).any())
    n, m = len(real), len(fake)
    return precise / m, recalled / n, inside / (k * m), covered / n


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_prdc_equals_its_definition(k: int, dtype: torch.dtype) -> None:
    real, fake = normal(150, 6, 0, dtype), 0.8 * normal(110, 6, 1, dtype) + 0.3
    expected = direct_prdc(real, fake, k)
    pr, dc = prdc(real, fake, k_precision=k, k_density=k, block_bytes=10_000)
    assert (pr.precision, pr.recall, dc.density, dc.coverage) == pytest.approx(expected, abs=1e-12)
    assert precision_recall(real, fake, k=k) == pr
    assert density_coverage(real, fake, k=k) == dc


def test_prdc_far_from_the_origin() -> None:
    """The product form of distances loses its digits unless it is centred."""
    real, fake = normal(150, 6, 0) + 500, normal(150, 6, 1) + 500
    pr, dc = prdc(real, fake, k_precision=5, k_density=5)
    assert (pr.precision, pr.recall, dc.density, dc.coverage) == pytest.approx(direct_prdc(real, fake, 5), abs=1e-12)


def test_copies_and_duplicates_lie_in_their_own_balls() -> None:
    real = normal(40, 5, 0).repeat_interleave(6, 0) * 30  # more duplicates than neighbours: every radius is 0
    pr, dc = prdc(real, real.clone())
    assert (pr.precision, pr.recall, dc.coverage) == (1.0, 1.0, 1.0)


def test_a_tight_cluster_has_precision_and_no_recall() -> None:
    real, fake = normal(500, 2, 0), 0.05 * normal(500, 2, 1)
    found = precision_recall(real, fake)
    assert found.precision > 0.8 and found.recall < 0.3
    swapped = precision_recall(fake, real)
    assert (swapped.precision, swapped.recall) == (found.recall, found.precision)


def test_expected_coverage_is_the_published_closed_form() -> None:
    assert expected_coverage(1000, 1000, 5) == pytest.approx(0.96898, abs=5e-6)
    assert expected_coverage(10_000, 10_000, 5) == pytest.approx(0.96877, abs=5e-6)
    assert expected_coverage(1000, 1000, 3) == pytest.approx(0.8754, abs=5e-5)
    assert expected_coverage(10**7, 10**7, 5) == pytest.approx(1 - 2**-5, abs=1e-6)


@pytest.mark.parametrize(("m", "k", "d"), [(200, 5, 3), (100, 2, 3), (500, 1, 1)])
def test_coverage_and_density_under_equal_distributions(m: int, k: int, d: int) -> None:
    """In one dimension neighbours are so near that float32 products of features would see ties."""
    found = [density_coverage(normal(200, d, 2 * s), normal(m, d, 2 * s + 1), k=k) for s in range(200)]
    coverage = torch.tensor([f.coverage for f in found])
    assert abs(float(coverage.mean()) - found[0].expected) < 4 * float(coverage.std()) / 200**0.5
    assert found[0].expected == expected_coverage(200, m, k)
    assert sum(f.density for f in found) / 200 == pytest.approx(1.0, abs=0.05)


class Largest(TorchDispatchMode):
    """The bytes of the largest tensor any operation makes."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for t in result if isinstance(result, tuple | list) else (result,):
            if isinstance(t, Tensor) and not func.is_view:
                self.bytes = max(self.bytes, t.numel() * t.element_size())
        return result


def test_no_matrix_of_n_by_n_is_made() -> None:
    real, fake = normal(3000, 8, 0), normal(3000, 8, 1)
    for call in (prdc, one_nearest_neighbour, authenticity):
        with Largest() as largest:
            call(real, fake, block_bytes=500_000)
        # A whole matrix is 36 MB; indices of the few candidates are int64 (3000, 9).
        assert largest.bytes <= 500_000, call


def test_blocks_do_not_matter() -> None:
    real, fake = normal(300, 8, 0), normal(200, 8, 1)
    assert prdc(real, fake, block_bytes=5000) == prdc(real, fake)
    assert authenticity(real, fake, block_bytes=5000) == authenticity(real, fake)


# --- neighbours ------------------------------------------------------------------------------------------------------


def test_nearest_equals_sorting_all_distances() -> None:
    queries, points = normal(50, 7, 0) + 100, normal(80, 7, 1) + 100
    found = nearest(queries, points, k=4, block_bytes=3000)
    expected = distances(queries, points).sort(1)
    assert found.indices.equal(expected.indices[:, :4])
    torch.testing.assert_close(found.distances, expected.values[:, :4], rtol=1e-12, atol=0)
    own = nearest(points, points, k=2, exclude_self=True)
    every = distances(points, points).fill_diagonal_(torch.inf).sort(1)
    assert own.indices.equal(every.indices[:, :2])
    with pytest.raises(ValueError, match="1 <= k <= 79"):
        nearest(points, points, k=80, exclude_self=True)


def test_a_copy_is_at_distance_zero() -> None:
    training = normal(100, 20, 0) * 100 + 1000
    found = nearest_training(training[[3, 50]], training, k=2)
    assert found.indices[:, 0].tolist() == [3, 50]
    assert found.distances[:, 0].tolist() == [0.0, 0.0]
    fake = normal(30, 20, 1) * 100 + 1000
    fake[11] = training[7]
    pairs = closest_pairs(fake, training, count=5)
    assert (pairs.fake[0], pairs.training[0], pairs.distances[0]) == (11, 7, 0.0)
    assert bool((pairs.distances.diff() >= 0).all()) and len(pairs.fake) == 5


# --- copying ---------------------------------------------------------------------------------------------------------


def test_a_replay_generator_is_flagged_by_every_measure() -> None:
    training, held_out, fresh = normal(400, 6, 0), normal(400, 6, 1), normal(400, 6, 2)
    copies = training[torch.randperm(400, generator=torch.Generator().manual_seed(3))]
    assert authenticity(training, copies) == 0.0
    assert authenticity(training, fresh) > 0.4
    assert data_copying(training, held_out, copies, seed=0, num_cells=3).value < -10
    assert abs(data_copying(training, held_out, fresh, seed=0, num_cells=3).value) < 4
    copied = one_nearest_neighbour(training, copies)
    assert copied.fake == copied.real == 0.0
    honest = one_nearest_neighbour(training, fresh)
    assert abs(honest.accuracy - 0.5) < 0.1
    attack = membership_attack(training, held_out, copies)
    assert attack.auc.value > 0.99 and attack.true_positives == 1.0
    blind = membership_attack(training, held_out, fresh)
    assert blind.auc.low < 0.5 < blind.auc.high and blind.true_positives < 0.06


def test_a_collapsed_generator_has_fake_one_and_real_zero() -> None:
    real = normal(200, 256, 0) * 5  # in many dimensions the mean is nearer to each sample than any other sample
    fake = real.mean(0) + 0.001 * normal(200, 256, 1)
    found = one_nearest_neighbour(real, fake)
    assert found.fake == 1.0 and found.real < 0.1


def test_data_copying_is_about_standard_normal_for_a_perfect_model() -> None:
    values = torch.tensor(
        [
            data_copying(
                normal(300, 3, 3 * s), normal(150, 3, 3 * s + 1), normal(150, 3, 3 * s + 2), seed=0, num_cells=1
            ).value
            for s in range(60)
        ]
    )
    assert abs(float(values.mean())) < 3 / 60**0.5 * max(1.0, float(values.std()))
    assert 0.7 < float(values.std()) < 1.4
    far = 3 * normal(150, 3, 1000)
    assert data_copying(normal(300, 3, 0), normal(150, 3, 1), far, seed=0, num_cells=1).value > 5


def test_refusals() -> None:
    x = normal(10, 3, 0)
    with pytest.raises(ValueError, match="k is 10 and real has 10"):
        precision_recall(x, x, k=10)
    with pytest.raises(ValueError, match="equal counts"):
        one_nearest_neighbour(x, x[:5])
    with pytest.raises(ValueError, match="fewer num_cells"):
        data_copying(x, x, x, seed=0, num_cells=2)
