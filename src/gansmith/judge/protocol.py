"""The record of a score: what was measured, on what, and how. Two scores compare only where their records agree.

Published scores of one model differ more by resize, reference split, sample count and order than models differ from one
another, so every score carries these, and `compare` refuses where one of `KEYS` differs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import records

FORMAT = 1
METRICS_VERSION = 1
"""Raised when a definition, or a setting that a metric does not record, changes its values."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Everything that decides a score beside the model."""

    metrics_version: int = METRICS_VERSION
    """Version of the metrics' definitions and settings."""
    kind: str
    """The kind of data: `image`, `vector`, `table`, `text` ..."""
    container: str
    """What one sample is, on both sides: dtype and shape, such as `uint8 28x28x1`."""
    packing: str
    """How the data came to that size: fit and resample."""
    quantised: bool
    """Samples were rounded to whole values like the data."""
    reference: str
    """The source of the real samples that the model is held against."""
    reference_digest: str
    """The sha256 of that source's listing and of the options it was packed with."""
    reference_order: str = "random"
    """Rows are drawn at random: files are often sorted, and their first rows are another distribution."""
    reference_seed: int
    """The seed that draws the real rows."""
    num_real: int
    """How many real samples the others are held against."""
    num_fake: int
    """How many samples of model, floor and control alike: a Frechet distance falls with their number."""
    held_out: str
    """Where the real samples of the floor come from."""
    held_out_seen: bool
    """Whether the model may have been trained on them."""
    num_training: int
    """Training samples among which near copies are looked for; exact ones are looked for among all."""
    copying: str
    """The space in which near copies are looked for."""
    encoder: str
    """The network whose features are compared; `none` for vectors."""
    encoder_sha256: str
    """The sha256 of the encoder's weights; empty where it has none."""
    encoder_resize: str
    """How pictures come to the encoder's size."""
    encoder_antialias: bool
    """Whether that resize antialiases."""
    encoder_input: str
    """Shape of one sample that the encoder takes, such as CxHxW."""
    encoder_scaling: str
    """What the encoder does first to its input, as a formula."""
    encoder_features: int
    """How many features a sample has."""
    encoder_dtype: str = "float32"
    """The type of numbers that the encoder computes with."""
    encoder_tf32: bool = False
    """Whether a GPU may shorten its products to TF32."""
    weights: str
    """`ema`, `raw`, or empty for files."""
    checkpoint: str
    """`last`, `best` (chosen by its score: flattering), or `files`."""
    truncation: str = "none"
    """Truncation of the latent: `none`, or the recipe's own psi."""
    batch_norm: str = "eval"
    """Mode of the generator's normalisation when it samples."""
    class_prior: str = "as the recipe draws"
    """How the labels that a conditional model is given are drawn: `as the data has them`, or `evenly` where the data
    does not say; `as the recipe draws` by models that are given none."""
    sample_seed: int
    """The seed that draws the model's samples. Recorded; another one moves a score by noise alone."""
    encoder_batch: int = 0
    """Samples encoded at once. Recorded; it moves the last bits."""
    device: str = "cpu"
    """The device that encodes. Recorded; it moves the last bits."""
    versions: str = ""
    """Versions of gansmith and PyTorch. Recorded."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` turns back into an equal record."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Protocol:
        """The record of `to_json`. Raises `ValueError` if a field is unknown, missing or of another type."""
        known = {f.name: f for f in dataclasses.fields(cls)}
        if unknown := sorted(set(saved) - set(known)):
            raise ValueError(f"a protocol has no field {unknown[0]!r}: it was written by another gansmith")
        if missing := sorted(set(known) - set(saved)):
            raise ValueError(f"the protocol lacks {missing[0]!r}: it was written by another gansmith")
        for name, value in saved.items():
            if type(value).__name__ != str(known[name].type):
                raise ValueError(f"{name} of a protocol is {value!r}; it is {known[name].type}")
        return cls(**saved)

    @property
    def key(self) -> str:
        """Equal for records that compare, in 8 hex digits."""
        return _digest([getattr(self, name) for name in KEYS])

    @property
    def short(self) -> str:
        """Equal for equal records, in 8 hex digits: part of a score file's name."""
        return _digest(self.to_json())


_RECORDED = ("sample_seed", "encoder_batch", "device", "versions")
KEYS = tuple(f.name for f in dataclasses.fields(Protocol) if f.name not in _RECORDED)
"""What must agree for two scores to be comparable."""


def differences(a: Protocol, b: Protocol) -> list[str]:
    """Why two scores do not compare: each field of `KEYS` that differs, with both values. Empty if they do."""
    return [
        f"{name} is {_shown(getattr(a, name))} in one and {_shown(getattr(b, name))} in the other"
        for name in KEYS
        if getattr(a, name) != getattr(b, name)
    ]


def _shown(value: object) -> str:
    return f"{value[:16]}..." if isinstance(value, str) and len(value) == 64 else repr(value)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of one model under one protocol, with the floor and the control that say how to read them."""

    scores: dict[str, float]
    """Scores of the model, by name. FID is a Frechet distance on Inception in the paper's layout alone, else FD-..."""
    floor: dict[str, float]
    """Scores of held-out real samples: what a perfect model would reach."""
    control: dict[str, float]
    """Scores of a replay of training samples: what a perfect copier would reach."""
    better: dict[str, str]
    """`lower`, `higher`, `floor` (near the floor is best) or empty, by name."""
    flags: dict[str, str]
    """`copying`, `collapsed`, `classes_missing`, `control_flagged`: `no`, `perhaps`, `yes`, or what is missing."""
    reading: tuple[str, ...]
    """The scores in plain English."""
    notes: tuple[str, ...]
    """Warnings: what makes a score weaker than it looks."""
    protocol: Protocol
    run: dict[str, Any]
    """`recipe`, `fields`, `seed`, `data`, `images`: what was scored."""
    class_histogram: tuple[float, ...] = ()
    """Share of each class of the data among the samples, as the encoder sees them."""
    class_histogram_floor: tuple[float, ...] = ()
    """The same among held-out real samples."""
    by_class: tuple[float | None, ...] = ()
    """Of the samples asked to be of each class (or of each code, matched to a class), the share that a fixed classifier
    sees as such; None where none was asked for."""
    closest: tuple[tuple[int, int, float], ...] = ()
    """The samples nearest to a training sample: (index of the sample, row of the training store, distance). Sample i
    is drawn again by the seed of the protocol."""
    seconds: float = 0.0
    """Seconds the evaluation took."""
    created: str = ""
    """When the scores were made, in UTC."""

    @property
    def file_name(self) -> str:
        """`<images>-<weights>-<hash of the protocol>.json`."""
        parts = (f"{int(self.run.get('images', 0)):012d}", self.protocol.weights, self.protocol.short)
        return "-".join(part for part in parts if part) + ".json"

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` turns back into equal scores; values that are not finite become null."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        for name in ("scores", "floor", "control"):
            values[name] = {k: v if _finite(v) else None for k, v in values[name].items()}
        return {"format": FORMAT, **values, "protocol": self.protocol.to_json(), "key": self.protocol.key}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Scores:
        """The scores of `to_json`. Raises `ValueError` for anything else."""
        if saved.get("format") != FORMAT:
            raise ValueError(f"format {saved.get('format')!r}; this gansmith reads {FORMAT}")
        values = {k: v for k, v in saved.items() if k not in ("format", "key")}
        try:
            for name in ("scores", "floor", "control"):
                values[name] = {k: float("nan") if v is None else float(v) for k, v in values[name].items()}
            values["protocol"] = Protocol.from_json(values["protocol"])
            values["closest"] = tuple((int(i), int(j), float(d)) for i, j, d in values["closest"])
            values.setdefault("by_class", ())  # scores written before there was such a thing
            for name in ("reading", "notes", "class_histogram", "class_histogram_floor", "by_class"):
                values[name] = tuple(values[name])
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"these are no scores: {error}") from error


def read_scores(path: str | Path) -> Scores:
    """The scores of one file. Raises `ValueError` naming the file if it is damaged."""
    try:
        return Scores.from_json(records.read(Path(path)))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def scores_of(run: str | Path) -> list[Scores]:
    """All scores of a run, oldest training state first, then by when they were made."""
    found = [read_scores(path) for path in sorted((Path(run) / "scores").glob("*.json"))]
    return sorted(found, key=lambda s: (int(s.run.get("images", 0)), s.created))


def _finite(value: float) -> bool:
    return value - value == 0
