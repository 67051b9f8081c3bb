"""Options and recipes given in Python mean what they say on the command line, or are refused in words."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gansmith
from gansmith.cli import main
from gansmith.options import Count, Size, Span
from gansmith.recipes.cgan import CGAN
from gansmith.recipes.gan import GAN


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"images": "20k"}, Count(20_000)),
        ({"images": 2e5}, Count(200_000)),
        ({"images": np.int64(64)}, Count(64)),
        ({"size": 32}, Size((32, 32))),
        ({"size": "32x48"}, Size((32, 48))),
        ({"size": [16, 24]}, Size((16, 24))),
        ({"range": []}, Span()),
        ({"range": [0, 4095]}, Span((0, 4095))),
        ({"data_dir": "data"}, Path("data")),
        ({"minutes": 1}, 1.0),
    ],
)
def test_a_value_gets_its_type(given: dict[str, Any], meant: Any) -> None:
    (name,) = given
    found = getattr(gansmith.TrainOptions(**given), name)
    assert found == meant
    assert type(found) is type(meant) or isinstance(meant, Path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"precision": "fp16"}, "precision is 'fp16'; it must be one of auto, fp32, bf16"),
        ({"images": 1.5}, "write 200000, 200k or 1.5M"),
        ({"images": float("inf")}, "write 200000, 200k or 1.5M"),
        ({"batch_size": "8"}, "batch_size is '8'; it must be a whole number"),
        ({"batch_size": float("nan")}, "batch_size is nan; it must be a whole number"),
        ({"batch_size": True}, "it must be a whole number"),
        ({"data_dir": 3}, "it must be a path or None"),
        ({"size": "wide"}, "write 32, or 48x64"),
        ({"text_lowercase": 1}, "it must be True or False"),
        ({"minutes": float("nan")}, "minutes is nan; it must be at least 0"),
        ({"minutes": float("inf")}, "minutes is inf; it must be at least 0 and at most"),
        ({"minutes": -1.0}, "minutes is -1.0; it must be at least 0"),
        ({"minutes": 1e-320}, "float32"),
        ({"batch_size": 10**9}, "batch_size is 1000000000; it must be at least 1 and at most 1,000,000"),
        ({"checkpoint_every": -1}, "checkpoint_every is -1; it must be at least 0"),
        ({"images": -1}, "images is -1; it must be at least 0"),
        ({"keep": 0}, "keep is 0; it must be at least 1"),
        ({"seed": 2**63}, "seed is"),
    ],
)
def test_a_value_that_cannot_be_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="TrainOptions: ") as refused:
        gansmith.TrainOptions(**given)
    assert words in str(refused.value)


def test_a_recipes_fields_too() -> None:
    """PyTorch 2.13 refuses Adam's betas as (0, .99), an int among them."""
    made = GAN(width=64.0, betas=[0, 0.99])  # type: ignore[arg-type]
    assert type(made.width) is int
    assert made.betas == (0.0, 0.99)
    assert type(made.betas[0]) is float
    with pytest.raises(ValueError, match=r"betas is .*; it must be 2 values"):
        GAN(betas=(0.5,))  # type: ignore[arg-type]


# --- what is trained on, and what samples are asked to be -------------------------------------------------------------


def few(**options: Any) -> gansmith.TrainOptions:
    return gansmith.TrainOptions(images=64, batch_size=16, device="cpu", precision="fp32", layout="nchw", **options)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> gansmith.Model:
    run = gansmith.train(CGAN(width=4, z_dim=5), "digits", few(), out=tmp_path_factory.mktemp("asked") / "run")
    return gansmith.load(run.path)


@pytest.mark.parametrize(
    "label", [3, "3", [3, 3, 3], ["3"] * 3, np.full(3, 3, np.uint8), torch.tensor([3, 3, 3]), (3, 3, 3)], ids=repr
)
def test_a_class_is_asked_for_as_one_likes(model: gansmith.Model, label: Any) -> None:
    wanted = model.sample(3, given={"label": torch.tensor([3, 3, 3])})
    assert np.array_equal(model.sample(3, given={"label": label}), wanted)
    assert not np.array_equal(model.sample(3, given={"label": 4}), wanted)


def test_noise_may_be_numpys_own(model: gansmith.Model) -> None:
    z = np.random.default_rng(0).normal(size=(3, 5))
    given = {"label": 3, "z": z}
    assert np.array_equal(
        model.sample(3, given=given), model.sample(3, given={**given, "z": torch.from_numpy(z).float()})
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"n": 2.5}, "n is 2.5; it must be a whole number"),
        ({"seed": "a"}, "seed is 'a'"),
        ({"given": {"label": 11}}, "labels are [11]; they must be whole numbers from 0 to 9"),
        ({"given": {"label": "eleven"}}, "label 'eleven': the classes of this model are 0, 1"),
        ({"given": {"label": [1, 2]}}, "has 2 rows for 3 samples"),
        ({"given": {"label": None}}, "must be numbers"),
        ({"given": {"hue": 3}}, "cgan cannot be given 'hue'; it takes ['label', 'z']"),
    ],
)
def test_what_cannot_be_asked_for(model: gansmith.Model, asked: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=re.escape(words)):
        model.sample(**{"n": 3, **asked})


@pytest.mark.parametrize(
    "data", [torch.rand(40, 2), torch.rand(40, 2).tolist(), {"x": torch.rand(40, 2)}], ids=["tensor", "lists", "field"]
)
def test_rows_in_tensors_and_lists_are_arrays(data: Any, tmp_path: Path) -> None:
    run = gansmith.train(GAN(width=4, z_dim=2), data, few(), out=tmp_path / "run")
    assert gansmith.load(run.path).sample(3).shape == (3, 2)


def test_a_class_is_no_recipe_and_a_dict_no_options(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"give GAN\(\), made of the class"):
        gansmith.train(GAN, "digits", few(), out=tmp_path / "run")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="it must be a TrainOptions"):
        gansmith.train(GAN(), "digits", {"images": 64}, out=tmp_path / "run")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e-320, 1e308])
def test_a_recipes_numbers_are_finite_and_not_lost_in_float32(value: float) -> None:
    with pytest.raises(ValueError, match=r"GAN: lr is .*; (it must be a finite number|training computes in float32)"):
        GAN(lr=value)
    with pytest.raises(ValueError, match="GAN: betas"):
        GAN(betas=(0.5, value))


@pytest.mark.parametrize("words", ["--minutes nan", "--minutes -3", "--lr 1e-320", "--lr nan", "--batch-size 0"])
def test_on_the_command_line_too(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    option, value = words.split()
    assert main(["train", "gan", "--out", str(tmp_path / "run"), option, value]) in (1, 2)
    line = capsys.readouterr().err.splitlines()[0]
    assert line.startswith(("gansmith: error: GAN: lr is ", f"gansmith: error: {option} is "))
    assert not (tmp_path / "run").exists()
