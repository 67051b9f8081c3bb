"""The judge of series: features of an encoder of one's own, their course, what small recurrent nets tell, and copies.

What any model must beat stands beside it: a bootstrap of blocks of real series (`gansmith.metrics.block_bootstrap`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from ...data.kinds.series.codec import SeriesCodec, stored_lengths
from ...encoders.named import encoder_of
from ...metrics import series as S
from ...model.ask import Asked
from .. import copies, features, labels, words
from ..copies import Copies
from ..features import Features, Side
from ..judge import Better, Judge, Judgement, JudgeOptions, Values, joined
from ..real import Real, container

MOST_TOLD = 1_000
"""Series of each side that recurrent nets learn from."""
MOVES, REPEATS = 500, 3
"""Batches that each recurrent net learns from, and nets: the published scores take 2,000 or 5,000, and 5."""
BESIDE = "blocks: "
"""What the names of the bootstrap's scores begin with, among those of the floor."""

GROUPS: dict[str, Callable[[SeriesJudge, Side], Judgement]] = {
    "fd": lambda judge, fake: judge.features.frechet(fake),
    "kd": lambda judge, fake: judge.features.kernel(fake),
    "prdc": lambda judge, fake: judge.features.prdc(fake),
    "course": lambda judge, fake: judge.course(fake),
    "discriminative": lambda judge, fake: judge.discriminative(fake),
    "predictive": lambda judge, fake: judge.predictive(fake),
    "diversity": lambda judge, fake: judge.features.diversity(fake),
    "copying": lambda judge, fake: judge.copies.score(fake.raw, fake.parts),
    "sliced": lambda judge, fake: judge.features.sliced(fake),
    "one-nn": lambda judge, fake: judge.features.one_neighbour(fake),
}


class SeriesJudge(Judge):
    """Series (n, T, D) as float64, NaN behind their ends."""

    groups: ClassVar = tuple(GROUPS)
    usual: ClassVar = ("fd", "course", "discriminative", "predictive", "diversity", "copying")
    watched: ClassVar = ("fd", "course", "diversity")
    better: ClassVar[Mapping[str, Better]] = {
        **features.BETTER,
        **copies.BETTER,
        **dict.fromkeys(("autocorrelation", "spectrum", "lengths", "cross-correlation", "predictive"), "lower"),
        "discriminative": "floor",
    }
    samples: ClassVar = "series"

    def __init__(self, real: Real, options: JudgeOptions, say: Callable[[str], object]) -> None:
        """Trains the encoder `own` where it is asked for and was not trained on this data yet."""
        super().__init__(real, options, say)
        codec = real.store.spec.codec
        assert isinstance(codec, SeriesCodec)
        self.codec = codec
        self.encoder = encoder_of(options.encoder, real.store, options.resize, options.device, say)
        self.features = Features(real, self.encoder, say)
        self.copies = Copies(real, lambda raw: codec.encode(torch.from_numpy(raw)).flatten(1))
        if not codec.whole:
            self.notes.append(
                "windows of one long series overlap, so held-out ones hold steps of training: --data LATER.csv is "
                "stricter"
            )

    @property
    def headline(self) -> str:
        """The Frechet distance."""
        return self.features.frechet_name

    @property
    def identity(self) -> dict[str, Any]:
        """The encoder's."""
        return self.features.identity

    def score(self, samples: np.ndarray, asked: Asked | None = None, nets: nn.ModuleDict | None = None) -> Judgement:
        """Scores of series (n, T, D); what they were asked to be is not scored."""
        found = self._measured(self.features.side(np.asarray(samples)))
        return joined((found, Judgement() if asked is None else labels.NOT_SCORED))

    def floor(self) -> Judgement:
        """Scores of held-out series, and under names of their own those of the bootstrap of blocks."""
        own = self._measured(self.features.floor)
        beside = self._measured(self.features.side(self.blocks()))
        return joined((own, Judgement(values={f"{BESIDE}{name}": v for name, v in beside.values.items()})))

    def control(self) -> Judgement:
        """Scores of training series drawn again."""
        return self._measured(self.features.side(self.real.replay))

    def own_protocol(self) -> dict[str, Any]:
        """Steps and columns, the space of copies and the encoder."""
        return {
            "container": container(self.real.store),
            "packing": "none",
            "quantised": False,
            "copying": "encoded steps",
            **self.features.protocol(),
        }

    def flags(self, judgement: Judgement, floor: Values, control: Values) -> dict[str, str]:
        """Copying and collapse."""
        return words.copying_flags(judgement.values, floor, control) | words.variety_flag(judgement.values, floor)

    def sentences(self, judgement: Judgement, floor: Values) -> Sequence[str]:
        """The Frechet distance beside its floor; the bootstrap of blocks beside both."""
        lines = words.headline(self.headline, judgement.values, floor)
        beside = {k.removeprefix(BESIDE): v for k, v in floor.items() if k.startswith(BESIDE)}
        told = [f"{name} {words.number(v)}" for name, v in beside.items() if name in judgement.values]
        if told:
            lines.append(f"blocks of {self.block} steps of training series, joined at random, score: {', '.join(told)}")
        return lines

    def warnings(self, judgement: Judgement) -> list[str]:
        """Too few samples for the features, or at all."""
        return self.features.bias(judgement) or super().warnings(judgement)

    # Groups of scores.

    def course(self, fake: Side) -> Judgement:
        """Autocorrelation, spectrum, lengths and correlations of columns."""
        real, made = self._reference, self._laid(fake.raw)
        moving = self._moving
        values = {
            "autocorrelation": S.autocorrelation_distance(_part(real, moving), _part(made, moving)),
            "spectrum": S.spectrum_distance(_part(real, moving), _part(made, moving)),
            "cross-correlation": S.cross_correlation_distance(real, made),
        }
        if int(real.lengths.min()) < int(real.lengths.max()):
            values["lengths"] = S.length_distance(real, made)
        return Judgement(values={name: v for name, v in values.items() if not math.isnan(v)})

    def discriminative(self, fake: Side) -> Judgement:
        """How much better than chance a recurrent net tells samples from real ones; series end where they end."""
        real, made = self._reference, self._laid(fake.raw)
        n = min(len(real), len(made), MOST_TOLD)
        first = torch.arange(n)
        found = S.discriminative_score(
            real.take(first), made.take(first), seed=self.real.seed, moves=MOVES, repeats=REPEATS, hidden=_units(real)
        )
        return Judgement(values={"discriminative": found.mean})

    def predictive(self, fake: Side) -> Judgement:
        """How far off a recurrent net is on held-out series that learnt the next step from samples.

        Of the floor, of real series that samples are held against.
        """
        made = self._reference if fake.floor else self._laid(fake.raw)
        held = self._laid(self.real.held[:MOST_TOLD])
        if min(int(made.lengths.max()), int(held.lengths.max())) < 2:
            return Judgement(notes=("the predictive score needs samples of two steps",))
        found = S.predictive_score(
            made.take(torch.arange(min(len(made), MOST_TOLD))),
            held,
            seed=self.real.seed,
            target=self._moving[-1],
            moves=MOVES,
            repeats=REPEATS,
            hidden=_units(made),
        )
        return Judgement(values={"predictive": found.mean})

    # The sides.

    @property
    def block(self) -> int:
        """Steps of a block of the bootstrap: a quarter of the longest series."""
        return max(self.spec.shape[0] // 4, 1)

    def blocks(self) -> np.ndarray:
        """As many bootstrapped series as are scored, (num, T, D) stored."""
        rows = self.real.training
        lengths = torch.from_numpy(stored_lengths(rows))
        series = S.Series(values=torch.from_numpy(np.nan_to_num(rows, nan=_GONE)), lengths=lengths)
        found = S.block_bootstrap(series, self.real.num, self.block, self.real.seed)
        stored = found.values.numpy().copy()
        stored[stored == _GONE] = math.nan
        stored[~found.alive.numpy()] = math.nan
        return stored

    @functools.cached_property
    def _reference(self) -> S.Series:
        return self._laid(self.real.reference)

    @functools.cached_property
    def _moving(self) -> list[int]:
        """Channels of numbers that change; of categories that change, where there are no numbers."""
        timed = [c.name == self.codec.time for c in self.codec.columns]
        numbers = [c.start for c in self.codec.changing if c.kind == "number" and not timed[c.column]]
        every = [k for c in self.codec.changing or self.codec.still for k in range(c.start, c.end)]
        return numbers or every

    def _laid(self, raw: np.ndarray) -> S.Series:
        """Stored series as the codec encodes them, without the channel that says where they end."""
        x = self.codec.encode(torch.from_numpy(raw))
        return S.Series(values=x[..., :-1], lengths=self.codec.lengths(x))

    def _measured(self, fake: Side) -> Judgement:
        return joined(GROUPS[name](self, fake) for name in self.metrics)


_GONE = -1.2345e300
"""Stands for a missing cell where NaN may not be."""


def _part(series: S.Series, channels: list[int]) -> S.Series:
    return S.Series(values=series.values[..., channels], lengths=series.lengths)


def _units(series: S.Series) -> int:
    """Of the nets' layers: half the channels, from 4 to 24."""
    return min(max(series.values.shape[2] // 2, 4), 24)


JUDGE = SeriesJudge
