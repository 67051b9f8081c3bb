"""What a column of a table is, told by its content, and its cells as codes."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from .column import Column
from .dates import DateForm, exact_form, find_compact, find_date, step_of
from .notation import DECIMAL, INTEGER, Numbers, find_numbers
from .reading import CONTENT, NOTHING, Reading
from .reading import MISSING as MISSING

FEW_INTEGERS, MOST_VALUES = 10, 1_000
MOST = 0.8
"""Share of cells that are numbers or dates from which on the others are worth a word."""
_MOST_SPELLINGS = 24
"""Different cells of a column of true and false, blanks and capitals counted."""
_INFINITE = re.compile(r"[+-]?inf(inity)?\Z", re.IGNORECASE)
_ID = re.compile(r"(^|[\W_])(id|uuid|guid|key|index|rowid|nr|no)\Z|^unnamed: \d+\Z|^column 1\Z", re.IGNORECASE)

Told: TypeAlias = tuple[Column | None, str]
"""What a column is, and what there is to say about it; None leaves it out."""


@dataclasses.dataclass(kw_only=True)
class _Cells:
    """The cells of a column of text, counted."""

    name: str
    forced: str
    """The type it must be of, or nothing."""
    detail: str
    """What was said behind that type: a format of dates, `comma` or `thousands`."""
    numbers: bool
    """Whether text may be numbers."""
    reading: Reading
    there: dict[str, int]
    """The cells that are not missing, and how often each is there."""
    shared: dict[str, Any]
    """What a `Column` of any type keeps of them."""
    hint: str = ""
    """What to say if it becomes no column of numbers or dates."""

    @functools.cached_property
    def stripped(self) -> dict[str, str]:
        """Each of them without blanks around it."""
        return {v: v.strip() for v in self.there}

    @property
    def n(self) -> int:
        """How many are not missing."""
        return sum(self.there.values())

    @property
    def plain_name(self) -> str:
        """The name as `--columns` takes it."""
        return self.name.strip()

    def count(self, texts: Collection[str]) -> int:
        """How many cells are one of these, blanks around them not counted."""
        return sum(n for v, n in self.there.items() if self.stripped[v] in texts)

    def without(self, texts: Collection[str]) -> dict[str, Any]:
        """`shared` where these texts (without blanks) mean "not known" as well."""
        gone = {v: n for v, n in self.there.items() if self.stripped[v] in texts}
        if not gone:
            return self.shared
        first = max(gone, key=lambda v: gone[v])
        blank = self.shared["blank"] if self.shared["missing"] >= gone[first] else first
        absent = tuple(sorted({*self.shared.get("absent", ()), *texts}))
        return self.shared | {"missing": self.shared["missing"] + sum(gone.values()), "blank": blank, "absent": absent}


def infer_text(
    name: str, cells: Sequence[str], forced: str = "", *, numbers: bool = True, reading: Reading = CONTENT
) -> Told:
    """What a column of text is, and what there is to say about it; None leaves it out.

    Types are tried in order: a constant, a boolean, a number, a date, a category. `forced`: the type it must be of, as
    `--columns` has it, with what stands behind a colon. Raises `ValueError` if it cannot be of that type.
    """
    counts = Counter(cells)
    blanks = {v: n for v, n in counts.items() if reading.is_missing(v.strip())}
    blank = max(blanks, key=lambda v: blanks[v]) if blanks else ""
    there = {v: n for v, n in counts.items() if v not in blanks}
    if not there:
        unknown = Column(name=name, blank=blank, type="constant", values=(blank,), counts=(len(cells),))
        return unknown, "never known"
    forced, _, detail = forced.partition(":")
    if forced == "id":
        return None, "left out as you say"
    shared: dict[str, Any] = {"name": name, "missing": sum(blanks.values()), "blank": blank}
    if more := tuple(sorted({v.strip() for v in blanks} - MISSING)):
        shared["absent"] = more
    column = _Cells(
        name=name, forced=forced, detail=detail, numbers=numbers, reading=reading, there=there, shared=shared
    )
    return _constant(column) or _boolean(column) or _number(column) or _date(column) or _category_or_text(column)


def _constant(c: _Cells) -> Told | None:
    if len(c.there) == 1 and not c.shared["missing"] and c.forced in ("", "constant"):
        return Column(**c.shared, type="constant", values=tuple(c.there), counts=(c.n,)), "the same in every row"
    if c.forced == "constant":
        raise ValueError(f"column {c.name} has {len(c.there)} values: it is no constant")
    return None


def _boolean(c: _Cells) -> Told | None:
    """True and false in any spelling; of a column that is forced any two values."""
    if len(c.there) > _MOST_SPELLINGS and c.forced != "boolean":
        return None
    folded: dict[str, list[str]] = {}
    for v in c.there:
        folded.setdefault(c.stripped[v].lower(), []).append(v)
    if c.forced == "boolean" and len(folded) > 2:
        raise ValueError(f"column {c.name} has {len(folded)} values: it cannot be boolean")
    if c.forced != "boolean" and (c.forced or set(folded) != {"true", "false"}):
        return None
    if len(c.there) > 2 and len(folded) == 2:
        picked = {max(spellings, key=lambda v: c.there[v]): spellings for spellings in folded.values()}
    else:
        picked = {v: [v] for v in c.there}
    order = sorted(picked, key=lambda v: (c.stripped[v].lower() not in ("false", "true"), v.strip().lower()))
    column = Column(
        **c.shared,
        type="boolean",
        values=tuple(order),
        counts=tuple(sum(c.there[w] for w in picked[v]) for v in order),
        encoding="onehot",
    )
    spelt = ", ".join(f"{c.stripped[v]} {n:,}" for v, n in c.there.items())
    return column, f"written in {len(c.there)} ways ({spelt}): samples have the commonest" if len(c.there) > 2 else ""


def _number(c: _Cells) -> Told | None:
    wanted = c.forced in ("integer", "continuous")
    if not c.numbers or c.forced not in ("", "integer", "continuous"):
        return _refused(c) if wanted else None
    texts = set(c.stripped.values())
    _refuse_infinite(c, texts)
    found = find_numbers(texts, delimiter=c.reading.delimiter, said=c.detail, units=wanted)
    rest = texts - set(found.values)
    if rest and not _may_be_missing(c, found, rest):
        return _refused(c, found) if wanted else None
    values, note = found.values, [found.note.format(c.plain_name)] if found.note else []
    if rest:
        note.append(f"{c.count(rest):,} cells are no numbers and count as missing: {_listed(rest)}")
    shared = c.without(rest)
    low, high = min(values.values()), max(values.values())
    whole = all(float(v).is_integer() for v in values.values())
    if whole and max(abs(low), abs(high)) >= 2**53:
        if c.forced == "integer":
            return _refused(c, found)
        if not c.forced and all(INTEGER.match(t) for t in values):
            return None  # more digits than a number keeps: an id, or a category
        whole = False
    kept = {v: n for v, n in c.there.items() if c.stripped[v] not in rest}
    n = sum(kept.values())
    if not c.forced and whole:
        compact = find_compact(values) if found.notation.plain else None
        if compact is not None:
            return _date_column(c, compact, rest, f"; --columns {c.plain_name}=integer takes them for numbers")
        if _is_id(c, kept, high - low):
            return None, f"left out: an id ({n:,} different whole numbers); --columns {c.plain_name}=integer keeps it"
    digits = list(found.digits.values())
    points = whole and any("." in d for d in digits)
    if not c.forced and len(set(values.values())) <= (FEW_INTEGERS if whole else 2):
        if rest:
            return None  # few values, and words beside them: as good as any other category
        order = sorted(kept, key=lambda v: values[c.stripped[v]])
        column = _category(c, order, "int" if whole and not points else "float")
        return dataclasses.replace(column, **written(found)), "; ".join(note)
    if c.forced == "integer" and not whole:
        return _refused(c, found)
    if whole and c.forced != "continuous":
        column = Column(
            **shared, type="integer", low=low + 0.0, high=high + 0.0, step=1.0, counts=(n,), **written(found)
        )
        if points:  # 5.0: as most are written
            places = Counter(len(d.partition(".")[2]) for d in digits if "e" not in d.lower())
            decimals, form = (places.most_common(1)[0][0], "fixed") if places else decimals_of(digits)
            column = dataclasses.replace(column, decimals=decimals, form=form)
        return column, "; ".join(note)
    decimals, form = decimals_of(digits)
    column = Column(**shared, type="continuous", low=low + 0.0, high=high + 0.0, counts=(n,), **written(found))
    return dataclasses.replace(column, decimals=decimals, form=form), "; ".join(note)


def written(found: Numbers) -> dict[str, Any]:
    """The fields of a column that say how its numbers are written."""
    return dataclasses.asdict(found.notation)


def _refuse_infinite(c: _Cells, texts: Collection[str]) -> None:
    """Raises `ValueError` for numbers with infinite ones among them."""
    odd = {t for t in texts if _INFINITE.match(t)}
    huge = {t for t in texts if DECIMAL.match(t) and math.isinf(float(t))}
    if (odd or huge) and all(t in odd or DECIMAL.match(t) for t in texts) and len(texts) > len(odd):
        raise ValueError(
            f"column {c.name} holds numbers that are not finite: make them empty cells, or leave it out with "
            f"--columns {c.plain_name}=id"
        )


def _may_be_missing(c: _Cells, found: Numbers, rest: Collection[str]) -> bool:
    """Whether the cells that are no numbers can stand for missing ones; else what there is to say is kept."""
    share = 1.0 - c.count(rest) / c.n
    if c.forced:
        return share >= 0.5
    if all(re.fullmatch(r"0\d+", t) for t in rest):
        return False  # codes of digits, such as 02139
    if all(t.lower() in NOTHING for t in rest) and len(set(found.values.values())) > 2:
        return True
    if share >= MOST and c.n >= 10 and len(set(found.values.values())) > 2:
        c.hint = (
            f"{c.n - c.count(rest):,} of {c.n:,} cells are numbers; the others: {_listed(rest)}; --columns "
            f"{c.plain_name}=continuous takes those for missing"
        )
    elif not found.values:
        loose = find_numbers(set(c.stripped.values()), delimiter=c.reading.delimiter, units=True)
        if len(loose.values) >= MOST * len(c.there) and len(loose.values) > 2:
            c.hint = f"cells are numbers as {loose.notation.pattern}: --columns {c.plain_name}=continuous takes them so"
    return False


def _refused(c: _Cells, found: Numbers | None = None) -> None:
    """Raises `ValueError`: a column cannot be of the type that is forced."""
    texts = c.stripped.values()
    form = INTEGER if c.forced == "integer" else DECIMAL
    read = {} if found is None else found.values
    whole = c.forced == "integer"
    odd = next((repr(s) for s in texts if s not in read and not form.match(s)), "")
    odd = odd or next((repr(s) for s, v in read.items() if whole and not float(v).is_integer()), "")
    held = odd or f"text such as {next(iter(texts))!r}, or numbers beyond 2^53"
    raise ValueError(f"column {c.name} cannot be {c.forced}: it holds {held}")


def _listed(texts: Collection[str]) -> str:
    shown = ", ".join(repr(t) for t in sorted(texts)[:4])
    return shown + (f" and {len(texts) - 4:,} more" if len(texts) > 4 else "")


def _is_id(c: _Cells, kept: Mapping[str, int], span: float) -> bool:
    """Whether whole numbers that reach over `span` number the rows: all differ, without a gap or by the name."""
    n = sum(kept.values())
    return n >= 20 and len(kept) == n and (span == n - 1 or bool(_ID.search(c.plain_name)))


def _category_or_text(c: _Cells) -> Told:
    if c.forced == "date":
        raise ValueError(
            f"column {c.name} cannot be a date: {next(iter(c.stripped.values()))!r} is in no format that is known; "
            f"write it, as in --columns {c.plain_name}=date:%d/%m/%y"
        )
    hint = f"; {c.hint}" if c.hint else ""
    if not c.forced and ((len(c.there) > 20 and len(c.there) > c.n / 2) or len(c.there) > MOST_VALUES):
        what = "whole numbers beyond 2^53, as of an id" if _all_large(c) else "as of an id or free text"
        return None, (
            f"left out: {len(c.there):,} different values in {c.n:,} cells, {what}{hint}; "
            f"--columns {c.plain_name}=category keeps it"
        )
    order = sorted(c.there, key=lambda v: (c.stripped[v].lower() not in ("false", "true"), v.strip()))
    codes = c.shared["blank"].strip() == "NA" and all(re.fullmatch("[A-Z]{2}", s) for s in c.stripped.values())
    note = (
        f"{c.shared['missing']:,} cells NA count as missing, beside codes of two letters: --missing NA=value keeps them"
    )
    return _category(c, order, ""), "; ".join(filter(None, (c.hint, note if codes and not c.forced else "")))


def _all_large(c: _Cells) -> bool:
    return c.numbers and all(INTEGER.match(s) for s in c.stripped.values())


def _category(c: _Cells, order: list[str], form: str) -> Column:
    numbers = tuple(c.there[v] for v in order)
    return Column(**c.shared, type="category", values=tuple(order), counts=numbers, form=form, encoding="onehot")


def decimals_of(texts: Sequence[str]) -> tuple[int, str]:
    """How many decimals numbers have, and how they are written."""
    if any("e" in t.lower() for t in texts):
        digits = {len(t.lower().partition("e")[0].partition(".")[2]) for t in texts if "e" in t.lower()}
        if all("e" in t.lower() for t in texts) and max(digits) <= 20:
            return max(digits), "e"
        return -1, ""
    places = {len(t.partition(".")[2]) for t in texts}
    most = max(places)
    if most > 15:
        return -1, ""
    if len(places) == 1:
        small = [t for t in texts if t.lstrip("-").startswith((".", "0."))]
        return most, "bare" if small and all(t.lstrip("-")[0] == "." for t in small) else "fixed"
    return most, "point" if 0 not in places else ""


def _date(c: _Cells) -> Told | None:
    if c.forced not in ("", "date"):
        return None
    texts = set(c.stripped.values())
    form = c.detail or c.reading.date_format
    found = exact_form(texts, form) if form else None
    if found is not None and len(found.seconds) < (0.5 if c.detail else 1.0) * len(texts):
        if c.detail:
            odd = next(t for t in texts if t not in found.seconds)
            raise ValueError(f"column {c.name} cannot be a date as {form}: it holds {odd!r}")
        found = None
    found = found or find_date(texts) or find_date(texts, 0.5 if c.forced else MOST)
    if found is None and c.forced and all(t.isdigit() for t in texts):
        found = next(
            (f for f in (exact_form(texts, k) for k in ("%Y%m%d", "%Y%m", "%Y")) if len(f.seconds) == len(texts)), None
        )
    if found is None:
        known = [t for t in texts if t.lower() not in NOTHING]
        found = find_date(known) if len(known) < len(texts) and len(known) > 2 else None
        if found is None:
            return None
    rest = texts - set(found.seconds)
    if rest and not c.forced and not all(t.lower() in NOTHING for t in rest):
        if not c.hint and len(found.seconds) > 2:
            c.hint = (
                f"{c.n - c.count(rest):,} of {c.n:,} cells are dates as {found.form}; the others: {_listed(rest)}; "
                f"--columns {c.plain_name}=date takes those for missing"
            )
        return None
    return _date_column(c, found, rest)


def _date_column(c: _Cells, found: DateForm, rest: Collection[str], more: str = "") -> Told:
    seconds = found.seconds.values()
    column = Column(
        **c.without(rest),
        type="date",
        low=min(seconds),
        high=max(seconds),
        step=step_of(found.form),
        form=found.form,
        counts=(c.n - c.count(rest),),
    )
    text = f"dates {found.form}"
    if found.rival:
        text += f" ({found.rival} would fit as well: which is the day cannot be told)"
    if rest:
        text += f"; {c.count(rest):,} cells are no dates and count as missing: {_listed(rest)}"
    return column, text + (f"; {found.note}" if found.note else "") + more
