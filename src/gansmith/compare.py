"""Which is better, and is that sure? Runs by their scores: several seeds a recipe, with confidence intervals.

Only scores of one protocol are compared; where runs share none, the field that differs is named. Runs are of one group
if their recipe, its fields, their data and batch size agree; the seeds of a group say how much its scores vary.
"""

from __future__ import annotations

import base64
import html
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .protocol import Protocol, Scores, differences, scores_of
from .run import write_atomically, write_json

MOST_PICTURE = 2_000_000  # bytes of a picture that is put into the page


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over seeds and its 95 % confidence interval (Student's t)."""

    mean: float
    """Of the values that are finite."""
    half_width: float
    """Of the interval; NaN with one value."""
    values: dict[str, float]
    """By seed."""


@dataclass(frozen=True, kw_only=True)
class Versus:
    """One group against another on one score."""

    first: str
    """A group's label."""
    second: str
    """Another's."""
    metric: str
    """The score."""
    difference: float
    """Mean of second minus first."""
    half_width: float
    """Of the difference's 95 % interval; NaN where one seed says nothing of it."""
    paired: int
    """Seeds that both have and that were subtracted one by one; 0 where the groups were compared as wholes (Welch)."""
    verdict: str
    """`win`, `tie` or `lose` of the first; `unknown` with one seed; empty for a score that has no better direction."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Groups of runs under one protocol."""

    protocol: Protocol
    """Of all scores."""
    groups: dict[str, dict[str, Any]]
    """By label: `recipe`, `fields`, `data`, `runs`, `seeds`, `images`, `seconds`."""
    estimates: dict[str, dict[str, Estimate]]
    """By label and score."""
    floor: dict[str, float]
    """Held-out real samples."""
    control: dict[str, float]
    """A replay of training samples."""
    better: dict[str, str]
    """Which direction is better, by score."""
    versus: tuple[Versus, ...]
    """Every pair on every score."""
    flags: dict[str, list[str]]
    """By label: what was flagged, in how many of its runs."""
    notes: tuple[str, ...]
    """What weakens the comparison."""

    @property
    def headline(self) -> str:
        """The score that groups are ordered by: the first one."""
        return next(iter(self.better))

    def tally(self, label: str) -> dict[str, int]:
        """How many scores a group wins, ties and loses against all others."""
        counts = {"win": 0, "tie": 0, "lose": 0}
        turned = {"win": "lose", "lose": "win", "tie": "tie"}
        for v in self.versus:
            if v.verdict in counts and label in (v.first, v.second):
                counts[v.verdict if v.first == label else turned[v.verdict]] += 1
        return counts

    def to_json(self) -> dict[str, Any]:
        """A JSON object; values that are not finite become null."""
        return {
            "format": 1,
            "protocol": self.protocol.to_json(),
            "groups": self.groups,
            "estimates": {
                label: {m: {"mean": _null(e.mean), "half_width": _null(e.half_width), "values": _nulls(e.values)}
                        for m, e in found.items()}
                for label, found in self.estimates.items()
            },
            "floor": _nulls(self.floor),
            "control": _nulls(self.control),
            "better": self.better,
            "versus": [
                {**vars(v), "difference": _null(v.difference), "half_width": _null(v.half_width)} for v in self.versus
            ],
            "tally": {label: self.tally(label) for label in self.groups},
            "flags": self.flags,
            "notes": list(self.notes),
        }  # fmt: skip


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


# --- choosing ---------------------------------------------------------------------------------------------------------

Members = dict[Path, Scores]


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
        kind = {k: scores.run.get(k) for k in ("recipe", "fields", "digest", "batch_size")}
        key = json.dumps(kind, sort_keys=True)
        found.setdefault(key, {})[path] = scores
        kinds[key] = kind
    labels: dict[str, str] = {}
    for key, kind in kinds.items():
        rivals = [other for k, other in kinds.items() if k != key and other["recipe"] == kind["recipe"]]
        mine = {**(kind["fields"] or {}), "batch_size": kind["batch_size"], "data": str(kind["digest"])[:8]}
        odd = [
            name
            for name, value in mine.items()
            if any(
                value != {**(o["fields"] or {}), "batch_size": o["batch_size"], "data": str(o["digest"])[:8]}.get(name)
                for o in rivals
            )
        ]
        name = Path(str(kind["recipe"])).stem
        labels[key] = " ".join([name, *(f"{field}={mine[field]}" for field in odd)])
    grouped: dict[str, Members] = {}
    for key, members in found.items():
        label = labels[key]
        while label in grouped:
            label += "'"
        grouped[label] = members
    return grouped


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


def _warnings(groups: Mapping[str, Members]) -> list[str]:
    notes = []
    images = {int(s.run.get("images", 0)) for members in groups.values() for s in members.values()}
    if len(images) > 1:
        notes.append(f"the runs were shown {min(images):,} to {max(images):,} images: unequal budgets")
    for label, members in groups.items():
        seeds = [s.run.get("seed") for s in members.values()]
        if len(set(seeds)) < len(seeds):
            notes.append(f"{label} has a seed twice: those runs are no independent repetitions")
        if len(seeds) == 1:
            notes.append(f"{label} has one seed: nothing can be said of its spread")
    if len(groups) > 1:
        notes.append("intervals are of 95 % each, not corrected for the number of comparisons")
    return notes


# --- statistics -------------------------------------------------------------------------------------------------------

_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)


def t_quantile(degrees: float) -> float:
    """The 97.5 % quantile of Student's t; exact to 4 digits (fractional degrees are rounded down, to be safe)."""
    whole = math.floor(degrees)
    if whole < 1:
        return math.nan
    if whole <= len(_T):
        return _T[whole - 1]
    z = 1.959963984540054
    # Expansion in 1/degrees (Abramowitz, Stegun 26.7.5).
    terms = ((z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384)
    return z + sum(term / whole ** (k + 1) for k, term in enumerate(terms))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half width of the 95 % confidence interval (Student's t); NaN width with one value."""
    n = len(values)
    if not n:
        return math.nan, math.nan
    mean = math.fsum(values) / n
    if n < 2:
        return mean, math.nan
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    return mean, t_quantile(n - 1) * deviation / math.sqrt(n)


def welch(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Difference of means (second minus first) and half width of its 95 % interval, variances not assumed equal."""
    means = [math.fsum(v) / len(v) for v in (first, second)]
    if min(len(first), len(second)) < 2:
        return means[1] - means[0], math.nan
    parts = [
        math.fsum((x - m) ** 2 for x in v) / (len(v) - 1) / len(v) for v, m in zip((first, second), means, strict=True)
    ]
    total = sum(parts)
    if total == 0:
        return means[1] - means[0], 0.0
    degrees = total**2 / sum(p**2 / (len(v) - 1) for p, v in zip(parts, (first, second), strict=True))
    return means[1] - means[0], t_quantile(degrees) * math.sqrt(total)


def _estimate(members: Members, name: str) -> Estimate:
    values: dict[str, float] = {}
    for k, scores in enumerate(members.values()):
        seed = str(scores.run.get("seed", k))
        values[seed if seed not in values else f"{seed} ({k})"] = scores.scores[name]
    mean, half_width = interval([v for v in values.values() if math.isfinite(v)])
    return Estimate(mean=mean, half_width=half_width, values=values)


def _badness(value: float, name: str, better: Mapping[str, str], floor: Mapping[str, float]) -> float:
    """Smaller is better, whatever the score's direction."""
    if math.isnan(value):
        return math.inf
    match better[name]:
        case "higher":
            return -value
        case "floor":
            return abs(value - floor.get(name, 0.0))
    return value


def _versus(
    a: str,
    b: str,
    name: str,
    estimates: Mapping[str, Mapping[str, Estimate]],
    better: Mapping[str, str],
    floor: Mapping[str, float],
) -> Versus:
    first, second = ({k: v for k, v in estimates[label][name].values.items() if math.isfinite(v)} for label in (a, b))
    both = sorted(set(first) & set(second))

    def of(turn: Any) -> tuple[float, float, int]:
        x, y = ({k: turn(v) for k, v in side.items()} for side in (first, second))
        if len(both) >= 2:
            return *interval([y[k] - x[k] for k in both]), len(both)
        return (*welch(list(x.values()), list(y.values())), 0) if x and y else (math.nan, math.nan, 0)

    difference, half_width, paired = of(lambda v: v)
    verdict = ""
    if better[name]:
        worse, reach, _ = of(lambda v: _badness(v, name, better, floor))
        verdict = "unknown" if math.isnan(reach) else "tie" if abs(worse) <= reach else "win" if worse > 0 else "lose"
    return Versus(
        first=a, second=b, metric=name, difference=difference, half_width=half_width, paired=paired, verdict=verdict
    )


def _null(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _nulls(values: Mapping[str, float]) -> dict[str, float | None]:
    return {k: _null(v) for k, v in values.items()}


# --- showing ----------------------------------------------------------------------------------------------------------


def table(found: Comparison) -> str:
    """The comparison as text."""
    labels = list(found.groups)
    head = ["", *labels, "floor (real)", "control (replay)", "better"]
    rows = [[name, *(_shown(found.estimates[label][name]) for label in labels), _short(found.floor.get(name)),
             _short(found.control.get(name)), found.better[name]] for name in found.better]  # fmt: skip
    rows.append(["runs", *(str(len(found.groups[label]["runs"])) for label in labels), "", "", ""])
    if len(labels) > 1:
        tallies = [found.tally(label) for label in labels]
        rows.append(["win/tie/lose", *(f"{t['win']}/{t['tie']}/{t['lose']}" for t in tallies), "", "", ""])
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "  ".join(c.ljust(w) if i in (0, len(head) - 1) else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths)))  # noqa: B905
        .rstrip()
        for row in [head, *rows]
    ]  # fmt: skip
    lines += ["", *sentences(found)]
    lines += [f"{label}: {text}" for label, texts in found.flags.items() for text in texts]
    lines += [f"note: {note}" for note in found.notes]
    return "\n".join([*lines, "", protocol_line(found.protocol)])


def sentences(found: Comparison) -> list[str]:
    """Each pair on the headline score, in words."""
    words = {"win": "better", "lose": "worse", "tie": "not clearly different", "unknown": "not known: one seed"}
    lines = []
    for v in found.versus:
        if v.metric != found.headline or not v.verdict:
            continue
        how = f"{v.paired} paired seeds" if v.paired else "unpaired"
        reach = "" if math.isnan(v.half_width) else f" ± {_short(v.half_width)}"
        lines.append(
            f"{v.metric}: {v.first} against {v.second}: {words[v.verdict]} (difference {_short(-v.difference)}{reach}, "
            f"{how})"
        )
    return lines


def protocol_line(p: Protocol) -> str:
    """The protocol in one line."""
    encoder = f"{p.encoder} {p.encoder_sha256[:8]}, resize {p.encoder_resize}" if p.encoder != "none" else "none"
    return (
        f"protocol {p.key}: {p.num_fake:,} samples against {p.num_real:,} of {p.reference}, drawn at random with seed "
        f"{p.reference_seed}; floor from {p.held_out}; {p.container}; encoder {encoder}; weights {p.weights}, "
        f"checkpoint {p.checkpoint}"
    )


def _shown(e: Estimate) -> str:
    return _short(e.mean) + ("" if math.isnan(e.half_width) else f" ± {_short(e.half_width)}")


def _short(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1_000 or value == int(value) else f"{value:.3g}"


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1a1a1a;
  background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
.best { font-weight: 700 } .win { color: #0a6b2d } .lose { color: #a3222b } .tie, .unknown, small { color: #555 }
figure { display: inline-block; margin: 0 1rem 1rem 0; max-width: 20rem } img { max-width: 100% }
figcaption { color: #555 }
@media print { body { margin: 0 } }
"""


def render(found: Comparison) -> str:
    """The comparison as one page without scripts or anything from elsewhere."""
    labels = list(found.groups)

    def cells(values: Sequence[str], tag: str = "td") -> str:
        return "<tr>" + "".join(value if value.startswith("<t") else f"<{tag}>{value}</{tag}>" for value in values)

    def e(text: object) -> str:
        return html.escape(str(text))

    rows = [cells(["score", *map(e, labels), "floor (real)", "control (replay)", "better"], "th")]
    for name, direction in found.better.items():
        means = {
            label: _badness(found.estimates[label][name].mean, name, found.better, found.floor) for label in labels
        }
        best = min(means.values())
        marked = len(labels) > 1 and direction and len({round(m, 12) for m in means.values()}) > 1
        row = [e(name)]
        for label in labels:
            mark = ' class="best"' if marked and means[label] == best else ""
            row.append(f"<td{mark}>{e(_shown(found.estimates[label][name]))}</td>")
        rows.append(cells([*row, _short(found.floor.get(name)), _short(found.control.get(name)), e(direction)]))
    duels = [cells(["score", "first", "second", "second minus first", "seeds", "first"], "th")]
    for v in found.versus:
        if v.verdict:
            reach = "" if math.isnan(v.half_width) else f" ± {_short(v.half_width)}"
            how = f"{v.paired} paired" if v.paired else "unpaired"
            verdict = f'<td class="{v.verdict}">{v.verdict}</td>'
            cell = f"{_short(v.difference)}{reach}"
            duels.append(cells([e(v.metric), e(v.first), e(v.second), cell, how, verdict]))
    runs = [cells(["run", "group", "seed", "images", "seconds", e(found.headline)], "th")]
    for label, about in found.groups.items():
        values = list(found.estimates[label][found.headline].values.values())
        for path, seed, images, seconds, value in zip(
            about["runs"], about["seeds"], about["images"], about["seconds"], values, strict=True
        ):
            runs.append(cells([e(path), e(label), e(seed), f"{images:,}", e(seconds), _short(value)]))
    figures = "".join(
        f'<figure><img alt="samples of {e(label)}" src="data:image/png;base64,{data}"><figcaption>{e(label)}, seed '
        f"{e(about['seeds'][0])}: not chosen, the fixed latents of the run</figcaption></figure>"
        for label, about in found.groups.items()
        if (data := _picture(Path(about["runs"][0])))
    )
    said = [*sentences(found), *(f"{label}: {text}" for label, texts in found.flags.items() for text in texts)]
    items = "".join(f"<li>{e(text)}</li>" for text in said)
    notes = "".join(f"<li>{e(text)}</li>" for text in found.notes)
    record = "".join(cells([e(k), e(v)]) for k, v in found.protocol.to_json().items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Comparison: {e(", ".join(labels))}</title><style>{_STYLE}</style></head><body>
<h1>Comparison of {e(", ".join(labels))}</h1>
<p>Mean over seeds ± half of the 95 % confidence interval (Student's t). The floor is what held-out real samples score,
the control what a replay of the training data scores. Bold: the best mean, which is not to say that the difference is
sure.</p>
<div class="wide"><table>{"".join(rows)}</table></div>
<ul>{items}</ul>
{figures}
<h2>Each against each</h2>
<div class="wide"><table>{"".join(duels)}</table></div>
<h2>What weakens this</h2><ul>{notes}</ul>
<h2>Runs</h2><div class="wide"><table>{"".join(runs)}</table></div>
<h2>Protocol {e(found.protocol.key)}</h2><div class="wide"><table>{record}</table></div>
</body></html>
"""


def _picture(run: Path) -> str:
    """The last picture of a run's samples, in base64; nothing if there is none."""
    found = sorted((run / "samples").glob("*.png"))
    if not found or found[-1].stat().st_size > MOST_PICTURE:
        return ""
    return base64.b64encode(found[-1].read_bytes()).decode()
