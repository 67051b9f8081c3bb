"""Completion: the holes of a table filled by a trained model, every observed cell left as it is, byte for byte."""

from __future__ import annotations

import functools
import gzip
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data import TableCodec
from ..data.bounded import check_table, read_file
from ..data.kinds.table.cells import cell_texts
from ..data.kinds.table.codes import as_written, codes_of
from ..data.kinds.table.column import Column
from ..data.kinds.table.delimited import decode, sniff, unique_names
from ..data.kinds.table.source import columns_of, find_name, rows_like, table_source
from ..data.kinds.table.typed import objects_for, to_arrow
from ..extras import need
from ..files import write_atomically
from ..model.draw import Weights, draw_samples
from ..model.model import Model
from ..settle import checked


@dataclass(frozen=True, kw_only=True)
class Completed:
    """What was filled."""

    rows: int
    filled: dict[str, int]
    """How many cells of each column."""
    notes: tuple[str, ...]
    """What a reader should know: cells that could not be read, rows passed over."""


@checked
def complete(
    model: Model, path: str | Path, out: str | Path, *, seed: int = 0, weights: Weights = "ema", draw: bool = False
) -> Completed:
    """Fill the missing cells of a .csv, .csv.gz, .tsv or .parquet into `out`, a file of the same kind.

    With guesses, or each with one `draw` of what may have stood there.

    Every other byte of a CSV is as it was: cells, quotes, blanks, line ends, columns that the model does not know.
    What is written has the decimal mark, the marks around numbers and the format of dates of that file; a parquet file
    keeps its types, its index and its columns. Columns are found by name, in any order; their statistics come with the
    model, so a file of one row is completed as well as one of a million. Raises `ValueError` if the model cannot
    complete rows, or a column is not there; `FileNotFoundError`; `OSError`, what was there intact.
    """
    path, out = Path(path), Path(out)
    codec = model.spec.codec
    if not isinstance(codec, TableCodec) or "x" not in model.recipe.takes:
        raise ValueError(f"{model.recipe_name} makes rows of its own and completes none: train impute_gan on the table")
    if not path.is_file():
        raise FileNotFoundError(f"there is no table at {path}")
    parquet = path.suffix.lower() in (".parquet", ".pq")
    if (out.suffix.lower() in (".parquet", ".pq")) != parquet:
        raise ValueError(f"{path} is completed into a file of its own kind: {out} would need another")
    filler = functools.partial(fill, model, seed=seed, weights=weights, draw=draw)
    out.parent.mkdir(parents=True, exist_ok=True)
    if parquet:
        table, done = _parquet(codec, path, filler)
        write = need("pyarrow.parquet", "tables", "parquet").write_table
        write_atomically(out, lambda part: write(table, part))
        return done
    data, done = _csv(codec, path, filler)
    data = gzip.compress(data) if out.suffix.lower() == ".gz" else data
    write_atomically(out, lambda part: part.write_bytes(data))
    return done


def fill(model: Model, rows: np.ndarray, *, seed: int = 0, weights: Weights = "ema", draw: bool = False) -> np.ndarray:
    """Stored rows (N, D) with NaN to the same rows without; observed values are untouched.

    `draw`: not the best guess but one draw of what may have stood there. Raises `ValueError` if the recipe knows none.
    """
    if draw and "draw" not in model.recipe.takes:
        raise ValueError(f"{model.recipe_name} makes no draws on demand: train impute_gan, or leave out --draw")
    encoded = model.spec.codec.encode(torch.from_numpy(np.array(rows)))
    given = {"x": encoded} | ({"draw": torch.ones(len(rows))} if draw else {})
    made = draw_samples(model.recipe, model.weights(weights), len(rows), seed, given)
    return np.where(np.isnan(rows), model.spec.codec.decode(made), rows)


_LINE = re.compile(r"\r\n|\n|\r|\Z")


def records(text: str, delimiter: str) -> Iterator[tuple[list[str], str]]:
    """The rows of a CSV, each as its cells in raw form (quotes and all) and what ends the line.

    Joined by the delimiter and their line ends they are the text again.
    """
    mark = re.escape(delimiter)
    cell = re.compile(rf'(?:"(?:[^"]|"")*")?[^{mark}\r\n]*')
    at, row = 0, []
    while at < len(text) or row:
        found = cell.match(text, at)
        assert found is not None
        row.append(found.group())
        at = found.end()
        if text.startswith(delimiter, at):
            at += 1
            continue
        line = _LINE.match(text, at)
        assert line is not None
        yield row, line.group()
        at, row = line.end(), []


def unquoted(cell: str) -> str:
    """What a raw cell says."""
    if not cell.startswith('"'):
        return cell
    inside, _, rest = cell[1:].replace('""', "\0").partition('"')
    return (inside + rest).replace("\0", '"')


def _quoted(text: str, delimiter: str) -> str:
    plain = not any(mark in text for mark in (delimiter, '"', "\n", "\r"))
    return text if plain else '"' + text.replace('"', '""') + '"'


def _csv(codec: TableCodec, path: Path, fill: Callable[[np.ndarray], np.ndarray]) -> tuple[bytes, Completed]:
    """The file's bytes with its holes filled."""
    data = read_file(path)
    try:
        text, encoding = decode(data, str(path))
    except ValueError:
        if not codec.encoding:
            raise
        text, encoding = decode(data, str(path), codec.encoding)
    encoding = encoding or ("utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8")
    delimiter = sniff(text)
    rows = list(records(text, delimiter))
    there = [i for i, (cells, _) in enumerate(rows) if cells != [""]]
    wanted = {c.name.strip() for c in codec.columns}  # titles, comments or a line sep=; may stand before the names
    heads = [i for i in there[:40] if wanted <= {unquoted(cell).strip() for cell in rows[i][0]}][:1] or there[:1]
    if not heads:
        raise ValueError(f"{path} is empty")
    names = unique_names([unquoted(c) for c in rows[heads[0]][0]])
    first = heads[0] + 1
    if all(find_name(c.name, names) is None for c in codec.columns) and len(names) == len(codec.columns):
        names, first = [c.name for c in codec.columns], heads[0]  # a table without a header
    places = []
    for c in codec.columns:
        name = find_name(c.name, names)
        if name is None:
            raise ValueError(f"{path} has no column {c.name.strip()!r}; it has {', '.join(names)[:300]}")
        places.append(names.index(name))
    whole = [i for i in range(first, len(rows)) if len(rows[i][0]) == len(names)]
    odd_rows = sum(len(cells) != len(names) and cells != [""] for cells, _ in rows[first:])
    notes = [f"{odd_rows} rows of another width are passed through as they are"] if odd_rows else []
    stored = np.zeros((len(whole), len(places)))
    holes = np.zeros(stored.shape, bool)
    columns: list[Column] = []
    for j, (c, place) in enumerate(zip(codec.columns, places, strict=True)):
        cells = [unquoted(rows[i][0][place]) for i in whole]
        columns.append(as_written(c, cells, delimiter))
        stored[:, j], odd = codes_of(columns[j], cells)
        strange = np.array([cell in odd for cell in cells], bool) if odd else np.zeros(len(cells), bool)
        holes[:, j] = np.isnan(stored[:, j]) & ~strange
        if odd:
            notes.append(
                f"column {c.name.strip()}: {sum(odd.values()):,} cells such as {next(iter(odd)).strip()!r} were never "
                "seen in training; they are left as they are"
            )
    filled = fill(stored) if len(whole) else stored
    for j, (c, place) in enumerate(zip(columns, places, strict=True)):
        at = np.flatnonzero(holes[:, j])
        for k, cell in zip(at, cell_texts(c, filled[at, j]), strict=True):
            rows[whole[k]][0][place] = _quoted(cell, delimiter)
    result = "".join(delimiter.join(cells) + end for cells, end in rows).encode(encoding)
    if encoding == "utf-16" and data.startswith(b"\xfe\xff"):
        result = b"\xfe\xff" + result[2:].decode("utf-16-le").encode("utf-16-be")
    counts = {c.name.strip(): int(holes[:, j].sum()) for j, c in enumerate(codec.columns) if holes[:, j].any()}
    return result, Completed(rows=len(whole), filled=counts, notes=tuple(notes))


def _parquet(codec: TableCodec, path: Path, fill: Callable[[np.ndarray], np.ndarray]) -> tuple[Any, Completed]:
    """The Arrow table with its holes filled: types, index and other columns as they are."""
    parquet = need("pyarrow.parquet", "tables", f"reading {path.name}")
    check_table(path)
    table = parquet.read_table(path)
    known = {c.name: c for c in columns_of(table_source(path))}
    stored, notes = rows_like(path, codec)
    filled = fill(stored)
    counts = {}
    for j, c in enumerate(codec.columns):
        name = find_name(c.name, list(known))
        assert name is not None  # `rows_like` has found it
        holes = known[name].gone
        if not holes.any():
            continue
        at = table.schema.get_field_index(name)
        values = table.column(at).to_pylist()
        for k, value in zip(np.flatnonzero(holes), objects_for(known[name], c, filled[holes, j]), strict=True):
            values[k] = value
        table = table.set_column(at, table.schema.field(at), to_arrow(values, table.schema.field(at).type))
        counts[c.name.strip()] = int(holes.sum())
    return table, Completed(rows=len(table), filled=counts, notes=tuple(notes))
