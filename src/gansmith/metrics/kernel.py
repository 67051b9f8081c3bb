"""Kernel two-sample distances: the polynomial one (KID), Gaussian MMD with a p-value, and the CMMD form.

Source: Gretton, Borgwardt, Rasch, Schoelkopf, Smola, "A Kernel Two-Sample Test", JMLR 2012, eq. 3 (unbiased MMD^2);
Binkowski, Sutherland, Arbel, Gretton, "Demystifying MMD GANs", 2018, arXiv:1801.01401 (KID);
Jayasumana et al., "Rethinking FID: Towards a Better Evaluation Metric for Image Generation", 2024, arXiv:2401.09603
(CMMD).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .features import pair, random, wide
from .neighbours import BLOCK_BYTES, distance_blocks

MOST_POOLED = 10_000  # a permutation test holds the whole kernel matrix: 800 MB in float64


@dataclass(frozen=True, kw_only=True)
class KernelDistance:
    """The unbiased squared MMD with the polynomial kernel over random subsets; lower is better."""

    value: float
    """Mean over the subsets; slightly negative values are normal between equal distributions."""
    standard_deviation: float
    """Over the subsets (ddof 0), as published tables print it."""
    num_subsets: int
    """Subsets drawn."""
    subset_size: int
    """Samples of each side in a subset."""
    note: str
    """What differs from what was asked for; empty if nothing."""
    values: tuple[float, ...]
    """The estimate of each subset."""


def kernel_distance(
    real: Tensor, fake: Tensor, *, seed: int, num_subsets: int = 100, subset_size: int = 1000
) -> KernelDistance:
    """Unbiased MMD^2 with k(x, y) = (x.y / d + 1)^3, averaged over random subsets; in float64.

    On Inception features this is KID. Each subset takes `subset_size` samples of each side without replacement; where
    a side has fewer, the subsets shrink to it and `note` says so.

    Args:
        real: features (N, d).
        fake: features (M, d).
        seed: draws the subsets.
        num_subsets: at least 1.
        subset_size: at least 2.

    Raises:
        ValueError: fewer than 2 samples on a side, or an option out of range.
    """
    real, fake = pair(real, fake, 2)
    if num_subsets < 1 or subset_size < 2:
        raise ValueError(f"num_subsets is {num_subsets} and subset_size {subset_size}; they are >= 1 and >= 2")
    size = min(subset_size, len(real), len(fake))
    note = "" if size == subset_size else f"subsets of {size} instead of {subset_size}: a side has no more samples"
    generator = random(seed)
    values = []
    for _ in range(num_subsets):
        x, y = (wide(s[torch.randperm(len(s), generator=generator)[:size].to(s.device)]) for s in (real, fake))
        values.append(unbiased_mmd(*(_cubic(a, b) for a, b in ((x, x), (y, y), (x, y)))))
    found = torch.tensor(values, dtype=torch.float64)
    return KernelDistance(
        value=float(found.mean()),
        standard_deviation=float(found.std(correction=0)),
        num_subsets=num_subsets,
        subset_size=size,
        note=note,
        values=tuple(values),
    )


def unbiased_mmd(xx: Tensor, yy: Tensor, xy: Tensor) -> float:
    """MMD^2 from kernel matrices (n, n), (m, m), (n, m): the diagonals of the first two are left out."""
    n, m = xy.shape
    return float(
        (xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1)) - 2.0 * xy.sum() / (n * m)
    )


@dataclass(frozen=True, kw_only=True)
class GaussianMMD:
    """The unbiased squared MMD with a Gaussian kernel, and its permutation test."""

    value: float
    """MMD^2; may be negative."""
    p_value: float
    """Share of relabellings with a value at least as large, the observed labelling among them; in (0, 1]."""
    bandwidth: float
    """The kernel's sigma."""
    permutations: int
    """Relabellings drawn; the smallest possible p is 1 / (permutations + 1)."""


def gaussian_mmd(
    real: Tensor, fake: Tensor, *, seed: int, bandwidth: float | Literal["median"] = "median", permutations: int = 500
) -> GaussianMMD:
    """Unbiased MMD^2 with k(x, y) = exp(-|x - y|^2 / (2 sigma^2)), and its p-value by relabelling the pooled samples.

    Args:
        real: features (N, d).
        fake: features (M, d).
        seed: draws the relabellings.
        bandwidth: sigma > 0, or `median`: the median distance between pooled samples.
        permutations: at least 1.

    Raises:
        ValueError: fewer than 2 samples on a side, more than 10,000 together, an option out of range, or pooled
            samples of which more than half are one and the same (the median is 0).
    """
    real, fake = pair(real, fake, 2)
    if permutations < 1:
        raise ValueError(f"permutations is {permutations}; it is 1 or more")
    if len(real) + len(fake) > MOST_POOLED:
        raise ValueError(
            f"{len(real)} + {len(fake)} samples; the permutation test holds the whole kernel matrix of at most "
            f"{MOST_POOLED} samples: draw a subset"
        )
    pooled = wide(torch.cat([real, fake]))
    n, m = len(real), len(fake)
    squared = torch.cat([block for _, block in distance_blocks(pooled, pooled)]).clamp_(min=0)
    if bandwidth == "median":
        upper = torch.triu_indices(n + m, n + m, offset=1, device=squared.device)
        sigma = float(squared[upper[0], upper[1]].median().sqrt())
    else:
        sigma = float(bandwidth)
    if sigma <= 0:
        raise ValueError(f"the bandwidth is {sigma}; it must be positive: pass bandwidth=")
    kernel = squared.div_(-2.0 * sigma**2).exp_().fill_diagonal_(0.0)
    # Column 0 is the observed labelling; e^T K e for each column e of ones (real) and zeros gives the three sums.
    generator = random(seed)
    labels = torch.zeros(n + m, permutations + 1, dtype=torch.float64)
    labels[:n, 0] = 1.0
    for column in range(1, permutations + 1):
        labels[torch.randperm(n + m, generator=generator)[:n], column] = 1.0
    labels = labels.to(kernel.device)
    within_real = (labels * (kernel @ labels)).sum(0)
    from_real = kernel.sum(0) @ labels
    within_fake = kernel.sum() - 2.0 * from_real + within_real
    between = from_real - within_real
    values = within_real / (n * (n - 1)) + within_fake / (m * (m - 1)) - 2.0 * between / (n * m)
    # The observed labelling may be drawn again; rounding must not make it look smaller than itself.
    as_large = values[1:] >= values[0] - 1e-12
    return GaussianMMD(
        value=float(values[0]),
        p_value=(int(as_large.sum()) + 1) / (permutations + 1),
        bandwidth=sigma,
        permutations=permutations,
    )


def cmmd(
    real: Tensor,
    fake: Tensor,
    *,
    sigma: float = 10.0,
    scale: float = 1000.0,
    block_bytes: int = BLOCK_BYTES,
) -> float:
    """`scale` times the biased MMD^2 (diagonals kept) with k(x, y) = exp(-|x - y|^2 / (2 sigma^2)), a block at a time.

    The paper's features are CLIP embeddings; its name is CMMD only on those. Never negative beyond rounding.

    Args:
        real: features (N, d).
        fake: features (M, d).
        sigma: the kernel's bandwidth, positive.
        scale: makes the number readable; 1000 in the paper.
        block_bytes: what a block of distances may take.

    Raises:
        ValueError: sigma is not positive, or features that do not fit together.
    """
    real, fake = pair(real, fake)
    if sigma <= 0:
        raise ValueError(f"sigma is {sigma}; it must be positive")
    real, fake = wide(real), wide(fake)

    def mean_kernel(a: Tensor, b: Tensor) -> float:
        blocks = distance_blocks(a, b, block_bytes=block_bytes)
        return sum(float(block.clamp_(min=0).div_(-2.0 * sigma**2).exp_().sum()) for _, block in blocks) / (
            len(a) * len(b)
        )

    return scale * (mean_kernel(real, real) + mean_kernel(fake, fake) - 2.0 * mean_kernel(real, fake))


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T).div_(x.shape[1]).add_(1.0).pow_(3)
