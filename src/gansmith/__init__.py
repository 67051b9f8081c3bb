"""Train, judge, repair, compare and serve generative adversarial networks.

>>> import gansmith
>>> run = gansmith.train("r3gan", "digits", out="runs/first")  # doctest: +SKIP
>>> pictures = gansmith.load("runs/first").sample(64, seed=0)  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .engine.log import Diverged
    from .engine.start import resume, train
    from .model.model import Model
    from .model.saved import load
    from .options import TrainOptions
    from .recipe import Recipe, load_recipe
    from .run import Run

_HOME = {
    "Diverged": "engine.log",
    "Model": "model.model",
    "Recipe": "recipe",
    "Run": "run",
    "TrainOptions": "options",
    "load": "model.saved",
    "load_recipe": "recipe",
    "resume": "engine.start",
    "train": "engine.start",
}

__all__ = [
    "Diverged",
    "Model",
    "Recipe",
    "Run",
    "TrainOptions",
    "__version__",
    "load",
    "load_recipe",
    "resume",
    "train",
]


def __getattr__(name: str) -> Any:
    # PyTorch takes a second to import, and `gansmith --help` has no use for it.
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
