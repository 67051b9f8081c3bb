"""Samples beside the training samples nearest to them."""

from __future__ import annotations

import numpy as np

from .facts import Facts
from .inline import singles
from .markup import Child, Html, figure, table, tag
from .neighbours import SHOWN, Neighbours


def section(facts: Facts) -> Child:
    """How near, held against the data's own distances; what that can and cannot show; the pictures."""
    found = facts.neighbours
    if facts.spec.kind == "table":
        return tag("p", "Of tables gansmith evaluate RUN --data HELDOUT.csv tells whether samples are training rows.")
    if facts.spec.kind == "text":
        return tag("p", "Distances between texts are not shown here: gansmith evaluate counts copied lines.")
    if found is None or facts.store is None:
        return tag("p", "Not looked for: that takes a model and the training data.")
    image = facts.spec.kind == "image"
    if image:
        unit = (
            "Distance: root mean square of the differences between pixel values, as a share of their range, on "
            "decoded pictures."
        )
        blind = (
            "a copy that is shifted, mirrored or recoloured is far by this measure, and a smooth or blurred sample is "
            "near to many without being a copy"
        )
    else:
        unit = "Distance: Euclidean, in the data's own units."
        blind = "where the data lie densely, anything plausible is near to some of them without being a copy"
    total, drawn = len(facts.store), len(found.of_samples)
    searched = (
        f"all {total:,} training samples"
        if found.searched == total
        else f"{found.searched:,} evenly spaced training samples of {total:,}"
    )
    exact = int(np.count_nonzero(found.of_samples == 0))
    rows = [
        [whose, f"{len(values):,}", *(_far(v, image) for v in np.percentile(values, (0, 25, 50)))]
        for whose, values in (
            ("of this model", found.of_samples),
            ("of the training data, to the nearest other", found.of_training),
        )
    ]
    parts: list[Child] = [
        table(["samples", "number", "nearest", "lower quartile", "median"], rows, numeric=range(1, 5)),
        tag(
            "p",
            f"{unit} Searched: {searched}. ",
            f"{exact:,} of {drawn:,} samples equal a training sample exactly. " if exact else "",
            "What it shows: samples much nearer to training data than training data are to one another are copies, or "
            f"nearly. What it cannot show: {blind}. It is no proof that nothing was memorised.",
        ),
    ]
    if not image:
        return parts
    if not facts.show_data:
        return [*parts, tag("p", "The pictures are left out: the page was made without the training data's own.")]
    first, shown = min(SHOWN, drawn), len(found.samples)
    for title, chosen in (
        (f"The first {first} samples", range(first)),
        (f"The {shown - first} nearest of {drawn:,} samples (selected)", range(first, shown)),
    ):
        if chosen:
            parts.append(tag("h3", title))
            parts.append(tag("div", [_row(facts, found, i) for i in chosen], class_="pairs"))
    return parts


def _far(distance: float, image: bool) -> str:
    return f"{distance:.1%}" if image else f"{distance:.3g}"


def _row(facts: Facts, found: Neighbours, i: int) -> Html:
    """A sample on the left, its nearest training pictures on the right."""
    assert facts.drawn is not None
    row, near = int(found.samples[i]), found.training[i]
    (sample,) = singles(facts.drawn.averaged[row : row + 1], facts.spec, [f"sample {row}"], made=True)
    shown = singles(facts.shown_data[near], facts.spec, [f"training picture {r}" for r in near], made=False)
    figures = [
        figure(picture, _far(distance, image=True))
        for picture, distance in zip(shown, found.distances[i], strict=True)
        if np.isfinite(distance)
    ]
    return tag("div", figure(sample, f"sample {row}"), tag("hr"), figures, class_="pair")
