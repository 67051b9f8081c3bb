"""One dry step of a recipe of one's own, before anything is trained: what is wrong with it is said in one line.

Recipes of ours pass the contract tests instead. What stops here would stop later too, as a trace through the engine, or
would train and teach nothing.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ..data import DataSpec, Store
from ..model.draw import draw_samples
from ..model.saved import own_file
from ..options import TrainOptions
from ..recipe import Recipe
from ..step.randomness import Tape, draws
from ..step.ranks import Setting
from ..step.step import Step
from ..step.turn import Adam, Batch, Turn
from .tuning import trial

ROWS = 16
"""Samples of the dry step; a multiple of it where the recipe compares more."""


def networks_of(recipe: Recipe, make: Callable[[], nn.ModuleDict]) -> nn.ModuleDict:
    """The networks that `make` builds of it. Raises `ValueError` in one line where it cannot."""
    with said(recipe, "networks()"):
        nets = make()
        if missing := set(recipe.serving) - set(nets.keys()):
            raise ValueError(f"it builds {', '.join(nets.keys())}, not {sorted(missing)[0]}, which samples come from")
        return nets


def check_recipe(recipe: Recipe, nets: nn.ModuleDict, store: Store, spec: DataSpec, options: TrainOptions) -> list[str]:
    """Take every turn of a recipe once, on a few rows on the CPU, and draw samples; nothing of it is kept.

    Returns warnings, a line each: what trains, but hardly as it is meant. Raises `ValueError` in one line that names
    the function, what it gave and what is needed.
    """
    with said(recipe, "optimizers()"):
        _check_optimizers(recipe.optimizers(), set(nets.keys()))
    with said(recipe, "turns()"):
        _check_turns(recipe.turns(), set(nets.keys()))
    together = max(recipe.rows_together(), 1)
    rows = min(options.batch_size, -(-ROWS // together) * together)
    few = dataclasses.replace(options, batch_size=rows, micro_batches=1)
    step, feed = trial(recipe, nets, store, spec, few, Setting("cpu"))
    warnings: list[str] = []
    for number, turn in enumerate(step.turns):
        scalars = {name: torch.full((), float(turn.start)) for name in ("step", "images")}
        warnings += _take(recipe, step, turn, {**feed(number), **scalars}, rows)
    if recipe.from_noise:
        _check_samples(recipe, step.average, spec)
    return list(dict.fromkeys(warnings))


def _check_optimizers(found: object, names: set[str]) -> None:
    if not isinstance(found, Mapping):
        raise ValueError(f"it returned {_about(found)}; it must return a dict of networks' names to Adam(...)")
    for name, rule in found.items():
        if name not in names:
            raise ValueError(f"it names {name!r}; networks() builds {', '.join(sorted(names))}")
        if not hasattr(rule, "lr"):
            raise ValueError(f"for {name} it gives {_about(rule)}; it must be Adam(lr, betas), or a rule like it")
        if isinstance(rule, Adam) and not all(isinstance(b, float) for b in rule.betas):
            raise ValueError(f"for {name} betas are {rule.betas}; both must be written as fractions, such as 0.0, 0.99")


def _check_turns(found: object, names: set[str]) -> None:
    if isinstance(found, Turn):
        raise ValueError("it returned one Turn; it must return a tuple: a comma behind it is missing, (Turn(...),)")
    if not isinstance(found, tuple | list) or not found:
        raise ValueError(f"it returned {_about(found)}; it must return a tuple of Turn, one at least")
    for i, turn in enumerate(found, 1):
        which = f"Turn {i}"
        if not isinstance(turn, Turn):
            raise ValueError(f"{which} is {_about(turn)}; it must be Turn((names,), loss)")
        if isinstance(turn.nets, str):
            raise ValueError(f"{which} moves {turn.nets!r}; names of networks are a tuple: ({turn.nets!r},)")
        if unknown := sorted(set(turn.nets) - names):
            raise ValueError(f"{which} moves {unknown[0]!r}; networks() builds {', '.join(sorted(names))}")
        if not callable(turn.loss):
            raise ValueError(f"{which} has the loss {_about(turn.loss)}; it must be a function, not called: self.loss")
        for name in ("every", "repeat"):
            if not isinstance(value := getattr(turn, name), int) or value < 1:
                raise ValueError(f"{which} has {name}={value!r}; it must be a whole number from 1 on")


def _take(recipe: Recipe, step: Step, turn: Turn, batch: Batch, rows: int) -> list[str]:
    """Take the loss of a turn twice, alike, and move once; returns warnings."""
    name = f"{getattr(turn.loss, '__name__', 'the loss')}()"
    warnings: list[str] = []
    seen: list[dict[str, float]] = []
    for _ in range(2):
        tape = Tape()
        stream = step.stream(7, 0, tape)
        watch = _Watch(rows)
        with said(recipe, name), draws(stream), watch:
            terms = turn.loss(step.nets, batch)
        with said(recipe, name):
            _check_terms(terms)
        if step.drew_elsewhere(stream, 7):
            warnings.append(
                f"{name} draws numbers otherwise than by noise, uniform, normal or gumbel of gansmith.recipe: several "
                "ranks would not do what one does"
            )
        warnings += [f"{name} {text}" for text in watch.seen]
        seen.append({k: float(v.detach()) for k, v in terms.items()})
    if odd := next((k for k in seen[0] if seen[0][k] != seen[1].get(k) and seen[0][k] == seen[0][k]), ""):
        warnings.append(
            f"{name} gave {odd} {seen[0][odd]:.6g}, then {seen[1][odd]:.6g} of the same batch and networks: it keeps a "
            "state, or draws numbers by something else than noise, uniform, normal and gumbel of gansmith.recipe"
        )
    for term, value in seen[0].items():
        if value - value != 0:
            warnings.append(f"{name} gave {term} {value} at the first step")
    with said(recipe, name):
        step.move(turn, batch, 7)
    return warnings


def _check_terms(terms: object) -> None:
    """Raises `ValueError` unless these are terms of a loss."""
    wanted = 'it must return a dict of names to () tensors, such as {"real": real.mean(), "fake": fake.mean()}'
    if isinstance(terms, Tensor):
        raise ValueError(f"it returned {_about(terms)}; {wanted}")
    if not isinstance(terms, Mapping) or not terms:
        raise ValueError(f"it returned {_about(terms)}; {wanted}")
    for term, value in terms.items():
        if not isinstance(term, str):
            raise ValueError(f"it named a term {term!r}; {wanted}")
        if not isinstance(value, Tensor):
            raise ValueError(f"term {term!r} is {_about(value)}; it must be a () tensor: no .item() or float()")
        if value.dim():
            raise ValueError(
                f"term {term!r} has the shape {tuple(value.shape)}; it must be (): take its mean() or sum()"
            )
        if not value.dtype.is_floating_point:
            raise ValueError(f"term {term!r} is of {value.dtype}; it must be a fraction")


def _check_samples(recipe: Recipe, nets: nn.ModuleDict, spec: DataSpec) -> None:
    with said(recipe, "sample()"):
        found = draw_samples(recipe, nets, 3, 0)
        if not isinstance(found, Tensor):
            raise ValueError(f"it returned {_about(found)}; it must return a tensor (n, {_shape(spec)})")
        if tuple(found.shape) != (3, *spec.shape):
            raise ValueError(f"it gave {tuple(found.shape)} for 3 samples; the data want (3, {_shape(spec)})")


class _Watch(TorchDispatchMode):
    """Looks for values that leave the device, and for scores (N, 1) and (N,) that spread to (N, N)."""

    _PAIRS: ClassVar = ("sub.Tensor", "add.Tensor", "mul.Tensor", "div.Tensor", "maximum.default", "minimum.default")

    def __init__(self, rows: int):
        super().__init__()
        self.rows, self.seen = rows, list[str]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        n, name = self.rows, str(func).removeprefix("aten.")
        if name == "_local_scalar_dense.default":
            self.seen.append("waits for the device (.item(), float(), bool() or if of a tensor): slow on a GPU")
        found = func(*args, **(kwargs or {}))
        if name in self._PAIRS and isinstance(found, Tensor) and tuple(found.shape) == (n, n) and n > 1:
            shapes = sorted(tuple(a.shape) for a in args if isinstance(a, Tensor))
            if shapes == [(n,), (n, 1)]:
                self.seen.append(
                    f"takes a {name.partition('.')[0]} of ({n},) and ({n}, 1), which is ({n}, {n}): if these are "
                    "scores, let both be (N,): D's output.flatten(), or squeeze(1)"
                )
        return found


class said:
    """Within it, whatever a recipe raises becomes one line: the function, the file's line, and what was wrong."""

    def __init__(self, recipe: Recipe, name: str):
        self.name, self.file = f"{type(recipe).__name__}.{name}", own_file(type(recipe))

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, Exception) or isinstance(error, NotImplementedError):
            return
        frames = [f for f in traceback.extract_tb(trace) if self.file is not None and Path(f.filename) == self.file]
        where = f" (line {frames[-1].lineno} of {self.file})" if frames else ""
        text = " ".join(str(error).split())[:400]
        if isinstance(error, KeyError):
            text = f"{error} is not there: networks() and the batch have other names"
        elif not isinstance(error, ValueError):
            text = f"{type(error).__name__}: {text}"
        raise ValueError(f"{self.name}: {text}{where}") from error


def _about(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    text = repr(value)
    return f"{text[:60]} ({type(value).__name__})" if value is not None else "None: a return is missing"


def _shape(spec: DataSpec) -> str:
    return ", ".join(map(str, spec.shape))
