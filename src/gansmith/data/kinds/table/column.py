"""One column of a table: its type, what was observed in it, how it is written and encoded."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

ColumnType = Literal["continuous", "integer", "category", "boolean", "date", "constant"]
Encoding = Literal["range", "onehot", "modes"]
SpanKind = Literal["scalar", "mode", "value", "missing"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: its type, what was observed in it, how it is written, and how it is encoded."""

    name: str
    type: ColumnType
    dtype: str = "text"
    """How the values were typed: `text` (of a CSV), `int`, `float`, `bool`, `str`, or a NumPy `datetime64[...]`."""
    low: float = 0.0
    high: float = 0.0
    """The observed range of stored values; what is decoded is clipped to it."""
    step: float = 0.0
    """Decoded values are whole multiples of this above `low` (days of dates, 1 of integers); 0 leaves them."""
    values: tuple[str, ...] = ()
    """The categories as they are written; of a constant, its one value."""
    counts: tuple[int, ...] = ()
    """How often each category was seen."""
    missing: int = 0
    """How many cells are missing."""
    blank: str = ""
    """How a missing cell is written."""
    decimals: int = -1
    """Decimal places of numbers; -1 keeps all digits."""
    form: str = ""
    """Of dates, the strftime format; of numbers `fixed` (trailing zeros are kept), `point` (at least one decimal)."""
    comma: bool = False
    """Numbers have a decimal comma."""
    encoding: Encoding = "range"
    modes: tuple[tuple[float, float, float], ...] = ()
    """Weight, mean and standard deviation of each mode of `modes`."""

    @property
    def discrete(self) -> bool:
        """Whether values are indices into `values`."""
        return self.type in ("category", "boolean")

    @classmethod
    def from_json(cls, saved: Any) -> Column:
        """Raises `ValueError` for anything that `dataclasses.asdict` of a column does not give."""
        known = {f.name for f in dataclasses.fields(cls)}
        if not isinstance(saved, dict) or set(saved) != known:
            raise ValueError(f"not a column: {str(saved)[:200]}")
        texts, numbers, counts = ("name", "dtype", "blank", "form"), ("low", "high", "step"), ("missing", "decimals")
        good = (
            all(isinstance(saved[k], str) for k in texts)
            and all(isinstance(saved[k], (int, float)) and math.isfinite(saved[k]) for k in numbers)
            and all(isinstance(v, int) for v in (*(saved[k] for k in counts), *saved["counts"]))
            and all(isinstance(v, str) for v in saved["values"])
            and isinstance(saved["comma"], bool)
            and saved["type"] in get_args(ColumnType)
            and saved["encoding"] in get_args(Encoding)
            and all(len(m) == 3 and all(math.isfinite(v) for v in m) and m[2] > 0 for m in saved["modes"])
            and (saved["type"] not in ("category", "boolean", "constant") or saved["values"])
            and (saved["encoding"] != "modes" or saved["modes"])
        )
        if not good:
            raise ValueError(f"not a column: {str(saved)[:200]}")
        tuples = {"values": tuple(saved["values"]), "counts": tuple(saved["counts"])}
        modes = tuple((float(w), float(m), float(s)) for w, m, s in saved["modes"])
        whole: dict[str, Any] = {**saved, **tuples, "modes": modes}
        return cls(**whole)


@dataclass(frozen=True)
class Span:
    """Where a part of a column stands in the encoded vector."""

    column: int
    kind: SpanKind
    """A number; which mode it belongs to; which category; whether the cell is there (0) or missing (1)."""
    start: int
    width: int

    @property
    def end(self) -> int:
        """One past the last place."""
        return self.start + self.width
