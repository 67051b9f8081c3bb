"""Samples of the averaged and of the raw weights, beside training data."""

from __future__ import annotations

import numpy as np

from .facts import Facts
from .film import frames, lines, still, text_frames, when
from .inline import grid_size, sheet
from .markup import Child, figure, tag
from .spaced import spaced


def section(facts: Facts) -> Child:
    """The samples drawn; without a model, those drawn last during training."""
    spec, drawn, real = facts.spec, facts.drawn, facts.shown_data
    if drawn is None:
        if texts := text_frames(facts.run):
            shown = texts[-1].read_text(encoding="utf-8").splitlines()[:24]
            return figure(lines(shown), f"As drawn during training, after {when(texts[-1])}.")
        if not (kept := frames(facts.run)):
            return tag("p", "No samples yet: a run draws some at its start, and saves a model at its first checkpoint.")
        return figure(
            still(kept[-1], 640, "samples during training", facts),
            f"As drawn during training, after {when(kept[-1])}.",
            class_="half",
        )
    if spec.kind == "text":
        return tag(
            "div", figure(lines(drawn.averaged), f"After {drawn.images:,} images, seed {facts.seed}, unselected.")
        )
    after = f"after {drawn.images:,} images, seed {facts.seed}, unselected"
    what = "; grey: training data" if spec.kind == "vector" and len(real) else ""
    figures = [
        figure(
            sheet(drawn.averaged, spec, real, "samples drawn with the averaged weights"),
            tag("b", "Averaged weights (EMA)"),
            f", {after}{what}. Sampling uses these.",
            class_="big",
        ),
        figure(
            sheet(drawn.raw, spec, real, "samples drawn with the weights of the last step"),
            tag("b", "Raw weights"),
            " of the last step, same latents.",
        ),
    ]
    if spec.kind == "image" and len(real):
        rows = spaced(len(real), grid_size(spec))
        figures.append(
            figure(
                sheet(np.array(real[rows]), spec, real, "pictures of the training data", made=False),
                tag("b", "Training data"),
                f", {len(rows)} of {len(real):,}, evenly spaced.",
            )
        )
    return tag("div", figures, class_="samples")
