"""Libraries that only some jobs need: each is an extra of the package, imported where it is used."""

from __future__ import annotations

import importlib
from typing import Any


class MissingExtra(ImportError):
    """A library is not installed; the message names the command that installs it."""

    def __init__(self, module: str, extra: str, job: str) -> None:
        super().__init__(f"{job} needs {module}, which is not installed: pip install 'gansmith[{extra}]'")
        self.module, self.extra, self.job = module, extra, job

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str, str]]:
        return MissingExtra, (self.module, self.extra, self.job)  # else a pool of processes breaks on it


def need(module: str, extra: str, job: str) -> Any:
    """The module, imported. Raises `MissingExtra` if it is not installed; other errors in it are its own."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == module.partition(".")[0]:
            raise MissingExtra(module, extra, job) from error
        raise
