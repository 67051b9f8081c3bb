"""Tables as people write them: what was read as something else without a word, and how it is overruled."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks.quirks import survey

from gansmith.data import Store, TableCodec, open_store
from gansmith.data.inspect import describe, inspect
from gansmith.data.kinds.table.cells import cell_texts
from gansmith.data.kinds.table.column import Column
from gansmith.data.kinds.table.dates import check_form, find_date, parse_date, write_date
from gansmith.data.kinds.table.delimited import read_csv
from gansmith.data.kinds.table.infer import infer_text
from gansmith.data.kinds.table.notation import find_numbers
from gansmith.options import DataOptions


def table(path: Path, text: str | bytes, name: str = "a.csv", **options: str) -> Store:
    """A table of this text, packed."""
    (path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_store(path / name, DataOptions(**options), progress=False)


def columns(store: Store) -> dict[str, Column]:
    """Its columns by their names."""
    assert isinstance(store.spec.codec, TableCodec)
    return {c.name: c for c in store.spec.codec.columns}


def back(store: Store, name: str) -> list[str]:
    """A column's cells as they would be written."""
    assert isinstance(store.spec.codec, TableCodec)
    i = store.spec.codec.index(name)
    return cell_texts(store.spec.codec.columns[i], np.asarray(store.fields["x"][:, i]))


def said(store: Store, *words: str) -> bool:
    """Whether one note has all these words."""
    return any(all(word in note for word in words) for note in store.notes)


def rows(*cells: str, n: int = 60) -> str:
    """n rows, each cell a format of its number."""
    return "".join(",".join(c.format(k=k, m=k % 12 + 1, d=k % 28 + 1) for c in cells) + "\n" for k in range(n))


# --- A: broken files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [6, 59, 60])
def test_a_quote_that_never_closes_swallows_no_rows(tmp_path: Path, line: int) -> None:
    text = "a,b,t\n" + "".join(
        f"{k * 7 % 50},{k % 3},{'k' if k != line - 1 else chr(34) + '5 inch'}\n" for k in range(60)
    )
    store = table(tmp_path, text)
    assert len(store) == 60 and said(store, "never close", f"line {line + 1}", "5 inch")
    assert back(store, "t")[line - 1] == '"5 inch'


def test_quotes_that_close_are_quotes(tmp_path: Path) -> None:
    text = "n,t\n" + "".join(f'{k},"said ""{k % 3}"",\nhere"\n' for k in range(40))
    store = table(tmp_path, text)
    assert len(store) == 40 and back(store, "t")[1] == 'said "1",\nhere' and not store.notes[1:]
    lost = "n,t,u\n" + "".join(
        f'{k},"open {k},x\n{k},"shut {k}",y\n' for k in range(20)
    )  # each second one never closes
    assert len(table(tmp_path, lost, "b.csv")) == 40
    slashed = "n,t\n" + "".join(f'{k},"say \\"{k % 3}, yes\\""\n' for k in range(40))
    assert back(table(tmp_path, slashed, "c.csv"), "t")[2] == 'say "2, yes"'


def test_what_stands_before_a_table(tmp_path: Path) -> None:
    body = "age;city\n" + "".join(f"{k % 50};{'AB'[k % 2]}\n" for k in range(100))
    for name, text in {
        "sep": f"sep=;\n{body}",
        "hash": f"# of 2020\n# by x\n{body}",
        "title": f"A report\n\n{body}",
    }.items():
        store = table(tmp_path, text, f"{name}.csv")
        assert {n: c.type for n, c in columns(store).items()} == {"age": "integer", "city": "category"}
        assert len(store) == 100 and (name == "title" or said(store, "divided by ';'"))
    marked = table(tmp_path, body.replace("age", "#age"), "marked.csv")
    assert "#age" in columns(marked)


def test_widths_that_all_rows_share(tmp_path: Path) -> None:
    more = table(tmp_path, "a,b\n" + rows("{k}.5", "x{m}", ""), "more.csv")
    assert list(columns(more)) == ["a", "b"] and said(more, "ends with a delimiter")
    named = table(tmp_path, "a,b\n" + rows("row {k}", "{k}.5", "x{m}"), "named.csv")
    assert set(columns(named)) >= {"a", "b"} and said(named, "the first column has none")
    fewer = table(tmp_path, "a,b,c,d\n" + rows("{k}.5", "x{m}") + "1.5,x1,7,8\n", "fewer.csv")
    assert len(fewer) == 61 and said(fewer, "fewer cells")
    again = table(tmp_path, "a,b\n" + rows("{k}.5", "x{m}") + "a,b\n", "again.csv")
    assert columns(again)["a"].type == "continuous" and again.quarantined[0].reason == "the names once more"


def test_a_cell_as_long_as_a_document(tmp_path: Path) -> None:
    store = table(tmp_path, "n,t\n" + rows("{k}.5", "k") + f"7.5,{'x' * 140_000}\n")
    assert len(store) == 61 and len(describe(inspect(tmp_path / "a.csv", progress=False))) < 2_000


# --- B: the first row -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "header"),
    [("state,2022", True), ("S1,2.5", False), ("state,3.5", False), ("S1,2022.25", False), ("state,7", True)],
)
def test_numbers_among_names(tmp_path: Path, head: str, header: bool) -> None:
    body = "".join(f"S{k % 9},{k * 1.37 - 20:.4f}\n" for k in range(50))
    store = table(tmp_path, f"{head}\n{body}")
    assert (list(columns(store)) == head.split(",")) is header and len(store) == 51 - header
    assert said(store, "--header")
    for choice, names in (("yes", head.split(",")), ("no", ["column 1", "column 2"])):
        assert list(columns(table(tmp_path, f"{head}\n{body}", header=choice))) == names


def test_names_that_count(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(0, 9, (40, 5))
    body = "".join(",".join(f"{v:.2f}" for v in row) + "\n" for row in values)
    for head in ("0,1,2,3,4", "country,2017,2018,2019,2020"):
        lines = (
            body
            if head[0] == "0"
            else "".join(f"c{k},{line.partition(',')[2]}\n" for k, line in enumerate(body.split()))
        )
        assert set(columns(table(tmp_path, f"{head}\n{lines}"))) >= set(head.split(",")[1:])
    plain = table(tmp_path, body)
    assert next(iter(columns(plain))) == "column 1" and len(plain) == 40
    years = "".join(f"{1950 + k},{k * 3.5}\n" for k in range(30))
    assert len(table(tmp_path, years)) == 30


# --- C: whole numbers -------------------------------------------------------------------------------------------------


def test_whole_numbers_are_told_by_their_values(tmp_path: Path) -> None:
    store = table(
        tmp_path,
        "hp,kids,big,code,e\n" + rows("{d}.0", "{m}.00", f"{10**13}{{k:05}}", f"{2**53 + 1}", "{d}.0e+00"),
    )
    found = columns(store)
    assert found["hp"].type == found["kids"].type == found["e"].type == "integer"
    assert (
        back(store, "hp")[:2] == ["1.0", "2.0"]
        and back(store, "kids")[0] == "1.00"
        and back(store, "e")[3] == "4.0e+00"
    )
    assert said(store, "column big: left out", "beyond 2^53") and found["code"].type == "constant"
    assert isinstance(store.spec.codec, TableCodec)
    drawn = store.spec.codec.decode(np_uniform(store.spec.codec.width))
    assert all(text.endswith(".0") for text in cell_texts(found["hp"], drawn[:, store.spec.codec.index("hp")]))


def np_uniform(width: int):  # type: ignore[no-untyped-def]
    """Encoded rows (50, width) that no row of the data is."""
    import torch

    return torch.rand(50, width)


def test_large_codes_are_categories_and_nothing_is_minus_zero() -> None:
    codes = [str(2**53 + k % 4) for k in range(80)]
    column, _ = infer_text("code", codes)
    assert column is not None and column.type == "category" and set(column.values) == set(codes)
    column, _ = infer_text("x", ["-0.00", "0.25", "-1.50", "3.00", "0.10"] * 9)
    assert column is not None and cell_texts(column, np.array([-0.0, -0.001])) == ["0.00", "0.00"]


# --- D: dates ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["11/3/2011", "5/15/2017", "7/7/2015"], "%-m/%-d/%Y"),
        (["9/24/06", "12/1/21"], "%-m/%-d/%y"),
        (["03/05/2020 04:10 PM", "12/25/2020 09:00 AM"], "%m/%d/%Y %I:%M %p"),
        (["2020-03-05T10:00:00+01:00", "2021-04-05T11:30:00+01:00"], "%Y-%m-%dT%H:%M:%S+01:00"),
        (["2020-03-05 10:00:00.123", "2021-04-05 11:30:00.450"], "%Y-%m-%d %H:%M:%S.%3f"),
        (["may 2020", "june 2021", "january 1999"], "%~B %Y"),
        (["01JAN2020", "22FEB2021"], "%d%^b%Y"),
        (["Wed, 05 Aug 2020", "Thu, 06 Aug 2020"], "%a, %d %b %Y"),
        (["1/5/2011 9:05", "12/25/2011 13:45"], "%-m/%-d/%Y %-H:%M"),
        (["9:30 am", "12:45 pm"], "%-I:%M %~p"),
    ],
)
def test_dates_come_back_as_they_are_written(cells: list[str], form: str) -> None:
    found = find_date(cells)
    assert found is not None and found.form == form
    assert [write_date(form, found.seconds[cell]) for cell in cells] == cells
    assert [parse_date(cell, form) for cell in cells] == [found.seconds[cell] for cell in cells]


def test_zones_that_differ_become_utc() -> None:
    cells = ["2020-02-13T17:00:00+01:00", "2020-07-09T18:00:00+02:00"]
    found = find_date(cells)
    assert found is not None and "UTC" in found.note
    assert write_date(found.form, found.seconds[cells[1]]) == "2020-07-09T16:00:00+00:00"


def test_dates_without_marks_and_formats_by_hand(tmp_path: Path) -> None:
    store = table(tmp_path, "day,n,odd\n" + rows("2020{m:02}{d:02}", "{k}.5", "{d:02}.{m:02}.{k:02}"))
    assert columns(store)["day"].type == "date" and said(store, "column day", "integer")
    assert (
        columns(table(tmp_path, "day,n\n" + rows("2020{m:02}{d:02}", "{k}.5"), columns="day=integer"))["day"].type
        == "integer"
    )
    text = "d,n\n" + rows("{m}~{d}~21", "{k}.5")
    assert "d" not in columns(table(tmp_path, text, "b.csv"))
    forced = table(tmp_path, text, "b.csv", columns="d=date:%m~%d~%y")
    assert columns(forced)["d"].type == "date" and back(forced, "d")[0] == "1~1~21"
    assert columns(table(tmp_path, text, "b.csv", date_format="%m~%d~%y"))["d"].type == "date"
    with pytest.raises(ValueError, match=r"write it, as in --columns d=date:%d/%m/%y"):
        table(tmp_path, text, "b.csv", columns="d=date")
    for form in ("%Q", "year", "%m%m"):
        with pytest.raises(ValueError, match="no format of dates"):
            check_form(form)


def test_months_are_first_days(tmp_path: Path) -> None:
    store = table(tmp_path, "when,n\n" + "".join(f"20{k % 20 + 10}-{k % 12 + 1:02},{k}.5\n" for k in range(60)))
    assert isinstance(store.spec.codec, TableCodec)
    drawn = store.spec.codec.decode(np_uniform(store.spec.codec.width))[:, 0]
    days = drawn.astype("datetime64[s]").astype("datetime64[D]").astype(str)
    assert all(day.endswith("-01") for day in days)


# --- E: numbers with marks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["$62,056.97", "-$1.00", "$12.50"], [62056.97, -1.0, 12.5]),
        (["($5.00)", "$1,000.00"], [-5.0, 1000.0]),
        (["45.1%", "-3.2%"], [45.1, -3.2]),
        (["43,774", "1,234", "12"], [43774, 1234, 12]),
        (["1.234,56", "12,50"], [1234.56, 12.5]),
        (["1\u00a0234,5 €", "12,5 €"], [1234.5, 12.5]),
        (["1'234.50", "12.00"], [1234.5, 12.0]),
        (["₹12,34,567", "₹999"], [1234567, 999]),
        (["\u22125.2", "3.1"], [-5.2, 3.1]),
        (["12 kg", "7 kg"], [12, 7]),
        (["0,123", "1,234"], [0.123, 1.234]),
        (["+3.65", "-0.10"], [3.65, -0.1]),
    ],
)
def test_marks_are_taken_off_and_put_back(cells: list[str], values: list[float]) -> None:
    found = find_numbers(cells)
    assert [found.values[c] for c in cells] == values
    assert [found.notation.parse(c) for c in cells] == values
    assert [found.notation.write(found.digits[c]) for c in cells] == cells


@pytest.mark.parametrize(
    "cells", [["S1", "S2"], ["02139", "10115"], ["192.168.100.101", "192.168.100.255"], ["5-10", "10-20"]]
)
def test_what_is_no_number(cells: list[str]) -> None:
    assert not set(cells) <= set(find_numbers(cells).values)


def test_thousands_that_are_not_always_marked() -> None:
    found = find_numbers(["847,650", "54753", "1,000"])
    assert list(found.values.values()) == [847_650, 54_753, 1_000]
    column, _ = infer_text("x", [".415", "-.250", "1.500", ".001"] * 5)
    assert column is not None and cell_texts(column, np.array([0.415, -0.25, 1.5])) == [".415", "-.250", "1.500"]


def test_words_for_nothing_and_a_total(tmp_path: Path) -> None:
    text = "none,dash,foot,unit,few\n" + rows("{k}.5", "{k}.25", "{k}.75", "{k}.5 zork", "{m}")
    text += "None,-,Total,1.5 zork,None\n"
    store = table(tmp_path, text)
    found = columns(store)
    assert [(found[n].type, found[n].missing, found[n].blank) for n in ("none", "dash")] == [
        ("continuous", 1, "None"),
        ("continuous", 1, "-"),
    ]
    assert said(store, "60 of 61 cells are numbers", "'Total'", "foot=continuous") and said(store, "# zork")
    forced = table(tmp_path, text, columns="foot=continuous,unit=continuous")
    assert columns(forced)["foot"].missing == 1 and said(forced, "count as missing: 'Total'")
    assert back(forced, "unit")[0] == "0.5 zork" and back(forced, "none")[-1] == "None"
    assert columns(table(tmp_path, text, missing="Total,None"))["foot"].type == "continuous"


def test_na_may_be_a_value(tmp_path: Path) -> None:
    text = "continent,n\n" + "".join(f"{('NA', 'EU', 'AS')[k % 3]},{k}.5\n" for k in range(99))
    assert said(table(tmp_path, text), "33 cells NA", "--missing NA=value")
    kept = columns(table(tmp_path, text, missing="NA=value"))["continent"]
    assert kept.values == ("AS", "EU", "NA") and kept.missing == 0


def test_a_decimal_comma_or_a_thousand(tmp_path: Path) -> None:
    text = "a;b\n" + "".join(f"{k},{k + 100};x\n" for k in range(1, 60))
    comma = table(tmp_path, text)
    assert columns(comma)["a"].comma and said(comma, "a=continuous:thousands")
    thousands = columns(table(tmp_path, text, columns="a=continuous:thousands"))["a"]
    assert thousands.thousands == "," and thousands.low == 1101


# --- J, M: said, and overruled ----------------------------------------------------------------------------------------


def test_booleans_in_many_spellings(tmp_path: Path) -> None:
    spelt = ("TRUE", "true", "FALSE", "false", "False")
    store = table(tmp_path, "a,b\n" + "".join(f"{k}.5,{spelt[k % 5]}\n" for k in range(100)))
    assert columns(store)["b"].type == "boolean" and said(store, "written in 5 ways")
    assert np.asarray(store.fields["x"][:, 1]).sum() == 40
    with pytest.raises(ValueError, match="3 values: it cannot be boolean"):
        infer_text("b", ["x", "y", "z"], "boolean")


def test_encodings(tmp_path: Path) -> None:
    text = "größe,stadt\n" + "".join(f"{k}.5,{('Köln', 'Bonn')[k % 2]}\n" for k in range(40))
    for encoding, name in (("utf-8-sig", ""), ("utf-16", ""), ("utf-16-le", ""), ("latin-1", "latin-1")):
        store = table(tmp_path, text.encode(encoding), f"{encoding}.csv", encoding=name)
        assert list(columns(store)) == ["größe", "stadt"] and columns(store)["stadt"].values == ("Bonn", "Köln")
    with pytest.raises(ValueError, match=r"not UTF-8 text \(line 1.*--encoding.*größe"):
        table(tmp_path, text.encode("latin-1"))
    with pytest.raises(ValueError, match="there is none of that name"):
        table(tmp_path, text, encoding="klingon")


def test_names_with_commas_are_overruled(tmp_path: Path) -> None:
    text = '"income, net",b=c,stars\n' + rows("{k}.5", "x{m}", "{m}")
    store = table(tmp_path, text, columns="income, net=id, b=c=category,stars=integer")
    assert list(columns(store)) == ["b=c", "stars"] and columns(store)["stars"].type == "integer"
    with pytest.raises(ValueError, match="only date has a format behind it"):
        table(tmp_path, text, columns="stars=category:%Y")
    with pytest.raises(ValueError, match="there are the columns income, net"):
        table(tmp_path, text, columns="moons=integer")


def test_series_are_read_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    lines = [f"p{k // 10};{k % 10 + 1}/{k % 12 + 1}/20;{'-' if k % 7 == 0 else f'1.{k:03},5'}" for k in range(60)]
    path.write_bytes(("patient;visit day;größe\n" + "\n".join(lines)).encode("latin-1"))
    options = DataOptions(encoding="latin-1", date_format="%d/%m/%y", columns="größe=continuous")
    store = open_store(f"series:{path}", options, progress=False)
    assert len(store) == 6 and store.spec.shape[0] == 10
    column = store.spec.codec.columns[-1]  # type: ignore[attr-defined]
    assert (column.name, column.type, column.comma, column.blank) == ("größe", "continuous", True, "-")


def test_a_file_of_which_the_names_are_known(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("2020,2021\n2019,2018\n")
    assert read_csv(path, known=["2020", "2021"]).header and not read_csv(path, known=["a", "b"]).header


def test_two_hundred_tables_survive() -> None:
    """`python -m benchmarks.quirks` prints the same, quirk by quirk."""
    total, good, lines = survey(200, 0)
    rate = good.total() / total.total()
    print(f"{good.total()} of {total.total()} columns in 200 files survive ({rate:.1%})")
    assert rate >= 0.98, "\n".join(lines[:20])
