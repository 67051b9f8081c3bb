"""MNIST at 32 x 32: recipes of one budget, judged by a LeNet trained on the data, beside held-out and untrained.

    python -m benchmarks.mnist --data-dir DIR [r3gan dcgan] [--minutes 2] [--seeds 0] [--set r3gan.gamma=1]
    python -m benchmarks.mnist --data-dir DIR all --images 60k --name classics --keep --grids docs/images/recipes

The Frechet distance is taken of 5,000 samples against 10,000 training images in the 128 features of the encoder
`own`, trained first where it is not in the cache; its floor is that of 5,000 test images, drawn at random. Beside it:
the share of each class by the encoder's own head, the mean of its confidence, and the same of an untrained generator.
Of recipes that are told a class or a code, the share of samples that the encoder sees as asked is recorded, too.
`all`: every recipe that makes pictures from noise. --keep leaves recorded rows of other runs of the same budget where
they are, and does not measure again what is there: several processes may add to one file.
"""

from __future__ import annotations

import argparse
import ast
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gansmith
from gansmith import catalog
from gansmith.data import open_store
from gansmith.judge.judge import JudgeOptions
from gansmith.judge.kinds.image import Image
from gansmith.judge.real import Split
from gansmith.model.ask import Asked, asked
from gansmith.model.draw import draw_samples
from gansmith.model.saved import build_recipe
from gansmith.options import Count, Size
from gansmith.recipe import EMPTY, load_recipe
from gansmith.records import read as read_json

from . import RESULTS, save


def main() -> None:
    """Train, judge, and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=["r3gan", "dcgan"])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--images", type=Count.parse, default=Count(0))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", nargs="*", default=[], metavar="RECIPE.FIELD=VALUE", dest="fields")
    parser.add_argument("--name", default="mnist", help="of the file in results/")
    parser.add_argument("--keep", action="store_true", help="add to the file in results/")
    parser.add_argument("--grids", type=Path, help="where to leave a grid of each model's samples")
    options = parser.parse_args()
    if not options.images and not options.minutes:
        options.minutes = 2.0
    if options.recipes == ["all"]:
        options.recipes = [page.name for page in catalog.pages() if "image" in page.kinds]

    data = gansmith.TrainOptions(data_dir=options.data_dir, size=Size((32, 32)))
    store = open_store(options.data, data, progress=False)
    scored = JudgeOptions(metrics=("fd", "classes"))
    judge = Image.of(store, packing=data, split=Split(n=5_000, training=10), options=scored, say=print)

    def judged(samples: np.ndarray, wanted: Asked | None = None) -> dict[str, Any]:
        judgement = judge.score(samples, wanted)
        values, shares = judgement.values, np.asarray(judgement.shares)
        return {k: round(v, 3) for k, v in values.items() if "accuracy" in k} | {
            judge.headline: round(values[judge.headline], 2),
            "least_share": round(float(shares.min()), 3),
            "most_share": round(float(shares.max()), 3),
            "confidence": round(values["confidence"], 3),
        }

    real = judged(judge.real.held)
    print(f"floor: {real}; encoder {judge.encoder.facts['held_out']}")
    rows: list[dict[str, Any]] = []
    budget = {"minutes": options.minutes, "images": int(options.images), "batch_size": options.batch_size}
    path = RESULTS / f"{options.name}.json"
    if options.keep and path.is_file():
        before = read_json(path)
        if any(before.get(k) != v for k, v in budget.items()):
            raise SystemExit(
                f"{path} is of another budget: { ({k: before.get(k) for k in budget}) }; give another --name"
            )
        rows = before["rows"]

    def record() -> None:
        if options.keep and path.is_file():  # another process may have added to it
            known = [(r["recipe"], r["seed"], r["fields"]) for r in rows]
            rows.extend(r for r in read_json(path)["rows"] if (r["recipe"], r["seed"], r["fields"]) not in known)
        save(
            options.name,
            {
                "data": f"{options.data}, 32 x 32",
                "samples": 5_000,
                "reference": 10_000,
                "encoder": {k: judge.encoder.facts[k] for k in ("sha256", "held_out", "shown")},
                **budget,
                "real": real,
                "rows": sorted(rows, key=lambda r: (r["recipe"], str(r["fields"]), r["seed"])),
            },
        )

    for seed in options.seeds:
        for name in options.recipes:
            given = [f.removeprefix(f"{name}.").split("=", 1) for f in options.fields if f.startswith(f"{name}.")]
            fields = {key: _value(value) for key, value in given}
            if any(r["recipe"] == name and r["seed"] == seed and r["fields"] == fields for r in rows):
                continue
            train = gansmith.TrainOptions(
                data_dir=options.data_dir,
                size=Size((32, 32)),
                minutes=options.minutes,
                images=options.images,
                batch_size=options.batch_size,
                precision=options.precision,
                seed=seed,
            )
            began = time.process_time()
            with tempfile.TemporaryDirectory() as scratch:
                run = gansmith.train(load_recipe(name)(**fields), options.data, train, out=Path(scratch) / "run")
                model = gansmith.load(run.path)
                spent = time.process_time() - began
                reached, wanted = run.progress(), asked(model, 5_000, 0)
                if options.grids:
                    options.grids.mkdir(parents=True, exist_ok=True)
                    label = "_".join([name, str(seed), *(f"{k}={v}" for k, v in fields.items())])
                    pictures = sorted((run.path / "samples").glob("*.png"))
                    (options.grids / f"{label}.png").write_bytes(pictures[-1].read_bytes())
                setting = run.record["setting"]
                torch.manual_seed(seed)
                fresh = torch.nn.ModuleDict(build_recipe(run.record["recipe"]).networks(model.spec))
                untrained = model.spec.codec.decode(draw_samples(model.recipe, fresh, 5_000, 0))
            row = {
                "recipe": name,
                "fields": fields,
                "seed": seed,
                "images": reached["images"],
                "seconds": round(reached["seconds"], 1),
                "cpu_seconds": round(spent, 1),
                "setting": {k: setting[k] for k in ("precision", "layout", "threads") if k in setting},
                **judged(model.stored(5_000, seed=0, given=wanted.given if wanted else EMPTY), wanted),
                "untrained": judged(untrained),
            }
            rows.append(row)
            print(row, flush=True)
            record()


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    main()
