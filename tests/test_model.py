"""Models that must load, and hostile ones that must not: refused quickly, without side effects or much memory."""

import json
import pickle
import resource
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gansmith.data import DataSpec, ImageCodec
from gansmith.files import sha256
from gansmith.model.draw import draw_samples
from gansmith.model.model import Model
from gansmith.model.saved import build_recipe, load, save_model
from gansmith.recipe import EMPTY, Adam, Batch, Recipe, Turn, load_recipe, noise, recipe_names

SPEC = DataSpec(kind="image", shape=(1, 8, 8), codec=ImageCodec(), classes=("a", "b"))


@dataclass(frozen=True, kw_only=True)
class Small(Recipe):
    width: int = 16
    widths: tuple[int, ...] = (4, 4)

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        return {
            "G": nn.Sequential(nn.Linear(4, self.width), nn.BatchNorm1d(self.width), nn.Linear(self.width, 64)),
            "D": nn.Linear(64, 1),
        }

    def optimizers(self) -> dict[str, Adam]:
        return {}

    def turns(self) -> tuple[Turn, ...]:
        return ()

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, 4)).tanh().view(n, 1, 8, 8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    recipe = Small()
    raw, ema = (nn.ModuleDict(recipe.networks(SPEC)) for _ in range(2))
    save_model(tmp_path / "model", recipe, "small.py", SPEC, raw, nn.ModuleDict({"G": ema["G"]}), 640)
    return tmp_path / "model"


def test_a_model_samples_in_the_datas_own_units(folder: Path) -> None:
    model = load(folder, Small)
    samples = model.sample(100, seed=1)
    assert samples.dtype == np.uint8 and samples.shape == (100, 8, 8, 1) and model.images == 640
    assert model.recipe == Small() and model.spec == SPEC
    assert np.array_equal(samples[:70], model.sample(70, seed=1))
    assert not np.array_equal(samples, model.sample(100, seed=2))
    assert not np.array_equal(samples, model.sample(100, seed=1, weights="raw"))
    with pytest.raises(ValueError, match="at least 1"):
        model.sample(0)
    with pytest.raises(ValueError, match="one of 'ema', 'raw'"):
        model.sample(1, weights="best")  # type: ignore[arg-type]


def test_sampling_leaves_the_global_generator_and_the_modes_alone(folder: Path) -> None:
    model = load(folder, Small)
    model.networks.train()
    before = torch.get_rng_state()
    draw_samples(model.recipe, model.networks, 3, 0)
    assert torch.equal(before, torch.get_rng_state()) and all(m.training for m in model.networks.modules())


def test_discriminators_are_not_released(folder: Path) -> None:
    assert {name.split(".")[1] for name in load_file(folder / "model.safetensors")} == {"G"}


def test_code_named_by_a_model_is_not_run(folder: Path) -> None:
    with pytest.raises(ValueError, match="never run by itself"):
        load(folder)


def test_a_crash_between_the_two_files_leaves_a_model_that_loads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = load(folder, Small).sample(4)
    recipe = Small()
    nets, other = (nn.ModuleDict(recipe.networks(SPEC)) for _ in range(2))

    def crash(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        save_model(folder, recipe, "small.py", SPEC, nets, nn.ModuleDict({"G": other["G"]}), 1280)
    monkeypatch.undo()
    assert np.array_equal(load(folder, Small).sample(4), old) and load(folder, Small).images == 640


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("exploded"),))


def hostile(folder: Path, kind: str) -> str:
    """Make the model in `folder` hostile; returns what the refusal must say."""
    tensors, note = folder / "model.safetensors", folder / "model.json"
    saved = json.loads(note.read_text())

    def restamp() -> None:
        note.write_text(json.dumps(saved | {"sha256": sha256(tensors)}))

    match kind:
        case "pickle":
            tensors.write_bytes(pickle.dumps(Bomb()))
            restamp()
            return "damaged"
        case "huge header":
            tensors.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
            restamp()
            return "damaged"
        case "overlap":
            header = json.dumps(
                {n: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for n in ("ema.a", "ema.b")}
            ).encode()
            tensors.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
            restamp()
            return "damaged"
        case "truncated":
            tensors.write_bytes(tensors.read_bytes()[:-40])
            restamp()
            return "damaged"
        case "swapped":
            tensors.write_bytes(tensors.read_bytes()[:-1] + b"\x01")
            return "sha256"
        case "missing":
            tensors.unlink()
            return "missing"
        case "nan":
            state = load_file(tensors)
            state["ema.G.0.weight"][0, 0] = float("nan")
            save_file(state, tensors)
            restamp()
            return "not finite"
        case "shape":
            state = load_file(tensors)
            state["ema.G.0.weight"] = torch.zeros(2, 2)
            save_file(state, tensors)
            restamp()
            return "does not fit"
        case "width":
            saved["recipe"]["fields"]["width"] = 10**9
        case "field":
            saved["recipe"]["fields"]["__class__"] = "os.system"
        case "codec":
            saved["data"]["codec"] = {"kind": "os.system", "arguments": "touch exploded"}
        case "format":
            saved["format"] = 2
        case "json":
            note.write_text(note.read_text()[:-30])
            return "damaged"
        case "keys":
            del saved["recipe"]
    note.write_text(json.dumps(saved))
    return {
        "width": "it must be at least 0 and at most 10,000,000",
        "field": "no field",
        "codec": "not a data specification",
        "format": "format 2",
    }.get(kind, "damaged")


HOSTILE = [
    *("pickle", "huge header", "overlap", "truncated", "swapped", "missing", "nan", "shape"),
    *("width", "field", "codec", "format", "json", "keys"),
]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_model_is_refused(folder: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = hostile(folder, kind)
    began, memory = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load(folder, Small)
    assert time.monotonic() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 200_000  # KiB
    assert not Path("exploded").exists()


def test_a_builtin_name_cannot_reach_outside_the_package(folder: Path) -> None:
    saved = json.loads((folder / "model.json").read_text())
    for name in ("../../evil", "os", "gan; import os", "__init__"):
        saved["recipe"]["name"] = name
        (folder / "model.json").write_text(json.dumps(saved))
        with pytest.raises(ValueError, match=r"no recipe is called|must define exactly one"):
            load(folder)


def test_no_model_yet(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no model at"):
        load(tmp_path)


def test_import_is_quick_and_loads_no_torch() -> None:
    script = "import sys, gansmith; assert 'torch' not in sys.modules; print(gansmith.__version__)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert isinstance(Model, type)


def test_a_removed_field_is_ignored_where_it_changed_nothing_and_refused_elsewhere() -> None:
    idle = {"balance": 0.0, "instance_noise": 0.0, "noise_decay_images": 0.0, "label_smoothing": 0.0, "history": 0.0}
    idle |= {"matching": False, "kernels": 0, "initial": "own", "lr_ratio": 1.0}
    was = {"name": "dcgan", "fields": {"z_dim": 100, "width": 4, "lr": 2e-4, "betas": [0.5, 0.999], **idle}}
    assert build_recipe(was) == load_recipe("dcgan")(width=4)
    for changed in ({"kernels": 3}, {"matching": True}, {"lr_ratio": 4.0}, {"initial": "he"}):
        (field,) = changed
        with pytest.raises(ValueError, match=f"dcgan had a field '{field}'.*gan has it, with the same networks"):
            build_recipe({"name": "dcgan", "fields": {**was["fields"], **changed}})
    with pytest.raises(ValueError, match="has no field 'kernel'"):
        build_recipe({"name": "dcgan", "fields": {"kernel": 0}})


@pytest.mark.parametrize("name", recipe_names())
def test_no_field_is_removed_that_is_there_and_each_removal_says_what_to_train_instead(name: str) -> None:
    recipe = load_recipe(name)
    assert not recipe.removed.keys() & recipe.__dataclass_fields__.keys()
    assert bool(recipe.removed) == bool(recipe.instead)
