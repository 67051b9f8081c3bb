"""Elements of the page. `tag` makes all of them and escapes every text put in."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


class Html(str):
    """Markup; any other text is escaped where it is put in."""

    __slots__ = ()


Child = str | None | Iterable["Child"]


def tag(name: str, /, *children: Child, **attributes: str) -> Html:
    """An element. Children are texts, elements, or lists of both; `class_` stands for class."""
    written = "".join(f' {k.rstrip("_").replace("_", "-")}="{html.escape(v)}"' for k, v in attributes.items())
    if name in ("img", "meta", "hr"):
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{_inside(children)}</{name}>")


def _inside(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return str(child)
    if isinstance(child, str):
        return html.escape(child)
    return "".join(map(_inside, child))


def table(head: Sequence[Child], rows: Iterable[Sequence[Child]], numeric: Sequence[int] = ()) -> Html:
    """A table that scrolls by itself on a narrow screen; columns `numeric` are aligned to the right."""

    def cells(name: str, row: Sequence[Child]) -> Html:
        return tag("tr", [tag(name, cell, **({"class_": "n"} if i in numeric else {})) for i, cell in enumerate(row)])

    return tag(
        "div",
        tag("table", tag("thead", cells("th", head)), tag("tbody", [cells("td", row) for row in rows])),
        class_="scroll",
    )


def pairs(rows: Iterable[tuple[str, Child]]) -> Html:
    """Names and values, two columns."""
    return tag("dl", [[tag("dt", name), tag("dd", value)] for name, value in rows])


def figure(content: Child, *caption: Child, class_: str = "") -> Html:
    """A picture, or whatever is looked at, with its caption below."""
    return tag("figure", content, tag("figcaption", *caption), class_=class_)


def bullets(lines: Iterable[Child], **attributes: str) -> Html:
    """A list, a line each."""
    return tag("ul", [tag("li", line) for line in lines], **attributes)


def box(title: str, lines: Sequence[str], class_: str) -> Html | None:
    """A list that stands out; nothing if it is empty."""
    return tag("div", tag("strong", title), bullets(lines), class_=f"box {class_}") if lines else None


def prose(text: str) -> list[Child]:
    """A docstring's words in one line, what stands in backticks as code."""
    pieces = " ".join(text.split()).split("`")
    return [tag("code", piece) if i % 2 else piece for i, piece in enumerate(pieces)]
