"""Killed at any moment and resumed, a run ends with the same bits as one that was never stopped."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
            *("--data", "digits", "--images", str(images), "--batch-size", "16", "--precision", "fp32"),
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


def harried(
    recipe: str, out: Path, images: int, kills: int, longest: float, ranks: int = 1, seed: int = 0
) -> tuple[str, list[str]]:
    """A run stopped `kills` times at random moments, by SIGKILL or SIGTERM: its digest, and what was done to it."""
    dice = random.Random(seed)
    story: list[str] = []
    while True:
        started = (out / "run.json").exists()
        process = subprocess.Popen(
            command(recipe, out, images, ranks, resume=started),
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            if len(story) < kills:
                process.wait(timeout=dice.uniform(0.3, longest))
            _, errors = process.communicate(timeout=600)
        except subprocess.TimeoutExpired:
            kind = dice.choice([signal.SIGKILL, signal.SIGTERM])
            if kind == signal.SIGKILL:
                os.killpg(process.pid, kind)
            else:
                process.send_signal(kind)
            _, errors = process.communicate(timeout=120)
            story.append(f"{kind.name} -> {process.returncode}")
            if ranks == 1:
                assert process.returncode in (-9, 143, -15), errors  # -15: before training began
            if out.exists() and not (out / "run.json").exists():
                for left in sorted(out.rglob("*"), reverse=True):  # killed while its folder was made: start over
                    left.rmdir() if left.is_dir() else left.unlink()
                out.rmdir()
            continue
        assert process.returncode == 0, errors
        return digest(out), story


def test_a_killed_run_ends_like_one_never_killed(tmp_path: Path) -> None:
    expected, seconds = whole("gan", tmp_path / "whole", 60_000)
    found, story = harried("gan", tmp_path / "harried", 60_000, kills=4, longest=seconds)
    assert found == expected and len(story) >= 2, story


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
    images = {"gan": 150_000, "dcgan": 40_000, "wgan_gp": 12_000, "r3gan": 20_000}[recipe]
    expected, seconds = whole(recipe, tmp_path / "whole", images, ranks)
    found, story = harried(recipe, tmp_path / "harried", images, kills=30, longest=max(seconds / 3, 5), ranks=ranks)
    print(f"{recipe} on {ranks}: never stopped in {seconds:.0f} s; {len(story)} stops: {', '.join(story)}")
    assert found == expected
    assert len(story) >= 10, story
