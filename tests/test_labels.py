"""Labels and codes: losses against closed forms, the defects of known implementations, what models are asked for."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

import gansmith
from gansmith import losses
from gansmith.cli import main
from gansmith.data import DataSpec, ImageCodec, VectorCodec, open_store, read_spec, toy
from gansmith.encoders import Encoder
from gansmith.judge.evaluate import evaluate
from gansmith.judge.judge import JudgeOptions
from gansmith.judge.kinds.image import Image as Pictures
from gansmith.judge.kinds.vector import Vector
from gansmith.judge.protocol import read_scores
from gansmith.judge.real import Split
from gansmith.metrics import agreement
from gansmith.model.ask import Asked, asked, takes_labels
from gansmith.model.model import label_of
from gansmith.nets import conditional
from gansmith.nets.spectral import Spectral
from gansmith.options import Count
from gansmith.recipe import Batch, Recipe, load_recipe
from gansmith.recipes.acgan import ACGAN
from gansmith.recipes.adcgan import ADCGAN
from gansmith.recipes.cgan import CGAN
from gansmith.recipes.infogan import InfoGAN
from gansmith.recipes.projection import ProjectionGAN
from gansmith.recipes.tacgan import TACGAN
from gansmith.use.sheets import label_sheet

LABELLED = ("acgan", "adcgan", "cgan", "contragan", "projection", "reacgan", "tacgan")
DIGITS = tuple("0123456789")
GREY = DataSpec(kind="image", shape=(1, 8, 8), codec=ImageCodec(), classes=DIGITS)
LARGER = DataSpec(kind="image", shape=(3, 16, 16), codec=ImageCodec(), classes=DIGITS)
N = 12


def labels(seed: int = 0, n: int = N) -> Tensor:
    return torch.randint(0, 10, (n,), generator=torch.Generator().manual_seed(seed))


def batch(spec: DataSpec = GREY) -> Batch:
    x = torch.rand(N, *spec.shape, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return {"x": x, "y": labels(), "step": torch.tensor(0.0), "images": torch.tensor(0.0)}


def networks(recipe: Recipe, spec: DataSpec = GREY) -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict(recipe.networks(spec))


class Says(nn.Module):
    """A D that gives the same answers whatever it is shown."""

    def __init__(self, *answers: Tensor):
        super().__init__()
        self.answers = answers

    def forward(self, x: Tensor, y: Tensor | None = None) -> Any:
        found = tuple(a if len(a) == len(x) else a.repeat(len(x) // len(a), *[1] * (a.dim() - 1)) for a in self.answers)
        return found if len(found) > 1 else found[0]


# --- losses -----------------------------------------------------------------------------------------------------------


def sphere(n: int, size: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(n, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))


def test_cross_entropy_is_of_logits() -> None:
    logits, y = (
        torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3,
        torch.arange(5) % 4,
    )
    expected = -sum(math.log(torch.softmax(row, 0)[k]) for row, k in zip(logits, y, strict=True)) / 5
    assert float(losses.cross_entropy(logits, y)) == pytest.approx(expected)
    assert losses.cross_entropy(logits.bfloat16(), y).dtype == torch.float32


@pytest.mark.parametrize("learned", [False, True])
def test_gaussian_is_the_negative_log_density_without_its_constant(learned: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    mean, target, wide = (torch.randn(6, 3, dtype=torch.float64, generator=generator) for _ in range(3))
    deviation = wide.exp() if learned else torch.ones_like(wide)
    density = torch.distributions.Normal(mean, deviation).log_prob(target) + 0.5 * math.log(2 * math.pi)
    found = losses.gaussian(mean, target, wide) if learned else losses.gaussian(mean, target)
    torch.testing.assert_close(found, -density.sum(1).mean())


@pytest.mark.parametrize("together", [True, False])
def test_contrast_is_eq_8_of_contragan(together: bool) -> None:
    samples, centres, y, t = sphere(8, 5, 0), sphere(8, 5, 1), torch.tensor([0, 1, 0, 2, 1, 0, 3, 3]), 0.7
    total = 0.0
    for i in range(8):
        own = math.exp(samples[i] @ centres[i] / t)
        pair = [math.exp(samples[i] @ samples[k] / t) for k in range(8)]
        near = own + sum(pair[k] for k in range(8) if together and k != i and y[k] == y[i])
        total -= math.log(near / (own + sum(pair[k] for k in range(8) if k != i)))
    assert float(losses.contrast(samples, centres, y, t, together)) == pytest.approx(total / 8)
    assert torch.isfinite(losses.contrast(samples, centres, y, 1e-3))


def d2d(samples: Tensor, centres: Tensor, y: Tensor, margin: float, t: float, shifted: bool) -> float:
    """D2D-CE in plain loops; `shifted` as in a known implementation: the largest exponent is taken off others only."""
    n, total = len(y), 0.0
    for i in range(n):
        own = min(float(samples[i] @ centres[i]) - margin, 0.0) / t
        raw = {k: (float(samples[i] @ samples[k]) - (1 - margin)) / t for k in range(n) if k != i}
        off = max(raw.values()) if shifted else 0.0
        others = sum(math.exp(max(v, 0.0) - off) for k, v in raw.items() if y[k] != y[i])
        total -= math.log(math.exp(own) / (math.exp(own) + others))
    return total / n


def test_d2d_is_the_papers_and_not_the_shifted_one() -> None:
    samples, centres, y = sphere(8, 5, 0), sphere(8, 5, 1), torch.tensor([0, 1, 0, 2, 1, 0, 3, 3])
    found = float(losses.data_to_data(samples, centres, y, 0.98, 0.5))
    assert found == pytest.approx(d2d(samples, centres, y, 0.98, 0.5, shifted=False))
    assert abs(found - d2d(samples, centres, y, 0.98, 0.5, shifted=True)) > 0.1
    assert torch.isfinite(losses.data_to_data(samples, centres, y, 0.98, 1e-3))


def test_d2d_leaves_alone_what_is_good_enough() -> None:
    samples = torch.eye(3, dtype=torch.float64, requires_grad=True)  # at right angles, each on its class
    loss = losses.data_to_data(samples, torch.eye(3, dtype=torch.float64), torch.arange(3), 0.9, 0.5)
    (slope,) = torch.autograd.grad(loss, samples)
    assert float(slope.abs().max()) == 0


# --- the defects of known implementations -----------------------------------------------------------------------------


def test_no_softmax_stands_before_the_cross_entropy() -> None:
    """acgan, infogan: a sure and right classifier has no loss left; after a softmax it keeps 1.46 of 10 classes."""
    sure = 50 * F.one_hot(labels(), 10).float()
    nets = networks(ACGAN(width=2))
    nets["D"] = Says(torch.zeros(N), sure)
    found = ACGAN().discriminator_loss(nets, batch())
    assert max(float(found["class_real"]), float(found["class_fake"])) < 1e-6
    assert float(ACGAN().generator_loss(nets, batch())["class"]) < 1e-6
    assert float(losses.cross_entropy(torch.softmax(sure, 1), labels())) > 1.4
    recipe = InfoGAN(width=2)
    code = labels(3)
    told = [50 * F.one_hot(code, 10).float(), torch.zeros(N, 2)]
    assert float(recipe.information(told, [code, torch.zeros(N, 2)])["code"]) < 1e-6
    assert not any(isinstance(m, nn.Softmax) for net in recipe.networks(GREY).values() for m in net.modules())


@pytest.mark.parametrize("recipe", [CGAN(width=2), InfoGAN(width=2), ACGAN(width=2), TACGAN(width=2)])
def test_the_adversarial_loss_is_cross_entropy_not_least_squares(recipe: Recipe) -> None:
    nets = networks(recipe)
    further = {"CGAN": (), "ACGAN": (10,), "TACGAN": (10, 10), "InfoGAN": (10, 2)}[type(recipe).__name__]
    nets["D"] = Says(torch.full((N,), 3.0), *(torch.zeros(N, k) for k in further))
    found = recipe.turns()[0].loss(nets, batch())
    assert float(found["real"]) == pytest.approx(math.log(1 + math.exp(-3)), rel=1e-5)
    assert float(found["fake"]) == pytest.approx(math.log(1 + math.exp(3)), rel=1e-5)
    found = recipe.turns()[1].loss(nets, batch())
    assert float(found["adversarial"]) == pytest.approx(math.log(1 + math.exp(-3)), rel=1e-5)


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("spec", [GREY, LARGER], ids=["8x8", "16x16"])
def test_the_label_is_not_multiplied_with_the_noise(name: str, spec: DataSpec) -> None:
    """acgan: where a label's embedding is multiplied with z, every class has the same sample at z = 0."""
    recipe = load_recipe(name)(width=2)
    nets = networks(recipe, spec)
    nets["G"].train()
    for norm in [m for m in nets["G"].modules() if isinstance(m, conditional.ConditionalNorm)]:
        nn.init.normal_(norm.shift)  # they start alike
    fields: Any = recipe
    made = recipe.sample(nets, 10, {"z": torch.zeros(10, fields.z_dim), "label": torch.arange(10)})
    assert len({tuple(row.flatten().tolist()) for row in made.detach()}) == 10


@pytest.mark.parametrize("name", [*LABELLED, "infogan"])
def test_batch_norm_has_its_usual_epsilon(name: str) -> None:
    """A shared defect: 0.8, meant as momentum, given as eps."""
    norms = [m for net in load_recipe(name)(width=2).networks(LARGER).values() for m in net.modules()]
    found = [m for m in norms if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert all(m.eps == 1e-5 and m.momentum == 0.1 for m in found)
    assert found or name == "cgan"


def test_infogan_has_one_optimiser_a_network_and_both_raise_the_information() -> None:
    """Not a third one over all of G and D, whose moments would be kept apart for the same weights."""
    recipe = InfoGAN(width=2)
    assert set(recipe.optimizers()) == set(recipe.networks(GREY)) == {"G", "D"}
    nets = networks(recipe)
    shared = list(nets["D"].get_submodule("trunk").parameters())
    for turn, moving in zip(recipe.turns(), (shared, list(nets["G"].parameters())), strict=True):
        terms = turn.loss(nets, batch())
        for term in ("code", "continuous"):
            found = torch.autograd.grad(terms[term], moving, retain_graph=True, allow_unused=True)
            assert any(g is not None and bool(g.abs().sum() > 0) for g in found), (turn.name, term)


def test_infogan_can_tell_its_deviation_or_have_no_continuous_code() -> None:
    recipe = InfoGAN(width=2, deviation="learned")
    assert "continuous" in recipe.generator_loss(networks(recipe), batch())
    recipe = InfoGAN(width=2, continuous=0)
    assert set(recipe.generator_loss(networks(recipe), batch())) == {"adversarial", "code"}
    with pytest.raises(ValueError, match="at least 2 categories"):
        InfoGAN(categories=1).networks(GREY)


def test_the_twin_learns_from_fakes_alone_and_works_against_g() -> None:
    recipe, y = TACGAN(width=2, class_weight=2.0), labels()
    nets = networks(recipe)
    twin = torch.randn(N, 10, generator=torch.Generator().manual_seed(5))
    nets["D"] = Says(torch.zeros(N), torch.zeros(N, 10), twin)
    found = recipe.generator_loss(nets, batch())
    assert float(found["twin"]) == pytest.approx(-2 * float(losses.cross_entropy(twin, y)), rel=1e-5)
    assert float(found["class"]) == pytest.approx(2 * math.log(10), rel=1e-5)
    nets = networks(recipe)
    real = batch()
    before = recipe.discriminator_loss(nets.eval(), real)
    torch.manual_seed(1)
    one = recipe.discriminator_loss(nets, real)["twin"]
    torch.manual_seed(1)
    other = recipe.discriminator_loss(nets, {**real, "x": -real["x"]})["twin"]
    assert torch.equal(one, other) and set(before) == {"real", "fake", "class_real", "class_fake", "twin"}


def test_adcgan_tells_real_and_fake_classes_apart() -> None:
    recipe, y = ADCGAN(width=2), labels()
    nets = networks(recipe)
    logits = torch.randn(N, 20, generator=torch.Generator().manual_seed(5))
    nets["D"] = Says(torch.zeros(N), logits)
    found = recipe.discriminator_loss(nets, batch())
    chances = torch.log_softmax(logits, 1)
    rows = torch.arange(N)
    assert float(found["class_real"]) == pytest.approx(-float(chances[rows, y].mean()), rel=1e-5)
    assert float(found["class_fake"]) == pytest.approx(-float(chances[rows, y + 10].mean()), rel=1e-5)
    gap = (chances[rows, y + 10] - chances[rows, y]).mean()
    assert float(recipe.generator_loss(nets, batch())["class"]) == pytest.approx(float(gap), rel=1e-4)


# --- networks ---------------------------------------------------------------------------------------------------------


def test_projection_is_eq_3() -> None:
    torch.manual_seed(0)
    net = conditional.Projection(conditional.Trunk((1, 16, 16), 4, pooled=True), 3)
    x, y = torch.randn(5, 1, 16, 16), torch.tensor([0, 1, 2, 1, 0])
    phi = net.trunk(x)
    expected = net.score(phi) + torch.stack([net.classes.weight[k] @ row for k, row in zip(y, phi, strict=True)])
    torch.testing.assert_close(net(x, y), expected)
    plain = net.trunk.layers[0](x)
    torch.testing.assert_close(phi, plain.sum((2, 3)))


def largest(net: nn.Module) -> list[float]:
    found = [m.weight for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.Embedding)]
    return [float(torch.linalg.matrix_norm(w.detach().flatten(1), 2)) for w in found]


def test_spectral_norm_makes_the_largest_singular_value_1() -> None:
    net = networks(ProjectionGAN(width=4), LARGER)["D"]
    for _ in range(60):
        net(batch(LARGER)["x"], labels())
    assert largest(net.eval()) == pytest.approx([1.0] * 4, abs=0.03)
    torch.manual_seed(0)
    control = conditional.Projection(conditional.Trunk(LARGER.shape, 4, pooled=True), 10)
    assert max(abs(v - 1) for v in largest(control)) > 0.3
    state = {k: v.clone() for k, v in net.state_dict().items()}
    net(batch(LARGER)["x"], labels())
    assert all(torch.equal(v, net.state_dict()[k]) for k, v in state.items()), "eval mode must not move the estimate"


def test_spectral_norm_is_differentiated_through() -> None:
    weight = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    layer = Spectral(weight).double()
    u, _, v = torch.linalg.svd(weight.detach())
    layer.u.copy_(u[:, 0])
    layer.v.copy_(v[0])
    assert torch.autograd.gradcheck(layer.eval(), (weight,))


def test_labels_are_drawn_as_often_as_the_data_has_them() -> None:
    draw = conditional.Labels((0.7, 0.0, 0.3))
    u = torch.linspace(0, 1, 1_001)[:-1]
    assert torch.bincount(draw(u), minlength=3).tolist() == [700, 0, 300]
    assert draw(torch.tensor([2, 0])).tolist() == [2, 0]
    spec = DataSpec(
        kind="vector", shape=(2,), codec=VectorCodec(mean=(0.0, 0.0)), classes=("a", "b", "c"), counts=(90, 0, 10)
    )
    assert read_spec(spec.to_json()) == spec
    assert conditional.chances(spec.classes, spec.counts, "cgan") == (0.9, 0.0, 0.1)
    model = gansmith.Model(CGAN(width=2), "cgan", spec, {"ema": networks(CGAN(width=2), spec)}, 0)
    wanted = asked(model, 2_000, 0)
    assert wanted is not None and wanted.kind == "label"
    assert np.bincount(wanted.values, minlength=3) / 2_000 == pytest.approx([0.9, 0, 0.1], abs=0.02)


@pytest.mark.parametrize("name", LABELLED)
def test_data_without_labels_is_refused(name: str) -> None:
    bare = DataSpec(kind="image", shape=(1, 8, 8), codec=ImageCodec())
    with pytest.raises(ValueError, match=f"{name} learns from labels, and the data has none: give it class folders"):
        load_recipe(name)().networks(bare)


# --- what was asked for -----------------------------------------------------------------------------------------------


def test_agreement_of_labels_and_of_codes() -> None:
    random = np.random.default_rng(0)
    wanted = random.integers(0, 5, 4_000)
    seen = np.where(random.random(4_000) < 0.8, wanted, random.integers(0, 5, 4_000))
    found = agreement(wanted, seen, 5, seed=0)
    assert found.accuracy == pytest.approx(0.84, abs=0.02) and found.control == pytest.approx(0.2, abs=0.03)
    assert np.average(found.by_class, weights=np.bincount(wanted)) == pytest.approx(found.accuracy)
    order = np.array([3, 0, 4, 1, 2])
    matched = agreement(wanted, order[seen], 5, seed=0, codes=5)
    assert matched.mapping == tuple(order) and matched.accuracy == found.accuracy
    assert agreement(wanted, order[seen], 5, seed=0).accuracy < 0.2
    more = agreement(np.arange(6).repeat(2), np.arange(6).repeat(2).clip(max=4), 5, seed=0, codes=6)
    assert more.accuracy == pytest.approx(10 / 12) and sorted(more.mapping)[0] == -1
    with pytest.raises(ValueError, match="asked goes from 0 to 7"):
        agreement(np.array([0, 7]), np.array([0, 1]), 5, seed=0)
    with pytest.raises(ValueError, match="shape"):
        agreement(np.array([0, 1]), np.array([0]), 5, seed=0)


def test_the_judge_sees_whether_samples_are_what_was_asked() -> None:
    split = Split(n=400, reference=400, training=400)
    judge = Vector.of(open_store("toy:ring"), split=split, options=JudgeOptions(metrics=("modes",)))
    points, mode = toy.sample("ring", 400, seed=5)
    right = judge.score(points, Asked(kind="label", values=mode))
    assert right.values["label accuracy"] == right.values["label accuracy, lowest"] == 1.0
    assert right.obedience is not None and right.obedience.agreement.control == pytest.approx(1 / 8, abs=0.06)
    codes = judge.score(points, Asked(kind="code", values=(mode + 3) % 8))
    assert codes.values["code accuracy"] == 1.0
    wrong = judge.score(points, Asked(kind="label", values=(mode + 3) % 8))
    assert wrong.values["label accuracy"] == 0.0


class Brightest(nn.Module):
    """A classifier of 8 x 8 pictures with one bright pixel: which of the first ten it is."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1 / 255))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = x.flatten(1) * self.scale
        return features, 20 * features[:, :10]


def test_the_judge_asks_the_encoder_for_the_class_of_pictures() -> None:
    y = np.arange(120) % 10
    x = np.zeros((120, 8, 8, 1), np.uint8)
    x.reshape(120, 64)[np.arange(120), y] = 255
    facts = {"held_out": {"accuracy": 0.97, "of": "classes", "count": 12}}
    shape, settings = (1, 8, 8), {"dim": 64, "classes": 10, "sha256": "", "resize": "none", "scaling": "x / 255"}
    encoder = Encoder(name="tiny", net=Brightest(), shape=shape, fits=shape, facts=facts, **settings)
    store, split = open_store({"x": x, "y": y}), Split(n=60, reference=60, training=60)
    judge = Pictures.of(store, split=split, options=JudgeOptions(metrics=("diversity",), encoder=encoder))
    right = judge.score(x[:60], Asked(kind="label", values=y[:60]))
    assert right.obedience is not None and right.obedience.agreement.control < 0.3
    assert right.values["label accuracy"] == 1.0 and right.obedience.real == 0.97
    half = judge.score(x[:60], Asked(kind="label", values=np.where(y[:60] == 3, 4, y[:60])))
    assert half.values["label accuracy"] == pytest.approx(0.9)
    assert half.values["label accuracy, lowest"] == pytest.approx(0.5)
    assert half.obedience is not None and math.isnan(half.obedience.agreement.by_class[3])
    blind = Pictures.of(store, split=split, options=JudgeOptions(metrics=("diversity",), encoder="pixels"))
    unseen = blind.score(x[:60], Asked(kind="label", values=y[:60]))
    assert "label accuracy" not in unseen.values and "no classifier of these classes" in unseen.notes[-1]


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def trained(recipe: Recipe, data: Any, images: int, out: Path, **options: Any) -> gansmith.Model:
    plain = {"batch_size": 64, "device": "cpu", "precision": "fp32", "layout": "nchw", "sample_every": Count(10**9)}
    options = plain | {"images": Count(images)} | options
    return gansmith.load(gansmith.train(recipe, data, gansmith.TrainOptions(**options), out=out).path)


def test_evaluate_asks_for_labels(tmp_path: Path) -> None:
    model = trained(CGAN(width=4, z_dim=2), "toy:ring", 640, tmp_path / "run")
    assert model.spec.classes and len(model.spec.counts) == 8
    scores = evaluate(tmp_path / "run", metrics=("modes",), n=300, reference=300, training=300)
    assert scores.better["label accuracy"] == "higher"
    assert 0 <= scores.scores["label accuracy, lowest"] <= scores.scores["label accuracy"] <= 1
    assert scores.control["label accuracy"] == pytest.approx(1 / 8, abs=0.1)
    (file,) = (tmp_path / "run" / "scores").glob("*.json")
    assert len(scores.by_class) == 8 and read_scores(file).by_class == scores.by_class
    assert any("a fixed classifier sees the class asked for" in line for line in scores.reading)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("labelled") / "run"
    trained(CGAN(width=2, z_dim=4), "digits", 128, out, sample_every=Count(64))
    return out


def test_sampling_by_label(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = gansmith.load(run)
    by_label = model.sample(5, given={"label": torch.full((5,), 3)})
    assert main(["sample", str(run), "-n", "5", "--label", "3", "--out", str(tmp_path / "x.npz")]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "x.npz")["x"], by_label)
    assert not np.array_equal(by_label, model.sample(5, given={"label": torch.full((5,), 4)}))
    assert takes_labels(model.recipe, model.spec)
    for given, message in (
        ({"label": torch.full((5,), 10)}, "whole numbers from 0 to 9"),
        ({"label": torch.zeros(4, dtype=torch.int64)}, "has 4 rows for 5 samples"),
    ):
        with pytest.raises(ValueError, match=message):
            model.sample(5, given=given)
    assert main(["sample", str(run), "--label", "cat"]) == 1
    assert "the classes of this model are 0, 1, 2" in capsys.readouterr().err


def test_a_sheet_has_a_class_a_row_and_a_noise_a_column(run: Path, tmp_path: Path) -> None:
    model = gansmith.load(run)
    sheet = label_sheet(model, 40)
    assert len(sheet.samples) == 40 and sheet.columns == 4
    other = label_sheet(model, 40, seed=1)
    assert not np.array_equal(sheet.samples, other.samples)
    assert main(["sample", str(run), "-n", "40", "--sweep", "label", "--out", str(tmp_path / "sheet.png")]) == 0
    width, height = size(tmp_path / "sheet.png")
    assert height / width == pytest.approx(10 / 4, rel=0.05)
    film = sorted((run / "samples").glob("*.png"))
    width, height = size(film[0])
    assert height / width == pytest.approx(10 / 8, rel=0.05), "the film shows a class a row"


def test_mistakes_with_labels_and_sweeps(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained(load_recipe("gan")(width=2), "digits", 64, tmp_path / "gan")
    for words, message in (
        ([str(tmp_path / "gan"), "--sweep", "label"], "gan was trained without labels"),
        ([str(run), "--sweep", "code"], "cgan has no codes"),
        ([str(run), "--sweep", "label", "--label", "3"], "no --label"),
        ([str(tmp_path / "gan"), "--label", "3"], "takes no --label"),
    ):
        assert main(["sample", *words]) == 1
        assert message in capsys.readouterr().err
    spec = DataSpec(kind="image", shape=(1, 8, 8), codec=ImageCodec(), classes=("cat", "dog"))
    assert (label_of(spec, "dog"), label_of(spec, "0")) == (1, 0)
    with pytest.raises(ValueError, match="are cat, dog"):
        label_of(spec, "2")


def test_infogans_sheet_sweeps_its_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = trained(InfoGAN(width=2, z_dim=4, categories=3), "digits", 64, tmp_path / "run")
    words = ["sample", str(tmp_path / "run"), "-n", "36", "--sweep", "code", "--out", str(tmp_path / "codes.png")]
    assert main(words) == 0
    assert "36 samples of infogan, a category a row; 2 continuous codes" in capsys.readouterr().out
    width, height = size(tmp_path / "codes.png")
    assert width / height == pytest.approx(12 / 3, rel=0.05)
    found = asked(model, 50, 0)
    assert isinstance(found, Asked) and found.kind == "code" and set(found.values) == {0, 1, 2}
