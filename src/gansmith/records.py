"""JSON that others may have written: parsed whatever it is, and held against what it must be, in one sentence each.

A shape is a type (`str`, `int`, `float`, `bool`, `list`, `dict`), or an object of shapes by name; a name that ends in
`?` may be missing. Names that a shape does not know are let through; `only` refuses them.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

Shape: TypeAlias = "type | Mapping[str, Shape]"

MOST_BYTES = 1 << 28
"""Bytes of the largest file of JSON that is read: vocabularies and columns of a large table are far below."""
_WORDS: dict[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}

RUN: Mapping[str, Shape] = {
    "format": int,
    "recipe": {"name": str, "fields": dict},
    "options": dict,
    "data": {"source?": str, "store": str, "digest?": str, "count": int, "spec": dict, "content?": str},
    "setting": {"device": str, "precision": str, "channels_last": bool, "threads": int},
    "versions?": dict,
    "machine?": dict,
    "created?": str,
}
"""Of `run.json`, as far as a page can be written about it."""
WHOLE_RUN: Mapping[str, Shape] = {**RUN, "data": {"source": str, "store": str, "digest": str}}
"""Of the `run.json` of a run that is to go on, or to be scored."""
NOTE: Mapping[str, Shape] = {
    "step": int,
    "images": int,
    "seconds": float,
    "finished?": bool,
    "sha256?": str,
    "counts?": dict,
    "moves?": int,
}
"""Of the note beside a checkpoint."""
LINE: Mapping[str, Shape] = {"step": int, "images": int, "seconds": float}
"""Of a line of `log.jsonl`."""
SCORE: Mapping[str, Shape] = {"images": int, "scores": dict, "best": bool}
"""Of a line of `scores/training.jsonl`."""
MODEL: Mapping[str, Shape] = {
    "format": int,
    "recipe": {"name": str, "fields": dict},
    "data": dict,
    "sha256": str,
    "previous_sha256": str,
}
"""Of `model.json`."""


def parse(text: str, what: str) -> Any:
    """JSON. Raises `ValueError` that names `what` if it is none, or nested too deeply to be anything of ours."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"{what} is damaged: its brackets are nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{what} is damaged: {error}") from error


def read(path: Path, shape: Shape = dict, *, only: bool = False) -> dict[str, Any]:
    """The JSON object of a file. Raises `ValueError` naming the file, and the key, if it is anything else."""
    value = parse(read_text(path), str(path))
    if not isinstance(value, dict):
        raise ValueError(f"{path} is damaged: it does not hold a JSON object")
    check(value, shape, str(path), only=only)
    return value


def read_text(path: Path) -> str:
    """The text of a file. Raises `ValueError` if it is no regular file, no UTF-8, or larger than any of ours."""
    known = os.stat(path)
    if not stat.S_ISREG(known.st_mode):
        raise ValueError(f"{path} is damaged: it is no regular file")
    if known.st_size > MOST_BYTES:
        raise ValueError(f"{path} is damaged: it has {known.st_size:,} bytes")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def read_lines(path: Path, shape: Shape) -> list[dict[str, Any]]:
    """The JSON objects of a file of lines, of which those that a crash tore are left out; none if there is no file.

    Raises `ValueError` naming the line, and the key, for one that is whole and of another shape.
    """
    if not path.exists():
        return []
    found = []
    for number, text in enumerate(read_text(path).split("\n"), 1):
        where = f"{path}, line {number}"
        try:
            value = json.loads(text)
        except ValueError:
            continue  # torn
        except RecursionError:
            value = None
        if not isinstance(value, dict):
            raise ValueError(f"{where} is damaged: it is no JSON object: delete that line")
        check(value, shape, where)
        found.append(value)
    return found


def check(value: Any, shape: Shape, where: str, names: Sequence[str] = (), *, only: bool = False) -> None:
    """Raises `ValueError` that says where a value is not of this shape, and what it must be."""
    if isinstance(shape, type):
        if not _fits(value, shape):
            raise ValueError(f"{where} is damaged: {'.'.join(names)} is {_short(value)}; it must be {_WORDS[shape]}")
        return
    if not isinstance(value, dict):
        raise ValueError(f"{where} is damaged: {'.'.join(names)} is {_short(value)}; it must be an object")
    known = {name.rstrip("?"): (inner, name.endswith("?")) for name, inner in shape.items()}
    for name, (inner, optional) in known.items():
        if name in value:
            check(value[name], inner, where, (*names, name))
        elif not optional:
            raise ValueError(f"{where} is damaged: it lacks {'.'.join((*names, name))}")
    if only and (odd := sorted(map(str, value.keys() - known.keys()))):
        told = f"it holds {odd[0][:60]!r}, which nothing knows; it may hold {', '.join(known)}"
        raise ValueError(f"{where} is damaged: {told}")


def _fits(value: Any, kind: type) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in (int, float):  # 2^63 and beyond are in no file of ours, and in no tensor
        whole = kind is float or isinstance(value, int)
        return number and whole and abs(value) < 2**63  # which NaN is not
    return isinstance(value, kind)


def _short(value: Any) -> str:
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
