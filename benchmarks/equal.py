"""Equal budgets on the ring of eight Gaussians: every objective by default and tuned by as many random draws.

    python -m benchmarks.equal [--jobs 2] [--only lsgan r3gan] [--draws 8] [--table]

As in Lucic et al., "Are GANs Created Equal? A Large-Scale Study", 2018, arXiv:1711.10337: networks of one size, as many
real samples shown to D for all (a recipe whose D moves five times takes a fifth of the steps), as many random draws of
the step size, of the strength of what regularises (clip, penalty, gamma ...) and of D's moves. Each draw is trained
from seed 0; the best of them is trained again from seeds 1 and 2, which had no part in its choice, as the defaults are.
The score is the share of 2,500 samples of high quality times the share of modes found (`benchmarks/toys.py`): 0.989 for
a perfect sampler. Claim checked: with an equal budget no objective wins for every seed. Written after every run; the
same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import multiprocessing
import random
import statistics
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from gansmith import Diverged
from gansmith.records import read as read_json

from . import RESULTS, save
from .toys import Setting, scored

BUDGET = 200_000
"""Real samples shown to D."""
SIZE = {"z_dim": 2, "width": 16}
"""Three layers of 128 in both players, where the recipe allows it."""
SEEDS = (0, 1, 2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Searched:
    """What is drawn beside the step size: each strength, log-uniformly between two values, and D's moves."""

    strengths: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    moves: str = ""
    fixed: dict[str, Any] = dataclasses.field(default_factory=lambda: dict(SIZE))


RECIPES: dict[str, Searched] = {
    "gan": Searched(fixed={"z_dim": 2, "width": 32, "dropout": 0.0}),
    "lsgan": Searched(),
    "wgan": Searched(strengths={"clip": (0.01, 0.3)}, moves="critic_moves"),
    "wgan_gp": Searched(strengths={"penalty": (0.1, 10)}, moves="critic_moves"),
    "wgan_div": Searched(strengths={"penalty": (0.2, 20)}, moves="critic_moves"),
    "dragan": Searched(strengths={"penalty": (0.1, 10)}),
    "rsgan": Searched(),
    "ragan": Searched(),
    "softmax_gan": Searched(),
    "bgan": Searched(),
    "ebgan": Searched(strengths={"margin": (0.05, 5), "pull_away": (0.01, 1)}, fixed=SIZE | {"code": 2}),
    "began": Searched(strengths={"gamma": (0.2, 1), "gain": (0.001, 0.1)}, fixed=SIZE | {"code": 2}),
    "sngan": Searched(moves="critic_moves"),
    "unrolled": Searched(strengths={"lr_ratio": (0.1, 1)}),
    "r3gan": Searched(strengths={"gamma": (0.01, 3)}),
}
DEFAULT_MOVES = {"wgan": 5, "wgan_gp": 5, "wgan_div": 5, "sngan": 5}


def drawn(name: str, k: int) -> dict[str, Any]:
    """The fields of draw k: the same for every recipe as far as they share them."""
    dice = random.Random(k)
    fields = {"lr": _log_uniform(dice, 1e-4, 5e-3)}
    moves = dice.choice([1, 2, 5])
    searched = RECIPES[name]
    fields |= {field: _log_uniform(dice, *between) for field, between in searched.strengths.items()}
    return fields | ({searched.moves: moves} if searched.moves else {})


def _log_uniform(dice: random.Random, low: float, high: float) -> float:
    return float(f"{math.exp(dice.uniform(math.log(low), math.log(high))):.3g}")


def setting_of(name: str, fields: dict[str, Any]) -> Setting:
    """What is trained with these fields: as many real samples shown to D as of any other."""
    searched = RECIPES[name]
    moves = fields.get(searched.moves, DEFAULT_MOVES.get(name, 1))
    return Setting(recipe=name, fields=searched.fixed | fields, images=BUDGET // moves, batch_size=64)


def row_of(name: str, arm: str, fields: dict[str, Any], seed: int) -> dict[str, Any]:
    """Train one and score it."""
    setting = setting_of(name, fields)
    try:
        found = scored(setting, "ring", seed)
    except Diverged as error:
        nothing = {"modes": 0, "high_quality": 0.0}
        found = {"cpu_seconds": 0.0, "ema": nothing, "raw": nothing, "diverged": f"{error.term} at step {error.step}"}
    score = found["ema"]["high_quality"] * found["ema"]["modes"] / 8
    return {"recipe": name, "arm": arm, "fields": fields, "seed": seed, "score": round(score, 4), **found}


def plans(rows: list[dict[str, Any]], names: list[str], draws: int) -> list[tuple[str, str, dict[str, Any], int]]:
    """What can be run now: defaults and draws, then the best draw's other seeds once all draws are there."""
    wanted: list[tuple[str, str, dict[str, Any], int]] = []
    for name in names:
        wanted += [(name, "default", {}, seed) for seed in SEEDS]
        wanted += [(name, f"draw {k}", drawn(name, k), 0) for k in range(draws)]
        if best := best_draw(rows, name, draws):
            wanted += [(name, best["arm"], best["fields"], seed) for seed in SEEDS[1:]]
    done = {(row["recipe"], row["arm"], row["seed"]) for row in rows}
    return [plan for plan in wanted if (plan[0], plan[1], plan[3]) not in done]


def best_draw(rows: list[dict[str, Any]], name: str, draws: int) -> dict[str, Any] | None:
    """The draw with the highest score from seed 0, once all were trained."""
    own = [r for r in rows if r["recipe"] == name and r["arm"] in {f"draw {k}" for k in range(draws)} and not r["seed"]]
    return max(own, key=lambda r: r["score"]) if len(own) == draws else None


def table(results: dict[str, Any]) -> str:
    """Markdown: by recipe, the defaults, the median and the best of the draws, and the best's other seeds.

    "least": modes found and share of high quality, the lowest of the best draw's three seeds.
    """
    lines = [
        "| | default, 3 seeds | median of draws | best of draws | the best, other seeds | least | its fields | CPU s |",
        "|---|---|---:|---:|---|---|---|---:|",
    ]
    rows, draws = results["rows"], results["draws"]
    for name in RECIPES:
        own = [row for row in rows if row["recipe"] == name]
        best = best_draw(rows, name, draws)
        if best is None:
            continue
        again = [row for row in own if row["arm"] == best["arm"]]
        fresh = [row["score"] for row in again if row["seed"]]
        least = f"{min(r['ema']['modes'] for r in again)}, {min(r['ema']['high_quality'] for r in again):.0%}"
        default = [row["score"] for row in own if row["arm"] == "default"]
        tried = statistics.median(row["score"] for row in own if row["arm"] != "default" and not row["seed"])
        seconds = statistics.median(row["cpu_seconds"] for row in own)
        cells = [name, _list(default), f"{tried:.3f}", f"{best['score']:.3f}", _list(fresh), least]
        cells += [", ".join(f"{k} {v:g}" for k, v in best["fields"].items()), f"{seconds:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def claim(results: dict[str, Any]) -> str:
    """Who is first for each seed, as they are and tuned; the draws' own seed, which chose them, is left out."""
    rows = results["rows"]
    arms = {name: best["arm"] for name in RECIPES if (best := best_draw(rows, name, results["draws"]))}
    said, verdicts = [], []
    for title, seeds, arm_of in (
        ("As they are", SEEDS, dict.fromkeys(arms, "default")),
        ("Tuned", SEEDS[1:], arms),
    ):
        first = set()
        for seed in seeds:
            scores = {
                r["recipe"]: r["score"] for r in rows if r["seed"] == seed and r["arm"] == arm_of.get(r["recipe"])
            }
            order = sorted(scores, key=lambda name: -scores[name])
            first.add(order[0])
            said.append(f"{title}, seed {seed}: " + ", ".join(f"`{n}` {scores[n]:.3f}" for n in order[:3]) + ".")
        who = "no objective" if len(first) > 1 else f"`{first.pop()}`"
        verdicts.append(f"{title}, {who} is first for every seed.")
    return "\n".join(f"- {line}" for line in said) + f"\n\nThe claim, measured: {' '.join(verdicts)}"


def _list(values: list[float]) -> str:
    return ", ".join(f"{v:.3f}" for v in values) or "-"


def recorded() -> dict[str, Any]:
    """What `benchmarks/results/equal.json` holds; no rows if there is none."""
    path = RESULTS / "equal.json"
    return read_json(path) if path.is_file() else {"rows": [], "draws": 8}


def main() -> None:
    """Measure what is missing, record it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--table", action="store_true", help="print the recorded results, measure nothing")
    options = parser.parse_args()
    rows = recorded()["rows"]
    while not options.table and (missing := plans(rows, options.only, options.draws)):
        with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            for future in as_completed([pool.submit(row_of, *plan) for plan in missing]):
                rows.append(future.result())
                print({k: rows[-1][k] for k in ("recipe", "arm", "seed", "score", "cpu_seconds")}, flush=True)
                rows.sort(key=lambda r: (list(RECIPES).index(r["recipe"]), r["arm"], r["seed"]))
                save("equal", {"shown": BUDGET, "draws": options.draws, "samples": 2_500, "rows": rows})
    print(table(recorded()), claim(recorded()), sep="\n\n")


if __name__ == "__main__":
    main()
