"""Encoders: fixed networks that turn samples into the features on which distances are taken.

`own` is trained in minutes on the user's data, of any kind, and needs no download. The others look at pictures:
`inception` is that of FID; `cifar_resnet` fits 32-pixel colour pictures; `dinov2` (an extra) never saw classes. A
score from any but Inception behind its own resize is never called FID: `score_name`.
"""

from .cifar_resnet import cifar_resnet
from .dinov2 import dinov2
from .encoder import PUBLISHED_INCEPTION, Encoder, score_name
from .inception import inception
from .own import load_own, train_own
from .resize import Resize
from .weights import convert_weights

__all__ = [
    "PUBLISHED_INCEPTION",
    "Encoder",
    "Resize",
    "cifar_resnet",
    "convert_weights",
    "dinov2",
    "inception",
    "load_own",
    "score_name",
    "train_own",
]
