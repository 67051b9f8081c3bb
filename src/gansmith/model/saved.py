"""A model as a folder: `model.safetensors` beside `model.json`, which says how to build it. Nothing is pickled."""

from __future__ import annotations

import dataclasses
import json
import sys
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.overrides import TorchFunctionMode

from .. import records
from .._version import __version__
from ..data import DataSpec, read_spec
from ..files import sha256, write_json, write_tensors
from ..recipe import Recipe, load_recipe
from ..settle import checked
from .draw import Weights
from .model import Model

FORMAT = 1
MOST_BESIDE = 1 << 28
"""Bytes that all networks may take, however small those are that serve."""
MOST_CALLS = 10_000
"""Calls of PyTorch while networks are built; those of the largest recipes are a few hundred."""


def recipe_record(recipe: Recipe, name: str) -> dict[str, Any]:
    """What identifies a recipe: its name, and every field; of one of one's own the path and sha256 of its file."""
    record = {"name": name, "fields": {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}}
    return record if (file := own_file(type(recipe))) is None else {**record, "source_sha256": sha256(file)}


def own_file(recipe: type[Recipe]) -> Path | None:
    """The file that a recipe of one's own was read from; None for one of ours, or typed into a session."""
    file = getattr(sys.modules.get(recipe.__module__), "__file__", None)
    return None if recipe.__module__.startswith("gansmith.recipes.") or not file else Path(file)


def other_source(saved: Mapping[str, Any], recipe: type[Recipe] | None) -> str:
    """In words, that a recipe's file is not what `recipe_record` saw; empty where it is, or where nobody knows."""
    file = None if recipe is None else own_file(recipe)
    known = saved.get("source_sha256")
    if file is None or known is None or sha256(file) == known:
        return ""
    return f"{file} is not what this was trained with: its sha256 begins with {sha256(file)[:8]}, not {known[:8]}"


def build_recipe(saved: Mapping[str, Any], recipe: type[Recipe] | None = None) -> Recipe:
    """The recipe of `recipe_record`.

    A recipe from a file of yours is code, so it is never run because a model names it: pass its class. A field that
    the recipe no longer has is ignored if it was recorded at the value at which it changed nothing (`Recipe.removed`).
    Raises `ValueError` for unknown recipes and fields, and for a removed field at another value.
    """
    name, fields = str(saved["name"]), dict(saved["fields"])
    if recipe is None:
        if name.endswith(".py"):
            raise ValueError(
                f"this was trained by a recipe of your own, {name}: pass it (recipe= in Python, --recipe-file on the "
                "command line); a file named by a model is never run by itself"
            )
        recipe = load_recipe(name)
    for field, idle in recipe.removed.items():
        if (value := fields.pop(field, idle)) != idle:
            raise ValueError(
                f"{name} had a field {field!r}, which is {value!r} here, and has it no longer: {recipe.instead}; or "
                "read this with the version of gansmith that wrote it"
            )
    known = {f.name for f in dataclasses.fields(recipe)}
    if unknown := sorted(set(fields) - known):
        raise ValueError(f"recipe {name} has no field {unknown[0]!r}; it has {', '.join(sorted(known))}")
    try:
        return recipe(**fields)
    except (TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"recipe {name} cannot have these fields: {error}") from error


def save_model(
    folder: Path, recipe: Recipe, name: str, spec: DataSpec, raw: nn.ModuleDict, ema: nn.ModuleDict, images: int
) -> None:
    """Write `model.safetensors` and `model.json`. Raises `OSError`, what was there intact."""
    tensors = {f"ema.{k}": v for k, v in ema.state_dict().items()}
    served = nn.ModuleDict({role: raw[role] for role in recipe.serving})
    tensors |= {f"raw.{k}": v for k, v in served.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    path, note = folder / "model.safetensors", folder / "model.json"
    previous = sha256(path) if path.is_file() else ""
    part = folder / "model.next.safetensors"
    digest = write_tensors(part, tensors, json.dumps({"images": images}))
    # The note goes first and accepts both, so a crash between the two renames leaves a model that loads.
    write_json(
        note,
        {
            "format": FORMAT,
            "recipe": recipe_record(recipe, name),
            "data": spec.to_json(),
            "weights": ["ema", "raw"],
            "sha256": digest,
            "previous_sha256": previous,
            "gansmith": __version__,
            "notice": "Samples drawn from this model are AI-generated.",
        },
    )
    part.replace(path)


@checked
def load(path: str | Path, recipe: type[Recipe] | None = None) -> Model:
    """Load a trained model from a run's directory or from its `model/` folder.

    `recipe` is needed only if the run used a recipe file of your own.
    Raises `FileNotFoundError` if there is none, `ValueError` if it is damaged or does not fit its recipe.
    """
    folder = Path(path)
    if (folder / "run.json").is_file():
        folder = folder / "model"
        if not (folder / "model.json").is_file():
            raise FileNotFoundError(f"{path} has saved no model yet: it does at its first checkpoint")
    note = folder / "model.json"
    if not note.is_file():
        raise FileNotFoundError(f"no model at {path}: expected a run or a folder with model.json")
    saved = records.read(note)
    if saved.get("format") != FORMAT:
        raise ValueError(f"{note} has format {saved.get('format')!r}; this gansmith reads {FORMAT}: upgrade it")
    records.check(saved, records.MODEL, str(note))
    name = saved["recipe"]["name"]
    try:
        built = build_recipe(saved["recipe"], recipe)
        spec = read_spec(saved["data"])
    except ValueError as error:
        raise ValueError(f"{note}: {error}") from error
    accepted = {saved["sha256"], saved["previous_sha256"]}
    tensors = folder / "model.safetensors"
    if not tensors.is_file():
        raise FileNotFoundError(f"{tensors} is missing")
    if sha256(tensors) not in accepted:
        raise ValueError(f"{tensors} does not have the sha256 that {note.name} states: it is damaged or was swapped")
    try:
        with safe_open(tensors, "pt") as file:
            metadata = records.parse((file.metadata() or {}).get("gansmith", "{}"), str(tensors))
            records.check(metadata, {"images?": int}, str(tensors))
            networks = {which: _networks(built, spec, file, f"{which}.", tensors) for which in ("ema", "raw")}
    except SafetensorError as error:
        raise ValueError(f"{tensors} is damaged: {error}") from error
    weights = typing.cast(Mapping[Weights, nn.ModuleDict], networks)
    return Model(built, name, spec, weights, metadata.get("images", 0))


def model_images(folder: Path) -> int | None:
    """How many images the training of the model in this folder had shown; None if there is no whole model."""
    try:
        with safe_open(folder / "model.safetensors", "pt") as file:
            return int(json.loads((file.metadata() or {})["gansmith"])["images"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None


def _networks(recipe: Recipe, spec: DataSpec, file: Any, prefix: str, path: Path) -> nn.ModuleDict:
    """The serving networks, filled with the file's tensors; built without memory first to compare the shapes."""

    sketch = sketched(recipe, spec)
    serving = nn.ModuleDict({role: sketch[role] for role in recipe.serving})
    expected = {f"{prefix}{k}": tuple(v.shape) for k, v in serving.state_dict().items()}
    found = {k: tuple(file.get_slice(k).get_shape()) for k in file.keys() if k.startswith(prefix)}  # noqa: SIM118
    if expected != found:
        odd = sorted(k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k))[0]
        raise ValueError(
            f"{path} does not fit its recipe: {odd} is {found.get(odd, 'missing')}, not {expected.get(odd, 'there')}"
        )
    check_memory(sketch, path.stat().st_size, str(path.with_suffix(".json")))
    with torch.random.fork_rng([]):
        nets = recipe.networks(spec)
        nets = nn.ModuleDict({role: nets[role] for role in recipe.serving})
    state = {k[len(prefix) :]: file.get_tensor(k) for k in found}
    types = {k: v.dtype for k, v in nets.state_dict().items()}
    for name, tensor in state.items():
        if tensor.dtype.is_floating_point != types[name].is_floating_point or tensor.is_complex():
            raise ValueError(f"{path} holds {tensor.dtype} in {name}; it must be {types[name]}")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{path} holds values that are not finite in {name}")
    nets.load_state_dict(state)
    return nets.eval().requires_grad_(False)


def sketched(recipe: Recipe, spec: DataSpec) -> dict[str, nn.Module]:
    """The networks without memory for their numbers. Raises `ValueError` for fields of which none can be built."""
    try:
        with torch.device("meta"), _Counted():
            return recipe.networks(spec)
    except ValueError:
        raise
    except (RuntimeError, TypeError, ArithmeticError, LookupError, AttributeError, AssertionError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"no networks can be built of these fields and such data: {first[:200]}") from error


def check_memory(sketch: Mapping[str, nn.Module], saved: int, where: str) -> None:
    """Raises `ValueError` if networks take far more memory than a model of so many bytes explains."""
    wanted = sum(t.numel() * t.element_size() for net in sketch.values() for t in net.state_dict().values())
    most = max(MOST_BESIDE, 64 * saved)
    if wanted > most:
        raise ValueError(
            f"{where} is damaged: its networks take {wanted / 1e6:,.0f} MB, which {saved / 1e6:,.1f} MB of weights "
            f"do not explain (at most {most / 1e6:,.0f} MB)"
        )


class _Counted(TorchFunctionMode):
    """Counts what is computed while networks are built, as a field may ask for a million layers."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise ValueError(f"its networks have more than {MOST_CALLS:,} parts: a field is far too large")
        return func(*args, **(kwargs or {}))
