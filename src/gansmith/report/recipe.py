"""The recipe: what it says of itself, and its fields."""

from __future__ import annotations

from .facts import Facts
from .markup import Child, pairs, prose, table, tag
from .words import plain, said


def section(facts: Facts) -> Child:
    """Its page; of a recipe that is not there, the fields alone."""
    page, fields = facts.page, dict(facts.run.record["recipe"]["fields"])
    if page is None:
        return table(["field", "value"], [[tag("code", k), said(v)] for k, v in fields.items()])
    texts = (("Source", page.source), ("Differs from the paper", page.differs), ("Expect", page.expect))
    known = {f.name: f for f in page.fields}
    rows = []
    for name, value in fields.items():
        field = known.get(name)
        same = field is not None and plain(field.default) == value
        rows.append(
            [
                tag("code", name),
                said(value) if same else tag("b", said(value)),
                said(field.default) if field and field.default is not ... else "",
                prose(field.help) if field else "",
            ]
        )
    return [
        tag("p", prose(page.summary)),
        pairs([(title, prose(text)) for title, text in texts if text]),
        tag("h3", "Its fields"),
        table(["field", "here", "default", "meaning"], rows) if rows else None,
    ]
