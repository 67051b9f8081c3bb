"""Inception-v3 as the first FID used it, built so that the published weight file loads strictly.

Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016, arXiv:1512.00567, sections 5
and 6 (the blocks); Heusel et al., 2017, arXiv:1706.08500 (its pool3 features for FID); Salimans et al., "Improved
Techniques for Training GANs", 2016, arXiv:1606.03498 (its classes for the Inception score). The network of 2015-12-05
differs from later ones: average pools do not count the padding, the last block pools by maximum, and there are 1008
classes, whose logits are taken without their bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.kinds.image.known import Official, fetch
from ..files import cache_dir
from .encoder import PUBLISHED_INCEPTION, Encoder, placed
from .resize import Resize
from .weights import convert_weights, fill, read_weights

WEIGHTS = Official(
    "pt_inception-2015-12-05-6726825d.pth",
    95628359,
    PUBLISHED_INCEPTION,
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
)

Kernel = int | tuple[int, int]
Layer = tuple[str, int, Kernel]
"""Name, channels out, kernel of one convolution."""


class Conv(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, inputs: int, channels: int, kernel: Kernel, stride: int = 1, padding: Kernel = 0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, channels, H', W')."""
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Branches of convolutions side by side, and a pooled one, joined along the channels in this order."""

    def __init__(
        self,
        inputs: int,
        branches: Sequence[Sequence[Layer]],
        *,
        pool: str,
        pooled: int = 0,
        forks: Sequence[Sequence[Layer]] = (),
    ):
        """`pool`: `average` or `maximum` before `branch_pool` (1x1, to `pooled` channels), or `halve`.

        With `halve` every branch's last convolution has stride 2 and the pooled branch is the bare maximum. `forks`:
        for the last branches, two convolutions that both read the branch's end and are joined.
        """
        super().__init__()
        self.pool = pool
        self.chains: list[list[str]] = []
        self.ends: list[list[str]] = []
        split = [()] * (len(branches) - len(forks)) + list(forks)
        for layers, fork in zip(branches, split, strict=True):
            width = inputs
            for position, (name, channels, kernel) in enumerate(layers):
                halved = pool == "halve" and position == len(layers) - 1
                self.add_module(name, Conv(width, channels, kernel, 2, 0) if halved else _same(width, channels, kernel))
                width = channels
            for name, channels, kernel in fork:
                self.add_module(name, _same(width, channels, kernel))
            self.chains.append([name for name, _, _ in layers])
            self.ends.append([name for name, _, _ in fork])
        if pooled:
            self.branch_pool = Conv(inputs, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, all channels, H, W), or half of H and W."""
        parts = []
        for chain, end in zip(self.chains, self.ends, strict=True):
            y = x
            for name in chain:
                y = self.get_submodule(name)(y)
            parts += [self.get_submodule(name)(y) for name in end] or [y]
        match self.pool:
            case "average":  # the graph divides by the pixels that are there, not by 9
                parts.append(self.branch_pool(F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)))
            case "maximum":
                parts.append(self.branch_pool(F.max_pool2d(x, 3, 1, 1)))
            case _:
                parts.append(F.max_pool2d(x, 3, 2))
        return torch.cat(parts, 1)


def _same(inputs: int, channels: int, kernel: Kernel) -> Conv:
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    return Conv(inputs, channels, kernel, 1, (height // 2, width // 2))


def _a(inputs: int, pooled: int) -> Mixed:
    """At 35x35 (figure 5)."""
    return Mixed(
        inputs,
        [
            [("branch1x1", 64, 1)],
            [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)],
            [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)],
        ],
        pool="average",
        pooled=pooled,
    )


def _b(inputs: int) -> Mixed:
    """35x35 to 17x17 (figure 10)."""
    return Mixed(
        inputs,
        [
            [("branch3x3", 384, 3)],
            [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)],
        ],
        pool="halve",
    )


def _c(inputs: int, width: int) -> Mixed:
    """At 17x17, 7x7 kernels as pairs of 1x7 and 7x1 (figure 6)."""
    return Mixed(
        inputs,
        [
            [("branch1x1", 192, 1)],
            [("branch7x7_1", width, 1), ("branch7x7_2", width, (1, 7)), ("branch7x7_3", 192, (7, 1))],
            [
                ("branch7x7dbl_1", width, 1),
                ("branch7x7dbl_2", width, (7, 1)),
                ("branch7x7dbl_3", width, (1, 7)),
                ("branch7x7dbl_4", width, (7, 1)),
                ("branch7x7dbl_5", 192, (1, 7)),
            ],
        ],
        pool="average",
        pooled=192,
    )


def _d(inputs: int) -> Mixed:
    """17x17 to 8x8."""
    return Mixed(
        inputs,
        [
            [("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3)],
            [
                ("branch7x7x3_1", 192, 1),
                ("branch7x7x3_2", 192, (1, 7)),
                ("branch7x7x3_3", 192, (7, 1)),
                ("branch7x7x3_4", 192, 3),
            ],
        ],
        pool="halve",
    )


def _e(inputs: int, pool: str) -> Mixed:
    """At 8x8, widened at the branches' ends (figure 7)."""
    return Mixed(
        inputs,
        [
            [("branch1x1", 320, 1)],
            [("branch3x3_1", 384, 1)],
            [("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3)],
        ],
        forks=[
            [("branch3x3_2a", 384, (1, 3)), ("branch3x3_2b", 384, (3, 1))],
            [("branch3x3dbl_3a", 384, (1, 3)), ("branch3x3dbl_3b", 384, (3, 1))],
        ],
        pool=pool,
        pooled=192,
    )


class Inception(nn.Module):
    """Pictures (N, 3, 299, 299) in [0, 255] to pool3 (N, 2048) and logits without bias (N, 1008).

    The input becomes (x - centre) / reach.
    """

    def __init__(self, centre: float = 128.0, reach: float = 128.0):
        super().__init__()
        self.centre, self.reach = centre, reach
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, 1, 1)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _a(192, 32), _a(256, 64), _a(288, 64)
        self.Mixed_6a = _b(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (_c(768, width) for width in (128, 160, 160, 192))
        self.Mixed_7a = _d(768)
        self.Mixed_7b, self.Mixed_7c = _e(1280, "average"), _e(2048, "maximum")
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, 299, 299) to (N, 2048) and (N, 1008)."""
        x = (x - self.centre) / self.reach
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        pool3 = x.mean((2, 3))
        return pool3, F.linear(pool3, self.fc.weight)


def inception(
    path: str | Path | None = None,
    *,
    resize: Resize = "tf1-bilinear",
    sha256: str = PUBLISHED_INCEPTION,
    batch_size: int = 32,
    device: str = "cpu",
    progress: bool = True,
) -> Encoder:
    """Inception-v3 of 2015-12-05: pool3 as 2048 features, 1008 classes.

    Args:
        path: `pt_inception-2015-12-05-6726825d.pth`, or a file that `convert_weights` wrote from it. By default the
            converted file in the cache, made of the published one, which is downloaded once (96 MB) and verified.
        resize: to 299x299. `tf1-bilinear` is FID as first published; `torch-bilinear` what its PyTorch port computes,
            with the port's scaling; `pil-bicubic` the antialiased one of "clean" FID. Each names its score.
        sha256: of a `.pth` file. Another one than the published is opened only if you state it here, and then no
            score on it is called FID.
        batch_size: see `Encoder`.
        device: cpu, cuda or cuda:N.
        progress: show the download.

    Raises:
        FileNotFoundError: there is no such file, or it cannot be downloaded.
        ValueError: the file has another sha256, or is not this network; another resize.
    """
    if resize not in ("tf1-bilinear", "torch-bilinear", "pil-bicubic"):
        raise ValueError(f"resize is {resize!r}; inception takes tf1-bilinear, torch-bilinear or pil-bicubic")
    folder = cache_dir() / "encoders"
    source = None if path is None else Path(path)
    if source is None or source.suffix != ".safetensors":
        target = folder / f"inception-{sha256[:16]}.safetensors"
        if source is not None or not target.with_suffix(".json").is_file():
            convert_weights(source or _downloaded(progress), target, accepted=(sha256,))
        source = target
    tensors, digest = read_weights(source)
    centre, reach = (127.5, 127.5) if resize == "torch-bilinear" else (128.0, 128.0)
    with torch.device("meta"):  # no initial weights are drawn only to be overwritten
        net = Inception(centre, reach)
    net = net.to_empty(device="cpu")
    fill(net, tensors, "Inception-v3 in the layout of FID")
    return Encoder(
        name="inception",
        net=placed(net, device),
        shape=(3, 299, 299),
        dim=2048,
        classes=1008,
        sha256=digest,
        resize=resize,
        scaling=f"(x - {centre:g}) / {reach:g}",
        repeats_grey=True,
        batch_size=batch_size,
    )


def _downloaded(progress: bool) -> Path:
    folder = cache_dir() / "downloads" / "inception"
    path = folder / WEIGHTS.name
    if not path.is_file():
        try:
            fetch(WEIGHTS, folder, progress)
        except (OSError, ValueError) as error:
            raise FileNotFoundError(
                f"the Inception weights are not here and could not be fetched ({error}): download {WEIGHTS.url} "
                f"({WEIGHTS.size} bytes, sha256 {WEIGHTS.sha256}) and pass its path, or put it into {folder}; or use "
                "an encoder of your own, which needs no download"
            ) from error
    return path
