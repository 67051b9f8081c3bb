"""Networks: any shape, exact sizes, samples that do not see one another, gradients that reach every weight."""

import pytest
import torch
from torch import Tensor, nn

from gansmith.nets import conditional, conv, dense, mlp, resnet, translator, unet, weight_norm
from gansmith.nets.shapes import flat, picture
from gansmith.nets.spectral import normalised
from gansmith.recipe import uniform

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (4, 13, 50), (2, 6, 5), (3, 9, 64), (1, 17, 31), (5, 100, 37)]


def pairs(shape: tuple[int, ...], width: int = 4) -> dict[str, tuple[nn.Module, nn.Module]]:
    torch.manual_seed(0)
    return {
        "mlp": (mlp.Generator(7, shape, (16, 8), bounded=True), mlp.Discriminator(shape, (8, 16), dropout=0.3)),
        "dcgan": (conv.Generator(7, shape, width), conv.Discriminator(shape, width)),
        "critic": (conv.Generator(7, shape, width, "none"), conv.Discriminator(shape, width, "layer")),
        "no norm": (conv.Generator(7, shape, width, "layer"), conv.Discriminator(shape, width, "none")),
        "resnet": (resnet.Generator(7, shape, width), resnet.Discriminator(shape, width)),
        "dense": (
            dense.Generator(7, shape, width),
            nn.Sequential(found := dense.Trunk(shape, width), mlp.Head(nn.Linear(found.dim, 1))),
        ),
    }


NAMES = list(pairs((1, 8, 8)))


def bounded() -> dict[str, tuple[nn.Module, tuple[Tensor, ...]]]:
    """Each generator whose samples lie in [-1, 1], with what it takes."""
    shape, z, y, x = (1, 16, 16), torch.randn(3, 7), torch.arange(3), torch.randn(3, 1, 16, 16)
    share = (0.2, 0.3, 0.5)
    return {
        "mlp": (mlp.Generator(7, shape, (16, 8), bounded=True), (z,)),
        "dcgan": (conv.Generator(7, shape, 4), (z,)),
        "joined": (conditional.joined(7, shape, 4, share), (z, y)),
        "steered": (conditional.Steered(7, shape, 4, share), (z, y)),
        "weight norm": (weight_norm.Generator(7, shape, (8, 8)), (z,)),
        "translator": (translator.Translator(1, 1, 4, 1), (x,)),
        "U-Net": (unet.UNet(shape, 1, 4, "batch", 0.0, False, uniform), (x,)),
    }


@pytest.mark.parametrize("name", list(bounded()))
def test_a_plain_ground_does_not_stop_the_gradient_in_bf16(name: str) -> None:
    """A tanh of bfloat16 is -1 from -3.5 down, and its gradient there 0: pixels that are black stay black for ever."""
    net, given = bounded()[name]
    bias = next(p for n, p in net.named_parameters() if n.endswith("bias") and p.shape in ((1,), (256,)))
    nn.init.constant_(bias, -13.0 if name == "weight norm" else -6.5)
    with torch.autocast("cpu", torch.bfloat16):
        made = net(*given)
    assert made.mean() < -0.99
    (slope,) = torch.autograd.grad(made.float().sum(), bias)
    assert (slope > 0).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_range_and_reach(name: str, shape: tuple[int, ...]) -> None:
    generator, discriminator = pairs(shape)[name]
    fake = generator(torch.randn(3, 7))
    assert fake.shape == (3, *shape)
    assert name == "resnet" or fake.abs().max() <= 1
    scores = discriminator(fake)
    assert scores.shape == (3,)
    (slope,) = torch.autograd.grad(scores.sum(), fake)
    assert slope.flatten(1).any(0).float().mean() > 0.9  # no border is lost
    weights = [*generator.parameters(), *discriminator.parameters()]
    gradients = torch.autograd.grad(discriminator(generator(torch.randn(3, 7))).square().sum(), weights)
    assert all(torch.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("name", NAMES)
def test_every_pixel_counts(name: str) -> None:
    shape = (1, 15, 23)
    _, discriminator = pairs(shape)[name]
    discriminator.eval()
    x = torch.randn(8, *shape, requires_grad=True)
    (slope,) = torch.autograd.grad(discriminator(x).sum(), x)
    assert slope.abs().sum(0).gt(0).all()


@pytest.mark.parametrize("name", NAMES)
def test_one_sample_at_a_time_gives_the_same_in_eval_mode(name: str) -> None:
    generator, discriminator = (net.eval() for net in pairs((3, 16, 20))[name])
    z = torch.randn(5, 7)
    x = torch.randn(5, 3, 16, 20)
    with torch.no_grad():
        torch.testing.assert_close(torch.cat([generator(row[None]) for row in z]), generator(z))
        torch.testing.assert_close(torch.cat([discriminator(row[None]) for row in x]), discriminator(x))


@pytest.mark.parametrize("name", ["critic", "no norm", "resnet"])
def test_critics_do_not_mix_samples_in_training(name: str) -> None:
    _, discriminator = pairs((3, 16, 20))[name]
    x = torch.randn(4, 3, 16, 20, requires_grad=True)
    (slope,) = torch.autograd.grad(discriminator(x)[0], x)
    assert slope[0].any()
    assert not slope[1:].any()


@pytest.mark.parametrize("name", NAMES)
def test_layout_does_not_matter(name: str) -> None:
    generator, discriminator = (net.eval() for net in pairs((3, 16, 20))[name])
    z, x = torch.randn(3, 7), torch.randn(3, 3, 16, 20)
    with torch.no_grad():
        expected = generator(z), discriminator(x)
        generator.to(memory_format=torch.channels_last)  # ty: ignore[no-matching-overload]
        discriminator.to(memory_format=torch.channels_last)  # ty: ignore[no-matching-overload]
        torch.testing.assert_close(generator(z), expected[0], atol=1e-5, rtol=1e-4)
        found = discriminator(x.to(memory_format=torch.channels_last))
        torch.testing.assert_close(found, expected[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["dcgan", "critic", "resnet"])
def test_exportable(name: str) -> None:
    generator = pairs((3, 16, 20))[name][0].eval()
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(generator, (torch.randn(4, 7),), dynamic_shapes=({0: batch},))
    z = torch.randn(9, 7)
    torch.testing.assert_close(program.module()(z), generator(z))


@pytest.mark.parametrize("name", NAMES)
def test_256_pixels_take_two_steps(name: str) -> None:
    generator, discriminator = pairs((3, 256, 256), width=2)[name]
    parameters = [*generator.parameters(), *discriminator.parameters()]
    optimizer = torch.optim.SGD(parameters, 1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        loss = discriminator(generator(torch.randn(2, 7))).square().mean()
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((32, 32), [(32, 32), (16, 16), (8, 8), (4, 4)]),
        ((28, 28), [(28, 28), (14, 14), (7, 7)]),
        ((13, 50), [(13, 50), (6, 25), (6, 12), (6, 6)]),
        ((5, 6), [(5, 6)]),
    ],
)
def test_ladder(size: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    assert conv.ladder(*size) == expected


@pytest.mark.parametrize("size", [(n, n + d) for n in range(4, 40, 3) for d in (0, 1, 30)])
def test_up_is_the_adjoint_of_down(size: tuple[int, int]) -> None:
    sizes = conv.ladder(*size)
    big, small = sizes[0], sizes[min(1, len(sizes) - 1)]
    down = conv.down(2, 3, big, small, bias=False).double()
    up = conv.up(3, 2, small, big, bias=False).double()
    up.weight.data.copy_(down.weight.data)
    x = torch.randn(1, 2, *big, dtype=torch.float64)
    y = torch.randn(1, 3, *small, dtype=torch.float64)
    forward: Tensor = (down(x) * y).sum()
    torch.testing.assert_close(forward, (up(y) * x).sum())


def test_dcgan_starts_from_the_papers_weights() -> None:
    for net in (conv.Generator(100, (3, 32, 32), 32), conv.Discriminator((3, 32, 32), 32)):
        for module in net.modules():
            if isinstance(module, nn.Linear | nn.ConvTranspose2d) or (
                isinstance(module, nn.Conv2d) and module.weight.numel() > 1000
            ):
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_residual_branches_start_at_zero() -> None:
    block = resnet.Block(4, depth=3)
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("depth", [1, 4, 16])
def test_residual_branches_start_smaller_the_more_there_are(depth: int) -> None:
    """Fixup, section 3: L^(-1 / (2m - 2)), which is L^(-1/2) for two convolutions, times He's start."""
    torch.manual_seed(0)
    found = resnet.Block(64, depth).first.weight.std() / (2 / (1 + 0.2**2) / (64 * 9)) ** 0.5
    assert found.item() == pytest.approx(depth**-0.5, rel=0.02)


def test_spectral_normalisation_takes_one_power_iteration_a_pass() -> None:
    net = normalised(nn.Sequential(conv.FewIn(1, 4, 4, 2, 1), nn.Conv2d(4, 4, 3, 1, 1)))
    counts = [0, 0]
    for i, layer in enumerate(net):
        layer.parametrizations.weight[0].register_forward_hook(lambda *_, i=i: counts.__setitem__(i, counts[i] + 1))
    net(torch.randn(2, 1, 8, 8, requires_grad=True))  # as in G's turn, where a CPU goes by patches
    net(torch.randn(2, 1, 8, 8))
    assert counts == [2, 2]


@pytest.mark.parametrize("size", [16, 64])
def test_resnet_starts_with_varied_samples_about_in_range(size: int) -> None:
    torch.manual_seed(0)
    fake = resnet.Generator(64, (3, size, size), 16, blocks=2)(torch.randn(16, 64))
    assert 0.1 < fake.std(0).mean() < 0.9
    assert (fake.abs() > 2).float().mean() < 0.05


def test_resnet_has_no_norm_and_keeps_the_scale_of_scores() -> None:
    torch.manual_seed(0)
    for net in (resnet.Generator(64, (3, 32, 32), 16), resnet.Discriminator((3, 32, 32), 16)):
        assert not any("norm" in type(module).__name__.lower() for module in net.modules())
    assert 0.1 < resnet.Discriminator((3, 64, 64), 16)(torch.randn(64, 3, 64, 64)).std() < 2


def test_discriminator_without_norm_starts_flat() -> None:
    torch.manual_seed(0)
    x = torch.rand(8, 3, 32, 32, requires_grad=True)
    (slope,) = torch.autograd.grad(conv.Discriminator((3, 32, 32), 32, "none")(x * 2 - 1).sum(), x)
    assert 0 < slope.flatten(1).norm(dim=1).max() < 0.05


@pytest.mark.parametrize("what", ["width", "z dim"])
def test_a_network_of_nothing_is_refused(what: str) -> None:
    z_dim, width = (7, 0) if what == "width" else (0, 4)
    for build in (
        lambda: mlp.Generator(z_dim, (3,), (8, width), bounded=False),
        lambda: conv.Generator(z_dim, (1, 8, 8), width),
        lambda: resnet.Generator(z_dim, (1, 8, 8), width),
    ):
        with pytest.raises(ValueError, match=f"{what} is 0"):
            build()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("big", "small"), [((8, 8), (4, 4)), ((17, 24), (8, 12)), ((9, 5), (4, 5))])
def test_convolutions_by_patches_are_convolutions(channels: int, big: tuple[int, int], small: tuple[int, int]) -> None:
    """Values, gradients, and gradients of gradients, in float64; and to rounding in float32."""
    torch.manual_seed(0)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        few = conv.down(channels, 6, big, small).to(dtype)
        plain = nn.Conv2d(channels, 6, few.kernel_size, few.stride, 1).to(dtype)
        plain.load_state_dict(few.state_dict())
        back = conv.up(6, channels, small, big).to(dtype)
        usual = nn.ConvTranspose2d(6, channels, back.kernel_size, back.stride, 1, back.output_padding).to(dtype)
        usual.load_state_dict(back.state_dict())
        assert isinstance(few, conv.FewIn) and isinstance(back, conv.FewOut)
        x = torch.randn(4, channels, *big, dtype=dtype, requires_grad=True)
        found = []
        for there, again in ((few, back), (plain, usual)):
            params = [*there.parameters(), *again.parameters()]
            y = again(there(x).tanh())
            (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
            found.append([y, slope, *torch.autograd.grad(slope.square().sum() + y.sum(), params)])
        for a, b in zip(*found, strict=True):
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * float(b.detach().abs().max()))


def test_infogans_networks_are_those_of_its_appendix() -> None:
    """C.1: 28 x 28 to 64 maps of 14 x 14, 128 of 7 x 7, 1024 units; and back."""
    assert dense.sizes(28, 28) == [(28, 28), (14, 14), (7, 7)]
    trunk, made = dense.Trunk((1, 28, 28), 64), dense.Generator(74, (1, 28, 28), 64)
    assert [tuple(p.shape) for p in trunk.parameters() if p.dim() > 1] == [(64, 1, 4, 4), (128, 64, 4, 4), (1024, 6272)]
    shapes = [tuple(p.shape) for p in made.parameters() if p.dim() > 1]
    assert shapes == [(1024, 74), (6272, 1024), (128, 64, 4, 4), (64, 1, 4, 4)]


def test_shapes_say_which_networks_fit() -> None:
    shapes = {(2,): (False, True), (1, 12, 12): (True, True), (3, 12, 13): (True, False), (1, 28, 28): (True, False)}
    assert {shape: (picture(shape), flat(shape)) for shape in shapes} == shapes
