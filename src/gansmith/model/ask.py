"""What samples are asked to be: labels and codes, as often as the training data has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..asks import Choice, Class
from ..data import DataSpec
from ..recipe import Batch, Recipe
from .model import Model

MOST_ROWS = 16
"""Classes that a sheet shows at most; of more, evenly spaced ones."""


def takes_labels(recipe: Recipe, spec: DataSpec) -> bool:
    """Whether samples can be asked for by class: the recipe knows labels, and is trained with them on such data."""
    return "label" in recipe.asks(spec)


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


def asked(model: Model, n: int, seed: int) -> Asked | None:
    """Labels drawn as often as the data has them, or codes drawn evenly; None where the model takes neither."""
    random = np.random.Generator(np.random.Philox(key=[seed % 2**64, 12]))
    match model.asks:
        case {"label": Class(count=classes)}:
            share = _share(model.spec, classes)
            return Asked(kind="label", values=random.choice(classes, n, p=share))
        case {"code": Choice(count=codes)}:
            return Asked(kind="code", values=random.integers(codes, size=n))
    return None


def class_prior(model: Model) -> str:
    """How `asked` draws labels, in the words of `Protocol.class_prior`."""
    match model.asks:
        case {"label": Class(count=classes)}:
            return "evenly" if _share(model.spec, classes) is None else "as the data has them"
    return "as the recipe draws"


def _share(spec: DataSpec, classes: int) -> np.ndarray | None:
    """How often each class occurs in the data; None where that is not known."""
    counts = np.asarray(spec.counts, np.float64)
    return counts / counts.sum() if len(counts) == classes and counts.any() else None


def rows_of_labels(spec: DataSpec, columns: int) -> Tensor:
    """Labels (rows * columns,) of a sheet with a class a row."""
    k = min(len(spec.classes), MOST_ROWS)
    shown = torch.arange(k) * len(spec.classes) // k
    return shown.repeat_interleave(columns)
