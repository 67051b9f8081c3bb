"""DiffAugment: differentiable augmentation in front of D."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..step.randomness import uniform


class DiffAugment(nn.Module):
    """Colour, translation and cutout of every picture (N, C, H, W), all three of them.

    Source: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020, arXiv:2006.10738:
    brightness, saturation and contrast; shifts by up to 1/8 of the side, filled with 0; a square of half the side is
    set to 0 (mid grey).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] to the same shape; colours may leave the range."""
        height, width = x.shape[2:]
        draws = uniform(x, len(x), 7)[:, :, None, None, None]  # (N, 7, 1, 1, 1): one for each use below
        x = x + (draws[:, 0] - 0.5)
        grey = x.mean(1, keepdim=True)
        x = grey + (x - grey) * (2 * draws[:, 1])
        mean = x.mean((1, 2, 3), keepdim=True)
        x = mean + (x - mean) * (draws[:, 2] + 0.5)
        rows = torch.arange(height, device=x.device).unsqueeze(1)
        columns = torch.arange(width, device=x.device)
        x = self._shift(x, rows, draws[:, 3], 2)
        x = self._shift(x, columns, draws[:, 4], 3)
        inside = self._covered(rows, draws[:, 5]) & self._covered(columns, draws[:, 6])
        return x * ~inside

    @staticmethod
    def _shift(x: Tensor, places: Tensor, draw: Tensor, dim: int) -> Tensor:
        """x moved along a side by up to an eighth of it; what comes in is 0."""
        side = x.shape[dim]
        most = int(side / 8 + 0.5)  # halves go up, as in the authors' code
        source = places - (draw * (2 * most + 1)).floor().clamp(max=most * 2).long() + most
        found = x.gather(dim, source.clamp(0, side - 1).expand(x.shape))
        return found * ((source >= 0) & (source < side))

    @staticmethod
    def _covered(places: Tensor, draw: Tensor) -> Tensor:
        """Which places of a side the square covers; its centre may be any place."""
        side = places.numel()
        size = int(side / 2 + 0.5)
        corner = (draw * (side + 1 - size % 2)).floor().long() - size // 2
        return (places >= corner) & (places < corner + size)
