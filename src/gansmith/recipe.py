"""What a GAN is: a frozen dataclass whose typed fields are its hyper-parameters.

A recipe names its networks, how each is optimised, whose turn it is, and how to draw samples. The engine knows no GAN
by name; one file in `recipes/`, or any file of yours given by path, is a whole GAN.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from .asks import Ask, Choice, Class, Condition, Noise, Number, Numbers, Picture, Rows, Switch
from .data import Codec, DataSpec, Draw, FewLabels, Uniform, Unpaired
from .settle import Range, settle
from .step.randomness import gathered, gumbel, joined, noise, normal, of_all_ranks, uniform
from .step.step import Step
from .step.turn import EMPTY, Adam, Average, Batch, Ramp, Rule, Terms, Turn

__all__ = [
    "EMPTY",
    "Adam",
    "Average",
    "Batch",
    "DataSpec",
    "FewLabels",
    "Made",
    "Ramp",
    "Recipe",
    "Rule",
    "Step",
    "Terms",
    "Turn",
    "Unpaired",
    "gathered",
    "gumbel",
    "joined",
    "judged",
    "load_recipe",
    "noise",
    "normal",
    "of",
    "of_all_ranks",
    "uniform",
]


WHOLE = Range(0, 10_000_000)
"""Whole numbers of a recipe that declare no range of their own: sizes, counts, steps. What is too large for the memory
is refused before it is built."""

Made: TypeAlias = Literal["picture", "class", "cluster", "latent"]
"""What a recipe can make of a real sample: another of its kind, a class or a cluster of it, its code."""


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """What a GAN is. Subclasses are final, frozen, keyword-only dataclasses; never subclass a recipe."""

    kinds: ClassVar[frozenset[str]] = frozenset({"image"})
    """The kinds of data it takes: `DataSpec.kind`."""
    of: ClassVar[frozenset[str]] = frozenset({"image"})
    """Where it takes two sets (pairs, domains): the kinds that either may be of."""
    serving: ClassVar[tuple[str, ...]] = ("G",)
    """The networks that `sample` and `apply` need: averaged during training and saved with the model."""
    takes: ClassVar[frozenset[str]] = frozenset()
    """What `sample` understands in `given` beside what `given()` names: `"truncation"`, `"label"`, `"temperature"`,
    `"condition"` (an index a row), `"x"` (encoded rows, NaN to be filled), `"draw"` (with a draw, not with a guess),
    `"z"` (noise, as long as the field `z_dim`), `"code"` (below the field `categories`) with `"continuous"` (as many
    as that field says). `asks` makes types of these words; override it for anything else."""
    from_noise: ClassVar[bool] = True
    """Whether `sample` makes new samples like the data of noise alone: they can be scored during training, and are
    looked at for variety. Recipes that change or complete what they are given say False."""
    step_class: ClassVar[type[Step]] = Step
    """A step of its own where turns cannot say it (differentially private, SGHMC, population)."""
    chosen_by: ClassVar[str] = ""
    """The name among `errors` by which the weights that serve are chosen: those with the lowest; empty: the last."""

    removed: ClassVar[Mapping[str, object]] = MappingProxyType({})
    """Fields of earlier versions, each with the value at which it changed nothing: a run or model that recorded it so
    still loads, without it. One that recorded another value is refused."""
    instead: ClassVar[str] = ""
    """What to train instead where a removed field had another value, in words."""

    def __post_init__(self) -> None:
        """Fields get the types they are declared with. Raises `ValueError` for one that cannot."""
        settle(self, WHOLE)

    @abstractmethod
    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        """The networks by role (`"G"`, `"D"`, `"E"`, ...), freshly initialised from PyTorch's global generator."""

    @abstractmethod
    def optimizers(self) -> Mapping[str, Rule]:
        """How each network is trained. A network not named here is frozen and in eval mode."""

    @abstractmethod
    def turns(self) -> tuple[Turn, ...]:
        """Whose turn it is, in order."""

    @abstractmethod
    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        """Draw n samples (n, *data.shape) in the encoded range; `given` holds labels, source images, masks ..."""

    def given(self, batch: Batch) -> tuple[Batch, ...]:
        """What `sample` needs of real data, once for each way to sample: nothing at all, where noise is enough."""
        return (EMPTY,)

    def asks(self, data: DataSpec) -> Mapping[str, Ask]:
        """What `sample` understands in `given`, by name, of a model that was trained on such data, with its ranges.

        By default the words in `takes`, and the pictures that `given` names. A recipe says it itself where its fields
        or the data decide. A model refuses what is not named here.
        """
        shapes = {name: torch.empty(0, *part.shape) for name, part in data.parts.items()}
        ways = self.given(shapes) if shapes else ()
        asks: dict[str, Ask] = {k: Picture(shape=tuple(x.shape[1:])) for way in ways for k, x in way.items()}
        for name in sorted(self.takes):
            match ask := _ask(self, name, data):
                case Class(names=()) | Numbers(size=0):
                    continue  # data without labels, no such codes
            asks[name] = ask
        return asks

    def errors(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """How wrong the serving networks are on real data that losses leave out, by name; the lower the better.

        For recipes that are told by such an error when to stop (`chosen_by`). `batch` holds evenly spaced rows, with
        what the draw knows of them (`HeldOut`).
        """
        return {}

    def gives(self) -> tuple[Made, ...]:
        """What `apply` makes of real samples, the usual one first; nothing, where samples come of noise alone."""
        return ()

    def apply(self, nets: nn.ModuleDict, x: Tensor, what: Made) -> Tensor:
        """What `gives` names, of real samples x (n, *data.shape), encoded: a "picture" (n, *data.shape), probabilities
        of each "class" or "cluster" (n, K), or the "latent" code (n, D)."""
        raise NotImplementedError(f"{type(self).__name__} gives {', '.join(self.gives()) or 'nothing'}, not {what}")

    def codec(self, raw: DataSpec, stored: Mapping[str, np.ndarray]) -> Codec:
        """How raw data becomes tensors: by default as the source proposes (images in [-1, 1]).

        `stored` are the packed store's fields, memory-mapped: a codec whose numbers are fitted (modes of a column) is
        fitted on them, once, before training; the numbers travel in its JSON. Must be a pure function of both.
        """
        return raw.codec

    def draw(self) -> Draw:
        """How a batch is drawn from the data."""
        return Uniform()

    def rows_together(self) -> int:
        """Consecutive rows that are judged together (a pack, a group): a part of a batch holds a multiple of it.

        0: all rows of the batch, as a loss is no mean over samples (a softmax over them, a mean inside a logarithm).
        Asked where a batch is to be split to fit into memory. Batch norm, over all rows, need not be told here.
        """
        return 1

    def average(self) -> Average:
        """The moving average of the weights."""
        return Average()


def _ask(recipe: Recipe, name: str, data: DataSpec) -> Ask:
    """What a word in `Recipe.takes` stands for. Raises `NotImplementedError` for words that are not among those."""
    match name:
        case "label":
            return Class(names=data.classes)
        case "code":
            return Choice(count=_size(recipe, "categories"))
        case "continuous":
            return Numbers(size=_size(recipe, "continuous"), low=-1.0, high=1.0)
        case "z":
            return Noise(size=_size(recipe, "z_dim"))
        case "truncation":
            about = "psi: below 1 fewer odd samples and less variety."
            return Number(low=0.0, high=2.0, default=1.0, help=about)
        case "temperature":
            about = "Below 1 likelier and less varied samples, above 1 the opposite."
            return Number(low=0.01, high=10.0, default=1.0, help=about)
        case "condition":
            return Condition(names=data.codec.conditions)
        case "x":
            return Rows(width=data.shape[0])
        case "draw":
            return Switch(help="Missing cells get a draw of what may have stood there, not the best guess.")
    raise NotImplementedError(f"{type(recipe).__name__} takes {name!r}: its `asks` must say what that is")


def _size(recipe: Recipe, field: str) -> int:
    """A field by which `takes` measures one of its words. Raises `NotImplementedError` if the recipe has none."""
    if field not in {f.name for f in dataclasses.fields(recipe)}:
        raise NotImplementedError(f"{type(recipe).__name__} has no field {field}: its `asks` must say what it takes")
    return int(getattr(recipe, field))


Net = TypeVar("Net", bound=nn.Module)


def of(nets: nn.ModuleDict, role: str, kind: type[Net]) -> Net:
    """The network of that role, by its type: `of(nets, "G", stylegan.Generator).mapping`."""
    net = nets[role]
    assert isinstance(net, kind), f"{role} is a {type(net).__name__}, not a {kind.__name__}"
    return net


def judged(
    nets: nn.ModuleDict,
    sample: Callable[[nn.ModuleDict, int, Batch], Tensor],
    real: Tensor,
    given: Batch = EMPTY,
    *,
    view: Callable[[Tensor], Tensor] = lambda x: x,
    together: bool = False,
) -> tuple[Any, Any]:
    """What D says of real samples (N, ...) and of as many fresh fakes, which carry no gradient to G.

    Scores (N,) each, or whatever else D returns. `sample` draws the fakes (`Recipe.sample`), of what is `given`. `view`
    turns samples into what D is shown of them (packs, samples with noise added), real ones first. `together`: in one
    pass, which is faster; only for a D that returns scores alone and does not mix samples (no batch norm, no
    comparison within a batch).
    """
    with torch.no_grad():
        fake = sample(nets, len(real), given)
    real, fake = view(real), view(fake)
    if together:
        real_scores, fake_scores = nets["D"](torch.cat((real, fake))).chunk(2)
        return real_scores, fake_scores
    # Two passes: batch norm over a mixed batch would tell D the share of fakes in it.
    return nets["D"](real), nets["D"](fake)


BUILT_IN = Path(__file__).parent / "recipes"


def _check_class(kind: type[Recipe]) -> None:
    """Raises `ValueError` for a recipe that is no frozen dataclass, or has fields without a type."""
    name = kind.__name__
    own = kind.__dict__.get("__dataclass_params__")
    if own is None or not own.frozen:
        raise ValueError(f"{name} is no frozen dataclass: write @dataclass(frozen=True, kw_only=True) above the class")
    typed = {n for c in kind.__mro__ for n in inspect.get_annotations(c)}
    for field, value in vars(kind).items():
        plain = isinstance(value, int | float | str | bool | tuple) and not field.startswith("_")
        if plain and field not in typed:
            wanted = "ClassVar[...]" if hasattr(Recipe, field) else type(value).__name__
            raise ValueError(
                f"{name}.{field} = {value!r} has no type, so it is no field: write {field}: {wanted} = ..."
            )


def load_recipe(name: str) -> type[Recipe]:
    """The recipe class of that name, or the one in the Python file at that path.

    Raises `ValueError` if no recipe has that name, or the file does not hold exactly one.
    """
    if name.endswith(".py"):
        path = Path(name).resolve()
        if not path.is_file():
            raise FileNotFoundError(f"no recipe file at {path}")
        spec = importlib.util.spec_from_file_location(f"gansmith_recipe_{path.stem}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up by name
        spec.loader.exec_module(module)
    else:
        if not name.isidentifier() or not (BUILT_IN / f"{name}.py").is_file():
            raise ValueError(f"no recipe is called {name!r}; there are {', '.join(recipe_names())}, or a path to a .py")
        module = importlib.import_module(f"gansmith.recipes.{name}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Recipe) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise ValueError(f"{name} must define exactly one Recipe; it defines {len(found)}")
    _check_class(found[0])
    return found[0]


def recipe_names() -> list[str]:
    """The names of the built-in recipes: the names of their files."""
    return sorted(p.stem for p in BUILT_IN.glob("*.py") if p.stem != "__init__")
