"""Lines of text.

Sources: a .txt (also .gz), `text:FILE`, `text:FILE.csv#column`, `text:FILE.jsonl#field`, a list of strings, and
`toy:oracle`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ....options import DataOptions
from ...codec import Codec
from ...folders import is_file_list
from ...kind import Given, Kind, Source, all_kinds
from ...spec import DataSpec
from .codec import TextCodec
from .source import from_file, from_lines, oracle_source


class Texts(Kind):
    """Lines as rows of token numbers."""

    name = "text"
    samples = "lines of text"
    title = "text"
    sources = ("a .txt of lines", "text:FILE.csv#column", "toy:oracle")
    example = "lines.txt"
    options = frozenset(
        {"encoding", "text_level", "text_lowercase", "text_min_count", "text_max_vocabulary", "text_max_length"}
    )
    first = 20
    rank = 1
    sequence = True
    formats = False

    def recognise(self, given: Given) -> Source | None:
        """Lists of strings, .txt files, and what stands after the prefix."""
        value = given.value
        if isinstance(value, list | tuple) or (
            isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "UO"
        ):
            return from_lines(value)
        if given.prefix:
            return from_file(given.rest, given.options.encoding)
        if given.spelt == "toy:oracle":
            return oracle_source()
        if given.path is not None and given.path.is_file() and given.spelt.lower().endswith((".txt", ".txt.gz")):
            return None if names_files(given.path) else from_file(given.spelt, given.options.encoding)
        return None

    def recorded(self, options: DataOptions, source: Source) -> dict[str, Any]:
        """How lines become tokens; the encoding where one is named, so that digests stay."""
        told = super().recorded(options, source)
        return told if options.encoding else {name: value for name, value in told.items() if name != "encoding"}

    def heeds(self, source: Source) -> frozenset[str]:
        """Lists in Python have no encoding."""
        return self.options if source.name.startswith("text:") else self.options - {"encoding"}

    def codec(self, saved: Mapping[str, Any]) -> Codec:
        """The codec of this vocabulary."""
        return TextCodec.from_json(dict(saved))

    def words(self, spec: DataSpec) -> str:
        """How long a line may be."""
        return f"lines of text of at most {spec.shape[0]:,} tokens"

    def seen(self, shape: tuple[int, ...]) -> str:
        """How many tokens a line has room for."""
        return f"{shape[0]} tokens"


def names_files(path: Path) -> bool:
    """Whether the lines of a text file name files of another kind that lie beside it: it is a list of them."""
    suffixes = frozenset().union(*(kind.suffixes for kind in all_kinds()))
    return path.suffix.lower() == ".txt" and is_file_list(path, suffixes)


KIND = Texts()
