"""The record of a comparison, as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..judge.protocol import Protocol
from .statistics import Estimate, Versus


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Groups of runs under one protocol."""

    protocol: Protocol
    """Of all scores."""
    groups: dict[str, dict[str, Any]]
    """By label: `recipe`, `fields`, `data`, `runs`, `seeds`, `images`, `seconds`, `precision`, `layouts`."""
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


def _null(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _nulls(values: Mapping[str, float]) -> dict[str, float | None]:
    return {k: _null(v) for k, v in values.items()}
