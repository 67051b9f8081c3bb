"""What a model can be asked for: classes as often as the data has them, InfoGAN's codes; and sheets with one a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..asks import Choice, Noise, Numbers
from ..data import DataSpec
from ..model.ask import MOST_ROWS, rows_of_labels, takes_labels
from ..model.draw import Weights
from ..model.model import Model
from ..recipe import EMPTY, Batch, Recipe
from ..show import show_of
from ..step.randomness import derive


@dataclass(frozen=True, kw_only=True, eq=False)
class Sheet:
    """Samples to be shown in rows."""

    samples: np.ndarray
    columns: int
    what: str
    """In words, what varies."""


def label_sheet(model: Model, n: int, *, seed: int = 0, weights: Weights = "ema") -> Sheet:
    """About n samples, a class a row; a column has one noise vector, where the recipe can be given it.

    Raises `ValueError` if the model takes no labels.
    """
    if not takes_labels(model.recipe, model.spec):
        raise ValueError(f"{model.recipe_name} was trained without labels: there is no class to put into each row")
    columns = max(n // min(len(model.spec.classes), MOST_ROWS), 1)
    y = rows_of_labels(model.spec, columns)
    given = {"label": y}
    if isinstance(noise := model.asks.get("z"), Noise):
        given["z"] = _normal(columns, noise.size, seed).repeat(len(y) // columns, 1)
    samples = model.stored(len(y), seed=seed, weights=weights, given=given)
    names = ", ".join(model.spec.classes[int(k)] for k in y[::columns])
    return Sheet(samples=samples, columns=columns, what=f"a class a row: {names}")


def code_sheet(model: Model, n: int, *, seed: int = 0, weights: Weights = "ema") -> Sheet:
    """About n samples (at least 5 a code), a category a row; from left to right each continuous code goes from -1 to 1.

    All are of one noise vector, and codes that do not vary are 0. Raises `ValueError` if the model takes no codes.
    """
    match model.asks:
        case {"code": Choice(count=rows), "z": Noise(size=z_dim)}:
            codes = numbers.size if isinstance(numbers := model.asks.get("continuous"), Numbers) else 0
        case _:
            words = "has no codes: --sweep code is for infogan; --sweep label for classes"
            raise ValueError(f"{model.recipe_name} {words}")
    steps = max(n // (rows * max(codes, 1)), 5)
    across = torch.zeros(max(codes, 1) * steps, codes)
    for k in range(codes):
        across[k * steps : (k + 1) * steps, k] = torch.linspace(-1, 1, steps)
    columns = len(across)
    given = {
        "code": torch.arange(rows).repeat_interleave(columns),
        "z": _normal(1, z_dim, seed).expand(rows * columns, -1),
    }
    if codes:
        given["continuous"] = across.repeat(rows, 1)
    samples = model.stored(rows * columns, seed=seed, weights=weights, given=given)
    return Sheet(
        samples=samples, columns=columns, what=f"a category a row; {codes} continuous codes, each from -1 to 1"
    )


def film_labels(recipe: Recipe, spec: DataSpec, columns: int = 8) -> Batch:
    """What the pictures of a run's film are asked for: a class a row, or nothing."""
    if not show_of(spec.kind).apart or not takes_labels(recipe, spec):
        return EMPTY
    return {"label": rows_of_labels(spec, columns)}


def _normal(n: int, size: int, seed: int) -> Tensor:
    return torch.randn(n, size, generator=torch.Generator().manual_seed(derive(seed, "sweep")))
