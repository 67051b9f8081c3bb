"""Imports point one way, and some things are found nowhere in the source."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import gansmith

SOURCE = Path(gansmith.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

# From the ground up: a module imports only from lines above its own, a package also from itself.
LAYERS = (
    {"_version", "asks", "extras", "settle", "records", "files", "machine", "losses", "metrics", "doctor"},
    {"step", "options"},
    {"run", "nets"},
    {"data", "penalties", "augment"},
    {"recipe", "encoders", "show"},
    {"recipes", "catalog", "model"},
    {"judge", "use", "report"},
    {"engine", "compare", "studio", "export"},
    {"cli"},
    {"__main__"},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
RECIPES_USE = {"asks", "recipe", "losses", "penalties", "augment", "nets", "data", "step"}


def unit(path: Path) -> str:
    """The module or package directly under `gansmith` that a file belongs to; "" for the package's own door."""
    first = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[tuple[str, ...]]:
    """Every imported module as the parts of its full name, those for type checkers alone left out."""
    package = ("gansmith", *path.relative_to(SOURCE).parent.parts)
    whole = tree(path)
    typing_only = {
        id(inner)
        for node in ast.walk(whole)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(whole):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            yield from ((*base, alias.name) for alias in node.names)


def test_every_module_has_its_place() -> None:
    assert {unit(path) for path in FILES} - {""} <= set(LEVEL), "give a new module its line in LAYERS"


def test_imports_point_one_way() -> None:
    wrong = [
        f"{path.relative_to(SOURCE)} imports {'.'.join(module)}"
        for path in FILES
        if unit(path)
        for module in imported(path)
        if module[0] == "gansmith" and module[1] != unit(path) and not LEVEL[module[1]] < LEVEL[unit(path)]
    ]
    assert not wrong


def test_no_files_import_one_another_in_a_circle() -> None:
    """Imports inside functions count; those for type checkers alone do not."""
    names = {path.relative_to(SOURCE.parent).with_suffix("").parts: path for path in FILES}
    names = {name[:-1] if name[-1] == "__init__" else name: path for name, path in names.items()}
    arrows: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for name, path in names.items():
        ends = {next((m[:k] for k in range(len(m), 0, -1) if m[:k] in names), name) for m in imported(path)}
        arrows[name] = ends - {name}
    TopologicalSorter(arrows).prepare()  # raises CycleError, which names the files


def test_the_door_imports_nothing_heavy() -> None:
    assert {m[1] for m in imported(SOURCE / "__init__.py") if m[0] == "gansmith"} == {"_version"}


def test_recipes_know_neither_each_other_nor_the_engine() -> None:
    wrong = [
        f"{path.name} imports {'.'.join(module)}"
        for path in (SOURCE / "recipes").glob("*.py")
        for module in imported(path)
        if module[0] == "gansmith" and module[1] not in RECIPES_USE
    ]
    assert not wrong


def test_nothing_waits_for_the_device() -> None:
    """Losses and the step must be capturable as one graph; `.tolist()` and the like would make it wait."""
    waits = {"item", "cpu", "numpy", "tolist"}
    files = [
        *(SOURCE / "recipes").glob("*.py"),
        *(SOURCE / f"{m}.py" for m in ("losses", "penalties")),
        *(SOURCE / "step" / f"{m}.py" for m in ("turn", "step", "ranks", "randomness", "graphs", "sghmc")),
    ]
    wrong = [
        f"{path.name}:{node.lineno} calls .{node.func.attr}()"
        for path in files
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in waits
    ]
    assert not wrong


def test_nothing_is_unpickled_and_no_forbidden_library_is_used() -> None:
    forbidden = {"pickle", "dill", "joblib", "torchvision", "torchaudio", "lightning", "pytorch_lightning", "datasets"}
    wrong = []
    for path in FILES:
        wrong += [f"{path.name} imports {m[0]}" for m in imported(path) if m[0] in forbidden]
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("torch.load", "torch.save"):
                if path.parts[-2:] == ("encoders", "weights.py"):  # published files, their sha256 known; see there
                    assert path.read_text(encoding="utf-8").count("weights_only=True)") == 1
                    continue
                wrong.append(f"{path.name}:{node.lineno} uses {ast.unparse(node)}")
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
                wrong.append(f"{path.name} allows pickles")
    assert not wrong
