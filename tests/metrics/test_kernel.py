"""KID, Gaussian MMD and the Inception score against exact values and under equal distributions."""

import math

import pytest
import torch
from torch import Tensor

from gansmith.metrics import cmmd, gaussian_mmd, inception_score, kernel_distance


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_kernel_distance_of_two_point_sets_is_exact() -> None:
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    y = torch.tensor([[1.0, 1.0], [3.0, 0.0]])

    def k(a: Tensor, b: Tensor) -> float:
        return (float(a @ b) / 2 + 1) ** 3

    expected = k(x[0], x[1]) + k(y[0], y[1]) - 2 * sum(k(a, b) for a in x for b in y) / 4
    found = kernel_distance(x, y, seed=0, num_subsets=3, subset_size=2)
    assert found.value == pytest.approx(expected, rel=1e-14)
    assert found.standard_deviation == pytest.approx(0.0, abs=1e-12)
    assert found.note == ""


def test_kernel_distance_is_unbiased_under_equal_distributions() -> None:
    values = torch.tensor(
        [
            kernel_distance(normal(60, 8, 2 * s), normal(60, 8, 2 * s + 1), seed=0, num_subsets=1, subset_size=60).value
            for s in range(100)
        ]
    )
    assert abs(float(values.mean())) < 3 * float(values.std()) / 10
    assert bool((values < 0).any())  # unbiased means that it goes below 0


def test_subsets_shrink_and_say_so() -> None:
    found = kernel_distance(normal(50, 4, 0), normal(80, 4, 1), seed=0, num_subsets=5)
    assert found.subset_size == 50 and "50 instead of 1000" in found.note
    assert found == kernel_distance(normal(50, 4, 0), normal(80, 4, 1), seed=0, num_subsets=5)
    assert found.value != kernel_distance(normal(50, 4, 0), normal(80, 4, 1), seed=1, num_subsets=5).value


def test_global_randomness_is_left_alone() -> None:
    torch.manual_seed(7)
    state = torch.get_rng_state()
    kernel_distance(normal(50, 4, 0), normal(50, 4, 1), seed=0, num_subsets=5)
    gaussian_mmd(normal(20, 4, 0), normal(20, 4, 1), seed=0, permutations=5)
    assert torch.get_rng_state().equal(state)


def test_gaussian_mmd_equals_its_sums() -> None:
    x, y = normal(7, 3, 0), normal(5, 3, 1) + 0.5
    kernel = [(-torch.cdist(a, b).square() / (2 * 1.3**2)).exp() for a, b in ((x, x), (y, y), (x, y))]
    direct = (kernel[0].sum() - 7) / 42 + (kernel[1].sum() - 5) / 20 - 2 * kernel[2].mean()
    found = gaussian_mmd(x, y, seed=0, bandwidth=1.3, permutations=20)
    assert found.value == pytest.approx(float(direct), rel=1e-10)
    pooled = torch.cat([x, y])
    assert gaussian_mmd(x, y, seed=0, permutations=1).bandwidth == pytest.approx(
        float(torch.pdist(pooled).median()), rel=1e-10
    )


def test_permutation_p_value_is_uniform_under_the_null_and_small_otherwise() -> None:
    p = torch.tensor(
        [
            gaussian_mmd(normal(25, 4, 2 * s), normal(25, 4, 2 * s + 1), seed=s, permutations=99).p_value
            for s in range(200)
        ]
    )
    ordered = p.sort().values
    # Kolmogorov-Smirnov at the 0.1 % level, plus the grid of 1/100.
    assert float((ordered - torch.arange(1, 201) / 200).abs().max()) < 1.95 / math.sqrt(200) + 0.01
    assert gaussian_mmd(normal(100, 4, 0), normal(100, 4, 1) + 1, seed=0, permutations=99).p_value == 0.01


def test_cmmd_of_points_is_exact_and_blocks_do_not_matter() -> None:
    x, y = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])
    assert cmmd(x, y, sigma=10.0) == pytest.approx(1000 * 2 * (1 - math.exp(-25 / 200)), rel=1e-12)
    a, b = normal(30, 4, 0), normal(40, 4, 1)
    assert cmmd(a, b, block_bytes=1000) == pytest.approx(cmmd(a, b), rel=1e-9)
    assert cmmd(a, a) == pytest.approx(0.0, abs=1e-9)


def test_refusals() -> None:
    x = normal(10, 3, 0)
    with pytest.raises(ValueError, match="must be positive"):
        gaussian_mmd(torch.zeros(5, 2), torch.zeros(5, 2), seed=0)
    with pytest.raises(ValueError, match="draw a subset"):
        gaussian_mmd(torch.zeros(9000, 1), torch.zeros(9000, 1), seed=0)
    with pytest.raises(ValueError, match="one encoder"):
        kernel_distance(x, x[:, :2], seed=0)


# --- Inception score -------------------------------------------------------------------------------------------------


def test_inception_score_of_uniform_and_of_balanced_one_hot() -> None:
    assert inception_score(torch.full((50, 10), 0.1), splits=5).value == pytest.approx(1.0, abs=1e-6)
    found = inception_score(torch.eye(10, dtype=torch.float64).repeat(30, 1), splits=3)
    assert found.value == pytest.approx(10.0, rel=1e-12)
    assert found.standard_deviation == pytest.approx(0.0, abs=1e-12)


def test_inception_score_takes_the_order_given() -> None:
    sorted_by_class = torch.eye(10).repeat_interleave(30, 0)
    assert inception_score(sorted_by_class, splits=1).value == pytest.approx(10.0)
    assert inception_score(sorted_by_class, splits=10).value == pytest.approx(1.0)
    with pytest.raises(ValueError, match="softmax"):
        inception_score(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), splits=1)
    with pytest.raises(ValueError, match="1 to 5"):
        inception_score(torch.full((5, 2), 0.5), splits=6)
