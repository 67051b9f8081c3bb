"""Pictures: of any size, 1 to N channels, 8 or 16 bits or float.

Sources: a folder (sub-folders are classes), a zip or tar, a CSV of files and labels, arrays (N, H, W) or (N, H, W, C),
and the known sets `digits`, `mnist`, `fashion-mnist`, `cifar10` (`mnist:test` for the other split).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from ....options import DataOptions, Size, Span
from ... import listing
from ...codec import Codec
from ...found import Report
from ...kind import FROM, ROWS, Files, Given, Kind, Source, picked, picture_options
from ...looked import report_of_rows
from ...plan import Plan
from ...spec import DataSpec
from .arrays import ArraySource
from .codec import MOST, Depth, ImageCodec, bounds_of, measured
from .decode import SUFFIXES, quiet
from .files import read_files
from .find import files_at, reading_of
from .known import KNOWN, known_source
from .source import PictureSource


class Images(Kind):
    """Pictures (H, W, C), encoded as (C, H, W) in [-1, 1]."""

    name = "image"
    samples = "pictures"
    sources = (
        *("a folder, a .zip or a .tar of pictures", "a .csv that lists pictures", "an .npy or .npz file"),
        *KNOWN,
    )
    example = "photos/"
    options = frozenset({"data_dir", "size", "fit", "resample", "channels", "range", *FROM})
    first = 40
    rank = 3
    suffixes = SUFFIXES

    def recognise(self, given: Given) -> Source | None:
        """Arrays of three axes and more, known names, and files that may be pictures."""
        name, _, split = (given.rest if given.prefix else given.spelt).partition(":")
        if name in KNOWN:
            arrays = known_source(name, split or "train", given.options.data_dir, given.cache, given.progress)
            if given.options.labels not in ("", "none"):
                raise ValueError(
                    f"--labels {given.options.labels}: {name} has labels of its own; write none, or nothing"
                )
            if given.options.labels == "none":
                arrays = replace(arrays, y=None, classes=())
            return ArraySource(arrays=arrays)
        if (arrays := given.arrays) is not None:
            if len(arrays.x.shape) > 2:
                return ArraySource(arrays=arrays)
            if given.prefix:
                raise ValueError(f"{given.spelt} has shape {arrays.x.shape}: pictures are (N, H, W) or (N, H, W, C)")
            return None
        if given.path is None:
            return None
        files = files_at(given.path, reading_of(given.options), listed=bool(given.prefix))
        return None if files is None else PictureSource(files)

    def source_of(self, files: listing.Files) -> Source:
        """Picture files."""
        return PictureSource(files)

    def codec(self, saved: Mapping[str, Any]) -> Codec:
        """The codec of these fields."""
        match saved:
            case {"dtype": str(dtype), "low": float(low), "high": float(high)} if dtype in get_args(Depth):
                return ImageCodec(dtype=cast(Depth, dtype), low=low, high=high, whole=saved.get("whole") is True)
        raise ValueError(f"not a codec of pictures: {str(saved)[:200]}")

    def words(self, spec: DataSpec) -> str:
        """Their size and channels."""
        channels, height, width = spec.shape
        return f"pictures, {height}x{width}, {channels} channel{'s' if channels > 1 else ''}"

    def recorded(self, options: DataOptions, source: Source) -> dict[str, Any]:
        """How pictures of other sizes and modes become those that are trained on."""
        del source
        ranged = {"range": list(options.range)} if options.range else {}
        return picture_options(options) | ranged | picked(options)

    def heeds(self, source: Source) -> frozenset[str]:
        """Arrays have no folders, links or lists; files no arrays."""
        if isinstance(source, ArraySource):
            return self.options - {"split", "follow_links", "encoding"}
        return self.options - {"array"}

    def decoding(self, plan: Plan) -> contextlib.AbstractContextManager[None]:
        """Pillow's warnings are kept quiet meanwhile: such files are judged one by one."""
        del plan
        return quiet()

    def measure(self, plan: Plan, x: np.ndarray) -> tuple[Codec, list[str]]:
        """The range of values: as it is given, or known for integers; of floats a usual one that holds them all."""
        if plan.codec is not None:
            return plan.codec, []
        depth = cast(Depth, plan.dtype)
        step = max(ROWS // plan.row_bytes, 1)
        low, high = math.inf, -math.inf
        for first in range(0, len(x), step):
            block = x[first : first + step]
            low, high = min(low, float(block.min())), max(high, float(block.max()))
            if depth != "float32" and high > MOST[depth] / 2:
                break  # nothing more is asked of integers
        return measured(plan.source, depth, low, high)

    def describe(self, plan: Plan, x: np.ndarray) -> tuple[DataSpec, list[str]]:
        """Stored (H, W, C) are encoded as (C, H, W)."""
        codec, notes = self.measure(plan, x)
        height, width, channels = plan.shape
        return DataSpec(kind=self.name, shape=(channels, height, width), codec=codec, classes=plan.classes), notes

    def alike(self, options: DataOptions, packed: Mapping[str, Any], spec: DataSpec) -> DataOptions:
        """At the size that came out, where none was asked for."""
        kept = {name: packed[name] for name in ("fit", "resample", "channels") if name in packed}
        usual = DataOptions()
        own = {name: getattr(usual, name) for name in ("labels", "split", "array", "encoding")}  # of the other source
        return replace(
            options,
            size=Size(tuple(packed.get("size", spec.shape[1:]))),
            range=Span(bounds_of(cast(ImageCodec, spec.codec)) or ()),
            **kept,
            **own,
        )

    def files(self, path: Path, spec: DataSpec) -> Files | None:
        """Picture files and folders of them; an archive, an array or a CSV is a source like any other."""
        single = path.is_file() and path.suffix.lower() in SUFFIXES
        return read_files(path, spec) if path.is_dir() or single else None

    def report(self, name: str, spec: DataSpec, fields: Mapping[str, np.ndarray], **rest: Any) -> Report:
        """Counts, duplicates, pictures of a single colour, and their one size."""
        x = fields["x"]
        found = report_of_rows(
            name,
            self.name,
            x,
            labels=fields.get("y"),
            classes=spec.classes,
            shape=spec.shape,
            constants=True,
            **rest,
        )
        return replace(found, sizes=((x.shape[1], x.shape[2], len(x)),), num_sizes=1)

    def seen(self, shape: tuple[int, ...]) -> str:
        """Height, width and channels."""
        return "x".join(map(str, shape[1:])) + f" in {shape[0]} channels"


KIND = Images()
