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


def resting(loss: Tensor, correct: Tensor, within: float) -> Tensor:
    """The loss, or 0 with no gradient while the share of `correct` answers is within that of 0.5; no device wait."""
    return torch.where((correct.float().mean() - 0.5).abs() < within, loss.detach() * 0, loss)


# --- classes and codes ------------------------------------------------------------------------------------------------


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(logits)[label]: logits (N, K) as a linear layer gives them, labels (N,) int64.

    Logits, not probabilities: a softmax before it would squash the gradient (once more) to next to nothing.
    """
    return F.cross_entropy(_full(logits), labels)


def gaussian(mean: Tensor, target: Tensor, log_deviation: Tensor | None = None) -> Tensor:
    """-log N(target; mean, deviation^2), summed over the K values of (N, K) and without the constant; deviation 1 where
    none is given.

    Chen et al., "InfoGAN", 2016, arXiv:1606.03657, section 6: Q of a continuous code is a factored Gaussian.
    """
    error = _full(target) - _full(mean)
    if log_deviation is None:
        return error.square().sum(1).mean() / 2
    width = _full(log_deviation)
    return ((error * torch.exp(-width)).square() / 2 + width).sum(1).mean()


def _relations(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Which pairs (N, N) are of two different samples, and which of those are of one class."""
    other = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return other, other & (labels[:, None] == labels[None, :])


def contrast(samples: Tensor, classes: Tensor, labels: Tensor, temperature: float, together: bool = True) -> Tensor:
    """The conditional contrastive (2C) loss: a sample is to be near its class and others of it, far from the rest.

    `samples` (N, D) and the vectors `classes` (N, D) of their classes have length 1. All pairs of the batch count.
    Samples of a class that lie together in the wrong place are punished little, so that classes may end up exchanged;
    without `together`, only a sample's own class counts as near (Eq. 7), as the authors advise against that.
    Kang & Park, "ContraGAN: Contrastive Learning for Conditional Image Generation", 2020, arXiv:2006.12681, Eq. 8.
    """
    samples, classes = _full(samples), _full(classes)
    other, alike = _relations(labels)
    pairs = samples @ samples.mT / temperature
    own = (samples * classes).sum(1, keepdim=True) / temperature
    near = torch.cat((own, pairs.masked_fill(~alike, -torch.inf)), 1).logsumexp(1) if together else own[:, 0]
    return (torch.cat((own, pairs.masked_fill(~other, -torch.inf)), 1).logsumexp(1) - near).mean()


def data_to_data(samples: Tensor, classes: Tensor, labels: Tensor, margin: float, temperature: float) -> Tensor:
    """The data-to-data cross-entropy (D2D-CE): a sample is to be near its class and far from samples of other classes.

    `samples` (N, D) and the vectors `classes` (N, D) of their classes have length 1. What is nearer to its class than
    `margin`, or less like another sample than 1 - `margin`, is good enough and gives no gradient.
    Kang et al., "Rebooting ACGAN", 2021, arXiv:2111.01118, section 3 (D2D-CE), the second margin being 1 minus the
    first as in the authors' code; which shifts the negatives' exponents alone against overflow, and so is another loss.
    """
    samples, classes = _full(samples), _full(classes)
    other, alike = _relations(labels)
    own = ((samples * classes).sum(1, keepdim=True) - margin).clamp_max(0) / temperature
    pairs = (samples @ samples.mT - (1 - margin)).clamp_min(0) / temperature
    negatives = pairs.masked_fill(~(other & ~alike), -torch.inf)
    return (torch.cat((own, negatives), 1).logsumexp(1) - own[:, 0]).mean()


# --- likeness ---------------------------------------------------------------------------------------------------------


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
    """Squared distance between the mean features of real samples and of fakes, (N, ...) each.

    Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498, section 3.1.
    """
    return (_full(real).flatten(1).mean(0) - _full(fake).flatten(1).mean(0)).square().sum()


def pull_away(features: Tensor) -> Tensor:
    """The mean squared cosine between the features (N, D) of different samples: small where they differ.

    Zhao et al., "Energy-based Generative Adversarial Network", 2016, arXiv:1609.03126, Eq. 4.
    """
    unit = F.normalize(_full(features), dim=1)
    n = len(unit)
    squares = (unit @ unit.T).square()
    return (squares.sum() - squares.diagonal().sum()) / max(n * (n - 1), 1)
