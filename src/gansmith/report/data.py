"""The training data, and how samples and data divide into classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..data import kind_of
from .facts import Facts
from .markup import Child, pairs, tag
from .words import entry, recorded, said

_BARS = 40


def section(facts: Facts) -> Child:
    """What the data are, the classes of the data, and those of the samples if an encoder judged them."""
    record, spec, store = facts.run.record, facts.spec, facts.store
    rows: list[tuple[str, Child]] = [
        ("source", recorded(record, "data", "source")),
        ("samples", recorded(record, "data", "count")),
        ("each one of", kind_of(spec.kind).words(spec)),
        ("classes", f"{len(spec.classes):,}" if spec.classes else "none"),
        ("codec", said(spec.codec.to_json())),
        ("digest", tag("code", recorded(record, "data", "digest"))),
    ]
    if store is not None:
        rows.append(("packing", said(store.options)))
        rows.append(("left out", f"{len(store.quarantined):,} files or rows"))
        rows += [("note", note) for note in store.notes[:8]]
    parts: list[Child] = [pairs(rows)]
    if store is not None and "y" in store.fields:
        y = np.asarray(store.fields["y"])
        counts = np.bincount(y[y >= 0], minlength=len(spec.classes))
        parts.append(tag("h3", "Classes of the training data"))
        parts.append(_bars([*zip(spec.classes, counts.tolist(), strict=True)]))
    for name, saved in facts.scores.items():
        if shares := _class_shares(saved, spec.classes):
            encoder = said(entry(saved, "protocol").get("encoder", "an encoder"))
            parts.append(tag("h3", f"Classes of the samples, as the encoder {encoder} sees them ({name})"))
            parts.append(_bars(shares))
    return parts


def _class_shares(saved: Mapping[str, Any], classes: Sequence[str]) -> list[tuple[str, float]]:
    """The share of each class among the samples, by an encoder's verdict; empty if a file of scores has none."""
    shares = entry(saved, "class_shares").get("model")
    if not isinstance(shares, list) or len(shares) != len(classes):
        return []
    sound = all(isinstance(v, (int, float)) and v >= 0 for v in shares)
    return list(zip(classes, shares, strict=True)) if sound else []


def _bars(counts: Sequence[tuple[str, float]]) -> list[Child]:
    """A horizontal bar a class, in the order given; of many, the largest."""
    shown = list(counts)
    if len(shown) > _BARS:
        shown = sorted(shown, key=lambda pair: -pair[1])[:_BARS]
    top, total = max((v for _, v in shown), default=0) or 1, sum(v for _, v in counts) or 1
    rows = [
        tag(
            "div",
            tag("span", name),
            tag("i", tag("u", style=f"width:{value / top:.1%}")),
            tag("span", f"{value:,} ({value / total:.1%})" if value == int(value) else f"{value / total:.1%}"),
        )
        for name, value in shown
    ]
    more = len(counts) > _BARS
    return [
        tag("div", rows, class_="bars"),
        tag("p", f"The largest {_BARS} of {len(counts):,} classes.", class_="quiet") if more else None,
    ]
