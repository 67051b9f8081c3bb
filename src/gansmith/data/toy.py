"""Two-dimensional mixtures of Gaussians whose modes can be counted, and the count.

Source: Metz, Poole, Pfau, Sohl-Dickstein, "Unrolled Generative Adversarial Networks", 2016, arXiv:1611.02163 (ring);
Srivastava et al., "VEEGAN", 2017, arXiv:1705.07761 (grid, and the two measures).
"""

from __future__ import annotations

import numpy as np

NAMES = ("grid", "ring", "spiral")
POINTS = 100_000


def centres(name: str) -> np.ndarray:
    """The modes (K, 2) of `ring` (8), `grid` (25) or `spiral` (40); on the spiral they are points along its arm."""
    match name:
        case "ring":
            angle = 2 * np.pi * np.arange(8) / 8
            return np.stack([np.cos(angle), np.sin(angle)], 1)
        case "grid":
            steps = np.arange(-4.0, 5.0, 2.0)
            return np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)
        case "spiral":
            turn = np.linspace(0.25, 1.0, 40)  # evenly spaced in the square root of the angle: about evenly on the arm
            angle = 4 * np.pi * turn**2
            return np.stack([turn**2 * np.cos(angle), turn**2 * np.sin(angle)], 1) * 2
    raise ValueError(f"no toy is called {name!r}; there are {', '.join(NAMES)}")


def sigma(name: str) -> float:
    """The standard deviation of each mode."""
    found = {"ring": 0.01, "grid": 0.05, "spiral": 0.02}
    if name not in found:
        raise ValueError(f"no toy is called {name!r}; there are {', '.join(NAMES)}")
    return found[name]


def sample(name: str, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """n points (n, 2) float32 and the mode (n,) int64 of each; all modes are equally likely."""
    generator = np.random.Generator(np.random.Philox(key=[seed % 2**64, NAMES.index(name)]))
    means = centres(name)
    mode = generator.integers(len(means), size=n)
    return (means[mode] + generator.normal(0.0, sigma(name), (n, 2))).astype(np.float32), mode.astype(np.int64)


def quality(points: np.ndarray, centres: np.ndarray, sigma: float) -> tuple[int, float]:
    """How many modes the points (N, 2) cover, and the share of them that is of high quality.

    High quality: within 3 sigma of the nearest centre (of a perfect sampler 1 - exp(-9/2) = 98.89 % are). A mode is
    covered if it is the nearest to at least one point of high quality.
    """
    nearest = np.empty(len(points), np.int64)
    distance = np.empty(len(points))
    for first in range(0, len(points), 65_536):
        block = np.asarray(points[first : first + 65_536], np.float64)
        squared = np.square(block[:, None] - centres[None]).sum(-1)
        nearest[first : first + len(block)] = squared.argmin(1)
        distance[first : first + len(block)] = np.sqrt(squared.min(1))
    good = distance <= 3 * sigma
    return len(np.unique(nearest[good])), float(good.mean())
