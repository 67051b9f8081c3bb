"""Speed beside the plain loops: `python -m benchmarks`, results in benchmarks/results/speed.json and docs/speed.md.

    python -m benchmarks [--only a,b,i,peaks] [--rounds 5] [--seconds 10] [--threads 2] [--data-dir D]
    python -m benchmarks --page           # write docs/speed.md from the results again

Every figure of a workload comes from both sides taking turns in processes of their own; a ratio is the median of the
ratios of the rounds. Run it on an idle machine: a second busy process costs two threads far more than half.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch

from . import RESULTS, parts, save
from .speed import beside, scratch_folder
from .speed_page import write
from .workloads import TRAINING

KEYS = {
    "peaks": "peaks",
    "i": "loading",
    "j": "start_up",
    "k": "sampling",
    "l": "frechet",
    "disk": "disk",
    "growth": "growth",
    "patches": "patches",
}


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [*(w.letter for w in TRAINING), *parts.names()]
    parser.add_argument("--only", default=",".join(known), help=f"which of {', '.join(known)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each side in each round")
    parser.add_argument("--threads", type=int, default=0, help="of each side (a rank has its share); 0: one a core")
    parser.add_argument("--data-dir", type=Path, default=None, help="where mnist/ and adult.csv.gz lie")
    parser.add_argument("--page", action="store_true", help="only write docs/speed.md from the results")
    options = parser.parse_args()
    if options.page:
        return print(f"written to {write()}")
    wanted = options.only.split(",")
    if unknown := set(wanted) - set(known):
        parser.error(f"--only {', '.join(sorted(unknown))}: there are {', '.join(known)}")
    path = RESULTS / "speed.json"
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    results.pop("machine", None)
    threads = options.threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    training = {row["letter"]: row for row in results.get("training", [])}

    def keep() -> None:
        """What was measured so far."""
        results["training"] = [training[w.letter] for w in TRAINING if w.letter in training]
        save("speed", results)

    with scratch_folder() as folder:
        scratch = Path(folder)
        for name in (n for n in parts.names() if n in wanted):
            results[KEYS[name]] = parts.measure(name, scratch, options.data_dir, options.rounds)
            print(f"{name}: {json.dumps(results[KEYS[name]], indent=1)}", flush=True)
            keep()
        for work in TRAINING:
            if work.letter in wanted:
                row = beside(work, scratch, options.data_dir, options.rounds, options.seconds, threads)
                training[work.letter] = row | {"load_average": round(os.getloadavg()[0], 2)}
                keep()
                print(f"({work.letter}) {work.what}", flush=True)
                for name, side in row["sides"].items():
                    ratio = f" = {side['ratio']:.2f} x plain" if "ratio" in side else ""
                    memory = f"{side['peak_mib']} MiB"
                    rate = f"{side['images_per_second']:10,.2f} images/s{ratio}"
                    print(f"    {name:14} {rate}, {memory} ({side['how']})", flush=True)
    print(f"written to {write()}")


if __name__ == "__main__":
    main()
