"""A file of series as a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ....options import MOST_STEPS, DataOptions
from ...arrays import file_identity, row_name
from ...found import Report
from ...looked import report_of_rows
from ...plan import Block, Plan, even_chunks
from ..table.codes import as_written, codes_of
from ..table.delimited import read_csv
from ..table.source import find_name
from .codec import SeriesCodec, stored_lengths
from .inspect import report_of_series
from .read import Steps, find_columns, load_array, of_cells, read_series

READING = 2
"""Raised where the same file comes to be read as other series: stores that were packed before are left alone."""
MOST_SEEN = 10_000
"""Series that a report looks at."""


@dataclass(frozen=True, kw_only=True)
class SeriesReader:
    """Series as they are stored: all steps were read to tell what their columns are."""

    steps: Steps

    def read(self, ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """The ranges themselves."""
        yield from ranges

    def decode(self, payload: tuple[int, int]) -> Block:
        """Series (n, T, D) float64; all of them are good."""
        return Block(self.steps.samples(*payload), {})

    def name(self, row: int) -> str:
        """The number of the series."""
        return row_name(row)


@dataclass(frozen=True, kw_only=True)
class SeriesSource:
    """A CSV or an array of series."""

    kind: ClassVar[str] = "series"
    name: str
    identity: str
    path: Path

    def report(self, options: DataOptions, progress: bool) -> Report:
        """What is in it, column by column. Never raises: what keeps training from starting is told."""
        del progress
        try:
            steps = read_series(self.path, options)
        except ValueError as error:
            return report_of_rows(self.name, self.kind, np.zeros((0, 0)), dtype="", problem=str(error))
        return report_of_series(self.name, steps.codec, steps.samples(0, len(steps)), steps.bad, steps.notes)

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Decide what is packed. Raises `ValueError` if there are no series to learn from."""
        del progress
        steps = read_series(self.path, options)
        shape = (steps.most, steps.rows.shape[1])
        if steps.most > MOST_STEPS:
            raise ValueError(
                f"{self.name} holds series of {steps.most:,} steps; at most {MOST_STEPS:,} can be: --series-window "
                "cuts them into windows"
            )
        return Plan(
            source=self.name,
            digest=digest,
            kind=self.kind,
            shape=shape,
            dtype="float64",
            bounds=None,
            chunks=even_chunks(len(steps), shape[0] * shape[1] * 8),
            reader=SeriesReader(steps=steps),
            options=recorded,
            quarantined=steps.bad,
            notes=steps.notes,
            codec=steps.codec,
        )


def series_source(source: Any, name: str = "") -> SeriesSource:
    """A path as a source. Raises `FileNotFoundError` if there is no such file."""
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"there are no series at {path}")
    return SeriesSource(name=name or str(path), identity=f"series {READING} {file_identity(path)}", path=path)


def series_like(source: Any, codec: SeriesCodec, steps: int) -> tuple[np.ndarray, list[str]]:
    """The stored series (N, T, D) of another file with the columns of this codec, T being `steps`, and notes.

    Longer ones are cut, into windows where the codec's are windows. Raises `ValueError` if a column is not there.
    """
    path = series_source(str(source).removeprefix("series:")).path
    options = DataOptions(series_window=0 if codec.whole else steps)
    if path.name.lower().removesuffix(".gz").endswith((".npy", ".npz")):
        x = load_array(path)
        if x.shape[2] != len(codec.columns):
            raise ValueError(f"{path} has {x.shape[2]} columns, the model's series {len(codec.columns)}")
        return _fitted(path, x, steps)
    cells = read_csv(path)
    frame = dict(zip(cells.names, cells.columns, strict=True))
    clock = codec.clock.name if codec.clock else codec.time
    key = find_name(codec.key, cells.names) if codec.whole else ""
    time = find_name(clock, cells.names) if clock else ""
    guessed = find_columns(path, frame, options) if key is None or time is None else ("", "")
    options = replace(options, series_id=key or guessed[0], series_time=time or guessed[1])
    found, notes = of_cells(path, cells, options, few=True), []
    rows = []
    for c in codec.columns:
        name = find_name(c.name, cells.names)
        if name is None:
            raise ValueError(f"{path} has no column {c.name!r}; it has {', '.join(cells.names)[:300]}")
        texts = [cells.columns[cells.names.index(name)][i] for i in found.order]
        values, odd = codes_of(as_written(c, texts, cells.delimiter), texts)
        if odd:
            notes.append(f"column {c.name}: {sum(odd.values()):,} cells such as {next(iter(odd))!r} count as missing")
        rows.append(values)
    x, more = _fitted(path, replace(found, rows=np.stack(rows, 1)).samples(0, len(found)), steps)
    return x, notes + more


def _fitted(path: Path, x: np.ndarray, steps: int) -> tuple[np.ndarray, list[str]]:
    """Series (N, T', D) as (N, T, D): filled up with NaN, or cut."""
    longer = int((stored_lengths(x) > steps).sum())
    x = x[:, :steps]
    found = np.full((len(x), steps, x.shape[2]), np.nan)
    found[:, : x.shape[1]] = x
    return found, [f"{longer:,} series of {path} are longer than {steps} steps and are cut there"] if longer else []
