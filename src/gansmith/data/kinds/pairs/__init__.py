"""Aligned pairs: row i of one set belongs to row i of the other.

Sources: `pairs:SRC` (a folder or zip that holds folders a and b, A and B, or trainA and trainB; files of one name but
for the suffix are a pair; or a folder that holds files so called, each a source of its own: a.npy and b.npy),
`pairs:SRC:A:B` for other names, `pairs:SRC:left` (pictures that hold both halves side by side), and
{"a": array, "b": array}.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from ....options import DataOptions
from ... import halves
from ...codec import Codec
from ...found import Report
from ...kind import Given, Kind, Source, kind_of
from ...plan import Plan
from ...spec import DataSpec
from .find import found_in, from_arrays, from_text
from .inspect import together


class Pairs(Kind):
    """Two samples a row, each of the kind of its part."""

    name = "pairs"
    samples = "pairs"
    title = "pairs of samples"
    sources = ("pairs:SRC",)
    example = "pairs:photos/"
    first = 10
    composite = True
    unscored = (
        "evaluate scores samples drawn from noise, and a translator's are made of sources. Write them with gansmith "
        "apply and score them with evaluate --real --fake; look at the run's samples/"
    )

    def recognise(self, given: Given) -> Source | None:
        """What stands after the prefix; folders trainA and trainB; two arrays."""
        if given.prefix:
            return from_text("pairs", given)
        if isinstance(given.value, Mapping) and "a" in given.value and given.columns is None:
            return from_arrays(given)
        return found_in(given.path, given) if given.path is not None and given.path.is_dir() else None

    def codec(self, saved: Mapping[str, Any]) -> Codec:
        """Pairs have no codec of their own: each part has one."""
        raise ValueError(f"pairs have no codec: {str(saved)[:200]}")

    def words(self, spec: DataSpec) -> str:
        """What b is, which is what is made by default."""
        part = spec.parts["b"]
        return kind_of(part.kind).words(part)

    def heeds(self, source: Source) -> frozenset[str]:
        """What either set heeds."""
        return halves.heeded(cast(halves.TwoSources, source))

    def recorded(self, options: DataOptions, source: Source) -> dict[str, Any]:
        """What decides of either set."""
        return halves.recorded(cast(halves.TwoSources, source), options)

    def alike(self, options: DataOptions, packed: Mapping[str, Any], spec: DataSpec) -> DataOptions:
        """As both sets were packed."""
        return halves.alike(options, packed, spec)

    @contextlib.contextmanager
    def decoding(self, plan: Plan) -> Generator[None]:
        """As the parts are decoded."""
        with contextlib.ExitStack() as stack:
            for part in plan.parts.values():
                stack.enter_context(kind_of(part.kind).decoding(part))
            yield

    def describe(self, plan: Plan, x: np.ndarray) -> tuple[DataSpec, list[str]]:
        """Each half as its own kind describes it."""
        views = halves.split(x, [(part.shape, part.dtype) for part in plan.parts.values()])
        described = {
            name: kind_of(part.kind).describe(part, view)
            for (name, part), view in zip(plan.parts.items(), views, strict=True)
        }
        notes = [f"{name}: {note}" for name, (_, said) in described.items() for note in said]
        # Labels of a half are none of the pair's.
        parts = {name: replace(spec, classes=()) for name, (spec, _) in described.items()}
        return halves.composite(self.name, parts), notes

    def spec(self, saved: Mapping[str, Any]) -> DataSpec:
        """Both parts, each of its own kind."""
        return halves.composite(self.name, saved.get("parts"))

    def fields(self, spec: DataSpec, folder: Path, stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`a` and `b` as views of the packed rows."""
        return halves.fields_of(spec, stored["x"])

    def report(self, name: str, spec: DataSpec, fields: Mapping[str, np.ndarray], **rest: Any) -> Report:
        """Each of the two sets, and what they are together."""
        parts = halves.composite_report(spec, fields)
        return together(name, self.name, parts, rest.get("quarantined", ()), rest.get("notes", ()), smaller=True)

    def seen(self, shape: tuple[int, ...]) -> str:
        """A half of a picture that holds both side by side; of other pairs each half is told."""
        return kind_of("image").seen(shape)


KIND = Pairs()
