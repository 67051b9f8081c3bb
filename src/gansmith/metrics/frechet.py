"""The Frechet distance between two sets of features, its moments, and its limit for infinitely many samples.

Source: Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, "GANs Trained by a Two Time-Scale Update Rule Converge to a
Local Nash Equilibrium", 2017, arXiv:1706.08500, eq. 6 (the distance); Dowson, Landau, "The Frechet distance between
multivariate normal distributions", 1982 (its form); Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm
for computing sample variances", 1979 (the merge); Chong, Forsyth, "Effectively Unbiased FID and Inception Score and
where to find them", 2020, arXiv:1911.07023 (the limit).

The distance is called FID only on the features of the Inception network that paper used; this module knows no network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor

from .features import checked, random, wide

Route = Literal["nuclear", "cholesky", "eigh"]

ROWS = 8192  # turned into float64 at once
COLUMNS = 512  # of a covariance computed at once


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Count, mean and scatter of features seen so far; merging is associative up to rounding (float64)."""

    count: int
    """Samples seen."""
    mean: Tensor
    """Float64 (d,)."""
    scatter: Tensor
    """Sum of (x - mean)(x - mean)^T, float64 (d, d)."""

    @staticmethod
    def empty(dim: int) -> Moments:
        """Moments of no samples of `dim` features."""
        return Moments(
            count=0, mean=torch.zeros(dim, dtype=torch.float64), scatter=torch.zeros(dim, dim, dtype=torch.float64)
        )

    @staticmethod
    def of(features: Tensor) -> Moments:
        """Moments of features (N, d)."""
        features = checked(features, "features")
        parts = [_block_moments(wide(features[i : i + ROWS])) for i in range(0, len(features), ROWS)]
        total = parts[0]
        for part in parts[1:]:
            total = total.merge(part)
        return total

    @staticmethod
    def given(*, count: int, mean: Tensor, covariance: Tensor) -> Moments:
        """Moments of published statistics: a mean (d,) and an unbiased covariance (d, d) over `count` samples.

        Raises:
            ValueError: the shapes do not agree, or count < 2.
        """
        if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
            raise ValueError(
                f"mean has shape {tuple(mean.shape)} and covariance {tuple(covariance.shape)}; they are (d,) and (d, d)"
            )
        if count < 2:
            raise ValueError(f"count is {count}; an unbiased covariance needs at least 2 samples")
        return Moments(count=count, mean=wide(mean), scatter=wide(covariance) * (count - 1))

    def add(self, features: Tensor) -> Moments:
        """These moments with features (N, d) added."""
        return self.merge(Moments.of(features))

    def merge(self, other: Moments) -> Moments:
        """The moments of both sets together.

        Raises:
            ValueError: the dimensions differ.
        """
        if self.dim != other.dim:
            raise ValueError(f"moments of {self.dim} and of {other.dim} features; both must come from one encoder")
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        gap = other.mean.to(self.mean.device) - self.mean
        between = torch.outer(gap, gap).mul_(self.count * other.count / count)
        return Moments(
            count=count,
            mean=self.mean + gap * (other.count / count),
            scatter=between.add_(self.scatter).add_(other.scatter.to(self.mean.device)),
        )

    def over_ranks(self) -> Moments:
        """The moments of all ranks' samples together, equal on every rank; these moments where nothing is distributed.

        Every rank must call it (a call by rank 0 alone waits forever), with as many features.
        """
        if not (dist.is_available() and dist.is_initialized()):
            return self
        sums = torch.cat([self.mean.new_tensor([self.count]), self.count * self.mean])
        dist.all_reduce(sums)
        count, mean = int(sums[0]), sums[1:] / sums[0].clamp(min=1)
        gap = self.mean - mean
        scatter = self.scatter + self.count * torch.outer(gap, gap)
        dist.all_reduce(scatter)
        return Moments(count=count, mean=mean, scatter=scatter)

    def tensors(self) -> dict[str, Tensor]:
        """The moments as tensors, to be saved; `from_tensors` reads them."""
        return {"count": torch.tensor(self.count), "mean": self.mean, "scatter": self.scatter}

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor]) -> Moments:
        """The moments that `tensors` wrote.

        Raises:
            ValueError: another set of names, or shapes or dtypes that moments cannot have.
        """
        if set(tensors) != {"count", "mean", "scatter"}:
            raise ValueError(f"tensors are {sorted(tensors)}; moments are count, mean, scatter")
        count, mean, scatter = int(tensors["count"]), tensors["mean"], tensors["scatter"]
        if mean.ndim != 1 or scatter.shape != (len(mean), len(mean)) or {mean.dtype, scatter.dtype} != {torch.float64}:
            raise ValueError(
                f"mean is {mean.dtype} {tuple(mean.shape)} and scatter {scatter.dtype} {tuple(scatter.shape)}; "
                "they are float64 (d,) and (d, d)"
            )
        if count < 0:
            raise ValueError(f"count is {count}; it is 0 or more")
        return Moments(count=count, mean=mean, scatter=scatter)

    @property
    def dim(self) -> int:
        """Features a sample."""
        return len(self.mean)

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance (d, d), float64.

        Raises:
            ValueError: fewer than 2 samples.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 samples; there are {self.count}")
        return self.scatter / (self.count - 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """One side of the distance, factorised once: root^T root is its covariance."""

    count: int
    """Samples."""
    mean: Tensor
    """Float64 (d,)."""
    root: Tensor
    """Float64 (r, d): the centred features over sqrt(n - 1) if n <= d; else the Cholesky factor, or if the covariance
    is singular the eigenvectors times the square roots of the eigenvalues."""
    route: Route
    """How the root was found."""

    @staticmethod
    def of(source: Tensor | Moments) -> Reference:
        """The root of features (N, d), or of moments (features are better where N <= d: they hold no noise).

        Raises:
            ValueError: fewer than 2 samples.
        """
        if isinstance(source, Tensor):
            source = checked(source, "features", 2)
            if len(source) <= source.shape[1]:
                values = wide(source)
                mean = values.mean(0)
                root = (values - mean).div_((len(values) - 1) ** 0.5)
                return Reference(count=len(values), mean=mean, root=root, route="nuclear")
            source = Moments.of(source)
        covariance = source.covariance
        if source.count > source.dim:
            lower, failed = torch.linalg.cholesky_ex(covariance)
            if not bool(failed):
                return Reference(count=source.count, mean=source.mean, root=lower.T, route="cholesky")
        values, vectors = torch.linalg.eigh(covariance)
        # n samples span n - 1 directions; eigenvalues below the rounding of the largest are noise, and the square root
        # of noise of 1e-16 would be 1e-8.
        keep = values > values[-1] * source.dim * torch.finfo(torch.float64).eps
        keep[: max(0, source.dim - source.count + 1)] = False
        root = (vectors[:, keep] * values[keep].sqrt()).T
        return Reference(
            count=source.count,
            mean=source.mean,
            root=root,
            route="eigh" if source.count > source.dim else "nuclear",
        )


@dataclass(frozen=True, kw_only=True)
class FrechetDistance:
    """The squared Frechet distance between two Gaussians fitted to features; lower is better, in squared units."""

    value: float
    """The distance, in [0, inf)."""
    raw: float
    """Before clamping at 0: rounding may leave a small negative value between equal sets."""
    mean_term: float
    """The means' part |m1 - m2|^2."""
    covariance_term: float
    """tr(S1 + S2 - 2 (S1 S2)^(1/2)), before clamping."""
    route: Route
    """How the trace of the root was found."""
    num_real: int
    """Real samples."""
    num_fake: int
    """Fake samples. The distance's bias falls as 1/N: compare only equal counts."""
    dim: int
    """Features a sample."""


def frechet_distance(real: Tensor | Moments | Reference, fake: Tensor | Moments) -> FrechetDistance:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) with unbiased covariances (ddof 1), in float64.

    With roots R^T R = S the trace of (S1 S2)^(1/2) is the sum of the singular values of R1 R2^T. Where one side has no
    more samples than features its root is its centred features, so that no rounding noise of a singular covariance is
    ever square-rooted (route `nuclear`); else the sum is that of the square roots of the eigenvalues of R1 S2 R1^T
    (route `cholesky`, or `eigh` where the real covariance is singular).

    Args:
        real: features (N, d), or their moments, or a `Reference` made once for many calls.
        fake: features (M, d) or their moments.

    Raises:
        ValueError: fewer than 2 samples on a side, unequal dimensions, or features that are not finite.
    """
    first = real if isinstance(real, Reference) else Reference.of(real)
    dim = len(first.mean)
    found = checked(fake, "fake", 2).shape[1] if isinstance(fake, Tensor) else fake.dim
    if found != dim:
        raise ValueError(f"real has {dim} features and fake {found}; both must come from one encoder")
    count = len(fake) if isinstance(fake, Tensor) else fake.count
    if first.count <= dim or count <= dim:
        second = Reference.of(fake)
        mean, trace = second.mean, second.root.square().sum()
        crossed = torch.linalg.svdvals(first.root @ second.root.to(first.root.device).T).sum()
        route: Route = "nuclear"
    else:
        moments = Moments.of(fake) if isinstance(fake, Tensor) else fake
        covariance = moments.covariance.to(first.root.device)
        mean, trace = moments.mean, covariance.trace()
        crossed = torch.linalg.eigvalsh(first.root @ covariance @ first.root.T).clamp(min=0).sqrt().sum()
        route = first.route
    mean_term = float((first.mean - mean.to(first.mean.device)).square().sum())
    covariance_term = float(first.root.square().sum() + trace.to(crossed.device) - 2 * crossed)
    raw = mean_term + covariance_term
    return FrechetDistance(
        value=max(0.0, raw),
        raw=raw,
        mean_term=mean_term,
        covariance_term=covariance_term,
        route=route,
        num_real=first.count,
        num_fake=count,
        dim=dim,
    )


@dataclass(frozen=True, kw_only=True)
class FrechetInfinity:
    """The Frechet distance extrapolated to infinitely many fake samples."""

    value: float
    """The intercept of the regression on 1/N; may be slightly negative between equal distributions."""
    standard_error: float
    """Of the intercept, from the residuals. The subsets overlap, so it is the fit's error, not the sampling error."""
    slope: float
    """Bias times N."""
    sizes: tuple[int, ...]
    """Fake samples in each subset."""
    distances: tuple[float, ...]
    """The distance at each size (raw, not clamped)."""


def frechet_infinity(
    real: Tensor | Moments | Reference, fake: Tensor, *, seed: int, num_sizes: int = 15, smallest: float = 0.1
) -> FrechetInfinity:
    """The intercept of FD(N) = FD_inf + c / N, fitted by least squares over subsets of the fake samples.

    Sizes are evenly spaced from `smallest` (a share of the samples; the paper: 5,000 of 50,000) to all of them; each
    subset is drawn without replacement. The real side stays as it is, so its own bias stays too.

    Args:
        real: see `frechet_distance`.
        fake: features (N, d).
        seed: draws the subsets.
        num_sizes: points of the regression, at least 3.
        smallest: share of the samples in the smallest subset, in (0, 1).

    Raises:
        ValueError: too few samples for `num_sizes` different subsets of at least 2, or an option out of range.
    """
    fake = checked(fake, "fake", 2)
    if num_sizes < 3 or not 0 < smallest < 1:
        raise ValueError(
            f"num_sizes is {num_sizes} and smallest {smallest}; they need num_sizes >= 3 and 0 < smallest < 1"
        )
    sizes = torch.linspace(max(2.0, smallest * len(fake)), len(fake), num_sizes, dtype=torch.float64).long()
    if len(sizes.unique()) < num_sizes:
        raise ValueError(f"{len(fake)} fake samples do not make {num_sizes} different sizes: draw more samples")
    reference = real if isinstance(real, Reference) else Reference.of(real)
    generator = random(seed)
    distances = torch.tensor(
        [
            frechet_distance(reference, fake[torch.randperm(len(fake), generator=generator)[:size].to(fake.device)]).raw
            for size in sizes.tolist()
        ],
        dtype=torch.float64,
    )
    x = 1.0 / sizes.double()
    spread = (x - x.mean()).square().sum()
    slope = ((x - x.mean()) * (distances - distances.mean())).sum() / spread
    intercept = distances.mean() - slope * x.mean()
    noise = (distances - intercept - slope * x).square().sum() / (num_sizes - 2)
    error = (noise * (1.0 / num_sizes + x.mean().square() / spread)).sqrt()
    return FrechetInfinity(
        value=float(intercept),
        standard_error=float(error),
        slope=float(slope),
        sizes=tuple(sizes.tolist()),
        distances=tuple(distances.tolist()),
    )


def _block_moments(values: Tensor) -> Moments:
    mean = values.mean(0)
    return Moments(count=len(values), mean=mean, scatter=_gram(values - mean))


def _gram(values: Tensor) -> Tensor:
    """values^T values (d, d), each block of columns with those after it only: little more than half the products."""
    dim = values.shape[1]
    product = values.new_empty(dim, dim)
    for start in range(0, dim, COLUMNS):
        stop = min(start + COLUMNS, dim)
        block = values[:, start:stop].T @ values[:, start:]
        product[start:stop, start:] = block
        product[stop:, start:stop] = block[:, stop - start :].T
    return product
