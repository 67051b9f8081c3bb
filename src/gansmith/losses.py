"""Adversarial losses: scores in, scalar out.

A score (logit) is D's raw output, (N,) or any shape, of any floating dtype; each function returns the mean over all
scores, a () tensor that is at least float32. All are written with softplus, so no score overflows and no probability
is ever formed. D's probability of "real" is sigmoid(score).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _full(scores: Tensor) -> Tensor:
    """Half precision is raised to float32: a mean of bfloat16 keeps three digits."""
    return scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores


def logistic_real(scores: Tensor) -> Tensor:
    """-log sigmoid(s): D's loss on real samples, and G's non-saturating loss on its own.

    Goodfellow et al., "Generative Adversarial Nets", 2014, arXiv:1406.2661, Eq. 1 (first term) and section 3.
    """
    return F.softplus(-_full(scores)).mean()


def logistic_fake(scores: Tensor) -> Tensor:
    """-log(1 - sigmoid(s)): D's loss on fakes. Goodfellow et al., 2014, arXiv:1406.2661, Eq. 1, second term."""
    return F.softplus(_full(scores)).mean()


def saturating(scores: Tensor) -> Tensor:
    """log(1 - sigmoid(s)): G's loss in the minimax game; its gradient vanishes where D is sure of a fake.

    Goodfellow et al., 2014, arXiv:1406.2661, Eq. 1 and Algorithm 1.
    """
    return -logistic_fake(scores)


def wasserstein(real: Tensor, fake: Tensor) -> Tensor:
    """E[s(fake)] - E[s(real)]: the critic's loss, minus the estimated distance. G's loss is -E[s(fake)].

    Arjovsky et al., "Wasserstein GAN", 2017, arXiv:1701.07875, Eq. 2 and Algorithm 1.
    """
    return _full(fake).mean() - _full(real).mean()


def hinge_real(scores: Tensor) -> Tensor:
    """max(0, 1 - s): D's hinge loss on real samples. Lim & Ye, "Geometric GAN", 2017, arXiv:1705.02894, Eq. 16."""
    return F.relu(1 - _full(scores)).mean()


def hinge_fake(scores: Tensor) -> Tensor:
    """max(0, 1 + s): D's hinge loss on fakes; G's loss is -E[s]. Lim & Ye, 2017, arXiv:1705.02894, Eq. 16."""
    return F.relu(1 + _full(scores)).mean()


def least_squares(scores: Tensor, target: float) -> Tensor:
    """(s - target)^2 / 2: target 1 for what is to be called real, 0 for what is to be called fake.

    Mao et al., "Least Squares Generative Adversarial Networks", 2016, arXiv:1611.04076, Eq. 9.
    """
    return (_full(scores) - target).square().mean() / 2


def relativistic(higher: Tensor, lower: Tensor) -> Tensor:
    """softplus(-(higher - lower)): each `higher` score is to exceed the `lower` score that it is paired with.

    D's loss is `relativistic(s(real), s(fake))`, G's `relativistic(s(fake), s(real))`: one fake is judged against one
    real sample, so a generator that serves one mode only cannot win everywhere.
    Jolicoeur-Martineau, "The relativistic discriminator", 2018, arXiv:1807.00734, section 4.1; Huang et al.,
    "The GAN is dead; long live the GAN!", 2025, arXiv:2501.05441, Eq. 2.
    """
    return F.softplus(_full(lower) - _full(higher)).mean()


def squared_error(made: Tensor, real: Tensor) -> Tensor:
    """Half the squared distance of each sample (N, ...), summed over its values: minus the log-likelihood of a Gaussian
    of variance 1 around what was made, up to a constant."""
    return (_full(made) - _full(real)).square().flatten(1).sum(1).mean() / 2


def normal_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL of N(mean, exp(log_variance)) from N(0, 1), summed over the code's places: (N, D) each.

    Kingma & Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114, appendix B.
    """
    mean, log_variance = _full(mean), _full(log_variance)
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2


def feature_matching(real: Tensor, fake: Tensor) -> Tensor:
    """Squared distance of the mean features (N, D) of real and fake samples, a mean over the D features.

    Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498, section 3.1.
    """
    return (_full(real).mean(0) - _full(fake).mean(0)).square().mean()


def pull_away(features: Tensor) -> Tensor:
    """The mean squared cosine between the features (N, D) of different samples: small where they differ.

    Zhao et al., "Energy-based Generative Adversarial Network", 2016, arXiv:1609.03126, Eq. 5.
    """
    unit = F.normalize(_full(features), dim=1)
    n = len(unit)
    squares = (unit @ unit.T).square()
    return (squares.sum() - squares.diagonal().sum()) / max(n * (n - 1), 1)
