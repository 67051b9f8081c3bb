"""What scores mean in words: what is flagged, sentences, and the table that is printed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from . import labels
from .judge import Judge, Judgement, Values
from .protocol import Scores

_COLLAPSED = {"no": "no", "perhaps": "in part", "yes": "YES: samples are much more alike than real ones"}
_COPYING = {
    "no": "no",
    "perhaps": "perhaps: look at the closest pairs",
    "yes": "YES: samples are training samples, or nearly so",
}


def copying_flags(values: Values, floor: Values, control: Values) -> dict[str, str]:
    """`copying`, and whether the control is flagged by its near copies alone; nothing where no distances were taken."""
    if "authenticity" not in values:
        return {}
    blind = {**control, "exact copies": floor["exact copies"]}  # near copies must be seen without exact ones
    flagged = "yes" if _copying(blind, floor) == "yes" else "no"
    return {"copying": _copying(values, floor), "control_flagged": flagged}


def _copying(values: Values, floor: Values) -> str:
    """Whether samples are copies: `yes`, `perhaps` or `no`, in comparison with held-out real samples."""
    if values["exact copies"] > floor["exact copies"] + 0.05:
        return "yes"
    nearer = values.get("C_T", -math.inf) < -3  # too few samples for it: the other alone decides
    few = values["exact copies"] > floor["exact copies"] + 0.005
    if nearer and values["authenticity"] < floor["authenticity"] / 2:
        return "yes"
    return "perhaps" if few or (nearer and values["authenticity"] < floor["authenticity"] - 0.1) else "no"


def variety_flag(values: Values, floor: Values) -> dict[str, str]:
    """`collapsed`, by the spread of features and equal samples; nothing where those were not scored."""
    if "spread" not in values:
        return {}
    alike = values["spread"] < 0.25 or values["duplicates"] > floor["duplicates"] + 0.2
    some = values["spread"] < 0.6 or values["duplicates"] > floor["duplicates"] + 0.01
    return {"collapsed": "yes" if alike else "perhaps" if some else "no"}


def class_flags(judgement: Judgement, floor: Values, classes: Sequence[str]) -> dict[str, str]:
    """`classes_missing`, and `collapsed` where half of them are; nothing where no classifier looked."""
    if not judgement.shares:
        return {}
    missing = [classes[k] if k < len(classes) else str(k) for k in judgement.missing]
    collapsed = {"collapsed": "yes"} if len(missing) >= max(2, 0.5 * floor["classes"]) else {}
    return {"classes_missing": ", ".join(missing) or "none", **collapsed}


def headline(name: str, values: Values, floor: Values) -> list[str]:
    """A distance beside that of held-out real samples; nothing where it was not taken."""
    if name not in values:
        return []
    real = number(floor[name])
    return [f"{name} {number(values[name])}; held-out real samples score {real}, and no model can be asked for less"]


def sentences(judge: Judge, judgement: Judgement, floor: Values, flags: Mapping[str, str]) -> list[str]:
    """The scores in words: those of the kind first."""
    lines = list(judge.sentences(judgement, floor))
    if "collapsed" in flags:
        lines.append(f"collapsed: {_COLLAPSED[flags['collapsed']]}")
    if "classes_missing" in flags:
        lines.append(f"classes missing: {flags['classes_missing']}")
    if judgement.obedience is not None:
        lines.append(labels.sentence(judgement.values, judgement.obedience, judge.spec.classes))
    if "copying" in flags:
        lines.append(f"copies of training data: {_COPYING[flags['copying']]}")
    if flags.get("control_flagged") == "yes":
        lines.append("the control, a replay of training data, was flagged as copying: these tests can see it")
    return lines


def table(scores: Scores) -> str:
    """The scores as a table, with what they mean in words."""
    arrows = {"lower": "lower is better", "higher": "higher is better", "floor": "as the floor is best", "": ""}
    head = ("", "model", "floor (real)", "control (replay)", "")
    rows = [
        (
            name,
            number(value),
            number(scores.floor.get(name, math.nan)),
            number(scores.control.get(name, math.nan)),
            arrows[scores.better.get(name, "")],
        )
        for name, value in scores.scores.items()
    ]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(4)]
    p = scores.protocol
    lines = [
        f"{a:{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}  {e}".rstrip()
        for a, b, c, d, e in (head, *rows)
    ]
    lines += ["", *scores.reading]
    lines += [f"note: {note}" for note in scores.notes]
    encoder = f"{p.encoder} {p.encoder_sha256[:8]} (resize {p.encoder_resize})" if p.encoder != "none" else "none"
    which = f", weights {p.weights}, checkpoint {p.checkpoint}" if p.weights else ""
    lines += [
        "",
        f"protocol {p.key}: {p.num_fake:,} samples against {p.num_real:,} of {p.reference}, drawn at random with seed "
        f"{p.reference_seed}; floor from {p.held_out}; {p.container}{', quantised' if p.quantised else ''}; encoder "
        f"{encoder}{which}",
    ]
    return "\n".join(lines)


def number(value: float | None) -> str:
    """A score as it is printed; `-` if there is none."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1_000 or value == int(value) else f"{value:.3g}"
