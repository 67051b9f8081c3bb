"""What a metric takes: features (N, d), one row a sample, and what it refuses."""

from __future__ import annotations

import torch
from torch import Tensor


def checked(features: Tensor, name: str, at_least: int = 1) -> Tensor:
    """The features (N, d), detached, if they are a finite floating-point matrix with `at_least` rows.

    Raises:
        ValueError: another rank (a flattened matrix once gave distances near 0 unnoticed), integers, NaN or infinity,
            or too few rows.
    """
    if features.ndim != 2 or features.shape[1] == 0:
        raise ValueError(f"{name} has shape {tuple(features.shape)}; features are (N, d), one row a sample: reshape it")
    if not features.is_floating_point():
        raise ValueError(f"{name} is {features.dtype}; features are floating point: pass {name}.float()")
    if len(features) < at_least:
        raise ValueError(f"{name} has {len(features)} samples; this needs at least {at_least}: draw more")
    # One sum instead of a mask of N x d: it is finite unless a value is not, or (rarely) it overflows.
    if not bool(torch.isfinite(features.detach().sum())):
        bad = int((~torch.isfinite(features)).any(1).sum())
        if bad:
            raise ValueError(f"{name} has NaN or infinity in {bad} of {len(features)} samples: look at these samples")
    return features.detach()


def pair(
    real: Tensor, fake: Tensor, at_least: int = 1, names: tuple[str, str] = ("real", "fake")
) -> tuple[Tensor, Tensor]:
    """Two checked sets of one dimension, of one dtype (the wider), on the device of the first.

    Raises:
        ValueError: see `checked`, or the dimensions differ.
    """
    real, fake = checked(real, names[0], at_least), checked(fake, names[1], at_least)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(
            f"{names[0]} has {real.shape[1]} features and {names[1]} {fake.shape[1]}; both must come from one encoder"
        )
    # Half precision holds three digits: too few for differences of distances.
    dtype = torch.promote_types(torch.promote_types(real.dtype, fake.dtype), torch.float32)
    return real.to(dtype), fake.to(real.device, dtype)


def wide(values: Tensor) -> Tensor:
    """The values in float64; on the CPU where the device (Apple's MPS) has no float64."""
    return (values.cpu() if values.device.type == "mps" else values).to(torch.float64)


def random(seed: int) -> torch.Generator:
    """A generator of its own for one call: metrics are pure functions of their arguments, seed included."""
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator
