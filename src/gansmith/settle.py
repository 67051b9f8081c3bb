"""Fields of a frozen dataclass, brought to the types they are declared with: `"200k"`, `2e5` and `200_000` mean one."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import typing
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal

FLOAT32 = (1.1754944e-38, 3.4028235e38)
"""The smallest number of full precision, and the largest."""
HINTS = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    Path: "a path",
    NoneType: "None",
}


@dataclass(frozen=True)
class Range:
    """The least and the greatest value of a number, declared beside its type: `Annotated[int, Range(1, 100)]`."""

    low: float
    high: float

    def check(self, value: float) -> None:
        """Raises `ValueError` that says what is allowed."""
        if not self.low <= value <= self.high:  # NaN is within nothing
            raise ValueError(f"it must be at least {self.low:,} and at most {self.high:,}")


def settle(options: Any) -> None:
    """For `__post_init__`: every field gets the type it is declared with, where its value means one of that type.

    Whole numbers may come as 2e5 or from NumPy, tuples as lists, paths as text; what has a `parse` of its own (`Count`,
    `Size`) may come as it is written on the command line. Types that are not checked here are let through. A number is
    within the `Range` that is declared beside its type; one with a fraction is finite, and not lost in float32.
    Raises `ValueError` that says what was given and what is allowed.
    """
    for name, hint in _hints(type(options)).items():
        value = getattr(options, name)
        try:
            fitted = _fit(value, hint)
            for limits in _ranges(type(options)).get(name, ()):
                limits.check(fitted)
            for part in fitted if isinstance(fitted, tuple) else (fitted,):
                if isinstance(part, float):
                    _check_float(part)
        except ValueError as error:
            raise ValueError(f"{type(options).__name__}: {name} is {value!r}; {error}") from None
        if fitted is not value:
            object.__setattr__(options, name, fitted)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


@functools.cache
def _ranges(kind: Any) -> dict[str, tuple[Range, ...]]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {name: tuple(x for x in typing.get_args(hint)[1:] if isinstance(x, Range)) for name, hint in hints.items()}


def _check_float(value: float) -> None:
    if not math.isfinite(value):
        raise ValueError("it must be a finite number")
    if value and not FLOAT32[0] <= abs(value) <= FLOAT32[1]:
        raise ValueError(
            "training computes in float32, which knows 0 and numbers from {:.2g} to {:.2g} in size".format(*FLOAT32)
        )


def _fit(value: Any, hint: Any) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value in inner:
            return value
        raise ValueError(f"it must be one of {', '.join(map(str, inner))}")
    if origin in (UnionType, typing.Union):
        return _either(value, inner)
    if origin is tuple:
        kinds = inner[:1] * len(value) if Ellipsis in inner and isinstance(value, tuple | list) else inner
        if isinstance(value, tuple | list) and len(value) == len(kinds):
            return tuple(_fit(v, kind) for v, kind in zip(value, kinds, strict=True))
        raise ValueError(f"it must be {len(kinds)} values")
    if not isinstance(hint, type) or type(value) is hint:
        return value
    if hasattr(hint, "parse"):
        return _parsed(value, hint)
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if hint is float and number:
        return float(value)
    if hint is int and number and math.isfinite(value) and value == int(value):
        return int(value)
    if hint in HINTS and not (hint is str and isinstance(value, str)):
        raise ValueError(f"it must be {HINTS[hint]}")
    return value


def _either(value: Any, kinds: tuple[Any, ...]) -> Any:
    said = []
    for kind in kinds:
        try:
            return _fit(value, kind)
        except ValueError as error:
            said.append(str(error).removeprefix("it must be "))
    raise ValueError(f"it must be {' or '.join(said)}")


def _parsed(value: Any, kind: Any) -> Any:
    """As on the command line, or from the values that the type is made of."""
    if isinstance(value, list | tuple) or (issubclass(kind, int) and isinstance(value, numbers.Integral)):
        return kind(value)
    return kind.parse(value if isinstance(value, str) else f"{value}")
