"""Packing PNG files: files a second and peak memory, at N and at 2 N files, each in a process of its own.

    python -m benchmarks.packing [--files 60000] [--size 28] [--channels 1]

Memory must not grow with the number of files. The pictures are random strokes on black (PNG of about MNIST's size), or
photo-like noise when there are three channels.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from . import save

_CHILD = """
import json, resource, sys, time
from pathlib import Path
from gansmith.data import open_store
began = time.perf_counter()
store = open_store(sys.argv[1], out=Path(sys.argv[2]), progress=False)
seconds = time.perf_counter() - began
print(json.dumps({"files": len(store), "seconds": seconds,
                  "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def make(folder: Path, first: int, last: int, size: int, channels: int) -> None:
    """Write PNG files number `first` to `last` - 1."""
    folder.mkdir(exist_ok=True)

    def one(i: int) -> None:
        dice = np.random.default_rng(i)
        if channels == 1:
            picture = np.zeros((size, size), np.uint8)
            top, left = dice.integers(2, size // 2, 2)
            picture[top : top + size // 3, left : left + size // 4] = dice.integers(100, 256, (size // 3, size // 4))
        else:
            coarse = dice.integers(0, 256, (size // 8, size // 8, 3), np.uint8)
            smooth = np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))
            picture = np.clip(smooth + dice.integers(-8, 9, smooth.shape), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{i:07d}.png")

    with ThreadPoolExecutor() as pool:
        list(pool.map(one, range(first, last)))


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=60_000)
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--channels", type=int, choices=(1, 3), default=1)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "png"
        for part in (1, 2):
            make(folder, (part - 1) * options.files, part * options.files, options.size, options.channels)
            for _ in range(2):  # the first pass warms the disk's cache
                out = Path(scratch) / f"store{time.monotonic_ns()}"
                done = subprocess.run(
                    [sys.executable, "-c", _CHILD, str(folder), str(out)], check=True, capture_output=True, text=True
                )
                row = json.loads(done.stdout)
            row["files_per_second"] = round(row["files"] / row["seconds"], 1)
            rows.append(row)
            print(
                f"{row['files']:,} PNG of {options.size}x{options.size}x{options.channels}: {row['seconds']:.1f} s, "
                f"{row['files_per_second']:,.0f} files/s, peak memory {row['peak_mb']:.0f} MB"
            )
    grown = rows[1]["peak_mb"] - rows[0]["peak_mb"]
    print(f"twice the files: {grown:+.0f} MB")
    save(f"packing_{options.size}x{options.size}x{options.channels}", {"rows": rows, "peak_mb_grown": round(grown, 1)})


if __name__ == "__main__":
    main()
