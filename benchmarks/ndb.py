"""NDB on MNIST: in how many bins of the training digits do others differ, of real ones, of controls, of a model.

    python -m benchmarks.ndb [--data-dir FOLDER] [--model RUN] [--table]

Richardson & Weiss, "On GANs and GMMs", 2018, arXiv:1805.12462: k-means finds 100 bins among 50,000 training digits
(pixels in [0, 1]); a bin differs if a two-proportion z-test says so, here beyond 3 standard errors as in the authors'
demonstration, and at 1.96 (significance 0.05) beside it. Compared are the 10,000 training digits that were held out,
the official test digits, held-out digits without 9, a collapsed control (one digit of each class, over and over), and
10,000 samples of a model trained on MNIST at 28 x 28 grey pixels, if one is given.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from . import RESULTS, save

BINS, STRICT, LOOSE = 100, 3.0, 1.959963984540054
HELD_OUT = 10_000
SEED = 0


def sets(data_dir: Path | None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The training digits (50,000, 28, 28, 1) uint8, and what is held against them."""
    from gansmith.data import open_store
    from gansmith.options import DataOptions

    where = DataOptions(data_dir=data_dir)
    train, test = (open_store(name, where, progress=False).fields for name in ("mnist", "mnist:test"))
    order = np.random.Generator(np.random.Philox(key=[SEED, 1])).permutation(len(train["x"]))
    x, y = np.asarray(train["x"])[order], np.asarray(train["y"])[order]
    held, labels = x[:HELD_OUT], y[:HELD_OUT]
    one_each = held[[int(np.flatnonzero(labels == c)[0]) for c in range(10)]]
    return x[HELD_OUT:], {
        "held-out training digits": held,
        "official test digits": np.asarray(test["x"]),
        "held-out digits without 9": held[labels != 9],
        "collapsed: one digit of each class": one_each[np.arange(HELD_OUT) % 10],
    }


def measured(training: np.ndarray, others: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """One row for each of the others."""
    import torch
    from torch import Tensor

    from gansmith import metrics

    def pixels(x: np.ndarray) -> Tensor:
        return torch.from_numpy(x.reshape(len(x), -1).astype(np.float32) / 255)

    known = pixels(training)
    clusters = metrics.fit_clusters(known, num_clusters=BINS, seed=SEED)
    for name, x in others.items():
        strict, loose = (
            metrics.compare_bins(clusters, known, pixels(x), z_threshold=threshold) for threshold in (STRICT, LOOSE)
        )
        yield {
            "name": name,
            "samples": len(x),
            "ndb_3": strict.different,
            "expected_3": round(strict.expected, 2),
            "ndb_1.96": loose.different,
            "expected_1.96": round(loose.expected, 2),
            "jensen_shannon": round(strict.jensen_shannon, 5),
        }


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    first = results["rows"][0]
    lines = [
        f"| | samples | bins of {BINS} that differ by 3 errors (by chance {first['expected_3']}) "
        f"| by 1.96 (by chance {first['expected_1.96']:.0f}) | Jensen-Shannon |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in results["rows"]:
        counts = f"{row['samples']:,} | {row['ndb_3']} | {row['ndb_1.96']} | {row['jensen_shannon']:.4f}"
        lines.append(f"| {row['name']} | {counts} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print and record; with --table print what was recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="where MNIST's official files lie; else the cache, else fetched")
    parser.add_argument("--model", type=Path, help="a run, or its model folder")
    parser.add_argument("--table", action="store_true", help="print the recorded results as Markdown")
    options = parser.parse_args()
    if not options.table:
        training, others = sets(options.data_dir)
        if options.model:
            import gansmith

            model = gansmith.load(options.model)
            if model.spec.shape != (1, 28, 28):
                raise ValueError(f"{options.model} makes samples of {model.spec.shape}; MNIST's are (1, 28, 28)")
            name = f"{model.recipe_name}, {model.images:,} images, averaged weights"
            others[name] = model.sample(HELD_OUT, seed=SEED)
        save("ndb", {"training": len(training), "bins": BINS, "rows": list(measured(training, others))})
    print(table(json.loads((RESULTS / "ndb.json").read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
