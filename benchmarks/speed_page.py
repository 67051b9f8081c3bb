"""docs/speed.md, written from benchmarks/results/speed.json: `python -m benchmarks --page`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import RESULTS

PAGE = Path(__file__).parents[1] / "docs" / "speed.md"

HEAD = """# Speed

Written by `python -m benchmarks --page` from `benchmarks/results/speed.json`; do not edit by hand. Measured by
`python -m benchmarks` on {machine}.

"""

TRAINING = """## Training beside the plain loop

The plain loop is what tutorials and papers' scripts teach (`benchmarks/plain.py`): a DataLoader with a transform for
each sample, Sigmoid and BCELoss, `zero_grad` and `backward`, Adam by default, `.item()` at every step; the networks,
batch and losses are ours. Ours is the engine's step with data, moving average and what it chose by timing. Both sides
take turns in processes of their own; ratios are medians of the rounds' ratios.

"""

RANKS = """
`--ranks 2` trains with two processes of one thread each; batch norm takes the statistics of both, an exchange for each
layer. "exchange" is the share of time that gradients' means take.
"""

BOUND = """Images a second; of the peak: plain and ours, each of the highest figure of its precision among the machine's
peaks. Where the plain loop already reaches a share p of fp32's peak, a ratio above (bf16's peak / fp32's) / p would
need fewer operations, whatever the code.

Memory: the most that each process held; in brackets, pages of files at the end: libraries, and the packed data of ours,
which the system takes back when it needs them, where the plain loop keeps an array of its own.
"""

GPU = """## Compiled and captured steps

`--graphs capture` captures the step as CUDA graphs on a GPU, one for each pattern of due turns; `--graphs compile`
compiles the losses. No GPU was at hand: **capturing has not run on one yet.** What is tested on a CPU is the plan of
patterns, the static buffers, and that steps taken through them equal the eager ones to the bit.
"""


def _machine(found: dict[str, Any]) -> str:
    flags = f" ({', '.join(found['flags'])})" if found.get("flags") else ""
    gpu = "" if found["gpu"] == "none" else f", {found['gpu']}"
    return f"{found['processor']}{flags}, {found['cores']} cores{gpu}, PyTorch {found['torch']}, {found['date']}"


def _of_peak(side: dict[str, Any], peaks: dict[str, Any]) -> str:
    if "gflop_per_second" not in side:
        return "-"
    best = max(v for k, v in peaks.items() if k.endswith("gflops") and side["how"][:4] in k)
    return f"{100 * side['gflop_per_second'] / best:.0f} %"


def _training(rows: list[dict[str, Any]], peaks: dict[str, Any] | None) -> str:
    lines = ["| | workload | plain | ours | ratio | two ranks | ratio | exchange | of the peak | memory | ours is |"]
    lines.append("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|")
    for row in rows:
        plain, ours, two = (row["sides"].get(k) for k in ("plain", "ours", "ours, 2 ranks"))
        share = "-"
        if peaks:
            share = f"{_of_peak(plain, peaks)}, {_of_peak(ours, peaks)}"
        more = "- | - | -"
        if two:
            more = f"{_rate(two)} | {two['ratio']:.2f} | {100 * two['exchange_share']:.0f} %"
        rates = f"{_rate(plain)} | {_rate(ours)}"
        memory = f"{plain['peak_mib']}, {ours['peak_mib']} MiB"
        if "files_mib" in ours:
            memory += f" (files {plain['files_mib']}, {ours['files_mib']})"
        cells = (row["letter"], row["what"], rates, f"{ours['ratio']:.2f}", more, share, memory, ours["how"])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n\n" + BOUND


def _rate(side: dict[str, Any]) -> str:
    """Images a second, to four digits, written out."""
    found = side["images_per_second"]
    return f"{found:.4g}" if found < 1000 else f"{float(f'{found:.4g}'):,.0f}"


def _table(rows: list[dict[str, Any]]) -> str:
    heads = list(rows[0])
    lines = [f"| {' | '.join(h.replace('_', ' ') for h in heads)} |", "|" + "---:|" * len(heads)]
    return "\n".join([*lines, *(f"| {' | '.join(f'{_shown(row[h])}' for h in heads)} |" for row in rows)]) + "\n"


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)


def _facts(found: dict[str, Any]) -> str:
    rows = []
    for key, value in found.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k.replace('_', ' ')} {v:,}" for k, v in value.items())
        rows.append(
            f"| {key.replace('_', ' ')} | {value:,} |" if isinstance(value, int | float) else f"| {key} | {value} |"
        )
    return "\n".join(["| | |", "|---|---:|", *rows]) + "\n"


def _until() -> str:
    """Seconds to a distance on MNIST, if that was measured."""
    path = RESULTS / "until.json"
    if not path.is_file():
        return ""
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        {"side": r["side"], "seed": r["seed"], "runs in": r["how"]}
        | {"seconds": r["seconds"], "images": r["images"], "distance": r["way"][-1][2]}
        for r in found["rows"]
    ]
    return (
        f"## Seconds of training until MNIST at 32 px has a Frechet distance of {found['fd']:g}\n\n{_table(rows)}\n"
        "`python -m benchmarks.until`: 5,000 samples in the features of the judge's own encoder, looked at every few "
        "thousand images;\nthe plain loop of (b), our DCGAN with the same networks, and the default recipe.\n\n"
    )


def _parity() -> str:
    """Whether bf16 costs quality: the same runs in both precisions, if they were made."""
    rows: dict[tuple[str, str], list[float]] = {}
    shown = 0
    for precision in ("fp32", "bf16"):
        path = RESULTS / f"precision_{precision}.json"
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            shown = found["images"]
            for row in found["rows"]:
                rows.setdefault((row["recipe"], precision), []).append(row["FD-own"])
    if not rows:
        return ""
    lines = [
        {"recipe": recipe, "precision": precision, "distance, by seed": ", ".join(f"{v:g}" for v in values)}
        | {"mean": round(sum(values) / len(values), 2)}
        for (recipe, precision), values in rows.items()
    ]
    return (
        f"## What bf16 costs: Frechet distance on MNIST after {shown:,} images\n\n{_table(lines)}\n"
        "`python -m benchmarks.mnist r3gan --precision fp32 --seeds 0 1 2 --name precision_fp32`, and so on.\n\n"
    )


def write() -> Path:
    """Write the page; returns its path."""
    path = RESULTS / "speed.json"
    if not path.is_file():
        PAGE.write_text("# Speed\n\nNot measured yet: run `python -m benchmarks` on an idle machine.\n\n" + GPU)
        return PAGE
    found = json.loads(path.read_text(encoding="utf-8"))
    text = HEAD.format(machine=_machine(found["machine"]))
    if found.get("training"):
        loads = [row["load_average"] for row in found["training"]]
        text += f"Load average after a workload, its own processes included: {min(loads)} to {max(loads)}.\n\n"
        text += TRAINING + _training(found["training"], found.get("peaks")) + RANKS + "\n"
    text += _until() + _parity()
    for key, title in (
        ("peaks", "The machine's peaks"),
        ("loading", "Packing and loading"),
        ("disk", "A store on a cold disk"),
        ("start_up", "Start-up"),
        ("sampling", "Sampling"),
    ):
        if key in found:
            text += f"## {title}\n\n{_facts(found[key])}\n"
    if "frechet" in found:
        text += f"## Frechet distance of N x 2048 features\n\n{_table(found['frechet'])}\n"
    if "patches" in found:
        text += f"## Convolutions to and from pictures of few channels\n\n{_table(found['patches'])}\n"
    for key, what in (
        ("batch", "with the batch (r3gan at 32 px, fp32)"),
        ("side", "with the picture's side (r3gan, batch 32, fp32)"),
        ("samples", "of a batch of 64 with the number of samples (16 x 16 pixels)"),
    ):
        if key in found.get("growth", {}):
            text += f"## Growth {what}\n\n{_table(found['growth'][key])}\n"
    PAGE.write_text(text + GPU, encoding="utf-8")
    return PAGE
