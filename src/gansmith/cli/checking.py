"""`check`: whether a recipe of one's own holds what every recipe must."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from ..options import DataOptions, TrainOptions
from .parsing import Usage, page_of, parse, recipe_of


@dataclass(frozen=True, kw_only=True)
class _Check(DataOptions):
    recipe: Annotated[str, Positional] = ""
    """The path of a .py, or the name of a recipe."""
    data: str = "digits"
    """Data that the recipe takes: a few of its rows are used."""


def check(words: list[str]) -> int:
    """Try a recipe of your own on a few rows: one step of every turn, restart, parts of a batch, bfloat16, samples."""
    options = parse(_Check, words, "gansmith check", check.__doc__)
    if not options.recipe:
        raise Usage("say which recipe to check: the path of a .py")
    recipe = recipe_of(page_of(options.recipe))()

    import dataclasses

    from ..engine.contract import examine
    from ..engine.prepare import packed, spec_for
    from ..step.ranks import Ranks

    told = {f.name: getattr(options, f.name) for f in dataclasses.fields(DataOptions)}
    training = TrainOptions(**told, device="cpu", precision="fp32", layout="nchw")
    store = packed(options.data, training, Ranks())
    spec = spec_for(recipe, Path(options.recipe).stem, store)
    wrong = 0
    for finding in examine(recipe, store, spec, training):
        wrong += bool(finding.problem)
        print(f"{'WRONG' if finding.problem else 'ok':5}  {finding.tried}")
        if finding.problem:
            print(f"       {finding.problem}")
    if wrong:
        print(f"gansmith: {wrong} of these are to be mended", file=sys.stderr)
    return 1 if wrong else 0
