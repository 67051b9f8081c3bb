"""The networks and options that the classic objectives are made of."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from gansmith.augment.noise import instance_noise
from gansmith.engine.prepare import in_vain
from gansmith.nets import conv, mlp
from gansmith.nets.autoencoder import AutoEncoder
from gansmith.nets.equilibrium import Equilibrium
from gansmith.nets.initial import initialise
from gansmith.nets.minibatch import Minibatch
from gansmith.nets.mlp import Tanh
from gansmith.nets.spectral import Spectral, normalised
from gansmith.step.randomness import draws, joined
from gansmith.step.ranks import Ranks
from gansmith.step.turn import Adam
from test_contract import BATCH, SPECS, feed, step_of, tiny


def largest(layer: nn.Module) -> float:
    weight = layer.get_parameter("weight") if "weight" in dict(layer.named_parameters()) else layer.weight
    return torch.linalg.matrix_norm(weight.detach().flatten(1), 2).item()


def test_spectral_norm_is_one_after_a_few_passes_and_its_vectors_are_constants() -> None:
    torch.manual_seed(0)
    net = normalised(nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(128, 5)))
    assert largest(nn.Linear(128, 5)) != pytest.approx(1, abs=0.05)  # the control: not by itself
    for _ in range(30):
        net(torch.randn(2, 3, 8, 8))
    for layer in (net[0], net[3]):
        assert largest(layer) == pytest.approx(1, abs=0.01)
    # The paper's Eq. 12: d(W / sigma) = (dW - (u' dW v) W / sigma) / sigma with u and v held.
    weight = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    unit = Spectral(weight).double().eval()
    assert torch.autograd.gradcheck(unit, (weight,))
    sigma = (unit.u @ weight @ unit.v).detach()
    slope = torch.randn(4, 6, dtype=torch.float64)
    (found,) = torch.autograd.grad(unit(weight), weight, slope)
    expected = (slope - (slope * weight).sum() / sigma * torch.outer(unit.u, unit.v)) / sigma
    torch.testing.assert_close(found, expected.detach())


def test_spectral_norm_is_float32_under_autocast_and_twice_in_one_loss() -> None:
    net = normalised(nn.Linear(6, 3))
    with torch.autocast("cpu", torch.bfloat16):
        loss = net(torch.randn(4, 6)).float().sum() + net(torch.randn(4, 6)).float().sum()
        assert net.weight.dtype == torch.float32
    loss.backward()  # the second pass must not have spoilt what the first one keeps


def test_minibatch_discrimination_closed_form() -> None:
    torch.manual_seed(0)
    layer, x = Minibatch(3, kernels=2, dims=4), torch.randn(5, 3)
    found = layer(x)
    assert found.shape == (5, 5)
    assert torch.equal(found[:, :3], x)
    rows = torch.stack([x @ layer.weight[:, k] for k in range(2)], 1)
    for i in range(5):
        for k in range(2):
            near = sum(math.exp(-(rows[i, k] - rows[j, k]).abs().sum().item()) for j in range(5) if j != i)
            assert found[i, 3 + k].item() == pytest.approx(near, rel=1e-4)
    assert layer(x[:1].expand(5, 3))[:, 3:].eq(4).all()  # a collapsed batch is seen at once


@pytest.mark.parametrize("net", ["mlp", "conv"])
def test_minibatch_discrimination_lets_d_see_the_other_samples(net: str) -> None:
    torch.manual_seed(0)
    shape = (2,) if net == "mlp" else (1, 16, 16)
    build = (lambda k: mlp.Discriminator(shape, (8,), kernels=k)) if net == "mlp" else None
    build = build or (lambda k: conv.Discriminator(shape, 4, "none", kernels=k))
    x = torch.randn(6, *shape)
    for kernels in (0, 3):
        judge = build(kernels)
        alone = torch.allclose(judge(x)[:3], judge(x[:3]), atol=1e-6)
        assert alone == (kernels == 0)


@pytest.mark.parametrize("how", ["he", "xavier", "normal"])
def test_initial_weights_have_the_published_deviation(how: str) -> None:
    torch.manual_seed(0)
    linear, convolution, up = nn.Linear(300, 200), nn.Conv2d(32, 64, 4, 2, 1), nn.ConvTranspose2d(64, 32, 4, 2, 1)
    initialise(nn.Sequential(linear, convolution, up), how)  # type: ignore[arg-type]
    sizes = {linear: (300, 200), convolution: (32 * 16, 64 * 4), up: (64 * 4, 32 * 16)}
    for layer, (inputs, outputs) in sizes.items():
        wanted = {"he": math.sqrt(2 / 1.04 / inputs), "xavier": math.sqrt(2 / (inputs + outputs)), "normal": 0.02}[how]
        assert layer.weight.std().item() == pytest.approx(wanted, rel=0.03)
        assert not layer.bias.any()
    # He keeps the size of what passes through layers of LeakyReLU; N(0, 0.02) does not (300 wide).
    deep = nn.Sequential(*[m for _ in range(8) for m in (nn.Linear(300, 300), nn.LeakyReLU(0.2))])
    initialise(deep, how)  # type: ignore[arg-type]
    size = deep(torch.randn(200, 300)).square().mean().sqrt().item()
    assert (0.5 < size < 2) == (how == "he")


def test_autoencoders_fit_any_shape_and_judge_each_sample_alone() -> None:
    for shape in ((2,), (1, 6, 6), (1, 8, 8), (3, 17, 24), (1, 28, 28)):
        net = AutoEncoder(shape, 4, 5)
        x = torch.randn(4, *shape)
        again, codes = net(x)
        assert again.shape == x.shape and codes.shape == (4, 5)
        torch.testing.assert_close(net(x[:2])[0], again[:2], rtol=1e-4, atol=1e-5)


def test_k_follows_the_papers_rule() -> None:
    module, k = Equilibrium(), 0.0
    errors = [(2.0, 0.1), (1.0, 0.9), (9.0, 0.1), (0.1, 5.0)]
    for step, (real, fake) in enumerate(errors):
        assert module.advance(torch.tensor(8.0 * step), 0.25).item() == pytest.approx(k)
        for half in (0.5, 1.5):  # two micro-batches; the mean of both counts
            module.add(torch.tensor(0.5 * real * half))
        assert module.advance(torch.tensor(8.0 * step), 0.25).item() == pytest.approx(k)  # begun before
        for half in (0.5, 1.5):
            module.add(torch.tensor(-fake * half))
        k = min(max(k + 0.25 * (0.5 * real - fake), 0.0), 1.0)
    assert k == 0.0 and module.advance(torch.tensor(99.0), 0.25).item() == k  # clipped at 1 and then at 0


def test_a_bounded_adam_leaves_no_weight_outside() -> None:
    for bound in (0.0, 0.02):
        weight = nn.Parameter(torch.linspace(-1, 1, 11))
        optimizer = Adam(0.01, bound=bound).build([weight])
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        assert (weight.abs().max() <= 0.02) == bool(bound)


def test_joined_rows_of_one_process_are_its_own() -> None:
    rows = torch.randn(3, 2, requires_grad=True)
    assert joined(rows) is rows


def test_instance_noise_falls_to_nothing() -> None:
    x = torch.zeros(4000, 2)
    for images, deviation in ((0.0, 0.3), (50.0, 0.15), (100.0, 0.0), (200.0, 0.0)):
        assert instance_noise(x, 0.3, torch.tensor(images), 100.0).std().item() == pytest.approx(deviation, rel=0.05)
    assert instance_noise(x, 0.3, torch.tensor(200.0), 0.0).std().item() == pytest.approx(0.3, rel=0.05)
    assert instance_noise(x, 0.0, torch.tensor(0.0), 0.0) is x


@pytest.mark.parametrize("nets", ["mlp", "conv"])
@pytest.mark.parametrize(
    "option",
    [
        {"matching": True},
        {"kernels": 3},
        {"history": 0.1},
        {"label_smoothing": 0.1},
        {"balance": 0.6},
        {"instance_noise": 0.1, "noise_decay_images": 100.0},
        {"initial": "he"},
        {"initial": "xavier"},
        {"lr_ratio": 4.0},
    ],
    ids=lambda option: next(iter(option)),
)
def test_options_change_the_run_and_resume_to_the_bit(nets: str, option: dict) -> None:
    spec = SPECS["grey 8x8"]
    plain, one, two = (step_of(tiny("gan", nets=nets, width=16, **o), spec) for o in ({}, option, option))
    for k in range(2):
        plain.take(k, feed(spec))
        assert all(torch.isfinite(t) for t in one.take(k, feed(spec)).values())
    assert not all(torch.equal(a, b) for a, b in zip(plain.nets.parameters(), one.nets.parameters(), strict=False))
    two.load_state({k: v.clone() for k, v in one.state().items()}, one.moves)
    for step in (one, two):
        step.take(2, feed(spec))
    assert all(torch.equal(a, b) for a, b in zip(one.state().values(), two.state().values(), strict=True))


def test_gan_on_convolutions_is_dcgan_to_the_bit_and_not_for_vectors() -> None:
    spec = SPECS["rgb 17x24"]
    one, two = step_of(tiny("gan", nets="conv", width=32), spec), step_of(tiny("dcgan", width=8), spec)
    for k in range(2):
        assert one.take(k, feed(spec)) == two.take(k, feed(spec))
    assert one.state().keys() == two.state().keys()
    assert all(torch.equal(v, two.state()[key]) for key, v in one.state().items())
    with pytest.raises(ValueError, match="gan's conv takes pictures"):
        tiny("gan", nets="conv").networks(SPECS["vector"])


@pytest.mark.parametrize("name", ["aae", "bayesian", "bigan", "cgan", "gan", "r3gan"])
@pytest.mark.parametrize("kind", ["grey 8x8", "vector"])
def test_generators_end_in_tanh_where_encoded_values_are_bounded(name: str, kind: str) -> None:
    spec = SPECS[kind]
    assert spec.bounded == (kind != "vector") == all(map(math.isfinite, spec.bounds))
    assert any(isinstance(m, Tanh) for m in tiny(name).networks(spec)["G"].modules()) == spec.bounded


def test_historical_averages_are_the_same_on_every_rank_as_they_are() -> None:
    step = step_of(tiny("gan", history=0.1), SPECS["vector"], ranks=Ranks())
    step.take(0, feed(SPECS["vector"]))
    names = {id(buffer) for buffer in step._statistics}
    assert not any(id(b) in names for b in step.nets["past_G"].buffers())
    assert step.nets["past_D"].steps == 1 and BATCH % 2 == 0


def foreseen(moved: bool) -> tuple[float, float, float, float]:
    """Unrolled GAN's loss of G after some steps or none; the same of a D that really moves; a slope and its secant."""
    spec = SPECS["vector"]
    recipe = tiny("unrolled", moves=3, lr_ratio=2.0)
    step = step_of(recipe, spec, torch.float64)
    for k in range(4 if moved else 0):
        step.take(k, feed(spec, torch.float64))
    batch = feed(spec, torch.float64)(9)

    def loss() -> Tensor:
        with draws(step.stream(5, 0)):
            return recipe.turns()[1].loss(step.nets, batch)["foreseen"]

    judge = copy.deepcopy(step.nets["D"])
    adam = recipe.optimizers()["D"].build(list(judge.parameters()))
    if moved:
        adam.load_state_dict(copy.deepcopy(step.optimizers["D"].state_dict()))
    with draws(step.stream(5, 0)), torch.no_grad():
        both = torch.cat((batch["x"], recipe.sample(step.nets, BATCH)))
    for _ in range(3):
        adam.zero_grad()
        recipe.error(nn.ModuleDict({"D": judge}), dict(judge.named_parameters()), both).backward()
        adam.step()
    real = -recipe.error(step.nets, dict(judge.named_parameters()), both)
    bias = list(step.nets["G"].parameters())[-1]
    slope = torch.autograd.grad(loss(), bias)[0][0]
    bias.data[0] += 1e-6
    up = loss().item()
    bias.data[0] -= 2e-6
    down = loss().item()
    bias.data[0] += 1e-6
    return loss().item(), real.item(), slope.item(), (up - down) / 2e-6


@pytest.mark.parametrize("moved", [True, False])
def test_unrolled_foresees_the_moves_that_ds_own_adam_makes(moved: bool) -> None:
    found, real, slope, secant = foreseen(moved)
    assert found == pytest.approx(real, rel=1e-6)
    assert slope == pytest.approx(secant, rel=1e-4)


def test_images_after_the_step_size_has_fallen_to_0_are_said_to_be_in_vain() -> None:
    """A run that is resumed for more images does not stretch the fall of its step size."""
    falls = step_of(tiny("pix2pix", constant_images=500.0, decay_images=500.0), SPECS["pairs 8x8"])
    assert list(in_vain(falls, 0, 1_000)) == [] == list(in_vain(falls, 400, 0))
    for shown, budget in ((0, 2_000), (1_000, 2_000), (1_600, 0)):
        (said,) = in_vain(falls, shown, budget)
        assert "the step size of G, D is 0 from 1,000 images on" in said
    assert list(in_vain(step_of(tiny("pix2pix"), SPECS["pairs 8x8"]), 0, 10**9)) == []
