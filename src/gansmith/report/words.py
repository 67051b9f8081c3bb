"""What the files of a run hold, in words. They may hold anything: a missing or odd value is said, never an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def said(value: Any) -> str:
    """A value of a JSON file in words."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {said(v)}" for k, v in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        shown = ", ".join(map(said, value[:12]))
        return f"{shown}, ... ({len(value):,} values)" if len(value) > 12 else shown or "none"
    return str(value)


def recorded(saved: Any, *keys: str) -> str:
    """An entry of nested objects in words; "not recorded" where there is none."""
    for key in keys:
        saved = saved.get(key) if isinstance(saved, Mapping) else None
    return "not recorded" if saved is None else said(saved)


def entry(saved: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An entry that should be an object; an empty one if it is anything else."""
    value = saved.get(key)
    return value if isinstance(value, Mapping) else {}


def plain(value: Any) -> Any:
    """A default as JSON gives it back, to compare with what a file holds."""
    return json.loads(json.dumps(value, default=str))


def recipe_name(record: Mapping[str, Any]) -> str:
    """The recipe's name; of one in a file, without its folder."""
    name = str(record["recipe"]["name"])
    return Path(name).stem if name.endswith(".py") else name


def source_name(record: Mapping[str, Any]) -> str:
    """The source as given; of a path the last part, for the rest is nobody's business."""
    source = recorded(record, "data", "source")
    return Path(source).name or source if "/" in source else source
