"""Metrics: what they cost, and which of them notice which fault. Run as `python -m benchmarks.metrics`.

Times the Frechet distance at 2048 features beside `scipy.linalg.sqrtm`, and precision, recall, density and coverage at
50,000 x 50,000 and at full width; then spoils a synthetic generator in five ways and measures how far every metric
moves, in standard deviations of its value on unspoilt samples. Writes `benchmarks/results/metrics.json`.
"""

from __future__ import annotations

import datetime
import functools
import json
import os
import platform
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gansmith import metrics

RESULT = Path(__file__).parent / "results" / "metrics.json"

# --- which metric notices which fault --------------------------------------------------------------------------------

CLASSES = 8
SIDE = 16


@dataclass(frozen=True)
class Images:
    """Synthetic images (N, 1, 16, 16) with their class (N,)."""

    pixels: Tensor
    labels: Tensor


def draw(n: int, seed: int, classes: int = CLASSES) -> Images:
    """Smooth class pattern + smooth variation + fine texture; the last `classes` of the 8 classes."""
    patterns = torch.randn(CLASSES, 1, 4, 4, generator=torch.Generator().manual_seed(2**20))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES - classes, CLASSES, (n,), generator=generator)
    smooth = patterns[labels] + 0.4 * torch.randn(n, 1, 4, 4, generator=generator)
    texture = 0.3 * torch.randn(n, 1, SIDE, SIDE, generator=generator)
    return Images(F.interpolate(smooth, size=SIDE, mode="bicubic") + texture, labels)


def encode(images: Images) -> Tensor:
    """Features (N, 20), float64: 16 means of 4 x 4 pixels, and the log energy of fine detail in each quadrant."""
    x = images.pixels.double()
    detail = x - F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    energy = F.avg_pool2d(detail.square(), SIDE // 2).flatten(1).log()
    return torch.cat([F.avg_pool2d(x, 4).flatten(1), 2.0 * energy], 1)


def blurred(fake: Images, training: Images, seed: int) -> Images:
    """Every fake through a Gaussian of sigma 0.45 pixels: details fade, everything else stays."""
    taps = torch.exp(-torch.arange(-1.0, 2.0).square() / (2 * 0.45**2))
    kernel = torch.outer(taps, taps) / taps.sum() ** 2
    return Images(F.conv2d(F.pad(fake.pixels, (1, 1, 1, 1), mode="replicate"), kernel[None, None]), fake.labels)


def partly_blurred(fake: Images, training: Images, seed: int) -> Images:
    """The same blur on every fourth fake: fidelity falls, and the other three quarters still reach everywhere."""
    every, fourth = blurred(fake, training, seed).pixels, torch.arange(len(fake.labels)) % 4 == 0
    return Images(torch.where(fourth[:, None, None, None], every, fake.pixels), fake.labels)


def without_a_class(fake: Images, training: Images, seed: int) -> Images:
    """As many fakes, of seven of the eight classes."""
    return draw(len(fake.labels), seed + 10**6, CLASSES - 1)


def duplicated(fake: Images, training: Images, seed: int) -> Images:
    """The first half of the fakes, twice, shuffled."""
    rows = torch.randperm(len(fake.labels), generator=torch.Generator().manual_seed(seed)) % (len(fake.labels) // 2)
    return Images(fake.pixels[rows], fake.labels[rows])


def copied(fake: Images, training: Images, seed: int) -> Images:
    """The training set."""
    return training


FAULTS: dict[str, Callable[[Images, Images, int], Images]] = {
    "blur": blurred,
    "blur of a quarter": partly_blurred,
    "dropped class": without_a_class,
    "duplicated half": duplicated,
    "copied training set": copied,
}

WORSE = {
    "Frechet distance": 1,
    "kernel distance": 1,
    "sliced Wasserstein": 1,
    "two-sample AUC": 1,
    "precision": -1,
    "density": -1,
    "recall": -1,
    "coverage": -1,
    "class reverse KL": 1,
    "different bins": 1,
    "duplicate rate": 1,
    "Vendi": -1,
    "1-NN fake (high)": 1,
    "1-NN fake (low)": -1,
    "authenticity": -1,
    "C_T": -1,
}
"""The metrics, and the sign of getting worse. One-nearest-neighbour is an alarm on both sides: collapse and copying."""


def score(training: Images, held_out: Images, fake: Images, seed: int) -> dict[str, float]:
    """Every metric of the fakes: likeness against held-out data, copying against the training set."""
    known, real, made = encode(training), encode(held_out), encode(fake)
    centres = torch.stack([known[training.labels == c].mean(0) for c in range(CLASSES)])
    pr, dc = metrics.prdc(real, made)
    neighbour = metrics.one_nearest_neighbour(known, made).fake
    # A duplicate is half as near as the nearest two held-out samples.
    own = metrics.nearest(real, real, exclude_self=True).distances
    return {
        "Frechet distance": metrics.frechet_distance(real, made).value,
        "kernel distance": metrics.kernel_distance(real, made, seed=seed, num_subsets=10, subset_size=400).value,
        "sliced Wasserstein": metrics.sliced_wasserstein(real, made, seed=0, directions=200).value,
        "two-sample AUC": metrics.classifier_two_sample(real, made, seed=seed).auc.value,
        "precision": pr.precision,
        "density": dc.density,
        "recall": pr.recall,
        "coverage": dc.coverage,
        "class reverse KL": metrics.label_coverage(metrics.nearest(made, centres).indices[:, 0], CLASSES).reverse_kl,
        "different bins": metrics.different_bins(known, made, seed=0, num_bins=20).jensen_shannon,
        "duplicate rate": metrics.duplicate_rate(made, threshold=float(own.min()) / 2, batch_size=len(made) // 8),
        "Vendi": metrics.vendi_score(made),
        "1-NN fake (high)": neighbour,
        "1-NN fake (low)": neighbour,
        "authenticity": metrics.authenticity(known, made),
        "C_T": metrics.data_copying(known, real, made, seed=0, num_cells=3).value,
    }


def metamorphic(*, n: int, seeds: int) -> dict[str, dict[str, float]]:
    """Rows are faults, columns metrics; how many standard deviations each gets worse (negative: better)."""
    healthy: list[dict[str, float]] = []
    spoilt: dict[str, list[dict[str, float]]] = {name: [] for name in FAULTS}
    for seed in range(seeds):
        training, held_out, fake = (draw(n, 3 * seed + i) for i in range(3))
        healthy.append(score(training, held_out, fake, seed))
        for name, fault in FAULTS.items():
            spoilt[name].append(score(training, held_out, fault(fake, training, seed), seed))
    matrix = {}
    for name, rows in spoilt.items():
        matrix[name] = {}
        for metric, sign in WORSE.items():
            usual = [row[metric] for row in healthy]
            # A metric that never varies (no duplicate in any healthy set) has no deviation to count in: 1 / n instead.
            deviation = max(statistics.stdev(usual), 1.0 / n)
            shift = statistics.mean(row[metric] for row in rows) - statistics.mean(usual)
            matrix[name][metric] = round(sign * shift / deviation, 1)
    return matrix


# --- what they cost --------------------------------------------------------------------------------------------------


def features(n: int, dim: int, seed: int) -> Tensor:
    """Rectified, correlated float32 features (n, dim), as an encoder's last layer gives."""
    mixing = torch.randn(dim, dim, generator=torch.Generator().manual_seed(0)) / dim**0.5
    spectrum = torch.arange(1, dim + 1).float().rsqrt() * 3
    noise = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))
    return ((noise * spectrum) @ mixing).relu_()


def timed(call: Callable[[], Any], repeats: int) -> tuple[float, float, Any]:
    """The shortest of `repeats` times on the clock and of the processor, in seconds, and the result.

    On a busy machine the second, with one thread, is nearer to what an idle core would take.
    """
    clock, processor, result = [], [], None
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        result = call()
        clock.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return min(clock), min(processor), result


def sqrtm_distance(real: Tensor, fake: Tensor) -> float:
    """The Frechet distance as pytorch-fid and its kin compute it: numpy covariances and SciPy's matrix root."""
    import numpy as np
    from scipy import linalg

    x, y = real.double().numpy(), fake.double().numpy()
    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = linalg.sqrtm(s1 @ s2)
    gap = x.mean(0) - y.mean(0)
    return float(gap @ gap + np.trace(s1) + np.trace(s2) - 2 * np.trace(root.real))


def peak_mib() -> float:
    """The most memory this process ever held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def costs(dim: int = 2048) -> dict[str, Any]:
    """Times and memory at the sizes that people use."""
    found: dict[str, Any] = {"prdc": [], "frechet": []}
    # Before the rest, and the smaller first: the peak is only ever that of the whole process.
    for n, width in ((50_000, 64), (10_000, dim)):
        real, fake = features(n, width, 1), 1.05 * features(n, width, 2) + 0.02
        before = peak_mib()
        seconds, processor, _ = timed(lambda real=real, fake=fake: metrics.prdc(real, fake), 1)
        found["prdc"].append(
            {
                "n": n,
                "dim": width,
                "seconds": round(seconds, 2),
                "cpu_seconds": round(processor, 2),
                "peak_mib": round(peak_mib()),
                "peak_mib_before": round(before),
            }
        )
    for n, bar in ((1000, 0.3), (10_000, 4.0)):
        call = functools.partial(metrics.frechet_distance, real[:n], fake[:n])
        seconds, processor, ours = timed(call, 20_000 // n)
        row = {
            "n": n,
            "dim": dim,
            "route": ours.route,
            "seconds": round(seconds, 3),
            "cpu_seconds": round(processor, 3),
            "bar_on_two_cores": bar,
            "value": ours.value,
        }
        try:
            import scipy
        except ImportError:
            pass
        else:
            seconds, processor, theirs = timed(lambda n=n: sqrtm_distance(real[:n], fake[:n]), 1)
            row |= {
                "scipy": scipy.__version__,
                "sqrtm_seconds": round(seconds, 2),
                "sqrtm_cpu_seconds": round(processor, 2),
                "sqrtm_value": theirs,
                "cpu_ratio": round(processor / row["cpu_seconds"], 1),
            }
        found["frechet"].append(row)
    return found


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def markdown(matrix: dict[str, dict[str, float]]) -> str:
    """The matrix with a row a metric; shifts of 4 deviations or more for the worse are bold."""
    faults = list(matrix)
    lines = ["| metric | " + " | ".join(faults) + " |", "|---|" + "---:|" * len(faults)]
    for metric in WORSE:
        cells = [
            f"**{matrix[f][metric]:+.1f}**" if matrix[f][metric] >= 4 else f"{matrix[f][metric]:+.1f}" for f in faults
        ]
        lines.append(f"| {metric} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    where = machine()
    cost = costs()
    where["load_after"] = round(os.getloadavg()[0], 2)
    for row in cost["frechet"]:
        beside = f"; scipy sqrtm {row['sqrtm_seconds']} s ({row['sqrtm_cpu_seconds']} s CPU)" if "scipy" in row else ""
        ours = f"{row['seconds']} s ({row['cpu_seconds']} s CPU)"
        print(f"Frechet distance N={row['n']} d={row['dim']} ({row['route']}): {ours}{beside}")
    for row in cost["prdc"]:
        memory = f"{row['peak_mib']} MiB ({row['peak_mib_before']} before)"
        print(f"PRDC {row['n']} x {row['n']} d={row['dim']}: {row['seconds']} s ({row['cpu_seconds']} s CPU), {memory}")
    n, seeds = 800, 10
    matrix = metamorphic(n=n, seeds=seeds)
    print(f"\nHow far each metric gets worse, in deviations ({n} samples a side, {seeds} seeds):\n\n{markdown(matrix)}")
    RESULT.parent.mkdir(exist_ok=True)
    found = {"machine": where, **cost, "metamorphic": {"n": n, "seeds": seeds, "deviations": matrix}}
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
