"""The modules of a network that hold parameters, with the shape of what they put out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..data import DataSpec
from ..model.draw import draw_samples
from ..model.saved import sketched
from ..recipe import Recipe

MOST_PARAMETERS = 100_000_000
"""Of networks that are built only to be looked at; of larger ones no sample is drawn, and no shapes are known."""


@dataclass(frozen=True)
class Layer:
    """One module of a network: `shape` is its output's for one sample, "" if drawing a sample does not reach it."""

    name: str
    kind: str
    shape: str
    parameters: int


def layers(recipe: Recipe, nets: nn.ModuleDict, spec: DataSpec) -> dict[str, list[Layer]]:
    """The modules of each network that hold parameters themselves or hold no others, in the order they are defined.

    Output shapes are those of one sample drawn with the serving networks.
    """
    shapes: dict[nn.Module, str] = {}
    if any(p.is_meta for p in nets.parameters()):
        return _listed(nets, shapes)

    def note(module: nn.Module, _: Any, output: Any) -> None:
        tensors = [output] if isinstance(output, Tensor) else [t for t in _each(output) if isinstance(t, Tensor)]
        shapes[module] = ", ".join("x".join(map(str, t.shape[1:])) or "1" for t in tensors)

    handles = [m.register_forward_hook(note) for m in nets.modules()]
    try:
        blank = {k: torch.zeros(1, *part.shape) for k, part in spec.parts.items()}
        for given in recipe.given(blank):
            draw_samples(recipe, nets, 1, 0, given)
    finally:
        for handle in handles:
            handle.remove()
    return _listed(nets, shapes)


def built(recipe: Recipe, spec: DataSpec) -> nn.ModuleDict:
    """The networks to be looked at: as they begin, or, where they are large, without memory for their numbers.

    Raises `ValueError` for fields of which none can be built.
    """
    sketch = nn.ModuleDict(sketched(recipe, spec))
    if sum(p.numel() for p in sketch.parameters()) > MOST_PARAMETERS:
        return sketch
    with torch.random.fork_rng([]):
        return nn.ModuleDict(recipe.networks(spec))


def _listed(nets: nn.ModuleDict, shapes: Mapping[nn.Module, str]) -> dict[str, list[Layer]]:
    found: dict[str, list[Layer]] = {}
    for role, net in nets.items():
        found[role] = [
            Layer(name or role, type(m).__name__, shapes.get(m, ""), sum(p.numel() for p in own))
            for name, m in net.named_modules()
            for own in [list(m.parameters(recurse=False))]
            if own or not list(m.children())
        ]
    return found


def _each(value: Any) -> tuple[Any, ...]:
    if isinstance(value, Mapping):
        return tuple(value.values())
    return tuple(value) if isinstance(value, (tuple, list)) else ()
