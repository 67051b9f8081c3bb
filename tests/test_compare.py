"""Comparison: like with like only, honest intervals, and a benchmark that goes on where it was stopped."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.test_cli import OWN

from gansmith.cli import main
from gansmith.compare.bench import Entry, bench, seeds
from gansmith.compare.compare import compare
from gansmith.compare.page import table
from gansmith.compare.statistics import interval, t_quantile, welch
from gansmith.extras import MissingExtra
from gansmith.judge.protocol import Protocol, Scores

PROTOCOL = Protocol(
    kind="image",
    container="uint8 28x28x1",
    packing="crop, lanczos",
    quantised=True,
    reference="mnist",
    reference_digest="ab" * 32,
    reference_seed=0,
    num_real=10_000,
    num_fake=10_000,
    held_out="mnist:test",
    held_out_seen=False,
    num_training=20_000,
    copying="pixels reduced to 1024 values, PCA 64",
    encoder="inception",
    encoder_sha256="cd" * 32,
    encoder_resize="tf1-bilinear",
    encoder_antialias=False,
    encoder_input="3x299x299",
    encoder_scaling="(x - 128) / 128",
    encoder_features=2048,
    weights="ema",
    checkpoint="last",
    sample_seed=0,
)
BETTER = {"FID": "lower", "recall": "higher", "C_T": "floor"}


def scored(folder: Path, recipe: str, seed: int, fid: float, protocol: Protocol = PROTOCOL, **about: Any) -> Path:
    """A run's directory with nothing but its scores."""
    path = folder / f"{recipe}-{seed}"
    (path / "scores").mkdir(parents=True, exist_ok=True)
    (path / "run.json").write_text("{}")
    facts = {"fields": {"lr": 1e-4}, "digest": "d", "batch_size": 64, "images": 1_000, "seconds": 1.0, "data": "mnist"}
    scores = Scores(
        scores={"FID": fid, "recall": 0.5, "C_T": 10 - fid},
        floor={"FID": 2.0, "recall": 0.9, "C_T": 0.0},
        control={"FID": 1.0, "recall": 1.0, "C_T": -40.0},
        better=BETTER,
        flags={"collapsed": "yes" if fid > 100 else "no", "copying": "no"},
        reading=(),
        notes=(),
        protocol=protocol,
        run={"recipe": recipe, "seed": seed, **facts, **about},
        created="2026-01-01T00:00:00Z",
    )
    (path / "scores" / scores.file_name).write_text(json.dumps(scores.to_json()))
    return path


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("encoder_resize", "pil-bicubic"),
        ("reference", "mnist:test"),
        ("num_fake", 50_000),
        ("weights", "raw"),
        ("reference_seed", 1),
    ],
)
def test_unlike_protocols_are_refused_with_the_fields_name(tmp_path: Path, field: str, value: object) -> None:
    a = scored(tmp_path, "gan", 0, 10.0)
    b = scored(tmp_path, "dcgan", 0, 9.0, dataclasses.replace(PROTOCOL, **{field: value}))
    with pytest.raises(ValueError, match=rf"do not compare: {field} is .*{value}"):
        compare([a, b])


def test_the_shared_protocol_is_found_among_several(tmp_path: Path) -> None:
    a = scored(tmp_path, "gan", 0, 10.0)
    scored(tmp_path, "gan", 0, 99.0, dataclasses.replace(PROTOCOL, weights="raw"))
    b = scored(tmp_path, "dcgan", 0, 9.0)
    found = compare([a, b])
    assert found.protocol == PROTOCOL
    assert found.estimates["gan"]["FID"].values == {"0": 10.0}
    with pytest.raises(ValueError, match="no scores under protocol 00000000"):
        compare([a, b], protocol="00000000")


def test_unscored_runs_are_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="gansmith evaluate"):
        compare([tmp_path])
    with pytest.raises(FileNotFoundError, match="no run"):
        compare([tmp_path / "nothing"])


def test_means_intervals_and_verdicts(tmp_path: Path) -> None:
    a = [scored(tmp_path, "r3gan", s, v) for s, v in enumerate((5.0, 6.0, 7.0))]
    b = [scored(tmp_path, "dcgan", s, v) for s, v in enumerate((8.0, 9.1, 9.9))]
    c = [scored(tmp_path, "gan", s + 7, v) for s, v in enumerate((3.0, 12.0, 130.0))]
    found = compare([*c, *b, *a], out=tmp_path / "out")
    e = found.estimates["r3gan"]["FID"]
    assert e.mean == 6.0 and e.half_width == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)
    assert list(found.groups) == ["r3gan", "dcgan", "gan"], "best first"
    duel = next(v for v in found.versus if (v.first, v.second, v.metric) == ("r3gan", "dcgan", "FID"))
    assert (duel.verdict, duel.paired) == ("win", 3)
    assert duel.difference == pytest.approx(3.0, abs=1e-9)
    vague = next(v for v in found.versus if (v.first, v.second, v.metric) == ("r3gan", "gan", "FID"))
    assert (vague.verdict, vague.paired) == ("tie", 0), "seeds that do not match are not paired"
    same = next(v for v in found.versus if v.metric == "recall")
    assert same.verdict == "tie"
    depth = next(v for v in found.versus if (v.first, v.second, v.metric) == ("r3gan", "dcgan", "C_T"))
    assert depth.verdict == "lose", "dcgan's C_T is nearer to the floor"
    assert found.tally("r3gan") == {"win": 1, "tie": 4, "lose": 1}
    assert any("collapsed: yes (1 of 3)" in text for text in found.flags["gan"])
    text = table(found)
    assert "r3gan against dcgan: better" in text and "6 ± 2.48" in text
    saved = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert saved["estimates"]["gan"]["FID"]["values"] == {"7": 3.0, "8": 12.0, "9": 130.0}
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "<script" not in page and "http" not in page and "src=" not in page.replace('src="data:', "")


def test_names_are_escaped_in_the_page(tmp_path: Path) -> None:
    run = scored(tmp_path, "gan", 0, 1.0, data="<img onerror=x>", fields={"a": "<b>"})
    other = scored(tmp_path, "gan", 1, 1.0, fields={"a": "<i>"})
    compare([run, other], out=tmp_path / "out")
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "<b>" not in page and "&lt;b&gt;" in page


def test_one_seed_gives_no_verdict_and_fields_make_groups(tmp_path: Path) -> None:
    a = scored(tmp_path, "gan", 0, 10.0, fields={"lr": 1e-4, "pack": 1})
    b = scored(tmp_path, "gan", 1, 5.0, fields={"lr": 1e-4, "pack": 2}, images=2_000)
    found = compare([a, b])
    assert set(found.groups) == {"gan pack=1", "gan pack=2"}
    assert {v.verdict for v in found.versus} == {"unknown"}
    assert any("unequal budgets" in note for note in found.notes)
    assert any("one seed" in note for note in found.notes)


def test_precision_makes_groups_and_what_was_not_held_equal_is_said(tmp_path: Path) -> None:
    def setting(precision: str, last: bool) -> dict[str, Any]:
        return {"setting": {"device": "cpu", "precision": precision, "channels_last": last}}

    a = scored(tmp_path, "gan", 0, 10.0, **setting("fp32", False))
    b = scored(tmp_path, "gan", 1, 5.0, **setting("bf16", True))
    c = scored(tmp_path, "wgan", 0, 5.0)  # scored before it was recorded
    found = compare([a, b])
    assert set(found.groups) == {"gan precision=fp32", "gan precision=bf16"}
    notes = " ".join(found.notes)
    assert "trained in bf16 and fp32" in notes and "layouts nchw and nhwc" in notes
    assert "trained in fp32 and one not recorded" in " ".join(compare([a, c]).notes)
    assert "trained in" not in " ".join(compare([a]).notes)


def test_infinite_scores_do_not_break_a_comparison(tmp_path: Path) -> None:
    runs = [scored(tmp_path, "gan", s, v) for s, v in enumerate((5.0, float("inf"), 7.0))]
    found = compare(runs, out=tmp_path / "out")
    assert found.estimates["gan"]["FID"].mean == 6.0
    assert json.loads((tmp_path / "out" / "compare.json").read_text())


def test_t_quantiles_and_intervals() -> None:
    table_of_t = {1: 12.706, 2: 4.303, 4: 2.776, 9: 2.262, 11: 2.201, 20: 2.086, 30: 2.042, 120: 1.980}
    for degrees, value in table_of_t.items():
        assert t_quantile(degrees) == pytest.approx(value, abs=1e-3)
    assert np.isnan(interval([3.0])[1])
    random = np.random.Generator(np.random.Philox(0))
    inside, inside_welch = 0, 0
    for _ in range(2_000):
        mean, half = interval(random.normal(1.0, 2.0, 5).tolist())
        inside += abs(mean - 1.0) <= half
        difference, half = welch(random.normal(0.0, 1.0, 5).tolist(), random.normal(1.0, 3.0, 6).tolist())
        inside_welch += abs(difference - 1.0) <= half
    assert 0.935 < inside / 2_000 < 0.965
    assert 0.935 < inside_welch / 2_000 < 0.98  # degrees of freedom are rounded down


# --- bench ---


def test_entries_and_seeds() -> None:
    entry = Entry.parse("gan:lr=1e-4,z-dim=8,saturating=True")
    assert entry.words == ["--lr", "1e-4", "--z-dim", "8", "--saturating"]
    assert entry.folder == "gan-lr-1e-4-z_dim-8-saturating-True"
    assert seeds("0..4") == (0, 1, 2, 3, 4) and seeds("3,1") == (3, 1)
    for wrong in ("", "4..0", "a", "1,1"):
        with pytest.raises(ValueError, match="no seeds"):
            seeds(wrong)
    for wrong in ("gan:lr", ":a=1", "gan:=2"):
        with pytest.raises(ValueError):
            Entry.parse(wrong)


def test_a_benchmark_compares_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "bench"
    budget = ["--images", "192", "--batch-size", "32", "--precision", "fp32", "--sample-every", "192"]
    scoring = ["--encoder", "pixels", "--num", "200", "--metrics", "fd", "diversity"]
    said: list[str] = []
    # The second entry fails: its message must reach the user, and the others must be compared all the same.
    words = ["gan:width=16", "gan:nothing=1"]
    found = bench(words, out, seeds=(0, 1), train=budget, evaluate=scoring, say=said.append, jobs=2)
    assert list(found.groups) == ["gan"] and found.groups["gan"]["seeds"] == [0, 1]
    assert found.groups["gan"]["layouts"] == ["nchw", "nchw"] and "all with --layout nchw" in said[0]
    assert sum("failed: there is no option --nothing" in note for note in found.notes) == 2
    assert (out / "compare.html").is_file() and (out / "compare.json").is_file()
    assert not list((out / "gan-width-16").glob("*/checkpoints/*.part"))
    stamp = (out / "gan-width-16" / "seed-0" / "log.jsonl").stat().st_mtime_ns
    again = bench(words[:1], out, seeds=(0,), train=budget, evaluate=scoring, say=said.append)
    assert (out / "gan-width-16" / "seed-0" / "log.jsonl").stat().st_mtime_ns == stamp, "a finished run is kept"
    kept = again.estimates["gan"]["FD-pixels"].values
    assert kept == {"0": found.estimates["gan"]["FD-pixels"].values["0"]}
    with pytest.raises(ValueError, match="unequal budgets"):
        bench(words[:1], out, train=["--images", "320"])


def test_a_benchmark_knows_its_recipes_by_what_their_files_hold(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(OWN)
    budget = ["--images", "64", "--batch-size", "32", "--sample-every", "64"]
    scoring = ["--encoder", "pixels", "--num", "200", "--metrics", "fd"]
    found = bench([str(mine)], tmp_path / "out", seeds=(0,), train=budget, evaluate=scoring, say=lambda _: None)
    assert (tmp_path / "out/mine/seed-0/recipe.py").read_text() == mine.read_text()
    assert found.groups["mine"]["precision"] == "fp32"
    mine.write_text(mine.read_text() + "# another\n")
    with pytest.raises(ValueError, match=r"mine.py has changed since .*seed-0 was trained with it"):
        bench([str(mine)], tmp_path / "out", seeds=(0,), train=budget, evaluate=scoring, say=lambda _: None)
    with pytest.raises(ValueError, match=r"no recipe file at nowhere\.py"):
        bench(["nowhere.py"], tmp_path / "other", seeds=(0,), train=budget, say=lambda _: None)


def test_a_benchmark_by_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "r3gan:width=16", "--data", "digits", "--seeds", "0", "--images", "128", "--batch-size", "32"]
    words += ["--precision", "fp32", "--sample-every", "128", "--out", str(tmp_path / "b"), "--encoder", "pixels"]
    assert main([*words, "-n", "200"]) == 0
    shown = capsys.readouterr()
    assert "FD-pixels" in shown.out and "floor (real)" in shown.out and "[1/1] r3gan-width-16 seed 0" in shown.err


def test_the_command_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(tmp_path)]) == 1
    assert "no run at" in capsys.readouterr().err
    assert main(["compare"]) == 2
    assert main(["bench", "gan", "--out", str(tmp_path / "x"), "--seed", "3"]) == 2
    assert "--seeds" in capsys.readouterr().err


def test_a_benchmark_on_ray(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    out = tmp_path / "bench"
    try:
        found = bench(
            ["gan:width=8"],
            out,
            data="digits",
            seeds=(0, 1),
            train=["--images", "128", "--batch-size", "32"],
            evaluate=["--num", "50", "--encoder", "pixels"],
            ray="local",
            say=lambda _: None,
        )
    finally:
        ray.shutdown()
    assert len(found.groups) == 1
    assert sorted(p.name for p in (out / "gan-width-8").iterdir() if p.is_dir()) == ["seed-0", "seed-1"]


def test_ray_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'gansmith\[ray\]'"):
        bench(["gan"], tmp_path / "bench", ray="auto")
