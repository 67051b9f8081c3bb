"""The scores of samples of one kind, beside a floor and a control: one file of `kinds/` for each kind of data."""

from __future__ import annotations

import contextlib
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import nn

from .. import records
from .._version import __version__
from ..data import Store, kind_of
from ..encoders import Encoder
from ..files import write_json
from ..metrics.labels import Agreement
from ..model.ask import Asked
from ..options import DataOptions
from .protocol import METRICS_VERSION, Protocol
from .real import Drawn, Real, Source, Split, as_store, container, hash_of, rows_of

Better = Literal["lower", "higher", "floor"]
"""Which direction of a score is better; `floor`: as near to that of held-out real samples as can be."""
Values = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Obedience:
    """How often a fixed classifier sees samples as what they were asked to be."""

    name: str
    """Of the score: `label accuracy`, or `code accuracy`."""
    agreement: Agreement
    real: float
    """The same classifier's accuracy on held-out real samples; NaN where it is not known."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The scores of one set of samples, or some of them, and what they were read from."""

    values: Values = field(default_factory=dict)
    """Scores by their names."""
    shares: tuple[float, ...] = ()
    """Share of each class among the samples, as a classifier sees them; empty where none looked."""
    missing: tuple[int, ...] = ()
    """Classes of the data that the samples lack."""
    closest: tuple[tuple[int, int, float], ...] = ()
    """The samples nearest to a training sample: (index of the sample, row of the training store, distance)."""
    obedience: Obedience | None = None
    """Where samples were asked to be something, and a classifier saw whether they are."""
    facts: Mapping[str, float] = field(default_factory=dict)
    """What sentences and flags need beside scores: how many modes there are, the ceiling of a perfect sampler."""
    notes: tuple[str, ...] = ()
    """What could not be scored, and why."""


def joined(parts: Iterable[Judgement]) -> Judgement:
    """Scores of the same samples by several groups, as one; at most one part has each of the other fields."""
    whole = Judgement()
    for part in parts:
        whole = Judgement(
            values=whole.values | part.values,
            shares=whole.shares or part.shares,
            missing=whole.missing or part.missing,
            closest=whole.closest or part.closest,
            obedience=whole.obedience or part.obedience,
            facts={**whole.facts, **part.facts},
            notes=whole.notes + part.notes,
        )
    return whole


@dataclass(frozen=True, kw_only=True)
class JudgeOptions:
    """What is scored, and how."""

    metrics: tuple[str, ...] = ()
    """Groups of scores; empty: those that the kind's judge usually takes, as far as the data allows them."""
    watching: bool = False
    """Without `metrics`: only the groups that are taken during training."""
    encoder: str | Encoder = "own"
    """The network whose features are compared, where the kind has one: as `gansmith evaluate --encoder` takes it."""
    resize: str = "tf1-bilinear"
    """How pictures come to Inception's size."""
    target: str = ""
    """The column of a table that classifiers are to tell."""
    device: str = "cpu"
    """That samples are encoded on."""


class Judge(ABC):
    """The real side of an evaluation, and the scores of any samples against it. Subclasses are final."""

    groups: ClassVar[tuple[str, ...]]
    """The groups of scores that --metrics may name for this kind."""
    usual: ClassVar[tuple[str, ...]]
    """Those that are taken by default, ..."""
    watched: ClassVar[tuple[str, ...]]
    """... and those during training."""
    better: ClassVar[Mapping[str, Better]]
    """Which direction of a score is better, by its name or by the words that it begins with."""
    samples: ClassVar[str] = "samples"
    """What samples of this kind are called in notes."""
    caution: ClassVar[str] = ", so it is not held out from training"
    """The end of the note that the model may have been trained on the floor's samples."""
    most_watched: ClassVar[int] = 10_000
    """Samples that are scored during training at most: fewer where scores cost more."""
    takes_target: ClassVar[bool] = False
    """Whether `JudgeOptions.target` means something here."""
    suffixes: ClassVar[frozenset[str]] = frozenset()
    """Suffixes of files of this kind whose compression alone moves a score."""

    def __init__(self, real: Real, options: JudgeOptions, say: Callable[[str], object]) -> None:
        """Raises `ValueError` for metrics, a target or an encoder that do not fit the data."""
        self.real, self.options, self.say, self.spec = real, options, say, real.store.spec
        if options.target and not self.takes_target:
            raise ValueError(f"--target {options.target} is a column of a table; this data is none")
        for name in options.metrics:
            if name not in self.groups:
                kind, known = self.spec.kind, ", ".join(self.groups)
                raise ValueError(f"there are no metrics {name!r} of kind {kind}, as {real.store.source} is: {known}")
            if why := self.refusal(name):
                raise ValueError(why)
        chosen = self.watched if options.watching else self.usual
        self.metrics = tuple(dict.fromkeys(options.metrics)) or tuple(m for m in chosen if not self.refusal(m))
        self.notes = self._notes()

    @classmethod
    def of(
        cls,
        store: Store,
        *,
        data: Source | None = None,
        packing: DataOptions = DataOptions(),
        split: Split = Split(),
        options: JudgeOptions = JudgeOptions(),
        say: Callable[[str], object] = lambda _: None,
    ) -> Self:
        """A judge of samples of what `store` holds, on which the model was trained.

        Args:
            store: the model's training data.
            data: another source to hold samples against; by default the training data.
            packing: how `data` and a test split of the training data are packed, where `store` does not say.
            split: how many real rows play each part, and the seed that draws them.
            options: what is scored, and how.
            say: is told what is going on.

        Raises:
            FileNotFoundError: there is no such data, or no such encoder.
            ValueError: the data is of another kind, size or depth, there is too little of it, or `options` do not fit.
        """
        judged = store if data is None else as_store(data, packing, store)
        judged = store if judged.digest == store.digest else judged
        if judged.spec.kind != store.spec.kind:
            raise ValueError(f"{judged.source} is of kind {judged.spec.kind}, the model makes {store.spec.kind}")
        if not cls.comparable(store, judged):
            raise ValueError(
                f"{judged.source} holds {container(judged)}, the model makes {container(store)}: a score would "
                "measure the difference in size or depth; pass --size, or convert one of them"
            )
        unseen = cls.unseen(store, packing, split) if judged is store else None
        return cls(Real(store, judged, split, unseen), options, say)

    # What a kind must say.

    @property
    @abstractmethod
    def headline(self) -> str:
        """The score by which the best weights of a run are kept."""

    @abstractmethod
    def score(self, samples: np.ndarray, asked: Asked | None = None, nets: nn.ModuleDict | None = None) -> Judgement:
        """Scores of samples (n, ...) as `Codec.decode` gives them; n is best `real.num`, as of floor and control.

        `asked`: what each sample was asked to be. `nets`: the networks that made them, whose likelihood of real
        samples may be a score.
        """

    @abstractmethod
    def floor(self) -> Judgement:
        """Scores of held-out real samples: no model can be asked for more."""

    @abstractmethod
    def control(self) -> Judgement:
        """Scores of a replay of training samples: a perfect copier's."""

    @abstractmethod
    def own_protocol(self) -> dict[str, Any]:
        """Its part of `Protocol`: container, packing, quantised, copying and encoder. The rest is `Real`'s."""

    @abstractmethod
    def flags(self, judgement: Judgement, floor: Values, control: Values) -> dict[str, str]:
        """What is wrong with samples, by name: `copying`, `control_flagged`, `collapsed`, `classes_missing` ..."""

    # Defaults that most kinds keep.

    @staticmethod
    def comparable(a: Store, b: Store) -> bool:
        """Whether samples of two stores of this kind may be held against one another: stored alike."""
        return a.spec.shape == b.spec.shape and a.fields["x"].dtype == b.fields["x"].dtype

    @staticmethod
    def unseen(store: Store, packing: DataOptions, split: Split) -> Drawn | None:
        """Stored rows that no training saw, and their name, where the source of a store has some: a test split, ..."""
        return None

    @staticmethod
    def decoded(store: Store, rows: np.ndarray) -> np.ndarray:
        """These rows of a store as `score` takes them."""
        return rows_of(store, rows)

    def refusal(self, group: str) -> str:
        """Why this data cannot be scored by a group; empty where it can."""
        return ""

    def sentences(self, judgement: Judgement, floor: Values) -> Sequence[str]:
        """The scores in words that only this kind needs; those that all share are in `words`."""
        return ()

    def warnings(self, judgement: Judgement) -> list[str]:
        """What makes these scores weaker than they look."""
        few = f"only {self.real.num:,} samples: scores are noisy, and small differences mean nothing"
        return [few] if self.real.num < 1_000 else []

    @property
    def identity(self) -> dict[str, Any]:
        """What beside the rows decides what is computed of real samples: part of the cache's key."""
        return {"encoder": "none"}

    @property
    def yardstick_key(self) -> str:
        """What beside the groups decides the scores of floor and control: part of the cache's key."""
        return self.headline

    # What all kinds share.

    def yardsticks(self) -> tuple[Judgement, Judgement]:
        """The floor and the control, from the cache where they were scored before: their values and class shares."""
        base = self.real.cache(self.identity)
        key = hash_of([METRICS_VERSION, self.metrics, self.yardstick_key])
        path = base.with_name(f"{base.name}-{key[:8]}.json")
        with contextlib.suppress(OSError, ValueError, KeyError):
            if path.is_file():
                saved = records.read(path)
                shares = tuple(saved["more"].get("shares", ()))
                return Judgement(values=saved["floor"], shares=shares), Judgement(values=saved["control"])
        self.say(
            f"scoring held-out real {self.samples} (the floor) and a replay of training {self.samples} (the control)"
        )
        floor, control = self.floor(), self.control()
        path.parent.mkdir(parents=True, exist_ok=True)
        more = {"shares": list(floor.shares)} if floor.shares else {}
        write_json(path, {"floor": floor.values, "control": control.values, "more": more})
        return floor, control

    def direction(self, name: str) -> str:
        """Which direction of a score is better: `lower`, `higher` or `floor`; empty where that is not known."""
        known = [k for k in self.better if name.startswith(k) and not name[len(k) : len(k) + 1].isalnum()]
        return self.better[max(known, key=len)] if known else ""

    def protocol(self, *, weights: str, checkpoint: str, sample_seed: int) -> Protocol:
        """The record of scores by this judge."""
        fields = {**self.real.protocol(), **self.own_protocol()}
        versions = f"gansmith {__version__}, torch {torch.__version__}"
        return Protocol(**fields, weights=weights, checkpoint=checkpoint, sample_seed=sample_seed, versions=versions)

    def _notes(self) -> list[str]:
        """What there is to know of the real side."""
        real, notes = self.real, []
        if real.num < real.split.n:
            given = self.samples if real.num == real.split.num_fake else "held-out real ones"
            notes.append(f"{real.num:,} {self.samples} are scored, not {real.split.n:,}: there are no more {given}")
        if real.judged is not real.store and real.judged.path == real.store.path:  # read in the codec of the store
            notes += [f"{real.judged.source}: {note}" for note in real.judged.notes]
        if real.held_seen:
            notes.append(f"the floor is {real.held_name}: the model may have been trained on it{self.caution}")
        return notes


_FOLDER = Path(__file__).parent / "kinds"


def judged_kinds() -> tuple[str, ...]:
    """The kinds of data that have a judge: the names of the files of `kinds/`."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.py") if path.stem != "__init__"))


def judge_of(kind: str) -> type[Judge]:
    """The judge of that kind: `JUDGE` of its file.

    Raises `ValueError` if there is none, with the kind's own reason where it has one.
    """
    if why := kind_of(kind).unscored:
        raise ValueError(why)
    if kind not in judged_kinds():  # nothing but a file of `kinds/` is ever imported
        raise ValueError(f"there is no judge of kind {str(kind)[:40]!r}; there are {', '.join(judged_kinds())}")
    return importlib.import_module(f".kinds.{kind}", __package__).JUDGE


def build_judge(
    store: Store,
    *,
    data: Source | None = None,
    packing: DataOptions = DataOptions(),
    split: Split = Split(),
    options: JudgeOptions = JudgeOptions(),
    say: Callable[[str], object] = lambda _: None,
) -> Judge:
    """The judge of the kind that a store holds; see `Judge.of`."""
    if why := kind_of(store.spec.kind).unscored:
        raise ValueError(f"{store.source} holds {store.spec.kind}: {why}")
    return judge_of(store.spec.kind).of(store, data=data, packing=packing, split=split, options=options, say=say)
