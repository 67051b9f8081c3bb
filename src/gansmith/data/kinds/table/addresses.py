"""Columns that hold addresses of files on the web: a table stays one, and says what it cannot do with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ...kind import all_kinds

_SAMPLE = 20


def addressed(name: str, cells: Sequence[str]) -> Iterator[str]:
    """A note, where most of the first cells of a column are addresses of files that are samples of another kind."""
    first = [cell.strip() for cell in cells if cell.strip()][:_SAMPLE]
    for kind in all_kinds():
        count = sum("://" in c and PurePosixPath(urlsplit(c).path).suffix.lower() in kind.suffixes for c in first)
        if first and 2 * count >= len(first):
            yield (
                f"column {name.strip()} holds addresses of {kind.samples}, such as {first[0]}, which are not fetched: "
                f"to train on {kind.samples}, download them and list the files, or give their folder"
            )
