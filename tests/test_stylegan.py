"""StyleGAN2's networks and losses, against their definitions and closed forms."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansmith.data import DataSpec, ImageCodec
from gansmith.model.draw import draw_samples
from gansmith.nets import stylegan
from gansmith.nets.running import Running
from gansmith.penalties import PathLength, path_lengths
from gansmith.recipe import Adam
from gansmith.recipes.stylegan2 import StyleGAN2, paper_cifar, paper_f
from gansmith.step.randomness import Stream, draws
from gansmith.step.ranks import Ranks, Setting
from gansmith.step.step import Step

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (4, 13, 50), (2, 6, 5), (3, 9, 64), (1, 17, 31)]
SPEC = DataSpec(kind="image", shape=(3, 8, 8), codec=ImageCodec())
LABELLED = DataSpec(kind="image", shape=(3, 8, 8), codec=ImageCodec(), classes=("a", "b", "c"))


def tiny(**changes: Any) -> StyleGAN2:
    return StyleGAN2(**({"width": 8, "max_width": 16, "z_dim": 12, "path_length": 2.0} | changes))


def step_of(recipe: StyleGAN2, spec: DataSpec = SPEC, dtype: torch.dtype = torch.float32, **options: Any) -> Step:
    torch.manual_seed(0)
    nets = nn.ModuleDict(recipe.networks(spec)).to(dtype)
    arguments = {"seed": 1, "batch_size": 8} | options
    return Step(nets, recipe.turns(), recipe.optimizers(), recipe.serving, recipe.average(), **arguments)


def feed(dtype: torch.dtype = torch.float32):
    def batch(k: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(k)
        x = torch.rand(8, 3, 8, 8, generator=generator) * 2 - 1
        return {"x": x.to(dtype), "y": torch.randint(0, 3, (8,), generator=generator)}

    return batch


# --- networks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("big", [(6, 10), (12, 20), (13, 20), (12, 10)])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulating_activations_equals_modulating_the_weights_of_each_sample(big: Any, demodulate: bool) -> None:
    torch.manual_seed(0)
    n, channels, out, small = 5, 7, 4, (6, 10)
    layer = stylegan.Modulated(channels, out, 3, 9, small, big, demodulate)
    x, w = torch.randn(n, channels, *small), torch.randn(n, 9)
    # Karras et al., 2020, Eq. 1 and 3: weights of their own for each sample, as one grouped convolution.
    weight = layer.weight * layer.scale * layer.affine(w)[:, None, :, None, None]
    if demodulate:
        weight = weight / weight.square().sum((2, 3, 4), keepdim=True).add(1e-8).sqrt()
    flat = x.reshape(1, n * channels, *small)
    if big == small:
        expected = F.conv2d(flat, weight.flatten(0, 1), None, 1, 1, groups=n)
    else:
        f = layer.filter
        keep = (1 - f.pad[0], 1 - f.pad[1])
        kernels = weight.transpose(1, 2).flatten(0, 1)
        expected = F.conv_transpose2d(flat, kernels, None, f.stride, keep, f.odd, groups=n)
        expected = f.blur(expected, math.prod(f.stride), 1)
    expected = expected.view(n, out, *big)
    torch.testing.assert_close(layer(x, w), expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(layer(x, w.flip(0)), expected, atol=1e-2), "the style does nothing"


def test_demodulated_maps_have_unit_variance_whatever_the_style() -> None:
    torch.manual_seed(0)
    layer = stylegan.Modulated(64, 64, 3, 8, (16, 16), (16, 16), demodulate=True)
    inside = layer(torch.randn(16, 64, 16, 16), 10 * torch.randn(16, 8))[:, :, 1:-1, 1:-1]
    assert inside.std().item() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("big", [(12, 20), (13, 21), (12, 10), (13, 10)])
def test_filters_keep_constants_and_are_adjoint(big: Any) -> None:
    small = (6, 10)
    f = stylegan.Filter(big, small)
    up, down = f.up(torch.ones(1, 2, *small)), f.down(torch.ones(1, 2, *big))
    assert up.shape == (1, 2, *big)
    assert down.shape == (1, 2, *small)
    torch.testing.assert_close(up[:, :, 2:-2, 2:-2], torch.ones_like(up[:, :, 2:-2, 2:-2]))
    torch.testing.assert_close(down[:, :, 1:-1, 1:-1], torch.ones_like(down[:, :, 1:-1, 1:-1]))
    x, y = torch.randn(1, 2, *small), torch.randn(1, 2, *big)
    torch.testing.assert_close((f.up(x) * y).sum(), math.prod(f.stride) * (x * f.down(y)).sum(), rtol=1e-4, atol=1e-4)


def test_filters_remove_what_halving_would_fold() -> None:
    stripes = torch.ones(1, 1, 12, 12)
    stripes[..., ::2] = -1
    halved = stylegan.Filter((12, 12), (6, 6)).down(stripes)
    assert halved[..., 1:-1].abs().max() < 1e-6
    layer = stylegan.Modulated(1, 1, 3, 4, (8, 8), (16, 16), demodulate=False)
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.affine.weight)
    inside = layer(torch.ones(1, 1, 8, 8), torch.zeros(1, 4))[..., 3:-3, 3:-3]
    torch.testing.assert_close(inside, torch.full_like(inside, 9 * layer.scale))  # the gain of 4 makes up for zeros


def test_equalised_learning_rate() -> None:
    torch.manual_seed(0)
    x = torch.randn(2_000, 300)
    for multiplier in (1.0, 0.01):
        layer = stylegan.Linear(300, 200, multiplier=multiplier)
        assert layer.weight.std().item() == pytest.approx(1 / multiplier, rel=0.02)
        assert layer(x).std().item() == pytest.approx(1.0, rel=0.03)
        before = (layer.weight * layer.scale).detach().clone()
        optimizer = Adam(lr=1e-3).build(list(layer.parameters()))
        (1e4 * layer(x).square().mean()).backward()  # so that Adam's eps is nothing beside it
        optimizer.step()
        moved = (layer.weight * layer.scale - before).abs().mean()
        assert moved.item() == pytest.approx(1e-3 * multiplier / math.sqrt(300), rel=0.01)
    conv = stylegan.Conv(50, 40, 3)
    assert (conv(torch.randn(8, 50, 12, 12)) ** 2).mean().item() == pytest.approx(1.0, abs=0.1)
    assert stylegan.Linear(3, 4, bias=1.0, multiplier=0.01)(torch.zeros(1, 3)).mean().item() == pytest.approx(1.0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("residual", [True, False])
def test_any_shape_and_every_weight_and_pixel_counts(shape: tuple[int, ...], residual: bool) -> None:
    torch.manual_seed(0)
    generator = stylegan.Generator(12, shape, 4, 12, 2)
    discriminator = stylegan.Discriminator(shape, 4, 12, 2, residual)
    nn.init.ones_(generator.layers[0].strength)
    fake = generator(torch.randn(4, 12))
    assert fake.shape == (4, *shape)
    scores = discriminator(fake)
    assert scores.shape == (4,)
    (slope,) = torch.autograd.grad(scores.square().sum(), fake, retain_graph=True)
    assert slope.abs().sum(0).gt(0).all()
    weights = [*generator.parameters(), *discriminator.parameters()]
    found = torch.autograd.grad(scores.square().sum(), weights)
    assert all(torch.isfinite(g).all() and g.any() for g in found)


def test_pictures_do_not_see_one_another() -> None:
    torch.manual_seed(0)
    generator = stylegan.Generator(12, (3, 16, 20), 4, 12, 2)
    discriminator = stylegan.Discriminator((3, 16, 20), 4, 12, group=1)
    z, x = torch.randn(5, 12), torch.randn(5, 3, 16, 20)
    with torch.no_grad():
        torch.testing.assert_close(torch.cat([generator(r[None]) for r in z]), generator(z), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(torch.cat([discriminator(r[None]) for r in x]), discriminator(x))


def test_the_deviation_of_groups() -> None:
    x = torch.randn(8, 3, 4, 5)
    found = stylegan.minibatch_deviation(x, 4)
    assert found.shape == (8, 1, 4, 5)
    for rows in (slice(0, 4), slice(4, 8)):
        expected = x[rows].std(0, correction=0).mean()
        torch.testing.assert_close(found[rows], expected.expand(4, 1, 4, 5), rtol=1e-3, atol=1e-4)
    for n, sizes in ((7, [4, 3]), (3, [3]), (9, [3, 3, 3]), (10, [4, 3, 3])):
        found = stylegan.minibatch_deviation(torch.cat((x, x))[:n], 4)
        parts = np.split(torch.cat((x, x))[:n].numpy(), np.cumsum(sizes)[:-1])
        expected = np.concatenate([np.full(len(p), p.std(0).mean()) for p in parts])
        np.testing.assert_allclose(found[:, 0, 0, 0], expected, rtol=1e-3)
    alone = stylegan.minibatch_deviation(x[:1], 4)
    assert float(alone.max()) == pytest.approx(1e-4)
    same = x[:1].expand(4, -1, -1, -1).clone().requires_grad_()
    (slope,) = torch.autograd.grad(stylegan.minibatch_deviation(same, 4).sum(), same)
    assert torch.isfinite(slope).all()


def test_groups_are_neighbours_so_ranks_and_micro_batches_form_the_same() -> None:
    torch.manual_seed(0)
    discriminator = stylegan.Discriminator((3, 8, 8), 4, 8, group=4)
    x = torch.randn(8, 3, 8, 8)
    whole = discriminator(x)
    torch.testing.assert_close(torch.cat((discriminator(x[:4]), discriminator(x[4:]))), whole)
    assert not torch.allclose(discriminator(x[[0, 4, 1, 5, 2, 6, 3, 7]])[0], whole[0]), "the group has no effect"


def test_d_scores_in_float32_under_autocast() -> None:
    discriminator = stylegan.Discriminator((3, 8, 8), 8, 16, group=4)
    with torch.autocast("cpu", torch.bfloat16):
        assert discriminator(torch.randn(4, 3, 8, 8)).dtype == torch.float32
        assert stylegan.Generator(8, (3, 8, 8), 8, 16, 2)(torch.randn(4, 8)).dtype == torch.float32


# --- running means, path lengths ------------------------------------------------------------------------------------


def test_running_mean_of_micro_batches_and_ranks() -> None:
    whole, parts, ranks = (Running(2, half_life=16) for _ in range(3))
    other = Running(2, half_life=16)
    values = torch.randn(5, 8, 2)
    for k, rows in enumerate(values):
        images = torch.tensor(8.0 * k)
        assert float(whole.advance(images)) == (8 if k else 0)
        whole.add(rows)
        for mean, part in ((parts, rows[:4]), (parts, rows[4:]), (ranks, rows[:4]), (other, rows[4:])):
            mean.advance(images)
            mean.add(part)
        assert float(parts.advance(images)) == 0
        for a, b in zip(ranks.buffers(), other.buffers(), strict=True):  # as `Step` does after each step
            mean = (a + b) / 2
            a.copy_(mean)
            b.copy_(mean)
    torch.testing.assert_close(parts.mean, whole.mean)
    torch.testing.assert_close(ranks.mean, whole.mean)
    age = torch.tensor([3.0, 2.0, 1.0, 0.0])  # the last step counts from the next on
    weights = 0.5 ** (8 * age / 16)
    expected = (weights[:, None] * values[:4].mean(1)).sum(0) / weights.sum()
    torch.testing.assert_close(whole.mean, expected)


def test_path_lengths_of_a_linear_generator() -> None:
    torch.manual_seed(0)
    layers, d, shape = 3, 5, (2, 4, 6)
    jacobian = torch.randn(layers * d, math.prod(shape))
    w = torch.randn(400, layers, d, requires_grad=True)
    with draws(Stream(torch.Generator().manual_seed(7))):
        found = path_lengths((w.flatten(1) @ jacobian).view(-1, *shape), w)
    y = torch.randn(400, *shape, generator=torch.Generator().manual_seed(7)) / math.sqrt(24)
    expected = (y.flatten(1) @ jacobian.T).norm(dim=1) / math.sqrt(layers)
    torch.testing.assert_close(found, expected)
    assert found.square().mean().item() == pytest.approx(float(jacobian.square().sum()) / (24 * layers), rel=0.1)


def test_path_length_penalty_pulls_to_the_running_mean() -> None:
    penalty = PathLength(half_life=1e9)
    assert float(penalty(torch.tensor([1.0, 3.0]), torch.tensor(0.0))) == 5
    lengths = torch.tensor([1.0, 5.0], requires_grad=True)
    found = penalty(lengths, torch.tensor(32.0))
    assert found.item() == 5  # (1 - 2)^2 and (5 - 2)^2
    assert torch.autograd.grad(found, lengths)[0].tolist() == [-1, 3]
    assert float(penalty(torch.tensor([2.5]), torch.tensor(64.0))) == pytest.approx(0)  # mean of 2 and 3


def test_path_length_can_be_descended() -> None:
    """The second derivative reaches G: lengths approach a target in a few steps."""
    torch.manual_seed(0)
    generator = stylegan.Generator(8, (3, 8, 8), 8, 16, 2)
    optimizer = torch.optim.Adam(generator.parameters(), 1e-2)
    spread = []
    for _ in range(30):
        w = generator.mapping(torch.randn(16, 8))[:, None].expand(-1, generator.styles, -1)
        lengths = path_lengths(generator.synthesis(w), w)
        loss = (lengths - 0.3).square().mean()
        spread.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert np.mean(spread[-3:]) < np.mean(spread[:3]) / 3


# --- the recipe -----------------------------------------------------------------------------------------------------


class Plane(nn.Module):
    """A discriminator whose slope is known: w . x."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return (x * self.weight).sum((1, 2, 3))


@pytest.mark.parametrize(("every", "gamma"), [(16, 2.0), (3, 2.0), (4, 0.0)])
def test_lazy_r1_is_scaled_by_its_interval(every: int, gamma: float) -> None:
    recipe = tiny(r1_every=every, gamma=gamma)
    nets = nn.ModuleDict(recipe.networks(SPEC) | {"D": Plane(SPEC.shape)})
    found = recipe.slope_loss(nets, feed()(0))["r1"]
    expected = every * (gamma or 1.0) / 2 * nets["D"].weight.square().sum()
    torch.testing.assert_close(found, expected)
    (turn,) = (t for t in recipe.turns() if t.loss == recipe.slope_loss)
    assert turn.every == every


def test_adam_of_lazy_players() -> None:
    recipe = StyleGAN2(betas=(0.5, 0.99), path_length=2.0, r1_every=16, path_every=4, lr=2.5e-3)
    assert recipe.optimizers()["D"] == Adam(2.5e-3 * 16 / 17, (0.5 ** (16 / 17), 0.99 ** (16 / 17)))
    assert recipe.optimizers()["G"] == Adam(2.5e-3 * 4 / 5, (0.5 ** (4 / 5), 0.99 ** (4 / 5)))
    assert StyleGAN2(path_length=0.0, lr=2.5e-3).optimizers()["G"] == Adam(2.5e-3)
    assert len(StyleGAN2(path_length=0.0).turns()) == 3


def test_mixing_takes_fine_styles_from_another() -> None:
    for mixing, least, most in ((0.0, 0.0, 0.0), (0.9, 0.85, 0.95), (1.0, 1.0, 1.0)):
        recipe = tiny(mixing=mixing)
        nets = nn.ModuleDict(recipe.networks(DataSpec(kind="image", shape=(1, 32, 32), codec=ImageCodec())))
        w = recipe.styles(nets, 2_000, None)
        changes = (w[:, 1:] != w[:, :-1]).any(2)
        assert w.shape == (2_000, 8, 12)
        assert changes.sum(1).max() <= 1
        assert least <= float(changes.any(1).float().mean()) <= most
        if mixing:
            shares = changes.float().mean(0) / changes.float().mean(0).sum()
            assert shares.min() > 0.11  # of 1 / 7 each
            assert shares.max() < 0.18


def test_truncation_goes_to_the_centre_of_the_styles() -> None:
    recipe = tiny()
    step = step_of(recipe)
    for k in range(3):
        step.take(k, feed())
    nets = step.average
    with torch.no_grad():
        w = nets["G"].mapping(torch.randn(6, 12))
        centre = nets["G"].centre.mean
        assert centre.any()
        torch.testing.assert_close(nets["G"].truncate(w, torch.ones(6)), w)
        torch.testing.assert_close(nets["G"].truncate(w, torch.zeros(6)), centre.expand(6, -1))
        z = torch.randn(6, 12)
        still = nets["G"](z, psi=torch.zeros(6))
        torch.testing.assert_close(still, still[:1].expand_as(still))
    own = draw_samples(tiny(truncation=0.5), nets, 5, 0)
    assert torch.equal(own, draw_samples(recipe, nets, 5, 0, {"truncation": torch.full((5,), 0.5)}))
    assert not torch.equal(own, draw_samples(recipe, nets, 5, 0))


def test_labels_steer_both_players() -> None:
    with pytest.raises(ValueError, match="the data has no labels"):
        tiny(labels="use").networks(SPEC)
    recipe = tiny(labels="use", augment="none")
    step = step_of(recipe, LABELLED)
    for k in range(2):
        assert all(torch.isfinite(t) for t in step.take(k, feed()).values())
    a, b = (draw_samples(recipe, step.average, 4, 0, {"label": torch.full((4,), k)}) for k in (0, 1))
    assert not torch.allclose(a, b, atol=1e-3)
    with pytest.raises(ValueError, match="without labels"):
        draw_samples(tiny(), step_of(tiny()).average, 4, 0, {"label": torch.zeros(4, dtype=torch.int64)})
    free = draw_samples(recipe, step.average, 200, 0)
    assert free.shape == (200, 3, 8, 8)
    x = torch.randn(4, 3, 8, 8)
    one, two = (step.nets["D"](x, torch.full((4,), k)) for k in (0, 1))
    assert not torch.allclose(one, two, atol=1e-4)


def test_labels_that_nobody_chose_are_drawn_as_often_as_the_data_has_them() -> None:
    spec = dataclasses.replace(LABELLED, counts=(90, 0, 10))
    g = tiny(labels="use").networks(spec)["G"]
    drawn = g.mapping.labels(torch.linspace(0, 1, 1_001)[:-1])
    assert torch.bincount(drawn).tolist() == [900, 0, 100]
    seen: list[Tensor] = []
    g.mapping.labels.register_forward_hook(lambda _, given, found: seen.append(found))
    draw_samples(tiny(labels="use"), torch.nn.ModuleDict({"G": g}), 400, 0)
    assert torch.bincount(torch.cat(seen)).div(400).tolist() == pytest.approx([0.9, 0, 0.1], abs=0.05), "thirds before"


@pytest.mark.parametrize("augment", ["none", "ada", "diffaugment"])
def test_micro_batches_equal_one(augment: Any) -> None:
    """In groups of 4 rows, two micro-batches of 4 do what one batch of 8 does: so do two ranks."""
    states = []
    for parts in (1, 2):
        step = step_of(tiny(augment=augment, ada_target=-2.0, ada_images=50), SPEC, torch.float64, micro_batches=parts)
        for k in range(6):
            step.take(k, feed(torch.float64))
        states.append(step.state())
    for key, value in states[0].items():
        if not key.endswith(".parts"):
            torch.testing.assert_close(states[1][key], value, rtol=1e-6, atol=1e-9, msg=key)
    if augment == "ada":
        assert float(states[0]["nets.A.p"]) > 0.2


@pytest.mark.parametrize("augment", ["none", "ada", "diffaugment"])
def test_bf16_steps_are_finite_and_near_those_of_float32(augment: Any) -> None:
    terms = []
    for precision in ("fp32", "bf16"):
        step = step_of(tiny(augment=augment), setting=Setting(precision=precision, channels_last=precision == "bf16"))
        terms.append(step.take(0, feed()))
    for key, term in terms[0].items():
        assert float(terms[1][key]) == pytest.approx(float(term), rel=0.1, abs=1e-3)


def test_constants_are_not_averaged_over_ranks() -> None:
    step = step_of(tiny(), ranks=Ranks(0, 1))
    constants = {id(b) for key, b in step.nets.named_buffers() if key not in step.nets.state_dict()}
    assert constants
    assert not constants & {id(b) for b in step._statistics}
    assert id(step.nets["A"].p) in {id(b) for b in step._statistics}


@pytest.mark.parametrize("preset", [paper_f, paper_cifar])
def test_presets_have_the_papers_sizes(preset: Any) -> None:
    recipe = preset()
    size = 1024 if preset is paper_f else 32
    with torch.device("meta"):
        nets = recipe.networks(DataSpec(kind="image", shape=(3, size, size), codec=ImageCodec()))
    counts = {role: sum(p.numel() for p in net.parameters()) / 1e6 for role, net in nets.items()}
    expected = {"G": 30.4, "D": 29.0} if preset is paper_f else {"G": 19.9, "D": 20.3}
    for role, count in expected.items():
        assert counts[role] == pytest.approx(count, rel=0.03)


# --- export ---------------------------------------------------------------------------------------------------------


def exported() -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    generator = stylegan.Generator(12, (3, 17, 24), 4, 12, 2).eval().requires_grad_(False)
    batch = torch.export.Dim("batch", min=1, max=256)
    return generator, torch.export.export(generator, (torch.randn(3, 12),), dynamic_shapes={"z": {0: batch}})


def test_the_generator_is_exported_with_any_batch() -> None:
    generator, program = exported()
    for n in (1, 3, 10):
        z = torch.randn(n, 12)
        torch.testing.assert_close(program.module()(z), generator(z))


def test_the_generator_runs_under_onnx(tmp_path: Any) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    generator, program = exported()
    path = tmp_path / "g.onnx"
    torch.onnx.export(program, dynamo=True).save(path)
    session = runtime.InferenceSession(path)
    for n in (1, 3, 10):
        z = torch.randn(n, 12)
        (found,) = session.run(None, {session.get_inputs()[0].name: z.numpy()})
        np.testing.assert_allclose(found, generator(z).numpy(), rtol=1e-3, atol=1e-4)
