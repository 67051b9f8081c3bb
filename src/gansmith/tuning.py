"""How a run uses its machine: precision, layout and threads chosen by timing a few steps; glibc keeps its memory."""

from __future__ import annotations

import copy
import ctypes
import dataclasses
import os
import platform
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from .data import DataSpec, Feed, Store
from .options import TrainOptions
from .recipe import Recipe
from .step import Ranks, Setting, Step, derive


def tame_allocator() -> None:
    """Keep glibc from returning activations to the kernel after every step: faster, for more memory.

    Process-wide, so GANSMITH_MALLOPT=0 opts out.
    """
    if platform.libc_ver()[0] == "glibc" and os.environ.get("GANSMITH_MALLOPT", "1") != "0":
        libc = ctypes.CDLL(None)
        trim_threshold, mmap_threshold = -1, -3  # malloc.h
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, 2**31 - 1)


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
    recipe: Recipe, spec: DataSpec, store: Store, options: TrainOptions, setting: Setting, ranks: Ranks
) -> Feed:
    """The batches of a run, as its recipe draws them."""
    return Feed(
        store,
        spec.codecs,
        recipe.draw(),
        seed=data_seed(options),
        batch_size=options.batch_size,
        rank=ranks.rank,
        world=ranks.world,
        device=setting.device,
        channels_last=setting.channels_last,
    )


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
    nets: nn.ModuleDict,
    store: Store,
    spec: DataSpec,
    options: TrainOptions,
    device: str,
    ranks: Ranks,
) -> tuple[Setting, dict[str, float]]:
    """The precision, memory layout and number of threads that make a step fastest, by taking a few on copies.

    What wins depends on the networks, the processor and what else runs on it too much for a rule. Returns the
    milliseconds of each, too; the threads are set.
    """
    precisions = ("fp32", "bf16") if options.precision == "auto" else (options.precision,)
    layouts = {"auto": (False, True), "nchw": (False,), "nhwc": (True,)}[options.layout] if spec.pictures else (False,)
    threads = torch.get_num_threads()

    def timed(candidates: list[Candidate]) -> dict[Candidate, float]:
        seconds = torch.tensor([_time(recipe, nets, store, spec, options, c, ranks) for c in candidates], device=device)
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
    return chosen.setting, {str(c): round(seconds * 1e3, 3) for c, seconds in found.items()}


def _time(
    recipe: Recipe,
    nets: nn.ModuleDict,
    store: Store,
    spec: DataSpec,
    options: TrainOptions,
    candidate: Candidate,
    ranks: Ranks,
) -> float:
    """Seconds of a step."""
    setting = candidate.setting
    torch.set_num_threads(candidate.threads)
    step = build_step(recipe, copy.deepcopy(nets), options, setting, Ranks())
    step.batch_size = max(options.batch_size // ranks.world, 1)
    feed = build_feed(recipe, spec, store, dataclasses.replace(options, batch_size=step.batch_size), setting, Ranks())
    times: list[float] = []
    for k in range(1, 21):
        began = time.perf_counter()
        step.take(k, feed)
        if setting.device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
        if len(times) > 1 and sum(times[1:]) > 0.4:
            break
    return float(np.median(times[1:]))  # the first one sets up
