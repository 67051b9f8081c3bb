"""Tables as a source: CSV (plain or gzip), parquet, pandas DataFrames; what each column is, told by its content.

A CSV is read without pandas. Nothing is guessed silently: every decision is a line of `gansmith data inspect`, and
`--columns name=type,...` overrules it.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np

from ....extras import need
from ....options import DataOptions
from ...arrays import file_identity, row_name
from ...bounded import check_table, read_file, rows_of
from ...found import Report
from ...looked import report_of_rows
from ...plan import Block, Plan, Quarantined, even_chunks
from .codec import TableCodec
from .column import Column, ColumnType
from .infer import COMMA, DECIMAL, codes_of, infer_text, infer_typed, shortest
from .inspect import report_of_table

READING = 2
"""Raised where the same file comes to be read as other columns: stores that were packed before are left alone."""


@dataclass
class Cells:
    """A CSV as it was read: the text of every cell, column by column."""

    names: list[str]
    columns: list[list[str]]
    delimiter: str
    header: bool
    bad: list[Quarantined] = field(default_factory=list)
    """Rows of another width: they are in no column."""

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name; a CSV that lists picture files has been taken by pictures before."""
    return path.name.lower().endswith((".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".pq"))


def read_csv(path: Path, delimiter: str = "") -> Cells:
    """Every cell of a CSV as text. The delimiter (comma, semicolon, tab or bar) is the one that divides rows evenly.

    A first row in which any cell is a number is no header: columns are then called `column 1`, ... Raises `ValueError`
    if it is no UTF-8 text, or has no rows.
    """
    text = read_text(path)
    delimiter = delimiter or sniff(text)
    rows = (row for row in rows_of(text, str(path), delimiter) if row)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"{path} is empty: a table needs a row of names and rows of values")
    numeric = [c for c in first if DECIMAL.match(c.strip()) or (delimiter != "," and COMMA.match(c.strip()))]
    header = not numeric
    names = unique_names(first if header else [""] * len(first))
    columns: list[list[str]] = [[] for _ in names]
    seen: dict[str, str] = {}  # equal cells share one string: a table is mostly repeats
    bad: list[Quarantined] = []
    for number, row in enumerate(rows if header else itertools.chain([first], rows)):
        if len(row) != len(names):
            bad.append(Quarantined(row_name(number), f"{len(row)} cells, not {len(names)}"))
            continue
        for column, cell in zip(columns, row, strict=True):
            column.append(seen.setdefault(cell, cell))
    found = Cells(names, columns, delimiter, header, bad)
    if not len(found):
        raise ValueError(f"{path} has no rows beneath its names: {', '.join(names)[:200]}")
    return found


def read_text(path: Path) -> str:
    """The text of a CSV, plain or gzip, line endings as they are. Raises `ValueError` if it is not UTF-8."""
    try:
        return read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}; save it as UTF-8") from None


def sniff(text: str) -> str:
    """The delimiter of a CSV's text: of comma, semicolon, tab and bar the one that gives most rows the same width."""
    start = text[: 1 << 17]
    best, most = ",", (0.0, 0)
    for delimiter in ",;\t|":
        widths = Counter(len(row) for row in itertools.islice(rows_of(start, "", delimiter), 200) if row)
        if not widths:
            continue
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
        score = (count / widths.total() if width > 1 else 0.0, width)
        if score > most:
            best, most = delimiter, score
    return best


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


def overrides(text: str, names: Sequence[str]) -> dict[str, str]:
    """`age=category,zip=id` as {name: type}. Raises `ValueError` for unknown names and types."""
    allowed = (*get_args(ColumnType), "id")
    found = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, equals, kind = part.rpartition("=")
        match = next((n for n in names if n.strip() == name.strip()), None)
        if not equals or match is None:
            raise ValueError(
                f"--columns {part}: write name=type; there are the columns {', '.join(n.strip() for n in names)}"
            )
        if kind.strip() not in allowed:
            raise ValueError(f"--columns {part}: a column is one of {', '.join(allowed)} (id leaves it out)")
        found[match] = kind.strip()
    return found


def is_frame(source: Any) -> bool:
    """Whether something is a DataFrame, without importing pandas."""
    return hasattr(source, "columns") and hasattr(source, "dtypes") and hasattr(source, "iloc")


@dataclass(frozen=True, kw_only=True)
class RowReader:
    """Rows of a table as they are stored: all were read to tell what its columns are."""

    rows: np.ndarray

    def read(self, ranges: Sequence[tuple[int, int]]) -> Iterator[np.ndarray]:
        """The rows themselves."""
        for first, last in ranges:
            yield self.rows[first:last]

    def decode(self, payload: np.ndarray) -> Block:
        """Rows (n, D) float64; all of them are good."""
        return Block(np.array(payload), {})

    def name(self, row: int) -> str:
        """The number of the row."""
        return row_name(row)


@dataclass(frozen=True, kw_only=True)
class TableSource:
    """A CSV, a parquet file or a DataFrame."""

    kind: ClassVar[str] = "table"
    name: str
    identity: str
    path: Path | None = None
    frame: Any = None

    def read(self, columns: str = "") -> tuple[TableCodec, np.ndarray, list[str], list[Quarantined]]:
        """The codec as the source proposes it, the stored rows (N, D), notes, and the rows left out."""
        return read_table(self, columns)

    def report(self, options: DataOptions, progress: bool) -> Report:
        """What is in it, column by column. Never raises: what keeps training from starting is told."""
        del progress
        try:
            codec, rows, notes, bad = self.read(options.columns)
        except ValueError as error:
            return report_of_rows(self.name, self.kind, np.zeros((0, 0)), dtype="", problem=str(error))
        return report_of_table(self.name, codec, rows, tuple(bad), notes)

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Decide what is packed. Raises `ValueError` if there is no column to learn from."""
        del progress
        codec, rows, notes, bad = self.read(options.columns)
        return Plan(
            source=self.name,
            digest=digest,
            kind=self.kind,
            shape=(rows.shape[1],),
            dtype="float64",
            bounds=None,
            chunks=even_chunks(len(rows), rows.shape[1] * 8),
            reader=RowReader(rows=rows),
            options=recorded,
            quarantined=tuple(bad),
            notes=tuple(notes),
            codec=codec,
        )


def table_source(source: Any, name: str = "") -> TableSource:
    """A path or a DataFrame as a source. Raises `ValueError` if it is no kind of table that is known."""
    if is_frame(source):
        whole = hashlib.sha256(repr([*map(str, source.columns)]).encode())
        for column in source.columns:
            whole.update(str(source[column].dtype).encode() + b"\0" + "\x1f".join(map(str, source[column])).encode())
        return TableSource(name="table", identity=whole.hexdigest(), frame=source)
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"there is no table at {path}")
    return TableSource(name=name or str(path), identity=f"table {READING} {file_identity(path)}", path=path)


def frame_of(source: TableSource) -> Any:
    """The DataFrame of a parquet file or of one given. Raises `MissingExtra` without pandas and pyarrow."""
    if source.path is None:
        return source.frame
    pandas = need("pandas", "tables", f"reading {source.path.name}")
    need("pyarrow", "tables", f"reading {source.path.name}")
    check_table(source.path)
    return pandas.read_parquet(source.path)


def read_table(source: TableSource, columns: str = "") -> tuple[TableCodec, np.ndarray, list[str], list[Quarantined]]:
    """See `TableSource.read`."""
    found: list[Column] = []
    codes: list[np.ndarray] = []
    notes: list[str] = []
    left_out: list[str] = []

    def note(name: str, column: Column | None, text: str) -> None:
        if text:
            notes.append(f"column {name.strip()}: {text}")
        if column is None:
            left_out.append(name)

    if source.path is not None and not is_parquet(source.path):
        cells = read_csv(source.path)
        forced = overrides(columns, cells.names)
        for name, texts in zip(cells.names, cells.columns, strict=True):
            column, text = infer_text(name, texts, forced.get(name, ""))
            note(name, column, text)
            if column is not None:
                found.append(column)
                codes.append(codes_of(column, texts)[0] if column.type != "constant" else np.zeros(len(texts)))
        if not cells.header:
            notes.append("the first row holds numbers, so it is taken for values: columns have no names")
        delimiter, bad = cells.delimiter, cells.bad
        if delimiter != ",":
            notes.append(f"cells are divided by {delimiter!r}")
    else:
        frame = frame_of(source)
        names = unique_names([str(c) for c in frame.columns])
        forced = overrides(columns, names)
        for i, name in enumerate(names):
            column, values, text = infer_typed(name, frame.iloc[:, i], forced.get(name, ""))
            note(name, column, text)
            if column is not None:
                found.append(column)
                codes.append(values if column.type != "constant" else np.zeros(len(frame)))
        delimiter, bad = ",", []
    if all(c.type == "constant" for c in found):
        raise ValueError(f"{source.name} has no column to learn from: {'; '.join(notes)[:500]}")
    codec = TableCodec(columns=tuple(found), delimiter=delimiter, left_out=tuple(left_out))
    return codec, np.stack(codes, 1), notes, bad


def is_parquet(path: Path) -> bool:
    """Whether a file is one of parquet, by its name."""
    return path.suffix.lower() in (".parquet", ".pq")


def rows_like(source: str | Path | Any, codec: TableCodec) -> tuple[np.ndarray, list[str]]:
    """The stored rows (N, D) of another table with the columns of this codec, and what there is to say.

    Columns are found by their names, in any order; further ones are not read. Cells that cannot be read become missing
    ones, and are told. Raises `ValueError` if a column is not there.
    """
    text = str(source)
    given = table_source(source if is_frame(source) else text.removeprefix("table:"))
    if given.path is not None and not is_parquet(given.path):
        cells = read_csv(given.path)
        names, column_of = cells.names, dict(zip(cells.names, cells.columns, strict=True))
    else:
        frame = frame_of(given)
        names = unique_names([str(c) for c in frame.columns])
        column_of = {name: _texts_of(frame.iloc[:, i], codec, name) for i, name in enumerate(names)}
    rows, notes = [], []
    for c in codec.columns:
        name = find_name(c.name, names)
        if name is None:
            raise ValueError(
                f"{given.name} has no column {c.name.strip()!r}; it has {', '.join(n.strip() for n in names)[:300]}"
            )
        values, odd = codes_of(c, column_of[name])
        if odd:
            first = max(odd, key=lambda cell: odd[cell])
            notes.append(
                f"column {c.name.strip()}: {sum(odd.values()):,} cells such as {first.strip()!r} were never seen in "
                "training and count as missing"
            )
        rows.append(values)
    return np.stack(rows, 1), notes


def find_name(wanted: str, names: Sequence[str]) -> str | None:
    """The column that is called so, blanks around it not counted."""
    return next((n for n in names if n == wanted), next((n for n in names if n.strip() == wanted.strip()), None))


def _texts_of(values: Any, codec: TableCodec, name: str) -> list[str]:
    """A DataFrame's column as the codec's column would write it."""
    column = next((c for c in codec.columns if c.name.strip() == name.strip()), None)
    gone = np.asarray(values.isna(), bool)
    kind = getattr(values.dtype, "kind", "O")
    if column is not None and column.type == "date" and kind == "M":
        return ["" if g else v.strftime(column.form) for v, g in zip(values, gone, strict=True)]
    write: Callable[[Any], str] = str
    if kind == "f":
        write = lambda v: shortest(float(v))  # noqa: E731
    elif kind in "iu":
        write = lambda v: str(int(v))  # noqa: E731
    return ["" if g else write(v) for v, g in zip(values, gone, strict=True)]
