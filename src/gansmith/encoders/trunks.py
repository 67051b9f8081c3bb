"""Networks of an encoder of one's own: of pictures, and of samples with one, two or three axes beside the channels.

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998 (LeNet);
He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2016, arXiv:1512.03385 (residual blocks);
Dai, Dai, Qu, Li, Das, "Very Deep Convolutional Neural Networks for Raw Waveforms", 2016, arXiv:1610.00087 (a wide
first kernel with a long stride in front of long signals).
Differs: batch norm throughout; the last layers see every place, not a mean over all places.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DIM = 128
"""Features a sample."""
LARGEST: dict[int, int] = {1: 16_384, 2: 64, 3: 32}
"""By the number of axes: a longer axis is reduced to this by means over neighbours; finer texture is not seen."""
FIRST: dict[int, int] = {1: 512, 2: 32, 3: 16}
"""By the number of axes: the first convolution strides until no axis is longer than this."""
LAST: dict[int, int] = {1: 8, 2: 4, 3: 3}
"""By the number of axes: the places of an axis that the last layers tell apart, at most."""

Trunk = Literal["lenet", "resnet", "residual"]
"""`lenet`: small grey pictures; `resnet`: other pictures; `residual`: everything else, whatever its axes."""

_CONV: dict[int, type[nn.Conv1d | nn.Conv2d | nn.Conv3d]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_NORM: dict[int, type[nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d]] = {
    1: nn.BatchNorm1d,
    2: nn.BatchNorm2d,
    3: nn.BatchNorm3d,
}
_POOL: dict[int, type[nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


class _Residual(nn.Module):
    def __init__(self, channels: int, axes: int):
        super().__init__()
        same, ones = (3,) * axes, (1,) * axes
        self.first = nn.Sequential(*_conv(channels, channels, same, ones), nn.ReLU())
        self.last = nn.Sequential(*_conv(channels, channels, same, ones))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.last(self.first(x)))


def _conv(inputs: int, channels: int, kernel: Sequence[int], stride: Sequence[int]) -> list[nn.Module]:
    axes, padding = len(kernel), tuple(k // 2 for k in kernel)
    conv = _CONV[axes](inputs, channels, tuple(kernel), tuple(stride), padding, bias=False)  # ty: ignore[invalid-argument-type]
    return [conv, _NORM[axes](channels)]


def _features(inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, DIM, bias=False), nn.BatchNorm1d(DIM), nn.ReLU())


class OwnNet(nn.Module):
    """Pictures (N, *shape) in [0, 255] to DIM features, none negative, and logits (N, classes)."""

    def __init__(self, trunk: Trunk, shape: tuple[int, int, int], classes: int):
        super().__init__()
        channels, *size = shape
        if trunk == "lenet":
            layers: list[nn.Module] = []
            for width in (32, 64):
                layers += [*_conv(channels, width, (5, 5), (1, 1)), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
                channels, size = width, [math.ceil(s / 2) for s in size]
        else:
            stride = 2 if max(size) > FIRST[2] else 1
            width = 32
            layers = [*_conv(channels, width, (3, 3), (stride, stride)), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
            layers += [_Residual(width, 2)]
            size = [math.ceil(math.ceil(s / stride) / 2) for s in size]
            while max(size) > LAST[2]:
                wider = min(2 * width, 128)
                layers += [*_conv(width, wider, (3, 3), (2, 2)), nn.ReLU(), _Residual(wider, 2)]
                width, size = wider, [math.ceil(s / 2) for s in size]
            channels = width
        # Not a mean over the picture: where something is remains part of what it is.
        self.trunk = nn.Sequential(*layers, nn.Flatten())
        self.features = _features(channels * math.prod(size))
        self.head = nn.Linear(DIM, classes) if classes else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) to (N, DIM) and (N, classes)."""
        features = self.features(self.trunk((x - 127.5) / 127.5))
        return features, features.new_empty(len(x), 0) if self.head is None else self.head(features)


class AxesNet(nn.Module):
    """Encoded samples (N, C, *size) of one to three axes to DIM features, none negative, and logits (N, classes).

    Each channel is first brought to mean 0 and deviation 1, as measured by `measure`: encoded values may have any
    unit. A long axis is halved until it is short; a short one (the frames of a clip) is left as it is.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, shape: tuple[int, ...], classes: int):
        super().__init__()
        channels, *size = shape
        axes = len(size)
        self.register_buffer("center", torch.zeros(1, channels, *(1,) * axes))
        self.register_buffer("spread", torch.ones(1, channels, *(1,) * axes))
        width = 16 if axes == 3 else 32
        stride = [2 ** max(0, math.ceil(math.log2(s / FIRST[axes]))) for s in size]
        # Signals oscillate faster than pictures and volumes: their first kernel spans four of its strides.
        kernel = [4 * s + 3 for s in stride] if axes == 1 else [3] * axes
        layers: list[nn.Module] = [*_conv(channels, width, kernel, stride), nn.ReLU()]
        size = [math.ceil(s / by) for s, by in zip(size, stride, strict=True)]
        halved = _halved(size)
        layers += [_POOL[axes](halved, ceil_mode=True), _Residual(width, axes)]
        size = [math.ceil(s / by) for s, by in zip(size, halved, strict=True)]
        while max(size) > LAST[axes]:
            wider, halved = min(2 * width, 128), _halved(size)
            layers += [*_conv(width, wider, [3] * axes, halved), nn.ReLU(), _Residual(wider, axes)]
            width, size = wider, [math.ceil(s / by) for s, by in zip(size, halved, strict=True)]
        self.trunk = nn.Sequential(*layers, nn.Flatten())
        self.features = _features(width * math.prod(size))
        self.head = nn.Linear(DIM, classes) if classes else None

    def measure(self, parts: Iterable[Tensor]) -> None:
        """Take mean and deviation of each channel from samples, some (N, C, *size) at a time.

        A constant channel is only shifted.
        """
        seen = []
        for x in parts:
            axes = (0, *range(2, x.dim()))
            variance, mean = torch.var_mean(x.double(), axes, correction=0, keepdim=True)
            seen.append((len(x), mean, variance, x.abs().amax(axes, keepdim=True)))
        share = torch.tensor([n for n, *_ in seen], dtype=torch.float64, device=self.center.device)
        share = (share / share.sum()).view(-1, *(1,) * self.center.dim())
        means, variances, most = (torch.stack(values) for values in list(zip(*seen, strict=True))[1:])
        center = (share * means).sum(0)
        spread = (share * (variances + (means - center) ** 2)).sum(0).sqrt()
        self.center.copy_(center)
        # Rounding leaves a constant channel some deviation; dividing by that would blow up nothing into something.
        self.spread.copy_(torch.where(spread > 1e-6 * most.amax(0), spread, 1.0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, *size) to (N, DIM) and (N, classes)."""
        features = self.features(self.trunk((x - self.center) / self.spread))
        return features, features.new_empty(len(x), 0) if self.head is None else self.head(features)


def _halved(size: Sequence[int]) -> tuple[int, ...]:
    """The stride of each axis that halves the long ones."""
    return tuple(2 if s > LAST[len(size)] else 1 for s in size)


def network(trunk: Trunk, shape: tuple[int, ...], classes: int) -> OwnNet | AxesNet:
    """The network for inputs (C, *size) whose axes are no longer than `LARGEST`."""
    if trunk == "residual":
        return AxesNet(shape, classes)
    channels, height, width = shape
    return OwnNet(trunk, (channels, height, width), classes)
