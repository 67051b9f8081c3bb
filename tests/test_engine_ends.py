"""How runs end: killed while they finish, diverged, stopped, out of time; and how each goes on from there."""

import dataclasses
import os
import re
import shlex
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.test_goldens import write_sources

import gansmith
from gansmith.cli import main
from gansmith.engine import finish, log, loop, session, start
from gansmith.files import sha256
from gansmith.model.saved import model_images
from gansmith.options import Count, TrainOptions
from gansmith.recipes import gan
from gansmith.recipes.gan import GAN
from gansmith.recipes.wgan_gp import WGANGP
from gansmith.run import Run
from gansmith.step.ranks import Ranks, Setting

BATCH = 16
OPTIONS = TrainOptions(
    images=Count(20 * BATCH),
    batch_size=BATCH,
    checkpoint_every=Count(8 * BATCH),
    log_every=Count(4 * BATCH),
    precision="fp32",
    layout="nchw",
)


class Killed(BaseException):
    """Nothing of ours catches it, as nothing catches SIGKILL."""


def train(out: Path, options: TrainOptions = OPTIONS, **more: Any) -> Run:
    return gansmith.train(GAN(width=8), "toy:ring", options, out=out, **more)


def kill_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int = 1) -> None:
    """Die in the n-th call of a function, before it has done anything."""
    whole: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise Killed
        return whole(*args, **kwargs)

    monkeypatch.setattr(owner, name, dying)


def left(run: Path) -> dict[str, str]:
    """What a finished run holds, but for what states times."""
    return {
        str(path.relative_to(run)): sha256(path)
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.suffix in (".safetensors", ".png", ".gif")
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped."""
    return train(tmp_path_factory.mktemp("whole") / "run").path


@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (session, "save_model", 3),  # of the last checkpoint: two were saved before
        (loop, "complete", 1),
        (finish.show, "film", 1),
        (finish.show, "curves", 1),
        (Run, "finish", 1),
    ],
)
def test_killed_while_it_finishes_it_is_finished_by_resume(
    owner: Any, name: str, call: int, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        kill_at(patch, owner, name, call)
        with pytest.raises(Killed):
            train(out)
    assert Run(out).checkpoints()[-1].meta["step"] == 20, "it died before the end"
    assert not Run(out).progress()["finished"]
    gansmith.resume(out)
    assert left(out) == left(whole) and Run(out).progress()["finished"]


@pytest.mark.parametrize("lost", ["model", "frame", "film.gif", "curves.png"])
def test_what_a_finished_run_lacks_is_made_again(
    lost: str, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So it stands after an older gansmith was killed there, or where a file was deleted."""
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    if lost == "model":  # that of an earlier moment
        early = train(tmp_path / "early", dataclasses.replace(OPTIONS, images=Count(8 * BATCH))).path
        shutil.rmtree(out / "model")
        shutil.copytree(early / "model", out / "model")
        assert model_images(out / "model") == 8 * BATCH
    else:
        (sorted((out / "samples").iterdir())[-1] if lost == "frame" else out / lost).unlink()
    capsys.readouterr()
    gansmith.resume(out)
    assert "is missing" in capsys.readouterr().err
    assert left(out) == left(whole)
    gansmith.resume(out)
    assert "is finished" in capsys.readouterr().err


def test_overwrite_trains_in_place_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "gan", "--data", "toy:ring", "--width", "8", "--images", "320", "--batch-size", "16"]
    words += ["--precision", "fp32", "--out", str(tmp_path / "run")]
    assert main(words) == 0
    assert main([*words, "--seed", "1"]) == 1 and "--overwrite" in capsys.readouterr().err
    assert main([*words, "--seed", "1", "--overwrite", "--resume"]) == 2
    assert main([*words, "--seed", "1", "--overwrite"]) == 0
    assert Run(tmp_path / "run").record["options"]["seed"] == 1


def test_a_session_begins_by_removing_what_a_killed_one_left(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    part = out / "checkpoints" / ".step-0000000030.safetensors.1.part"
    part.write_text("half")
    (out / "samples" / "000000000320.png").unlink()
    gansmith.resume(out, images=30 * BATCH)
    assert not part.exists() and Run(out).progress()["finished"]


def test_images_alone_go_on_where_minutes_were_up_and_minutes_where_images_were(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = train(out, dataclasses.replace(OPTIONS, images=Count(0), minutes=1e-6)).progress()
    assert 0 < done["images"] < 40 * BATCH
    assert gansmith.resume(out, images=40 * BATCH).progress()["images"] == 40 * BATCH
    seconds = Run(out).progress()["seconds"]
    more = gansmith.resume(out, minutes=seconds / 60 + 1e-3).progress()
    assert more["images"] > 40 * BATCH and more["seconds"] > seconds
    with pytest.raises(ValueError, match="larger --images or --minutes"):
        gansmith.resume(out, minutes=1e-6)


def test_minutes_that_are_not_up_hold_still() -> None:
    options = dataclasses.replace(OPTIONS, minutes=10.0)
    for seconds, minutes in ((599.0, 10.0), (600.0, 0.0)):
        done = {"images": 160, "seconds": seconds}
        more = start._continued(options, 10_000, None, done)
        assert (more.budget, more.minutes) == (10_000, minutes)
    both = start._continued(options, 10_000, 20.0, {"images": 320, "seconds": 600.0})
    assert (both.budget, both.minutes) == (10_000, 20.0)
    assert start._continued(options, None, 20.0, {"images": 319, "seconds": 600.0}).budget == 320
    assert start._continued(options, None, 20.0, {"images": 320, "seconds": 600.0}).budget == 0


def test_a_raised_budget_is_kept_when_the_run_is_stopped_once_more(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    with monkeypatch.context() as patch:
        interrupt(patch)
        with pytest.raises(KeyboardInterrupt):
            gansmith.resume(out, images=60 * BATCH)
    assert Run(out).progress()["images"] < 60 * BATCH
    assert gansmith.resume(out).progress()["images"] == 60 * BATCH


def interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at the first line of the log."""
    look = log.Log.look

    def interrupted(self: log.Log, at: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        look(self, at)

    monkeypatch.setattr(log.Log, "look", interrupted)


COMMANDS = {
    "gan": "--data toy:ring --width 8",
    "seqgan": "--data lines.txt --hidden 8 --embedding 8 --width 4 --rollouts 2 --likelihood-steps 4",
    "gain": "--data holes.csv --width 8",
    "cyclegan": "--data domains:sides --width 4 --blocks 1 --patch 1",
    "own recipe.py": "--data toy:ring",
}


@pytest.mark.parametrize("recipe", COMMANDS)
def test_every_command_that_is_printed_works_as_printed(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sources(tmp_path)
    monkeypatch.chdir(tmp_path)
    own = Path(gan.__file__).read_text().replace("from .. ", "from gansmith ").replace("from ..", "from gansmith.")
    (tmp_path / "own recipe.py").write_text(own)

    def printed(told: str) -> list[str]:
        after = re.split("continue with:|next:", told)[1:]
        return [line.strip() for text in after for line in text.splitlines() if line.strip().startswith("gansmith ")]

    words = shlex.split(f"train '{recipe}' {COMMANDS[recipe]} --batch-size 16 --images 320 --precision fp32")
    with monkeypatch.context() as patch:
        interrupt(patch)
        assert main([*words, "--out", "runs/a run"]) == 130
    commands = printed(capsys.readouterr().err)
    assert len(commands) == 1
    assert main(shlex.split(commands[0])[1:]) == 0
    commands = printed(capsys.readouterr().err)
    assert len(commands) == 3
    before = len(list(tmp_path.iterdir()))
    for text in commands:
        assert main(shlex.split(text)[1:]) == 0, text
    assert Run("runs/a run").progress()["images"] == 640
    assert len(list(tmp_path.iterdir())) > before, "what was sampled or applied is not there"


def poison(monkeypatch: pytest.MonkeyPatch, images: int) -> None:
    """The generator's loss is NaN from so many images on; by it, all of D's terms from the next step on."""
    loss = GAN.generator_loss

    def poisoned(self: GAN, nets: Any, batch: Any) -> Any:
        terms = loss(self, nets, batch)
        return {name: torch.where(batch["images"] < images, term, torch.nan) for name, term in terms.items()}

    monkeypatch.setattr(GAN, "generator_loss", poisoned)


@pytest.mark.parametrize("log_every", [BATCH, 1000 * BATCH])
def test_divergence_names_what_was_first_and_advises_nothing_in_use(
    log_every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    poison(monkeypatch, 600 * BATCH)  # beyond the steps whose terms are kept
    words = ["train", "gan", "--data", "toy:ring", "--width", "4", "--batch-size", str(BATCH), "--precision", "fp32"]
    words += ["--images", str(700 * BATCH), "--log-every", str(log_every), "--out", str(tmp_path / "run")]
    words += ["--sample-every", "1M"]
    assert main(words) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "diverged" in line]
    assert "G/adversarial became nan at step 601;" in line
    assert "a lower --lr (now 0.0002)" in line and "--overwrite" in line
    assert "fp32" not in line and "penalty" not in line
    monkeypatch.undo()
    assert main([*words[:-4], "--lr", "1e-4", "--images", "160", "--out", str(tmp_path / "run"), "--overwrite"]) == 0


def test_advice_is_of_the_recipe_and_the_setting() -> None:
    assert "a larger --penalty (now 10)" in log.advice(WGANGP(), Setting())
    assert "--precision fp32 (now bf16)" in log.advice(WGANGP(), Setting(precision="bf16"))


def test_the_first_term_that_is_not_finite_is_found_looking_back() -> None:
    means, one, nan = log.Means(Ranks()), torch.tensor(1.0), torch.tensor(torch.nan)
    for step in range(1, 1000):
        means.add({"D/real": nan if step > 700 else one}, step)
        if step % 3 == 0:
            means.add({"G/rare": torch.tensor(torch.inf) if step == 600 else one}, step)
    assert means.first_not_finite() == ("G/rare", 600)
    means.clear()
    means.add({"D/real": one, "D/fake": nan}, 1)
    assert means.first_not_finite() == ("D/fake", 1)
    means.clear()
    for step in (1, 2):
        means.add({"D/real": torch.tensor(3e38)}, step)
    assert means.values()["D/real"] == torch.inf and means.first_not_finite() is None


def test_auto_takes_no_setting_whose_terms_are_not_finite(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """bf16 would be ten times as fast here."""
    loss = GAN.discriminator_loss

    def brittle(self: GAN, nets: Any, batch: Any) -> Any:
        terms = loss(self, nets, batch)
        if torch.is_autocast_enabled("cpu"):
            return {name: term * torch.nan for name, term in terms.items()}
        time.sleep(0.02)
        return terms

    monkeypatch.setattr(GAN, "discriminator_loss", brittle)
    setting = train(tmp_path / "run", dataclasses.replace(OPTIONS, precision="auto")).record["setting"]
    assert setting["precision"] == "fp32" and not any("bf16" in name for name in setting["timings"])
    assert "bf16" in capsys.readouterr().err
