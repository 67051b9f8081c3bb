"""What recipes say of themselves, read without running them."""

import dataclasses
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from gansmith import catalog
from gansmith.recipe import load_recipe, recipe_names

OWN = '''"""Mine: a recipe of my own.

More words.

Source: Someone, "Something", 2026,
    section 2.
Differs from the paper: in nothing.
Expect: little.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from gansmith.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Mine(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"vector"})

    depth: int = 3
    """How
    deep."""
    mode: Literal["a", "b"] = "a"
    betas: tuple[float, float] = (0.0, 0.9)
    widths: tuple[int, ...] = (4, 4)
    rate: float | None = None
    """The rate."""
'''


def write(tmp_path: Path, text: str = OWN) -> str:
    path = tmp_path / "mine.py"
    path.write_text(text)
    return str(path)


def test_the_names_are_those_of_the_recipes() -> None:
    assert catalog.names() == recipe_names()


@pytest.mark.parametrize("name", recipe_names())
def test_pages_of_built_in_recipes_agree_with_the_classes(name: str) -> None:
    page, recipe = catalog.describe(name), load_recipe(name)
    assert page.class_name == recipe.__name__
    assert page.kinds == recipe.kinds
    assert page.summary and page.source and page.differs and page.expect, "a recipe's docstring has all sections"
    assert all(field.help for field in page.fields), "a field's docstring is its help"
    made = catalog.options_class(page)
    hints, wanted = typing.get_type_hints(made), typing.get_type_hints(recipe)
    for ours, theirs in zip(dataclasses.fields(made), dataclasses.fields(recipe), strict=True):
        assert ours.name == theirs.name
        assert ours.default == theirs.default
        assert hints[ours.name] == wanted[theirs.name]


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    page = catalog.describe(write(tmp_path))
    assert page.summary == "Mine: a recipe of my own."
    assert page.source == 'Someone, "Something", 2026,\nsection 2.'
    assert (page.differs, page.expect, page.kinds) == ("in nothing.", "little.", {"vector"})
    assert [f.name for f in page.fields] == ["depth", "mode", "betas", "widths", "rate"]
    assert page.fields[0].help == "How deep."
    made = catalog.options_class(page)
    hints = typing.get_type_hints(made)
    assert hints["mode"] == typing.Literal["a", "b"]
    assert hints["widths"] == tuple[int, ...]
    assert hints["rate"] == float | None
    assert made() == made(depth=3, mode="a", betas=(0.0, 0.9), widths=(4, 4), rate=None)


def test_a_default_that_is_computed_is_asked_of_the_recipe(tmp_path: Path) -> None:
    text = OWN.replace("depth: int = 3", "depth: int = 2 + len('x')")
    made = catalog.options_class(catalog.describe(write(tmp_path, text)))
    assert made().depth == 3


def test_reading_a_page_runs_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, OWN + "\nraise SystemExit('ran')\n")
    assert catalog.options_class(catalog.describe(path))().depth == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [("r3gam", "did you mean r3gan"), ("zzzzzz", "there are"), ("../gan", "did you mean gan")],
)
def test_an_unknown_name_is_answered_with_the_nearest(given: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        catalog.describe(given)


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no recipe file"):
        catalog.describe(str(tmp_path / "none.py"))
    with pytest.raises(ValueError, match="exactly one"):
        catalog.describe(write(tmp_path, "x = 1\n"))
    with pytest.raises(ValueError, match="is not Python"):
        catalog.describe(write(tmp_path, "def (:\n"))


def test_hyphens_and_underscores_are_the_same() -> None:
    assert catalog.resolve("wgan-gp") == catalog.resolve("wgan_gp") == "wgan_gp"


def test_no_torch_is_needed() -> None:
    code = (
        "import sys; from gansmith import catalog; [catalog.options_class(p) for p in catalog.pages()]; "
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_can_be_asked_for_needs_no_torch_either() -> None:
    code = "import sys; import gansmith.asks; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
