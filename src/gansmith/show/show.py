"""What a person sees and keeps of samples: one file of `kinds/` for each kind of data, whose name is its name.

Nothing else here knows a kind by name. Samples (N, ...) are in the data's own units, as `Model.stored` returns them;
real ones (M, ...) are as a packed store keeps them, which of text alone is something else.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from PIL import Image

from ..data import DataSpec
from . import kinds
from .files import png_bytes, save
from .grid import image_of

Look = Literal["photo", "pixels", "chart"]


@dataclass(frozen=True, kw_only=True)
class Media:
    """Something to be put into a page or sent by a service, as a file would hold it."""

    mime: str
    """image/png, image/gif, audio/wav, video/mp4, text/plain (UTF-8, a sample a line) ..."""
    data: bytes
    alt: str
    """What it is, for who cannot see it."""
    size: tuple[int, int] | None = None
    """(width, height) in pixels of what is looked at."""
    look: Look = "photo"
    """Of a picture: `pixels` are enlarged as blocks; a `chart` is dark on white, so that a dark page may invert it."""


@dataclass(frozen=True, kw_only=True)
class Near:
    """How far samples of this kind are from one another, for "nearest training samples"."""

    scale: float
    """Stored values are divided by it."""
    mean: bool
    """Root of the mean square over values, a share of their range (pictures); else Euclidean."""
    unit: str
    """The distance in words."""
    blind: str
    """What the distance cannot see, in words."""

    def figure(self, distance: float) -> str:
        """A distance as it is printed."""
        return f"{distance:.1%}" if self.mean else f"{distance:.3g}"


class Show(ABC):
    """How samples of one kind are seen and written. Final, without state; `SHOW` of its file."""

    film: ClassVar[int] = 64
    """Samples in one moment of a run's film."""
    apart: ClassVar[bool] = True
    """Samples are looked at one by one (a class a row makes sense), not as a crowd."""
    aligned: ClassVar[bool] = False
    """Of kinds with parts: those of a row belong together, so that a source's target is known."""
    reveals: ClassVar[bool] = False
    """A sheet or moment shows training data too: real samples are asked for, and a page that must not pass training
    data on leaves it out."""
    chart: ClassVar[bool] = False
    """Sheets and moments are charts rather than photos: see `Media.look`."""
    printed: ClassVar[bool] = False
    """`gansmith sample RUN` prints samples, a line each, unless --out is given."""
    out: ClassVar[str] = "grid.png"
    """The file in a run's folder that `gansmith sample RUN` writes."""
    writes: ClassVar[Mapping[str, str]]
    """Suffixes that --out may have, with what is then written; "" is a folder of one file each. A literal: the command
    line reads it without importing anything."""

    # --- what every kind must say

    @abstractmethod
    def sheet(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, columns: int = 0) -> Image.Image:
        """One picture of many samples (N, ...), over `real` ones (M, ...) where that helps.

        `columns`: of a grid, where the samples make one; 0 makes it about square.
        """

    @abstractmethod
    def write(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, out: Path, columns: int = 0) -> None:
        """Write samples as the suffix of `out` says; `real` and `columns` as for `sheet`.

        Raises `ValueError` for a suffix that `writes` does not name or samples that it cannot hold, `OSError` with
        what was there intact.
        """

    # --- defaults that most kinds keep

    def moment(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, path: Path, columns: int = 0) -> Path:
        """Write one moment of training; returns the file, which is `path` with a suffix. Raises `OSError`."""
        path = path.with_suffix(".png")
        save(self.sheet(samples, spec, real, columns), path)
        return path

    def media(
        self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, alt: str, *, made: bool = True
    ) -> list[Media]:
        """Many samples for a page: their sheet; of what is heard or moves also that.

        `made`: a model made them, and the files say so; False for real ones.
        """
        look = "chart" if self.chart else "photo"
        return [picture(self.sheet(samples, spec, real), alt, made=made, look=look)]

    def single(self, sample: np.ndarray, spec: DataSpec, alt: str, *, made: bool = True) -> list[Media]:
        """One sample (...) for a page; `made` as for `media`."""
        look = "chart" if self.chart else "photo"
        return [picture(image_of(self.pictures(sample[None], spec)[0]), alt, made=made, look=look)]

    def pictures(self, samples: np.ndarray, spec: DataSpec) -> np.ndarray:
        """Each sample as a picture of its own: uint8 (N, H, W, 1, 3 or 4)."""
        sheets = [self.sheet(samples[i : i + 1], spec, samples[:0]).convert("RGB") for i in range(len(samples))]
        return np.stack([np.asarray(sheet.resize(sheets[0].size)) for sheet in sheets])

    def near(self, spec: DataSpec) -> Near | str:
        """What distances between samples mean, or why they are not shown."""
        return "Distances between such samples say nothing: gansmith evaluate counts copies."

    def reported(self, spec: DataSpec) -> tuple[int, int]:
        """Samples drawn for a report: with averaged weights (among which the nearest are looked for) and with raw ones.

        As many real samples as raw ones stand beside them.
        """
        return 2_000, 2_000

    # --- the same for all

    def suffix(self, out: Path) -> str:
        """The suffix of `writes` that a file or folder has. Raises `ValueError` that names those there are."""
        for suffix in sorted(self.writes, key=len, reverse=True):
            if out.name.lower().endswith(suffix) if suffix else not out.suffix:
                return suffix
        named = ", ".join(f"{suffix or 'a folder'} ({what})" for suffix, what in self.writes.items())
        raise ValueError(f"--out {out} does not fit these samples, which go into {named}")


def picture(image: Image.Image, alt: str, *, made: bool, look: Look = "photo") -> Media:
    """A picture as media; `made`: a model made what it shows, and the file says so."""
    return Media(mime="image/png", data=png_bytes(image, made=made), alt=alt, size=image.size, look=look)


def show_of(kind: str) -> Show:
    """How that kind of data is shown. Raises `ValueError` if there is none: only a file of `kinds/` is imported."""
    there = sorted(module.name for module in pkgutil.iter_modules(kinds.__path__))
    if kind not in there:
        raise ValueError(f"nothing says how data of kind {str(kind)[:40]!r} is shown; there are {', '.join(there)}")
    return importlib.import_module(f"{kinds.__name__}.{kind}").SHOW
