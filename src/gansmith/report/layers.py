"""The modules of a network that hold parameters, with the shape of what they put out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..data import DataSpec
from ..model.draw import draw_samples
from ..recipe import Recipe


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
