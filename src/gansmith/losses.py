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


def logistic_real(scores: Tensor, target: float = 1.0) -> Tensor:
    """-log sigmoid(s): D's loss on real samples, and G's non-saturating loss on its own.

    Goodfellow et al., "Generative Adversarial Nets", 2014, arXiv:1406.2661, Eq. 1 (first term) and section 3.
    `target` below 1 is one-sided label smoothing, the cross-entropy -t log sigmoid(s) - (1 - t) log(1 - sigmoid(s)):
    Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498, section 3.4. Never of fakes.
    """
    full = _full(scores)
    loss = F.softplus(-full).mean()
    return loss if target == 1.0 else loss + (1 - target) * full.mean()


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


def relativistic_average(higher: Tensor, lower: Tensor) -> Tensor:
    """Each `higher` score is to exceed the mean `lower` one, and each `lower` to stay below the mean `higher` one.

    -E log sigmoid(h - E l) - E log(1 - sigmoid(l - E h)). D's loss is `relativistic_average(s(real), s(fake))`, G's
    the same with both exchanged: either has two terms, and G's gradient comes through real samples' terms too.
    Jolicoeur-Martineau, "The relativistic discriminator", 2018, arXiv:1807.00734, section 4.2 and Algorithm 2.
    """
    high, low = _full(higher), _full(lower)
    return F.softplus(low.mean() - high).mean() + F.softplus(low - high.mean()).mean()


def softmax_real(real: Tensor, fake: Tensor) -> Tensor:
    """D's loss of Softmax GAN: the softmax over the scores of the whole batch is to lie on its real samples, evenly.

    log sum exp(s) - E s(real). Lin, "Softmax GAN", 2017, arXiv:1704.06191, section 3 (t of the real ones 1 / |B+|).
    """
    real, fake = _full(real), _full(fake)
    return torch.cat((real, fake)).logsumexp(0) - real.mean()


def softmax_all(real: Tensor, fake: Tensor) -> Tensor:
    """G's loss of Softmax GAN: the softmax is to be even over real samples and fakes together.

    log sum exp(s) - E s over both. Lin, "Softmax GAN", 2017, arXiv:1704.06191, section 3 (t 1 / |B| for all).
    """
    both = torch.cat((_full(real), _full(fake)))
    return both.logsumexp(0) - both.mean()


def boundary(scores: Tensor) -> Tensor:
    """(log D - log(1 - D))^2 / 2 = s^2 / 2: fakes are to lie where D cannot tell.

    Hjelm et al., "Boundary-Seeking Generative Adversarial Networks", 2017, arXiv:1702.08431, the objective for
    continuous data. From scores no logarithm is taken, so nothing is infinite where D is sure.
    """
    return _full(scores).square().mean() / 2


def margin(energies: Tensor, least: float) -> Tensor:
    """max(0, least - e): D's loss on fakes of energies (N,) in EBGAN.

    Zhao et al., "Energy-based Generative Adversarial Network", 2016, arXiv:1609.03126, Eq. 1.
    """
    return F.relu(least - _full(energies)).mean()


def pull_away(codes: Tensor) -> Tensor:
    """Mean squared cosine between the codes (N, K) of different samples: G's loss for variety in EBGAN.

    Zhao et al., "Energy-based Generative Adversarial Network", 2016, arXiv:1609.03126, Eq. 4.
    """
    units = F.normalize(_full(codes), dim=1)
    n = len(units)
    return ((units @ units.T).square().sum() - units.square().sum(1).square().sum()) / (n * (n - 1))


def feature_matching(real: Tensor, fake: Tensor) -> Tensor:
    """Squared distance between the mean features of real samples and of fakes, (N, ...) each.

    Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498, section 3.1.
    """
    return (_full(real).flatten(1).mean(0) - _full(fake).flatten(1).mean(0)).square().sum()


def resting(loss: Tensor, correct: Tensor, within: float) -> Tensor:
    """The loss, or 0 with no gradient while the share of `correct` answers is within that of 0.5; no device wait."""
    return torch.where((correct.float().mean() - 0.5).abs() < within, loss.detach() * 0, loss)
