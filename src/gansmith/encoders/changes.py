"""Small changes that leave a sample what it is: what an encoder of one's own is taught not to see.

Each kind of change keeps within what would make another thing of a sample: no flips, as a mirrored digit, a sound
backwards or a left lung is another thing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NOISE = 0.05
"""Of signals: the deviation of the noise, in deviations of the data's channel."""
BRIGHTER = 0.3
"""Of volumes and clips: the most that is added to all of a sample, in deviations of the data's channel."""


def changed(x: Tensor, random: torch.Generator, strength: float, *, paint: bool = False) -> Tensor:
    """Pictures (N, C, H, W) in [0, 255], each turned, stretched and shifted a little; edges repeat.

    At strength 1: within 15 degrees, a fifth of its size, a sixth of its side. With `paint` also contrast within a
    factor of 1.4 about each picture's mean, brightness within a tenth of the range, and a square of half the side
    covered by that mean.
    """
    n, _, height, width = x.shape

    def within(most: float) -> Tensor:
        return (torch.rand(n, generator=random) * 2 - 1) * (most * strength)

    angle, across, down = within(0.26), within(0.2).exp(), within(0.2).exp()
    rows = [
        torch.stack([angle.cos() * across, -angle.sin() * across * height / width, within(0.33)], 1),
        torch.stack([angle.sin() * down * width / height, angle.cos() * down, within(0.33)], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1).to(x.device), list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    if not paint:
        return x
    mean = x.mean((1, 2, 3), keepdim=True)
    factor, offset = within(0.34).exp(), within(25.0)
    x = (x - mean) * factor.to(x.device)[:, None, None, None] + mean + offset.to(x.device)[:, None, None, None]
    top = (torch.rand(n, 1, generator=random) * height * 1.5 - height / 2).to(x.device)
    left = (torch.rand(n, 1, generator=random) * width * 1.5 - width / 2).to(x.device)
    y, z = torch.arange(height, device=x.device)[None], torch.arange(width, device=x.device)[None]
    tall, wide = (y >= top) & (y < top + height / 2), (z >= left) & (z < left + width / 2)
    return torch.where(tall[:, None, :, None] & wide[:, None, None, :], mean, x)


def shaken(x: Tensor, random: torch.Generator, strength: float, *, unit: Tensor, paint: bool = False) -> Tensor:
    """Encoded samples (N, C, *size) of one to three axes, each shifted a little along every axis; edges repeat.

    At strength 1 the shift is at most a sixth of an axis, in whole steps. With `paint` also, in this order: amplitude
    within a factor of 1.4 about the mean of each sample's channel; of one axis a little noise, of more axes a
    brightness; and a stretch, rectangle or block of a quarter of the sample (less where it reaches over an edge)
    covered by that mean.

    Args:
        x: of any unit and range.
        random: a generator on the CPU, so that every device draws the same.
        strength: 0 changes nothing but what `paint` covers.
        unit: (1, C, 1, ...), the deviation of each channel over the data, which noise and brightness go by.
        paint: whether more than the place is changed.
    """
    n, channels, *size = x.shape
    axes = len(size)
    column = (n, *(1,) * (axes + 1))

    def within(most: float) -> Tensor:
        return (torch.rand(n, generator=random) * 2 - 1) * (most * strength)

    for axis, length in enumerate(size):
        place = torch.arange(length)[None] + within(length / 6).round().long()[:, None]
        across = [n, 1, *(length if a == axis else 1 for a in range(axes))]
        x = x.gather(axis + 2, place.clamp(0, length - 1).view(across).to(x.device).expand_as(x))
    if not paint:
        return x
    mean = x.mean(tuple(range(2, x.dim())), keepdim=True)
    x = (x - mean) * within(0.34).exp().view(column).to(x.device) + mean
    if axes == 1:
        x = x + torch.randn(n, channels, *size, generator=random).to(x.device) * (NOISE * strength * unit)
    else:
        x = x + within(BRIGHTER).view(column).to(x.device) * unit
    side = 0.25 ** (1 / axes)
    covered = torch.ones(column, dtype=torch.bool)
    for axis, length in enumerate(size):
        start = (torch.rand(n, 1, generator=random) * (1 + side) - side) * length
        place = torch.arange(length)[None]
        inside = (place >= start) & (place < start + side * length)
        covered = covered & inside.view(n, 1, *(length if a == axis else 1 for a in range(axes)))
    return torch.where(covered.to(x.device), mean, x)
