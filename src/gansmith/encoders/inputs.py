"""What an encoder of one's own is given of a store's rows: pictures as bytes, everything else through its codec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from ..data import Codec, ImageCodec, Store
from .changes import changed, shaken
from .encoder import Channels, coded, in_bytes, written
from .resize import resized
from .trunks import LARGEST, Trunk


class Change(Protocol):
    """A small change of samples (N, C, *size); `paint` asks for more than a change of place."""

    def __call__(self, x: Tensor, random: torch.Generator, strength: float, *, paint: bool = False) -> Tensor:
        """The changed samples; the given ones stay as they are."""
        ...


@dataclass(frozen=True, kw_only=True)
class Input:
    """How rows of one store become the input of one network."""

    noun: str
    """What a sample is called in notes and errors: `picture` or `sample`."""
    trunk: Trunk
    shape: tuple[int, ...]
    """(C, *size) of what the network takes."""
    read: Callable[[np.ndarray, torch.device], Tensor]
    """Stored rows (n, ...) as (n, *shape) float32 on the device."""
    change: Callable[[Tensor], Change]
    """The small changes, given the deviation (1, C, 1, ...) of each channel over the data."""
    settings: dict[str, Any]
    """What of it decides the weights, beside the store: part of the name in the cache. Empty for pictures."""
    record: dict[str, Any]
    """What `load_own` needs to know of it."""


def input_of(store: Store, channels: Literal["auto", "first", "last"] = "auto") -> Input:
    """How an encoder looks at the rows of a store.

    Args:
        store: of pictures, or of anything else whose codec gives float samples of channels and one to three axes.
        channels: where the channels of an encoded sample are. By default they come first, except in a sample of two
            axes, (T, W) of a series; unless its codec says `channels_last`, which means that it stores them last and
            encodes them first, (C, T) of audio.

    Raises:
        ValueError: there are no such samples in it.
    """
    codec, shape = store.spec.codec, tuple(store.spec.shape)
    if store.spec.parts:
        raise ValueError(f"{store.source} holds {store.spec.kind}; an encoder looks at one set: name one part of it")
    if isinstance(codec, ImageCodec):
        if channels == "last":
            raise ValueError(f"{store.source} holds pictures, which are encoded with channels first: leave it at auto")
        return _pictures(codec, shape)
    if len(shape) < 2:
        raise ValueError(
            f"{store.source} holds samples of shape {shape}, vectors; they are their own features: score them without "
            "an encoder"
        )
    if len(shape) > 4:
        raise ValueError(f"{store.source} holds samples of shape {shape}; an encoder takes channels and 1 to 3 axes")
    if channels == "auto":
        # A codec that says nothing of its channels encodes samples in the order in which they are stored.
        channels = "last" if len(shape) == 2 and not getattr(codec, "channels_last", False) else "first"
    return _coded(codec, shape, channels)


def _pictures(codec: ImageCodec, shape: tuple[int, ...]) -> Input:
    channels, height, width = shape
    shrink = max(1.0, max(height, width) / LARGEST[2])
    size = (max(1, round(height / shrink)), max(1, round(width / shrink)))

    def read(rows: np.ndarray, device: torch.device) -> Tensor:
        x = in_bytes(rows, codec.low, codec.high).to(device)
        return resized(x, size, "area").contiguous(memory_format=torch.channels_last)

    return Input(
        noun="picture",
        trunk="lenet" if channels == 1 and max(size) <= 32 else "resnet",
        shape=(channels, *size),
        read=read,
        change=lambda _: changed,
        settings={},
        record={"pictures": [channels, height, width]},
    )


def taken_of(shape: Sequence[int], channels: Channels) -> tuple[int, ...]:
    """(C, *size) of what a network takes of encoded samples of this shape: channels first, long axes reduced."""
    count, *long = shape if channels == "first" else (shape[-1], *shape[:-1])
    return count, *(min(s, LARGEST[len(long)]) for s in long)


def _coded(codec: Codec, shape: tuple[int, ...], channels: Channels) -> Input:
    taken = taken_of(shape, channels)
    told = {"channels": channels, "codec": written(codec)}
    return Input(
        noun="sample",
        trunk="residual",
        shape=taken,
        read=lambda rows, device: coded(rows, codec, channels, shape, taken[1:], device),
        change=lambda unit: partial(shaken, unit=unit),
        settings=told,
        record={"sample": list(shape), **told},
    )
