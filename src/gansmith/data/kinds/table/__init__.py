"""Tables: rows of mixed columns, each read and written back in its own type.

Sources: .csv, .csv.gz, .tsv, .parquet (`table:FILE` says so), a pandas DataFrame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ....extras import need
from ....options import DataOptions
from ...codec import Codec
from ...found import Report
from ...kind import Given, Kind, Source, picture_options
from ...plan import Quarantined
from ...spec import DataSpec
from .codec import TableCodec
from .inspect import report_of_table
from .reading import OPTIONS
from .source import is_frame, is_table, rows_like, table_source


class Tables(Kind):
    """Rows of numbers as they are stored, encoded column by column."""

    name = "table"
    samples = "rows"
    title = "tables"
    sources = ("a .csv, .tsv or .parquet table",)
    example = "people.csv"
    options = OPTIONS
    first = 60
    rank = 1
    formats = False

    def recognise(self, given: Given) -> Source | None:
        """DataFrames, mappings of columns, and files by their suffix; after the prefix any file."""
        if is_frame(given.value):
            return table_source(given.value)
        if given.columns is not None:
            return table_source(need("pandas", "tables", "columns in a mapping").DataFrame(dict(given.columns)))
        if given.prefix:
            return table_source(given.rest, given.spelt)
        return table_source(given.path) if given.path is not None and is_table(given.path) else None

    def codec(self, saved: Mapping[str, Any]) -> Codec:
        """The codec of these columns."""
        return TableCodec.from_json(dict(saved))

    def words(self, spec: DataSpec) -> str:
        """How long an encoded row is."""
        return f"rows of a table, encoded as {spec.shape[0]:,} numbers"

    def recorded(self, options: DataOptions, source: Source) -> dict[str, Any]:
        """What stores of tables have recorded from the first, and the types that were forced."""
        del source
        default = DataOptions()
        said = {name: getattr(options, name) for name in sorted(OPTIONS)}
        return picture_options(options) | {k: v for k, v in said.items() if v != getattr(default, k)}

    def alike(self, options: DataOptions, packed: Mapping[str, Any], spec: DataSpec) -> DataOptions:
        """Read in the same way."""
        del spec
        return replace(options, **{name: str(packed[name]) for name in OPTIONS if name in packed})

    def reread(self, source: Any, spec: DataSpec) -> tuple[np.ndarray, list[str]] | None:
        """Another table's rows in the columns of this one, found by their names."""
        assert isinstance(spec.codec, TableCodec)
        return rows_like(source, spec.codec, unseen=True)

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
        """Column by column."""
        del ignored
        assert isinstance(spec.codec, TableCodec)
        return report_of_table(name, spec.codec, np.asarray(fields["x"]), quarantined, notes)

    def seen(self, shape: tuple[int, ...]) -> str:
        """How many columns there are."""
        return f"{shape[0]} columns"


KIND = Tables()
