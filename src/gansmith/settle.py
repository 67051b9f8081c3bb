"""Fields of a frozen dataclass, brought to the types they are declared with: `"200k"`, `2e5` and `200_000` mean one."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import inspect
import math
import numbers
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")
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


def settle(options: Any, whole: Range | None = None) -> None:
    """For `__post_init__`: every field gets the type it is declared with, where its value means one of that type.

    Whole numbers may come as 2e5 or from NumPy, tuples as lists, paths as text; what has a `parse` of its own (`Count`,
    `Size`) may come as it is written on the command line. Types that are not checked here are let through. A number is
    within the `Range` that is declared beside its type; one with a fraction is finite, and not lost in float32.
    `whole`: the range of whole numbers that declare none. Raises `ValueError` that says what was given and what is
    allowed.
    """
    for name, hint in _hints(type(options)).items():
        value = getattr(options, name)
        try:
            fitted = _fit(value, hint)
            given = whole is not None and isinstance(fitted, int) and not isinstance(fitted, bool)
            for limits in _ranges(type(options)).get(name, ()) or ((whole,) if given else ()):
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
    if isinstance(value, list | tuple):
        if not issubclass(kind, tuple):
            raise ValueError("it must be one number")
        if len(value) not in kind.lengths:
            raise ValueError(f"it must be {kind.lengths[-1]} numbers")
        return kind.parse(kind.divider.join(map(str, value)))
    if issubclass(kind, int) and isinstance(value, numbers.Integral):
        return kind(value)
    return kind.parse(value if isinstance(value, str) else f"{value}")


MOST_INT = 2**63 - 1


def checked(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """For functions that users call: arguments of a wrong type are refused before anything is done.

    A `TypeError` says which argument, what was given, and what is allowed; a `ValueError` where the type is right and
    the value is not. Types that say nothing simple (`Any`, protocols) are let through.
    """
    signature, title = inspect.signature(function), getattr(function, "__name__", "")

    @functools.wraps(function)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        hints = _hints_of(function)
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            if name in hints and (wanted := _wrong(value, hints[name])):
                made = isinstance(value, type)  # not an object of it
                told = f"give {value.__name__}(), made of the class" if made else f"it must be {wanted}"
                what = f"{title}: {name} is {_short(value)}; {told}"
                literal = typing.get_origin(hints[name]) is Literal and isinstance(value, str)
                raise ValueError(what) if literal or _is_number(value) else TypeError(what)
        return function(*args, **kwargs)

    return call


@functools.cache
def _hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    return typing.get_type_hints(function)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # a user's own
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 and "\n" not in text else f"a {type(value).__name__}"


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _wrong(value: Any, hint: Any) -> str:
    """What a value must be, in words, if it is not; empty if it is, or if the hint says nothing simple."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (UnionType, typing.Union):
        said = [_wrong(value, kind) for kind in inner]
        return "" if not all(said) else " or ".join(dict.fromkeys(said))
    if origin is Literal:
        known = any(type(value) is type(x) and value == x for x in inner)  # True is 1
        return "" if known else f"one of {', '.join(map(repr, inner))}"
    if origin is collections.abc.Sequence:
        good = isinstance(value, collections.abc.Sequence) and not isinstance(value, str | bytes)
        return "" if good and not any(_wrong(part, inner[0]) for part in value) else f"a list of {_plural(inner[0])}"
    if origin is collections.abc.Callable:
        return "" if callable(value) else "a function"
    if origin is type:
        return "" if isinstance(value, type) else "a class"
    kind = origin or hint
    if not isinstance(kind, type) or kind in (object, Any) or getattr(kind, "_is_protocol", False):
        return ""
    if kind is int:
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        return "" if whole and abs(int(value)) <= MOST_INT else "a whole number of at most 63 bits"
    if kind is float:
        return "" if _is_number(value) and math.isfinite(value) else "a finite number"
    return "" if isinstance(value, kind) else HINTS.get(kind, f"a {kind.__name__}")


def _plural(hint: Any) -> str:
    words = {int: "whole numbers", str: "texts", float: "numbers"}
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (UnionType, typing.Union) else (hint,)
    return " or ".join(words.get(kind, f"{getattr(kind, '__name__', kind)}s".lower()) for kind in kinds)
