"""Lines of files: plain, gzipped, a column of a CSV, a field of JSON lines; in the encoding that they are in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ... import bounded
from ...encoding import known, marked, refusal, text_of

_MOST_BAD = 0.2
"""Share of lines that are not UTF-8 beyond which the file is taken to be in another encoding."""


@dataclass(frozen=True)
class Unread:
    """A line that cannot be read, and why."""

    reason: str


Line = str | Unread


def read_file(text: str, encoding: str = "") -> tuple[Path, str, list[Line]]:
    """The file, the column and the lines of `FILE`, `FILE.csv#column` or `FILE.jsonl#field`.

    Raises `FileNotFoundError` if it is not there, `ValueError` if it has no such column or is in another encoding.
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
    data = bounded.read_file(path)
    if suffix in (".csv", ".tsv"):
        return path, column, list(_csv_column(text_of(data, str(path), encoding), column, path, suffix))
    lines = _lines(data, str(path), encoding)
    return path, column, _json_column(lines, column, path) if suffix == ".jsonl" else lines


def _lines(data: bytes, name: str, encoding: str) -> list[Line]:
    """The lines of a file; a few that are not UTF-8 are unread. An end of line at the end ends the last.

    Raises `ValueError` that says what to name, where it seems to be in another encoding.
    """
    known(encoding)
    said, length = marked(data)
    if said not in ("", "utf-8") or encoding:
        return _ended([*(line.rstrip("\r") for line in text_of(data, name, encoding).split("\n"))])
    if 10 * data.count(0) > len(data):
        raise ValueError(
            f"{name} is not UTF-8 text: {data.count(0):,} of its {len(data):,} bytes are NUL, as in UTF-16: say "
            "--encoding utf-16, utf-16-be or utf-32, or save it as UTF-8"
        )
    found: list[Line] = []
    first: UnicodeDecodeError | None = None
    odd = 0
    for part in data[length:].split(b"\n"):
        try:
            found.append(part.rstrip(b"\r").decode())
        except UnicodeDecodeError as error:
            first, odd = first or error, odd + 1
            found.append(Unread("not UTF-8 (--encoding names another)"))
    found = _ended(found)
    if first is not None and odd > 1 and odd > _MOST_BAD * len(found):
        raise ValueError(f"{refusal(name, 'utf-8', first)} ({odd:,} of {len(found):,} lines)")
    return found


def _ended(lines: list[Line]) -> list[Line]:
    return lines[:-1] if lines and not lines[-1] else lines


def _csv_column(text: str, column: str, path: Path, suffix: str) -> Iterator[str]:
    rows = bounded.rows_of(text, str(path), "\t" if suffix == ".tsv" else ",")
    head = next(rows, [])
    if column not in head:
        raise ValueError(f"{path} has no column {column!r}; it has {', '.join(head)}")
    at = head.index(column)
    return (" ".join(row[at].split("\n")) if at < len(row) else "" for row in rows if row)


def _json_column(lines: list[Line], column: str, path: Path) -> list[Line]:
    """The field of each line; one that has none, or is no JSON, is left out.

    Raises `ValueError` if no line has it.
    """
    found = [_field(line, column) if isinstance(line, str) else line for line in lines]
    if any(line for line in found if isinstance(line, str)):
        return found
    number, first = next(((i, line) for i, line in enumerate(found, 1) if isinstance(line, Unread)), (0, Unread("")))
    raise ValueError(f"no line of {path} has text in {column!r}: line {number} {first.reason}")


def _field(line: str, column: str) -> Line:
    if not line.strip():
        return ""
    try:
        value = json.loads(line)
    except ValueError as error:
        return Unread(f"is no JSON: {error}")
    if not isinstance(value, dict):
        return Unread(f"is no object with fields: {line[:40]}")
    if column not in value:
        return Unread(f"has no field {column!r}; it has {', '.join(map(str, value))[:100]}")
    text = value[column]
    return " ".join(text.split("\n")) if isinstance(text, str) else Unread(f"has {text!r:.40} in {column!r}, not text")
