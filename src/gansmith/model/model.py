"""A trained generator as a folder: `model.safetensors` (weights) and `model.json` (what they are).

The recipe, its fields, the data's spec and its codec travel with the weights, so a model samples in the user's own
units wherever it is loaded. Nothing is pickled; the tensors' names and shapes are compared with the recipe's networks
before anything is allocated for them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..asks import Ask, Choice, Class, Condition, Noise, Number, Numbers, Picture, Rows, Switch
from ..data import DataSpec
from ..machine import check_device, check_samples
from ..recipe import EMPTY, Batch, Made, Recipe
from ..settle import checked
from .draw import Weights, apply_to, draw_samples


class Model:
    """A trained generator: `sample` is what it is for.

    >>> import gansmith
    >>> model = gansmith.load("runs/demo")  # doctest: +SKIP
    >>> model.sample(64, seed=0).shape  # doctest: +SKIP
    (64, 8, 8, 1)
    """

    def __init__(
        self, recipe: Recipe, name: str, spec: DataSpec, networks: Mapping[Weights, nn.ModuleDict], images: int
    ) -> None:
        self.recipe, self.recipe_name, self.spec, self.images = recipe, name, spec, images
        self._networks = dict(networks)

    @property
    def networks(self) -> nn.ModuleDict:
        """The averaged networks that samples are drawn with by default."""
        return self._networks["ema"]

    def weights(self, which: Weights) -> nn.ModuleDict:
        """The networks with the averaged weights, or with those of the last step. Raises `ValueError` for others."""
        if which not in self._networks:
            raise ValueError(f"there are no weights {which!r}; there are {', '.join(self._networks)}")
        return self._networks[which]

    @property
    def asks(self) -> Mapping[str, Ask]:
        """What its samples can be asked to be: the names that `given` may have, and what each may hold."""
        return self.recipe.asks(self.spec)

    @property
    def from_noise(self) -> bool:
        """Whether samples can be drawn of nothing but noise; an imputer's of a row without a cell."""
        return self.recipe.from_noise or not self.spec.parts

    @checked
    def to(self, device: str) -> Model:
        """Move the networks to a device; returns the model."""
        check_device(device)
        for nets in self._networks.values():
            nets.to(device)
        return self

    @checked
    def sample(
        self, n: int, *, seed: int = 0, weights: Weights = "ema", given: Mapping[str, Any] = EMPTY
    ) -> np.ndarray:
        """Draw n samples in the data's own units: pictures (n, H, W, C) as uint8, uint16 or float32; vectors (n, D);
        texts (n,) as strings; rows of a table as a structured array (n,), whose fields are the columns in their own
        types (`rows["age"]`; `pandas.DataFrame(rows)`).

        Sample i depends on the seed and on i, not on n. `weights`: the moving average, or the raw weights of the
        last step. `given`: n rows each, or one value for all, for recipes whose samples are made of something ({"a":
        encoded pictures} for pairs and domains; `gansmith.use.translate.translate` takes them as they are), or can be
        asked for ({"label": names of classes, or numbers into `spec.classes`}, {"code": ...} of InfoGAN, {"z": noise}):
        `asks` says what there is. Raises `ValueError` for n < 1, unknown weights, or a missing, unknown or misshapen
        `given`.
        """
        _check_names(self, given)
        rows = _tensors(self.spec, given, n)
        stored = self.stored(n, seed=seed, weights=weights, given=rows)
        return self.spec.made(rows).spec.codec.present(stored)

    @checked
    def apply(self, samples: np.ndarray, what: Made | None = None, *, weights: Weights = "ema") -> np.ndarray:
        """What the model makes of real samples (n, ...) in the data's own units; by default what its recipe does first.

        A "picture" comes in the same units; probabilities of each "class" (`spec.classes`) or "cluster" as float32
        (n, K); a "latent" code as float32 (n, D). Raises `ValueError` if the recipe gives nothing, or no such thing.
        """
        samples = np.asarray(samples)
        shape, dtype = self.spec.codec.stored(self.spec.shape)
        if samples.shape[1:] != shape or samples.ndim != 1 + len(shape) or samples.dtype.kind not in "buif":
            raise ValueError(
                f"samples are {samples.dtype.name} {samples.shape}; the model takes {dtype} "
                f"(N, {', '.join(map(str, shape))})"
            )
        x = self.spec.codec.encode(torch.from_numpy(np.array(samples))).contiguous()
        asked = what or next(iter(self.recipe.gives()), "picture")
        made = apply_to(self.recipe, self.weights(weights), x, asked)
        return self.spec.codec.decode(made) if asked == "picture" else made.numpy()

    @checked
    def stored(self, n: int, *, seed: int = 0, weights: Weights = "ema", given: Batch = EMPTY) -> np.ndarray:
        """The same as the packed store keeps them: of a table, rows of numbers (n, D). Raises as `sample` does."""
        if n < 1:
            raise ValueError(f"cannot draw {n} samples: ask for at least 1")
        check_samples(n, math.prod(self.spec.shape))
        nets = self.weights(weights)
        _check_names(self, given)
        _check_rows(self.asks, given, n)
        drawn = draw_samples(self.recipe, nets, n, seed, given)
        return self.spec.made(given).spec.codec.decode(drawn)


def _check_names(model: Model, given: Mapping[str, Any]) -> None:
    """Raises `ValueError` for what the model cannot be asked, and where the picture that it needs is not given."""
    asks = model.asks
    pictures = [name for name, ask in asks.items() if isinstance(ask, Picture)]
    if pictures and (given or not model.from_noise) and len(given.keys() & set(pictures)) != 1:
        raise ValueError(
            f"samples of {model.recipe_name} are made of pictures, and {sorted(given) or 'nothing'} is given: pass "
            f"given={{{pictures[0]!r}: tensor}} (one of {', '.join(pictures)}), or use gansmith apply"
        )
    for name in sorted(given.keys() - asks.keys()):
        why = " as it was trained" if name in model.recipe.takes else ""
        raise ValueError(f"{model.recipe_name} cannot be given {name!r}{why}; it takes {sorted(asks) or 'nothing'}")


def _tensors(spec: DataSpec, given: Mapping[str, Any], n: int) -> Batch:
    """What samples are asked to be, as tensors of n rows. Raises `ValueError` for what are no numbers or classes."""
    rows: dict[str, Tensor] = {}
    for name, values in given.items():
        if not isinstance(values, Tensor):
            found = np.asarray(values)
            if name == "label" and found.dtype.kind == "U":
                found = np.array([label_of(spec, str(text)) for text in found.flat]).reshape(found.shape)
            if found.dtype.kind not in "biuf":
                raise ValueError(f"given {name!r} is {values!r:.60}; it must be numbers")
            kind = torch.float32 if found.dtype.kind == "f" else torch.int64
            values = torch.from_numpy(np.ascontiguousarray(found)).to(kind).reshape(found.shape)
        rows[name] = values.expand(n) if values.dim() == 0 else values
    return rows


def label_of(spec: DataSpec, text: str) -> int:
    """The label of a class by its name, or by its number where no class is called by a number.

    Raises `ValueError` for anything else.
    """
    if text in spec.classes:
        return spec.classes.index(text)
    if text.isdecimal() and int(text) < len(spec.classes) and not any(name.isdecimal() for name in spec.classes):
        return int(text)
    raise ValueError(f"label {text!r}: the classes of this model are {', '.join(spec.classes)[:300] or 'none'}")


def _check_rows(asks: Mapping[str, Ask], given: Batch, n: int) -> None:
    """Raises `ValueError` for tensors of another shape than n rows of what is asked, and for numbers out of range."""
    for name, rows in given.items():
        if len(rows) != n:
            raise ValueError(f"given {name!r} has {len(rows)} rows for {n} samples: give it a row for each")
        match asks[name]:
            case Class(count=count) | Choice(count=count) | Condition(count=count) as ask:
                if rows.dim() != 1 or rows.is_floating_point() or rows.min() < 0 or rows.max() >= count:
                    said = f"{name}s are {rows.unique().tolist()[:5]}; they must be whole numbers from 0 to {count - 1}"
                    of = f", the classes {', '.join(ask.names)[:200]}" if isinstance(ask, Class) else ""
                    raise ValueError(said + of)
            case Number() | Switch() if rows.dim() != 1:
                raise ValueError(f"given {name!r} has shape {tuple(rows.shape)}; it must be ({n},): a number a sample")
            case Noise(size=size) | Numbers(size=size) | Rows(width=size) if tuple(rows.shape) != (n, size):
                raise ValueError(f"given {name!r} has shape {tuple(rows.shape)}; it must be ({n}, {size})")
