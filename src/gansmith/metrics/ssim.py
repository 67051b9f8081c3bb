"""Multi-scale structural similarity, and the diversity of images it measures.

Source: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", Asilomar 2003, eq. 7;
Odena, Olah, Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017, arXiv:1610.09585
(mean similarity of random pairs within a class as a sign of collapse).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .features import random, wide

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""The exponent of each scale, finest first; with fewer scales the first ones, divided by their sum."""


def ms_ssim(first: Tensor, second: Tensor, *, scales: int, data_range: float, window: int = 11) -> Tensor:
    """Similarity (N,) of image pairs, in [0, 1]; 1 for equal images. In float64.

    The product over the scales of (contrast and structure)^weight, the coarsest times its luminance; a Gaussian window
    of sigma 1.5, valid positions only, 2x2 averages between the scales. Negative structure counts as 0, where a
    fractional power would be NaN.

    Args:
        first: images (N, C, H, W), floating point.
        second: their partners, of the same shape.
        scales: 1 to 5. Five need 161 pixels a side with the usual window.
        data_range: the largest possible difference of two pixels: 2 for images in [-1, 1].
        window: odd side of the window; 11 in the paper.

    Raises:
        ValueError: another rank, integers, unequal shapes, or images too small for the scales.
    """
    if first.shape != second.shape or first.ndim != 4:
        raise ValueError(f"images are {tuple(first.shape)} and {tuple(second.shape)}; both are (N, C, H, W)")
    if not first.is_floating_point() or not second.is_floating_point():
        raise ValueError(f"images are {first.dtype} and {second.dtype}; pass floats and their data_range")
    if data_range <= 0 or not 1 <= scales <= len(WEIGHTS) or window < 1 or window % 2 == 0:
        raise ValueError(
            f"data_range is {data_range}, scales {scales}, window {window}; they are > 0, 1 to {len(WEIGHTS)}, and odd"
        )
    _fits(first, scales, window)
    x, y = wide(first.detach()), wide(second.detach())
    weights = torch.tensor(WEIGHTS[:scales], dtype=torch.float64)
    weights = (weights / weights.sum()).tolist()
    offsets = torch.arange(window, dtype=torch.float64, device=x.device) - window // 2
    taps = torch.exp(-offsets.square() / (2 * 1.5**2))
    taps = taps / taps.sum()
    similarity = x.new_ones(x.shape[:2])
    for scale, weight in enumerate(weights):
        luminance, structure = _terms(x, y, taps, data_range)
        last = scale == scales - 1
        similarity = similarity * (luminance * structure if last else structure).mean((2, 3)).clamp(min=0) ** weight
        if not last:
            # ceil_mode: an odd side keeps its last row, averaged over what is there.
            x, y = (F.avg_pool2d(image, 2, ceil_mode=True) for image in (x, y))
    return similarity.mean(1)


@dataclass(frozen=True, kw_only=True)
class SimilarityOfPairs:
    """Mean similarity of random pairs; above the real data's: collapse."""

    value: float
    """Mean over the pairs, in [0, 1]."""
    standard_error: float
    """Of that mean."""
    pairs: int
    """Pairs drawn."""
    scales: int
    """Scales."""
    window: int
    """Side of the window."""


def ms_ssim_of_pairs(
    images: Tensor,
    *,
    seed: int,
    scales: int,
    data_range: float,
    pairs: int = 100,
    window: int = 11,
    batch_size: int = 64,
) -> SimilarityOfPairs:
    """Mean MS-SSIM of random pairs of different images; take it class by class, as the paper does, and for real data.

    Args:
        images: (N, C, H, W), floating point, N >= 2.
        seed: draws the pairs, with replacement.
        scales: see `ms_ssim`.
        data_range: see `ms_ssim`.
        pairs: at least 2; 100 a class in the paper.
        window: see `ms_ssim`.
        batch_size: pairs at a time.

    Raises:
        ValueError: see `ms_ssim`; fewer than 2 images or pairs.
    """
    if len(images) < 2 or pairs < 2:
        raise ValueError(f"{len(images)} images and {pairs} pairs; both are at least 2")
    generator = random(seed)
    first = torch.randint(len(images), (pairs,), generator=generator)
    # A shift of 1 to N - 1 never meets the first image itself.
    second = (first + torch.randint(1, len(images), (pairs,), generator=generator)) % len(images)
    found = torch.cat(
        [
            ms_ssim(
                images[first[i : i + batch_size]],
                images[second[i : i + batch_size]],
                scales=scales,
                data_range=data_range,
                window=window,
            )
            for i in range(0, pairs, batch_size)
        ]
    )
    return SimilarityOfPairs(
        value=float(found.mean()),
        standard_error=float(found.std()) / pairs**0.5,
        pairs=pairs,
        scales=scales,
        window=window,
    )


def _fits(images: Tensor, scales: int, window: int) -> None:
    side = min(images.shape[2:])
    possible = 0
    while possible < len(WEIGHTS) and side >= window:
        possible += 1
        side = (side + 1) // 2
    if possible < scales:
        raise ValueError(
            f"images are {images.shape[2]}x{images.shape[3]}; a window of {window} fits at {possible} scales, not at "
            f"{scales}: pass scales={max(1, possible)} or a smaller window"
        )


def _terms(x: Tensor, y: Tensor, taps: Tensor, data_range: float) -> tuple[Tensor, Tensor]:
    """Luminance and contrast-structure maps (N, C, h, w)."""
    channels = x.shape[1]

    def blur(image: Tensor) -> Tensor:
        kernel = taps.expand(channels, 1, -1)
        image = F.conv2d(image, kernel[:, :, :, None], groups=channels)
        return F.conv2d(image, kernel[:, :, None, :], groups=channels)

    small, smaller = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_x, mean_y = blur(x), blur(y)
    between = mean_x * mean_y
    variances = blur(x * x) - mean_x.square() + blur(y * y) - mean_y.square()
    luminance = (2 * between + small) / (mean_x.square() + mean_y.square() + small)
    structure = (2 * (blur(x * y) - between) + smaller) / (variances + smaller)
    return luminance, structure
