"""Fully connected networks with weight normalisation: the classifier and generator of Improved GAN on MNIST, and the
game that it plays with few labels.

Source: Salimans & Kingma, "Weight Normalization", 2016, arXiv:1602.07868, Eq. 2 and 4 (scales and biases set by a first
batch); Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498, section 5.1, and its code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import losses
from ..step.randomness import joined, normal, of_all_ranks
from .mlp import Tanh, at_least_one, full

Blur = Callable[[Tensor], Tensor]
"""Standard normal noise of the shape of what it is given: `gansmith.recipe.normal`."""


def each(blur: Blur, parts: int) -> Blur:
    """Noise of every part of a joined batch by itself: so each rank draws that of its own rows of each part."""
    return lambda x: torch.cat([blur(part) for part in x.chunk(parts)])


class Linear(nn.Module):
    """(N, before) to (N, after): weights of a direction each, times a scale that is trained or set once by `fit`."""

    scale: Tensor

    def __init__(self, before: int, after: int, trained_scale: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) * 0.1)
        self.bias = nn.Parameter(torch.zeros(after))
        if trained_scale:
            self.scale = nn.Parameter(torch.ones(after))
        else:
            self.register_buffer("scale", torch.ones(after))

    def forward(self, x: Tensor) -> Tensor:
        """(N, before) to (N, after)."""
        length = (self.weight.square().sum(1) + 1e-6).sqrt()
        return F.linear(x, self.weight * (self.scale / length)[:, None], self.bias)

    @torch.no_grad()
    def fit(self, x: Tensor) -> Tensor:
        """Set scale and bias so that outputs of x have mean 0 and variance 1 each; returns these outputs."""
        made = self(x) - self.bias
        mean, deviation = made.mean(0), made.std(0, correction=0).clamp_min(1e-6)
        self.scale.copy_(self.scale / deviation)
        self.bias.copy_(-mean / deviation)
        return (made - mean) / deviation


class Classifier(nn.Module):
    """Samples (N, *shape) to one logit a class (N, classes); their log-sum-exp is the score of being real.

    ReLU layers of these widths. With `blur`, as in training, Gaussian noise is added to the input (`input_noise`, its
    standard deviation) and to each layer after it (`noise`). `pictures`: [-1, 1] is taken for [0, 1], where the
    published noise levels are meant.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        widths: Sequence[int],
        input_noise: float,
        noise: float,
        pictures: bool = True,
    ):
        super().__init__()
        at_least_one(width=min(widths), classes=classes)
        sizes = (math.prod(shape), *widths)
        self.hidden = nn.ModuleList(Linear(a, b) for a, b in pairwise(sizes))
        self.last = Linear(sizes[-1], classes, trained_scale=True)
        self.levels = (input_noise, *[noise] * len(widths))
        self.pictures = pictures

    def features(self, x: Tensor, blur: Blur | None = None) -> Tensor:
        """(N, *shape) to the last hidden layer (N, widths[-1])."""
        x = self._flat(x)
        for layer, level in self._walk():
            x = F.relu(layer(_noisy(x, level, blur)))
        return x

    def forward(self, x: Tensor, blur: Blur | None = None) -> Tensor:
        """(N, *shape) to (N, classes), float32 whatever the precision."""
        return full(self.last, _noisy(self.features(x, blur), self.levels[-1], blur))

    @torch.no_grad()
    def fit(self, x: Tensor, blur: Blur | None = None) -> None:
        """Set all scales and biases by a batch (N, *shape): each layer's outputs have mean 0 and variance 1 on it."""
        with torch.autocast(x.device.type, enabled=False):
            x = self._flat(x)
            for layer, level in self._walk():
                x = F.relu(layer.fit(_noisy(x, level, blur)))
            self.last.fit(_noisy(x, self.levels[-1], blur))

    def _flat(self, x: Tensor) -> Tensor:
        return (x.flatten(1) + 1) / 2 if self.pictures else x.flatten(1)

    def _walk(self) -> list[tuple[Linear, float]]:
        layers = [layer for layer in self.hidden if isinstance(layer, Linear)]
        return list(zip(layers, self.levels[:-1], strict=True))


def _noisy(x: Tensor, level: float, blur: Blur | None) -> Tensor:
    return x if blur is None or not level else x + level * blur(x)


class Generator(nn.Module):
    """Noise (N, z_dim), uniform in [0, 1), to pictures (N, *shape) in [-1, 1].

    Softplus layers of these widths with batch norm that learns shifts alone; the last layer's weights are normalised.
    """

    def __init__(self, z_dim: int, shape: tuple[int, ...], widths: Sequence[int]):
        super().__init__()
        at_least_one(z_dim=z_dim, width=min(widths))
        sizes = (z_dim, *widths)
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(nn.BatchNorm1d(b, eps=1e-6, affine=False) for b in widths)
        self.shifts = nn.ParameterList(torch.zeros(b) for b in widths)
        self.last = Linear(sizes[-1], math.prod(shape), trained_scale=True)
        self.bound, self.shape = Tanh(), shape
        for layer in (*self.layers, self.last):
            assert isinstance(layer, nn.Linear | Linear)
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, z: Tensor) -> Tensor:
        """(N, z_dim) to (N, *shape)."""
        for layer, norm, shift in zip(self.layers, self.norms, self.shifts, strict=True):
            z = F.softplus(norm(layer(z)) + shift)
        return self.bound(self.last(z) / 2).unflatten(1, self.shape)  # the logistic function, from [0, 1] to [-1, 1]


# --- few labels -------------------------------------------------------------------------------------------------------


def labelled(d: Classifier, batch: Mapping[str, Tensor]) -> Tensor:
    """Cross-entropy of D's logits of the few labelled samples, with noise: ()."""
    return F.cross_entropy(d(batch["labelled.x"], normal), batch["labelled.y"])


def first_loss(d: Classifier, batch: Mapping[str, Tensor]) -> Tensor:
    """`labelled`, after the batch's unlabelled samples have set D's scales and biases: for the very first move."""
    rows, own = of_all_ranks(batch["x"])
    # Each rank draws the noise of its own rows; all see all of it, or their scales would drift apart.
    d.fit(rows, lambda x: of_all_ranks(normal(x[own]))[0])
    return labelled(d, batch)


def game(d: Classifier, batch: Mapping[str, Tensor], fake: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """D's three terms, () each, and its logits of the unlabelled samples (N, classes).

    D(x) = Z / (Z + 1), Z being the sum of the exponentials of the logits, as the fake class's is held at 0: Salimans et
    al., 2016, arXiv:1606.03498, section 5. Fakes (N, *shape) are as many as the batch has of either kind of sample.
    """
    # One pass: weights are normalised once, and D does not mix samples.
    rows = torch.cat((batch["labelled.x"], batch["x"], fake))
    of_labelled, of_real, of_fake = d(rows, each(normal, 3)).chunk(3)
    terms = {
        "labelled": F.cross_entropy(of_labelled, batch["labelled.y"]),
        "real": losses.logistic_real(of_real.logsumexp(1)) / 2,
        "fake": losses.logistic_fake(of_fake.logsumexp(1)) / 2,
    }
    return terms, of_real


def matching(real: Tensor, fake: Tensor) -> Tensor:
    """Feature matching of D's features (N, K) of real samples and of fakes, of all ranks; a feature's share: ()."""
    return losses.feature_matching(joined(real), joined(fake)) / real.shape[1]
