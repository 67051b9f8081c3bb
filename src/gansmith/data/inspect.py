"""What is in a source, and what training would make of it: said before a minute of training is spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..files import cache_dir
from ..options import DataOptions
from ..settle import checked
from .found import Report
from .kind import kind_of, refuse_foreign
from .source import recognise
from .store import Store, is_store

_DEFAULTS = DataOptions()


@checked
def inspect(
    source: str | Path | np.ndarray | Mapping[str, np.ndarray] | Any,
    options: DataOptions = _DEFAULTS,
    *,
    progress: bool = True,
) -> Report:
    """Look at a source without packing it. All headers are read; of many files only some are decoded.

    Raises `FileNotFoundError` if it is not there, `ValueError` if it is nothing that is known.
    """
    if is_store(source):
        return _of_store(Store.open(source))
    found = recognise(source, options, cache_dir(), progress)
    refuse_foreign(found, options)
    return found.report(options, progress)


def _of_store(store: Store) -> Report:
    return kind_of(store.spec.kind).report(
        f"{store.path} (packed from {store.source})",
        store.spec,
        store.fields,
        quarantined=store.quarantined,
        ignored=store.ignored,
        notes=store.notes,
    )


def describe(report: Report) -> str:
    """The report as lines of text."""
    kind = kind_of(report.kind)
    if report.parts:
        return _describe_two(report, kind.samples.replace("samples", kind_of(report.parts["b"].kind).samples))
    lines = [f"{report.source}: {report.found:,} {kind.samples}, {report.usable:,} usable"]
    if report.decoded < report.found:
        lines.append(f"  decoded to the last pixel: {report.decoded:,}; of the others only the header was read")
    lines += [f"  {fact}" for fact in report.facts]
    if report.sizes:
        listed = ", ".join(f"{h}x{w} ({n:,})" for h, w, n in report.sizes[:5])
        more = f" and {report.num_sizes - 5:,} more" if report.num_sizes > 5 else ""
        lines.append(f"  height x width: {listed}{more}")
    lines += [f"  {line}" for line in report.columns]
    for title, counts in (("format", report.formats), ("pixels", report.modes), ("depth", report.depths)):
        if counts and kind.formats:
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
        shape = kind.seen(report.shape)
        lines.append(f"  training would see: {shape}, {report.dtype}; 200,000 samples shown are {epochs:.1f} epochs")
    return "\n".join(lines)


def _describe_two(report: Report, what: str) -> str:
    most = "at most " if report.at_most else ""
    lines = [f"{report.source}: {report.found:,} {what}, {most}{report.usable:,} usable"]
    for name, part in report.parts.items():
        lines += [
            f"  {name}: {line.strip()}" for line in describe(part).splitlines() if "samples shown are" not in line
        ]
        if part.shape:
            lines.append(f"  {name}: {kind_of(part.kind).seen(part.shape)}, {part.dtype}")
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
