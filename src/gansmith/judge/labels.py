"""Whether samples are what they were asked to be, as a fixed classifier sees them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from .. import metrics as M
from ..model.ask import Asked
from .judge import Better, Judgement, Obedience, Values

BETTER: Final[Mapping[str, Better]] = {"label accuracy": "higher", "code accuracy": "higher"}
NOT_SCORED = Judgement(
    notes=("whether samples are of the class asked for was not scored: no classifier of these classes",)
)
"""Of data without a classifier of its classes."""


def obedience(asked: Asked, seen: np.ndarray, classes: int, *, seed: int, real: float = math.nan) -> Judgement:
    """How often the classes (n,) that a classifier has seen are those that samples were asked to be.

    `classes`: how many there are. `seed`: of the control, in which the asked classes are exchanged at random. `real`:
    the classifier's accuracy on held-out real samples. Codes mean nothing as such: each is matched to a class first.
    """
    codes = int(asked.values.max()) + 1 if asked.kind == "code" else 0
    agreement = M.agreement(asked.values, seen, classes, seed=seed, codes=codes)
    name = f"{asked.kind} accuracy"
    return Judgement(
        values={name: agreement.accuracy, f"{name}, lowest": float(np.nanmin(agreement.by_class))},
        obedience=Obedience(name=name, agreement=agreement, real=real),
    )


def sentence(values: Values, obedience: Obedience, classes: Sequence[str]) -> str:
    """How often samples are what they were asked to be, in words."""
    share = {i: v for i, v in enumerate(obedience.agreement.by_class) if not math.isnan(v)}
    worst = min(share, key=lambda i: share[i])
    if obedience.name == "label accuracy":
        whose, which = "the class asked for", f"class {classes[worst]}"
    else:
        own = obedience.agreement.mapping[worst]
        whose = "the class that its code was matched to"
        which = f"code {worst}, matched to {classes[own] if own >= 0 else 'no class'}"
    real = "" if math.isnan(obedience.real) else f" (the same classifier on held-out real data: {obedience.real:.1%})"
    text = f"a fixed classifier sees {whose} in {values[obedience.name]:.1%} of samples{real}"
    return f"{text}; least, {share[worst]:.1%}, for {which}"
