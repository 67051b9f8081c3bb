"""Tables: ctgan beside plain samplers and real rows, on adult. Prints and records, losses included.

    python -m benchmarks.tabular --adult adult.csv.gz [--images 1M] [--seeds 0 1 2] [--table]

10,000 rows are held out, drawn with the seed; the models see the others alone. F1 is the mean of a decision tree,
AdaBoost, logistic regression and an MLP that learn from as many rows as there are real ones for training, and are
tested on the held-out real rows. Seeds that were recorded before, of equal settings, stay in the file. `--table` prints
the means; `python -m benchmarks.tables` writes them into docs/tabular.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import norm

import gansmith
from gansmith.data import TableCodec
from gansmith.data.kinds.table.source import rows_like, table_source
from gansmith.data.kinds.table.write import write_table
from gansmith.metrics import closest_records, column_shapes, efficacy, pair_trends
from gansmith.options import Count
from gansmith.recipes.ctgan import CTGAN
from gansmith.records import read as read_json
from gansmith.use.where import sample_where

from . import RESULTS, save

HELD = 10_000


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


def merged(
    before: Mapping[str, Any], settings: Mapping[str, Any], seed: int, found: Mapping[str, Any]
) -> dict[str, Any]:
    """The record with this seed; the seeds of other settings go, those of equal ones stay."""
    kept = {k: v for k, v in before.items() if k.startswith("seed ")}
    if {k: before.get(k) for k in settings} != dict(settings):
        kept = {}
    every = {**kept, f"seed {seed}": dict(found)}
    return {**settings, **{k: every[k] for k in sorted(every, key=lambda k: int(k.split()[1]))}}


def seeds_of(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was found with each seed."""
    return [v for k, v in results.items() if k.startswith("seed ")]


LABELS = {
    "real rows": "real ones",
    "ctgan (ema)": "`ctgan`, averaged weights",
    "ctgan (raw)": "`ctgan`, last weights",
    "Gaussian copula": "Gaussian copula",
    "independent columns": "independent columns",
}


def table(results: Mapping[str, Any]) -> str:
    """The record of adult as markdown: means over seeds, and F1 with every seed."""
    seeds = seeds_of(results)
    lines = ["| rows to learn from | F1 | seeds | column shapes | pair trends | nearer to training |", "|---" * 6 + "|"]
    for name, label in LABELS.items():
        mine = [found["scores"][name] for found in seeds]
        every = ", ".join(f"{row['F1']:.3f}" for row in mine)
        shown = [f"{np.mean([row[k] for row in mine]):.3f}" for k in ("column shapes", "pair trends")]
        near = "-" if name == "real rows" else f"{np.mean([row['nearer to training'] for row in mine]):.2f}"
        cells = [label, f"{np.mean([row['F1'] for row in mine]):.3f}", every, *shown, near]
        lines.append("| " + " | ".join(cells) + " |")
    took = [found["seconds"] for found in seeds]
    lines.append(f"\n{results['images']:,} rows shown, {min(took):.0f} to {max(took):.0f} s of training.")
    return "\n".join(lines)


def conditions_table(results: Mapping[str, Any]) -> str:
    """What share of the rows drawn obeyed their condition, column by column, and of the rows that were written."""
    seeds = [found["conditions"] for found in seeds_of(results)]
    lines = ["| column | obeyed as drawn, least of the seeds | as written |", "|---" * 3 + "|"]
    for column in seeds[0]:
        drawn = min(float(found[column]["how"].split("which ")[1].split("%")[0]) for found in seeds)
        written = min(found[column]["rows that satisfy it"] for found in seeds)
        lines.append(f"| {column} | {drawn:.1f} % | {100 * written:.0f} % |")
    return "\n".join(lines)


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    count: Callable[[str], Count] = Count.parse
    parser.add_argument("--adult", type=Path)
    parser.add_argument("--images", type=count, default=Count(1_000_000))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--table", action="store_true", help="print what was recorded")
    given = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "tables_adult.json"
    for seed in given.seeds if given.adult else ():
        with tempfile.TemporaryDirectory() as folder:
            found = adult(given.adult, int(given.images), seed, Path(folder))
        for name, values in found["scores"].items():
            print(f"adult seed {seed}: {name:22}", {k: round(v, 3) for k, v in values.items()}, flush=True)
        for name, value in found["conditions"].items():
            print(f"adult seed {seed}: where {name}: {value}", flush=True)
        before = read_json(path) if path.is_file() else {}
        save("tables_adult", merged(before, {"images": int(given.images)}, seed, found))
    if given.table:
        results = read_json(path)
        print(table(results), conditions_table(results), sep="\n\n")


if __name__ == "__main__":
    main()
