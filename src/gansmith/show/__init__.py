"""What a person sees: samples of each kind as pictures, files and media; the curves of the terms, the film.

Every picture of samples says in its metadata that a model made it. NumPy and Pillow; no HTML.
"""

from .beside import side_by_side
from .curves import curves
from .files import COMMENT, SOFTWARE, save
from .film import film
from .grid import grid, strips, to_8_bit
from .show import Look, Media, Near, Show, show_of
from .trends import FEW, reading, terms_of

__all__ = [
    "COMMENT",
    "FEW",
    "SOFTWARE",
    "Look",
    "Media",
    "Near",
    "Show",
    "curves",
    "film",
    "grid",
    "reading",
    "save",
    "show_of",
    "side_by_side",
    "strips",
    "terms_of",
    "to_8_bit",
]
