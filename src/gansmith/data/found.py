"""What was found in a source, and how it is told."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .pack import Quarantined


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found. Sizes are (height, width)."""

    source: str
    kind: str
    """`image`, `vector`, `pairs`, `domains`, `table` or `text`."""
    found: int
    """Pictures or rows, bad ones included."""
    usable: int
    """Those whose header (and pixels, if decoded) are fine."""
    decoded: int
    """How many were decoded to the last pixel; of the others only the header was read."""
    sizes: tuple[tuple[int, int, int], ...] = ()
    """(height, width, count), most common first, at most 20."""
    num_sizes: int = 0
    modes: dict[str, int]
    """Pixel formats (Pillow's names for files, dtypes for arrays) and their counts."""
    formats: dict[str, int]
    depths: dict[str, int]
    classes: dict[str, int]
    duplicates: int
    """How many repeat an earlier one byte for byte."""
    duplicate_groups: tuple[tuple[str, ...], ...]
    """Names of equal ones, at most 20 groups of at most 5."""
    constant: int
    """Pictures of a single colour, among those decoded."""
    quarantined: tuple[Quarantined, ...]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]
    shape: tuple[int, ...]
    """Of one sample as trained: (C, H, W) or (D,); empty if training cannot start."""
    dtype: str
    problem: str
    """Why training cannot start as things are; empty if it can."""
    warnings: tuple[str, ...]
    parts: dict[str, Report] = field(default_factory=dict)
    """Of pairs and domains: what each of the two sets holds."""
    columns: tuple[str, ...] = ()
    """A line for each column of a table."""
    facts: tuple[str, ...] = ()
    """What else there is to know of this kind of data, in words."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return dataclasses.asdict(self)


FEW = 1000


def warnings_of(usable: int, classes: dict[str, int], duplicates: int, constant: int, quarantined: int) -> list[str]:
    """What may spoil training or its judgement."""
    found = []
    if usable < FEW:
        found.append(
            f"only {usable} samples: a GAN overfits below about {FEW}; augmentation helps, and so does a gentle recipe"
        )
    if small := [name for name, n in classes.items() if n <= 1]:
        found.append(f"{len(small)} classes with at most one sample, such as {small[0]}")
    if classes and (least := min(classes.values())) > 1 and (most := max(classes.values())) > 10 * least:
        found.append(f"classes are imbalanced: from {least} to {most} samples")
    if duplicates > 0.05 * usable:
        found.append(f"{duplicates} of {usable} repeat an earlier one exactly: the score will flatter memorising")
    if constant:
        found.append(f"{constant} pictures have a single colour")
    if quarantined > 0.05 * max(usable, 1):
        found.append(f"{quarantined} files or rows are left out")
    return found


def describe(report: Report) -> str:
    """The report as lines of text."""
    what = {"image": "pictures", "vector": "vectors", "pairs": "pairs", "domains": "pictures a set"}
    what |= {"table": "rows", "text": "lines of text"}
    if report.parts:
        return _describe_two(report, what[report.kind])
    lines = [f"{report.source}: {report.found:,} {what[report.kind]}, {report.usable:,} usable"]
    if report.decoded < report.found:
        lines.append(f"  decoded to the last pixel: {report.decoded:,}; of the others only the header was read")
    lines += [f"  {fact}" for fact in report.facts]
    if report.sizes:
        listed = ", ".join(f"{h}x{w} ({n:,})" for h, w, n in report.sizes[:5])
        more = f" and {report.num_sizes - 5:,} more" if report.num_sizes > 5 else ""
        lines.append(f"  height x width: {listed}{more}")
    lines += [f"  {line}" for line in report.columns]
    for title, counts in (("format", report.formats), ("pixels", report.modes), ("depth", report.depths)):
        if counts and report.kind not in ("table", "text"):
            lines.append(f"  {title}: {_listed(counts)}")
    if report.classes:
        lines.append(f"  {len(report.classes)} classes: {_listed(report.classes)}")
    if report.duplicates:
        first = report.duplicate_groups[0]
        lines.append(f"  exact duplicates: {report.duplicates:,}, such as {' = '.join(first[:2])}")
    if report.ignored:
        lines.append(f"  not pictures: {len(report.ignored):,}, such as {', '.join(report.ignored[:3])}")
    if report.quarantined:
        lines.append(f"  left out: {len(report.quarantined):,}")
        for reason, n in Counter(q.reason for q in report.quarantined).most_common(5):
            example = next(q.name for q in report.quarantined if q.reason == reason)
            lines.append(f"    {n:,} x {reason}: {example}")
    lines += [f"  note: {note}" for note in report.notes]
    lines += [f"  warning: {warning}" for warning in report.warnings]
    if report.problem:
        lines.append(f"  training cannot start: {report.problem}")
    else:
        epochs = 200_000 / report.usable if report.usable else 0.0
        shape = (
            "x".join(map(str, report.shape[1:])) + f" in {report.shape[0]} channels"
            if report.kind in ("image", "pairs", "domains")
            else f"{report.shape[0]} { {'table': 'columns', 'text': 'tokens'}.get(report.kind, 'numbers') }"
        )
        lines.append(f"  training would see: {shape}, {report.dtype}; 200,000 samples shown are {epochs:.1f} epochs")
    return "\n".join(lines)


def _describe_two(report: Report, what: str) -> str:
    most = "at most " if report.kind == "pairs" and report.quarantined else ""
    lines = [f"{report.source}: {report.found:,} {what}, {most}{report.usable:,} usable"]
    for name, part in report.parts.items():
        lines += [
            f"  {name}: {line.strip()}" for line in describe(part).splitlines() if "samples shown are" not in line
        ]
        if part.shape:
            lines.append(f"  {name}: {part.shape[1]}x{part.shape[2]} in {part.shape[0]} channels, {part.dtype}")
    own = {(q.name, q.reason) for part in report.parts.values() for q in part.quarantined}
    lines += [f"  left out: {q.name}: {q.reason}" for q in report.quarantined if (q.name, q.reason) not in own][:8]
    lines += [f"  note: {note}" for note in report.notes]
    lines += [f"  warning: {warning}" for warning in report.warnings]
    if report.problem:
        lines.append(f"  training cannot start: {report.problem}")
    elif report.usable:
        lines.append(f"  200,000 samples shown are {200_000 / report.usable:.1f} epochs")
    return "\n".join(lines)


def _listed(counts: dict[str, int]) -> str:
    top = sorted(counts.items(), key=lambda item: -item[1])[:12]
    more = f", and {len(counts) - 12} more" if len(counts) > 12 else ""
    return ", ".join(f"{name or '?'} {n:,}" for name, n in top) + more
