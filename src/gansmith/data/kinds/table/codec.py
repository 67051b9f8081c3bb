"""Tables: what a column is, and the codec that turns rows of mixed columns into tensors and back.

A stored row is float64 (D,): numbers as they are, categories as indices, dates as seconds since 1970, NaN where a cell
is missing. The codec lays each column out as one or more spans of the networks' vector; what comes back has the types,
decimals, formats and observed ranges of the original.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...codec import Codec
from .cells import column_values, restore
from .column import Column, Encoding, Span, SpanKind
from .modes import fit_modes


@dataclass(frozen=True, kw_only=True)
class TableCodec(Codec):
    """Rows (N, D) of a table to vectors (N, W), and back.

    By its encoding a column becomes: `range`, one number in [0, 1]; `onehot`, a one-hot vector of its categories;
    `modes`, the distance to the mean of a mode in four standard deviations, within +-0.99, and a one-hot vector of the
    mode. A constant takes no room. Missing cells are NaN, or, with `indicators`, one category more of a discrete column
    and a one-hot pair (there, missing) beside a number; then no NaN is left.
    """

    columns: tuple[Column, ...]
    indicators: bool = False
    delimiter: str = ","
    left_out: tuple[str, ...] = ()
    """Columns of the source that are not part of the table: ids."""
    encoding: str = ""
    """Of the source, where it is not UTF-8: other files of its kind are read so as well."""

    @functools.cached_property
    def spans(self) -> tuple[Span, ...]:
        """The parts of the encoded vector, in order."""
        found: list[Span] = []
        at = 0
        for i, c in enumerate(self.columns):
            parts: list[tuple[SpanKind, int]] = []
            absent = bool(c.missing) and self.indicators
            if c.type == "constant":
                pass
            elif c.discrete and c.encoding == "onehot":
                parts = [("value", len(c.values) + absent)]
            else:
                parts.append(("scalar", 1))
                if c.encoding == "modes":
                    parts.append(("mode", len(c.modes)))
                if absent:
                    parts.append(("missing", 2))
            for kind, width in parts:
                found.append(Span(i, kind, at, width))
                at += width
        return tuple(found)

    @property
    def width(self) -> int:
        """Length of an encoded row."""
        return self.spans[-1].end if self.spans else 0

    @functools.cached_property
    def choices(self) -> tuple[Span, ...]:
        """The spans that a condition may fix: the discrete ones."""
        return tuple(s for s in self.spans if s.kind in ("value", "missing"))

    @functools.cached_property
    def num_conditions(self) -> int:
        """How many (column, category) pairs there are; a condition is an index into them, in the order of `choices`."""
        return sum(s.width for s in self.choices)

    @functools.cached_property
    def conditions(self) -> tuple[tuple[str, str], ...]:
        """(column, value) of each condition, in the order of `condition`."""
        names: list[tuple[str, str]] = []
        for span in self.choices:
            column = self.columns[span.column]
            values = (*column.values, "(missing)") if span.kind == "value" else ("(present)", "(missing)")
            names += [(column.name, value) for value in values[: span.width]]
        return tuple(names)

    def frequencies(self, span: Span) -> np.ndarray:
        """How often each place of a discrete span was seen in the data, (width,) float64."""
        c = self.columns[span.column]
        if span.kind == "missing":
            total = sum(c.counts) if c.discrete else c.counts[0]
            return np.array([total, c.missing], np.float64)
        return np.array([*c.counts, *([c.missing] if span.width > len(c.values) else [])], np.float64)

    def condition(self, column: int, code: float) -> int | None:
        """The index of the condition that this column has this stored value; None if none can say so."""
        offset = 0
        for span in self.choices:
            if span.column == column:
                if span.kind == "missing" and math.isnan(code):
                    return offset + 1
                if span.kind == "value":
                    place = len(self.columns[column].values) if math.isnan(code) else int(code)
                    return offset + place if place < span.width else None
            offset += span.width
        return None

    def shape(self, raw: tuple[int, ...]) -> tuple[int, ...]:
        """(W,) of one encoded row."""
        del raw
        return (self.width,)

    def stored(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
        """A number a column."""
        del shape
        return (len(self.columns),), "float64"

    def encode(self, raw: Tensor) -> Tensor:
        """(N, D) float64 to (N, W) float32. Which mode a number is given to is drawn from their responsibilities by a
        hash of its row, so that it is a pure function of the row.
        """
        parts: list[Tensor] = []
        absent, row = torch.isnan(raw), _hash_of(raw)
        for i, c in enumerate(self.columns):
            x, gone = raw[:, i : i + 1], absent[:, i : i + 1]
            if c.type == "constant":
                continue
            marked = bool(c.missing) and self.indicators
            if c.discrete and c.encoding == "onehot":
                k = len(c.values)
                places = torch.arange(k + marked, device=raw.device)
                hot = (torch.where(gone, float(k), x) == places).to(torch.float32)
                parts.append(hot if self.indicators else torch.where(gone, math.nan, hot))
                continue
            if c.encoding == "modes":
                parts.append(_to_modes(x, gone, c, _uniform_of(row, i)))
            else:
                unit = ((x - c.low) / ((c.high - c.low) or 1.0)).to(torch.float32)
                parts.append(torch.where(gone, 0.5, unit) if self.indicators else unit)
            if marked:
                parts += [(~gone).to(torch.float32), gone.to(torch.float32)]
        return torch.cat(parts, 1)

    def decode(self, x: Tensor) -> np.ndarray:
        """(N, W) to stored rows (N, D) float64: within the observed ranges, rounded as the data is."""
        values = x.detach().to("cpu", torch.float32).double().numpy()
        raw = np.zeros((len(values), len(self.columns)))
        for span in self.spans:
            c, part = self.columns[span.column], values[:, span.start : span.end]
            column = raw[:, span.column]
            if span.kind == "scalar" and c.encoding == "range":
                column[:] = restore(c, part[:, 0] * (c.high - c.low) + c.low)
            elif span.kind == "scalar":
                column[:] = part[:, 0].clip(-1, 1)
            elif span.kind == "mode":
                table = np.array(c.modes)[_argmax(part)]
                column[:] = restore(c, column * 4 * table[:, 2] + table[:, 1])
            elif span.kind == "value":
                place = _argmax(part).astype(np.float64)
                column[:] = np.where((place >= len(c.values)) | np.isnan(part).any(1), math.nan, place)
            else:
                column[_argmax(part) == 1] = math.nan
        return raw

    def present(self, stored: np.ndarray) -> np.ndarray:
        """Stored rows (N, D) as a structured array (N,) with a field a column; see `column_values`."""
        arrays = [column_values(c, stored[:, i]) for i, c in enumerate(self.columns)]
        rows = np.empty(len(stored), [(c.name, a.dtype) for c, a in zip(self.columns, arrays, strict=True)])
        for c, a in zip(self.columns, arrays, strict=True):
            rows[c.name] = a
        return rows

    def index(self, name: str) -> int:
        """The number of a column. Raises `ValueError` with the columns there are."""
        for exact in (True, False):
            for i, c in enumerate(self.columns):
                if c.name == name if exact else c.name.strip() == name.strip():
                    return i
        raise ValueError(f"there is no column {name!r}; there are {', '.join(c.name.strip() for c in self.columns)}")

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return {
            "kind": "table",
            "columns": [c.to_json() for c in self.columns],
            "indicators": self.indicators,
            "delimiter": self.delimiter,
            "left_out": list(self.left_out),
            **({"encoding": self.encoding} if self.encoding else {}),
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> TableCodec:
        """Raises `ValueError` for anything that `to_json` does not give."""
        match saved:
            case {
                "columns": [*columns],
                "indicators": bool(indicators),
                "delimiter": str(delimiter),
                "left_out": [*left_out],
            } if len(delimiter) == 1:
                found = tuple(Column.from_json(c) for c in columns)
                return cls(
                    columns=found,
                    indicators=indicators,
                    delimiter=delimiter,
                    left_out=tuple(map(str, left_out)),
                    encoding=str(saved.get("encoding", "")),
                )
        raise ValueError(f"not a table's codec: {str(saved)[:200]}")


def _to_modes(x: Tensor, gone: Tensor, c: Column, u: Tensor) -> Tensor:
    weight, mean, sd = (_constant(row, x.device) for row in zip(*c.modes, strict=True))
    z = (x - mean) / sd
    log = torch.where(gone, 0.0, -0.5 * z.square() - sd.log()) + weight.log()
    reached = log.softmax(1).cumsum(1)
    mode = (reached < u).sum(1, keepdim=True).clamp_max(len(c.modes) - 1)
    alpha = torch.where(gone, 0.0, (z.gather(1, mode) / 4)).clamp(-0.99, 0.99)
    hot = mode == torch.arange(len(c.modes), device=x.device)
    return torch.cat((alpha.to(torch.float32), hot.to(torch.float32)), 1)


def _hash_of(raw: Tensor) -> Tensor:
    """64 bits (N, 1) of each row: a hash of the bits of its values, which may all be near 1e-9, or without fraction."""
    bits = (raw.nan_to_num(-1.0) + 0.0).contiguous().view(torch.int64)  # 0 and -0 are one number
    place = torch.arange(1, raw.shape[1] + 1, device=raw.device) * 0x1E3779B97F4A7C15
    return _mix(_mix(bits ^ place).sum(1, keepdim=True))


def _uniform_of(row: Tensor, column: int) -> Tensor:
    """A number in [0, 1) of each row's hash (N, 1) and this column."""
    return ((_mix(row + (column + 1) * 0x9E3779B97F4A7C1) >> 11) & (2**53 - 1)).to(torch.float64) / 2**53


def _mix(x: Tensor) -> Tensor:
    """The finaliser of SplitMix64 on int64: a shift to the right brings no sign along."""
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        x = (x ^ ((x >> shift) & (2 ** (64 - shift) - 1))) * factor
    return x ^ ((x >> 31) & (2**33 - 1))


@functools.lru_cache(maxsize=1024)
def _constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Copied to the device once: a copy in every batch would make the host wait for it."""
    return torch.tensor(values, dtype=torch.float64, device=device)


def _argmax(part: np.ndarray) -> np.ndarray:
    return np.nan_to_num(part, nan=-math.inf).argmax(1)


def select(codec: TableCodec, *, numbers: Encoding, indicators: bool, most: int, stored: np.ndarray) -> TableCodec:
    """The codec with one-hot discrete columns and this encoding of numbers.

    `modes` are fitted on the stored rows (N, D), with at most `most` modes a column.
    """
    columns = []
    for i, c in enumerate(codec.columns):
        if c.discrete or c.type == "constant":
            columns.append(dataclasses.replace(c, encoding="onehot" if c.discrete else "range", modes=()))
        else:
            modes = fit_modes(np.array(stored[:, i]), most) if numbers == "modes" else ()
            columns.append(dataclasses.replace(c, encoding=numbers, modes=modes))
    return dataclasses.replace(codec, columns=tuple(columns), indicators=indicators)
