"""The document: its head, what is said first, and the sections in their order."""

from __future__ import annotations

from datetime import UTC, datetime

from .._version import __version__
from ..data import kind_of
from ..show.words import duration
from . import card, curves, data, film, made, nearest, networks, recipe, samples, scores
from .facts import Facts
from .markup import Html, box, prose, tag
from .style import STYLE
from .words import recipe_name, recorded, source_name

_POLICY = (
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_SECTIONS = (
    ("samples", "Samples", samples.section),
    ("film", "Through training", film.section),
    ("curves", "Curves", curves.section),
    ("scores", "Scores", scores.section),
    ("nearest", "Nearest training samples", nearest.section),
    ("data", "Training data", data.section),
    ("made", "How it was made", made.section),
    ("networks", "Networks", networks.section),
    ("recipe", "The recipe", recipe.section),
    ("card", "Model card", card.section),
)


def document(facts: Facts) -> str:
    """The whole page as HTML."""
    record = facts.run.record
    title = f"{recipe_name(record)} on {source_name(record)}"
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"gansmith {__version__}"),
        tag("title", f"{title} - gansmith report"),
        tag("style", Html(STYLE)),
    ]
    header = tag(
        "header",
        tag("p", "gansmith report", class_="eyebrow"),
        tag("h1", title),
        tag("p", prose(facts.page.summary), class_="lead") if facts.page else None,
        _key_facts(facts),
        box("Look out", facts.warnings, "warn"),
        box("Not shown", facts.missing, "note"),
        tag("nav", [tag("a", text, href=f"#{anchor}") for anchor, text, _ in _SECTIONS]),
    )
    sections = [tag("section", tag("h2", text), section(facts), id=anchor) for anchor, text, section in _SECTIONS]
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    footer = tag(
        "footer",
        f"Made {now} by gansmith {__version__} from the run {facts.run.path.resolve().name}, started "
        f"{recorded(record, 'created')}. Pictures of samples on this page are AI-generated.",
    )
    body = tag("body", header, tag("main", sections), footer)
    return f"<!doctype html>\n{tag('html', tag('head', head), body, lang='en')}\n"


def _key_facts(facts: Facts) -> Html:
    record, progress = facts.run.record, facts.progress
    images, seconds = progress["images"], progress["seconds"]
    rate = f"{images / seconds:,.0f} images a second" if seconds else "not measured"
    served = sum(net.parameters for net in facts.networks.values() if net.serves)
    total = sum(net.parameters for net in facts.networks.values())
    cells = [
        ("Images shown", f"{images:,}", "finished" if progress["finished"] else "not finished"),
        ("Training time", duration(seconds), rate),
        (
            "Generator",
            f"{served:,}" if served else "unknown",
            f"parameters, of {total:,}" if total else "parameters",
        ),
        ("Training data", recorded(record, "data", "count"), kind_of(facts.spec.kind).words(facts.spec)),
        (
            "Machine",
            f"{recorded(record, 'setting', 'device')}, {recorded(record, 'setting', 'precision')}",
            f"{recorded(record, 'machine', 'cores')} cores, {recorded(record, 'machine', 'processor')}",
        ),
        ("Seed", recorded(record, "options", "seed"), f"{recorded(record, 'options', 'batch_size')} images a step"),
    ]
    return tag(
        "div",
        [tag("div", tag("span", name), tag("b", value), tag("small", more)) for name, value, more in cells],
        class_="cards",
    )
