"""What a source is: kinds are asked in turn whether it is theirs."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..options import DataOptions
from .kind import Given, Source, all_kinds, kind_names, kind_of


def _numbers(source: Any) -> bool:
    """Whether rows of numbers were given in lists."""
    while isinstance(source, list | tuple) and len(source):
        source = source[0]
    return isinstance(source, numbers.Real)


def _array(source: Any) -> np.ndarray:
    """A tensor or rows in lists as an array. Raises `ValueError` for what has no numbers at hand."""
    if isinstance(source, Tensor):
        if source.is_meta or source.layout != torch.strided:
            what = "on the meta device" if source.is_meta else "sparse"
            raise ValueError(f"the tensor of {tuple(source.shape)} is {what}: give one that holds its numbers")
        source = source.detach().cpu().resolve_conj().resolve_neg()
        source = source.float() if source.dtype == torch.bfloat16 else source
    try:
        return np.asarray(source)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"a {type(source).__name__} is no array of numbers: {error}") from error


def recognise(
    source: str | Path | np.ndarray | Mapping[str, np.ndarray] | Sequence[str] | Any,
    options: DataOptions,
    cache: Path,
    progress: bool,
) -> Source:
    """Tell what a source is, by its name and its content.

    Raises `FileNotFoundError` if it is not there, `ValueError` if it is nothing that is known.
    """
    known = isinstance(source, str | Path | np.ndarray | Mapping) or hasattr(source, "iloc")  # a DataFrame
    if not known and (hasattr(source, "__array__") or _numbers(source)):  # a tensor of some library, rows in lists
        source = _array(source)
    elif isinstance(source, Mapping):
        source = {name: _array(value) if isinstance(value, Tensor) else value for name, value in source.items()}
    prefix, colon, rest = str(source).partition(":") if isinstance(source, str | Path) else ("", "", "")
    if colon and prefix in kind_names():
        given = Given(value=source, prefix=prefix, rest=rest, options=options, cache=cache, progress=progress)
        found = kind_of(prefix).recognise(given)
        if found is None:
            there = "" if given.path is not None else f"there is no {rest!r}; "
            raise ValueError(f"{source}: {there}{prefix} may be {', '.join(kind_of(prefix).sources)}")
        return found
    given = Given(value=source, options=options, cache=cache, progress=progress)
    for kind in all_kinds():
        if (found := kind.recognise(given)) is not None:
            return found
    listed = ", ".join(dict.fromkeys(words for kind in all_kinds() for words in kind.sources))
    if isinstance(source, str | Path) and given.path is None:
        raise FileNotFoundError(f"there is no {str(source)!r}: give {listed}")
    what = str(source) if isinstance(source, str | Path) else f"a {type(source).__name__}"
    raise ValueError(f"{what} is no source that is known: give {listed}")
