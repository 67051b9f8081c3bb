"""A CSV as it is found: its encoding, delimiter, quotes, lines before the names, and whether there are names at all."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...arrays import row_name
from ...bounded import read_file
from ...plan import Quarantined
from .header import is_header
from .reading import CONTENT, Reading

DELIMITERS = ",;\t|"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LIKELY = ("cp1252", "gbk", "shift_jis", "big5", "euc_kr", "cp1251")
_SEP = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
_MOST_LINES = 5
"""Line ends in a quoted cell from which on it is looked at whether the quote was ever meant to open."""


@dataclass
class Cells:
    """A CSV as it was read: the text of every cell, column by column."""

    names: list[str]
    columns: list[list[str]]
    delimiter: str
    header: bool
    bad: list[Quarantined] = field(default_factory=list)
    """Rows of another width: they are in no column."""
    notes: list[str] = field(default_factory=list)
    """What there is to say about how it was read."""
    encoding: str = ""
    """The encoding, where it is not UTF-8."""
    first: int = 1
    """The line of the first row, the names or else values."""

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0


def read_csv(path: Path, reading: Reading = CONTENT, known: Sequence[str] = ()) -> Cells:
    """Every cell of a CSV as text. The delimiter (comma, semicolon, tab or bar) is the one that divides rows evenly.

    `known`: the names of columns that are looked for: a first row that holds one of them holds names. Raises
    `ValueError` if it cannot be decoded, or has no rows.
    """
    text, encoding = read_text(path, reading.encoding)
    notes = [f"read as {encoding}"] if encoding else []
    text, delimiter, line = _beginning(text, notes)
    delimiter = delimiter or sniff(text)
    rows, skipped = _rows(text, delimiter, line, notes)
    rows = _even(rows, notes)
    if not rows:
        raise ValueError(f"{path} is empty: a table needs a row of names and rows of values")
    header = _has_header(rows, reading, known, notes)
    names = unique_names(rows[0] if header else [""] * len(rows[0]))
    if not header and len(known) == len(names) and not set(map(str.strip, known)) & set(map(str.strip, rows[0])):
        names = list(known)
    columns: list[list[str]] = [[] for _ in names]
    seen: dict[str, str] = {}  # equal cells share one string: a table is mostly repeats
    bad: list[Quarantined] = []
    repeated = 0
    for number, row in enumerate(rows[1:] if header else rows):
        if len(row) != len(names):
            bad.append(Quarantined(row_name(number), f"{len(row)} cells, not {len(names)}"))
            continue
        if header and row == rows[0]:
            repeated += 1
            bad.append(Quarantined(row_name(number), "the names once more"))
            continue
        for column, cell in zip(columns, row, strict=True):
            column.append(seen.setdefault(cell, cell))
    found = Cells(names, columns, delimiter, header, bad, notes, encoding, skipped)
    if not len(found):
        what = f"; {len(bad):,} rows have another width, such as {bad[0].reason}" if bad else ""
        raise ValueError(f"{path} has no rows beneath its names: {', '.join(names)[:200]}{what}")
    return found


def read_text(path: Path, encoding: str = "") -> tuple[str, str]:
    """The text of a CSV, plain or gzip, line endings as they are, and its encoding where that is not UTF-8.

    Raises `ValueError` if it cannot be decoded.
    """
    return decode(read_file(path), str(path), encoding)


def decode(data: bytes, name: str, encoding: str = "") -> tuple[str, str]:
    """Bytes as text, and the encoding where it is not UTF-8. Raises `ValueError` that says what may be tried."""
    if encoding:
        try:
            return data.decode(encoding).removeprefix("\ufeff"), encoding
        except LookupError:
            raise ValueError(f"--encoding {encoding}: there is none of that name; try latin-1, cp1252, gbk") from None
        except UnicodeError as error:
            raise ValueError(f"{name} is not {encoding} text: {error}; --encoding names another") from None
    mark = next((name for mark, name in _BOMS if data.startswith(mark)), "")
    start = data[:4096]
    if not mark and start.count(0) > len(start) // 4:  # UTF-16 without a mark at its beginning
        mark = "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"
    try:
        return data.decode(mark or "utf-8"), "" if mark in ("", "utf-8-sig") else mark
    except UnicodeError as error:
        line = data[: getattr(error, "start", 0)].count(b"\n") + 1
        raise ValueError(
            f"{name} is not {(mark or 'utf-8').upper()} text (line {line}: {error}): pass --encoding; "
            f"{_guesses(data)}, or save it as UTF-8"
        ) from None


def _guesses(data: bytes) -> str:
    """Encodings in which the bytes are some text, with a word that is not ASCII."""
    start = data[: 1 << 16]
    start = start[: start.rfind(b"\n") + 1] or start
    odd = next((line for line in start.splitlines() if any(b > 127 for b in line)), b"")
    found = []
    for name in _LIKELY:
        try:
            found.append((name, start.decode(name) and odd.decode(name)))
        except UnicodeError:
            continue
    if not found:
        return "latin-1 reads any bytes"
    return "its words may be " + ", ".join(f"{word.strip()[:24]!r} ({name})" for name, word in found[:5])


def sniff(text: str) -> str:
    """The delimiter of a CSV's text: of comma, semicolon, tab and bar the one that gives most rows the same width."""
    start = io.StringIO(text[: 1 << 17], newline="").readlines()
    best, most = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        widths = Counter(len(row) for row, *_ in itertools.islice(_parsed(start, delimiter), 200) if row)
        if not widths:
            continue
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
        score = (count / widths.total() if width > 1 else 0.0, width)
        if score > most:
            best, most = delimiter, score
    return best


def _beginning(text: str, notes: list[str]) -> tuple[str, str, int]:
    """The text without what spreadsheets and programs put before a table; its delimiter where told, and its line."""
    delimiter, line = "", 1
    if match := _SEP.match(text):
        delimiter, text, line = match.group(1), text[match.end() :], 2
        notes.append(f"the first line says that cells are divided by {delimiter!r}")
    comments = 0
    while text.startswith("#") and (end := text.find("\n")) >= 0:
        following = next((row for row in text[end + 1 :].split("\n", 60)[:60] if not row.startswith("#")), "")
        divider = delimiter or sniff(text[end + 1 : end + 1 + (1 << 16)])
        if following.count(divider) and text[:end].count(divider) == following.count(divider):
            break  # the names, with a # before them
        text, comments = text[end + 1 :], comments + 1
    if comments:
        notes.append(f"comments (#) before the table are left out: {comments} lines")
    return text, delimiter, line + comments


def _parsed(lines: Sequence[str], delimiter: str, escape: str | None = None) -> Iterator[tuple[list[str], int, int]]:
    """The rows of a CSV, and the lines at which each begins and ends. Raises `ValueError` for what is no CSV."""
    reader = csv.reader(lines, delimiter=delimiter, escapechar=escape, doublequote=escape is None)
    before = 0
    try:
        for row in reader:
            yield row, before, reader.line_num
            before = reader.line_num
    except csv.Error as error:
        if "field larger" in str(error):
            most = f"a cell has more than {csv.field_size_limit():,} characters"
            raise ValueError(f"the row of line {before + 1}: {most}: is a quote not closed?") from None
        raise ValueError(f"line {reader.line_num} is no line of a CSV: {error}") from None


def _rows(text: str, delimiter: str, line: int, notes: list[str]) -> tuple[list[list[str]], int]:
    """The rows that are not empty, quotes that never close taken as text; and the line of the first."""
    lines = io.StringIO(text, newline="").readlines()
    escape = _escape(text, lines[:4000], delimiter)
    if escape:
        notes.append('quotes inside cells are written \\"')
    rows: list[list[str]] = []
    first, width = line, 0
    for row, before, after in _parsed(lines, delimiter, escape):
        if not row or row == [""]:
            continue
        if after - before > 1 and escape is None and _swallowed(row, width, delimiter, lines[before:after]):
            return _plainly(text, delimiter, line, notes)
        first = first if rows else line + before
        width = width or len(row)
        rows.append(row)
    if rows and escape is None and text.count('"') % 2:
        return _plainly(text, delimiter, line, notes)
    return rows, first


def _escape(text: str, lines: Sequence[str], delimiter: str) -> str | None:
    """The backslash, where quotes inside cells have one before them; it is taken where rows then are more even."""
    if '\\"' not in text:
        return None
    shares = []
    for mark in (None, "\\"):
        widths = Counter(len(row) for row, *_ in _parsed(lines, delimiter, mark) if row)
        shares.append(max(widths.values(), default=0) / max(widths.total(), 1))
    even = shares[1] == shares[0] and re.search(r'[^\\"]\\"[^",\r\n]', text) is not None
    return "\\" if shares[1] > shares[0] or even else None


def _swallowed(row: Sequence[str], width: int, delimiter: str, lines: Sequence[str]) -> bool:
    """Whether a cell of several lines holds rows of the table: its quote was not meant to open a cell."""
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return True
    for cell in row:
        inner = cell.splitlines()
        if len(inner) > 1 and width > 1:
            like = sum(part.count(delimiter) == width - 1 for part in inner[1:])
            if like >= 2 and like >= 0.7 * (len(inner) - 1):
                return True
    return len(row) != width and len(lines) > _MOST_LINES and width > 1


def _plainly(text: str, delimiter: str, line: int, notes: list[str]) -> tuple[list[list[str]], int]:
    """The rows, where a quote that does not close before its own line's end is text."""
    rows: list[list[str]] = []
    first, odd = line, []
    at, mark = 0, re.escape(delimiter)
    whole = re.compile(rf'"((?:[^"]|"")*)"(?=[{mark}\r\n]|\Z)')
    bare = re.compile(rf"[^{mark}\r\n]*")
    end = re.compile(r"\r\n|\n|\r|\Z")
    row: list[str] = []
    while at < len(text) or row:
        found = whole.match(text, at)
        if found is not None and (inside := found.group(1)).count("\n") and _is_rows(inside, delimiter):
            found = None
        if found is not None:
            row.append(found.group(1).replace('""', '"'))
            line += found.group().count("\n")
        else:
            found = bare.match(text, at)
            assert found is not None
            if found.group().startswith('"'):
                odd.append((line, found.group()[:24]))
            row.append(found.group())
        at = found.end()
        if text.startswith(delimiter, at):
            at += 1
            continue
        ended = end.match(text, at)
        assert ended is not None
        if row != [""]:
            first = first if rows else line
            rows.append(row)
        row, at, line = [], ended.end(), line + 1
    if odd:
        where = f"line {odd[0][0]}: {odd[0][1]!r}"
        notes.insert(0, f"quotes that open a cell and never close are read as text: {len(odd):,}, the first in {where}")
    return rows, first


def _is_rows(inside: str, delimiter: str) -> bool:
    """Whether what stands between two quotes looks like rows rather than lines of a text."""
    lines = inside.splitlines()[1:]
    counts = Counter(line.count(delimiter) for line in lines if line)
    if not counts:
        return False
    most, n = counts.most_common(1)[0]
    return most > 0 and n >= 2 and n >= 0.7 * len(lines)


def _even(rows: list[list[str]], notes: list[str]) -> list[list[str]]:
    """The rows from the names on, a cell that all rows have too many or too few put right.

    Titles before the names are left out; rows that are shorter than the names, as most are, are filled up; cells
    that every row has behind its last delimiter are left out; names that lack the one of the first column, which holds
    the names of rows, get an empty one.
    """
    widths = Counter(map(len, rows[:5000]))
    if not widths:
        return rows
    width, n = widths.most_common(1)[0]
    share = n / widths.total()
    if share >= 0.7 and width > 1 and len(rows[0]) != width and len(rows) > 3:
        if len(rows[0]) == width - 1 and (len(rows[0]) > 1 or width == 2):
            if all(not row[-1].strip() for row in rows[1:] if len(row) == width):
                notes.append("every row ends with a delimiter: the empty cell behind it is left out")
                return [rows[0], *(row[:-1] if len(row) == width else row for row in rows[1:])]
            if is_header(rows[1:])[1]:  # numbers: these are values, and no names below a title
                notes.append("there is a name less than cells in a row: the first column has none")
                return [["", *rows[0]], *rows[1:]]
        if len(rows[0]) > width:
            short = sum(len(row) < len(rows[0]) for row in rows)
            notes.append(f"{short:,} rows have fewer cells than there are names: the last ones count as missing")
            return [row + [""] * (len(rows[0]) - len(row)) for row in rows]
        start = next(i for i, row in enumerate(rows) if len(row) == width)
        if start <= 20:
            notes.append(
                f"what stands before the table is left out, {start} lines such as {' '.join(rows[0]).strip()[:60]!r}"
            )
            rows = rows[start:]
    elif width > 2 and share >= 0.95 and all(not row[-1].strip() for row in rows if len(row) == width):
        notes.append("every row ends with a delimiter: the empty column behind it is left out")
        rows = [row[:-1] if len(row) == width else row for row in rows]
    return rows


def _has_header(rows: Sequence[list[str]], reading: Reading, known: Sequence[str], notes: list[str]) -> bool:
    """Whether the first row holds names; what is not plain is said."""
    if reading.header != "auto":
        return reading.header == "yes"
    first = {cell.strip() for cell in rows[0]}
    if known:
        return any(name.strip() in first for name in known) or is_header(rows)[0]
    header, numbers = is_header(rows)
    if header and numbers:
        shown = ", ".join(numbers[:4])
        notes.append(f"the first row is taken for names, though it holds {shown}: --header no takes it for values")
    elif not header:
        held = "the first row holds numbers, so it is taken for values"
        notes.append(f"{held}: columns have no names; --header yes takes it for names")
    return header


def unique_names(names: Sequence[str]) -> list[str]:
    """Names of columns: an empty one is called `column 1`, a repeated one gets a number."""
    found: dict[str, None] = {}
    following: dict[str, int] = {}
    for i, name in enumerate(names):
        name = name if name.strip() else f"column {i + 1}"
        base, k = name, following.get(name, 2)
        while name in found:
            name, k = f"{base} ({k})", k + 1
        found[name], following[base] = None, k
    return list(found)
