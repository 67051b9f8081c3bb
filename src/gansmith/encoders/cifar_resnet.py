"""The residual networks of CIFAR-10: small, accurate, and at home on 32x32 colour pictures.

Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2016, arXiv:1512.03385, section 4.2
(6n + 2 layers of 16, 32 and 64 channels, shortcuts without parameters: option A). The layout of the published weight
files `resnet20-12fca82f.th` and `resnet56-4bfd9763.th` (Y. Idelbayev; 91.8 and 93.6 % on CIFAR-10's test pictures).
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..files import cache_dir
from .encoder import Encoder, placed
from .weights import convert_weights, fill, read_weights

PUBLISHED = (
    "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8",
    "4bfd97631478d6b638d2764fd2baff3edb1d7d82252d54439343b6596b9b5367",
)
"""sha256 of the published files of 20 and 56 layers."""


class _Block(nn.Module):
    def __init__(self, inputs: int, channels: int):
        super().__init__()
        self.stride = 1 if inputs == channels else 2
        self.conv1 = nn.Conv2d(inputs, channels, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:  # option A: every second pixel, and channels of zeros on both sides
            added = (self.conv2.out_channels - x.shape[1]) // 2
            shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, added, added))
        else:
            shortcut = x
        return F.relu(shortcut + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class CifarResNet(nn.Module):
    """Pictures (N, 3, 32, 32) in [0, 255] to 64 features, the mean over the last 8x8 pixels, and 10 logits."""

    def __init__(self, blocks: int):
        """`blocks`: n of the 6n + 2 layers."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*[_Block(16, 16) for _ in range(blocks)])
        self.layer2 = nn.Sequential(_Block(16, 32), *[_Block(32, 32) for _ in range(blocks - 1)])
        self.layer3 = nn.Sequential(_Block(32, 64), *[_Block(64, 64) for _ in range(blocks - 1)])
        self.linear = nn.Linear(64, 10)
        self.mean: Tensor
        self.deviation: Tensor
        # ImageNet's, with which the published weights were trained.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225])[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, 32, 32) to (N, 64) and (N, 10)."""
        x = F.relu(self.bn1(self.conv1((x / 255 - self.mean) / self.deviation)))
        features = self.layer3(self.layer2(self.layer1(x))).mean((2, 3))
        return features, self.linear(features)


def cifar_resnet(path: str | Path, *, sha256: str | None = None, batch_size: int = 256, device: str = "cpu") -> Encoder:
    """A CIFAR-10 classifier as an encoder of 64 features, for 32x32 colour pictures.

    Args:
        path: `resnet20-12fca82f.th` and the like, or a file that `convert_weights` wrote from one.
        sha256: of the file, where it is none of the two published ones: it is a pickle, and opened only if you say so.
        batch_size: see `Encoder`.
        device: cpu, cuda or cuda:N.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has another sha256, or does not hold such a network.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        accepted = PUBLISHED if sha256 is None else (sha256,)
        target = cache_dir() / "encoders" / f"{path.stem}.safetensors"
        convert_weights(path, target, accepted=accepted)  # again each time: it is quick, and verifies the source
        path = target
    tensors, digest = read_weights(path)
    blocks = len({name.split(".")[1] for name in tensors if name.startswith("layer1.")})
    if not 1 <= blocks <= 200:
        raise ValueError(f"{path} does not hold a CIFAR ResNet: it has {blocks} blocks in layer1")
    name = f"cifar-resnet{6 * blocks + 2}"
    net = CifarResNet(blocks)
    fill(net, tensors, name)
    return Encoder(
        name=name,
        net=placed(net, device),
        shape=(3, 32, 32),
        dim=64,
        classes=10,
        sha256=digest,
        resize="none",
        scaling="(x / 255 - mean) / deviation of ImageNet",
        fits=(3, 32, 32),
        batch_size=batch_size,
    )
