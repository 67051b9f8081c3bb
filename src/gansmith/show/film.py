"""A GIF of the moments of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ..files import write_atomically
from .drawing import INK, PAPER, put_text
from .files import COMMENT

MOST_PIXELS = 1 << 25
"""Of a frame that is shown: larger ones are no pictures of ours."""


def sound(path: Path) -> bool:
    """Whether a file is a whole picture of a size that is shown."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                return False
            image.verify()
    except Exception:  # decoders raise all sorts
        return False
    return True


def film(frames: Sequence[Path], out: Path, max_frames: int = 60) -> None:
    """A GIF of pictures of equal size, in order, named by the number of images shown (`000000012800.png`).

    At most `max_frames` of them, evenly spaced, the first and the last included; the last is held. A strip below says
    how many images had been shown. Nothing is written if there are no frames; damaged ones are left out.
    """
    frames = [path for path in frames if sound(path)]
    if not frames:
        return
    chosen = [
        frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, min(len(frames), max_frames)).round().astype(int))
    ]
    pages = []
    strip = 26
    for path in chosen:
        with Image.open(path) as file:
            picture = file.convert("RGB")
        if max(picture.size) > 900:  # a GIF of large pictures takes tens of megabytes
            shrink = 900 / max(picture.size)
            picture = picture.resize(
                (round(picture.width * shrink), round(picture.height * shrink)), Image.Resampling.BOX
            )
        page = Image.new("RGB", (picture.width, picture.height + strip), PAPER)
        page.paste(picture, (0, 0))
        draw = ImageDraw.Draw(page)
        label = f"{int(path.stem):,} images shown" if path.stem.isdigit() else path.stem
        put_text(draw, (6, picture.height + strip // 2), label, 13, INK, "lm")
        pages.append(page)
    size = pages[-1].size
    pages = [p if p.size == size else p.resize(size) for p in pages]
    # One palette, of the first, middle and last page together: colours do not flicker from page to page.
    thirds = [pages[0], pages[len(pages) // 2], pages[-1]]
    joined = Image.new("RGB", (size[0], size[1] * 3))
    for i, page in enumerate(thirds):
        joined.paste(page, (0, i * size[1]))
    palette = joined.quantize(256, Image.Quantize.MEDIANCUT)
    flat = [p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pages]
    each = int(min(max(6_000 / len(flat), 80), 400))
    durations = [each] * (len(flat) - 1) + [3_000]
    options = {"save_all": True, "append_images": flat[1:], "duration": durations, "loop": 0}
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, lambda part: flat[0].save(part, "GIF", comment=COMMENT.encode(), **options))
