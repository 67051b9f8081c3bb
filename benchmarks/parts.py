"""What surrounds training: the machine's peaks, packing and loading, start-up, sampling, the Frechet distance, growth.

Each function measures one thing and returns rows for `benchmarks/results/speed.json`.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import mmap
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gansmith import metrics
from gansmith.data import Feed, ImageCodec, Uniform, open_store
from gansmith.engine.tuning import build_feed, build_step
from gansmith.machine import tame_allocator
from gansmith.model.draw import draw_samples
from gansmith.nets import conv
from gansmith.step.ranks import Ranks, Setting

from .metrics import features
from .packing import _CHILD, make
from .plain import Pictures, endless, usual
from .side import setup
from .workloads import Workload, by_letter, prepare

Row = dict[str, Any]


def best(call: Callable[[], Any], repeats: int = 5, clock: Callable[[], float] = time.perf_counter) -> float:
    """The shortest of so many times of a call, in seconds, after one that does not count."""
    call()
    times = []
    for _ in range(repeats):
        began = clock()
        call()
        times.append(clock() - began)
    return min(times)


def peaks() -> Row:
    """What this machine can do at most: GFLOP/s of products and convolutions, GB/s of memory."""
    found: Row = {"threads": torch.get_num_threads()}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = torch.randn(2, 2048, 2048).to(dtype)
        found[f"gemm_{name}_gflops"] = round(2 * 2048**3 / best(lambda a=a, b=b: a @ b) / 1e9)
        x, w = torch.randn(64, 128, 16, 16).to(dtype), torch.randn(128, 128, 3, 3).to(dtype)
        flops = 2 * 64 * 16 * 16 * 128 * 128 * 9
        for layout, memory in (("nchw", torch.contiguous_format), ("nhwc", torch.channels_last)):
            call = functools.partial(
                torch.nn.functional.conv2d, x.to(memory_format=memory), w.to(memory_format=memory), None, 1, 1
            )
            found[f"conv_{name}_{layout}_gflops"] = round(flops / best(call) / 1e9)
    source, target = torch.empty(2, 32 << 20)
    found["copy_gb_per_second"] = round(2 * source.nbytes / best(lambda: target.copy_(source)) / 1e9, 1)
    return found


def packing(scratch: Path, rounds: int, files: int = 6_000) -> Row:
    """Files a second: packing 64x64x3 PNG beside Pillow in one thread; then batches beside a DataLoader."""
    folder = scratch / "png"
    make(folder, 0, files, 64, 3)
    ours, pillow = [], []
    for k in range(rounds):
        out = scratch / f"packed{k}"
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(folder), str(out)], check=True, capture_output=True, text=True
        )
        ours.append(files / json.loads(done.stdout)["seconds"])
        began = time.perf_counter()
        from PIL import Image

        for path in sorted(folder.glob("*.png")):
            np.asarray(Image.open(path).convert("RGB"))
        pillow.append(files / (time.perf_counter() - began))
    store = open_store(folder, out=scratch / "packed0", progress=False)
    feed = Feed(store, ImageCodec(), Uniform(), seed=0, batch_size=64)
    batches = endless(Pictures(np.asarray(store.fields["x"]), 64), 64)
    return {
        "what": f"{files:,} PNG of 64x64x3",
        "packed_per_second": round(statistics.median(ours)),
        "pillow_per_second": round(statistics.median(pillow)),
        "fed_per_second": round(64 * 20 / best(lambda: [feed(k) for k in range(20)])),
        "dataloader_per_second": round(64 * 5 / best(lambda: [next(batches) for _ in range(5)], 3)),
    }


def disk(scratch: Path, gib: int = 4) -> Row:
    """A store that is read from a cold disk: rows in random order beside the file from end to end; memory meanwhile."""
    n, shape = (gib << 30) // (64 * 64 * 3), (64, 64, 3)
    folder = scratch / "large"
    x = scratch / "large.npy"
    pixels = np.lib.format.open_memmap(x, "w+", np.uint8, (n, *shape))
    dice = np.random.default_rng(0)
    for first in range(0, n, 4096):
        pixels[first : first + 4096] = dice.integers(0, 256, (min(4096, n - first), *shape), np.uint8)
    pixels.flush()
    del pixels
    store = open_store(x, out=folder, progress=False)
    x.unlink()
    file = folder / "x.npy"

    def forget() -> None:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    forget()
    began = time.perf_counter()
    with file.open("rb", buffering=0) as handle:
        while handle.read(16 << 20):
            pass
    through = file.stat().st_size / (time.perf_counter() - began)
    forget()
    feed = Feed(store, ImageCodec(), Uniform(), seed=0, batch_size=64, in_memory=False)
    feed(0)
    before, began, batches = _resident(), time.perf_counter(), min(n // 64, 6_000)
    for k in range(1, batches + 1):
        feed(k)
    seconds = time.perf_counter() - began
    return {
        "what": f"a store of {gib} GiB, {n:,} pictures of 64x64x3, its pages dropped from the system's memory first",
        "end_to_end_mb_per_second": round(through / 1e6),
        "in_random_order_mb_per_second": round(batches * 64 * 64 * 64 * 3 / seconds / 1e6),
        "pictures_per_second": round(batches * 64 / seconds),
        "memory_grew_by_mib": round((_resident() - before) / 2**20, 1),
    }


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def start_up(rounds: int) -> Row:
    """Seconds to import the package, to print the help, and to import PyTorch, each in a fresh interpreter."""
    commands = {
        "import": ["-c", "import gansmith"],
        "help": ["-m", "gansmith", "--help"],
        "train_help": ["-m", "gansmith", "train", "r3gan", "--help"],
        "torch": ["-c", "import torch"],
        "nothing": ["-c", "pass"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds + 1):  # the first warms the disk's cache
        for name, words in commands.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, capture_output=True)
            times[name].append(time.perf_counter() - began)
    return {f"{name}_seconds": round(statistics.median(found[1:]), 3) for name, found in times.items()}


def sampling(scratch: Path, data_dir: Path | None, rounds: int) -> Row:
    """Samples a second from a DCGAN at 32 px, decoded, beside a loop of 64 at a time as tutorials have it."""
    work = by_letter("b")
    prepare(work, scratch, data_dir)
    recipe, _, spec, _ = setup(work, scratch)
    torch.manual_seed(0)
    nets = nn.ModuleDict(recipe.networks(spec))
    G, n = usual(copy.deepcopy(nets["G"])).eval(), 2048

    def plain() -> list[np.ndarray]:
        made = []
        for _ in range(n // 64):
            with torch.no_grad():
                fake = G(torch.randn(64, 100)).cpu()
            made += [np.uint8(255 * (0.5 * x.numpy().transpose(1, 2, 0) + 0.5)) for x in fake]
        return made

    ours, theirs = [], []
    for k in range(rounds):
        ours.append(best(lambda k=k: spec.codec.decode(draw_samples(recipe, nets, n, k)), 1))
        theirs.append(best(plain, 1))
    ratio = statistics.median(t / o for o, t in zip(ours, theirs, strict=True))
    return {
        "what": f"{n:,} pictures of DCGAN at 32 px, fp32",
        "per_second": round(n / statistics.median(ours)),
        "plain_per_second": round(n / statistics.median(theirs)),
        "ratio": round(ratio, 2),
    }


class _Same(nn.Module):
    """Features as they are, where torchmetrics would encode pictures."""

    num_features = 2048

    def forward(self, x: Tensor) -> Tensor:
        """(N, 2048) to the same."""
        return x


def frechet(rounds: int) -> list[Row]:
    """The Frechet distance of N x 2048 features beside torchmetrics'."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    rows = []
    for n in (1_000, 10_000):
        real, fake = features(n, 2048, 1), 1.05 * features(n, 2048, 2) + 0.02

        def theirs(real: Tensor = real, fake: Tensor = fake) -> float:
            metric = FrechetInceptionDistance(feature=_Same(), input_img_size=(1, 1, 2048))
            for x, is_real in ((real, True), (fake, False)):
                for part in x.split(256):
                    metric.update(part, real=is_real)
            return float(metric.compute())

        def ours(real: Tensor = real, fake: Tensor = fake) -> float:
            return metrics.frechet_distance(real, fake).value

        times = [(_once(ours), _once(theirs)) for _ in range(rounds)]
        rows.append(
            {
                "n": n,
                "seconds": round(statistics.median(o for o, _ in times), 3),
                "torchmetrics_seconds": round(statistics.median(t for _, t in times), 3),
                "ratio": round(statistics.median(t / o for o, t in times), 1),
                "value": round(ours(), 4),
                "torchmetrics_value": round(theirs(), 4),
            }
        )
    return rows


def _once(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def growth(scratch: Path, data_dir: Path | None) -> dict[str, list[Row]]:
    """How the cost of a step grows with the batch and the picture's side, and that of a batch with the data (r3gan)."""
    tame_allocator()  # as in training
    work = by_letter("g")
    prepare(work, scratch, data_dir)
    found: dict[str, list[Row]] = {"batch": [], "side": [], "samples": []}
    for batch in (16, 32, 64, 128, 256):
        found["batch"].append({"batch": batch, **_step_cost(dataclasses.replace(work, batch=batch), scratch)})
    for side in (16, 32, 64):
        found["side"].append({"side": side, **_step_cost(dataclasses.replace(work, batch=32, size=side), scratch)})
    for n in (10_000, 100_000, 1_000_000):
        out = scratch / f"many{n}.npy"
        np.lib.format.open_memmap(out, "w+", np.uint8, (n, 16, 16, 1)).flush()
        store = open_store(out, out=scratch / f"many{n}", progress=False)
        row: Row = {"samples": n}
        for name, in_memory in (("in_memory", True), ("on_disk", False)):
            feed = Feed(store, ImageCodec(), Uniform(), seed=0, batch_size=64, in_memory=in_memory)
            row[f"{name}_us"] = round(best(lambda feed=feed: [feed(k) for k in range(50)], 3) / 50 * 1e6)
        found["samples"].append(row)
    return found


def _step_cost(work: Workload, scratch: Path) -> Row:
    recipe, store, spec, options = setup(work, scratch)
    torch.manual_seed(0)
    nets, setting = nn.ModuleDict(recipe.networks(spec)), Setting()
    step = build_step(recipe, nets, options, setting, Ranks())
    feed = build_feed(recipe, spec, store, options, setting, Ranks())
    numbers = iter(range(sys.maxsize))
    seconds = best(lambda: step.take(next(numbers), feed), 3)
    return {"ms_per_step": round(seconds * 1e3, 1), "ms_per_image": round(seconds * 1e3 / work.batch, 2)}


def patches() -> list[Row]:
    """Milliseconds of the processor, one thread: convolutions to and from few channels, beside PyTorch's own."""
    rows = []
    for dtype in (torch.float32, torch.bfloat16):
        for channels in (1, 3):
            few = conv.down(channels, 64, (32, 32), (16, 16)).to(dtype)
            back = conv.up(64, channels, (16, 16), (32, 32)).to(dtype)
            x = torch.randn(64, channels, 32, 32).to(dtype).requires_grad_()
            z = torch.randn(64, 64, 16, 16).to(dtype).requires_grad_()
            sides: dict[str, tuple[nn.Module, nn.Module]] = {"ours": (few, back)}
            sides["plain"] = (nn.Conv2d(channels, 64, 4, 2, 1).to(dtype), nn.ConvTranspose2d(64, channels, 4, 2, 1))
            sides["plain"][1].to(dtype)
            row: Row = {"precision": str(dtype).removeprefix("torch."), "channels": channels}
            for name, nets in sides.items():
                for what, net, given in (("down", nets[0], x), ("up", nets[1], z)):

                    def both(net: nn.Module = net, given: Tensor = given) -> None:
                        torch.autograd.grad(net(given).sum(), given)

                    row[f"{what}_{name}_ms"] = round(1e3 * best(both, 7, time.process_time), 2)
            rows.append(row)
    return rows


def names() -> list[str]:
    """What `--only` takes beside the letters of workloads."""
    return ["peaks", "i", "j", "k", "l", "disk", "growth", "patches"]


def measure(name: str, scratch: Path, data_dir: Path | None, rounds: int) -> Any:
    """The rows of one of `names()`."""
    match name:
        case "peaks":
            return peaks()
        case "i":
            return packing(scratch, rounds)
        case "j":
            return start_up(rounds)
        case "k":
            return sampling(scratch, data_dir, rounds)
        case "l":
            return frechet(min(rounds, 3))
        case "disk":
            return disk(scratch)
        case "patches":
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            rows = patches()
            torch.set_num_threads(threads)
            return rows
        case "growth":
            return growth(scratch, data_dir)
    raise ValueError(f"{name} is none of {', '.join(names())}")
