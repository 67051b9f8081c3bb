"""Tables: ctgan beside plain samplers and real rows; gain beside plain imputers. Prints and records, losses included.

    python -m benchmarks.tabular --adult adult.csv.gz --letter letter.csv.gz [--images 600k] [--gain-steps 10000]

adult: 10,000 rows are held out, drawn with the seed; the models see the others alone. F1 is the mean of a decision
tree, AdaBoost, logistic regression and an MLP that learn from as many rows as there are real ones for training, and
are tested on the held-out real rows. letter: 20 % of all cells are hidden at random; RMSE of those cells with columns
scaled to [0, 1], fitted and tested on the same table, as published.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import norm

import gansmith
from gansmith.complete import fill
from gansmith.data import TableCodec
from gansmith.data.tabular import rows_like, table_source, write_table
from gansmith.metrics import closest_records, column_shapes, efficacy, pair_trends
from gansmith.options import Count
from gansmith.recipes.ctgan import CTGAN
from gansmith.recipes.gain import GAIN
from gansmith.sample import sample_where

from . import save

HELD, MISSING = 10_000, 0.2


def independent(rows: np.ndarray, n: int, random: np.random.Generator) -> np.ndarray:
    """Every column drawn from its own observed values, as if nothing tied them."""
    return np.stack([random.choice(rows[:, j], n) for j in range(rows.shape[1])], 1)


def copula(rows: np.ndarray, n: int, random: np.random.Generator) -> np.ndarray:
    """A Gaussian copula: normal scores of every column's ranks (ties broken at random), their correlation, and back by
    the observed values. Missing cells are the largest value.
    """
    filled = np.where(np.isnan(rows), np.inf, rows)
    order = np.lexsort((random.random(rows.shape), filled), axis=0)
    ranks = np.empty(rows.shape)
    np.put_along_axis(ranks, order, np.arange(1.0, len(rows) + 1)[:, None] / (len(rows) + 1), 0)
    correlation = np.corrcoef(norm.ppf(ranks).T)
    drawn = norm.cdf(random.multivariate_normal(np.zeros(rows.shape[1]), correlation, n))
    place = np.minimum((drawn * len(rows)).astype(int), len(rows) - 1)
    made = np.take_along_axis(np.sort(filled, 0), place, 0)
    return np.where(np.isinf(made), np.nan, made)


def scores(real: np.ndarray, held: np.ndarray, fake: np.ndarray, codec: TableCodec, target: int) -> dict[str, float]:
    """What the judge says of samples."""
    discrete, places = [c.discrete for c in codec.columns], [len(c.values) for c in codec.columns]
    count = 2_000
    near = closest_records(fake[:count], real[:count], held[:count], discrete, places)
    learnt = efficacy(fake, held, discrete, target, places)
    return {
        "F1": float(np.mean(list(learnt.values()))),
        **{f"F1 {k}": v for k, v in learnt.items()},
        "column shapes": float(np.nanmean(column_shapes(held, fake, discrete))),
        "pair trends": float(np.nanmean(pair_trends(held, fake, discrete))),
        "nearer to training": near.share,
    }


def adult(path: Path, images: int, seed: int, work: Path) -> dict[str, Any]:
    """One seed of ctgan on adult, beside independent columns, a copula and real rows."""
    whole, rows, _, _ = table_source(path).read()
    random = np.random.default_rng(seed)
    order = random.permutation(len(rows))
    write_table(whole, rows[order[HELD:]], work / "train.csv")
    write_table(whole, rows[order[:HELD]], work / "held.csv")
    began = time.perf_counter()
    options = gansmith.TrainOptions(
        images=Count(images), batch_size=500, seed=seed, precision="fp32", sample_every=Count(10**9)
    )
    run = gansmith.train(CTGAN(), work / "train.csv", options, out=work / f"ctgan-{seed}")
    seconds = time.perf_counter() - began
    model = gansmith.load(run.path)
    codec = model.spec.codec
    assert isinstance(codec, TableCodec)
    # In the model's own codes: a country that only the held-out rows have would shift those of the others.
    real, held = (rows_like(work / name, codec)[0] for name in ("train.csv", "held.csv"))
    target = codec.index("income")
    found: dict[str, Any] = {}
    for weights in ("ema", "raw"):
        found[f"ctgan ({weights})"] = scores(
            real, held, model.stored(len(real), seed=seed, weights=weights), codec, target
        )
    found["independent columns"] = scores(real, held, independent(real, len(real), random), codec, target)
    found["Gaussian copula"] = scores(real, held, copula(real, len(real), random), codec, target)
    found["real rows"] = scores(real, held, real, codec, target)
    obeyed = {}
    for c in codec.columns:
        if c.discrete:
            most = int(np.argmax(c.counts))
            rows_of = sample_where(model, 500, f"{c.name.strip()} = {c.values[most].strip()}", seed=seed)
            hit = float((rows_of.stored[:, codec.index(c.name)] == most).mean())
            obeyed[c.name.strip()] = {"rows that satisfy it": hit, "how": rows_of.how}
    return {"seconds": seconds, "scores": found, "conditions": obeyed}


def letter(path: Path, steps: int, seed: int, work: Path) -> dict[str, float]:
    """RMSE of hidden cells of a complete table of numbers."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    codec, rows, _, _ = table_source(path).read()
    low, high = rows.min(0), rows.max(0)
    unit = (rows - low) / (high - low)
    hidden = np.random.default_rng(seed).random(rows.shape) < MISSING
    holes = np.where(hidden, np.nan, unit)

    def error(made: np.ndarray) -> float:
        return float(np.sqrt(np.square(made - unit)[hidden].mean()))

    found = {"column means": error(np.where(hidden, np.nanmean(holes, 0), unit))}
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found["MICE (IterativeImputer)"] = error(IterativeImputer(random_state=seed).fit_transform(holes))
    found["seconds of MICE"] = time.perf_counter() - began
    text = dataclasses.replace(codec, columns=tuple(dataclasses.replace(c, missing=1) for c in codec.columns))
    write_table(text, np.where(hidden, np.nan, rows), work / "holes.csv")
    for share in (4, 1):
        began = time.perf_counter()
        options = gansmith.TrainOptions(
            images=Count(128 * steps // share), batch_size=128, seed=seed, precision="fp32", sample_every=Count(10**9)
        )
        run = gansmith.train(GAIN(), work / "holes.csv", options, out=work / f"gain-{seed}-{share}")
        model = gansmith.load(run.path)
        stored = np.where(hidden, np.nan, rows)
        for weights in ("raw", "ema"):
            made = (fill(model, stored, seed=seed, weights=weights) - low) / (high - low)
            found[f"gain ({steps // share:,} steps, {weights})"] = error(made)
        found[f"seconds of {steps // share:,} steps"] = time.perf_counter() - began
    return found


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    count: Callable[[str], Count] = Count.parse
    parser.add_argument("--adult", type=Path)
    parser.add_argument("--letter", type=Path)
    parser.add_argument("--images", type=count, default=Count(600_000))
    parser.add_argument("--gain-steps", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    torch.set_num_threads(1)
    done: dict[str, dict[str, Any]] = {
        "tables_letter": {"gain_steps": given.gain_steps},
        "tables_adult": {"images": int(given.images)},
    }
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as folder:
            if given.letter:
                found = letter(given.letter, given.gain_steps, seed, Path(folder))
                done["tables_letter"][f"seed {seed}"] = found
                for name, value in found.items():
                    print(f"letter seed {seed}: {name:32} {value:.4f}", flush=True)
                save("tables_letter", done["tables_letter"])
            if given.adult:
                found = adult(given.adult, int(given.images), seed, Path(folder))
                done["tables_adult"][f"seed {seed}"] = found
                for name, values in found["scores"].items():
                    print(f"adult seed {seed}: {name:22}", {k: round(v, 3) for k, v in values.items()}, flush=True)
                for name, value in found["conditions"].items():
                    print(f"adult seed {seed}: where {name}: {value}", flush=True)
                save("tables_adult", done["tables_adult"])


if __name__ == "__main__":
    main()
