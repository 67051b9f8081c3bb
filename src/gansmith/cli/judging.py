"""`evaluate`, `compare` and `bench`: scores of runs."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

from .. import catalog
from ..options import Count, DataOptions, Size, Span, TrainOptions
from .parsing import Usage, given_in, own_recipe, parse


def _metrics() -> Any:
    """The help of --metrics; an annotation calls it, so that judges are read where options are parsed and no sooner."""
    known = "; ".join(f"of kind {kind}: {' '.join(groups)}" for kind, groups in catalog.metric_groups().items())
    return arg(help=f"Groups of scores, {known}. By default those that fit the data.")


@dataclass(frozen=True, kw_only=True)
class _Evaluate:
    run: Annotated[Positional[Path | None], arg(metavar="[RUN]")] = None
    """A run's directory, or the folder of a saved model; or give --real and --fake."""
    real: str = ""
    """Real samples: any source that `train --data` takes."""
    fake: str = ""
    """Samples to score against them; --size and the like say how both are packed."""
    data: str = ""
    """What to hold the run against; by default random samples of the data it was trained on."""
    metrics: Annotated[tuple[str, ...], _metrics()] = ()
    target: str = ""
    """The column of a table that classifiers are to tell, for efficacy; the last discrete one by default."""
    num: Annotated[Count, arg(aliases=("-n",))] = Count(10_000)
    """Samples of the model, of the floor and of the control; fewer where there is less held-out data."""
    reference: Count = Count(10_000)
    """Real samples, drawn at random."""
    training: Count = Count(20_000)
    """Training samples among which near copies are looked for; exact ones are looked for among all."""
    encoder: str = "own"
    """own (trained once on the data), own:FOLDER, inception, inception:PATH, cifar:PATH, dinov2, dinov2:FOLDER or
    pixels."""
    resize: Literal["tf1-bilinear", "torch-bilinear", "pil-bicubic"] = "tf1-bilinear"
    """Of pictures to Inception's size; only the first is FID."""
    weights: Literal["ema", "raw"] = "ema"
    """The moving average of the weights, or those of the last step."""
    checkpoint: Literal["last", "best"] = "last"
    """The last state, or the best of those scored by `train --evaluate-every`."""
    seed: int = 0
    """Draws the samples."""
    reference_seed: int = 0
    """Draws the rows of the real side; part of the protocol."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    out: Path | None = None
    """A JSON file for the scores of --real and --fake."""
    recipe_file: Path | None = None
    """The .py of the recipe, for a run that used one of your own."""
    fresh: Annotated[bool, FlagCreatePairsOff] = False
    """Score again what has been scored."""
    options: Annotated[DataOptions, OmitArgPrefixes]


def evaluate(words: list[str]) -> int:
    """Score a run with its floor, its control and its protocol; or one set of files against another."""
    options = parse(_Evaluate, words, "gansmith evaluate", evaluate.__doc__)
    files = bool(options.real or options.fake)
    if files == (options.run is not None) or (files and not (options.real and options.fake)):
        raise Usage("say which RUN to score, or give both --real and --fake")
    packing = given_in(words) & {f.name for f in dataclasses.fields(DataOptions)}
    if not files and packing:
        raise Usage(f"--{min(packing).replace('_', '-')} is for --real and --fake: a run knows how its data was packed")

    from ..judge import evaluate as judge
    from ..judge.words import table

    shared: dict[str, Any] = {
        "metrics": options.metrics,
        "n": options.num,
        "reference": options.reference,
        "training": options.training,
        "encoder": options.encoder,
        "resize": options.resize,
        "seed": options.seed,
        "reference_seed": options.reference_seed,
        "device": options.device,
        "say": lambda text: print(text, file=sys.stderr),
    }
    if options.run is None:
        scores = judge.evaluate_sets(options.real, options.fake, options=options.options, out=options.out, **shared)
    else:
        scores = judge.evaluate(
            options.run,
            data=options.data or None,
            weights=options.weights,
            checkpoint=options.checkpoint,
            target=options.target,
            recipe=own_recipe(options.recipe_file),
            fresh=options.fresh,
            **shared,
        )
    print(table(scores))
    if options.run is not None and (options.run / "run.json").is_file():
        print(f"\nsaved: {options.run / 'scores' / scores.file_name}")
    return 0


@dataclass(frozen=True, kw_only=True)
class _Compare:
    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN...")]
    """Directories of scored runs."""
    metrics: tuple[str, ...] = ()
    """Names of scores, such as FD-own; by default all that every run has."""
    protocol: str = ""
    """The key of the protocol to compare under, where the runs share several; by default the last one scored."""
    out: Path = Path("comparison")
    """The folder of compare.json and compare.html."""


def compare(words: list[str]) -> int:
    """Compare scored runs of several seeds: means, intervals, who wins; refuses unlike protocols."""
    options = parse(_Compare, words, "gansmith compare", compare.__doc__)
    if not options.runs:
        raise Usage("name the runs to compare")

    from ..compare.compare import compare as compared
    from ..compare.page import table

    found = compared(options.runs, metrics=options.metrics, protocol=options.protocol, out=options.out)
    print(table(found))
    print(f"\nsaved: {options.out / 'compare.html'}, {options.out / 'compare.json'}")
    return 0


@dataclass(frozen=True, kw_only=True)
class _Bench:
    recipes: Annotated[Positional[tuple[str, ...]], arg(metavar="RECIPE...")]
    """Recipes, with fields as in gan:width=128,lr=1e-4."""
    out: Path
    """A folder for the runs and the comparison; the same command goes on where it was stopped."""
    data: Annotated[str, arg(metavar="SRC")] = "digits"
    """What to train on: any source that `train --data` takes."""
    seeds: str = "0..4"
    """0..4, or 0,3,7."""
    jobs: int = 0
    """Runs at a time, one thread each; 0 is one a core."""
    ray: str = ""
    """A Ray cluster to run on (extra `ray`): its address, `auto`, or `local`; --out and the data on a shared disk."""
    num: Annotated[Count, arg(aliases=("-n",))] = Count(10_000)
    """Samples that are scored."""
    encoder: str = "own"
    """As for `evaluate`."""
    train: Annotated[TrainOptions, OmitArgPrefixes]


def bench(words: list[str]) -> int:
    """Train recipes with several seeds under one budget, score and compare them; resumable."""
    options = parse(_Bench, words, "gansmith bench", bench.__doc__)
    if "seed" in given_in(words):
        raise Usage("--seed is one; a benchmark takes --seeds, such as 0..4")
    if not options.recipes:
        raise Usage(f"say which recipes to train: {', '.join(catalog.names())}, or paths of a .py")

    from ..compare import bench as benchmark
    from ..compare.page import table

    passed: list[str] = []
    for name in (f.name for f in dataclasses.fields(TrainOptions) if f.name in given_in(words)):
        passed += _written(f"--{name.replace('_', '-')}", getattr(options.train, name))
    found = benchmark.bench(
        options.recipes,
        options.out,
        data=options.data,
        seeds=benchmark.seeds(options.seeds),
        train=passed,
        evaluate=["--num", str(int(options.num)), "--encoder", options.encoder],
        jobs=options.jobs,
        ray=options.ray,
        say=lambda text: print(text, file=sys.stderr),
    )
    print(table(found))
    print(f"\nsaved: {options.out / 'compare.html'}, {options.out / 'compare.json'}")
    return 0


def _written(option: str, value: Any) -> list[str]:
    """An option and its value as they are written on the command line."""
    if isinstance(value, bool):
        return [option if value else option.replace("--", "--no-", 1)]
    if isinstance(value, Size):
        return [option, f"{value[0]}x{value[1]}"]
    if isinstance(value, Span):
        return [f"{option}={','.join(f'{v:g}' for v in value)}"]
    return [option, str(int(value)) if isinstance(value, Count) else str(value)]
