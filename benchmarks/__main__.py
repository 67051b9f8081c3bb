"""Speed beside the plain loops: `python -m benchmarks`, results in benchmarks/results/speed.json."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from . import RESULTS, save
from .speed import beside, scratch_folder
from .workloads import TRAINING


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [w.letter for w in TRAINING]
    parser.add_argument("--only", default=",".join(names), help=f"which of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each side in each round")
    parser.add_argument("--data-dir", type=Path, default=None, help="where mnist/ and adult.csv.gz lie")
    options = parser.parse_args()
    path = RESULTS / "speed.json"
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    results.pop("machine", None)
    training = {row["letter"]: row for row in results.get("training", [])}
    with scratch_folder() as scratch:
        for work in TRAINING:
            if work.letter in options.only.split(","):
                row = beside(work, Path(scratch), options.data_dir, options.rounds, options.seconds)
                training[work.letter] = row
                print(f"({work.letter}) {work.what}", flush=True)
                for name, side in row["sides"].items():
                    ratio = f" = {side['ratio']:.2f} x plain" if "ratio" in side else ""
                    print(
                        f"    {name:14} {side['images_per_second']:10,.2f} images/s{ratio}, {side['peak_mib']} MiB "
                        f"({side['how']})",
                        flush=True,
                    )
    results["training"] = [training[w.letter] for w in TRAINING if w.letter in training]
    save("speed", results)


if __name__ == "__main__":
    main()
