"""Ring of 8 and grid of 25 Gaussians: how many modes each recipe finds, over ten seeds, under one fixed budget each.

    python -m benchmarks.toys [--seeds 0..9] [--jobs 2] [--only pacgan-1 pacgan-2] [--toys ring] [--table]

2,500 samples; a sample is of high quality within 3 standard deviations of a mode; a mode is found if it is the nearest
to one such sample; reverse KL is that of the high-quality samples over the modes from evenness, in nats, and its floor
what a perfect sampler would show, (K - 1) / 2N; width is the variance within modes over the right one (Srivastava et
al., "VEEGAN", 2017, arXiv:1705.07761; Lin et al., "PacGAN", 2018, arXiv:1712.04086). Averaged and last weights are
scored apart. Results are written after every run; the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import math
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Literal

from gansmith.compare.bench import seeds as parse_seeds
from gansmith.records import read as read_json

from . import RESULTS, save

TOYS = ("ring", "grid")
SAMPLES = 2_500
WEIGHTS: tuple[Literal["ema", "raw"], ...] = ("ema", "raw")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """A recipe with its fields and its budget."""

    recipe: str
    fields: dict[str, Any]
    images: int
    batch_size: int


# Lin et al. train 400,000 steps of G 4 x 400 and D 3 x 200 x 5 at 1e-4. Here a sixth of the widths, ten times the step
# size and an 80th of the steps: what 20 seconds of one core allow. As in their code a batch is 100 packs.
TWIN = {"z_dim": 2, "width": 8, "lr": 1e-3, "betas": [0.8, 0.999]}
SETTINGS: dict[str, dict[str, Setting]] = {
    name: {toy: Setting(recipe=recipe, fields=fields, images=images, batch_size=batch) for toy in TOYS}
    for name, recipe, fields, images, batch in (
        ("gan", "gan", {"width": 32, "dropout": 0.0, "lr": 1e-3, "z_dim": 8}, 320_000, 64),
        ("pacgan-1", "pacgan", TWIN | {"pack": 1}, 500_000, 100),
        ("pacgan-2", "pacgan", TWIN | {"pack": 2}, 1_000_000, 200),
        ("wgan_gp", "wgan_gp", {"width": 16, "penalty": 0.1, "lr": 1e-3, "betas": [0.5, 0.9], "z_dim": 2}, 128_000, 64),
        ("r3gan", "r3gan", {"width": 16, "gamma": 0.1, "z_dim": 2}, 320_000, 64),
    )
}
"""By name, by toy."""


def row_of(name: str, toy: str, seed: int) -> dict[str, Any]:
    """Train one and score it."""
    setting = SETTINGS[name][toy]
    return {"name": name, "toy": toy, "seed": seed, "setting": as_json(setting), **scored(setting, toy, seed)}


def scored(setting: Setting, toy: str, seed: int) -> dict[str, Any]:
    """Train one; its CPU seconds, and the scores of its averaged and of its last weights."""
    import torch

    import gansmith
    from gansmith.data import toy as toys
    from gansmith.metrics import mode_coverage
    from gansmith.model.saved import build_recipe
    from gansmith.options import Count

    torch.set_num_threads(1)
    options = gansmith.TrainOptions(
        images=Count(setting.images),
        batch_size=setting.batch_size,
        seed=seed,
        device="cpu",
        precision="fp32",
        sample_every=Count(10**9),
        log_every=Count(10**9),
        checkpoint_every=Count(10**9),
    )
    row: dict[str, Any] = {}
    began = time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        recipe = build_recipe({"name": setting.recipe, "fields": setting.fields})
        with contextlib.redirect_stderr(io.StringIO()):  # a hundred progress bars say less than a hundred rows
            run = gansmith.train(recipe, f"toy:{toy}", options, out=Path(scratch) / "run")
        model = gansmith.load(run.path)
        row["cpu_seconds"] = round(time.process_time() - began, 1)
        for weights in WEIGHTS:
            points = torch.from_numpy(model.sample(SAMPLES, seed=0, weights=weights)).double()
            found = mode_coverage(points, torch.from_numpy(toys.centres(toy)), toys.sigma(toy))
            row[weights] = {
                "modes": found.captured,
                "high_quality": found.high_quality,
                "reverse_kl": None if math.isinf(found.reverse_kl) else found.reverse_kl,
                "floor": None if math.isinf(found.floor) else found.floor,
                "width": None if math.isnan(found.covariance_ratio) else found.covariance_ratio,
            }
    return row


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each name, toy and weights: mean and standard error over the seeds. An undefined value is left out."""
    found = []
    for toy in TOYS:
        for name in SETTINGS:
            own = [row for row in rows if (row["name"], row["toy"]) == (name, toy)]
            for weights in WEIGHTS if own else ():
                line: dict[str, Any] = {"toy": toy, "name": name, "weights": weights, "seeds": len(own)}
                for key in ("modes", "high_quality", "reverse_kl", "floor", "width"):
                    values = [row[weights][key] for row in own if row[weights][key] is not None]
                    line[key] = _mean_and_error(values)
                line["cpu_seconds"] = _mean_and_error([row["cpu_seconds"] for row in own])
                found.append(line)
    return found


def _mean_and_error(values: list[float]) -> tuple[float, float | None] | None:
    if not values:
        return None
    error = round(statistics.stdev(values) / math.sqrt(len(values)), 4) if len(values) > 1 else None
    return round(statistics.mean(values), 4), error


def table(results: dict[str, Any], toy: str, weights: str) -> str:
    """One toy's results as Markdown: mean ± standard error."""
    lines = [
        "| | modes | high quality, % | reverse KL | its floor | width | seeds | CPU s a run |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for line in results["summary"]:
        if (line["toy"], line["weights"]) != (toy, weights):
            continue
        cells = [_cell(line["modes"], 1), _cell(line["high_quality"], 1, 100), _cell(line["reverse_kl"], 3)]
        cells += [f"{line['floor'][0]:.3f}" if line["floor"] else "-", _cell(line["width"], 2), str(line["seeds"])]
        lines.append(f"| {line['name']} | " + " | ".join([*cells, f"{line['cpu_seconds'][0]:.0f}"]) + " |")
    return "\n".join(lines)


def _cell(value: Sequence[float | None] | None, digits: int, scale: float = 1.0) -> str:
    if value is None:
        return "-"
    mean, error = ("-" if v is None else f"{scale * v:.{digits}f}" for v in value)
    return f"{mean} ± {error}"


def tables(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """A heading and a table, for each toy and choice of weights."""
    words = {"ring": "Ring of 8", "grid": "Grid of 25", "ema": "averaged weights", "raw": "last weights"}
    for toy in TOYS:
        for weights in WEIGHTS:
            yield f"{words[toy]}, {words[weights]}", table(results, toy, weights)


def changes(results: dict[str, Any], toy: str, weights: str, key: str) -> list[float]:
    """What packing by two changes beside its twin, seed by seed; a seed whose value is undefined is left out."""
    one, two = (
        {row["seed"]: row[weights][key] for row in results["rows"] if (row["name"], row["toy"]) == (name, toy)}
        for name in ("pacgan-1", "pacgan-2")
    )
    return [two[s] - one[s] for s in sorted(one.keys() & two.keys()) if None not in (one[s], two[s])]


def claims(results: dict[str, Any]) -> str:
    """The papers' claims beside what was measured, as Markdown. Fewer than three seeds settle nothing.

    `yes` needs the mean to be beyond the claim by two standard errors; else it holds `on average`, or not.
    """
    modes = [row["ema"]["modes"] for row in results["rows"] if (row["name"], row["toy"]) == ("r3gan", "grid")]
    packing = {(toy, key): changes(results, toy, "raw", key) for toy in TOYS for key in ("modes", "reverse_kl")}
    found: list[tuple[str, list[float], int, float, float]] = [  # more than the bar if the sign is 1, else less
        ("packing gains more than one ring mode", packing["ring", "modes"], 1, 1.0, 1.0),
        ("packing lowers reverse KL on the ring", packing["ring", "reverse_kl"], 3, 0.0, -1.0),
        ("packing gains grid modes", packing["grid", "modes"], 1, 0.0, 1.0),
        ("packing lowers reverse KL on the grid", packing["grid", "reverse_kl"], 3, 0.0, -1.0),
        ("r3gan finds at least 24.5 of 25 grid modes", modes, 1, 24.5, 1.0),
    ]
    lines = ["| claim | measured | seeds | reproduced |", "|---|---:|---:|---|"]
    for claim, values, digits, bar, sign in found:
        value = _mean_and_error(values)
        verdict = "too few seeds"
        if value is not None and value[1] is not None and len(values) >= 3:
            margin = sign * (value[0] - bar)
            least = claim.partition("at least")[1]
            holds = margin >= 0 if least else margin > 0
            verdict = "yes" if margin > 2 * value[1] else "on average" if holds else "no"
        lines.append(f"| {claim} | {_cell(value, digits)} | {len(values)} | {verdict} |")
    return "\n".join(lines)


def recorded() -> dict[str, Any]:
    """What `benchmarks/results/toys.json` holds; no rows if there is none."""
    path = RESULTS / "toys.json"
    return read_json(path) if path.is_file() else {"rows": [], "summary": []}


def as_json(setting: Setting) -> dict[str, Any]:
    """A setting as it is read back, so that the two compare."""
    return json.loads(json.dumps(dataclasses.asdict(setting)))


def main() -> None:
    """Measure what is missing, record it, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=parse_seeds, default=tuple(range(10)))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--toys", nargs="+", choices=TOYS, default=list(TOYS))
    parser.add_argument("--table", action="store_true", help="print the recorded results, measure nothing")
    options = parser.parse_args()
    if not options.table:
        measure(options.only, options.toys, options.seeds, options.jobs)
    for heading, text in tables(recorded()):
        print(f"\n{heading}\n\n{text}")
    print(f"\n{claims(recorded())}")


def measure(names: list[str], chosen: list[str], seeds: tuple[int, ...], jobs: int) -> None:
    """Run what `toys.json` lacks with today's settings, and write the file after every run."""
    today = {(name, toy): as_json(setting) for name, by_toy in SETTINGS.items() for toy, setting in by_toy.items()}
    rows = [row for row in recorded()["rows"] if row["setting"] == today.get((row["name"], row["toy"]))]
    done = {(row["name"], row["toy"], row["seed"]) for row in rows}
    wanted = [(name, toy, seed) for seed in seeds for name in names for toy in chosen]
    missing = [plan for plan in wanted if plan not in done]
    print(f"{len(wanted) - len(missing)} of {len(wanted)} runs are recorded")
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(row_of, *plan) for plan in missing]):
            row = future.result()
            rows.append(row)
            rows.sort(key=lambda r: (TOYS.index(r["toy"]), list(SETTINGS).index(r["name"]), r["seed"]))
            print({k: v for k, v in row.items() if k != "setting"}, flush=True)
            save("toys", {"samples": SAMPLES, "summary": summary(rows), "rows": rows})


if __name__ == "__main__":
    main()
