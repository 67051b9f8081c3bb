"""StyleGAN2 beside DCGAN on all of CIFAR-10, and with a tenth of it with and without augmentation: same images shown.

    python -m benchmarks.limited --data-dir DIR --encoder cifar:resnet56.th [--images 100k] [--share 0.1] [--seeds 0]

The Frechet distance is taken of --samples pictures against 10,000 training images of the whole data set, in the
features of a CIFAR-10 classifier (it is not FID); beside it the same of held-out images, and of an untrained
generator.
--arms picks from: dcgan, stylegan2 (all images); none, ada, diffaugment (StyleGAN2 with that, on the share). --gamma,
--r1-every and --lr are StyleGAN2's; the ADA paper has 0.01, 16 and 2.5e-3 for CIFAR-10. Rows that are recorded with the
same budget are not measured again. ADA's p goes from 0 to 1 in a quarter of the images here: in the paper's 500,000 it
would hardly start in a short run.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import RESULTS, save

ARMS = ("dcgan", "stylegan2", "none", "ada", "diffaugment")


def table(results: dict[str, Any]) -> str:
    """Row by row."""
    distance = next(k for k in results["rows"][0] if k.startswith("FD"))
    lines = []
    for r in results["rows"]:
        fields = ", ".join(f"{k} {v:g}" for k, v in r["fields"].items() if v)
        what = {"dcgan": "`dcgan`", "stylegan2": "`stylegan2`"}.get(r["arm"], f"`stylegan2`, augmentation: {r['arm']}")
        lines.append(
            f"| {what} | {fields} | {r['training_images']:,} | {r[distance]} | {r['untrained']} | "
            f"{r['images_per_second']} | {r.get('p', '')} |"
        )
    head = f"| recipe | fields | training images | {distance} | untrained | images/s | ADA's p |"
    about = (
        f"{results['images']:,} images shown in batches of {results['batch_size']}, "
        f"{results['samples']:,} samples; held-out images {results['floor']}. "
        f"`dcgan` of width {results['dcgan_width']}, `stylegan2` of {results['width']} to {results['max_width']}."
    )
    return "\n".join([head, "|---|---|---|---|---|---|---|", *lines, "", about])


def main() -> None:
    """Train, judge, and record."""
    import gansmith
    from gansmith.data import open_store
    from gansmith.judge.judge import JudgeOptions
    from gansmith.judge.kinds.image import Image
    from gansmith.judge.real import Split
    from gansmith.model.draw import draw_samples
    from gansmith.model.saved import build_recipe
    from gansmith.options import Count, Size
    from gansmith.recipe import Recipe
    from gansmith.recipes.dcgan import DCGAN
    from gansmith.recipes.stylegan2 import StyleGAN2
    from gansmith.records import read as read_json

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=["dcgan", "stylegan2", "none", "ada"])
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--size", type=Size.parse, default=Size((0, 0)))
    parser.add_argument("--encoder", default="own", help="as for `gansmith evaluate`: cifar:PATH, own, inception:PATH")
    parser.add_argument("--images", type=Count.parse, default=Count(100_000))
    parser.add_argument("--share", type=float, default=0.1, help="of the data, for the arms that are short of it")
    parser.add_argument("--width", type=int, default=32, help="of StyleGAN2")
    parser.add_argument("--max-width", type=int, default=256)
    parser.add_argument("--dcgan-width", type=int, default=64)
    parser.add_argument("--gamma", type=float, default=0.0, help="of StyleGAN2's R1; 0 as the recipe has it")
    parser.add_argument("--r1-every", type=int, default=1, help="of StyleGAN2")
    parser.add_argument("--lr", type=float, default=0.0, help="of StyleGAN2; 0 as the recipe has it")
    parser.add_argument("--samples", type=int, default=5_000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--name", default="limited", help="of the file in results/")
    parser.add_argument("--grids", type=Path, help="where to leave a grid of each model's samples")
    options = parser.parse_args()

    data = gansmith.TrainOptions(data_dir=options.data_dir, size=options.size)
    store = open_store(options.data, data, progress=False)
    scored = JudgeOptions(metrics=("fd",), encoder=options.encoder)
    judge = Image.of(store, packing=data, split=Split(n=options.samples, training=10), options=scored, say=print)

    def judged(samples: np.ndarray) -> float:
        return round(judge.score(samples).values[judge.headline], 2)

    floor = judged(judge.real.held)
    print(f"{judge.headline} of {len(judge.real.held):,} held-out images: {floor}", flush=True)
    few = np.random.default_rng(0).permutation(len(store))[: round(options.share * len(store))]
    stated = ("data", "images", "share", "samples", "width", "max_width", "dcgan_width", "batch_size")
    about = {k: getattr(options, k) for k in stated} | {"encoder": options.encoder.split("/")[-1], "floor": floor}
    rows: list[dict[str, Any]] = []
    if (path := RESULTS / f"{options.name}.json").is_file():
        before = read_json(path)
        if any(before[k] != about[k] for k in stated):
            raise SystemExit(f"{path} is of another budget, { ({k: before[k] for k in stated}) }: give another --name")
        rows = before["rows"]
    for seed in options.seeds:
        for arm in options.arms:
            fields = {} if arm == "dcgan" else {"gamma": options.gamma, "r1_every": options.r1_every}
            fields |= {"lr": options.lr} if options.lr and arm != "dcgan" else {}
            if any((r["arm"], r["seed"], r["fields"]) == (arm, seed, fields) for r in rows):
                continue
            recipe: Recipe = DCGAN(width=options.dcgan_width)
            if arm != "dcgan":
                recipe = StyleGAN2(
                    width=options.width,
                    max_width=options.max_width,
                    augment="none" if arm == "stylegan2" else arm,
                    ada_images=options.images / 4,
                    **fields,
                )
            source: Any = str(store.path) if arm in ("dcgan", "stylegan2") else store.fields["x"][np.sort(few)]
            train = gansmith.TrainOptions(
                images=options.images, batch_size=options.batch_size, precision=options.precision, seed=seed
            )
            with tempfile.TemporaryDirectory() as scratch:
                run = gansmith.train(recipe, source, train, out=Path(scratch) / "run")
                model, reached, found = gansmith.load(run.path), run.progress(), run.newest(print)
                assert found is not None
                if options.grids:
                    options.grids.mkdir(parents=True, exist_ok=True)
                    last = sorted((run.path / "samples").glob("*.png"))[-1]
                    (options.grids / f"{arm}_{seed}.png").write_bytes(last.read_bytes())
            torch.manual_seed(seed)
            fresh = torch.nn.ModuleDict(build_recipe(run.record["recipe"]).networks(model.spec))
            row = {
                "arm": arm,
                "fields": fields,
                "seed": seed,
                "training_images": run.record["data"]["count"],
                "images": reached["images"],
                "images_per_second": round(reached["images"] / reached["seconds"], 1),
                "setting": {k: run.record["setting"][k] for k in ("precision", "channels_last", "threads")},
                judge.headline: judged(model.sample(options.samples, seed=0)),
                "untrained": judged(model.spec.codec.decode(draw_samples(model.recipe, fresh, options.samples, 0))),
            }
            if arm == "ada":
                row["p"] = round(float(found[0]["nets.A.p"]), 3)
                row["sign_of_real_scores"] = round(float(found[0]["nets.A.sign.mean"]), 3)
            rows.append(row)
            print(row, flush=True)
            if path.is_file():  # another process may have added to it
                known = [(r["arm"], r["seed"], r["fields"]) for r in rows]
                rows += [r for r in read_json(path)["rows"] if (r["arm"], r["seed"], r["fields"]) not in known]
            save(options.name, about | {"rows": sorted(rows, key=lambda r: (ARMS.index(r["arm"]), r["seed"]))})


if __name__ == "__main__":
    main()
