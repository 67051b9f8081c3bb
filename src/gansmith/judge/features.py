"""Samples as an encoder sees them, and the scores that compare features: a judge of any kind composes a `Features`.

Features of real rows are kept in the cache, as encoding them costs the most of an evaluation. A kind without an encoder
compares its coordinates as they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from .. import metrics as M
from ..data import DataSpec
from ..encoders import Encoder, score_name
from ..files import write_tensors
from .copies import coordinates
from .judge import Better, Judgement
from .real import Real, hashes_of

BETTER: Final[Mapping[str, Better]] = {
    **dict.fromkeys(("FD", "FID", "KD", "KID", "class KL", "duplicates", "sliced W2", "C2ST"), "lower"),
    **dict.fromkeys(("precision", "recall", "density", "coverage", "classes", "IS", "Vendi"), "higher"),
    **dict.fromkeys(("spread", "confidence", "1-NN real", "1-NN fake"), "floor"),
}
MOST_PAIRS = 5_000
"""Samples in scores whose cost is quadratic and whose noise is small."""
MOST_C2ST = 2_000
"""Samples of each side in the classifier two-sample test."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One set of samples, as every score needs it."""

    raw: np.ndarray
    """As they are stored, (n, ...)."""
    features: Tensor
    """(n, d)."""
    probabilities: Tensor | None = None
    """Of each class (n, K), by an encoder that classifies."""
    floor: bool = False
    """These are the held-out samples themselves: scores that hold samples against held-out ones halve them."""

    @property
    def parts(self) -> tuple[slice, slice]:
        """Which of these samples are held against which of the held-out ones: all, or of the floor two halves."""
        half = len(self.raw) // 2
        return (slice(half, None), slice(None, half)) if self.floor else (slice(None), slice(None))


class Features:
    """Real samples as an encoder sees them, encoded when they are first needed, and scores of others beside them."""

    def __init__(
        self,
        real: Real,
        encoder: Encoder | None,
        say: Callable[[str], object],
        *,
        bounds: tuple[float, float] | None = None,
    ) -> None:
        """`encoder`: None compares coordinates. `bounds`: the least and the largest value of samples stored as floats,
        as the encoder must know them."""
        self.real, self.encoder, self.say, self.bounds = real, encoder, say, bounds

    # What they are called.

    @property
    def frechet_name(self) -> str:
        """What the Frechet distance may be called here: FID, FD-own, FD-points ..."""
        return "FD-points" if self.encoder is None else score_name(self.encoder)

    def named(self, published: str, other: str) -> str:
        """What another score may be called: its published name only where FID may be called so, else `other-<...>`."""
        return published if self.frechet_name == "FID" else other + self.frechet_name.removeprefix("FD")

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the features: the encoder's own record."""
        return {"encoder": "none"} if self.encoder is None else self.encoder.protocol()

    def protocol(self) -> dict[str, Any]:
        """The encoder's part of a score's record."""
        return encoder_record(self.identity, self.real.store.spec)

    # The sides.

    def side(self, raw: np.ndarray) -> Side:
        """Samples (n, ...) as they are stored, encoded."""
        if self.encoder is None:
            return Side(raw=raw, features=coordinates(raw))
        features, probabilities = self.encoder.outputs(raw, self.bounds)
        return self._side(raw, features.contiguous(), probabilities.contiguous())

    def _side(self, raw: np.ndarray, features: Tensor, probabilities: Tensor) -> Side:
        classifies = self.encoder is not None and self.encoder.classes
        return Side(raw=raw, features=features, probabilities=probabilities if classifies else None)

    @functools.cached_property
    def _known(self) -> dict[str, Side]:
        """The reference and the held-out samples, their features from the cache where there are some."""
        raw = {"reference": self.real.reference, "held": self.real.held}
        if self.encoder is None:
            return {name: self.side(rows) for name, rows in raw.items()}
        saved = self.real.cache(self.identity).with_suffix(".safetensors")
        kept: dict[str, Tensor] = {}
        with contextlib.suppress(OSError, SafetensorError):
            kept = load_file(saved) if saved.is_file() else {}
        if not kept:
            self.say("encoding real samples")
            for name, rows in raw.items():
                features, probabilities = self.encoder.outputs(rows, self.bounds)
                kept |= {f"{name}.features": features.contiguous(), f"{name}.probabilities": probabilities.contiguous()}
            saved.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(saved, kept, "judge")
        return {n: self._side(rows, kept[f"{n}.features"], kept[f"{n}.probabilities"]) for n, rows in raw.items()}

    @property
    def reference(self) -> Side:
        """The real samples that all others are held against."""
        return self._known["reference"]

    @property
    def held(self) -> Side:
        """The held-out real samples."""
        return self._known["held"]

    @property
    def floor(self) -> Side:
        """The held-out real samples, to be scored themselves."""
        return dataclasses.replace(self.held, floor=True)

    @functools.cached_property
    def _moments(self) -> M.Reference:
        return M.Reference.of(self.reference.features)

    def _equal(self, fake: Side) -> tuple[Tensor, Tensor]:
        """Features of as many real samples as fake ones: chance and radii depend on the counts."""
        m = min(len(self.reference.features), len(fake.features))
        return self.reference.features[:m], fake.features[:m]

    # Groups of scores.

    def frechet(self, fake: Side) -> Judgement:
        """The Frechet distance."""
        return Judgement(values={self.frechet_name: M.frechet_distance(self._moments, fake.features).value})

    def frechet_infinity(self, fake: Side) -> Judgement:
        """The Frechet distance extrapolated to infinitely many samples."""
        found = M.frechet_infinity(self._moments, fake.features, seed=self.real.seed)
        return Judgement(values={f"{self.frechet_name} infinity": found.value})

    def kernel(self, fake: Side) -> Judgement:
        """The kernel distance: no bias of few samples."""
        found = M.kernel_distance(self.reference.features, fake.features, seed=self.real.seed, num_subsets=50)
        return Judgement(values={self.named("KID", "KD"): found.value})

    def prdc(self, fake: Side) -> Judgement:
        """Precision, recall, density and coverage."""
        first, second = M.prdc(*self._equal(fake))
        values = {"precision": first.precision, "recall": first.recall}
        return Judgement(values=values | {"density": second.density, "coverage": second.coverage})

    def classes(self, fake: Side) -> Judgement:
        """Which classes are there, as the encoder sees them, against the shares it sees in held-out data."""
        if fake.probabilities is None or self.held.probabilities is None:
            return Judgement()
        count = fake.probabilities.shape[1]
        shares, expected = (
            torch.bincount(side.argmax(1), minlength=count).double() / len(side)
            for side in (fake.probabilities, self.held.probabilities)
        )
        present = expected > 0
        seen = (shares >= 0.2 * expected) & present
        smooth = (expected + 1e-4) / (1 + 1e-4 * count)
        return Judgement(
            values={
                "classes": float(seen.sum()),
                "class KL": float(torch.xlogy(shares, shares / smooth).sum()),
                "confidence": float(fake.probabilities.max(1).values.mean()),
            },
            shares=tuple(shares.tolist()),
            missing=tuple(torch.nonzero(present & ~seen)[:, 0].tolist()),
        )

    def inception_score(self, fake: Side) -> Judgement:
        """The inception score. Raises `ValueError` if the encoder cannot classify."""
        if fake.probabilities is None:
            raise ValueError("inception-score needs an encoder that classifies")
        return Judgement(values={self.named("IS", "IS"): M.inception_score(fake.probabilities, splits=10).value})

    def diversity(self, fake: Side) -> Judgement:
        """The mean distance of two samples over that of two held-out ones, and the share of equal samples."""
        own, real = (M.mean_pairwise_distance(side.features[:MOST_PAIRS]) for side in (fake, self.held))
        return Judgement(
            values={"spread": own / max(real, 1e-12), "duplicates": 1 - len(hashes_of(fake.raw)) / len(fake.raw)}
        )

    def sliced(self, fake: Side) -> Judgement:
        """The sliced Wasserstein distance."""
        found = M.sliced_wasserstein(self.reference.features, fake.features, seed=self.real.seed)
        return Judgement(values={"sliced W2": found.value})

    def two_sample(self, fake: Side) -> Judgement:
        """How often a classifier tells samples from real ones."""
        real, made = (x[:MOST_C2ST] for x in self._equal(fake))
        found = M.classifier_two_sample(real, made, seed=self.real.seed, classifier="mlp")
        return Judgement(values={"C2ST": found.accuracy})

    def one_neighbour(self, fake: Side) -> Judgement:
        """How often the nearest neighbour of a sample is of its own side."""
        found = M.one_nearest_neighbour(*self._equal(fake))
        return Judgement(values={"1-NN real": found.real, "1-NN fake": found.fake})

    def vendi(self, fake: Side) -> Judgement:
        """The effective number of different samples."""
        return Judgement(values={"Vendi": M.vendi_score(fake.features[:MOST_PAIRS])})

    def bias(self, judgement: Judgement) -> list[str]:
        """The warning of a Frechet distance of fewer samples than features; empty where there is none."""
        dim, num = self.protocol()["encoder_features"], self.real.num
        if num > dim or self.frechet_name not in judgement.values:
            return []
        name = self.named("KID", "KD")
        return [f"{num:,} samples of {dim} features: a Frechet distance is mostly bias there; read {name}"]


def encoder_record(identity: Mapping[str, Any], spec: DataSpec) -> dict[str, Any]:
    """An encoder's part of a score's record; `identity` {"encoder": "none"} where coordinates are compared."""
    return {
        "encoder": str(identity["encoder"]),
        "encoder_sha256": str(identity.get("weights_sha256", "")),
        "encoder_resize": str(identity.get("resize", "none")),
        "encoder_antialias": bool(identity.get("antialias", False)),
        "encoder_input": "x".join(map(str, identity.get("input", spec.shape))),
        "encoder_scaling": str(identity.get("scaling", "none")),
        "encoder_features": int(identity.get("features", spec.shape[0])),
        "encoder_dtype": str(identity.get("dtype", "float32")),
        "encoder_tf32": bool(identity.get("tf32", False)),
        "encoder_batch": int(identity.get("batch_size", 0)),
        "device": str(identity.get("device", "cpu")),
    }
