"""`data`, `recipes`, `info` and `report`: what there is to train on and with, and what became of a run."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from .. import catalog
from ..options import DataOptions, option_of
from .parsing import Usage, choose, own_recipe, page_of, parse, table_of


@dataclass(frozen=True, kw_only=True)
class _Inspect:
    source: Annotated[Positional[str], arg(metavar="SRC")]
    """A folder, archive, CSV, .npy, .npz or .txt, a packed store, or a name such as digits, mnist or toy:ring."""
    options: Annotated[DataOptions, OmitArgPrefixes]


def data_inspect(words: list[str]) -> int:
    """Report what is in a source: sizes, classes, duplicates, broken files, what training would do."""
    options = parse(_Inspect, words, "gansmith data inspect", data_inspect.__doc__)
    from ..data.inspect import describe, inspect

    report = inspect(options.source, options.options)
    print(describe(report))
    return 1 if report.problem else 0


@dataclass(frozen=True, kw_only=True)
class _Pack:
    source: Annotated[Positional[str], arg(metavar="SRC")]
    """A folder, archive, CSV, .npy, .npz or .txt, or a name such as digits, mnist or toy:ring."""
    out: Path
    """The folder of the packed store, which `train --data` takes."""
    options: Annotated[DataOptions, OmitArgPrefixes]


def data_pack(words: list[str]) -> int:
    """Pack a source once into a store, to train from it anywhere."""
    options = parse(_Pack, words, "gansmith data pack", data_pack.__doc__)
    from ..data import open_store

    store = open_store(options.source, options.options, out=options.out)
    for note in store.notes:
        print(f"note: {note}")
    shape = "x".join(map(str, store.spec.shape))
    print(
        f"{len(store):,} samples of {shape} packed into {options.out}; next: gansmith train RECIPE --data {options.out}"
    )
    return 0


DATA_COMMANDS: dict[str, Callable[[list[str]], int]] = {"inspect": data_inspect, "pack": data_pack}


def data(words: list[str]) -> int:
    """Look at a source of data (inspect), or pack it once to train from it anywhere (pack)."""
    if not words or words[0] in ("-h", "--help"):
        print(f"usage: gansmith data {{{','.join(DATA_COMMANDS)}}} SRC [OPTIONS]\n\n{table_of(DATA_COMMANDS)}")
        return 0 if words else 2
    return choose(DATA_COMMANDS, words[0], "data command")(words[1:])


@dataclass(frozen=True, kw_only=True)
class _Recipes:
    name: Annotated[Positional[str], arg(metavar="[NAME]")] = ""
    """A recipe, or the path of a .py, to show in full; all are listed without it."""


def recipes(words: list[str]) -> int:
    """List the GANs there are, or show one in full: paper, fields, what to expect."""
    name = parse(_Recipes, words, "gansmith recipes", recipes.__doc__).name
    if name:
        print(_in_full(page_of(name)))
        return 0
    pages = catalog.pages()
    width = max((len(p.name) for p in pages), default=0)
    for page in pages:
        lines = textwrap.wrap(f"{page.summary} [{', '.join(sorted(page.kinds))}]", 96 - width)
        print(f"{page.name:{width}}  " + f"\n{'':{width}}  ".join(lines))
    print("\none in full: gansmith recipes NAME; your own: gansmith train path/to/own.py")
    return 0


def _in_full(page: catalog.RecipePage) -> str:
    parts = [f"{page.name}: {page.summary}", f"Data: {', '.join(sorted(page.kinds))}"]
    for title, text in (("Source", page.source), ("Differs from the paper", page.differs), ("Expect", page.expect)):
        if text:
            parts.append(f"{title}:\n{textwrap.indent(text, '  ')}")
    lines = []
    for field in page.fields:
        default = f" = {field.default_repr}" if field.default_repr else ""
        lines.append(f"  {option_of(field.name)}  {field.annotation}{default}")
        lines += textwrap.wrap(field.help, 96, initial_indent="      ", subsequent_indent="      ")
    if lines:
        parts.append("Options:\n" + "\n".join(lines))
    parts.append(f"File: {page.path}")
    return "\n\n".join(parts)


@dataclass(frozen=True, kw_only=True)
class _Info:
    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """A run's directory."""
    recipe_file: Path | None = None
    """The .py of the recipe, for a run that used one of your own."""


def info(words: list[str]) -> int:
    """Tell what a run is, how far, how it goes, and show its networks layer by layer."""
    options = parse(_Info, words, "gansmith info", info.__doc__)
    from ..report.console import render
    from ..run import Run

    render(Run(options.run), own_recipe(options.recipe_file))
    return 0


@dataclass(frozen=True, kw_only=True)
class _Report:
    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """A run's directory."""
    out: Path | None = None
    """The HTML file to write; RUN/report.html by default."""
    seed: int = 0
    """Of the samples."""
    training_data: bool = True
    """Whether the page may hold training samples themselves."""
    recipe_file: Path | None = None
    """The .py of the recipe, for a run that used one of your own."""


def report(words: list[str]) -> int:
    """Write one page about a run that opens offline and prints: samples, film, curves, scores, nearest data."""
    options = parse(_Report, words, "gansmith report", report.__doc__)
    out = options.out or options.run / "report.html"
    if out.is_dir() or out.suffix.lower() not in (".html", ".htm"):
        raise Usage(f"--out {out}: name a .html file")
    from ..report import report as write
    from ..run import Run

    write(Run(options.run), out, recipe_file=options.recipe_file, seed=options.seed, show_data=options.training_data)
    print(out)
    return 0
