"""How a run uses its machine: precision, layout and threads chosen by timing a few steps; glibc keeps its memory."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data import DataSpec, Feed, Store, free_bytes
from ..data.draw import FewLabels, Labelled
from ..machine import GIB, release
from ..options import TrainOptions
from ..recipe import Recipe
from ..step.randomness import derive
from ..step.ranks import Ranks, Setting
from ..step.step import Step
from ..step.turn import Batch, Terms, Turn

HEADROOM = 1.5
"""A step's peak memory over the bytes its losses keep: gradients and convolutions need the rest. Measured."""

TIMED = 20
"""Steps that are taken of each setting, at most."""


def build_step(recipe: Recipe, nets: nn.ModuleDict, options: TrainOptions, setting: Setting, ranks: Ranks) -> Step:
    """The step of a recipe over these networks, which it moves to the setting's device."""
    return recipe.step_class(
        nets,
        recipe.turns(),
        recipe.optimizers(),
        recipe.serving,
        recipe.average(),
        seed=options.seed,
        batch_size=options.batch_size,
        micro_batches=options.micro_batches,
        setting=setting,
        ranks=ranks,
    )


def data_seed(options: TrainOptions) -> int:
    """The seed of the order of the data, and of what else a draw decides."""
    return derive(options.seed, "data")


def build_feed(
    recipe: Recipe,
    spec: DataSpec,
    store: Store,
    options: TrainOptions,
    setting: Setting,
    ranks: Ranks,
    in_memory: bool | None = None,
) -> Feed:
    """The batches of a run, as its recipe draws them; `in_memory` as `Feed` takes it.

    A recipe that can be asked for a label learns from the samples that have one; few of them are a draw of their own.
    """
    draw, y = recipe.draw(), store.fields.get("y")
    if y is not None and y.min() < 0 and "label" in recipe.asks(spec) and not isinstance(draw, FewLabels):
        draw = Labelled(draw, y)
    return Feed(
        store,
        spec.codecs,
        draw,
        seed=data_seed(options),
        batch_size=options.batch_size,
        rank=ranks.rank,
        world=ranks.world,
        device=setting.device,
        channels_last=setting.channels_last,
        in_memory=in_memory,
    )


def trial(
    recipe: Recipe, nets: nn.ModuleDict, store: Store, spec: DataSpec, options: TrainOptions, setting: Setting
) -> tuple[Step, Feed]:
    """A step over these networks and its batches, as this process alone would take them: to be tried and thrown away.

    Up to six are built before a run begins: one whose losses are counted, and as many as five that are timed.
    """
    step = build_step(recipe, nets, options, setting, Ranks())
    return step, build_feed(recipe, spec, store, options, setting, Ranks(), in_memory=False)  # no copy of the data


def mixes_rows(recipe: Recipe, nets: nn.ModuleDict) -> str:
    """What takes all rows of a batch together, so that parts of it give other gradients; empty if nothing does."""
    if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in nets.modules()):
        return "batch norm would take its statistics"
    return "" if recipe.rows_together() else "a loss would compare the samples"


def activation_bytes(
    recipe: Recipe, nets: nn.ModuleDict, store: Store, spec: DataSpec, options: TrainOptions, device: str
) -> int:
    """Bytes that the most demanding loss keeps for its gradients when it is taken of a whole batch.

    Counted on copies with a few rows, in float32, and scaled up: nothing large is allocated.
    """
    together = max(recipe.rows_together(), 1)
    rows = min(options.batch_size, -(-16 // together) * together)
    few = dataclasses.replace(options, batch_size=rows, micro_batches=1)
    step, feed = trial(recipe, copy.deepcopy(nets), store, spec, few, Setting(device))
    owned = {t.untyped_storage().data_ptr() for t in (*step.nets.parameters(), *step.nets.buffers())}
    most = 0
    for number, turn in enumerate(step.turns):
        kept: dict[int, int] = {}

        def note(t: Tensor, kept: dict[int, int] = kept) -> Tensor:
            storage = t.untyped_storage()
            if storage.data_ptr() not in owned:
                kept[storage.data_ptr()] = storage.nbytes()
            return t

        def counted(nets: nn.ModuleDict, batch: Batch, turn: Turn = turn, note: Any = note) -> Terms:
            with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
                return turn.loss(nets, batch)

        scalars = {name: torch.full((), float(turn.start), device=device) for name in ("step", "images")}
        step.move(dataclasses.replace(turn, loss=counted), {**feed(number), **scalars}, number)
        most = max(most, sum(kept.values()))
    return most * -(-options.batch_size // rows)


def within_memory(
    recipe: Recipe,
    nets: nn.ModuleDict,
    store: Store,
    spec: DataSpec,
    options: TrainOptions,
    device: str,
    ranks: Ranks,
) -> TrainOptions:
    """The options with as many micro-batches as make a step fit into what memory is free, which is said aloud.

    A number of micro-batches that was asked for is kept. Raises `ValueError` where no split would do, or where it
    would change what is learned because a network or a loss takes the rows of the whole batch together.
    """
    free = free_bytes(torch.device(device)) // (1 if device != "cpu" else _ranks_here(ranks))
    own = options.batch_size // ranks.world
    fixed = 5 * sum(p.nbytes for p in nets.parameters())  # weights, gradients, Adam's two moments, the average
    of_batch = activation_bytes(recipe, nets, store, spec, dataclasses.replace(options, batch_size=own), device)
    needed = fixed + HEADROOM * of_batch / options.micro_batches
    splits = [m for m in range(1, own + 1) if own % (m * max(recipe.rows_together(), 1)) == 0]
    fitting = [m for m in splits if fixed + HEADROOM * of_batch / m < free]
    # Every rank must split alike: the one with the least memory decides.
    chosen = torch.tensor(0 if needed < free else fitting[0] if fitting else own + 1, device=device)
    if ranks.world > 1:
        torch.distributed.all_reduce(chosen, torch.distributed.ReduceOp.MAX)
    parts = int(chosen)
    if not parts or options.micro_batches > 1:
        return options
    told = f"a step with a batch of {own:,} needs about {needed / GIB:.1f} GiB, and {free / GIB:.1f} GiB are free"
    if parts > own:
        raise ValueError(f"{told}; no split of the batch would fit: pass a smaller --size, --batch-size or network")
    if mixed := mixes_rows(recipe, nets):
        raise ValueError(
            f"{told}; splitting it would change training, as {mixed} of each part alone: pass "
            f"--batch-size {max(own // parts, 1) * ranks.world}, or --micro-batches {parts} if that is what you want"
        )
    if ranks.rank == 0:
        print(f"memory: {told}: it is taken in {parts} micro-batches of {own // parts:,}", file=sys.stderr)
    return dataclasses.replace(options, micro_batches=parts)


def _ranks_here(ranks: Ranks) -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", ranks.world))


@dataclass(frozen=True)
class Candidate:
    """One way to use the machine."""

    setting: Setting
    threads: int

    def __str__(self) -> str:
        last = " channels-last" if self.setting.channels_last else ""
        return f"{self.setting.precision}{last}, {self.threads} thread{'s' if self.threads > 1 else ''}"


def choose_setting(
    recipe: Recipe,
    make: Callable[[], nn.ModuleDict],
    store: Store,
    spec: DataSpec,
    options: TrainOptions,
    device: str,
    ranks: Ranks,
) -> tuple[Setting, dict[str, float]]:
    """The precision, memory layout and number of threads that make a step fastest, by taking a few.

    What wins depends on the networks, the processor and what else runs on it too much for a rule. Returns the
    milliseconds of each, too; the threads are set. `make` builds the networks, for each trial anew: while one lasts it
    holds what a run would hold, and the run's own networks had better not be there yet. A setting whose terms are not
    finite is not chosen, unless none has finite ones.
    """
    precisions = ("fp32", "bf16") if options.precision == "auto" else (options.precision,)
    pixels = spec.codec.channels_last and len(spec.shape) == 3
    layouts = {"auto": (False, True), "nchw": (False,), "nhwc": (True,)}[options.layout] if pixels else (False,)
    threads = torch.get_num_threads()

    def timed(candidates: list[Candidate]) -> dict[Candidate, float]:
        seconds = torch.tensor([_time(recipe, make, store, spec, options, c, ranks) for c in candidates], device=device)
        if ranks.world > 1:  # all must choose the same, and the slowest rank decides
            torch.distributed.all_reduce(seconds, torch.distributed.ReduceOp.MAX)
        return dict(zip(candidates, seconds.tolist(), strict=True))

    def plainest(found: dict[Candidate, float]) -> Candidate:
        # They stand in order of plainness: fewer bits, another layout, more threads must buy something beyond noise.
        return next(c for c, seconds in found.items() if seconds <= min(found.values()) / 0.9)

    # Threads wait for one another at every operation: on a busy machine, or with tiny networks, one is faster.
    first = 1 if device == "cpu" else threads
    found = timed([Candidate(Setting(device, p, last), first) for p in precisions for last in layouts])
    chosen = plainest(found)
    if threads > first:
        together = timed([dataclasses.replace(chosen, threads=threads)])
        chosen = plainest({chosen: found[chosen]} | together)
        found |= together
    torch.set_num_threads(chosen.threads)
    release()
    for candidate in (c for c, seconds in found.items() if math.isinf(seconds) and ranks.rank == 0):
        print(f"setting: {candidate}: a term is not finite within {TIMED} steps", file=sys.stderr)
    return chosen.setting, {str(c): round(seconds * 1e3, 3) for c, seconds in found.items() if math.isfinite(seconds)}


def _time(
    recipe: Recipe,
    make: Callable[[], nn.ModuleDict],
    store: Store,
    spec: DataSpec,
    options: TrainOptions,
    candidate: Candidate,
    ranks: Ranks,
) -> float:
    """Seconds of a step; infinitely many if a term of it is not finite."""
    release()
    torch.set_num_threads(candidate.threads)
    own = dataclasses.replace(options, batch_size=max(options.batch_size // ranks.world, 1))
    step, feed = trial(recipe, make(), store, spec, own, candidate.setting)
    batch = feed(0)
    times: list[float] = []
    taken: list[Tensor] = []
    for k in range(1, TIMED + 1):
        began = time.perf_counter()
        terms = step.take(k, lambda _: batch)
        if candidate.setting.device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
        taken += terms.values()
        if len(times) > 1 and sum(times[1:]) > 0.4:
            break
    if not all(bool(term.isfinite()) for term in taken):
        return math.inf
    return float(np.median(times[1:]))  # the first one sets up
