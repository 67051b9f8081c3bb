"""Pictures: grids, and PNG files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from ...data import DataSpec, ImageCodec
from ..files import save, save_arrays
from ..grid import grid, image_of, to_8_bit
from ..show import Media, Near, Show, picture


class ImageShow(Show):
    """Pictures (N, H, W, C) side by side."""

    writes: ClassVar[Mapping[str, str]] = {".png": "a grid", ".npz": "the numbers", "": "a PNG each"}

    def sheet(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, columns: int = 0) -> Image.Image:
        """A grid, each picture as it is; of real ones nothing is shown."""
        return grid(samples, columns, bounds=_range(spec))

    def write(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, out: Path, columns: int = 0) -> None:
        """A grid, the numbers, or a folder; the last raises `ValueError` for what PNG cannot hold unchanged."""
        match self.suffix(out):
            case ".png":
                save(self.sheet(samples, spec, real, columns), out)
            case ".npz":
                save_arrays({"x": samples}, out)
            case _:
                save_singles(samples, out)

    def media(
        self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, alt: str, *, made: bool = True
    ) -> list[Media]:
        """A grid of as many as can be told apart on a page."""
        image = self.sheet(samples[: grid_size(spec)], spec, real)
        return [picture(image, alt, made=made, look="pixels" if max(spec.shape[-2:]) < 64 else "photo")]

    def single(self, sample: np.ndarray, spec: DataSpec, alt: str, *, made: bool = True) -> list[Media]:
        """The picture in its own size."""
        image = image_of(self.pictures(sample[None], spec)[0])
        return [picture(image, alt, made=made, look="pixels" if max(image.size) < 96 else "photo")]

    def pictures(self, samples: np.ndarray, spec: DataSpec) -> np.ndarray:
        """In 8 bits."""
        return to_8_bit(samples, _range(spec))

    def near(self, spec: DataSpec) -> Near:
        """Root mean squares of differences of pixel values."""
        low, high = _range(spec)
        return Near(
            scale=high - low,
            mean=True,
            unit="root mean square of the differences between pixel values, as a share of their range, on decoded "
            "pictures",
            blind="a copy that is shifted, mirrored or recoloured is far by this measure, and a smooth or blurred "
            "sample is near to many without being a copy",
        )

    def reported(self, spec: DataSpec) -> tuple[int, int]:
        """Large pictures are costly to draw: fewer are searched for the nearest."""
        shown = grid_size(spec)
        return max(shown, 256 if max(spec.shape[-2:]) <= 64 else 32), shown


SHOW = ImageShow()


def grid_size(spec: DataSpec) -> int:
    """Samples in a sheet: a square number, at most 64, of pictures that make a grid of about 1,000 pixels at most."""
    return min(max(1_024 // max(spec.shape[-2:]), 2), 8) ** 2


def save_singles(images: np.ndarray, folder: Path) -> list[Path]:
    """Write pictures (N, H, W, C) as 000000.png, 000001.png ... into `folder`: 8 bits, or 16 for grey uint16.

    Raises `ValueError` for what PNG cannot hold unchanged: floats, 16-bit colour, two or more than four channels.
    """
    channels = images.shape[3]
    deep = images.dtype == np.uint16 and channels == 1
    if not deep and (images.dtype != np.uint8 or channels not in (1, 3, 4)):
        raise ValueError(
            f"{images.dtype.name} pictures of {channels} channels do not fit into PNG unchanged: pass --out x.npz, or "
            "--out grid.png for a picture to look at"
        )
    folder.mkdir(parents=True, exist_ok=True)
    digits = max(len(str(len(images) - 1)), 6)
    paths = []
    for i, image in enumerate(images):
        paths.append(folder / f"{i:0{digits}d}.png")
        save(image_of(image), paths[-1])
    return paths


def _range(spec: DataSpec) -> tuple[float, float]:
    assert isinstance(spec.codec, ImageCodec)
    return spec.codec.range
