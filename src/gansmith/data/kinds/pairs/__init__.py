"""Aligned pairs: row i of one set belongs to row i of the other.

Sources: `pairs:SRC` (a folder or zip that holds folders a and b, A and B, or trainA and trainB; files of one name but
for the suffix are a pair), `pairs:SRC:FOLDER_A:FOLDER_B`, `pairs:SRC:left` (pictures that hold both halves side by
side), {"a": array, "b": array}.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ....options import DataOptions
from ...codec import Codec
from ...found import Report
from ...halves import composite, composite_report, fields_of, split
from ...kind import Given, Kind, Source, kind_of
from ...plan import Plan
from ...spec import DataSpec
from .find import found_in, from_arrays, from_text
from .inspect import together


class Pairs(Kind):
    """Two samples a row, each of the kind of its part."""

    name = "pairs"
    samples = "pairs"
    sources = ("pairs:SRC",)
    example = "pairs:photos/"
    options = frozenset({"data_dir", "size", "fit", "resample", "channels"})
    first = 10
    unscored = (
        "evaluate scores samples drawn from noise, and a translator's are made of sources. Write them with gansmith "
        "apply and score them with evaluate --real --fake; look at the run's samples/"
    )

    def recognise(self, given: Given) -> Source | None:
        """What stands after the prefix; folders trainA and trainB; two arrays."""
        if given.prefix:
            return from_text("pairs", given.rest)
        if isinstance(given.value, Mapping) and "a" in given.value:
            return from_arrays(given.value)
        return found_in(given.path) if given.path is not None and given.path.is_dir() else None

    def codec(self, saved: Mapping[str, Any]) -> Codec:
        """Pairs have no codec of their own: each part has one."""
        raise ValueError(f"pairs have no codec: {str(saved)[:200]}")

    def words(self, spec: DataSpec) -> str:
        """What b is, which is what is made by default."""
        part = spec.parts["b"]
        return kind_of(part.kind).words(part)

    def recorded(self, options: DataOptions) -> dict[str, Any]:
        """As the parts are recorded."""
        return kind_of("image").recorded(options)

    def decoding(self) -> contextlib.AbstractContextManager[None]:
        """As the parts are decoded."""
        return kind_of("image").decoding()

    def describe(self, plan: Plan, x: np.ndarray) -> tuple[DataSpec, list[str]]:
        """Each half as its own kind describes it."""
        views = split(x, [(part.shape, part.dtype) for part in plan.parts.values()])
        described = {
            name: kind_of(part.kind).describe(part, view)
            for (name, part), view in zip(plan.parts.items(), views, strict=True)
        }
        notes = [f"{name}: {note}" for name, (_, said) in described.items() for note in said]
        return composite(self.name, {name: spec for name, (spec, _) in described.items()}), notes

    def spec(self, saved: Mapping[str, Any]) -> DataSpec:
        """Both parts, each of its own kind."""
        return composite(self.name, saved.get("parts"))

    def fields(self, spec: DataSpec, folder: Path, stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`a` and `b` as views of the packed rows."""
        return fields_of(spec, stored["x"])

    def report(self, name: str, spec: DataSpec, fields: Mapping[str, np.ndarray], **rest: Any) -> Report:
        """Each of the two sets, and what they are together."""
        parts = composite_report(spec, fields)
        return together(name, self.name, parts, rest.get("quarantined", ()), rest.get("notes", ()), smaller=True)

    def seen(self, shape: tuple[int, ...]) -> str:
        """As pictures are."""
        return kind_of("image").seen(shape)


KIND = Pairs()
