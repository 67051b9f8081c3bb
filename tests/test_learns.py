"""Recipes learn: the ring of eight Gaussians and the digits, from fixed seeds, with controls that must fail.

Ring: radius 1, standard deviation 0.01; 2,500 samples; a sample is of high quality within 3 standard deviations of a
mode (Srivastava et al., "VEEGAN", 2017, arXiv:1705.07761). A uniform circle of the right radius has 8 modes and 7.6 %
of high quality, so 25 % cannot be had without finding the modes. Printed by these tests for seeds 0 to 2, share of
high quality: gan 0.41 to 0.56, pacgan 0.81 to 0.91 (7 or 8 modes), r3gan 0.49 to 0.57, wgan_gp 0.42 to 0.60.

Digits: a classifier of real digits must be nearly sure of what half of the samples are, and find all ten classes.
Measured with r3gan's defaults and seed 0: certainty 0.914, smallest class 7.2 % (held-out real digits: 0.94); shuffled
pixels and blends of two digits stay under 0.6.
"""

import functools
from pathlib import Path

import numpy as np
import pytest
from benchmarks.learns import note
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import gansmith
from gansmith.data import toy
from gansmith.options import Count
from gansmith.recipe import Recipe
from gansmith.recipes.gan import GAN
from gansmith.recipes.pacgan import PacGAN
from gansmith.recipes.r3gan import R3GAN
from gansmith.recipes.wgan_gp import WGANGP

MODES, HIGH_QUALITY = 7, 0.25
RING: dict[str, tuple[Recipe, int]] = {
    "gan": (GAN(width=32, dropout=0.0, lr=1e-3, z_dim=8), 190_000),
    "r3gan": (R3GAN(width=16, gamma=0.1, z_dim=2), 160_000),
    "wgan_gp": (WGANGP(width=16, penalty=0.1, lr=1e-3, betas=(0.5, 0.9), z_dim=2), 45_000),
}


def trained(recipe: Recipe, data: str, images: int, seed: int, out: Path, batch_size: int = 64) -> gansmith.Model:
    options = gansmith.TrainOptions(
        images=Count(images),
        batch_size=batch_size,
        seed=seed,
        device="cpu",
        precision="fp32",
        sample_every=Count(10**9),
    )
    return gansmith.load(gansmith.train(recipe, data, options, out=out).path)


def ring_quality(points: np.ndarray) -> tuple[int, float]:
    return toy.quality(points, toy.centres("ring"), toy.sigma("ring"))


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", RING)
def test_ring(name: str, seed: int, tmp_path: Path) -> None:
    recipe, images = RING[name]
    modes, good = ring_quality(trained(recipe, "toy:ring", images, seed, tmp_path / "run").sample(2500, seed=0))
    note("ring", recipe, images, seed, modes=modes, quality=good)
    assert modes >= MODES
    assert good >= HIGH_QUALITY


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ring_in_packs(seed: int, tmp_path: Path) -> None:
    recipe = PacGAN(width=8, z_dim=2, lr=1e-3, betas=(0.8, 0.999))
    model = trained(recipe, "toy:ring", 1_000_000, seed, tmp_path / "run", batch_size=200)
    modes, good = ring_quality(model.sample(2500, seed=0))
    note("ring", recipe, 1_000_000, seed, modes=modes, quality=good)
    assert modes >= MODES
    assert good >= HIGH_QUALITY


def test_a_uniform_circle_fails_the_ring() -> None:
    angle = 2 * np.pi * np.random.default_rng(0).uniform(size=100_000)
    modes, good = ring_quality(np.stack([np.cos(angle), np.sin(angle)], 1))
    assert modes == 8
    assert good == pytest.approx(0.076, abs=0.004)
    assert good < HIGH_QUALITY


@pytest.mark.parametrize("name", RING)
def test_an_untrained_network_fails_the_ring(name: str, tmp_path: Path) -> None:
    modes, good = ring_quality(trained(RING[name][0], "toy:ring", 64, 0, tmp_path / "run").sample(2500, seed=0))
    assert modes < MODES or good < HIGH_QUALITY


@functools.cache
def digits_classifier() -> LogisticRegression:
    images, labels = load_digits(return_X_y=True)
    half = len(images) // 2
    return LogisticRegression(max_iter=1000).fit(images[:half] / 16, labels[:half])


def digits_quality(pictures: np.ndarray) -> tuple[float, float]:
    """Median certainty of a classifier of real digits, and the smallest share that it gives to a class."""
    certainty = digits_classifier().predict_proba(pictures.reshape(len(pictures), -1) / 255)
    shares = np.bincount(certainty.argmax(1), minlength=10) / len(pictures)
    return float(np.median(certainty.max(1))), float(shares.min())


CERTAINTY, SMALLEST_SHARE = 0.85, 0.04


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_digits(seed: int, tmp_path: Path) -> None:
    certainty, share = digits_quality(trained(R3GAN(), "digits", 200_000, seed, tmp_path / "run").sample(500, seed=0))
    print(f"r3gan seed {seed}: certainty {certainty:.3f}, smallest class {share:.3f}")
    assert certainty >= CERTAINTY
    assert share >= SMALLEST_SHARE


def test_real_digits_pass_and_controls_fail(tmp_path: Path) -> None:
    images = load_digits().data * (255 / 16)
    held_out = images[len(images) // 2 :]
    certainty, share = digits_quality(held_out)
    assert certainty >= CERTAINTY
    assert share >= SMALLEST_SHARE
    generator = np.random.default_rng(0)
    shuffled = generator.permuted(held_out, axis=1)  # each digit's own pixels in random places
    blended = (held_out + generator.permutation(held_out)) / 2
    untrained = trained(R3GAN(), "digits", 64, 0, tmp_path / "run").sample(500, seed=0)
    for control in (shuffled, blended, untrained):
        assert digits_quality(control)[0] < CERTAINTY - 0.2
