"""The run directory: atomic, verified, refused or recovered as promised."""

import json
import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gansmith.files import sha256, write_atomically, write_json, write_tensors
from gansmith.run import Run


def _record(name: str = "gan") -> dict[str, Any]:
    """What `run.json` must hold."""
    return {
        "recipe": {"name": name, "fields": {}},
        "options": {},
        "data": {"source": "digits", "store": "nowhere", "digest": "", "count": 1, "spec": {}},
        "setting": {"device": "cpu", "precision": "fp32", "channels_last": False, "threads": 1},
    }


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", _record())


def state(value: float) -> dict[str, torch.Tensor]:
    return {"w": torch.full((3, 4), value), "steps": torch.tensor(value)}


def meta(step: int) -> dict[str, object]:
    return {"step": step, "images": step * 8, "seconds": 0.5 * step, "finished": False}


def test_a_run_that_exists_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="--resume"):
        Run.create(run.path, _record())
    other = tmp_path / "notes"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="another --out"):
        Run.create(other, _record())
    assert (other / "thesis.txt").read_text() == "mine"


def test_no_run_damaged_run_newer_run(tmp_path: Path, run: Run) -> None:
    with pytest.raises(FileNotFoundError, match="no run at"):
        Run(tmp_path / "nothing")
    (run.path / "run.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match="format 99"):
        Run(run.path)
    (run.path / "run.json").write_text('{"format": ')
    with pytest.raises(ValueError, match="damaged"):
        Run(run.path)


def test_the_last_k_checkpoints_are_kept(run: Run) -> None:
    for step in range(1, 6):
        run.save(state(step), meta(step), keep=2)
    assert [c.meta["step"] for c in run.checkpoints()] == [4, 5]
    assert len(list((run.path / "checkpoints").iterdir())) == 4
    tensors, note = run.newest(print) or ({}, {})
    assert note["step"] == 5 and torch.equal(tensors["w"], state(5)["w"])
    assert run.progress() == {"step": 5, "images": 40, "seconds": 2.5, "finished": False}


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "note"])
def test_a_damaged_checkpoint_falls_back_and_says_so(run: Run, damage: str) -> None:
    for step in (1, 2):
        run.save(state(step), meta(step), keep=2)
    newest = run.checkpoints()[-1].path
    data = bytearray(newest.read_bytes())
    match damage:
        case "flip":
            data[-3] ^= 1
            newest.write_bytes(data)
        case "truncate":
            newest.write_bytes(data[: len(data) // 2])
        case "delete":
            newest.unlink()
        case "note":
            newest.with_suffix(".json").write_text('{"step": 2')
    said: list[str] = []
    found = run.newest(said.append)
    assert found is not None and found[1]["step"] == 1
    assert len(said) == 1 and newest.stem in said[0]


def test_all_damaged_is_an_error_and_none_saved_is_none(run: Run) -> None:
    assert run.newest(print) is None
    run.save(state(1), meta(1), keep=1)
    run.checkpoints()[0].path.write_bytes(b"")
    with pytest.raises(ValueError, match="all 1 checkpoints"):
        run.newest(lambda text: None)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"good": 1})

    def fail(part: Path) -> None:
        part.write_text("half")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        write_atomically(path, fail)
    assert json.loads(path.read_text()) == {"good": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_checkpoint_whole(run: Run) -> None:
    """A real write error, by a limit on the size of files: the 4 MB of the second checkpoint do not fit."""
    run.save(state(1), meta(1), keep=1)
    script = (
        "import sys, resource, torch; from gansmith.run import Run\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try:\n"
        f"    Run({str(run.path)!r}).save({{'w': torch.zeros(1 << 20)}}, {{'step': 2}}, keep=1)\n"
        "except OSError as error:\n"
        "    print('refused:', error); sys.exit(7)\n"
    )
    assert resource.RLIMIT_FSIZE is not None
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 7, done.stderr
    found = run.newest(print)
    assert found is not None and found[1]["step"] == 1
    assert sorted(p.suffix for p in (run.path / "checkpoints").iterdir()) == [".json", ".safetensors"]


def test_equal_tensors_give_equal_bytes(tmp_path: Path) -> None:
    last = torch.ones(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    tensors = {"b": torch.arange(6.0).reshape(2, 3), "a": last}
    one = write_tensors(tmp_path / "1.safetensors", tensors, "x")
    two = write_tensors(tmp_path / "2.safetensors", dict(reversed(tensors.items())), "x")
    assert one == two == sha256(tmp_path / "2.safetensors")


def test_two_processes_cannot_train_one_run(run: Run) -> None:
    script = f"from gansmith.run import Run\nwith Run({str(run.path)!r}).lock(wait=0.3): pass"
    with run.lock():
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
        assert done.returncode == 1 and "another process is training" in done.stderr
    assert subprocess.run([sys.executable, "-c", script], timeout=120).returncode == 0


def test_the_log_survives_a_torn_line_and_rewinds(run: Run) -> None:
    for step in range(1, 5):
        run.append({"step": step, "images": 8 * step, "seconds": 0.1, "D/real": 0.1 * step})
    with open(run.path / "log.jsonl", "a") as file:
        file.write('{"step": 5, "D/r')
    assert [line["step"] for line in run.log()] == [1, 2, 3, 4]
    run.rewind(2)
    run.append({"step": 3, "images": 24, "seconds": 0.1})
    assert [line["step"] for line in run.log()] == [1, 2, 3]


def test_divergence_names_the_term_and_passes_between_processes(tmp_path: Path) -> None:
    import gansmith
    from gansmith.extras import MissingExtra
    from gansmith.recipe import load_recipe

    options = gansmith.TrainOptions(images=5_000, precision="fp32")
    with pytest.raises(gansmith.Diverged, match=r"D/gap became nan at step .*no checkpoint") as caught:
        gansmith.train(load_recipe("wgan")(lr=1e20, clip=1e30), "toy:ring", options, out=tmp_path / "run")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.step, again.term) == (str(caught.value), caught.value.step, "D/gap")
    missing = MissingExtra("nltk", "text", "BLEU")
    assert str(pickle.loads(pickle.dumps(missing))) == str(missing)


def test_a_start_killed_before_there_was_a_run_blocks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run"
    for name in ("checkpoints", "samples", "model"):
        (path / name).mkdir(parents=True)
    (path / ".run.json.4194305.part").write_text('{"for')
    made = Run.create(path, _record())
    assert made.record["format"] == 1 and sorted(p.name for p in path.iterdir()) == [
        "checkpoints",
        "model",
        "run.json",
        "samples",
    ]
    other = tmp_path / "other"
    (other / "samples").mkdir(parents=True)
    (other / "samples" / "mine.png").write_text("a picture of mine")
    with pytest.raises(FileExistsError, match="neither a run nor"):
        Run.create(other, _record(), overwrite=True)
    assert (other / "samples" / "mine.png").exists()


def test_overwrite_removes_what_is_a_runs_and_nothing_else(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    run.save(state(1), meta(1), keep=1)
    run.append({"step": 1})
    (run.path / "scores").mkdir()
    (run.path / "scores" / "training.jsonl").write_text("{}\n")
    (run.path / "notes.txt").write_text("mine too")
    (run.path / "best").symlink_to(mine)
    with pytest.raises(FileExistsError, match="--overwrite"):
        Run.create(run.path, _record())
    with run.lock(), pytest.raises(BlockingIOError, match="another process"):
        from gansmith.run import held

        with held(run.path, wait=0.0):
            pass
    again = Run.create(run.path, _record("other"), overwrite=True)
    assert again.record["recipe"]["name"] == "other"
    assert not again.checkpoints() and not again.log() and not (run.path / "scores").exists()
    assert not (run.path / "best").exists() and (mine / "thesis.txt").read_text() == "mine"
    assert (run.path / "notes.txt").read_text() == "mine too"
    (run.path / "run.json").write_text("{torn")  # what cannot be read can be replaced
    assert Run.create(run.path, _record(), overwrite=True).path == run.path


def test_what_killed_writers_left_is_removed_by_the_next_that_holds_the_run(run: Run) -> None:
    dead, living = 4_194_305, os.getpid()  # above the greatest number of a process
    (run.path / "scores").mkdir()
    (run.path / "best").mkdir()
    gone = [
        run.path / "checkpoints" / f".step-0000000003.safetensors.{living}.part",  # only its holder writes there
        run.path / "samples" / ".000000000064.txt.part",
        run.path / "model" / "model.next.safetensors",
        run.path / "best" / f".model.json.{dead}.part",
        run.path / "scores" / f".training.jsonl.{dead}.part",
        run.path / f".film.gif.{dead}.part",
        run.path / "checkpoints" / "step-0000000003.safetensors",
    ]
    stay = [run.path / "scores" / f".000.json.{living}.part", run.path / ".mine.part", run.path / "movie.part"]
    for path in gone + stay:
        path.write_text("half")
    run.save(state(2), meta(2), keep=2)
    run.tidy()
    assert [path for path in gone if path.exists()] == []
    assert all(path.exists() for path in stay)
    assert run.newest(print) is not None
    for folder in ("checkpoints", "samples"):
        for path in (run.path / folder).iterdir():
            path.unlink()
        (run.path / folder).rmdir()
    run.tidy()
    assert (run.path / "checkpoints").is_dir() and (run.path / "samples").is_dir()
