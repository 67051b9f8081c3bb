"""Training: a recipe, a source of data and options become a run.

`train` starts one, `resume` continues one to the last bit; both end in `_loop`, which takes steps, reads the log every
`log_every` images, draws the fixed latents, and saves. The loop knows no GAN by name.
"""

from __future__ import annotations

import contextlib
import functools
import math
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .. import doctor, show
from ..data import DataSpec, Store, open_store
from ..judge.watch import Watch, earlier_scores, note_scores
from ..model.draw import draw_samples
from ..model.saved import save_model
from ..options import TrainOptions
from ..recipe import Batch, Recipe
from ..run import Run
from ..show.words import count
from ..step import graphs
from ..step.randomness import Stream, derive, draws
from ..step.ranks import Ranks, Setting
from ..step.turn import Terms
from ..use.sheets import film_labels
from .film import FRAMES, SHOWN_SOURCES, film_samples, show_sources
from .finish import _chosen
from .log import Diverged
from .prepare import in_vain
from .progress import Progress
from .scores import CHOICE_EVERY, CHOICE_ROWS
from .signals import Signals
from .tuning import build_feed, build_step

CHECKPOINT_MINUTES = 10
"""A checkpoint is saved at least this often, so that slow networks lose little."""


class _Training:
    """One training session of a run."""

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
        self.taker = build_step(recipe, nets, options, setting, ranks)
        if ranks.world > 1:
            for tensor in self.taker.nets.state_dict().values():
                torch.distributed.broadcast(tensor, 0)
        self.feed = build_feed(recipe, spec, store, options, setting, ranks)
        self.shown = self.sources()
        self.labels = film_labels(recipe, self.taker.average, spec)  # of the film's pictures: a class a row
        self.step = 0
        self.seconds = 0.0  # of training alone: pictures and checkpoints do not count
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.ill: set[str] = set()  # what the doctor saw last: said when it comes and when it goes
        self.last_checkpoint: Path | None = None
        self.progress = Progress(options, quiet=ranks.rank > 0)
        self.watch: Watch | None = None
        self.take = graphs.quick(self.taker, options.graphs, self.say)

    @property
    def images(self) -> int:
        return self.step * self.options.batch_size

    def say(self, text: str) -> None:
        self.progress.say(text)

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Hold the run, on the rank that writes it."""
        return self.run.lock() if self.ranks.rank == 0 else contextlib.nullcontext()

    # --- state ---

    def restore(self) -> None:
        """Go back to the newest whole checkpoint; to the start if none was saved yet."""
        found = self.run.newest(self.say)
        if found is None:
            self.say("no checkpoint had been saved: starting again from the first step")
            if self.ranks.rank == 0:
                self.run.rewind(0)
            return
        tensors, meta = found
        sums = {k: tensors.pop(k) for k in list(tensors) if k.startswith("log.")}
        self.taker.load_state(tensors, meta["moves"])
        # Of each rank its own; of all alike, if they are no longer as many.
        own = {k[4:]: v[self.ranks.rank] if len(v) == self.ranks.world else v.mean(0) for k, v in sums.items()}
        self.sums = {k: v.to(self.setting.device) for k, v in own.items()}
        self.counts = dict(meta["counts"])
        self.step, self.seconds = meta["step"], meta["seconds"]
        self.last_checkpoint = self.run.checkpoint_path(self.step)
        if self.ranks.rank == 0:
            self.run.rewind(self.step)
        self.say(f"continuing {self.run.path} at step {self.step:,} ({self.images:,} images)")

    def save(self, finished: bool = False) -> None:
        """Save a checkpoint and the model. A full disk costs this checkpoint, not the run, unless it is the last."""
        self.check()
        sums = self.ranks.gather(torch.stack(list(self.sums.values()))) if self.sums else torch.empty(1, 0)
        if self.ranks.rank > 0:
            return
        meta = {
            "step": self.step,
            "images": self.images,
            "seconds": self.seconds,
            "moves": self.taker.moves,
            "counts": self.counts,
            "finished": finished,
        }
        tensors = self.taker.state()
        tensors |= {f"log.{k}": v.clone() for k, v in zip(self.sums, sums.unbind(1), strict=True)}
        try:
            self.last_checkpoint = self.run.save(tensors, meta, self.options.keep).path
            if not self.recipe.chosen_by or not earlier_scores(self.run.path, self.images + 1):
                self.save_model("model")
        except OSError as error:
            kept = f"{self.last_checkpoint} is intact" if self.last_checkpoint else "none had been saved before"
            if finished:
                raise OSError(f"could not save step {self.step} to {self.run.path}: {error}; {kept}") from error
            self.say(f"could not save step {self.step}: {error}; {kept}. Free some space: training goes on")

    # --- log and pictures ---

    def gather(self, terms: Terms) -> None:
        for key, term in terms.items():
            self.sums[key] = self.sums[key] + term if key in self.sums else term
            self.counts[key] = self.counts.get(key, 0) + 1

    def check(self) -> dict[str, float]:
        """The mean of each term since the last line of the log. This waits for the device."""
        if not self.sums:
            return {}
        keys = list(self.sums)
        means = torch.stack([self.sums[k].double() / self.counts[k] for k in keys])
        self.ranks.mean([means])
        values = dict(zip(keys, means.tolist(), strict=True))
        for key, value in values.items():
            if not math.isfinite(value):
                raise Diverged(self.step, key, value, self.last_checkpoint)
        return values

    def log(self, rate: float) -> None:
        values = self.check()
        self.sums, self.counts = {}, {}
        self.progress.terms(values)
        if self.ranks.rank == 0:
            line = {"step": self.step, "images": self.images, "seconds": round(self.seconds, 3)}
            try:
                self.run.append(line | {"images_per_second": round(rate, 1)} | values)
            except OSError as error:
                self.say(f"could not write the log: {error}; training goes on")

    def picture(self) -> None:
        """Draw the fixed latents, as one frame of the film."""
        if self.ranks.rank > 0:
            return
        ways = [(given, *self.drawn(given)) for given in self.recipe.given(self.shown)]
        given, samples, encoded = ways[0]
        # Untrained samples are always alike, and so is what was made of nothing by a recipe that needs something.
        varied = given or self.recipe.from_noise
        found = doctor.look(encoded, self.real(given)) if self.step and varied else {}
        for illness in found.keys() - self.ill:
            self.say(f"warning at {self.images:,} images: {found[illness]}")
        for illness in self.ill - found.keys():
            self.say(f"at {self.images:,} images samples are no longer {illness}")
        self.ill = set(found)
        try:
            path = self.run.path / "samples" / f"{self.images:012d}"
            if given:
                image = show_sources(self.spec, self.shown, [(given, samples) for given, samples, _ in ways])
                show.save(image, path.with_suffix(".png"))
            else:
                shown = self.spec.made(given)[1]
                real = self.store.fields.get("x", samples)
                show.show_of(shown.kind).moment(samples, shown, real, path, columns=8 if self.labels else 0)
        except OSError as error:
            self.say(f"could not write a picture: {error}; training goes on")

    @functools.cached_property
    def unseen(self) -> Batch:
        """Evenly spaced rows, with the marks of what losses leave out of them."""
        return self.feed.spaced(CHOICE_ROWS)

    def choose(self) -> None:
        """Measure the recipe's own errors of the averaged networks; `model/` holds those with the lowest so far."""
        if self.ranks.rank > 0:
            return
        generator = torch.Generator(self.setting.device).manual_seed(derive(self.options.seed, "errors"))
        with torch.no_grad(), draws(Stream(generator)):  # the same noise at every look
            found = self.recipe.errors(self.taker.average, self.unseen)
        values = {name: float(value) for name, value in found.items()}
        rows = len(next(iter(self.unseen.values())))
        try:
            if note_scores(self.run.path, self.images, values, self.recipe.chosen_by, rows):
                self.save_model("model")
        except OSError as error:
            self.say(f"could not save scores: {error}; training goes on")

    def score(self) -> None:
        """Score the averaged networks on a small sample; the model with the lowest distance is kept in `best/`."""
        if self.ranks.rank > 0:
            return
        try:
            self.watch = self.watch or Watch(self.run.path, self.store, codec=self.spec.codec, say=self.say)
            text, best = self.watch.look(self.recipe, self.taker.average, self.images, self.options.seed)
            self.say(text)
            if best:
                self.save_model("best")
        except OSError as error:
            self.say(f"could not save scores: {error}; training goes on")

    def save_model(self, folder: str) -> None:
        """Save what sampling needs into a folder of the run."""
        nets, average = self.taker.nets, self.taker.average
        save_model(self.run.path / folder, self.recipe, self.name, self.spec, nets, average, self.images)

    def sources(self) -> Batch:
        """Fixed rows for recipes that need a source: of data that is not trained on, if there is such."""
        if not self.options.validation:
            return self.feed.spaced(SHOWN_SOURCES)
        store = open_store(self.options.validation, self.options, progress=False)
        if store.spec.kind not in self.recipe.kinds or store.spec.shape != self.spec.shape:
            raise ValueError(
                f"--validation {self.options.validation} is of kind {store.spec.kind}, {store.spec.shape}; the data is "
                f"of kind {self.spec.kind}, {self.spec.shape}: it must be alike"
            )
        feed = build_feed(self.recipe, self.spec, store, self.options, self.setting, self.ranks)
        return feed.spaced(SHOWN_SOURCES)

    def drawn(self, given: Batch) -> tuple[np.ndarray, Tensor]:
        """Samples of the fixed latents, or of the fixed sources: in the data's own units, and encoded."""
        asked = given or self.labels
        n = len(next(iter(asked.values()))) if asked else film_samples(self.spec)
        encoded = draw_samples(self.recipe, self.taker.average, n, self.options.seed, asked)
        return self.spec.made(given)[1].codec.decode(encoded), encoded

    def real(self, given: Batch) -> Tensor:
        """Real samples of the kind that was made of these, encoded: what the made ones are held against."""
        batch, name = self.feed(0), self.spec.made(given)[0]
        x = (batch[name] if name else torch.cat([batch[k] for k in self.spec.parts], 3)).cpu()
        return x.float() if x.is_floating_point() else x

    # --- the loop ---

    def filmed(self) -> str:
        """What the film shows."""
        if self.recipe.from_noise:
            return (
                f"the same {len(self.labels['label'])} samples, a class a row"
                if self.labels
                else (f"the same {film_samples(self.spec)} samples")
            )
        aligned = show.show_of(self.spec.kind).aligned
        target = " | target" if aligned and len(self.recipe.given(self.shown)) == 1 else ""
        whose = "held-out" if self.options.validation else "training"
        return f"the same {whose} pictures (source | result{target})"

    def loop(self) -> Run:
        options = self.options
        total = math.ceil(options.budget / options.batch_size) if options.budget else sys.maxsize
        limit = options.minutes * 60 or math.inf
        log_every = max(options.log_every // options.batch_size, 1)
        # The film has FRAMES pictures: a share of the images, or of the minutes where those are the budget.
        picture_every = (options.sample_every or options.budget // FRAMES) // options.batch_size
        picture_seconds = math.inf if options.budget or options.sample_every else limit / FRAMES
        checkpoint_every = max(options.checkpoint_every // options.batch_size, 1)
        score_every = options.evaluate_every or (CHOICE_EVERY if self.recipe.chosen_by else 0)
        for warning in in_vain(self.taker, self.images, options.budget):
            self.say(f"warning: {warning}")
        if self.step == 0:
            self.picture()
        last_save = time.monotonic()
        logged_step, logged_seconds = self.step, self.seconds
        pictured = self.seconds
        stopped = 0
        with Signals(self.ranks) as signals, self.progress:
            while self.step < total and self.seconds < limit:
                began = time.perf_counter()
                self.gather(self.take(self.step, self.feed))
                self.step += 1
                at_log = self.step % log_every == 0 or self.step == total
                if at_log and self.setting.device != "cpu":
                    torch.cuda.synchronize()  # so that the seconds of the log are those of the work
                self.seconds += time.perf_counter() - began
                self.progress.at(self.images, self.seconds)
                if at_log:
                    rate = (self.step - logged_step) * options.batch_size / max(self.seconds - logged_seconds, 1e-9)
                    logged_step, logged_seconds = self.step, self.seconds
                    self.log(rate)
                by_images = options.budget or options.sample_every
                if self.step % max(picture_every, 1) == 0 if by_images else self.seconds - pictured >= picture_seconds:
                    self.picture()
                    pictured = self.seconds
                if score_every and self.step % max(score_every // options.batch_size, 1) == 0:
                    self.choose() if self.recipe.chosen_by else self.score()
                due = time.monotonic() - last_save > CHECKPOINT_MINUTES * 60
                stopped, due, over = signals.agree(due, self.seconds >= limit)
                if stopped:
                    break
                if over:
                    self.seconds = max(self.seconds, limit)  # all ranks stop with the first
                if self.step % checkpoint_every == 0 or due:
                    self.save()
                    last_save = time.monotonic()
            if stopped:
                self.say(f"{signal.Signals(stopped).name}: saving step {self.step:,}; a second signal exits at once")
                self.save()
                self.say(
                    f"stopped at {self.images:,} images; continue with: gansmith train --resume --out {self.run.path}"
                )
            else:
                self.finish()
        if stopped == signal.SIGINT:
            raise KeyboardInterrupt
        if stopped:
            raise SystemExit(128 + stopped)
        return self.run

    def finish(self) -> None:
        """The last checkpoint, the model, the pictures, and what to do with them."""
        self.save(finished=True)
        if self.ranks.rank > 0:
            return
        path = self.run.path
        if self.images:
            self.picture()
        frames = sorted((path / "samples").glob("*.png"))
        show.film(frames, path / "film.gif")
        show.curves(self.run.log(), path / "curves.png")
        rate = self.images / self.seconds if self.seconds else 0.0
        out = show.show_of(self.spec.kind).out
        use = f"sample {path} -n 64 --out {out}" if self.recipe.from_noise else f"apply {path} INPUT --out OUT"
        self.say(
            f"done: {self.images:,} images in {self.seconds:.0f} s ({rate:,.0f} a second)\n"
            f"  {path}/{'film.gif' if frames else 'samples/'}    {self.filmed()} through training"
            f"{f'; {path}/samples/ holds the frames' if frames else ''}\n"
            f"  {path}/curves.png  the terms of each player, read for you\n"
            f"  {path}/model/      the generator{_chosen(path, self.images, self.recipe.chosen_by)}\n"
            f"next: gansmith {use}\n"
            f"      gansmith info {path}\n"
            f"      gansmith train --resume --out {path} --images {count(2 * self.images)}"
        )
