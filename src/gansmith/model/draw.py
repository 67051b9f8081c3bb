"""Samples of a recipe's networks, block by block: sample i depends on the seed and on i, not on how many are drawn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Literal

import torch
from torch import Tensor, nn

from ..recipe import EMPTY, Batch, Made, Recipe
from ..step.randomness import Stream, derive, draws

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
    device = next(nets.parameters()).device
    generator = torch.Generator(device)
    blocks = []
    with _at_rest(nets), torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        for start in range(0, n, BLOCK):
            rows = min(BLOCK, n - start)
            part = derive(seed, "sample", start)
            torch.manual_seed(part)
            generator.manual_seed(part)
            rows_given = {k: v[start : start + rows].to(device) for k, v in given.items()}
            with draws(Stream(generator, rows=BLOCK)):
                found = make(nets, rows, rows_given)
                blocks.append(found.to("cpu", torch.float32 if found.is_floating_point() else found.dtype))
    return torch.cat(blocks)


@contextlib.contextmanager
def _at_rest(nets: nn.ModuleDict) -> Generator[None]:
    """Networks in eval mode and without gradients, as a saved model has them; left as they were.

    Of weights that require gradients an LSTM takes another kernel even where none are taken, so that samples of a run
    and of its saved model would differ in the last bit.
    """
    modes = {net: net.training for net in nets.modules()}
    moving = [p for p in nets.parameters() if p.requires_grad]
    nets.eval().requires_grad_(False)
    try:
        yield
    finally:
        for net, mode in modes.items():
            net.training = mode
        for param in moving:
            param.requires_grad_(True)
