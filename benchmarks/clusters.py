"""Clusters without labels: `cluster_gan` and `aae` on MNIST's test digits, beside k-means on pixels.

    python -m benchmarks.clusters --data-dir DIR [cluster_gan aae] [--clusters 10] [--seeds 0 1 2] [--images 2M]
        [--batch-size 64] [--device auto] [--precision auto] [--set cluster_gan.width=64] [--keep RUNS]

Accuracy: each cluster is matched with one class so that the most samples are right (Hungarian); purity: each stands for
the class that most of it has. Beside the cluster that the network names, k-means on its codes (as ClusterGAN's code has
it). k-means learns from 10,000 training samples, with the best of 10 starts. Published on MNIST: ClusterGAN .95 (purity
on codes), adversarial autoencoders .90 with 16 clusters.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import save, trained


def main() -> None:
    """Train, match, and record."""
    import gansmith
    from gansmith.data import open_store
    from gansmith.options import Count
    from gansmith.recipe import load_recipe
    from gansmith.use.predict import predict, score

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=["cluster_gan", "aae"])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=Count.parse, default=Count(2_000_000))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--set", nargs="*", default=[], metavar="RECIPE.FIELD=VALUE", dest="fields")
    parser.add_argument("--name", default="clusters", help="of the file in results/")
    parser.add_argument("--keep", type=Path, help="where runs are kept, and gone on with")
    options = parser.parse_args()

    data = gansmith.TrainOptions(data_dir=options.data_dir)
    store, held = (open_store(name, data, progress=False) for name in (options.data, f"{options.data}:test"))
    pixels = [s.fields["x"].reshape(len(s), -1) for s in (store, held)]
    labels = np.array(held.fields["y"])
    rows: list[dict[str, Any]] = []
    for seed in options.seeds:
        rows.append({"method": "k-means on pixels", "seed": seed, **kmeans(*pixels, labels, options.clusters, seed)})
        print(rows[-1], flush=True)
        for name in options.recipes:
            given = [f.removeprefix(f"{name}.").split("=", 1) for f in options.fields if f.startswith(f"{name}.")]
            fields = {k: float(v) if "." in v or "e" in v else int(v) for k, v in given}
            train = gansmith.TrainOptions(
                data_dir=options.data_dir,
                images=options.images,
                batch_size=options.batch_size,
                device=options.device,
                precision=options.precision,
                seed=seed,
            )
            with tempfile.TemporaryDirectory() as scratch:
                out = (options.keep or Path(scratch)) / f"{name}-{seed}"
                recipe = load_recipe(name)(clusters=options.clusters, **fields)
                run = trained(recipe, options.data, train, out)
                model, reached = gansmith.load(run.path), run.progress()
                found = score(predict(model, f"{options.data}:test", "cluster", data))
                codes = [model.apply(s.fields["x"][:10_000], "latent") for s in (store, held)]
            row = {
                "method": name,
                "seed": seed,
                "fields": fields,
                "images": reached["images"],
                "seconds": round(reached["seconds"], 1),
                **{k: round(found[k], 4) for k in ("accuracy", "purity")},
                "k-means on codes": kmeans(*codes, labels, options.clusters, seed),
            }
            rows.append(row)
            print(row, flush=True)
            save(options.name, {"data": options.data, "clusters": options.clusters, "rows": rows})


def kmeans(train: np.ndarray, test: np.ndarray, labels: np.ndarray, clusters: int, seed: int) -> dict[str, float]:
    """Accuracy and purity on test rows of the clusters that k-means finds in 10,000 training rows."""
    from sklearn.cluster import KMeans

    from gansmith.metrics.clusters import matched

    fitted = KMeans(clusters, n_init=10, random_state=seed).fit(train[:10_000].astype(np.float32))
    found = torch.from_numpy(fitted.predict(test.astype(np.float32))).long()
    accuracy, purity = matched(found, torch.from_numpy(labels))
    return {"accuracy": round(accuracy, 4), "purity": round(purity, 4)}


if __name__ == "__main__":
    main()
