"""Killed at any moment and resumed, a run ends with the same bits as one that was never stopped."""

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gansmith.run import Run

TINY = {
    "gan": ["--width", "32"],
    "dcgan": ["--width", "4"],
    "wgan_gp": ["--width", "4"],
    "r3gan": ["--width", "4", "--nets", "resnet"],
}
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def command(recipe: str, out: Path, images: int, ranks: int = 1, resume: bool = False) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    options = (
        ["--resume"]
        if resume
        else [
            *("--data", "digits", "--images", str(images), "--batch-size", "16"),
            *("--precision", "fp32", "--layout", "nchw"),  # timing may choose otherwise in another run
            *("--checkpoint-every", "320", "--log-every", "160", "--sample-every", "3200"),
            *TINY[recipe],
        ]
    )
    return [sys.executable, *launcher, "-m", "gansmith", "train", recipe, "--out", str(out), *options]


def digest(run: Path) -> str:
    return hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()


def whole(recipe: str, out: Path, images: int, ranks: int = 1) -> tuple[str, float]:
    """A run that is never stopped: its digest, and its seconds."""
    began = time.monotonic()
    subprocess.run(command(recipe, out, images, ranks), env=ENVIRONMENT, check=True, capture_output=True, timeout=600)
    return digest(out), time.monotonic() - began


def reached(out: Path) -> int:
    """Images shown so far, as the log's last whole line tells."""
    path = out / "log.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    for line in reversed(lines):
        try:
            return int(json.loads(line)["images"])
        except json.JSONDecodeError:
            continue
    return 0


def family(pid: int) -> list[int]:
    """A process and all that it started, as when the machine goes down; torchrun's workers lead groups of their own."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError):
            for child in task.read_text().split():
                found += family(int(child))
    return found


def harried(recipe: str, out: Path, images: int, kills: int, ranks: int = 1, seed: int = 0) -> tuple[str, list[str]]:
    """A run stopped `kills` times by SIGKILL or SIGTERM: its digest, and what was done to it.

    The moments are random: now and then while it starts, else at a random amount of progress and a random moment
    after it, so that every machine, busy or idle, is stopped in all phases of training and saving.
    """
    dice = random.Random(seed)
    story: list[str] = []
    starting = False
    while True:
        process = subprocess.Popen(
            command(recipe, out, images, ranks, resume=(out / "run.json").exists()),
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if len(story) < kills:
            starting = dice.random() < 0.2
            if starting:
                deadline, target = time.monotonic() + dice.uniform(0.2, 2.5), images
            else:
                start = reached(out)
                deadline = time.monotonic() + 300
                target = start + int((images - start) / (kills - len(story) + 1) * dice.uniform(0, 1.5))
            while process.poll() is None and time.monotonic() < deadline and reached(out) <= target:
                time.sleep(0.005)
            time.sleep(dice.uniform(0, 0.05))
        if len(story) == kills or process.poll() is not None:
            _, errors = process.communicate(timeout=600)
            assert process.returncode == 0, errors
            return digest(out), story
        # torchrun may lose a SIGTERM that comes while it starts its workers: then they simply train on.
        kind = signal.SIGKILL if starting and ranks > 1 else dice.choice([signal.SIGKILL, signal.SIGTERM])
        if kind == signal.SIGKILL:
            for pid in family(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, kind)
        else:
            process.send_signal(kind)
        _, errors = process.communicate(timeout=120)
        story.append(f"{kind.name} at {reached(out)} -> {process.returncode}")
        if (out / "run.json").exists() and Run(out).progress()["finished"]:
            return digest(out), story
        if ranks == 1:
            assert process.returncode in (-9, 143, -15, 0), errors  # -15: before training began; 0: just done
        if out.exists() and not (out / "run.json").exists():
            shutil.rmtree(out)  # killed while its folder was made: nothing to resume yet


def test_a_killed_run_ends_like_one_never_killed(tmp_path: Path) -> None:
    expected, _ = whole("gan", tmp_path / "whole", 12_000)
    found, story = harried("gan", tmp_path / "harried", 12_000, kills=4)
    assert found == expected and len(story) >= 3, story


def test_a_finished_run_resumes_to_nothing_without_error(tmp_path: Path) -> None:
    expected, _ = whole("gan", tmp_path / "run", 640)
    again = command("gan", tmp_path / "run", 640, resume=True)
    done = subprocess.run(again, env=ENVIRONMENT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "finished" in done.stderr and digest(tmp_path / "run") == expected
    done = subprocess.run([*again, "--images", "320"], env=ENVIRONMENT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1 and "larger --images" in done.stderr


def test_sigterm_saves_within_a_step_and_exits_143(tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        command("gan", out, 10_000_000), env=ENVIRONMENT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    deadline = time.monotonic() + 60
    while not (out / "log.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 143 and "continue with" in errors
    steps = [json.loads(p.read_text())["step"] for p in (out / "checkpoints").glob("*.json")]
    last = json.loads((out / "log.jsonl").read_text().splitlines()[-1])["step"]
    assert max(steps) >= last  # everything logged is kept
    assert (out / "model" / "model.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("recipe", sorted(TINY))
def test_thirty_kills(recipe: str, ranks: int, tmp_path: Path) -> None:
    """30 random moments of each recipe, on one rank and on two."""
    images = {"gan": 200_000, "dcgan": 30_000, "wgan_gp": 12_000, "r3gan": 30_000}[recipe]
    expected, seconds = whole(recipe, tmp_path / "whole", images, ranks)
    found, story = harried(recipe, tmp_path / "harried", images, kills=30, ranks=ranks)
    print(f"{recipe} on {ranks}: never stopped in {seconds:.0f} s; {len(story)} stops: {', '.join(story)}")
    assert found == expected
    assert len(story) >= 25, story
