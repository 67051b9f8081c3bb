"""Text as data: a line is a sample, a tokeniser makes numbers of it, and a codec carries the vocabulary.

Lines become rows of T token numbers (int32). Lines that end earlier are padded with the end token, so a line's length
is where that token first stands; where all lines are equally long there is none. Words are split at punctuation;
scripts without spaces (Chinese, Japanese, Thai ...) are split into characters. Decoding joins tokens readably: "a
dog ." becomes "a dog.", so spaces around punctuation are those of good writing, not those of the source.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ....options import DataOptions
from ...arrays import file_identity
from ...found import Report
from ...plan import Block, Plan, even_chunks
from .codec import END, LONGEST, UNKNOWN, Level, TextCodec, has_marks, level_of, tokenise
from .inspect import report_of_text
from .oracle import ORACLE_LINES, Oracle, oracle_codec
from .read import Line, Unread, read_file

MOST_CHARACTERS = 1 << 20
"""Of a line; longer ones are no samples, and are not looked at to their end."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the lines of a source are, and how they become numbers."""

    codec: TextCodec
    length: int
    lines: tuple[str, ...]
    """All lines, unusable ones too."""
    bad: dict[int, str]
    """Lines that are left out; those without a reason are not listed, but counted in `notes`."""
    lengths: np.ndarray
    """Tokens of each usable line."""
    unknown: int
    """Tokens of usable lines that are not in the vocabulary."""
    words: int
    """Different tokens before the vocabulary was limited."""
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LineReader:
    """Lines of text as rows of token numbers."""

    found: Found

    def read(self, ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Sequence[str]]]:
        """The number of the first line, and the lines."""
        for first, last in ranges:
            yield first, self.found.lines[first:last]

    def decode(self, payload: tuple[int, Sequence[str]]) -> Block:
        """Rows (n, T) int32."""
        first, lines = payload
        bad = {i: self.found.bad[first + i] for i in range(len(lines)) if first + i in self.found.bad}
        rows = np.zeros((len(lines), self.found.length), np.int32)
        kept = [i for i in range(len(lines)) if i not in bad]
        rows[kept] = self.found.codec.numbers([lines[i] for i in kept], self.found.length)
        return Block(rows, bad)

    def name(self, row: int) -> str:
        """The number of the line, counted from 1."""
        return f"line {row + 1}"


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """Lines of text; all are held in memory while they are packed."""

    kind: ClassVar[str] = "text"
    name: str
    identity: str
    """Equal for equal content."""
    read: Callable[[], list[Line]]
    """The lines, those that cannot be read among them."""
    codec: TextCodec | None = None
    """The codec and length, where the source knows them (`toy:oracle`)."""

    def report(self, options: DataOptions, progress: bool) -> Report:
        """What is in the lines. Never raises: what keeps training from starting is told."""
        del progress
        return report_of_text(self, options)

    def look(self, options: DataOptions) -> Found:
        """Read and tokenise all lines. Raises `ValueError` for options that do not fit, or if no line is usable."""
        for name, least in (("text_min_count", 1), ("text_max_vocabulary", 1), ("text_max_length", 0)):
            if getattr(options, name) < least:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be {least} or more")
        given = self.read()
        bad = {i: line.reason for i, line in enumerate(given) if isinstance(line, Unread)}
        bad |= {i: "holds NUL, which is no text" for i, line in enumerate(given) if i not in bad and "\0" in str(line)}
        lines = tuple("" if i in bad else str(line) for i, line in enumerate(given))
        notes = []
        level: Level = self.codec.level if self.codec else level_of(lines)
        if self.codec is None:
            why = "as asked for" if options.text_level != "auto" else "by its script; --text-level chooses"
            level = level if options.text_level == "auto" else options.text_level
            notes.append(f"tokens are {level}s ({why})")
        lowercase = self.codec.lowercase if self.codec else options.text_lowercase
        marks = self.codec.marks if self.codec else any(map(has_marks, lines))
        tokens = [tokenise(line[:MOST_CHARACTERS], level, lowercase, marks) if line else [] for line in lines]
        most = options.text_max_length or LONGEST[level]
        empty = [i for i, line in enumerate(tokens) if not line and i not in bad]
        long = [i for i, line in enumerate(tokens) if len(line) > most or len(lines[i]) > MOST_CHARACTERS]
        if empty:
            notes.append(f"{len(empty):,} empty lines left out")
        if long:
            notes.append(f"{len(long):,} lines of more than {most} {level}s left out (--text-max-length)")
        bad |= dict.fromkeys((*empty, *long), "")
        good = [line for i, line in enumerate(tokens) if i not in bad]
        if not good or (len(long) > 0.1 * len(lines) and not options.text_max_length):
            if bad and not good and not long:
                first, reason = next(((i, r) for i, r in bad.items() if r), (0, ""))
                raise ValueError(f"{self.name}: none of {len(lines):,} lines can be used: line {first + 1} {reason}")
            raise ValueError(
                f"{self.name}: {len(good):,} of {len(lines):,} lines can be used, {len(long):,} have more than {most} "
                f"{level}s (the longest {max(map(len, tokens), default=0):,}), {len(empty):,} are empty: a line is a "
                "sample; pass --text-max-length, or split the text into shorter lines"
            )
        lengths = np.array([len(line) for line in good])
        counts = Counter(token for line in good for token in line)
        codec = self.codec or _vocabulary(counts, level, lowercase, marks, len(set(lengths.tolist())) == 1, options)
        known = set(codec.vocabulary)
        unknown = sum(n for token, n in counts.items() if token not in known)
        if unknown:
            share = unknown / max(int(lengths.sum()), 1)
            notes.append(f"{len(counts) - len(known & set(counts)):,} rare {level}s ({share:.1%} of all) are {UNKNOWN}")
        length = int(lengths.max())
        return Found(
            codec=codec,
            length=length,
            lines=lines,
            bad=bad,
            lengths=lengths,
            unknown=unknown,
            words=len(counts),
            notes=tuple(notes),
        )

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Decide what is packed. Raises `ValueError` if no line is usable."""
        del progress
        found = self.look(options)
        return Plan(
            source=self.name,
            digest=digest,
            kind=self.kind,
            shape=(found.length,),
            dtype="int32",
            bounds=None,
            codec=found.codec,
            chunks=even_chunks(len(found.lines), found.length * 4),
            reader=LineReader(found=found),
            options=recorded,
            notes=found.notes,
        )


def _vocabulary(
    counts: Counter[str], level: Level, lowercase: bool, marks: bool, equal: bool, options: DataOptions
) -> TextCodec:
    """The most frequent tokens behind the special ones; a word that looks like a special one is that one."""
    special = [UNKNOWN] if equal else [END, UNKNOWN]
    ordered = sorted((t for t in counts if t not in special), key=lambda token: (-counts[token], token))
    words = [t for t in ordered if counts[t] >= options.text_min_count][: options.text_max_vocabulary]
    return TextCodec(
        level=level,
        lowercase=lowercase,
        end=-1 if equal else 0,
        unknown=0 if equal else 1,
        vocabulary=(*special, *words),
        marks=marks,
    )


def from_lines(lines: Sequence[str] | np.ndarray) -> TextSource:
    """A list (or array) of strings given in Python. Raises `ValueError` if something else is among them."""
    kept = [str(line) if isinstance(line, str) else line for line in lines]
    for line in kept:
        if not isinstance(line, str):
            what = f"{type(line).__name__} {str(line)[:40]!r}"
            raise ValueError(f"a list of text holds {what}: every sample is one string")
    digest = hashlib.sha256(json.dumps(kept).encode()).hexdigest()
    return TextSource(name="array", identity=_read_anew(digest, kept), read=lambda: list(kept))


def from_file(text: str, encoding: str = "") -> TextSource:
    """`FILE` (a line a sample; also .gz), `FILE.csv#column` or `FILE.jsonl#field`.

    Raises `FileNotFoundError` if it is not there, `ValueError` if it has no such column or is in another encoding.
    """
    path, column, lines = read_file(text, encoding)
    identity = _read_anew(f"{file_identity(path)} {column}", lines)
    return TextSource(name=f"text:{text}", identity=identity, read=lambda: list(lines))


def _read_anew(identity: str, lines: Sequence[Line]) -> str:
    """Stores of lines with marks that were packed before these belonged to letters are others."""
    return f"{identity} marks" if any(isinstance(line, str) and has_marks(line) for line in lines) else identity


def oracle_source() -> TextSource:
    """`toy:oracle`: 10,000 sequences of the oracle of seed 0."""

    def read() -> list[Line]:
        return [" ".join(map(str, row)) for row in Oracle.seeded(0).sample(ORACLE_LINES, seed=0).tolist()]

    return TextSource(name="toy:oracle", identity="toy:oracle 1", read=read, codec=oracle_codec())
