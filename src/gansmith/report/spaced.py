"""Which rows are taken where there are more than can be shown or read."""

from __future__ import annotations

import numpy as np


def spaced(n: int, most: int) -> np.ndarray:
    """Up to `most` rows of n, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))
