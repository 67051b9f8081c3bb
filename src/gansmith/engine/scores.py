"""Scores during training: two observers, of which a run has one. By them the weights that serve may be chosen."""

from __future__ import annotations

import functools

import torch

from ..judge.watch import Watch, note_scores
from ..recipe import Batch
from ..step.randomness import Stream, derive, draws
from .session import At, Session

CHOICE_EVERY = 25_000
"""Images between looks at a recipe's own errors, unless --evaluate-every says otherwise."""
CHOICE_ROWS = 4_000
"""Rows that these errors are measured on."""


class Chosen:
    """For recipes that know their own errors: `model/` holds the averaged networks with the lowest so far."""

    def __init__(self, s: Session) -> None:
        self.s = s
        self._every = max((s.options.evaluate_every or CHOICE_EVERY) // s.options.batch_size, 1)

    def due(self, at: At) -> bool:
        """At every so many steps."""
        return at.step % self._every == 0

    @functools.cached_property
    def rows(self) -> Batch:
        """Evenly spaced rows, with the marks of what losses leave out of them."""
        return self.s.feed.spaced(CHOICE_ROWS)

    def look(self, at: At) -> None:
        """Measure the errors, note them, and save the model if no earlier one was as good."""
        s = self.s
        if s.ranks.rank > 0:
            return
        generator = torch.Generator(s.setting.device).manual_seed(derive(s.options.seed, "errors"))
        with torch.no_grad(), draws(Stream(generator)):  # the same noise at every look
            errors = s.recipe.errors(s.step.average, self.rows)
        values = {name: float(error) for name, error in errors.items()}
        count = len(next(iter(self.rows.values())))
        try:
            if note_scores(s.run.path, at.images, values, s.recipe.chosen_by, count):
                s.save_model("model")
        except OSError as error:
            s.say(f"could not save scores: {error}; training goes on")


class Watched:
    """For all others, with --evaluate-every: a small sample is scored; `best/` holds the model with the best so far."""

    def __init__(self, s: Session) -> None:
        self.s = s
        self._every = s.options.evaluate_every and max(s.options.evaluate_every // s.options.batch_size, 1)

    def due(self, at: At) -> bool:
        """At every so many steps, or never."""
        return bool(self._every) and at.step % self._every == 0

    @functools.cached_property
    def watch(self) -> Watch:
        """The judge; the first look may train an encoder for it."""
        s = self.s
        return Watch(s.run.path, s.store, codec=s.spec.codec, say=s.say)

    def look(self, at: At) -> None:
        """Score, say so, and save the model if no earlier one was as good."""
        s = self.s
        if s.ranks.rank > 0:
            return
        try:
            text, best = self.watch.look(s.recipe, s.step.average, at.images, s.options.seed)
            s.say(text)
            if best:
                s.save_model("best")
        except OSError as error:
            s.say(f"could not save scores: {error}; training goes on")
