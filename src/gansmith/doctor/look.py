"""What can be seen to be wrong with a generator from its samples alone, cheaply enough to look while it trains."""

from __future__ import annotations

import torch
from torch import Tensor

ALIKE = 0.1
"""Samples are called alike when their mean distance is below this share of that of real data."""
SATURATED = 0.98


def look(fake: Tensor, real: Tensor) -> dict[str, str]:
    """What stands out in encoded samples (N, ...), held against real ones (M, ...): {illness: what was seen}."""
    if not torch.isfinite(fake).all():
        return {"not finite": "samples hold values that are not finite"}
    found = {}
    apart, real_apart = _spread(fake), _spread(real)
    if real_apart > 0 and apart < ALIKE * real_apart:
        found["alike"] = (
            f"samples are nearly all alike ({apart / real_apart:.0%} of the distance between real ones): untrained "
            "yet, or mode collapse"
        )
    if fake.dim() == 4:
        ends, real_ends = (float((x.abs() > 0.999).float().mean()) for x in (fake, real))
        if ends > SATURATED > real_ends:
            found["saturated"] = f"{ends:.0%} of all values are black or white ({real_ends:.0%} in real data)"
    return found


def _spread(x: Tensor) -> float:
    """Mean distance between neighbours in the batch; of whole numbers, such as tokens, how many differ."""
    if not x.is_floating_point():
        return float((x != x.roll(1, 0)).double().mean()) if len(x) > 1 else 0.0
    flat = x.flatten(1).double()
    return float((flat - flat.roll(1, 0)).norm(dim=1).mean()) if len(flat) > 1 else 0.0
