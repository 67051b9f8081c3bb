"""The data's front door: a source becomes a packed store once; batches are gathered from it."""

from ..machine import free_bytes
from .draw import ByCondition, Draw, FewLabels, HeldOut, Uniform, Unpaired
from .feed import Feed
from .spec import Codec, DataSpec, ImageCodec, VectorCodec, codec_from_json
from .store import Store, open_store
from .table import Column, Span, TableCodec
from .text import TextCodec

__all__ = [
    "ByCondition",
    "Codec",
    "Column",
    "DataSpec",
    "Draw",
    "Feed",
    "FewLabels",
    "HeldOut",
    "ImageCodec",
    "Span",
    "Store",
    "TableCodec",
    "TextCodec",
    "Uniform",
    "Unpaired",
    "VectorCodec",
    "codec_from_json",
    "free_bytes",
    "open_store",
]
