"""Augmentations that stand in front of D: they keep it from learning a small data set by heart.

Both real and generated pictures pass through, whenever D is shown them, and gradients flow back to G. All random draws
are the step's own (`uniform`, `normal`), so runs resume to the bit and ranks agree; nothing waits for the device.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nets.running import Running
from ..step.randomness import normal, uniform

# The low-pass filter of the wavelet sym6 (Daubechies, "Ten Lectures on Wavelets", 1992, section 8.1.1), 12 taps:
# orthogonal to its own shifts by 2, so doubling with it and halving again is the identity.
SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
CENTRE = sum(i * t for i, t in enumerate(SYM6)) / sum(SYM6)
"""Where the filter has its centre: pixel i of a picture lies at 2 i + CENTRE of the doubled one."""


class ADA(nn.Module):
    """Adaptive discriminator augmentation: each of many changes is made to a picture with probability p.

    Source: Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, arXiv:2006.06676, Eq. 1
    (r_t, the mean sign of D's scores of real pictures), section 3 (p follows it), appendix B (the changes and their
    ranges): pixel blitting, geometric and colour changes, the paper's default set. Image-space filtering, noise and
    cutout, which are not in it, are left out.
    Differs from the paper: r_t is a mean that forgets half in 256 images instead of one over 4 batches of 64, so p is
    adjusted at every step; quarter turns only where height equals width; the border is mirrored by the coordinates.

    p is a buffer: saved with every checkpoint and continued at resume.
    """

    p: Tensor
    excess: Tensor
    drift: Tensor

    def __init__(self, shape: tuple[int, ...], target: float, images: float):
        """For pictures of this shape (C, H, W). `target`: of r_t. `images`: that p takes at least from 0 to 1."""
        super().__init__()
        self.shape, self.target, self.images = shape, target, images
        self.sign = Running(half_life=256)
        self.warp = Warp(*shape[1:])
        self.register_buffer("p", torch.zeros(()))
        self.register_buffer("excess", torch.zeros(()))  # r_t - target: how much D overfits, for whoever looks
        self.register_buffer("drift", torch.zeros(()))  # how p is moving, per image

    @torch.no_grad()
    def adjust(self, images: Tensor) -> None:
        """Begin a step at so many images shown: p goes up if D was too sure of real pictures, down otherwise."""
        passed = self.sign.advance(images)
        self.excess.copy_(self.sign.mean - self.target)
        self.drift.copy_(self.excess.sign() / self.images)
        self.p.add_(self.drift * passed).clamp_(0, 1)

    def observe(self, scores: Tensor) -> None:
        """Take in D's scores (N,) of (augmented) real pictures; they count at the next step."""
        self.sign.add(scores.sign())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape; a picture that nothing was drawn for comes back as it is, to the bit."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
            matrix, moved = self.geometry(uniform(x, len(x), 14), normal(x.new_empty(len(x), 4)))
            x = torch.where(moved[:, None, None, None], self.warp(x, matrix), x)
            colours, offset, changed = self.colours(uniform(x, len(x), 7), normal(x.new_empty(len(x), 3)))
            mixed = (colours @ x.flatten(2) + offset[:, None, None]).view_as(x)
            return torch.where(changed[:, None, None, None], mixed, x)

    def geometry(self, draws: Tensor, bell: Tensor) -> tuple[Tensor, Tensor]:
        """Maps from where a pixel of the result is to where it comes from, (N, 3, 3), and whose picture moves (N,).

        `draws` (N, 14) are uniform: whether each of the eight changes is made, then their values; `bell` (N, 4) is
        normal. Coordinates are pixels from the centre, x to the right and y down.
        """
        _, height, width = self.shape
        p = self.p
        either = 1 - (1 - p).clamp_min(0).sqrt()  # a picture is turned before or after stretching, or both, with p
        on = draws[:, :8] < torch.stack((p, p, p, p, either, p, either, p))
        one, zero = torch.ones_like(draws[:, 0]), torch.zeros_like(draws[:, 0])
        signed = draws[:, 8:] * 2 - 1
        # A quarter turn would not fit a picture that is not square, a half turn does.
        turns = (draws[:, 9] * 4).floor() if height == width else (draws[:, 9] * 2).floor() * 2
        flip = torch.where(on[:, 0], torch.where(signed[:, 0] < 0, -one, one), one)
        quarter = torch.where(on[:, 1], turns * (math.pi / 2), zero)
        blit_x = torch.where(on[:, 2], (signed[:, 2] * (0.125 * width)).round(), zero)
        blit_y = torch.where(on[:, 2], (signed[:, 3] * (0.125 * height)).round(), zero)
        scale = torch.where(on[:, 3], torch.exp2(0.2 * bell[:, 0]), one)
        before = torch.where(on[:, 4], signed[:, 4] * math.pi, zero)
        stretch = torch.where(on[:, 5], torch.exp2(0.2 * bell[:, 1]), one)
        after = torch.where(on[:, 6], signed[:, 5] * math.pi, zero)
        shift_x = torch.where(on[:, 7], bell[:, 2] * (0.125 * width), zero)
        shift_y = torch.where(on[:, 7], bell[:, 3] * (0.125 * height), zero)
        # Each factor undoes one change; in the order in which they are made, the product undoes the last one first.
        matrix = _scaling(flip, one) @ _rotation(quarter) @ _translation(blit_x, blit_y)
        matrix = matrix @ _scaling(scale, scale) @ _rotation(before) @ _scaling(stretch, 1 / stretch)
        return matrix @ _rotation(after) @ _translation(shift_x, shift_y), on.any(1)

    def colours(self, draws: Tensor, bell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Matrices (N, C, C) and offsets (N,) of the colours, and whose picture changes (N,).

        `draws` (N, 7) are uniform: whether each of the five changes is made, then two values; `bell` (N, 3) is normal.
        Grey means equal values in all channels, whatever their number; hue is turned if there are three.
        """
        channels = self.shape[0]
        on = draws[:, :5] < self.p
        one, zero = torch.ones_like(draws[:, 0]), torch.zeros_like(draws[:, 0])
        brightness = torch.where(on[:, 0], 0.2 * bell[:, 0], zero)
        contrast = torch.where(on[:, 1], torch.exp2(0.5 * bell[:, 1]), one)
        mirror = torch.where(on[:, 2] & (draws[:, 5] < 0.5), one, zero)
        eye = torch.eye(channels, device=draws.device, dtype=draws.dtype)
        grey = torch.full_like(eye, 1 / channels)  # the projection onto grey
        matrix = contrast[:, None, None] * (eye - 2 * mirror[:, None, None] * grey)
        offset = brightness * contrast * (1 - 2 * mirror)
        if channels == 3:
            angle = torch.where(on[:, 3], (draws[:, 6] * 2 - 1) * math.pi, zero)[:, None, None]
            cyclic = eye.roll(1, 0) - eye.roll(1, 1)  # the cross product with (1, 1, 1)
            turn = eye * angle.cos() + grey * (1 - angle.cos()) + cyclic * (angle.sin() / math.sqrt(3))
            matrix = turn @ matrix
        if channels > 1:
            saturation = torch.where(on[:, 4], torch.exp2(bell[:, 2]), one)[:, None, None]
            matrix = (eye * saturation + grey * (1 - saturation)) @ matrix
        return matrix, offset, on.any(1)


def _matrix(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([[x, zero, zero], [zero, y, zero], [zero, zero, one]])


def _translation(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([[one, zero, x], [zero, one, y], [zero, zero, one]])


def _rotation(angle: Tensor) -> Tensor:
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    return _matrix([[angle.cos(), -angle.sin(), zero], [angle.sin(), angle.cos(), zero], [zero, zero, one]])


_MARGIN = len(SYM6) // 2 + 1
"""Pixels by which a picture is mirrored on each side before it is doubled."""
_NEAR = 3
"""Pixels beyond the border that the doubled picture still holds in full."""


class Warp(nn.Module):
    """Pictures (N, C, H, W) with each pixel taken from elsewhere, mirrored beyond the border.

    The picture is doubled with the wavelet's filter, sampled between its pixels, and halved with the same filter
    (Karras et al., 2020, arXiv:2006.06676, appendix B), so that no detail is folded into coarser ones. Doubling and
    halving are products with small matrices, which know the border.
    """

    double_rows: Tensor
    double_columns: Tensor
    halve_rows: Tensor
    halve_columns: Tensor
    places: Tensor

    def __init__(self, height: int, width: int):
        super().__init__()
        self.size = (height, width)
        constants = {
            "double_rows": _doubling(height),
            "double_columns": _doubling(width).T,
            "halve_rows": _halving(height),
            "halve_columns": _halving(width).T,
            "places": torch.stack(torch.meshgrid(_places(width), _places(height), indexing="xy")),
        }
        for name, constant in constants.items():
            self.register_buffer(name, constant.float().contiguous(), persistent=False)

    def forward(self, x: Tensor, matrix: Tensor) -> Tensor:
        """Each pixel of the result comes from where `matrix` (N, 3, 3) sends it, in pixels from the centre."""
        height, width = self.size
        big = self.double_rows @ (x @ self.double_columns)
        at = (matrix[:, :2, :2] @ self.places.flatten(1) + matrix[:, :2, 2:]).unflatten(2, self.places.shape[1:])
        found = sample(big, _index(at[:, 0], width), _index(at[:, 1], height))
        return self.halve_rows @ (found @ self.halve_columns)


def _mirrored(places: Tensor, side: int) -> Tensor:
    """Places along a side, pixel i at i, those outside mirrored at the edges -1/2 and side - 1/2."""
    folded = torch.remainder(places + 0.5, 2 * side)
    return torch.minimum(folded, 2 * side - folded) - 0.5


def _doubling(side: int) -> Tensor:
    """The matrix (2 (side + 2 _MARGIN), side) that doubles a side; see `_index` for where its rows lie."""
    taps = torch.tensor(SYM6, dtype=torch.float64) * math.sqrt(2)
    long = side + 2 * _MARGIN
    matrix = torch.zeros(2 * long + len(SYM6), long, dtype=torch.float64)
    for i in range(long):
        matrix[2 * i : 2 * i + len(SYM6), i] = taps
    source = _mirrored(torch.arange(long, dtype=torch.float64) - _MARGIN, side).round().long()
    return torch.zeros(2 * long, side, dtype=torch.float64).index_add_(1, source, matrix[: 2 * long])


def _halving(side: int) -> Tensor:
    """The matrix (side, 2 side + 10) that halves what was sampled at `_places`."""
    taps = torch.tensor(SYM6, dtype=torch.float64) * math.sqrt(0.5)
    matrix = torch.zeros(side, 2 * side + len(SYM6) - 2, dtype=torch.float64)
    for i in range(side):
        matrix[i, 2 * i : 2 * i + len(SYM6)] = taps
    return matrix


def _places(side: int) -> Tensor:
    """Where the samples that `_halving` takes lie, in pixels from the centre."""
    k = torch.arange(2 * side + len(SYM6) - 2, dtype=torch.float64)
    return (k - CENTRE) / 2 - (side - 1) / 2


def _index(places: Tensor, side: int) -> Tensor:
    """Pixels from the centre to rows of what `_doubling` makes.

    Places near the border are in it as they are; mirroring them would not give the same, as the filter is not even.
    """
    i = places + (side - 1) / 2
    near = (i + 0.5 > -_NEAR) & (i + 0.5 < side + _NEAR)
    return 2 * torch.where(near, i, _mirrored(i, side)) + CENTRE + 2 * _MARGIN


def sample(x: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """x (N, C, H, W) between its pixels, bilinearly, at columns and rows (N, H', W') that lie inside: (N, C, H', W').

    On a GPU by indexing, whose gradient is summed in a fixed order; that of `grid_sample` depends on the order of
    threads there, and a resumed run would not be bit-equal.
    """
    height, width = x.shape[2:]
    if x.device.type == "cpu":
        grid = torch.stack(((2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1), -1)
        return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sample_by_index(x, columns, rows)


def sample_by_index(x: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """`sample`, by four lookups."""
    n, channels, height, width = x.shape
    left, top = columns.floor(), rows.floor()
    across, down = (columns - left)[..., None], (rows - top)[..., None]
    flat = x.permute(0, 2, 3, 1).reshape(-1, channels)
    first = torch.arange(n, device=x.device)[:, None, None] * (height * width)

    def corner(dx: int, dy: int) -> Tensor:
        column = (left.long() + dx).clamp(0, width - 1)
        return flat[first + (top.long() + dy).clamp(0, height - 1) * width + column]

    upper = torch.lerp(corner(0, 0), corner(1, 0), across)
    lower = torch.lerp(corner(0, 1), corner(1, 1), across)
    return torch.lerp(upper, lower, down).permute(0, 3, 1, 2)
