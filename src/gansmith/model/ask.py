"""What a model can be asked for: labels and codes, as often as the training data has them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..data import DataSpec
from ..recipe import Batch, Recipe
from ..step.randomness import derive
from .draw import Weights, draw_samples
from .model import Model


def takes_labels(recipe: Recipe, nets: nn.ModuleDict, spec: DataSpec) -> bool:
    """Whether samples can be asked for by class: the recipe knows labels, and these networks were trained with them."""
    if "label" not in recipe.takes or not spec.classes:
        return False
    try:
        draw_samples(recipe, nets, 1, 0, {"label": torch.zeros(1, dtype=torch.int64)})
    except ValueError:  # a recipe that was told to do without
        return False
    return True


MOST_ROWS = 16
"""Classes that a sheet shows at most; of more, evenly spaced ones."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What samples were asked to be."""

    kind: str
    """`label`, or `code`, whose numbers mean nothing until they are matched to classes."""
    values: np.ndarray
    """(n,) int64."""

    @property
    def given(self) -> Batch:
        """As `Recipe.sample` takes it."""
        return {self.kind: torch.from_numpy(self.values)}


def asked(model: Model, n: int, seed: int, weights: Weights = "ema") -> Asked | None:
    """Labels drawn as often as the data has them, or codes drawn evenly; None where the model takes neither."""
    random = np.random.Generator(np.random.Philox(key=[seed % 2**64, 12]))
    if takes_labels(model.recipe, model.weights(weights), model.spec):
        classes, counts = len(model.spec.classes), np.asarray(model.spec.counts, np.float64)
        share = counts / counts.sum() if len(counts) == classes else None
        return Asked(kind="label", values=random.choice(classes, n, p=share))
    if "code" in model.recipe.takes:
        return Asked(kind="code", values=random.integers(int(_field(model.recipe, "categories")), size=n))
    return None


def rows_of_labels(spec: DataSpec, columns: int) -> Tensor:
    """Labels (rows * columns,) of a sheet with a class a row."""
    k = min(len(spec.classes), MOST_ROWS)
    shown = torch.arange(k) * len(spec.classes) // k
    return shown.repeat_interleave(columns)


def _noise(recipe: Recipe, n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(derive(seed, "sweep"))
    return torch.randn(n, int(_field(recipe, "z_dim")), generator=generator)


def _field(recipe: Recipe, name: str) -> float:
    """A recipe that takes `z` has a field `z_dim`; one that takes `code`, also `categories` and `continuous`."""
    return dataclasses.asdict(recipe)[name]
