"""pix2pix and CycleGAN: losses against closed forms, and the known defects of other implementations."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

import gansmith
from gansmith.cli import main
from gansmith.data import open_store
from gansmith.engine import start
from gansmith.options import Count
from gansmith.recipe import Ramp
from gansmith.recipes.cyclegan import CycleGAN
from gansmith.recipes.pix2pix import Pix2Pix
from gansmith.step.ranks import Setting
from test_contract import feed, step_of, two

GREY = two("pairs", (1, 8, 8), (1, 8, 8))
P2P = Pix2Pix(width=4, patch=1, enlarge=1.0, mirror=False)
CYCLE = CycleGAN(width=4, blocks=1, patch=1, pool=3, enlarge=1.0, mirror=False)


class Fixed(nn.Module):
    """A network that does what a function says; it has one weight, as networks do."""

    def __init__(self, does):  # type: ignore[no-untyped-def]
        super().__init__()
        self.weight, self.does = nn.Parameter(torch.zeros(())), does

    def forward(self, *x: Tensor) -> Tensor:
        return self.does(*x) + 0 * self.weight


def batch(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {k: torch.rand(4, 1, 8, 8, generator=generator) * 2 - 1 for k in ("a", "b")}


def test_pix2pix_is_the_logistic_game_halved_for_d_plus_l1() -> None:
    """Well-known scripts play least squares under this name, and forget the half."""
    nets = nn.ModuleDict({"G": Fixed(lambda a: a * 0.5), "D": Fixed(lambda x: x.mean(1) * 3)})
    data = batch()
    a, b = data["a"], data["b"]
    scores = [((a + other) / 2 * 3) for other in (b, a * 0.5)]
    d = P2P.discriminator_loss(nets, data)
    torch.testing.assert_close(d["real"], F.softplus(-scores[0]).mean() / 2)
    torch.testing.assert_close(d["fake"], F.softplus(scores[1]).mean() / 2)
    g = P2P.generator_loss(nets, data)
    torch.testing.assert_close(g["adversarial"], F.softplus(-scores[1]).mean())
    torch.testing.assert_close(g["l1"], 100 * (a * 0.5 - b).abs().mean())


def test_pix2pix_without_one_of_its_terms() -> None:
    nets = nn.ModuleDict({"G": Fixed(lambda a: a), "D": Fixed(lambda x: x.mean(1))})
    assert set(Pix2Pix(adversarial=0.0).generator_loss(nets, batch())) == {"l1"}
    assert set(Pix2Pix(l1=0.0).generator_loss(nets, batch())) == {"adversarial"}


def test_pix2pix_d_sees_the_source() -> None:
    nets = P2P.networks(GREY)
    assert nets["D"].layers[0].in_channels == 2  # type: ignore[union-attr]
    different = two("pairs", (3, 8, 8), (1, 8, 8))
    assert P2P.networks(different)["D"].layers[0].in_channels == 4  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="one size"):
        P2P.networks(two("pairs", (1, 8, 8), (1, 8, 9)))


def test_cyclegan_terms() -> None:
    nets = nn.ModuleDict(
        {
            "G_ab": Fixed(lambda x: x * 0.5),
            "G_ba": Fixed(lambda x: x + 0.25),
            "D_a": Fixed(lambda x: x[:, 0] * 2),
            "D_b": Fixed(lambda x: x[:, 0] - 1),
            "past_a": Fixed(lambda x, _: x),
            "past_b": Fixed(lambda x, _: x),
        }
    )
    data = batch()
    a, b = data["a"], data["b"]
    g = CYCLE.generator_loss(nets, data)
    expected = {
        "fool_b": ((a * 0.5 - 1) - 1).square().mean(),
        "fool_a": ((b + 0.25) * 2 - 1).square().mean(),
        "cycle_a": 10 * (a * 0.5 + 0.25 - a).abs().mean(),
        "cycle_b": 10 * ((b + 0.25) * 0.5 - b).abs().mean(),
        "same_a": 5 * torch.tensor(0.25),
        "same_b": 5 * (b * 0.5).abs().mean(),
    }
    assert set(g) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(g[name], value, msg=name)
    d = CYCLE.discriminator_loss(nets, data)
    torch.testing.assert_close(d["real_a"], (a * 2 - 1).square().mean() / 2)
    torch.testing.assert_close(d["fake_a"], ((b + 0.25) * 2).square().mean() / 2)
    torch.testing.assert_close(d["real_b"], (b - 2).square().mean() / 2)
    torch.testing.assert_close(d["fake_b"], (a * 0.5 - 1).square().mean() / 2)


def test_cyclegan_d_is_shown_the_pool_and_g_its_own_fakes() -> None:
    step = step_of(CYCLE, GREY)
    for k in range(2):
        step.take(k, feed(GREY))
    past = step.nets["past_b"]
    assert int(past.count) == 3 and past.fakes.abs().sum() > 0  # type: ignore[arg-type,union-attr]
    before = past.fakes.clone()  # type: ignore[union-attr,operator]
    data = {**feed(GREY)(5), "step": torch.zeros(()), "images": torch.zeros(())}
    CYCLE.generator_loss(step.nets, data)
    assert torch.equal(before, past.fakes)  # type: ignore[arg-type]
    CYCLE.discriminator_loss(step.nets, data)
    assert not torch.equal(before, past.fakes)  # type: ignore[arg-type]
    assert not any(b is past.fakes for b in step._statistics)  # equal on every rank as it is, never averaged


def test_cyclegan_needs_equal_channels_for_the_identity_loss() -> None:
    spec = two("domains", (1, 8, 8), (3, 8, 8))
    with pytest.raises(ValueError, match="--identity 0"):
        CYCLE.networks(spec)
    recipe = CycleGAN(width=4, blocks=1, patch=1, pool=3, identity=0.0)
    terms = step_of(recipe, spec).take(0, feed(spec))
    assert all(torch.isfinite(t) for t in terms.values()) and not any("same" in name for name in terms)


@pytest.mark.parametrize("recipe", [Pix2Pix, CycleGAN])
def test_the_learning_rate_does_decay(recipe: type[Pix2Pix] | type[CycleGAN]) -> None:
    """Well-known scripts parse the epoch of decay and have no schedule."""
    built = recipe(decay_images=100.0, constant_images=50.0, lr=1e-2)
    for adam in built.optimizers().values():
        assert isinstance(adam.lr, Ramp)
        assert [adam.lr(n) for n in (0, 50, 100, 150, 500)] == pytest.approx([1e-2, 1e-2, 5e-3, 0.0, 0.0])
        for n in (0.0, 75.0, 149.0):
            assert float(adam.lr.at(torch.tensor(n))) == pytest.approx(adam.lr(n), abs=1e-8)
    assert {adam.lr for adam in recipe(lr=0.1).optimizers().values()} == {0.1}


@pytest.mark.parametrize("recipe", [P2P, CYCLE])
def test_samples_are_neither_jittered_nor_dependent_on_batch_mates(recipe: Pix2Pix | CycleGAN) -> None:
    """Well-known scripts crop test pictures at random, and judge with batch norm in train mode."""
    recipe = type(recipe)(width=4, patch=1, enlarge=2.0, mirror=True)
    step = step_of(recipe, GREY)
    step.take(0, feed(GREY))
    step.average.eval()
    with torch.no_grad():
        a = batch()["a"]
        for net in step.average.values():
            if hasattr(net, "body"):
                for m in net.modules():
                    if hasattr(m, "always"):
                        m.always = False  # type: ignore[assignment]
        whole = recipe.sample(step.average, 4, {"a": a})
        torch.testing.assert_close(whole, recipe.sample(step.average, 4, {"a": a}))
        alone = torch.cat([recipe.sample(step.average, 1, {"a": a[i : i + 1]}) for i in range(4)])
        torch.testing.assert_close(whole, alone, rtol=1e-2, atol=1e-3)  # norms of 2 x 2 pixels enlarge rounding


def data(n: int = 48) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)
    return {"a": a, "b": 255 - a}


def options(images: int, **more: object) -> gansmith.TrainOptions:
    given = {"batch_size": 8, "precision": "fp32", "device": "cpu", "log_every": Count(16), "sample_every": Count(32)}
    return gansmith.TrainOptions(images=Count(images), **(given | more))  # type: ignore[arg-type]


@pytest.mark.parametrize("recipe", [P2P, CYCLE], ids=["pix2pix", "cyclegan"])
def test_a_run_ends_with_sheets_and_a_resumed_one_with_the_same_bits(
    recipe: Pix2Pix | CycleGAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Timed apart, the two might be given different memory layouts.
    monkeypatch.setattr(start, "choose_setting", lambda *_: (Setting(), {}))
    whole = gansmith.train(recipe, data(), options(64), out=tmp_path / "whole")
    halves = gansmith.train(recipe, data(), options(32), out=tmp_path / "halves")
    gansmith.resume(halves.path, images=64)
    digests = [
        hashlib.sha256((r.path / "model" / "model.safetensors").read_bytes()).hexdigest() for r in (whole, halves)
    ]
    assert digests[0] == digests[1]
    sheets = sorted((whole.path / "samples").glob("*.png"))
    assert len(sheets) == 3
    with Image.open(sheets[-1]) as sheet:
        assert sheet.text["Software"] == "gansmith"  # type: ignore[attr-defined]
        width, height = sheet.size
    # 16 fixed rows in two columns of source | result | target, or of a | b from a | b | a from b.
    columns = 6 if isinstance(recipe, Pix2Pix) else 8
    assert width / height == pytest.approx(columns / 8, rel=0.1)
    assert (whole.path / "film.gif").is_file() and (whole.path / "curves.png").is_file()
    for words in (["info", str(whole.path)], ["report", str(whole.path)]):
        assert main(words) == 0
    assert main(["evaluate", str(whole.path)]) == 1


def test_the_sheet_shows_source_result_and_target(tmp_path: Path) -> None:
    from gansmith.engine.film import show_sources

    store = open_store(data())
    rows = {k: spec.codec.encode(torch.from_numpy(store.fields[k][:2].copy())) for k, spec in store.spec.parts.items()}
    made = np.full((2, 8, 8, 1), 77, np.uint8)
    sheet = np.asarray(show_sources(store.spec, rows, [({"a": rows["a"]}, made)]))
    scale = (sheet.shape[0] - 2) // 8
    cells = [sheet[1 + 4, 1 + k * (8 * scale + 1) + 4] for k in range(3)]
    assert cells == [store.fields["a"][0, 0, 0, 0], 77, store.fields["b"][0, 0, 0, 0]]


def test_validation_pictures_are_held_out_and_must_be_alike(tmp_path: Path) -> None:
    for split, salt in (("train", 0), ("test", 100)):
        for half in ("a", "b"):
            folder = tmp_path / "set" / split / half
            folder.mkdir(parents=True)
            for i in range(3):
                Image.fromarray(np.full((8, 8), salt + 10 * i + (half == "b"), np.uint8)).save(folder / f"{i}.png")
    source = f"pairs:{tmp_path / 'set' / 'train'}"
    held_out = f"pairs:{tmp_path / 'set' / 'test'}"
    gansmith.train(P2P, source, options(8, validation=held_out), out=tmp_path / "run")
    with Image.open(tmp_path / "run" / "samples" / "000000000000.png") as sheet:
        assert 100 in np.unique(np.asarray(sheet)) and 10 not in np.unique(np.asarray(sheet))
    with pytest.raises(ValueError, match="must be alike"):
        gansmith.train(P2P, source, options(8, validation="digits"), out=tmp_path / "other")
    with pytest.raises(ValueError, match="scores samples drawn from noise"):
        gansmith.train(P2P, source, options(8, evaluate_every=Count(8)), out=tmp_path / "third")


def test_the_wrong_kind_of_data_is_refused_with_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"choose one of .*or write --data pairs:digits"):
        gansmith.train(P2P, "digits", options(8), out=tmp_path / "run")
    with pytest.raises(ValueError, match="takes data of kind image"):
        gansmith.train("dcgan", data(), options(8), out=tmp_path / "run")
    unequal = {"a": data()["a"], "b": data(20)["b"]}
    with pytest.raises(ValueError, match="is of kind domains: choose one of cogan, cyclegan"):
        gansmith.train(P2P, unequal, options(8), out=tmp_path / "run")


def test_a_model_needs_its_source(tmp_path: Path) -> None:
    run = gansmith.train(P2P, data(), options(8), out=tmp_path / "run")
    model = gansmith.load(run.path)
    with pytest.raises(ValueError, match="made of pictures"):
        model.sample(3)
    with pytest.raises(ValueError, match="made of pictures"):
        model.sample(3, given={"x": torch.zeros(3, 1, 8, 8)})
    assert model.sample(3, given={"a": torch.zeros(3, 1, 8, 8)}).shape == (3, 8, 8, 1)
