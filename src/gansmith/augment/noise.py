"""Instance noise: Gaussian noise on what D sees, real and fake alike."""

from __future__ import annotations

from torch import Tensor

from ..step.randomness import normal


def instance_noise(x: Tensor, deviation: float, images: Tensor, over: float) -> Tensor:
    """x with normal noise of that deviation, which falls linearly to 0 over so many images shown; over 0 keeps it.

    Sonderby et al., "Amortised MAP Inference for Image Super-resolution", 2016, arXiv:1610.04490, section 3.2.
    """
    if not deviation:
        return x
    decay = (1 - images / over).clamp_min(0) if over else 1.0
    return x + deviation * decay * normal(x)
