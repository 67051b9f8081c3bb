"""An encoder: pictures in, features and class probabilities out, the same bits for the same pictures every time."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .resize import ANTIALIASED, Resize, resized

PUBLISHED_INCEPTION = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""The sha256 of `pt_inception-2015-12-05-6726825d.pth`, the weights of the first FID in PyTorch's layout."""

_BOUNDS: dict[str, tuple[float, float]] = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoder:
    """A fixed network and everything in front of it that decides a score."""

    name: str
    """`own`, `inception`, `cifar-resnet20` ..."""
    net: nn.Module
    """(N, *shape) float32 in [0, 255] to (features (N, dim), class logits (N, K)); K is 0 where it cannot classify."""
    shape: tuple[int, int, int]
    """(C, H, W) that the network takes, after the resize."""
    dim: int
    """Features a picture."""
    classes: int
    """K: how many classes it tells apart; 0 where it cannot classify."""
    sha256: str
    """Of the weights as their author published them, or as they were trained here."""
    resize: Resize
    """How pictures of another size come to `shape`."""
    scaling: str
    """What the network does first to values in [0, 255], as a formula."""
    repeats_grey: bool = False
    """Grey pictures are given to a colour network three times over; else another number of channels is refused."""
    fits: tuple[int, int, int] | None = None
    """The only (C, H, W) of pictures that it takes; None where any size goes through the resize."""
    batch_size: int = 64
    """Pictures computed at once. Convolutions choose their algorithm by it, so it moves the last bits."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What is known of the weights: their source, or what training reached."""

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.net.parameters()).device

    def features(self, images: np.ndarray, bounds: tuple[float, float] | None = None) -> Tensor:
        """Features (N, dim) float32, on the CPU, of pictures (N, H, W, C).

        Computed in eval mode, in float32 without TF32, in batches of one size (the last is filled up), so a picture's
        features do not depend on how many others there are.

        Args:
            images: uint8, uint16 or floating point, in memory or memory-mapped.
            bounds: the values of black and white. By default (0, 255) for uint8 and (0, 65535) for uint16; floats
                must name theirs.

        Raises:
            ValueError: another rank, dtype, number of channels or size than the encoder takes, or values out of bounds.
        """
        return self.outputs(images, bounds)[0]

    def probabilities(self, images: np.ndarray, bounds: tuple[float, float] | None = None) -> Tensor:
        """Class probabilities (N, K) float32, on the CPU; rows sum to 1. See `features` for the arguments.

        Raises:
            ValueError: the encoder cannot classify, or see `features`.
        """
        if not self.classes:
            raise ValueError(f"the encoder {self.name} was trained without labels and cannot classify: use another")
        return self.outputs(images, bounds)[1]

    def outputs(self, images: np.ndarray, bounds: tuple[float, float] | None = None) -> tuple[Tensor, Tensor]:
        """Features (N, dim) and class probabilities (N, K) in one pass; see `features`."""
        low, high = self._checked(images, bounds)
        features, probabilities = torch.empty(len(images), self.dim), torch.empty(len(images), self.classes)
        batch = torch.empty(self.batch_size, *self.shape, device=self.device)
        batch = batch.to(memory_format=torch.channels_last)
        self.net.eval()
        with exact_float32(), torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            for start in range(0, len(images), self.batch_size):
                x = self._prepared(np.asarray(images[start : start + self.batch_size]), low, high)
                rows = len(x)
                # Always this one tensor: a batch of another length, or of other strides (with one channel both layouts
                # count as contiguous), may take another kernel.
                batch[:rows], batch[rows:] = x, 0
                found, logits = self.net(batch)
                assert found.shape == (self.batch_size, self.dim) and found.dtype == torch.float32
                features[start : start + rows] = found[:rows].cpu()
                probabilities[start : start + rows] = logits[:rows].softmax(1).cpu()
        return features, probabilities

    def protocol(self) -> dict[str, Any]:
        """What of the encoder decides a score: two scores compare only where these agree."""
        return {
            "encoder": self.name,
            "weights_sha256": self.sha256,
            "resize": self.resize,
            "antialias": ANTIALIASED[self.resize],
            "input": list(self.shape),
            "scaling": self.scaling,
            "features": self.dim,
            "dtype": "float32",
            "tf32": False,
            "batch_size": self.batch_size,
            "device": self.device.type,
        }

    def _checked(self, images: np.ndarray, bounds: tuple[float, float] | None) -> tuple[float, float]:
        if images.ndim != 4 or not len(images):
            raise ValueError(f"images have shape {images.shape}; they are (N, H, W, C) with N >= 1")
        known = images.dtype.name in _BOUNDS
        if not known and images.dtype.kind != "f":
            raise ValueError(f"images are {images.dtype}; they are uint8, uint16 or floating point")
        if bounds is None and not known:
            raise ValueError(f"images are {images.dtype}: say what black and white are, as bounds=(-1.0, 1.0)")
        low, high = _BOUNDS[images.dtype.name] if bounds is None else bounds
        if not low < high:
            raise ValueError(f"bounds are ({low}, {high}); the first is less than the second")
        height, width, channels = images.shape[1:]
        if self.fits is not None and (channels, height, width) != self.fits:
            c, h, w = self.fits
            raise ValueError(
                f"images are {height}x{width} with {channels} channels; the encoder {self.name} takes {h}x{w} with "
                f"{c}: pack the data alike, or take another encoder"
            )
        if channels != self.shape[0] and not (self.repeats_grey and channels == 1):
            grey = " (or 1, repeated)" if self.repeats_grey else ""
            raise ValueError(
                f"images have {channels} channels; the encoder {self.name} takes {self.shape[0]}{grey}: convert them"
            )
        return low, high

    def _prepared(self, images: np.ndarray, low: float, high: float) -> Tensor:
        """A batch (n, H, W, C) as (n, *shape) float32 in [0, 255] on the device."""
        x = in_bytes(images, low, high).to(self.device)
        x = resized(x, self.shape[1:], self.resize)
        return x.expand(-1, self.shape[0], -1, -1) if x.shape[1] < self.shape[0] else x


def in_bytes(images: np.ndarray, low: float, high: float) -> Tensor:
    """Pictures (N, H, W, C) with black at `low` and white at `high` as (N, C, H, W) float32 in [0, 255].

    Raises:
        ValueError: values out of bounds, or NaN.
    """
    least, most = float(images.min()), float(images.max())
    if not (least >= low and most <= high):  # also true for NaN
        raise ValueError(
            f"images reach from {least:g} to {most:g}; bounds are {low:g} and {high:g}: clip them, or name others"
        )
    values = images.astype(np.float32)
    if (low, high) != (0.0, 255.0):  # bytes are left as they are, bit for bit
        values = (values - np.float32(low)) * np.float32(255.0 / (high - low))
    return torch.from_numpy(values).permute(0, 3, 1, 2).contiguous()


def score_name(encoder: Encoder) -> str:
    """What a Frechet distance on this encoder's features may be called.

    `FID` with the published Inception weights behind the resize of the paper's graph, and nothing else; the same
    network behind another resize is `FD-inception-<resize>`, any other encoder `FD-<name>`.
    """
    if encoder.name != "inception":
        return f"FD-{encoder.name}"
    if encoder.sha256 != PUBLISHED_INCEPTION:
        return f"FD-inception-{encoder.sha256[:8]}-{encoder.resize}"
    return "FID" if encoder.resize == "tf1-bilinear" else f"FD-inception-{encoder.resize}"


def placed(net: nn.Module, device: str) -> nn.Module:
    """The network as an encoder keeps it: on the device, channels last, in eval mode, its weights fixed."""
    net.to(device)
    for t in (*net.parameters(), *net.buffers()):
        if t.dim() == 4:
            t.data = t.data.contiguous(memory_format=torch.channels_last)
    return net.eval().requires_grad_(False)


@contextlib.contextmanager
def exact_float32() -> Generator[None]:
    """Full float32 products and deterministic algorithms within; the process's settings are restored after it."""
    backends: Any = torch.backends  # their stubs lack what is set here
    places = (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv)
    before = [place.fp32_precision for place in places]
    cudnn = backends.cudnn.deterministic, backends.cudnn.benchmark
    try:
        for place in places:
            place.fp32_precision = "ieee"
        backends.cudnn.deterministic, backends.cudnn.benchmark = True, False
        yield
    finally:
        for place, precision in zip(places, before, strict=True):
            place.fp32_precision = precision
        backends.cudnn.deterministic, backends.cudnn.benchmark = cudnn
