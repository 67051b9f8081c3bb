"""Tables as a source: CSV (plain or gzip), parquet, pandas DataFrames; what each column is, told by its content.

A CSV is read without pandas. Nothing is guessed silently: every decision is a line of `gansmith data inspect`, and
`--columns name=type,...`, `--encoding`, `--header`, `--missing` and `--date-format` overrule it.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ....options import DataOptions
from ...arrays import file_identity, row_name
from ...found import Report
from ...looked import report_of_rows
from ...plan import Block, Plan, Quarantined, even_chunks
from .addresses import addressed
from .codec import TableCodec
from .codes import as_written, codes_of
from .column import Column
from .delimited import read_csv
from .infer import infer_text
from .inspect import report_of_table
from .reading import Reading, overrides
from .typed import Typed, codes_of_typed, infer_typed, typed_columns

READING = 3
"""Raised where the same file comes to be read as other columns: stores that were packed before are left alone."""


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name; a CSV that lists picture files has been taken by pictures before."""
    return path.name.lower().endswith((".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".pq"))


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

    def read(self, options: DataOptions = DataOptions()) -> tuple[TableCodec, np.ndarray, list[str], list[Quarantined]]:
        """The codec as the source proposes it, the stored rows (N, D), notes, and the rows left out."""
        return read_table(self, options)

    def report(self, options: DataOptions, progress: bool) -> Report:
        """What is in it, column by column. Never raises: what keeps training from starting is told."""
        del progress
        try:
            codec, rows, notes, bad = self.read(options)
        except ValueError as error:
            return report_of_rows(self.name, self.kind, np.zeros((0, 0)), dtype="", problem=str(error))
        return report_of_table(self.name, codec, rows, tuple(bad), notes)

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Decide what is packed. Raises `ValueError` if there is no column to learn from."""
        del progress
        codec, rows, notes, bad = self.read(options)
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
        for i in range(source.shape[1]):
            column = source.iloc[:, i]
            whole.update(str(column.dtype).encode() + b"\0" + "\x1f".join(map(str, column)).encode())
        return TableSource(name="table", identity=f"table {READING} {whole.hexdigest()}", frame=source)
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"there is no table at {path}")
    return TableSource(name=name or str(path), identity=f"table {READING} {file_identity(path)}", path=path)


def columns_of(source: TableSource) -> list[Typed]:
    """The columns of a parquet file or a DataFrame. Raises `MissingExtra` without pandas and pyarrow."""
    return typed_columns(source.frame if source.path is None else source.path)


def read_table(
    source: TableSource, options: DataOptions = DataOptions()
) -> tuple[TableCodec, np.ndarray, list[str], list[Quarantined]]:
    """See `TableSource.read`."""
    found: list[Column] = []
    codes: list[np.ndarray] = []
    notes: list[str] = []
    left_out: list[str] = []
    reading = Reading.of(options)

    def keep(name: str, column: Column | None, text: str, values: Any) -> None:
        if text:
            notes.append(f"column {name.strip()}: {text}")
        if column is None:
            left_out.append(name)
        else:
            found.append(column)
            codes.append(values(column))

    if source.path is not None and not is_parquet(source.path):
        cells = read_csv(source.path, reading)
        forced = overrides(options.columns, cells.names)
        reading = dataclasses.replace(reading, delimiter=cells.delimiter)
        for name, texts in zip(cells.names, cells.columns, strict=True):
            column, text = infer_text(name, texts, forced.get(name, ""), reading=reading)
            notes += addressed(name, texts)
            keep(
                *(name, column, text),
                lambda c, texts=texts: codes_of(c, texts)[0] if c.type != "constant" else np.zeros(len(texts)),
            )
        notes += cells.notes
        delimiter, bad, encoding = cells.delimiter, cells.bad, cells.encoding
        if delimiter != ",":
            notes.append(f"cells are divided by {delimiter!r}")
    else:
        columns = columns_of(source)
        forced = overrides(options.columns, [c.name for c in columns])
        for values in columns:
            column, stored, text = infer_typed(values, forced.get(values.name, ""), reading)
            keep(values.name, column, text, lambda c, stored=stored: stored)
        delimiter, bad, encoding = ",", [], ""
    if all(c.type == "constant" for c in found):
        raise ValueError(f"{source.name} has no column to learn from: {'; '.join(notes)[:500]}")
    codec = TableCodec(columns=tuple(found), delimiter=delimiter, left_out=tuple(left_out), encoding=encoding)
    return codec, np.stack(codes, 1), notes, bad


def is_parquet(path: Path) -> bool:
    """Whether a file is one of parquet, by its name."""
    return path.suffix.lower() in (".parquet", ".pq")


def rows_like(source: str | Path | Any, codec: TableCodec, *, unseen: bool = False) -> tuple[np.ndarray, list[str]]:
    """The stored rows (N, D) of another table with the columns of this codec, and what there is to say.

    Columns are found by their names, in any order; further ones are not read. Numbers and dates may be written
    otherwise. Cells that cannot be read become missing ones, and are told; with `unseen` a category that the codec does
    not know gets a number of its own beyond those it has. Raises `ValueError` if a column is not there.
    """
    text = str(source)
    given = table_source(source if is_frame(source) else text.removeprefix("table:"))
    rows, notes = [], []
    typed: dict[str, Typed] = {}
    column_of: dict[str, list[str]] = {}
    if given.path is not None and not is_parquet(given.path):
        cells = read_like(given.path, codec)
        column_of = dict(zip(cells.names, cells.columns, strict=True))
        names, delimiter = cells.names, cells.delimiter
        notes += [note for note in cells.notes if "never close" in note or "left out" in note]
    else:
        typed = {c.name: c for c in columns_of(given)}
        names, delimiter = list(typed), ","
    for c in codec.columns:
        name = find_name(c.name, names)
        if name is None:
            raise ValueError(
                f"{given.name} has no column {c.name.strip()!r}; it has {', '.join(n.strip() for n in names)[:300]}"
            )
        if name in typed:
            texts, (values, odd) = typed[name].texts(c), codes_of_typed(c, typed[name])
        else:
            texts = column_of[name]
            values, odd = codes_of(as_written(c, texts, delimiter), texts)
        if odd:
            values, said = _strange(c, texts, values, odd, unseen)
            notes.append(f"column {c.name.strip()}: {said}")
        rows.append(values)
    return np.stack(rows, 1), notes


def read_like(path: Path, codec: TableCodec) -> Any:
    """Another CSV that should have the columns of this codec: in its encoding, if it is not UTF-8."""
    names = [c.name for c in codec.columns]
    try:
        return read_csv(path, known=names)
    except ValueError:
        if not codec.encoding:
            raise
        return read_csv(path, Reading(encoding=codec.encoding), names)


def _strange(
    c: Column, texts: Sequence[str], values: np.ndarray, odd: dict[str, int], unseen: bool
) -> tuple[np.ndarray, str]:
    """Values with numbers for categories that training never saw, and what there is to say of strange cells."""
    total, first = sum(odd.values()), max(odd, key=lambda cell: odd[cell])
    if not c.discrete:
        what = "date" if c.type == "date" else "number"
        return values, f"{total:,} cells such as {first.strip()!r} are no {what} and count as missing"
    said = f"{total:,} cells such as {first.strip()!r} were never seen in training"
    if not unseen:
        return values, f"{said} and count as missing"
    new = {cell: float(len(c.values) + k) for k, cell in enumerate(sorted(odd))}
    values = np.array([new.get(cell, value) for cell, value in zip(texts, values, strict=True)])
    return values, f"{said}: no sample can have them"


def find_name(wanted: str, names: Sequence[str]) -> str | None:
    """The column that is called so, blanks around it not counted."""
    return next((n for n in names if n == wanted), next((n for n in names if n.strip() == wanted.strip()), None))
