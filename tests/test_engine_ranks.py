"""Several ranks: no signal is lost between them, and none outlives those that it works with."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tests.test_resume import ENVIRONMENT, family, reached

from gansmith.engine.signals import Signals
from gansmith.machine import alive
from gansmith.run import Run
from gansmith.step.ranks import Ranks
from gansmith.step.shared import Shared


def test_a_signal_that_comes_while_ranks_agree_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    others: Iterator[tuple[int, int, int]] = iter([(0, 0, 1), (0, 0, 0), (0, 0, 0)])

    def reduce(flags: torch.Tensor, *_: object, **__: object) -> None:
        flags.copy_(torch.maximum(flags, torch.tensor(next(others), dtype=flags.dtype)))
        if flags[2]:  # within the first exchange
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(torch.distributed, "new_group", lambda **_: SimpleNamespace())
    monkeypatch.setattr(torch.distributed, "all_reduce", reduce)
    with Signals(Ranks(0, 2)) as signals:
        assert signals.agree(False, False) == (0, False, True), "what all have agreed on holds for this step"
        assert signals.agree(False, False) == (signal.SIGTERM, False, False)


def test_the_signal_of_another_rank_is_no_first_signal_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun passes a signal on to every rank: one that heard of it from another must not take it for a second."""
    monkeypatch.setattr(torch.distributed, "new_group", lambda **_: SimpleNamespace())
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda flags, *_, **__: flags[:1].fill_(signal.SIGTERM))
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    with Signals(Ranks(0, 2)) as signals:
        assert signals.agree(False, False)[0] == signal.SIGTERM
        os.kill(os.getpid(), signal.SIGTERM)
        assert not left


def launched(out: Path) -> tuple[subprocess.Popen[str], dict[int, int]]:
    """A run of two ranks that has begun to train: its launcher, and the process of each rank."""
    words = ["train", "gan", "--data", "toy:ring", "--width", "16", "--images", "100M", "--batch-size", "64"]
    words += ["--precision", "fp32", "--ranks", "2", "--device", "cpu", "--out", str(out)]
    command = [sys.executable, "-m", "gansmith", *words]
    launcher = subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 240
    while not reached(out) and launcher.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert reached(out), launcher.communicate(timeout=10)[1] if launcher.poll() is not None else "it is too slow"
    ranks = {}
    for pid in family(launcher.pid)[1:]:
        words = Path(f"/proc/{pid}/environ").read_text().split("\0")
        ranks |= {int(word.removeprefix("RANK=")): pid for word in words if word.startswith("RANK=")}
    assert sorted(ranks) == [0, 1]
    return launcher, ranks


def ended(pids: list[int], seconds: float) -> float:
    """Seconds until none of them runs any more; fails after too many, and kills them."""
    began = time.monotonic()
    while any(map(alive, pids)):
        if time.monotonic() - began > seconds:
            for pid in filter(alive, pids):
                os.kill(pid, signal.SIGKILL)
            pytest.fail(f"still there after {seconds} s")
        time.sleep(0.05)
    return time.monotonic() - began


LINUX = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks into /proc")


@LINUX
def test_no_rank_outlives_its_launcher_and_another_rank(tmp_path: Path) -> None:
    launcher, ranks = launched(tmp_path / "run")
    os.kill(launcher.pid, signal.SIGKILL)
    os.kill(ranks[1], signal.SIGKILL)
    ended(list(ranks.values()), 20)
    launcher.communicate(timeout=10)
    with Run(tmp_path / "run").lock(wait=0.0):
        pass


@LINUX
def test_a_rank_that_was_killed_ends_the_others_with_a_sentence(tmp_path: Path) -> None:
    """Not only when the launcher loses its patience, 30 s later."""
    launcher, ranks = launched(tmp_path / "run")
    os.kill(ranks[1], signal.SIGKILL)
    ended([ranks[0]], 20)
    _, errors = launcher.communicate(timeout=60)
    # Which of the two is first to miss it, a wait of ours or one of PyTorch's, is a matter of chance.
    assert launcher.returncode and ("rank 1 has ended" in errors or "rank 0 has lost the others" in errors)
    assert "[rank0]: Traceback" not in errors


@LINUX
def test_a_signal_to_any_rank_or_to_the_launcher_saves(tmp_path: Path) -> None:
    out = tmp_path / "run"
    launcher, ranks = launched(out)
    os.kill(ranks[1], signal.SIGTERM)
    ended(list(ranks.values()), 25)
    _, errors = launcher.communicate(timeout=60)
    assert "continue with" in errors and Run(out).checkpoints()[-1].meta["images"] >= reached(out)


def test_waiting_for_a_rank_that_has_ended_is_given_up_but_what_it_wrote_last_is_read() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    shared = Shared.__new__(Shared)
    shared.rank, shared.world, shared._pids, shared._count = 0, 2, [os.getpid(), ended.pid], 3
    shared._done = torch.zeros(16, dtype=torch.int64)
    shared._done[8] = 3
    shared._wait()
    shared._count = 4
    began = time.monotonic()
    with pytest.raises(ConnectionError, match=r"rank 1 has ended .*--resume"):
        shared._wait()
    assert time.monotonic() - began < 10
