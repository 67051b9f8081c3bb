"""The judge of vectors: their coordinates as they are, and the modes of toys, which are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from ... import metrics as M
from ...data import Store, toy
from ...model.ask import Asked
from ...options import DataOptions
from .. import copies, features, labels, words
from ..copies import Copies, coordinates
from ..features import Features, Side
from ..judge import Better, Judge, Judgement, JudgeOptions, Values, joined
from ..real import Drawn, Real, Split, container

GROUPS: dict[str, Callable[[Vector, Side], Judgement]] = {
    "modes": lambda judge, fake: judge.modes(fake),
    "fd": lambda judge, fake: judge.features.frechet(fake),
    "fd-infinity": lambda judge, fake: judge.features.frechet_infinity(fake),
    "kd": lambda judge, fake: judge.features.kernel(fake),
    "prdc": lambda judge, fake: judge.features.prdc(fake),
    "sliced": lambda judge, fake: judge.features.sliced(fake),
    "c2st": lambda judge, fake: judge.features.two_sample(fake),
    "diversity": lambda judge, fake: judge.features.diversity(fake),
    "copying": lambda judge, fake: judge.copies.score(fake.raw, fake.parts),
    "one-nn": lambda judge, fake: judge.features.one_neighbour(fake),
    "vendi": lambda judge, fake: judge.features.vendi(fake),
}


class Vector(Judge):
    """Vectors (n, D) as float32."""

    groups: ClassVar = tuple(GROUPS)
    usual: ClassVar = ("modes", "fd", "sliced", "c2st", "diversity", "copying")
    watched: ClassVar = ("fd", "sliced", "modes")
    better: ClassVar[Mapping[str, Better]] = {
        **features.BETTER,
        **copies.BETTER,
        **labels.BETTER,
        "modes": "higher",
        "high quality": "floor",
        "reverse KL": "lower",
        "mode width": "floor",
    }

    def __init__(self, real: Real, options: JudgeOptions, say: Callable[[str], object]) -> None:
        """`options.encoder` is not needed."""
        self.toy = toy_of(real.store)
        super().__init__(real, options, say)
        self.features = Features(real, None, say)
        self.copies = Copies(real, coordinates)

    @staticmethod
    def unseen(store: Store, packing: DataOptions, split: Split) -> Drawn | None:
        """Points of a toy, drawn anew."""
        if name := toy_of(store):
            return toy.sample(name, split.n, seed=2**32 + split.seed)[0], f"{store.source}, drawn anew"
        return None

    def refusal(self, group: str) -> str:
        """Modes are only those of toys."""
        if group == "modes" and not self.toy:
            return f"the modes of {self.real.store.source} are not known: only those of toy:ring and the like"
        return ""

    @property
    def headline(self) -> str:
        """The Frechet distance of coordinates."""
        return self.features.frechet_name

    def score(self, samples: np.ndarray, asked: Asked | None = None, nets: nn.ModuleDict | None = None) -> Judgement:
        """Scores of vectors (n, D); where a class was asked for, the nearest mode of a toy is that of a sample."""
        fake = self.features.side(np.asarray(samples))
        return joined((self._measured(fake), self._obedience(fake, asked)))

    def floor(self) -> Judgement:
        """Scores of held-out vectors."""
        return self._measured(self.features.floor)

    def control(self) -> Judgement:
        """Scores of training vectors drawn again."""
        return self._measured(self.features.side(self.real.replay))

    def own_protocol(self) -> dict[str, Any]:
        """Coordinates as they are, everywhere."""
        return {
            "container": container(self.real.store),
            "packing": "none",
            "quantised": False,
            "copying": "coordinates",
            **self.features.protocol(),
        }

    def flags(self, judgement: Judgement, floor: Values, control: Values) -> dict[str, str]:
        """Copying, collapse, missing modes."""
        values = judgement.values
        found = words.copying_flags(values, floor, control) | words.variety_flag(values, floor)
        if "modes" in values:
            count = judgement.facts["modes"]
            found["modes_missing"] = str(int(count) - int(values["modes"]))
            if values["modes"] <= count / 4:
                found["collapsed"] = "yes"
        return found

    def sentences(self, judgement: Judgement, floor: Values) -> Sequence[str]:
        """The Frechet distance beside its floor; the modes beside those of a perfect sampler."""
        values, facts = judgement.values, judgement.facts
        lines = words.headline(self.headline, values, floor)
        if "modes" in values:
            lines.append(
                f"modes: {values['modes']:.0f} of {facts['modes']:.0f}; {values['high quality']:.1%} of high quality, "
                f"of a perfect sampler {facts['ceiling']:.1%}; reverse KL {words.number(values['reverse KL'])}, of a "
                f"perfect sampler about {words.number(facts['kl_floor'])}"
            )
        return lines

    def warnings(self, judgement: Judgement) -> list[str]:
        """Too few samples for the coordinates, or at all."""
        return self.features.bias(judgement) or super().warnings(judgement)

    def modes(self, fake: Side) -> Judgement:
        """How many modes of a toy the samples cover, how well, and how evenly."""
        found = M.mode_coverage(fake.features, torch.from_numpy(toy.centres(self.toy)), toy.sigma(self.toy))
        count = len(found.counts)
        return Judgement(
            values={
                "modes": float(found.captured),
                "high quality": found.high_quality,
                "reverse KL": found.reverse_kl,
                "mode width": found.covariance_ratio,
            },
            facts={"modes": count, "ceiling": found.ceiling, "kl_floor": (count - 1) / (2 * len(fake.raw))},
        )

    def _measured(self, fake: Side) -> Judgement:
        return joined(GROUPS[name](self, fake) for name in self.metrics)

    def _obedience(self, fake: Side, asked: Asked | None) -> Judgement:
        if asked is None:
            return Judgement()
        if not self.toy:
            return labels.NOT_SCORED
        nearest = torch.cdist(fake.features.double(), torch.from_numpy(toy.centres(self.toy))).argmin(1)
        return labels.obedience(asked, nearest.numpy(), len(self.spec.classes), seed=self.real.seed)


def toy_of(store: Store) -> str:
    """The name of the toy that a store holds, or nothing."""
    prefix, _, name = store.source.partition(":")
    return name if prefix == "toy" and name in toy.NAMES else ""


JUDGE = Vector
