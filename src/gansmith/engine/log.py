"""The log of a run: the mean of each term, and the moment when one is no longer finite."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..recipe import Recipe
from ..step.ranks import Ranks, Setting
from ..step.turn import Terms

if TYPE_CHECKING:
    from .session import At, Session

PREFIX = "log."
"""Of the sums' names in a checkpoint."""


class Diverged(RuntimeError):
    """A term became infinite or NaN: holds the step, the term that was it first, and the last good checkpoint."""

    def __init__(self, step: int, term: str, value: float, checkpoint: Path | None, advice: str = "") -> None:
        self.step, self.term, self.value, self.checkpoint, self.advice = step, term, value, checkpoint, advice
        kept = f"the last good checkpoint is {checkpoint}" if checkpoint else "no checkpoint had been saved yet"
        super().__init__(f"training diverged: {term} became {value} at step {step:,}; {kept}. {advice}".strip())

    def __reduce__(self) -> tuple[type[Diverged], tuple[int, str, float, Path | None, str]]:
        # Else a pool of processes breaks on it.
        return Diverged, (self.step, self.term, self.value, self.checkpoint, self.advice)


def advice(recipe: Recipe, setting: Setting) -> str:
    """What may help a run that diverged: of its own fields and setting, and nothing that is in use already."""
    fields = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}
    numbers = {name: value for name, value in fields.items() if isinstance(value, float) and value > 0}
    remedies = [f"a lower {_option(k)} (now {v:g})" for k, v in numbers.items() if k == "lr" or k.endswith("_lr")]
    remedies += [f"a larger {_option(k)} (now {v:g})" for k, v in numbers.items() if k in PENALTIES]
    if setting.precision != "fp32":
        remedies.append(f"--precision fp32 (now {setting.precision})")
    tried = ", or ".join(remedies) or "other fields of its recipe"
    return f"Resumed, it would diverge again: train anew with {tried}; --overwrite trains in the same --out"


PENALTIES = ("penalty", "gamma")
"""Fields that weigh a gradient penalty, in the recipes that have one."""


def _option(field: str) -> str:
    return f"--{field.replace('_', '-')}"


class Means:
    """The mean of each term since the last line of the log: sums and counts of this rank, kept on the device.

    Which term was not finite first, and when, is known by looking back: terms are kept until there are some hundred,
    then only whether each was finite. So nothing waits for the device, and a step costs nothing more.
    """

    KEPT = 256

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._recent: dict[str, list[tuple[int, Tensor]]] = {}
        self._finite: dict[str, list[tuple[list[int], Tensor]]] = {}

    def add(self, terms: Terms, step: int) -> None:
        """Add the terms of step number `step` (from 1), each a () tensor. Never waits for the device."""
        for name, term in terms.items():
            self._sums[name] = self._sums[name] + term if name in self._sums else term
            self._counts[name] = self._counts.get(name, 0) + 1
            recent = self._recent.setdefault(name, [])
            recent.append((step, term))
            if len(recent) == self.KEPT:
                self._fold(name)

    def values(self) -> dict[str, float]:
        """The means over steps and ranks; the same on all ranks, which must all call it. Waits for the device."""
        if not self._sums:
            return {}
        means = torch.stack([total.double() / self._counts[name] for name, total in self._sums.items()])
        self.ranks.mean([means])
        return dict(zip(self._sums, means.tolist(), strict=True))

    def first_not_finite(self) -> tuple[str, int] | None:
        """The term that was not finite first on any rank, and its step; None if only a sum is not finite.

        Of several in one step the one that was logged first. Every rank must call it. Waits for the device.
        """
        for name in [name for name, recent in self._recent.items() if recent]:
            self._fold(name)
        never = torch.iinfo(torch.int64).max
        own = []
        for name in self._sums:
            bad = (itertools.compress(steps, (~finite).tolist()) for steps, finite in self._finite.get(name, []))
            own.append(next(itertools.chain.from_iterable(bad), never))
        device = next(iter(self._sums.values())).device
        first = self.ranks.gather(torch.tensor(own, device=device)).amin(0).tolist()
        step, name = min(zip(first, self._sums, strict=True), key=lambda pair: pair[0])
        return None if step == never else (name, step)

    def _fold(self, name: str) -> None:
        recent = self._recent.pop(name)
        finite = torch.stack([term for _, term in recent]).isfinite()
        self._finite.setdefault(name, []).append(([step for step, _ in recent], finite))

    @property
    def counts(self) -> dict[str, int]:
        """How often each term was added."""
        return dict(self._counts)

    def state(self) -> dict[str, Tensor]:
        """The sums of every rank for a checkpoint: {"log.D/real": (world,)}. Every rank must call it."""
        if not self._sums:
            return {}
        sums = self.ranks.gather(torch.stack(list(self._sums.values())))
        return {f"{PREFIX}{name}": own.clone() for name, own in zip(self._sums, sums.unbind(1), strict=True)}

    def load(self, tensors: dict[str, Tensor], counts: Mapping[str, int], device: str) -> None:
        """Go on from a `state`, which is taken out of `tensors`, and its counts."""
        self.clear()
        states = {name: tensors.pop(name) for name in list(tensors) if name.startswith(PREFIX)}
        rank, world = self.ranks.rank, self.ranks.world
        self._counts = dict(counts)
        self._sums = {  # each rank its own sum; all the mean of them where there are now more or fewer ranks
            name.removeprefix(PREFIX): (sums[rank] if len(sums) == world else sums.mean(0)).to(device)
            for name, sums in states.items()
        }


class Log:
    """A line of log.jsonl every `log_every` images and at the end: how far, how fast, and the mean of each term."""

    def __init__(self, s: Session) -> None:
        self.s = s
        self._every = max(s.options.log_every // s.options.batch_size, 1)
        self._last = (s.at.step, s.at.seconds)  # of the line before: the rate is that since then

    def due(self, at: At) -> bool:
        """At every so many steps, and at the last."""
        return at.step % self._every == 0 or at.step == self.s.budget.steps

    def look(self, at: At) -> None:
        """Write a line. Waits for the device. Raises `Diverged` if a term is not finite."""
        steps, seconds = at.step - self._last[0], max(at.seconds - self._last[1], 1e-9)
        self._last = (at.step, at.seconds)
        values = self.s.finite_means()
        self.s.means.clear()
        self.s.progress.terms(values)
        if self.s.ranks.rank > 0:
            return
        self.s.check_there()
        line = {"step": at.step, "images": at.images, "seconds": round(at.seconds, 3)}
        line["images_per_second"] = round(steps * at.batch_size / seconds, 1)
        try:
            self.s.run.append(line | values)
        except OSError as error:
            self.s.say(f"could not write the log: {error}; training goes on")
