"""When the state of a run is saved, and what is done about a disk that is full."""

from __future__ import annotations

import time
from collections.abc import Mapping

from torch import Tensor

from ..judge.watch import earlier_scores
from .session import At, Session

MINUTES = 10
"""A checkpoint is saved at least this often, so that slow networks lose little."""


class Checkpoints:
    """The state of a session, saved every `checkpoint_every` images and every ten minutes; the model beside it."""

    def __init__(self, s: Session) -> None:
        self.s = s
        self._every = max(s.options.checkpoint_every // s.options.batch_size, 1)
        self._saved = time.monotonic()

    def due(self, at: At) -> bool:
        """Whether as many images were shown as lie between checkpoints."""
        return at.step % self._every == 0

    def overdue(self) -> bool:
        """Whether the last one is too long ago. Ranks may differ in it."""
        return time.monotonic() - self._saved > MINUTES * 60

    def save(self, at: At, *, last: bool = False) -> None:
        """Save a checkpoint and the model. Every rank must call it.

        A full disk costs this checkpoint, not the run. Raises `OSError` if it is the last one, `Diverged` if a term is
        not finite: a state that is lost is not saved.
        """
        self.s.finite_means()
        sums = self.s.means.state()
        if self.s.ranks.rank == 0:
            self._write(at, sums, last)
        self._saved = time.monotonic()

    def _write(self, at: At, sums: Mapping[str, Tensor], last: bool) -> None:
        s = self.s
        s.check_there()
        note = {
            "step": at.step,
            "images": at.images,
            "seconds": at.seconds,
            "moves": s.step.moves,
            "counts": s.means.counts,
            "finished": False,  # `finish` says so once all is written: a run killed until then is finished by resume
        }
        try:
            s.run.checkpoint_path(0).parent.mkdir(exist_ok=True)
            s.last_checkpoint = s.run.save({**s.step.state(), **sums}, note, s.options.keep).path
            # Where a recipe's own error chooses the weights that serve, the model is saved when it does.
            if not s.recipe.chosen_by or not earlier_scores(s.run.path, at.images + 1):
                s.save_model("model")
        except OSError as error:
            kept = f"{s.last_checkpoint} is intact" if s.last_checkpoint else "none had been saved before"
            if last:
                raise OSError(f"could not save step {at.step} to {s.run.path}: {error}; {kept}") from error
            s.say(f"could not save step {at.step}: {error}; {kept}. Free some space: training goes on")

    def finish(self) -> None:
        """Note that the run is finished. To be called when nothing is left to be written."""
        if self.s.ranks.rank == 0:
            assert self.s.last_checkpoint is not None
            self.s.run.finish(self.s.last_checkpoint)
