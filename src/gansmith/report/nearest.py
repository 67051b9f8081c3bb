"""Samples beside the training samples nearest to them."""

from __future__ import annotations

import numpy as np

from ..show import Near
from .facts import Facts
from .inline import embed
from .markup import Child, Html, figure, table, tag
from .neighbours import SHOWN, Neighbours


def section(facts: Facts) -> Child:
    """How near, held against the data's own distances; what that can and cannot show; the samples side by side."""
    found, near = facts.neighbours, facts.show.near(facts.spec)
    if isinstance(near, str):
        return tag("p", near)
    if found is None or facts.store is None:
        return tag("p", "Not looked for: that takes a model and the training data.")
    parts = _figures(found, near, len(facts.store))
    if not facts.show.apart:
        return parts
    if not facts.show_data:
        return [*parts, tag("p", "The pictures are left out: the page was made without the training data's own.")]
    drawn, shown = len(found.of_samples), len(found.samples)
    first = min(SHOWN, drawn)
    for title, chosen in (
        (f"The first {first} samples", range(first)),
        (f"The {shown - first} nearest of {drawn:,} samples (selected)", range(first, shown)),
    ):
        if chosen:
            parts.append(tag("h3", title))
            parts.append(tag("div", [_row(facts, found, near, i) for i in chosen], class_="pairs"))
    return parts


def _figures(found: Neighbours, near: Near, total: int) -> list[Child]:
    """The distances as a table, and what they can and cannot show."""
    drawn = len(found.of_samples)
    searched = (
        f"all {total:,} training samples"
        if found.searched == total
        else f"{found.searched:,} evenly spaced training samples of {total:,}"
    )
    exact = int(np.count_nonzero(found.of_samples == 0))
    rows = [
        [whose, f"{len(values):,}", *(near.figure(v) for v in np.percentile(values, (0, 25, 50)))]
        for whose, values in (
            ("of this model", found.of_samples),
            ("of the training data, to the nearest other", found.of_training),
        )
    ]
    return [
        table(["samples", "number", "nearest", "lower quartile", "median"], rows, numeric=range(1, 5)),
        tag(
            "p",
            f"Distance: {near.unit}. Searched: {searched}. ",
            f"{exact:,} of {drawn:,} samples equal a training sample exactly. " if exact else "",
            "What it shows: samples much nearer to training data than training data are to one another are copies, or "
            f"nearly. What it cannot show: {near.blind}. It is no proof that nothing was memorised.",
        ),
    ]


def _row(facts: Facts, found: Neighbours, near: Near, i: int) -> Html:
    """A sample on the left, its nearest training samples on the right."""
    assert facts.drawn is not None
    row = int(found.samples[i])
    sample = facts.show.single(facts.drawn.averaged[row], facts.spec, f"sample {row}")
    figures = []
    for place, distance in zip(found.training[i], found.distances[i], strict=True):
        if np.isfinite(distance):
            real = np.array(facts.shown_data[place])
            media = facts.show.single(real, facts.spec, f"training picture {place}", made=False)
            figures.append(figure(embed(media, 128), near.figure(distance)))
    return tag("div", figure(embed(sample, 128), f"sample {row}"), tag("hr"), figures, class_="pair")
