"""What a run needs before its first step: the other ranks, the data, the recipe fitted to it, options that agree."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .. import records
from ..data import DataSpec, Store, all_kinds, kind_of, open_store
from ..machine import free_bytes
from ..model.saved import sketched
from ..options import TrainOptions
from ..recipe import Recipe, load_recipe, recipe_names
from ..run import Run
from ..step.randomness import derive
from ..step.ranks import Ranks, barrier
from ..step.step import Step
from ..step.turn import Ramp


def initial_networks(recipe: Recipe, spec: DataSpec, seed: int) -> nn.ModuleDict:
    """The networks with initial weights that depend on the seed alone, not on the device."""
    torch.manual_seed(derive(seed, "networks"))
    return nn.ModuleDict(recipe.networks(spec))


def check_networks(recipe: Recipe, spec: DataSpec) -> None:
    """Raises `ValueError` for networks of which not even the numbers fit into memory, before any is drawn."""
    with torch.random.fork_rng([]):
        sketch = sketched(recipe, spec)
    sizes = {role: sum(t.numel() * t.element_size() for t in net.state_dict().values()) for role, net in sketch.items()}
    free = free_bytes(torch.device("cpu"))
    if sum(sizes.values()) > free:
        listed = ", ".join(f"{role} {size / 1e6:,.0f} MB" for role, size in sizes.items())
        raise ValueError(
            f"the networks take {listed}, and {free / 1e6:,.0f} MB of memory are free: make them smaller (--width and "
            "the like), or the samples (--size)"
        )


def spec_for(recipe: Recipe, name: str, store: Store) -> DataSpec:
    """The data as the recipe encodes it. Raises `ValueError` if it takes no data of that kind."""
    if store.spec.kind not in recipe.kinds:
        fit = [n for n in recipe_names() if store.spec.kind in load_recipe(n).kinds]
        two = [kind.name for kind in all_kinds() if kind.composite and kind.name in recipe.kinds]
        how = f", or write --data {two[0]}:{store.source}" if two else ""
        how += "".join(f". {note}" for note in store.notes if "addresses" in note)
        raise ValueError(
            f"recipe {name} takes data of kind {', '.join(sorted(recipe.kinds))}; {store.source} is of kind "
            f"{store.spec.kind}: choose one of {', '.join(fit)}{how}"
        )
    if odd := sorted({part.kind for part in store.spec.parts.values()} - recipe.of):
        takes = " or ".join(kind_of(kind).samples for kind in sorted(recipe.of))
        raise ValueError(f"recipe {name} takes two sets of {takes}; {store.source} holds {kind_of(odd[0]).samples}")
    codec = recipe.codec(store.spec, store.fields)
    classes, y = store.spec.classes, store.fields.get("y")
    counts = tuple(np.bincount(y[y >= 0], minlength=len(classes)).tolist()) if classes and y is not None else ()
    return dataclasses.replace(store.spec, codec=codec, shape=codec.shape(store.spec.shape), counts=counts)


def packed(data: Any, options: TrainOptions, ranks: Ranks) -> Store:
    """The packed store; the first rank of each machine packs it, the others wait and open it."""
    first = int(os.environ.get("LOCAL_RANK", "0")) == 0
    if first:
        store = open_store(data, options, progress=ranks.rank == 0)
    barrier(ranks)
    if not first:
        store = open_store(data, options, progress=False)
    if ranks.rank == 0:
        for note in store.notes:
            print(f"data: {note}", file=sys.stderr)
    return store


def reopen(run: Run, options: TrainOptions, ranks: Ranks) -> Store:
    """The store that the run was trained on. Raises `ValueError` if its source has changed."""
    records.check(run.record, records.WHOLE_RUN, str(run.path / "run.json"))
    saved = run.record["data"]
    if (Path(saved["store"]) / "manifest.json").is_file():
        store = Store.open(Path(saved["store"]))
    elif saved["source"] == "array":
        raise FileNotFoundError(f"the packed arrays of this run, {saved['store']}, are gone: train a new run")
    else:
        store = packed(saved["source"], options, ranks)
    if "content" in saved and store.content() == saved["content"]:  # also of a copy, whose files have other times
        if int(os.environ.get("LOCAL_RANK", "0")) == 0:
            store.verify()
        return store
    if "content" in saved or store.digest != saved["digest"]:
        raise ValueError(
            f"{saved['source']} is no longer the data this run was trained on (digest {store.digest[:12]}, "
            f"recorded {saved['digest'][:12]}): restore it, or train a new run"
        )
    return store


def check_options(recipe: Recipe, options: TrainOptions) -> None:
    """Raises `ValueError` for options that no run could have."""
    if options.ranks == 0:
        raise ValueError(
            "ranks 0 lets `gansmith train` choose how many processes it starts: here it must be at least 1"
        )
    if options.evaluate_every and not recipe.from_noise and not recipe.chosen_by:
        raise ValueError(
            "--evaluate-every scores samples drawn from noise; this recipe makes its samples of what it is given: "
            "leave it out, and look at the run's samples/, or at what gansmith apply makes of data not trained on"
        )
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if options.ranks not in (1, world):
        raise ValueError(
            f"ranks is {options.ranks}, but {world} process{'es' * (world > 1)} train: start them with `gansmith train "
            f"--ranks {options.ranks}`, or with torchrun"
        )


def in_vain(step: Step, shown: int, budget: int) -> Iterator[str]:
    """What would be in vain in a run that goes on from so many images shown to `budget` (0: for some minutes)."""
    steps = math.ceil(budget / step.batch_size)
    for turn in step.turns:
        if steps and turn.start >= steps:
            yield (
                f"the turn of {turn.name} that starts at {turn.start * step.batch_size:,} images is never taken, as "
                f"the run ends at {budget:,}: pass more --images, or shorten the recipe's stages before it"
            )
    ends: dict[float, list[str]] = {}
    for name, spec in step.specs.items():
        if isinstance(spec.lr, Ramp) and spec.lr.end == 0:
            ends.setdefault(spec.lr.after + spec.lr.images, []).append(name)
    for end, names in ends.items():
        if max(shown, budget) > end:
            yield (
                f"the step size of {', '.join(names)} is 0 from {end:,.0f} images on, where nothing is learned any "
                "more: a run whose step size is to fall later is a new one, with other fields"
            )
