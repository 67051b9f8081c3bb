"""An encoder by its name on the command line: `own` for any kind of data, the others for pictures."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..data import ImageCodec, Store
from .cifar_resnet import cifar_resnet
from .dinov2 import dinov2
from .encoder import Encoder
from .inception import inception
from .own import load_own, train_own


def encoder_of(name: str | Encoder, store: Store, resize: str, device: str, say: Callable[[str], object]) -> Encoder:
    """The encoder of that name, for the samples of a store. Raises `ValueError` if there is none that looks at them."""
    if isinstance(name, Encoder):
        return name
    kind, _, path = name.partition(":")
    match kind:
        case "own":
            if path:
                return load_own(path, device=device, codec=store.spec.codec)
            say("the encoder `own`: trained on this data, once, unless it is there already")
            return train_own(store, device=device)
        case _ if not isinstance(store.spec.codec, ImageCodec):
            raise ValueError(
                f"the encoder is {name!r}; {store.source} holds {store.spec.kind}, no pictures: say own, or own:FOLDER"
            )
        case "inception":
            return inception(path or None, resize=resize, device=device)  # ty: ignore[invalid-argument-type]
        case "cifar" | "cifar-resnet20" | "cifar-resnet56" if path:
            return cifar_resnet(path, device=device)
        case "dinov2":
            return dinov2(path or None, device=device)
        case "pixels":
            return _pixels(store)
    raise ValueError(
        f"no encoder is called {name!r}: say own, own:FOLDER, inception, inception:PATH, cifar:PATH, dinov2, "
        "dinov2:FOLDER or pixels"
    )


class _Pixels(nn.Module):
    """Pictures as they are, in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1 / 255), requires_grad=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) to (N, C H W) and (N, 0)."""
        features = (x * self.scale).flatten(1)
        return features, features.new_empty(len(x), 0)


def _pixels(store: Store) -> Encoder:
    channels, height, width = store.spec.shape
    if math.prod(store.spec.shape) > 4_096:
        raise ValueError(
            f"{store.source} has {math.prod(store.spec.shape):,} values a picture: pixels are for up to 4,096; use own"
        )
    return Encoder(
        name="pixels",
        net=_Pixels(),
        shape=(channels, height, width),
        dim=math.prod(store.spec.shape),
        classes=0,
        sha256="",
        resize="none",
        scaling="x / 255",
        fits=(channels, height, width),
        batch_size=256,
    )
