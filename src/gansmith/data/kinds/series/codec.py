"""The codec that turns series of mixed columns and different lengths into tensors of one shape and back.

A stored series is float64 (T, D): each step a row of a table (numbers as they are, categories as indices, dates as
seconds since 1970, NaN where a cell is missing), and rows behind the end all NaN. An encoded one is float32 (T, W) in
[-1, 1]; its channels are, in this order,
- those of columns that change: of a number one in [-1, 1], of a category its one-hot vector; 0 behind the end;
- those of columns that do not change within a series (`static`), the same at every step, behind the end too;
- with `per_series`, middle and half width of the range of each number that changes, the same at every step;
- one that says whether the step exists: 1, or -1 behind the end.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ...codec import Codec
from ..table.cells import column_values, restore
from ..table.column import Column
from ..table.dates import write_date

ChannelKind = Literal["number", "category", "missing", "middle", "half", "alive"]
_UNITS = ("s", "ms", "us", "ns")


@dataclass(frozen=True)
class Channels:
    """A part of the encoded step: which channels, and what they say of which column."""

    kind: ChannelKind
    """`number`, in [-1, 1]; `category`, one-hot; `missing`, 1 where a number is missing and -1 where it is there;
    `middle` and `half`, of a number's range within its series; `alive`, 1 or -1."""
    column: int
    """-1 of `alive`."""
    start: int
    width: int

    @property
    def end(self) -> int:
        """One past the last channel."""
        return self.start + self.width


@dataclass(frozen=True, kw_only=True)
class SeriesCodec(Codec):
    """Series (N, T, D), NaN behind their ends, to tensors (N, T, W) in [-1, 1], and back; see the module's docstring.

    A missing cell of a category is one category more; beside a number a channel of its own says so, and the number is
    0. A column without missing cells (`Column.missing` is 0) has no such channel. A constant takes no room.
    """

    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    columns: tuple[Column, ...]
    static: tuple[bool, ...]
    """Of each column, whether it has one value in all steps of a series."""
    per_series: bool = False
    """Numbers that change are scaled by the range within their own series, and the range becomes channels; else by the
    range within all the data."""
    key: str = "series"
    """How the column is called that tells series apart, in what is presented to the user."""
    delimiter: str = ","
    time: str = ""
    """The column of time where that is learnt: in what is decoded it never runs backwards within a series."""
    clock: Column | None = None
    """The column of time where it is not learnt: step k is at `grid[k]` in every series."""
    grid: tuple[float, ...] = ()
    """Stored values of `clock`, one a step."""
    whole: bool = True
    """Series that were told apart by a column; False of windows of one long series."""

    @functools.cached_property
    def channels(self) -> tuple[Channels, ...]:
        """The parts of an encoded step, in order."""
        parts: list[tuple[ChannelKind, int, int]] = []
        for still in (False, True):
            for i, c in enumerate(self.columns):
                if self.static[i] != still or c.type == "constant":
                    continue
                if c.discrete:
                    parts.append(("category", i, len(c.values) + bool(c.missing)))
                    continue
                parts.append(("number", i, 1))
                if c.missing:
                    parts.append(("missing", i, 1))
        for i, c in enumerate(self.columns):
            if self.per_series and not (self.static[i] or c.discrete or c.type == "constant"):
                parts.append(("middle", i, 1))
                parts.append(("half", i, 1))
        parts.append(("alive", -1, 1))
        starts = np.cumsum([0, *(width for *_, width in parts)]).tolist()
        return tuple(Channels(kind, i, at, width) for (kind, i, width), at in zip(parts, starts, strict=False))

    @property
    def width(self) -> int:
        """Channels of an encoded step."""
        return self.channels[-1].end

    @functools.cached_property
    def changing(self) -> tuple[Channels, ...]:
        """The channels of columns that change: the first ones."""
        return tuple(
            c for c in self.channels if c.kind not in ("middle", "half", "alive") and not self.static[c.column]
        )

    @functools.cached_property
    def still(self) -> tuple[Channels, ...]:
        """The channels of columns that do not, behind them."""
        return tuple(c for c in self.channels if c.kind not in ("middle", "half", "alive") and self.static[c.column])

    @functools.cached_property
    def ranges(self) -> tuple[Channels, ...]:
        """The channels of ranges within series, behind those; none without `per_series`. The last channel is left."""
        return tuple(c for c in self.channels if c.kind in ("middle", "half"))

    def shape(self, raw: tuple[int, ...]) -> tuple[int, ...]:
        """(T, W) of one encoded series."""
        return (raw[0], self.width)

    def stored(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
        """Shape (T, D) and dtype of one stored series whose encoded shape is (T, W)."""
        return (shape[0], len(self.columns)), "float64"

    def encode(self, raw: Tensor) -> Tensor:
        """(N, T, D) float64 to (N, T, W) float32. A series ends with its last row that is not all NaN, and has at least
        one step; a static column has the value of its first step.
        """
        steps = raw.shape[1]
        first = torch.arange(steps, device=raw.device)[None] == 0
        ends = (~raw.isnan()).any(2).flip(1).long().cummax(1).values.flip(1)
        alive = (ends > 0) | first
        parts: dict[tuple[ChannelKind, int], Tensor] = {("alive", -1): 2.0 * alive[..., None] - 1.0}
        for i, c in enumerate(self.columns):
            if c.type == "constant":
                continue
            x = raw[:, :1, i : i + 1].expand(-1, steps, -1) if self.static[i] else raw[:, :, i : i + 1]
            gone, there = x.isnan(), alive[..., None] | self.static[i]
            if c.discrete:
                places = torch.arange(len(c.values) + bool(c.missing), device=raw.device)
                parts["category", i] = (torch.where(gone, float(len(c.values)), x) == places) & there
                continue
            unit = 2.0 * (x - c.low) / ((c.high - c.low) or 1.0) - 1.0
            if self.per_series and not self.static[i]:
                unit, parts["middle", i], parts["half", i] = _by_own_range(unit, gone)
            parts["number", i] = torch.where(gone, 0.0, unit)
            parts["missing", i] = torch.where(there, 2.0 * gone - 1.0, 0.0)
        return torch.cat([parts[c.kind, c.column].to(torch.float32) for c in self.channels], 2)

    def lengths(self, x: Tensor) -> Tensor:
        """Steps (N,) int64 of encoded series (N, T, W): up to the first whose last channel is below 0, at least 1."""
        return (x[..., -1] >= 0).long().cumprod(1).sum(1).clamp_min(1)

    def decode(self, x: Tensor) -> np.ndarray:
        """(N, T, W) to stored series (N, T, D) float64: within the observed ranges, rounded as the data is, NaN behind
        the end. Where channels of static columns differ from step to step, their mean over the series counts.
        """
        values = x.detach().to("cpu", torch.float32).double().numpy()
        lengths = self.lengths(x).cpu().numpy()
        live = np.arange(values.shape[1]) < lengths[:, None]
        means = np.where(live[..., None], values, 0.0).sum(1, keepdims=True) / lengths[:, None, None]
        own = {(c.kind, c.column): means[:, :, c.start].clip(-1, 1) for c in self.ranges}
        raw = np.zeros((*values.shape[:2], len(self.columns)))
        for part in (*self.changing, *self.still):
            c, found = self.columns[part.column], means if self.static[part.column] else values
            found, cells = found[..., part.start : part.end], raw[..., part.column]
            if part.kind == "category":
                place = np.nan_to_num(found, nan=-math.inf).argmax(2).astype(np.float64)
                cells[:] = np.where((place >= len(c.values)) | np.isnan(found).any(2), math.nan, place)
            elif part.kind == "missing":
                cells[np.broadcast_to(found[..., 0] > 0, cells.shape)] = math.nan
            else:
                unit = found[..., 0]
                if ("half", part.column) in own:
                    half = (own["half", part.column] + 1) / 2
                    unit = own["middle", part.column] + half * unit.clip(-1, 1)
                cells[:] = restore(c, (unit + 1) / 2 * (c.high - c.low) + c.low)
        raw[~live] = math.nan
        for i, c in enumerate(self.columns):
            if c.name == self.time:
                raw[..., i].sort(1)  # NaN, behind the end, stays last
        return raw

    def rows(self, stored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The steps of stored series (N, T, D) one under another (M, D), and the number (M,) of the series of each."""
        live = np.arange(stored.shape[1]) < stored_lengths(stored)[:, None]
        return stored[live], np.nonzero(live)[0]

    def times(self, stored: np.ndarray) -> np.ndarray:
        """The stored values (M,) of `clock` at the steps of stored series, one under another."""
        return np.concatenate([np.asarray(self.grid)[:n] for n in stored_lengths(stored)])

    def present(self, stored: np.ndarray) -> np.ndarray:
        """Stored series (N, T, D) as one structured array (M,) of all their steps: the number of the series, from 0,
        under the name `key`, the time of its `clock`, then a field a column in its own type, as of a table.
        """
        steps, which = self.rows(stored)
        arrays = {self.key: which}
        if self.clock is not None:
            arrays[self.clock.name] = column_values(self.clock, self.times(stored))
        arrays |= {c.name: column_values(c, steps[:, i]) for i, c in enumerate(self.columns)}
        found = np.empty(len(steps), [(name, a.dtype) for name, a in arrays.items()])
        for name, a in arrays.items():
            found[name] = a
        return found

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return {
            "kind": "series",
            "columns": [c.to_json() for c in self.columns],
            "static": list(self.static),
            "per_series": self.per_series,
            "key": self.key,
            "delimiter": self.delimiter,
            "time": self.time,
            "clock": None if self.clock is None else self.clock.to_json(),
            "grid": list(self.grid),
            "whole": self.whole,
        }

    @classmethod
    def from_json(cls, saved: Any) -> SeriesCodec:
        """Raises `ValueError` for anything that `to_json` does not give, whatever its type."""
        match saved:
            case {
                "kind": "series",
                "columns": [*columns],
                "static": [*static],
                "per_series": bool(per_series),
                "key": str(key),
                "delimiter": str(delimiter),
                "time": str(time),
                "clock": {} | None as clock,
                "grid": [*grid],
                "whole": bool(whole),
                **rest,
            } if not rest and columns and len(static) == len(columns) and len(delimiter) == 1:
                found = tuple(_column(c) for c in columns)
                hand = None if clock is None else _column(clock)
                taken = [c.name for c in (*found, *([hand] if hand else []))] + [key]
                timed = all(isinstance(g, float) and math.isfinite(g) for g in grid) and bool(grid) == (
                    hand is not None
                )
                good = timed and (not time or time in taken[: len(found)]) and not (hand and hand.discrete)
                if good and len(set(taken)) == len(taken) and key and all(isinstance(s, bool) for s in static):
                    return cls(
                        columns=found,
                        static=tuple(static),
                        per_series=per_series,
                        key=key,
                        delimiter=delimiter,
                        time=time,
                        clock=hand,
                        grid=tuple(grid),
                        whole=whole,
                    )
        raise ValueError(f"not a codec of series: {str(saved)[:200]}")


def stored_lengths(stored: np.ndarray) -> np.ndarray:
    """Steps (N,) int64 of stored series (N, T, D): up to the last row that is not all NaN, at least 1."""
    there = ~np.isnan(stored).all(2)
    steps = np.arange(1, stored.shape[1] + 1)
    return np.maximum((there * steps).max(1, initial=1), 1)


def _by_own_range(unit: Tensor, gone: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Values (N, T, 1) in [-1, 1] scaled to [-1, 1] by the range of each series, its middle in [-1, 1], and its half
    width in [0, 1] as a number in [-1, 1]; 0 all through a series that does not move, or is not known.
    """
    low = torch.where(gone, math.inf, unit).amin(1, keepdim=True)
    high = torch.where(gone, -math.inf, unit).amax(1, keepdim=True)
    known = low <= high
    middle, half = torch.where(known, (low + high) / 2, 0.0), torch.where(known, (high - low) / 2, 0.0)
    scaled = torch.where(half > 0, (unit - middle) / torch.where(half > 0, half, 1.0), 0.0)
    return scaled, middle.expand_as(unit), (2.0 * half - 1.0).expand_as(unit)


def _column(saved: Any) -> Column:
    """A column of `dataclasses.asdict`. Raises `ValueError` for one that could not be decoded."""
    try:
        column = Column.from_json(saved)
        sound = (
            column.name != ""
            and column.encoding in ("range", "onehot")
            and column.low <= column.high
            and column.step >= 0
            and column.missing >= 0
            and -1 <= column.decimals <= 30
            and len(set(column.values)) == len(column.values)
            and (not column.discrete or len(column.counts) == len(column.values))
            and (column.type != "date" or _is_date(column, (column.low, column.high)))
        )
    except (TypeError, OverflowError):
        sound = False
    if not sound:
        raise ValueError(f"not a column of series: {str(saved)[:200]}")
    return column


def _is_date(column: Column, seconds: Sequence[float]) -> bool:
    """Whether these stored values can be written as the column's dates. Raises `OverflowError` if they are too far."""
    if column.dtype.startswith("datetime64"):
        return column.dtype in [f"datetime64[{unit}]" for unit in _UNITS] and max(map(abs, seconds)) < 2**33
    return all(bool(write_date(column.form, s)) for s in seconds)
