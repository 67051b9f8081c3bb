"""What a model can be asked for, as data: a command line, a service or a studio makes its controls of it.

`Recipe.asks` names the entries of `given` that `Recipe.sample` understands, and what each may hold: a tensor with a
row for each of n samples. What is not named there is refused. Nothing here needs PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class Class:
    """A class of the data for each sample: labels (n,) int64, from 0 to `count` - 1. Drawn if it is not given."""

    names: tuple[str, ...]
    """Of the classes 0, 1, ..."""
    help: str = "The class of each sample; left open, classes are drawn."

    @property
    def count(self) -> int:
        """How many classes there are."""
        return len(self.names)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of several possibilities without a name for each sample: (n,) int64, from 0 to `count` - 1."""

    count: int
    help: str = "Which of the kinds that were found without labels; their numbers mean nothing by themselves."


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A value in a discrete column of a table, which each row is to have: (n,) int64, a place in `names`."""

    names: tuple[tuple[str, str], ...]
    """(column, value) of the conditions 0, 1, ..."""
    help: str = "A value that each row has in one of its discrete columns; left open, they are drawn as in the data."

    @property
    def count(self) -> int:
        """How many conditions there are."""
        return len(self.names)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The noise that each sample is made of: (n, size), standard normal. The same noise gives the same sample."""

    size: int
    help: str = "The noise that a sample is made of: the same for two samples, they differ only in what else is asked."


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Several numbers for each sample: (n, size), each meant to lie in [low, high]."""

    size: int
    low: float
    high: float
    help: str = "Ways to vary a sample, a number each."


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number for each sample: (n,), meant to lie in [low, high]; `default` is what it is if it is not given."""

    low: float
    high: float
    default: float
    help: str


@dataclass(frozen=True, kw_only=True)
class Switch:
    """On or off for each sample: (n,), 0 for off."""

    help: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture to make each sample of: (n, C, H, W), encoded. Of several pictures, one is given.

    `shape` (C, H, W) is that of training; networks that are convolutional throughout take other sizes too.
    """

    shape: tuple[int, ...]
    help: str = "The picture that a sample is made of."


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A row of a table to fill for each sample: (n, width), encoded, NaN where a cell is missing."""

    width: int
    help: str = "Rows of a table, whose missing cells are filled."


Ask: TypeAlias = Class | Choice | Condition | Noise | Numbers | Number | Switch | Picture | Rows
"""One thing that a model can be asked for. All have a `help`: one line in plain English."""
