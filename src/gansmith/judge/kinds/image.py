"""The judge of pictures: features of an encoder, classes as it sees them, and copies among reduced pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ...data import ImageCodec, Store, kind_of, open_store
from ...data.kinds.image.codec import bounds_of
from ...encoders.named import encoder_of
from ...model.ask import Asked
from ...options import DataOptions
from .. import copies, features, labels, words
from ..copies import Copies
from ..features import Features, Side
from ..judge import Better, Judge, Judgement, JudgeOptions, Values, joined
from ..real import Drawn, Real, Split, container, random_of, rows_of

COPY_VALUES, COPY_DIM = 1_024, 64
"""Near copies are looked for among pictures of at most so many values, in so many of their main directions."""
SPLIT = ("mnist", "fashion-mnist", "cifar10")
"""Sources with a test split of their own."""

GROUPS: dict[str, Callable[[Image, Side], Judgement]] = {
    "fd": lambda judge, fake: judge.features.frechet(fake),
    "fd-infinity": lambda judge, fake: judge.features.frechet_infinity(fake),
    "kd": lambda judge, fake: judge.features.kernel(fake),
    "prdc": lambda judge, fake: judge.features.prdc(fake),
    "classes": lambda judge, fake: judge.features.classes(fake),
    "inception-score": lambda judge, fake: judge.features.inception_score(fake),
    "diversity": lambda judge, fake: judge.features.diversity(fake),
    "copying": lambda judge, fake: judge.copies.score(fake.raw, fake.parts),
    "sliced": lambda judge, fake: judge.features.sliced(fake),
    "c2st": lambda judge, fake: judge.features.two_sample(fake),
    "one-nn": lambda judge, fake: judge.features.one_neighbour(fake),
    "vendi": lambda judge, fake: judge.features.vendi(fake),
}


class Image(Judge):
    """Pictures (n, H, W, C) as uint8, uint16 or float32."""

    groups: ClassVar = tuple(GROUPS)
    usual: ClassVar = ("fd", "kd", "prdc", "classes", "diversity", "copying")
    watched: ClassVar = ("fd", "prdc", "diversity", "classes")
    better: ClassVar[Mapping[str, Better]] = {**features.BETTER, **copies.BETTER, **labels.BETTER}
    suffixes: ClassVar = frozenset({".png", ".jpg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})

    def __init__(self, real: Real, options: JudgeOptions, say: Callable[[str], object]) -> None:
        """Trains the encoder `own` where it is asked for and was not trained on this data yet."""
        super().__init__(real, options, say)
        codec = real.store.spec.codec
        assert isinstance(codec, ImageCodec)
        self.codec = codec
        bounds = codec.range if codec.dtype == "float32" else bounds_of(codec)
        self.encoder = encoder_of(options.encoder, real.store, options.resize, options.device, say)
        self.features = Features(real, self.encoder, say, bounds=bounds)
        self.copies = Copies(real, lambda raw: reduced(raw, bounds), dim=COPY_DIM)

    @staticmethod
    def unseen(store: Store, packing: DataOptions, split: Split) -> Drawn | None:
        """Rows of the source's own test split, drawn at random: files are often sorted."""
        if store.source not in SPLIT:
            return None
        try:
            test = open_store(
                f"{store.source}:test",
                kind_of(store.spec.kind).alike(packing, store.options, store.spec),
                progress=False,
            )
        except (OSError, ValueError):  # it is not on this machine
            return None
        return rows_of(test, random_of(split.seed, 11).permutation(len(test))[: split.n]), test.source

    @property
    def headline(self) -> str:
        """The Frechet distance."""
        return self.features.frechet_name

    @property
    def identity(self) -> dict[str, Any]:
        """The encoder's."""
        return self.features.identity

    def score(self, samples: np.ndarray, asked: Asked | None = None, nets: nn.ModuleDict | None = None) -> Judgement:
        """Scores of pictures (n, H, W, C); where a class was asked for, the encoder says of which class they are."""
        fake = self.features.side(np.asarray(samples))
        return joined((self._measured(fake), self._obedience(fake, asked)))

    def floor(self) -> Judgement:
        """Scores of held-out pictures."""
        return self._measured(self.features.floor)

    def control(self) -> Judgement:
        """Scores of training pictures drawn again."""
        return self._measured(self.features.side(self.real.replay))

    def own_protocol(self) -> dict[str, Any]:
        """Size, depth, packing, the space of copies and the encoder."""
        packed = self.real.store.options
        bounds = bounds_of(self.codec)
        return {
            "container": container(self.real.store),
            **({"range": list(bounds)} if bounds else {}),
            "packing": f"{packed.get('fit', 'none')}, {packed.get('resample', 'none')}",
            "quantised": self.codec.dtype != "float32" or self.codec.whole,
            "copying": f"pixels reduced to {COPY_VALUES} values, PCA {COPY_DIM}",
            **self.features.protocol(),
        }

    def flags(self, judgement: Judgement, floor: Values, control: Values) -> dict[str, str]:
        """Copying, collapse, missing classes."""
        found = words.copying_flags(judgement.values, floor, control) | words.variety_flag(judgement.values, floor)
        return found | words.class_flags(judgement, floor, self.spec.classes)

    def sentences(self, judgement: Judgement, floor: Values) -> Sequence[str]:
        """The Frechet distance beside its floor."""
        return words.headline(self.headline, judgement.values, floor)

    def warnings(self, judgement: Judgement) -> list[str]:
        """Too few samples for the features, or at all."""
        return self.features.bias(judgement) or super().warnings(judgement)

    def _measured(self, fake: Side) -> Judgement:
        return joined(GROUPS[name](self, fake) for name in self.metrics)

    def _obedience(self, fake: Side, asked: Asked | None) -> Judgement:
        classes = len(self.spec.classes)
        if asked is None:
            return Judgement()
        if fake.probabilities is None or self.encoder.classes != classes:
            return labels.NOT_SCORED
        held = dict(self.encoder.facts.get("held_out", {}))
        real = float(held["accuracy"]) if held.get("of") == "classes" else math.nan
        return labels.obedience(asked, fake.probabilities.argmax(1).numpy(), classes, seed=self.real.seed, real=real)


def reduced(raw: np.ndarray, bounds: tuple[float, float] | None) -> Tensor:
    """Pictures (n, H, W, C) as float32 (n, d) in [0, 1], reduced to at most COPY_VALUES."""
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


JUDGE = Image
