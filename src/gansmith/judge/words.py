"""What scores mean in words: which direction is better, what is flagged, and the table that is printed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .kinds.image import Judge, Values
from .kinds.text import NLL, ORACLE_NLL, TextJudge
from .protocol import Scores

_BETTER = {
    **dict.fromkeys(("precision", "recall", "density", "coverage", "classes", "modes", "Vendi"), "higher"),
    **dict.fromkeys(("class KL", "duplicates", "exact copies", "reverse KL", "sliced W2", "C2ST"), "lower"),
    **dict.fromkeys(("spread", "confidence", "near copies", "authenticity", "C_T", "high quality"), "floor"),
    **dict.fromkeys(("mode width", "1-NN real", "1-NN fake", "nearer to training"), "floor"),
    **dict.fromkeys(("distinct-2", "tokens a line"), "floor"),
    **dict.fromkeys(("column shapes", "pair trends"), "higher"),
    **dict.fromkeys((f"{kind} accuracy{least}" for kind in ("label", "code") for least in ("", ", lowest")), "higher"),
    **dict.fromkeys((NLL, ORACLE_NLL), "lower"),
}


def better(name: str) -> str:
    """Which direction of a score is better: `lower`, `higher`, or `floor` (as near to the floor as can be)."""
    if name.startswith(("FD", "KD", "FID", "KID")):
        return "lower"
    if name.startswith(("BLEU", "self-BLEU")):
        return "floor"
    return "higher" if name.startswith(("IS", "F1", "R2")) else _BETTER.get(name, "")


def _copying(values: Values, floor: Values) -> str:
    """Whether samples are copies: `yes`, `perhaps` or `no`, in comparison with held-out real samples."""
    if "authenticity" not in values:
        return ""
    if values["exact copies"] > floor["exact copies"] + 0.05:
        return "yes"
    nearer = values.get("C_T", -math.inf) < -3  # too few samples for it: the other alone decides
    few = values["exact copies"] > floor["exact copies"] + 0.005
    if nearer and values["authenticity"] < floor["authenticity"] / 2:
        return "yes"
    return "perhaps" if few or (nearer and values["authenticity"] < floor["authenticity"] - 0.1) else "no"


def flags_of(
    values: Values, floor: Values, control: Values, more: Mapping[str, Any], classes: Sequence[str]
) -> dict[str, str]:
    """What is wrong with the samples, by name: copying, collapse, missing classes or modes."""
    flags = {}
    if copying := _copying(values, floor):
        flags["copying"] = copying
        blind = {**control, "exact copies": floor["exact copies"]}  # near copies must be seen without exact ones
        flags["control_flagged"] = "yes" if _copying(blind, floor) == "yes" else "no"
    if "spread" in values:
        alike = values["spread"] < 0.25 or values["duplicates"] > floor["duplicates"] + 0.2
        some = values["spread"] < 0.6 or values["duplicates"] > floor["duplicates"] + 0.01
        flags["collapsed"] = "yes" if alike else "perhaps" if some else "no"
    if "missing" in more:
        missing = [classes[k] if k < len(classes) else str(k) for k in more["missing"]]
        flags["classes_missing"] = ", ".join(missing) or "none"
        if len(missing) >= max(2, 0.5 * floor["classes"]):
            flags["collapsed"] = "yes"
    if "modes" in values:
        flags["modes_missing"] = str(more["modes"] - int(values["modes"]))
        if values["modes"] <= more["modes"] / 4:
            flags["collapsed"] = "yes"
    return flags


def sentences(
    judge: Judge | TextJudge, values: Values, floor: Values, flags: Mapping[str, str], more: Mapping[str, Any]
) -> list[str]:
    """The scores in words."""
    lines = []
    if judge.frechet in values:
        text = f"{judge.frechet} {number(values[judge.frechet])}; held-out real samples score "
        lines.append(f"{text}{number(floor[judge.frechet])}, and no model can be asked for less")
    if "modes" in values:
        lines.append(
            f"modes: {values['modes']:.0f} of {more['modes']}; {values['high quality']:.1%} of high quality, of a "
            f"perfect sampler {more['ceiling']:.1%}; reverse KL {number(values['reverse KL'])}, of a perfect sampler "
            f"about {number(more['kl_floor'])}"
        )
    if "BLEU-4" in values and "self-BLEU-4" in values:
        lines.append(
            f"BLEU-4 {number(values['BLEU-4'])} (held-out lines {number(floor['BLEU-4'])}) at self-BLEU-4 "
            f"{number(values['self-BLEU-4'])} ({number(floor['self-BLEU-4'])}): a higher BLEU bought with a higher "
            "self-BLEU is caution, not quality; a lower sampling temperature does the same"
        )
    if "collapsed" in flags:
        words = {"no": "no", "perhaps": "in part", "yes": "YES: samples are much more alike than real ones"}
        lines.append(f"collapsed: {words[flags['collapsed']]}")
    if "classes_missing" in flags:
        lines.append(f"classes missing: {flags['classes_missing']}")
    if "asked" in more and isinstance(judge, Judge):
        lines.append(_obeyed(values, more["asked"], judge.spec.classes))
    if "copying" in flags:
        words = {
            "no": "no",
            "perhaps": "perhaps: look at the closest pairs",
            "yes": "YES: samples are training samples, or nearly so",
        }
        lines.append(f"copies of training data: {words[flags['copying']]}")
    if flags.get("control_flagged") == "yes":
        lines.append("the control, a replay of training data, was flagged as copying: these tests can see it")
    return lines


def _obeyed(values: Values, asked: Mapping[str, Any], classes: Sequence[str]) -> str:
    """How often samples are what was asked for, in words."""
    share = {i: v for i, v in enumerate(asked["by_class"]) if not math.isnan(v)}
    worst = min(share, key=lambda i: share[i])
    if asked["name"] == "label accuracy":
        whose, which = "the class asked for", f"class {classes[worst]}"
    else:
        own = asked["mapping"][worst]
        whose = "the class that its code was matched to"
        which = f"code {worst}, matched to {classes[own] if own >= 0 else 'no class'}"
    real = "" if math.isnan(asked["real"]) else f" (the same classifier on held-out real data: {asked['real']:.1%})"
    text = f"a fixed classifier sees {whose} in {values[asked['name']]:.1%} of samples{real}"
    return f"{text}; least, {share[worst]:.1%}, for {which}"


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
