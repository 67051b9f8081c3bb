"""What a training run is told beside the recipe: data, budget, machine. No torch here: `--help` must be quick."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from .settle import Range, settle

MOST_RANKS = 4_096
MOST_STEPS = 10_000
"""Steps of one sample of a sequence, which are made one after another: tokens, times."""


class Count(int):
    """A whole number that may be written `200k` or `1.5M`."""

    @classmethod
    def parse(cls, text: str) -> Count:
        """Raises `ValueError` for anything that is not a positive whole number."""
        scale = {"k": 1_000, "m": 1_000_000, "g": 1_000_000_000}.get(text[-1:].lower(), 1)
        try:
            value = float(text[:-1] if scale > 1 else text) * scale
            whole = int(value)  # OverflowError for inf
        except (ValueError, OverflowError):
            value, whole = -1.0, 0
        if value != whole or value < 0:
            raise ValueError(f"{text!r} is not a whole number: write 200000, 200k or 1.5M")
        return cls(whole)


class Size(tuple[int, int]):
    """Height and width in pixels, written `32` (square) or `48x64` (height x width). `0` keeps the data's own size."""

    __slots__ = ()
    divider: ClassVar[str] = "x"
    lengths: ClassVar[tuple[int, ...]] = (2,)

    @classmethod
    def parse(cls, text: str) -> Size:
        """Raises `ValueError` for anything else."""
        parts = text.lower().split("x")
        if len(parts) > 2 or not all(p.isdecimal() for p in parts):
            raise ValueError(f"{text!r} is not a size: write 32, or 48x64 for height x width")
        return cls((int(parts[0]), int(parts[-1])))


class Span(tuple[float, ...]):
    """The least and the greatest value, written `0,4095`; empty, both are those that the data can have."""

    __slots__ = ()
    divider: ClassVar[str] = ","
    lengths: ClassVar[tuple[int, ...]] = (0, 2)

    def __new__(cls, values: Iterable[float] = ()) -> Span:
        """Raises `ValueError` for anything but nothing and two numbers that ascend."""
        found = tuple(map(float, values))
        if found and (len(found) != 2 or not all(map(math.isfinite, found)) or found[0] >= found[1]):
            raise ValueError("write the least and the greatest value, such as 0,4095")
        return super().__new__(cls, found)

    @classmethod
    def parse(cls, text: str) -> Span:
        """Raises `ValueError` for anything else."""
        try:
            return cls(map(float, text.split(",")) if text.strip() else ())
        except ValueError:
            raise ValueError(f"{text!r} is no range: write the least and the greatest value, as in 0,4095") from None


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How a source becomes training data. Every field is recorded in the packed store."""

    data_dir: Path | None = None
    """Where the official files of mnist, fashion-mnist and cifar10 lie; else the cache, else downloaded."""
    size: Size = Size((0, 0))
    """Height and width to train at: 32, or 48x64. 0 keeps the data's own size (pictures must then agree in size)."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """How a picture of another shape is made to fit `size`: cut its centre, pad with black, or stretch."""
    resample: Literal["lanczos", "bicubic", "bilinear", "box", "nearest"] = "lanczos"
    """The resize filter; all but nearest antialias."""
    channels: Literal["auto", "grey", "rgb", "rgba"] = "auto"
    """Colour channels of pictures; auto takes what most of the files have."""
    range: Span = Span()
    """The pixel values that become -1 and 1, such as 0,4095 for 12 bits in 16-bit files, or --range=-1024,3071 for
    signed ones. Else those that 8 or 16 bits can hold; of float pictures what they hold. Samples are written so too."""
    labels: str = ""
    """Where labels come from: the column of a list of labels, or a list as FILE or FILE#COLUMN; of an .npz the array of
    labels; none reads no labels. Else labels.csv, dataset.json, or the folders."""
    split: str = ""
    """Of a folder that holds train, val, test: the one that is read, or all. Else train."""
    follow_links: bool = False
    """Whether links that lead out of a folder of samples, or to other folders, are followed."""
    array: str = ""
    """Of an .npz: the array of samples, where it is not called x, images or data."""
    encoding: str = ""
    """What text files, tables and lists are written in, such as latin-1, utf-16 or gbk; else UTF-8, or what a byte
    order mark says."""
    columns: str = ""
    """What columns of a table or of series are, where it is not what `data inspect` says: age=category,zip=id. One of
    continuous, integer, category, boolean, date, constant, or id, which leaves the column out. day=date:%m/%d/%y says
    the format; x=continuous:comma that the comma is the decimal mark, x=continuous:thousands that it groups digits."""
    header: Literal["auto", "yes", "no"] = "auto"
    """Whether the first row of a CSV holds the names of columns; auto tells by how it differs from the rows below."""
    missing: str = ""
    """Cells of a table or of series that mean "not known" beside the usual ones: -,None,**. NA=value takes one of the
    usual ones for a value."""
    date_format: str = ""
    """The format that columns of dates are tried in first: %d/%m/%Y."""
    series_id: str = ""
    """The column of a CSV that tells series apart, where it is not the one that `data inspect` finds."""
    series_time: str = ""
    """The column of a CSV by which the steps of series are ordered: numbers or dates."""
    series_window: Annotated[int, Range(0, MOST_STEPS)] = 0
    """Steps of the windows that longer series are cut into, one begun at every step. 0 takes 24 of one long series, and
    leaves series that a column tells apart whole."""
    text_level: Literal["auto", "word", "character"] = "auto"
    """What a token of text is; auto takes characters for scripts that put no spaces between words."""
    text_lowercase: bool = False
    """Whether text is made lower case."""
    text_min_count: Annotated[int, Range(1, 1_000_000)] = 1
    """Words that occur less often are unknown ones."""
    text_max_vocabulary: Annotated[int, Range(1, 10_000_000)] = 20_000
    """Most different words; the rarest others are unknown ones."""
    text_max_length: Annotated[int, Range(0, MOST_STEPS)] = 0
    """Longest line in tokens; longer ones are left out. 0 allows 64 words or 160 characters."""

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, kw_only=True)
class TrainOptions(DataOptions):
    """What a training run is told beside the recipe."""

    images: Annotated[Count, Range(0, 10**15)] = Count(0)
    """How many images to show: training ends there. One step shows one batch, however many moves it makes. 0 means
    200k, or no limit if --minutes gives one."""
    minutes: Annotated[float, Range(0, 10**8)] = 0.0
    """Stop after this many minutes of training (pictures and checkpoints not counted); 0 means no limit."""
    batch_size: Annotated[int, Range(1, 1_000_000)] = 64
    """Images per step, over all ranks and micro-batches."""
    micro_batches: Annotated[int, Range(1, 1_000_000)] = 1
    """Split each rank's part of the batch into so many pieces, to save memory; gradients are summed."""
    seed: Annotated[int, Range(-(2**63), 2**63 - 1)] = 0
    """Fixes initial weights, order of the data and all noise."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto times a few steps in fp32 and bf16, and keeps the fastest. To have equal bits from equal seeds on a machine
    that is busy now and then, choose this and the layout yourself."""
    layout: Literal["auto", "nchw", "nhwc"] = "auto"
    """How pictures lie in memory: nchw by channel, nhwc by pixel (channels last). auto times a few steps in both."""
    ranks: Annotated[int, Range(0, MOST_RANKS)] = 1
    """Processes on this machine that train together, each on its part of every batch; on a CPU, each with its share of
    the cores, which small networks often use better than as many threads. 0 takes every GPU, or on a CPU times a few
    steps of 1, 2, 4 ... up to the cores and takes the quickest. Batch norm takes the statistics of all parts."""
    graphs: Literal["auto", "off", "capture", "compile"] = "auto"
    """capture records whole steps as CUDA graphs, one for each pattern of due turns, and replays them; compile compiles
    the losses; off takes every step as it is written, as does auto on a CPU. On a GPU auto captures."""
    log_every: Annotated[Count, Range(1, 10**15)] = Count(1_000)
    """Images between lines of log.jsonl."""
    sample_every: Annotated[Count, Range(0, 10**15)] = Count(0)
    """Images between sample grids (frames of the film); 0 means 24 in the whole run."""
    checkpoint_every: Annotated[Count, Range(0, 10**15)] = Count(50_000)
    """Images between checkpoints; one is also saved every 10 minutes and at the end."""
    validation: str = ""
    """Data as for --data that is never trained on: recipes that need a source show what they make of its pictures. By
    default they show training pictures."""
    evaluate_every: Annotated[Count, Range(0, 10**15)] = Count(0)
    """Images between scores of 2,000 samples during training; the best model so far is kept in best/. 0 means never."""
    keep: Annotated[int, Range(1, 1_000_000)] = 2
    """How many of the newest checkpoints are kept."""

    @property
    def budget(self) -> int:
        """The number of images at which training ends; 0 if only `minutes` ends it."""
        return self.images or (0 if self.minutes else 200_000)


def option_of(field: str) -> str:
    """How a recipe's field is called on the command line: with its owner, where a training option has its name."""
    taken = {f.name for f in fields(TrainOptions)} | {"data", "out", "resume", "overwrite", "estimate"}
    return f"--{'recipe.' if field in taken else ''}{field.replace('_', '-')}"
