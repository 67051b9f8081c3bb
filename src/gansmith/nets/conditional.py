"""Networks that are told a class: labels joined to noise or steering norms in G, and the ways in which D judges them.

Source: Mirza & Osindero, "Conditional Generative Adversarial Nets", 2014, arXiv:1411.1784 (labels joined to the input);
Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017, arXiv:1610.09585 (heads); Miyato &
Koyama, "cGANs with Projection Discriminator", 2018, arXiv:1802.05637, Eq. 3 and section 5 (projection; conditional
batch norm, Dumoulin et al., 2017, arXiv:1610.07629); Miyato et al., "Spectral Normalization for Generative Adversarial
Networks", 2018, arXiv:1802.05957, Algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import conv, dense, mlp
from .dropout import Dropout
from .shapes import flat, picture


def chances(classes: Sequence[str], counts: Sequence[int], name: str = "") -> tuple[float, ...]:
    """How often each class of the data occurs; evenly, where that is not known.

    Raises `ValueError` if the data has fewer than two and `name` is the recipe that needs them.
    """
    if name and len(classes) < 2:
        raise ValueError(
            f"{name} learns from labels, and the data has {'only one' if classes else 'none'}: give it class folders, "
            "a CSV of labels or an array y, or train a recipe that needs no labels"
        )
    if len(counts) != len(classes) or not sum(counts):
        return (1 / len(classes),) * len(classes)
    return tuple(n / sum(counts) for n in counts)


# --- generators -------------------------------------------------------------------------------------------------------


class Labels(nn.Module):
    """Labels as one-hot rows, given or drawn as often as the data has them."""

    ends: Tensor

    def __init__(self, share: Sequence[float]):
        super().__init__()
        self.num = len(share)
        ends = torch.tensor(share, dtype=torch.float64).cumsum(0)[:-1].float()
        self.register_buffer("ends", ends, persistent=False)  # a constant: the data's specification has it

    def forward(self, y: Tensor) -> Tensor:
        """Labels (N,) int64, or uniform draws (N,) in [0, 1) that become such, to labels (N,) int64."""
        return torch.searchsorted(self.ends, y.to(self.ends), right=True) if y.is_floating_point() else y


class Joined(nn.Module):
    """A generator whose noise is joined by the label: noise (N, z_dim) and labels (N,) to samples (N, *shape).

    `net` takes (N, z_dim + classes). Labels may be draws in [0, 1), as `Labels` takes them.
    """

    def __init__(self, net: nn.Module, share: Sequence[float]):
        super().__init__()
        self.net, self.labels = net, Labels(share)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(N, z_dim), (N,) to (N, *shape)."""
        return self.net(torch.cat((z, F.one_hot(self.labels(y), self.labels.num).to(z.dtype)), 1))


class JoinedGenerator(nn.Module):
    """Noise (N, z_dim) and labels (N,) to samples (N, *shape): each has a first layer of its own, joined after it.

    Mirza & Osindero, 2014, section 4.1; both first layers have `widths[0]` units. Labels may be draws in [0, 1), as
    `Labels` takes them. `bounded` ends in tanh.
    """

    def __init__(
        self, z_dim: int, shape: tuple[int, ...], widths: Sequence[int], share: Sequence[float], bounded: bool
    ):
        super().__init__()
        mlp.at_least_one(z_dim=z_dim, width=min(widths))
        self.labels = Labels(share)
        self.of_z = mlp.own_layer(z_dim, widths[0])
        self.of_y = mlp.own_layer(len(share), widths[0])
        self.net = mlp.Generator(2 * widths[0], shape, widths[1:], bounded)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(N, z_dim), (N,) to (N, *shape)."""
        told = F.one_hot(self.labels(y), self.labels.num).to(z.dtype)
        return self.net(torch.cat((self.of_z(z), self.of_y(told)), 1))


def joined(z_dim: int, shape: tuple[int, ...], width: int, share: Sequence[float]) -> Joined:
    """`Joined`: the convolutional generator of DCGAN, or a fully connected one where samples are `flat`."""
    size = z_dim + len(share)
    if flat(shape):
        widths = (4 * width, 8 * width, 16 * width)
        return Joined(mlp.Generator(size, shape, widths, bounded=picture(shape)), share)
    return Joined(conv.Generator(size, shape, width), share)


class ConditionalNorm(nn.Module):
    """Batch norm whose scale and shift are those of the sample's class: (N, C, ...) to the same."""

    def __init__(self, channels: int, classes: int, spatial: bool):
        super().__init__()
        self.norm = (nn.BatchNorm2d if spatial else nn.BatchNorm1d)(channels, affine=False)
        self.scale = nn.Parameter(torch.ones(classes, channels))
        self.shift = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(N, C, ...), (N,) to (N, C, ...)."""
        after = (..., *[None] * (x.dim() - 2))
        return self.norm(x) * self.scale[y][after] + self.shift[y][after]


class Steered(nn.Module):
    """A generator whose label steers every norm: noise (N, z_dim) and labels (N,) to samples (N, *shape).

    DCGAN's transposed convolutions, or layers of `width` units times 4, 8 and 16 where samples are `flat`.
    Labels may be draws in [0, 1), as `Labels` takes them.
    """

    def __init__(self, z_dim: int, shape: tuple[int, ...], width: int, share: Sequence[float]):
        super().__init__()
        mlp.at_least_one(z_dim=z_dim, width=width)
        self.labels, classes = Labels(share), len(share)
        layers: list[nn.Module]
        if flat(shape):
            sizes = (z_dim, 4 * width, 8 * width, 16 * width)
            layers = [nn.Linear(a, b, bias=False) for a, b in pairwise(sizes)]
            norms = [ConditionalNorm(b, classes, False) for b in sizes[1:]]
            last: list[nn.Module] = [nn.Linear(sizes[-1], math.prod(shape)), nn.Unflatten(1, shape)]
        else:
            rungs = conv.ladder(shape[1], shape[2])[::-1]
            widths = conv.doubling(width, max(len(rungs) - 1, 1))[::-1]
            first = nn.Linear(z_dim, widths[0] * math.prod(rungs[0]), bias=False)
            layers = [nn.Sequential(first, nn.Unflatten(1, (widths[0], *rungs[0])))]
            for i, (small, big) in enumerate(pairwise(rungs[:-1])):
                layers.append(conv.up(widths[i], widths[i + 1], small, big, bias=False))
            norms = [ConditionalNorm(w, classes, True) for w in widths]
            last = [conv.up(widths[-1], shape[0], rungs[-2], rungs[-1])]
        self.layers, self.norms = nn.ModuleList(layers), nn.ModuleList(norms)
        self.last = nn.Sequential(*last, *([mlp.Tanh()] if picture(shape) else []))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(N, z_dim), (N,) to (N, *shape)."""
        y = self.labels(y)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            z = F.relu(norm(layer(z), y))
        return self.last(z)


# --- discriminators ---------------------------------------------------------------------------------------------------


class Trunk(nn.Module):
    """Samples (N, *shape) to features (N, dim): all but the last layer of a discriminator.

    `width`: channels at half the picture's size as in DCGAN; where samples are `flat`, layers are 16, 8 and 4 times as
    wide. `dropout` follows each layer there, and stands before the features of pictures. `pooled`: features of pictures
    are summed over their places, as projection discriminators do.
    """

    def __init__(
        self, shape: tuple[int, ...], width: int, norm: conv.Norm = "none", dropout: float = 0.0, pooled: bool = False
    ):
        super().__init__()
        if flat(shape):
            found = mlp.Discriminator(shape, (16 * width, 8 * width, 4 * width), dropout)
            self.layers, self.dim = found.layers, 4 * width
            return
        found = conv.Discriminator(shape, width, norm)
        smallest = conv.ladder(shape[1], shape[2])[-1]
        channels = conv.doubling(width, max(len(conv.ladder(shape[1], shape[2])) - 1, 1))[-1]
        end: list[nn.Module] = [Pool()] if pooled else [nn.Flatten()]
        self.layers = nn.Sequential(found.layers, *end, *([Dropout(dropout)] if dropout else []))
        self.dim = channels * (1 if pooled else math.prod(smallest))

    def forward(self, x: Tensor) -> Tensor:
        """(N, *shape) to (N, dim)."""
        return self.layers(x)


class Pool(nn.Module):
    """Maps (N, C, H, W) to their sums over places (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C)."""
        return x.sum((2, 3))


def _full(features: Tensor) -> Tensor:
    return features.float() if features.dtype == torch.bfloat16 else features


class Heads(nn.Module):
    """Samples (N, *shape) to scores (N,) and, for each of `outputs`, values (N, k), all float32.

    `hidden`: the values are read through one more layer of so many units, with batch norm and a leaky ReLU.
    """

    def __init__(self, trunk: Trunk | dense.Trunk, outputs: Sequence[int], hidden: int = 0):
        super().__init__()
        self.trunk = trunk
        self.score = mlp.Head(nn.Linear(trunk.dim, 1))
        self.reader = nn.Sequential()
        if hidden:
            layer = nn.Linear(trunk.dim, hidden, bias=False)
            self.reader = nn.Sequential(layer, nn.BatchNorm1d(hidden), nn.LeakyReLU(0.1))
        self.others = nn.ModuleList([nn.Linear(hidden or trunk.dim, k) for k in outputs])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, *shape) to (N,), and (N, k) of each further head."""
        features = _full(self.trunk(x))
        with torch.autocast(features.device.type, enabled=False):
            read = self.reader(features)
            return self.score(features), *(head(read) for head in self.others)


class JoinedDiscriminator(nn.Module):
    """Samples (N, *shape) and labels (N,) to scores (N,): each has a first layer of its own, joined after it.

    Mirza & Osindero, 2014, section 4.1. Joined to the values themselves, a label is one among a thousand pixels, and is
    not looked at. Of `widths` the first is the sample's own layer; the label's has a quarter of its units.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, widths: Sequence[int], dropout: float):
        super().__init__()
        first = widths[0]
        self.classes = classes
        self.of_x = mlp.own_layer(math.prod(shape), first, dropout)
        self.of_y = mlp.own_layer(classes, max(first // 4, 1), dropout)
        self.net = mlp.Discriminator((first + max(first // 4, 1),), widths[1:], dropout)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(N, *shape), (N,) to (N,)."""
        told = F.one_hot(y, self.classes).to(x.dtype)
        return self.net(torch.cat((self.of_x(x.flatten(1)), self.of_y(told)), 1))


class Projection(nn.Module):
    """Samples (N, *shape) and labels (N,) to scores (N,): a linear score plus the class's own direction.

    y^T V phi(x) + psi(phi(x)): Miyato & Koyama, 2018, Eq. 3.
    """

    def __init__(self, trunk: Trunk, classes: int):
        super().__init__()
        self.trunk = trunk
        self.score = mlp.Head(nn.Linear(trunk.dim, 1))
        self.classes = nn.Embedding(classes, trunk.dim)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(N, *shape), (N,) to (N,), float32."""
        features = _full(self.trunk(x))
        with torch.autocast(features.device.type, enabled=False):
            return self.score(features) + (self.classes(y) * features).sum(1)


class Embedding(nn.Module):
    """Samples (N, *shape) and labels (N,) to scores (N,) and two vectors (N, k) of length 1: the sample's, its class's.

    The head onto the sphere is one linear layer, or two with a ReLU between.
    """

    def __init__(self, trunk: Trunk, classes: int, size: int, layers: int = 1):
        super().__init__()
        mlp.at_least_one(embedding=size)
        self.trunk = trunk
        self.score = mlp.Head(nn.Linear(trunk.dim, 1))
        first = [nn.Linear(trunk.dim, trunk.dim), nn.ReLU()] if layers > 1 else []
        self.place = nn.Sequential(*first, nn.Linear(trunk.dim, size))
        self.classes = nn.Embedding(classes, size)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, *shape), (N,) to (N,), (N, k), (N, k), float32."""
        features = _full(self.trunk(x))
        with torch.autocast(features.device.type, enabled=False):
            return self.score(features), F.normalize(self.place(features)), F.normalize(self.classes(y))
