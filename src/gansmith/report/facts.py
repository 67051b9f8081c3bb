"""All that the page tells, gathered from the run, its model and its training data; what cannot be had is noted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import catalog, doctor, records
from ..data import DataSpec, Store, read_spec
from ..model.draw import draw_samples
from ..model.saved import build_recipe, load, sketched
from ..recipe import Recipe, load_recipe
from ..run import Run
from ..show import Near, Show, reading, show_of
from .neighbours import Neighbours, search
from .spaced import spaced
from .words import entry


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network, counted."""

    kind: str
    parameters: int
    serves: bool


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Samples of the model, in the data's own units."""

    images: int
    """After how many images the model was saved."""
    averaged: np.ndarray
    encoded: Tensor
    """The same as they left the network."""
    raw: np.ndarray
    """The same latents by the weights of the last step."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What there is to tell."""

    run: Run
    spec: DataSpec
    show: Show
    """Of what is drawn."""
    seed: int
    show_data: bool
    progress: dict[str, Any]
    log: list[dict[str, Any]]
    page: catalog.RecipePage | None
    recipe: Recipe | None
    networks: dict[str, Network]
    """By role; empty without the recipe."""
    drawn: Drawn | None
    store: Store | None
    neighbours: Neighbours | None
    scores: dict[str, dict[str, Any]]
    """By the names of their files."""
    missing: list[str]
    """What could not be had, and how to get it."""
    warnings: list[str]

    @property
    def shown_data(self) -> np.ndarray:
        """The training data that the page may show; none if they are gone or are not to be passed on."""
        if self.store is None or not self.show_data:
            return np.empty((0, *self.spec.shape))
        return self.store.fields["b" if self.spec.parts else "x"]


def gather(run: Run, recipe_file: Path | None, seed: int, show_data: bool) -> Facts:
    """Raises `ValueError` if the run is damaged, `FileNotFoundError` if there is no `recipe_file`."""
    record, missing, warnings = run.record, list[str](), list[str]()
    try:
        saved, spec = record["recipe"], read_spec(record["data"]["spec"], str(run.path / "run.json"))
        name = str(saved["name"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{run.path / 'run.json'} is damaged: it lacks {error}") from error
    # A recipe of the user's own is code: neither run nor read because a run names it.
    own = load_recipe(str(recipe_file)) if recipe_file else None
    page, recipe, networks = _recipe(saved, name, spec, own, recipe_file, missing)
    drawn_alone = recipe is not None and recipe.from_noise  # of two sets of pictures too: a pair of the same noise
    show = show_of((spec.made(()).spec if drawn_alone else spec).kind)
    # What is made of sources is shown as it was drawn during training, beside them.
    drawn = _draw(run, own, spec, show, seed, missing) if recipe is not None and not spec.parts else None
    store = _data(record, missing)
    neighbours = None
    if drawn is not None and store is not None:
        near = show.near(spec)
        neighbours = search(drawn.averaged[:512], store, near) if isinstance(near, Near) else None
        warnings += _seen(drawn.encoded, spec, store)
    progress, log = _progress(run)
    warnings += _unsound(run, progress, log, store)
    scores = _scores(run, warnings)
    warnings += _flagged(scores)
    return Facts(
        run=run,
        spec=spec,
        show=show,
        seed=seed,
        show_data=show_data,
        progress=progress,
        log=log,
        page=page,
        recipe=recipe,
        networks=networks,
        drawn=drawn,
        store=store,
        neighbours=neighbours,
        scores=scores,
        missing=missing,
        warnings=warnings,
    )


def _recipe(
    saved: Mapping[str, Any],
    name: str,
    spec: DataSpec,
    own: type[Recipe] | None,
    recipe_file: Path | None,
    missing: list[str],
) -> tuple[catalog.RecipePage | None, Recipe | None, dict[str, Network]]:
    """What the recipe says of itself, the recipe, and its networks counted; less of it where it cannot be used."""
    if name.endswith(".py") and own is None:
        missing.append(
            f"The recipe is a file of one's own, {name}: nothing was drawn without it. Add --recipe-file {name}."
        )
        return None, None, {}
    page = None
    try:
        page = catalog.describe(str(recipe_file) if recipe_file else name)
        recipe = build_recipe(saved, own)
        return page, recipe, _counted(recipe, spec)
    except Exception as error:  # code of the user's, or fields of the wrong type from a file: it may be anything
        missing.append(f"The recipe cannot be used: {error}")
    return page, None, {}


def _unsound(run: Run, progress: Mapping[str, Any], log: Sequence[Mapping[str, Any]], store: Store | None) -> list[str]:
    """What to look out for in how it was trained."""
    found = []
    if not progress["finished"]:
        found.append(
            f"Training has not finished: this is how it stood when the page was made. To go on: {run.how_to_resume()}"
        )
    found += [s for s in reading(log) if "training broke" in s]
    if store is not None and store.quarantined:
        found.append(
            f"{len(store.quarantined):,} files or rows were left out of the training data, the first: "
            f"{store.quarantined[0].name} ({store.quarantined[0].reason})"
        )
    return found


def _counted(recipe: Recipe, spec: DataSpec) -> dict[str, Network]:
    """Its networks, counted without memory for them."""
    nets = sketched(recipe, spec)
    return {
        role: Network(
            kind=type(net).__name__,
            parameters=sum(p.numel() for p in net.parameters()),
            serves=role in recipe.serving,
        )
        for role, net in nets.items()
    }


def _draw(
    run: Run, own: type[Recipe] | None, spec: DataSpec, show: Show, seed: int, missing: list[str]
) -> Drawn | None:
    try:
        model = load(run.path, own)
    except (OSError, ValueError) as error:
        missing.append(f"There is no model to draw from: {error}")
        return None
    averaged, raw = show.reported(spec)
    encoded = draw_samples(model.recipe, model.weights("ema"), averaged, seed)
    return Drawn(
        images=model.images,
        averaged=spec.codec.decode(encoded),
        encoded=encoded,
        raw=model.stored(raw, seed=seed, weights="raw"),
    )


def _data(record: Mapping[str, Any], missing: list[str]) -> Store | None:
    """The training data, if they are still those."""
    try:
        store = Store.open(str(record["data"]["store"]))
        if store.digest == record["data"]["digest"]:
            return store
        missing.append("The training data's place now holds other data: nothing of it is shown.")
    except (OSError, ValueError, KeyError) as error:
        missing.append(f"The training data are not there any more: {error}")
    return None


def _progress(run: Run) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How far it is, and its log. Raises `ValueError` if they hold anything but numbers there."""
    try:
        progress, log = run.progress(), run.log()
        for line in (progress, *log):
            for key in ("step", "images", "seconds"):
                if not math.isfinite(line[key]):
                    raise ValueError(f"{key} is {line[key]}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"log.jsonl or a checkpoint's note in {run.path} is damaged: {error}") from error
    return progress, log


def _seen(fake: Tensor, spec: DataSpec, store: Store) -> list[str]:
    """What the doctor sees in encoded samples."""
    real = np.array(store.fields["x"][spaced(len(store), 256)])
    found = doctor.look(fake[:256], spec.codec.encode(torch.from_numpy(real)))
    return [f"{text[0].upper()}{text[1:]}." for text in found.values()]


def _scores(run: Run, warnings: list[str]) -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted((run.path / "scores").glob("*.json")):
        try:
            found[path.stem] = records.read(path)
        except (ValueError, OSError) as error:
            warnings.append(f"Scores left out: {error}")
    return found


def _flagged(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the scores of a run warn of, most serious first."""
    words = {
        ("copying", "yes"): "samples are training samples, or nearly so",
        ("collapsed", "yes"): "samples are much more alike than real ones",
        ("copying", "perhaps"): "samples may be copies of training samples: look at the closest pairs",
        ("collapsed", "perhaps"): "samples are more alike than real ones",
        ("control_flagged", "no"): "the control, a replay of training data, was not flagged: copying would go unseen",
    }
    return [
        f"Scores {name}: {text}."
        for (flag, value), text in words.items()
        for name, saved in scores.items()
        if entry(saved, "flags").get(flag) == value
    ]
