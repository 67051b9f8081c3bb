"""Imputers: which cells are held out, that the best weights serve, what is guessed and drawn, and the benchmark."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import imputing
from torch import nn

import gansmith
from gansmith import cli
from gansmith.data import HeldOut, TableCodec, open_store
from gansmith.data.kinds.table.codec import select
from gansmith.engine.scores import CHOICE_EVERY
from gansmith.model.model import Model
from gansmith.nets.table import Cells, Completer, kept
from gansmith.options import Count
from gansmith.recipes.gain import GAIN
from gansmith.recipes.impute_gan import ImputeGAN
from gansmith.use.complete import complete, fill


def made_up(n: int, seed: int = 0) -> np.ndarray:
    """Two numbers that are nearly the sine and cosine of a third, and a category that says its sign: (n, 4)."""
    random = np.random.default_rng(seed)
    angle = random.uniform(-3, 3, n)
    noise = random.normal(0, 0.05, (2, n))
    return np.stack((angle, np.sin(angle) + noise[0], np.cos(angle) + noise[1], angle > 0), 1)


def write(path: Path, rows: np.ndarray) -> Path:
    lines = (f"{a:.4f},{b:.4f},{c:.4f},{'yes' if d else 'no'}\n" for a, b, c, d in rows)
    path.write_text("angle,sine,cosine,positive\n" + "".join(lines))
    return path


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "waves.csv", made_up(4_000))


def options(images: int, **more: object) -> gansmith.TrainOptions:
    plain = {"batch_size": 100, "device": "cpu", "precision": "fp32", "sample_every": Count(10**9)}
    return gansmith.TrainOptions(images=Count(images), **(plain | more))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def imputer(waves: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    recipe = ImputeGAN(width=48, blocks=2, decay_images=120_000, hide=0.9, game_every=1)
    run = gansmith.train(recipe, waves, options(120_000), out=tmp_path_factory.mktemp("runs") / "ours")
    return gansmith.load(run.path)


def codec_of(path: Path) -> TableCodec:
    codec = open_store(path, progress=False).spec.codec
    assert isinstance(codec, TableCodec)
    return select(codec, numbers="range", indicators=False, most=1, stored=np.zeros((0, 4)))


# --- held-out cells ---------------------------------------------------------------------------------------------------


def test_the_same_cells_are_held_in_every_batch(waves: Path) -> None:
    codec = codec_of(waves)
    draw = HeldOut(0.1).bind(codec, {})
    rows, more = draw.batch(0, 3, 1_000, 4_000)
    held = more["held"]
    assert held.shape == (1_000, codec.width) == (1_000, 5) and held.dtype == bool
    assert np.array_equal(held[:, 3], held[:, 4])  # both places of the category, or none
    again = draw.beside(np.arange(4_000))["held"]
    assert np.array_equal(again[rows], held)  # whatever batch, seed or order
    cells = again[:, :4].astype(float)
    assert np.abs(cells.mean(0) - 0.1).max() < 0.02
    assert np.abs(np.corrcoef(cells.T) - np.eye(4)).max() < 0.06  # one column says nothing of another
    assert abs(np.corrcoef(cells[1:, 0], cells[:-1, 0])[0, 1]) < 0.06
    with pytest.raises(ValueError, match="held out of tables"):
        HeldOut().bind(open_store("toy:ring", progress=False).spec.codec, {})


@pytest.mark.parametrize("recipe", [GAIN(width=8), ImputeGAN(width=8, blocks=1)], ids=["gain", "impute_gan"])
def test_no_loss_sees_a_held_cell(recipe: GAIN | ImputeGAN, waves: Path) -> None:
    codec = codec_of(waves)
    spec = dataclasses.replace(open_store(waves, progress=False).spec, codec=codec, shape=(codec.width,))
    torch.manual_seed(0)
    nets = nn.ModuleDict(recipe.networks(spec))
    x = codec.encode(torch.from_numpy(made_up(64, 5)))
    held = torch.from_numpy(HeldOut(0.3).bind(codec, {}).beside(np.arange(64))["held"])
    other = torch.where(held, 1 - x, x)
    seen = {"x": x, "held": held, "images": torch.tensor(0.0)}

    def terms(batch: dict[str, torch.Tensor]) -> dict[str, float]:
        torch.manual_seed(1)
        return {f"{t.nets}{k}": float(v.detach()) for t in recipe.turns() for k, v in t.loss(nets, batch).items()}

    assert terms(seen) == terms(seen | {"x": other})
    assert terms({"x": x, "images": torch.tensor(0.0)}) != terms({"x": other, "images": torch.tensor(0.0)})  # control
    with torch.no_grad():
        assert not torch.equal(*(recipe.errors(nets, b)[recipe.chosen_by] for b in (seen, seen | {"x": other})))
    assert torch.equal(kept(seen).isnan(), held)


def test_the_error_of_cells(waves: Path) -> None:
    cells = Cells(codec_of(waves))
    x = torch.tensor([[0.5, 0.2, 0.0, 1.0, 0.0], [0.1, 0.9, 0.3, 0.0, 1.0]])
    made = torch.tensor([[0.9, 0.2, 0.0, 0.0, 1.0], [9.0, 9.0, 9.0, 0.0, 1.0]])
    asked = torch.zeros_like(x, dtype=torch.bool)
    assert math.isnan(float(cells.error(made, x, asked)))
    asked[0] = True
    # Of four cells one number is 0.4 off, and the category is wrong.
    assert float(cells.error(made, x, asked)) == pytest.approx(math.sqrt((0.16 + 1) / 4))


def test_the_weights_of_the_lowest_error_serve_also_after_a_resume(waves: Path, tmp_path: Path) -> None:
    recipe = GAIN(width=8, lr=0.02)  # so high that the error goes up and down
    asked = {"evaluate_every": Count(500), "checkpoint_every": Count(1_000)}
    run = gansmith.train(recipe, waves, options(4_000, **asked), out=tmp_path / "whole")
    lines = [json.loads(s) for s in (run.path / "scores" / "training.jsonl").read_text().splitlines()]
    found = {line["images"]: line["scores"][recipe.chosen_by] for line in lines}
    assert list(found) == list(range(500, 4_001, 500))
    best = min(found, key=lambda k: found[k])
    assert gansmith.load(run.path).images == best != 4_000
    gansmith.train(recipe, waves, options(2_000, **asked), out=tmp_path / "half")
    again = gansmith.resume(tmp_path / "half", images=4_000)
    for name in ("model.safetensors", "model.json"):
        assert (run.path / "model" / name).read_bytes()[-2_000:] == (again.path / "model" / name).read_bytes()[-2_000:]
    assert (again.path / "scores" / "training.jsonl").read_text() == (
        run.path / "scores" / "training.jsonl"
    ).read_text()


def test_without_a_look_the_last_weights_serve(waves: Path, tmp_path: Path) -> None:
    assert CHOICE_EVERY > 1_000
    run = gansmith.train(GAIN(width=8), waves, options(1_000), out=tmp_path / "run")
    assert gansmith.load(run.path).images == 1_000


# --- impute_gan -------------------------------------------------------------------------------------------------------


def test_the_product_of_two_draws_errors_is_that_of_their_mean(waves: Path) -> None:
    """Closed form: draws m + s e and a target t give (m - t)^2 in expectation, whatever s is; squares add s^2."""
    codec = codec_of(waves)
    net = Completer(codec, 8, 1, 2)
    n, m, s = 200_000, 0.7, 2.0
    x = net.row(torch.zeros(n, codec.width)).clone()
    x[:, 3:] = torch.tensor([1.0, 0.0])
    asked = torch.zeros(n, codec.width, dtype=torch.bool)
    asked[:, 0] = True
    generator = torch.Generator().manual_seed(0)
    one, two = (m + s * torch.randn(n, codec.width, generator=generator) for _ in range(2))
    assert float(4 * net.missed(one, two, x, asked)) == pytest.approx(m**2, abs=0.05)
    assert float(4 * net.missed(one, one, x, asked)) == pytest.approx(m**2 + s**2, abs=0.05)
    asked[:, 0], asked[:, 3:] = False, True
    sure, wrong = torch.tensor([50.0, 0.0]), torch.tensor([0.0, 50.0])
    raws = [torch.cat((torch.zeros(n, 3), v.expand(n, 2)), 1) for v in (sure, wrong)]
    assert float(4 * net.missed(*raws, x, asked)) == pytest.approx(math.log(2), abs=1e-4)  # of the mean, 1/2


def test_numbers_are_standardised_by_what_was_observed(waves: Path) -> None:
    codec = codec_of(waves)
    net = Completer(codec, 8, 1, 2)
    x = codec.encode(torch.from_numpy(made_up(4_000)))
    there = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) > 0.3
    for k in range(3):
        net.observe(x, there, torch.tensor(4_000.0 * k))
    mean, deviation = net.scale()
    known = torch.where(there, x, torch.nan)[:, :3].numpy()
    np.testing.assert_allclose(mean[:3], np.nanmean(known, 0), atol=2e-3)
    np.testing.assert_allclose(deviation[:3], np.nanstd(known, 0), rtol=1e-2)
    assert mean[3:].tolist() == [0, 0] and deviation[3:].tolist() == [1, 1]
    torch.testing.assert_close(net.row(net.standard(x))[:, :3], x[:, :3])


def test_guesses_and_draws(imputer: Model, tmp_path: Path) -> None:
    rows = made_up(2_000, seed=1)
    hidden = np.zeros(rows.shape, bool)
    hidden[:, 1] = True  # the sine of a known angle can be told
    guess = fill(imputer, np.where(hidden, np.nan, rows), seed=0)
    np.testing.assert_array_equal(guess[~hidden], rows[~hidden])
    error = np.sqrt(np.square(guess - rows)[hidden].mean())
    print(f"impute_gan: error {error:.3f} of a cell that is known to 0.05, of the mean {rows[:, 1].std():.3f}")
    assert error < 0.15

    hidden = np.zeros(rows.shape, bool)
    hidden[:, [0, 1, 3]] = True  # of a cosine alone the angle's sign cannot be told: two values, 0 between them
    holes = np.where(hidden, np.nan, rows)
    guess, one, two = (fill(imputer, holes, seed=s, draw=d) for s, d in ((0, False), (0, True), (1, True)))
    spread = [float(made[:, 0].std() / rows[:, 0].std()) for made in (guess, one)]
    print(f"spread of angles beside the real ones': guesses {spread[0]:.2f}, draws {spread[1]:.2f}")
    assert spread[0] < 0.2 < 0.4 < spread[1] < 1.4
    assert np.abs(one - two)[:, 0].mean() > 0.3
    assert 0.3 < one[:, 3].mean() < 0.7

    source, out = write(tmp_path / "whole.csv", rows[:50]), tmp_path / "out.csv"
    source.write_text(source.read_text().replace(",yes", ","))
    assert complete(imputer, source, out, draw=True).filled["positive"] == int(rows[:50, 3].sum())


def test_only_a_recipe_that_draws_is_asked_for_draws(waves: Path, tmp_path: Path) -> None:
    run = gansmith.train(GAIN(width=8), waves, options(200), out=tmp_path / "run")
    with pytest.raises(ValueError, match="train impute_gan, or leave out --draw"):
        fill(gansmith.load(run.path), made_up(3), draw=True)
    source = write(tmp_path / "holes.csv", made_up(3))
    words = ["apply", str(run.path), str(source), "--out", str(tmp_path / "full.csv")]
    assert cli.main(words) == 0
    assert cli.main([*words, "--draw"]) == 1


# --- the benchmark ----------------------------------------------------------------------------------------------------


def test_plain_imputers_and_their_errors(waves: Path) -> None:
    codec, rows = codec_of(waves), made_up(600, seed=3)
    hidden = np.random.default_rng(0).random(rows.shape) < 0.2
    found = {}
    for name, imputer in imputing.PLAIN.items():
        made = imputer(np.where(hidden, np.nan, rows), codec, 0)
        np.testing.assert_array_equal(made[~hidden], rows[~hidden])
        found[name] = imputing.errors(made, rows, hidden, codec)
        assert set(np.unique(made[:, 3])) <= {0, 1}
    print(found)
    assert found["extra-trees"]["RMSE"] < 0.7 * found["MICE"]["RMSE"] < found["column means"]["RMSE"]
    assert found["extra-trees"]["wrong"] < 0.15 < 0.4 < found["column means"]["wrong"]
    assert imputing.errors(rows, rows, hidden, codec) == {"RMSE": 0, "wrong": 0}
    usual = imputing.PLAIN["column means"](np.where(hidden, np.nan, rows), codec, 0)
    assert imputing.looks(usual, rows, hidden, codec)["variance"] < 1e-9
    assert imputing.looks(rows, rows, hidden, codec) == {"shapes": 1, "variance": 1}
