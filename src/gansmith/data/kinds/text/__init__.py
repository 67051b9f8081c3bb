"""Lines of text.

Sources: a .txt (also .gz), `text:FILE`, `text:FILE.csv#column`, `text:FILE.jsonl#field`, a list of strings, and
`toy:oracle`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...codec import Codec
from ...kind import Given, Kind, Source
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
    options = frozenset({"text_level", "text_lowercase", "text_min_count", "text_max_vocabulary", "text_max_length"})
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
            return from_file(given.rest)
        if given.spelt == "toy:oracle":
            return oracle_source()
        if given.path is not None and given.path.is_file() and given.spelt.lower().endswith((".txt", ".txt.gz")):
            return from_file(given.spelt)
        return None

    def codec(self, saved: Mapping[str, Any]) -> Codec:
        """The codec of this vocabulary."""
        return TextCodec.from_json(dict(saved))

    def words(self, spec: DataSpec) -> str:
        """How long a line may be."""
        return f"lines of text of at most {spec.shape[0]:,} tokens"

    def seen(self, shape: tuple[int, ...]) -> str:
        """How many tokens a line has room for."""
        return f"{shape[0]} tokens"


KIND = Texts()
