"""How numbers are written: currencies and units, marks between thousands, the decimal mark, the sign of negatives."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

DECIMAL = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")  # 02139 is no number: its zero would go
INTEGER = re.compile(r"[+-]?(0|[1-9]\d*)\Z")
_SPACES = " \u00a0\u202f\u2009"
_MINUS = "-\u2212"
_SIGNS = "+\\-\u2212"
_BODY = rf"\d[\d.,'\u2019{_SPACES}]*(?<=[\d.])|[.,]\d+"
_AFFIX = rf"[^\d.,{_SIGNS}()'\u2019\s]"
_CELL = re.compile(
    rf"(?P<open>\()?(?P<first>[{_SIGNS}])?(?P<prefix>{_AFFIX}{{0,4}}[{_SPACES}]?)(?P<second>[{_SIGNS}])?"
    rf"(?P<body>{_BODY})(?P<exp>[eE][+-]?\d+)?(?P<suffix>[{_SPACES}]?{_AFFIX}{{0,6}})(?P<close>\))?(?P<last>-)?"
)
_CODES = frozenset(
    (
        *("USD", "EUR", "GBP", "CHF", "JPY", "CNY", "RMB", "INR", "AUD", "CAD", "NZD", "SEK", "NOK", "DKK", "PLN"),
        *("CZK", "HUF", "RUB", "TRY", "BRL", "MXN", "ZAR", "KRW", "SGD", "HKD", "THB", "ILS", "AED", "SAR"),
        *("R$", "US$", "A$", "C$", "Rs", "Rs.", "kr", "kr.", "zł", "Kč", "Ft", "руб", "руб.", "元", "円"),
    )
)
_UNITS = frozenset(
    (
        *("%", "‰", "°", "°C", "°F", "kg", "g", "mg", "t", "lb", "lbs", "oz", "km", "m", "cm", "mm", "mi", "ft", "in"),
        *("km/h", "mph", "m/s", "kmpl", "mpg", "min", "mins", "h", "hr", "hrs", "s", "sec", "ms", "days", "years"),
        *("l", "L", "ml", "mL", "cc", "CC", "W", "kW", "kWh", "MW", "V", "A", "mA", "mAh", "Hz", "kHz", "MHz", "GHz"),
        *(
            "KB",
            "MB",
            "GB",
            "TB",
            "px",
            "hPa",
            "kPa",
            "Pa",
            "bar",
            "hp",
            "bhp",
            "Nm",
            "m²",
            "m2",
            "sqft",
            "k",
            "K",
            "M",
        ),
    )
)
_MARKS = (
    # what groups digits, the decimal mark; the first that all numbers fit is taken
    *(("", "."), ("", ","), (",", "."), (".", ",")),
    *((space, point) for space in _SPACES for point in ",."),
    *(("'", "."), ("\u2019", "."), (",2", "."), ("'", ","), ("\u2019", ",")),
)


@dataclass(frozen=True, kw_only=True)
class Notation:
    """How the numbers of a column are written."""

    pattern: str = "#"
    """What stands around a number, which is the `#`: `$#`, `# %`."""
    negative: str = "-#"
    """The same of numbers below 0: `-$#`, `$-#`, `($#)`."""
    thousands: str = ""
    """What stands between groups of three digits; `,2` groups as in India, 12,34,567."""
    comma: bool = False
    """Whether the decimal mark is a comma."""

    @functools.cached_property
    def plain(self) -> bool:
        """Whether numbers are written as Python writes them."""
        return self == Notation()

    def parse(self, text: str) -> float | None:
        """The number that a cell without blanks around it is, or None."""
        if self.plain:
            return float(text) if DECIMAL.match(text) else None
        for pattern, sign in ((self.negative, -1.0), (self.pattern, 1.0)):
            before, _, after = pattern.partition("#")
            if text.startswith(before) and text.endswith(after) and len(text) > len(before) + len(after):
                body = text[len(before) : len(text) - len(after)]
                if (value := self._body(body)) is not None:
                    return sign * value
        return None

    def write(self, digits: str) -> str:
        """Digits as Python writes them, with sign and point, in this notation."""
        minus, digits = digits.startswith("-"), digits.lstrip("-")
        whole, point, rest = digits.partition(".")
        if self.thousands and whole.isdigit():
            whole = _grouped(whole, self.thousands)
        text = whole + (("," if self.comma else ".") if point else "") + rest
        return (self.negative if minus else self.pattern).replace("#", text, 1)

    def _body(self, body: str) -> float | None:
        sign = -1.0 if body[0] in _MINUS else 1.0
        body = body.removeprefix(body[0]) if body[0] in f"+{_MINUS}" else body
        whole, _, exp = body.partition("e") if "e" in body else body.partition("E")
        if not _shape(self.thousands, "," if self.comma else ".", True).fullmatch(whole):
            return None
        for mark in self.thousands[:1]:
            whole = whole.replace(mark, "")
        plain = whole.replace(",", ".") + (f"e{exp}" if exp else "")
        return sign * float(plain) if DECIMAL.match(plain) else None


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Cells that are numbers in one notation."""

    notation: Notation
    values: dict[str, float]
    digits: dict[str, str]
    """Each number as Python would write it: with a point and without marks."""
    note: str = ""


def find_numbers(texts: Collection[str], *, delimiter: str = ",", said: str = "", units: bool = False) -> Numbers:
    """The notation that most of these different cells (without blanks around them) are numbers in.

    Args:
        texts: cells.
        delimiter: of the file: where it is a comma, 1,234 has a mark between thousands.
        said: `comma` (it is the decimal mark), `thousands` (commas or points group digits), or nothing.
        units: whether any mark around numbers is taken off, not only currencies and common units.
    """
    plain = all(DECIMAL.match(text) for text in texts)
    if not said and plain and not any(text[0] == "+" for text in texts):
        digits = {text: text.lstrip("+") for text in texts}
        return Numbers(notation=Notation(), values={text: float(text) for text in texts}, digits=digits)
    matches = {text: _CELL.fullmatch(text) for text in texts}
    cells = {text: m for text, m in matches.items() if m is not None and bool(m["open"]) == bool(m["close"])}
    around = Counter((found["prefix"], found["suffix"]) for found in cells.values())
    known = [pair for pair, _ in around.most_common() if units or _is_known(*pair)]
    if not known:
        return Numbers(notation=Notation(), values={}, digits={})
    prefix, suffix = known[0]
    chosen = {t: found for t, found in cells.items() if (found["prefix"], found["suffix"]) == (prefix, suffix)}
    thousands, point, note = _marks([found["body"] for found in chosen.values()], delimiter, said)
    above = [m for m in chosen.values() if not _is_negative(m) and m["body"].strip("0.,")]
    plus = "+" if above and all(m["first"] == "+" for m in above) else ""
    notation = Notation(
        pattern=f"{plus}{prefix}#{suffix}",
        negative=_negative(list(chosen.values()), prefix, suffix),
        thousands=thousands,
        comma=point == ",",
    )
    values: dict[str, float] = {}
    digits = {}
    shape = _shape(thousands, point, True)
    for text, found in chosen.items():
        if not shape.fullmatch(found["body"]):
            continue
        body = found["body"].replace(thousands[:1], "") if thousands else found["body"]
        plain = ("-" if _is_negative(found) else "") + body.replace(",", ".") + (found["exp"] or "")
        if DECIMAL.match(plain):
            values[text], digits[text] = float(plain), plain
    return Numbers(notation=notation, values=values, digits=digits, note=note)


def _is_negative(cell: re.Match[str]) -> bool:
    return bool(cell["open"]) or any((cell[k] or "+") in _MINUS for k in ("first", "second", "last"))


def _is_known(prefix: str, suffix: str) -> bool:
    """Whether what stands around a number is a currency or a unit."""
    before, after = prefix.strip(), suffix.strip()
    money = all(unicodedata.category(ch) == "Sc" for ch in before) or before in _CODES
    unit = after in _UNITS or after in _CODES or all(unicodedata.category(ch) == "Sc" for ch in after)
    return money and unit and not (before and after in _CODES)


def _negative(cells: Sequence[re.Match[str]], prefix: str, suffix: str) -> str:
    """How most numbers below 0 are written."""
    found: Counter[str] = Counter()
    for cell in cells:
        if cell["open"]:
            found[f"({prefix}#{suffix})"] += 1
        elif cell["last"]:
            found[f"{prefix}#{suffix}-"] += 1
        elif (cell["second"] or "+") in _MINUS:
            found[f"{prefix}{cell['second']}#{suffix}"] += 1
        elif (cell["first"] or "+") in _MINUS:
            found[f"{cell['first']}{prefix}#{suffix}"] += 1
    return found.most_common(1)[0][0] if found else f"-{prefix}#{suffix}"


def _marks(bodies: Sequence[str], delimiter: str, said: str) -> tuple[str, str, str]:
    """What groups digits, the decimal mark, and what there is to say where both would fit."""
    options = _MARKS
    if said == "comma":
        options = [m for m in _MARKS if m[1] == ","]
    elif said == "thousands":
        options = [m for m in _MARKS if m[0]]
    best, most = ("", "."), -1
    for thousands, point in options:
        shape = _shape(thousands, point, False)
        fit = sum(shape.fullmatch(body) is not None for body in bodies)
        if fit > most:
            best, most = (thousands, point), fit
        if most == len(bodies):
            break
    if best[0] == "." and all(body.count(".") == 3 for body in bodies):
        return "", ".", ""  # addresses such as 192.168.100.101
    if said or best != ("", ","):
        return (*best, "")
    groups = _shape(",", ".", True)  # some may stand ungrouped
    if not all(groups.fullmatch(body) for body in bodies):
        return (*best, "")
    if delimiter != ",":
        return (
            *best,
            "commas are decimal marks; --columns {}=continuous:thousands takes them for marks of thousands",
        )
    return (
        ",",
        ".",
        "commas are marks of thousands; --columns {}=continuous:comma takes them for decimal marks",
    )


@functools.lru_cache(maxsize=64)
def _shape(thousands: str, point: str, loose: bool) -> re.Pattern[str]:
    """What matches numbers without sign and unit; `loose`: digits may also stand ungrouped."""
    p = re.escape(point)
    plain = rf"(?:0|[1-9]\d*)(?:{p}\d*)?|{p}\d+"
    if not thousands:
        return re.compile(plain)
    mark = re.escape(thousands[:1])
    groups = rf"(?:[1-9]\d?(?:{mark}\d\d)*{mark}\d{{3}})" if thousands[1:] else rf"(?:[1-9]\d{{0,2}}(?:{mark}\d{{3}})+)"
    small = rf"(?:0|[1-9]\d{{0,2}})(?:{p}\d*)?|{p}\d+"
    return re.compile(rf"{groups}(?:{p}\d*)?|{plain if loose else small}")


def _grouped(whole: str, thousands: str) -> str:
    """Digits in groups of three, or of three and then two."""
    mark, size = thousands[0], 2 if thousands[1:] else 3
    head, tail = whole[:-3], whole[-3:]
    parts = [tail]
    while head:
        parts.append(head[-size:])
        head = head[:-size]
    return mark.join(reversed(parts))
