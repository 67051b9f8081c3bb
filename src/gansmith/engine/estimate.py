"""What a run would take, from a few real steps: images a second, time, memory, disk. Nothing is left behind."""

from __future__ import annotations

import functools
import math
import resource
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data import Feed, free_bytes
from ..machine import GIB, tame_allocator
from ..options import TrainOptions
from ..recipe import Recipe
from ..step.ranks import joined
from ..step.step import Step
from ..step.turn import Turn
from .prepare import check_options, initial_networks, packed, spec_for
from .tuning import Candidate, build_feed, build_step, choose_setting, within_memory

SECONDS = 1.0
"""How long each turn is timed, at least one move."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run would take on this machine."""

    images: int
    """That would be shown."""
    seconds: float
    """Of training, without pictures, checkpoints and scores."""
    how: str
    """Precision, layout and threads that were chosen."""
    micro_batches: int
    memory: int
    """Bytes: the most that this process held so far, or the device did."""
    free: int
    """Bytes of memory that are free."""
    disk: int
    """Bytes of checkpoints and model, without pictures."""
    store: int
    """Bytes of the packed data, which is there now."""
    disk_free: int
    """Bytes free where the run would lie."""
    moves: dict[str, float]
    """Milliseconds of a move of each turn."""

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds if self.seconds else math.inf

    def __str__(self) -> str:
        moves = ", ".join(f"{name} {ms:.3g} ms" for name, ms in self.moves.items())
        split = f", {self.micro_batches} micro-batches" if self.micro_batches > 1 else ""
        warning = "" if self.disk < self.disk_free else "  THE DISK IS TOO SMALL"
        return (
            f"speed   {_figure(self.rate)} images/s ({self.how}{split}; moves: {moves})\n"
            f"time    {_duration(self.seconds)} for {self.images:,} images, pictures and checkpoints not counted\n"
            f"memory  {self.memory / GIB:.2f} GiB at the most so far; {self.free / GIB:.1f} GiB are free\n"
            f"disk    {self.disk / 2**20:,.1f} MiB for checkpoints and model, pictures beside; the packed data "
            f"takes {self.store / 2**20:,.1f} MiB; {self.disk_free / GIB:,.1f} GiB are free{warning}"
        )


def estimate(recipe: Recipe, name: str, data: Any, options: TrainOptions, out: Path | None = None) -> Estimate:
    """Take a few steps of every turn on copies, in the setting that a run would choose.

    The data is packed as for a run, and stays packed. Raises as `engine.train` does before it starts.
    """
    check_options(recipe, options)
    with joined(options.device) as (ranks, device):
        store = packed(data, options, ranks)
        spec = spec_for(recipe, name, store)
        tame_allocator()
        make = functools.partial(initial_networks, recipe, spec, options.seed)
        options = within_memory(recipe, make(), store, spec, options, device, ranks)
        setting, _ = choose_setting(recipe, make, store, spec, options, device, ranks)
        step = build_step(recipe, make(), options, setting, ranks)
        feed = build_feed(recipe, spec, store, options, setting, ranks)
        costs = [_cost(step, feed, turn, number) for number, turn in enumerate(step.turns)]
        around = _rest(step)
        if options.budget:
            steps = math.ceil(options.budget / options.batch_size)
        else:
            usual = sum(c * t.repeat / t.every for c, t in zip(costs, step.turns, strict=True)) + around
            steps = max(round(options.minutes * 60 / usual), 1)
        seconds = steps * around
        for cost, turn in zip(costs, step.turns, strict=True):
            seconds += cost * turn.repeat * taken(turn, steps)
        if options.minutes:
            limited = min(seconds, options.minutes * 60)
            steps, seconds = max(round(steps * limited / seconds), 1), limited
        state = sum(t.nbytes for t in step.state().values())
        model = 2 * sum(t.nbytes for net in step.average.values() for t in net.state_dict().values())
        place = (out or Path("runs")).absolute()
        there = next(p for p in (place, *place.parents) if p.exists())
        moves: dict[str, float] = {}
        for cost, turn in zip(costs, step.turns, strict=True):
            key = f"{turn.name} every {turn.every}" if turn.every > 1 else turn.name
            moves[key] = moves.get(key, 0.0) + cost * 1e3
        return Estimate(
            images=steps * options.batch_size,
            seconds=seconds,
            how=f"{Candidate(setting, torch.get_num_threads())} on {device}" + _ranks(ranks.world),
            micro_batches=options.micro_batches,
            memory=_peak(device),
            free=free_bytes(torch.device(device)),
            disk=state * (options.keep + 1) + model,  # one more while the oldest is not yet removed
            store=sum(field.nbytes for field in store.fields.values()),
            disk_free=shutil.disk_usage(there).free,
            moves=moves,
        )


def taken(turn: Turn, steps: int) -> int:
    """At how many of the first so many steps the turn is due."""
    stop = steps if turn.stop is None else min(turn.stop, steps)
    first = -(-turn.start // turn.every)
    return max(-(-stop // turn.every) - first, 0)


def _cost(step: Step, feed: Feed, turn: Turn, number: int) -> float:
    """Seconds of a move, its batch included: the median of a few."""
    times: list[float] = []
    count = 2
    while len(times) < count:
        began = time.perf_counter()
        batch = {**feed(len(times)), **step.scalars(turn.start)}
        step.move(turn, batch, 1_000 * number + len(times))
        _wait(step)
        times.append(time.perf_counter() - began)
        if len(times) == 2:  # ranks move together: all must take as many
            slowest = float(step.ranks.gather(torch.tensor([times[1]], device=step.setting.device)).max())
            count = min(max(math.ceil(SECONDS / slowest) + 1, 2), 30)
    return float(np.median(times[1:]))  # the first one sets up


def _rest(step: Step) -> float:
    """Seconds of what a step does beside its moves."""
    began = time.perf_counter()
    for _ in range(5):
        step.finish(0)
    _wait(step)
    return (time.perf_counter() - began) / 5


def _wait(step: Step) -> None:
    if step.setting.device != "cpu":
        torch.cuda.synchronize()


def _peak(device: str) -> int:
    if device != "cpu":
        return torch.cuda.max_memory_allocated(torch.device(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _figure(value: float) -> str:
    """To three digits, written out."""
    return f"{value:.3g}" if value < 100 else f"{float(f'{value:.3g}'):,.0f}"


def _ranks(world: int) -> str:
    return f", {world} ranks" if world > 1 else ""


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
