"""Rows of a table as files and DataFrames."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np

from ....extras import need
from ....files import write_atomically
from .cells import cell_texts
from .codec import TableCodec
from .source import is_parquet
from .typed import arrow_of, series_of


def write_table(codec: TableCodec, stored: np.ndarray, path: Path) -> None:
    """Write stored rows (N, D) as .csv, .csv.gz, .tsv or .parquet, with the types and formats of the source.

    Raises `ValueError` for another suffix, `MissingExtra` for parquet without pandas and pyarrow, `OSError`, what was
    there intact.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_parquet(path):
        write_atomically(path, lambda part: _write_parquet(codec, stored, part))
    elif path.name.lower().endswith((".csv", ".csv.gz", ".tsv")):
        write_atomically(path, lambda part: _write_csv(codec, stored, part, path.suffix.lower()))
    else:
        raise ValueError(f"{path} is no name for a table: .csv, .csv.gz, .tsv or .parquet")


def _write_csv(codec: TableCodec, stored: np.ndarray, part: Path, suffix: str) -> None:
    opened = gzip.open if suffix == ".gz" else open
    delimiter = "\t" if suffix == ".tsv" else codec.delimiter
    with opened(part, "wt", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, delimiter=delimiter, lineterminator="\n")
        writer.writerow([c.name for c in codec.columns])
        columns = [cell_texts(c, stored[:, i]) for i, c in enumerate(codec.columns)]
        writer.writerows(zip(*columns, strict=True))


def _write_parquet(codec: TableCodec, stored: np.ndarray, part: Path) -> None:
    """In Arrow's types where the source was a parquet file, so that its schema comes back."""
    if not any(c.typed.startswith("arrow ") for c in codec.columns):
        to_frame(codec, stored).to_parquet(part, index=False)
        return
    arrow = need("pyarrow", "tables", "parquet")
    parquet = need("pyarrow.parquet", "tables", "parquet")
    plain = to_frame(codec, stored)
    arrays = [
        arrow_of(c, stored[:, i]) if c.typed.startswith("arrow ") else arrow.array(plain[c.name], from_pandas=True)
        for i, c in enumerate(codec.columns)
    ]
    parquet.write_table(arrow.table(dict(zip([c.name for c in codec.columns], arrays, strict=True))), part)


def to_frame(codec: TableCodec, stored: np.ndarray) -> Any:
    """Stored rows (N, D) as a pandas DataFrame; integers and booleans with missing cells are nullable."""
    pandas = need("pandas", "tables", "a DataFrame")
    need("pyarrow", "tables", "a DataFrame")
    rows = codec.present(stored)
    frame = pandas.DataFrame({c.name: rows[c.name] for c in codec.columns})
    for i, c in enumerate(codec.columns):
        if c.typed:
            frame[c.name] = series_of(c, stored[:, i])
        elif rows[c.name].dtype == object:
            whole = c.type == "integer" or "int" in (c.dtype, c.form)
            frame[c.name] = frame[c.name].astype("Int64" if whole else "boolean")
        elif rows[c.name].dtype.kind == "U" and c.missing:
            frame.loc[np.isnan(stored[:, i]), c.name] = None
    return frame
