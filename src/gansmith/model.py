"""A trained generator as a folder: `model.safetensors` (weights) and `model.json` (what they are).

The recipe, its fields, the data's spec and its codec travel with the weights, so a model samples in the user's own
units wherever it is loaded. Nothing is pickled; the tensors' names and shapes are compared with the recipe's networks
before anything is allocated for them.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ._version import __version__
from .asks import Ask, Choice, Class, Condition, Noise, Number, Numbers, Picture, Rows, Switch
from .data import DataSpec
from .recipe import EMPTY, Batch, Made, Recipe, load_recipe
from .run import read_json, sha256, write_json, write_tensors
from .step import Stream, derive, draws

FORMAT = 1
BLOCK = 64
"""Samples are drawn in blocks of this many, each from a seed of its own: sample i depends on (seed, i), not on n."""

Weights = Literal["ema", "raw"]


def draw_samples(recipe: Recipe, nets: nn.ModuleDict, n: int, seed: int, given: Batch = EMPTY) -> Tensor:
    """Draw n samples in the encoded range (n, ...) on the CPU, float32 (tokens int64).

    The first k of n equal the k drawn alone. `given` holds tensors with n rows. Networks are put into eval mode for
    it and left as they were.
    """
    return _in_blocks(recipe.sample, nets, n, seed, given)


def apply_to(recipe: Recipe, nets: nn.ModuleDict, x: Tensor, what: Made, seed: int = 0) -> Tensor:
    """What the recipe makes of encoded samples x (n, ...), on the CPU, float32: each by itself, as `draw_samples`.

    Raises `ValueError` if the recipe gives no such thing.
    """
    if what not in recipe.gives():
        gives = ", ".join(recipe.gives()) or "nothing: its samples are drawn from noise"
        raise ValueError(f"--what {what}: of real samples this recipe makes {gives}")
    return _in_blocks(lambda nets, n, given: recipe.apply(nets, given["x"], what), nets, len(x), seed, {"x": x})


def _in_blocks(
    make: Callable[[nn.ModuleDict, int, Batch], Tensor], nets: nn.ModuleDict, n: int, seed: int, given: Batch
) -> Tensor:
    modes = {net: net.training for net in nets.modules()}
    nets.eval()
    device = next(nets.parameters()).device
    generator = torch.Generator(device)
    blocks = []
    with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        for start in range(0, n, BLOCK):
            rows = min(BLOCK, n - start)
            part = derive(seed, "sample", start)
            torch.manual_seed(part)
            generator.manual_seed(part)
            rows_given = {k: v[start : start + rows].to(device) for k, v in given.items()}
            with draws(Stream(generator, rows=BLOCK)):
                found = make(nets, rows, rows_given)
                blocks.append(found.to("cpu", torch.float32 if found.is_floating_point() else found.dtype))
    for net, mode in modes.items():
        net.training = mode
    return torch.cat(blocks)


def recipe_record(recipe: Recipe, name: str) -> dict[str, Any]:
    """What identifies a recipe: its name (or path to its file), and every field."""
    return {"name": name, "fields": {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}}


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
    return recipe(**fields)


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


class Model:
    """A trained generator: `sample` is what it is for.

    >>> import gansmith
    >>> model = gansmith.load("runs/demo")  # doctest: +SKIP
    >>> model.sample(64, seed=0).shape  # doctest: +SKIP
    (64, 8, 8, 1)
    """

    def __init__(
        self, recipe: Recipe, name: str, spec: DataSpec, networks: Mapping[Weights, nn.ModuleDict], images: int
    ) -> None:
        self.recipe, self.recipe_name, self.spec, self.images = recipe, name, spec, images
        self._networks = dict(networks)

    @property
    def networks(self) -> nn.ModuleDict:
        """The averaged networks that samples are drawn with by default."""
        return self._networks["ema"]

    def weights(self, which: Weights) -> nn.ModuleDict:
        """The networks with the averaged weights, or with those of the last step. Raises `ValueError` for others."""
        if which not in self._networks:
            raise ValueError(f"there are no weights {which!r}; there are {', '.join(self._networks)}")
        return self._networks[which]

    @property
    def asks(self) -> Mapping[str, Ask]:
        """What its samples can be asked to be: the names that `given` may have, and what each may hold."""
        return self.recipe.asks(self.spec)

    @property
    def from_noise(self) -> bool:
        """Whether samples can be drawn of nothing but noise; an imputer's of a row without a cell."""
        return self.recipe.from_noise or not self.spec.parts

    def to(self, device: str) -> Model:
        """Move the networks to a device; returns the model."""
        for nets in self._networks.values():
            nets.to(device)
        return self

    def sample(
        self, n: int, *, seed: int = 0, weights: Weights = "ema", given: Mapping[str, Any] = EMPTY
    ) -> np.ndarray:
        """Draw n samples in the data's own units: pictures (n, H, W, C) as uint8, uint16 or float32; vectors (n, D);
        texts (n,) as strings; rows of a table as a structured array (n,), whose fields are the columns in their own
        types (`rows["age"]`; `pandas.DataFrame(rows)`).

        Sample i depends on the seed and on i, not on n. `weights`: the moving average, or the raw weights of the
        last step. `given`: n rows each, or one value for all, for recipes whose samples are made of something ({"a":
        encoded pictures} for pairs and domains; `gansmith.apply` takes pictures as they are), or can be asked for
        ({"label": names of classes, or numbers into `spec.classes`}, {"code": ...} of InfoGAN, {"z": noise}): `asks`
        says what there is. Raises `ValueError` for n < 1, unknown weights, or a missing, unknown or misshapen `given`.
        """
        _whole(n=n, seed=seed)
        _check_names(self, given)
        rows = _tensors(self.spec, given, n)
        stored = self.stored(n, seed=seed, weights=weights, given=rows)
        return self.spec.made(rows)[1].codec.present(stored)

    def apply(self, samples: np.ndarray, what: Made | None = None, *, weights: Weights = "ema") -> np.ndarray:
        """What the model makes of real samples (n, ...) in the data's own units; by default what its recipe does first.

        A "picture" comes in the same units; probabilities of each "class" (`spec.classes`) or "cluster" as float32
        (n, K); a "latent" code as float32 (n, D). Raises `ValueError` if the recipe gives nothing, or no such thing.
        """
        x = self.spec.codec.encode(torch.from_numpy(np.array(samples))).contiguous()
        asked = what or next(iter(self.recipe.gives()), "picture")
        made = apply_to(self.recipe, self.weights(weights), x, asked)
        return self.spec.codec.decode(made) if asked == "picture" else made.numpy()

    def stored(self, n: int, *, seed: int = 0, weights: Weights = "ema", given: Batch = EMPTY) -> np.ndarray:
        """The same as the packed store keeps them: of a table, rows of numbers (n, D). Raises as `sample` does."""
        if n < 1:
            raise ValueError(f"cannot draw {n} samples: ask for at least 1")
        nets = self.weights(weights)
        _check_names(self, given)
        _check_rows(self.asks, given, n)
        drawn = draw_samples(self.recipe, nets, n, seed, given)
        return self.spec.made(given)[1].codec.decode(drawn)


def _whole(**numbers: Any) -> None:
    """Raises `ValueError` for what is no whole number."""
    for name, number in numbers.items():
        if not isinstance(number, int | np.integer) or isinstance(number, bool):
            raise ValueError(f"{name} is {number!r}; it must be a whole number")


def _check_names(model: Model, given: Mapping[str, Any]) -> None:
    """Raises `ValueError` for what the model cannot be asked, and where the picture that it needs is not given."""
    asks = model.asks
    pictures = [name for name, ask in asks.items() if isinstance(ask, Picture)]
    if pictures and (given or not model.from_noise) and len(given.keys() & set(pictures)) != 1:
        raise ValueError(
            f"samples of {model.recipe_name} are made of pictures, and {sorted(given) or 'nothing'} is given: pass "
            f"given={{{pictures[0]!r}: tensor}} (one of {', '.join(pictures)}), or use gansmith apply"
        )
    for name in sorted(given.keys() - asks.keys()):
        why = " as it was trained" if name in model.recipe.takes else ""
        raise ValueError(f"{model.recipe_name} cannot be given {name!r}{why}; it takes {sorted(asks) or 'nothing'}")


def _tensors(spec: DataSpec, given: Mapping[str, Any], n: int) -> Batch:
    """What samples are asked to be, as tensors of n rows. Raises `ValueError` for what are no numbers or classes."""
    rows: dict[str, Tensor] = {}
    for name, values in given.items():
        if not isinstance(values, Tensor):
            found = np.asarray(values)
            if name == "label" and found.dtype.kind == "U":
                found = np.array([label_of(spec, str(text)) for text in found.flat]).reshape(found.shape)
            if found.dtype.kind not in "biuf":
                raise ValueError(f"given {name!r} is {values!r:.60}; it must be numbers")
            kind = torch.float32 if found.dtype.kind == "f" else torch.int64
            values = torch.from_numpy(np.ascontiguousarray(found)).to(kind).reshape(found.shape)
        rows[name] = values.expand(n) if values.dim() == 0 else values
    return rows


def label_of(spec: DataSpec, text: str) -> int:
    """The label of a class by its name, or by its number where no class is called by a number.

    Raises `ValueError` for anything else.
    """
    if text in spec.classes:
        return spec.classes.index(text)
    if text.isdecimal() and int(text) < len(spec.classes) and not any(name.isdecimal() for name in spec.classes):
        return int(text)
    raise ValueError(f"label {text!r}: the classes of this model are {', '.join(spec.classes)[:300] or 'none'}")


def _check_rows(asks: Mapping[str, Ask], given: Batch, n: int) -> None:
    """Raises `ValueError` for tensors of another shape than n rows of what is asked, and for numbers out of range."""
    for name, rows in given.items():
        if len(rows) != n:
            raise ValueError(f"given {name!r} has {len(rows)} rows for {n} samples: give it a row for each")
        match asks[name]:
            case Class(count=count) | Choice(count=count) | Condition(count=count) as ask:
                if rows.dim() != 1 or rows.is_floating_point() or rows.min() < 0 or rows.max() >= count:
                    said = f"{name}s are {rows.unique().tolist()[:5]}; they must be whole numbers from 0 to {count - 1}"
                    of = f", the classes {', '.join(ask.names)[:200]}" if isinstance(ask, Class) else ""
                    raise ValueError(said + of)
            case Number() | Switch() if rows.dim() != 1:
                raise ValueError(f"given {name!r} has shape {tuple(rows.shape)}; it must be ({n},): a number a sample")
            case Noise(size=size) | Numbers(size=size) | Rows(width=size) if tuple(rows.shape) != (n, size):
                raise ValueError(f"given {name!r} has shape {tuple(rows.shape)}; it must be ({n}, {size})")


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
    saved = read_json(note)
    if saved.get("format") != FORMAT:
        raise ValueError(f"{note} has format {saved.get('format')!r}; this gansmith reads {FORMAT}: upgrade it")
    try:
        built = build_recipe(saved["recipe"], recipe)
        name = str(saved["recipe"]["name"])
        spec = DataSpec.from_json(saved["data"])
        accepted = {saved["sha256"], saved["previous_sha256"]}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{note} is damaged: {error!r}") from error
    tensors = folder / "model.safetensors"
    if not tensors.is_file():
        raise FileNotFoundError(f"{tensors} is missing")
    if sha256(tensors) not in accepted:
        raise ValueError(f"{tensors} does not have the sha256 that {note.name} states: it is damaged or was swapped")
    try:
        with safe_open(tensors, "pt") as file:
            metadata = json.loads((file.metadata() or {}).get("gansmith", "{}"))
            networks = {which: _networks(built, spec, file, f"{which}.", tensors) for which in ("ema", "raw")}
    except SafetensorError as error:
        raise ValueError(f"{tensors} is damaged: {error}") from error
    weights = typing.cast(Mapping[Weights, nn.ModuleDict], networks)
    return Model(built, name, spec, weights, int(metadata.get("images", 0)))


def _networks(recipe: Recipe, spec: DataSpec, file: Any, prefix: str, path: Path) -> nn.ModuleDict:
    """The serving networks, filled with the file's tensors; built without memory first to compare the shapes."""

    def build() -> nn.ModuleDict:
        nets = recipe.networks(spec)
        return nn.ModuleDict({role: nets[role] for role in recipe.serving})

    with torch.device("meta"):
        expected = {f"{prefix}{k}": tuple(v.shape) for k, v in build().state_dict().items()}
    found = {k: tuple(file.get_slice(k).get_shape()) for k in file.keys() if k.startswith(prefix)}  # noqa: SIM118
    if expected != found:
        odd = sorted(k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k))[0]
        raise ValueError(
            f"{path} does not fit its recipe: {odd} is {found.get(odd, 'missing')}, not {expected.get(odd, 'there')}"
        )
    with torch.random.fork_rng([]):
        nets = build()
    state = {k[len(prefix) :]: file.get_tensor(k) for k in found}
    for name, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{path} holds values that are not finite in {name}")
    nets.load_state_dict(state)
    return nets.eval().requires_grad_(False)
