"""The model card: what must go with the weights, and what was not measured."""

from __future__ import annotations

from .. import records
from ..data import kind_of
from .facts import Facts
from .markup import Child, bullets, pairs, tag
from .words import recipe_name, recorded, said, source_name


def section(facts: Facts) -> Child:
    """The notice, the model in figures, and the limits of what is known."""
    record = facts.run.record
    used = facts.drawn.images if facts.drawn else facts.progress["images"]
    return [
        tag(
            "p",
            tag("strong", "Samples of this model are AI-generated."),
            " Pictures that gansmith writes say so in their metadata; keep that notice when you pass them on.",
        ),
        pairs(
            [
                ("what it is", f"a generative adversarial network, recipe {recipe_name(record)}"),
                ("what it makes", kind_of(facts.spec.kind).words(facts.spec)),
                ("trained on", f"{recorded(record, 'data', 'count')} samples of {source_name(record)}"),
                ("shown", f"{said(used)} images, with repetition"),
                ("weights", "moving average (default) and raw, both saved"),
                ("sha256 of the weights", tag("code", _weights(facts))),
                ("digest of the data", tag("code", recorded(record, "data", "digest"))),
                ("codec", said(facts.spec.codec.to_json())),
                ("made with", f"gansmith {recorded(record, 'versions', 'gansmith')}"),
            ]
        ),
        tag("h3", "Not measured"),
        bullets(_unmeasured(facts)),
        tag("p", "This page holds samples of the training data themselves: whoever gets it gets those.", class_="quiet")
        if len(facts.shown_data)
        else None,
    ]


def _weights(facts: Facts) -> str:
    note = facts.run.path / "model" / "model.json"
    try:
        return recorded(records.read(note), "sha256") if note.is_file() else "no model saved yet"
    except ValueError as error:
        return str(error)


def _unmeasured(facts: Facts) -> list[str]:
    return [
        "whatever is not in the tables under Scores"
        if facts.scores
        else "quality, diversity and coverage: no scores, and so no floor and no control",
        "other seeds: one run says nothing of how much runs differ, and a comparison takes several",
        "bias, privacy and licences of the training data, and fitness for any use",
        "copying beyond the distances shown, which see only plain likeness"
        if facts.neighbours
        else "copying of training data",
    ]
