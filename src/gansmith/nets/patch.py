"""PatchGAN: a discriminator that judges overlapping patches of a picture, not the picture.

Source: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv:1611.07004,
section 3.2.2 and 6.1.2: C64-C128-C256-C512 of kernel 4, stride 2 but for the last two layers, LeakyReLU 0.2, no norm in
the first layer, weights from N(0, 0.02); three strided layers see 70 x 70 pixels.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from .conv import doubling

PatchNorm = Literal["instance", "batch", "none"]


def norm_of(norm: PatchNorm, channels: int) -> nn.Module:
    """The norm layer over maps of so many channels; instance norm has neither weights nor running statistics."""
    match norm:
        case "instance":
            return nn.InstanceNorm2d(channels)
        case "batch":
            return nn.BatchNorm2d(channels)
        case "none":
            return nn.Identity()
    raise ValueError(f"norm is {norm!r}; it must be instance, batch or none")


def initialise(net: nn.Module) -> None:
    """Weights from N(0, 0.02), biases 0, those of batch norm from N(1, 0.02)."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)


def receptive_field(strided: int) -> int:
    """Pixels a side that one score sees, by the number of strided layers: 7, 16, 34, 70, 142 ..."""
    field = 1
    for stride in (1, 1, *(2,) * strided):  # from the score back
        field = (field - 1) * stride + 4
    return field


def fitting(shape: tuple[int, ...], strided: int) -> int:
    """How many strided layers a picture of that shape has room for, at most `strided`.

    Raises `ValueError` for pictures under 3 pixels.
    """
    if min(shape[1:]) < 3:
        raise ValueError(f"pictures are {shape[1]}x{shape[2]}; a PatchGAN needs 3 pixels a side: pass --size")
    return next(n for n in range(strided, -1, -1) if min(shape[1:]) // 2**n >= 3)


class PatchGAN(nn.Module):
    """Pictures (N, C, H, W) to scores (N, h, w), one for each of the overlapping patches.

    `strided`: layers of stride 2 (3 for 70 x 70 pixels); fewer on pictures that are too small to hold one patch.
    `width`: channels of the first layer, doubled at each up to 8 times.
    """

    def __init__(self, shape: tuple[int, ...], width: int, strided: int = 3, norm: PatchNorm = "instance"):
        super().__init__()
        strided = fitting(shape, strided)
        widths = doubling(width, strided + 1)
        layers: list[nn.Module] = []
        before = shape[0]
        for i, after in enumerate(widths):
            plain = i == 0 or norm == "none"
            layers.append(nn.Conv2d(before, after, 4, 2 if i < strided else 1, 1, bias=plain))
            layers += [*([] if plain else [norm_of(norm, after)]), nn.LeakyReLU(0.2)]
            before = after
        self.layers = nn.Sequential(*layers)
        self.head = nn.Conv2d(before, 1, 4, 1, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, h, w), in float32 or more."""
        features = self.layers(x)
        with torch.autocast(features.device.type, enabled=False):  # scores of bfloat16 keep three digits
            full = features.float() if features.dtype == torch.bfloat16 else features
            return self.head(full)[:, 0]
