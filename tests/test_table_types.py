"""Typed tables keep their types; imputers the file's own writing; the judge of tables; sources that have changed."""

import datetime
import decimal
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gansmith
from gansmith.data import TableCodec, open_store, read_codec
from gansmith.data.kinds.table.cells import cell_texts
from gansmith.data.kinds.table.codec import _hash_of, _uniform_of, select
from gansmith.data.kinds.table.source import rows_like, table_source
from gansmith.data.kinds.table.write import to_frame, write_table
from gansmith.data.origin import change_of, origin_of
from gansmith.judge.evaluate import evaluate, evaluate_sets
from gansmith.model.model import Model
from gansmith.options import Count
from gansmith.recipes.ctgan import CTGAN
from gansmith.recipes.gain import GAIN
from gansmith.use.complete import complete

N = 120


def typed_frame() -> Any:
    """Columns of every type that people have."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    random = np.random.default_rng(0)
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(days=int(k)) for k in random.integers(0, 900, N)]
    return pandas.DataFrame(
        {
            "ints": pandas.Series([None if k % 9 == 0 else k % 50 for k in range(N)], dtype=object),
            "money": [decimal.Decimal(int(v)) / 100 for v in random.integers(0, 10**6, N)],
            "tens": pandas.Categorical(random.choice([10, 20, 30], N)),
            "flags": pandas.Categorical(random.choice([True, False], N)),
            "grade": pandas.Categorical(random.choice(list("abc"), N), categories=list("cba"), ordered=True),
            "f32": random.normal(size=N).astype(np.float32),
            "i8": random.integers(0, 100, N).astype(np.int8),
            "Int": pandas.array([1, None, 3] * (N // 3), "Int32"),
            "zone": pandas.date_range("2020-01-01", periods=N, freq="h", tz="Europe/Berlin"),
            "wait": pandas.to_timedelta(random.integers(0, 10**5, N), unit="s"),
            "day": days,
            "clock": [datetime.time(int(k) % 24, int(k) % 60) for k in random.integers(0, 900, N)],
            "raw": [b"A", b"B\x00", b"C"] * (N // 3),
            "maybe": pandas.array([True, None, False] * (N // 3), "boolean"),
            "word": pandas.array(["x", "y", None] * (N // 3), "string"),
            "arrow": pandas.array(random.integers(0, 99, N), "int16[pyarrow]"),
            "price": [f"${k:,.2f}" for k in random.integers(0, 10**6, N) / 100],
            "ymd": [20200101 + int(k) for k in random.integers(0, 28, N)],
            "large": np.array([2**63 + 1, 2**63 + 5, 7] * (N // 3), np.uint64),
        }
    )


def kept(codec: Any) -> TableCodec:
    """A codec as it is after it was saved."""
    again = read_codec(json.loads(json.dumps(codec.to_json())))
    assert again == codec and isinstance(again, TableCodec)
    return again


def test_a_dataframe_comes_back_in_its_own_types() -> None:
    frame = typed_frame()
    codec, rows, _, _ = table_source(frame).read()
    back = to_frame(kept(codec), rows)
    assert list(back.columns) == list(frame.columns)
    assert {n: str(t) for n, t in back.dtypes.items()} == {n: str(t) for n, t in frame.dtypes.items()}
    for name in frame.columns:
        was, now = frame[name], back[name]
        assert bool(((was == now) | (was.isna() & now.isna())).all()), name
    assert isinstance(back["money"][0], decimal.Decimal) and isinstance(back["day"][0], datetime.date)
    assert back["raw"][1] == b"B\x00" and back["price"][0] == frame["price"][0]
    again, notes = rows_like(frame, codec)
    np.testing.assert_array_equal(again, rows)
    assert not notes
    drawn = to_frame(codec, codec.decode(torch.rand(30, codec.width)))
    assert {n: str(t) for n, t in drawn.dtypes.items()} == {n: str(t) for n, t in frame.dtypes.items()}


def test_parquet_keeps_its_schema(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    random = np.random.default_rng(1)

    table = arrow.table(
        {
            "price": arrow.array(
                [decimal.Decimal(int(v)) / 100 for v in random.integers(0, 10**6, N)], arrow.decimal128(8, 2)
            ),
            "day": arrow.array(random.integers(18_000, 19_000, N), arrow.int32()).cast(arrow.date32()),
            "i32": arrow.array([None if k % 10 == 0 else k % 37 for k in range(N)], arrow.int32()),
            "f32": arrow.array(random.normal(size=N).astype(np.float32)),
            "cat": arrow.array(["hi", "lo"] * (N // 2))
            .dictionary_encode()
            .cast(arrow.dictionary(arrow.int8(), arrow.string())),
            "wait": arrow.array(random.integers(10**6, 10**9, N), arrow.duration("us")),
            "raw": arrow.array([b"A", b"B", b"C"] * (N // 3), arrow.binary()),
            "at": arrow.array(random.integers(0, 10**9, N) * 1_000, arrow.timestamp("ms", tz="UTC")),
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    codec, rows, _, _ = table_source(str(tmp_path / "a.parquet")).read()
    assert not codec.left_out
    write_table(kept(codec), rows, tmp_path / "b.parquet")
    back = parquet.read_table(tmp_path / "b.parquet")
    assert back.schema.equals(table.schema)
    assert [name for name in table.column_names if not back[name].equals(table[name])] == []


def test_columns_in_a_mapping_and_of_one_name() -> None:
    pandas = pytest.importorskip("pandas")
    b = np.random.default_rng(0).normal(size=N)
    store = open_store({"a": b, "b": b, "c": ["x", "y"] * (N // 2)}, progress=False)
    assert store.spec.kind == "table" and len(store.spec.codec.columns) == 3  # type: ignore[attr-defined]
    twice = open_store(pandas.DataFrame(np.stack((b, b), 1), columns=["x", "x"]), progress=False)
    assert [c.name for c in twice.spec.codec.columns] == ["x", "x (2)"]  # type: ignore[attr-defined]


def test_small_and_large_numbers_are_given_to_all_their_modes() -> None:
    random = np.random.default_rng(0)
    near = np.concatenate((random.normal(1e-8, 3e-9, 2_000), random.normal(4e-8, 3e-9, 2_000)))
    for scale in (1.0, 1e8, 1e24):
        raw = torch.from_numpy((near * scale)[:, None])
        u = _uniform_of(_hash_of(raw), 0).numpy()[:, 0]
        share = np.histogram(u, 10, (0, 1))[0] / len(u)
        assert u.min() >= 0 and u.max() < 1 and np.abs(share - 0.1).max() < 0.03, scale
        assert abs(np.corrcoef(u, near)[0, 1]) < 0.06
    assert torch.equal(
        _hash_of(torch.zeros(1, 2, dtype=torch.float64)), _hash_of(-torch.zeros(1, 2, dtype=torch.float64))
    )
    plain, rows, _, _ = table_source(
        pytest.importorskip("pandas").DataFrame({"x": near, "k": ["a", "b"] * 2_000})
    ).read()
    codec = select(plain, numbers="modes", indicators=True, most=8, stored=rows)
    encoded = codec.encode(torch.from_numpy(rows))
    assert (encoded[:, 0].abs() >= 0.99).float().mean() < 0.01  # hardly any is clipped


# --- completion -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def imputer(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("impute")
    random = np.random.default_rng(0)
    lines = (
        f"{v:.2f},{1000 * v + 5000:.0f},{'ab'[int(v > 3)]},2020-01-{int(v) + 1:02}\n" for v in random.uniform(0, 9, 300)
    )
    (folder / "a.csv").write_text("x,pay,kind,day\n" + "".join(lines))
    options = gansmith.TrainOptions(images=Count(3_000), batch_size=50, device="cpu", precision="fp32")
    return gansmith.load(gansmith.train(GAIN(width=8), folder / "a.csv", options, out=folder / "run").path)


def test_what_is_filled_is_written_as_the_file_is(imputer: Model, tmp_path: Path) -> None:
    lines = [f"{k % 9},{k % 10}5;{k + 4}.{k * 7 % 1000:03};a;{k % 9 + 1}/1/2020" for k in range(40)]
    text = "\r\n".join(("x;pay;kind;day", *lines, ";;;", "größe;9;b;"))
    source, out = tmp_path / "holes.csv", tmp_path / "full.csv"
    source.write_bytes(text.encode("utf-16"))
    done = complete(imputer, source, out)
    assert done.filled == {"x": 1, "pay": 1, "kind": 1, "day": 2}
    before, after = (p.read_bytes().decode("utf-16").split("\r\n") for p in (source, out))
    assert before[:41] == after[:41] and out.read_bytes()[:2] == source.read_bytes()[:2]
    x, pay, kind, day = after[41].split(";")
    assert "," in x and len(x.partition(",")[2]) == 2 and "." in pay and "," not in pay and kind in "ab"
    assert day.endswith("/1/2020") or day.split("/")[2] == "2020"
    assert after[42].startswith("größe;9;b;") and after[42].endswith("2020")


def test_a_parquet_file_keeps_types_and_index(imputer: Model, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(
        {
            "x": np.array([1.5, np.nan, 3.0, 4.25], np.float32),
            "pay": pandas.array([6_000, 7_000, None, 9_000], "Int32"),
            "kind": pandas.Categorical(["a", "b", None, "a"]),
            "day": pandas.to_datetime(["2020-01-02", None, "2020-01-04", "2020-01-05"]),
            "other": [1, 2, 3, 4],
        },
        index=[f"patient{k}" for k in range(4)],
    )
    frame.to_parquet(tmp_path / "a.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        done = complete(imputer, tmp_path / "a.parquet", tmp_path / "b.parquet")
    back = pandas.read_parquet(tmp_path / "b.parquet")
    assert done.filled == {"x": 1, "pay": 1, "kind": 1, "day": 1} and not back.isna().any().any()
    assert list(back.index) == list(frame.index) and (back.dtypes == frame.dtypes).all()
    for name in frame:
        there = frame[name].notna()
        assert (back[name][there] == frame[name][there]).all(), name


# --- the judge, and what has changed ----------------------------------------------------------------------------------


def people(n: int, seed: int, cities: str = "ABC") -> str:
    """Incomes that follow age, to the cent: no two rows are equal."""
    random = np.random.default_rng(seed)
    age = random.integers(18, 82, n)
    income = 500 * age + random.normal(0, 4_000, n)
    return "age,income,city\n" + "".join(
        f"{a},{i:.2f},{cities[k % len(cities)]}\n" for k, (a, i) in enumerate(zip(age, income, strict=True))
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge")
    (folder / "tr.csv").write_text(people(800, 0))
    options = gansmith.TrainOptions(images=Count(1_000), batch_size=50, device="cpu", precision="fp32")
    return gansmith.train(CTGAN(width=8, pac=2), folder / "tr.csv", options, out=folder / "run").path


def test_copies_are_looked_for_among_all_training_rows(run: Path, tmp_path: Path) -> None:
    (tmp_path / "te.csv").write_text(people(300, 1))
    scores = evaluate(run, data=tmp_path / "te.csv", metrics=["closest"])
    assert scores.control["exact copies"] == 1 and scores.floor["exact copies"] == 0


def test_categories_that_training_never_saw_are_told_and_cost(run: Path, tmp_path: Path) -> None:
    (tmp_path / "te.csv").write_text(people(300, 1))
    (tmp_path / "z.csv").write_text(people(300, 1, "ABZ"))
    seen, unseen = (evaluate(run, data=tmp_path / f"{n}.csv", metrics=["shapes"]) for n in ("te", "z"))
    assert any("'Z'" in note and "100 cells" in note for note in unseen.notes)
    assert not any("never seen" in note for note in seen.notes)
    assert unseen.control["column shapes"] < seen.control["column shapes"] - 0.05


def test_r2_is_one_that_real_rows_pass(run: Path, tmp_path: Path) -> None:
    (tmp_path / "te.csv").write_text(people(300, 1))
    scores = evaluate(run, data=tmp_path / "te.csv", metrics=["efficacy"], target="income")
    assert scores.control["R2"] > 0.5 and scores.control["R2 MLP"] > 0.5
    random = np.random.default_rng(3)  # nothing tells the age of these
    rows = "".join(f"{random.integers(18, 82)},{random.normal(0, 1):.2f},A\n" for _ in range(300))
    (tmp_path / "noise.csv").write_text("age,income,city\n" + rows)
    scores = evaluate(run, data=tmp_path / "noise.csv", metrics=["efficacy"], target="age")
    left = [note for note in scores.notes if note.startswith("R2 leaves out")]
    assert left and all(v > 0 for k, v in scores.control.items() if k.startswith("R2 "))


def test_the_smaller_set_is_named(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text(people(60, 0))
    (tmp_path / "fake.csv").write_text(people(3, 1))
    with pytest.raises(ValueError, match=r"fake\.csv holds 3 samples: too few"):
        evaluate_sets(tmp_path / "real.csv", tmp_path / "fake.csv")


def test_a_source_that_has_changed_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "a.csv"
    source.write_text(people(80, 0))
    options = gansmith.TrainOptions(images=Count(200), batch_size=50, device="cpu", precision="fp32")
    out = gansmith.train(CTGAN(width=8, pac=2), source, options, out=tmp_path / "run").path
    origin = json.loads((out / "run.json").read_text())["data"]["origin"]
    assert origin["bytes"] == source.stat().st_size and len(origin["sha256"]) == 64 and change_of(origin) == ""
    gansmith.resume(out, images=400)
    assert "has changed" not in capfd.readouterr().err
    source.write_text(people(90, 0))
    gansmith.resume(out, images=600)
    assert f"{source} has changed: it holds" in capfd.readouterr().err
    source.unlink()
    assert change_of(origin).endswith("is gone")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a").write_text("1")
    folder = origin_of(f"image:{tmp_path / 'photos'}")
    (tmp_path / "photos" / "b").write_text("1")
    assert change_of(folder).endswith("has changed: 2 files, not 1")
    assert origin_of("digits") == origin_of("toy:ring") == {}


def test_spans_of_time_are_written_and_kept() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"wait": pandas.to_timedelta([90, 86_400, None] * 10, unit="s"), "k": list("ab") * 15})
    codec, rows, _, _ = table_source(frame).read()
    assert cell_texts(codec.columns[0], rows[:3, 0]) == ["0 days 00:01:30", "1 days 00:00:00", ""]
