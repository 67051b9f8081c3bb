"""Killed at any moment and resumed, a run ends with the same bits as one that was never stopped: every recipe.

What is compared is the whole last checkpoint (weights, moving averages, optimisers, pools, running means, ADA's p), the
model, and every term of the log. Two ranks are held against two ranks: dropout is not that of one, and sums are rounded
in another order.
"""

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

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits

from gansmith.files import sha256
from gansmith.recipe import recipe_names
from gansmith.run import Run

TINY = {
    "gan": "--width 32",
    "dcgan": "--width 4",
    "wgan_gp": "--width 4",
    "r3gan": "--width 4 --nets resnet",
    "pacgan": "--width 4",
    "stylegan2": "--width 4 --max-width 8 --z-dim 16 --group 4 --r1-every 3 --path-length 2 --path-every 4 "
    "--ada-target 0.1 --ada-images 5000",
    "pix2pix": "--width 4 --patch 1",
    "cyclegan": "--width 4 --blocks 1 --patch 1",
    "ctgan": "--width 16 --pac 2",
    "gain": "--width 16 --evaluate-every 1600",
    "impute_gan": "--width 16 --evaluate-every 1600",
    "timegan": "--hidden 6 --layers 2 --embedding-steps 60 --supervised-steps 40",
    "doppelganger": "--width 8 --cell 8 --d-width 12",
    "seqgan": "--hidden 8 --embedding 8 --width 4 --rollouts 2 --rollout-keep 0.8 --discriminator-moves 2 "
    "--likelihood-steps 120 --discriminator-steps 20",
}
IMAGES = {"gan": 200_000, "dcgan": 30_000, "wgan_gp": 12_000, "r3gan": 30_000}
"""Of the thirty kills."""
FEW = {name: 3_200 for name in recipe_names() if name not in IMAGES}
FEW |= {"pacgan": 8_000, "stylegan2": 2_400, "pix2pix": 4_000, "cyclegan": 2_400, "ctgan": 6_000, "gain": 20_000}
FEW |= {"seqgan": 6_400, "impute_gan": 4_000}
"""Of the few kills, of every other recipe: seconds of training each."""
CARRIED = {
    "stylegan2": ["nets.A.p", "nets.P.mean.mean", "nets.G.centre.mean"],
    "cyclegan": ["nets.past_a.fakes", "nets.past_b.fakes"],
    "seqgan": ["nets.R.net.head.weight"],
}
"""What is kept beside weights that descend a gradient, and must have come to life, or nothing is shown."""
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def source(recipe: str, folder: Path) -> str:
    """Data that a recipe takes, written into the folder if it is not there: what `--data` is given."""
    random = np.random.default_rng(0)
    match recipe:
        case "pix2pix" | "cyclegan" | "cogan":
            for name, digits in (("a", load_digits().images[:60]), ("b", load_digits().images[60:120])):
                (folder / name).mkdir(parents=True, exist_ok=True)
                for i, digit in enumerate(digits):
                    Image.fromarray((digit * 15.9).astype(np.uint8)).save(folder / name / f"{i:03}.png")
            return f"{'pairs' if recipe == 'pix2pix' else 'domains'}:{folder}"
        case "ctgan" | "gain" | "impute_gan":
            rows = [f"{random.normal():.3f},{random.integers(40)},{'abc'[random.integers(3)]}" for _ in range(200)]
            if recipe != "ctgan":
                rows[::5] = [row.replace(row.split(",")[0], "", 1) for row in rows[::5]]
            path = folder / "rows.csv"
            path.write_text("\n".join(("height,count,kind", *rows)) + "\n")
            return str(path)
        case "timegan" | "doppelganger":
            steps = [f"{k},{t},{random.normal():.3f},{'ab'[k % 2]}" for k in range(60) for t in range(3 + k % 4)]
            path = folder / "steps.csv"
            path.write_text("\n".join(("id,time,x,group", *steps)) + "\n")
            return f"series:{path}"
        case "seqgan":
            path = folder / "lines.txt"
            path.write_text("\n".join(" ".join(random.choice(list("abcdefg"), 6)) for _ in range(200)) + "\n")
            return str(path)
    return "digits"


def command(recipe: str, out: Path, images: int, ranks: int = 1, resume: bool = False) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    options = (
        ["--resume"]
        if resume
        else [
            *("--data", source(recipe, out.parent), "--images", str(images), "--batch-size", "16"),
            *("--precision", "fp32", "--layout", "nchw"),  # timing may choose otherwise in another run
            *("--checkpoint-every", "320", "--log-every", "160", "--sample-every", "3200"),
            *TINY.get(recipe, "--width 4").split(),
        ]
    )
    return [sys.executable, *launcher, "-m", "gansmith", "train", recipe, "--out", str(out), *options]


def digest(run: Path) -> str:
    """Of all that training leaves, but for times."""
    found = Run(run)
    last = found.checkpoints()[-1]
    times = ("seconds", "images_per_second")
    log = [{k: v for k, v in line.items() if k not in times} for line in found.log()]
    note = {k: last.meta[k] for k in ("step", "moves", "counts", "finished")}
    whole = hashlib.sha256(json.dumps([note, log], sort_keys=True).encode())
    for path in (last.path, run / "model" / "model.safetensors"):
        whole.update(path.read_bytes())
    return whole.hexdigest()


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
    dice = random.Random(f"{recipe} {ranks} {seed}")
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
        kind = (
            signal.SIGKILL if starting and ranks > 1 else dice.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
        )
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
@pytest.mark.parametrize("recipe", sorted(IMAGES))
def test_thirty_kills(recipe: str, ranks: int, tmp_path: Path) -> None:
    """30 random moments of each recipe, on one rank and on two."""
    expected, seconds = whole(recipe, tmp_path / "whole", IMAGES[recipe], ranks)
    found, story = harried(recipe, tmp_path / "harried", IMAGES[recipe], kills=30, ranks=ranks)
    print(f"{recipe} on {ranks}: never stopped in {seconds:.0f} s; {len(story)} stops: {', '.join(story)}")
    assert found == expected
    assert len(story) >= 25, story


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("recipe", sorted(FEW))
def test_a_few_kills(recipe: str, ranks: int, tmp_path: Path) -> None:
    """4 random moments of the recipes that carry more than weights from step to step."""
    expected, seconds = whole(recipe, tmp_path / "whole", FEW[recipe], ranks)
    state = load_file(Run(tmp_path / "whole").checkpoints()[-1].path)
    for name in CARRIED.get(recipe, []):
        assert state[name].abs().sum() > 0, f"{name} never came to life"
    for seed in range(4):  # a small run may be over before torchrun has passed a SIGTERM on: then once more
        found, story = harried(recipe, tmp_path / f"harried{seed}", FEW[recipe], kills=4, ranks=ranks, seed=seed)
        print(f"{recipe} on {ranks}: never stopped in {seconds:.0f} s; {len(story)} stops: {', '.join(story)}")
        assert found == expected
        if len(story) >= 3:
            return
    pytest.fail(f"stopped too seldom to show anything: {story}")


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "name"), [(recipe, name) for recipe in CARRIED for name in CARRIED[recipe]])
def test_what_is_carried_counts(recipe: str, name: str, tmp_path: Path) -> None:
    """The control: forgotten at resume, it changes what comes out, so the tests above would see it."""
    out, images = tmp_path / "run", FEW[recipe]
    whole(recipe, out, images // 32 * 16)
    again = [*command(recipe, out, images, resume=True), "--images", str(images)]
    shutil.copytree(out, tmp_path / "forgetful")
    subprocess.run(again, env=ENVIRONMENT, check=True, capture_output=True, timeout=200)
    path = Run(tmp_path / "forgetful").checkpoints()[-1].path
    state = load_file(path)
    assert state[name].abs().sum() > 0
    state[name].zero_()
    save_file(state, path)
    note = path.with_suffix(".json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"sha256": sha256(path)}))
    again[again.index(str(out))] = str(tmp_path / "forgetful")
    subprocess.run(again, env=ENVIRONMENT, check=True, capture_output=True, timeout=200)
    assert digest(tmp_path / "forgetful") != digest(out)
