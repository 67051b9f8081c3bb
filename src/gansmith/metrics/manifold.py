"""Precision, recall, density and coverage: fidelity and diversity from balls around nearest neighbours.

Source: Kynkaanniemi, Karras, Laine, Lehtinen, Aila, "Improved Precision and Recall Metric for Assessing Generative
Models", 2019, arXiv:1904.06991, eq. 1-2; Naeem, Oh, Uh, Choi, Yoo, "Reliable Fidelity and Diversity Metrics for
Generative Models", 2020, arXiv:2002.09797, section 3.

A ball is closed, and distances that agree up to rounding count as equal, so a copied sample lies in its own ball even
where duplicates make the radius 0. (The code published with the second paper takes open balls: on data without
duplicates the numbers are the same.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .features import pair
from .neighbours import BLOCK_BYTES, distance_blocks, nearest

ROUNDING = 8.0
"""Squared distances closer than this many machine epsilons of |x|^2 + |y|^2 are ties."""


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """Shares of samples inside the other side's manifold, each in [0, 1]."""

    precision: float
    """Share of fakes inside the ball of at least one real sample: fidelity."""
    recall: float
    """Share of real samples inside the ball of at least one fake: diversity."""
    k: int
    """A ball reaches to its centre's k-th neighbour of its own side."""
    num_real: int
    """Real samples."""
    num_fake: int
    """Fake samples. Both shares depend on the counts: compare only equal ones."""


@dataclass(frozen=True, kw_only=True)
class DensityCoverage:
    """Density in [0, inf), 1 for equal distributions; coverage in [0, 1]."""

    density: float
    """Mean number of real balls around a fake, over k: fidelity, robust to outliers."""
    coverage: float
    """Share of real samples whose ball holds a fake: diversity; `expected` for equal distributions."""
    expected: float
    """What coverage is for equal distributions: `expected_coverage`."""
    k: int
    """A ball reaches to its centre's k-th neighbour of its own side."""
    num_real: int
    """Real samples."""
    num_fake: int
    """Fake samples."""


def precision_recall(real: Tensor, fake: Tensor, *, k: int = 3, block_bytes: int = BLOCK_BYTES) -> PrecisionRecall:
    """Improved precision and recall of fake (M, d) against real (N, d) features (first paper, eq. 2).

    Raises:
        ValueError: k < 1, or a side with no more than k samples.
    """
    return prdc(real, fake, k_precision=k, k_density=k, block_bytes=block_bytes)[0]


def density_coverage(real: Tensor, fake: Tensor, *, k: int = 5, block_bytes: int = BLOCK_BYTES) -> DensityCoverage:
    """Density and coverage of fake (M, d) against real (N, d) features (second paper).

    Raises:
        ValueError: k < 1, or no more than k real samples.
    """
    real, fake = pair(real, fake)
    _enough("real", real, k)
    radii = nearest(real, real, k=k, exclude_self=True, block_bytes=block_bytes).distances[:, k - 1]
    density, covered = 0, torch.zeros(len(real), dtype=torch.bool, device=real.device)
    limits = radii.square()
    for _, block in distance_blocks(fake, real, slack=ROUNDING, block_bytes=block_bytes):
        inside = block <= limits
        density += int(inside.sum())
        covered |= inside.any(0)
    return _density_coverage(density, covered, k, len(fake))


def prdc(
    real: Tensor, fake: Tensor, *, k_precision: int = 3, k_density: int = 5, block_bytes: int = BLOCK_BYTES
) -> tuple[PrecisionRecall, DensityCoverage]:
    """Precision and recall, density and coverage in one pass over the distances, a block at a time.

    Memory beside the features: one centred copy of them and about two blocks, whatever the counts.

    Args:
        real: features (N, d).
        fake: features (M, d).
        k_precision: neighbours for precision and recall; 3 in the paper.
        k_density: neighbours for density and coverage; 5 in the paper.
        block_bytes: what a block of distances may take.

    Raises:
        ValueError: k < 1, or a side with no more than k samples.
    """
    real, fake = pair(real, fake)
    for name, side, k in (("real", real, k_precision), ("real", real, k_density), ("fake", fake, k_precision)):
        _enough(name, side, k)
    k_most = max(k_precision, k_density)
    real_radii = nearest(real, real, k=k_most, exclude_self=True, block_bytes=block_bytes).distances
    fake_radii = nearest(fake, fake, k=k_precision, exclude_self=True, block_bytes=block_bytes).distances
    near, far = (real_radii[:, k - 1].square() for k in (k_precision, k_density))
    around_fake = fake_radii[:, -1].square()
    precise = 0
    density = 0
    recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = torch.zeros_like(recalled)
    for rows, block in distance_blocks(fake, real, slack=ROUNDING, block_bytes=block_bytes):
        precise += int((block <= near).any(1).sum())
        recalled |= (block <= around_fake[rows, None]).any(0)
        inside = block <= far
        density += int(inside.sum())
        covered |= inside.any(0)
    first = PrecisionRecall(
        precision=precise / len(fake),
        recall=float(recalled.double().mean()),
        k=k_precision,
        num_real=len(real),
        num_fake=len(fake),
    )
    return first, _density_coverage(density, covered, k_density, len(fake))


def expected_coverage(num_real: int, num_fake: int, k: int) -> float:
    """E[coverage] when both sides are drawn from one continuous distribution, in closed form.

    A real sample is missed if its k nearest among the other N - 1 real and the M fake samples are all real:
    1 - prod_{i<k} (N - 1 - i) / (N - 1 + M - i). For N = M large it is 1 - 2^-k.

    Raises:
        ValueError: k is not in 1 ... num_real - 1, or num_fake < 1.
    """
    if not 1 <= k < num_real or num_fake < 1:
        raise ValueError(
            f"num_real is {num_real}, num_fake {num_fake}, k {k}; they need 1 <= k < num_real and num_fake >= 1"
        )
    missed = 1.0
    for i in range(k):
        missed *= (num_real - 1 - i) / (num_real - 1 + num_fake - i)
    return 1.0 - missed


def _density_coverage(inside: int, covered: Tensor, k: int, num_fake: int) -> DensityCoverage:
    return DensityCoverage(
        density=inside / (k * num_fake),
        coverage=float(covered.double().mean()),
        expected=expected_coverage(len(covered), num_fake, k),
        k=k,
        num_real=len(covered),
        num_fake=num_fake,
    )


def _enough(name: str, features: Tensor, k: int) -> None:
    if not 1 <= k < len(features):
        raise ValueError(f"k is {k} and {name} has {len(features)} samples; k is 1 to {len(features) - 1}")
