"""Which networks a sample's shape asks for: the one place where shapes are told apart."""

from __future__ import annotations

SMALL = 12
"""Pictures of at most so many pixels a side are taken by fully connected networks, where a recipe leaves the choice."""


def picture(shape: tuple[int, ...]) -> bool:
    """Whether samples of that shape are pictures, (C, H, W), and not vectors, (D,)."""
    return len(shape) == 3


def flat(shape: tuple[int, ...]) -> bool:
    """Whether samples of that shape are best taken by fully connected networks: vectors, and pictures up to `SMALL`."""
    return len(shape) == 1 or max(shape[1:]) <= SMALL
