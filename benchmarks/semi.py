"""Few labels: errors on MNIST's 10,000 test digits of `semi` or `badgan`, beside the same D taught by labels alone.

    python -m benchmarks.semi --data-dir DIR [semi] [--num-labels 100] [--seeds 0 1 2] [--images 18M] [--batch-size 100]
        [--device auto] [--precision auto] [--set noise=0.5] [--name semi] [--keep RUNS]

Each seed is a draw of labels of its own (equally many of each class) and initial weights of its own. The class is the
likeliest by the averaged weights; beside them those of the last step. "alone" is D of `semi` with `unlabelled` 0: the
labels are all that it sees, with the same noise, weight norm and averaging, for `--alone-images`. Published, mean of 10
draws with 100 labels: 93 +- 6.5 (Salimans et al., 2016), 79.5 +- 9.8 (Dai et al., 2017), both of 300 epochs or more.
With --keep the runs stay, and a run that was stopped, or is to see more images, goes on from its last checkpoint when
the command is given again.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from . import save, trained


def main() -> None:
    """Train, count errors, and record."""
    import gansmith
    from gansmith.options import Count

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="semi", choices=("semi", "badgan"))
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--num-labels", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=Count.parse, default=Count(18_000_000), help="300 epochs by default")
    parser.add_argument("--alone-images", type=Count.parse, default=Count(200_000), help="0 leaves the control out")
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", dest="fields")
    parser.add_argument("--name", default="", help="of the file in results/; that of the recipe by default")
    parser.add_argument("--keep", type=Path, help="where runs are kept, and gone on with")
    options = parser.parse_args()

    fields = {key: float(value) for key, _, value in (f.partition("=") for f in options.fields)}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        root = options.keep or Path(scratch)
        for seed in options.seeds:
            train = gansmith.TrainOptions(
                data_dir=options.data_dir,
                images=options.images,
                batch_size=options.batch_size,
                device=options.device,
                precision=options.precision,
                layout="nchw",
                seed=seed,
            )
            row = {"seed": seed, **_errors(options, options.recipe, fields, train, root / f"{options.recipe}-{seed}")}
            if options.alone_images:
                control = {**(fields if options.recipe == "semi" else {}), "unlabelled": 0.0}
                alone = _replaced(train, options.alone_images)
                row["alone"] = _errors(options, "semi", control, alone, root / f"alone-{seed}")
            rows.append(row)
            print(row, flush=True)
            found = np.array([r["errors"] for r in rows], float)
            spread = float(found.std(ddof=1)) if len(found) > 1 else 0.0
            save(
                options.name or options.recipe,
                {
                    "recipe": options.recipe,
                    "fields": fields,
                    "data": options.data,
                    "num_labels": options.num_labels,
                    "batch_size": options.batch_size,
                    "mean": round(float(found.mean()), 1),
                    "deviation": round(spread, 1),
                    "rows": rows,
                },
            )


def _replaced(train: Any, images: int) -> Any:
    import dataclasses

    from gansmith.options import Count

    return dataclasses.replace(train, images=Count(images))


def _errors(options: Any, name: str, fields: dict[str, float], train: Any, out: Path) -> dict[str, Any]:
    """Train one network, or go on with it, and count its errors on the test split."""
    import gansmith
    from gansmith.options import DataOptions
    from gansmith.recipe import load_recipe
    from gansmith.use.predict import predict, score

    run = trained(load_recipe(name)(num_labels=options.num_labels, **fields), options.data, train, out)
    model, reached = gansmith.load(run.path), run.progress()
    data = DataOptions(data_dir=options.data_dir)
    found = {
        weights: score(predict(model, f"{options.data}:test", "class", data, weights)) for weights in ("ema", "raw")
    }
    return {
        "errors": int(found["ema"]["errors"]),
        "errors_raw": int(found["raw"]["errors"]),
        "samples": int(found["ema"]["samples"]),
        "images": reached["images"],
        "seconds": round(reached["seconds"], 1),
        "setting": run.record["setting"]["device"] + " " + run.record["setting"]["precision"],
    }


if __name__ == "__main__":
    main()
