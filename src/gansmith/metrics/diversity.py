"""How different a generator's samples are from one another.

Source: Friedman, Dieng, "The Vendi Score: A Diversity Evaluation Metric for Machine Learning", 2023, arXiv:2210.02410
(Vendi); Arora, Zhang, "Do GANs actually learn the distribution? An empirical study", 2017, arXiv:1706.08224 (birthday
paradox); Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
arXiv:1812.04948 (path length).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .features import checked, wide
from .neighbours import BLOCK_BYTES, distance_blocks, nearest


def mean_pairwise_distance(features: Tensor, *, block_bytes: int = BLOCK_BYTES) -> float:
    """Mean Euclidean distance over all pairs of different samples of features (N, d), in float64.

    Compare with the real data's: 0 is one sample over and over.

    Raises:
        ValueError: fewer than 2 samples.
    """
    features = wide(checked(features, "features", 2))
    total = 0.0
    for rows, block in distance_blocks(features, features, block_bytes=block_bytes):
        block.diagonal(rows.start).fill_(0.0)
        total += float(block.clamp_(min=0).sqrt_().sum())
    return total / (len(features) * (len(features) - 1))


def vendi_score(features: Tensor) -> float:
    """exp of the Shannon entropy of the eigenvalues of K / N, K the cosine similarities of features (N, d).

    The effective number of different samples, in [1, min(N, d)]. The eigenvalues are those of the smaller Gram matrix,
    so the cost is O(N d min(N, d)) and N may be large. Similarity is to the origin: on features that are never
    negative all samples look alike, so compare with the real data's score at the same N.

    Raises:
        ValueError: a sample is all zeros (it has no direction).
    """
    values = wide(checked(features, "features"))
    norms = torch.linalg.vector_norm(values, dim=1, keepdim=True)
    if bool((norms == 0).any()):
        raise ValueError(f"features has {int((norms == 0).sum())} rows of zeros; the cosine kernel needs a direction")
    values = values / norms
    n, d = values.shape
    spectrum = torch.linalg.eigvalsh(values @ values.T if n <= d else values.T @ values).clamp(min=0) / n
    return math.exp(-float(torch.xlogy(spectrum, spectrum).sum()))


def duplicate_rate(features: Tensor, *, threshold: float, batch_size: int, block_bytes: int = BLOCK_BYTES) -> float:
    """Share of batches of `batch_size` samples that hold two samples at most `threshold` apart: the birthday test.

    Features (N, d) are cut into floor(N / batch_size) batches in their order. What counts as a duplicate is a matter of
    taste: look at the pairs (the paper does), or take a low quantile of the real data's nearest distances.

    Raises:
        ValueError: batch_size is not in 2 ... N, or threshold < 0.
    """
    features = checked(features, "features", 2)
    if not 2 <= batch_size <= len(features) or threshold < 0:
        raise ValueError(
            f"batch_size is {batch_size} and threshold {threshold}; they are 2 to {len(features)} and not negative"
        )
    batches = features[: len(features) // batch_size * batch_size].split(batch_size)
    found = [
        bool((nearest(b, b, exclude_self=True, block_bytes=block_bytes).distances <= threshold).any()) for b in batches
    ]
    return sum(found) / len(found)


def support_size(batch_size: int, rate: float) -> float:
    """The number of equally likely samples that gives a share `rate` of batches with a duplicate.

    From rate = 1 - exp(-s (s - 1) / (2 support)) with s = batch_size; at rate 1/2 about 0.72 s^2. Where samples are not
    equally likely it is a lower bound of the support. inf if no batch had a duplicate.

    Raises:
        ValueError: batch_size < 2 or rate outside [0, 1) (at 1 there is no estimate: take smaller batches).
    """
    if batch_size < 2 or not 0 <= rate < 1:
        raise ValueError(
            f"batch_size is {batch_size} and rate {rate}; they are >= 2 and in [0, 1): at 1 take smaller batches"
        )
    return math.inf if rate == 0 else batch_size * (batch_size - 1) / (-2.0 * math.log1p(-rate))


@dataclass(frozen=True, kw_only=True)
class PathLength:
    """How much an image changes per squared step in latent space; lower is smoother. In squared distance units."""

    value: float
    """Mean of the kept paths."""
    standard_error: float
    """Of that mean."""
    num_paths: int
    """Paths measured."""
    num_kept: int
    """Paths between the tails that were cut."""
    epsilon: float
    """The step."""


def path_length(
    generate: Callable[[Tensor], Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    starts: Tensor,
    ends: Tensor,
    *,
    positions: Tensor,
    interpolation: Literal["lerp", "slerp"],
    epsilon: float = 1e-4,
    tails: float = 0.01,
    batch_size: int = 64,
) -> PathLength:
    """E[distance(G(path(t)), G(path(t + epsilon))) / epsilon^2] over latent paths, without the tails.

    On LPIPS distances this is PPL: `slerp` in a Gaussian z, `lerp` in w; positions uniform in [0, 1) measure the whole
    path, zeros its start. Images must stay floating point: rounded to 256 levels they make the same generator read 1147
    instead of 31.

    Args:
        generate: latents (n, ...) to floating-point images (n, ...).
        distance: two batches of images to n distances (squared, as LPIPS is).
        starts: one end of each path (N, ...).
        ends: the other end, of one shape with `starts`.
        positions: t of each path (N,), in [0, 1].
        interpolation: along the chord or along the arc between the normalised latents.
        epsilon: the step.
        tails: this share of the smallest and of the largest values is cut; 0.01 in the paper.
        batch_size: paths at a time.

    Raises:
        ValueError: images that are not floating point, distances that are not n finite values, unequal shapes, options
            out of range.
    """
    if starts.shape != ends.shape or positions.shape != starts.shape[:1] or not len(starts):
        raise ValueError(
            f"starts is {tuple(starts.shape)}, ends {tuple(ends.shape)}, positions {tuple(positions.shape)}; "
            "they are (N, ...), (N, ...) and (N,)"
        )
    if epsilon <= 0 or not 0 <= tails < 0.5 or batch_size < 1:
        raise ValueError(
            f"epsilon is {epsilon}, tails {tails}, batch_size {batch_size}; they are > 0, in [0, 0.5), and >= 1"
        )
    path = {"lerp": _lerp, "slerp": _slerp}[interpolation]
    values = []
    with torch.no_grad():
        for i in range(0, len(starts), batch_size):
            # In float64: t + 1e-4 in float32 is off by up to a thousandth of the step.
            a, b, t = (wide(s[i : i + batch_size]) for s in (starts, ends, positions))
            t = t.to(a.device)
            images = generate(path(a, b, t).to(starts)), generate(path(a, b, t + epsilon).to(starts))
            if not images[0].is_floating_point():
                raise ValueError(
                    f"generate returned {images[0].dtype}; rounding drowns a step of {epsilon}: keep floats"
                )
            found = wide(distance(*images))
            if found.shape != (len(a),) or not bool(torch.isfinite(found).all()):
                raise ValueError(
                    f"distance returned shape {tuple(found.shape)} for {len(a)} pairs; it returns ({len(a)},), finite"
                )
            values.append(found / epsilon**2)
    every = torch.cat(values)
    ordered = every.sort().values
    # The bounds are order statistics (lower and higher neighbours of the quantile), and both are kept.
    low = ordered[math.floor(tails * (len(ordered) - 1))]
    high = ordered[math.ceil((1 - tails) * (len(ordered) - 1))]
    kept = every[(every >= low) & (every <= high)]
    return PathLength(
        value=float(kept.mean()),
        standard_error=float(kept.std()) / len(kept) ** 0.5 if len(kept) > 1 else math.nan,
        num_paths=len(every),
        num_kept=len(kept),
        epsilon=epsilon,
    )


def _lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    return a + (b - a) * t.reshape(-1, *[1] * (a.ndim - 1))


def _slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    shape = a.shape
    a, b = (x.flatten(1) / torch.linalg.vector_norm(x.flatten(1), dim=1, keepdim=True) for x in (a, b))
    cosine = (a * b).sum(1, keepdim=True)
    angle = t[:, None] * torch.arccos(cosine.clamp(-1, 1))
    across = b - cosine * a
    across = across / torch.linalg.vector_norm(across, dim=1, keepdim=True).clamp(min=torch.finfo(a.dtype).tiny)
    return (a * angle.cos() + across * angle.sin()).reshape(shape)
