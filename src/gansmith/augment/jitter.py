"""Random jitter of pictures: enlarged, cut at a random place, mirrored; the same for all halves of a pair.

Source: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv:1611.07004,
section 6.2: 256 x 256 pixels are resized to 286 x 286, cut back to 256 x 256 at random, and mirrored.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..step.randomness import uniform


def jitter(*pictures: Tensor, enlarge: float, mirror: bool) -> tuple[Tensor, ...]:
    """Pictures (N, C, H, W) of one size, of the same rows, to the same: row i of all of them is moved alike.

    `enlarge`: the factor before cutting (the paper's is 286 / 256), 1 for none. `mirror`: left and right are exchanged
    in half of the rows. Randomness is the step's, so a resumed run repeats it.
    Raises `ValueError` if the pictures differ in size.
    """
    first = pictures[0]
    n, (height, width) = len(first), first.shape[-2:]
    if any(p.shape[-2:] != first.shape[-2:] or len(p) != n for p in pictures):
        listed = ", ".join("x".join(map(str, p.shape[-2:])) for p in pictures)
        raise ValueError(f"the halves of a pair are {listed}: jitter moves both alike, so they must agree in size")
    size = (round(height * enlarge), round(width * enlarge))
    if size == (height, width) and not mirror:
        return pictures
    draws = uniform(first, n, 3)
    y = _places(draws[:, 0], size[0] - height, height)
    x = _places(draws[:, 1], size[1] - width, width)
    if mirror:
        x = torch.where(draws[:, 2:] < 0.5, x.flip(1), x)
    rows = torch.arange(n, device=first.device)[:, None, None]
    moved = []
    for picture in pictures:
        large = picture
        if size != (height, width):
            large = F.interpolate(picture, size, mode="bilinear", align_corners=False)
        moved.append(large.permute(0, 2, 3, 1)[rows, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2))
    return tuple(moved)


def _places(draw: Tensor, room: int, length: int) -> Tensor:
    """Indices (N, length) from a random start in 0 ... room on."""
    start = (draw * (room + 1)).long().clamp(max=room)
    return start[:, None] + torch.arange(length, device=draw.device)
