"""Picture files to arrays: header first, then pixels; what cannot be decoded is named and left out."""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from collections.abc import Generator
from dataclasses import dataclass
from typing import IO, Literal

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from ...bounded import FREE, most_unpacked
from .codec import MOST, Depth

MOST_PIXELS = 178_956_970
"""Larger pictures are not decompressed: 2 x 89,478,485, where Pillow too speaks of a decompression bomb."""
SUFFIXES = frozenset(
    (
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".gif"),
        *(".bmp", ".dib", ".tif", ".tiff", ".webp", ".avif", ".avifs", ".jp2"),
        *(".j2k", ".jpc", ".jpf", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm"),
        *(".pfm", ".pcx", ".sgi", ".rgb", ".ico", ".qoi", ".dds"),
    )
)
# Not EPS (runs Ghostscript), not TGA (has no magic number: any bytes may look like one).
_FORMATS = (
    *("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM", "PFM"),
    *("PCX", "SGI", "ICO", "QOI", "DDS"),
)


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture file says of itself before its pixels are read. The size is that after EXIF rotation."""

    height: int
    width: int
    mode: str
    format: str
    colour: bool
    alpha: bool
    depth: Depth
    rotated: bool
    animated: bool
    deep_colour: bool
    """16-bit colour, of which Pillow keeps 8 bits."""


_LARGE = threading.Lock()
"""Large pictures are decoded one at a time, whatever number of threads there is."""


class Bad(Exception):
    """A picture that cannot be used; the message says why. Never leaves this package."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What every picture is made into."""

    height: int
    width: int
    channels: int
    dtype: Depth
    fit: Literal["crop", "pad", "stretch"]
    resample: Literal["lanczos", "bicubic", "bilinear", "box", "nearest"]
    bounds: tuple[float, float] | None = None
    """The values that there may be, where that is not all that `dtype` holds: a picture with others is bad."""
    whole: bool = False
    """Whether integers are kept as they are in float32: signed ones, or of more than 16 bits."""

    @property
    def most(self) -> float:
        """The value of white."""
        return self.bounds[1] if self.bounds else MOST.get(self.dtype, 1.0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a stored picture, (H, W, C)."""
        return self.height, self.width, self.channels

    @property
    def filter(self) -> Image.Resampling:
        """Pillow's filter; all but nearest antialias when shrinking."""
        return Image.Resampling[self.resample.upper()]


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Pillow warns of large pictures and odd metadata; here such files are judged one by one instead."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


_known: list[str] = []


def _formats() -> list[str]:
    if not _known:
        Image.init()
        _known.extend(f for f in _FORMATS if f in Image.OPEN)
    return _known


def open_picture(file: IO[bytes]) -> tuple[Image.Image, Header]:
    """Open a file by its content and read its header. Raises `Bad`."""
    size = file.seek(0, 2)
    file.seek(0)
    try:
        image = Image.open(file, formats=_formats())
    except UnidentifiedImageError:
        file.seek(0)
        raise Bad("empty file" if not file.read(1) else "not a picture, whatever its name says") from None
    except Image.DecompressionBombError as error:
        raise Bad(f"too large to decompress safely: {error}") from None
    except Exception as error:  # decoders raise all sorts: SyntaxError, struct.error, ValueError ...
        raise Bad(f"cannot be read: {error}") from None
    try:
        pixels = image.width * image.height * _bytes_of(image)
        if pixels > most_unpacked(size):
            raise Bad(
                f"too large to decompress safely: {image.width}x{image.height} pixels in a file of {size:,} bytes"
            )
        return image, _header(image)
    except Bad:
        image.close()
        raise
    except Exception as error:
        image.close()
        raise Bad(f"cannot be read: {error}") from None


def _bytes_of(image: Image.Image) -> int:
    """Bytes of one pixel in memory."""
    return 4 if image.mode in ("I", "F") else 2 if image.mode.startswith("I;") else len(image.getbands())


def _header(image: Image.Image) -> Header:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise Bad(f"too large to decompress safely: {width}x{height} pixels")
    orientation = _orientation(image)
    if orientation >= 5:
        if isinstance(image, TiffImagePlugin.TiffImageFile):  # whether `size` is turned already depends on Pillow
            width, height = int(image.tag_v2[256]), int(image.tag_v2[257])
        width, height = height, width
    mode, info = image.mode, image.info
    depth: Depth = "float32" if mode == "F" else "uint16" if mode.startswith("I") else "uint8"
    palette = image.getpalette() if mode in ("P", "PA") else None
    colour = mode not in ("1", "L", "LA", "La", "F") and not mode.startswith("I")
    if palette is not None:
        colour = not palette[0::3] == palette[1::3] == palette[2::3]
    return Header(
        height=height,
        width=width,
        mode=mode,
        format=image.format or "",
        colour=colour,
        alpha=mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in info,
        depth=depth,
        rotated=orientation > 1,
        animated=image.format in ("GIF", "WEBP", "PNG", "TIFF", "AVIF") and bool(getattr(image, "is_animated", False)),
        deep_colour=colour and _has_deep_tiles(image),
    )


def _has_deep_tiles(image: Image.Image) -> bool:
    # Pillow decodes e.g. 16-bit RGB as "RGB;16B" into mode RGB; only the decoder's arguments tell.
    return any("16" in str(tile[3]) for tile in getattr(image, "tile", []))


def _orientation(image: Image.Image) -> int:
    # Asking a PNG without an exif chunk before its pixels would decode it to look behind them.
    if image.format not in ("JPEG", "MPO", "TIFF") and "exif" not in image.info:
        return 1
    value = image.getexif().get(0x0112, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def read_header(data: IO[bytes]) -> Header:
    """The header of a picture file. Raises `Bad`."""
    image, header = open_picture(data)
    image.close()
    return header


def decode(data: bytes, target: Target) -> np.ndarray:
    """The first frame of a picture file as an array (H, W, C) of the target's dtype. Raises `Bad`."""
    return _decoded(data, target, look=False)[0]


def examine(data: bytes, target: Target) -> tuple[np.ndarray, bool]:
    """What `decode` makes of a picture file, and whether the file has a single colour. Raises `Bad`."""
    return _decoded(data, target, look=True)


def _decoded(data: bytes, target: Target, look: bool) -> tuple[np.ndarray, bool]:
    image, header = open_picture(io.BytesIO(data))
    large = image.width * image.height * _bytes_of(image) > FREE
    with image, _LARGE if large else contextlib.nullcontext():
        try:
            image.load()
            bands = image.getextrema() if look else ()
            if header.rotated:
                image = ImageOps.exif_transpose(image)
            bands = bands if bands and isinstance(bands[0], tuple) else (bands,)
            return _convert(image, header, target), look and all(b[0] == b[1] for b in bands)
        except Bad:
            raise
        except MemoryError:
            raise Bad("does not fit in memory") from None
        except Exception as error:  # truncated data, broken chunks, unsupported colour spaces ...
            raise Bad(f"cannot be decoded: {error}") from None


def _convert(image: Image.Image, header: Header, target: Target) -> np.ndarray:
    if header.depth == "uint8" and target.dtype == "uint8":
        image = _colours(image, header, target.channels)
        check_range(np.asarray(image), target)
        array = np.asarray(resize(image, target))
        return _clipped(array if array.ndim == 3 else array[..., None], target)
    if header.depth == "uint8":
        if target.dtype == "float32" and not target.whole:
            raise Bad("8-bit picture among float pictures")
        scale = 1 if target.whole else 257
        array = np.asarray(_colours(image, header, target.channels)).astype(np.uint16) * scale
        array = (array if array.ndim == 3 else array[..., None]).astype(target.dtype)
        check_range(array, target)
    else:
        array = _single(np.asarray(image)[..., None], header, target)
        if target.channels > 1:
            opaque = np.full_like(array, target.most)
            array = np.concatenate([array] * 3 + [opaque] * (target.channels - 3), axis=2)
    return fit_array(array[None], target)[0]


def _single(array: np.ndarray, header: Header, target: Target) -> np.ndarray:
    """A picture (H, W, 1) of deep integers or floats in the target's dtype. Raises `Bad`."""
    if header.depth == "float32":
        if target.dtype != "float32" or target.whole:
            raise Bad("float picture among integer pictures")
        if not np.isfinite(array).all():
            raise Bad("has pixels that are not finite")
    elif target.dtype == "float32" and not target.whole:
        raise Bad("integer picture among float pictures")
    elif not target.whole:
        if trouble := beyond(int(array.min()), int(array.max())):
            raise Bad(trouble)
        if target.dtype == "uint8":
            array = np.rint(array / 257.0).astype(np.uint8)
    array = array.astype(target.dtype)
    check_range(array, target)
    return array


def beyond(low: int, high: int) -> str:
    """Why integers from `low` to `high` are not kept as they are, and what to do; empty if they are."""
    if low >= 0 and high <= MOST["uint16"]:
        return ""
    trouble = f"{low} is below 0 (values to {high})" if low < 0 else f"{high} is above 65535 (values from {low})"
    return f"{trouble}: pass --range={low},{high}, or the range that there can be, or save it as float32"


def check_range(array: np.ndarray, target: Target) -> None:
    """Raises `Bad` if a value is outside the target's bounds."""
    if target.bounds is None:
        return
    low, high = float(array.min()), float(array.max())
    if low < target.bounds[0] or high > target.bounds[1]:
        odd = low if low < target.bounds[0] else high
        raise Bad(
            f"{odd:g} is outside the range {target.bounds[0]:g},{target.bounds[1]:g} (values {low:g} to {high:g})"
        )


def _clipped(array: np.ndarray, target: Target) -> np.ndarray:
    """What a filter that overshoots made, brought back into the bounds."""
    if target.bounds is None:
        return array
    return np.clip(array, *target.bounds).astype(target.dtype)


def _colours(image: Image.Image, header: Header, channels: int) -> Image.Image:
    """To mode L, RGB or RGBA. Transparent pictures are laid on white unless alpha is kept."""
    if header.alpha:
        image = image.convert("RGBA")
        if channels != 4:
            ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
            ground.alpha_composite(image)
            image = ground.convert("RGB")
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    if mode == "L" and image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def resize(image: Image.Image, target: Target) -> Image.Image:
    """An image of any size made to fit the target."""
    w, h = image.size
    tw, th = target.width, target.height
    if (w, h) == (tw, th):
        return image
    match target.fit:
        case "stretch":
            return image.resize((tw, th), target.filter)
        case "crop":
            scale = min(w / tw, h / th)
            cw, ch = tw * scale, th * scale
            left, top = (w - cw) / 2, (h - ch) / 2
            box = (max(left, 0.0), max(top, 0.0), min(left + cw, float(w)), min(top + ch, float(h)))
            return image.resize((tw, th), target.filter, box=box)
        case "pad":
            scale = max(w / tw, h / th)
            pw, ph = max(round(w / scale), 1), max(round(h / scale), 1)
            ground = Image.new(image.mode, (tw, th))
            ground.paste(image.resize((pw, ph), target.filter), ((tw - pw) // 2, (th - ph) // 2))
            return ground
    raise ValueError(f"fit is {target.fit!r}; it must be crop, pad or stretch")


def fit_array(rows: np.ndarray, target: Target) -> np.ndarray:
    """Arrays (N, H, W, C) of the target's dtype made to have the target's channels and size."""
    most = target.most
    c = rows.shape[3]
    if c == 4 and target.channels == 3:
        share = rows[..., 3:] / most
        blended = rows[..., :3] * share + most * (1 - share)
        rows = (blended if target.dtype == "float32" else np.rint(blended)).astype(target.dtype)
    elif c == 3 and target.channels == 1:
        grey = rows.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
        rows = (grey if target.dtype == "float32" else np.rint(grey)).astype(target.dtype)[..., None]
    elif c != target.channels:
        assert target.channels in (3, 4) and c in (1, 3)
        colour = np.repeat(rows, 3, axis=3) if c == 1 else rows
        if target.channels == 4:
            colour = np.concatenate([colour, np.full_like(colour[..., :1], most)], axis=3)
        rows = colour
    if rows.shape[1:3] == (target.height, target.width):
        return rows
    out = np.empty((len(rows), target.height, target.width, target.channels), target.dtype)
    for i, row in enumerate(rows):
        if target.dtype == "uint8" and target.channels in (1, 3, 4):
            image = Image.fromarray(np.ascontiguousarray(row[..., 0] if target.channels == 1 else row))
            out[i] = np.asarray(resize(image, target)).reshape(out.shape[1:])
            continue
        for channel in range(target.channels):
            plane = Image.fromarray(np.ascontiguousarray(row[..., channel], dtype=np.float32))
            values = np.asarray(resize(plane, target))
            if target.dtype != "float32":
                values = np.clip(np.rint(values), 0, most)
            out[i, ..., channel] = values
    return _clipped(out, target)
