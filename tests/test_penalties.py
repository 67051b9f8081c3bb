"""Penalties against networks whose gradient is known, and against finite differences."""

import pytest
import torch
from torch import Tensor, nn

from gansmith import penalties
from gansmith.recipes.r3gan import R3GAN
from gansmith.step.randomness import Stream, draws

SHAPE = (3, 5, 4)


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def linear(weight: Tensor):
    return lambda x: (x * weight).flatten(1).sum(1)


def small_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(24, 1), nn.Flatten(0)).double()


def test_linear_net_has_the_norm_of_its_weight_over_all_of_c_h_w() -> None:
    weight = rand(*SHAPE)
    x = rand(6, *SHAPE, seed=1)
    found = penalties.gradient_norm(linear(weight), x)
    assert found.shape == (6,)
    torch.testing.assert_close(found, weight.flatten().norm().expand(6))
    assert not torch.isclose(found[0], weight.norm(dim=0).mean())  # the classic mistake: a norm over channels
    torch.testing.assert_close(penalties.zero_centred(linear(weight), x), weight.square().sum())


def test_quadratic_net_differs_from_sample_to_sample() -> None:
    x = rand(6, *SHAPE)
    found = penalties.gradient_norm(lambda x: 1.5 * x.flatten(1).square().sum(1), x)
    torch.testing.assert_close(found, 3 * x.flatten(1).norm(dim=1))
    squares = penalties.zero_centred(lambda x: 1.5 * x.flatten(1).square().sum(1), x)
    torch.testing.assert_close(squares, 9 * x.flatten(1).square().sum(1).mean())


@pytest.mark.parametrize("shape", [(2,), SHAPE])
def test_wgan_gp_closed_form(shape: tuple[int, ...]) -> None:
    weight = rand(*shape)
    real, fake = rand(6, *shape, seed=1), rand(6, *shape, seed=2)
    found = penalties.wgan_gp(linear(weight), real, fake, target=0.7)
    torch.testing.assert_close(found, (weight.flatten().norm() - 0.7) ** 2)


def test_scored_gives_scores_and_gradient_of_one_pass() -> None:
    net, x, calls = small_net(), rand(4, *SHAPE), []

    def counted(x: Tensor) -> Tensor:
        calls.append(len(x))
        return net(x)

    with torch.no_grad():  # a caller's no_grad must not silence the penalty
        scores, gradient = penalties.scored(counted, x)
    assert calls == [4]
    torch.testing.assert_close(scores, net(x))
    assert gradient.shape == x.shape
    torch.testing.assert_close(penalties.squared_norm(gradient), penalties.norm(gradient) ** 2)
    assert not x.requires_grad


@pytest.mark.parametrize("kind", ["zero_centred", "wgan_gp"])
def test_parameter_gradient_by_finite_differences(kind: str) -> None:
    net = small_net()
    real, fake = rand(4, *SHAPE), rand(4, *SHAPE, seed=1)
    names = [name for name, _ in net.named_parameters()]

    def penalty(*values: Tensor) -> Tensor:
        def swapped(x: Tensor) -> Tensor:
            return torch.func.functional_call(net, dict(zip(names, values, strict=True)), (x,))

        with draws(Stream(torch.Generator().manual_seed(3))):
            if kind == "wgan_gp":
                return penalties.wgan_gp(swapped, real, fake)
            return penalties.zero_centred(swapped, real)

    values = tuple(p.detach().clone().requires_grad_() for p in net.parameters())
    assert torch.autograd.gradcheck(penalty, values)
    gradients = torch.autograd.grad(penalty(*values), values, allow_unused=True)
    assert gradients[-1] is None or not gradients[-1].any()  # a constant added to all scores has no slope
    assert all(g is not None and g.any() for g in gradients[:-1])


def test_norm_at_zero_slope_has_a_finite_gradient() -> None:
    weight = torch.zeros(3, requires_grad=True)
    slope = penalties.gradient_norm(lambda x: (x * weight).sum(1), torch.ones(2, 3))
    (gradient,) = torch.autograd.grad((slope - 1).square().mean(), weight)
    assert torch.isfinite(gradient).all()


def test_mix_draws_one_weight_per_sample() -> None:
    real, fake = torch.zeros(50, *SHAPE), torch.ones(50, *SHAPE)
    between = penalties.mix(real, fake).flatten(1)
    assert (between == between[:, :1]).all()
    assert 0 <= between.min() < 0.2 < 0.8 < between.max() < 1
    assert len(between[:, 0].unique()) > 40
    torch.testing.assert_close(penalties.mix(real + 2, real + 2), real + 2)


def test_ranks_mix_with_slices_of_one_draw() -> None:
    real, fake = rand(8, 2), rand(8, 2, seed=1)

    def part(rows: slice, number: int, of: int) -> Tensor:
        with draws(Stream(torch.Generator().manual_seed(5), number, of)):
            return penalties.mix(real[rows], fake[rows])

    halves = torch.cat((part(slice(0, 4), 0, 2), part(slice(4, 8), 1, 2)))
    assert torch.equal(halves, part(slice(0, 8), 0, 1))


def test_squares_are_float32_under_autocast() -> None:
    gradient = torch.full((2, 10_000), 0.01, dtype=torch.bfloat16)
    exact = gradient.double().square().sum(1)
    assert penalties.squared_norm(gradient).dtype == torch.float32
    torch.testing.assert_close(penalties.squared_norm(gradient).double(), exact, rtol=1e-4, atol=0)
    net = small_net().float()
    x = rand(4, *SHAPE).float()
    exact = penalties.zero_centred(net, x)
    with torch.autocast("cpu", torch.bfloat16):
        found = penalties.zero_centred(net, x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact, rtol=0.03, atol=0)


def test_r3gan_weighs_its_penalties_by_the_networks_it_takes() -> None:
    digits, cifar, point = torch.Size((1, 8, 8)), torch.Size((3, 32, 32)), torch.Size((2,))
    assert R3GAN().weight(digits) == R3GAN(nets="mlp").weight(digits) == pytest.approx(0.64)
    assert R3GAN(nets="conv").weight(digits) == R3GAN(nets="resnet").weight(digits) == pytest.approx(0.064)
    assert R3GAN().weight(cifar) == pytest.approx(3.072)
    assert R3GAN().weight(point) == 0.1


@pytest.mark.parametrize("shape", [(2,), SHAPE])
def test_wgan_div_and_dragan_closed_forms(shape: tuple[int, ...]) -> None:
    weight = rand(*shape)
    real, fake = rand(6, *shape, seed=1), rand(6, *shape, seed=2)
    length = weight.flatten().norm()
    torch.testing.assert_close(penalties.wgan_div(linear(weight), real, fake), length**6)
    torch.testing.assert_close(penalties.wgan_div(linear(weight), real, fake, power=3.0), length**3)
    torch.testing.assert_close(penalties.dragan(linear(weight), real, 0.5, target=0.7), (length - 0.7) ** 2)


def test_dragan_moves_every_value_of_a_sample_by_normal_noise() -> None:
    seen = []

    def net(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.flatten(1).square().sum(1)

    real = torch.zeros(400, *SHAPE, dtype=torch.float64)
    found = penalties.dragan(net, real, deviation=0.3, target=0.0)
    assert seen[0].std().item() == pytest.approx(0.3, rel=0.05)
    assert abs(seen[0].mean().item()) < 0.02  # around the sample, not to one side of it
    torch.testing.assert_close(found, 4 * seen[0].flatten(1).square().sum(1).mean())


def test_history_is_the_distance_from_the_mean_of_all_past_weights() -> None:
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    history, past = penalties.History(net), []
    for step in range(4):
        with torch.no_grad():
            for p in net.parameters():
                p.add_(torch.randn_like(p))
        weights = torch.cat([p.detach().reshape(-1) for p in net.parameters()])
        past.append(weights)
        for _ in range(2):  # a second micro-batch of the same step does not count again
            found = history(net, torch.tensor(8.0 * step))
        torch.testing.assert_close(found.detach(), (weights - torch.stack(past).mean(0)).square().sum())
    gradient = torch.cat([g.reshape(-1) for g in torch.autograd.grad(found, list(net.parameters()))])
    torch.testing.assert_close(gradient, 2 * (past[-1] - torch.stack(past).mean(0)))
    assert history.steps == 4
