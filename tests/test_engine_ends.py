"""How runs end: killed while they finish, diverged, stopped, out of time; and how each goes on from there."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gansmith
from gansmith.cli import main
from gansmith.engine import finish, loop, session
from gansmith.files import sha256
from gansmith.model.saved import model_images
from gansmith.options import Count, TrainOptions
from gansmith.recipes.gan import GAN
from gansmith.run import Run

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
