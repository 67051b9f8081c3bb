"""Sliced Wasserstein distances: of features over random directions, and of image patches level by level.

Source: Rabin, Peyre, Delon, Bernot, "Wasserstein Barycenter and its Application to Texture Mixing", 2011 (the sliced
distance); Karras, Aila, Laine, Lehtinen, "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
2018, arXiv:1710.10196 (patches of a Laplacian pyramid).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .features import pair, random, wide

DIRECTIONS = 64  # projected and sorted at once


@dataclass(frozen=True, kw_only=True)
class SlicedWasserstein:
    """The sliced 2-Wasserstein distance; lower is better, in the features' units."""

    value: float
    """Root of the mean squared distance over the directions."""
    squared: float
    """That mean."""
    standard_error: float
    """Of `squared`, from the directions alone."""
    directions: int
    """Random directions."""


def sliced_wasserstein(real: Tensor, fake: Tensor, *, seed: int, directions: int = 1000) -> SlicedWasserstein:
    """E over directions u of W2^2(u.x, u.y), each in closed form from sorted projections; in float64.

    In one dimension W2^2 is the integral of the squared difference of the quantile functions, exact here for unequal
    counts too. A shift by m gives |m|^2 / d in expectation, which says why values of different d do not compare.
    O(directions (N log N + N d)), no matrix root: cheap enough to watch training with.

    Args:
        real: features (N, d).
        fake: features (M, d).
        seed: draws the directions.
        directions: at least 2.

    Raises:
        ValueError: directions < 2, or features that do not fit together.
    """
    real, fake = pair(real, fake)
    if directions < 2:
        raise ValueError(f"directions is {directions}; it is 2 or more")
    generator = random(seed)
    found = []
    for start in range(0, directions, DIRECTIONS):
        # Always drawn in full, so that the first directions are the same whatever the number asked for.
        units = torch.randn(DIRECTIONS, real.shape[1], generator=generator, dtype=torch.float64)
        units = (units / torch.linalg.vector_norm(units, dim=1, keepdim=True))[: directions - start]
        found.append(_one_dimensional(*(wide(s) @ units.to(wide(s[:1]).device).T for s in (real, fake)), power=2))
    values = torch.cat(found)
    squared = float(values.mean())
    return SlicedWasserstein(
        value=squared**0.5,
        squared=squared,
        standard_error=float(values.std()) / directions**0.5,
        directions=directions,
    )


def laplacian_patch_distance(
    real: Tensor,
    fake: Tensor,
    *,
    seed: int,
    smallest: int = 16,
    patch: int = 7,
    patches: int = 128,
    directions: int = 512,
) -> dict[int, float]:
    """Sliced 1-Wasserstein distance between patches of Laplacian pyramids, times 1000, by side of the level.

    Each level's patches are normalised per channel by the mean and deviation of their own side; the finest level tells
    of texture, the coarsest of layout. The paper takes 16,384 images.

    Args:
        real: images (N, C, H, W), floating point, H = W = smallest times a power of two.
        fake: images of the same shape.
        seed: draws the patches and the directions.
        smallest: side of the coarsest level.
        patch: odd side of a patch; 7 in the paper.
        patches: patches an image and level; 128 in the paper.
        directions: random directions; 512 in the paper (4 times 128).

    Raises:
        ValueError: unequal shapes, sides that do not halve down to `smallest`, or patches larger than it.
    """
    if real.shape[1:] != fake.shape[1:] or real.ndim != 4 or len(real) != len(fake):
        raise ValueError(f"images are {tuple(real.shape)} and {tuple(fake.shape)}; both are (N, C, H, W)")
    side = real.shape[2]
    levels = [side]
    while levels[-1] > smallest and levels[-1] % 2 == 0:
        levels.append(levels[-1] // 2)
    if real.shape[3] != side or levels[-1] != smallest or patch > smallest or patch % 2 == 0:
        raise ValueError(
            f"images are {side}x{real.shape[3]} with smallest {smallest} and patch {patch}; they are square, a power "
            "of two times smallest, with an odd patch inside it"
        )
    generator = random(seed)
    result = {}
    pyramids = zip(_pyramid(real.detach(), len(levels)), _pyramid(fake.detach(), len(levels)), strict=True)
    for level, images in zip(levels, pyramids, strict=True):
        # Both sides are cut at positions of their own, as two independent draws.
        first, second = (_normalised_patches(x, patch, patches, generator) for x in images)
        units = torch.randn(directions, first.shape[1], generator=generator)
        units = (units / torch.linalg.vector_norm(units, dim=1, keepdim=True)).to(first)
        parts = [_one_dimensional(first @ part.T, second @ part.T, power=1) for part in units.split(DIRECTIONS // 4)]
        result[level] = 1000.0 * float(torch.cat(parts).mean())
    return result


def _one_dimensional(x: Tensor, y: Tensor, *, power: int) -> Tensor:
    """W_p^p of the columns of x (n, D) and y (m, D): the integral of |quantile difference|^p."""
    x, y = x.sort(dim=0).values, y.sort(dim=0).values
    n, m = len(x), len(y)
    if n == m:
        return (x - y).abs_().pow_(power).mean(0)
    # Both quantile functions are steps, constant between the multiples of 1/n and 1/m. In units of 1/(n m) with the
    # common factor taken out, the breakpoints are integers.
    common = math.gcd(n, m)
    ends = torch.cat(
        [
            torch.arange(1, n + 1, device=x.device) * (m // common),
            torch.arange(1, m + 1, device=x.device) * (n // common),
        ]
    ).unique()
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    weights = (ends - starts).to(x.dtype) / ends[-1]
    return weights @ (x[starts // (m // common)] - y[starts // (n // common)]).abs_().pow_(power)


def _pyramid(images: Tensor, levels: int) -> list[Tensor]:
    """The Laplacian pyramid, finest level first; the last is the low-pass residue."""
    taps = images.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
    channels = images.shape[1]
    kernel = torch.outer(taps, taps).expand(channels, 1, 5, 5)
    result = []
    for _ in range(levels - 1):
        low = F.conv2d(F.pad(images, (2, 2, 2, 2), mode="reflect"), kernel, groups=channels)[:, :, ::2, ::2]
        spread = images.new_zeros(images.shape)
        spread[:, :, ::2, ::2] = low
        # Three of four pixels are zeros: the kernel times 4 keeps the mean.
        up = F.conv2d(F.pad(spread, (2, 2, 2, 2), mode="reflect"), 4.0 * kernel, groups=channels)
        result.append(images - up)
        images = low
    return [*result, images]


def _normalised_patches(images: Tensor, patch: int, patches: int, generator: torch.Generator) -> Tensor:
    """Random patches of every image (N * patches, C * patch^2), zero mean and unit deviation a channel."""
    count, channels, side = images.shape[:3]
    top, left = (torch.randint(side - patch + 1, (count, patches), generator=generator) for _ in range(2))
    steps = torch.arange(patch)
    rows = (top[..., None] + steps)[..., :, None].to(images.device)
    columns = (left[..., None] + steps)[..., None, :].to(images.device)
    which = torch.arange(count, device=images.device)[:, None, None, None]
    found = images.permute(0, 2, 3, 1)[which, rows, columns].reshape(-1, patch * patch, channels)
    found = found - found.mean((0, 1))
    return (found / found.std((0, 1)).clamp(min=1e-8)).flatten(1)
