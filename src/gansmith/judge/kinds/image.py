"""The judge of pictures, vectors and tables: the real side of an evaluation, and the scores of any samples against it.

Real rows are drawn at random with a recorded seed; encoded ones are kept in the cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ... import metrics as M
from ..._version import __version__
from ...data import Store
from ...data import toy as toys
from ...data.spec import ImageCodec
from ...data.table import TableCodec
from ...encoders import Encoder, score_name
from ...encoders.named import encoder_of
from ...files import cache_dir, read_json, write_json, write_tensors
from ...options import DataOptions
from ..protocol import METRICS_VERSION, Protocol
from ..real import (
    COPY_DIM,
    COPY_VALUES,
    Source,
    as_store,
    basis_of,
    container,
    hashes_of,
    held_out_of,
    reduced,
    rows_of,
    share_of_exact,
    toy_of,
)

Values = dict[str, float]
IMAGE_METRICS = ("fd", "kd", "prdc", "classes", "diversity", "copying")
VECTOR_METRICS = ("modes", "fd", "sliced", "c2st", "diversity", "copying")
ALL_METRICS = ("fd", "fd-infinity", "kd", "prdc", "classes", "inception-score", "diversity", "copying", "modes")
ALL_METRICS += ("sliced", "c2st", "one-nn", "vendi")
TABLE_METRICS = ("shapes", "trends", "efficacy", "closest")
ALL_METRICS += TABLE_METRICS
"""Groups of scores; `modes` is for the toys, whose modes are known."""
TRAINING = 20_000
MOST_PAIRS = 5_000  # samples in scores whose cost is quadratic and whose noise is small
MOST_C2ST = 2_000


@dataclass(frozen=True, kw_only=True, eq=False)
class _Side:
    """One set of samples, as every score needs it."""

    raw: np.ndarray
    features: Tensor
    copying: Tensor
    probabilities: Tensor | None


class Judge:
    """The real side of an evaluation, encoded once, and the scores of any samples against it."""

    held_note = ""

    def __init__(
        self,
        store: Store,
        *,
        data: Source | None = None,
        options: DataOptions = DataOptions(),
        metrics: Sequence[str] = (),
        n: int = 10_000,
        reference: int = 10_000,
        training: int = TRAINING,
        encoder: str | Encoder = "own",
        resize: str = "tf1-bilinear",
        seed: int = 0,
        num_fake: int = 0,
        target: str = "",
        device: str = "cpu",
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`store` is what the model was trained on; `data` another source to hold it against. `num_fake` limits n.
        `target`: the column of a table that classifiers are to tell; the last discrete one by default.

        Raises `ValueError` for unknown metrics or encoders, data of another shape, or too little of it.
        """
        if store.spec.parts:
            raise ValueError(
                f"{store.source} holds {store.spec.kind}: evaluate scores samples drawn from noise, and a translator's "
                "are made of sources. Write them with gansmith apply and score them with evaluate --real --fake; look "
                "at the run's samples/"
            )
        self.store, self.seed, self.say = store, seed, say
        self.spec = store.spec
        self.image = self.spec.kind == "image"
        self.toy = toy_of(store)
        self.table = self.spec.codec if isinstance(self.spec.codec, TableCodec) else None
        self.target = _target(self.table, target)
        self.metrics = self._groups(metrics, data is not None)
        for name, value in (("n", n), ("reference", reference), ("training", training)):
            if value < 10:
                raise ValueError(f"{name} is {value}; scores need at least 10 samples, and thousands to mean much")
        self.notes: list[str] = [self.held_note] if self.held_note else []
        self._split(data, options, n, reference, training, num_fake)
        codec = self.spec.codec
        self.bounds = (codec.low, codec.high) if isinstance(codec, ImageCodec) and codec.dtype == "float32" else None
        self.encoder = encoder_of(encoder, store, resize, device, say) if self.image else None
        self._encode()

    def _groups(self, metrics: Sequence[str], unseen: bool) -> tuple[str, ...]:
        if unknown := sorted(set(metrics) - set(ALL_METRICS)):
            raise ValueError(f"there are no metrics {unknown[0]!r}; there are {', '.join(ALL_METRICS)}")
        if wrong := sorted(m for m in metrics if (m in TABLE_METRICS) != (self.table is not None)):
            kind = "a table's rows" if self.table is None else "other data than a table"
            raise ValueError(f"metric {wrong[0]} is for {kind}; {self.store.source} is of kind {self.spec.kind}")
        if self.table is not None:
            held = () if unseen else ("efficacy", "closest")  # the leak guard: they mean nothing on rows that were seen
            if asked := [m for m in metrics if m in held]:
                raise ValueError(f"{asked[0]} needs real rows that the model never saw: pass data (--data HELDOUT.csv)")
            if held and not metrics:
                self.held_note = "efficacy and closest records need rows that the model never saw: --data HELDOUT.csv"
            return tuple(dict.fromkeys(m for m in (tuple(metrics) or TABLE_METRICS) if m not in held))
        chosen = tuple(metrics) or (IMAGE_METRICS if self.image else VECTOR_METRICS)
        if "modes" in chosen and not self.toy:
            if metrics:
                raise ValueError(f"the modes of {self.store.source} are not known: only those of toy:ring and the like")
            chosen = tuple(m for m in chosen if m != "modes")
        images_only = [m for m in metrics if m in ("classes", "inception-score")]
        if images_only and not self.image:
            raise ValueError(f"metric {images_only[0]} is for pictures; {self.store.source} holds vectors")
        return tuple(dict.fromkeys(chosen))

    # --- the real side ---

    def _split(
        self, data: Source | None, options: DataOptions, n: int, reference: int, training: int, num_fake: int
    ) -> None:
        """Which rows are the reference, the training samples and the held-out ones; how many samples are scored."""
        store = self.store
        judged = store if data is None else as_store(data, options, store)
        if judged.digest == store.digest:
            judged = store
        if judged.spec.shape != store.spec.shape or judged.fields["x"].dtype != store.fields["x"].dtype:
            raise ValueError(
                f"{judged.source} holds {container(judged)}, the model makes {container(store)}: a score would "
                "measure the difference in size or depth; pass --size, or convert one of them"
            )
        self.judged = judged
        order = np.random.Generator(np.random.Philox(key=[self.seed % 2**64, 7])).permutation(len(judged))
        found = held_out_of(judged, options, n, self.seed) if judged is store else None
        held_name, held_seen = f"another part of {judged.source}", judged is store
        held_rows = order[:0]
        if found is not None:
            pool, held_name = found
            held_seen = False
        else:
            share = min(n, len(judged) // 2)
            held_rows, order = order[:share], order[share:]
            pool = rows_of(judged, held_rows)
        self.num = min(n, len(pool), num_fake or n)
        if self.num < n:
            self.notes.append(
                f"{self.num:,} samples are scored, not {n:,}: there are no more "
                + ("samples" if num_fake and self.num == num_fake else "held-out real ones")
            )
        if self.num < 10 or len(order) < 10:
            raise ValueError(f"{judged.source} holds {len(judged)} samples: too few to score anything")
        self.held, self.held_name, self.held_seen = np.asarray(pool[: self.num]), held_name, held_seen
        if held_seen:
            self.notes.append(
                f"the floor is {held_name}: the model may have been trained on it, so it is not held out from training"
            )
        # What copies are held against: all training samples but those that play the held-out ones.
        self._known_rows = np.delete(np.arange(len(store)), held_rows) if held_seen else slice(None)
        self.reference_rows = order[:reference]
        if judged is store:
            self.training_rows = order[:training]
        else:
            rows = np.random.Generator(np.random.Philox(key=[self.seed % 2**64, 8])).permutation(len(store))
            self.training_rows = rows[:training]
        random = np.random.Generator(np.random.Philox(key=[self.seed % 2**64, 9]))
        picked = random.choice(self.training_rows, self.num, replace=self.num > len(self.training_rows))
        self.replay = rows_of(store, picked)

    def _encode(self) -> None:
        """Features of the real rows, from the cache of an earlier evaluation where there is one."""
        reference, training = rows_of(self.judged, self.reference_rows), rows_of(self.store, self.training_rows)
        self._basis = basis_of(reduced(training, self.bounds)) if self.image and "copying" in self.metrics else None
        key = _hash([self.judged.digest, self.store.digest, self._identity(), self.seed, self.held_name])
        counts = f"{len(reference)}-{len(training)}-{self.num}"
        self._cache = cache_dir() / "judge" / f"{key[:24]}-{counts}"
        saved = self._cache.with_suffix(".safetensors")
        kept: dict[str, Tensor] = {}
        with contextlib.suppress(OSError, SafetensorError):
            kept = load_file(saved) if saved.is_file() else {}
        fresh = not kept
        if fresh:
            self.say("encoding real samples")
        self._known = {
            "reference": self._side(reference, kept, "reference"),
            "held": self._side(self.held, kept, "held"),
        }
        # Only its place in the space of copies is needed of the training set: its features would cost the most.
        self.training = self._copying(training)
        if fresh and self.image:
            saved.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(saved, kept, "judge")
        self._hashes = hashes_of(self.store.fields["x"][self._known_rows]) if "copying" in self.metrics else {}

    def _side(self, raw: np.ndarray, kept: dict[str, Tensor] | None = None, name: str = "") -> _Side:
        kept = {} if kept is None else kept
        if self.encoder is None:
            points = torch.from_numpy(np.array(raw, np.float32))
            return _Side(raw=raw, features=points, copying=points, probabilities=None)
        if f"{name}.features" not in kept:
            found, probabilities = self.encoder.outputs(raw, self.bounds)
            kept |= {f"{name}.features": found.contiguous(), f"{name}.probabilities": probabilities.contiguous()}
        return _Side(
            raw=raw,
            features=kept[f"{name}.features"],
            copying=self._copying(raw),
            probabilities=kept[f"{name}.probabilities"] if self.encoder.classes else None,
        )

    def _copying(self, raw: np.ndarray) -> Tensor:
        """Where near copies are looked for: pixels, reduced, in the main directions of the training set.

        Not the encoder's features: an encoder trained on the training set knows that set better than held-out data.
        """
        if not self.image:
            return torch.from_numpy(np.array(raw, np.float32))
        if self._basis is None:
            return torch.zeros(len(raw), 1)
        mean, axes = self._basis
        return (reduced(raw, self.bounds) - mean) @ axes

    def _identity(self) -> dict[str, Any]:
        if self.encoder is None:
            return {"encoder": "none"}
        return self.encoder.protocol()

    # --- names ---

    @property
    def frechet(self) -> str:
        """What the Frechet distance may be called here."""
        return "FD-points" if self.encoder is None else score_name(self.encoder)

    @property
    def kernel(self) -> str:
        """What the kernel distance may be called here."""
        return "KID" if self.frechet == "FID" else "KD" + self.frechet.removeprefix("FD")

    def protocol(self, *, weights: str, checkpoint: str, sample_seed: int) -> Protocol:
        """The record of scores by this judge."""
        encoder = self._identity()
        options = self.store.options
        codec = self.spec.codec
        return Protocol(
            kind=self.spec.kind,
            container=container(self.store) + (f", target {self.target}" if self.table is not None else ""),
            packing=f"{options.get('fit', 'none')}, {options.get('resample', 'none')}" if self.image else "none",
            quantised=isinstance(codec, ImageCodec) and codec.dtype != "float32",
            reference=self.judged.source,
            reference_digest=self.judged.digest,
            reference_seed=self.seed,
            num_real=len(self.reference_rows),
            num_fake=self.num,
            held_out=self.held_name,
            held_out_seen=self.held_seen,
            num_training=len(self.training_rows),
            copying=f"pixels reduced to {COPY_VALUES} values, PCA {COPY_DIM}" if self.image else "coordinates",
            encoder=str(encoder["encoder"]),
            encoder_sha256=str(encoder.get("weights_sha256", "")),
            encoder_resize=str(encoder.get("resize", "none")),
            encoder_antialias=bool(encoder.get("antialias", False)),
            encoder_input="x".join(map(str, encoder.get("input", self.spec.shape))),
            encoder_scaling=str(encoder.get("scaling", "none")),
            encoder_features=int(encoder.get("features", self.spec.shape[0])),
            encoder_dtype=str(encoder.get("dtype", "float32")),
            encoder_tf32=bool(encoder.get("tf32", False)),
            weights=weights,
            checkpoint=checkpoint,
            sample_seed=sample_seed,
            encoder_batch=int(encoder.get("batch_size", 0)),
            device=str(encoder.get("device", "cpu")),
            versions=f"gansmith {__version__}, torch {torch.__version__}",
        )

    # --- scores ---

    def score(self, fake: np.ndarray, asked: np.ndarray | None = None, codes: int = 0) -> tuple[Values, dict[str, Any]]:
        """Scores of samples (num, ...) as the data stores them; beside them class shares and closest pairs.

        `asked`: the label (num,) that each was asked to have, or, if `codes` is not 0, its code in [0, codes).
        """
        side = self._side(np.asarray(fake))
        values, more = self._measure(side, self._known["held"])
        if asked is not None:
            values |= self._obeyed(side, asked, codes, more)
        return values, more

    def _obeyed(self, fake: _Side, asked: np.ndarray, codes: int, more: dict[str, Any]) -> Values:
        """Whether samples are what was asked for, as a fixed classifier sees them: the encoder, or a toy's modes."""
        classes, real = len(self.spec.classes), math.nan
        if self.toy:
            seen = torch.cdist(fake.features.double(), torch.from_numpy(toys.centres(self.toy))).argmin(1)
        elif fake.probabilities is not None and self.encoder is not None and self.encoder.classes == classes:
            seen = fake.probabilities.argmax(1)
            held = dict(self.encoder.facts.get("held_out", {}))
            real = float(held["accuracy"]) if held.get("of") == "classes" else math.nan
        else:
            self.notes.append(
                "whether samples are of the class asked for was not scored: no classifier of these classes"
            )
            return {}
        found = M.agreement(asked, seen.numpy(), classes, seed=self.seed, codes=codes)
        name = "code accuracy" if codes else "label accuracy"
        least = float(np.nanmin(found.by_class))
        more["asked"] = {"name": name, "real": real, "control": found.control, "by_class": found.by_class}
        more["asked"]["mapping"] = found.mapping
        return {name: found.accuracy, f"{name}, lowest": least}

    def yardsticks(self) -> tuple[Values, Values, dict[str, Any]]:
        """The scores of the floor and of the control, and what else the floor gave; kept in the cache."""
        path = self._cache.with_name(
            f"{self._cache.name}-{_hash([METRICS_VERSION, self.metrics, self.frechet + self.target])[:8]}.json"
        )
        with contextlib.suppress(OSError, ValueError):
            if path.is_file():
                saved = read_json(path)
                return saved["floor"], saved["control"], saved["more"]
        self.say("scoring held-out real samples (the floor) and a replay of training samples (the control)")
        held = self._known["held"]
        half = self.num // 2
        # The floor's C_T needs two held-out sets: one to score, one to score against.
        floor, more = self._measure(held, held, halves=(slice(half, None), slice(None, half)))
        control, _ = self._measure(self._side(self.replay), held)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"floor": floor, "control": control, "more": more})
        return floor, control, more

    def _measure(
        self, fake: _Side, held: _Side, halves: tuple[slice, slice] = (slice(None), slice(None))
    ) -> tuple[Values, dict[str, Any]]:
        real = self._known["reference"]
        values: Values = {}
        more: dict[str, Any] = {}
        m = min(len(real.features), len(fake.features))  # chance and radii depend on the counts: equal ones
        for group in self.metrics:
            match group:
                case "fd":
                    values[self.frechet] = M.frechet_distance(self._moments(), fake.features).value
                case "fd-infinity":
                    values[f"{self.frechet} infinity"] = M.frechet_infinity(
                        self._moments(), fake.features, seed=self.seed
                    ).value
                case "kd":
                    values[self.kernel] = M.kernel_distance(
                        real.features, fake.features, seed=self.seed, num_subsets=50
                    ).value
                case "prdc":
                    first, second = M.prdc(real.features[:m], fake.features[:m])
                    values |= {"precision": first.precision, "recall": first.recall}
                    values |= {"density": second.density, "coverage": second.coverage}
                case "classes":
                    values |= self._classes(fake, held, more)
                case "inception-score":
                    if fake.probabilities is None:
                        raise ValueError("inception-score needs an encoder that classifies")
                    name = "IS" if self.frechet == "FID" else "IS" + self.frechet.removeprefix("FD")
                    values[name] = M.inception_score(fake.probabilities, splits=10).value
                case "diversity":
                    k = MOST_PAIRS
                    own = M.mean_pairwise_distance(fake.features[:k])
                    values["spread"] = own / max(M.mean_pairwise_distance(held.features[:k]), 1e-12)
                    values["duplicates"] = 1 - len(hashes_of(fake.raw)) / len(fake.raw)
                case "copying":
                    values |= self._copies(fake, held, halves, more)
                case "modes":
                    assert self.toy
                    found = M.mode_coverage(
                        fake.features, torch.from_numpy(toys.centres(self.toy)), toys.sigma(self.toy)
                    )
                    values |= {"modes": float(found.captured), "high quality": found.high_quality}
                    values |= {"reverse KL": found.reverse_kl, "mode width": found.covariance_ratio}
                    more |= {
                        "modes": len(found.counts),
                        "ceiling": found.ceiling,
                        "kl_floor": (len(found.counts) - 1) / (2 * len(fake.raw)),
                    }
                case "sliced":
                    values["sliced W2"] = M.sliced_wasserstein(real.features, fake.features, seed=self.seed).value
                case "c2st":
                    c = min(m, MOST_C2ST)
                    values["C2ST"] = M.classifier_two_sample(
                        real.features[:c], fake.features[:c], seed=self.seed, classifier="mlp"
                    ).accuracy
                case "one-nn":
                    both = M.one_nearest_neighbour(real.features[:m], fake.features[:m])
                    values |= {"1-NN real": both.real, "1-NN fake": both.fake}
                case "shapes" | "trends" | "efficacy" | "closest":
                    values |= self._columns(group, fake, held, halves)
                case "vendi":
                    values["Vendi"] = M.vendi_score(fake.features[:MOST_PAIRS])
        return values, more

    def _columns(self, group: str, fake: _Side, held: _Side, halves: tuple[slice, slice]) -> Values:
        """The scores of a table."""
        assert self.table is not None
        columns = self.table.columns
        discrete, places = [c.discrete for c in columns], [len(c.values) for c in columns]
        real = self._known["reference"].raw
        if group == "shapes":
            return {"column shapes": float(np.nanmean(M.column_shapes(real, fake.raw, discrete)))}
        if group == "trends":
            return {"pair trends": float(np.nanmean(M.pair_trends(real, fake.raw, discrete)))}
        scored, against = fake.raw[halves[0]], held.raw[halves[1]]
        if group == "efficacy":
            target = self.table.index(self.target)
            found = M.efficacy(scored, against, discrete, target, places, seed=self.seed)
            name = "F1" if discrete[target] else "R2"
            return {name: float(np.mean(list(found.values())))} | {f"{name} {k}": v for k, v in found.items()}
        count = min(len(against), len(self.training_rows))
        near = M.closest_records(
            scored, rows_of(self.store, self.training_rows[:count]), against[:count], discrete, places
        )
        return {"nearer to training": near.share, "exact copies": near.exact}

    def _moments(self) -> M.Reference:
        if not hasattr(self, "_reference"):
            self._reference = M.Reference.of(self._known["reference"].features)
        return self._reference

    def _classes(self, fake: _Side, held: _Side, more: dict[str, Any]) -> Values:
        """Which classes are there, as the encoder sees them, held against the shares it sees in held-out data."""
        if fake.probabilities is None or held.probabilities is None:
            return {}
        count = fake.probabilities.shape[1]
        shares, expected = (
            torch.bincount(side.argmax(1), minlength=count).double() / len(side)
            for side in (fake.probabilities, held.probabilities)
        )
        present = expected > 0
        found = (shares >= 0.2 * expected) & present
        more["shares"], more["missing"] = shares.tolist(), torch.nonzero(present & ~found)[:, 0].tolist()
        smooth = (expected + 1e-4) / (1 + 1e-4 * count)
        return {
            "classes": float(found.sum()),
            "class KL": float(torch.xlogy(shares, shares / smooth).sum()),
            "confidence": float(fake.probabilities.max(1).values.mean()),
        }

    def _copies(self, fake: _Side, held: _Side, halves: tuple[slice, slice], more: dict[str, Any]) -> Values:
        scored, against = fake.copying[halves[0]], held.copying[halves[1]]
        training = self.training
        near, far = (M.nearest(side, training).distances[:, 0] for side in (scored, against))
        values = {
            "exact copies": share_of_exact(fake.raw, self._hashes),
            "near copies": float((near < far.quantile(0.01)).double().mean()),
            "authenticity": M.authenticity(training, scored),
        }
        cells = max(1, min(10, len(training) // 100))
        with contextlib.suppress(ValueError):  # too few samples for any cell
            values["C_T"] = M.data_copying(training, against, scored, seed=self.seed, num_cells=cells).value
        pairs = M.closest_pairs(fake.copying, training, count=min(50, len(fake.copying)))
        rows = self.training_rows[pairs.training.numpy()]
        found = zip(pairs.fake.tolist(), rows.tolist(), pairs.distances.tolist(), strict=True)
        more["closest"] = [[int(i), int(j), round(d, 6)] for i, j, d in found]
        return values


def _target(codec: TableCodec | None, name: str) -> str:
    """The column that classifiers are to tell."""
    if codec is None:
        if name:
            raise ValueError(f"--target {name} is a column of a table; this data is none")
        return ""
    if name:
        return codec.columns[codec.index(name)].name
    some = [c.name for c in codec.columns if c.discrete] or [c.name for c in codec.columns if c.type != "constant"]
    return some[-1]


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
