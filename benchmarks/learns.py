"""What the learn tests print, kept, and written into the texts that quote it.

python -m benchmarks.learns [-k EXPRESSION]    # run the learn tests, or those, and write what they print into texts
python -m benchmarks.learns --text             # only write the texts anew

`note` keeps a figure in `results/learns.json` while GANSMITH_RECORD is set. Each of `QUOTES` is a passage of a
docstring with places for numbers; `tests/test_published_tables.py` fails where one says another number than was kept.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gansmith.files import write_json
from gansmith.recipe import Recipe
from gansmith.records import read as read_json

from . import RESULTS, machine

FILE = RESULTS / "learns.json"
ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "src" / "gansmith" / "recipes"
Rows = dict[str, dict[str, Any]]


def note(what: str, recipe: Recipe, images: int, seed: int, **values: float) -> None:
    """Print a figure of a learn test, and keep it where GANSMITH_RECORD is set."""
    name = type(recipe).__module__.rsplit(".", 1)[1]
    print(f"{what} {name} seed {seed}: {', '.join(f'{k} {v:.3f}' for k, v in values.items())}")
    if not os.environ.get("GANSMITH_RECORD"):
        return
    fields = {
        f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe) if getattr(recipe, f.name) != f.default
    }
    row = {"recipe": name, "what": what, "fields": fields, "images": images, "seed": seed, **values}
    with _alone():
        saved = read_json(FILE) if FILE.is_file() else {"rows": {}}
        row["date"] = time.strftime("%Y-%m-%d", time.gmtime())
        rows = {**saved["rows"], f"{what} {name} {seed}": row}
        write_json(FILE, {"machine": machine(), "rows": dict(sorted(rows.items()))})


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One process at a time: tests run in several."""
    import fcntl

    with open(RESULTS / ".learns.lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def rows() -> Rows:
    """By test, recipe and seed: what was kept."""
    return read_json(FILE)["rows"] if FILE.is_file() else {}


# --- the texts that quote them ---


@dataclasses.dataclass(frozen=True)
class Quote:
    """A passage with places in braces, where numbers stand, and the numbers."""

    path: Path
    passage: str
    numbers: Callable[[Rows], Mapping[str, str]]

    @property
    def pattern(self) -> re.Pattern[str]:
        """The passage in the text: any white space between words, any number in a place."""
        parts = re.split(r"\{\w+\}", self.passage)
        literal = (r"\s+".join(map(re.escape, re.split(r"\s+", part))) for part in parts)
        return re.compile(r"([\d,]*\.?\d+)".join(literal))

    def updated(self, text: str, kept: Rows) -> str:
        """The text with the numbers that were kept. Raises `ValueError` if the passage is not in it once."""
        places = re.findall(r"\{(\w+)\}", self.passage)
        found = list(self.pattern.finditer(text))
        if len(found) != 1:
            raise ValueError(f"{self.path.name} has the passage {len(found)} times: {self.passage}")
        numbers = self.numbers(kept)
        for i in reversed(range(len(places))):
            start, end = found[0].span(i + 1)
            text = text[:start] + numbers[places[i]] + text[end:]
        return text


def _labels(recipe: str) -> Quote:
    passage = (
        "of 1,000 samples {asked} % are of the class asked for, as a logistic regression of real digits sees them (it "
        "is right on 93.4 % of held-out real ones); of the least class {least} %; with the classes exchanged "
        "{exchanged} %; its certainty {certainty}"
    )
    return Quote(RECIPES / f"{recipe}.py", passage, lambda kept: label_numbers(kept[f"labels {recipe} 0"]))


def label_numbers(row: Mapping[str, float]) -> dict[str, str]:
    """Shares in per cent, and the classifier's certainty."""
    shares = {k: f"{100 * row[k]:.1f}" for k in ("asked", "least", "exchanged")}
    return {**shares, "certainty": f"{row['certainty']:.3f}"}


def _ring(recipe: str) -> Quote:
    """Of one seed."""

    def numbers(kept: Rows) -> dict[str, str]:
        row = kept[f"ring {recipe} 0"]
        return {"modes": str(int(row["modes"])), "quality": f"{100 * row['quality']:.1f}"}

    return Quote(RECIPES / f"{recipe}.py", "seed 0 alone: {modes} modes, {quality} % of high quality", numbers)


def _rings(recipe: str, passage: str) -> Quote:
    """Of three seeds."""

    def numbers(kept: Rows) -> dict[str, str]:
        found = [kept[f"ring {recipe} {seed}"]["quality"] for seed in range(3)]
        return {"low": f"{100 * min(found):.0f}", "high": f"{100 * max(found):.0f}"}

    return Quote(RECIPES / f"{recipe}.py", passage, numbers)


def _three(recipe: str, passage: str) -> Quote:
    """Of three seeds, one by one."""

    def numbers(kept: Rows) -> dict[str, str]:
        found = [kept[f"ring {recipe} {seed}"] for seed in range(3)]
        modes = {f"modes_{seed}": str(int(row["modes"])) for seed, row in enumerate(found)}
        return modes | {f"quality_{seed}": f"{100 * row['quality']:.1f}" for seed, row in enumerate(found)}

    return Quote(RECIPES / f"{recipe}.py", passage, numbers)


LABELS = ("acgan", "reacgan", "cgan", "projection", "tacgan", "adcgan", "contragan")
QUOTES: tuple[Quote, ...] = (
    *map(_labels, LABELS),
    *map(_ring, ("dragan", "ebgan")),
    _rings("gan", "{low} to {high} % of high quality"),
    _three(
        "softmax_gan",
        "{modes_0}, {modes_1} and {modes_2} modes, {quality_0}, {quality_1} and {quality_2} % of high quality",
    ),
)
"""Those that were measured since figures are kept; other docstrings still quote what was printed before."""


def labels_table(results: Mapping[str, Any]) -> str:
    """docs/conditional.md: digits asked for by class."""
    kept, lines = results["rows"], []
    for name in LABELS:
        row = kept[f"labels {name} 0"]
        n = label_numbers(row)
        shown = f"{name} --no-together" if name == "contragan" else name
        lines.append(
            f"| `{shown}` | {row['images']:,} | {n['asked']} % | {n['least']} % | {n['certainty'].lstrip('0')} |"
        )
    head = (
        "| recipe | images | as asked | least class | the classifier's certainty (median) |\n|---|---:|---:|---:|---:|"
    )
    return "\n".join((head, *lines))


def written() -> Iterator[tuple[Path, str, str]]:
    """Each file with quotes: its text, and what it is to be."""
    kept = rows()
    for path in dict.fromkeys(quote.path for quote in QUOTES):
        text = now = path.read_text(encoding="utf-8")
        for quote in QUOTES:
            if quote.path == path:
                now = quote.updated(now, kept)
        yield path, text, now


def main() -> None:
    """Run the tests if asked, and write the texts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", default="", help="only tests of this expression of pytest's")
    parser.add_argument("--text", action="store_true", help="run nothing")
    options = parser.parse_args()
    failed = 0
    if not options.text:
        command = [sys.executable, "-m", "pytest", "-q", "-s", "-m", "slow or not slow", "-k", options.k]
        command += map(str, sorted((ROOT / "tests").glob("test_learns*.py")))
        failed = subprocess.run(command, env={**os.environ, "GANSMITH_RECORD": "1"}, check=False).returncode
    for path, before, now in written():
        if now != before:
            path.write_text(now, encoding="utf-8")
            print(f"{path.relative_to(ROOT)} says other numbers now")
    sys.exit(failed)


if __name__ == "__main__":
    main()
