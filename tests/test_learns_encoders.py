"""Encoders learn: digits come back from their codes, from a fixed seed, with controls that must fail.

The error is the mean squared distance of reconstructions of held-out digits, in grey levels of 0 to 255; that of the
mean picture of the training digits is 4,872 on these.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

import gansmith
from gansmith.metrics.clusters import matched
from gansmith.options import Count
from gansmith.recipe import Recipe
from gansmith.recipes.aae import AAE


def halves() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Digits to learn from and to be judged by, with their labels."""
    images, labels = load_digits(return_X_y=True)
    x = np.rint(images * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    half = len(x) // 2
    return x[:half], labels[:half], x[half:], labels[half:]


def trained(
    recipe: Recipe, data: dict[str, np.ndarray], images: int, out: Path, seed: int = 0, batch_size: int = 100
) -> gansmith.Model:
    """A model of the data."""
    options = gansmith.TrainOptions(
        images=Count(images),
        batch_size=batch_size,
        seed=seed,
        device="cpu",
        precision="fp32",
        layout="nchw",
        sample_every=Count(10**9),
    )
    return gansmith.load(gansmith.train(recipe, data, options, out=out).path)


def error(recipe: Recipe, images: int, out: Path) -> tuple[float, float]:
    """Of reconstructions of held-out digits, and of the mean picture in their place."""
    known, _, held, _ = halves()
    model = trained(recipe, {"x": known}, images, out)
    made = model.apply(held, "picture").astype(float)
    return float(np.square(made - held).mean()), float(np.square(known.mean(0) - held).mean())


def test_aae_gives_digits_back(tmp_path: Path) -> None:
    found, mean = error(AAE(width=200), 30_000, tmp_path / "run")
    print(f"aae: {found:.0f}, the mean picture {mean:.0f}")
    assert found < mean / 2
    untrained, _ = error(AAE(width=200), 100, tmp_path / "untrained")
    print(f"aae, untrained: {untrained:.0f}")
    assert untrained > mean


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_aae_finds_the_digits_without_labels(seed: int, tmp_path: Path) -> None:
    """Each cluster stands for the class that the best one-to-one map gives it. Chance, and one cluster for all: 0.1."""
    known, _, held, labels = halves()
    found: dict[str, float] = {}
    for name, images in (("trained", 40_000), ("untrained", 100)):
        model = trained(AAE(width=200, clusters=10, lr=1e-3), {"x": known}, images, tmp_path / name, seed)
        found[name] = accuracy(model.apply(held, "cluster").argmax(1), labels)
    known, held = (x.reshape(len(x), -1) for x in (known, held))
    found["k-means"] = accuracy(KMeans(10, n_init=10, random_state=seed).fit(known).predict(held), labels)
    print(f"aae, seed {seed}: {', '.join(f'{k} {v:.3f}' for k, v in found.items())}")
    assert found["trained"] > 0.65
    assert found["untrained"] < 0.4


def accuracy(assigned: np.ndarray, labels: np.ndarray) -> float:
    return matched(torch.from_numpy(assigned), torch.from_numpy(labels))[0]
