"""Rows to a condition: asked of the generator where it can be told, and sorted out where it cannot."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..data import DataSpec, TableCodec
from ..data.kinds.table.dates import parse_date
from ..machine import check_samples
from ..model.draw import Weights, draw_samples
from ..model.model import Model
from ..settle import checked
from ..step.randomness import derive

DRAWS = 100
"""At most so many rows are drawn for each one that is asked for (and never fewer than 20,000)."""
CHUNK = 1_024
_OPERATOR = re.compile(r"\s*(==|=|!=|<=|>=|<|>)\s*")


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What a column is to be."""

    column: int
    operator: str
    """One of = != < <= > >=."""
    value: float
    """As stored; NaN means a missing cell."""
    text: str

    def holds(self, stored: np.ndarray) -> np.ndarray:
        """Which rows (N, D) satisfy it, (N,) bool; a missing cell is neither above nor below anything."""
        x = stored[:, self.column]
        if math.isnan(self.value):
            return np.isnan(x) == (self.operator == "=")
        with np.errstate(invalid="ignore"):
            match self.operator:
                case "=":
                    return x == self.value
                case "!=":
                    return x != self.value
                case "<":
                    return x < self.value
                case "<=":
                    return x <= self.value
                case ">":
                    return x > self.value
        return x >= self.value


@dataclass(frozen=True, kw_only=True)
class Found:
    """Rows that satisfy the conditions."""

    stored: np.ndarray
    drawn: int
    """How many rows were drawn to find them."""
    how: str
    """In words: what was asked of the generator, and what share it obeyed."""


def conditions(where: str | Sequence[str], spec: DataSpec) -> list[Condition]:
    """`income = >50K`, or several divided by commas, or a list of them: column, operator, value as the table writes it.

    Raises `ValueError` for unknown columns, operators and values, with the nearest there is.
    """
    codec = spec.codec
    if not isinstance(codec, TableCodec):
        raise ValueError(f"a condition on columns is for tables; this model makes data of kind {spec.kind}")
    names = sorted((c.name.strip() for c in codec.columns), key=len, reverse=True)
    starts = "|".join(map(re.escape, names))
    found = []
    for text in [where] if isinstance(where, str) else where:
        pieces = re.split(rf",(?=\s*(?:{starts})\s*(?:==|=|!=|<=|>=|<|>))", text)
        found += [_condition(piece.strip(), codec, names) for piece in pieces if piece.strip()]
    if not found:
        raise ValueError("an empty condition: write column = value")
    return found


def _condition(text: str, codec: TableCodec, names: Sequence[str]) -> Condition:
    for name in names:
        match = _OPERATOR.match(text, len(name)) if text.startswith(name) else None
        if match is None:
            continue
        column, operator, value = codec.index(name), match.group(1).replace("==", "="), text[match.end() :].strip()
        c = codec.columns[column]
        if value == "" or value == c.blank.strip() != "":
            if operator not in ("=", "!="):
                raise ValueError(f"{text!r}: a missing cell is neither above nor below anything; write = or !=")
            return Condition(column=column, operator=operator, value=math.nan, text=text)
        if c.discrete or c.type == "constant":
            values = [v.strip() for v in c.values]
            if operator not in ("=", "!="):
                raise ValueError(f"{text!r}: {name} has no order; write = or !=")
            if value not in values:
                near = difflib.get_close_matches(value, values, 1, 0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(values)[:300]}"
                raise ValueError(f"{text!r}: {name} is never {value!r}; {hint}")
            return Condition(column=column, operator=operator, value=float(values.index(value)), text=text)
        code = parse_date(value, c.form) if c.type == "date" else c.notation.parse(value)
        code = _number(value) if code is None and c.type != "date" else code
        if code is None:
            shape = f"a date as {c.form}" if c.type == "date" else "a number"
            raise ValueError(f"{text!r}: {name} is {shape}, not {value!r}")
        if operator == "=" and not c.low <= code <= c.high:
            raise ValueError(f"{text!r}: {name} lies between {c.low:g} and {c.high:g} in the data")
        return Condition(column=column, operator=operator, value=code, text=text)
    head = re.split(r"==|=|!=|<=|>=|<|>", text, maxsplit=1)[0].strip()
    near = difflib.get_close_matches(head, names, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are the columns {', '.join(reversed(names))[:300]}"
    raise ValueError(f"{text!r} is no condition: write column = value (or != < <= > >=); {hint}")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@checked
def sample_where(
    model: Model, n: int, where: str | Sequence[str], *, seed: int = 0, weights: Weights = "ema", draws: int = DRAWS
) -> Found:
    """n stored rows that satisfy every condition.

    A recipe that takes conditions is told one of them (the rarest value of a discrete column); rows that fail any are
    dropped and more are drawn, at most `draws` for each row asked for. The first rows found do not depend on n.
    Raises `ValueError` if too few are found: it says how many.
    """
    if n < 1:
        raise ValueError(f"cannot draw {n} samples: ask for at least 1")
    wanted = conditions(where, model.spec)
    codec = model.spec.codec
    assert isinstance(codec, TableCodec)
    told = _told(wanted, codec) if "condition" in model.recipe.takes else None
    given = {} if told is None else {"condition": torch.full((CHUNK,), told[0])}
    check_samples(n, math.prod(model.spec.shape))
    limit = max(n * draws, 20_000)
    kept: list[np.ndarray] = []
    drawn = count = obeyed = 0
    while count < n and drawn < limit:
        if count + 6 * math.sqrt(count + 1) + 10 < drawn * n / limit:
            break  # so rare that no luck would find enough within the limit
        part = derive(seed, "where", drawn)
        stored = codec.decode(draw_samples(model.recipe, model.weights(weights), CHUNK, part, given))
        good = np.logical_and.reduce([c.holds(stored) for c in wanted])
        obeyed += int(told[1].holds(stored).sum()) if told else 0
        kept.append(stored[good])
        drawn, count = drawn + CHUNK, count + int(good.sum())
    texts = " and ".join(c.text for c in wanted)
    if told is None:
        how = f"by rejection: {count:,} of {drawn:,} rows drawn satisfied {texts}"
    else:
        others = f"; {count / drawn:.1%} satisfied {texts}" if len(wanted) > 1 else ""
        obeying = f"which {obeyed / drawn:.1%} of {drawn:,} rows drawn obeyed{others}"
        how = f"conditioned on {told[1].text}, {obeying}; the others were dropped"
    if count < n:
        raise ValueError(
            f"only {count:,} of {n:,} rows with {texts} were found among {drawn:,} drawn (the limit is {draws} for "
            "each row asked for): ask for fewer, or for something less rare"
        )
    return Found(stored=np.concatenate(kept)[:n], drawn=drawn, how=how)


def _told(wanted: Sequence[Condition], codec: TableCodec) -> tuple[int, Condition] | None:
    """What the generator is told: of the conditions it can be told, the one that the data satisfies most rarely."""
    best: tuple[float, int, Condition] | None = None
    for c in wanted:
        index = codec.condition(c.column, c.value) if c.operator == "=" else None
        if index is None:
            continue
        column = codec.columns[c.column]
        share = column.missing if math.isnan(c.value) else column.counts[int(c.value)]
        if best is None or share < best[0]:
            best = (share, index, c)
    return None if best is None else best[1:]
