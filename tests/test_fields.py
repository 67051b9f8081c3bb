"""Options and recipes given in Python mean what they say on the command line, or are refused in words."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gansmith
from gansmith.options import Count, Size
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
