"""The plain pair of players: fully connected networks for vectors, DCGAN's convolutions for pictures.

Objectives are compared on the same networks, so the recipes of the classic objectives take theirs from here.
"""

from __future__ import annotations

from torch import nn

from . import conv, mlp
from .shapes import picture


def pair(
    z_dim: int, shape: tuple[int, ...], width: int, norm: conv.Norm = "batch", judge: conv.Norm = "batch"
) -> dict[str, nn.Module]:
    """ "G" and "D" for samples of that shape: (d,) or (C, H, W).

    Pictures: `width` channels at half size, doubled at every halving up to 8 times, `norm` in G, `judge` in D.
    Vectors: three layers of 8 times `width` and no norm at all.
    """
    if picture(shape):
        return {"G": conv.Generator(z_dim, shape, width, norm), "D": conv.Discriminator(shape, width, judge)}
    widths = (8 * width,) * 3
    return {"G": mlp.Generator(z_dim, shape, widths, bounded=False), "D": mlp.Discriminator(shape, widths)}
