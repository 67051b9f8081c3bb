"""Arrays of pictures as a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ....options import DataOptions
from ...arrays import Arrays, Rows, finite, row_name
from ...found import Report
from ...looked import report_of_rows
from ...plan import Block, Plan, even_chunks
from .decode import Target, fit_array


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

    def chunks(self, row_bytes: int) -> np.ndarray:
        """Boundaries of chunks, where `row_bytes` are stored of each row."""
        return even_chunks(len(self.x), row_bytes)

    def batches(self, chunks: np.ndarray, ranges: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """What the plan's `decode` needs of each range of rows, which are chunks of these boundaries."""
        firsts = {first for first, _ in ranges}
        for first, block in zip(chunks, self.x.blocks(chunks), strict=False):
            if int(first) in firsts:
                yield block

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        """Decide what is packed. Raises `ValueError` if the array holds no pictures."""
        del progress
        self.arrays.check()
        labels, classes = self.arrays.labels()
        axis = channel_axis(self.name, self.x.shape)
        h, w, c = [n for i, n in enumerate(self.x.shape) if i not in (0, axis)] + [self.x.shape[axis] if axis else 1]
        dtype, factor, notes = self._stored_dtype()
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
        )
        chunks = even_chunks(len(self.x), max(h * w * c, target.height * target.width * channels) * 4)

        def decode(block: np.ndarray) -> Block:
            if axis == 1:
                block = block.transpose(0, 2, 3, 1)
            elif axis == 0:
                block = block[..., None]
            checked = finite(block.astype(np.float32 if dtype == "float32" else block.dtype))
            rows = (checked.rows * factor).astype(dtype) if factor != 1 else checked.rows.astype(dtype)
            return Block(fit_array(rows, target), checked.bad)

        whole = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "float32": None}
        return Plan(
            source=self.name,
            digest=digest,
            kind="image",
            shape=(target.height, target.width, channels),
            dtype=dtype,
            bounds=whole[dtype],
            chunks=chunks,
            payloads=lambda wanted: self.arrays.payloads(chunks, wanted),
            decode=decode,
            name=row_name,
            labels=labels,
            classes=classes,
            options=recorded,
            notes=(*self.arrays.notes, *notes),
        )

    def _stored_dtype(self) -> tuple[Any, int, list[str]]:
        """The dtype in the store, a factor for the values, and what there is to say about it."""
        kind, name = self.x.dtype.kind, self.x.dtype.name
        if name in ("uint8", "uint16"):
            return name, 1, []
        if kind == "f":
            return "float32", 1, [] if name == "float32" else [f"{name} kept as float32"]
        if kind == "b":
            return "uint8", 255, ["bool kept as 0 and 255"]
        step = even_chunks(len(self.x), int(np.prod(self.x.shape[1:])) * self.x.dtype.itemsize)
        low, high = 0, 0
        for block in self.x.blocks(step):
            low, high = min(low, int(block.min())), max(high, int(block.max()))
        for fits, most in (("uint8", 255), ("uint16", 65535)):
            if low >= 0 and high <= most:
                return fits, 1, [f"{name} values {low} ... {high} kept as {fits}"]
        raise ValueError(
            f"{self.name} holds {name} from {low} to {high}: pictures are uint8, uint16 or float; cast it to float32"
        )

    def report(self, options: DataOptions, progress: bool) -> Report:
        """What is in it. Never raises: what keeps training from starting is told."""
        plan, problem = None, ""
        try:
            plan = self.plan(options, "", {}, progress)
        except ValueError as error:
            problem = str(error)
        labels, classes = self.arrays.labels() if plan is not None else (None, ())
        found = report_of_rows(
            self.name,
            self.kind,
            self.x,
            labels=labels,
            classes=classes,
            notes=plan.notes if plan is not None else self.arrays.notes,
            shape=(plan.shape[2], *plan.shape[:2]) if plan is not None else (),
            dtype=plan.dtype if plan is not None else "",
            problem=problem,
            constants=True,
        )
        if plan is None:
            return found
        height, width = native(self.x.shape)
        return replace(found, sizes=((height, width, len(self.x)),), num_sizes=1)


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
