"""Augmentations: nothing at p = 0 to the bit, the right changes at the right rate, p that follows overfitting."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import gansmith
from gansmith import cli
from gansmith.augment.ada import ADA, SYM6, Warp, sample, sample_by_index
from gansmith.augment.build import build
from gansmith.augment.diffaugment import DiffAugment
from gansmith.options import Count
from gansmith.recipes.stylegan2 import StyleGAN2
from gansmith.run import Run
from gansmith.step.randomness import Stream, draws


def ada(shape: tuple[int, ...] = (3, 16, 16), p: float = 1.0) -> ADA:
    module = ADA(shape, 0.6, 1_000)
    module.p.fill_(p)
    return module


def smooth(n: int, *shape: int) -> Tensor:
    """Pictures without fine detail, which resampling keeps."""
    torch.manual_seed(0)
    coarse = torch.randn(n, shape[0], 4, 4)
    return torch.nn.functional.interpolate(coarse, shape[1:], mode="bicubic", align_corners=True)


def chosen(changes: set[int], n: int = 4, of: int = 14, **values: float) -> Tensor:
    """Uniform draws that make these changes and no other; `v9=0.3` sets column 9."""
    found = torch.full((n, of), 0.5)
    found[:, : 8 if of == 14 else 5] = 1.0
    found[:, sorted(changes)] = 0.0
    for key, value in values.items():
        found[:, int(key[1:])] = value
    return found


# --- identity, gradients --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 8, 8), (4, 9, 20), (2, 3, 5)])
def test_at_p_0_nothing_changes_to_the_bit(shape: tuple[int, ...]) -> None:
    x = torch.randn(32, *shape)
    assert torch.equal(ada(shape, 0.0)(x), x)
    changed = ada(shape, 1.0)(x)
    assert changed.shape == x.shape
    assert torch.isfinite(changed).all()
    assert not (changed == x).flatten(1).all(1).any()  # the control: at p = 1 every picture changes
    half = (ada(shape, 0.05)(torch.randn(2_000, *shape[:1], *shape[1:])).isfinite()).all()
    assert half


@pytest.mark.parametrize("kind", ["none", "ada", "diffaugment"])
def test_gradients_reach_the_pictures(kind: Any) -> None:
    module = build(kind, (3, 16, 16), 0.6, 1_000)
    if isinstance(module, ADA):
        module.p.fill_(1.0)
    x = torch.randn(8, 3, 16, 16, requires_grad=True)
    (slope,) = torch.autograd.grad(module(x).square().sum(), x)
    assert torch.isfinite(slope).all()
    assert slope.flatten(1).any(1).all()


def test_the_gradient_is_that_of_a_linear_map() -> None:
    module = ada((2, 7, 9)).double()

    def run(x: Tensor) -> Tensor:
        with draws(Stream(torch.Generator().manual_seed(3))):
            return module(x)

    assert torch.autograd.gradcheck(run, torch.randn(2, 2, 7, 9, dtype=torch.float64, requires_grad=True))


def test_draws_are_the_steps_own_and_ranks_take_their_slice() -> None:
    x = torch.randn(8, 3, 16, 16)
    for module in (ada(p=0.7), DiffAugment()):

        def run(part: int, parts: int, rows: Tensor, module: Any = module) -> Tensor:
            with draws(Stream(torch.Generator().manual_seed(5), part, parts)):
                return module(rows)

        whole = run(0, 1, x)
        assert torch.equal(whole, run(0, 1, x))
        torch.testing.assert_close(torch.cat((run(0, 2, x[:4]), run(1, 2, x[4:]))), whole)


# --- geometry -------------------------------------------------------------------------------------------------------


def test_the_wavelet_is_orthogonal_to_its_shifts() -> None:
    taps = np.array(SYM6)
    assert taps.sum() == pytest.approx(math.sqrt(2), abs=1e-9)
    for shift in range(6):
        assert (taps[2 * shift :] * taps[: len(taps) - 2 * shift]).sum() == pytest.approx(float(shift == 0), abs=1e-9)


@pytest.mark.parametrize("size", [(16, 16), (5, 12), (3, 4)])
def test_an_identity_warp_is_the_identity(size: tuple[int, int]) -> None:
    x = torch.randn(3, 2, *size)
    torch.testing.assert_close(Warp(*size)(x, torch.eye(3).expand(3, 3, 3)), x, rtol=1e-4, atol=1e-4)


def warped(module: ADA, x: Tensor, draws_: Tensor, bell: Tensor | None = None) -> Tensor:
    matrix, moved = module.geometry(draws_, torch.zeros(len(x), 4) if bell is None else bell)
    assert moved.all()
    return module.warp(x, matrix)


def test_blits_are_flips_turns_and_mirrored_shifts() -> None:
    x, module = smooth(4, 3, 16, 16), ada()
    for draw, expected in ((0.1, x.flip(3)), (0.9, x)):
        assert (warped(module, x, chosen({0}, v8=draw)) - expected).abs().mean() < 0.01 * x.std()
    turned = [warped(module, x, chosen({1}, v9=k / 4 + 0.1)) for k in range(4)]
    for k, found in enumerate(turned):
        matches = [float((found - torch.rot90(x, j, (2, 3))).abs().mean() / x.std()) for j in range(4)]
        assert np.argmin(matches) in (k, -k % 4)
        assert min(matches) < 0.03
        assert sorted(matches)[1] > 0.3
    shifted = warped(module, x, chosen({2}, v10=0.999, v11=0.001))  # 2 pixels along each side
    best = {
        (dx, dy): float((shifted[:, :, 4:-4, 4:-4] - x.roll((dy, dx), (2, 3))[:, :, 4:-4, 4:-4]).abs().max())
        for dx in (-2, 2)
        for dy in (-2, 2)
    }
    assert min(best.values()) < 1e-3
    assert sorted(best.values())[1] > 0.1
    edge = warped(module, x, chosen({2}, v10=0.999, v11=0.5))
    sides = (x.roll(2, 3), x.roll(-2, 3))
    near = min(sides, key=lambda s: float((edge - s)[..., 4:-4].abs().max()))
    columns = slice(0, 2) if near is sides[0] else slice(-2, None)
    mirrored = x[..., columns].flip(3)  # not what comes in from the other side
    assert (edge[..., columns] - mirrored).abs().mean() < 0.1 * x.std()


@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
def test_each_map_has_the_papers_shape(size: tuple[int, int]) -> None:
    height, width = size
    module = ada((1, *size))
    bell = torch.tensor([[1.0, -1.0, 0.5, 2.0]]).expand(4, -1)

    def of(changes: set[int], **values: float) -> np.ndarray:
        return module.geometry(chosen(changes, **values), bell)[0][0].numpy()

    np.testing.assert_allclose(of({3}), np.diag([2**0.2, 2**0.2, 1]), rtol=1e-6)
    np.testing.assert_allclose(of({5}), np.diag([2**-0.2, 2**0.2, 1]), rtol=1e-6)
    np.testing.assert_allclose(of({7}), [[1, 0, width / 16], [0, 1, height / 4], [0, 0, 1]], rtol=1e-6)
    turn = of({4}, v12=0.75)  # a quarter of the circle
    np.testing.assert_allclose(turn, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-6)
    for k in range(4):
        turn = of({1}, v9=k / 4 + 0.1)
        if height != width:
            np.testing.assert_allclose(np.abs(turn), np.eye(3), atol=1e-6)
    product = of({3, 5, 7})
    np.testing.assert_allclose(product, of({3}) @ of({5}) @ of({7}), atol=1e-5)
    assert not module.geometry(chosen(set()), bell)[1].any()


def test_changes_come_at_the_rate_p_and_leak_nothing() -> None:
    """A quarter turn chosen evenly from all four, with p: the least turned stay the most, so nothing is mistaken."""
    n = 40_000
    torch.manual_seed(0)
    for p in (0.3, 0.8):
        module = ada((1, 8, 8), p)
        uniform = torch.rand(n, 14)
        others = torch.tensor([0, 2, 3, 4, 5, 6, 7])
        uniform[:, others] = 1.0
        matrix, moved = module.geometry(uniform, torch.randn(n, 4))
        angle = torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]).mul(2 / math.pi).round().long() % 4
        shares = torch.bincount(angle, minlength=4) / n
        assert float(moved.float().mean()) == pytest.approx(p, abs=0.01)
        np.testing.assert_allclose(shares, [1 - p * 3 / 4, p / 4, p / 4, p / 4], atol=0.01)
        uniform = torch.rand(n, 14)
        uniform[:, torch.tensor([0, 1, 2, 3, 5, 7])] = 1.0
        matrix, moved = module.geometry(uniform, torch.randn(n, 4))
        assert float(moved.float().mean()) == pytest.approx(p, abs=0.01)  # before or after: p in all
        angle = torch.atan2(matrix[moved, 1, 0], matrix[moved, 0, 0])
        shares = torch.histc(angle, 8, -math.pi, math.pi) / len(angle)
        np.testing.assert_allclose(shares, 1 / 8, atol=0.01)


def test_sampling_by_index_is_grid_sample() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 2, 9, 11, dtype=torch.float64)
    columns, rows = torch.rand(3, 5, 6, dtype=torch.float64) * 10, torch.rand(3, 5, 6, dtype=torch.float64) * 8
    a, b = (x.clone().requires_grad_() for _ in range(2))
    one, two = sample(a, columns, rows), sample_by_index(b, columns, rows)
    torch.testing.assert_close(one, two)
    weight = torch.randn_like(one)
    gradients = [torch.autograd.grad((v * weight).sum(), source)[0] for v, source in ((one, a), (two, b))]
    torch.testing.assert_close(*gradients)


# --- colour ---------------------------------------------------------------------------------------------------------


def test_each_change_of_colour() -> None:
    module = ada()
    bell = torch.tensor([[1.5, -1.0, 1.0]]).expand(4, -1)

    def of(changes: set[int], **values: float) -> tuple[Tensor, float]:
        matrix, offset, changed = module.colours(chosen(changes, of=7, **values), bell)
        assert bool(changed.all()) == bool(changes)
        return matrix[0], float(offset[0])

    eye, ones = torch.eye(3), torch.ones(3)
    matrix, offset = of(set())
    assert torch.equal(matrix, eye)
    assert offset == 0
    assert of({0})[1] == pytest.approx(0.3)
    torch.testing.assert_close(of({1})[0], eye * 2**-0.5)
    assert of({0, 1})[1] == pytest.approx(0.3 * 2**-0.5)
    flip, offset = of({0, 2}, v5=0.1)
    torch.testing.assert_close(flip @ ones, -ones)
    torch.testing.assert_close(flip @ flip, eye)
    assert offset == pytest.approx(-0.3)
    assert torch.equal(of({2}, v5=0.9)[0], eye)
    hue = of({3}, v6=0.5 + 1 / 3)[0]  # a third of the circle: colours change places
    torch.testing.assert_close(hue.abs().sort()[0], torch.tensor([[0.0, 0, 1]] * 3), atol=1e-6, rtol=0)
    hue = of({3}, v6=0.83)[0]
    torch.testing.assert_close(hue @ ones, ones)
    torch.testing.assert_close(hue @ hue.T, eye)
    saturated = of({4})[0]
    torch.testing.assert_close(saturated @ ones, ones)
    torch.testing.assert_close(saturated @ torch.tensor([1.0, -1, 0]), torch.tensor([2.0, -2, 0]))


def test_grey_pictures_have_no_hue_or_saturation() -> None:
    module = ada((1, 8, 8))
    x = torch.randn(64, 1, 8, 8)
    matrix, offset, _ = module.colours(chosen({3, 4}, 64, 7), torch.ones(64, 3))
    assert torch.equal(matrix, torch.ones(64, 1, 1))
    assert not offset.any()
    flip = module.colours(chosen({2}, 64, 7, v5=0.1), torch.ones(64, 3))[0]
    torch.testing.assert_close(flip @ x.flatten(2), -x.flatten(2))


# --- p --------------------------------------------------------------------------------------------------------------


def test_p_follows_overfitting_and_stays_within_0_and_1() -> None:
    module = ADA((1, 8, 8), 0.6, 1_000)
    seen = []
    for k in range(60):
        sure = 1.0 if k < 30 else -1.0  # of real pictures: first always right, then always wrong
        module.adjust(torch.tensor(50.0 * k))
        module.observe(torch.full((50,), sure))
        seen.append(float(module.p))
    assert seen[0] == 0
    np.testing.assert_allclose(np.diff(seen[:21]), 0.05, atol=1e-6)  # 50 of 1,000 images a step
    assert seen[20:31] == [1.0] * 11
    assert seen[40] < 0.8
    assert seen[-1] == 0.0
    assert all(0 <= p <= 1 for p in seen)
    share = torch.cat((torch.ones(7), -torch.ones(3)))  # r = 0.4, below the target
    calm = ADA((1, 8, 8), 0.6, 1_000)
    calm.p.fill_(0.5)
    eager = ADA((1, 8, 8), 0.3, 1_000)
    eager.p.fill_(0.5)
    for k in range(3):
        for module in (calm, eager):
            module.adjust(torch.tensor(10.0 * k))
            module.observe(share)
    assert float(calm.p) == pytest.approx(0.48)
    assert float(eager.p) == pytest.approx(0.52)


def test_p_survives_resume(tmp_path: Path) -> None:
    recipe = StyleGAN2(width=4, max_width=8, z_dim=8, ada_target=-2.0, ada_images=2_000)  # always below: p only rises
    options = gansmith.TrainOptions(images=Count(640), device="cpu", precision="fp32", sample_every=Count(10**9))
    whole = gansmith.train(recipe, "digits", options, out=tmp_path / "whole")
    first = gansmith.TrainOptions(images=Count(320), device="cpu", precision="fp32", sample_every=Count(10**9))
    gansmith.train(recipe, "digits", first, out=tmp_path / "parts")
    half = p_of(Run(tmp_path / "parts"))
    gansmith.resume(tmp_path / "parts", images=640)
    assert 0.1 < float(half) < float(p_of(whole))
    assert torch.equal(p_of(Run(tmp_path / "parts")), p_of(whole))
    drawn = []
    for psi in ("1", "0.3"):
        assert (
            cli.main(["sample", str(whole.path), "-n", "4", "--truncation", psi, "--out", f"{tmp_path}/{psi}.npz"]) == 0
        )
        with np.load(f"{tmp_path}/{psi}.npz") as saved:
            drawn.append(saved["x"].astype(float).std(0).mean())
    assert drawn[1] < drawn[0]
    assert cli.main(["info", str(whole.path)]) == 0


def p_of(run: Run) -> Tensor:
    found = run.newest(print)
    assert found is not None
    return found[0]["nets.A.p"]


# --- DiffAugment ----------------------------------------------------------------------------------------------------


def test_diffaugment_shifts_cuts_and_colours_within_the_papers_ranges() -> None:
    n, side = 4_000, 16
    torch.manual_seed(0)
    x = torch.ones(n, 3, side, side)
    out = DiffAugment()(x)
    value = out.flatten(1).amax(1)
    covered = (out == 0).all(1).flatten(1).float().mean(1)
    assert 0.5 <= float(value[value > 0].min()) < 0.51  # 1 + [-0.5, 0.5]; contrast and saturation keep a flat grey
    assert 1.49 < float(value.max()) <= 1.5
    # A square of 8 x 8 with its centre anywhere, and up to 2 rows and columns shifted out.
    assert float(covered.max()) <= (64 + 2 * 16 * 4) / 256
    assert 0.0625 <= float(covered.min()) < 0.1
    rows = torch.arange(side).float()[:, None].expand(side, side).expand(n, 3, side, side).contiguous()
    shifted = DiffAugment._shift(rows + 1, torch.arange(side)[:, None], torch.rand(n, 1, 1, 1), 2)
    moves = (shifted[:, 0, 8, 0] - 9).long()
    assert sorted(set(moves.tolist())) == [-2, -1, 0, 1, 2]
    shares = torch.bincount(moves + 2) / n
    np.testing.assert_allclose(shares, 0.2, atol=0.03)
    assert ((shifted == 0).sum(2)[:, 0, 0] == moves.abs()).all()


@pytest.mark.parametrize(("side", "most", "size"), [(20, 3, 10), (16, 2, 8), (9, 1, 5), (7, 1, 4), (4, 1, 2)])
def test_diffaugment_rounds_as_the_authors_code_does(side: int, most: int, size: int) -> None:
    """int(side * ratio + 0.5); a square of odd size begins at one of `side` places, one of even size at side + 1."""
    u = torch.linspace(0, 1, 10_001)[:-1].view(-1, 1, 1, 1)
    place = torch.arange(side)
    x = torch.arange(1.0, side + 1).expand(len(u), 1, 1, side)
    moved = DiffAugment._shift(x, place, u, 3)
    shifts = (moved[..., side // 2] - 1 - side // 2).unique().tolist()
    assert shifts == list(range(-most, most + 1))
    covered = DiffAugment._covered(place, u).flatten(1)
    starts = {tuple(row) for row in covered.tolist()}
    wanted = {tuple(0 <= k - o + size // 2 < size for k in range(side)) for o in range(side + 1 - size % 2)}
    assert starts == wanted


def test_diffaugment_mixes_no_pictures() -> None:
    x = torch.randn(6, 3, 9, 14)
    stream = torch.Generator()
    with draws(Stream(stream.manual_seed(1))):
        one = DiffAugment()(x)
    other = x.clone()
    other[0] = 0
    with draws(Stream(stream.manual_seed(1))):
        two = DiffAugment()(other)
    assert torch.equal(one[1:], two[1:])
    assert not torch.equal(one[0], two[0])
