"""Series as a kind of data: real files, found columns, what comes back from samples, and what is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gansmith.data import open_store, read_spec
from gansmith.data.kind import Given, kind_of
from gansmith.data.kinds.series.codec import SeriesCodec, stored_lengths
from gansmith.data.kinds.series.read import read_series
from gansmith.data.kinds.series.write import write_csv
from gansmith.judge.judge import JudgeOptions, build_judge
from gansmith.judge.real import Split
from gansmith.options import DataOptions
from gansmith.show.show import show_of

REAL = {
    # id, time that is written, time that is learnt, series, static columns
    "long_ChickWeight": ("Chick", "Time", "", 50, {"Diet"}),
    "long_Oxboys": ("Subject", "", "age", 26, set()),
    "long_pbcseq": ("id", "", "day", 312, {"futime", "status", "trt", "age", "sex"}),
    "long_sleepstudy": ("Subject", "Days", "", 18, set()),
    "long_toenail": ("patientID", "", "time", 294, {"treatment"}),
    "ETTh1": ("series", "date", "", 17_397, set()),
}


@pytest.fixture(params=REAL)
def real(request: pytest.FixtureRequest, real_data: Path) -> tuple[Path, tuple[str, str, str, int, set[str]]]:
    path = real_data / "series" / f"{request.param}.csv.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    return path, REAL[request.param]


def small(folder: Path, text: str) -> Path:
    path = folder / "rows.csv"
    path.write_text(text)
    return path


def long(series: int = 30, seed: int = 0, steps: tuple[int, int] = (2, 6)) -> str:
    """Dates, a number, a category, a static one; holes; 2 to 6 steps, or as many as `steps` says."""
    random = np.random.default_rng(seed)
    lines = ["customer,date,spent,mood,town"]
    for k in range(series):
        level, town = random.normal(50, 9), "AB"[random.integers(2)]
        for day in range(random.integers(steps[0], steps[1] + 1)):
            level += random.normal()
            spent = "" if random.random() < 0.1 else f"{level:.2f}"
            lines.append(f"c{k},2024-01-{day + 1:02},{spent},{'xyz'[random.integers(3)]},{town}")
    return "\n".join(lines) + "\n"


def test_real_files_are_read_as_what_they_are(real) -> None:
    path, (key, clock, time, count, static) = real
    steps = read_series(path, DataOptions())
    codec = steps.codec
    assert (codec.key, codec.clock.name if codec.clock else "", codec.time, len(steps)) == (key, clock, time, count)
    assert {c.name for c, s in zip(codec.columns, codec.static, strict=True) if s} == static
    assert not steps.bad and SeriesCodec.from_json(codec.to_json()) == codec
    report = kind_of("series").recognise(Given(value=f"series:{path}", prefix="series", rest=str(path)))
    found = report.report(DataOptions(), False)
    assert not found.problem and found.usable == count and len(found.columns) == len(codec.columns)


def test_real_files_come_back_through_codec_and_csv(real, tmp_path: Path) -> None:
    path, _ = real
    steps = read_series(path, DataOptions())
    raw, codec = steps.samples(0, min(len(steps), 400)), steps.codec
    back = codec.decode(codec.encode(torch.from_numpy(raw)))
    assert np.array_equal(np.isnan(raw), np.isnan(back))
    for i, c in enumerate(codec.columns):
        span = (c.high - c.low) or 1.0
        exact = c.discrete or (c.step and span / c.step < 2**22)
        assert np.nanmax(np.abs(raw[..., i] - back[..., i])) <= (0 if exact else 2e-6 * span + 10.0**-c.decimals)
    write_csv(codec, raw, tmp_path / "again.csv")
    again = read_series(tmp_path / "again.csv", DataOptions(series_id=codec.key))
    assert again.codec.key == codec.key and again.codec.grid == codec.grid
    assert [c.name for c in again.codec.columns] == [c.name for c in codec.columns]
    if len(raw) == len(steps):  # all of it was written
        assert again.codec == codec and np.array_equal(again.samples(0, len(again)), raw, equal_nan=True)


@pytest.mark.parametrize("recipe", ["timegan", "doppelganger"])
@pytest.mark.parametrize("file", ["long_pbcseq", "long_ChickWeight", "ETTh1"])
def test_real_files_are_trained_on_and_sampled(recipe: str, file: str, real_data: Path, tmp_path: Path) -> None:
    path = real_data / "series" / f"{file}.csv.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    short = ["--embedding-steps", "4", "--supervised-steps", "4"] if recipe == "timegan" else []
    run = tmp_path / "run"
    options = ["--data", f"series:{path}", "--images", "320", "--batch-size", "16", "--out", str(run), *short]
    gansmith("train", recipe, *options)
    gansmith("sample", str(run), "-n", "30", "--out", str(tmp_path / "made.csv"))
    gansmith("sample", str(run), "-n", "30", "--out", str(tmp_path / "made.npz"))
    original = read_series(path, DataOptions()).codec
    head = (tmp_path / "made.csv").read_text().splitlines()[0].split(",")
    timed = [original.clock.name] if original.clock else []
    assert head == [original.key, *timed, *(c.name for c in original.columns)]
    store = open_store(f"series:{path}", DataOptions(), progress=False)
    rows, _ = kind_of("series").reread(str(tmp_path / "made.csv"), store.spec)
    made = np.load(tmp_path / "made.npz")["x"]
    assert rows.shape == made.shape and np.allclose(rows, made, equal_nan=True, atol=1e-6)


def gansmith(*words: str) -> str:
    run = subprocess.run([sys.executable, "-m", "gansmith", *words], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-2_000:]
    return run.stdout


def test_dates_holes_and_static_columns_are_found_and_written_again(tmp_path: Path) -> None:
    path = small(tmp_path, long())
    steps = read_series(path, DataOptions())
    codec = steps.codec
    assert codec.key == "customer" and codec.clock is not None and codec.clock.form == "%Y-%m-%d"
    assert codec.static == (False, False, True) and codec.columns[0].missing > 0
    write_csv(codec, steps.samples(0, 3), tmp_path / "again.csv")
    first = [line.split(",", 1)[1] for line in path.read_text().splitlines()]
    again = [line.split(",", 1)[1] for line in (tmp_path / "again.csv").read_text().splitlines()]
    assert again == first[: len(again)]


def test_bad_rows_are_named_with_their_line_and_unsorted_times_are_sorted(tmp_path: Path) -> None:
    rows = [f"{k},{t},{k + t * 0.5 + t * t}" for k in range(25) for t in range(4)]
    rows[5], rows[8] = "1,soon,7.5", ",3,1.5"
    rows.insert(10, "2,1")
    rows[21], rows[22] = rows[22], rows[21]
    steps = read_series(small(tmp_path, "\n".join(("id,time,x", *rows)) + "\n"), DataOptions())
    assert {q.name: q.reason for q in steps.bad} == {
        "line 7": "no time: 'soon'",
        "line 10": "no id",
        "line 12": "2 cells, not 3",
    }
    assert any("1 rows were not in the order of time" in note for note in steps.notes)
    assert (
        np.diff(steps.samples(0, len(steps))[..., 0], axis=1)[~np.isnan(steps.samples(0, len(steps)))[:, 1:, 0]] > 0
    ).all()


def test_series_of_one_step_are_read_like_others_and_learnt_from_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text(
        "id,t,x\n" + "".join(f"{k},{t},{k + t / 10}\n" for k in range(9) for t in range(4))
    )
    store = open_store(f"series:{tmp_path / 'real.csv'}", progress=False)
    (tmp_path / "made.csv").write_text("id,t,x\n0,0,1.5\n1,0,2.5\n")
    again = kind_of("series").reread(str(tmp_path / "made.csv"), store.spec)
    assert again is not None and stored_lengths(again[0]).tolist() == [1, 1]
    with pytest.raises(ValueError, match="one step only"):
        open_store(f"series:{tmp_path / 'made.csv'}", DataOptions(series_id="id", series_time="t"), progress=False)


def test_equal_times_are_kept_and_said(tmp_path: Path) -> None:
    text = "id,time,x\n" + "".join(f"{k},{t},{k * 1.5 + t}\n" for k in range(25) for t in (0, 1, 1, 2))
    steps = read_series(small(tmp_path, text), DataOptions(series_id="id", series_time="time"))
    assert steps.lengths.tolist() == [4] * 25 and any("25 rows repeat a time" in note for note in steps.notes)


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("a,b\n1.5,2\n2.5,2\n1.5,3\n2.5,3\n", {}, "no column tells series apart"),
        ("id,time,x\n" + "".join(f"{k},word{t},{t}.5\n" for k in range(9) for t in range(3)), {}, "cannot be time"),
        ("id,time,x\n" + "".join(f"{k},{k},{k}.5\n" for k in range(9)), {"series_id": "id"}, "one step only"),
        ("id,time,x\n" + "".join(f"a,{t},{t}.5\n" for t in range(9)), {"series_id": "id"}, "one series only"),
        ("id,time,x\n" + "".join(f"{k},{t},\n" for k in range(9) for t in range(3)), {}, "no column to learn from"),
        (long(), {"series_id": "nobody"}, "has no such column"),
        (long(), {"series_window": 1}, "2 steps or more"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_line(
    text: str, options: dict[str, object], words: str, tmp_path: Path
) -> None:
    path = small(tmp_path, text)
    with pytest.raises(ValueError, match=words) as error:
        read_series(path, DataOptions(**options))  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_a_column_without_values_is_a_constant_and_said(tmp_path: Path) -> None:
    text = "id,time,x,y\n" + "".join(f"{k},{t},{k + t}.5,\n" for k in range(9) for t in range(3))
    steps = read_series(small(tmp_path, text), DataOptions())
    assert steps.codec.columns[1].type == "constant" and "column y: never known" in steps.notes


def test_a_wide_file_is_cut_into_windows(tmp_path: Path) -> None:
    text = "date,a,b\n" + "".join(f"2024-01-01 {h // 60:02}:{h % 60:02},{h}.5,{h * h}\n" for h in range(100))
    steps = read_series(small(tmp_path, text), DataOptions(series_window=30))
    assert len(steps) == 71 and steps.most == 30 and not steps.codec.whole
    assert steps.samples(5, 6)[0, :, 0].tolist() == [h + 0.5 for h in range(5, 35)]


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_end_where_only_nan_follows(suffix: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(12, 7, 2))
    x[3, 4:] = np.nan
    x[5, 2, 0] = np.nan
    path = tmp_path / f"x{suffix}"
    np.save(path, x) if suffix == ".npy" else np.savez(path, x=x)
    store = open_store(f"series:{path}", DataOptions(), progress=False)
    assert np.array_equal(np.asarray(store.fields["x"][:]), x, equal_nan=True)
    assert stored_lengths(x)[3] == 4 and read_spec(store.spec.to_json()) == store.spec


def test_without_the_prefix_a_csv_is_a_table(tmp_path: Path) -> None:
    assert open_store(small(tmp_path, long()), DataOptions(), progress=False).spec.kind == "table"


def test_the_judge_tells_good_series_from_bad_ones_and_flags_copies(tmp_path: Path) -> None:
    # Long enough that a random walk and a shuffled one differ by more than two halves of the walks do.
    path = small(tmp_path, long(200, steps=(8, 12)))
    store = open_store(f"series:{path}", DataOptions(), progress=False)
    metrics = ("course", "discriminative", "copying")
    judge = build_judge(store, split=Split(n=100), options=JudgeOptions(metrics=metrics, encoder=_none(store)))
    floor, control = judge.yardsticks()
    noise = judge.real.held.copy()
    random = np.random.default_rng(1)
    there = ~np.isnan(noise[..., 0])
    noise[..., 0][there] = random.permutation(noise[..., 0][there])
    low = judge.real.held.copy()
    low[..., 0] = np.where(there, store.spec.codec.columns[0].low, np.nan)
    assert judge.score(low).values["discriminative"] > floor.values["discriminative"] + 0.2
    bad = judge.score(noise)
    assert bad.values["autocorrelation"] > 3 * floor.values["autocorrelation"]
    assert judge.flags(control, floor.values, control.values)["copying"] == "yes"
    assert judge.flags(floor, floor.values, control.values)["copying"] == "no"
    assert any("joined at random" in line for line in judge.sentences(bad, floor.values))


def _none(store):
    """An encoder that was shown hardly anything: its features are not asked for here."""
    from gansmith.encoders.own import train_own

    return train_own(store, images=256, progress=False)


def test_a_sheet_shows_samples_over_real_ones_and_their_ends(tmp_path: Path) -> None:
    store = open_store(f"series:{small(tmp_path, long())}", DataOptions(), progress=False)
    x = np.asarray(store.fields["x"][:])
    show = show_of("series")
    alone, over = (np.asarray(show.sheet(x[:2], store.spec, real)) for real in (x[:0], x[10:]))
    assert alone.shape == over.shape and (alone != over).any()
    longer = x[:2].copy()
    longer[0, -1] = longer[0, 0]
    assert (np.asarray(show.sheet(longer, store.spec, x[:0])) != alone).any()
