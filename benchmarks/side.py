"""One side of one workload in a process of its own: `python -m benchmarks.side SIDE LETTER SCRATCH ADDRESS`.

SIDE is `plain` (the tutorials' loop) or `ours`. Connects to the orchestrator at ADDRESS, warms up, and takes steps
when told to, so that both sides can be timed in turn while the other one sleeps. `ours` may be several ranks.
"""

from __future__ import annotations

import functools
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gansmith.data import DataSpec, Store, open_store
from gansmith.engine.prepare import initial_networks
from gansmith.engine.tuning import Candidate, build_feed, build_step, choose_setting
from gansmith.machine import tame_allocator
from gansmith.options import Size, TrainOptions
from gansmith.recipe import Recipe, load_recipe
from gansmith.step.ranks import Ranks
from gansmith.step.shared import Shared
from gansmith.step.step import Step

from .plain import LOOPS, usual
from .workloads import Workload, by_letter

SEED = 0
EXCHANGED = [0.0]
"""Seconds that this rank spent on means over ranks, waiting for the others included."""


class TimedRanks(Ranks):
    """Ranks whose exchange is timed."""

    def mean(self, tensors: Sequence[Tensor]) -> None:
        """As `Ranks.mean`."""
        began = time.perf_counter()
        super().mean(tensors)
        EXCHANGED[0] += time.perf_counter() - began


class Flops(TorchDispatchMode):
    """Counts the floating-point operations of convolutions and matrix products, a multiply-add as two.

    PyTorch's own counter cannot be used where gradients are taken of gradients.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One operation."""
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def setup(work: Workload, scratch: Path) -> tuple[Recipe, Store, DataSpec, TrainOptions]:
    """The recipe, and the data as `gansmith train` would see it."""
    import dataclasses

    recipe = load_recipe(work.recipe)(**work.fields)
    pictures = work.data in ("mnist", "colour")
    options = TrainOptions(batch_size=work.batch, seed=SEED, size=Size((work.size, work.size) if pictures else (0, 0)))
    source = {
        "mnist": scratch / "mnist-28.npy",
        "vectors": scratch / "vectors-28.npy",
        "colour": scratch / f"colour-{work.size}.npy",
        "domains": f"domains:{scratch / 'domains'}",
        "table": scratch / "adult.csv.gz",
    }[work.data]
    out = scratch / f"store-{work.data}-{work.size}"
    store = open_store(source, options, out=out, progress=False)
    codec = recipe.codec(store.spec, store.fields)
    return recipe, store, dataclasses.replace(store.spec, codec=codec, shape=codec.shape(store.spec.shape)), options


def plain(work: Workload, scratch: Path) -> tuple[Callable[[], Any], str]:
    """The tutorials' loop: one call, one step."""
    recipe, store, spec, _ = setup(work, scratch)
    torch.manual_seed(SEED)
    nets = nn.ModuleDict({k: usual(net) for k, net in recipe.networks(spec).items()}).train()
    if work.data == "table":
        raw = np.array(store.fields["x"])
        data: Any = (spec.codec.encode(torch.from_numpy(raw)).numpy(), spec.codec, raw)
    elif work.data == "domains":
        data = scratch / "domains"
    else:  # vectors are made of pictures by the transform
        path = scratch / ("mnist-28.npy" if work.data == "vectors" else f"{work.data}-{store_size(work)}.npy")
        data = np.load(path)
    loop = LOOPS[work.recipe](nets, work, data)
    return lambda: next(loop), f"fp32, {torch.get_num_threads()} threads"


def store_size(work: Workload) -> int:
    """The side of the pictures as they are kept in the scratch folder."""
    return work.size if work.data == "colour" else 28


def ours(work: Workload, scratch: Path, ranks: Ranks) -> tuple[Callable[[], Any], str]:
    """The engine's step with the setting that it chooses by timing."""
    recipe, store, spec, options = setup(work, scratch)
    tame_allocator()
    make = functools.partial(initial_networks, recipe, spec, SEED)
    setting, _ = choose_setting(recipe, make, store, spec, options, "cpu", ranks)
    step: Step = build_step(recipe, make(), options, setting, ranks)
    feed = build_feed(recipe, spec, store, options, setting, ranks)
    number = iter(range(sys.maxsize))

    def take() -> None:
        step.take(next(number), feed)

    how = str(Candidate(setting, torch.get_num_threads()))
    return take, how if ranks.world == 1 else f"{how}, {ranks.world} ranks"


def held_mib(what: str) -> float:
    """Memory of this process in MiB: the most it held (VmHWM), or now pages of files (RssFile)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    return math.nan


def main() -> None:
    """Serve one side until told to end."""
    side, letter, folder, address = sys.argv[1:]
    work, scratch = by_letter(letter), Path(folder)
    ranks = Ranks()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        torch.distributed.init_process_group("gloo")
        rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        ranks = TimedRanks(rank, world, Shared(rank, world) if Shared.fits(world) else None)
    torch.manual_seed(SEED)
    take, how = plain(work, scratch) if side == "plain" else ours(work, scratch, ranks)
    link = Client(address) if ranks.rank == 0 else None
    times = []
    for _ in range(2):  # the first sets up
        began = time.perf_counter()
        take()
        times.append(time.perf_counter() - began)
    guess, flops = times[-1], None
    if ranks.world == 1:
        with Flops() as counter:
            for _ in range(work.pattern):
                take()
        flops = counter.total / work.pattern
    if link:
        link.send({"how": how, "flops": flops})
    while True:
        order = torch.zeros(1, dtype=torch.int64)
        if link:
            seconds = link.recv()
            patterns = max(round(seconds / (guess * work.pattern)), 1) if seconds else 0
            order.fill_(patterns * work.pattern)
        if ranks.world > 1:
            torch.distributed.broadcast(order, 0)
        if not int(order):
            break
        EXCHANGED[0] = 0.0
        began = time.perf_counter()
        for _ in range(int(order)):
            take()
        spent = time.perf_counter() - began
        guess = spent / int(order)
        memory = torch.tensor([held_mib("VmHWM"), held_mib("RssFile")])
        if ranks.world > 1:
            torch.distributed.all_reduce(memory)
        if link:
            peak, files = memory.tolist()
            told = {"steps": int(order), "seconds": spent, "peak_mib": peak, "files_mib": files}
            link.send(told | {"exchange": EXCHANGED[0] / spent})
    sys.stdout.flush()
    os._exit(0)  # some ranks abort while the interpreter is torn down


if __name__ == "__main__":
    main()
