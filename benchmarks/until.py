"""Seconds of training until MNIST's samples are good: ours beside the plain DCGAN loop, judged alike.

    python -m benchmarks.until --data-dir DIR [--fd 25] [--seeds 0 1 2] [--most 200k] [--every 10k] [--threads 2]

Good is a Frechet distance of at most `--fd`, of 5,000 samples against 10,000 training pictures at 32 x 32 in the
features of the encoder `own`. The clock runs while training steps run, and stands while samples are judged. Plain is
the tutorials' loop (`benchmarks/plain.py`: fp32, PyTorch's own layers, G as it stands); ours is the engine's step as
it chose by timing, judged by its moving average; their networks are the same. Results: benchmarks/results/until.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gansmith.data import open_store
from gansmith.engine.prepare import initial_networks
from gansmith.engine.tuning import build_feed, build_step, choose_setting
from gansmith.judge.judge import Judge, JudgeOptions
from gansmith.judge.kinds.image import Image
from gansmith.judge.real import Split
from gansmith.machine import tame_allocator
from gansmith.model.draw import draw_samples
from gansmith.options import Count, Size, TrainOptions
from gansmith.step.ranks import Ranks

from . import save
from .plain import LOOPS, usual
from .side import setup
from .workloads import by_letter, prepare

SIDES = {"plain": "b", "dcgan": "b", "r3gan": "g"}
"""Side and its workload."""


def main() -> None:
    """Train each side until it is good enough, and record when it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--fd", type=float, default=25.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--most", type=Count.parse, default=Count(200_000), help="images, then it is given up")
    parser.add_argument("--every", type=Count.parse, default=Count(10_000), help="images between two looks")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        prepare(by_letter("b"), scratch, options.data_dir)
        data = TrainOptions(data_dir=options.data_dir, size=Size((32, 32)))
        store, split = open_store("mnist", data, progress=False), Split(n=5_000, training=10)
        judge = Image.of(store, packing=data, split=split, options=JudgeOptions(metrics=("fd",)), say=print)
        for seed in options.seeds:
            for side, letter in SIDES.items():
                torch.set_num_threads(options.threads)
                take, made, how = (plain if side == "plain" else ours)(letter, scratch, seed)
                row = {"side": side, "seed": seed, "how": how}
                row |= reached(take, made, judge, options, by_letter(letter).batch)
                rows.append(row)
                print(row, flush=True)
                save("until", {"data": "mnist, 32 x 32", "samples": 5_000, "fd": options.fd, "rows": rows})


def reached(
    take: Callable[[], Any], made: Callable[[], np.ndarray], judge: Judge, options: argparse.Namespace, batch: int
) -> dict[str, Any]:
    """Seconds and images until the distance is low enough, and every distance on the way."""
    seconds, images, way = 0.0, 0, []
    while images < options.most:
        began = time.perf_counter()
        for _ in range(options.every // batch):
            take()
        seconds += time.perf_counter() - began
        images += options.every // batch * batch
        value = judge.score(made()).values[judge.headline]
        way.append([images, round(seconds, 1), round(value, 1)])
        if value <= options.fd:
            return {"seconds": round(seconds, 1), "images": images, "way": way}
    return {"seconds": None, "images": images, "way": way}


def plain(letter: str, scratch: Path, seed: int) -> tuple[Callable[[], Any], Callable[[], np.ndarray], str]:
    """The tutorials' loop: what takes a step, what draws 5,000 samples, and how it runs."""
    work = by_letter(letter)
    recipe, _, spec, _ = setup(work, scratch)
    torch.manual_seed(seed)
    nets = nn.ModuleDict({k: usual(net) for k, net in recipe.networks(spec).items()}).train()
    loop = LOOPS[work.recipe](nets, work, np.load(scratch / "mnist-28.npy"))

    def made() -> np.ndarray:
        nets["G"].eval()
        samples = spec.codec.decode(draw_samples(recipe, nets, 5_000, 0))
        nets["G"].train()
        return samples

    return lambda: next(loop), made, f"fp32, {torch.get_num_threads()} threads"


def ours(letter: str, scratch: Path, seed: int) -> tuple[Callable[[], Any], Callable[[], np.ndarray], str]:
    """The engine's step: what takes a step, what draws 5,000 samples, and how it runs."""
    work = by_letter(letter)
    recipe, store, spec, options = setup(work, scratch)
    options = dataclasses.replace(options, seed=seed)
    tame_allocator()
    make = functools.partial(initial_networks, recipe, spec, seed)
    setting, _ = choose_setting(recipe, make, store, spec, options, "cpu", Ranks())
    step = build_step(recipe, make(), options, setting, Ranks())
    feed = build_feed(recipe, spec, store, options, setting, Ranks())
    taken = iter(range(1 << 40))
    return (
        lambda: step.take(next(taken), feed),
        lambda: spec.codec.decode(draw_samples(recipe, step.average, 5_000, 0)),
        f"{setting.precision}, {torch.get_num_threads()} threads",
    )


if __name__ == "__main__":
    main()
