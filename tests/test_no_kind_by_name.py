"""A new kind of data is three files of one name: nothing else in the package may know a kind by name.

What counts as asking for a kind: comparing something with a kind's name, a `match` on one, a table keyed by kinds, an
`isinstance` of a codec, source or judge that belongs to one kind, and `.pictures`. Each place that stays has its reason
here, and the number may only fall.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import gansmith

SOURCE = Path(gansmith.__file__).parent
KINDS = {"image", "vector", "pairs", "domains", "table", "text", "series", "audio", "video", "volume", "molecule"}
OF_ONE_KIND = {
    f"{kind}{what}"
    for kind in ("Image", "Vector", "Table", "Text", "Series", "Audio", "Video", "Volume", "Molecule")
    for what in ("Codec", "Source", "Judge")
}
OF_ONE_KIND |= {"PictureSource", "ArraySource", "DomainSource", "PairSource", "JoinedSource"}
STAYS: dict[str, tuple[int, str]] = {
    "cli/making.py": (1, "a table's holes are filled by a service of their own, with options of their own"),
    "encoders/inputs.py": (1, "pictures are resized as bytes, all other samples are encoded first"),
    "encoders/named.py": (1, "published encoders (Inception, DINOv2, a CIFAR network) take pictures alone"),
    "recipes/ctgan.py": (2, "a recipe of tables alone: its networks are laid out by their columns"),
    "recipes/doppelganger.py": (2, "a recipe of series alone: its networks are laid out by their channels"),
    "recipes/gain.py": (1, "a recipe of tables alone"),
    "recipes/impute_gan.py": (1, "a recipe of tables alone"),
    "recipes/seqgan.py": (1, "a recipe of text alone"),
    "recipes/timegan.py": (1, "a recipe of series alone"),
    "use/complete.py": (1, "the service that fills the holes of tables"),
    "use/picture_files.py": (2, "the service for picture files: EXIF, colour profiles, animations"),
    "use/translate.py": (1, "the service for pictures"),
    "use/where.py": (2, "the service that draws rows to a condition"),
}
MOST_LINES = 400
LONGER: dict[str, int] = {}
"""Modules that are still longer, with their lines: a list that may only shrink."""


def names(node: ast.expr) -> set[str]:
    """Kinds that an expression spells out: one string, or a tuple, list or set of them."""
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return {p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)} & KINDS


def names_in(pattern: ast.pattern) -> set[str]:
    """Kinds that a case of a `match` spells out."""
    return {n.value for n in ast.walk(pattern) if isinstance(n, ast.Constant) and isinstance(n.value, str)} & KINDS


def is_kind(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name == "kind"


def asks(node: ast.AST) -> bool:
    """Whether this expression asks what kind of data something is."""
    match node:
        case ast.Compare():
            sides = [node.left, *node.comparators]
            return any(is_kind(s) for s in sides) and any(names(s) for s in sides)
        case ast.Dict():
            return len({k.value for k in node.keys if isinstance(k, ast.Constant)} & KINDS) > 1
        case ast.Attribute(attr="pictures"):
            return ast.unparse(node.value).endswith("spec")
        case ast.Call(func=ast.Name(id="isinstance")):
            return bool({n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)} & OF_ONE_KIND)
    return False


def sites(tree: ast.Module) -> Iterator[int]:
    """The lines at which a kind of data is asked for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Match) and is_kind(node.subject):
            yield from (c.pattern.lineno for c in node.cases if names_in(c.pattern))
        elif asks(node):
            yield getattr(node, "lineno", 0)


def found() -> Counter[str]:
    """Places by file, those of `*/kinds/` left out: there a kind is at home."""
    counts: Counter[str] = Counter()
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE)
        if "kinds" not in place.parts:
            counts[place.as_posix()] = sum(1 for _ in sites(ast.parse(path.read_text(encoding="utf-8"))))
    return +counts


def test_no_kind_by_name() -> None:
    allowed = {place: number for place, (number, _) in STAYS.items()}
    assert dict(found()) == allowed, "a kind is asked for by name: give Kind, Show or Judge a method instead"


def test_modules_are_short() -> None:
    lengths = {
        p.relative_to(SOURCE).as_posix(): len(p.read_text(encoding="utf-8").splitlines()) for p in SOURCE.rglob("*.py")
    }
    assert {place: n for place, n in lengths.items() if n > MOST_LINES} == LONGER


def test_few_modules_stand_at_the_top() -> None:
    loose = {p.stem for p in SOURCE.glob("*.py")} - {"__init__", "__main__", "_version"}
    assert len(loose) <= 12, sorted(loose)
