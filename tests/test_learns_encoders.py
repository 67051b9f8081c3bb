"""Encoders learn: digits come back from their codes, from a fixed seed, with controls that must fail.

The error is the mean squared distance of reconstructions of held-out digits, in grey levels of 0 to 255; that of the
mean picture of the training digits is 4,872 on these.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import gansmith
from gansmith.options import Count
from gansmith.recipe import Recipe
from gansmith.recipes.aae import AAE


def halves() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Digits to learn from and to be judged by, with their labels."""
    images, labels = load_digits(return_X_y=True)
    x = np.rint(images * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    half = len(x) // 2
    return x[:half], labels[:half], x[half:], labels[half:]


def error(recipe: Recipe, images: int, out: Path) -> tuple[float, float]:
    """Of reconstructions of held-out digits, and of the mean picture in their place."""
    known, _, held, _ = halves()
    options = gansmith.TrainOptions(
        images=Count(images),
        batch_size=100,
        device="cpu",
        precision="fp32",
        layout="nchw",
        sample_every=Count(10**9),
    )
    model = gansmith.load(gansmith.train(recipe, {"x": known}, options, out=out).path)
    made = model.apply(held, "picture").astype(float)
    return float(np.square(made - held).mean()), float(np.square(known.mean(0) - held).mean())


def test_aae_gives_digits_back(tmp_path: Path) -> None:
    found, mean = error(AAE(width=200), 30_000, tmp_path / "run")
    print(f"aae: {found:.0f}, the mean picture {mean:.0f}")
    assert found < mean / 2
    untrained, _ = error(AAE(width=200), 100, tmp_path / "untrained")
    print(f"aae, untrained: {untrained:.0f}")
    assert untrained > mean
