"""Text as tokens and back: words or characters."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor

from ...codec import Codec

END, UNKNOWN = "<end>", "<unk>"
LONGEST = {"word": 64, "character": 160}
"""Tokens of the longest line that is kept unless --text-max-length says otherwise."""
Level = Literal["word", "character"]

_WORD = re.compile(r"<unk>|\w+(?:['’\-]\w+)*|\S")
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
_SPACELESS_ONE = re.compile(f"[{_SPACELESS}]")
_SPACELESS_GAP = re.compile(rf"(?<=[{_SPACELESS}])\s+(?=[{_SPACELESS}])")
_NO_SPACE_BEFORE = set(".,!?;:%)]}…'’") | {"n't", "'s", "’s"}
_NO_SPACE_AFTER = set("([{$£€#")


@functools.cache
def _marks() -> str:
    """What belongs to the letter before it, as a class of characters: marks, joiners, variation selectors, tags."""
    planes = (range(0x300, 0x20000), range(0xE0000, 0xE0200))
    found = [c for plane in planes for c in plane if unicodedata.category(chr(c))[0] == "M"]
    found += [0x200C, *range(0x1F3FB, 0x1F400), *range(0xE0020, 0xE0080)]  # ZWNJ, tones of skin, tags of flags
    return "".join(map(chr, found))


_JOINER = "\u200d"
_FLAG = "[\U0001f1e6-\U0001f1ff]"


@functools.cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Words; characters with their marks; and what shows that a text has marks at all."""
    marks = f"[{_marks()}]"
    tail = rf"{marks}*(?:{_JOINER}+(?:\w{marks}*)?)*"
    letter = rf"(?:\w{tail})"
    sign = rf"{marks}*(?:{_JOINER}+[^\w\s]{marks}*)*{_JOINER}*"
    word = re.compile(rf"<unk>|{_FLAG}{{2}}|{letter}+(?:['’\-]{letter}+)*|\S{sign}")
    character = re.compile(rf"{_FLAG}{{2}}|\s+|\w{tail}|\S{sign}")
    return word, character, re.compile(f"[{_marks()}{_JOINER}]|{_FLAG}{{2}}")


def has_marks(line: str) -> bool:
    """Whether a line holds what belongs to the letter before it, or letters that are written as one differently."""
    return not line.isascii() and (
        not unicodedata.is_normalized("NFC", line) or _patterns()[2].search(line) is not None
    )


def tokenise(line: str, level: Level, lowercase: bool = False, marks: bool = False) -> list[str]:
    """The tokens of a line: words and single signs, or characters (runs of white space are one space).

    `marks`: the line is composed (NFC) first, and marks, joiners and variation selectors belong to the letter before.
    """
    if marks:
        line = unicodedata.normalize("NFC", line)
    if lowercase:
        line = line.lower()
    if level == "word":
        return (_patterns()[0] if marks else _WORD).findall(line)
    line = re.sub(r"\s+", " ", _SPACELESS_GAP.sub("", line.strip()))
    return _patterns()[1].findall(line) if marks else list(line)


def join(tokens: Sequence[str], level: Level) -> str:
    """A readable line of tokens: `tokenise` of it gives them back, but for marks that only stand together."""
    if level == "character":
        return "".join(tokens)
    text, glue, quoted = [], True, False
    for token in tokens:
        closing = token == '"' and quoted
        text.append(token if glue or closing or token in _NO_SPACE_BEFORE else f" {token}")
        quoted ^= token == '"'
        glue = token in _NO_SPACE_AFTER or (token == '"' and quoted)
    return "".join(text)


def level_of(lines: Sequence[str]) -> Level:
    """Characters where most letters belong to scripts that put no spaces between words, else words."""
    text = "".join(lines[:10_000])[:1_000_000]
    return "character" if 2 * len(_SPACELESS_ONE.findall(text)) > len(re.sub(r"\s", "", text)) else "word"


@dataclass(frozen=True, kw_only=True)
class TextCodec(Codec):
    """Lines of text to token numbers (N, T) int64, and back."""

    level: Level
    vocabulary: tuple[str, ...]
    """The token of each number."""
    lowercase: bool = False
    end: int = -1
    """The number that ends a line and pads it; -1 if all lines have T tokens."""
    unknown: int = -1
    """The number of words that are not in the vocabulary; -1 if there are none."""
    marks: bool = False
    """Whether marks belong to the letter before them; without, as models of text that has none (and old ones) do."""

    def stored(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
        """(T,) tokens, as they are encoded."""
        return shape, "int32"

    def encode(self, raw: Tensor) -> Tensor:
        """(N, T) int32 to int64."""
        return raw.long()

    def decode(self, x: Tensor) -> np.ndarray:
        """(N, T) to readable lines (N,)."""
        return np.array([join(tokens, self.level) for tokens in self.tokens(x.detach().cpu().numpy())], np.str_)

    def tokens(self, rows: np.ndarray) -> list[tuple[str, ...]]:
        """The tokens of each row of numbers (N, T), up to its end."""
        kept = np.asarray(rows).astype(np.int64).clip(0, len(self.vocabulary) - 1)
        return [tuple(self.vocabulary[i] for i in row[:n]) for row, n in zip(kept, self.lengths(kept), strict=True)]

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """How many tokens each row (N, T) holds before its end."""
        ends = rows == self.end
        return np.where(ends.any(1), ends.argmax(1), rows.shape[1])

    def numbers(self, lines: Sequence[str], length: int) -> np.ndarray:
        """Lines as rows (N, length) int32, cut and padded with the end token. Raises `ValueError` if one cannot be."""
        return self.number_tokens([self.tokenise(line) for line in lines], length)

    def tokenise(self, line: str) -> list[str]:
        """The tokens of a line, as this codec was made of lines."""
        return tokenise(line, self.level, self.lowercase, self.marks)

    def number_tokens(self, tokens: Sequence[Sequence[str]], length: int) -> np.ndarray:
        """The same of lines that are tokens already."""
        rows = np.full((len(tokens), length), self.end, np.int32)
        for i, line in enumerate(tokens):
            row = [self._index.get(token, self.unknown) for token in line[:length]]
            if min(row, default=0) < 0 or (self.end < 0 and len(row) < length):
                raise ValueError(f"{join(line, self.level)[:80]!r} cannot be written with this vocabulary and length")
            rows[i, : len(row)] = row
        return rows

    @functools.cached_property
    def _index(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self.vocabulary)}

    def to_json(self) -> dict[str, Any]:
        """The fields, the vocabulary among them."""
        return {
            "kind": "text",
            "level": self.level,
            "lowercase": self.lowercase,
            "end": self.end,
            "unknown": self.unknown,
            "vocabulary": list(self.vocabulary),
            **({"marks": True} if self.marks else {}),
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> TextCodec:
        """The codec of `to_json`. Raises `ValueError` for anything else."""
        match saved:
            case {
                "level": "word" | "character" as level,
                "lowercase": bool(lowercase),
                "end": int(end),
                "unknown": int(unknown),
                "vocabulary": [*words],
            } if words and all(isinstance(w, str) for w in words) and max(end, unknown) < len(words):
                return cls(
                    level=level,
                    lowercase=lowercase,
                    end=end,
                    unknown=unknown,
                    vocabulary=tuple(words),
                    marks=saved.get("marks") is True,
                )
        raise ValueError(f"not a codec of text: {str(saved)[:200]}")
