"""Pictures inside the page, as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, PngImagePlugin

from .. import show
from ..data import DataSpec
from .markup import Html, tag

_JPEG_FROM = 120_000
"""Bytes of PNG from which JPEG is taken."""


def img(image: Image.Image, alt: str, *, most: int = 1_280, made: bool = False, class_: str = "") -> Html:
    """A picture inside the page, no side longer than `most`; PNG, or JPEG where that would be large.

    `made`: a model made it, and the file says so.
    """
    if image.mode not in ("L", "RGB"):
        ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    image = shrunk(image, most, Image.Resampling.LANCZOS)
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Software", show.SOFTWARE)
    if made:
        notes.add_text("Comment", show.COMMENT)
    file, kind = io.BytesIO(), "png"
    image.save(file, "PNG", pnginfo=notes, optimize=True)
    if file.tell() > _JPEG_FROM:
        file, kind = io.BytesIO(), "jpeg"
        image.save(file, "JPEG", quality=88, comment=show.COMMENT.encode() if made else b"")
    return encoded(file.getvalue(), kind, alt, image.size, class_)


def encoded(data: bytes, kind: str, alt: str, size: tuple[int, int], class_: str) -> Html:
    """The bytes of a picture file inside the page; `kind` is png, jpeg or gif, `size` (width, height)."""
    uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return tag("img", src=uri, alt=alt, width=str(size[0]), height=str(size[1]), class_=class_)


def shrunk(image: Image.Image, most: int, how: Image.Resampling) -> Image.Image:
    """The picture with no side longer than `most`."""
    if max(image.size) <= most:
        return image
    scale = most / max(image.size)
    return image.resize((max(round(image.width * scale), 1), max(round(image.height * scale), 1)), how)


def grid_size(spec: DataSpec) -> int:
    """Samples in a sheet: a square number, at most 64, of pictures that make a grid of about 1,000 pixels at most."""
    return min(max(1_024 // max(spec.shape[-2:]), 2), 8) ** 2


def sheet(samples: np.ndarray, spec: DataSpec, real: np.ndarray, alt: str, *, made: bool = True) -> Html:
    """Many samples in one picture: a grid, or points over `real` ones."""
    if spec.kind == "image":
        class_ = "px" if max(spec.shape[-2:]) < 64 else ""
        samples = samples[: grid_size(spec)]
    else:
        class_ = "chart"
    return img(show.sheet(samples, spec, real), alt, made=made, class_=class_)


def singles(images: np.ndarray, spec: DataSpec, alt: Sequence[str], *, made: bool) -> Iterator[Html]:
    """Pictures each on its own, small."""
    saved = spec.codec.to_json()
    for picture, text in zip(show.to_8_bit(images, (float(saved["low"]), float(saved["high"]))), alt, strict=True):
        image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
        yield img(image, text, most=128, made=made, class_="px" if max(image.size) < 96 else "")
