"""Arrays of pictures as a source."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np

from ....options import DataOptions
from ...arrays import Arrays, Rows, finite, row_name
from ...found import Report
from ...looked import report_of_rows
from ...plan import Block, Plan, even_chunks
from .codec import MOST, Depth, measured
from .decode import Bad, Target, beyond, check_range, fit_array
from .source import RANGES
from .survey import codec_of, span_of


@dataclass(frozen=True, kw_only=True)
class ArrayReader:
    """Pictures of an array, made into what all of them become."""

    x: Rows
    axis: int
    """Which one is the colour channel; 0: none."""
    factor: int
    """What values are multiplied by."""
    target: Target

    def read(self, ranges: Sequence[tuple[int, int]]) -> Iterator[np.ndarray]:
        """The rows themselves."""
        return self.x.at(ranges)

    def decode(self, payload: np.ndarray) -> Block:
        """Pictures (n, H, W, C)."""
        dtype = self.target.dtype
        block = {0: payload[..., None], 1: np.moveaxis(payload, 1, -1)}.get(self.axis, payload)
        checked = finite(block.astype(np.float32 if dtype == "float32" else block.dtype))
        bad = dict(checked.bad)
        for i, row in enumerate(checked.rows if self.target.bounds else ()):
            try:
                check_range(row, self.target)
            except Bad as error:
                bad.setdefault(i, str(error))
        rows = (checked.rows * self.factor).astype(dtype) if self.factor != 1 else checked.rows.astype(dtype)
        return Block(fit_array(rows, self.target), bad)

    def name(self, row: int) -> str:
        """The number of the row."""
        return row_name(row)


@dataclass(frozen=True, kw_only=True)
class ArraySource:
    """An array of pictures, with labels or without."""

    kind: ClassVar[str] = "image"
    arrays: Arrays

    @property
    def name(self) -> str:
        """As the user gave it."""
        return self.arrays.name

    @property
    def identity(self) -> str:
        """Equal for equal content."""
        return self.arrays.identity

    @property
    def x(self) -> Rows:
        """The pictures, none of them read."""
        return self.arrays.x

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Decide what is packed. Raises `ValueError` if the array holds no pictures."""
        del progress
        self.arrays.check()
        labels, classes, said = self.arrays.labels()
        axis = channel_axis(self.name, self.x.shape)
        h, w, c = [n for i, n in enumerate(self.x.shape) if i not in (0, axis)] + [self.x.shape[axis] if axis else 1]
        bounds = span_of(options)
        dtype, factor, notes = self._stored_dtype(bounds)
        channels = {"auto": c, "grey": 1, "rgb": 3, "rgba": 4}[options.channels]
        if channels != c and not (c in (1, 3, 4) and (c, channels) != (4, 1)):
            raise ValueError(f"{self.name} has {c} channels; channels={options.channels} cannot be made of them")
        target = Target(
            height=options.size[0] or h,
            width=options.size[1] or w,
            channels=channels,
            dtype=dtype,
            fit=options.fit,
            resample=options.resample,
            bounds=bounds,
            whole=dtype == "float32" and self.x.dtype.kind in "iu",
        )
        chunks = even_chunks(len(self.x), max(h * w * c, target.height * target.width * channels) * 4)
        return Plan(
            source=self.name,
            digest=digest,
            kind=self.kind,
            shape=target.shape,
            dtype=dtype,
            bounds=bounds or RANGES[dtype],
            codec=codec_of(target),
            chunks=chunks,
            reader=ArrayReader(x=self.x, axis=axis, factor=factor, target=target),
            labels=labels,
            classes=classes,
            options=recorded,
            notes=(*self.arrays.notes, *said, *notes),
        )

    def _stored_dtype(self, bounds: tuple[float, float] | None) -> tuple[Any, int, list[str]]:
        """The dtype in the store, a factor for the values, and what there is to say about it."""
        kind, name = self.x.dtype.kind, self.x.dtype.name
        if name in MOST and (bounds is None or (bounds[0] >= 0 and bounds[1] <= MOST[name])):
            return name, 1, []
        if kind == "f":
            return "float32", 1, [] if name == "float32" else [f"{name} kept as float32"]
        if kind == "b":
            return "uint8", 255, ["bool kept as 0 and 255"]
        if bounds is not None:
            fits = next((fits for fits, most in MOST.items() if bounds[0] >= 0 and bounds[1] <= most), "float32")
            return fits, 1, [f"{name} kept as {fits}"]
        step = even_chunks(len(self.x), int(np.prod(self.x.shape[1:])) * self.x.dtype.itemsize)
        ends = [(int(block.min()), int(block.max())) for block in self.x.blocks(step)]
        low, high = min(a for a, _ in ends), max(b for _, b in ends)
        if trouble := beyond(low, high):
            raise ValueError(f"{name} of {self.name}: {trouble}")
        fits = "uint8" if high <= MOST["uint8"] else "uint16"
        return fits, 1, [f"{name} values {low} ... {high} kept as {fits}"]

    def report(self, options: DataOptions, progress: bool) -> Report:
        """What is in it. Never raises: what keeps training from starting is told."""
        plan, problem, notes = None, "", list(self.arrays.notes)
        bad: dict[int, str] | None = None
        labels, classes = None, ()
        try:
            plan = self.plan(options, "", {}, progress)
            labels, classes, notes = plan.labels, plan.classes, list(plan.notes)
            bad, low, high = _read_all(plan)
            if plan.codec is None and len(bad) < plan.rows:
                notes += measured(self.name, cast(Depth, plan.dtype), low, high)[1]
        except ValueError as error:
            problem = str(error)
        usable = plan is not None and not problem
        found = report_of_rows(
            self.name,
            self.kind,
            self.x,
            labels=labels,
            classes=classes,
            notes=notes,
            shape=(plan.shape[2], *plan.shape[:2]) if usable else (),
            dtype=plan.dtype if usable else "",
            problem=problem,
            constants=True,
            known=bad,
        )
        if plan is None:
            return found
        height, width = native(self.x.shape)
        return replace(found, sizes=((height, width, len(self.x)),), num_sizes=1)


def _read_all(plan: Plan) -> tuple[dict[int, str], float, float]:
    """Every row as it would be packed: the bad ones and why, and the least and the greatest value of the others."""
    bad: dict[int, str] = {}
    low, high = math.inf, -math.inf
    ranges = list(itertools.pairwise(plan.chunks.tolist()))
    for (first, _), payload in zip(ranges, plan.reader.read(ranges), strict=True):
        block = plan.reader.decode(payload)
        bad |= {first + i: reason for i, reason in block.bad.items()}
        kept = np.delete(block.rows, list(block.bad), axis=0)
        if len(kept):
            low, high = min(low, float(kept.min())), max(high, float(kept.max()))
    return bad, low, high


def native(shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of the pictures in an array of this shape."""
    height, width = (n for i, n in enumerate(shape) if i not in (0, channel_axis("", shape)))
    return height, width


def channel_axis(name: str, shape: tuple[int, ...]) -> int:
    """Which axis of an array of pictures is the colour channel; 0 if it has none.

    Raises `ValueError` if that cannot be told.
    """
    if len(shape) == 3:
        return 0
    if len(shape) == 4:
        first = shape[1] < min(shape[2:])
        last = shape[3] < min(shape[1:3])
        if last and (not first or shape[1] > 4):
            return 3
        if first and (not last or shape[3] > 4):
            return 1
    raise ValueError(
        f"{name} has shape {shape}: cannot tell which axis is the colour channel. Pictures are (N, H, W), "
        "(N, H, W, C) or (N, C, H, W) with fewer channels than pixels a side"
    )
