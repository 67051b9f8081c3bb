"""An encoder: samples in, features and class probabilities out, the same bits for the same samples every time.

Pictures go in as bytes or floats with their bounds. Samples of any other kind go in as the store holds them; the
encoder carries the codec of the data it was trained on, which turns them into the network's input: what a codec does
with missing values and masks is done before the network sees anything.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import Codec
from .resize import ANTIALIASED, Resize, resized

PUBLISHED_INCEPTION = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""The sha256 of `pt_inception-2015-12-05-6726825d.pth`, the weights of the first FID in PyTorch's layout."""

Channels = Literal["first", "last"]
"""Where the channels of an encoded sample are: (C, T) or (T, C)."""

_BOUNDS: dict[str, tuple[float, float]] = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoder:
    """A fixed network and everything in front of it that decides a score."""

    name: str
    """`own`, `inception`, `cifar-resnet20` ..."""
    net: nn.Module
    """(N, *shape) float32 to (features (N, dim), class logits (N, K)); K is 0 where it cannot classify. Pictures are in
    [0, 255], other samples in the codec's range."""
    shape: tuple[int, ...]
    """(C, *size) that the network takes, after the resize: (C, H, W) of pictures, (C, T) of series and audio, (C, D, H,
    W) of volumes, (C, T, H, W) of clips."""
    dim: int
    """Features a sample."""
    classes: int
    """K: how many classes it tells apart; 0 where it cannot classify."""
    sha256: str
    """Of the weights as their author published them, or as they were trained here."""
    resize: Resize
    """How samples of another size come to `shape`."""
    scaling: str
    """What the network does first to its input, as a formula."""
    repeats_grey: bool = False
    """Grey pictures are given to a colour network three times over; else another number of channels is refused."""
    fits: tuple[int, ...] | None = None
    """The only (C, H, W) of pictures that it takes; None where any size goes through the resize. With a codec the only
    shape of an encoded sample, in the codec's own order of axes."""
    codec: Codec | None = None
    """What encodes stored samples that are not pictures; None of pictures."""
    channels: Channels = "first"
    """Where the codec puts the channels."""
    batch_size: int = 64
    """Samples computed at once. Convolutions choose their algorithm by it, so it moves the last bits."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What is known of the weights: their source, or what training reached."""

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.net.parameters()).device

    def features(self, samples: np.ndarray, bounds: tuple[float, float] | None = None) -> Tensor:
        """Features (N, dim) float32, on the CPU, of pictures (N, H, W, C), or of samples (N, ...) as stores hold them.

        Computed in eval mode, in float32 without TF32, in batches of one size (the last is filled up), so a sample's
        features do not depend on how many others there are.

        Args:
            samples: of pictures uint8, uint16 or floating point, in memory or memory-mapped; of an encoder with a codec
                what that codec encodes.
            bounds: of pictures, the values of black and white. By default (0, 255) for uint8 and (0, 65535) for
                uint16; floats must name theirs.

        Raises:
            ValueError: another rank, dtype, number of channels or size than the encoder takes, values out of bounds, or
                samples that the codec encodes as NaN or infinity.
        """
        return self.outputs(samples, bounds)[0]

    def probabilities(self, samples: np.ndarray, bounds: tuple[float, float] | None = None) -> Tensor:
        """Class probabilities (N, K) float32, on the CPU; rows sum to 1. See `features` for the arguments.

        Raises:
            ValueError: the encoder cannot classify, or see `features`.
        """
        if not self.classes:
            raise ValueError(f"the encoder {self.name} was trained without labels and cannot classify: use another")
        return self.outputs(samples, bounds)[1]

    def outputs(self, samples: np.ndarray, bounds: tuple[float, float] | None = None) -> tuple[Tensor, Tensor]:
        """Features (N, dim) and class probabilities (N, K) in one pass; see `features`."""
        prepare = self._prepare(samples, bounds)
        features, probabilities = torch.empty(len(samples), self.dim), torch.empty(len(samples), self.classes)
        batch = torch.empty(self.batch_size, *self.shape, device=self.device)
        if batch.dim() == 4:
            batch = batch.to(memory_format=torch.channels_last)
        self.net.eval()
        with exact_float32(), torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            for start in range(0, len(samples), self.batch_size):
                x = prepare(np.asarray(samples[start : start + self.batch_size]))
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
            **({} if self.codec is None else {"codec": written(self.codec), "channels": self.channels}),
        }

    def _prepare(self, samples: np.ndarray, bounds: tuple[float, float] | None) -> Callable[[np.ndarray], Tensor]:
        """What turns some of these samples into (n, *shape) float32 on the device, once all of them were looked at."""
        if self.codec is None:
            low, high = self._checked(samples, bounds)
            return lambda rows: self._prepared(rows, low, high)
        if bounds is not None:
            raise ValueError(
                f"bounds are {bounds}; only pictures have any, and the encoder {self.name} takes {self.fits}"
            )
        if not len(samples):
            raise ValueError("there are no samples; there must be one or more")
        assert self.fits is not None
        codec, fits = self.codec, self.fits
        return lambda rows: coded(rows, codec, self.channels, fits, self.shape[1:], self.device)

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
        _, height, width = self.shape
        x = resized(x, (height, width), self.resize)
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


def coded(
    samples: np.ndarray,
    codec: Codec,
    channels: Channels,
    shape: tuple[int, ...],
    size: tuple[int, ...],
    device: torch.device,
) -> Tensor:
    """Stored samples (N, ...) that are no pictures as a network takes them: (N, C, *size) float32 on the device.

    Large ones are encoded a few at a time, so that no more than 2**24 values of them are held before they are reduced.
    See `encoded` for the arguments and errors, `pooled` for the size.
    """
    few = max(1, 2**24 // math.prod(shape))
    parts = (samples[i : i + few] for i in range(0, len(samples), few))
    return torch.cat([pooled(encoded(part, codec, channels, shape), size, device) for part in parts])


def encoded(samples: np.ndarray, codec: Codec, channels: Channels, shape: tuple[int, ...]) -> Tensor:
    """Stored samples (N, ...) through their codec, with channels first: (N, C, *size) float32, on the CPU.

    Args:
        samples: as the store holds them, with whatever marks a missing value there.
        codec: of the data.
        channels: where the codec puts the channels.
        shape: of one encoded sample, as the codec makes it.

    Raises:
        ValueError: the codec makes another shape of them, or NaN or infinity.
    """
    x = codec.encode(torch.from_numpy(np.array(samples))).to(torch.float32)  # a copy: a mapped file cannot be written
    if tuple(x.shape[1:]) != shape:
        raise ValueError(
            f"samples {samples.shape[1:]} are encoded as {tuple(x.shape[1:])}; this encoder takes {shape}: pack "
            "the data as those it was trained on, or train another"
        )
    if not bool(torch.isfinite(x).all()):
        raise ValueError(
            f"the codec {type(codec).__name__} encodes samples as NaN or infinity: fill or mask missing values where "
            "the data is packed or encoded"
        )
    return (x.movedim(-1, 1) if channels == "last" else x).contiguous()


def pooled(x: Tensor, size: tuple[int, ...], device: torch.device) -> Tensor:
    """Encoded samples (N, C, *old) to (N, C, *size) on the device: means over neighbours where an axis was longer."""
    return x.to(device) if tuple(x.shape[2:]) == size else F.interpolate(x.to(device), size, mode="area")


def written(codec: Codec) -> str:
    """A codec as one line of JSON: equal lines, equal codecs."""
    return json.dumps(codec.to_json(), sort_keys=True)


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
