"""What users and enemies hand in beside data: damaged runs and models, arguments of wrong types; all end in a sentence.

The same at random, longer: `python -m benchmarks.fuzz`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks import fuzz

import gansmith
from gansmith import records
from gansmith.cli import main
from gansmith.data import open_store, read_spec
from gansmith.machine import check_samples
from gansmith.model.saved import check_memory, sketched
from gansmith.recipe import load_recipe
from gansmith.run import Run
from gansmith.settle import checked
from gansmith.use.translate import translate
from gansmith.use.where import sample_where

SETTINGS: dict[str, Any] = {"device": "cpu", "precision": "fp32", "layout": "nchw", "batch_size": 16}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> fuzz.World:
    """Runs of pictures, a table and texts."""
    return fuzz.made_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def run(world: fuzz.World, tmp_path: Path) -> Path:
    """A copy of the run of pictures."""
    return shutil.copytree(world.runs[0], tmp_path / "run")


def _change(file: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(file.read_text())
    change(value)
    file.write_text(json.dumps(value))


BOTH = ("info", "resume")
DAMAGE: dict[str, tuple[str, Callable[[Any], object], str, tuple[str, ...]]] = {
    "a key is missing": (
        "run.json",
        lambda r: r["setting"].pop("threads"),
        "it lacks setting.threads",
        ("info", "resume"),
    ),
    "a key is unknown": (
        "run.json",
        lambda r: r.update(odd=1),
        "it holds 'odd', which nothing knows",
        ("info", "resume"),
    ),
    "a type is another": (
        "run.json",
        lambda r: r.update(recipe=[]),
        "recipe is a list; it must be",
        ("info",),
    ),
    "an option is unknown": ("run.json", lambda r: r["options"].update(odd=1), "'odd'", BOTH),
    "an option is out of range": ("run.json", lambda r: r["options"].update(keep=0), "keep is 0", BOTH),
    "an option is endless": ("run.json", lambda r: r["options"].update(images=1e999), "images", BOTH),
    "a count is none": (
        "run.json",
        lambda r: r["data"]["spec"].update(counts=5),
        "not a data specification",
        ("info",),
    ),
    "a field is unknown": (
        "model/model.json",
        lambda m: m["recipe"]["fields"].update(odd=1),
        "no field 'odd'",
        ("sample",),
    ),
    "a field is of another type": (
        "model/model.json",
        lambda m: m["recipe"]["fields"].update(width=[]),
        "it must be a whole number",
        ("sample",),
    ),
    "a field is huge": (
        "model/model.json",
        lambda m: m["recipe"]["fields"].update(kernels=9_000_000),
        "do not explain",
        ("sample",),
    ),
    "a sample is huge": (
        "model/model.json",
        lambda m: m["data"].update(shape=[1, 10**9, 10**9]),
        "at most 268,435,456 numbers",
        ("sample",),
    ),
    "a digest is missing": ("model/model.json", lambda m: m.pop("sha256"), "it lacks sha256", ("sample",)),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_file_is_named_with_its_key(case: str, run: Path, capfd: pytest.CaptureFixture) -> None:
    file, change, said, commands = DAMAGE[case]
    _change(run / file, change)
    words = {
        "info": ["info", str(run)],
        "resume": ["train", "--resume", "--out", str(run), "--images", "96"],
        "sample": ["sample", str(run), "-n", "2", "--out", str(run / "s.npz")],
    }
    for command in commands:
        assert main(words[command]) == 1
        told = capfd.readouterr().err
        assert Path(file).name in told
        assert said in told
        assert told.count("\n") == 1


def test_notes_and_logs_that_hold_something_else(run: Path) -> None:
    note = max((run / "checkpoints").glob("*.json"))
    _change(note, lambda n: n.pop("step"))
    said: list[str] = []
    Run(run).newest(said.append)
    assert "lacks step" in said[0]
    note.write_text("[" * 100_000)
    assert len(Run(run).checkpoints()) == 1
    with open(run / "log.jsonl", "a") as file:
        file.write('{"step": "x", "images": 1, "seconds": 1}\n')
    with pytest.raises(ValueError, match=r"log.jsonl, line \d+ is damaged: step is \"x\"; it must be a whole number"):
        Run(run).log()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' + "9" * 5_000 + "}", "{", "[]", "\x00"])
def test_json_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a.json is damaged"):
        records.read(tmp_path / "a.json")
    os.mkfifo(tmp_path / "b.json")
    with pytest.raises(ValueError, match="no regular file"):
        records.read(tmp_path / "b.json")


def test_networks_that_nothing_explains_are_not_built() -> None:
    spec = open_store("digits", progress=False).spec
    for name, fields, said in (
        ("gan", {"width": 50_000}, "do not explain"),
        ("gan", {"kernels": 5_000_000}, "do not explain"),
        ("badgan", {"blocks": 1_000_000}, "more than 10,000 parts"),
        ("gan", {"width": 10_000_000}, "do not explain"),
    ):
        with pytest.raises(ValueError, match=said):
            check_memory(sketched(load_recipe(name)(**fields), spec), 1_000_000, "a.json")
    check_memory(sketched(load_recipe("gan")(), spec), 1_000, "a.json")
    with pytest.raises(ValueError, match=r"the networks take .* smaller"):
        gansmith.train(
            load_recipe("gan")(width=5_000_000), "digits", gansmith.TrainOptions(images=16, **SETTINGS), out="x"
        )
    assert not Path("x").exists()


def test_sequences_have_a_bound(world: fuzz.World) -> None:
    spec = json.loads((world.runs[2] / "model" / "model.json").read_text())["data"]
    assert read_spec(spec).shape == (3,)
    with pytest.raises(ValueError, match="at most 10,000 steps"):
        read_spec({**spec, "shape": [1_000_000]})


def test_weights_of_another_type(run: Path) -> None:
    from safetensors.torch import load_file, save_file

    from gansmith.files import sha256

    file = run / "model" / "model.safetensors"
    tensors = {k: v.to(torch.int64) for k, v in load_file(file).items()}
    save_file(tensors, file, metadata={"gansmith": "{}"})
    _change(run / "model" / "model.json", lambda m: m.update(sha256=sha256(file)))
    with pytest.raises(ValueError, match=r"holds torch.int64 in .*; it must be torch.float32"):
        gansmith.load(run)


def test_bytes_of_the_data_that_changed_are_seen(tmp_path: Path) -> None:
    options = gansmith.TrainOptions(images=32, checkpoint_every=16, **SETTINGS)
    store = open_store("toy:ring", out=tmp_path / "store", progress=False)
    run = gansmith.train("gan", str(store.path), options, out=tmp_path / "run")
    with open(store.path / "x.npy", "r+b") as file:
        file.seek(5_000)
        file.write(b"\x01")
    with pytest.raises(ValueError, match=r"x.npy is not what was packed"):
        gansmith.resume(run.path, images=64)


def test_a_run_that_is_deleted_while_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gansmith.engine.checkpoints import Checkpoints

    options = gansmith.TrainOptions(images=64, checkpoint_every=32, **SETTINGS)
    whole = Checkpoints.save

    def lose(self: Any, at: Any, *, last: bool = False) -> None:
        whole(self, at, last=last)
        if not last:
            shutil.rmtree(tmp_path / name)

    monkeypatch.setattr(Checkpoints, "save", lose)
    name = "all"
    with pytest.raises(FileNotFoundError, match="was deleted while it trained"):
        gansmith.train("gan", "toy:ring", options, out=tmp_path / "all")
    assert not (tmp_path / "all").exists()
    name = "part/checkpoints"
    lost = gansmith.train("gan", "toy:ring", options, out=tmp_path / "part")
    assert (lost.path / "model" / "model.json").is_file()


def test_modules_of_the_current_folder_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numpy.py").write_text("open('taken', 'w').close()\nraise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path)
    from gansmith.compare.bench import _call

    environment = {**os.environ, "PYTHONPATH": str(Path(gansmith.__file__).parents[1]), "PYTHONSAFEPATH": "1"}
    assert _call(["data", "inspect", "toy:ring"], tmp_path / "log.txt", environment) == ""
    assert not (tmp_path / "taken").exists()
    subprocess.run([sys.executable, "-m", "gansmith", "data", "inspect", "toy:ring"], check=False, capture_output=True)
    assert (tmp_path / "taken").exists()  # the control: without it Python takes the folder's


CALLS: dict[str, Callable[[fuzz.World], object]] = {
    "load": lambda w: gansmith.load(5),  # ty: ignore[invalid-argument-type]
    "resume": lambda w: gansmith.resume(None),  # ty: ignore[invalid-argument-type]
    "images": lambda w: gansmith.resume(w.runs[0], images=float("inf")),  # ty: ignore[invalid-argument-type]
    "out": lambda w: gansmith.train("gan", "digits", out=5),  # ty: ignore[invalid-argument-type]
    "given": lambda w: gansmith.load(w.runs[0]).sample(2, given=None),  # ty: ignore[invalid-argument-type]
    "n": lambda w: gansmith.load(w.runs[0]).sample("2"),  # ty: ignore[invalid-argument-type]
    "many": lambda w: gansmith.load(w.runs[0]).sample(10**12),
    "device": lambda w: gansmith.load(w.runs[0]).to("tpu"),
    "no device": lambda w: gansmith.train("gan", "digits", gansmith.TrainOptions(device=""), out="x"),
    "samples": lambda w: gansmith.load(w.runs[0]).apply(np.zeros(3)),
    "pictures": lambda w: translate(gansmith.load(w.runs[0]), "x"),  # ty: ignore[invalid-argument-type]
    "where": lambda w: sample_where(gansmith.load(w.runs[1]), 3, 5),  # ty: ignore[invalid-argument-type]
    "too rare": lambda w: sample_where(gansmith.load(w.runs[1]), 10**6, "a > 1e9"),
    "list": lambda w: gansmith.train("gan", [None], out="x"),
    "nothing": lambda w: gansmith.train("gan", "", out="x"),
    "meta": lambda w: open_store(torch.zeros(4, 8, 8, device="meta"), progress=False),
    "sparse": lambda w: open_store(torch.zeros(4, 8).to_sparse(), progress=False),
    "size": lambda w: gansmith.TrainOptions(size=(8,)),  # ty: ignore[invalid-argument-type]
    "half a size": lambda w: gansmith.TrainOptions(size=(1.5, 8)),  # ty: ignore[invalid-argument-type]
    "a list": lambda w: gansmith.TrainOptions(images=[1]),  # ty: ignore[invalid-argument-type]
    "a negative field": lambda w: load_recipe("gan")(kernels=-1),
}


@pytest.mark.parametrize("case", CALLS)
def test_arguments_of_a_wrong_type_are_refused_in_words(case: str, world: fuzz.World, tmp_path: Path) -> None:
    trial = fuzz.tried(case, lambda: CALLS[case](world), tmp_path)
    assert trial.kind == "refused", trial.said
    assert not list(tmp_path.iterdir())


def test_tensors_of_any_kind_are_data() -> None:
    x = torch.rand(20, 8, 8)
    for given in (x.requires_grad_(), x.detach().bfloat16()):
        assert open_store(given, progress=False).spec.shape == (1, 8, 8)


def test_checked_says_what_is_allowed() -> None:
    @checked
    def call(n: int, names: list[str] | str = "", rate: float | None = None) -> int:
        del names, rate
        return n

    assert call(np.int64(3), rate=1) == 3
    for arguments, said in (
        ({"n": "3"}, "call: n is '3'; it must be a whole number"),
        ({"n": True}, "whole number"),
        ({"n": 10**30}, "whole number"),
        ({"n": 1, "rate": float("nan")}, "rate is nan; it must be a finite number or None"),
    ):
        with pytest.raises((TypeError, ValueError), match=said):
            call(**arguments)


def test_samples_that_no_memory_holds() -> None:
    check_samples(1_000, 1_000)
    with pytest.raises(ValueError, match="draw fewer at a time"):
        check_samples(10**9, 10**6)


@pytest.mark.parametrize(("part", "count"), [("options", 12), ("json", 14), ("archives", 20), ("calls", 14)])
def test_nothing_at_random_is_a_traceback_or_endless(
    part: str, count: int, world: fuzz.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuzz, "LIMIT", 240.0)  # a benchmark may be among them, and the other core busy
    bad = [trial for trial in fuzz.fuzz(part, 7, count, world) if fuzz.is_bad(trial)]
    assert not bad, "\n\n".join(f"{trial.name}\n{trial.said}" for trial in bad)
