"""Steps until the budget is spent. Everything else looks on: at its own times, and without changing a weight."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Protocol

from ..run import Run
from .checkpoints import Checkpoints
from .film import Film
from .finish import complete, summary
from .log import Log
from .prepare import in_vain
from .scores import Chosen, Watched
from .session import At, Session
from .signals import Signals


class Observer(Protocol):
    """Something that looks on: the log, the film with the doctor, the scores. `start` names them; there are no others.

    It changes no weight and takes no number from a generator that training draws from.
    """

    def due(self, at: At) -> bool:
        """Whether it looks at this moment; asking changes nothing."""
        ...

    def look(self, at: At) -> None:
        """Look. Called on every rank, as some of it is taken together."""
        ...


def loop(s: Session, log: Observer, others: Sequence[Observer], checkpoints: Checkpoints, signals: Signals) -> int:
    """Take steps until the budget is spent or a signal comes; returns the signal, 0 for none."""
    at, budget = s.at, s.budget
    while not budget.spent(at):
        s.advance(wait=log.due(at.next()))  # a line of the log states images a second
        s.progress.at(at.images, at.seconds)
        for observer in (log, *others):  # the log first: it is the one that finds a term no longer finite
            if observer.due(at):
                observer.look(at)
        # Ranks stop, save and run out of time at the same step, or one would wait for the others for ever.
        stopped, save, over = signals.agree(checkpoints.overdue(), budget.out_of_time(at))
        if stopped:
            return stopped
        if over:
            at.seconds = max(at.seconds, budget.seconds)
        if save or checkpoints.due(at):
            checkpoints.save(at)
    return 0


def run(s: Session, log: Log, film: Film, scores: Chosen | Watched, checkpoints: Checkpoints) -> Run:
    """A whole session: warnings, the first moment, the loop, the last checkpoint, and what to do next.

    A signal saves first, then raises `KeyboardInterrupt` (SIGINT) or `SystemExit(143)` (SIGTERM).
    """
    for warning in in_vain(s.step, s.at.images, s.options.budget):
        s.say(f"warning: {warning}")
    if s.at.step == 0:
        film.look(s.at)
    with Signals(s.ranks) as signals, s.progress:
        stopped = loop(s, log, (film, scores), checkpoints, signals)
        if stopped:
            s.say(f"{signal.Signals(stopped).name}: saving step {s.at.step:,}; a second signal exits at once")
            checkpoints.save(s.at)
            s.say(f"stopped at {s.at.images:,} images; continue with: {s.run.how_to_resume()}")
        else:
            checkpoints.save(s.at, last=True)
            complete(s, film)
            checkpoints.finish()
            s.say(summary(s, film))
    if stopped == signal.SIGINT:
        raise KeyboardInterrupt
    if stopped:
        raise SystemExit(128 + stopped)
    return s.run
