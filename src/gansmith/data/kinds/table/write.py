"""Rows of a table as files and DataFrames."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np

from ....extras import need
from .cells import cell_texts
from .codec import TableCodec
from .source import _is_parquet


def write_table(codec: TableCodec, stored: np.ndarray, path: Path) -> None:
    """Write stored rows (N, D) as .csv, .csv.gz, .tsv or .parquet, with the types and formats of the source.

    Raises `ValueError` for another suffix, `MissingExtra` for parquet without pandas and pyarrow, `OSError`, what was
    there intact.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if _is_parquet(path):
            to_frame(codec, stored).to_parquet(part, index=False)
        elif path.name.lower().endswith((".csv", ".csv.gz", ".tsv")):
            opened = gzip.open if path.suffix.lower() == ".gz" else open
            delimiter = "\t" if path.suffix.lower() == ".tsv" else codec.delimiter
            with opened(part, "wt", encoding="utf-8", newline="") as f:
                writer = csv.writer(f, delimiter=delimiter, lineterminator="\n")
                writer.writerow([c.name for c in codec.columns])
                columns = [cell_texts(c, stored[:, i]) for i, c in enumerate(codec.columns)]
                writer.writerows(zip(*columns, strict=True))
        else:
            raise ValueError(f"{path} is no name for a table: .csv, .csv.gz, .tsv or .parquet")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def to_frame(codec: TableCodec, stored: np.ndarray) -> Any:
    """Stored rows (N, D) as a pandas DataFrame; integers and booleans with missing cells are nullable."""
    pandas = need("pandas", "tables", "a DataFrame")
    need("pyarrow", "tables", "a DataFrame")
    rows = codec.present(stored)
    frame = pandas.DataFrame({c.name: rows[c.name] for c in codec.columns})
    for i, c in enumerate(codec.columns):
        if rows[c.name].dtype == object:
            whole = c.type == "integer" or "int" in (c.dtype, c.form)
            frame[c.name] = frame[c.name].astype("Int64" if whole else "boolean")
        elif rows[c.name].dtype.kind == "U" and c.missing:
            frame.loc[np.isnan(stored[:, i]), c.name] = None
    return frame
