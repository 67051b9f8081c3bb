"""What every recipe must hold, tried on one that is given: `gansmith check my/own.py`.

The tests hold recipes of ours to more (`tests/test_contract.py`, which a checkout puts one of your own through too).
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..data import DataSpec, Store
from ..model.draw import draw_samples
from ..options import TrainOptions
from ..recipe import Recipe
from ..step.ranks import Setting
from ..step.step import Step
from ..step.turn import Batch
from .prepare import initial_networks
from .trial import ROWS, check_recipe, networks_of
from .tuning import mixes_rows, trial


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was tried, and what is wrong; empty where nothing is."""

    tried: str
    problem: str = ""


def examine(recipe: Recipe, store: Store, spec: DataSpec, options: TrainOptions) -> Iterator[Finding]:
    """Try a recipe on a few rows of this data, one thing after the other; nothing is trained or kept.

    Raises `ValueError` in one line where it cannot take a single step.
    """
    nets = networks_of(recipe, lambda: initial_networks(recipe, spec, options.seed))
    together = max(recipe.rows_together(), 1)
    rows = 2 * together * -(-ROWS // (2 * together))
    few = dataclasses.replace(options, batch_size=rows, micro_batches=1)
    warnings = check_recipe(recipe, copy.deepcopy(nets), store, spec, few)
    yield Finding(tried="every turn takes a step", problem="; ".join(warnings))

    def fresh(micro_batches: int = 1, precision: str = "fp32") -> tuple[Step, Callable[[int], Batch]]:
        setting = Setting("cpu", precision)
        told = dataclasses.replace(few, micro_batches=micro_batches)
        return trial(recipe, copy.deepcopy(nets), store, spec, told, setting)

    yield _turns(*fresh())
    yield _restored(fresh)
    yield _halves(recipe, nets, fresh)
    yield _half_precision(*fresh(precision="bf16"))
    if recipe.from_noise:
        yield _samples(recipe, nets, spec)


def _turns(step: Step, feed: Callable[[int], Batch]) -> Finding:
    tried = "each turn moves all of its networks, and no other"
    for number, turn in enumerate(step.turns):
        before = {name: [p.clone() for p in net.parameters()] for name, net in step.nets.items()}
        scalars = {name: torch.full((), float(turn.start)) for name in ("step", "images")}
        step.begin(turn.start)
        step.move(turn, {**feed(number), **scalars}, 7)
        moved = {
            name: any(not torch.equal(a, b) for a, b in zip(before[name], net.parameters(), strict=True))
            for name, net in step.nets.items()
        }
        if still := [name for name in turn.nets if before[name] and not moved[name]]:
            return Finding(tried=tried, problem=f"the turn of {turn.name} does not move {still[0]}")
        if others := [name for name in moved if moved[name] and name not in turn.nets]:
            return Finding(tried=tried, problem=f"the turn of {turn.name} moves {others[0]} too")
    return Finding(tried=tried)


def _restored(fresh: Callable[[], tuple[Step, Callable[[int], Batch]]]) -> Finding:
    """A step after a restart is that of a run that went on."""
    (one, feed), (other, again) = fresh(), fresh()
    one.take(0, feed)
    saved = {k: v.clone() for k, v in one.state().items()}
    moves = one.moves
    wanted = one.take(1, feed)
    other.load_state(saved, moves)
    found = other.take(1, again)
    odd = [k for k in wanted if not torch.equal(wanted[k], found[k])]
    tried = "a run that is stopped and resumed goes on to the bit"
    if odd:
        return Finding(tried=tried, problem=f"{odd[0]} is another after a restart: state that no buffer holds?")
    return Finding(tried=tried)


def _halves(
    recipe: Recipe, nets: nn.ModuleDict, fresh: Callable[[int], tuple[Step, Callable[[int], Batch]]]
) -> Finding:
    """Several ranks and micro-batches do what one batch does, where nothing takes rows together."""
    if why := mixes_rows(recipe, nets):
        return Finding(tried=f"a batch in two parts (not tried: {why} over all of it)")
    found = []
    for micro_batches in (1, 2):
        step, feed = fresh(micro_batches)
        for module in step.nets.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0  # drawn apart in each part
        found.append(step.take(0, feed))
    odd = [k for k in found[0] if not torch.isclose(found[0][k], found[1][k], rtol=1e-3, atol=1e-5)]
    tried = "a batch in two parts does what it does whole"
    if odd:
        text = (
            f"{odd[0]} is {float(found[0][odd[0]]):.6g} of a whole batch and {float(found[1][odd[0]]):.6g} of its parts"
        )
        return Finding(tried=tried, problem=f"{text}: if a loss compares samples, let rows_together() say how many")
    return Finding(tried=tried)


def _half_precision(step: Step, feed: Callable[[int], Batch]) -> Finding:
    tried = "losses are finite in bfloat16"
    for k in range(3):
        for name, term in step.take(k, feed).items():
            if not torch.isfinite(term):
                return Finding(
                    tried=tried, problem=f"{name} is {float(term)} at step {k}: what needs digits wants float()"
                )
    return Finding(tried=tried)


def _samples(recipe: Recipe, nets: nn.ModuleDict, spec: DataSpec) -> Finding:
    tried = "samples repeat from their seed, each on its own"
    served = nn.ModuleDict({name: nets[name] for name in recipe.serving}).eval()

    def drawn(n: int, seed: int) -> Tensor:
        return draw_samples(recipe, served, n, seed)

    first = drawn(6, 0)
    problem = ""
    if not torch.isfinite(first).all():
        problem = "they are not finite"
    elif not torch.equal(first, drawn(6, 0)):
        problem = "the same seed gave others: draw by noise, uniform, normal or gumbel of gansmith.recipe"
    elif not torch.allclose(first[:4], drawn(4, 0), rtol=1e-3, atol=1e-4):
        problem = "a sample depends on how many are drawn with it"
    elif torch.equal(first, drawn(6, 1)):
        problem = "another seed gave the same"
    elif spec.bounded and float(first.abs().max()) > 1.5:
        problem = f"they reach {float(first.abs().max()):.3g}, and this data lies within -1 and 1: end G with tanh"
    return Finding(tried=tried, problem=problem)
