"""The terms of the losses, over the images shown."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from .. import show
from .facts import Facts
from .inline import img
from .markup import Child, bullets, figure, table, tag


def section(facts: Facts) -> Child:
    """The curves, their reading, and a table of each term's values."""
    if not facts.log:
        return tag("p", "Nothing is logged yet.")
    reading = show.reading(facts.log)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "curves.png"
        show.curves(facts.log, path)
        with Image.open(path) as image:
            picture = img(image.convert("RGB"), f"the terms of each player's loss. {' '.join(reading)}", class_="chart")
    rows = []
    for turn, (_, terms) in show.terms_of(facts.log).items():
        for name, values in terms.items():
            late = values[-max(len(values) // 4, 1) :]
            finite = values[np.isfinite(values)]
            spread = [f"{finite.min():.4g}", f"{finite.max():.4g}"] if len(finite) else ["none", "none"]
            rows.append([f"{turn}/{name}", f"{values[-1]:.4g}", f"{np.median(late):.4g}", *spread])
    return [
        figure(picture, "One panel a player, over the images shown.", class_="curves"),
        bullets(reading, class_="narrow"),  # the picture holds it too, too small to read on a narrow screen
        table(["term", "last", "median, last quarter", "lowest", "highest"], rows, numeric=range(1, 5)),
    ]
