"""A run while it trains: how far it is and when it ends, what takes its steps, and the folder that it is saved to."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from .. import records
from ..data import DataSpec, Store
from ..model.saved import save_model
from ..options import TrainOptions
from ..recipe import Recipe
from ..run import Run
from ..step import graphs
from ..step.ranks import Ranks, Setting
from .log import Diverged, Means, advice
from .progress import Progress
from .tuning import build_feed, build_step


@dataclass
class At:
    """How far training is."""

    batch_size: int
    step: int = 0
    """Steps taken."""
    seconds: float = 0.0
    """Seconds of training alone: pictures, scores and checkpoints do not count."""

    @property
    def images(self) -> int:
        """Images shown."""
        return self.step * self.batch_size

    def next(self) -> At:
        """Where the next step ends, its seconds not counted."""
        return At(self.batch_size, self.step + 1, self.seconds)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When training ends: after so many steps, or so many seconds of training."""

    steps: int
    seconds: float

    @classmethod
    def of(cls, options: TrainOptions) -> Budget:
        """The budget that the options give: images in whole steps, minutes, or both."""
        steps = math.ceil(options.budget / options.batch_size) if options.budget else sys.maxsize
        return cls(steps=steps, seconds=options.minutes * 60 or math.inf)

    def spent(self, at: At) -> bool:
        """Whether training has ended."""
        return at.step >= self.steps or self.out_of_time(at)

    def out_of_time(self, at: At) -> bool:
        """Whether the seconds are spent. Ranks may differ in it."""
        return at.seconds >= self.seconds


class Session:
    """One training session of a run: what its steps, its log, its pictures and its checkpoints work on."""

    def __init__(
        self,
        run: Run,
        recipe: Recipe,
        name: str,
        spec: DataSpec,
        store: Store,
        nets: nn.ModuleDict,
        options: TrainOptions,
        setting: Setting,
        ranks: Ranks,
    ) -> None:
        self.run, self.recipe, self.name, self.spec, self.store = run, recipe, name, spec, store
        self.options, self.setting, self.ranks = options, setting, ranks
        self.budget, self.at = Budget.of(options), At(options.batch_size)
        self.progress = Progress(options, quiet=ranks.rank > 0)
        self.step = build_step(recipe, nets, options, setting, ranks)
        if ranks.world > 1:  # equal seeds give equal weights on equal machines only
            for tensor in self.step.nets.state_dict().values():
                torch.distributed.broadcast(tensor, 0)
        self.feed = build_feed(recipe, spec, store, options, setting, ranks)
        self.take = graphs.quick(self.step, options.graphs, self.say)
        self.means = Means(ranks)
        self.last_checkpoint: Path | None = None

    def say(self, text: str) -> None:
        """Print a line that stays, on the first rank."""
        self.progress.say(text)

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Hold the run, on the rank that writes it, and remove what a killed session left half done."""
        if self.ranks.rank > 0:
            yield
            return
        with self.run.lock():
            self.run.tidy()
            yield

    def advance(self, *, wait: bool) -> None:
        """Take a step and count its seconds; `wait` for the device, so that they are those of the work until here."""
        began = time.perf_counter()
        self.means.add(self.take(self.at.step, self.feed), self.at.step + 1)
        self.at.step += 1
        if wait and self.setting.device != "cpu":
            torch.cuda.synchronize()
        self.at.seconds += time.perf_counter() - began

    def finite_means(self) -> dict[str, float]:
        """The mean of each term since the last line of the log: {"D/real": 0.69}. Waits for the device.

        Every rank must call it. Raises `Diverged` if one is not finite.
        """
        values = self.means.values()
        if bad := [name for name, value in values.items() if not math.isfinite(value)]:
            name, step = self.means.first_not_finite() or (bad[0], self.at.step)
            raise Diverged(step, name, values[name], self.last_checkpoint, advice(self.recipe, self.setting))
        return values

    def check_there(self) -> None:
        """Raises `FileNotFoundError` if the run was deleted while it trains: nothing of it would be kept."""
        if not (self.run.path / "run.json").is_file():
            raise FileNotFoundError(f"{self.run.path} was deleted while it trained: training ends, as nothing is kept")

    def restore(self) -> None:
        """Go back to the newest whole checkpoint; to the start if none was saved yet."""
        newest = self.run.newest(self.say)
        if newest is None:
            self.say("no checkpoint had been saved: starting again from the first step")
            if self.ranks.rank == 0:
                self.run.rewind(0)
            return
        tensors, note = newest
        records.check(note, {"counts": dict, "moves": int}, f"the note of checkpoint {note['step']} of {self.run.path}")
        self.means.load(tensors, note["counts"], self.setting.device)
        self.step.load_state(tensors, note["moves"])
        self.at.step, self.at.seconds = note["step"], note["seconds"]
        self.last_checkpoint = self.run.checkpoint_path(self.at.step)
        if self.ranks.rank == 0:
            self.run.rewind(self.at.step)
        self.say(f"continuing {self.run.path} at step {self.at.step:,} ({self.at.images:,} images)")

    def save_model(self, folder: str) -> None:
        """Save what sampling needs into a folder of the run. Raises `OSError`, what was there intact."""
        nets, average = self.step.nets, self.step.average
        save_model(self.run.path / folder, self.recipe, self.name, self.spec, nets, average, self.at.images)
