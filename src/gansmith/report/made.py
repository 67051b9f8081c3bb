"""How the run was made: the machine, the options, and the command that trains it again."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

from ..options import TrainOptions
from .facts import Facts
from .markup import Child, pairs, table, tag
from .words import entry, plain, recorded, said


def section(facts: Facts) -> Child:
    """The command, the setting, and all options with what they are by default."""
    record = facts.run.record
    rows: list[tuple[str, Child]] = [("started", recorded(record, "created"))]
    for key in ("setting", "machine", "versions"):
        if entries := entry(record, key):
            rows.append((key, said({k: v for k, v in entries.items() if k != "timings"})))
    options = entry(record, "options")
    if not options:
        return pairs(rows)
    defaults = {f.name: plain(f.default) for f in dataclasses.fields(TrainOptions)}
    changed = {k: v for k, v in options.items() if k not in defaults or v != defaults[k]}
    listed = [
        [
            tag("code", k),
            tag("b", said(v)) if k in changed else said(v),
            said(defaults[k]) if k in defaults else "",
        ]
        for k, v in options.items()
    ]
    return [
        tag("p", "To train it again:"),
        tag("pre", tag("code", _command(facts, changed))),
        pairs(rows),
        tag("details", tag("summary", "All training options"), table(["option", "value", "default"], listed)),
    ]


def _command(facts: Facts, changed: Mapping[str, Any]) -> str:
    """The command line that trains it again: what differs from the defaults, and what is else chosen by timing."""
    saved, setting = facts.run.record["recipe"], facts.run.record["setting"]
    options = facts.run.record["options"]
    layout = "nhwc" if setting["channels_last"] else "nchw"
    fixed = {"images": options["images"], "seed": options["seed"], "precision": setting["precision"], "layout": layout}
    changed = {**{k: v for k, v in fixed.items() if v or k == "seed"}, **changed, "precision": setting["precision"]}
    words = ["gansmith", "train", str(saved["name"]), "--data", recorded(facts.run.record, "data", "source")]
    known = {f.name: f.default for f in facts.page.fields} if facts.page else {}
    # A field that the recipe has no longer changed nothing, or the run would not be read: it is left out.
    fields = {k: v for k, v in dict(saved["fields"]).items() if k in known or not known}
    own = {k: v for k, v in fields.items() if not known or plain(known[k]) != v}
    taken = {f.name for f in dataclasses.fields(TrainOptions)} | {"data", "out", "resume"}
    for name, value in [*changed.items(), *((f"recipe.{k}" if k in taken else k, v) for k, v in own.items())]:
        flag = str(name).replace("_", "-")
        if value is None:
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif name == "size" and isinstance(value, list):
            words += [f"--{flag}", "x".join(map(str, value))]
        elif name == "range" and isinstance(value, list):
            words += [f"--{flag}={','.join(f'{v:g}' for v in value)}"]
        else:
            words += [f"--{flag}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    return " ".join(map(shlex.quote, words))
