"""One column of a table: its type, what was observed in it, how it is written and encoded."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from .notation import Notation

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
    """Of dates, the format (see `dates`); of numbers `fixed` (trailing zeros are kept), `bare` (the same, but .5),
    `point` (at least one decimal), `e` (with an exponent)."""
    comma: bool = False
    """Numbers have a decimal comma."""
    encoding: Encoding = "range"
    modes: tuple[tuple[float, float, float], ...] = ()
    """Weight, mean and standard deviation of each mode of `modes`."""
    pattern: str = "#"
    """What stands around numbers, which are the `#`: `$#`."""
    negative: str = "-#"
    """The same of numbers below 0: `($#)`."""
    thousands: str = ""
    """What groups the digits of numbers; see `Notation`."""
    absent: tuple[str, ...] = ()
    """Cells that mean "not known" in this column, beside those that mean it in all."""
    typed: str = ""
    """The exact type of a DataFrame's or parquet file's column, where `dtype` alone does not say it."""

    @property
    def notation(self) -> Notation:
        """How numbers are written."""
        return Notation(pattern=self.pattern, negative=self.negative, thousands=self.thousands, comma=self.comma)

    @property
    def discrete(self) -> bool:
        """Whether values are indices into `values`."""
        return self.type in ("category", "boolean")

    def to_json(self) -> dict[str, Any]:
        """The fields; of the rarer ones those that are not at their default."""
        whole = dataclasses.asdict(self)
        return {name: value for name, value in whole.items() if name not in _RARE or value != _RARE[name]}

    @classmethod
    def from_json(cls, saved: Any) -> Column:
        """Raises `ValueError` for anything that `to_json` does not give."""
        known = {f.name for f in dataclasses.fields(cls)}
        if not isinstance(saved, dict) or not known - set(_RARE) <= set(saved) <= known:
            raise ValueError(f"not a column: {str(saved)[:200]}")
        saved = {**_RARE, **saved}
        texts = ("name", "dtype", "blank", "form", "pattern", "negative", "thousands", "typed")
        numbers, counts = ("low", "high", "step"), ("missing", "decimals")
        good = (
            all(isinstance(saved[k], str) for k in texts)
            and all(isinstance(saved[k], (int, float)) and math.isfinite(saved[k]) for k in numbers)
            and all(isinstance(v, int) for v in (*(saved[k] for k in counts), *saved["counts"]))
            and all(isinstance(v, str) for v in (*saved["values"], *saved["absent"]))
            and all(saved[k].count("#") == 1 for k in ("pattern", "negative"))
            and isinstance(saved["comma"], bool)
            and saved["type"] in get_args(ColumnType)
            and saved["encoding"] in get_args(Encoding)
            and all(len(m) == 3 and all(math.isfinite(v) for v in m) and m[2] > 0 for m in saved["modes"])
            and (saved["type"] not in ("category", "boolean", "constant") or saved["values"])
            and (saved["encoding"] != "modes" or saved["modes"])
        )
        if not good:
            raise ValueError(f"not a column: {str(saved)[:200]}")
        tuples = {k: tuple(saved[k]) for k in ("values", "counts", "absent")}
        modes = tuple((float(w), float(m), float(s)) for w, m, s in saved["modes"])
        whole: dict[str, Any] = {**saved, **tuples, "modes": modes}
        return cls(**whole)


_RARE: dict[str, Any] = {"pattern": "#", "negative": "-#", "thousands": "", "absent": (), "typed": ""}
"""Fields that few columns need, and their defaults: what was saved before they were there still loads."""


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
