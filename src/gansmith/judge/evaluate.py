"""Is it good? Scores of a run, with their protocol, their floor and their control.

Three things are scored in the same way: the model; held-out real samples (the floor: no model can be asked for more);
and a replay of training samples (the control: every fidelity score is flattered by it, and the copying scores must
flag it, or they would not flag a model either). Real rows are drawn at random with a recorded seed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ..data import Store, open_store
from ..data.table import TableCodec
from ..encoders import Encoder
from ..files import write_json
from ..model.ask import Asked
from ..model.ask import asked as ask
from ..model.draw import Weights
from ..model.model import Model
from ..model.saved import load
from ..options import DataOptions, Size
from ..recipe import EMPTY, Recipe
from ..run import Run
from .kinds.image import TRAINING, Judge, Source, as_store, container, rows_of
from .kinds.text import TextJudge
from .protocol import Protocol, Scores, read_scores
from .words import better, flags_of, sentences


def evaluate(
    run: str | Path | Run | Model,
    *,
    data: Source | None = None,
    metrics: Sequence[str] = (),
    n: int = 10_000,
    reference: int = 10_000,
    training: int = TRAINING,
    encoder: str | Encoder = "own",
    resize: str = "tf1-bilinear",
    weights: Weights = "ema",
    checkpoint: Literal["last", "best"] = "last",
    seed: int = 0,
    reference_seed: int = 0,
    device: str = "cpu",
    target: str = "",
    recipe: type[Recipe] | None = None,
    fresh: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> Scores:
    """Score a run and write the scores into its `scores/`; what was scored before under this protocol is read.

    Args:
        run: its directory, or the folder of a saved model, or a model; for the last two `data` must be given.
        data: what to hold it against; by default the data it was trained on.
        metrics: groups of `ALL_METRICS` (of text: of `judge_text.METRICS`); by default those that fit the data.
        n: samples of the model, of the floor and of the control.
        reference: real samples, drawn at random from the data.
        training: training samples among which near copies are looked for.
        encoder: `own` (trained once on the data), `inception`, `inception:PATH`, `own:FOLDER`, `cifar:PATH`, `pixels`,
            or an `Encoder`. Vectors need none.
        resize: what Inception is given: `tf1-bilinear` (FID), `torch-bilinear` or `pil-bicubic` ("clean").
        weights: the moving average, or the weights of the last step.
        checkpoint: the last one, or the best of those scored during training.
        seed: of the samples.
        reference_seed: of the rows of the real side.
        device: that the samples are drawn and encoded on.
        target: the column of a table that classifiers are to tell; the last discrete one by default.
        recipe: the class, for a run that used a recipe file of your own.
        fresh: score again what has been scored.
        say: is told what is going on.

    Raises:
        FileNotFoundError: there is no such run, model, data or weights.
        ValueError: options that do not fit.
    """
    began = time.perf_counter()
    model, path, store, options, about = _model(run, data, checkpoint, recipe)
    judge: Judge | TextJudge
    if store.spec.kind == "text":
        judged = open_store(data, options, progress=False) if path is not None and data is not None else None
        judge = TextJudge(store, judged=judged, metrics=metrics, n=n, reference=reference, seed=reference_seed, say=say)
        judge.attach(model.weights(weights))
    else:
        judge = Judge(
            store,
            data=None if path is None else data,
            options=options,
            metrics=metrics,
            n=n,
            reference=reference,
            training=training,
            encoder=encoder,
            resize=resize,
            seed=reference_seed,
            target=target,
            device=device,
            say=say,
        )
    if model.spec.kind != "table" and model.spec.shape != store.spec.shape:
        raise ValueError(f"the model makes samples of {model.spec.shape}, {store.source} holds {store.spec.shape}")
    protocol = judge.protocol(weights=weights, checkpoint=checkpoint, sample_seed=seed)
    place, kept = None, None
    if path is not None:
        place = path / "scores" / f"{model.images:012d}-{weights}-{protocol.short}.json"
        if place.is_file() and not fresh:
            with contextlib.suppress(ValueError):
                kept = read_scores(place)
        if kept is not None and set(judge.metrics) <= set(kept.run.get("metrics", ())):
            say(f"these scores were there: {place}")
            return kept
    say(f"drawing {judge.num:,} samples of {model.recipe_name} after {model.images:,} images")
    wanted = None if isinstance(judge, TextJudge) else ask(model.to(device), judge.num, seed, weights)
    given = EMPTY if wanted is None else wanted.given
    samples = model.to(device).stored(judge.num, seed=seed, weights=weights, given=given)
    scores = _scores(judge, samples, protocol, about | {"images": model.images}, began, wanted)
    if place is not None:
        if kept is not None:
            scores = _joined(kept, scores)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(place, scores.to_json())
    return scores


def evaluate_sets(
    real: Source,
    fake: Source,
    *,
    options: DataOptions = DataOptions(),
    metrics: Sequence[str] = (),
    n: int = 10_000,
    reference: int = 10_000,
    training: int = TRAINING,
    encoder: str | Encoder = "own",
    resize: str = "tf1-bilinear",
    seed: int = 0,
    reference_seed: int = 0,
    device: str = "cpu",
    out: Path | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Scores:
    """Score one set of samples against another, without a run; copies are looked for in the real one.

    Arguments as for `evaluate`; `seed` draws the rows of the fakes. `out`: a JSON file to write.

    Raises:
        FileNotFoundError: one of them is not there.
        ValueError: they differ in size, channels or depth, or are too few.
    """
    began = time.perf_counter()
    truth = open_store(real, options, progress=False)
    made = as_store(fake, options, truth)
    text = truth.spec.kind == made.spec.kind == "text"
    if not text and (truth.spec.shape != made.spec.shape or truth.fields["x"].dtype != made.fields["x"].dtype):
        raise ValueError(
            f"{truth.source} holds {container(truth)}, {made.source} holds {container(made)}: a score would measure "
            "the difference; pass --size, or convert one of them"
        )
    judge: Judge | TextJudge
    if text:
        judge = TextJudge(
            truth, metrics=metrics, n=n, reference=reference, seed=reference_seed, num_fake=len(made), say=say
        )
    else:
        judge = Judge(
            truth,
            metrics=metrics,
            n=n,
            reference=reference,
            training=training,
            encoder=encoder,
            resize=resize,
            seed=reference_seed,
            num_fake=len(made),
            device=device,
            say=say,
        )
    first, second = _suffixes(real), _suffixes(fake)
    if first and second and first != second:
        judge.notes.append(
            f"files of another kind: {', '.join(first)} against {', '.join(second)}; compression alone moves a score"
        )
    for store in (truth, made):
        judge.notes += [f"{store.source}: {note}" for note in store.notes if "made" in note or "read with" in note]
    rows = np.random.Generator(np.random.Philox(key=[seed % 2**64, 10])).permutation(len(made))[: judge.num]
    protocol = judge.protocol(weights="", checkpoint="files", sample_seed=seed)
    about = {"recipe": "files", "fields": {}, "seed": seed, "data": truth.source, "source": made.source, "images": 0}
    samples = rows_of(made, rows)
    if text:
        samples = made.spec.codec.decode(torch.from_numpy(samples))
    scores = _scores(judge, samples, protocol, about, began)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, scores.to_json())
    return scores


def _scores(
    judge: Judge | TextJudge,
    samples: np.ndarray,
    protocol: Protocol,
    about: Mapping[str, Any],
    began: float,
    wanted: Asked | None = None,
) -> Scores:
    floor, control, floor_more = judge.yardsticks()
    judge.say("scoring the model")
    if wanted is None or isinstance(judge, TextJudge):
        values, more = judge.score(samples)
    else:
        codes = int(wanted.values.max()) + 1 if wanted.kind == "code" else 0
        values, more = judge.score(samples, wanted.values, codes)
    if "asked" in more:
        name = more["asked"]["name"]
        control[name] = more["asked"]["control"]
        if math.isfinite(more["asked"]["real"]):
            floor[name] = more["asked"]["real"]
    classes = list(judge.spec.classes)
    if isinstance(judge, TextJudge):
        flags = judge.flags(values, floor, control)
    else:
        flags = flags_of(values, floor, control, more, classes)
    notes = list(judge.notes)
    dim = protocol.encoder_features
    if judge.num <= dim and judge.frechet in values:
        notes.append(
            f"{judge.num:,} samples of {dim} features: a Frechet distance is mostly bias there; read {judge.kernel}"
        )
    elif judge.num < 1_000:
        notes.append(f"only {judge.num:,} samples: scores are noisy, and small differences mean nothing")
    if flags.get("control_flagged") == "no":
        notes.insert(
            0,
            "THE CONTROL WAS NOT FLAGGED: a replay of training samples passes these copying tests, so they say nothing "
            "about the model",
        )
    return Scores(
        scores=values,
        floor={k: floor[k] for k in values if k in floor},
        control={k: control[k] for k in values if k in control},
        better={k: better(k) for k in values},
        flags=flags,
        reading=tuple(sentences(judge, values, floor, flags, more)),
        notes=tuple(notes),
        protocol=protocol,
        run={**about, "metrics": list(judge.metrics)},
        class_histogram=tuple(more.get("shares", ())),
        class_histogram_floor=tuple(floor_more.get("shares", ())),
        by_class=tuple(None if math.isnan(v) else v for v in more.get("asked", {}).get("by_class", ())),
        closest=tuple((i, j, d) for i, j, d in more.get("closest", [])),
        seconds=round(time.perf_counter() - began, 2),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def _model(
    run: str | Path | Run | Model, data: Source | None, checkpoint: str, recipe: type[Recipe] | None
) -> tuple[Model, Path | None, Store, DataOptions, dict[str, Any]]:
    """The model, its run's directory if it has one, the data it was trained on, and what it is."""
    if isinstance(run, Run):
        run = run.path
    if isinstance(run, Model) or not (Path(run) / "run.json").is_file():
        model = run if isinstance(run, Model) else load(run, recipe)
        if data is None:
            raise ValueError("a model without its run does not say where its data is: pass data (--data)")
        shape = model.spec.shape
        options = DataOptions(size=Size((shape[1], shape[2]) if model.spec.kind == "image" else (0, 0)))
        about = {"recipe": model.recipe_name, "fields": _fields(model.recipe), "seed": 0, "data": str(data)[:200]}
        store = open_store(data, options, progress=False)
        if isinstance(model.spec.codec, TableCodec):
            store = as_store(data, options, dataclasses.replace(store, spec=model.spec))
        return model, None, store, options, about
    found = Run(run)
    if checkpoint == "best" and not (found.path / "best" / "model.json").is_file():
        raise FileNotFoundError(f"{found.path} has no best checkpoint: train with --evaluate-every to keep one")
    model = load(found.path / "best" if checkpoint == "best" else found.path, recipe)
    saved, record = found.record["options"], found.record["data"]
    options = DataOptions(
        data_dir=Path(saved["data_dir"]) if saved.get("data_dir") else None,
        size=Size(saved["size"]),
        columns=str(saved.get("columns", "")),
        **{k: saved[k] for k in ("fit", "resample", "channels")},
        **{k: v for k, v in saved.items() if k.startswith("text_")},
    )
    if (Path(record["store"]) / "manifest.json").is_file():
        store = Store.open(record["store"])
    else:
        store = open_store(record["source"], options, progress=False)
    if store.digest != record["digest"]:
        raise ValueError(
            f"{record['source']} is no longer the data of this run (digest {store.digest[:12]}, recorded "
            f"{record['digest'][:12]}): restore it"
        )
    about = {
        "recipe": model.recipe_name,
        "fields": dict(found.record["recipe"]["fields"]),
        "seed": int(saved["seed"]),
        "data": str(record["source"]),
        "digest": str(record["digest"]),
        "batch_size": int(saved["batch_size"]),
        "seconds": round(float(found.progress()["seconds"]), 1),
    }
    return model, found.path, store, options, about


def _fields(recipe: Recipe) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(recipe), default=str))


def _suffixes(source: Source) -> list[str]:
    """The kinds of files in a folder, of which the most frequent is told."""
    if not isinstance(source, str | Path) or not Path(source).is_dir():
        return []
    pictures = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
    counts = Counter(p.suffix.lower().replace(".jpeg", ".jpg") for p in Path(source).rglob("*") if p.suffix)
    found = sorted(suffix for suffix in counts if suffix in pictures or suffix == ".jpg")
    return found


def _joined(kept: Scores, new: Scores) -> Scores:
    """Scores of the same samples under the same protocol, of two choices of metrics."""
    names = ("scores", "floor", "control", "better", "flags")
    values: dict[str, Any] = {name: {**getattr(kept, name), **getattr(new, name)} for name in names}
    metrics = list(dict.fromkeys([*kept.run.get("metrics", ()), *new.run["metrics"]]))
    reading = tuple(dict.fromkeys([*kept.reading, *new.reading]))
    for name in ("closest", "class_histogram", "class_histogram_floor", "by_class"):
        values[name] = getattr(new, name) or getattr(kept, name)
    return dataclasses.replace(new, **values, run={**new.run, "metrics": metrics}, reading=reading)
