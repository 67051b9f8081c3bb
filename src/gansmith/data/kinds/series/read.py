"""Series in files: which column tells series apart, which is time, and the steps of all series one under another.

A CSV is long (a row a step, an id and a time in it) or wide (one long series, its rows in the order of time). Nothing
is guessed silently: every decision is a note, and `--series-id`, `--series-time` and `--columns` overrule it.
"""

from __future__ import annotations

import io
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ....options import DataOptions
from ...arrays import from_file
from ...bounded import read_file
from ...plan import Quarantined
from ..table.codes import codes_of
from ..table.column import Column
from ..table.delimited import Cells, read_csv
from ..table.infer import infer_text
from ..table.notation import DECIMAL
from ..table.reading import CONTENT, MISSING, Reading, overrides
from .codec import SeriesCodec, stored_lengths

WINDOW = 24  # steps of a window of one long series by default
_IDS = frozenset(
    (
        *("id", "ids", "uuid", "series", "subject", "patient", "person", "user", "customer", "client"),
        *("account", "unit", "entity", "device", "sensor", "machine", "station", "store", "shop", "item"),
        *("product", "sku", "ticker", "symbol", "stock", "household", "meter", "session", "participant"),
        *("child", "chick", "group"),
    )
)
_TIMES = frozenset({"time", "timestamp", "datetime", "date", "t", "ts"})
_SPANS = frozenset(
    (
        *("day", "days", "week", "weeks", "month", "months", "year", "years", "hour", "hours", "minute"),
        *("minutes", "second", "seconds", "step", "steps", "visit", "occasion", "age", "period", "wave", "round"),
    )
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Steps of all samples of a source: sample i is rows starts[i] ... starts[i] + lengths[i] - 1."""

    codec: SeriesCodec
    rows: np.ndarray
    """(M, D) float64: as stored, one under another."""
    starts: np.ndarray
    lengths: np.ndarray
    most: int
    """T: steps of the longest sample."""
    notes: tuple[str, ...]
    bad: tuple[Quarantined, ...] = ()
    order: tuple[int, ...] = ()
    """Of a CSV, which of its rows each of these is."""

    def __len__(self) -> int:
        return len(self.starts)

    def samples(self, first: int, last: int) -> np.ndarray:
        """Stored samples (last - first, T, D), NaN behind their ends."""
        places = self.starts[first:last, None] + np.arange(self.most)
        live = np.arange(self.most) < self.lengths[first:last, None]
        found = self.rows[np.where(live, places, 0)]
        found[~live] = math.nan
        return found


def read_series(path: Path, options: DataOptions) -> Steps:
    """The series of a file.

    Raises `ValueError` if there are fewer than two, none has two steps, no column tells them apart, or times cannot be
    read.
    """
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".npy", ".npz")):
        return _of_array(path, options)
    return of_cells(path, read_csv(path, Reading.of(options)), options)


def of_cells(path: Path, cells: Cells, options: DataOptions, *, few: bool = False) -> Steps:
    """The series of a CSV that was read. Raises as `read_series`.

    `few`: nothing is to be learnt from them, as their codec is known, so one series or series of one step will do.
    """
    frame = dict(zip(cells.names, cells.columns, strict=True))
    forced = overrides(options.columns, cells.names)
    reading = replace(Reading.of(options), delimiter=cells.delimiter)
    key, time = find_columns(path, frame, options)
    notes, lines = list(cells.notes), _lines(cells)
    bad = [Quarantined(f"line {cells.first + cells.header + int(q.name.split()[-1])}", q.reason) for q in cells.bad]
    ids = frame[key] if key else [""] * len(cells)
    unordered = None, np.arange(len(cells), dtype=np.float64)
    clock, seconds = read_times(path, time, frame[time], reading) if time else unordered
    nameless = {i for i in range(len(cells)) if key and reading.is_missing(ids[i].strip())}
    keep = [i for i in range(len(cells)) if i not in nameless and not math.isnan(seconds[i])]
    for i in sorted({*range(len(cells))}.difference(keep)):
        what = f"no time: {frame[time][i].strip()!r}" if math.isnan(seconds[i]) else f"no {key}"
        bad.append(Quarantined(f"line {lines[i]}", what))
    order, doubles, unsorted = _order(ids, seconds, keep)
    if time and doubles:
        first = f"line {lines[doubles[0]]}: {frame[time][doubles[0]].strip()}"
        notes.append(f"{len(doubles):,} rows repeat a time of their series ({first}): they stand as steps of their own")
    if unsorted:
        notes.append(f"{unsorted:,} rows were not in the order of time: they are sorted by {time}")
    notes.insert(0, f"series are told apart by the column {key}" if key else f"one long series in the order of {time}")
    if key:
        notes.insert(1, f"time is the column {time}" if time else "no column is time: rows are taken as they stand")
    columns, codes = [], []
    for name in cells.names:
        if name in (key, time):
            continue
        texts = [frame[name][i] for i in order]
        column, text = infer_text(name, texts, forced.get(name, ""), reading=reading) if texts else (None, "")
        if text:
            notes.append(f"column {name.strip()}: {text}")
        if column is not None:
            columns.append(column)
            codes.append(codes_of(column, texts)[0] if column.type != "constant" else np.zeros(len(texts)))
    if not order or (not few and all(c.type == "constant" for c in columns)):
        raise ValueError(f"{path} has no column to learn from: {'; '.join(notes)[:500]}")
    starts = _starts([ids[i] for i in order])
    rows = np.stack(codes, 1)
    table = _Table(path, key or "series", cells.delimiter, columns, rows, starts, clock, seconds[order], tuple(bad))
    return replace(_cut(table, options, notes, long=bool(key), few=few), order=tuple(order))


@dataclass(frozen=True)
class _Table:
    path: Path
    key: str
    delimiter: str
    columns: list[Column]
    rows: np.ndarray
    starts: np.ndarray
    """Boundaries (S + 1,) of the series among the rows."""
    clock: Column | None
    times: np.ndarray
    bad: tuple[Quarantined, ...] = ()


def _cut(table: _Table, options: DataOptions, notes: list[str], *, long: bool, few: bool = False) -> Steps:
    """Whole series, or windows of them, and the codec of what they hold."""
    rows, columns, starts = table.rows, table.columns, table.starts
    counts = np.diff(starts)
    if not few and len(counts) and counts.max() < 2:
        raise ValueError(f"{table.path}: every series of {table.key} has one step only: that is a table")
    window = options.series_window or (0 if long else WINDOW)
    if window == 1:
        raise ValueError("--series-window 1 leaves no course: windows have 2 steps or more")
    if window and counts.max() > window:
        begins = np.concatenate([s + np.arange(max(n - window + 1, 1)) for s, n in zip(starts, counts, strict=False)])
        lengths = np.minimum(np.repeat(counts, np.maximum(counts - window + 1, 1)), window)
        notes.append(f"cut into {len(begins):,} windows of {window} steps, one begun at every step: they overlap")
    else:
        begins, lengths = starts[:-1], counts
    if not few and len(begins) < 2:
        hint = "" if counts.max() < 3 else f"; --series-window {max(2, int(counts.max()) // 2)} cuts it into windows"
        raise ValueError(f"{table.path} holds one series only, of {counts.max():,} steps: there must be more{hint}")
    changes = np.ones(rows.shape, bool)
    changes[1:] = (rows[1:] != rows[:-1]) & ~(np.isnan(rows[1:]) & np.isnan(rows[:-1]))
    changes[starts[:-1]] = False
    still = [not changes[:, i].any() and len(counts) > 1 for i in range(rows.shape[1])]
    most, clock, time = int(lengths.max()), table.clock, ""
    if clock is not None:
        grid = _grid(table.times, begins, lengths, most, windows=window > 0 and counts.max() > window)
        if grid is None:  # every series has times of its own: they are learnt as any column is
            time, columns, rows = clock.name, [clock, *columns], np.column_stack((table.times, rows))
            still, clock = [False, *still], None
            notes.append(f"times of {time} differ between series: they are learnt, and samples' are put in order")
        else:
            notes.append(f"step k is at the same {clock.name} in all samples: it is not learnt, but written")
    else:
        grid = ()
    if named := [c.name.strip() for c, s in zip(columns, still, strict=True) if s and c.type != "constant"]:
        notes.append(f"the same at every step of a series: {', '.join(named)}")
    codec = SeriesCodec(
        columns=tuple(columns),
        static=tuple(still),
        key=_free(table.key, columns, clock),
        delimiter=table.delimiter,
        time=time,
        clock=clock,
        grid=tuple(grid or ()),
        whole=long,
    )
    return Steps(codec=codec, rows=rows, starts=begins, lengths=lengths, most=most, notes=tuple(notes), bad=table.bad)


def _free(key: str, columns: Sequence[Column], clock: Column | None) -> str:
    """A name for the column that tells series apart which no other column has."""
    taken = {c.name for c in columns} | ({clock.name} if clock else set())
    while key in taken:
        key += "_"
    return key


def _grid(
    times: np.ndarray, begins: np.ndarray, lengths: np.ndarray, most: int, *, windows: bool
) -> list[float] | None:
    """The time of each step where it is the same in all samples; of windows that of the first. None where it is not."""
    longest = int(begins[lengths.argmax()])
    grid = times[longest : longest + most]
    if not windows:
        for begin, n in zip(begins, lengths, strict=True):
            if not np.array_equal(times[begin : begin + n], grid[:n]):
                return None
    return grid.tolist()


# --- which column is what ---------------------------------------------------------------------------------------------


def find_columns(path: Path, frame: dict[str, list[str]], options: DataOptions) -> tuple[str, str]:
    """The column that tells series apart ("" of one long series) and that of time ("" of the order of rows).

    Raises `ValueError` if a column that is named is not there, or if nothing tells what is what.
    """
    key = _named(path, frame, options.series_id, "--series-id") if options.series_id else ""
    time = _named(path, frame, options.series_time, "--series-time") if options.series_time else ""
    rows = len(next(iter(frame.values())))
    times = [time] if time else _ranked(frame, (_TIMES, _SPANS), lambda n: _is_time(frame[n]) or _said(n, _TIMES))
    if key:
        return key, next((t for t in times if t != key), "")
    repeats = {n: len(set(cells)) for n, cells in frame.items() if n not in (time, *times[:1])}
    ids = [n for n in _ranked(frame, (_IDS,), lambda n: 1 <= repeats.get(n, 0) <= rows / 2)]
    for name in ids:
        if (found := _pair(frame, name, times)) is not None:
            return name, found
    alone = next((t for t in times if len(set(frame[t])) == rows), None)
    if alone is not None:
        return "", alone
    runs = [n for n, k in repeats.items() if 2 <= k <= rows / 2 and n not in times and _runs(frame[n]) == k]
    for name in runs:
        if times and (found := _pair(frame, name, times)) is not None:
            return name, found
    if ids:
        return ids[0], next((t for t in times if t != ids[0]), "")
    raise ValueError(
        f"{path}: no column tells series apart, and none is a time that is different in every row: name them with "
        f"--series-id and --series-time; there are {', '.join(n.strip() for n in frame)[:300]}"
    )


def _pair(frame: dict[str, list[str]], key: str, times: Sequence[str]) -> str | None:
    """The first time that no series has twice."""
    rows = len(frame[key])
    return next((t for t in times if t != key and len(set(zip(frame[key], frame[t], strict=True))) == rows), None)


def _named(path: Path, frame: dict[str, list[str]], name: str, option: str) -> str:
    found = next((n for n in frame if n.strip() == name.strip()), None)
    if found is None:
        raise ValueError(f"{option} {name}: {path} has no such column; it has {', '.join(n.strip() for n in frame)}")
    return found


def _said(name: str, words: frozenset[str]) -> bool:
    return not words.isdisjoint(w.lower() for w in _WORDS.findall(name))


def _ranked(frame: dict[str, list[str]], names: Sequence[frozenset[str]], fits: Callable[[str], bool]) -> list[str]:
    """Columns whose names hold a word of the first set, then of the second, as far as they fit."""
    found = [n for words in names for n in frame if _said(n, words) and fits(n)]
    return list(dict.fromkeys(found))


def _runs(cells: Sequence[str]) -> int:
    return 1 + sum(a != b for a, b in itertools.pairwise(cells))


def _is_time(cells: Sequence[str]) -> bool:
    there = {c.strip() for c in cells} - MISSING
    if there and all(DECIMAL.match(c) for c in there):
        return True
    try:
        return bool(there) and infer_text("time", list(there)[:2000], "date")[0] is not None
    except ValueError:
        return False


def read_times(path: Path, name: str, cells: Sequence[str], reading: Reading = CONTENT) -> tuple[Column, np.ndarray]:
    """The column of time and its stored values (N,), NaN where a cell cannot be read.

    Raises `ValueError` if more than a twentieth cannot be read.
    """
    there = [c.strip() for c in cells if c.strip() not in MISSING]
    numbers = [c for c in there if DECIMAL.match(c)]
    if there and len(numbers) >= 0.95 * len(there):
        texts = [c if DECIMAL.match(c.strip()) else "" for c in cells]
        kind = "integer" if all(re.fullmatch(r"[+-]?\d+", c) for c in numbers) else "continuous"
    else:
        texts, kind = list(cells), "date"
    try:
        column, _ = infer_text(name, texts, kind, reading=reading)
    except ValueError as error:
        odd = Counter(c for c in there if not DECIMAL.match(c)).most_common(1)
        what = f"it holds {odd[0][0]!r}, which is neither a number nor a date of one format" if odd else str(error)
        raise ValueError(f"{path}: column {name.strip()} cannot be time: {what}; --series-time names another") from None
    assert column is not None
    return replace(column, missing=0), codes_of(column, texts)[0]


def _order(ids: Sequence[str], times: np.ndarray, keep: Sequence[int]) -> tuple[list[int], list[int], int]:
    """Rows by series and time; those that repeat the time before; how many rows stood out of order."""
    first: dict[str, int] = {}
    for i in keep:
        first.setdefault(ids[i], len(first))
    order = sorted(keep, key=lambda i: (first[ids[i]], times[i]))
    last: dict[str, float] = {}
    moved = 0
    for i in keep:
        moved += times[i] < last.get(ids[i], -math.inf)
        last[ids[i]] = max(float(times[i]), last.get(ids[i], -math.inf))
    doubles = [b for a, b in itertools.pairwise(order) if ids[a] == ids[b] and times[a] == times[b]]
    return order, doubles, int(moved)


def _starts(ids: Sequence[str]) -> np.ndarray:
    turns = [i for i in range(len(ids)) if i == 0 or ids[i] != ids[i - 1]]
    return np.array([*turns, len(ids)], np.int64)


def _lines(cells: Cells) -> list[int]:
    """The line of each good row: rows of another width are in no column."""
    gone = {int(q.name.split()[-1]) for q in cells.bad}
    return [i + cells.first + cells.header for i in range(len(cells) + len(gone)) if i not in gone]


# --- arrays -----------------------------------------------------------------------------------------------------------


def _of_array(path: Path, options: DataOptions) -> Steps:
    """The series of an .npy or .npz of (N, T, D), NaN behind their ends."""
    if options.series_id or options.series_time:
        raise ValueError(f"{path} is an array, which has no names of columns: leave --series-id and --series-time out")
    x = load_array(path)
    lengths = stored_lengths(x)
    gone = np.isnan(x).all((1, 2))
    bad = tuple(Quarantined(f"row {i}", "no value at all") for i in np.flatnonzero(gone))
    x, lengths = x[~gone], lengths[~gone]
    live = np.arange(x.shape[1]) < lengths[:, None]
    rows = x[live]
    columns, notes = [], []
    for i, values in enumerate(rows.T):
        name, there = f"column {i + 1}", values[~np.isnan(values)]
        missing = len(values) - len(there)
        if not len(there) or (there.min() == there.max() and not missing):
            text = "" if not len(there) else repr(float(there[0]))
            columns.append(Column(name=name, type="constant", dtype="float", values=(text,), counts=(len(values),)))
            notes.append(f"{name}: {'the same in every step' if len(there) else 'never known'}")
            rows[:, i] = 0.0
            continue
        whole = bool(np.array_equal(there, np.rint(there))) and float(np.abs(there).max()) < 2**53
        columns.append(
            Column(
                name=name,
                type="continuous",
                dtype="float",
                low=float(there.min()),
                high=float(there.max()),
                missing=missing,
                counts=(len(there),),
                decimals=0 if whole else -1,
            )
        )
    if all(c.type == "constant" for c in columns):
        raise ValueError(f"{path} has no column to learn from: {'; '.join(notes)[:300]}")
    starts = np.concatenate(([0], np.cumsum(lengths)))
    table = _Table(path, "series", ",", columns, rows, starts, None, np.zeros(len(rows)), bad)
    return _cut(table, options, notes, long=True)


def load_array(path: Path) -> np.ndarray:
    """The (N, T, D) float64 of an .npy or .npz. Raises `ValueError` for anything else, or infinite values."""
    try:
        if path.name.lower().endswith(".gz"):
            x = np.load(io.BytesIO(read_file(path)), allow_pickle=False)
            x = x if isinstance(x, np.ndarray) else x[x.files[0]]
        else:
            x = from_file(path).x.all()
    except (EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read as NumPy arrays: {error}") from None
    if x.ndim != 3 or 0 in x.shape or x.dtype.kind not in "buif":
        raise ValueError(f"{path} has shape {x.shape} of {x.dtype.name}: series are numbers (N, T, D)")
    x = x.astype(np.float64)
    if np.isinf(x).any():
        raise ValueError(f"{path} holds infinite values: make them NaN, which is a missing cell")
    return x
