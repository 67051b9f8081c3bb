"""Libraries that only some uses need: imported where they are used, and asked for by the name of their extra."""

from __future__ import annotations

import importlib
from typing import Any


class MissingExtra(ValueError):
    """A library is not installed: names what needs it and the extra that brings it."""

    def __init__(self, what: str, module: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs {module}, which is not installed: pip install 'gansmith[{extra}]'")


def need(module: str, extra: str, what: str) -> Any:
    """The module, imported. Raises `MissingExtra` if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(what, module.partition(".")[0], extra) from error
