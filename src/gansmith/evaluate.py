"""Is it good? Scores of a run, with their protocol, their floor and their control.

Three things are scored in the same way: the model; held-out real samples (the floor: no model can be asked for more);
and a replay of training samples (the control: every fidelity score is flattered by it, and the copying scores must
flag it, or they would not flag a model either). Real rows are drawn at random with a recorded seed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from . import metrics as M
from ._version import __version__
from .data import Codec, Store, open_store
from .data import toy as toys
from .data.spec import ImageCodec
from .data.store import cache_dir
from .data.table import TableCodec
from .data.tabular import rows_like
from .encoders import Encoder, cifar_resnet, dinov2, inception, load_own, score_name, train_own
from .judge_text import NLL, ORACLE_NLL, TextJudge
from .metrics.features import wide
from .model import Model, Weights, draw_samples, load
from .options import DataOptions, Size
from .protocol import METRICS_VERSION, Protocol, Scores, read_scores
from .recipe import Recipe
from .run import Run, read_json, write_json, write_tensors

Source = str | Path | np.ndarray | Mapping[str, np.ndarray]
Values = dict[str, float]

IMAGE_METRICS = ("fd", "kd", "prdc", "classes", "diversity", "copying")
VECTOR_METRICS = ("modes", "fd", "sliced", "c2st", "diversity", "copying")
ALL_METRICS = ("fd", "fd-infinity", "kd", "prdc", "classes", "inception-score", "diversity", "copying", "modes")
ALL_METRICS += ("sliced", "c2st", "one-nn", "vendi")
TABLE_METRICS = ("shapes", "trends", "efficacy", "closest")
ALL_METRICS += TABLE_METRICS
"""Groups of scores; `modes` is for the toys, whose modes are known."""

TRAINING = 20_000
COPY_VALUES, COPY_DIM = 1_024, 64
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
        self.toy = _toy_of(store)
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
        self.encoder = _encoder(encoder, store, resize, device, say) if self.image else None
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
        judged = store if data is None else _as_store(data, options, store)
        if judged.digest == store.digest:
            judged = store
        if judged.spec.shape != store.spec.shape or judged.fields["x"].dtype != store.fields["x"].dtype:
            raise ValueError(
                f"{judged.source} holds {_container(judged)}, the model makes {_container(store)}: a score would "
                "measure the difference in size or depth; pass --size, or convert one of them"
            )
        self.judged = judged
        order = np.random.Generator(np.random.Philox(key=[self.seed % 2**64, 7])).permutation(len(judged))
        found = _held_out(judged, options, n, self.seed) if judged is store else None
        held_name, held_seen = f"another part of {judged.source}", judged is store
        held_rows = order[:0]
        if found is not None:
            pool, held_name = found
            held_seen = False
        else:
            share = min(n, len(judged) // 2)
            held_rows, order = order[:share], order[share:]
            pool = _rows(judged, held_rows)
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
        self.replay = _rows(store, picked)

    def _encode(self) -> None:
        """Features of the real rows, from the cache of an earlier evaluation where there is one."""
        reference, training = _rows(self.judged, self.reference_rows), _rows(self.store, self.training_rows)
        self._basis = _basis(_reduced(training, self.bounds)) if self.image and "copying" in self.metrics else None
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
        self._hashes = _hashes(self.store.fields["x"][self._known_rows]) if "copying" in self.metrics else {}

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
        return (_reduced(raw, self.bounds) - mean) @ axes

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
            container=_container(self.store) + (f", target {self.target}" if self.table is not None else ""),
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

    def score(self, fake: np.ndarray) -> tuple[Values, dict[str, Any]]:
        """Scores of samples (num, ...) as the data stores them; beside them class shares and closest pairs."""
        return self._measure(self._side(np.asarray(fake)), self._known["held"])

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
                    values["duplicates"] = 1 - len(_hashes(fake.raw)) / len(fake.raw)
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
            scored, _rows(self.store, self.training_rows[:count]), against[:count], discrete, places
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
            "exact copies": _exact(fake.raw, self._hashes),
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


# --- commands ---------------------------------------------------------------------------------------------------------


def evaluate(
    run: str | Path | Run | Model,
    *,
    data: Source | None = None,
    metrics: Sequence[str] = (),
    n: int = 10_000,
    reference: int = 10_000,
    training: int = TRAINING,
    encoder: str | Encoder = "own",
    resize: str = "tf1-bilinear",
    weights: Weights = "ema",
    checkpoint: Literal["last", "best"] = "last",
    seed: int = 0,
    reference_seed: int = 0,
    device: str = "cpu",
    target: str = "",
    recipe: type[Recipe] | None = None,
    fresh: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> Scores:
    """Score a run and write the scores into its `scores/`; what was scored before under this protocol is read.

    Args:
        run: its directory, or the folder of a saved model, or a model; for the last two `data` must be given.
        data: what to hold it against; by default the data it was trained on.
        metrics: groups of `ALL_METRICS` (of text: of `judge_text.METRICS`); by default those that fit the data.
        n: samples of the model, of the floor and of the control.
        reference: real samples, drawn at random from the data.
        training: training samples among which near copies are looked for.
        encoder: `own` (trained once on the data), `inception`, `inception:PATH`, `own:FOLDER`, `cifar:PATH`, `pixels`,
            or an `Encoder`. Vectors need none.
        resize: what Inception is given: `tf1-bilinear` (FID), `torch-bilinear` or `pil-bicubic` ("clean").
        weights: the moving average, or the weights of the last step.
        checkpoint: the last one, or the best of those scored during training.
        seed: of the samples.
        reference_seed: of the rows of the real side.
        device: that the samples are drawn and encoded on.
        target: the column of a table that classifiers are to tell; the last discrete one by default.
        recipe: the class, for a run that used a recipe file of your own.
        fresh: score again what has been scored.
        say: is told what is going on.

    Raises:
        FileNotFoundError: there is no such run, model, data or weights.
        ValueError: options that do not fit.
    """
    began = time.perf_counter()
    model, path, store, options, about = _model(run, data, checkpoint, recipe)
    judge: Judge | TextJudge
    if store.spec.kind == "text":
        judged = open_store(data, options, progress=False) if path is not None and data is not None else None
        judge = TextJudge(store, judged=judged, metrics=metrics, n=n, reference=reference, seed=reference_seed, say=say)
        judge.attach(model.weights(weights))
    else:
        judge = Judge(
            store,
            data=None if path is None else data,
            options=options,
            metrics=metrics,
            n=n,
            reference=reference,
            training=training,
            encoder=encoder,
            resize=resize,
            seed=reference_seed,
            target=target,
            device=device,
            say=say,
        )
    if model.spec.kind != "table" and model.spec.shape != store.spec.shape:
        raise ValueError(f"the model makes samples of {model.spec.shape}, {store.source} holds {store.spec.shape}")
    protocol = judge.protocol(weights=weights, checkpoint=checkpoint, sample_seed=seed)
    place, kept = None, None
    if path is not None:
        place = path / "scores" / f"{model.images:012d}-{weights}-{protocol.short}.json"
        if place.is_file() and not fresh:
            with contextlib.suppress(ValueError):
                kept = read_scores(place)
        if kept is not None and set(judge.metrics) <= set(kept.run.get("metrics", ())):
            say(f"these scores were there: {place}")
            return kept
    say(f"drawing {judge.num:,} samples of {model.recipe_name} after {model.images:,} images")
    samples = model.to(device).stored(judge.num, seed=seed, weights=weights)
    scores = _scores(judge, samples, protocol, about | {"images": model.images}, began)
    if place is not None:
        if kept is not None:
            scores = _joined(kept, scores)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(place, scores.to_json())
    return scores


def evaluate_sets(
    real: Source,
    fake: Source,
    *,
    options: DataOptions = DataOptions(),
    metrics: Sequence[str] = (),
    n: int = 10_000,
    reference: int = 10_000,
    training: int = TRAINING,
    encoder: str | Encoder = "own",
    resize: str = "tf1-bilinear",
    seed: int = 0,
    reference_seed: int = 0,
    device: str = "cpu",
    out: Path | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Scores:
    """Score one set of samples against another, without a run; copies are looked for in the real one.

    Arguments as for `evaluate`; `seed` draws the rows of the fakes. `out`: a JSON file to write.

    Raises:
        FileNotFoundError: one of them is not there.
        ValueError: they differ in size, channels or depth, or are too few.
    """
    began = time.perf_counter()
    truth = open_store(real, options, progress=False)
    made = _as_store(fake, options, truth)
    text = truth.spec.kind == made.spec.kind == "text"
    if not text and (truth.spec.shape != made.spec.shape or truth.fields["x"].dtype != made.fields["x"].dtype):
        raise ValueError(
            f"{truth.source} holds {_container(truth)}, {made.source} holds {_container(made)}: a score would measure "
            "the difference; pass --size, or convert one of them"
        )
    judge: Judge | TextJudge
    if text:
        judge = TextJudge(
            truth, metrics=metrics, n=n, reference=reference, seed=reference_seed, num_fake=len(made), say=say
        )
    else:
        judge = Judge(
            truth,
            metrics=metrics,
            n=n,
            reference=reference,
            training=training,
            encoder=encoder,
            resize=resize,
            seed=reference_seed,
            num_fake=len(made),
            device=device,
            say=say,
        )
    first, second = _suffixes(real), _suffixes(fake)
    if first and second and first != second:
        judge.notes.append(
            f"files of another kind: {', '.join(first)} against {', '.join(second)}; compression alone moves a score"
        )
    for store in (truth, made):
        judge.notes += [f"{store.source}: {note}" for note in store.notes if "made" in note or "read with" in note]
    rows = np.random.Generator(np.random.Philox(key=[seed % 2**64, 10])).permutation(len(made))[: judge.num]
    protocol = judge.protocol(weights="", checkpoint="files", sample_seed=seed)
    about = {"recipe": "files", "fields": {}, "seed": seed, "data": truth.source, "source": made.source, "images": 0}
    samples = _rows(made, rows)
    if text:
        samples = made.spec.codec.decode(torch.from_numpy(samples))
    scores = _scores(judge, samples, protocol, about, began)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, scores.to_json())
    return scores


class Watch:
    """Scores during training: a small judge, a line a look, and whether this is the best so far."""

    def __init__(
        self,
        run: Path,
        store: Store,
        *,
        n: int = 2_000,
        encoder: str | Encoder = "own",
        codec: Codec | None = None,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Trains the own encoder where it was not yet; leaves the process's random state as it was.

        `codec` decodes the samples: the recipe's own, where it is not the one the store proposes.
        """
        self.run, self.path = run, run / "scores" / "training.jsonl"
        self.codec = store.spec.codec if codec is None else codec
        self.judge: Judge | TextJudge
        if store.spec.kind == "text":
            self.judge = TextJudge(store, n=min(n, 500), reference=5_000, say=say)
            self.name = ORACLE_NLL if self.judge.oracle is not None else NLL
            return
        with torch.random.fork_rng([]):
            groups = {"image": ("fd", "prdc", "diversity", "classes"), "table": ("trends", "shapes")}.get(
                store.spec.kind, ("fd", "sliced")
            )
            chosen = (*groups, "modes") if _toy_of(store) else groups
            self.judge = Judge(store, metrics=chosen, n=n, reference=5_000, training=1_000, encoder=encoder, say=say)
        self.name = self.judge.frechet if store.spec.kind != "table" else "pair trends"

    def look(self, recipe: Recipe, nets: nn.ModuleDict, images: int, seed: int) -> tuple[str, bool]:
        """Score these networks; append the line. Returns it in words, and whether no earlier one was as good."""
        return evaluate_nets(self, recipe, nets, images, seed)

    def earlier(self, images: int) -> list[dict[str, Any]]:
        """The lines before so many images: those after it were of a run that has gone back to a checkpoint."""
        if not self.path.is_file():
            return []
        found = []
        for text in self.path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                line = json.loads(text)
                if line["images"] < images:
                    found.append(line)
        return found


def evaluate_nets(watch: Watch, recipe: Recipe, nets: nn.ModuleDict, images: int, seed: int) -> tuple[str, bool]:
    """Score networks during training; see `Watch.look`."""
    judge = watch.judge
    if isinstance(judge, TextJudge):
        judge.attach(nets)
    with torch.random.fork_rng([]):
        encoded = draw_samples(recipe, nets, judge.num, seed)
        values, _ = judge.score(watch.codec.decode(encoded))
    lines = watch.earlier(images)
    finite = {k: v if math.isfinite(v) else None for k, v in values.items()}
    sign = -1 if better(watch.name) == "higher" else 1
    own = sign * values.get(watch.name, math.nan)
    best = all(own < sign * line["scores"][watch.name] for line in lines)
    line = {"images": images, "scores": finite, "best": best, "num_fake": judge.num, "key": watch.name}
    watch.path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(entry) + "\n" for entry in [*lines, line])
    watch.path.write_text(text, encoding="utf-8")
    shown = ", ".join(f"{k} {_number(v)}" for k, v in values.items())
    return f"at {images:,} images ({judge.num:,} samples): {shown}{' (best so far)' if best else ''}", best


# --- reading ----------------------------------------------------------------------------------------------------------


def _scores(
    judge: Judge | TextJudge, samples: np.ndarray, protocol: Protocol, about: Mapping[str, Any], began: float
) -> Scores:
    floor, control, floor_more = judge.yardsticks()
    judge.say("scoring the model")
    values, more = judge.score(samples)
    classes = list(judge.spec.classes)
    if isinstance(judge, TextJudge):
        flags = judge.flags(values, floor, control)
    else:
        flags = _flags(values, floor, control, more, classes)
    notes = list(judge.notes)
    dim = protocol.encoder_features
    if judge.num <= dim and judge.frechet in values:
        notes.append(
            f"{judge.num:,} samples of {dim} features: a Frechet distance is mostly bias there; read {judge.kernel}"
        )
    elif judge.num < 1_000:
        notes.append(f"only {judge.num:,} samples: scores are noisy, and small differences mean nothing")
    if flags.get("control_flagged") == "no":
        notes.insert(
            0,
            "THE CONTROL WAS NOT FLAGGED: a replay of training samples passes these copying tests, so they say nothing "
            "about the model",
        )
    return Scores(
        scores=values,
        floor={k: floor[k] for k in values if k in floor},
        control={k: control[k] for k in values if k in control},
        better={k: better(k) for k in values},
        flags=flags,
        reading=tuple(_reading(judge, values, floor, flags, more)),
        notes=tuple(notes),
        protocol=protocol,
        run={**about, "metrics": list(judge.metrics)},
        class_histogram=tuple(more.get("shares", ())),
        class_histogram_floor=tuple(floor_more.get("shares", ())),
        closest=tuple((i, j, d) for i, j, d in more.get("closest", [])),
        seconds=round(time.perf_counter() - began, 2),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


_BETTER = {
    **dict.fromkeys(("precision", "recall", "density", "coverage", "classes", "modes", "Vendi"), "higher"),
    **dict.fromkeys(("class KL", "duplicates", "exact copies", "reverse KL", "sliced W2", "C2ST"), "lower"),
    **dict.fromkeys(("spread", "confidence", "near copies", "authenticity", "C_T", "high quality"), "floor"),
    **dict.fromkeys(("mode width", "1-NN real", "1-NN fake", "nearer to training"), "floor"),
    **dict.fromkeys(("distinct-2", "tokens a line"), "floor"),
    **dict.fromkeys(("column shapes", "pair trends"), "higher"),
    **dict.fromkeys((NLL, ORACLE_NLL), "lower"),
}


def better(name: str) -> str:
    """Which direction of a score is better: `lower`, `higher`, or `floor` (as near to the floor as can be)."""
    if name.startswith(("FD", "KD", "FID", "KID")):
        return "lower"
    if name.startswith(("BLEU", "self-BLEU")):
        return "floor"
    return "higher" if name.startswith(("IS", "F1", "R2")) else _BETTER.get(name, "")


def _copying(values: Values, floor: Values) -> str:
    """Whether samples are copies: `yes`, `perhaps` or `no`, in comparison with held-out real samples."""
    if "authenticity" not in values:
        return ""
    if values["exact copies"] > floor["exact copies"] + 0.05:
        return "yes"
    nearer = values.get("C_T", -math.inf) < -3  # too few samples for it: the other alone decides
    few = values["exact copies"] > floor["exact copies"] + 0.005
    if nearer and values["authenticity"] < floor["authenticity"] / 2:
        return "yes"
    return "perhaps" if few or (nearer and values["authenticity"] < floor["authenticity"] - 0.1) else "no"


def _flags(
    values: Values, floor: Values, control: Values, more: Mapping[str, Any], classes: Sequence[str]
) -> dict[str, str]:
    flags = {}
    if copying := _copying(values, floor):
        flags["copying"] = copying
        blind = {**control, "exact copies": floor["exact copies"]}  # near copies must be seen without exact ones
        flags["control_flagged"] = "yes" if _copying(blind, floor) == "yes" else "no"
    if "spread" in values:
        alike = values["spread"] < 0.25 or values["duplicates"] > floor["duplicates"] + 0.2
        some = values["spread"] < 0.6 or values["duplicates"] > floor["duplicates"] + 0.01
        flags["collapsed"] = "yes" if alike else "perhaps" if some else "no"
    if "missing" in more:
        missing = [classes[k] if k < len(classes) else str(k) for k in more["missing"]]
        flags["classes_missing"] = ", ".join(missing) or "none"
        if len(missing) >= max(2, 0.5 * floor["classes"]):
            flags["collapsed"] = "yes"
    if "modes" in values:
        flags["modes_missing"] = str(more["modes"] - int(values["modes"]))
        if values["modes"] <= more["modes"] / 4:
            flags["collapsed"] = "yes"
    return flags


def _reading(
    judge: Judge | TextJudge, values: Values, floor: Values, flags: Mapping[str, str], more: Mapping[str, Any]
) -> list[str]:
    lines = []
    if judge.frechet in values:
        text = f"{judge.frechet} {_number(values[judge.frechet])}; held-out real samples score "
        lines.append(f"{text}{_number(floor[judge.frechet])}, and no model can be asked for less")
    if "modes" in values:
        lines.append(
            f"modes: {values['modes']:.0f} of {more['modes']}; {values['high quality']:.1%} of high quality, of a "
            f"perfect sampler {more['ceiling']:.1%}; reverse KL {_number(values['reverse KL'])}, of a perfect sampler "
            f"about {_number(more['kl_floor'])}"
        )
    if "BLEU-4" in values and "self-BLEU-4" in values:
        lines.append(
            f"BLEU-4 {_number(values['BLEU-4'])} (held-out lines {_number(floor['BLEU-4'])}) at self-BLEU-4 "
            f"{_number(values['self-BLEU-4'])} ({_number(floor['self-BLEU-4'])}): a higher BLEU bought with a higher "
            "self-BLEU is caution, not quality; a lower sampling temperature does the same"
        )
    if "collapsed" in flags:
        words = {"no": "no", "perhaps": "in part", "yes": "YES: samples are much more alike than real ones"}
        lines.append(f"collapsed: {words[flags['collapsed']]}")
    if "classes_missing" in flags:
        lines.append(f"classes missing: {flags['classes_missing']}")
    if "copying" in flags:
        words = {
            "no": "no",
            "perhaps": "perhaps: look at the closest pairs",
            "yes": "YES: samples are training samples, or nearly so",
        }
        lines.append(f"copies of training data: {words[flags['copying']]}")
    if flags.get("control_flagged") == "yes":
        lines.append("the control, a replay of training data, was flagged as copying: these tests can see it")
    return lines


def table(scores: Scores) -> str:
    """The scores as a table, with what they mean in words."""
    arrows = {"lower": "lower is better", "higher": "higher is better", "floor": "as the floor is best", "": ""}
    head = ("", "model", "floor (real)", "control (replay)", "")
    rows = [
        (
            name,
            _number(value),
            _number(scores.floor.get(name, math.nan)),
            _number(scores.control.get(name, math.nan)),
            arrows[scores.better.get(name, "")],
        )
        for name, value in scores.scores.items()
    ]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(4)]
    p = scores.protocol
    lines = [
        f"{a:{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}  {e}".rstrip()
        for a, b, c, d, e in (head, *rows)
    ]
    lines += ["", *scores.reading]
    lines += [f"note: {note}" for note in scores.notes]
    encoder = f"{p.encoder} {p.encoder_sha256[:8]} (resize {p.encoder_resize})" if p.encoder != "none" else "none"
    which = f", weights {p.weights}, checkpoint {p.checkpoint}" if p.weights else ""
    lines += [
        "",
        f"protocol {p.key}: {p.num_fake:,} samples against {p.num_real:,} of {p.reference}, drawn at random with seed "
        f"{p.reference_seed}; floor from {p.held_out}; {p.container}{', quantised' if p.quantised else ''}; encoder "
        f"{encoder}{which}",
    ]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1_000 or value == int(value) else f"{value:.3g}"


# --- parts ------------------------------------------------------------------------------------------------------------


def _model(
    run: str | Path | Run | Model, data: Source | None, checkpoint: str, recipe: type[Recipe] | None
) -> tuple[Model, Path | None, Store, DataOptions, dict[str, Any]]:
    """The model, its run's directory if it has one, the data it was trained on, and what it is."""
    if isinstance(run, Run):
        run = run.path
    if isinstance(run, Model) or not (Path(run) / "run.json").is_file():
        model = run if isinstance(run, Model) else load(run, recipe)
        if data is None:
            raise ValueError("a model without its run does not say where its data is: pass data (--data)")
        shape = model.spec.shape
        options = DataOptions(size=Size((shape[1], shape[2]) if model.spec.kind == "image" else (0, 0)))
        about = {"recipe": model.recipe_name, "fields": _fields(model.recipe), "seed": 0, "data": str(data)[:200]}
        store = open_store(data, options, progress=False)
        if isinstance(model.spec.codec, TableCodec):
            store = _as_store(data, options, dataclasses.replace(store, spec=model.spec))
        return model, None, store, options, about
    found = Run(run)
    if checkpoint == "best" and not (found.path / "best" / "model.json").is_file():
        raise FileNotFoundError(f"{found.path} has no best checkpoint: train with --evaluate-every to keep one")
    model = load(found.path / "best" if checkpoint == "best" else found.path, recipe)
    saved, record = found.record["options"], found.record["data"]
    options = DataOptions(
        data_dir=Path(saved["data_dir"]) if saved.get("data_dir") else None,
        size=Size(saved["size"]),
        columns=str(saved.get("columns", "")),
        **{k: saved[k] for k in ("fit", "resample", "channels")},
        **{k: v for k, v in saved.items() if k.startswith("text_")},
    )
    if (Path(record["store"]) / "manifest.json").is_file():
        store = Store.open(record["store"])
    else:
        store = open_store(record["source"], options, progress=False)
    if store.digest != record["digest"]:
        raise ValueError(
            f"{record['source']} is no longer the data of this run (digest {store.digest[:12]}, recorded "
            f"{record['digest'][:12]}): restore it"
        )
    about = {
        "recipe": model.recipe_name,
        "fields": dict(found.record["recipe"]["fields"]),
        "seed": int(saved["seed"]),
        "data": str(record["source"]),
        "digest": str(record["digest"]),
        "batch_size": int(saved["batch_size"]),
        "seconds": round(float(found.progress()["seconds"]), 1),
    }
    return model, found.path, store, options, about


def _fields(recipe: Recipe) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(recipe), default=str))


def _encoder(name: str | Encoder, store: Store, resize: str, device: str, say: Callable[[str], object]) -> Encoder:
    if isinstance(name, Encoder):
        return name
    kind, _, path = name.partition(":")
    match kind:
        case "own":
            if path:
                return load_own(path, device=device)
            say("the encoder `own`: trained on this data, once, unless it is there already")
            return train_own(store, device=device)
        case "inception":
            return inception(path or None, resize=resize, device=device)  # ty: ignore[invalid-argument-type]
        case "cifar" | "cifar-resnet20" | "cifar-resnet56" if path:
            return cifar_resnet(path, device=device)
        case "dinov2":
            return dinov2(path or None, device=device)
        case "pixels":
            return _pixels(store)
    raise ValueError(
        f"no encoder is called {name!r}: say own, own:FOLDER, inception, inception:PATH, cifar:PATH, dinov2, "
        "dinov2:FOLDER or pixels"
    )


class _Pixels(nn.Module):
    """Pictures as they are, in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1 / 255), requires_grad=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) to (N, C H W) and (N, 0)."""
        features = (x * self.scale).flatten(1)
        return features, features.new_empty(len(x), 0)


def _pixels(store: Store) -> Encoder:
    channels, height, width = store.spec.shape
    if math.prod(store.spec.shape) > 4_096:
        raise ValueError(
            f"{store.source} has {math.prod(store.spec.shape):,} values a picture: pixels are for up to 4,096; use own"
        )
    return Encoder(
        name="pixels",
        net=_Pixels(),
        shape=(channels, height, width),
        dim=math.prod(store.spec.shape),
        classes=0,
        sha256="",
        resize="none",
        scaling="x / 255",
        fits=(channels, height, width),
        batch_size=256,
    )


def _toy_of(store: Store) -> str:
    """The name of the toy that a store holds, or nothing."""
    kind, _, name = store.source.partition(":")
    return name if kind == "toy" and name in toys.NAMES else ""


def _held_out(store: Store, options: DataOptions, n: int, seed: int) -> tuple[np.ndarray, str] | None:
    """Samples that no training saw: the source's own test split, drawn at random, or fresh ones of a toy."""
    if name := _toy_of(store):
        return toys.sample(name, n, seed=2**32 + seed)[0], f"{store.source}, drawn anew"
    if store.source not in ("mnist", "fashion-mnist", "cifar10"):
        return None
    try:
        test = open_store(f"{store.source}:test", _like(options, store), progress=False)
    except (OSError, ValueError):
        return None
    order = np.random.Generator(np.random.Philox(key=[seed % 2**64, 11])).permutation(len(test))
    return _rows(test, order[:n]), test.source


def _like(options: DataOptions, store: Store) -> DataOptions:
    """The options that pack another source to the shape of this store."""
    if store.spec.kind != "image":
        return options
    channels: dict[int, Literal["grey", "rgb", "rgba"]] = {1: "grey", 3: "rgb", 4: "rgba"}
    kept: dict[str, Any] = {k: store.options[k] for k in ("fit", "resample") if k in store.options}
    size = tuple(store.options.get("size", (0, 0)))
    chosen = store.options.get("channels", channels.get(store.spec.shape[0], "auto"))
    return dataclasses.replace(options, size=Size(size), channels=chosen, **kept)


def _as_store(source: Source, options: DataOptions, like: Store) -> Store:
    """Another source, packed as this store is; a table is read with this one's columns, so that codes mean the same."""
    codec = like.spec.codec
    if not isinstance(codec, TableCodec):
        return open_store(source, _like(options, like), progress=False)
    rows, notes = rows_like(source, codec)
    digest = hashlib.sha256(rows.tobytes()).hexdigest()
    name = str(source) if isinstance(source, str | Path) else "table"
    return dataclasses.replace(like, source=name, digest=digest, fields={"x": rows}, notes=tuple(notes))


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


def _rows(store: Store, rows: np.ndarray) -> np.ndarray:
    """These rows, in this order; read from the disk in ascending order."""
    order = np.argsort(rows, kind="stable")
    found = np.empty((len(rows), *store.fields["x"].shape[1:]), store.fields["x"].dtype)
    found[order] = store.fields["x"][rows[order]]
    return found


def _container(store: Store) -> str:
    x = store.fields["x"]
    return f"{x.dtype.name} {'x'.join(map(str, x.shape[1:]))}"


def _reduced(raw: np.ndarray, bounds: tuple[float, float] | None) -> Tensor:
    """Pictures (N, H, W, C) as float32 (N, d) in [0, 1], reduced to at most COPY_VALUES."""
    low, high = bounds or (0.0, 65535.0 if raw.dtype == np.uint16 else 255.0)
    height, width, channels = raw.shape[1:]
    shrink = max(1.0, math.sqrt(height * width * channels / COPY_VALUES))
    size = [max(1, int(height / shrink)), max(1, int(width / shrink))]
    parts = []
    for start in range(0, len(raw), 4_096):
        x = torch.from_numpy(np.asarray(raw[start : start + 4_096]).astype(np.float32)).permute(0, 3, 1, 2)
        if size != list(x.shape[2:]):
            x = torch.nn.functional.interpolate(x, size, mode="area")
        parts.append(((x - low) / (high - low)).flatten(1))
    return torch.cat(parts)


def _basis(x: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the main directions (d, k) of vectors (N, d)."""
    moments = M.Moments.of(x)
    _, vectors = torch.linalg.eigh(wide(moments.covariance))
    k = min(COPY_DIM, x.shape[1])
    return moments.mean.float(), vectors[:, -k:].float()


def _hashes(raw: np.ndarray) -> dict[bytes, int]:
    """How often each different sample occurs, by a hash of its bytes."""
    counts: Counter[bytes] = Counter()
    for start in range(0, len(raw), 4_096):
        block = np.ascontiguousarray(raw[start : start + 4_096])
        counts.update(hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in block)
    return counts


def _exact(raw: np.ndarray, known: Mapping[bytes, int]) -> float:
    """The share of samples that equal one of the known, byte for byte."""
    return sum(count for digest, count in _hashes(raw).items() if digest in known) / len(raw)


def _suffixes(source: Source) -> list[str]:
    """The kinds of files in a folder, of which the most frequent is told."""
    if not isinstance(source, str | Path) or not Path(source).is_dir():
        return []
    pictures = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
    counts = Counter(p.suffix.lower().replace(".jpeg", ".jpg") for p in Path(source).rglob("*") if p.suffix)
    found = sorted(suffix for suffix in counts if suffix in pictures or suffix == ".jpg")
    return found


def _joined(kept: Scores, new: Scores) -> Scores:
    """Scores of the same samples under the same protocol, of two choices of metrics."""
    names = ("scores", "floor", "control", "better", "flags")
    values: dict[str, Any] = {name: {**getattr(kept, name), **getattr(new, name)} for name in names}
    metrics = list(dict.fromkeys([*kept.run.get("metrics", ()), *new.run["metrics"]]))
    reading = tuple(dict.fromkeys([*kept.reading, *new.reading]))
    for name in ("closest", "class_histogram", "class_histogram_floor"):
        values[name] = getattr(new, name) or getattr(kept, name)
    return dataclasses.replace(new, **values, run={**new.run, "metrics": metrics}, reading=reading)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
