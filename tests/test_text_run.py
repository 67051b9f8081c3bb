"""A run on text from end to end: training, resume, samples as lines, temperature, scores, info, report."""

import contextlib
import io
import itertools
from pathlib import Path

import numpy as np
import pytest

import gansmith
from gansmith.cli import main
from gansmith.judge.judge import JudgeOptions
from gansmith.judge.kinds.text import Text
from gansmith.judge.protocol import scores_of
from gansmith.judge.real import Split
from gansmith.options import Count, DataOptions
from gansmith.recipes.seqgan import SeqGAN
from gansmith.report import report
from gansmith.run import Run

LINES = [f"{a} {b} {c}." for a, b, c in itertools.product(("a man", "two dogs"), ("rides", "sees", "eats"), "xyzuvw")]
TINY = {"hidden": 8, "embedding": 8, "width": 4, "rollouts": 2, "discriminator_moves": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("text")
    source = folder / "lines.txt"
    source.write_text("\n".join(LINES * 2) + "\n")
    recipe = SeqGAN(likelihood_steps=12, discriminator_steps=2, g_lr=0.05, **TINY)
    options = gansmith.TrainOptions(
        images=Count(16 * 16), batch_size=16, precision="fp32", device="cpu", evaluate_every=Count(128)
    )
    return gansmith.train(recipe, str(source), options, out=folder / "run")


def said(*words: str) -> tuple[int, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(list(words))
    return code, out.getvalue()


def test_frames_are_files_of_lines_and_curves_are_drawn(run: Run) -> None:
    frames = sorted((run.path / "samples").iterdir())
    assert frames and all(f.suffix == ".txt" for f in frames)
    assert len(frames[-1].read_text().splitlines()) == 64
    assert (run.path / "curves.png").is_file() and not (run.path / "film.gif").exists()
    assert {"G/nll", "D/real", "G/policy"} <= {k for line in run.log() for k in line}


def test_a_resumed_run_goes_on(run: Run) -> None:
    gansmith.resume(run.path, images=18 * 16)
    assert run.progress()["images"] == 18 * 16


def test_samples_are_printed_or_written_and_temperature_counts(run: Run, tmp_path: Path) -> None:
    code, text = said("sample", str(run.path), "-n", "6")
    lines = text.splitlines()
    assert code == 0 and len(lines) == 6 and lines == gansmith.load(run.path).sample(6).tolist()
    code, cold = said("sample", str(run.path), "-n", "6", "--temperature", "0.01")
    assert code == 0 and len(set(cold.splitlines())) == 1 and cold != text
    out = tmp_path / "lines.txt"
    assert said("sample", str(run.path), "-n", "6", "--out", str(out))[0] == 0
    assert out.read_text().splitlines() == lines
    for words, what in (
        (("--out", str(tmp_path / "x.png")), "does not fit"),
        (("--temperature", "0"), "must be above 0"),
        (("--temperature", "-1"), "must be above 0"),
    ):
        code, text = said("sample", str(run.path), *words)
        assert code == 1 and what in text, text


def test_a_run_that_ends_before_its_last_stage_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = gansmith.TrainOptions(images=Count(64), batch_size=16, precision="fp32", device="cpu")
    for stage, warned in ((3, False), (4, True)):
        recipe = SeqGAN(likelihood_steps=2, discriminator_steps=stage - 2, **TINY)
        gansmith.train(recipe, LINES, options, out=tmp_path / str(stage))
        said_so = "never taken" in (text := "".join(capsys.readouterr()))
        assert said_so == warned and (not warned or "starts at 64 images" in text), text
    default = SeqGAN()
    assert (default.likelihood_steps + default.discriminator_steps) * 64 < 200_000, "the default budget reaches it"


def test_a_recipe_without_temperature_says_so(tmp_path: Path) -> None:
    options = gansmith.TrainOptions(images=Count(64), precision="fp32", device="cpu")
    made = gansmith.train("gan", "toy:ring", options, out=tmp_path / "run")
    code, text = said("sample", str(made.path), "--temperature", "0.5", "--out", str(tmp_path / "x.npz"))
    assert code == 1 and "gan takes no --temperature" in text
    code, text = said("sample", str(made.path), "--out", str(tmp_path / "x.txt"))
    assert code == 1 and "does not fit" in text


def test_scores_info_and_report(run: Run) -> None:
    code, text = said("evaluate", str(run.path), "-n", "36")
    assert code == 0 and "BLEU-4" in text and "NLL of real lines" in text, text
    found = scores_of(run.path)[-1]
    assert found.flags["control_flagged"] == "yes" and found.control["exact copies"] == 1
    assert 0 < found.scores["NLL of real lines"] < 5
    assert (run.path / "scores" / "training.jsonl").is_file() and (run.path / "best").is_dir()
    code, text = said("info", str(run.path))
    assert code == 0 and "Discriminator" in text
    page = run.path / "report.html"
    report(run, page)
    html = page.read_text()
    assert "lines of text of at most" in html and "<li>" in html


def test_the_judge_tells_copies_repeats_and_noise_apart() -> None:
    store = gansmith.data.open_store(LINES * 2, DataOptions())
    judge = Text.of(store, split=Split(n=30))
    floor, control = (yardstick.values for yardstick in judge.yardsticks())
    repeated = judge.score(np.array([LINES[0]] * 30))
    assert judge.flags(repeated, floor, control)["collapsed"] == "yes"
    assert repeated.values["self-BLEU-4"] == pytest.approx(1)
    noise = judge.score(np.array([" ".join(sorted(line, key=hash)) for line in LINES[:30]])).values
    assert noise["BLEU-4"] < floor["BLEU-4"] and noise["exact copies"] == 0
    with pytest.raises(ValueError, match="no metrics 'fd' of kind text"):
        Text.of(store, options=JudgeOptions(metrics=("fd",)))


def test_files_of_text_are_scored_against_one_another(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(LINES) + "\n")
    (tmp_path / "b.txt").write_text("\n".join(f"{line} so" for line in LINES) + "\n")
    code, text = said("evaluate", "--real", str(tmp_path / "a.txt"), "--fake", str(tmp_path / "b.txt"))
    assert code == 0 and "self-BLEU-4" in text and "exact copies" in text, text
