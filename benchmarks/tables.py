"""The pages of docs/ with measured tables brought up to date: each between its marks, from `benchmarks/results/`.

python -m benchmarks.tables [--check]
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gansmith.records import read as read_json

from . import (
    RESULTS,
    dirac,
    equal,
    figures,
    fraud,
    imputing,
    learns,
    limited,
    ndb,
    stacked_mnist,
    tabular,
    toys,
    translate,
)

Shown = dict[str, tuple[str, Callable[[dict[str, Any]], str]]]
PAGE = Path(__file__).parents[1] / "docs" / "tables.md"
TABULAR = PAGE.with_name("tabular.md")
TRANSLATION = PAGE.with_name("translation.md")
CONDITIONAL = PAGE.with_name("conditional.md")


def _toys(results: dict[str, Any]) -> str:
    return "\n\n".join(f"{heading}:\n\n{table}" for heading, table in toys.tables(results))


TABLES: Shown = {
    "dirac": ("dirac", dirac.table),
    "toys": ("toys", _toys),
    "claims": ("toys", toys.claims),
    "equal": ("equal", equal.table),
    "first": ("equal", equal.claim),
    "ndb": ("ndb", ndb.table),
    "stacked_mnist": ("stacked_mnist", stacked_mnist.table),
    "limited": ("limited", limited.table),
    "limited_few": ("limited_few", limited.table),
    "limited_lr": ("limited_lr", limited.table),
    "limited_slow": ("limited_slow", limited.table),
    "limited_tenth": ("limited_tenth", limited.table),
}
"""By mark: the file of results and how it is shown."""
PAGES: dict[Path, Shown] = {
    PAGE: TABLES,
    TABULAR: {
        "adult": ("tables_adult", tabular.table),
        "conditions": ("tables_adult", tabular.conditions_table),
        "letter": ("imputing", lambda results: imputing.table(results, "letter")),
        "holes": ("imputing", lambda results: imputing.table(results, "adult")),
        "fraud": ("fraud", fraud.table),
    },
    CONDITIONAL: {"digits": ("learns", learns.labels_table)},
    TRANSLATION: {
        "pix2pix": ("translate_pix2pix", translate.table_of_photos),
        "pix2pix_128": ("translate_pix2pix_128", translate.table_of_photos),
        "cyclegan": ("translate_cyclegan", translate.table_of_labels),
    },
}


def updated(page: str, tables: Shown = TABLES) -> str:
    """The page with every table as it is recorded today, and the machine that it was measured on."""
    for mark, (name, show) in tables.items():
        path = RESULTS / f"{name}.json"
        text = "Not measured yet."
        if path.is_file():
            results = read_json(path)
            where = results["machine"]
            text = show(results)
            if mark not in ("claims", "conditions", "first"):
                text += f"\n\n{where['date']}, {where['processor']}, torch {where['torch']}, GPU: {where['gpu']}"
            if again := figures.sentence(name):
                text += f"\n\n{again}"
        pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
        page, count = pattern.subn(lambda m, text=text: f"{m[1]}{text}\n{m[2]}", page)
        assert count == 1, f"the page must have the marks of {mark} once"
    return _FIGURES.sub(_state, page)


_FIGURES = re.compile(r"(<!-- figures of ([\w ]+) -->\n).*?(<!-- /figures -->)", re.DOTALL)
"""Where a page written by hand says which of its figures no longer hold."""


def _state(match: re.Match[str]) -> str:
    said = [f"`{name}.json`: {text}" for name in match[2].split() if (text := figures.sentence(name))]
    return match[1] + "".join(f"{line}\n" for line in said) + match[3]


def main() -> None:
    """Rewrite the pages; with --check only say whether they are as recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 if the page is not as recorded")
    check = parser.parse_args().check
    for path, tables in PAGES.items():
        before = path.read_text(encoding="utf-8")
        after = updated(before, tables)
        if check and after != before:
            sys.exit(f"{path} is not as recorded: run python -m benchmarks.tables")
        if not check:
            path.write_text(after, encoding="utf-8")
            print(f"{path} {'was as recorded' if after == before else 'is brought up to date'}")


if __name__ == "__main__":
    main()
