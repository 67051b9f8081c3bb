"""Distances and nearest neighbours between sets of features, a block of rows at a time.

No matrix of N x N is ever made: a block of distances takes at most `block_bytes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .features import checked, pair

BLOCK_BYTES = 256 * 2**20
"""What one block of distances may take, in bytes."""

NARROW = 256
"""Up to this many features distances are float64. The product form is off by eps (|q|^2 + |p|^2), which in few
dimensions is not small beside the distance of neighbours; in many dimensions neighbours are far apart, and float32 is
twice as fast."""

SPARE = 4  # further candidates than asked for, so that rounding in the product form loses no true neighbour


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """The nearest points of each query, nearest first."""

    distances: Tensor
    """Euclidean, float64 (N, k); exact: of two equal samples it is 0."""
    indices: Tensor
    """Rows of the points, int64 (N, k)."""


def distance_blocks(
    queries: Tensor, points: Tensor, *, slack: float = 0.0, block_bytes: int = BLOCK_BYTES
) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances |q|^2 + |p|^2 - 2 q.p, as (rows of the queries, block (rows, M)).

    Both sides are centred at the points' mean first, without which the product form loses digits. A block is float64
    up to 256 features, above that in the features' dtype. With `slack` it holds lower bounds: |q|^2 + |p|^2 is shrunk
    by `slack` times the dtype's machine epsilon.
    """
    if points.shape[1] <= NARROW and points.device.type != "mps":
        points = points.double()
    centre = points.mean(0)
    points = points - centre
    shrink = 1.0 - slack * torch.finfo(points.dtype).eps
    norms = points.square().sum(1).mul_(shrink)
    rows = max(1, block_bytes // (max(1, len(points)) * points.element_size()))
    for start in range(0, len(queries), rows):
        part = queries[start : start + rows] - centre
        block = torch.addmm(norms.expand(len(part), -1), part, points.T, alpha=-2.0)
        yield slice(start, start + len(part)), block.add_(part.square().sum(1, keepdim=True).mul_(shrink))


def nearest(
    queries: Tensor, points: Tensor, *, k: int = 1, exclude_self: bool = False, block_bytes: int = BLOCK_BYTES
) -> Neighbours:
    """The k nearest points (M, d) of each query (N, d), by brute force.

    Candidates come from the product form; their distances are then taken from differences in float64, so a copy is at
    distance 0. `exclude_self`: the queries are the points, and no point is its own neighbour.

    Raises:
        ValueError: fewer than k points.
    """
    if exclude_self:
        queries = points = checked(points, "points")
    else:
        queries, points = pair(queries, points, names=("queries", "points"))
    available = len(points) - exclude_self
    if not 1 <= k <= available:
        raise ValueError(f"k is {k}; there are {available} other points: pass 1 <= k <= {available}")
    candidates = min(k + SPARE, available)
    refined = max(1, block_bytes // (candidates * points.shape[1] * 8))
    distances, indices = [], []
    for rows, block in distance_blocks(queries, points, block_bytes=block_bytes):
        if exclude_self:
            block.diagonal(rows.start).fill_(torch.inf)
        found = block.topk(candidates, largest=False).indices
        for start in range(0, len(found), refined):
            part = found[start : start + refined]
            query = queries[rows][start : start + refined]
            exact = torch.linalg.vector_norm(points[part].double() - query[:, None].double(), dim=-1)
            # Ties go to the lower row, whatever the block size.
            part, order = part.sort(dim=1)
            exact, by_distance = exact.gather(1, order).sort(dim=1, stable=True)
            distances.append(exact[:, :k])
            indices.append(part.gather(1, by_distance)[:, :k])
    return Neighbours(distances=torch.cat(distances), indices=torch.cat(indices))
