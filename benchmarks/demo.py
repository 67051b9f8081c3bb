"""The demo, judged: r3gan on the embedded digits, three seeds, under a minute each, against an untrained control.

    python -m benchmarks.demo [--seeds 0 1 2] [--minutes 0.75]

A classifier is fitted on three quarters of the real digits. In 500 samples it must find all ten classes, each at least
4 %, with a median confidence of at least .85; held-out real digits give the figure to compare with.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from . import save

LEAST_SHARE, LEAST_CONFIDENCE = 0.04, 0.85


class Judge:
    """A support-vector classifier with probabilities, fitted on three quarters of scikit-learn's digits."""

    def __init__(self) -> None:
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
        from sklearn.svm import SVC

        x, y = load_digits(return_X_y=True)
        fit_x, self.x, fit_y, self.y = train_test_split(x / 16, y, random_state=0, stratify=y)
        self.classifier = CalibratedClassifierCV(SVC(C=10, gamma="scale"), cv=5, ensemble=False).fit(fit_x, fit_y)

    def judge(self, pictures: np.ndarray) -> dict[str, Any]:
        """Shares of the classes and the median confidence, of uint8 pictures (N, 8, 8, 1)."""
        probabilities = self.classifier.predict_proba(pictures.reshape(len(pictures), 64) / 255)
        shares = np.bincount(probabilities.argmax(1), minlength=10) / len(pictures)
        confidence = float(np.median(probabilities.max(1)))
        return {
            "confidence": round(confidence, 3),
            "least_share": round(float(shares.min()), 3),
            "shares": [round(float(s), 3) for s in shares],
            "passes": bool(shares.min() >= LEAST_SHARE and confidence >= LEAST_CONFIDENCE),
        }

    def real(self) -> dict[str, Any]:
        """The same of the held-out real digits, and the classifier's accuracy on them."""
        found = self.judge(np.rint(self.x * 255).astype(np.uint8))
        return found | {"accuracy": round(float(self.classifier.score(self.x, self.y)), 3)}


def main() -> None:
    """Measure and record."""
    import gansmith
    from gansmith.model.draw import draw_samples
    from gansmith.model.saved import build_recipe
    from gansmith.options import Count

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=0.75)
    parser.add_argument("--images", type=Count.parse, default=Count(0))
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--recipe", default="r3gan")
    parser.add_argument("--name", default="demo", help="of the file in results/")
    options = parser.parse_args()
    judge = Judge()
    real = judge.real()
    print(f"real held-out digits: {real}")
    rows = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as scratch:
            train = gansmith.TrainOptions(
                minutes=options.minutes, images=options.images, batch_size=options.batch_size, seed=seed
            )
            run = gansmith.train(options.recipe, "digits", train, out=Path(scratch) / "run")
            model = gansmith.load(run.path)
            reached = run.progress()
            row = {
                "seed": seed,
                "images": reached["images"],
                "seconds": round(reached["seconds"], 1),
                "setting": run.record["setting"]["precision"],
                **judge.judge(model.sample(500, seed=0)),
            }
            import torch

            torch.manual_seed(seed)
            fresh = torch.nn.ModuleDict(build_recipe(run.record["recipe"]).networks(model.spec))
            row["untrained"] = judge.judge(model.spec.codec.decode(draw_samples(model.recipe, fresh, 500, 0)))
        rows.append(row)
        print(row)
    save(options.name, {"recipe": options.recipe, "batch_size": options.batch_size, "real": real, "rows": rows})


if __name__ == "__main__":
    main()
