"""docs/recipes/ written anew: a page for each recipe from its docstring, its fields and what was measured of it.

    python -m benchmarks.pages [--check]

Measured rows come from every file of `benchmarks/results/` that has rows with a "recipe" or "name" of that recipe; the
picture is the one that `python -m benchmarks.mnist --name classics --grids docs/images/recipes` left.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

from gansmith import catalog
from gansmith.catalog import RecipePage
from gansmith.data import Kind, all_kinds, kind_of
from gansmith.options import option_of
from gansmith.recipe import load_recipe
from gansmith.records import read as read_json

from . import RESULTS, equal, figures

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = DOCS / "recipes"
PICTURES = DOCS / "images" / "recipes"

NAMED = {
    "badgan": "100 labels, 500,000 images",
    "clusters_aae": "Clusters of MNIST, 500,000 images",
    "clusters_aae_z5": "Clusters of MNIST, z_dim 5, 200,000 images",
    "clusters_gan": "Clusters of MNIST, 75,000 images",
    "demo": "Digits, the demo's judge",
    "classics": "MNIST, one budget for all",
    "labels": "MNIST at 32 x 32, a larger budget",
    "labels_300k": "MNIST at 32 x 32, 300,000 images",
    "labels_600k": "MNIST at 32 x 32, 600,000 images",
    "labels_hinge": "MNIST at 32 x 32, 100,000 images, today's defaults",
    "limited": "CIFAR-10, 80,000 images in batches of 16",
    "limited_few": "1,000 pictures of CIFAR-10, 40,000 images in batches of 16",
    "limited_lr": "CIFAR-10, 20,000 images in batches of 16",
    "limited_slow": "CIFAR-10, 80,000 images in batches of 64, with the step size of 1e-3 that was the default",
    "limited_tenth": "A tenth of CIFAR-10, 40,000 images in batches of 16",
    "mnist": "MNIST at 32 x 32",
    "precision_bf16": "MNIST, in bf16",
    "precision_fp32": "MNIST, in fp32",
    "semi": "100 labels, 9M images",
    "semi_500k": "100 labels, 500,000 images",
    "toys": "Toys",
}
"""Headings of results that are not known best by the name of their file."""


ELSEWHERE = {"equal"}
"""Results whose rows say nothing one by one: `points` says what they come to, docs/tables.md shows them together."""


def kinds_of(page: RecipePage) -> list[Kind]:
    """The kinds of data that a recipe takes, in the order in which sources are told apart."""
    return [kind for kind in all_kinds() if kind.name in page.kinds]


def title(kind: Kind, page: RecipePage) -> str:
    """What such data is called; of two sets, what the recipe takes them of."""
    of = " or ".join(kind_of(name).samples for name in sorted(load_recipe(page.name).of))
    text = kind.title or kind.samples
    return text.replace("samples", of) if kind.composite else text


def lines(page: RecipePage) -> int:
    """How long the recipe's file is."""
    return len(page.path.read_text(encoding="utf-8").splitlines())


def picture(name: str) -> str:
    """The file of its samples, if there is one."""
    return f"{name}_0.png" if (PICTURES / f"{name}_0.png").is_file() else ""


def measured(name: str) -> list[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    """(file, its results, the rows in it that are of that recipe), of all recorded results."""
    found = []
    for path in sorted(RESULTS.glob("*.json")):
        if path.stem in ELSEWHERE:
            continue
        results = read_json(path)
        rows = results.get("rows") if isinstance(results, dict) else None
        if not isinstance(rows, list):
            continue
        whole = results.get("recipe") == name
        mine = [
            r
            for r in rows
            if isinstance(r, dict)
            and (whole or name in (r.get("recipe"), r.get("name"), r.get("arm"), r.get("method")))
        ]
        if mine:
            found.append((path.stem, results, mine))
    return found


def cell(value: Any) -> str:
    """As it was recorded, short."""
    if isinstance(value, dict):
        return ", ".join(f"{k} {cell(v)}" for k, v in value.items()) or "as they are"
    if isinstance(value, list):
        return " ".join(cell(v) for v in value)
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


LEFT_OUT = {"recipe", "name", "arm", "method", "setting", "untrained", "shares", "raw", "shows", "fields", "passes"}
MOST_ROWS = 4


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what is nested, but for the scores of the averaged weights, which stand beside the rest."""
    plain = {k: v for k, v in row.items() if k not in LEFT_OUT and not isinstance(v, dict | list)}
    scores = row.get("ema")
    return plain | ({k: v for k, v in scores.items() if v is not None} if isinstance(scores, dict) else {})


def summed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means and standard errors over the seeds, where there are many."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(v for v in row.values() if isinstance(v, str)), []).append(row)
    made = []
    for group in groups.values():
        line: dict[str, Any] = {k: v for k, v in group[0].items() if isinstance(v, str)} | {"seeds": len(group)}
        for key in group[0].keys() - line.keys() - {"seed"}:
            values = [r[key] for r in group if isinstance(r.get(key), int | float)]
            error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
            line[key] = f"{cell(statistics.fmean(values))} ± {cell(float(f'{error:.2g}'))}" if values else ""
        made.append({k: line[k] for k in [*line.keys() & {"seeds"}, *group[0]] if k in line})
    return made


def table(rows: list[dict[str, Any]]) -> str:
    """A row a line; of many rows, their means."""
    rows = [flat(r) for r in rows]
    rows = summed(rows) if len(rows) > MOST_ROWS else rows
    keys = list(rows[0])
    head = f"| {' | '.join(k.replace('_', ' ') for k in keys)} |\n|{'---|' * len(keys)}"
    return "\n".join([head, *(f"| {' | '.join(cell(r.get(k)) for k in keys)} |" for r in rows)])


def write(page: RecipePage) -> str:
    """The page of one recipe."""
    kinds = kinds_of(page)
    parts = [f"# {page.name}", page.summary]
    if shown := picture(page.name):
        parts.append(f"![samples of {page.name}](../images/recipes/{shown})")
        rows = [r for file, _, found in measured(page.name) if file == "classics" for r in found if not r["fields"]]
        parts += [f"*MNIST at 32 x 32, {rows[0]['images']:,} images shown, seed {rows[0]['seed']}.*"] if rows else []
    parts.append("\n".join(f"    gansmith train {page.name} --data {kind.example}" for kind in kinds))
    takes = " or ".join(title(kind, page) for kind in kinds)
    parts.append(f"Takes {takes}. The whole of it is one file of {lines(page)} lines.")
    for heading, text in (
        ("Source", page.source),
        ("Differs from the paper", page.differs),
        ("What a healthy run looks like", page.expect),
    ):
        if text:
            parts.append(f"**{heading}:** {' '.join(text.split())}")
    parts.append("## Fields")
    rows = [
        f"| `{option_of(f.name)}` | {f.default_repr.replace('|', chr(92) + '|') or 'required'} | "
        f"{f.help.replace('|', chr(92) + '|')} |"
        for f in page.fields
    ]
    parts.append("\n".join(["| option | default | what it is |", "|---|---|---|", *rows]))
    parts.append("## Measured")
    found = measured(page.name)
    for file, results, mine in found:
        about = ", ".join(
            f"{k.replace('_', ' ')} {cell(results[k])}"
            for k in ("data", "images", "batch_size", "width")
            if isinstance(results.get(k), str | int | float)
        )
        machine = results["machine"]
        parts.append(f"### {NAMED.get(file, file)}")
        parts.append(table(mine))
        parts.append(
            f"`benchmarks/results/{file}.json`{': ' + about if about else ''}; {machine['date']}, "
            f"{machine['processor']}, GPU: {machine['gpu']}."
        )
        if page.name in figures.stale(file):
            parts.append("*To be measured again: the code that this was measured with has changed since.*")
    if of_points := points(page.name):
        parts.append(of_points)
    if not found and not of_points:
        parts.append("No committed measurement names this recipe alone; see the pages of its kind of data in `docs/`.")
    return "\n\n".join(parts) + "\n"


def points(name: str) -> str:
    """What the recipe makes of the ring as it is and tuned, with the commands; empty where that was not measured."""
    path = RESULTS / "equal.json"
    if name not in equal.RECIPES or not path.is_file():
        return ""
    results = read_json(path)
    rows = results["rows"]
    best = equal.best_draw(rows, name, results["draws"])
    if best is None:
        return ""
    lines = ["| fields | modes of 8 | of high quality | command |", "|---|---|---|---|"]
    for title, arm in (("as they are", "default"), (f"best of {results['draws']} draws", best["arm"])):
        mine = [r for r in rows if r["recipe"] == name and r["arm"] == arm]
        modes, good = sorted(r["ema"]["modes"] for r in mine), sorted(r["ema"]["high_quality"] for r in mine)
        setting = equal.setting_of(name, mine[0]["fields"])
        fields = " ".join(f"{option_of(k)} {cell(v)}" for k, v in setting.fields.items())
        command = f"gansmith train {name} --data toy:ring --images {setting.images // 1000}k --batch-size 64 {fields}"
        span = f"{modes[0]} to {modes[-1]}" if modes[0] < modes[-1] else f"{modes[0]}"
        lines.append(f"| {title} | {span} | {good[0]:.0%} to {good[-1]:.0%} | `{command}` |")
    machine = results["machine"]
    about = (
        f"Ring of eight Gaussians, {equal.BUDGET:,} real samples shown to D, seeds {cell(list(equal.SEEDS))}, averaged "
        "weights; the draws were compared by seed 0. The same for all objectives: [tables](../tables.md). "
        f"`benchmarks/results/equal.json`; {machine['date']}, {machine['processor']}, GPU: {machine['gpu']}."
    )
    return "### Points\n\n" + "\n".join(lines) + "\n\n" + about


def one_budget() -> str:
    """The table of MNIST, every recipe under one budget, best distance first; empty while there is none."""
    path = RESULTS / "classics.json"
    if not path.is_file():
        return ""
    results = read_json(path)
    rows = sorted((r for r in results["rows"] if not r["fields"]), key=lambda r: (r["FD-own"], r["seed"]))
    real, machine = results["real"], results["machine"]
    lines = [
        f"{results['images']:,} images of MNIST at 32 x 32 shown, {results['batch_size']} a step, default fields, one "
        "seed where no other is named. FD: Frechet distance of 5,000 samples in the features of the judge's own "
        "encoder; then the shares of the classes that it sees least and most in them, how certain it is, the share "
        "that it sees as asked for (of codes, by the best one-to-one map), and seconds of training on one core (none "
        "where other work ran beside it). Some recipes have several moves of D to one of G: these count as one step. "
        "A row with a † was measured in bf16 before tanh was taken in float32 there (see the changelog). "
        "Untrained networks: "
        f"{min(r['untrained']['FD-own'] for r in rows):.0f} to {max(r['untrained']['FD-own'] for r in rows):.0f}.",
        "| recipe | seed | FD | least | most | certain | as asked | s |\n|---|---:|---:|---:|---:|---:|---:|---:|\n"
        f"| *held-out digits* | | {real['FD-own']:g} | {real['least_share']:g} | {real['most_share']:g} | "
        f"{real['confidence']:g} | | |",
    ]
    for r in rows:
        told = r.get("label accuracy", r.get("code accuracy"))
        spent = r.get("cpu_seconds", None if r.get("shared") else r["seconds"])
        mark = " †" if r.get("before") else ""
        lines[1] += (
            f"\n| [`{r['recipe']}`]({r['recipe']}.md){mark} | {r['seed']} | {r['FD-own']:g} | {r['least_share']:g} | "
            f"{r['most_share']:g} | {r['confidence']:g} | {'' if told is None else f'{told:g}'} | "
            f"{'' if spent is None else f'{spent:.0f}'} |"
        )
    lines.append(
        f"`benchmarks/results/classics.json`; {machine['date']}, {machine['processor']}, GPU: {machine['gpu']}."
    )
    lines += [again] if (again := figures.sentence("classics")) else []
    return "## MNIST under one budget\n\n" + "\n\n".join(lines)


def gallery(pages: list[RecipePage]) -> str:
    """The page of all."""
    parts = [
        "# Recipes",
        "Every GAN that gansmith trains. Pages and figures are written by `python -m benchmarks.pages`, pictures by "
        "`python -m benchmarks.mnist --name classics --grids docs/images/recipes`: one small budget on a laptop's CPU "
        "for all, so that they can be compared and not so that they look their best.",
    ]
    by_kind: dict[str, list[RecipePage]] = {}
    for p in pages:
        by_kind.setdefault(title(kinds_of(p)[0], p), []).append(p)
    for heading, mine in sorted(by_kind.items(), key=lambda item: -len(item[1])):
        parts.append(f"## {heading.capitalize()}")
        rows = []
        for p in mine:
            file = picture(p.name)
            shown = f'<img src="../images/recipes/{file}" width="240" alt="{p.name}">' if file else ""
            rows.append(f"| [`{p.name}`]({p.name}.md) | {p.summary} | {shown} |")
        parts.append("\n".join(["| recipe | what it is | samples |", "|---|---|---|", *rows]))
    if table_of_all := one_budget():
        parts.append(table_of_all)
    counts = {p.name: lines(p) for p in pages}
    longest = max(counts, key=lambda n: counts[n])
    parts.append(
        f"{len(pages)} recipes of {statistics.median(counts.values()):g} lines (median); the longest, `{longest}`, has "
        f"{counts[longest]}."
    )
    return "\n\n".join(parts) + "\n"


def written() -> dict[str, str]:
    """By file name: what docs/recipes/ should hold."""
    pages = catalog.pages()
    return {"README.md": gallery(pages)} | {f"{p.name}.md": write(p) for p in pages}


def main() -> None:
    """Write; with --check only say whether all is as recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 if a page is not as recorded")
    check = parser.parse_args().check
    wanted = written()
    there = {p.name: p.read_text(encoding="utf-8") for p in FOLDER.glob("*.md")}
    if check:
        sys.exit(there != wanted)
    FOLDER.mkdir(exist_ok=True)
    for name in there.keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"{len(wanted)} pages in {FOLDER}")


if __name__ == "__main__":
    main()
