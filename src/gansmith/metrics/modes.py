"""Modes found and missed: of known mixtures, of class labels, and of bins where no modes are known.

Source: Srivastava, Valkov, Russell, Gutmann, Sutton, "VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational
Learning", 2017, arXiv:1705.07761 (modes, high quality); Lin, Khetan, Fanti, Oh, "PacGAN: The power of two samples in
generative adversarial networks", 2018, arXiv:1712.04086 (reverse KL); Richardson, Weiss, "On GANs and GMMs", 2018,
arXiv:1805.12462 (NDB).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .clusters import Clusters, fit_clusters
from .features import checked, pair, wide
from .neighbours import nearest


@dataclass(frozen=True, kw_only=True)
class ModeCounts:
    """How counted samples spread over K modes that should be equally likely."""

    captured: int
    """Modes with at least one sample."""
    expected_captured: float
    """What a perfect sampler captures with as many samples: K (1 - (1 - 1/K)^N)."""
    reverse_kl: float
    """KL(samples || uniform) in nats; 0 is even, log K is one mode alone."""
    floor: float
    """What a perfect sampler's reverse KL is, about: (K - 1) / (2 N)."""
    num_modes: int
    """K."""
    num_samples: int
    """N."""


def mode_counts(counts: Tensor) -> ModeCounts:
    """Modes captured and reverse KL from how many samples each of the K modes holds, integers (K,).

    Raises:
        ValueError: not integers (K,), negative counts, or no sample at all.
    """
    if counts.ndim != 1 or counts.is_floating_point() or not len(counts) or bool((counts < 0).any()):
        raise ValueError(f"counts is {counts.dtype} {tuple(counts.shape)}; it is integer (K,), none negative")
    total, modes = int(counts.sum()), len(counts)
    if not total:
        raise ValueError("counts holds no sample: nothing can be said of an empty set")
    share = counts.double() / total
    return ModeCounts(
        captured=int((counts > 0).sum()),
        expected_captured=modes * -math.expm1(total * math.log1p(-1.0 / modes)) if modes > 1 else 1.0,
        reverse_kl=float(torch.xlogy(share, share * modes).sum()),
        floor=(modes - 1) / (2 * total),
        num_modes=modes,
        num_samples=total,
    )


def label_coverage(labels: Tensor, num_modes: int) -> ModeCounts:
    """Modes captured by samples with classes `labels` (N,), integers in 0 ... num_modes - 1 (stacked MNIST: 1000).

    Raises:
        ValueError: labels that are not such integers.
    """
    if labels.ndim != 1 or labels.is_floating_point() or not len(labels):
        raise ValueError(f"labels is {labels.dtype} {tuple(labels.shape)}; it is integer (N,)")
    if int(labels.min()) < 0 or int(labels.max()) >= num_modes:
        raise ValueError(
            f"labels go from {int(labels.min())} to {int(labels.max())}; with {num_modes} modes they are 0 to "
            f"{num_modes - 1}"
        )
    return mode_counts(torch.bincount(labels, minlength=num_modes))


@dataclass(frozen=True, kw_only=True)
class ModeCoverage:
    """How samples cover a mixture of equally likely round Gaussians with known centres."""

    captured: int
    """Modes that are nearest to at least one sample of high quality."""
    high_quality: float
    """Share of samples within `radius` deviations of their nearest centre."""
    ceiling: float
    """The share of a perfect sampler: above it the modes are too narrow."""
    covariance_ratio: float
    """Mean over the modes of the variance of their high-quality samples over a perfect sampler's: 1 is right, 0 one
    point a mode. NaN if no mode holds 2 such samples."""
    reverse_kl: float
    """KL(high-quality samples over modes || uniform) in nats; inf if there are none."""
    floor: float
    """A perfect sampler's reverse KL, about (K - 1) / (2 N); inf without high-quality samples."""
    counts: tuple[int, ...]
    """High-quality samples of each mode."""
    ratios: tuple[float, ...]
    """The covariance ratio of each mode; NaN below 2 samples."""
    num_samples: int
    """All samples."""


def mode_coverage(points: Tensor, centres: Tensor, sigma: float, *, radius: float = 3.0) -> ModeCoverage:
    """Modes captured, high-quality share, reverse KL and width of the modes; the papers take 2,500 points.

    Args:
        points: samples (N, d).
        centres: the modes (K, d), all different.
        sigma: the standard deviation of each mode.
        radius: high quality reaches to this many sigma; 3 in the papers.

    Raises:
        ValueError: repeated centres (a known published ring has 7 of 8: `linspace` ends where it began), sigma or
            radius not positive.
    """
    points, centres = pair(points, centres, names=("points", "centres"))
    if sigma <= 0 or radius <= 0:
        raise ValueError(f"sigma is {sigma} and radius {radius}; both must be positive")
    if len(centres.unique(dim=0)) < len(centres):
        raise ValueError(
            f"only {len(centres.unique(dim=0))} of {len(centres)} centres differ; on a ring take 2 pi k / K for k < K"
        )
    found = nearest(points, centres)
    mode = found.indices[:, 0]
    good = found.distances[:, 0] <= radius * sigma
    counts = torch.bincount(mode[good], minlength=len(centres))
    dim = points.shape[1]
    # Within the radius a Gaussian's variance a dimension is sigma^2 P(chi2_{d+2} < r^2) / P(chi2_d < r^2).
    perfect = sigma**2 * high_quality_ceiling(dim + 2, radius) / high_quality_ceiling(dim, radius)
    ratios = []
    for k in range(len(centres)):
        own = wide(points[good & (mode == k)])
        ratios.append(float(own.var(0).mean()) / perfect if len(own) > 1 else math.nan)
    measured = [r for r in ratios if not math.isnan(r)]
    spread = mode_counts(counts) if bool(good.any()) else None
    return ModeCoverage(
        captured=int((counts > 0).sum()),
        high_quality=float(good.double().mean()),
        ceiling=high_quality_ceiling(dim, radius),
        covariance_ratio=sum(measured) / len(measured) if measured else math.nan,
        reverse_kl=spread.reverse_kl if spread else math.inf,
        floor=spread.floor if spread else math.inf,
        counts=tuple(counts.tolist()),
        ratios=tuple(ratios),
        num_samples=len(points),
    )


def high_quality_ceiling(dim: int, radius: float = 3.0) -> float:
    """P(|x| <= radius) for x ~ N(0, I_dim): 1 - exp(-radius^2 / 2) = 98.89 % in two dimensions at 3."""
    half = torch.tensor([dim / 2, radius**2 / 2], dtype=torch.float64)
    return float(torch.special.gammainc(half[0], half[1]))


@dataclass(frozen=True, kw_only=True)
class DifferentBins:
    """NDB: bins of the training set's clusters whose share differs significantly among the fakes."""

    different: int
    """Bins that differ."""
    expected: float
    """How many would if the distributions were equal: K times the significance."""
    jensen_shannon: float
    """Jensen-Shannon divergence of the two histograms in nats, in [0, log 2]."""
    z_scores: tuple[float, ...]
    """Of each bin: fake share minus training share, in standard errors."""
    num_bins: int
    """K."""


def different_bins(
    training: Tensor, fake: Tensor, *, seed: int, num_bins: int = 100, z_threshold: float = 1.959963984540054
) -> DifferentBins:
    """NDB with bins from k-means on the training features (N, d) and a two-proportion z-test a bin.

    About 500 training samples a bin, the source advises. A bin differs if its |z| is above `z_threshold`: 1.96 is
    significance 0.05; the source's MNIST demonstration takes 3.

    Args:
        training: features (N, d).
        fake: features (M, d).
        seed: of the k-means.
        num_bins: K, at most N.
        z_threshold: standard errors beyond which a bin differs.

    Raises:
        ValueError: num_bins is not in 1 ... N, or z_threshold is not positive.
    """
    training, fake = pair(training, fake, names=("training", "fake"))
    return compare_bins(
        fit_clusters(training, num_clusters=num_bins, seed=seed), training, fake, z_threshold=z_threshold
    )


def compare_bins(
    clusters: Clusters, training: Tensor, fake: Tensor, *, z_threshold: float = 1.959963984540054
) -> DifferentBins:
    """`different_bins` over clusters fitted before, for many fakes against one training set.

    Raises:
        ValueError: z_threshold is not positive.
    """
    if z_threshold <= 0:
        raise ValueError(f"z_threshold is {z_threshold}; it must be positive")
    checked(training, "training")
    checked(fake, "fake")
    before, after = (clusters.counts(s).double() for s in (training, fake))
    p, q = before / before.sum(), after / after.sum()
    pooled = (before + after) / (before.sum() + after.sum())
    error = (pooled * (1 - pooled) * (1 / before.sum() + 1 / after.sum())).sqrt()
    # A bin that holds nothing of either, or everything of both, has no error and does not differ.
    z = torch.where(error > 0, (q - p) / error, 0.0)
    middle = (p + q) / 2
    divergence = (torch.xlogy(p, p / middle) + torch.xlogy(q, q / middle)).nan_to_num(0.0).sum() / 2
    return DifferentBins(
        different=int((z.abs() > z_threshold).sum()),
        expected=len(z) * math.erfc(z_threshold / math.sqrt(2)),
        jensen_shannon=float(divergence),
        z_scores=tuple(z.tolist()),
        num_bins=len(z),
    )
