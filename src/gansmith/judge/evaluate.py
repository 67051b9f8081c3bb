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
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .. import records
from ..asks import Number
from ..data import Store, kind_of, open_store
from ..data.listing import names_below
from ..encoders import Encoder
from ..files import write_json
from ..model.ask import asked as ask
from ..model.ask import class_prior
from ..model.draw import Weights
from ..model.model import Model
from ..model.saved import load, other_source
from ..options import DataOptions
from ..recipe import EMPTY, Recipe
from ..run import Run
from ..settle import checked
from .judge import Judge, Judgement, JudgeOptions, build_judge, judge_of
from .protocol import Protocol, Scores, read_scores
from .real import LEAST, Source, Split, as_store, container, random_of, reread_store
from .words import sentences

_UNFLAGGED = (
    "THE CONTROL WAS NOT FLAGGED: a replay of training samples passes these copying tests, so they say nothing about "
    "the model"
)


@checked
def evaluate(
    run: str | Path | Run | Model,
    *,
    data: Source | None = None,
    metrics: Sequence[str] = (),
    n: int = 10_000,
    reference: int = 10_000,
    training: int = 20_000,
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
        metrics: groups of scores (`Judge.groups` of the kind of data); by default those that fit the data.
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
    options = JudgeOptions(metrics=tuple(metrics), encoder=encoder, resize=resize, target=target, device=device)
    split = Split(n=n, reference=reference, training=training, seed=reference_seed)
    subject = _subject(run, data, checkpoint, recipe)
    return _evaluate(subject, _Sampling(weights=weights, checkpoint=checkpoint, seed=seed), split, options, fresh, say)


@checked
def evaluate_sets(
    real: Source,
    fake: Source,
    *,
    options: DataOptions = DataOptions(),
    metrics: Sequence[str] = (),
    n: int = 10_000,
    reference: int = 10_000,
    training: int = 20_000,
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
    if len(made) < LEAST:
        raise ValueError(f"{made.source} holds {len(made)} samples: too few to score anything; {LEAST} are needed")
    split = Split(n=n, reference=reference, training=training, seed=reference_seed, num_fake=len(made))
    judging = JudgeOptions(metrics=tuple(metrics), encoder=encoder, resize=resize, device=device)
    judge = _judge_of_sets(truth, made, split, judging, say)
    first, second = _suffixes(real, judge.suffixes), _suffixes(fake, judge.suffixes)
    if first and second and first != second:
        judge.notes.append(
            f"files of another kind: {', '.join(first)} against {', '.join(second)}; compression alone moves a score"
        )
    for store in (truth, made):
        judge.notes += [f"{store.source}: {note}" for note in store.notes if "made" in note or "read with" in note]
    rows = random_of(seed, 10).permutation(len(made))[: judge.real.num]
    protocol = judge.protocol(weights="", checkpoint="files", sample_seed=seed)
    about = {"recipe": "files", "fields": {}, "seed": seed, "data": truth.source, "source": made.source, "images": 0}
    scores = _score(judge, judge.score(judge.decoded(made, rows)), protocol, about, began)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, scores.to_json())
    return scores


def _judge_of_sets(
    real: Store, fake: Store, split: Split, options: JudgeOptions, say: Callable[[str], object]
) -> Judge:
    """The judge of one set of samples against another. Raises `ValueError` if they cannot be compared."""
    if real.spec.kind != fake.spec.kind or not judge_of(real.spec.kind).comparable(real, fake):
        raise ValueError(
            f"{real.source} holds {container(real)}, {fake.source} holds {container(fake)}: a score would measure "
            "the difference; pass --size, or convert one of them"
        )
    return build_judge(real, split=split, options=options, say=say)


@dataclass(frozen=True, kw_only=True)
class _Sampling:
    """How a model's samples are drawn."""

    weights: Weights
    checkpoint: Literal["last", "best"]
    seed: int


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """A model that is scored, and what it is held against."""

    model: Model
    path: Path | None
    """Its run's directory, if it has one."""
    store: Store
    """The data it was trained on."""
    data: Source | None
    """Other data that it is held against."""
    packing: DataOptions
    about: dict[str, Any]
    """What the scores say of it: `Scores.run`."""
    notes: tuple[str, ...] = ()
    """What makes its scores weaker than they look."""


def _evaluate(
    subject: _Subject,
    sampling: _Sampling,
    split: Split,
    options: JudgeOptions,
    fresh: bool,
    say: Callable[[str], object],
) -> Scores:
    """Score a model, unless that was done under this protocol; what is new is written into its run."""
    began = time.perf_counter()
    model, weights = subject.model, sampling.weights
    judge = build_judge(
        subject.store, data=subject.data, packing=subject.packing, split=split, options=options, say=say
    )
    protocol = judge.protocol(weights=weights, checkpoint=sampling.checkpoint, sample_seed=sampling.seed)
    judge.notes += subject.notes
    protocol = dataclasses.replace(protocol, truncation=_truncation(model), class_prior=class_prior(model))
    place, kept = None, None
    if subject.path is not None:
        place = subject.path / "scores" / f"{model.images:012d}-{weights}-{protocol.short}.json"
        if place.is_file() and not fresh:
            with contextlib.suppress(ValueError):
                kept = read_scores(place)
        if kept is not None and set(judge.metrics) <= set(kept.run.get("metrics", ())):
            say(f"these scores were there: {place}")
            return kept
    num = judge.real.num
    say(f"drawing {num:,} samples of {model.recipe_name} after {model.images:,} images")
    asked = ask(model.to(options.device), num, sampling.seed)
    given = EMPTY if asked is None else asked.given
    samples = model.stored(num, seed=sampling.seed, weights=weights, given=given)
    about = subject.about | {"images": model.images}
    say("scoring the model")
    scores = _score(judge, judge.score(samples, asked, model.weights(weights)), protocol, about, began)
    if place is not None:
        scores = scores if kept is None else _merged(kept, scores)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(place, scores.to_json())
    return scores


def _truncation(model: Model) -> str:
    """The truncation that samples of a model have unless one is asked for."""
    match model.asks:
        case {"truncation": Number(default=psi)} if psi != 1.0:
            return f"psi {psi:g}"
    return "none"


def _score(judge: Judge, judgement: Judgement, protocol: Protocol, about: Mapping[str, Any], began: float) -> Scores:
    """The scores of some samples beside those of floor and control, with all that says how to read them."""
    floor, control = judge.yardsticks()
    values, real, replay = judgement.values, dict(floor.values), dict(control.values)
    by_class: tuple[float, ...] = ()
    if (obeyed := judgement.obedience) is not None:
        replay[obeyed.name], by_class = obeyed.agreement.control, obeyed.agreement.by_class
        if math.isfinite(obeyed.real):
            real[obeyed.name] = obeyed.real
    flags = judge.flags(judgement, real, replay)
    unflagged = [_UNFLAGGED] if flags.get("control_flagged") == "no" else []
    return Scores(
        scores=values,
        floor={k: real[k] for k in values if k in real},
        control={k: replay[k] for k in values if k in replay},
        better={k: judge.direction(k) for k in values},
        flags=flags,
        reading=tuple(sentences(judge, judgement, real, flags)),
        notes=(*unflagged, *judge.notes, *judgement.notes, *judge.warnings(judgement)),
        protocol=protocol,
        run={**about, "metrics": list(judge.metrics)},
        class_histogram=judgement.shares,
        class_histogram_floor=floor.shares,
        by_class=tuple(None if math.isnan(v) else v for v in by_class),
        closest=judgement.closest,
        seconds=round(time.perf_counter() - began, 2),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def _subject(
    run: str | Path | Run | Model, data: Source | None, checkpoint: str, recipe: type[Recipe] | None
) -> _Subject:
    """The model of a run, or a model without one, and the data it was trained on."""
    if isinstance(run, Run):
        run = run.path
    if isinstance(run, Model) or not (Path(run) / "run.json").is_file():
        return _model_alone(run if isinstance(run, Model) else load(run, recipe), data)
    found = Run(run)
    if checkpoint == "best" and not (found.path / "best" / "model.json").is_file():
        raise FileNotFoundError(f"{found.path} has no best checkpoint: train with --evaluate-every to keep one")
    model = load(found.path / "best" if checkpoint == "best" else found.path, recipe)
    records.check(found.record, records.WHOLE_RUN, str(found.path / "run.json"))
    saved, record = found.options, found.record["data"]
    options = DataOptions(**{f.name: getattr(saved, f.name) for f in dataclasses.fields(DataOptions)})
    if (Path(record["store"]) / "manifest.json").is_file():
        store = Store.open(record["store"])
    else:
        store = open_store(record["source"], options, progress=False)
    if store.digest != record["digest"]:
        raise ValueError(
            f"{record['source']} is no longer the data of this run (digest {store.digest[:12]}, recorded "
            f"{record['digest'][:12]}): restore it"
        )
    changed = other_source(found.record["recipe"], recipe)
    notes = (f"{changed}: these may not be samples of what was trained",) if changed else ()
    about = {
        "recipe": model.recipe_name,
        "fields": dict(found.record["recipe"]["fields"]),
        "seed": saved.seed,
        "data": str(record["source"]),
        "digest": str(record["digest"]),
        "batch_size": saved.batch_size,
        "seconds": round(float(found.progress()["seconds"]), 1),
        "source_sha256": found.record["recipe"].get("source_sha256"),
        "setting": {k: v for k, v in found.record["setting"].items() if k in ("device", "precision", "channels_last")},
    }
    return _Subject(model=model, path=found.path, store=store, data=data, packing=options, about=about, notes=notes)


def _model_alone(model: Model, data: Source | None) -> _Subject:
    """A model without its run: `data` stands for what it was trained on."""
    if data is None:
        raise ValueError("a model without its run does not say where its data is: pass data (--data)")
    options = kind_of(model.spec.kind).alike(DataOptions(), {}, model.spec)
    packed = open_store(data, options, progress=False)
    again = reread_store(data, dataclasses.replace(packed, spec=model.spec))
    store = packed if again is None else again
    if model.spec.shape != store.spec.shape:
        raise ValueError(f"the model makes samples of {model.spec.shape}, {store.source} holds {store.spec.shape}")
    fields = json.loads(json.dumps(dataclasses.asdict(model.recipe), default=str))
    about = {"recipe": model.recipe_name, "fields": fields, "seed": 0, "data": str(data)[:200]}
    return _Subject(model=model, path=None, store=store, data=None, packing=options, about=about)


def _suffixes(source: Source, known: Collection[str]) -> list[str]:
    """The suffixes of a folder's files, of those that a judge knows."""
    if not isinstance(source, str | Path) or not Path(source).is_dir():
        return []
    suffixes = (os.path.splitext(name)[1] for name in names_below(source))
    counts = Counter(suffix.lower().replace(".jpeg", ".jpg") for suffix in suffixes if suffix)
    return sorted(suffix for suffix in counts if suffix in known)


def _merged(kept: Scores, new: Scores) -> Scores:
    """Scores of the same samples under the same protocol, of two choices of metrics."""
    names = ("scores", "floor", "control", "better", "flags")
    values: dict[str, Any] = {name: {**getattr(kept, name), **getattr(new, name)} for name in names}
    metrics = list(dict.fromkeys([*kept.run.get("metrics", ()), *new.run["metrics"]]))
    reading = tuple(dict.fromkeys([*kept.reading, *new.reading]))
    for name in ("closest", "class_histogram", "class_histogram_floor", "by_class"):
        values[name] = getattr(new, name) or getattr(kept, name)
    return dataclasses.replace(new, **values, run={**new.run, "metrics": metrics}, reading=reading)
