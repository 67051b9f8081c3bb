"""Translators learn: coloured digits, from a fixed seed, with controls that must fail.

pix2pix: grey digits to a fixed colouring (negative in red, half in green), from 1,500 pairs; mean absolute error in
units of 255 on 297 digits that no training saw.

cyclegan: the same, enlarged to 16 x 16 pixels, but unpaired: grey pictures of 750 digits, coloured ones of 750 others.
"""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import gansmith
from gansmith.options import Count
from gansmith.recipe import Recipe
from gansmith.recipes.cyclegan import CycleGAN
from gansmith.recipes.pix2pix import Pix2Pix
from gansmith.use.translate import translate

DIGITS = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
TRAINING = 1500
COLOURED = np.stack([255 - DIGITS, DIGITS // 2, np.full_like(DIGITS, 60)], 3)


def trained(recipe: Recipe, data: dict[str, np.ndarray], images: int, seed: int, out: Path) -> gansmith.Model:
    options = gansmith.TrainOptions(
        images=Count(images), batch_size=16, seed=seed, device="cpu", precision="fp32", sample_every=Count(10**9)
    )
    return gansmith.load(gansmith.train(recipe, data, options, out=out).path)


def error(made: np.ndarray, true: np.ndarray) -> float:
    return float(np.abs(made.astype(int) - true).mean())


PIX2PIX = Pix2Pix(width=16, patch=1, lr=1e-3)
LARGEST_ERROR = 17.0


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_pix2pix_colours_digits_it_has_not_seen(seed: int, tmp_path: Path) -> None:
    pairs = {"a": DIGITS[:TRAINING], "b": COLOURED[:TRAINING]}
    model = trained(PIX2PIX, pairs, 6_000, seed, tmp_path / "run")
    found = error(translate(model, DIGITS[TRAINING:, :, :, None]), COLOURED[TRAINING:])
    print(f"pix2pix seed {seed}: error {found:.1f}")
    assert found < LARGEST_ERROR


def test_doing_nothing_the_mean_and_an_untrained_network_fail(tmp_path: Path) -> None:
    true = COLOURED[TRAINING:]
    pairs = {"a": DIGITS[:TRAINING], "b": COLOURED[:TRAINING]}
    untrained = translate(trained(PIX2PIX, pairs, 64, 0, tmp_path / "run"), DIGITS[TRAINING:, :, :, None])
    same = np.repeat(DIGITS[TRAINING:, :, :, None], 3, axis=3)
    mean = np.broadcast_to(COLOURED[:TRAINING].mean(0), true.shape)
    shuffled = {"a": DIGITS[:TRAINING], "b": COLOURED[:TRAINING][::-1]}  # pairs that do not belong together
    wrong = translate(trained(PIX2PIX, shuffled, 3_000, 0, tmp_path / "wrong"), DIGITS[TRAINING:, :, :, None])
    for control in (untrained, same, mean, wrong):
        assert error(control, true) > LARGEST_ERROR + 5


CYCLEGAN = CycleGAN(width=16, blocks=2, patch=2, identity=0.0, enlarge=1.0, mirror=False, lr=1e-3)
LARGE = DIGITS.repeat(2, axis=1).repeat(2, axis=2)
LARGE_COLOURED = COLOURED.repeat(2, axis=1).repeat(2, axis=2)
UNPAIRED = {"a": LARGE[: TRAINING // 2], "b": LARGE_COLOURED[TRAINING // 2 : TRAINING]}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_cyclegan_colours_digits_without_a_pair(seed: int, tmp_path: Path) -> None:
    grey, coloured = LARGE[TRAINING:, :, :, None], LARGE_COLOURED[TRAINING:]
    model = trained(CYCLEGAN, UNPAIRED, 4_000, seed, tmp_path / "run")
    there, back = error(translate(model, grey), coloured), error(translate(model, coloured, direction="b2a"), grey)
    mean = error(np.broadcast_to(LARGE_COLOURED[:TRAINING].mean(0), coloured.shape), coloured)
    mean_grey = error(np.broadcast_to(LARGE[:TRAINING].mean(0)[..., None], grey.shape), grey)
    print(f"cyclegan seed {seed}: {there:.1f} (mean picture {mean:.1f}), back {back:.1f} ({mean_grey:.1f})")
    assert there < mean / 2 and back < mean_grey / 2


def test_cyclegan_untrained_and_doing_nothing_fail(tmp_path: Path) -> None:
    grey, coloured = LARGE[TRAINING:, :, :, None], LARGE_COLOURED[TRAINING:]
    model = trained(CYCLEGAN, UNPAIRED, 64, 0, tmp_path / "run")
    mean = error(np.broadcast_to(LARGE_COLOURED[:TRAINING].mean(0), coloured.shape), coloured)
    assert error(translate(model, grey), coloured) > mean
    assert error(np.repeat(grey, 3, axis=3), coloured) > mean
