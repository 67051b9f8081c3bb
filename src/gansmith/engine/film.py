"""The film of a run: the same latents or sources, drawn again and again, and what the doctor says of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import doctor
from ..data import DataSpec, open_store
from ..model.draw import draw_samples
from ..recipe import Batch
from ..show import save, show_of, side_by_side
from ..use.sheets import film_labels
from .session import At, Session
from .tuning import build_feed

SHOWN_SOURCES = 16
FRAMES = 24
"""Pictures of a film: spread evenly over the images of the budget, or over its minutes."""


class Film:
    """Samples of the averaged networks from fixed latents or sources, a frame every so many images; and the doctor."""

    def __init__(self, s: Session) -> None:
        """Raises `ValueError` if the data of --validation is not like that which is trained on."""
        self.s = s
        self.sources = _sources(s)
        self.labels = film_labels(s.recipe, s.spec)  # a class a row
        options = s.options
        by_images = options.budget or options.sample_every
        every = (options.sample_every or options.budget // FRAMES) // options.batch_size
        self._steps = max(every, 1) if by_images else 0  # 0: by seconds
        self._seconds = math.inf if by_images else s.budget.seconds / FRAMES
        self._last = s.at.seconds
        self._ill: set[str] = set()  # an illness is said when it comes and when it goes

    def due(self, at: At) -> bool:
        """At every so many steps; where minutes are the budget, after a share of them since the last frame."""
        return at.step % self._steps == 0 if self._steps else at.seconds - self._last >= self._seconds

    def look(self, at: At) -> None:
        """Draw a frame into `samples/`, and let the doctor look at its samples."""
        self._last = at.seconds
        if self.s.ranks.rank > 0:
            return
        self.s.check_there()
        ways = [(given, *self._draw(given)) for given in self.s.recipe.given(self.sources)]
        given, samples, encoded = ways[0]
        self._diagnose(at, given, encoded)
        path = self.s.run.path / "samples" / f"{at.images:012d}"
        try:
            if given:
                image = show_sources(self.s.spec, self.sources, [(given, samples) for given, samples, _ in ways])
                save(image, path.with_suffix(".png"))
            else:
                real = self.s.store.fields.get("x", samples)
                shown = self.s.spec.made(given).spec
                show_of(shown.kind).moment(samples, shown, real, path, columns=8 if self.labels else 0)
        except OSError as error:
            self.s.say(f"could not write a picture: {error}; training goes on")

    def __str__(self) -> str:
        """What the frames show, in words."""
        spec, recipe = self.s.spec, self.s.recipe
        if recipe.from_noise:
            if self.labels:
                return f"the same {len(self.labels['label'])} samples, a class a row"
            return f"the same {film_samples(spec)} samples"
        target = " | target" if show_of(spec.kind).aligned and len(recipe.given(self.sources)) == 1 else ""
        whose = "held-out" if self.s.options.validation else "training"
        return f"the same {whose} pictures (source | result{target})"

    def _draw(self, given: Batch) -> tuple[np.ndarray, Tensor]:
        """Samples of the fixed latents, or of these sources: in the data's own units, and encoded."""
        s, asked = self.s, given or self.labels
        n = len(next(iter(asked.values()))) if asked else film_samples(s.spec)
        encoded = draw_samples(s.recipe, s.step.average, n, s.options.seed, asked)
        return s.spec.made(given).spec.codec.decode(encoded), encoded

    def _diagnose(self, at: At, given: Batch, encoded: Tensor) -> None:
        """Say which illnesses the samples show that they did not show before, and which are gone."""
        # Untrained samples are always alike, and so is what was made of nothing by a recipe that needs something.
        varied = given or self.s.recipe.from_noise
        ill = doctor.look(encoded, self._real(given)) if at.step and varied else {}
        for illness in ill.keys() - self._ill:
            self.s.say(f"warning at {at.images:,} images: {ill[illness]}")
        for illness in self._ill - ill.keys():
            self.s.say(f"at {at.images:,} images samples are no longer {illness}")
        self._ill = set(ill)

    def _real(self, given: Batch) -> Tensor:
        """Real samples of the kind that is made of these sources, encoded: what the doctor compares with."""
        spec, batch = self.s.spec, self.s.feed(0)
        name = spec.made(given).field
        x = (batch[name] if name else torch.cat([batch[k] for k in spec.parts], -1)).cpu()
        return x.float() if x.is_floating_point() else x


def _sources(s: Session) -> Batch:
    """Fixed rows for recipes that need a source: of data that is not trained on, if there is such."""
    if not s.options.validation:
        return s.feed.spaced(SHOWN_SOURCES)
    store = open_store(s.options.validation, s.options, progress=False)
    if store.spec.kind not in s.recipe.kinds or store.spec.shape != s.spec.shape:
        raise ValueError(
            f"--validation {s.options.validation} is of kind {store.spec.kind}, {store.spec.shape}; the data is "
            f"of kind {s.spec.kind}, {s.spec.shape}: it must be alike"
        )
    return build_feed(s.recipe, s.spec, store, s.options, s.setting, s.ranks).spaced(SHOWN_SOURCES)


def film_samples(spec: DataSpec) -> int:
    """How many samples a moment of the film shows."""
    return show_of(spec.kind).film


def show_sources(spec: DataSpec, rows: Batch, ways: Sequence[tuple[Batch, np.ndarray]]) -> Image.Image:
    """Source | result | target, if there is one way, which is then known; else source | result of each way."""
    columns = []
    for given, made in ways:
        output = spec.made(given)
        columns += [(spec.parts[k].codec.decode(v), spec.parts[k]) for k, v in given.items()]
        columns.append((made, output.spec))
        if show_of(spec.kind).aligned and len(ways) == 1:
            columns.append((output.spec.codec.decode(rows[output.field]), output.spec))
    return side_by_side(columns, repeat=2)
