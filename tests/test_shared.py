"""Ranks of one machine: means through shared memory, batch norm over the rows of all, and `--ranks`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gansmith.cli import main
from gansmith.run import Run

SCRIPT = """
import copy, time, torch
from pathlib import Path
from gansmith.step.shared import Shared
from gansmith.step.ranks import Ranks
from gansmith.step.synced import synchronise
torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()
assert Shared.fits(2) and not Shared.fits(3)
quick, slow = Ranks(rank, 2, Shared(rank, 2)), Ranks(rank, 2)
made = torch.Generator().manual_seed(rank)
for k in range(30):
    dtype = torch.float64 if k % 7 == 3 else torch.float32
    size = (k % 5 + 1) * (1000 if k == 20 else 1)  # it grows once more in the middle
    tensors = [torch.randn(size, 3, generator=made, dtype=dtype), torch.randn(5, generator=made, dtype=dtype)]
    others = [t.clone() for t in tensors]
    if rank == k % 2 and k % 4 == 0:
        time.sleep(0.01)  # now one comes late, now the other
    quick.mean(tensors)
    slow.mean(others)
    assert all(torch.equal(a, b) for a, b in zip(tensors, others)), k
assert not list(Path("/dev/shm").glob("gansmith-*"))

for ranks in (quick, slow):
    for momentum in (0.1, None):
        made = torch.Generator().manual_seed(5)
        whole = torch.randn(8, 3, 4, 4, generator=made, dtype=torch.float64) * 3 + 100
        weights = torch.randn(3, 4, 4, generator=made, dtype=torch.float64)
        found = []
        for rows, synced in ((whole, False), (whole[rank * 4 : rank * 4 + 4], True)):
            norm = torch.nn.BatchNorm2d(3, momentum=momentum, dtype=torch.float64)
            torch.nn.init.constant_(norm.weight, 0.7)
            if synced:
                synchronise(norm, rank, ranks.gather)
                assert type(copy.deepcopy(norm)) is type(norm)
            x = rows.clone().requires_grad_()
            for _ in range(2):
                y = norm(x)
            loss = (y.sigmoid() * weights).sum((1, 2, 3)).square().mean()
            (slope,) = torch.autograd.grad(loss, x, create_graph=True)  # of one's own share of the mean
            slope = slope * (len(rows) / 8)
            penalty = slope.square().sum((1, 2, 3)).mean()
            of = torch.autograd.grad(loss + 1e3 * penalty, list(norm.parameters()))
            if synced:
                apart = torch.nn.functional.batch_norm(x, None, None, norm.weight, norm.bias, True)
                assert (y - apart).abs().max() > 1e-2
                ranks.mean(of)
                slope = ranks.gather(slope.detach()).flatten(0, 1)
                y = ranks.gather(y.detach()).flatten(0, 1)
            norm.eval()
            found.append((y, slope, *of, norm.running_mean, norm.running_var, norm(x[:0]), norm.num_batches_tracked))
        for a, b in zip(*found):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
half = torch.nn.BatchNorm1d(3)
synchronise(half, rank, quick.gather)
x = torch.linspace(-2, 2, 24).view(8, 3).bfloat16()
torch.testing.assert_close(half(x[rank * 4 : rank * 4 + 4]), torch.nn.BatchNorm1d(3)(x)[rank * 4 : rank * 4 + 4])
open(f"FOLDER/{rank}", "w").close()
torch.distributed.barrier(); torch.distributed.destroy_process_group()
"""


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs shared memory as Linux has it")
def test_means_through_shared_memory_are_those_of_the_backend_and_batch_norm_is_that_of_the_whole_batch(
    tmp_path: Path,
) -> None:
    script = tmp_path / "rank.py"
    script.write_text(SCRIPT.replace("FOLDER", str(tmp_path)))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert (tmp_path / "0").exists() and (tmp_path / "1").exists(), done.stderr


def test_ranks_train_together_and_resume_together(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "gansmith", "train"]
    first = ["r3gan", "--data", "digits", "--out", str(out), "--ranks", "2", "--images", "256", "--precision", "fp32"]
    again = ["--resume", "--out", str(out), "--images", "512"]
    for words in (first, again):
        done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stderr
    run = Run(out)
    assert run.record["machine"]["world"] == 2 and run.record["options"]["ranks"] == 2
    assert run.progress()["images"] == 512


def test_ranks_that_were_not_started_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from gansmith import TrainOptions, train

    with pytest.raises(ValueError, match="--ranks 2"):
        train("r3gan", "digits", TrainOptions(ranks=2), out=tmp_path / "run")
    with pytest.raises(ValueError, match="choose how many"):
        train("r3gan", "digits", TrainOptions(ranks=0), out=tmp_path / "run")
    assert main(["train", "r3gan", "--ranks", "-1", "--out", str(tmp_path / "run")]) == 2
    assert "at least 0" in capsys.readouterr().err


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="there is nothing to choose on one core")
def test_ranks_0_takes_the_quickest(tmp_path: Path) -> None:
    words = ["train", "gan", "--data", "toy:ring", "--ranks", "0", "--images", "640", "--out", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-m", "gansmith", *words], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    found = re.search(r"^ranks: (\d+), of 1 at (\S+) images/s, 2 at (\S+) images/s", done.stderr, re.MULTILINE)
    assert found, done.stderr
    chosen, alone, two = (float(text.replace(",", "")) for text in found.groups())
    if os.cpu_count() == 2:
        assert chosen == (1 if alone >= 0.95 * max(alone, two) else 2)
    assert Run(tmp_path / "run").record["options"]["ranks"] == chosen
    done = subprocess.run([sys.executable, "-m", "gansmith", *words], capture_output=True, text=True, timeout=250)
    assert done.returncode == 1 and "holds a run already" in done.stderr
    assert "ranks:" not in done.stderr, "nothing is timed for a run that cannot be"


def test_ranks_0_reads_numbers_and_says_in_a_sentence_what_went_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The words of an estimate may change: its numbers come by a file. A failure is told, not printed as a list."""
    from gansmith import TrainOptions
    from gansmith.cli import training

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ranks = int(command[-1])
        if ranks == 2:
            told = "torchrun: a lot of words\nrank0: gansmith: error: batch size 5 cannot be split\nmore words"
            return subprocess.CompletedProcess(command, 1, "", told)
        Path(command[command.index("--estimate-json") + 1]).write_text('{"images_per_second": %f}' % (1234.5 * ranks))
        return subprocess.CompletedProcess(command, 0, "not a word of it", "")

    monkeypatch.setattr(training.subprocess, "run", run)
    monkeypatch.setattr(training, "cores", lambda: 4)
    assert training._quickest(["gan"], TrainOptions(device="cpu")) == 4
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "ranks: 2 cannot be timed: batch size 5 cannot be split",
        "ranks: 4, of 1 at 1,230 images/s, 4 at 4,940 images/s",
    ]
