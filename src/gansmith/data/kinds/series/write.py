"""Series as files: long, a row a step, written as the source wrote its cells."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np

from ....files import write_atomically
from ..table.cells import cell_texts
from .codec import SeriesCodec


def write_csv(codec: SeriesCodec, stored: np.ndarray, path: Path) -> None:
    """Write stored series (N, T, D) as .csv, .csv.gz or .tsv: the number of the series, its time, its columns.

    Raises `OSError`, what was there intact.
    """
    steps, which = codec.rows(stored)
    texts: dict[str, list[str]] = {codec.key: [str(k) for k in which]}
    if codec.clock is not None:
        texts[codec.clock.name] = cell_texts(codec.clock, codec.times(stored))
    elif not codec.time:
        texts[_step_name(codec)] = [str(k) for n in np.bincount(which) for k in range(n)]
    texts |= {c.name: cell_texts(c, steps[:, i]) for i, c in enumerate(codec.columns)}
    delimiter = "\t" if path.name.lower().endswith(".tsv") else codec.delimiter
    opened = gzip.open if path.name.lower().endswith(".gz") else open

    def write(part: Path) -> None:
        with opened(part, "wt", encoding="utf-8", newline="") as f:
            writer = csv.writer(f, delimiter=delimiter, lineterminator="\n")
            writer.writerow(texts)
            writer.writerows(zip(*texts.values(), strict=True))

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, write)


def _step_name(codec: SeriesCodec) -> str:
    name = "step"
    while name in {codec.key, *(c.name for c in codec.columns)}:
        name += "_"
    return name
