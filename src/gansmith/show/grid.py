"""Many samples as one picture: grids, and rows of source, result and target."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from .drawing import SIDE


def to_8_bit(images: np.ndarray, bounds: tuple[float, float] | None = None) -> np.ndarray:
    """Pictures (N, H, W, C) as uint8 (N, H, W, 1, 3 or 4) that can be looked at.

    `bounds` are the values of black and white; by default the dtype's range, 0 to 1 for floats. Two channels show
    the first alone, five or more the first three.
    """
    if images.ndim != 4:
        raise ValueError(f"pictures have shape {images.shape}; (N, H, W, C) is expected")
    low, high = bounds or ((0.0, 1.0) if images.dtype.kind == "f" else (0.0, float(np.iinfo(images.dtype).max)))
    channels = images.shape[3]
    images = images[..., : {2: 1, 3: 3, 4: 4}.get(channels, 3 if channels > 4 else 1)]
    if images.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return images
    scaled = (images.astype(np.float32) - low) * (255.0 / max(high - low, 1e-12))
    return np.rint(np.nan_to_num(scaled).clip(0, 255)).astype(np.uint8)


def image_of(picture: np.ndarray) -> Image.Image:
    """One picture (H, W, C), as Pillow has it: grey if C is 1."""
    return Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)


def grid(
    images: np.ndarray, columns: int = 0, scale: int = 0, bounds: tuple[float, float] | None = None
) -> Image.Image:
    """Pictures (N, H, W, C) side by side with thin gaps.

    `columns` 0 makes the grid about square; `scale` 0 enlarges small pictures, each pixel a block of its own, until
    the grid is about 640 pixels. Values and channels are shown as `to_8_bit` says.
    """
    if not len(images):
        raise ValueError("there are no pictures to show")
    shown = to_8_bit(images, bounds)
    n, height, width, channels = shown.shape
    columns = min(columns or max(round(math.sqrt(n * height / width)), 1), n)
    rows = math.ceil(n / columns)
    scale = scale or max(SIDE // max(columns * width, rows * height), 1)
    shown = shown.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = height * scale, width * scale
    gap = 2 if min(height, width) >= 32 else 1
    # Transparent pictures get a transparent ground, others white.
    ground = np.array((255, 255, 255, 0) if channels == 4 else (255,) * channels, np.uint8)
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), ground, np.uint8)
    for i in range(n):
        y, x = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        canvas[y : y + height, x : x + width] = shown[i]
    return image_of(canvas)


def strips(columns: Sequence[np.ndarray], repeat: int = 1) -> Image.Image:
    """Pictures of several kinds side by side, row by row: source, result, target.

    `columns`: for each kind 8-bit pictures (N, H, W, C) as `to_8_bit` gives them, N the same; all are shown in the size
    of the first and in as many channels as any has. `repeat`: so many rows stand beside one another.
    """
    height, width = columns[0].shape[1:3]
    most = max(column.shape[3] for column in columns)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[most]
    shown = []
    for column in columns:
        for picture in column:
            image = image_of(picture).convert(mode)
            if image.size != (width, height):
                image = image.resize((width, height), Image.Resampling.NEAREST)
            shown.append(np.asarray(image).reshape(height, width, most))
    rows = np.stack(shown).reshape(len(columns), -1, height, width, most).swapaxes(0, 1)
    return grid(rows.reshape(-1, height, width, most), columns=len(columns) * repeat)


def thinned(real: np.ndarray, most: int = 4_000) -> np.ndarray:
    """A few thousand rows of (M, ...), evenly spaced: enough to see where they lie."""
    return np.asarray(real[:: max(len(real) // most, 1)])
