"""The Inception score, from class probabilities.

Source: Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, "Improved Techniques for Training GANs", 2016,
arXiv:1606.03498.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .features import checked, wide


@dataclass(frozen=True, kw_only=True)
class InceptionScore:
    """The exponential of the mean KL divergence to the marginal; in [1, K], higher is better."""

    value: float
    """Mean over the splits."""
    standard_deviation: float
    """Over the splits (ddof 0), as published tables print it; 0 with one split."""
    splits: int
    """Consecutive parts that were scored apart."""
    num_samples: int
    """Samples."""


def inception_score(probabilities: Tensor, *, splits: int) -> InceptionScore:
    """exp(E_x KL(p(y|x) || p(y))) over each of `splits` consecutive parts of the samples; in float64.

    The samples are taken in the order given, so their order and the number of splits are part of the protocol: the
    paper splits 50,000 samples in 10, others do not split or shuffle first. The score means little on data unlike the
    classifier's.

    Args:
        probabilities: p(y|x) (N, K), rows that sum to 1: `logits.double().softmax(1)`.
        splits: at least 1, at most N.

    Raises:
        ValueError: rows that are no distributions, or more splits than samples.
    """
    values = wide(checked(probabilities, "probabilities"))
    if bool((values < 0).any()) or bool(((values.sum(1) - 1).abs() > 1e-3).any()):
        raise ValueError("probabilities has rows that do not sum to 1 or go below 0: pass logits.softmax(1)")
    if not 1 <= splits <= len(values):
        raise ValueError(f"splits is {splits}; with {len(values)} samples it is 1 to {len(values)}")
    scores = []
    for part in values.tensor_split(splits):
        marginal = part.mean(0)
        # 0 log 0 = 0: xlogy says so, a logarithm plus epsilon would shift the score.
        divergence = (torch.xlogy(part, part) - torch.xlogy(part, marginal)).sum(1).mean()
        scores.append(divergence.exp())
    found = torch.stack(scores)
    return InceptionScore(
        value=float(found.mean()),
        standard_deviation=float(found.std(correction=0)),
        splits=splits,
        num_samples=len(values),
    )
