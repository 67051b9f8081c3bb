"""Generators with encoders, coupled ones, StyleGAN2 and the classifiers of few labels learn digits, beside controls.

A classifier of real digits (see test_learns) looks at samples: how sure it is, and the smallest share that it gives to
a class; and at reconstructions: whether it sees in them the digit that they were made of (chance: 0.1).
"""

import itertools
from pathlib import Path

import numpy as np
import pytest

from gansmith.recipe import Recipe
from gansmith.recipes.badgan import BadGAN
from gansmith.recipes.bigan import BiGAN
from gansmith.recipes.cluster_gan import ClusterGAN
from gansmith.recipes.cogan import CoGAN
from gansmith.recipes.semi import Semi
from gansmith.recipes.stylegan2 import StyleGAN2
from gansmith.recipes.vaegan import VAEGAN
from test_learns import digits_classifier, digits_quality
from test_learns_encoders import accuracy, halves, trained

SLOW = [0, pytest.param(1, marks=pytest.mark.slow)]


def seen(pictures: np.ndarray) -> np.ndarray:
    """The digit that the classifier sees in each picture."""
    return digits_classifier().predict(pictures.reshape(len(pictures), -1).astype(float) / 255)


def returned(recipe: Recipe, images: int, seed: int, out: Path) -> tuple[float, float]:
    """How sure the classifier is of samples, and of how many reconstructions it sees what they were made of."""
    _, _, held, labels = halves()
    model = trained(recipe, {"x": halves()[0]}, images, out, seed, 64)
    return digits_quality(model.sample(500, seed=0))[0], float((seen(model.apply(held, "picture")) == labels).mean())


@pytest.mark.parametrize("seed", SLOW)
@pytest.mark.parametrize(
    ("recipe", "images", "same"),
    [(BiGAN(width=256, z_dim=20, lr=5e-4), 120_000, 0.6), (VAEGAN(width=16, z_dim=16, lr=1e-3), 60_000, 0.45)],
    ids=["bigan", "vaegan"],
)
def test_digits_are_drawn_and_given_back(recipe: Recipe, images: int, same: float, seed: int, tmp_path: Path) -> None:
    sure, kept = returned(recipe, images, seed, tmp_path / "run")
    untrained = returned(recipe, 64, seed, tmp_path / "untrained")
    print(f"{type(recipe).__name__} seed {seed}: certainty {sure:.3f}, kept {kept:.3f}; untrained {untrained}")
    assert sure > 0.55
    assert kept > same
    assert untrained[0] < 0.4
    assert untrained[1] < 0.25


@pytest.mark.parametrize("seed", SLOW)
def test_cogan_draws_pairs_that_belong_together_from_sets_without_a_pair(seed: int, tmp_path: Path) -> None:
    """Digits, and negatives of other digits. Halves of two different pairs agree by chance alone."""
    x = np.concatenate((halves()[0], halves()[2]))
    data = {"a": x[::2], "b": 255 - x[1::2]}
    pairs = trained(CoGAN(width=16, z_dim=32, lr=5e-4), data, 60_000, tmp_path / "run", seed, 64).sample(500, seed=0)
    a, b = pairs[:, :, :8], 255 - pairs[:, :, 8:]
    together, apart = (seen(a) == seen(b)).mean(), (seen(a) == np.roll(seen(b), 1)).mean()
    print(f"CoGAN seed {seed}: agree {together:.3f}, of two pairs {apart:.3f}; {digits_quality(a)} {digits_quality(b)}")
    assert together > 0.7
    assert apart < 0.25
    assert min(digits_quality(a)[0], digits_quality(b)[0]) > 0.55


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_cluster_gan_finds_digits_without_labels(seed: int, tmp_path: Path) -> None:
    """Each cluster stands for the class that the best one-to-one map gives it. One cluster for all: 0.1."""
    known, _, held, labels = halves()
    found = [
        accuracy(trained(recipe, {"x": known}, n, tmp_path / str(n), seed, 64).apply(held, "cluster").argmax(1), labels)
        for recipe, n in itertools.product([ClusterGAN(width=16, lr=1e-3, moves=1)], (100_000, 64))
    ]
    print(f"ClusterGAN seed {seed}: {found[0]:.3f}, untrained {found[1]:.3f}")
    assert found[0] > 0.4
    assert found[1] < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_stylegan2_draws_all_digits(seed: int, tmp_path: Path) -> None:
    recipe = StyleGAN2(width=16, max_width=32, z_dim=32, lr=5e-3, augment="none")
    x = np.concatenate((halves()[0], halves()[2]))
    quality = [
        digits_quality(trained(recipe, {"x": x}, n, tmp_path / str(n), seed, 32).sample(500, seed=0))
        for n in (60_000, 32)
    ]
    print(f"StyleGAN2 seed {seed}: {quality[0]}, untrained {quality[1]}")
    assert quality[0][0] > 0.6 and quality[0][1] > 0.005
    assert quality[1][1] == 0.0, "an untrained one draws not nearly every digit"


@pytest.mark.slow
def test_few_labels_are_worth_more_beside_pictures_without(tmp_path: Path) -> None:
    """20 labels; the same D taught by them alone is the control. Means of two draws of the labels."""
    known, taught, held, labels = halves()
    arms: dict[str, Recipe] = {
        "semi": Semi(width=64, num_labels=20, average_images=20_000.0),
        "badgan": BadGAN(width=64, num_labels=20, average_images=20_000.0, density_steps=200),
        "labels alone": Semi(width=64, num_labels=20, average_images=20_000.0, unlabelled=0.0),
    }
    right = {
        name: [
            (
                trained(recipe, {"x": known, "y": taught}, 60_000, tmp_path / f"{name}{seed}", seed, 64)
                .apply(held, "class")
                .argmax(1)
                == labels
            ).mean()
            for seed in (0, 1)
        ]
        for name, recipe in arms.items()
    }
    print({name: [round(float(v), 3) for v in values] for name, values in right.items()})
    for name in ("semi", "badgan"):
        assert np.mean(right[name]) > np.mean(right["labels alone"]) + 0.03
