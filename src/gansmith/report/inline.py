"""Pictures, players and lines inside the page, as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

from PIL import Image, PngImagePlugin

from .. import show
from ..show import Media
from .markup import Html, bullets, tag

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
    return tag("img", src=_uri(f"image/{kind}", data), alt=alt, width=str(size[0]), height=str(size[1]), class_=class_)


def shrunk(image: Image.Image, most: int, how: Image.Resampling) -> Image.Image:
    """The picture with no side longer than `most`."""
    if max(image.size) <= most:
        return image
    scale = most / max(image.size)
    return image.resize((max(round(image.width * scale), 1), max(round(image.height * scale), 1)), how)


_CLASSES = {"photo": "", "pixels": "px", "chart": "chart"}


def embed(media: Sequence[Media], most: int = 1_280) -> list[Html]:
    """Media inside the page: pictures no side longer than `most`, players, lines; other kinds of files are named."""
    return [_embedded(one, most) for one in media]


def _embedded(media: Media, most: int) -> Html:
    match media.mime.split("/"):
        case ["image", "png" | "jpeg"]:
            with Image.open(io.BytesIO(media.data)) as image:
                marked = "Comment" in image.info or "comment" in image.info
                return img(image, media.alt, most=most, made=marked, class_=_CLASSES[media.look])
        case ["image", "gif" as kind]:
            return encoded(media.data, kind, media.alt, media.size or (most, most), _CLASSES[media.look])
        case ["audio" | "video" as player, _]:
            return tag(player, src=_uri(media.mime, media.data), controls="", title=media.alt)
        case ["text", "plain"]:
            return bullets(media.data.decode("utf-8").split("\n"))
    return tag("p", f"{media.alt} ({media.mime}, {len(media.data):,} bytes)")


def _uri(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"
