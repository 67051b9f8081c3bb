"""The picture in docs/architecture.md is that of the code."""

import runpy
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_picture_of_the_house_is_true() -> None:
    drawn = runpy.run_path(str(DOCS / "house.py"))["draw"]()
    assert drawn == (DOCS / "house.svg").read_text(encoding="utf-8"), "draw it anew: python docs/house.py"
