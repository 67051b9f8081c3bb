"""Two sources that are not aligned, packed into one folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ....options import DataOptions
from ...found import Report
from ...kind import Source, kind_of, read_spec
from ...pack import FORMAT, MANIFEST, claim, pack
from ...plan import Plan, Quarantined, quarantine_notes
from ...spec import DataSpec
from .inspect import together


@dataclass(frozen=True)
class DomainSource:
    """Two sources of one kind that are not aligned, of any two counts."""

    kind: ClassVar[str] = "domains"
    name: str
    a: Source
    b: Source
    notes: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Equal for equal content."""
        return f"domains {self.a.identity} {self.b.identity}"

    @property
    def halves(self) -> dict[str, Source]:
        """Both, by name."""
        return {"a": self.a, "b": self.b}

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Two stores are not one plan: `pack_domains` packs them."""
        raise AssertionError("the kind `domains` packs its two sets one after the other")

    def report(self, options: DataOptions, progress: bool) -> Report:
        """What is in each of the two sets, and what they are together."""
        parts = {name: half.report(options, progress) for name, half in self.halves.items()}
        return together(self.name, self.kind, parts, (), self.notes, smaller=False)


def pack_domains(
    source: DomainSource, options: DataOptions, digest: str, recorded: dict[str, Any], final: Path, progress: bool
) -> None:
    """Pack both into one folder, which afterwards is whole; killed, it goes on where it stopped."""
    final.parent.mkdir(parents=True, exist_ok=True)
    with claim(final) as work:
        if work is None:
            return
        manifests = {}
        for half, part in source.halves.items():
            if not (work / half / MANIFEST).is_file():
                pack(part.plan(options, f"{digest} {half}", recorded, progress), work / half, progress)
            manifests[half] = json.loads((work / half / MANIFEST).read_text(encoding="utf-8"))
        parts = {half: read_spec(manifest["spec"]) for half, manifest in manifests.items()}
        # Class folders within a domain are no labels of the whole.
        parts = {half: replace(part, classes=()) for half, part in parts.items()}
        spec = DataSpec(kind="domains", shape=parts["b"].shape, codec=parts["b"].codec, parts=parts)
        quarantined = [q for manifest in manifests.values() for q in manifest["quarantined"]]
        samples = kind_of(parts["b"].kind).samples
        counts = {half: manifest["count"] for half, manifest in manifests.items()}
        manifest = {
            "format": FORMAT,
            "digest": digest,
            "source": source.name,
            "count": max(counts.values()),
            "spec": spec.to_json(),
            "fields": {},
            "options": recorded,
            "quarantined": quarantined,
            "ignored": [name for manifest in manifests.values() for name in manifest["ignored"]],
            "notes": [
                *source.notes,
                f"{counts['a']} {samples} of a, {counts['b']} of b",
                *(
                    f"{half}: {note}"
                    for half, manifest in manifests.items()
                    for note in manifest["notes"]
                    if note not in quarantine_notes([Quarantined(*q) for q in manifest["quarantined"]])
                ),
                *quarantine_notes([Quarantined(*q) for q in quarantined]),
            ],
        }
        part = work / f"{MANIFEST}.part"
        with part.open("w", encoding="utf-8") as f:
            f.write(json.dumps(manifest, indent=1) + "\n")
            f.flush()
            os.fsync(f.fileno())
        part.replace(work / MANIFEST)
        if final.is_dir() and not any(final.iterdir()):
            final.rmdir()
        os.replace(work, final)
