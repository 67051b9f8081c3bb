"""Dates and times as text: formats are told by their cells, read with some tolerance and written exactly.

A format is written with the codes of `strftime`, and a few of its own where `strftime` has none that every system
knows: `%-d %-m %-H %-I` without a leading zero; `%^b %^B %^a %^A` in capitals, `%~b %~B %~a %~A %~p` in small ones;
`%3f` a fraction of 3 digits; `%.f` a fraction with its point, or nothing where it is 0; `%:z` an offset with a colon.
Names are English. Seconds are counted since 1970, times without a date on 1900-01-01, offsets that differ in UTC.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import re
from collections.abc import Collection, Iterator, Sequence

EPOCH = dt.datetime(1970, 1, 1)
DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y"),
    *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%Y年%m月%d日"),
    *("%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%m-%d-%y", "%d-%m-%y", "%y/%m/%d", "%y-%m-%d"),
    *("%d %b %y", "%d-%b-%y", "%d/%b/%Y", "%b %d %Y", "%B %d %Y", "%d. %b %Y", "%d. %B %Y", "%d-%B-%Y", "%Y-%b-%d"),
    *("%Y %b %d", "%d%b%Y", "%d%b%y", "%d.%b.%Y", "%Y/%b/%d"),
    *("%a, %d %b %Y", "%a %d %b %Y", "%a %b %d %Y", "%a, %b %d, %Y", "%A, %d %B %Y", "%A, %B %d, %Y", "%A %d %B %Y"),
    *("%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%b %y", "%B-%y", "%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%Y年%m月"),
    *("%Y년 %m월 %d일", "%Y%m%d"),
)
"""Dates that are told without being named, in the order in which they are tried."""
TIMES = (
    *("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%H:%M:%S,%f", "%H:%M:%S%.f", "%H:%M:%S.%f%z", "%H:%M:%S%z", "%H:%M%z"),
    *("%H:%M:%S%.f%z", "%I:%M:%S %p", "%I:%M %p", "%I:%M:%S%p", "%I:%M%p", "%H:%M:%S %z", "%H:%M:%S.%f %z", "%H:%M %z"),
    *("%H:%M:%S %Z", "%H:%M %Z", "%H:%M:%S.%f %Z", "%H.%M.%S", "%H%M%S", "%I:%M:%S.%f %p", "%H"),
)
_WHOLE = (
    *("%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Z %Y"),
    *("%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S"),
)
"""Formats in which time and date are not one behind the other."""
_ALONE = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p")
"""Times without a date."""
_GAPS = (" ", "T", ", ", "_", ":", " at ", "  ")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NUMBER = {short.lower(): k for k, name in enumerate(MONTHS, 1) for short in (name, name[:3])} | {"sept": 9}
_CODE = re.compile(r"%([-^~:.]?[A-Za-z]|\df|%)")
_LENIENT = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d{2})",
    "m": r"(?P<m>1[0-2]|0?[1-9])",
    "d": r"(?P<d>3[01]|[12]\d|0?[1-9])",
    "H": r"(?P<H>2[0-3]|[01]?\d)",
    "I": r"(?P<I>1[0-2]|0?[1-9])",
    "M": r"(?P<M>[0-5]\d)",
    "S": r"(?P<S>[0-5]\d)",
    "f": r"(?P<f>\d{1,9})",
    ".f": r"(?P<g>\.\d{1,9})?",
    "p": r"(?P<p>[AaPp][Mm])",
    "b": "(?P<b>" + "|".join((*(m[:3] for m in MONTHS), "Sept")) + ")",
    "B": "(?P<B>" + "|".join(MONTHS) + ")",
    "a": "(?P<a>" + "|".join(d[:3] for d in DAYS) + ")",
    "A": "(?P<A>" + "|".join(DAYS) + ")",
    "z": r"(?P<z>[+-](?:0\d|1[0-4])(?::?[0-5]\d)?|Z)",
    "Z": r"(?P<Z>UTC|GMT|CES?T|[ECMP][SD]T|BST|IST|JST)",
}
_FIXED = {"m": r"(?P<m>0[1-9]|1[0-2])", "d": r"(?P<d>0[1-9]|[12]\d|3[01])", "H": r"(?P<H>[01]\d|2[0-3])"}
"""Two digits always: where no other character stands between this number and the next."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DateForm:
    """A format that cells are written in."""

    form: str
    seconds: dict[str, float]
    """Each cell that is a date in it, as seconds since 1970."""
    rival: str = ""
    """Another format that would fit as well: which number is the day cannot be told."""
    note: str = ""
    """What else there is to say."""


def parse_date(text: str, form: str) -> float | None:
    """Seconds since 1970 of a date in this format; a leading zero may be there or not. None if it is none."""
    found = _pattern(form).fullmatch(text)
    return None if found is None else _seconds(found.groupdict())


def write_date(form: str, seconds: float) -> str:
    """A date in this format, exactly; without one, as ISO 8601 has it."""
    moment = EPOCH + dt.timedelta(seconds=float(seconds))
    return _CODE.sub(lambda code: _written(code.group(1), moment), form) if form else moment.isoformat()


def step_of(form: str) -> float:
    """The unit, in seconds, to which dates of this format are told; 0 for those without a day (months)."""
    codes = [code.lstrip("-^~:") for code in _CODE.findall(form)]
    if fractions := [c for c in codes if c.endswith("f")]:
        return 10.0 ** -int(fractions[0][0]) if fractions[0][0].isdigit() else 1e-6
    for code, step in (("S", 1.0), ("M", 60.0), ("H", 3600.0), ("I", 3600.0), ("d", 86400.0)):
        if code in codes:
            return step
    return 0.0


def check_form(form: str) -> None:
    """Raises `ValueError` for a format that no date can be read by."""
    codes = [code.lstrip("-^~:") for code in _CODE.findall(form)]
    odd = [c for c in codes if c not in _LENIENT and c != "%" and not re.fullmatch(r"\df", c)]
    if odd or len(set(codes)) < len(codes) or not set(codes) & set("YydmbBHI"):
        raise ValueError(
            f"{form!r} is no format of dates: write it with codes such as %Y %y %m %d %b %B %H %I %M %S %f %p %z, each "
            "once at most (%-d and %-m have no leading zero): %m/%d/%y"
        )


def find_date(texts: Collection[str], least: float = 1.0) -> DateForm | None:
    """The format in which at least this share of different cells are written; None if there is none.

    The order of formats decides where several fit.
    """
    cells = list(texts)
    tried = cells[:: max(len(cells) // 7, 1)][:8]
    if not any(ch.isdigit() for text in tried for ch in text):
        return None
    forms = dict.fromkeys(form for text in tried if len(text) <= 40 for form in _candidates(text))
    best: tuple[int, str] | None = None
    for form in forms:
        fit = _count(cells, form, least)
        if best is None or fit > best[0]:
            best = (fit, form)
    if best is None or best[0] < max(least * len(cells), 1):
        return None
    settled = exact_form(cells, best[1])
    order = lambda form: form.replace("%d", "%m")  # noqa: E731
    same = [f for f in forms if f != best[1] and order(f) == order(best[1]) and _count(cells, f, 1.0) == best[0]]
    rival = exact_form(cells, same[0]).form if same else ""
    return dataclasses.replace(settled, rival=rival)


def exact_form(cells: Collection[str], form: str) -> DateForm:
    """A format made exact by the cells it reads: leading zeros, capitals, digits of a fraction, the one zone."""
    seconds: dict[str, float] = {}
    seen: dict[str, set[str]] = {}
    pattern = _pattern(form)
    for text in cells:
        found = pattern.fullmatch(text)
        value = None if found is None else _seconds(found.groupdict())
        if found is not None and value is not None:
            seconds[text] = value
            for key, part in found.groupdict().items():
                seen.setdefault(key, set()).add(part or "")
    note = "two-digit years: 69 to 99 are 1969 to 1999" if "y" in seen else ""
    zones = seen.get("z", seen.get("Z", set()))
    if len(zones) > 1:
        note = "zones differ between cells: times are in UTC"
    one = next(iter(zones)) if len(zones) == 1 else ""
    if one and "z" in seen:  # one offset for all: local times, and the offset is part of the format
        ahead = _offset(one)
        seconds = {text: value + ahead for text, value in seconds.items()}

    def exact(code: re.Match[str]) -> str:
        name = code.group(1).lstrip("-^~:")
        parts = seen.get(name, set())
        if name in ("m", "d", "H", "I") and parts:
            single = any(len(p) == 1 for p in parts)
            return f"%-{name}" if single and not any(p[0] == "0" and len(p) == 2 for p in parts) else f"%{name}"
        if name in ("b", "B", "a", "A", "p") and parts:
            high, low = all(p.isupper() for p in parts), all(p.islower() for p in parts)
            mark = "^" if high and name != "p" else "~" if low else ""
            return f"%{mark}{name}"
        if name == "f" and len({len(p) for p in parts}) == 1:
            n = len(next(iter(parts)))
            return "%f" if n == 6 else f"%{n}f"
        if name in ("z", "Z") and parts:
            return one or ("%:z" if any(":" in p for p in parts) else "%z")
        return code.group()

    return DateForm(form=_CODE.sub(exact, form), seconds=seconds, note=note)


def find_compact(texts: Collection[str]) -> DateForm | None:
    """The format of whole numbers that are all dates, 20200912, 20200912103000 or 202009; None if they need not be.

    Years are 1900 to 2100. Of months there must be a dozen different ones: 202009 is a number as well.
    """
    lengths = {len(text) for text in texts}
    if len(lengths) != 1:
        return None
    form = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M", 6: "%Y%m"}.get(min(lengths))
    if form is None or len(texts) < (12 if form == "%Y%m" else 2):
        return None
    if not all("1900" <= text[:4] <= "2100" and parse_date(text, form) is not None for text in texts):
        return None
    return exact_form(texts, form)


def _candidates(text: str) -> Iterator[str]:
    """The formats that this cell may be in."""
    for form in DATES:
        found = _pattern(form).match(text)
        if found is None:
            continue
        rest = text[found.end() :]
        if not rest:
            yield form
        elif form == "%Y%m%d":
            continue
        else:
            for gap in _GAPS:
                if rest.startswith(gap):
                    yield from (form + gap + time for time in TIMES if _pattern(time).fullmatch(rest[len(gap) :]))
            if rest in ("Z", "z") or _pattern("%z").fullmatch(rest):
                yield form + "%z"
    yield from (form for form in (*_WHOLE, *_ALONE) if _pattern(form).fullmatch(text))


def _count(cells: Sequence[str], form: str, least: float) -> int:
    """How many cells are dates of this format; counting ends where too few can be."""
    allowed, missed = (1.0 - least) * len(cells), 0
    for text in cells:
        missed += parse_date(text, form) is None
        if missed > allowed:
            return -1
    return len(cells) - missed


@functools.lru_cache(maxsize=1024)
def _pattern(form: str) -> re.Pattern[str]:
    """What matches dates of this format; used anchored at its start or at both ends."""
    tight = re.search(r"%-?[YymdHMS]%-?[mdHMS]", form) is not None
    parts, at = [], 0
    for code in _CODE.finditer(form):
        parts.append(re.escape(form[at : code.start()]))
        name, at = code.group(1).lstrip("-^~:"), code.end()
        if name == "%":
            parts.append("%")
        elif name[0].isdigit():
            parts.append(_LENIENT["f"])
        elif tight and name in _FIXED:
            parts.append(_FIXED[name])
        else:
            parts.append(_LENIENT.get(name, re.escape(code.group())))
    return re.compile("".join((*parts, re.escape(form[at:]))), re.IGNORECASE)


def _seconds(part: dict[str, str | None]) -> float | None:
    if (year := part.get("Y")) is not None:
        whole = int(year)
    elif (short := part.get("y")) is not None:
        whole = int(short) + (1900 if int(short) >= 69 else 2000)
    else:
        whole = 1900
    name = part.get("b") or part.get("B")
    month = _NUMBER[name.lower()] if name else int(part.get("m") or 1)
    hour = int(part.get("H") or 0)
    if (twelve := part.get("I")) is not None:
        hour = int(twelve) % 12 + (12 if (part.get("p") or "a")[0] in "pP" else 0)
    digits = part.get("f") or (part.get("g") or ".")[1:]
    try:
        moment = dt.datetime(
            *(whole, month, int(part.get("d") or 1), hour, int(part.get("M") or 0), int(part.get("S") or 0)),
            microsecond=int(digits[:6].ljust(6, "0")),
        )
    except ValueError:
        return None
    return (moment - EPOCH).total_seconds() - _offset(part.get("z") or "Z")


def _offset(zone: str) -> float:
    """Seconds that a zone such as +01:00 is ahead of UTC."""
    if zone in ("Z", "z"):
        return 0.0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (-1.0 if zone[0] == "-" else 1.0) * (int(digits[:2]) * 3600 + int(digits[2:]) * 60)


def _written(code: str, moment: dt.datetime) -> str:
    mark, name = (code[0], code[1:]) if code[0] in "-^~:" else ("", code)
    numbers = {"m": moment.month, "d": moment.day, "H": moment.hour, "I": (moment.hour + 11) % 12 + 1}
    numbers |= {"M": moment.minute, "S": moment.second, "y": moment.year % 100}
    if name in numbers:
        return f"{numbers[name]}" if mark == "-" else f"{numbers[name]:02d}"
    micro = f"{moment.microsecond:06d}"
    if name[0].isdigit():
        return micro.ljust(9, "0")[: int(name[0])]
    words = {
        "Y": f"{moment.year:04d}",
        "f": micro,
        ".f": f".{micro}" if moment.microsecond else "",
        "p": "AM" if moment.hour < 12 else "PM",
        "b": MONTHS[moment.month - 1][:3],
        "B": MONTHS[moment.month - 1],
        "a": DAYS[moment.weekday()][:3],
        "A": DAYS[moment.weekday()],
        "z": "+00:00" if mark == ":" else "+0000",
        "Z": "UTC",
        "%": "%",
    }
    word = words.get(name, f"%{code}")
    return word.upper() if mark == "^" else word.lower() if mark == "~" else word
