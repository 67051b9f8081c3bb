"""Draws docs/house.svg: the packages of gansmith in their layers, and what imports what, read from the imports.

    python docs/house.py            writes docs/house.svg; a test holds the file against the code

Arrows that follow from others are left out: where a imports b and b imports c, a's own import of c is not drawn.
"""

from __future__ import annotations

import ast
import html
import sys
import textwrap
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "gansmith"
WIDTH, ROW, BOX_HEIGHT, MARGIN = 1180, 128, 70, 20
LEFT_OUT = {"", "_version", "__main__"}


def unit(parts: tuple[str, ...]) -> str:
    """The module or package directly under `gansmith`."""
    return parts[0].removesuffix(".py") if parts[0] != "__init__.py" else ""


def imports() -> dict[str, set[str]]:
    """Of each unit, the others that it imports; imports for type checkers alone count too."""
    arrows: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE)
        own = arrows.setdefault(unit(place.parts), set())
        package = place.parent.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom):
                continue
            if node.level:
                base = package[: len(package) - node.level + 1] + tuple((node.module or "").split("."))
                names = [(*(p for p in base if p), alias.name) for alias in node.names]
            elif (node.module or "").split(".")[0] == "gansmith":
                names = [(*(node.module or "").split(".")[1:], alias.name) for alias in node.names]
            else:
                continue
            own.update(unit(name) for name in names)
    known = arrows.keys() - LEFT_OUT
    return {name: (targets & known) - {name} for name, targets in arrows.items() if name in known}


def levels(arrows: dict[str, set[str]]) -> dict[str, int]:
    """The floor of each unit: one above the highest that it imports. Raises `ValueError` for imports in a circle."""
    floors: dict[str, int] = {}

    def floor(name: str, above: tuple[str, ...] = ()) -> int:
        if name in above:
            raise ValueError(f"imports run in a circle: {' -> '.join((*above, name))}")
        if name not in floors:
            floors[name] = max((floor(t, (*above, name)) + 1 for t in sorted(arrows[name])), default=0)
        return floors[name]

    for name in sorted(arrows):
        floor(name)
    return floors


def reduced(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that follow from no others."""

    def reached(name: str) -> set[str]:
        return set().union(*({t} | reached(t) for t in arrows[name])) if arrows[name] else set()

    return {name: targets - set().union(*(reached(t) for t in targets)) for name, targets in arrows.items()}


def summary(name: str, letters: int) -> list[str]:
    """The first words of its docstring, in at most two lines of so many letters."""
    path = SOURCE / name / "__init__.py" if (SOURCE / name).is_dir() else SOURCE / f"{name}.py"
    text = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0].replace("\n", " ")
    text = text.partition(". ")[0].partition(": ")[0].rstrip(".").replace("`", "")
    lines = textwrap.wrap(text, letters, max_lines=2, placeholder=" ...")
    return lines or [""]


def draw() -> str:
    """The picture as SVG."""
    arrows = imports()
    floors = levels(arrows)
    top = max(floors.values())
    height = (top + 1) * ROW + 2 * MARGIN
    place: dict[str, tuple[float, float, float]] = {}
    for level in range(top + 1):
        row = sorted(name for name, floor in floors.items() if floor == level)
        room = (WIDTH - 2 * MARGIN) / len(row)
        for i, name in enumerate(row):
            place[name] = (MARGIN + (i + 0.5) * room, MARGIN + (top - level) * ROW + 30, min(room - 12, 230))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#8a94a6"/></marker></defs>',
    ]
    for name, targets in sorted(reduced(arrows).items()):
        x, y, _ = place[name]
        for target in sorted(targets):
            tx, ty, _ = place[target]
            start, end = y + BOX_HEIGHT, ty - 2
            bend = (end - start) * 0.5
            curve = f"M{x:.0f} {start:.0f} C{x:.0f} {start + bend:.0f} {tx:.0f} {end - bend:.0f} {tx:.0f} {end:.0f}"
            lines.append(f'<path d="{curve}" fill="none" stroke="#8a94a6" stroke-width="1.2" marker-end="url(#tip)"/>')
    for name, (x, y, wide) in sorted(place.items()):
        colour = "#e8f0fe" if (SOURCE / name).is_dir() else "#f6f1e4"
        lines.append(
            f'<rect x="{x - wide / 2:.0f}" y="{y:.0f}" width="{wide:.0f}" height="{BOX_HEIGHT}" rx="6" fill="{colour}" '
            'stroke="#5b6b86"/>'
        )
        label = f"{name}/" if (SOURCE / name).is_dir() else f"{name}.py"
        lines.append(
            f'<text x="{x:.0f}" y="{y + 24:.0f}" font-size="15" font-weight="bold" text-anchor="middle">{label}</text>'
        )
        for i, words in enumerate(summary(name, int(wide / 5.6))):
            lines.append(
                f'<text x="{x:.0f}" y="{y + 42 + 15 * i:.0f}" font-size="11" fill="#444" text-anchor="middle">'
                f"{html.escape(words)}</text>"
            )
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    out = Path(__file__).with_name("house.svg")
    out.write_text(draw(), encoding="utf-8")
    print(f"wrote {out.name}", file=sys.stderr)
