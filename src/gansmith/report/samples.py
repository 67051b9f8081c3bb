"""Samples of the averaged and of the raw weights, beside training data."""

from __future__ import annotations

import numpy as np

from .facts import Facts
from .film import LEFT_OUT, moment, moments, when
from .inline import embed
from .markup import Child, figure, tag
from .spaced import spaced


def section(facts: Facts) -> Child:
    """The samples drawn; without a model, those drawn last during training."""
    spec, drawn, real, show = facts.spec, facts.drawn, facts.shown_data, facts.show
    if drawn is None:
        if not (kept := moments(facts.run)):
            return tag("p", "No samples yet: a run draws some at its start, and saves a model at its first checkpoint.")
        if show.reveals and not facts.show_data:
            return tag("p", LEFT_OUT)
        return figure(
            moment(kept[-1], "samples during training", facts, side=640, rows=24),
            f"As drawn during training, after {when(kept[-1])}.",
            class_="half",
        )
    after = f"after {drawn.images:,} images, seed {facts.seed}, unselected"
    over = "; grey: training data" if show.reveals and len(real) else ""
    averaged = show.media(drawn.averaged, spec, real, "samples drawn with the averaged weights")
    raw = show.media(drawn.raw, spec, real, "samples drawn with the weights of the last step")
    figures = [
        figure(
            embed(averaged), tag("b", "Averaged weights (EMA)"), f", {after}{over}. Sampling uses these.", class_="big"
        ),
        figure(embed(raw), tag("b", "Raw weights"), " of the last step, same latents."),
    ]
    if len(real) and not show.reveals:  # else it lies beneath the samples
        rows = spaced(len(real), show.reported(spec)[1])
        shown = show.media(np.array(real[rows]), spec, real[:0], "pictures of the training data", made=False)
        text = f", {len(rows)} of {len(real):,}, evenly spaced."
        figures.append(figure(embed(shown), tag("b", "Training data"), text))
    return tag("div", figures, class_="samples")
