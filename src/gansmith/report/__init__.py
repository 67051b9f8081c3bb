"""`gansmith report`: one HTML file that tells all about a run, to read offline, print, or put beside the weights.

The page refers to nothing outside itself and runs no script; its own policy forbids both. Every text is escaped where
it is put in (`markup.tag`), for a run's files may come from anybody. It shows what is there: an unfinished run, or one
whose data are gone, gives a shorter page that says what is missing and how to get it.
"""

from __future__ import annotations

from pathlib import Path

from ..files import write_atomically
from ..run import Run
from .facts import gather
from .page import document

__all__ = ["report"]


def report(run: Run, out: Path, *, recipe_file: Path | None = None, seed: int = 0, show_data: bool = True) -> None:
    """Write the page of a run to `out`.

    Args:
        run: finished or not, with or without scores.
        out: the file to write; what was there is replaced.
        recipe_file: the .py of the recipe, for a run that used one of your own; without it nothing can be drawn.
        seed: of the samples.
        show_data: False leaves the training data's own samples out, for data that must not be passed on.

    Raises:
        FileNotFoundError: there is no recipe file, or no folder for `out`.
        ValueError: the run is damaged.
    """
    page = document(gather(run, recipe_file, seed, show_data))
    if not out.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {out.parent} to write {out.name} into")
    data = page.encode("utf-8", "xmlcharrefreplace")  # JSON may hold halves of characters, which no file can
    write_atomically(out, lambda part: part.write_bytes(data))
