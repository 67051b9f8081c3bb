"""Two sets that are not aligned: what was made beside its source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from ...data import DataSpec
from .. import beside
from ..show import Show


class DomainsShow(Show):
    """Samples (N, ...) of part b, made of sources (M, ...) of part a, which are the real ones here."""

    reveals = True
    writes: ClassVar[Mapping[str, str]] = {".png": "each beside its source", ".npz": "the numbers", "": "a file each"}

    def sheet(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, columns: int = 0) -> Image.Image:
        """Source | result, row by row; `columns` such pairs stand beside one another."""
        return beside.sheet(samples, spec, real, columns)

    def write(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, out: Path, columns: int = 0) -> None:
        """The sheet, the numbers, or a folder as part b's kind writes it."""
        beside.write(self, samples, spec, real, out, columns)

    def near(self, spec: DataSpec) -> str:
        """A sample is to be near to its own target."""
        return "Not looked for: samples are made of sources, and stand beside them above."


SHOW = DomainsShow()
