"""Stacked MNIST: three digits as three colours make 1,000 modes; how many does a model find, and how evenly?

    python -m benchmarks.stacked_mnist [--data-dir FOLDER] [--recipe r3gan] [--fields '{"width": 32}'] [--images 200k]
        [--minutes 10] [--batch-size 64] [--seed 0] [--device auto] [--out runs/stacked] [--table]

The protocol of Lin et al., "PacGAN", 2018, arXiv:1712.04086, section 4.2: 128,000 random triples of MNIST's training
digits, 28 x 28 x 3; 26,000 samples; a digit classifier reads each channel; modes found of 1,000, and the KL divergence
of the samples over the modes from evenness, in nats. Beside it stand the KL's floor (999 / 2N), the classifier's
accuracy on the official test digits, and 26,000 triples of those, read in the same way. A run that is there already
in --out is only judged. Rows of other recipes, budgets and seeds stay in the result file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import RESULTS, machine, save

if TYPE_CHECKING:
    from gansmith.encoders import Encoder

TRIPLES, SAMPLES = 128_000, 26_000


def triples(digits: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n pictures (n, 28, 28, 3) uint8, each channel a digit drawn at random with replacement."""
    chosen = np.random.Generator(np.random.Philox(key=[seed, 3])).integers(len(digits), size=(n, 3))
    return np.stack([digits[chosen[:, c], :, :, 0] for c in range(3)], -1)


def judged(pictures: np.ndarray, classifier: Encoder) -> dict[str, Any]:
    """Modes and KL of pictures (N, 28, 28, 3) uint8."""
    import torch

    from gansmith.metrics import mode_counts

    digits = [classifier.probabilities(np.ascontiguousarray(pictures[..., c : c + 1])).argmax(1) for c in range(3)]
    mode = 100 * digits[0] + 10 * digits[1] + digits[2]
    found = mode_counts(torch.bincount(mode, minlength=1000))
    return {
        "modes": found.captured,
        "kl": round(found.reverse_kl, 4),
        "floor": round(found.floor, 4),
        "samples": found.num_samples,
    }


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = ["| | images | minutes | modes of 1,000 | KL | its floor | weights |", "|---|---:|---:|---:|---:|---:|---|"]
    real = results["real"]
    lines.append(f"| official test digits | | | {real['modes']} | {real['kl']:.3f} | {real['floor']:.3f} | |")
    for row in results["rows"]:
        fields = "".join(f", {k} {v}" for k, v in row["fields"].items())
        start = f"| {row['recipe']}{fields}, batch {row['batch_size']}, seed {row['seed']} | {row['images']:,} "
        for weights, words in (("ema", "averaged"), ("raw", "last")):
            own = row[weights]
            lines.append(
                f"{start}| {row['minutes']} | {own['modes']} | {own['kl']:.3f} | {own['floor']:.3f} | {words} |"
            )
    return "\n".join(lines)


def recorded() -> dict[str, Any]:
    """What `benchmarks/results/stacked_mnist.json` holds."""
    path = RESULTS / "stacked_mnist.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": []}


def main() -> None:
    """Train or find the run, judge, print and record; with --table print what was recorded."""
    from gansmith.options import Count

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="where MNIST's official files lie; else the cache, else fetched")
    parser.add_argument("--recipe", default="r3gan")
    parser.add_argument("--fields", type=json.loads, default={}, help="of the recipe, as JSON")
    parser.add_argument("--images", type=Count.parse, default=Count(0))
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("runs/stacked-mnist"))
    parser.add_argument("--table", action="store_true", help="print the recorded results as Markdown")
    options = parser.parse_args()
    if not options.table:
        measure(options)
    print(table(recorded()))


def measure(options: argparse.Namespace) -> None:
    """Train unless there is a run, judge it, record it."""
    import gansmith
    from gansmith.data import open_store
    from gansmith.encoders import train_own
    from gansmith.model.saved import build_recipe
    from gansmith.options import DataOptions

    where = DataOptions(data_dir=options.data_dir)
    store, test = (open_store(name, where, progress=False) for name in ("mnist", "mnist:test"))
    if not (options.out / "run.json").is_file():
        train = gansmith.TrainOptions(
            images=options.images,
            minutes=options.minutes,
            batch_size=options.batch_size,
            seed=options.seed,
            device=options.device,
        )
        recipe = build_recipe({"name": options.recipe, "fields": options.fields})
        gansmith.train(recipe, triples(np.asarray(store.fields["x"]), TRIPLES, 0), train, out=options.out)
    model, run = gansmith.load(options.out), gansmith.Run(options.out)
    classifier = train_own(store)
    digits, labels = np.asarray(test.fields["x"]), np.asarray(test.fields["y"])
    accuracy = float((classifier.probabilities(digits).argmax(1).numpy() == labels).mean())
    print(f"the classifier reads {100 * accuracy:.2f} % of the official test digits")
    progress, record = run.progress(), run.record
    defaults = build_recipe({"name": model.recipe_name, "fields": {}})
    row = {
        "recipe": model.recipe_name,
        "fields": {k: v for k, v in record["recipe"]["fields"].items() if v != _plain(getattr(defaults, k))},
        "batch_size": record["options"]["batch_size"],
        "seed": record["options"]["seed"],
        "images": progress["images"],
        "minutes": round(progress["seconds"] / 60, 1),
        "precision": record["setting"]["precision"],
        **{weights: judged(model.sample(SAMPLES, seed=0, weights=weights), classifier) for weights in ("ema", "raw")},
        "machine": machine(),
    }
    print(row)
    same = ("recipe", "fields", "batch_size", "seed", "images")
    rows = [r for r in recorded()["rows"] if any(r[key] != row[key] for key in same)]
    real = judged(triples(digits, SAMPLES, 1), classifier)
    save("stacked_mnist", {"accuracy": accuracy, "real": real, "rows": [*rows, row]})


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(value))


if __name__ == "__main__":
    main()
