"""Autoencoders that judge: a D whose verdict is how badly it reconstructs a sample (EBGAN, BEGAN).

No batch norm: an energy is to be that of one sample, whatever stands beside it in the batch.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from . import conv, mlp
from .shapes import picture


class AutoEncoder(nn.Module):
    """Samples (N, *shape) to codes (N, code) and back.

    Pictures (C, H, W): DCGAN's convolutions down, a linear layer, and the decoder is a `conv.Generator` of the code
    with layer norm; `width` channels at half size. Vectors (d,): three layers of 8 times `width` each way.
    """

    def __init__(self, shape: tuple[int, ...], width: int, code: int):
        super().__init__()
        mlp.at_least_one(width=width, code=code)
        layers: list[nn.Module] = []
        self.decoder: nn.Module
        if picture(shape):
            sizes = conv.ladder(*shape[1:])
            widths = conv.doubling(width, max(len(sizes) - 1, 1))
            steps = list(pairwise(sizes)) or [(sizes[0], sizes[0])]  # under 8 pixels the convolution keeps the size
            for before, after, (big, small) in zip((shape[0], *widths), widths, steps, strict=False):
                layers += [conv.down(before, after, big, small, bias=False), nn.GroupNorm(1, after), nn.LeakyReLU(0.2)]
            layers += [nn.Flatten(), nn.Linear(widths[-1] * math.prod(sizes[-1]), code)]
            self.decoder = conv.Generator(code, shape, width, norm="layer")
        else:
            ladder = (math.prod(shape), *(8 * width,) * 3)
            for before, after in pairwise(ladder):
                layers += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
            layers.append(nn.Linear(ladder[-1], code))
            self.decoder = mlp.Generator(code, shape, ladder[1:], bounded=False)
        self.encoder = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, *shape) to the reconstructions (N, *shape) and the codes (N, code)."""
        codes = self.encoder(x)
        return self.decoder(codes), codes
