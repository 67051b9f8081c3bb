"""The scores of `gansmith evaluate`, each beside its floor, its control and its protocol."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from .facts import Facts
from .markup import Child, box, bullets, pairs, table, tag
from .spaced import spaced
from .words import entry, said

_COLUMNS = {"model": "this model", "floor": "floor: real", "control": "control: replay"}
_BETTER = {"lower": "lower", "higher": "higher", "floor": "as the floor"}
_TOLD = {"format", "model", "scores", "floor", "control", "better", "flags", "reading", "notes", "protocol", "run"}
_TOLD |= {"class_shares", "closest", "key"}
"""Entries of a file of scores that have a place of their own; others are listed as they stand."""


def section(facts: Facts) -> Child:
    """Every file of scores; without any, how to get one."""
    if not facts.scores:
        return tag(
            "p",
            "Not evaluated: nothing on this page measures quality. To score it, with its floor and its control: ",
            tag("code", f"gansmith evaluate {shlex.quote(str(facts.run.path))}"),
        )
    return [
        tag(
            "p",
            "A score means something only beside its floor (held-out real data, scored alike: no model can be asked "
            "for more) and its control (a replay of training data, which flatters every score of fidelity and must be "
            "flagged as copying), and it compares only with scores of the same protocol.",
        ),
        [_scores(facts, name, saved) for name, saved in facts.scores.items()],
        _during_training(facts),
    ]


def _scores(facts: Facts, name: str, saved: Mapping[str, Any]) -> list[Child]:
    sides = {"model": saved.get("model", saved.get("scores"))} | {k: saved.get(k) for k in ("floor", "control")}
    # JSON has no infinity: what was not finite is null there.
    flat = {
        side: {k: "not finite" if v == "none" else v for k, v in _leaves(values)}
        for side, values in sides.items()
        if isinstance(values, Mapping)
    }
    better = dict(_leaves(entry(saved, "better")))
    rows = [
        [metric, *(flat[side].get(metric, "") for side in flat), _BETTER.get(better.get(metric, ""), "")]
        for metric in dict.fromkeys(metric for values in flat.values() for metric in values)
    ]
    ran, protocol = entry(saved, "run"), dict(_leaves(entry(saved, "protocol")))
    protocol = {k: f"{v[:16]}..." if len(v) == 64 else v for k, v in protocol.items()}  # the file holds whole digests
    title = ", ".join(
        [
            f"after {said(ran['images'])} images" if "images" in ran else name,
            *(f"{protocol[k]} {k}" for k in ("weights", "checkpoint") if protocol.get(k)),
        ]
    )
    parts: list[Child] = [tag("h3", title[0].upper() + title[1:])]
    if facts.drawn is not None and ran.get("images", facts.drawn.images) != facts.drawn.images:
        text = f"Scored after {said(ran['images'])} images; the samples above are from {facts.drawn.images:,}."
        parts.append(tag("p", text, class_="quiet"))
    if rows:
        head = ["metric", *(_COLUMNS[side] for side in flat), "better"]
        parts.append(table(head, rows, numeric=range(1, len(head) - 1)))
    for side in sides:
        if side not in flat:
            parts.append(tag("p", f"No {_COLUMNS[side].split(':')[0]} was scored.", class_="quiet"))
    if reading := _lines(saved.get("reading")):
        parts.append(bullets(reading))
    parts.append(box("What weakens these scores", _lines(saved.get("notes")), "note"))
    key = f" {saved['key']}" if "key" in saved else ""
    rest = dict(_leaves({k: v for k, v in saved.items() if k not in _TOLD}))
    for heading, entries in ((f"Protocol{key}", protocol), ("Also recorded", rest)):
        if entries:
            inside = tag("div", pairs(entries.items()), class_="fine")
            parts.append(tag("details", tag("summary", heading), inside, open=""))
    return parts


def _lines(value: Any) -> list[str]:
    return [said(line) for line in value] if isinstance(value, list) else []


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The entries of nested objects, by dotted names; a value with its interval is one entry."""
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, f"{name}.")
        else:
            yield name, said(inner)


def _during_training(facts: Facts) -> Child:
    """Scores that were taken while it trained, about a dozen of them."""
    path = facts.run.path / "scores" / "training.jsonl"
    found = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # torn by a crash
        if isinstance(line, dict) and isinstance(line.get("scores"), dict):
            found.append(line)
    if not found:
        return None
    chosen = [found[i] for i in spaced(len(found), 12)]
    names = list(dict.fromkeys(name for line in chosen for name in line["scores"]))[:8]
    rows = [
        [
            said(line.get("images")),
            *(said(line["scores"].get(name)) for name in names),
            "best so far" if line.get("best") else "",
        ]
        for line in chosen
    ]
    return [
        tag("h3", "During training"),
        table(["images", *names, ""], rows, numeric=range(len(names) + 1)),
    ]
