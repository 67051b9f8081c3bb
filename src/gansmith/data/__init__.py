"""The data's front door: a source becomes a packed store once; batches are gathered from it."""

from .draw import Draw, Uniform
from .feed import Feed
from .spec import Codec, DataSpec, ImageCodec, VectorCodec, codec_from_json
from .store import Store, open_store
from .text import TextCodec

__all__ = [
    "Codec",
    "DataSpec",
    "Draw",
    "Feed",
    "ImageCodec",
    "Store",
    "TextCodec",
    "Uniform",
    "VectorCodec",
    "codec_from_json",
    "open_store",
]
