"""docs/recipes/ says what the recipes and the recorded results say."""

from benchmarks import pages

from gansmith import catalog


def test_the_pages_are_those_of_the_recipes() -> None:
    there = {p.name: p.read_text(encoding="utf-8") for p in pages.FOLDER.glob("*.md")}
    wanted = pages.written()
    stale = {name for name in there.keys() | wanted.keys() if there.get(name) != wanted.get(name)}
    assert not stale, f"run python -m benchmarks.pages: {sorted(stale)}"


def test_every_recipe_says_what_it_is() -> None:
    for page in catalog.pages():
        assert page.summary and page.source and page.expect, page.name
        assert all(field.help for field in page.fields), page.name
