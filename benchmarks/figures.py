"""Do the recorded figures still hold? Each is kept with the code that it was measured with.

python -m benchmarks.figures [--check]

A file of `benchmarks/results/` says what recipes did. For each recipe in it `figures.json` holds a digest of what was
recorded, a digest of the code that training it runs through (the recipe, its networks, losses, penalties, the step, how
data are drawn; docstrings and comments left out), and a probe: the terms after a few steps on small data. What was
recorded anew takes today's code. Where the code has changed since, the probe is taken again: if its terms are the same,
so is what the code does, and the figure holds; if not, the figure is to be measured again, and the pages say so.
`tests/test_published_tables.py` fails where the code has changed and nobody has looked.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gansmith
from gansmith.files import write_json
from gansmith.options import Count
from gansmith.recipe import load_recipe, recipe_names
from gansmith.records import read as read_json

from . import RESULTS

STATE = RESULTS / "figures.json"
SOURCE = Path(__file__).parents[1] / "src" / "gansmith"
PARTS = ("recipes", "nets", "losses", "penalties", "step", "augment", "recipe")
"""Modules and packages that decide what training computes, ..."""
ALWAYS = ("data/feed.py", "data/draw.py", "data/codec.py")
"""... and those of the data; readers are not among them: a store has a digest of its own."""
STEPS, BATCH, TOLERANCE = 20, 24, 1e-4
"""Of a probe: how many steps of how many samples, and how far its terms may be from those recorded, relative."""
NAMING = ("recipe", "name", "imputer", "method", "arm")
"""Keys of a row whose value may name its recipe."""
ABOUT = {"text_": "seqgan", "translate_cyclegan": "cyclegan", "limited_few": "stylegan2", "limited_tenth": "stylegan2"}
ABOUT |= {"translate_pix2pix": "pix2pix", "tables_": "ctgan", "until": "dcgan"}
"""What files are about whose rows do not say it, by the start of their names."""
SILENT = {"figures", "metrics", "packing_28x28x1", "speed", "text_steps", "text_steps_before", "dirac"}
"""Files that hold times, or closed forms that are checked by tests of their own."""


# --- what the files are about ---


def recorded() -> dict[str, dict[str, Any]]:
    """By file and recipe: all that was recorded of it."""
    names = frozenset(recipe_names())
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(RESULTS.glob("*.json")):
        about = next((name for start, name in ABOUT.items() if path.stem.startswith(start)), "")
        if path.stem not in SILENT and (of := _of_recipes(read_json(path), names, about)):
            found[path.stem] = of
    return found


def _of_recipes(results: Mapping[str, Any], names: frozenset[str], about: str) -> dict[str, list[Any]]:
    """What belongs to each recipe: objects that name it, what stands under its name, all of a file about one."""
    found: dict[str, list[Any]] = {}

    def own(text: object) -> str:
        word = str(text).split(" ")[0].split("-")[0]
        return word if word in names else ""

    def walk(value: Any, under: str) -> None:
        if isinstance(value, dict):
            named = next((n for key in NAMING if (n := own(value.get(key)))), under)
            if named and "rows" not in value:
                found.setdefault(named, []).append(value)
                return
            for key, inner in value.items():
                if isinstance(inner, dict | list) and key not in ("machine", "summary"):
                    walk(inner, own(key) or named)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, under)

    walk(results, about)
    return found


def digest(value: Any) -> str:
    """12 hex digits of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


# --- the code ---


@functools.cache
def code_of(recipe: str) -> str:
    """12 hex digits of all the code that training a recipe runs through, without docstrings and comments."""
    todo, seen = [SOURCE / "recipes" / f"{recipe}.py", *(SOURCE / name for name in ALWAYS)], {}
    todo += sorted((SOURCE / "step").glob("*.py"))
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        todo += [p for p in _imported(tree, path) if p.relative_to(SOURCE).parts[0].removesuffix(".py") in PARTS]
        seen[path] = ast.dump(_bare(tree))
    return digest({str(p.relative_to(SOURCE)): text for p, text in seen.items()})


def _imported(tree: ast.Module, path: Path) -> Iterator[Path]:
    """The files of this package that a module imports."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        folder = path.parents[node.level - 1]
        base = folder.joinpath(*(node.module or "").split("."))
        for place in (base, *(base / alias.name for alias in node.names)):
            for file in (place.with_suffix(".py"), place / "__init__.py"):
                if file.is_file():
                    yield file


def _bare(tree: ast.Module) -> ast.Module:
    """Without docstrings, of fields too: bare strings compute nothing."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
            ]
    return tree


# --- the probe ---


SHORT = {
    "likelihood_steps": 6,
    "discriminator_steps": 4,
    "discriminator_moves": 2,
    "rollouts": 2,
    "embedding_steps": 5,
    "supervised_steps": 5,
    "burn_in": 8,
    "density_steps": 8,
    "num_labels": 24,
    "width": 8,
    "max_width": 16,
    "blocks": 1,
    "patch": 1,
    "hidden": 8,
}
"""Lengths of stages in a probe, so that it sees them all, and sizes of networks, so that it is quick."""


def choices(values: Any) -> tuple[tuple[str, Any], ...]:
    """What the first recorded row chose in words or by yes or no, such as its networks: a probe chooses it too."""
    rows = values if isinstance(values, list) else [values]
    fields = next((row["fields"] for row in rows if isinstance(row.get("fields"), dict)), {})
    return tuple(sorted((k, v) for k, v in fields.items() if isinstance(v, bool | str)))


@functools.cache
def probe(recipe: str, chosen: tuple[tuple[str, Any], ...] = ()) -> dict[str, float]:
    """The terms after some steps, on small data of each kind that the recipe takes, with these of its fields."""
    torch.set_num_threads(1)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, data in small_data(Path(folder)).items():
            if kind in load_recipe(recipe).kinds and _fits(recipe, dict(chosen), kind):
                found |= {
                    f"{kind} {k}": v
                    for k, v in _terms(recipe, dict(chosen), data, Path(folder) / "runs" / kind).items()
                }
    return found


def _fits(recipe: str, chosen: dict[str, Any], kind: str) -> bool:
    """Convolutions that were chosen take no vectors."""
    return kind != "vector" or chosen.get("nets") not in ("conv", "resnet")


def _terms(recipe: str, chosen: dict[str, Any], data: Any, out: Path) -> dict[str, float]:
    kind = load_recipe(recipe)
    fields = {f.name: SHORT[f.name] for f in dataclasses.fields(kind) if f.name in SHORT}
    fields |= {k: v for k, v in chosen.items() if k in {f.name for f in dataclasses.fields(kind)}}
    options = gansmith.TrainOptions(
        images=Count(STEPS * BATCH),
        batch_size=BATCH,
        log_every=Count(BATCH),
        sample_every=Count(10**9),
        device="cpu",
        precision="fp32",
        layout="nchw",
    )
    with contextlib.redirect_stderr(io.StringIO()):
        last = gansmith.train(kind(**fields), data, options, out=out, name=recipe).log()[-1]
    return {k: float(v) for k, v in last.items() if k not in ("step", "images", "seconds", "images_per_second")}


def small_data(folder: Path) -> dict[str, Any]:
    """By kind of data: a source, the same everywhere. Pictures are large enough for convolutions."""
    random = np.random.Generator(np.random.Philox(0))
    coarse = random.random((240, 6, 6, 1))
    x = (255 * np.kron(coarse, np.ones((1, 4, 4, 1)))).astype(np.uint8)
    y = np.arange(len(x)) % 3
    numbers = [f"{v:.3f},{n},{'abc'[k]}" for v, n, k in zip(random.normal(size=240), y * 7, y, strict=True)]
    steps = [f"{i},{t},{np.sin(i + t / 3):.4f},{'ab'[(i + t) % 2]}" for i in range(60) for t in range(4 + i % 5)]
    words = [" ".join("abcdefgh"[k] for k in random.integers(0, 8, 4 + i % 3)) for i in range(240)]
    for name, head, lines in (("table.csv", "a,b,c", numbers), ("series.csv", "id,time,a,b", steps)):
        (folder / name).write_text("\n".join((head, *lines)) + "\n", encoding="utf-8")
    (folder / "lines.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return {
        "image": {"x": x, "y": y},
        "vector": "toy:ring",
        "table": str(folder / "table.csv"),
        "series": f"series:{folder / 'series.csv'}",
        "text": str(folder / "lines.txt"),
        "pairs": {"a": x, "b": 255 - x},
        "domains": {"a": x[:120], "b": 255 - x[120:200]},
    }


def same(a: Mapping[str, float], b: Mapping[str, float]) -> bool:
    """Whether two probes tell of the same code."""
    return a.keys() == b.keys() and all(math.isclose(a[k], b[k], rel_tol=TOLERANCE, abs_tol=1e-6) for k in a)


# --- what is kept ---


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """What is known of one recipe's figures in one file."""

    values: str
    """The digest of what was recorded."""
    code: str
    """The digest of the code that it was seen to hold for."""
    probe: dict[str, float]
    """What that code did."""
    stale: str = ""
    """Why the figures no longer hold; empty where they do."""


def known() -> dict[str, dict[str, Figure]]:
    """By file and recipe: what is kept."""
    saved = read_json(STATE) if STATE.is_file() else {}
    return {file: {name: Figure(**entry) for name, entry in of.items()} for file, of in saved.items()}


def unseen() -> list[str]:
    """Figures whose values or code have changed since anyone looked, as `file: recipe`."""
    kept = known()
    return [
        f"{file}: {name}"
        for file, of in recorded().items()
        for name, values in of.items()
        if (figure := kept.get(file, {}).get(name)) is None
        or figure.values != digest(values)
        or figure.code != code_of(name)
    ]


def stale(file: str) -> list[str]:
    """The recipes of a file of results whose figures are to be measured again."""
    return sorted(name for name, figure in known().get(file, {}).items() if figure.stale)


def sentence(file: str) -> str:
    """What a page says below a table of that file; empty where all figures hold."""
    if not (names := stale(file)):
        return ""
    return f"To be measured again, as the code has changed since: {', '.join(f'`{name}`' for name in names)}."


def looked(file: str, name: str, values: Any, before: Figure | None) -> Figure:
    """The figure as it stands after a look at values, code and, where that has changed, at what the code does."""
    now, code = digest(values), code_of(name)
    if before is None or before.values != now:
        return Figure(values=now, code=code, probe=probe(name, choices(values)))
    if before.code == code:
        return before
    if same(before.probe, found := probe(name, choices(values))):
        return dataclasses.replace(before, code=code)
    return dataclasses.replace(before, code=code, probe=found, stale=before.stale or "what the code does has changed")


def main() -> None:
    """Look at every figure, and keep what was seen; with --check only say what is to be looked at."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="say what has changed, and write nothing")
    if parser.parse_args().check:
        todo = unseen()
        print("\n".join(todo) or "nothing has changed")
        sys.exit(bool(todo))
    kept = known()
    found = {
        file: {name: looked(file, name, values, kept.get(file, {}).get(name)) for name, values in of.items()}
        for file, of in recorded().items()
    }
    write_json(STATE, {file: {n: dataclasses.asdict(f) for n, f in of.items()} for file, of in found.items()})
    for file, of in found.items():
        for name, figure in of.items():
            print(f"{file}: {name}: {figure.stale or 'holds'}")


if __name__ == "__main__":
    main()
