"""Which is better, and is that sure? Runs by their scores: several seeds a recipe, with confidence intervals.

Only scores of one protocol are compared; where runs share none, the field that differs is named. Runs are of one group
if their recipe, its fields, their data, batch size and precision agree; the seeds of a group say how much its scores
vary.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files import write_atomically, write_json
from ..judge.protocol import Scores, differences, scores_of
from ..settle import checked
from .comparison import Comparison
from .page import render
from .statistics import Members, _badness, _estimate, _versus


@checked
def compare(
    runs: Sequence[str | Path],
    *,
    metrics: Sequence[str] = (),
    protocol: str = "",
    out: str | Path | None = None,
    notes: Sequence[str] = (),
) -> Comparison:
    """Compare scored runs; with `out`, write `compare.json` and `compare.html` there.

    Args:
        runs: their directories.
        metrics: names of scores to compare, such as `FD-own`; by default all that every run has.
        protocol: the key (8 hex digits) of the protocol to compare under, where the runs share several; by default
            the one scored last.
        out: a folder.
        notes: what the reader should know beside.

    Raises:
        FileNotFoundError: a run was not scored.
        ValueError: the runs share no protocol (the message names the fields), or lack a score.
    """
    paths = [Path(run) for run in dict.fromkeys(map(str, runs))]
    if not paths:
        raise ValueError("name at least one run to compare")
    chosen = _choose(paths, protocol)
    names = list(next(iter(chosen.values())).scores)
    names = [name for name in names if all(name in s.scores for s in chosen.values())]
    if metrics:
        if lacking := [m for m in metrics if m not in names]:
            raise ValueError(f"not every run has the score {lacking[0]!r}; all have {', '.join(names)}")
        names = list(metrics)
    if not names:
        raise ValueError("the runs have no score in common: evaluate them with the same --metrics")
    first = next(iter(chosen.values()))
    groups = _grouped(chosen)
    estimates = {label: {name: _estimate(members, name) for name in names} for label, members in groups.items()}
    better = {name: first.better.get(name, "") for name in names}
    headline = names[0]
    order = sorted(groups, key=lambda label: _badness(estimates[label][headline].mean, headline, better, first.floor))
    versus = tuple(
        _versus(a, b, name, estimates, better, first.floor)
        for a, b in itertools.combinations(order, 2)
        for name in names
    )
    comparison = Comparison(
        protocol=first.protocol,
        groups={label: _about(groups[label]) for label in order},
        estimates={label: estimates[label] for label in order},
        floor={name: first.floor[name] for name in names if name in first.floor},
        control={name: first.control[name] for name in names if name in first.control},
        better=better,
        versus=versus,
        flags={label: _flagged(groups[label]) for label in order},
        notes=(*notes, *_warnings(groups)),
    )
    if out is not None:
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "compare.json", comparison.to_json())
        page = render(comparison)
        write_atomically(folder / "compare.html", lambda part: part.write_text(page, encoding="utf-8"))
    return comparison


def _choose(paths: Sequence[Path], wanted: str) -> Members:
    """The scores of each run under one protocol: the furthest training state, then the latest."""
    found: dict[Path, dict[str, Scores]] = {}
    for path in paths:
        if not (path / "run.json").is_file():
            raise FileNotFoundError(f"no run at {path}: it holds no run.json")
        every = scores_of(path)
        if not every:
            raise FileNotFoundError(f"{path} has not been scored: gansmith evaluate {path}")
        found[path] = {s.protocol.key: s for s in every}
    shared = set.intersection(*(set(by_key) for by_key in found.values()))
    if wanted:
        if wanted not in shared:
            without = next((str(p) for p, by_key in found.items() if wanted not in by_key), "none")
            raise ValueError(
                f"{without} has no scores under protocol {wanted}; all share {', '.join(shared) or 'none'}"
            )
        return {path: by_key[wanted] for path, by_key in found.items()}
    if not shared:
        raise ValueError(_refusal(found))
    latest = max(shared, key=lambda key: max(by_key[key].created for by_key in found.values()))
    return {path: by_key[latest] for path, by_key in found.items()}


def _refusal(found: Mapping[Path, Mapping[str, Scores]]) -> str:
    """Why the runs do not compare: the nearest protocols of the first two that share none, and how they differ."""
    for (a, first), (b, second) in itertools.combinations(found.items(), 2):
        if set(first) & set(second):
            continue
        pairs = itertools.product(first.values(), second.values())
        told = min((differences(x.protocol, y.protocol) for x, y in pairs), key=len)
        return (
            f"scores of {a} and {b} do not compare: {'; '.join(told)}. Evaluate both with the same options, or compare "
            "each with its like"
        )
    return "these runs share no protocol, though each two of them do: evaluate all with the same options"


def _grouped(chosen: Members) -> dict[str, Members]:
    """The runs by what they are, labelled by recipe and by the fields in which groups of a recipe differ."""
    found: dict[str, Members] = {}
    kinds: dict[str, Mapping[str, Any]] = {}
    for path, scores in chosen.items():
        kind = {k: scores.run.get(k) for k in ("recipe", "fields", "digest", "batch_size", "source_sha256")}
        kind["precision"] = _setting(scores, "precision")
        key = json.dumps(kind, sort_keys=True)
        found.setdefault(key, {})[path] = scores
        kinds[key] = kind
    labels: dict[str, str] = {}
    for key, kind in kinds.items():
        rivals = [other for k, other in kinds.items() if k != key and other["recipe"] == kind["recipe"]]
        mine = _distinctions(kind)
        odd = [name for name, value in mine.items() if any(value != _distinctions(o).get(name) for o in rivals)]
        name = Path(str(kind["recipe"])).stem
        labels[key] = " ".join([name, *(f"{field}={mine[field]}" for field in odd)])
    grouped: dict[str, Members] = {}
    for key, members in found.items():
        label = labels[key]
        while label in grouped:
            label += "'"
        grouped[label] = members
    return grouped


def _distinctions(kind: Mapping[str, Any]) -> dict[str, Any]:
    """All in which groups of one recipe may differ, as their labels name it."""
    return {
        **(kind["fields"] or {}),
        "batch_size": kind["batch_size"],
        "data": str(kind["digest"])[:8],
        "precision": kind["precision"],
        "file": str(kind["source_sha256"])[:8],
    }


def _setting(scores: Scores, name: str) -> Any:
    """How a run was computed; None where its scores were written before that was recorded."""
    return (scores.run.get("setting") or {}).get(name)


def _about(members: Members) -> dict[str, Any]:
    first = next(iter(members.values())).run
    return {
        "recipe": first.get("recipe"),
        "fields": first.get("fields"),
        "data": first.get("data"),
        "runs": [str(path) for path in members],
        "seeds": [scores.run.get("seed") for scores in members.values()],
        "images": [scores.run.get("images") for scores in members.values()],
        "seconds": [scores.run.get("seconds") for scores in members.values()],
        "precision": _setting(next(iter(members.values())), "precision"),
        "layouts": [_layout(scores) for scores in members.values()],
    }


def _flagged(members: Members) -> list[str]:
    texts = []
    total = len(members)
    for name, calm in (("collapsed", "no"), ("copying", "no"), ("classes_missing", "none"), ("modes_missing", "0")):
        raised = [s.flags[name] for s in members.values() if s.flags.get(name, calm) != calm]
        if raised:
            texts.append(f"{name.replace('_', ' ')}: {raised[0]} ({len(raised)} of {total})")
    if blind := [s for s in members.values() if s.flags.get("control_flagged") == "no"]:
        texts.append(f"the control was not flagged ({len(blind)} of {total})")
    return texts


def _layout(scores: Scores) -> str | None:
    last = _setting(scores, "channels_last")
    return None if last is None else "nhwc" if last else "nchw"


def _listed(values: Iterable[Any]) -> str:
    return " and ".join(sorted("one not recorded" if value is None else str(value) for value in values))


def _warnings(groups: Mapping[str, Members]) -> list[str]:
    notes = []
    images = {int(s.run.get("images", 0)) for members in groups.values() for s in members.values()}
    if len(images) > 1:
        notes.append(f"the runs were shown {min(images):,} to {max(images):,} images: unequal budgets")
    every = [s for members in groups.values() for s in members.values()]
    if len(precisions := {_setting(s, "precision") for s in every}) > 1:
        notes.append(f"the runs were trained in {_listed(precisions)}: a difference may be one of precision")
    if len(layouts := {_layout(s) for s in every}) > 1:
        notes.append(f"the runs were trained in layouts {_listed(layouts)}: they round in other places")
    for label, members in groups.items():
        seeds = [s.run.get("seed") for s in members.values()]
        if len(set(seeds)) < len(seeds):
            notes.append(f"{label} has a seed twice: those runs are no independent repetitions")
        if len(seeds) == 1:
            notes.append(f"{label} has one seed: nothing can be said of its spread")
    if len(groups) > 1:
        notes.append("intervals are of 95 % each, not corrected for the number of comparisons")
    return notes
