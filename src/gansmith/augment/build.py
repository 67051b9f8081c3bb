"""The augmentation a recipe's field names."""

from __future__ import annotations

from typing import Literal

from torch import nn

from .ada import ADA
from .diffaugment import DiffAugment

Augment = Literal["none", "ada", "diffaugment"]


def build(kind: Augment, shape: tuple[int, ...], target: float, images: float) -> nn.Module:
    """The module that stands in front of D, for pictures (C, H, W). `target` and `images` are those of `ADA`."""
    match kind:
        case "none":
            return nn.Identity()
        case "ada":
            return ADA(shape, target, images)
        case "diffaugment":
            return DiffAugment()
