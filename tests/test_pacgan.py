"""Packing: neighbours are judged together, a pack of one is the plain GAN, a batch that does not divide is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gansmith
from gansmith.data import DataSpec, ImageCodec, VectorCodec
from gansmith.nets import mlp
from gansmith.options import Count
from gansmith.recipes.dcgan import DCGAN
from gansmith.recipes.pacgan import PacGAN
from gansmith.step.step import Step

VECTOR = DataSpec(kind="vector", shape=(2,), codec=VectorCodec(mean=(0.0, 0.0)))
IMAGE = DataSpec(kind="image", shape=(3, 17, 24), codec=ImageCodec())


def state(recipe: Any, spec: DataSpec, **options: Any) -> dict[str, Tensor]:
    """After three steps in float64."""
    torch.manual_seed(0)
    nets = nn.ModuleDict(recipe.networks(spec)).double()
    arguments = {"seed": 1, "batch_size": 12} | options
    step = Step(nets, recipe.turns(), recipe.optimizers(), recipe.serving, recipe.average(), **arguments)
    for k in range(3):
        x = torch.randn(12, *spec.shape, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
        step.take(k, lambda _, x=x: {"x": x})
    return step.state()


def test_neighbours_are_joined() -> None:
    recipe = PacGAN(pack=2)
    x = torch.arange(8.0).reshape(4, 2)
    assert recipe.packed(x).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    images = torch.randn(6, 3, 5, 4)
    packs = PacGAN(pack=3).packed(images)
    assert packs.shape == (2, 9, 5, 4)
    assert torch.equal(packs[1, 3:6], images[4])


@pytest.mark.parametrize("spec", [VECTOR, IMAGE], ids=["vector", "image"])
def test_only_the_first_layer_of_d_grows(spec: DataSpec) -> None:
    nets = (nn.ModuleDict(PacGAN(pack=m, width=8).networks(spec)) for m in (1, 3))
    one, three = ({k: v.shape for k, v in net.state_dict().items()} for net in nets)
    changed = [k for k in one if one[k] != three[k]]
    assert one.keys() == three.keys()
    assert len(changed) == 1
    assert three[changed[0]][1] == 3 * one[changed[0]][1]


def test_a_pack_of_one_is_dcgan_on_pictures() -> None:
    alone, plain = state(PacGAN(pack=1, width=8), IMAGE), state(DCGAN(width=8), IMAGE)
    assert alone.keys() == plain.keys()
    assert all(torch.equal(alone[k], plain[k]) for k in plain)


@pytest.mark.parametrize("spec", [VECTOR, IMAGE], ids=["vector", "image"])
def test_micro_batches_see_the_same_packs(spec: DataSpec) -> None:
    recipe = PacGAN(pack=2, width=8, norm="none", z_dim=4)
    whole, parts = state(recipe, spec), state(recipe, spec, micro_batches=3)
    for key in whole:
        torch.testing.assert_close(parts[key], whole[key], rtol=1e-7, atol=1e-10)


def test_what_does_not_divide_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match="12 samples cannot be joined in packs of 5: choose a batch size that is a multiple of 5 x ranks",
    ):
        state(PacGAN(pack=5, width=8), VECTOR)
    with pytest.raises(ValueError, match="3 samples cannot be joined in packs of 2"):
        state(PacGAN(pack=2, width=8), VECTOR, micro_batches=4)
    with pytest.raises(ValueError, match="pack is 0"):
        PacGAN(pack=0).networks(VECTOR)


def test_train_refuses_it_before_the_first_step(tmp_path: Path) -> None:
    options = gansmith.TrainOptions(images=Count(64), batch_size=9, device="cpu", precision="fp32")
    points = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    with pytest.raises(ValueError, match="9 samples cannot be joined in packs of 2"):
        gansmith.train(PacGAN(width=8), points, options, out=tmp_path / "run")


def test_maxout_is_the_largest_of_its_pieces() -> None:
    layer = mlp.Maxout(2, 8, 3)
    x = torch.randn(5, 2)
    assert torch.equal(layer(x), torch.stack([layer.linear(x)[:, 3 * i : 3 * i + 3].amax(1) for i in range(8)], 1))
