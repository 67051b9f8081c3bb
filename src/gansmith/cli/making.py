"""`sample` and `apply`: what a trained model makes, of noise or of what it is given."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from ..options import DataOptions
from .parsing import Usage, gathered, own_recipe, parse

if TYPE_CHECKING:
    from ..model.model import Model
    from ..recipe import Made


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
    """label: a sheet with a class a row, each column of one noise vector. code: InfoGAN's, with a category a row and
    each continuous code from -1 to 1 from left to right. -n says about how many samples."""
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


TABLES = (".csv", ".gz", ".tsv", ".parquet")


def sample(words: list[str]) -> int:
    """Draw samples from a run: a grid, a folder of pictures, an .npz, lines of text, or rows of a table."""
    options = parse(_Sample, gathered(words, "--where"), "gansmith sample", sample.__doc__)
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

    from .. import show
    from ..model.saved import load

    model = load(options.run, own_recipe(options.recipe_file))
    if not model.from_noise or options.given:
        return _sample_of(options, model, out)
    spec = model.spec.made(())[1]
    if spec.kind == "table":
        return _sample_table(model, options)
    if suffix in TABLES or options.where:
        raise ValueError(f"--out {out.name} and --where are for tables; {options.run} makes data of kind {spec.kind}")
    text = spec.kind == "text"
    if (text and options.out and suffix not in (".txt", ".npz")) or (suffix == ".txt" and not text):
        raise ValueError(f"samples of {options.run} are {spec.kind}: --out {out} does not fit")
    if not suffix and not spec.pictures:
        raise ValueError(f"samples of {options.run} are vectors, not pictures: pass --out x.npz, or --out cloud.png")
    if options.sweep != "none":
        return _sample_sheet(model, options, out)
    x = model.sample(options.num, seed=options.seed, weights=options.weights, given=_sampling(model, options))
    if text and options.out is None:
        print("\n".join(x))
        return 0
    out.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".npz":
        np.savez_compressed(out, x=x, notice=np.array(show.COMMENT))
    elif text:
        show.save_lines(x, out)
    elif suffix == ".png":
        show.save(show.sheet(x, spec, real_points(options.run, x)), out)
    else:
        saved = spec.codec.to_json()
        show.save_singles(x, out, (float(saved["low"]), float(saved["high"])))
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


def _sample_sheet(model: Model, options: _Sample, out: Path) -> int:
    """A sheet with a class or a code a row."""
    from .. import show
    from ..use import sheets as asked

    if options.label or not model.spec.pictures or out.suffix.lower() != ".png":
        raise ValueError(
            f"--sweep {options.sweep} makes a sheet of pictures: pass --out sheet.png, and no --label"
            if model.spec.pictures
            else f"--sweep is for pictures; {options.run} makes data of kind {model.spec.kind}"
        )
    kind = asked.label_sheet if options.sweep == "label" else asked.code_sheet
    found = kind(model, options.num, seed=options.seed, weights=options.weights)
    out.parent.mkdir(parents=True, exist_ok=True)
    show.save(show.sheet(found.samples, model.spec, found.samples[:0], found.columns), out)
    print(f"{len(found.samples):,} samples of {model.recipe_name}, {found.what}; seed {options.seed}: {out}")
    return 0


def _sample_of(options: _Sample, model: Model, out: Path) -> int:
    """Samples made of pictures, in the size of training: sample i of picture i, and round again."""
    if options.given is None or model.from_noise:
        raise ValueError(
            f"samples of {options.run} are made of pictures: pass --given PICTURE or FOLDER, or use gansmith apply"
            if not model.from_noise
            else f"samples of {options.run} are drawn from noise: --given is for recipes that need a source"
        )
    import numpy as np

    from .. import show
    from ..use import translate as applying

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
        np.savez_compressed(out, x=x, source=which, notice=np.array(show.COMMENT))
    elif out.suffix:
        columns = [show.to_8_bit(raw[which], bounds[0]), show.to_8_bit(x, bounds[1])]
        show.save(show.strips(columns, repeat=4 if options.num > 8 else 1), out)
    else:
        show.save_singles(x, out, bounds[1])
    print(f"{len(x):,} samples of {model.recipe_name}, made of {len(raw):,} pictures, seed {options.seed}: {out}")
    return 0


def _sample_table(model: Model, options: _Sample) -> int:
    """Rows of a table, and how they were found."""
    from .. import show
    from ..data.kinds.table.write import write_table
    from ..use.where import sample_where

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
        show.save(show.sheet(stored, model.spec, real_points(options.run, stored)), out)
    else:
        write_table(codec, stored, out)
    print(f"{len(stored):,} rows of {model.recipe_name} after {model.images:,} images, seed {options.seed}{how}: {out}")
    return 0


def real_points(run: Path, x: Any) -> Any:
    """The real data of a run, to draw points over; none of it if it is no longer there or only a model was given."""
    from ..data import Store
    from ..run import Run

    if x.ndim == 2 and (run / "run.json").is_file():
        with contextlib.suppress(FileNotFoundError, ValueError):
            return Store.open(Path(Run(run).record["data"]["store"])).fields["x"]
    return x[:0]


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
