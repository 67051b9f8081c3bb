"""`sample` and `apply`: what a trained model makes, of noise or of what it is given."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from .. import catalog
from ..options import DataOptions
from .parsing import Usage, gathered, own_recipe, parse

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..data import DataSpec
    from ..model.model import Model
    from ..recipe import Made
    from ..show import Show


def _out_help() -> str:
    """What --out may be, of each kind of data."""
    return f"By kind of data: {_places()}. By default a file in RUN; text is printed."


def _places() -> str:
    """The suffixes that each kind of data is written with: "image: a .png for a grid, a .npz for ..."."""
    kinds: dict[str, list[str]] = {}
    for kind, writes in catalog.written().items():
        suffixes: dict[str, list[str]] = {}
        for suffix, what in writes.items():
            suffixes.setdefault(what, []).append(suffix or "folder")
        named = [f"a {' or '.join(names)} for {what}" for what, names in suffixes.items()]
        kinds.setdefault(", ".join(named), []).append(kind)
    return "; ".join(f"{', '.join(names)}: {named}" for named, names in kinds.items())


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
    """A class of the data, by name or number, for recipes that use labels; by default they are drawn, as often as the
    data has them."""
    sweep: Literal["none", "label", "code"] = "none"
    """label: a class a row, each column of one noise vector. code: InfoGAN's, with a category a row and each continuous
    code from -1 to 1 from left to right. -n says about how many samples."""
    out: Annotated[Path | None, arg(help=_out_help())] = None
    given: Path | None = None
    """A picture or a folder of pictures to make samples of, for recipes that need a source."""
    direction: Literal["auto", "a2b", "b2a"] = "auto"
    """Which way, for recipes that know two."""
    where: tuple[str, ...] = ()
    """Rows of a table to a condition, such as "income = >50K"; several in quotes each, or divided by commas."""
    recipe_file: Path | None = None
    """The .py of the recipe, for a run that used one of your own."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Chosen:
    """Samples, and all that is needed to write them."""

    samples: np.ndarray
    """(N, ...) in the data's own units, as `Show` takes them."""
    spec: DataSpec
    real: np.ndarray
    """(M, ...): what they are shown over, or what they were made of."""
    columns: int = 0
    how: str = ""
    """In words, where they are not just drawn."""


def sample(words: list[str]) -> int:
    """Draw samples from a run into files: pictures, rows of a table, lines of text, numbers."""
    options = parse(_Sample, gathered(words, "--where"), "gansmith sample", sample.__doc__)
    if options.out is not None:
        _check_place(options.out)

    from ..model.saved import load
    from ..show import show_of

    model = load(options.run, own_recipe(options.recipe_file))
    sourced = _is_sourced(model, options)
    show = show_of((model.spec if sourced else model.spec.made(())[1]).kind)
    out = options.out or options.run / show.out
    show.suffix(out)  # refused before anything is drawn
    chosen = _choose(model, options, sourced, show)
    if show.printed and options.out is None:
        print("\n".join(chosen.samples))
        return 0
    show.write(chosen.samples, chosen.spec, chosen.real, out, chosen.columns)
    how = f", {chosen.how};" if chosen.how else ""
    print(
        f"{len(chosen.samples):,} samples of {model.recipe_name}{how} after {model.images:,} images, seed "
        f"{options.seed}: {out}"
    )
    return 0


def _check_place(out: Path) -> None:
    """Raises `Usage` for a suffix that no kind of data is written with, `FileExistsError` for a folder in use."""
    known = {suffix for writes in catalog.written().values() for suffix in writes if suffix}
    if out.suffix and (out.is_dir() or not out.name.lower().endswith(tuple(known))):
        raise Usage(f"--out {out} is no place for samples; by kind of data there are {_places()}")
    if not out.suffix and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} exists and is not an empty folder: pass another --out")


def _is_sourced(model: Model, options: _Sample) -> bool:
    """Whether samples are made of what --given names. Raises `ValueError` where it is missing, or of no use."""
    if not model.from_noise and options.given is None:
        raise ValueError(
            f"samples of {options.run} are made of pictures: pass --given PICTURE or FOLDER, or use gansmith apply"
        )
    if model.from_noise and options.given is not None:
        raise ValueError(f"samples of {options.run} are drawn from noise: --given is for recipes that need a source")
    return not model.from_noise


def _choose(model: Model, options: _Sample, sourced: bool, show: Show) -> _Chosen:
    """Samples as --given, --where, --sweep and what the recipe takes beside noise have them."""
    chosen = {"--given": sourced, "--where": bool(options.where), "--sweep": options.sweep != "none"}
    told = [name for name, given in chosen.items() if given]
    asked = _asked(model, options)
    if len(told) > 1 or (told and asked):
        other = told[1] if len(told) > 1 else f"--{next(iter(asked))}"
        raise ValueError(f"{told[0]} says which samples are drawn: pass no {other} beside it")
    if sourced:
        return _of_sources(model, options)
    spec = model.spec.made(())[1]
    columns, how = 0, ""
    if options.where:
        from ..use.where import sample_where

        rows = sample_where(model, options.num, options.where, seed=options.seed, weights=options.weights)
        samples, how = rows.stored, rows.how
    elif options.sweep != "none":
        from ..use.sheets import code_sheet, label_sheet

        if not show.apart:
            raise ValueError(
                f"--sweep is for samples that are looked at one by one; {options.run} makes data of kind {spec.kind}"
            )
        sweep = label_sheet if options.sweep == "label" else code_sheet
        sheet = sweep(model, options.num, seed=options.seed, weights=options.weights)
        samples, columns, how = sheet.samples, sheet.columns, sheet.what
    else:
        samples = model.stored(options.num, seed=options.seed, weights=options.weights, given=asked)
    real = _real_rows(options.run, samples) if show.reveals else samples[:0]
    return _Chosen(samples=samples, spec=spec, real=real, columns=columns, how=how)


def _asked(model: Model, options: _Sample) -> dict[str, Tensor]:
    """What the recipe is asked for beside a number of samples: a row each. Raises `ValueError` if it takes no such."""
    import torch

    asked: dict[str, float] = {}
    if options.truncation is not None:
        asked["truncation"] = options.truncation
    if options.temperature != 1.0:
        asked["temperature"] = options.temperature
    if options.label:
        from ..model.model import label_of

        asked["label"] = label_of(model.spec, options.label)
    if unknown := sorted(set(asked) - model.recipe.takes):
        takes = ", ".join(sorted(model.recipe.takes)) or "none"
        raise ValueError(
            f"{model.recipe_name} takes no --{unknown[0]} when it samples; of such options it takes {takes}"
        )
    if not options.temperature > 0:
        raise ValueError(f"--temperature is {options.temperature}; it must be above 0, such as 0.8")
    return {name: torch.full((options.num,), value) for name, value in asked.items()}


def _of_sources(model: Model, options: _Sample) -> _Chosen:
    """Samples made of pictures, in the size of training: sample i of picture i, and round again."""
    import numpy as np

    from ..use.translate import sources, way

    assert options.given is not None
    given, raw, failed = sources(model, options.given, options.direction)
    for text in failed:
        print(f"left out: {text}", file=sys.stderr)
    which = np.arange(options.num) % len(raw)
    given = {name: tensor[which] for name, tensor in given.items()}
    samples = model.stored(options.num, seed=options.seed, weights=options.weights, given=given)
    _, before, after = way(model, options.direction)
    spec = replace(model.spec, shape=after.shape, codec=after.codec, parts={"a": before, "b": after})
    return _Chosen(samples=samples, spec=spec, real=raw, how=f"made of {len(raw):,} pictures")


def _real_rows(run: Path, samples: np.ndarray) -> np.ndarray:
    """The real data of a run, as stored; none of it if it is no longer there or only a model was given."""
    from ..data import Store
    from ..run import Run

    if (run / "run.json").is_file():
        with contextlib.suppress(FileNotFoundError, ValueError):
            return Store.open(Path(Run(run).record["data"]["store"])).fields.get("x", samples[:0])
    return samples[:0]


@dataclass(frozen=True, kw_only=True)
class _Apply:
    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """A run's directory, or the folder of a saved model."""
    input: Annotated[Positional[Path], arg(metavar="INPUT")]
    """A picture, an animation, a folder of pictures (a video's frames, say); or a table with holes: .csv, .csv.gz, .tsv
    or .parquet. For classes, clusters and codes also any data that `train --data` takes, such as mnist:test."""
    out: Path
    """The file, or the folder, for the results; names are kept. A .csv for classes, clusters and codes."""
    what: Literal["auto", "picture", "class", "cluster", "latent"] = "auto"
    """Of models with an encoder or a classifier: reconstructed pictures, classes, clusters, or codes; auto is what the
    recipe does first."""
    direction: Literal["auto", "a2b", "b2a"] = "auto"
    """Which way, for recipes that know two; auto is a2b."""
    scale: Literal["native", "trained"] = "native"
    """native: pictures are shown to the network in their own size; trained: in the size it was trained at."""
    seed: int = 0
    """Of the noise, if the network has some: a picture's result depends on the seed and the file's name."""
    draw: bool = False
    """Of a table: fill each hole not with the best guess but with a draw of what may have stood there."""
    weights: Literal["ema", "raw"] = "ema"
    """The moving average of the weights, or those of the last step."""
    existing: Literal["refuse", "skip", "replace"] = "refuse"
    """What to do with pictures that are there already; skip goes on where an earlier call was stopped."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    data_dir: Path | None = None
    """Where the official files of mnist, fashion-mnist and cifar10 lie, if INPUT is one of them."""
    recipe_file: Path | None = None
    """The .py of the recipe, for a run that used one of your own."""


def apply(words: list[str]) -> int:
    """Put a trained model to work on data of yours: translate, reconstruct, classify, fill the holes of a table."""
    options = parse(_Apply, words, "gansmith apply", apply.__doc__)

    from ..model.saved import load
    from ..use import picture_files

    model = load(options.run, own_recipe(options.recipe_file)).to(options.device)
    if model.spec.kind == "table":
        return _complete(model, options)
    if options.draw:
        raise ValueError(
            f"--draw is for the holes of a table; {options.run} is of kind {model.spec.kind}: leave it out"
        )
    if not model.spec.parts:
        what = model.recipe.gives()[:1] if options.what == "auto" else (options.what,)
        if what and what[0] != "picture":
            return _predict(model, what[0], options)
    elif options.what != "auto":
        raise ValueError(f"--what {options.what}: {model.recipe_name} translates; leave it out")
    done = picture_files.apply(
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


def _predict(model: Model, what: Made, options: _Apply) -> int:
    """Classes, clusters or codes into a table; the errors, where the data has labels."""
    from ..use.predict import predict, score, write

    if options.out.suffix.lower() != ".csv" or options.out.is_dir():
        raise Usage(f"--out {options.out}: name a .csv for the {what} of each sample")
    if options.out.exists() and options.existing == "refuse":
        raise FileExistsError(f"{options.out} is there already: pass another --out, or --existing replace")
    found = predict(model, str(options.input), what, DataOptions(data_dir=options.data_dir), options.weights)
    for name, reason in found.failed:
        print(f"left out: {name}: {reason}", file=sys.stderr)
    write(found, options.out)
    scores = score(found)
    said = f"{len(found.names):,} samples: {options.out}"
    if "errors" in scores:
        said += f"; {scores['errors']:,} errors of {scores['samples']:,}"
    elif scores:
        said += f"; clusters matched with classes: accuracy {scores['accuracy']:.4f}, purity {scores['purity']:.4f}"
    print(said)
    return 0


def _complete(model: Model, options: _Apply) -> int:
    """Fill the missing cells of a table."""
    from ..use.complete import complete

    done = complete(model, options.input, options.out, seed=options.seed, weights=options.weights, draw=options.draw)
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    cells = ", ".join(f"{name} {n:,}" for name, n in done.filled.items()) or "no cell was missing"
    print(f"{done.rows:,} rows, {sum(done.filled.values()):,} cells filled ({cells}): {options.out}")
    return 0
