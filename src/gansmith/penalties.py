"""Penalties on the gradient of D with respect to its input.

A gradient is taken of each sample's own score, over all of its values (C, H and W together, not channels alone); its
squares and sums are float32 whatever the autocast dtype. D must not mix samples (batch norm would), or the gradient of
the summed scores is not that of each score.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .nets.running import Running
from .step.randomness import normal, uniform


def scored(net: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of x and their gradient with respect to x, from one forward pass.

    `x` is (N, ...); returns the scores (as `net` gives them, one per sample) and the gradient (N, ...), both of which
    can be differentiated with respect to the network's parameters.
    """
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        scores = net(x)
        (gradient,) = torch.autograd.grad(scores, x, torch.ones_like(scores), create_graph=True)
    return scores, gradient


def _rows(gradient: Tensor) -> Tensor:
    half = gradient.dtype in (torch.bfloat16, torch.float16)
    return (gradient.float() if half else gradient).flatten(1)


def squared_norm(gradient: Tensor) -> Tensor:
    """Sum of squares of each sample's gradient: (N, ...) to (N,)."""
    return _rows(gradient).square().sum(1)


def norm(gradient: Tensor) -> Tensor:
    """Euclidean length of each sample's gradient: (N, ...) to (N,). At zero its own gradient is 0, not infinite."""
    return torch.linalg.vector_norm(_rows(gradient), dim=1)


def gradient_norm(net: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Length of the gradient of each sample's score at x: (N,)."""
    return norm(scored(net, x)[1])


def zero_centred(net: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """E ||grad D(x)||^2, a () tensor: R1 at real samples, R2 at fakes. The weight gamma / 2 is the caller's.

    Where the scores at x are needed too, `scored` and `squared_norm` give both from one pass.
    Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018, arXiv:1801.04406, Eq. 9 and 10.
    """
    return squared_norm(scored(net, x)[1]).mean()


def mix(real: Tensor, fake: Tensor) -> Tensor:
    """One random point on each line from real[i] to fake[i]: a single uniform weight per sample, (N, ...).

    Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, arXiv:1704.00028, Algorithm 1, lines 4 and 6.
    """
    weight = uniform(real, len(real), *[1] * (real.dim() - 1))
    return real + weight * (fake - real)


def wgan_gp(net: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, target: float = 1.0) -> Tensor:
    """E (||grad D(x)|| - target)^2 at random points between real and fake samples, a () tensor.

    Gulrajani et al., 2017, arXiv:1704.00028, Eq. 3 without the weight lambda.
    """
    return (gradient_norm(net, mix(real, fake)) - target).square().mean()


def wgan_div(net: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, power: float = 6.0) -> Tensor:
    """E ||grad D(x)||^power at random points between real and fake samples, a () tensor.

    Wu et al., "Wasserstein Divergence for GANs", 2017, arXiv:1712.01026, Algorithm 1 without the weight k.
    """
    return squared_norm(scored(net, mix(real, fake))[1]).pow(power / 2).mean()


def dragan(net: Callable[[Tensor], Tensor], real: Tensor, deviation: float, target: float = 1.0) -> Tensor:
    """E (||grad D(x + d)|| - target)^2 around real samples, d normal of that deviation for each value; a () tensor.

    Kodali et al., "On Convergence and Stability of GANs", 2017, arXiv:1705.07215, section 2.3, without the weight.
    """
    return (gradient_norm(net, real + deviation * normal(real)) - target).square().mean()


def path_lengths(pictures: Tensor, w: Tensor) -> Tensor:
    """How far each picture moves, per pixel, when its styles do: (N,).

    The length of J^T y, J being the Jacobian of the pictures (N, C, H, W) with respect to the styles w (N, layers, D)
    that they were made from, y a random picture of N(0, 1 / (H W)); the root of the mean square over layers.
    Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv:1912.04958, Eq. 4, appendix B.
    """
    full = pictures.float() if pictures.dtype in (torch.bfloat16, torch.float16) else pictures
    y = normal(full) / math.sqrt(pictures.shape[2] * pictures.shape[3])
    (slope,) = torch.autograd.grad((full * y).sum(), w, create_graph=True)
    return norm(slope) / math.sqrt(w.shape[1])


class PathLength(nn.Module):
    """E (|J^T y| - a)^2, a () tensor, where a is the running mean of the lengths: a smooth map from styles to pictures.

    Karras et al., 2020, arXiv:1912.04958, Eq. 4. The mean forgets half in `half_life` images shown and does not count
    the batch that it judges, so ranks and micro-batches agree on it; a is 0 for the first batch.
    """

    def __init__(self, half_life: float = 9_000):
        super().__init__()
        self.mean = Running(half_life=half_life)

    def forward(self, lengths: Tensor, images: Tensor) -> Tensor:
        """Lengths (N,) at so many images shown, () float32, to ()."""
        self.mean.advance(images)
        self.mean.add(lengths)
        return (lengths - self.mean.mean).square().mean()


class History(nn.Module):
    """||theta - (1 / t) sum theta[i]||^2, a () tensor: a network is drawn to the mean of all that it was.

    Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498, section 3.3 (historical
    averaging). The mean, one value a weight, is a buffer; each step counts once, however many micro-batches it has.
    """

    alike = True
    mean: Tensor
    steps: Tensor
    seen: Tensor

    def __init__(self, net: nn.Module):
        super().__init__()
        self.register_buffer("mean", torch.zeros(sum(p.numel() for p in net.parameters())))
        self.register_buffer("steps", torch.zeros(()))
        self.register_buffer("seen", torch.full((), -1.0))

    def forward(self, net: nn.Module, images: Tensor) -> Tensor:
        """The network at so many images shown, () float32, to ()."""
        weights = torch.cat([p.reshape(-1) for p in net.parameters()])
        with torch.no_grad():
            new = images > self.seen
            self.steps.add_(new)
            self.mean.lerp_(weights.to(self.mean), new / self.steps)
            self.seen.copy_(torch.maximum(self.seen, images))
        return (weights - self.mean).square().sum()
