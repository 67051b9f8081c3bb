"""The data's front door: a source becomes a packed store once; batches are gathered from it."""

from ..machine import free_bytes
from .codec import Codec
from .draw import Draw, FewLabels, Uniform, Unpaired
from .feed import Feed
from .kind import Kind, all_kinds, kind_names, kind_of, read_codec, read_spec
from .kinds.image.codec import ImageCodec
from .kinds.table.codec import TableCodec
from .kinds.table.column import Column, Span
from .kinds.table.draw import ByCondition, HeldOut
from .kinds.text.codec import TextCodec
from .kinds.vector import VectorCodec
from .spec import DataSpec
from .store import Store, open_store

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
    "Kind",
    "Span",
    "Store",
    "TableCodec",
    "TextCodec",
    "Uniform",
    "Unpaired",
    "VectorCodec",
    "all_kinds",
    "free_bytes",
    "kind_names",
    "kind_of",
    "open_store",
    "read_codec",
    "read_spec",
]
