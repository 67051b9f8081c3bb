"""What a user says about how a table is to be read; what is not said is told by its content."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ....options import DataOptions
from .column import ColumnType
from .dates import check_form

OPTIONS = frozenset({"columns", "encoding", "header", "missing", "date_format"})
"""Fields of `DataOptions` that say how tables and series are read."""
MISSING = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "-nan", "NAN", "null", "NULL", "Null", "#N/A", "<NA>", "?"})
"""Cells that mean "not known", blanks around them not counted; a column writes the one it used most."""
NOTHING = frozenset(
    (
        *("-", "--", "---", ".", "..", "...", "*", "**", "***", "\u2013", "\u2014", "none", "na", "n.a.", "n.a", "n/a"),
        *(
            "nil",
            "nan",
            "nat",
            "null",
            "(null)",
            "\\n",
            "missing",
            "unknown",
            "not available",
            "not applicable",
            "n.d.",
        ),
        *("nd", "tbd", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!", "1.#qnan", "-1.#ind", "undefined"),
        *("0000-00-00", "0000-00-00 00:00:00", "00/00/0000", "no data", "blank", "empty", "?", "??", "unk"),
    )
)
"""Words that mean "not known" in a column whose other cells are numbers or dates, in small letters."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a table is read."""

    encoding: str = ""
    """Of the file; empty: UTF-8, or what its first bytes say."""
    header: Literal["auto", "yes", "no"] = "auto"
    """Whether its first row holds the names of columns."""
    date_format: str = ""
    """A format that columns of dates are tried in first."""
    delimiter: str = ","
    """What divides cells; it tells whether the comma of 1,234 can be a decimal mark."""
    more: frozenset[str] = frozenset()
    """Further cells that mean "not known"."""
    fewer: frozenset[str] = frozenset()
    """Cells of `MISSING` that are values."""

    @classmethod
    def of(cls, options: DataOptions) -> Reading:
        """What the options say. Raises `ValueError` for a format of dates that none could be read by."""
        marks = [mark.strip() for mark in options.missing.split(",")]
        fewer = frozenset(mark.removesuffix("=value").strip() for mark in marks if mark.endswith("=value"))
        if options.date_format:
            check_form(options.date_format)
        return cls(
            encoding=options.encoding,
            header=options.header,
            date_format=options.date_format,
            more=frozenset(mark for mark in marks if mark and not mark.endswith("=value")),
            fewer=fewer,
        )

    def is_missing(self, text: str) -> bool:
        """Whether a cell without blanks around it means "not known"."""
        return text in self.more or (text in MISSING and text not in self.fewer)


CONTENT = Reading()
"""Nothing is said: all is told by the content."""


def overrides(text: str, names: Sequence[str]) -> dict[str, str]:
    """`age=category,day=date:%d/%m/%y` as {name: type, with what stands behind a colon}.

    Raises `ValueError` for unknown names and types.
    """
    types = (*get_args(ColumnType), "id")
    known = {name.strip(): name for name in names}
    starts = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    found = {}
    for part in filter(None, (p.strip() for p in re.split(rf",(?=\s*(?:{starts})\s*=)", text))):
        match = re.fullmatch(rf"({starts})\s*=\s*(\w+)\s*(?::(.*))?", part, re.DOTALL)
        if match is None:
            wrong = re.match(rf"({starts})\s*=", part)
            if wrong is None:
                raise ValueError(f"--columns {part}: write name=type; there are the columns {', '.join(known)[:500]}")
            raise ValueError(f"--columns {part}: a column is one of {', '.join(types)} (id leaves it out)")
        name, kind, detail = match.group(1), match.group(2), (match.group(3) or "").strip()
        if kind not in types:
            raise ValueError(f"--columns {part}: a column is one of {', '.join(types)} (id leaves it out)")
        if kind == "date" and detail:
            check_form(detail)
        elif detail and not (kind in ("continuous", "integer") and detail in ("comma", "thousands")):
            raise ValueError(
                f"--columns {part}: only date has a format behind it (date:%d/%m/%y), and continuous and integer say "
                "`comma` (it is the decimal mark) or `thousands` (commas or points group digits)"
            )
        found[known[name]] = f"{kind}:{detail}" if detail else kind
    return found
