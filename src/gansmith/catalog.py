"""What recipes and judges there are and what each says of itself, read from their source without running it.

Reading the syntax tree keeps PyTorch out: `gansmith recipes` and every `--help` answer at once.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import difflib
import inspect
import textwrap
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

_BUILT_IN = Path(__file__).parent / "recipes"
_JUDGES = Path(__file__).parent / "judge" / "kinds"
_SHOWN = Path(__file__).parent / "show" / "kinds"
_SECTIONS = ("Source", "Differs from the paper", "Expect")

# The only names that a field's annotation may use to be understood without importing the recipe.
_TYPES: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "tuple": tuple,
    "list": list,
    "dict": dict,
    "None": None,
    "Literal": Literal,
}


class _Required:
    def __repr__(self) -> str:
        return "required"


REQUIRED = _Required()
"""Stands for the default of a field that has none."""


@dataclass(frozen=True)
class Field:
    """One hyper-parameter of a recipe. `default` is `REQUIRED` without one and `...` if it is not a literal."""

    name: str
    annotation: str
    default_repr: str
    default: Any
    help: str


@dataclass(frozen=True)
class RecipePage:
    """What a recipe says of itself. `name` is the one for the command line: of a built-in, or the path of a file."""

    name: str
    class_name: str
    path: Path
    summary: str
    source: str
    differs: str
    expect: str
    fields: tuple[Field, ...]
    kinds: frozenset[str]


def names() -> list[str]:
    """The names of the built-in recipes: the names of their files."""
    return sorted(p.stem for p in _BUILT_IN.glob("*.py") if p.stem != "__init__")


def pages() -> list[RecipePage]:
    """The pages of all built-in recipes, by name."""
    return [describe(name) for name in names()]


def describe(name: str) -> RecipePage:
    """The page of a built-in recipe (`wgan_gp`, also written `wgan-gp`), or of the recipe in a `.py` file.

    Raises `ValueError` for an unknown name, with the nearest one, and for a file without exactly one recipe;
    `FileNotFoundError` for a file that is not there.
    """
    if name.endswith(".py"):
        path = Path(name)
        if not path.is_file():
            raise FileNotFoundError(f"no recipe file at {path}")
    else:
        path = _BUILT_IN / f"{resolve(name)}.py"
        name = path.stem
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not Python: {error}") from error
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and any(_last(b) == "Recipe" for b in n.bases)]
    if len(classes) != 1:
        raise ValueError(f"{path} must define exactly one class derived from Recipe; it defines {len(classes)}")
    summary, sections = _sections(ast.get_docstring(tree) or ast.get_docstring(classes[0]) or "")
    return RecipePage(
        name=name,
        class_name=classes[0].name,
        path=path,
        summary=summary,
        source=sections["Source"],
        differs=sections["Differs from the paper"],
        expect=sections["Expect"],
        fields=tuple(_fields(classes[0])),
        kinds=_kinds(classes[0]),
    )


def metric_groups() -> dict[str, tuple[str, ...]]:
    """The groups of scores that `--metrics` may name, by kind of data: the keys of `GROUPS` of each judge's file.

    Raises `ValueError` for a judge whose groups are not written out there.
    """
    return {path.stem: _groups(path) for path in sorted(_JUDGES.glob("*.py")) if path.stem != "__init__"}


def _groups(path: Path) -> tuple[str, ...]:
    """Only the statement is parsed: whole files would cost every `--help` a tenth of its time."""
    _, _, rest = path.read_text(encoding="utf-8").partition("\nGROUPS")
    statement, closed, _ = f"GROUPS{rest}".partition("\n}\n")
    with contextlib.suppress(SyntaxError):
        value = getattr(ast.parse(statement + closed).body[0], "value", None)
        keys = value.keys if isinstance(value, ast.Dict) else []
        names = [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
        if names and len(names) == len(keys):
            return tuple(names)
    raise ValueError(f"{path} must hold GROUPS, a dict whose keys are written out: the groups of scores of its judge")


def resolve(name: str) -> str:
    """The name of a built-in recipe as its file is called. Raises `ValueError` with the nearest name."""
    known = names()
    wanted = name.replace("-", "_").lower()
    if wanted in known:
        return wanted
    near = difflib.get_close_matches(wanted, known, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}, or give the path of a .py"
    raise ValueError(f"no recipe is called {name!r}; {hint}")


def written() -> dict[str, dict[str, str]]:
    """What `gansmith sample` writes of each kind of data: {kind: {suffix: what it holds}}, as `Show.writes` says."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(_SHOWN.glob("*.py")):
        classes = [n for n in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(n, ast.ClassDef)]
        for node in (n for c in classes for n in c.body if isinstance(n, ast.AnnAssign)):
            if isinstance(node.target, ast.Name) and node.target.id == "writes" and node.value is not None:
                found[path.stem] = ast.literal_eval(node.value)
    return found


def options_class(page: RecipePage) -> type[Any]:
    """A dataclass of the recipe's fields with their types, defaults and help, for parsing a command line.

    Built without importing the recipe where annotations and defaults are plain; else the recipe is imported.
    """
    try:
        fields = [(f.name, _evaluate(f.annotation), f.default, f.help) for f in page.fields]
    except ValueError:
        fields = []
    if not fields or any(default is ... for _, _, default, _ in fields):
        fields = _imported(page)
    made: list[Any] = []
    for name, kind, default, text in fields:
        kind = Annotated[kind, Help(text)] if text else kind
        # A mutable default would be shared; recipes are frozen, so none has one that is meant to be.
        made.append((name, kind) if default is REQUIRED else (name, kind, _default(default)))
    return dataclasses.make_dataclass(f"{page.class_name}Fields", made, frozen=True, kw_only=True)


@dataclass(frozen=True)
class Help:
    """The help text of a field, as a mark on its annotation."""

    text: str


def _default(value: Any) -> Any:
    return dataclasses.field(default_factory=lambda: value) if isinstance(value, (list, dict, set)) else value


def _imported(page: RecipePage) -> list[tuple[str, Any, Any, str]]:
    from .recipe import load_recipe

    recipe = load_recipe(str(page.path) if page.name.endswith(".py") else page.name)
    hints = typing.get_type_hints(recipe)
    texts = {f.name: f.help for f in page.fields}
    found: list[tuple[str, Any, Any, str]] = []
    for field in dataclasses.fields(recipe):
        default: Any = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        elif default is dataclasses.MISSING:
            default = REQUIRED
        found.append((field.name, hints[field.name], default, texts.get(field.name, "")))
    return found


# --- reading the syntax tree ------------------------------------------------------------------------------------------


def _fields(node: ast.ClassDef) -> list[Field]:
    found = []
    for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        annotation = ast.unparse(statement.annotation)
        if annotation.startswith(("ClassVar", "typing.ClassVar")):
            continue
        default: Any = REQUIRED
        if statement.value is not None:
            try:
                default = ast.literal_eval(statement.value)
            except ValueError:
                default = ...
        text = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            text = " ".join(inspect.cleandoc(str(following.value.value)).split())
        written = ast.unparse(statement.value) if statement.value is not None else ""
        found.append(Field(statement.target.id, annotation, written, default, text))
    return found


def _kinds(node: ast.ClassDef) -> frozenset[str]:
    """The strings in `kinds = frozenset({...})`; images, as `Recipe` has it, if the recipe says nothing."""
    for statement in node.body:
        target = statement.target if isinstance(statement, ast.AnnAssign) else None
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
        if isinstance(target, ast.Name) and target.id == "kinds":
            strings = [n.value for n in ast.walk(statement) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
            return frozenset(strings)
    return frozenset({"image"})


def _evaluate(annotation: str) -> Any:
    """The type an annotation means, if it is made of plain types alone. Raises `ValueError` otherwise.

    The tree is walked rather than evaluated: a recipe file is not run to show its help.
    """

    def build(node: ast.expr) -> Any:
        match node:
            case ast.Name(id=name) if name in _TYPES:
                return _TYPES[name]
            case ast.Constant(value=None):
                return None
            case ast.Constant(value=value) if value is ...:
                return ...
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return build(left) | build(right)
            case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
                return _TYPES["Literal"][ast.literal_eval(inner)]  # a tuple is spread: Literal["a", "b"]
            case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in ("tuple", "list", "dict"):
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                return _TYPES[name][tuple(build(part) for part in parts)]
        raise ValueError(f"{annotation} is not made of plain types")

    return build(ast.parse(annotation, mode="eval").body)


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _sections(docstring: str) -> tuple[str, dict[str, str]]:
    """The first paragraph, and what stands under each known heading ("Source: ..."), line breaks as written."""
    sections = dict.fromkeys(_SECTIONS, "")
    summary: list[str] = []
    current = ""
    for line in docstring.splitlines():
        heading = next((s for s in _SECTIONS if line.startswith(f"{s}:")), "")
        if heading:
            current = heading
            sections[heading] = line[len(heading) + 1 :].strip()
        elif current:
            sections[current] += "\n" + line
        else:
            summary.append(line)
    first, *rest = "\n".join(summary).strip().split("\n\n", 1)
    del rest  # further paragraphs before the headings are for readers of the file
    cleaned = {k: _dedent(v) for k, v in sections.items()}
    return " ".join(first.split()), cleaned


def _dedent(text: str) -> str:
    head, _, tail = text.partition("\n")
    return f"{head}\n{textwrap.dedent(tail)}".strip() if tail else head.strip()
