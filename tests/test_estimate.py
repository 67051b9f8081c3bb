"""What a run would take, and batches that are too large for memory."""

from pathlib import Path

import pytest
import torch
from torch import nn

from gansmith.cli import main
from gansmith.data import open_store
from gansmith.engine import tuning
from gansmith.engine.estimate import taken
from gansmith.engine.prepare import initial_networks, spec_for
from gansmith.engine.start import train
from gansmith.engine.tuning import activation_bytes, within_memory
from gansmith.options import Count, TrainOptions
from gansmith.recipe import Recipe
from gansmith.recipes.dcgan import DCGAN
from gansmith.recipes.gan import GAN
from gansmith.recipes.pacgan import PacGAN
from gansmith.recipes.r3gan import R3GAN
from gansmith.recipes.stylegan2 import StyleGAN2
from gansmith.step.ranks import Ranks
from gansmith.step.turn import Turn

OPTIONS = TrainOptions(batch_size=64, images=Count(128), precision="fp32", layout="nchw", device="cpu")


def test_estimate_prints_and_leaves_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    words = ["train", "r3gan", "--data", "digits", "--estimate", "--out", str(out), "--precision", "fp32"]
    assert main([*words, "--images", "64k", "--width", "2"]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("images/s", "64,000 images", "GiB are free", "MiB for checkpoints"))
    assert not out.exists() and not (Path("runs") / "r3gan-digits").exists()


def test_how_often_a_turn_is_taken_is_counted_right() -> None:
    for every in (1, 3, 4):
        for start in (0, 2, 5):
            for stop in (None, 0, 5, 6, 40):
                turn = Turn(("D",), lambda n, b: {}, every=every, start=start, stop=stop)
                for steps in (0, 1, 6, 7, 30):
                    assert taken(turn, steps) == sum(map(turn.due, range(steps))), (turn, steps)


def needs(recipe: Recipe, batch: int) -> int:
    store = open_store("digits", progress=False)
    spec = spec_for(recipe, "r3gan", store)
    options = TrainOptions(batch_size=batch, device="cpu")
    return activation_bytes(recipe, initial_networks(recipe, spec, 0), store, spec, options, "cpu")


def test_memory_grows_with_the_batch_and_the_width() -> None:
    """A fully connected D of three layers of 8 w keeps at least its activations, for both penalties."""
    few, many = needs(R3GAN(width=4), 64), needs(R3GAN(width=4), 256)
    assert many == 4 * few
    assert few >= 2 * 64 * 3 * 32 * 4, "real and fake, three layers, 32 units, 4 bytes"
    assert 2 * few < needs(R3GAN(width=32), 64) < 20 * few


def split(recipe: Recipe, monkeypatch: pytest.MonkeyPatch, share: float, batch: int = 64) -> TrainOptions:
    """The options where so much is free of what the losses keep."""
    store = open_store("digits", progress=False)
    spec = spec_for(recipe, "r3gan", store)
    options = TrainOptions(batch_size=batch, device="cpu")
    nets: nn.ModuleDict = initial_networks(recipe, spec, 0)
    fixed = 5 * sum(p.nbytes for p in nets.parameters())
    kept = activation_bytes(recipe, nets, store, spec, options, "cpu")
    monkeypatch.setattr(tuning, "free_bytes", lambda device: int(fixed + tuning.HEADROOM * kept * share) + 1)
    return within_memory(recipe, nets, store, spec, options, "cpu", Ranks())


def test_a_batch_that_is_too_large_is_split_aloud(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert split(R3GAN(width=4), monkeypatch, 1.1).micro_batches == 1
    assert not capsys.readouterr().err
    assert split(R3GAN(width=4), monkeypatch, 0.26).micro_batches == 4
    assert "4 micro-batches of 16" in capsys.readouterr().err
    # Groups of 4 rows are never cut: of 12 rows only one or three parts are allowed.
    assert split(StyleGAN2(width=2, max_width=2, z_dim=2), monkeypatch, 0.6, batch=12).micro_batches == 3


def test_batch_norm_is_not_split_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"batch norm.*--batch-size 16, or --micro-batches 4"):
        split(DCGAN(width=2), monkeypatch, 0.26)
    with pytest.raises(ValueError, match="no split"):
        split(R3GAN(width=4), monkeypatch, 0.001)


def test_a_loss_over_the_batch_is_not_split_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="a loss would compare the samples of each part alone"):
        split(GAN(width=8, matching=True), monkeypatch, 0.26)
    assert split(GAN(width=8), monkeypatch, 0.26).micro_batches > 1


def test_packs_that_do_not_divide_the_few_rows_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert split(PacGAN(width=2, pack=3, norm="none"), monkeypatch, 1.1, batch=48).micro_batches == 1


def test_a_split_run_shows_as_many_images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = open_store("digits", progress=False)
    recipe = R3GAN(width=2)
    spec = spec_for(recipe, "r3gan", store)
    nets = initial_networks(recipe, spec, 0)
    kept = activation_bytes(recipe, nets, store, spec, OPTIONS, "cpu")
    fixed = 5 * sum(p.nbytes for p in nets.parameters())
    monkeypatch.setattr(tuning, "free_bytes", lambda device: int(fixed + tuning.HEADROOM * kept * 0.51))
    run = train(recipe, "digits", OPTIONS, out=tmp_path / "run", name="r3gan")
    assert run.record["options"]["micro_batches"] == 2 and run.progress()["images"] == 128
    assert torch.get_num_threads() >= 1
