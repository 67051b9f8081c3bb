"""Tables: the columns of samples over those of real rows; rows as files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image, ImageDraw

from ...data import Column, DataSpec, TableCodec
from ...data.kinds.table.write import write_table
from ..drawing import COLOURS, GREY, INK, PAPER, put_text, shrunk, tick_number
from ..files import save
from ..grid import thinned
from ..show import Show


class TableShow(Show):
    """Rows (N, D) as a crowd."""

    film = 2_000
    apart = False
    reveals = True
    chart = True
    out = "rows.csv"
    writes: ClassVar[Mapping[str, str]] = {
        ".csv": "rows",
        ".csv.gz": "rows",
        ".tsv": "rows",
        ".parquet": "rows",
        ".png": "a look at the columns",
    }

    def sheet(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, columns: int = 0) -> Image.Image:
        """How often each value occurs, over that of a few thousand real rows, evenly spaced."""
        return marginals(samples, thinned(real), _codec(spec).columns)

    def write(self, samples: np.ndarray, spec: DataSpec, real: np.ndarray, out: Path, columns: int = 0) -> None:
        """Rows with the types and formats of the source, or a look at the columns.

        Raises `MissingExtra` for parquet without pandas and pyarrow.
        """
        if self.suffix(out) == ".png":
            save(self.sheet(samples, spec, real, columns), out)
        else:
            write_table(_codec(spec), samples, out)

    def near(self, spec: DataSpec) -> str:
        """Columns have no common unit, and cells may be missing."""
        return "Of tables gansmith evaluate RUN --data HELDOUT.csv tells whether samples are training rows."


SHOW = TableShow()


def _codec(spec: DataSpec) -> TableCodec:
    assert isinstance(spec.codec, TableCodec)
    return spec.codec


def marginals(samples: np.ndarray, real: np.ndarray, columns: Sequence[Column]) -> Image.Image:
    """How often each value of up to 12 columns occurs: samples (N, D), lines, over real rows (M, D), grey bars.

    `columns`: what they are (`TableCodec.columns`); of a discrete one the 12 most frequent values are shown, and
    missing cells are the last bar, if there are any.
    """
    real = real if len(real) else np.empty((0, len(columns)))
    shown = [i for i, c in enumerate(columns) if c.type != "constant"]
    chosen = [shown[k] for k in np.unique(np.linspace(0, len(shown) - 1, min(len(shown), 12)).round().astype(int))]
    across = min(len(chosen), 4)
    over, width, height, room = 2, 230, 120, 46
    rows = math.ceil(len(chosen) / across)
    image = Image.new("RGB", (across * width * over, (rows * (height + room) + 24) * over), PAPER)
    draw = ImageDraw.Draw(image)
    for k, i in enumerate(chosen):
        c = columns[i]
        left, top = k % across * width + 10, k // across * (height + room) + 26
        expected, found, labels = _shares(real[:, i], samples[:, i], c)
        most = max(float(expected.max(initial=0)), float(found.max(initial=0)), 1e-12)
        step = (width - 20) / len(expected)
        for j in range(len(expected)):
            x0, x1 = (left + j * step) * over, (left + (j + 1) * step) * over - (over if len(expected) <= 13 else 0)
            base = (top + height - 30) * over
            tall, line = ((height - 30) * over * share / most for share in (expected[j], found[j]))
            draw.rectangle((x0, base - tall, x1, base), fill=(210, 213, 218))
            draw.line((x0, base - line, x1, base - line), fill=COLOURS[0], width=2 * over)
        put_text(draw, (left * over, (top - 12) * over), str(c.name).strip()[:30], 12 * over, INK, "lm")
        ends = ((left, labels[0], "lm"), (left + width - 20, labels[-1], "rm"))
        for x, label, anchor in ends if len(labels) > 1 else ends[:1]:
            put_text(draw, (x * over, (top + height - 18) * over), label[:16], 10 * over, GREY, anchor)
    caption = f"{len(samples):,} samples (lines) over {len(real):,} real rows (bars)"
    put_text(draw, (10 * over, (rows * (height + room) + 10) * over), caption, 12 * over, INK, "lm")
    return shrunk(image, over)


def _shares(real: np.ndarray, fake: np.ndarray, column: Column) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The share of each value, or of 24 ranges of values, in two columns, and what to write beneath."""
    gone = [float(np.isnan(v).mean()) if len(v) else 0.0 for v in (real, fake)]
    there = [v[~np.isnan(v)] for v in (real, fake)]
    if column.discrete:
        counts = [np.bincount(v.astype(np.int64), minlength=len(column.values)) for v in there]
        order = np.argsort(-counts[0], kind="stable")[:12]
        labels = [column.values[k].strip() for k in order]
        shares = [c[order] / max(len(v), 1) for c, v in zip(counts, (real, fake), strict=True)]
    else:
        edges = np.linspace(column.low, column.high if column.high > column.low else column.low + 1, 25)
        shares = [np.histogram(v, edges)[0] / max(len(w), 1) for v, w in zip(there, (real, fake), strict=True)]
        dates = column.type == "date"
        stamps = (np.array([column.low, column.high]) * 1e6).astype(np.int64).astype("datetime64[us]")
        labels = [str(t)[:10] for t in stamps] if dates else [tick_number(column.low), tick_number(column.high)]
    if any(gone):
        shares = [np.append(s, g) for s, g in zip(shares, gone, strict=True)]
        labels = [*labels[:-1], "missing"] if len(labels) > 1 else [*labels, "missing"]
    return shares[0], shares[1], labels
