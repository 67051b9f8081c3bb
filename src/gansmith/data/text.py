"""Text as data: a line is a sample, a tokeniser makes numbers of it, and a codec carries the vocabulary.

Lines become rows of T token numbers (int32). Lines that end earlier are padded with the end token, so a line's length
is where that token first stands; where all lines are equally long there is none. Words are split at punctuation;
scripts without spaces (Chinese, Japanese, Thai ...) are split into characters. Decoding joins tokens readably: "a
dog ." becomes "a dog.", so spaces around punctuation are those of good writing, not those of the source.
"""

from __future__ import annotations

import csv
import functools
import gzip
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..options import DataOptions
from .arrays import file_identity
from .pack import Block, Plan, even_chunks
from .spec import Codec

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


def tokenise(line: str, level: Level, lowercase: bool = False) -> list[str]:
    """The tokens of a line: words and single marks, or characters (runs of white space are one space)."""
    if lowercase:
        line = line.lower()
    if level == "word":
        return _WORD.findall(line)
    return list(re.sub(r"\s+", " ", _SPACELESS_GAP.sub("", line.strip())))


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
    text = "".join(lines[:10_000])
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
        return self.number_tokens([tokenise(line, self.level, self.lowercase) for line in lines], length)

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
                return cls(level=level, lowercase=lowercase, end=end, unknown=unknown, vocabulary=tuple(words))
        raise ValueError(f"not a codec of text: {str(saved)[:200]}")


# --- sources ----------------------------------------------------------------------------------------------------------


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
class TextSource:
    """Lines of text; all are held in memory while they are packed."""

    name: str
    identity: str
    """Equal for equal content."""
    read: Callable[[], list[str | bytes]]
    """The lines; bytes are those that are not UTF-8."""
    codec: TextCodec | None = None
    """The codec and length, where the source knows them (`toy:oracle`)."""

    def recorded(self, options: DataOptions) -> dict[str, Any]:
        """The options that decide what is packed."""
        return {name: getattr(options, name) for name in _OPTIONS}

    def look(self, options: DataOptions) -> Found:
        """Read and tokenise all lines. Raises `ValueError` for options that do not fit, or if no line is usable."""
        if tuple(options.size) != (0, 0) or options.channels != "auto":
            raise ValueError(f"{self.name} holds text: a size or channels in pixels does not apply; leave them out")
        for name, least in (("text_min_count", 1), ("text_max_vocabulary", 1), ("text_max_length", 0)):
            if getattr(options, name) < least:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be {least} or more")
        given = self.read()
        bad = {i: "not UTF-8" for i, line in enumerate(given) if isinstance(line, bytes)}
        lines = tuple("" if isinstance(line, bytes) else line for line in given)
        notes = []
        level: Level = self.codec.level if self.codec else level_of(lines)
        if self.codec is None:
            why = "as asked for" if options.text_level != "auto" else "by its script; --text-level chooses"
            level = level if options.text_level == "auto" else options.text_level
            notes.append(f"tokens are {level}s ({why})")
        lowercase = self.codec.lowercase if self.codec else options.text_lowercase
        tokens = [tokenise(line, level, lowercase) for line in lines]
        most = options.text_max_length or LONGEST[level]
        empty = [i for i, line in enumerate(tokens) if not line and i not in bad]
        long = [i for i, line in enumerate(tokens) if len(line) > most]
        if empty:
            notes.append(f"{len(empty):,} empty lines left out")
        if long:
            notes.append(f"{len(long):,} lines of more than {most} {level}s left out (--text-max-length)")
        bad |= dict.fromkeys((*empty, *long), "")
        good = [line for i, line in enumerate(tokens) if i not in bad]
        if not good or (len(long) > 0.1 * len(lines) and not options.text_max_length):
            raise ValueError(
                f"{self.name}: {len(good):,} of {len(lines):,} lines can be used, {len(long):,} have more than {most} "
                f"{level}s (the longest {max(map(len, tokens), default=0):,}), {len(empty):,} are empty: a line is a "
                "sample; pass --text-max-length, or split the text into shorter lines"
            )
        lengths = np.array([len(line) for line in good])
        counts = Counter(token for line in good for token in line)
        codec = self.codec or _vocabulary(counts, level, lowercase, len(set(lengths.tolist())) == 1, options)
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
        chunks = even_chunks(len(found.lines), found.length * 4)

        def payloads(wanted: Sequence[int]) -> Iterator[tuple[int, Any]]:
            for c in wanted:
                first, last = int(chunks[c]), int(chunks[c + 1])
                yield c, (first, found.lines[first:last])

        def decode(given: tuple[int, Sequence[str]]) -> Block:
            first, lines = given
            bad = {i: found.bad[first + i] for i in range(len(lines)) if first + i in found.bad}
            rows = np.zeros((len(lines), found.length), np.int32)
            kept = [i for i in range(len(lines)) if i not in bad]
            rows[kept] = found.codec.numbers([lines[i] for i in kept], found.length)
            return Block(rows, bad)

        return Plan(
            source=self.name,
            digest=digest,
            kind="text",
            shape=(found.length,),
            dtype="int32",
            bounds=None,
            codec=found.codec,
            chunks=chunks,
            payloads=payloads,
            decode=decode,
            name=lambda i: f"line {i + 1}",
            options=recorded,
            notes=found.notes,
        )


_OPTIONS = ("text_level", "text_lowercase", "text_min_count", "text_max_vocabulary", "text_max_length")


def _vocabulary(counts: Counter[str], level: Level, lowercase: bool, equal: bool, options: DataOptions) -> TextCodec:
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
    )


def from_lines(lines: Sequence[str] | np.ndarray) -> TextSource:
    """A list (or array) of strings given in Python. Raises `ValueError` if something else is among them."""
    kept = [str(line) if isinstance(line, str) else line for line in lines]
    if odd := next((line for line in kept if not isinstance(line, str)), None):
        raise ValueError(f"a list of text holds {type(odd).__name__} {str(odd)[:40]!r}: every sample is one string")
    digest = hashlib.sha256(json.dumps(kept).encode()).hexdigest()
    return TextSource(name="array", identity=digest, read=lambda: list(kept))


def from_file(text: str) -> TextSource:
    """`FILE` (a line a sample; also .gz), `FILE.csv#column` or `FILE.jsonl#field`.

    Raises `FileNotFoundError` if it is not there, `ValueError` if there is no such column.
    """
    name, column = text, ""
    if not Path(text).exists() and "#" in text:
        name, _, column = text.rpartition("#")
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no file {name!r}: give text:FILE, text:FILE.csv#column or text:FILE.jsonl#field"
        )
    suffix = Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    table = suffix in (".csv", ".tsv", ".jsonl")
    if bool(column) != table:
        wanted = f"text:{path}#column" if table else f"text:{path}"
        raise ValueError(f"{text}: {'a table needs its column' if table else 'lines have no columns'}: say {wanted}")

    def read() -> list[str | bytes]:
        if not table:
            return _lines(path)
        whole = "\n".join(_utf8(path))
        return list(
            _json_column(whole, column, path) if suffix == ".jsonl" else _csv_column(whole, column, path, suffix)
        )

    return TextSource(name=f"text:{text}", identity=f"{file_identity(path)} {column}", read=read)


def _lines(path: Path) -> list[str | bytes]:
    """The lines of a file, gzipped or not; those that are not UTF-8 as bytes. An end of line at the end ends it."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise ValueError(f"{path} is a damaged gzip file: {error}") from error
    parts = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    found: list[str | bytes] = []
    for part in parts[:-1] if parts and not parts[-1] else parts:
        try:
            found.append(part.rstrip(b"\r").decode())
        except UnicodeDecodeError:
            found.append(part)
    return found


def _utf8(path: Path) -> list[str]:
    found = []
    for i, line in enumerate(_lines(path), 1):
        if isinstance(line, bytes):
            raise ValueError(f"line {i} of {path} is not UTF-8: convert the file")
        found.append(line)
    return found


def _csv_column(text: str, column: str, path: Path, suffix: str) -> Iterator[str]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if suffix == ".tsv" else ",")
    head = next(rows, [])
    if column not in head:
        raise ValueError(f"{path} has no column {column!r}; it has {', '.join(head)}")
    at = head.index(column)
    return (" ".join(row[at].split("\n")) if at < len(row) else "" for row in rows if row)


def _json_column(text: str, column: str, path: Path) -> Iterator[str]:
    for i, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)[column]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"line {i} of {path} has no field {column!r}: {error!r}") from error
        if not isinstance(value, str):
            raise ValueError(f"field {column!r} in line {i} of {path} is {type(value).__name__}, not text")
        yield " ".join(value.split("\n"))


# --- the oracle -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Oracle:
    """A random LSTM whose distribution over sequences is known: what a model of text can be measured against.

    Source: Yu et al., "SeqGAN", 2017, arXiv:1609.05473, section 4: all parameters from N(0, 1), vocabulary 5,000,
    embedding and state 32, sequences of 20; the first input is token 0. The parameters here are drawn by us, from a
    seed: an NLL under them need not equal one under the authors' parameters (`published` reads those).
    """

    embedding: Tensor
    """(V, E)."""
    gates: Tensor
    """(E + H, 4 H): input, forget, output, candidate."""
    gate_bias: Tensor
    head: Tensor
    """(H, V)."""
    head_bias: Tensor

    @classmethod
    def seeded(cls, seed: int = 0, vocabulary: int = 5_000, size: int = 32) -> Oracle:
        """All parameters from N(0, 1)."""
        random = np.random.Generator(np.random.Philox(key=[seed % 2**64, 30]))

        def draw(*shape: int) -> Tensor:
            return torch.from_numpy(random.standard_normal(shape).astype(np.float32))

        return cls(
            embedding=draw(vocabulary, size),
            gates=draw(2 * size, 4 * size),
            gate_bias=draw(4 * size),
            head=draw(size, vocabulary),
            head_bias=draw(vocabulary),
        )

    @classmethod
    def published(cls, path: Path) -> Oracle:
        """The authors' parameters as an .npz of p00 ... p14: embedding, then W, U, b of each gate, then the head."""
        with np.load(path, allow_pickle=False) as file:
            p = [torch.from_numpy(np.asarray(file[f"p{i:02d}"], np.float32)) for i in range(15)]
        gates = torch.cat([torch.cat((p[1 + 3 * k], p[2 + 3 * k])) for k in range(4)], 1)
        bias = torch.cat([p[3 + 3 * k] for k in range(4)])
        return cls(embedding=p[0], gates=gates, gate_bias=bias, head=p[13], head_bias=p[14])

    def step(self, token: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Logits (N, V) of the token that follows, and the new state, after one more token (N,)."""
        hidden, cell = state
        i, f, o, g = (torch.cat((self.embedding[token], hidden), 1) @ self.gates + self.gate_bias).chunk(4, 1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        return hidden @ self.head + self.head_bias, (hidden, cell)

    def start(self, n: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The first token (n,), which is not part of a sequence, and the first state."""
        zeros = torch.zeros(n, self.head.shape[0])
        return torch.zeros(n, dtype=torch.long), (zeros, zeros)

    def sample(self, n: int, length: int = 20, seed: int = 0) -> np.ndarray:
        """n sequences (n, length) int32."""
        random = np.random.Generator(np.random.Philox(key=[seed % 2**64, 31]))
        uniform = torch.from_numpy(random.random((n, length), np.float32))
        parts = []
        for u in uniform.split(500):
            token, state = self.start(len(u))
            row = []
            for t in range(length):
                logits, state = self.step(token, state)
                weight = (logits - logits.amax(1, keepdim=True)).exp().cumsum(1)
                token = torch.searchsorted(weight, (u[:, t] * weight[:, -1])[:, None], right=True)[:, 0]
                token = token.clamp_max(len(self.embedding) - 1)
                row.append(token)
            parts.append(torch.stack(row, 1))
        return torch.cat(parts).numpy().astype(np.int32)

    def nll(self, rows: np.ndarray) -> np.ndarray:
        """Negative log-likelihood per token, in nats, of each sequence (N, T): (N,)."""
        parts = []
        for x in torch.from_numpy(np.asarray(rows).astype(np.int64)).split(500):
            token, state = self.start(len(x))
            total = torch.zeros(len(x))
            for t in range(x.shape[1]):
                logits, state = self.step(token, state)
                token = x[:, t]
                total += torch.nn.functional.cross_entropy(logits, token, reduction="none")
            parts.append(total / x.shape[1])
        return torch.cat(parts).numpy()


ORACLE_LINES = 10_000


def oracle_codec(vocabulary: int = 5_000) -> TextCodec:
    """Tokens of an oracle are called by their numbers; every sequence is equally long, so none is an end."""
    return TextCodec(level="word", vocabulary=tuple(map(str, range(vocabulary))))


def oracle_source() -> TextSource:
    """`toy:oracle`: 10,000 sequences of the oracle of seed 0."""

    def read() -> list[str | bytes]:
        return [" ".join(map(str, row)) for row in Oracle.seeded(0).sample(ORACLE_LINES, seed=0).tolist()]

    return TextSource(name="toy:oracle", identity="toy:oracle 1", read=read, codec=oracle_codec())
