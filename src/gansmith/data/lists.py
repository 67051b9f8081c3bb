"""Lists of labels: tables that name files and what they show, as people write them, and StyleGAN's dataset.json."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .bounded import rows_of
from .encoding import text_of

LABELS, DATASET = "labels.csv", "dataset.json"
_FILE_COLUMNS = (
    *("file", "filename", "file_name", "path", "image", "name", "id"),
    *("image_id", "image_name", "image_path", "image_file", "img", "img_name", "img_path", "imagepath", "imagename"),
    *("filepath", "file_path", "fname", "picture", "photo", "id_code"),
)
_LABEL_COLUMNS = ("label", "class", "category", "target", "y")
_SAMPLE = 20
Cells = list[list[str]]


@dataclass(frozen=True, kw_only=True)
class LabelList:
    """What a list says: a file and its label a row; the label is empty where there is none."""

    rows: tuple[tuple[str, str], ...]
    short: tuple[tuple[str, str], ...] = ()
    """Rows that hold too few cells, and why they are left out."""
    notes: tuple[str, ...] = ()


class Finder:
    """Which file of a source a cell of a list means: by its path, its name, or its name without a suffix."""

    def __init__(self, exists: Callable[[str], bool], names: Callable[[], Iterable[str]]) -> None:
        """`exists`: whether a path names a file; `names`: the paths of all files, wanted where a cell names none."""
        self._exists, self._names = exists, names
        self._known: dict[str, str] | None = None

    def find(self, cell: str) -> str:
        """The path of the file; empty if there is none, or more than one."""
        if not cell or "://" in cell:
            return ""
        if self._exists(cell):
            return cell
        if self._known is None:
            self._known = {}
            for name in self._names():
                last = name.rpartition("/")[2]
                stem = last.rpartition(".")[0]
                for key in {last, stem, name.rpartition(".")[0]} - {"", name}:
                    self._known[key] = name if self._known.get(key, name) == name else ""
        return self._known.get(cell, "")


def beside(folder: Path, suffixes: frozenset[str]) -> Finder:
    """The files in a folder and in the folders in it."""

    def names() -> Iterable[str]:
        for place in ("", *sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())):
            try:
                entries = sorted(os.listdir(folder / place))
            except OSError:
                continue
            for entry in entries:
                if os.path.splitext(entry)[1].lower() in suffixes:
                    yield f"{place}/{entry}" if place else entry

    return Finder(lambda cell: os.path.isfile(folder / cell), names)


def named_list(labels: str, folder: Path | None = None) -> tuple[Path | None, str]:
    """What `--labels` names: a list, here or in this folder, and its column; or a column alone."""
    for text, column in ((labels, ""), (labels.rpartition("#")[0], labels.rpartition("#")[2])):
        for path in (Path(text), folder / text if folder is not None else Path(text)):
            if text and path.is_file():
                return path, column
    return None, labels


def cells_of(text: str) -> Cells:
    """The cells of a list, divided by a comma, semicolon, tab, bar or blanks; a first line that counts is left out."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 2 and lines[0].strip().isdecimal() and len(lines[1].split()) > 1:
        lines = lines[1:]  # CelebA's lists begin with how many there are
    best, most = "", (0.5, 1)
    for delimiter in ",;\t|":
        widths = Counter(len(row) for row in rows_of("\n".join(lines[:200]), "", delimiter))
        if not widths:
            continue
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
        if width > 1 and (count / widths.total(), width) > most:
            best, most = delimiter, (count / widths.total(), width)
    if not best:
        words = Counter(len(line.split()) for line in lines[1:200] or lines)
        even = bool(words) and max(words.values()) >= 0.9 * words.total() and max(words, key=lambda n: words[n]) > 1
        if not even:
            return [[line.strip().strip('"')] for line in lines]
        rows = [line.split() for line in lines]
    else:
        whole = rows_of("\n".join(lines), "a list", best)
        rows = [[cell.strip() for cell in row] for row in whole if any(c.strip() for c in row)]
    if len(rows) > 1 and len(rows[0]) == len(rows[1]) - 1:
        rows[0] = ["file", *rows[0]]  # CelebA names the attributes alone
    return rows


def _looks(cell: str, suffixes: frozenset[str]) -> bool:
    return "://" not in cell and PurePosixPath(cell).suffix.lower() in suffixes


def file_column(rows: Cells, suffixes: frozenset[str], finder: Finder) -> int:
    """The column that names files, by the names of columns and the first cells; -1 if none does.

    Numbers and words may be the names of files by chance: a column of names without suffixes must be called as such
    columns are, hold no cell twice, and in a table of more than two columns be called by more than `id` or `name`.
    """
    head = [cell.lower() for cell in rows[0]]
    named = [head.index(name) for name in _FILE_COLUMNS if name in head]
    body = rows[1 : _SAMPLE + 1] if named else rows[:_SAMPLE]

    def share(i: int) -> tuple[float, float]:
        """Of cells that end like a file or name one in full; and of those that name one without its suffix."""
        cells = [row[i].replace("\\", "/") for row in body if i < len(row) and row[i]]
        full = sum(_looks(c, suffixes) or finder.find(c) == c != "" for c in cells)
        bare = sum(bool(finder.find(c)) for c in cells) if len({*cells}) == len(cells) else 0
        return full / max(len(cells), 1), bare / max(len(cells), 1)

    for i in named:
        full, bare = share(i)
        if full > 0 or (bare >= 0.5 and (len(head) <= 2 or head[i] not in ("id", "name"))):
            return i
    best = max(range(len(head)), key=lambda i: share(i)[0])
    return best if share(best)[0] >= 0.5 else -1


def is_list(rows: Cells, suffixes: frozenset[str], finder: Finder) -> bool:
    """Whether these cells are a list of files, rather than a table of values or a text."""
    return not rows or file_column(rows, suffixes, finder) >= 0


def list_of(text: str, name: str, column: str, suffixes: frozenset[str], finder: Finder) -> LabelList:
    """The files and labels of a list. `column`: the one that holds the labels, by its name or number (from 1).

    Raises `ValueError` if it is no such list, or has no such column.
    """
    rows = cells_of(text)
    if not rows:
        raise ValueError(f"{name} is empty: rows of file,label are needed")
    head = [cell.lower() for cell in rows[0]]
    file = file_column(rows, suffixes, finder)
    named = next((head.index(c) for c in _FILE_COLUMNS if c in head), -1)
    file = named if file < 0 else file
    if file < 0:
        raise ValueError(f"{name} has columns {', '.join(rows[0])[:200]}: columns file and label are needed")
    headed = not (_looks(rows[0][file], suffixes) or finder.find(rows[0][file].replace("\\", "/")))
    titles, body = (rows[0], rows[1:]) if headed else ([str(i + 1) for i in range(len(head))], rows)
    if not body:
        raise ValueError(f"{name} names no file: a header is all that it holds")
    label, notes = _label_column(name, titles, file, column, headed)
    width = max(file, label) + 1
    kept, short = [], []
    for number, row in enumerate(body, 1):
        if len(row) < width:
            short.append((f"row {number} of {name}", f"{len(row)} cells, not {len(head)}: {','.join(row)[:100]}"))
        else:
            kept.append((row[file].replace("\\", "/").removeprefix("./"), row[label] if label >= 0 else ""))
    return LabelList(rows=tuple(kept), short=tuple(short), notes=tuple(notes))


def _label_column(name: str, titles: Sequence[str], file: int, column: str, headed: bool) -> tuple[int, list[str]]:
    """Which column holds the labels, -1 if none does, and what there is to say about it."""
    lower = [title.lower() for title in titles]
    others = [title for i, title in enumerate(titles) if i != file]
    listed = ", ".join(others)[:300]
    if column:
        at = next((i for i, t in enumerate(titles) if t == column), -1)
        at = next((i for i, t in enumerate(lower) if t == column.lower()), at) if at < 0 else at
        if at < 0 or at == file:
            raise ValueError(f"--labels {column}: {name} has no such column of labels; it has {listed or 'no other'}")
        return at, []
    if headed and (known := next((lower.index(c) for c in _LABEL_COLUMNS if c in lower), -1)) >= 0:
        return known, []
    if len(titles) == 2:
        return 1 - file, []
    return -1, [f"no labels: {name} has several columns, and --labels names one: {listed}"] if others else []


def stylegan_labels(data: bytes, name: str) -> tuple[dict[str, str], str] | None:
    """The labels of StyleGAN's dataset.json by file, and a note where it holds none; None for any other file.

    A label is a whole number, or a list of zeros and a one at its place.
    """
    try:
        saved = json.loads(text_of(data, name))
    except ValueError:
        return None
    if not isinstance(saved, dict) or "labels" not in saved:
        return None
    given = saved["labels"]
    if not given:
        return {}, f"no labels: {name} says that there are none"
    try:
        pairs = given.items() if isinstance(given, dict) else given
        return {str(file).replace("\\", "/"): _number(label) for file, label in pairs}, ""
    except (TypeError, ValueError):
        return {}, f"no labels: those of {name} are no classes (whole numbers, or zeros with a single one)"


def _number(label: Any) -> str:
    """The class of a label; empty where there is none. Raises `ValueError`, `TypeError` for what is no class."""
    if label is None:
        return ""
    if isinstance(label, list):
        ones = [i for i, value in enumerate(label) if value == 1]
        if len(ones) != 1 or any(value not in (0, 1) for value in label):
            raise ValueError("not one-hot")
        return str(ones[0])
    if isinstance(label, bool | str) or label != int(label):
        raise ValueError("not a whole number")
    return str(int(label))
