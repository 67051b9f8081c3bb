"""Series: steps in time of several columns, of one length or of many.

Sources: `series:FILE` of a long or wide .csv (plain or gzip), of a .npy or .npz of (N, T, D).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...codec import Codec
from ...found import Report
from ...kind import Given, Kind, Source
from ...plan import Quarantined
from ...spec import DataSpec
from ..table.reading import OPTIONS
from .codec import SeriesCodec
from .inspect import report_of_series
from .source import series_like, series_source


class SeriesKind(Kind):
    """Steps (T, D) of mixed columns as they are stored, encoded column by column."""

    name = "series"
    samples = "series"
    sources = ("series:FILE of a long or wide .csv, or of an .npz of (N, T, D)",)
    example = "series:patients.csv"
    options = OPTIONS | {"series_id", "series_time", "series_window"}
    first = 70
    rank = 2
    sequence = True
    formats = False

    def recognise(self, given: Given) -> Source | None:
        """Files after the prefix alone: without it a CSV is a table."""
        return series_source(given.rest, given.spelt) if given.prefix else None

    def codec(self, saved: Mapping[str, Any]) -> Codec:
        """The codec of these columns."""
        return SeriesCodec.from_json(dict(saved))

    def words(self, spec: DataSpec) -> str:
        """How long, and how wide a step is encoded."""
        return f"series of up to {spec.shape[0]:,} steps, each encoded as {spec.shape[1]:,} numbers"

    def reread(self, source: Any, spec: DataSpec) -> tuple[np.ndarray, list[str]] | None:
        """Another file's series in the columns of this one, found by their names."""
        assert isinstance(spec.codec, SeriesCodec)
        return series_like(source, spec.codec, spec.shape[0])

    def report(
        self,
        name: str,
        spec: DataSpec,
        fields: Mapping[str, np.ndarray],
        *,
        quarantined: tuple[Quarantined, ...] = (),
        ignored: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> Report:
        """Lengths, and column by column."""
        del ignored
        assert isinstance(spec.codec, SeriesCodec)
        return report_of_series(name, spec.codec, np.asarray(fields["x"]), quarantined, notes)

    def seen(self, shape: tuple[int, ...]) -> str:
        """How long, and how many columns."""
        return f"{shape[0]} steps of {shape[1]} columns"


KIND = SeriesKind()
