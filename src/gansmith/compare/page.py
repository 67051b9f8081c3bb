"""A comparison in words, as a table, and as one HTML page."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Sequence
from pathlib import Path

from ..judge.protocol import Protocol
from ..show.words import number
from .comparison import Comparison
from .statistics import Estimate, _badness

MOST_PICTURE = 2_000_000  # bytes of a picture that is put into the page


def table(found: Comparison) -> str:
    """The comparison as text."""
    labels = list(found.groups)
    head = ["", *labels, "floor (real)", "control (replay)", "better"]
    rows = [[name, *(_shown(found.estimates[label][name]) for label in labels), number(found.floor.get(name)),
             number(found.control.get(name)), found.better[name]] for name in found.better]  # fmt: skip
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
        reach = "" if math.isnan(v.half_width) else f" ± {number(v.half_width)}"
        lines.append(
            f"{v.metric}: {v.first} against {v.second}: {words[v.verdict]} (difference {number(-v.difference)}{reach}, "
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
    return number(e.mean) + ("" if math.isnan(e.half_width) else f" ± {number(e.half_width)}")


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
        rows.append(cells([*row, number(found.floor.get(name)), number(found.control.get(name)), e(direction)]))
    duels = [cells(["score", "first", "second", "second minus first", "seeds", "first"], "th")]
    for v in found.versus:
        if v.verdict:
            reach = "" if math.isnan(v.half_width) else f" ± {number(v.half_width)}"
            how = f"{v.paired} paired" if v.paired else "unpaired"
            verdict = f'<td class="{v.verdict}">{v.verdict}</td>'
            cell = f"{number(v.difference)}{reach}"
            duels.append(cells([e(v.metric), e(v.first), e(v.second), cell, how, verdict]))
    runs = [cells(["run", "group", "seed", "images", "seconds", e(found.headline)], "th")]
    for label, about in found.groups.items():
        values = list(found.estimates[label][found.headline].values.values())
        for path, seed, images, seconds, value in zip(
            about["runs"], about["seeds"], about["images"], about["seconds"], values, strict=True
        ):
            runs.append(cells([e(path), e(label), e(seed), f"{images:,}", e(seconds), number(value)]))
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
