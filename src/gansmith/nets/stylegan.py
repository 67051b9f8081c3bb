"""The networks of StyleGAN2, for pictures of any size.

Source: Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
arXiv:1812.04948 (mapping network, noise inputs, truncation); "Analyzing and Improving the Image Quality of StyleGAN",
2020, arXiv:1912.04958, section 2.2 and Eq. 1 to 3 (modulation and demodulation), section 4.1 (output skips in G,
residual D, filtered resampling); "Progressive Growing of GANs", 2018, arXiv:1710.10196, section 3 and 4.1 (standard
deviation of the minibatch, weights scaled at run time).

Written from the papers. Convolutions are modulated by scaling their input and demodulated by scaling their output,
which equals Eq. 1 to 3 but is one ordinary convolution for the whole batch. sqrt(2), the gain of a LeakyReLU, is
multiplied into what stands before it (LeakyReLU(a x) = a LeakyReLU(x) for a > 0), which saves a pass over each map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conditional import Labels
from .conv import ladder
from .running import Running

SLOPE = 0.2
GAIN = math.sqrt(2)
Size = tuple[int, int]


def channels_of(width: int, max_width: int, stages: int) -> list[int]:
    """Channels of each stage from the finest on: doubled at every halving, at most `max_width`."""
    return [min(width * 2**i, max_width) for i in range(stages)]


def _full(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


class Linear(nn.Module):
    """A linear layer with equalised learning rate, always in float32: (N, in) to (N, out).

    Weights are N(0, 1) / `multiplier` and scaled by multiplier / sqrt(in) when used, so Adam moves every layer by the
    same share of its range, `multiplier` times slower. `active`: LeakyReLU with gain sqrt(2) follows.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, multiplier: float = 1.0, active: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / multiplier))
        self.multiplier, self.active = multiplier, active
        self.scale = multiplier / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) to (N, out)."""
        with torch.autocast(x.device.type, enabled=False):
            gain = GAIN if self.active else 1.0
            y = F.linear(_full(x), self.weight * (self.scale * gain), self.bias * (self.multiplier * gain))
            return F.leaky_relu(y, SLOPE) if self.active else y


class Filter(nn.Module):
    """The low-pass filter [1, 3, 3, 1] along each side that is resampled between `big` and `small`: one depthwise pass.

    `up` inserts zeros and smooths (a constant keeps its value), `down` smooths and takes every second pixel, `blur`
    smooths what a strided convolution is about to take or has just made. A side of odd length has one more row.
    """

    taps: Tensor

    def __init__(self, big: Size, small: Size):
        super().__init__()
        self.halved = [b != s for b, s in zip(big, small, strict=True)]
        self.stride = (1 + self.halved[0], 1 + self.halved[1])
        self.odd = (big[0] % 2 * self.halved[0], big[1] % 2 * self.halved[1])
        sides = [torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8 if h else torch.ones(1) for h in self.halved]
        self.register_buffer("taps", torch.outer(*sides)[None, None], persistent=False)
        self.pad = (int(self.halved[0]), int(self.halved[1]))

    def _kernel(self, x: Tensor, gain: float) -> Tensor:
        return (self.taps * gain).to(x.dtype).expand(x.shape[1], 1, -1, -1)

    def up(self, x: Tensor) -> Tensor:
        """(N, C, *small) to (N, C, *big)."""
        kernel = self._kernel(x, math.prod(self.stride))
        return F.conv_transpose2d(x, kernel, None, self.stride, self.pad, self.odd, groups=x.shape[1])

    def down(self, x: Tensor) -> Tensor:
        """(N, C, *big) to (N, C, *small)."""
        return F.conv2d(x, self._kernel(x, 1.0), None, self.stride, self.pad, groups=x.shape[1])

    def blur(self, x: Tensor, gain: float, pad: int) -> Tensor:
        """(N, C, H, W) to (N, C, H + 2 pad - 3, W + 2 pad - 3); a side that is not resampled keeps its length."""
        padding = (pad * self.halved[0], pad * self.halved[1])
        return F.conv2d(x, self._kernel(x, gain), None, 1, padding, groups=x.shape[1])


class Modulated(nn.Module):
    """A convolution whose input channels are scaled by a style, and whose output is brought back to unit variance.

    Karras et al., 2020, Eq. 1 to 3, with the weights shared by the batch: the input is scaled instead of the weights,
    and the output is divided by what the norm of the scaled weights would be. From (N, C, *small) to (N, out, *big),
    which is filtered if it is larger.
    """

    def __init__(self, channels: int, out: int, kernel: int, w_dim: int, small: Size, big: Size, demodulate: bool):
        super().__init__()
        self.affine = Linear(w_dim, channels, bias=1.0)
        self.weight = nn.Parameter(torch.randn(out, channels, kernel, kernel))
        self.scale, self.kernel, self.demodulate = 1 / math.sqrt(channels * kernel**2), kernel, demodulate
        self.filter = Filter(big, small) if big != small else None

    def forward(self, x: Tensor, w: Tensor, gain: float = 1.0) -> Tensor:
        """Maps (N, C, *small) and styles (N, w_dim) to (N, out, *big), times `gain`."""
        style = self.affine(w)
        with torch.autocast(x.device.type, enabled=False):  # sums of squares need all their digits
            weight = self.weight * self.scale
            if self.demodulate:
                energy = style.square() @ weight.square().sum((2, 3)).T
                after = gain * torch.rsqrt(energy + 1e-8)
        x = self._convolve(x * style.to(x.dtype)[:, :, None, None], weight)
        return x * after.to(x.dtype)[:, :, None, None] if self.demodulate else x

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.filter is None:
            return F.conv2d(x, weight, None, 1, self.kernel // 2)
        f = self.filter
        keep = (1 - f.pad[0], 1 - f.pad[1])  # a side that is not doubled is padded as usual
        x = F.conv_transpose2d(x, weight.transpose(0, 1), None, f.stride, keep, f.odd)
        return f.blur(x, math.prod(f.stride), 1)


class Styled(nn.Module):
    """A modulated 3x3 convolution, noise of learned strength, bias, LeakyReLU."""

    def __init__(self, channels: int, out: int, w_dim: int, small: Size, big: Size):
        super().__init__()
        self.conv = Modulated(channels, out, 3, w_dim, small, big, demodulate=True)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """Maps (N, C, *small), styles (N, w_dim), noise (N or 1, 1, *big) to (N, out, *big)."""
        x = self.conv(x, w, GAIN) + (self.bias * GAIN).to(x.dtype)[:, None, None]
        return F.leaky_relu(x + (noise * (self.strength * GAIN)).to(x.dtype), SLOPE)


class Mapping(nn.Module):
    """Noise (N, z_dim), and labels (N,) where there are classes, to styles (N, z_dim). It learns 100 times slower.

    `share`: how often each class occurs, empty where there are none. Labels may be draws in [0, 1), as `Labels` takes.
    """

    def __init__(self, z_dim: int, layers: int, share: Sequence[float]):
        super().__init__()
        self.classes = classes = len(share)
        self.labels = Labels(share)
        self.label = Linear(classes, z_dim) if classes else None
        widths = [z_dim * (2 if classes else 1), *[z_dim] * layers]
        self.layers = nn.Sequential(*[Linear(a, b, multiplier=0.01, active=True) for a, b in pairwise(widths)])

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """(N, z_dim) and (N,) to (N, z_dim)."""
        z = _unit(z)
        if self.label is not None:
            assert y is not None, "a conditional generator needs labels"
            z = torch.cat((z, _unit(self.label(F.one_hot(self.labels(y), self.classes).to(z.dtype)))), 1)
        return self.layers(z)


def _unit(x: Tensor) -> Tensor:
    """Each row scaled to a mean square of 1."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class Generator(nn.Module):
    """Noise (N, z_dim) to pictures (N, C, H, W), not bounded.

    `width`: channels at the picture's own size, doubled at every halving up to `max_width`. The smallest map, 4 to 7
    pixels a side (see `ladder`), is a learned constant. `styles`: how many layers take a style of their own.
    `noise_size`: how many values of noise a picture takes.
    """

    fixed_noise: Tensor

    def __init__(
        self,
        z_dim: int,
        shape: tuple[int, ...],
        width: int,
        max_width: int,
        mapping_layers: int,
        share: Sequence[float] = (),
    ):
        super().__init__()
        sizes = ladder(shape[1], shape[2])
        widths = channels_of(width, max_width, len(sizes))
        self.mapping = Mapping(z_dim, mapping_layers, share)
        self.centre = Running(z_dim, half_life=9_000)  # of the styles; 0.995 a batch of 64, as in the paper
        self.constant = nn.Parameter(torch.randn(widths[-1], *sizes[-1]))
        self.layers, self.colours = nn.ModuleList(), nn.ModuleList()
        self.biases, self.resample = nn.ParameterList(), nn.ModuleList()
        self._maps: list[Size] = []
        small, before = sizes[-1], widths[-1]
        for size, now in zip(sizes[::-1], widths[::-1], strict=True):
            if size != small:
                self.layers.append(Styled(before, now, z_dim, small, size))
                self.resample.append(Filter(size, small))
                self._maps.append(size)
            self.layers.append(Styled(now, now, z_dim, size, size))
            self._maps.append(size)
            self.colours.append(Modulated(now, shape[0], 1, z_dim, size, size, demodulate=False))
            self.biases.append(nn.Parameter(torch.zeros(shape[0])))
            small, before = size, now
        self.styles = len(self.layers) + 1
        self.noise_size = sum(h * w for h, w in self._maps)
        self.register_buffer("fixed_noise", torch.randn(1, self.noise_size))

    def forward(self, z: Tensor, y: Tensor | None = None, noise: Tensor | None = None, psi: Tensor | None = None):
        """Noise (N, z_dim), labels (N,), noise of the maps (N, noise_size), truncation psi (N,) to (N, C, H, W).

        Without `noise` the maps get the same fixed noise at every call; without `psi` nothing is truncated.
        """
        w = self.mapping(z, y)
        if psi is not None:
            w = self.truncate(w, psi)
        return self.synthesis(w[:, None].expand(-1, self.styles, -1), noise)

    def truncate(self, w: Tensor, psi: Tensor) -> Tensor:
        """Styles (N, z_dim) drawn towards their centre by psi (N,): fewer odd pictures, less variety below 1."""
        return torch.lerp(self.centre.mean.expand_as(w), w, psi.to(w)[:, None].expand_as(w))

    def synthesis(self, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """A style for each layer (N, styles, z_dim) and noise (N, noise_size) to pictures (N, C, H, W)."""
        maps = (self.fixed_noise if noise is None else noise).split([h * w for h, w in self._maps], 1)
        planes = [m.unflatten(1, (1, *size)) for m, size in zip(maps, self._maps, strict=True)]
        x = self.layers[0](self.constant.expand(w.shape[0], -1, -1, -1), w[:, 0], planes[0])
        picture = self._colour(0, x, w[:, 1])
        for i, filter_ in enumerate(self.resample, 1):
            x = self.layers[2 * i - 1](x, w[:, 2 * i - 1], planes[2 * i - 1])
            x = self.layers[2 * i](x, w[:, 2 * i], planes[2 * i])
            assert isinstance(filter_, Filter)
            picture = filter_.up(picture) + self._colour(i, x, w[:, 2 * i + 1])
        return picture

    def _colour(self, i: int, x: Tensor, w: Tensor) -> Tensor:
        return _full(self.colours[i](x, w)) + self.biases[i][:, None, None]


def minibatch_deviation(x: Tensor, group: int) -> Tensor:
    """One more channel (N, 1, H, W): the standard deviation within groups of neighbouring rows, averaged over a map.

    Karras et al., 2018, section 3. Each group is `group` consecutive rows, so that micro-batches and ranks whose rows
    are a multiple of it form the groups that the whole batch would; other batches are split as evenly as can be.
    """
    n = len(x)
    groups = -(-n // group)
    x = _full(x)
    if n % groups == 0:
        values = _deviation(x.unflatten(0, (groups, n // groups))).repeat_interleave(n // groups, output_size=n)
    else:
        values = torch.cat([_deviation(part[None]).expand(len(part)) for part in x.tensor_split(groups)])
    return values[:, None, None, None].expand(-1, 1, *x.shape[2:])


def _deviation(x: Tensor) -> Tensor:
    """(groups, rows, C, H, W) to (groups,). The small number keeps the root's slope finite where all rows agree."""
    return (x - x.mean(1, keepdim=True)).square().mean(1).add(1e-8).sqrt().mean((1, 2, 3))


class Conv(nn.Module):
    """A convolution with equalised learning rate: `gain` is multiplied into it; LeakyReLU follows unless `plain`."""

    def __init__(self, channels: int, out: int, kernel: int, gain: float = GAIN, plain: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, channels, kernel, kernel))
        self.bias = None if plain else nn.Parameter(torch.zeros(out))
        self.gain, self.scale = gain, gain / math.sqrt(channels * kernel**2)

    def forward(self, x: Tensor, stride: tuple[int, int] = (1, 1), pad: tuple[int, int] = (0, 0)) -> Tensor:
        """(N, C, H, W) to (N, out, ...)."""
        if self.bias is None:
            return F.conv2d(x, self.weight * self.scale, None, stride, pad)
        return F.leaky_relu(F.conv2d(x, self.weight * self.scale, self.bias * self.gain, stride, pad), SLOPE)


class Block(nn.Module):
    """Two convolutions, the second of which halves the map after filtering; with a filtered skip if `residual`."""

    def __init__(self, channels: int, out: int, big: Size, small: Size, residual: bool):
        super().__init__()
        self.filter = Filter(big, small)
        self.first = Conv(channels, channels, 3)
        # The sum of two branches is divided by sqrt(2), which undoes the gain of the second one.
        self.second = Conv(channels, out, 3, 1.0 if residual else GAIN)
        self.skip = Conv(channels, out, 1, math.sqrt(0.5), plain=True) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, *big) to (N, out, *small)."""
        f = self.filter
        y = f.blur(self.first(x, pad=(1, 1)), 1.0, 2)
        y = self.second(y, f.stride, (1 - f.pad[0], 1 - f.pad[1]))
        return y if self.skip is None else y + self.skip(f.down(x))


class Discriminator(nn.Module):
    """Pictures (N, C, H, W), and labels (N,) where there are `classes`, to scores (N,), float32.

    `group`: rows whose standard deviation D is shown, see `minibatch_deviation`; 1 shows none, and samples do not mix.
    """

    def __init__(
        self, shape: tuple[int, ...], width: int, max_width: int, group: int, residual: bool = True, classes: int = 0
    ):
        super().__init__()
        sizes = ladder(shape[1], shape[2])
        widths = channels_of(width, max_width, len(sizes))
        self.group = group
        self.first = Conv(shape[0], widths[0], 1)
        pairs = zip(pairwise(widths), pairwise(sizes), strict=True)
        self.blocks = nn.Sequential(*[Block(a, b, big, small, residual) for (a, b), (big, small) in pairs])
        last = widths[-1]
        self.mix = Conv(last + (group > 1), last, 3)
        outputs = last if classes else 1
        self.head = nn.Sequential(
            nn.Flatten(), Linear(last * math.prod(sizes[-1]), last, active=True), Linear(last, outputs)
        )
        self.label = Linear(classes, outputs) if classes else None
        self.classes = classes

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(N, C, H, W) and (N,) int64 to (N,)."""
        x = self.blocks(self.first(x))
        if self.group > 1:
            x = torch.cat((x, minibatch_deviation(x, self.group).to(x.dtype)), 1)
        scores = self.head(self.mix(x, pad=(1, 1)))  # `Linear` is float32, see mlp.Head for why
        if self.label is None:
            return scores[:, 0]
        assert y is not None, "a conditional discriminator needs labels"
        # Miyato & Koyama, "cGANs with Projection Discriminator", 2018, arXiv:1802.05637.
        label = _unit(self.label(F.one_hot(y, self.classes).to(scores.dtype)))
        return (scores * label).sum(1) / math.sqrt(scores.shape[1])
