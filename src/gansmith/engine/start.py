"""Training begins here: a recipe, a source of data and options become a run; or a run goes on."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .._version import __version__
from ..data import DataSpec, Store, read_spec
from ..data.origin import change_of, origin_of
from ..files import write_atomically
from ..machine import tame_allocator
from ..model.saved import build_recipe, other_source, own_file, recipe_record
from ..options import Count, TrainOptions
from ..recipe import Recipe, load_recipe
from ..run import Run, refuse_existing
from ..settle import checked
from ..step.ranks import Ranks, Setting, barrier, joined
from . import loop
from .checkpoints import Checkpoints
from .film import Film
from .finish import missing
from .log import Log
from .prepare import check_networks, check_options, initial_networks, packed, reopen, spec_for
from .scores import Chosen, Watched
from .session import Session
from .trial import check_recipe, networks_of, said
from .tuning import Candidate, choose_setting, data_seed, within_memory


@checked
def train(
    recipe: Recipe | str,
    data: str | Path | np.ndarray | Mapping[str, np.ndarray] | Any = "digits",
    options: TrainOptions = TrainOptions(),
    *,
    out: str | Path | None = None,
    name: str | None = None,
    overwrite: bool = False,
) -> Run:
    """Train a GAN into a new run directory and return the run.

    `recipe`: a recipe, or the name of one (its defaults are used), or the path of a file that defines one. `data`: a
    source as on the command line, arrays, or a pandas DataFrame. `out`: the directory, `runs/<recipe>-<data>` by
    default. `name`: what to record as the recipe's name; needed only for a recipe object of your own, whose file it is.
    `overwrite`: train in place of a run that is there already; of anything else in its folder nothing is removed.

    >>> import gansmith
    >>> from gansmith.recipes.gan import GAN
    >>> run = gansmith.train(GAN(), "digits", gansmith.TrainOptions(images=50_000), out="runs/first")  # doctest: +SKIP
    >>> gansmith.load(run.path).sample(16).shape  # doctest: +SKIP
    (16, 8, 8, 1)

    Raises `ValueError` for options that do not fit, `FileExistsError` if `out` holds something, `FileNotFoundError`
    for missing data, `Diverged` when a term is no longer finite. Ctrl-C and SIGTERM save first, then raise
    `KeyboardInterrupt` and `SystemExit(143)`.
    """
    recipe, name = _identified(recipe, name)
    if not isinstance(options, TrainOptions):
        raise TypeError(f"options are {options!r}; give gansmith.TrainOptions(images=..., batch_size=...)")
    check_options(recipe, options)
    label = str(data) if isinstance(data, str | Path) else "array"
    path = Path(out) if out is not None else Path("runs") / f"{Path(name).stem}-{_safe(label)}"
    with joined(options.device) as (ranks, device):
        if ranks.rank == 0:
            refuse_existing(path, overwrite=overwrite)
        store = packed(data, options, ranks)
        spec = spec_for(recipe, name, store)
        own = own_file(type(recipe))
        with contextlib.nullcontext() if own is None else said(recipe, "networks()"):
            check_networks(recipe, spec)
        tame_allocator()
        make = functools.partial(initial_networks, recipe, spec, options.seed)
        if own is not None:
            warnings = check_recipe(recipe, networks_of(recipe, make), store, spec, options)
            for text in warnings if ranks.rank == 0 else ():
                print(f"warning: {text}", file=sys.stderr)
        options = within_memory(recipe, make(), store, spec, options, device, ranks)
        setting, timings = choose_setting(recipe, make, store, spec, options, device, ranks)
        origin = origin_of(str(data)) if isinstance(data, str | Path) else {}
        record = _record(recipe, name, label, origin, store, spec, options, setting, timings, ranks)
        run = Run.create(path, record, overwrite=overwrite) if ranks.rank == 0 else None
        if run is not None and own is not None:
            write_atomically(run.path / "recipe.py", functools.partial(shutil.copyfile, own))
        barrier(ranks)
        s = Session(run or Run(path), recipe, name, spec, store, make(), options, setting, ranks)
        how = Candidate(setting, torch.get_num_threads())
        s.say(
            f"training {name} on {label} ({len(store):,} x {'x'.join(map(str, spec.shape))}) to {path}: "
            f"{_budget(options)}, {options.batch_size} a step, {how} on {device}"
        )
        with s.locked():
            return _trained(s)


@checked
def resume(
    out: str | Path,
    *,
    recipe: type[Recipe] | None = None,
    images: int | None = None,
    minutes: float | None = None,
) -> Run:
    """Continue a run from its newest whole checkpoint, exactly as if it had never stopped.

    `images` and `minutes` replace what is recorded and must exceed what is done; the run records them. One of them that
    is not given holds still, unless the run has ended by it: `images` alone goes on where `minutes` are up. `recipe` is
    needed only if the run used a recipe file of your own. Raises as `train` does, and `ValueError` if the data is no
    longer the same.
    """
    run = Run(out)
    built = build_recipe(run.record["recipe"], recipe)
    if changed := other_source(run.record["recipe"], recipe):
        kept = run.path / "recipe.py"
        raise ValueError(f"{changed}; {kept} goes on with it as it was; or train anew into another --out")
    done = run.progress()
    options = _continued(run.options, images, minutes, done)
    spent = options.budget and options.budget <= done["images"]
    if done["finished"] and (spent or (options.minutes and options.minutes * 60 <= done["seconds"])):
        reached = f"{run.path} has shown {done['images']:,} images in {done['seconds'] / 60:.1f} minutes"
        if images is not None or minutes is not None:
            raise ValueError(f"{reached}: pass a larger --images or --minutes to go on")
        if not (lacking := missing(run, built.chosen_by)):
            # No error, so that a script may resume whatever it finds.
            print(f"{reached} and is finished; a larger --images or --minutes goes on", file=sys.stderr)
            return run
        print(f"{reached}, but {lacking} of it is missing: made again", file=sys.stderr)
    name = str(run.record["recipe"]["name"])
    saved = run.record["setting"]
    torch.set_num_threads(int(saved["threads"]))  # the order of sums in a convolution depends on it
    with joined(str(saved["device"])) as (ranks, device):
        store = reopen(run, options, ranks)
        spec = read_spec(run.record["data"]["spec"], str(run.path / "run.json"))
        check_networks(built, spec)
        tame_allocator()
        nets = initial_networks(built, spec, options.seed)
        setting = Setting(device, str(saved["precision"]), bool(saved["channels_last"]))
        s = Session(run, built, name, spec, store, nets, options, setting, ranks)
        if changed := change_of(run.record["data"].get("origin", {})):
            s.say(f"{changed}. This run goes on with what was packed of it at its beginning: a new one reads it anew")
        with s.locked():
            if ranks.rank == 0:  # so that it goes on to the same end if it is stopped before
                run.set_options(_options_record(options))
            s.restore()
            return _trained(s)


def _continued(
    options: TrainOptions, images: int | None, minutes: float | None, done: Mapping[str, Any]
) -> TrainOptions:
    """The options of a run that has done so much, with these budgets; the other one is lifted where it is spent."""
    if images is not None:
        out_of_time = 0 < options.minutes * 60 <= done["seconds"]
        options = dataclasses.replace(options, images=Count(images), minutes=0.0 if out_of_time else options.minutes)
    if minutes is not None:
        shown = images is None and minutes > 0 and 0 < options.budget <= done["images"]
        options = dataclasses.replace(options, minutes=minutes, images=Count(0) if shown else options.images)
    return options


def _trained(s: Session) -> Run:
    """The run, once the session has trained it to its end: here all that looks on is named."""
    scores = Chosen(s) if s.recipe.chosen_by else Watched(s)
    return loop.run(s, Log(s), Film(s), scores, Checkpoints(s))


def _identified(recipe: Recipe | str, name: str | None) -> tuple[Recipe, str]:
    """The recipe, and what a run records as its name: that of one of ours, or the file of one's own."""
    if isinstance(recipe, str):
        return load_recipe(recipe)(), recipe
    if not isinstance(recipe, Recipe):
        wanted = f"{recipe.__name__}(), made of the class" if isinstance(recipe, type) else "a recipe or its name"
        raise TypeError(f"recipe is {recipe!r}; give {wanted}")
    if name is None:
        module = type(recipe).__module__
        name = module.rsplit(".", 1)[1] if module.startswith("gansmith.recipes.") else sys.modules[module].__file__
        assert name is not None
    return recipe, name


def _record(
    recipe: Recipe,
    name: str,
    source: str,
    origin: Mapping[str, Any],
    store: Store,
    spec: DataSpec,
    options: TrainOptions,
    setting: Setting,
    timings: Mapping[str, float],
    ranks: Ranks,
) -> dict[str, Any]:
    """What `run.json` holds: all that is needed to train the run again."""
    return {
        "recipe": recipe_record(recipe, name),
        "options": _options_record(options),
        "data": {
            "source": source,
            "origin": origin,
            "store": str(store.path),
            "digest": store.digest,
            "content": store.content(),
            "count": len(store),
            "spec": spec.to_json(),
            **recipe.draw().bind(spec.codec, store.fields).record(data_seed(options)),
        },
        "setting": {**dataclasses.asdict(setting), "threads": torch.get_num_threads(), "timings": dict(timings)},
        "versions": {"gansmith": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "world": ranks.world},
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _options_record(options: TrainOptions) -> dict[str, Any]:
    values = dataclasses.asdict(options)
    plain = {"size": list(options.size), "range": list(options.range)}
    return values | {"data_dir": str(options.data_dir) if options.data_dir else None} | plain


def _budget(options: TrainOptions) -> str:
    parts = [f"{options.budget:,} images"] if options.budget else []
    return " or ".join(parts + ([f"{options.minutes:g} minutes"] if options.minutes else []))


def _safe(name: str) -> str:
    """A source's name as part of a folder's."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(name).name or "data").strip("-")[:40]
