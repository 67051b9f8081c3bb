"""Text: a sample a line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image, ImageDraw

from ...data import DataSpec, TextCodec
from ..drawing import INK, PAPER, SIDE, put_text, shrunk
from ..files import save_arrays, save_lines
from ..show import Media, Show


class TextShow(Show):
    """Lines (N,) of strings, or the tokens (N, T) that a store keeps."""

    printed = True
    out = "lines.txt"
    writes: ClassVar[Mapping[str, str]] = {".txt": "lines", ".npz": "an array of them"}

    def sheet(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, columns: int = 0) -> Image.Image:
        """A picture of the first two dozen lines, cut where it ends."""
        over, height = 2, 22
        lines = _lines(samples, spec)[: self.reported(spec)[0]]
        image = Image.new("RGB", (SIDE * over, (height * max(len(lines), 1) + 8) * over), PAPER)
        draw = ImageDraw.Draw(image)
        for i, line in enumerate(lines):
            put_text(draw, (8 * over, (4 + height * i + height / 2) * over), line[:200], 13 * over, INK, "lm")
        return shrunk(image, over)

    def write(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, out: Path, columns: int = 0) -> None:
        """Lines, or an array of strings."""
        lines = _lines(samples, spec)
        if self.suffix(out) == ".txt":
            save_lines(lines, out)
        else:
            save_arrays({"x": lines}, out)

    def moment(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, path: Path, columns: int = 0) -> Path:
        """A file of lines."""
        path = path.with_suffix(".txt")
        save_lines(_lines(samples, spec), path)
        return path

    def media(
        self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, alt: str, *, made: bool = True
    ) -> list[Media]:
        """The lines themselves."""
        return [Media(mime="text/plain", data="\n".join(_lines(samples, spec)).encode(), alt=alt)]

    def single(self, sample: np.ndarray, spec: DataSpec, alt: str, *, made: bool = True) -> list[Media]:
        """The line itself."""
        one = np.asarray(sample)[None]
        return self.media(one, spec, one[:0], alt, made=made)

    def near(self, spec: DataSpec) -> str:
        """Distances between token numbers say nothing."""
        return "Distances between texts are not shown here: gansmith evaluate counts copied lines."

    def reported(self, spec: DataSpec) -> tuple[int, int]:
        """As many lines as are read; raw and real ones stand beside them."""
        return 24, 12


SHOW = TextShow()


def _lines(samples: np.ndarray, spec: DataSpec) -> np.ndarray:
    """Strings (N,), of strings or of tokens."""
    if samples.dtype.kind == "U":
        return samples
    assert isinstance(spec.codec, TextCodec)
    return spec.codec.decode(torch.from_numpy(np.array(samples)))
