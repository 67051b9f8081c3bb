"""Two sets of samples that are not aligned, of any two counts.

Sources: `domains:SRC` (a folder or zip that holds folders a and b, A and B, or trainA and trainB),
`domains:SRC:FOLDER_A:FOLDER_B`, {"a": array, "b": array} of different lengths.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from ...options import DataOptions
from ..codec import Codec
from ..found import Report
from ..halves import composite, composite_report
from ..kind import Given, Kind, Source, kind_of
from ..spec import DataSpec
from ..store import Store
from .pairs.find import from_text
from .pairs.inspect import together
from .pairs.sets import DomainSource, pack_domains


class Domains(Kind):
    """Two stores in one folder, each of the kind of its part."""

    name = "domains"
    samples = "samples a set"
    sources = ("domains:SRC",)
    example = "domains:photos/"
    options = frozenset({"data_dir", "size", "fit", "resample", "channels"})
    first = 11
    unscored = (
        "evaluate scores samples drawn from noise, and a translator's are made of sources. Write them with gansmith "
        "apply and score them with evaluate --real --fake; look at the run's samples/"
    )

    def recognise(self, given: Given) -> Source | None:
        """What stands after the prefix; pairs find the others, and say so where two sets are not aligned."""
        return from_text("domains", given.rest) if given.prefix else None

    def codec(self, saved: Mapping[str, Any]) -> Codec:
        """Domains have no codec of their own: each part has one."""
        raise ValueError(f"domains have no codec: {str(saved)[:200]}")

    def words(self, spec: DataSpec) -> str:
        """What b is, which is what is made by default."""
        part = spec.parts["b"]
        return kind_of(part.kind).words(part)

    def recorded(self, options: DataOptions) -> dict[str, Any]:
        """As the parts are recorded."""
        return kind_of("image").recorded(options)

    def pack(
        self, source: Source, options: DataOptions, digest: str, recorded: dict[str, Any], final: Path, progress: bool
    ) -> None:
        """One after the other into one folder."""
        pack_domains(cast(DomainSource, source), options, digest, recorded, final, progress)

    def spec(self, saved: Mapping[str, Any]) -> DataSpec:
        """Both parts, each of its own kind."""
        return composite(self.name, saved.get("parts"))

    def fields(self, spec: DataSpec, folder: Path, stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`a` and `b` of the two stores."""
        del stored
        return {name: Store.open(folder / name).fields["x"] for name in spec.parts}

    def report(self, name: str, spec: DataSpec, fields: Mapping[str, np.ndarray], **rest: Any) -> Report:
        """Each of the two sets, and what they are together."""
        parts = composite_report(spec, fields)
        return together(name, self.name, parts, rest.get("quarantined", ()), rest.get("notes", ()), smaller=False)

    def seen(self, shape: tuple[int, ...]) -> str:
        """As pictures are."""
        return kind_of("image").seen(shape)


KIND = Domains()
