"""Words to options: dataclasses parsed by tyro, whose complaints become one line; recipes by name or path."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import io
import itertools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import tyro
from tyro.conf import DisallowNone
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from .. import catalog
from ..options import Count, Size, Span

if TYPE_CHECKING:
    from ..recipe import Recipe

T = TypeVar("T")


class Usage(Exception):
    """A command line that cannot be understood: exit code 2."""


_registry = ConstructorRegistry()


@_registry.primitive_rule
def _count(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Count] | None:
    if info.type is not Count:
        return None

    def read(words: list[str]) -> Count:
        try:
            return Count.parse(words[0])
        except (ValueError, OverflowError):
            raise ValueError(f"{words[0]!r} is not a whole number: write 200000, 200k or 1.5M") from None

    def write(count: Count) -> list[str]:
        for size, letter in ((10**6, "M"), (10**3, "k")):
            if count and count % (size // 10) == 0 and count >= size:
                return [f"{count / size:g}{letter}"]
        return [str(int(count))]

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="COUNT",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, Count),
        str_from_instance=write,
    )


@_registry.primitive_rule
def _size(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Size] | None:
    if info.type is not Size:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="SIZE",
        instance_from_str=lambda words: Size.parse(words[0]),
        is_instance=lambda value: isinstance(value, Size),
        str_from_instance=lambda size: [str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"],
    )


@_registry.primitive_rule
def _span(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Span] | None:
    if info.type is not Span:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="LOW,HIGH",
        instance_from_str=lambda words: Span.parse(words[0]),
        is_instance=lambda value: isinstance(value, Span),
        str_from_instance=lambda span: [",".join(f"{value:g}" for value in span)],
    )


def parse(kind: type[T], words: list[str], prog: str, description: str | None) -> T:
    """The options of a command. Raises `Usage` with one line for what cannot be understood; exits after help."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found, unknown = tyro.cli(
                kind,
                prog=prog,
                description=description or "",
                args=words,
                return_unknown_args=True,
                registry=_registry,
                config=(DisallowNone,),
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise Usage(_message(said.getvalue())) from None
    if not unknown:
        return found
    option = next((word.split("=", 1)[0] for word in unknown if word.startswith("-")), "")
    if not option:
        raise Usage(f"there is no place for {unknown[0]!r} here")
    near = difflib.get_close_matches(option.replace("_", "-"), _options(kind), 1, 0.6)
    raise Usage(f"there is no option {option}" + (f"; did you mean {near[0]}?" if near else ""))


def _options(kind: Any) -> list[str]:
    """The options a dataclass gives, those of its groups included."""
    found = []
    for name, annotation in get_type_hints(kind).items():
        if dataclasses.is_dataclass(annotation):
            found += _options(annotation)
        else:
            found.append(f"--{name.replace('_', '-')}")
    return found


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_RULE = re.compile(r"[─-]{5,}")


_FIELD = re.compile(r"[A-Z]\w+: (\w+) is ")


def _message(box: str) -> str:
    """What tyro says in the box of an error, as one line, without its help and its drawing."""
    rows = [row.strip().strip("│").strip() for row in _COLOUR.sub("", box).splitlines()]
    rows = [row for row in rows if row and not row.startswith("╰")]
    if not rows:
        return "these options cannot be understood"
    # The title stands in the upper border, or, where the terminal cannot draw one, above a rule.
    rows = rows[1:] if rows[0].startswith("╭") else rows[2:]
    text = " ".join(itertools.takewhile(lambda row: not _RULE.fullmatch(row), rows))
    if text.startswith("Error parsing "):
        option, _, what = text.removeprefix("Error parsing ").partition(": ")
        if field := _FIELD.match(what):  # a dataclass says it of its own
            return f"--{field[1].replace('_', '-')} is {what[field.end() :]}"
        return f"{option}: {what}"
    return text


def choose(commands: Mapping[str, Callable[[list[str]], int]], word: str, what: str) -> Callable[[list[str]], int]:
    """The command of that name. Raises `Usage` with one that is near."""
    if word in commands:
        return commands[word]
    near = difflib.get_close_matches(word, list(commands), 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(commands)}"
    raise Usage(f"there is no {what} {word!r}; {hint}")


def table_of(commands: Mapping[str, Callable[[list[str]], int]]) -> str:
    """The commands with what they do, a line each."""
    width = max(map(len, commands))
    return "\n".join(f"  {name:{width}}  {(run.__doc__ or '').strip()}" for name, run in commands.items())


def given_in(words: list[str]) -> set[str]:
    """The names of the options that were written, as fields are called."""
    flags = [word.split("=", 1)[0].lstrip("-") for word in words if word.startswith("-")]
    return {flag.removeprefix("no-").replace("-", "_") for flag in flags}


def value_of(words: list[str], option: str) -> str:
    """What was written for an option; nothing if it was not."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.split("=", 1)[1]
    return ""


def gathered(words: list[str], option: str) -> list[str]:
    """The words with an option that is repeated written once, before all of its values, as the parser knows it."""
    values: list[str] = []
    rest: list[str] = []
    i = 0
    while i < len(words):
        if words[i].startswith(f"{option}="):
            values.append(words[i].split("=", 1)[1])
        elif words[i] == option:
            while i + 1 < len(words) and not words[i + 1].startswith("-"):
                values.append(words[i + 1])
                i += 1
        else:
            rest.append(words[i])
        i += 1
    return [*rest, option, *values] if values else rest


def page_of(name: str) -> catalog.RecipePage:
    """What there is to say of a recipe, read without importing it. Raises `Usage` if there is none of that name."""
    try:
        return catalog.describe(name)
    except ValueError as error:
        raise Usage(str(error)) from None


def recipe_of(page: catalog.RecipePage) -> type[Recipe]:
    """The recipe itself."""
    from ..recipe import load_recipe

    return load_recipe(str(page.path) if page.name.endswith(".py") else page.name)


def own_recipe(file: Path | None) -> type[Recipe] | None:
    """The recipe of --recipe-file, if there is one."""
    if file is None:
        return None
    from ..recipe import load_recipe

    return load_recipe(str(file))
