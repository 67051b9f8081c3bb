"""The command line: a table of commands, each of which parses dataclasses, calls one function, and prints.

Nothing here imports PyTorch before a command needs it, so that help and mistakes answer at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import io
import itertools
import json
import os
import re
import sys
import textwrap
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeVar, get_args, get_type_hints

import tyro
from tyro.conf import DisallowNone, FlagCreatePairsOff, OmitArgPrefixes, Positional, arg
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from . import catalog
from ._version import __version__
from .extras import MissingExtra
from .options import Count, DataOptions, Size, TrainOptions

if TYPE_CHECKING:
    from .model import Model
    from .recipe import Recipe

T = TypeVar("T")


class Usage(Exception):
    """A command line that cannot be understood: exit code 2."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 done, 1 failed, 2 not understood, 130 interrupted.

    Mistakes of the user are one line on stderr; GANSMITH_TRACEBACK=1 shows where they were found.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command = ""
    try:
        if not words or words[0] in ("-h", "--help", "help"):
            print(_overview())
            return 0
        if words[0] == "--version":
            print(f"gansmith {__version__}")
            return 0
        command = words[0]
        return _choose(COMMANDS, command, "command")(words[1:])
    except Usage as error:
        _complain(error)
        print(f"try: gansmith {f'{command} ' if command in COMMANDS else ''}--help", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `gansmith recipes | head`: nobody is left to be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, MissingExtra) as error:
        _complain(error)
        return 1
    except RuntimeError as error:
        if not _expected(error):
            raise
        _complain(error)
        return 1
    except KeyboardInterrupt:
        print("gansmith: interrupted", file=sys.stderr)
        return 130


def _complain(error: Exception) -> None:
    if os.environ.get("GANSMITH_TRACEBACK", "0") not in ("", "0"):
        traceback.print_exc()
    text = str(error) or type(error).__name__
    if type(error).__name__ == "OutOfMemoryError":
        text = (
            f"{text.splitlines()[0]} Pass a smaller --batch-size, or --micro-batches 2 to keep it and use less memory"
        )
    print(f"gansmith: error: {text}", file=sys.stderr)


def _expected(error: RuntimeError) -> bool:
    """Whether it is news for the user rather than a fault of ours."""
    engine = sys.modules.get("gansmith.engine")  # not imported: then it raised nothing
    return (engine is not None and isinstance(error, engine.Diverged)) or type(error).__name__ == "OutOfMemoryError"


# --- commands ---------------------------------------------------------------------------------------------------------


def train(words: list[str]) -> int:
    """Train a GAN into a run directory, or continue one with --resume."""
    written = words
    name, words = _take_recipe(words)
    given = _given(words)
    record: dict[str, Any] = {}
    if "resume" in given and not given & {"h", "help"}:
        record = _record(_value(words, "--out"), name)
        name = name or str(record["recipe"]["name"])
    elif not name and not given & {"h", "help"}:
        raise Usage(f"say which recipe to train: {', '.join(catalog.names())}, or the path of a .py")
    page = _page(name) if name else None
    options = _parse(_train_arguments(page), words, f"gansmith train {page.name if page else 'RECIPE'}", _about(page))
    assert page is not None  # without a recipe the parser has printed help and left
    fields = {f.name: getattr(options.recipe, f.name) for f in dataclasses.fields(options.recipe)}
    if options.resume:
        _check_unchanged(record, page, given, options, fields)

    ranks = int(record["options"].get("ranks", 1)) if record else options.train.ranks
    if ranks > 1 and "WORLD_SIZE" not in os.environ and not options.estimate:
        _launch(ranks, ["train", *written])

    from . import engine

    recipe = _load(page)
    if options.estimate:
        from .estimate import estimate

        print(estimate(recipe(**fields), page.name, options.data, options.train, options.out))
    elif options.resume:
        engine.resume(
            options.out,
            recipe=recipe if page.name.endswith(".py") else None,
            images=options.train.images if "images" in given else None,
            minutes=options.train.minutes if "minutes" in given else None,
        )
    else:
        # A path is recorded in full: the run may be continued from another folder.
        label = str(page.path.resolve()) if page.name.endswith(".py") else page.name
        engine.train(recipe(**fields), options.data, options.train, out=options.out, name=label)
    if "WORLD_SIZE" in os.environ:
        # Some ranks abort while the interpreter is torn down, and torchrun then reports a failure; all is saved by now.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


def _launch(ranks: int, words: list[str]) -> NoReturn:
    """Become PyTorch's launcher of so many processes on this machine, each with its share of the cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(cores // ranks, 1)))
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *launcher, "-m", "gansmith", *words])


@dataclass(frozen=True, kw_only=True)
class _Sample:
    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """A run's directory, or the folder of a saved model."""
    num: Annotated[int, arg(aliases=("-n",))] = 64
    """How many samples."""
    seed: int = 0
    """Sample i depends on the seed and on i alone, not on how many are drawn."""
    weights: Literal["ema", "raw"] = "ema"
    """The moving average of the weights, or those of the last step."""
    truncation: float | None = None
    """psi, for recipes with styles: below 1 fewer odd samples and less variety; by default the recipe's."""
    temperature: float = 1.0
    """Of text: below 1 likelier and less varied lines, above 1 the opposite."""
    label: str = ""
    """A class of the data, for recipes that use labels; by default they are drawn."""
    out: Path | None = None
    """grid.png for one picture of all, a folder for a PNG each, x.npz for the numbers, rows.csv or rows.parquet of a
    table; RUN/grid.png or RUN/rows.csv by default. Text is printed, or goes into lines.txt or x.npz."""
    given: Path | None = None
    """A picture or a folder of pictures to make samples of, for recipes that need a source."""
    direction: Literal["auto", "a2b", "b2a"] = "auto"
    """Which way, for recipes that know two."""
    where: tuple[str, ...] = ()
    """Rows of a table to a condition, such as "income = >50K"; several in quotes each, or divided by commas."""
    recipe_file: Path | None = None
    """The .py of the recipe, for a run that used one of your own."""


def sample(words: list[str]) -> int:
    """Draw samples from a run: a grid, a folder of pictures, an .npz, lines of text, or rows of a table."""
    options = _parse(_Sample, _gathered(words, "--where"), "gansmith sample", sample.__doc__)
    out = options.out or options.run / "grid.png"
    suffix = out.suffix.lower()
    if suffix not in (".png", ".npz", ".txt", "", *TABLES) or (suffix and out.is_dir()):
        raise Usage(
            f"--out {out}: name a .png for a grid, a .npz for the numbers, or a folder for a PNG each; a .txt for "
            "text; of a table a .csv or .parquet"
        )
    if not suffix and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} exists and is not an empty folder: pass another --out")

    import numpy as np

    from . import pictures
    from .model import load

    model = load(options.run, _own(options.recipe_file))
    if model.spec.parts or options.given:
        return _sample_of(options, model, out)
    spec = model.spec
    if spec.kind == "table":
        return _sample_table(model, options)
    if suffix in TABLES or options.where:
        raise ValueError(f"--out {out.name} and --where are for tables; {options.run} makes data of kind {spec.kind}")
    text = spec.kind == "text"
    if (text and options.out and suffix not in (".txt", ".npz")) or (suffix == ".txt" and not text):
        raise ValueError(f"samples of {options.run} are {spec.kind}: --out {out} does not fit")
    if not suffix and not spec.pictures:
        raise ValueError(f"samples of {options.run} are vectors, not pictures: pass --out x.npz, or --out cloud.png")
    x = model.sample(options.num, seed=options.seed, weights=options.weights, given=_sampling(model, options))
    if text and options.out is None:
        print("\n".join(x))
        return 0
    out.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".npz":
        np.savez_compressed(out, x=x, notice=np.array(pictures.COMMENT))
    elif text:
        pictures.save_lines(x, out)
    elif suffix == ".png":
        pictures.save(pictures.sheet(x, spec, _real(options.run, x)), out)
    else:
        saved = spec.codec.to_json()
        pictures.save_singles(x, out, (float(saved["low"]), float(saved["high"])))
    print(f"{len(x):,} samples of {model.recipe_name} after {model.images:,} images, seed {options.seed}: {out}")
    return 0


def _sampling(model: Model, options: _Sample) -> dict[str, Any]:
    """What the recipe is given beside the number of samples: a row each. Raises `ValueError` if it takes no such."""
    import torch

    asked: dict[str, float] = {}
    if options.truncation is not None:
        asked["truncation"] = options.truncation
    if options.temperature != 1.0:
        asked["temperature"] = options.temperature
    if options.label:
        if options.label not in model.spec.classes:
            known = ", ".join(model.spec.classes) or "none"
            raise ValueError(f"--label {options.label}: the classes of {options.run} are {known}")
        asked["label"] = model.spec.classes.index(options.label)
    if unknown := sorted(set(asked) - model.recipe.takes):
        takes = ", ".join(sorted(model.recipe.takes)) or "none"
        raise ValueError(
            f"{model.recipe_name} takes no --{unknown[0]} when it samples; of such options it takes {takes}"
        )
    if not options.temperature > 0:
        raise ValueError(f"--temperature is {options.temperature}; it must be above 0, such as 0.8")
    return {name: torch.full((options.num,), value) for name, value in asked.items()}


def _sample_of(options: _Sample, model: Model, out: Path) -> int:
    """Samples made of pictures, in the size of training: sample i of picture i, and round again."""
    if options.given is None or not model.spec.parts:
        raise ValueError(
            f"samples of {options.run} are made of pictures: pass --given PICTURE or FOLDER, or use gansmith apply"
            if model.spec.parts
            else f"samples of {options.run} are drawn from noise: --given is for recipes that need a source"
        )
    import numpy as np

    from . import apply as applying
    from . import pictures

    given, raw, failed = applying.sources(model, options.given, options.direction)
    for text in failed:
        print(f"left out: {text}", file=sys.stderr)
    which = np.arange(options.num) % len(raw)
    given = {name: tensor[which] for name, tensor in given.items()}
    x = model.sample(options.num, seed=options.seed, weights=options.weights, given=given)
    _, before, after = applying.way(model, options.direction)
    bounds = [(float(c["low"]), float(c["high"])) for c in (before.codec.to_json(), after.codec.to_json())]
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() == ".npz":
        np.savez_compressed(out, x=x, source=which, notice=np.array(pictures.COMMENT))
    elif out.suffix:
        columns = [pictures.to_8_bit(raw[which], bounds[0]), pictures.to_8_bit(x, bounds[1])]
        pictures.save(pictures.strips(columns, repeat=4 if options.num > 8 else 1), out)
    else:
        pictures.save_singles(x, out, bounds[1])
    print(f"{len(x):,} samples of {model.recipe_name}, made of {len(raw):,} pictures, seed {options.seed}: {out}")
    return 0


TABLES = (".csv", ".gz", ".tsv", ".parquet")


def _sample_table(model: Model, options: _Sample) -> int:
    """Rows of a table, and how they were found."""
    from . import pictures
    from .data.tabular import write_table
    from .sample import sample_where

    out = options.out or options.run / "rows.csv"
    if out.suffix.lower() not in (".png", *TABLES):
        raise ValueError(f"samples of {options.run} are rows of a table: pass --out rows.csv, rows.parquet or look.png")
    how = ""
    if options.where:
        found = sample_where(model, options.num, options.where, seed=options.seed, weights=options.weights)
        stored, how = found.stored, f" ({found.how})"
    else:
        stored = model.stored(options.num, seed=options.seed, weights=options.weights)
    codec: Any = model.spec.codec
    if out.suffix.lower() == ".png":
        pictures.save(pictures.sheet(stored, model.spec, _real(options.run, stored)), out)
    else:
        write_table(codec, stored, out)
    print(f"{len(stored):,} rows of {model.recipe_name} after {model.images:,} images, seed {options.seed}{how}: {out}")
    return 0


@dataclass(frozen=True, kw_only=True)
class _Apply:
    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """A run's directory, or the folder of a saved model."""
    input: Annotated[Positional[Path], arg(metavar="INPUT")]
    """A picture, an animation, a folder of pictures (a video's frames, say); or a table with holes: .csv, .csv.gz, .tsv
    or .parquet."""
    out: Path
    """The file, or the folder, for the results; names are kept."""
    direction: Literal["auto", "a2b", "b2a"] = "auto"
    """Which way, for recipes that know two; auto is a2b."""
    scale: Literal["native", "trained"] = "native"
    """native: pictures are shown to the network in their own size; trained: in the size it was trained at."""
    seed: int = 0
    """Of the noise, if the network has some: a picture's result depends on the seed and the file's name."""
    weights: Literal["ema", "raw"] = "ema"
    """The moving average of the weights, or those of the last step."""
    existing: Literal["refuse", "skip", "replace"] = "refuse"
    """What to do with pictures that are there already; skip goes on where an earlier call was stopped."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    recipe_file: Path | None = None
    """The .py of the recipe, for a run that used one of your own."""


def apply(words: list[str]) -> int:
    """Put a trained model to work on data of yours: translate pictures, fill the missing cells of a table."""
    options = _parse(_Apply, words, "gansmith apply", apply.__doc__)

    from . import apply as applying
    from .model import load

    model = load(options.run, _own(options.recipe_file)).to(options.device)
    if model.spec.kind == "table":
        return _complete(model, options)
    done = applying.apply(
        model,
        options.input,
        options.out,
        direction=options.direction,
        scale=options.scale,
        seed=options.seed,
        weights=options.weights,
        existing=options.existing,
        say=lambda text: print(text, file=sys.stderr),
    )
    for name, reason in done.failed:
        print(f"left out: {name}: {reason}", file=sys.stderr)
    notes = [f"{len(done.kept):,} were there already"] if done.kept else []
    notes += [f"{len(done.failed):,} left out"] if done.failed else []
    notes += [f"{len(done.ignored):,} files are no pictures"] if done.ignored else []
    print(", ".join([f"{len(done.written):,} written to {options.out}", *notes]))
    return 0


def _complete(model: Model, options: _Apply) -> int:
    """Fill the missing cells of a table."""
    from .complete import complete

    done = complete(model, options.input, options.out, seed=options.seed, weights=options.weights)
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    cells = ", ".join(f"{name} {n:,}" for name, n in done.filled.items()) or "no cell was missing"
    print(f"{done.rows:,} rows, {sum(done.filled.values()):,} cells filled ({cells}): {options.out}")
    return 0


def data(words: list[str]) -> int:
    """Look at a source of data (inspect), or pack it once to train from it anywhere (pack)."""
    if not words or words[0] in ("-h", "--help"):
        print(f"usage: gansmith data {{{','.join(DATA_COMMANDS)}}} SRC [OPTIONS]\n\n{_table(DATA_COMMANDS)}")
        return 0 if words else 2
    return _choose(DATA_COMMANDS, words[0], "data command")(words[1:])


@dataclass(frozen=True, kw_only=True)
class _Inspect:
    source: Annotated[Positional[str], arg(metavar="SRC")]
    """A folder, archive, CSV, .npy, .npz or .txt, a packed store, or a name such as digits, mnist or toy:ring."""
    options: Annotated[DataOptions, OmitArgPrefixes]


def data_inspect(words: list[str]) -> int:
    """Report what is in a source: sizes, classes, duplicates, broken files, what training would do."""
    options = _parse(_Inspect, words, "gansmith data inspect", data_inspect.__doc__)
    from .data.inspect import describe, inspect

    report = inspect(options.source, options.options)
    print(describe(report))
    return 1 if report.problem else 0


@dataclass(frozen=True, kw_only=True)
class _Pack:
    source: Annotated[Positional[str], arg(metavar="SRC")]
    """A folder, archive, CSV, .npy, .npz or .txt, or a name such as digits, mnist or toy:ring."""
    out: Path
    """The folder of the packed store, which `train --data` takes."""
    options: Annotated[DataOptions, OmitArgPrefixes]


def data_pack(words: list[str]) -> int:
    """Pack a source once into a store, to train from it anywhere."""
    options = _parse(_Pack, words, "gansmith data pack", data_pack.__doc__)
    from .data import open_store

    store = open_store(options.source, options.options, out=options.out)
    for note in store.notes:
        print(f"note: {note}")
    shape = "x".join(map(str, store.spec.shape))
    print(
        f"{len(store):,} samples of {shape} packed into {options.out}; next: gansmith train RECIPE --data {options.out}"
    )
    return 0


@dataclass(frozen=True, kw_only=True)
class _Recipes:
    name: Annotated[Positional[str], arg(metavar="[NAME]")] = ""
    """A recipe, or the path of a .py, to show in full; all are listed without it."""


def recipes(words: list[str]) -> int:
    """List the GANs there are, or show one in full: paper, fields, what to expect."""
    name = _parse(_Recipes, words, "gansmith recipes", recipes.__doc__).name
    if name:
        print(_in_full(_page(name)))
        return 0
    pages = catalog.pages()
    width = max((len(p.name) for p in pages), default=0)
    for page in pages:
        lines = textwrap.wrap(f"{page.summary} [{', '.join(sorted(page.kinds))}]", 96 - width)
        print(f"{page.name:{width}}  " + f"\n{'':{width}}  ".join(lines))
    print("\none in full: gansmith recipes NAME; your own: gansmith train path/to/own.py")
    return 0


@dataclass(frozen=True, kw_only=True)
class _Info:
    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """A run's directory."""
    recipe_file: Path | None = None
    """The .py of the recipe, for a run that used one of your own."""


def info(words: list[str]) -> int:
    """Tell what a run is, how far, how it goes, and show its networks layer by layer."""
    options = _parse(_Info, words, "gansmith info", info.__doc__)
    from .info import render
    from .run import Run

    render(Run(options.run), _own(options.recipe_file))
    return 0


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
    metrics: tuple[str, ...] = ()
    """Groups: fd fd-infinity kd prdc classes inception-score diversity copying modes sliced c2st one-nn vendi; of
    text: bleu self-bleu variety copying likelihood; of tables: shapes trends efficacy closest. By default those that
    fit the data."""
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
    options = _parse(_Evaluate, words, "gansmith evaluate", evaluate.__doc__)
    files = bool(options.real or options.fake)
    if files == (options.run is not None) or (files and not (options.real and options.fake)):
        raise Usage("say which RUN to score, or give both --real and --fake")
    packing = _given(words) & {f.name for f in dataclasses.fields(DataOptions)}
    if not files and packing:
        raise Usage(f"--{min(packing).replace('_', '-')} is for --real and --fake: a run knows how its data was packed")

    from . import evaluate as judge
    from .reading import table

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
            recipe=_own(options.recipe_file),
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
    options = _parse(_Compare, words, "gansmith compare", compare.__doc__)
    if not options.runs:
        raise Usage("name the runs to compare")

    from . import compare as comparing

    found = comparing.compare(options.runs, metrics=options.metrics, protocol=options.protocol, out=options.out)
    print(comparing.table(found))
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
    options = _parse(_Bench, words, "gansmith bench", bench.__doc__)
    if "seed" in _given(words):
        raise Usage("--seed is one; a benchmark takes --seeds, such as 0..4")
    if not options.recipes:
        raise Usage(f"say which recipes to train: {', '.join(catalog.names())}, or paths of a .py")

    from . import bench as benchmark
    from . import compare as comparing

    passed: list[str] = []
    for name in (f.name for f in dataclasses.fields(TrainOptions) if f.name in _given(words)):
        passed += [f"--{name.replace('_', '-')}", _written(getattr(options.train, name))]
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
    print(comparing.table(found))
    print(f"\nsaved: {options.out / 'compare.html'}, {options.out / 'compare.json'}")
    return 0


def _written(value: Any) -> str:
    """An option's value as it is written on the command line."""
    if isinstance(value, Size):
        return f"{value[0]}x{value[1]}"
    return str(int(value)) if isinstance(value, Count) else str(value)


@dataclass(frozen=True, kw_only=True)
class _Report:
    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """A run's directory."""
    out: Path | None = None
    """The HTML file to write; RUN/report.html by default."""
    seed: int = 0
    """Of the samples."""
    training_data: bool = True
    """Whether the page may hold training samples themselves."""
    recipe_file: Path | None = None
    """The .py of the recipe, for a run that used one of your own."""


def report(words: list[str]) -> int:
    """Write one page about a run that opens offline and prints: samples, film, curves, scores, nearest data."""
    options = _parse(_Report, words, "gansmith report", report.__doc__)
    out = options.out or options.run / "report.html"
    if out.is_dir() or out.suffix.lower() not in (".html", ".htm"):
        raise Usage(f"--out {out}: name a .html file")
    from .report import report as write
    from .run import Run

    write(Run(options.run), out, recipe_file=options.recipe_file, seed=options.seed, show_data=options.training_data)
    print(out)
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "sample": sample,
    "apply": apply,
    "data": data,
    "recipes": recipes,
    "info": info,
    "evaluate": evaluate,
    "compare": compare,
    "bench": bench,
    "report": report,
}
DATA_COMMANDS: dict[str, Callable[[list[str]], int]] = {"inspect": data_inspect, "pack": data_pack}


# --- help -------------------------------------------------------------------------------------------------------------


def _overview() -> str:
    return f"""usage: gansmith COMMAND ...

Train, judge, repair, compare and serve generative adversarial networks.

{_table(COMMANDS)}

  gansmith train r3gan --data photos/ --size 64     train on a folder of pictures
  gansmith sample runs/r3gan-photos -n 100          draw from it
  gansmith COMMAND --help                           every option of a command
  gansmith --version"""


def _table(commands: Mapping[str, Callable[[list[str]], int]]) -> str:
    width = max(map(len, commands))
    return "\n".join(f"  {name:{width}}  {(run.__doc__ or '').strip()}" for name, run in commands.items())


def _about(page: catalog.RecipePage | None) -> str:
    if page is None:
        return (
            "Train a GAN into a run directory. `gansmith train RECIPE --help` adds the recipe's own options; recipes: "
            f"{', '.join(catalog.names())}, or the path of a .py."
        )
    return page.summary


def _in_full(page: catalog.RecipePage) -> str:
    parts = [f"{page.name}: {page.summary}", f"Data: {', '.join(sorted(page.kinds))}"]
    for title, text in (("Source", page.source), ("Differs from the paper", page.differs), ("Expect", page.expect)):
        if text:
            parts.append(f"{title}:\n{textwrap.indent(text, '  ')}")
    lines = []
    for field in page.fields:
        default = f" = {field.default_repr}" if field.default_repr else ""
        lines.append(f"  --{field.name.replace('_', '-')}  {field.annotation}{default}")
        lines += textwrap.wrap(field.help, 96, initial_indent="      ", subsequent_indent="      ")
    if lines:
        parts.append("Options:\n" + "\n".join(lines))
    parts.append(f"File: {page.path}")
    return "\n\n".join(parts)


# --- parsing ----------------------------------------------------------------------------------------------------------

_registry = ConstructorRegistry()


@_registry.primitive_rule
def _count(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Count] | None:
    if info.type is not Count:
        return None

    def read(words: list[str]) -> Count:
        try:
            return Count.parse(words[0])
        except (ValueError, OverflowError):
            raise ValueError(f"{words[0]!r} is not a whole number: write 200000, 200k or 1.5M") from None

    def write(count: Count) -> list[str]:
        for size, letter in ((10**6, "M"), (10**3, "k")):
            if count and count % (size // 10) == 0 and count >= size:
                return [f"{count / size:g}{letter}"]
        return [str(int(count))]

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="COUNT",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, Count),
        str_from_instance=write,
    )


@_registry.primitive_rule
def _size(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Size] | None:
    if info.type is not Size:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="SIZE",
        instance_from_str=lambda words: Size.parse(words[0]),
        is_instance=lambda value: isinstance(value, Size),
        str_from_instance=lambda size: [str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"],
    )


def _parse(kind: type[T], words: list[str], prog: str, description: str | None) -> T:
    """The options of a command. Raises `Usage` with one line for what cannot be understood; exits after help."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found, unknown = tyro.cli(
                kind,
                prog=prog,
                description=description or "",
                args=words,
                return_unknown_args=True,
                registry=_registry,
                config=(DisallowNone,),
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise Usage(_message(said.getvalue())) from None
    if not unknown:
        return found
    option = next((word.split("=", 1)[0] for word in unknown if word.startswith("-")), "")
    if not option:
        raise Usage(f"there is no place for {unknown[0]!r} here")
    near = difflib.get_close_matches(option.replace("_", "-"), _options(kind), 1, 0.6)
    raise Usage(f"there is no option {option}" + (f"; did you mean {near[0]}?" if near else ""))


def _options(kind: Any) -> list[str]:
    """The options a dataclass gives, those of its groups included."""
    found = []
    for name, annotation in get_type_hints(kind).items():
        if dataclasses.is_dataclass(annotation):
            found += _options(annotation)
        else:
            found.append(f"--{name.replace('_', '-')}")
    return found


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_RULE = re.compile(r"[─-]{5,}")


def _message(box: str) -> str:
    """What tyro says in the box of an error, as one line, without its help and its drawing."""
    rows = [row.strip().strip("│").strip() for row in _COLOUR.sub("", box).splitlines()]
    rows = [row for row in rows if row and not row.startswith("╰")]
    if not rows:
        return "these options cannot be understood"
    # The title stands in the upper border, or, where the terminal cannot draw one, above a rule.
    rows = rows[1:] if rows[0].startswith("╭") else rows[2:]
    text = " ".join(itertools.takewhile(lambda row: not _RULE.fullmatch(row), rows))
    if text.startswith("Error parsing "):
        option, _, what = text.removeprefix("Error parsing ").partition(": ")
        return f"{option}: {what}"
    return text


def _choose(commands: Mapping[str, Callable[[list[str]], int]], word: str, what: str) -> Callable[[list[str]], int]:
    if word in commands:
        return commands[word]
    near = difflib.get_close_matches(word, list(commands), 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(commands)}"
    raise Usage(f"there is no {what} {word!r}; {hint}")


def _page(name: str) -> catalog.RecipePage:
    try:
        return catalog.describe(name)
    except ValueError as error:
        raise Usage(str(error)) from None


def _train_arguments(page: catalog.RecipePage | None) -> type[Any]:
    """What `train` parses: where from and to, the training options, and the recipe's fields, in groups of their own.

    A field named like a training option is reached as `--recipe.<field>`, so neither hides the other.
    """
    taken = {f.name for f in dataclasses.fields(TrainOptions)} | {"data", "out", "resume", "estimate"}
    fields: list[Any] = []
    for field in dataclasses.fields(catalog.options_class(page)) if page else ():
        annotation: Any = field.type
        text = next((mark.text for mark in get_args(annotation)[1:] if isinstance(mark, catalog.Help)), "")
        name = f"recipe.{field.name.replace('_', '-')}" if field.name in taken else None
        annotation = Annotated[annotation, arg(name=name, help=text)]
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            fields.append((field.name, annotation))
        elif field.default_factory is not dataclasses.MISSING:
            fields.append((field.name, annotation, dataclasses.field(default_factory=field.default_factory)))
        else:
            fields.append((field.name, annotation, field.default))
    recipe: Any = dataclasses.make_dataclass("Fields", fields, frozen=True, kw_only=True)
    recipe.__doc__ = f"The recipe's own: gansmith recipes {page.name}" if page else ""
    whole: list[Any] = [
        ("data", Annotated[str, arg(metavar="SRC", help=_DATA_HELP)], "digits"),
        ("out", Annotated[Path | None, arg(help="The run's directory; runs/<recipe>-<data> by default.")], None),
        ("resume", Annotated[bool, FlagCreatePairsOff, arg(help=_RESUME_HELP)], False),
        ("estimate", Annotated[bool, FlagCreatePairsOff, arg(help=_ESTIMATE_HELP)], False),
        ("train", Annotated[TrainOptions, OmitArgPrefixes]),
        ("recipe", Annotated[recipe, OmitArgPrefixes]),
    ]
    return dataclasses.make_dataclass("Train", whole, frozen=True, kw_only=True)


_DATA_HELP = (
    "A folder of pictures (sub-folders are classes), zip, tar, CSV of files, table (.csv, .parquet; table:FILE says "
    "so), .npy, .npz or packed store; or digits, mnist, fashion-mnist, cifar10, toy:ring, toy:grid, toy:spiral. Two "
    "sets of pictures: pairs:SRC or domains:SRC, a folder or zip that holds folders a and b (or "
    "SRC:FOLDER_A:FOLDER_B); pairs:SRC:left for pictures side by side. Text: a .txt of lines, text:FILE.csv#column, "
    "toy:oracle."
)
_RESUME_HELP = (
    "Continue the run at --out to the last bit, with its recorded options; --images or --minutes may be raised."
)
_ESTIMATE_HELP = "Take a few steps, print what the run would take (images/s, time, memory, disk), and leave no run."
_BOOLEAN = {"--resume", "--estimate", "-h", "--help"}


def _take_recipe(words: list[str]) -> tuple[str, list[str]]:
    """The recipe among the words, wherever it stands, and the other words; "" if there is none."""
    free: list[int] = []
    i = 0
    while i < len(words):
        if not words[i].startswith("-"):
            free.append(i)
        elif words[i] not in _BOOLEAN and "=" not in words[i] and not words[i].startswith("--no-"):
            i += 1  # its value
        i += 1
    known = {*catalog.names()}
    named = [i for i in free if words[i].replace("-", "_").lower() in known or words[i].endswith(".py")]
    # A field may take several values, so that a number in a free place is no recipe.
    for i in named or [i for i in free if not words[i].replace(".", "").isdecimal()]:
        return words[i], words[:i] + words[i + 1 :]
    return "", words


def _gathered(words: list[str], option: str) -> list[str]:
    """The words with an option that is repeated written once, before all of its values, as the parser knows it."""
    values: list[str] = []
    rest: list[str] = []
    i = 0
    while i < len(words):
        if words[i].startswith(f"{option}="):
            values.append(words[i].split("=", 1)[1])
        elif words[i] == option:
            while i + 1 < len(words) and not words[i + 1].startswith("-"):
                values.append(words[i + 1])
                i += 1
        else:
            rest.append(words[i])
        i += 1
    return [*rest, option, *values] if values else rest


def _given(words: list[str]) -> set[str]:
    """The names of the options that were written, as fields are called."""
    flags = [word.split("=", 1)[0].lstrip("-") for word in words if word.startswith("-")]
    return {flag.removeprefix("no-").replace("-", "_") for flag in flags}


def _value(words: list[str], option: str) -> str:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.split("=", 1)[1]
    return ""


# --- resuming ---------------------------------------------------------------------------------------------------------


def _record(out: str, recipe: str) -> dict[str, Any]:
    """`run.json` of the run to continue, read without PyTorch."""
    if not out:
        raise Usage("--resume continues the run at --out: say which")
    path = Path(out) / "run.json"
    if not path.is_file():
        raise FileNotFoundError(f"no run at {out}: it holds no run.json")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        name = str(record["recipe"]["name"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error!r}") from error
    if name.endswith(".py") and not recipe:
        raise ValueError(
            f"{out} was trained by a recipe of your own; to run its code, name it: "
            f"gansmith train {name} --resume --out {out}"
        )
    return record


def _check_unchanged(
    record: Mapping[str, Any],
    page: catalog.RecipePage,
    given: set[str],
    options: Any,
    fields: Mapping[str, Any],
) -> None:
    """Repeating what the run was started with is fine; anything else cannot be continued. Raises `ValueError`."""
    recorded = str(record["recipe"]["name"])
    if page.name != recorded and not (recorded.endswith(".py") and page.name.endswith(".py")):
        raise ValueError(f"{options.out} was trained with {recorded}, not {page.name}: leave the recipe out")
    now = {"data": options.data} | dataclasses.asdict(options.train)
    then = {"data": record["data"]["source"]} | dict(record["options"])
    now |= {f"recipe.{k}": v for k, v in fields.items()} | {k: v for k, v in fields.items() if k not in now}
    saved = dict(record["recipe"]["fields"])
    then |= {f"recipe.{k}": v for k, v in saved.items()} | {k: v for k, v in saved.items() if k not in then}
    for name in sorted(given - {"images", "minutes", "out", "resume"}):
        if _plain(now.get(name)) != _plain(then.get(name)):
            raise ValueError(
                f"--{name.replace('_', '-')} is {now.get(name)}, but {options.out} was started with {then.get(name)}: "
                "a run goes on as it was started, only --images and --minutes may be raised"
            )


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


# --- loading ----------------------------------------------------------------------------------------------------------


def _load(page: catalog.RecipePage) -> type[Recipe]:
    from .recipe import load_recipe

    return load_recipe(str(page.path) if page.name.endswith(".py") else page.name)


def _own(file: Path | None) -> type[Recipe] | None:
    if file is None:
        return None
    from .recipe import load_recipe

    return load_recipe(str(file))


def _real(run: Path, x: Any) -> Any:
    """The real data of a run, to draw points over; none of it if it is no longer there or only a model was given."""
    from .data import Store
    from .run import Run

    if x.ndim == 2 and (run / "run.json").is_file():
        with contextlib.suppress(FileNotFoundError, ValueError):
            return Store.open(Path(Run(run).record["data"]["store"])).fields["x"]
    return x[:0]
