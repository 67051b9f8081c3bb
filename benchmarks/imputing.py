"""Missing cells: gain and impute_gan beside plain imputers. Prints and records, losses included.

    python -m benchmarks.imputing --table letter=letter.csv.gz --seeds 0 1 2 [--only gain MICE] [--show]

20 % of all cells are hidden at random, drawn with the seed. Errors are of those cells alone, imputed on the same table
as published: RMSE of numbers with columns scaled to [0, 1], and the share of categories that are wrong. No imputer, and
no choice of weights or settings, sees a hidden cell. Rows with missing cells of their own are left out. Rows of other
tables, imputers and seeds that were recorded before stay in the file; a row is replaced where it is measured again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gansmith
from gansmith.data import TableCodec
from gansmith.data.kinds.table.cells import restore
from gansmith.data.kinds.table.source import table_source
from gansmith.data.kinds.table.write import write_table
from gansmith.metrics import column_shapes
from gansmith.options import Count
from gansmith.recipe import Recipe
from gansmith.recipes.gain import GAIN
from gansmith.recipes.impute_gan import ImputeGAN
from gansmith.records import read as read_json
from gansmith.use.complete import fill

from . import RESULTS, save

MISSING = 0.2
TREES, ROUNDS = 10, 2
GANS: dict[str, tuple[Recipe, int, int]] = {
    "gain": (GAIN(), 10_000, 128),
    "impute_gan": (ImputeGAN(), 4_000, 256),
}
"""By name: recipe, steps, rows a step."""
Imputer = Callable[[np.ndarray, TableCodec, int], np.ndarray]


def means(holes: np.ndarray, codec: TableCodec, seed: int) -> np.ndarray:
    """Every hole its column's mean, or its most frequent category."""
    del seed
    usual = np.nanmean(holes, 0)
    for j, c in enumerate(codec.columns):
        if c.discrete:
            usual[j] = np.bincount(holes[~np.isnan(holes[:, j]), j].astype(int)).argmax()
    return np.where(np.isnan(holes), usual, holes)


def mice(holes: np.ndarray, codec: TableCodec, seed: int) -> np.ndarray:
    """scikit-learn's IterativeImputer as it is: Bayesian ridge, ten rounds. Of a one-hot category the largest wins."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    parts, spans = [], []
    for j, c in enumerate(codec.columns):
        x = holes[:, j : j + 1]
        hot = np.where(np.isnan(x), np.nan, x == np.arange(len(c.values))) if c.discrete else x
        spans.append(slice(sum(p.shape[1] for p in parts), sum(p.shape[1] for p in parts) + hot.shape[1]))
        parts.append(hot)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = IterativeImputer(random_state=seed).fit_transform(np.concatenate(parts, 1))
    whole = [
        made[:, s].argmax(1) if c.discrete else made[:, s.start] for c, s in zip(codec.columns, spans, strict=True)
    ]
    return np.where(np.isnan(holes), np.stack(whole, 1), holes)


def extra_trees(holes: np.ndarray, codec: TableCodec, seed: int) -> np.ndarray:
    """Columns in turn, two rounds from column means on: ten extremely randomised trees on all other columns.

    As MissForest goes round (Stekhoven & Buehlmann, 2012), with the trees of Geurts et al., 2006.
    """
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    gone, made = np.isnan(holes), means(holes, codec, seed)
    for _ in range(ROUNDS):
        for j, c in enumerate(codec.columns):
            if gone[:, j].any():
                kind = ExtraTreesClassifier if c.discrete else ExtraTreesRegressor
                trees = kind(TREES, random_state=seed, n_jobs=1)
                others, at = np.delete(made, j, 1), gone[:, j]
                made[at, j] = trees.fit(others[~at], made[~at, j]).predict(others[at])
    return made


PLAIN: dict[str, Imputer] = {"column means": means, "MICE": mice, "extra-trees": extra_trees}
NAMES = (*PLAIN, *GANS)


def as_written(made: np.ndarray, codec: TableCodec) -> np.ndarray:
    """Rows with numbers in the observed range, rounded as the column's own are: what `gansmith apply` writes."""
    columns = [made[:, j] if c.discrete else restore(c, made[:, j]) for j, c in enumerate(codec.columns)]
    return np.stack(columns, 1)


def errors(made: np.ndarray, real: np.ndarray, hidden: np.ndarray, codec: TableCodec) -> dict[str, float]:
    """RMSE of the hidden numbers in [0, 1], and the share of the hidden categories that are wrong."""
    low, high = real.min(0), real.max(0)
    unit = (made - real) / np.where(high > low, high - low, 1.0)
    discrete = np.array([c.discrete for c in codec.columns])
    kept = np.array([c.type != "constant" for c in codec.columns])
    found = {"RMSE": float(np.sqrt(np.square(unit)[:, ~discrete & kept][hidden[:, ~discrete & kept]].mean()))}
    if discrete.any():
        found["wrong"] = float((made != real)[:, discrete][hidden[:, discrete]].mean())
    return found


def looks(made: np.ndarray, real: np.ndarray, hidden: np.ndarray, codec: TableCodec) -> dict[str, float]:
    """Whether filled cells look like hidden ones: shapes of the columns, and their spread beside the hidden ones'."""
    discrete = [c.discrete for c in codec.columns]
    fake, truth = (np.where(hidden, rows, np.nan) for rows in (made, real))
    numbers = [j for j, c in enumerate(codec.columns) if not c.discrete and c.type != "constant"]
    ratio = np.nanvar(fake[:, numbers], 0) / np.nanvar(truth[:, numbers], 0)
    return {"shapes": float(np.nanmean(column_shapes(truth, fake, discrete))), "variance": float(np.mean(ratio))}


def measure(path: Path, name: str, seed: int, steps: int = 0) -> dict[str, Any]:
    """One imputer on one table with one seed."""
    codec, rows, _, _ = table_source(path).read()
    if (own := np.isnan(rows).any(1)).any():
        print(f"{own.sum():,} rows with missing cells of their own are left out: what belongs there is not known")
        rows = rows[~own]
    hidden = np.random.default_rng(seed).random(rows.shape) < MISSING
    holes = np.where(hidden, np.nan, rows)
    found: dict[str, Any] = {"imputer": name, "seed": seed}
    began = time.process_time()
    if name in PLAIN:
        made = PLAIN[name](holes, codec, seed)
    else:
        recipe, usual, batch = GANS[name]
        steps = steps or usual
        text = dataclasses.replace(codec, columns=tuple(dataclasses.replace(c, missing=1) for c in codec.columns))
        with tempfile.TemporaryDirectory() as folder:
            write_table(text, holes, Path(folder) / "holes.csv")
            options = gansmith.TrainOptions(
                images=Count(batch * steps), batch_size=batch, seed=seed, precision="fp32", sample_every=Count(10**9)
            )
            run = gansmith.train(recipe, Path(folder) / "holes.csv", options, out=Path(folder) / "run")
            lines = [json.loads(s) for s in (run.path / "scores" / "training.jsonl").read_text().splitlines()]
            model = gansmith.load(run.path)
            made = fill(model, holes, seed=seed)
            if name == "impute_gan":
                draw = fill(model, holes, seed=seed, draw=True)
                found["draw"] = errors(draw, rows, hidden, codec) | looks(draw, rows, hidden, codec)
        key = recipe.chosen_by
        found |= {"steps": steps, "batch": batch, "chosen": model.images, "fields": dataclasses.asdict(recipe)}
        found["held out"] = [min(line["scores"][key] for line in lines), lines[-1]["scores"][key]]
    found["cpu_seconds"] = time.process_time() - began
    written = as_written(made, codec)
    found["as written"] = errors(written, rows, hidden, codec)["RMSE"]
    return found | errors(made, rows, hidden, codec) | looks(written, rows, hidden, codec)


def table(results: Mapping[str, Any], of: str) -> str:
    """The rows of one table as markdown: means over seeds."""
    lines = [
        "| imputer | RMSE | as written | seeds | wrong categories | column shapes | variance | CPU seconds |",
        "|---" * 8 + "|",
    ]
    rows = [r for r in results["rows"] if r["table"] == of]
    for name in NAMES:
        mine = [r for r in rows if r["imputer"] == name]
        kinds = [(f"`{name}`" if name in GANS else name, mine)]
        drawn = [r | r["draw"] for r in mine if "draw" in r]
        kinds += [(f"`{name}`, one draw", drawn)] if drawn else []
        for label, some in kinds:
            if some:
                shown = [_mean(some, k, d) for k, d in (("wrong", 3), ("shapes", 3), ("variance", 2))]
                written = _mean([{**r, "as written": r["RMSE"]} if name in GANS else r for r in some], "as written", 4)
                every = ", ".join(f"{r['RMSE']:.4f}" for r in sorted(some, key=lambda r: r["seed"]))
                cells = [label, _mean(some, "RMSE", 4), written, every, *shown, _mean(some, "cpu_seconds", 0)]
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean(rows: list[dict[str, Any]], key: str, digits: int) -> str:
    values = [r[key] for r in rows if key in r]
    return f"{np.mean(values):.{digits}f}" if values else "-"


def recorded() -> dict[str, Any]:
    """What was measured so far."""
    path = RESULTS / "imputing.json"
    return read_json(path) if path.is_file() else {"rows": []}


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", nargs="+", default=[], metavar="NAME=PATH")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--steps", type=int, default=0, help="of the GANs, instead of their own")
    parser.add_argument("--show", action="store_true", help="print what was recorded")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for named in given.table:
        of, _, path = named.partition("=")
        for seed in given.seeds:
            for name in given.only:
                row = {"table": of} | measure(Path(path), name, seed, given.steps)
                print({k: v for k, v in row.items() if k != "fields"}, flush=True)
                others = [
                    r for r in recorded()["rows"] if [r[k] for k in ("table", "imputer", "seed")] != [of, name, seed]
                ]
                save("imputing", {"missing": MISSING, "rows": [*others, row]})
    if given.show:
        results = recorded()
        for of in dict.fromkeys(r["table"] for r in results["rows"]):
            print(f"\n{of}\n{table(results, of)}")


if __name__ == "__main__":
    main()
