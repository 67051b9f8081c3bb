"""Two hundred small tables as people really write them, read and written back: which columns survive.

    python -m benchmarks.quirks --files 200 --seed 0

Every file has its own delimiter, encoding, line ends, quotes and marks for missing cells, and columns of the kinds that
are found in the wild: padded and unpadded dates, currencies, per cent, marks of thousands, decimal commas, whole
numbers with `.0`, ids, booleans in several spellings, names that are numbers, words for nothing. A column survives if
its type is the right one, its share of missing cells and its range or values are those that were written, and the cells
that come back are the file's own. Files with broken quotes count as right if every row is there.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import io
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gansmith.data import TableCodec, open_store
from gansmith.data.kinds.table.cells import cell_texts
from gansmith.options import DataOptions

ROWS = 60


@dataclass(frozen=True, kw_only=True)
class Made:
    """A column as it was written."""

    what: str
    """The quirk."""
    kind: str
    """The type it should be taken for; `left out` of ids and free text."""
    cells: list[str]
    missing: int = 0


@dataclass(frozen=True, kw_only=True)
class File:
    """A table as it was written."""

    data: bytes
    columns: dict[str, Made]
    what: str
    options: DataOptions = DataOptions()


Random = np.random.Generator


def _dates(random: Random, form: str, *, days: int = 4000, seconds: bool = False) -> list[str]:
    start = dt.datetime(2009, 1, 3)
    moments = [
        start + dt.timedelta(days=int(d), seconds=int(random.integers(86_400)) if seconds else 0)
        for d in random.integers(0, days, ROWS)
    ]
    return [_written(m, form) for m in moments]


def _written(m: dt.datetime, form: str) -> str:
    """`strftime` with `{d} {m} {H} {I} {ms}` for what it cannot write on every system."""
    text = form.replace("{d}", str(m.day)).replace("{m}", str(m.month)).replace("{H}", str(m.hour))
    text = text.replace("{I}", str((m.hour + 11) % 12 + 1)).replace("{ms}", f"{m.second * 7 % 1000:03d}")
    return m.strftime(text)


DATES = (
    *("%Y-%m-%d", "%d/%m/%Y", "{m}/{d}/%Y", "{m}/{d}/%y", "%d.%m.%y", "%d-%b-%y", "%b {d}, %Y", "%B %Y", "%Y%m%d"),
    *("%m/%d/%Y %I:%M %p", "{m}/{d}/%Y {H}:%M", "%Y-%m-%dT%H:%M:%S+01:00", "%Y-%m-%d %H:%M:%S.{ms}"),
    *("%Y-%m-%dT%H:%M:%SZ", "%d %B %Y", "{d}.{m}.%Y", "%a, %d %b %Y", "%Y/%m/%d %H:%M:%S"),
)
MARKS = ("", "NA", "N/A", "null", "NaN", "-", "None", "--", "n.a.", "?", ".", "*")
PLACES = ["Berlin", "Köln", "Zürich", "Bogotá", "Paris", "Lima"]


def _grouped(value: float, decimals: int, mark: str, point: str) -> str:
    return f"{value:,.{decimals}f}".replace(",", "\0").replace(".", point).replace("\0", mark)


def _date(random: Random, delimiter: str) -> Made:
    del delimiter
    form = str(random.choice(DATES))
    cells = _dates(random, form, seconds="%S" in form or "%M" in form)
    if form == "%a, %d %b %Y":  # weekdays must be those of their dates
        cells = _dates(random, form)
    return Made(what=f"date {form}", kind="date", cells=cells)


def _money(random: Random, delimiter: str) -> Made:
    del delimiter
    form = str(random.choice(["$#", "-$#", "($#)", "€#", "# €", "#%", "# kg", "£#", "₹#", "USD #", "CHF #"]))
    values = random.normal(2_000, 4_000, ROWS)
    values = np.abs(values) if form in ("# kg", "₹#", "USD #", "€#") else values
    euro = form == "# €"
    cells = []
    for v in values:
        text = _grouped(abs(v), 2, "." if euro else ",", "," if euro else ".")
        pattern = {"-$#": "$#", "($#)": "$#"}.get(form, form)
        if v < 0:
            pattern = form if form in ("-$#", "($#)") else f"-{pattern}"
        cells.append(pattern.replace("#", text))
    return Made(what=f"marked {form}", kind="continuous", cells=cells)


def _thousands(random: Random, delimiter: str) -> Made:
    del delimiter
    mark, point, decimals = [(",", ".", 0), (",", ".", 2), (" ", ",", 1), ("'", ".", 2), (".", ",", 2)][
        random.integers(5)
    ]
    cells = [_grouped(v, decimals, mark, point) for v in random.uniform(200, 3e6, ROWS)]
    return Made(what=f"thousands {mark!r}", kind="continuous" if decimals else "integer", cells=cells)


def _number(random: Random, delimiter: str) -> Made:
    comma = delimiter == ";" and bool(random.integers(2))
    decimals = int(random.integers(1, 5))
    cells = [f"{v:.{decimals}f}" for v in random.normal(0, 10, ROWS)]
    cells = [c.replace(".", ",") if comma else c for c in cells]
    return Made(what="decimal comma" if comma else "decimals", kind="continuous", cells=_no_minus_zero(cells))


def _no_minus_zero(cells: list[str]) -> list[str]:
    return [c.removeprefix("-") if not c.strip("-0.,") else c for c in cells]


def _tiny(random: Random, delimiter: str) -> Made:
    del delimiter
    return Made(what="tiny numbers", kind="continuous", cells=[f"{v:.3e}" for v in random.uniform(1e-9, 9e-8, ROWS)])


def _whole(random: Random, delimiter: str) -> Made:
    del delimiter
    form = str(random.choice(["{}", "{}.0", "{}.00"]))
    cells = [form.format(v) for v in random.integers(0, 400, ROWS)]
    return Made(what=f"whole {form.format('#')}", kind="integer", cells=cells)


def _identity(random: Random, delimiter: str) -> Made:
    del delimiter
    choice = int(random.integers(4))
    if choice == 0:
        cells = [str(10**17 + int(v)) for v in random.choice(10**9, ROWS, replace=False)]
    elif choice == 1:
        cells = [f"{int(v):032x}" for v in random.choice(10**9, ROWS, replace=False)]
    elif choice == 2:
        cells = [f"A{k:05d}" for k in random.permutation(ROWS)]
    else:
        cells = [str(k + 1) for k in range(ROWS)]
    return Made(what=f"id {choice}", kind="left out", cells=cells)


def _boolean(random: Random, delimiter: str) -> Made:
    del delimiter
    pair = [("True", "False"), ("TRUE", "FALSE"), ("true", "false")][random.integers(3)]
    return Made(what="booleans", kind="boolean", cells=[pair[int(k)] for k in random.integers(0, 2, ROWS)])


def _yes(random: Random, delimiter: str) -> Made:
    del delimiter
    pair = [("yes", "no"), ("Y", "N"), ("0", "1"), ("t", "f"), ("1.0", "0.0")][random.integers(5)]
    return Made(what="two words", kind="category", cells=[pair[int(k)] for k in random.integers(0, 2, ROWS)])


def _word(random: Random, delimiter: str) -> Made:
    words = [*PLACES[:4], f"a{delimiter} b", 'say "so"', "two\nlines"][: 4 + int(random.integers(4))]
    cells = [words[int(k)] for k in random.integers(0, len(words), ROWS)]
    return Made(what="words", kind="category", cells=cells)


def _code(random: Random, delimiter: str) -> Made:
    del delimiter
    codes = [["02139", "10115", "00501", "94110"], ["9007199254741992", "9007199254741993"], ["1st", "2nd", "3rd"]]
    chosen = codes[random.integers(3)]
    return Made(what=f"codes {chosen[0]}", kind="category", cells=[str(random.choice(chosen)) for _ in range(ROWS)])


def _lakhs(random: Random, delimiter: str) -> Made:
    del delimiter
    cells = []
    for v in random.integers(1_000, 90_000_000, ROWS):
        head, tail = str(v)[:-3], str(v)[-3:]
        parts = [head[max(i - 2, 0) : i] for i in range(len(head), 0, -2)][::-1]
        cells.append(",".join((*parts, tail)))
    return Made(what="lakhs 12,34,567", kind="integer", cells=cells)


def _padded(random: Random, delimiter: str) -> Made:
    del delimiter
    return Made(what="blanks around", kind="category", cells=[f" {random.choice(PLACES)} " for _ in range(ROWS)])


def _clock(random: Random, delimiter: str) -> Made:
    del delimiter
    form = str(random.choice(["%H:%M", "%H:%M:%S", "{H}:%M", "{I}:%M %p"]))
    cells = [
        _written(dt.datetime(2000, 1, 1) + dt.timedelta(seconds=int(s)), form) for s in random.integers(0, 86_400, ROWS)
    ]
    return Made(what=f"time {form}", kind="date", cells=cells)


def _text(random: Random, delimiter: str) -> Made:
    del delimiter
    choice = int(random.integers(4))
    numbers = random.integers(100, 255, (ROWS, 4))
    forms = ("({}) {}-{}{}", "10.{}.{}.{}", "{}-{}-{}", "note {} of {} and {}")
    cells = [forms[choice].format(*row) for row in numbers.tolist()]
    return Made(what=f"text {forms[choice]}", kind="left out", cells=cells)


def _range(random: Random, delimiter: str) -> Made:
    del delimiter
    words = [
        ["0-9", "10-19", "20-29", "30+"],
        ["<10", "10 to 20", ">20"],
        ["2020Q1", "2020Q2", "2021Q1"],
        ["A1", "A2", "B1"],
    ]
    chosen = words[random.integers(4)]
    return Made(what=f"classes {chosen[0]}", kind="category", cells=[str(random.choice(chosen)) for _ in range(ROWS)])


def _minus(random: Random, delimiter: str) -> Made:
    del delimiter
    values = random.normal(0, 50, ROWS)
    if random.integers(2):
        cells = [f"{abs(v):.1f}-" if v <= -0.05 else f"{abs(v):.1f}" for v in values]
        return Made(what="a minus behind", kind="continuous", cells=cells)
    cells = [f"\u2212{abs(v):.1f}" if v <= -0.05 else f"{abs(v):.1f}" for v in values]
    return Made(what="the sign \u2212", kind="continuous", cells=cells)


def _spelt(random: Random, delimiter: str) -> Made:
    del delimiter
    spelt = ("TRUE", "True", "true", "FALSE", "False", "false")
    return Made(
        what="booleans in many spellings", kind="boolean", cells=[str(random.choice(spelt)) for _ in range(ROWS)]
    )


def _long(random: Random, delimiter: str) -> Made:
    del delimiter
    return Made(what="all digits", kind="continuous", cells=[repr(float(v)) for v in random.normal(0, 1, ROWS)])


COLUMNS: tuple[Callable[[Random, str], Made], ...] = (
    *(
        _date,
        _date,
        _money,
        _thousands,
        _number,
        _number,
        _tiny,
        _whole,
        _whole,
        _identity,
        _boolean,
        _yes,
        _word,
        _code,
    ),
    *(_lakhs, _padded, _clock, _text, _range, _minus, _spelt, _long),
)
_HOLED = ("date", "marked", "thousands", "decimal", "whole", "tiny", "lakhs", "time", "a minus", "the sign", "all")


def _with_holes(random: Random, made: Made) -> Made:
    """Some cells gone: any mark in a column of numbers or dates, one of the usual ones in others."""
    if made.kind == "left out" or random.random() < 0.5:
        return made
    marks = MARKS if made.what.startswith(_HOLED) else MARKS[:5]
    mark = str(random.choice(marks))
    gone = set(random.choice(ROWS, int(random.integers(1, 15)), replace=False).tolist())
    cells = [mark if i in gone else c for i, c in enumerate(made.cells)]
    return Made(what=made.what, kind=made.kind, cells=cells, missing=len(gone))


def write_file(seed: int, plain: bool = False) -> File:
    """One table, from its number alone; `plain`: only its columns have quirks, not the file."""
    random = np.random.default_rng([seed, 9])
    delimiter = str(random.choice([",", ",", ";", "\t", "|"]))
    some = [
        COLUMNS[k](random, delimiter) for k in random.choice(len(COLUMNS), int(random.integers(3, 7)), replace=False)
    ]
    some = [_with_holes(random, made) for made in some]
    if all(made.kind == "left out" for made in some):
        some.append(_number(random, delimiter))
    names = [f"{made.kind.split()[0]} {i}" for i, made in enumerate(some)]
    head = 99 if plain else int(random.integers(14))
    if head == 0:  # years as names, over numbers
        names = [
            str(2015 + i) if made.kind == "continuous" else n
            for i, (n, made) in enumerate(zip(names, some, strict=True))
        ]
    broken = head == 1 and "words" in {made.what for made in some}
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=str(random.choice(["\n", "\r\n"])))
    rows = [names, *zip(*(made.cells for made in some), strict=True)]
    for row in rows:
        writer.writerow(row)
    text = out.getvalue()
    what = f"cells divided by {delimiter!r}"
    if broken:
        at = next(i for i, made in enumerate(some) if made.what == "words")
        old = some[at].cells[3]
        gone = some[at].missing - (old in MARKS)
        some[at] = Made(what="a quote that never closes", kind="category", cells=[*some[at].cells], missing=gone)
        some[at].cells[3] = '"5 inch'
        rows = [names, *zip(*(made.cells for made in some), strict=True)]
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
        for row in rows:
            writer.writerow(row)
        text, what = out.getvalue().replace('"""5 inch"', '"5 inch'), f"{what}, an open quote instead of {old!r}"
    if head == 2:
        text, what = f"sep={delimiter}\n{text}", f"{what}, a sep= line"
    if head == 3:
        text, what = f"# made by a program\n# in two lines\n{text}", f"{what}, comments"
    if head == 4:
        text, what = f"Report of the year\n\n{text}", f"{what}, a title"
    if head == 5:
        ended = "\r\n" if "\r\n" in text else "\n"
        if not any("\n" in cell for made in some for cell in made.cells):
            text, what = text.replace(ended, delimiter + ended), f"{what}, every row ended by a delimiter"
    if head == 6:
        names_line, _, rest = text.partition("\n")
        text, what = f"{names_line}\n{rest}{names_line}\n", f"{what}, the names once more at the end"
    encoding = str(random.choice(["utf-8"] * 5 + ([] if plain else ["utf-8-sig", "utf-16", "latin-1"])))
    options = DataOptions()
    try:
        data = text.encode(encoding)
    except UnicodeEncodeError:
        encoding, data = "utf-8", text.encode()
    if encoding == "latin-1" and hasattr(options, "encoding"):
        options = DataOptions(encoding="latin-1")
    return File(data=data, columns=dict(zip(names, some, strict=True)), what=f"{what}, {encoding}", options=options)


def judge_file(file: File, folder: Path) -> dict[str, str]:
    """For each column what is wrong with it, empty where it survives; `error` of a file that cannot be read."""
    path = folder / "table.csv"
    path.write_bytes(file.data)
    try:
        store = open_store(f"table:{path}", file.options, out=folder / "store", progress=False)
    except Exception as error:  # whatever it is, the table is not there
        return dict.fromkeys(file.columns, f"not read: {type(error).__name__}: {error}"[:200])
    codec = store.spec.codec
    assert isinstance(codec, TableCodec)
    found = {c.name: (c, np.asarray(store.fields["x"][:, i])) for i, c in enumerate(codec.columns)}
    return {name: _wrong(found, codec.left_out, name, made) for name, made in file.columns.items()}


def _wrong(found: dict, left_out: tuple[str, ...], name: str, made: Made) -> str:
    if made.kind == "left out":
        return "" if name in left_out else "not left out"
    if name not in found:
        return "left out" if name in left_out else "its name is gone"
    column, stored = found[name]
    if len(stored) != ROWS:
        return f"{len(stored)} rows, not {ROWS}"
    if column.type != made.kind:
        return f"taken for {column.type}"
    if made.kind == "boolean" and len(set(made.cells)) > 4:  # the commonest spelling comes back
        return "" if [c.lower() for c in cell_texts(column, stored)] == [c.lower() for c in made.cells] else "changed"
    if column.missing != made.missing or int(np.isnan(stored).sum()) != made.missing:
        return f"{column.missing} missing cells, not {made.missing}"
    back = cell_texts(column, stored)
    odd = [(a, b) for a, b in zip(made.cells, back, strict=True) if a != b]
    return f"written back as {odd[0][1]!r}, not {odd[0][0]!r}" if odd else ""


def survey(files: int, seed: int, plain: bool = False) -> tuple[Counter[str], Counter[str], list[str]]:
    """How many columns of each quirk there are, how many survive, and a line for each that does not."""
    total: Counter[str] = Counter()
    good: Counter[str] = Counter()
    lines = []
    for k in range(files):
        file = write_file(seed * 100_003 + k, plain)
        with tempfile.TemporaryDirectory() as folder:
            for name, wrong in judge_file(file, Path(folder)).items():
                made = file.columns[name]
                total[made.what] += 1
                good[made.what] += not wrong
                if wrong:
                    lines.append(f"file {k} ({file.what}), {made.what}: {wrong}")
    return total, good, lines


def main() -> None:
    """Print the share of columns that survive, quirk by quirk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="quirks of columns alone, none of whole files")
    parser.add_argument("--list", action="store_true", help="name every column that does not survive")
    options = parser.parse_args()
    total, good, lines = survey(options.files, options.seed, options.plain)
    if options.list:
        print("\n".join(lines))
    for what in sorted(total, key=lambda w: (good[w] / total[w], w)):
        print(f"{good[what]:4} of {total[what]:4}  {what}")
    kept, every = good.total(), total.total()
    print(f"{kept} of {every} columns in {options.files} files survive ({kept / every:.1%})")


if __name__ == "__main__":
    main()
