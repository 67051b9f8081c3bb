"""Diversity, path length, MS-SSIM and sliced distances against closed forms."""

import math

import pytest
import torch
from torch import Tensor

from gansmith.metrics import (
    duplicate_rate,
    laplacian_patch_distance,
    mean_pairwise_distance,
    ms_ssim,
    ms_ssim_of_pairs,
    path_length,
    sliced_wasserstein,
    support_size,
    vendi_score,
)


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_mean_pairwise_distance() -> None:
    x = normal(40, 5, seed=0)
    assert mean_pairwise_distance(x, block_bytes=2000) == pytest.approx(float(torch.pdist(x).mean()), rel=1e-9)
    assert mean_pairwise_distance(x[:1].expand(9, 5)) == 0.0


def test_vendi_counts_different_samples() -> None:
    eye = torch.eye(6, dtype=torch.float64)
    assert vendi_score(eye) == pytest.approx(6.0, rel=1e-10)
    assert vendi_score(eye.repeat(50, 1) * 3.0) == pytest.approx(6.0, rel=1e-10)
    assert vendi_score(eye[:1].repeat(4, 1)) == pytest.approx(1.0, rel=1e-10)
    x = normal(30, 8, seed=0)  # more samples than features: the small Gram matrix has the same spectrum
    unit = x / x.norm(dim=1, keepdim=True)
    spectrum = torch.linalg.eigvalsh(unit @ unit.T / 30).clamp(min=1e-300)
    assert vendi_score(x) == pytest.approx(math.exp(-float((spectrum * spectrum.log()).sum())), rel=1e-9)
    with pytest.raises(ValueError, match="rows of zeros"):
        vendi_score(torch.zeros(3, 2))


def test_birthday_paradox_finds_the_support() -> None:
    support = 400
    batch = 25
    rows = torch.randint(support, (400 * batch,), generator=torch.Generator().manual_seed(0))
    rate = duplicate_rate(normal(support, 3, seed=1)[rows], threshold=0.0, batch_size=batch)
    assert support_size(batch, rate) == pytest.approx(support, rel=0.2)
    assert support_size(batch, 0.0) == math.inf
    assert support_size(1000, 0.5) == pytest.approx(1000**2 / (2 * math.log(2)), rel=2e-3)
    with pytest.raises(ValueError, match="smaller batches"):
        support_size(batch, 1.0)


# --- path length -----------------------------------------------------------------------------------------------------


def squared(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).flatten(1).square().sum(1)


def test_path_length_of_a_linear_generator() -> None:
    """Along a chord the image moves by A (b - a) epsilon: the length is |A (b - a)|^2 whatever the position."""
    matrix, a, b = normal(5, 8, seed=0), normal(300, 5, seed=1), normal(300, 5, seed=2)
    found = path_length(lambda z: z @ matrix, squared, a, b, positions=torch.rand(300), interpolation="lerp", tails=0.0)
    each = ((b - a) @ matrix).square().sum(1)
    assert found.value == pytest.approx(float(each.mean()), rel=1e-6)
    assert found.num_kept == found.num_paths == 300
    cut = path_length(lambda z: z @ matrix, squared, a, b, positions=torch.zeros(300), interpolation="lerp")
    kept = each.sort().values[2:298]  # floor(.01 * 299) = 2 below, as many above
    assert cut.num_kept == 296
    assert cut.value == pytest.approx(float(kept.mean()), rel=1e-6)


def test_path_length_on_the_arc() -> None:
    """On the unit circle a quarter turn moves by (pi / 2) epsilon at every position."""
    a, b = torch.tensor([[2.0, 0.0]]).double().expand(4, 2), torch.tensor([[0.0, 0.5]]).double().expand(4, 2)
    found = path_length(
        lambda z: z, squared, a, b, positions=torch.linspace(0, 0.9, 4), interpolation="slerp", tails=0.0
    )
    assert found.value == pytest.approx((math.pi / 2) ** 2, rel=1e-6)


def test_path_length_refuses_rounded_images_and_wrong_distances() -> None:
    a = normal(4, 2, seed=0)
    with pytest.raises(ValueError, match="keep floats"):
        path_length(lambda z: (z * 255).byte(), squared, a, a, positions=torch.zeros(4), interpolation="lerp")
    with pytest.raises(ValueError, match=r"returns \(4,\)"):
        path_length(lambda z: z, lambda x, y: x.sum(), a, a, positions=torch.zeros(4), interpolation="lerp")


# --- MS-SSIM ---------------------------------------------------------------------------------------------------------


def test_ms_ssim_of_equal_and_of_flat_images() -> None:
    x = normal(3, 2, 64, 64, seed=0).sigmoid()
    torch.testing.assert_close(ms_ssim(x, x, scales=3, data_range=1.0), torch.ones(3, dtype=torch.float64))
    # Flat images have no structure to differ in; the coarsest scale's luminance is left.
    a, b = torch.full((1, 1, 48, 48), 0.2), torch.full((1, 1, 48, 48), 0.6)
    luminance = (2 * 0.2 * 0.6 + 1e-4) / (0.04 + 0.36 + 1e-4)
    weights = (0.0448, 0.2856, 0.3001)
    found = float(ms_ssim(a, b, scales=3, data_range=1.0))
    assert found == pytest.approx(luminance ** (weights[2] / sum(weights)), rel=1e-5)
    noise = normal(1, 1, 64, 64, seed=5).sigmoid()
    assert float(ms_ssim(noise, 1 - noise, scales=3, data_range=1.0)) == 0.0  # opposite structure, not NaN


def test_ms_ssim_asks_for_images_large_enough() -> None:
    five = torch.zeros(1, 1, 161, 161)
    assert float(ms_ssim(five, five, scales=5, data_range=1.0)) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="fits at 4 scales, not at 5"):
        ms_ssim(five[..., :160], five[..., :160], scales=5, data_range=1.0)
    with pytest.raises(ValueError, match="pass scales=2"):
        ms_ssim(five[..., :32, :32], five[..., :32, :32], scales=3, data_range=1.0)
    small = torch.zeros(1, 1, 32, 32)
    assert float(ms_ssim(small, small, scales=3, data_range=1.0, window=7)) == pytest.approx(1.0)


def test_ms_ssim_of_pairs_rises_with_collapse() -> None:
    images = normal(20, 1, 32, 32, seed=0).sigmoid()
    alike = 0.9 * images[:1] + 0.1 * images
    found = [ms_ssim_of_pairs(x, seed=0, scales=2, data_range=1.0, pairs=40).value for x in (images, alike)]
    assert found[1] > 0.5 > found[0]
    assert ms_ssim_of_pairs(images[:2], seed=0, scales=1, data_range=1.0, pairs=8).value < 0.5  # never with itself


# --- sliced distances ------------------------------------------------------------------------------------------------


def test_sliced_wasserstein_of_a_shift_and_of_a_scale() -> None:
    x = normal(500, 10, seed=0)
    shift = torch.linspace(-1, 2, 10, dtype=torch.float64)
    found = sliced_wasserstein(x, x + shift, seed=0, directions=2000)
    assert found.squared == pytest.approx(float(shift.square().sum()) / 10, abs=4 * found.standard_error)
    centred = x - x.mean(0)
    scaled = sliced_wasserstein(centred, 1.5 * centred, seed=0, directions=2000)
    assert scaled.squared == pytest.approx(
        0.25 * float(centred.square().sum()) / 500 / 10, abs=4 * scaled.standard_error
    )
    assert sliced_wasserstein(x, x.flip(0), seed=0, directions=10).value == pytest.approx(0.0, abs=1e-12)


def test_sliced_wasserstein_of_unequal_counts_is_exact() -> None:
    x = normal(60, 4, seed=0)
    y = normal(40, 4, seed=1)
    expected = sliced_wasserstein(x.repeat_interleave(2, 0), y.repeat_interleave(3, 0), seed=0, directions=70)
    found = sliced_wasserstein(x, y, seed=0, directions=70)
    assert found.value == pytest.approx(expected.value, rel=1e-12)
    assert sliced_wasserstein(x, x.repeat(3, 1), seed=0, directions=70).value == pytest.approx(0.0, abs=1e-12)


def test_sliced_wasserstein_in_one_dimension_is_the_distance_itself() -> None:
    x, y = normal(30, 1, seed=0), normal(30, 1, seed=1)
    direct = float((x[:, 0].sort().values - y[:, 0].sort().values).square().mean())
    assert sliced_wasserstein(x, y, seed=0, directions=5).squared == pytest.approx(direct, rel=1e-12)


def test_laplacian_patches_tell_texture_from_layout() -> None:
    smooth = torch.nn.functional.interpolate(normal(64, 1, 4, 4, seed=0, dtype=torch.float32), size=32, mode="bicubic")
    texture = smooth + 0.3 * normal(64, 1, 32, 32, seed=1, dtype=torch.float32)
    stripes = smooth + 0.3 * normal(64, 1, 32, 1, seed=2, dtype=torch.float32)
    kinds = {"seed": 0, "smallest": 16, "patches": 32, "directions": 64}
    same = laplacian_patch_distance(texture, texture.flip(0), **kinds)
    other = laplacian_patch_distance(texture, stripes, **kinds)
    assert set(same) == {32, 16}
    assert other[32] > 3 * same[32]
    with pytest.raises(ValueError, match="power of two times smallest"):
        laplacian_patch_distance(texture[..., :24, :24], stripes[..., :24, :24], **kinds)
