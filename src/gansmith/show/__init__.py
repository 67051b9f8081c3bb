"""Pictures of a run: grids of samples, point clouds, the curves of the terms, the film. NumPy and Pillow, no torch.

Every picture of samples says in its metadata that a model made it; `save` is the one place that writes them.
"""

from .curves import curves
from .files import COMMENT, SOFTWARE, frame, save, save_lines, save_singles
from .film import film
from .grid import grid, sheet, strips, to_8_bit
from .plots import marginals, scatter
from .trends import FEW, reading, terms_of

__all__ = [
    "COMMENT",
    "FEW",
    "SOFTWARE",
    "curves",
    "film",
    "frame",
    "grid",
    "marginals",
    "reading",
    "save",
    "save_lines",
    "save_singles",
    "scatter",
    "sheet",
    "strips",
    "terms_of",
    "to_8_bit",
]
