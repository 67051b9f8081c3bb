"""U-Net, PatchGAN, residual translator, pool and jitter: any size, the papers' numbers, nothing mixed."""

import itertools
import random

import pytest
import torch
from torch import Tensor, nn

from gansmith.augment.jitter import jitter
from gansmith.nets.patch import PatchGAN, fitting, receptive_field
from gansmith.nets.pool import Pool
from gansmith.nets.translator import Translator
from gansmith.nets.unet import UNet, levels
from gansmith.recipe import uniform
from gansmith.step.randomness import Stream, draws

SHAPES = [(1, 8, 8), (3, 17, 24), (4, 5, 40), (2, 33, 7), (3, 64, 64)]


def unet(shape: tuple[int, ...], out: int = 3, width: int = 4, dropout: float = 0.0, always: bool = False) -> UNet:
    torch.manual_seed(0)
    return UNet(shape, out, width, "instance", dropout, always, uniform)


def test_unet_has_the_papers_levels() -> None:
    sizes = levels(256, 256)
    assert [h for h, _ in sizes] == [256, 128, 64, 32, 16, 8, 4, 2, 1]
    net = unet((3, 256, 256), width=64)
    downs = [m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert sorted(downs) == sorted([64, 128, 256, 512, 512, 512, 512, 512])
    # C64-C128-C256-C512 x 5 and CD512 x 3-C512-C256-C128-C64 with skips: the released model has 54.4 M weights.
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(54.4e6, rel=0.002)


@pytest.mark.parametrize("shape", SHAPES)
def test_translators_keep_any_size_and_move_every_weight(shape: tuple[int, ...]) -> None:
    for net in (unet(shape), Translator(shape[0], 3, 4, 1), Translator(shape[0], 3, 4, 1, "resize")):
        x = torch.randn(2, *shape)
        y = net(x)
        assert y.shape == (2, 3, *shape[1:]) and y.abs().max() <= 1
        gradients = torch.autograd.grad(y.square().sum(), list(net.parameters()))
        assert all(torch.isfinite(g).all() and g.abs().sum() > 0 for g in gradients)


def test_larger_pictures_pass_as_they_are() -> None:
    for net in (unet((3, 16, 16)), unet((3, 12, 20)), Translator(3, 3, 4, 1)):
        for size in ((16, 20), (21, 37), (64, 33)):
            assert net(torch.randn(1, 3, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_padding_does_not_depend_on_the_number_of_channels(channels: int) -> None:
    """A well-known script pads by as many pixels as there are channels, which is right for three alone."""
    net = Translator(channels, channels, 4, 1)
    assert net(torch.randn(1, channels, 16, 20)).shape == (1, channels, 16, 20)
    assert [m.padding[0] for m in net.modules() if isinstance(m, nn.ReflectionPad2d)] == [3, 1, 1, 3]


def test_translator_has_the_papers_size() -> None:
    assert sum(p.numel() for p in Translator(3, 3, 64, 9).parameters()) == pytest.approx(11.38e6, rel=0.002)
    with pytest.raises(ValueError, match="5 pixels"):
        Translator(1, 1, 4, 1)(torch.randn(1, 1, 4, 9))


@pytest.mark.parametrize("strided", [0, 1, 2, 3, 4])
def test_a_score_sees_as_many_pixels_as_it_says(strided: int) -> None:
    torch.manual_seed(0)
    net = PatchGAN((1, 256, 256), 2, strided, "none")
    x = torch.randn(1, 1, 256, 256, requires_grad=True)
    scores = net(x)
    middle = scores[0, scores.shape[1] // 2, scores.shape[2] // 2]
    (slope,) = torch.autograd.grad(middle, x)
    seen = slope[0, 0] != 0
    assert (int(seen.any(0).sum()), int(seen.any(1).sum())) == (receptive_field(strided),) * 2
    assert receptive_field(3) == 70


def test_patchgan_fits_small_pictures() -> None:
    assert [fitting((3, n, n), 3) for n in (3, 6, 12, 24, 256)] == [0, 1, 2, 3, 3]
    for size in ((3, 3), (8, 8), (17, 24), (70, 70)):
        scores = PatchGAN((3, *size), 4)(torch.randn(2, 3, *size))
        assert scores.dim() == 3 and len(scores) == 2
    assert PatchGAN((3, 256, 256), 4)(torch.randn(1, 3, 256, 256)).shape == (1, 30, 30)
    with pytest.raises(ValueError, match="3 pixels"):
        PatchGAN((1, 2, 9), 4)


def test_scores_are_no_probabilities() -> None:
    """A sigmoid inside D together with a loss on logits was a defect of a well-known implementation."""
    torch.manual_seed(0)
    scores = PatchGAN((1, 32, 32), 4, 2)(torch.randn(8, 1, 32, 32) * 50)
    assert scores.min() < 0
    net = PatchGAN((1, 32, 32), 4, 2)
    nn.init.constant_(net.head.bias, 7.0)  # type: ignore[arg-type]
    assert net(torch.randn(2, 1, 32, 32)).mean() > 2


def test_samples_do_not_see_one_another_in_either_mode() -> None:
    nets = (unet((3, 16, 16)), Translator(3, 3, 4, 1), PatchGAN((3, 16, 16), 4))
    x = torch.randn(4, 3, 16, 16)
    for net in nets:
        for mode in (True, False):
            net.train(mode)
            torch.testing.assert_close(net(x)[:1], net(x[:1]), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(net.train()(x), net.eval()(x))


def test_dropout_is_the_noise() -> None:
    x = torch.randn(3, 3, 16, 16)

    def drawn(net: nn.Module, seed: int, rows: Tensor = x) -> Tensor:
        with draws(Stream(torch.Generator().manual_seed(seed), rows=8)):
            return net(rows)

    noisy, quiet = unet((3, 16, 16), dropout=0.5, always=True).eval(), unet((3, 16, 16), dropout=0.5).eval()
    assert torch.equal(drawn(noisy, 0), drawn(noisy, 0)) and not torch.equal(drawn(noisy, 0), drawn(noisy, 1))
    torch.testing.assert_close(drawn(noisy, 0)[:2], drawn(noisy, 0, x[:2]), rtol=1e-4, atol=1e-5)
    assert torch.equal(drawn(quiet, 0), drawn(quiet, 1))
    assert not torch.equal(drawn(quiet.train(), 0), drawn(quiet, 1))


def test_dropout_keeps_the_mean() -> None:
    from gansmith.nets.unet import Dropout

    out = Dropout(0.3, True, uniform).eval()(torch.ones(1, 200_000))
    assert float(out.mean()) == pytest.approx(1.0, abs=0.01)
    assert float((out == 0).float().mean()) == pytest.approx(0.3, abs=0.01)


class ByTheBook:
    """The pool as it is described: one picture at a time, in plain Python."""

    def __init__(self, size: int) -> None:
        self.size, self.kept = size, list[float]()

    def __call__(self, fake: float, swap: float, where: float) -> float:
        if len(self.kept) < self.size:
            self.kept.append(fake)
            return fake
        if swap < 0.5:
            i = int(where * self.size)
            old, self.kept[i] = self.kept[i], fake
            return old
        return fake


@pytest.mark.parametrize(("size", "batch"), [(50, 1), (5, 8), (7, 3), (1, 4)])
def test_the_pool_does_as_described(size: int, batch: int) -> None:
    pool, book = Pool(size, (1,)), ByTheBook(size)
    dice = random.Random(0)
    number = itertools.count()
    swapped = total = 0
    for _ in range(200 // batch):
        fakes = [float(next(number)) for _ in range(batch)]
        chances = [(dice.random(), dice.random()) for _ in fakes]
        expected = [book(f, *c) for f, c in zip(fakes, chances, strict=True)]
        found = pool(torch.tensor(fakes)[:, None], torch.tensor(chances))
        assert found[:, 0].tolist() == expected
        swapped += sum(f != e for f, e in zip(fakes, expected, strict=True))
        total += batch
    assert pool.fakes[:, 0].tolist() == book.kept
    assert swapped / total > 0.2
    state = pool.state_dict()
    again = Pool(size, (1,))
    again.load_state_dict(state)
    one, two = (p(torch.tensor([[1e6]]), torch.tensor([[0.1, 0.9]])) for p in (pool, again))
    assert torch.equal(one, two)


def test_a_pool_of_none_returns_what_it_gets() -> None:
    x = torch.randn(3, 2)
    assert torch.equal(Pool(0, (2,))(x, torch.zeros(3, 2)), x)


def test_jitter_moves_both_halves_alike_and_every_row_on_its_own() -> None:
    torch.manual_seed(0)
    a = torch.rand(64, 1, 16, 20) * 2 - 1
    b = torch.cat((a * 0.5, -a), 1)
    moved_a, moved_b = jitter(a, b, enlarge=1.3, mirror=True)
    assert moved_a.shape == a.shape and moved_b.shape == b.shape
    torch.testing.assert_close(moved_b, torch.cat((moved_a * 0.5, -moved_a), 1))
    assert moved_a.min() >= -1 and moved_a.max() <= 1
    same = a[:1].expand(64, -1, -1, -1)
    (moved,) = jitter(same, enlarge=1.3, mirror=True)
    assert len(torch.unique(moved.flatten(1), dim=0)) > 32


def test_jitter_of_one_without_mirror_changes_nothing_and_mirror_alone_mirrors() -> None:
    a = torch.rand(200, 3, 4, 5)
    assert jitter(a, enlarge=1.0, mirror=False)[0] is a
    (moved,) = jitter(a, enlarge=1.0, mirror=True)
    kept = (moved == a).flatten(1).all(1)
    mirrored = (moved == a.flip(3)).flatten(1).all(1)
    assert (kept ^ mirrored).all() and 0.3 < float(kept.float().mean()) < 0.7
    with pytest.raises(ValueError, match="agree in size"):
        jitter(a, torch.rand(200, 3, 5, 5), enlarge=1.1, mirror=True)


def test_jitter_reaches_every_place() -> None:
    """Enlarged from 8 to 11 pixels there are 4 x 4 places to cut from: an edge of the picture is seen at each."""
    ramp = torch.arange(8.0).expand(4000, 1, 8, 8)
    (moved,) = jitter(ramp, enlarge=11 / 8, mirror=False)
    starts = torch.unique(moved[:, 0, 0, 0].mul(1e3).round())
    assert len(starts) == 4
