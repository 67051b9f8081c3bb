"""A user's picture files as stored samples of a model's size, for the services."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...bounded import check_regular
from ...folders import Folder
from ...kind import Files
from ...listing import Reading, printable
from ...spec import DataSpec
from .codec import ImageCodec, bounds_of
from .decode import SUFFIXES, Bad, Target, decode, quiet

_AT_ONCE = 1_024


def read_files(path: Path, spec: DataSpec) -> Files:
    """The pictures of a file or folder, brought to the size of `spec`; sub-folders are their classes, as for training.

    Raises `ValueError` if none can be used.
    """
    assert isinstance(spec.codec, ImageCodec)
    channels, height, width = spec.shape
    codec = spec.codec
    target = Target(
        height=height,
        width=width,
        channels=channels,
        dtype=codec.dtype,
        fit="crop",
        resample="lanczos",
        bounds=bounds_of(codec),
        whole=codec.whole,
    )
    check_regular(path)
    listing = Folder(path, SUFFIXES, Reading(every=True)).listing() if path.is_dir() else None
    names = [path.name] if listing is None else list(listing.names)
    failed = [(q.name, q.reason) for q in listing.quarantined] if listing else []
    used, rows = [], []
    with quiet():
        for i, name in enumerate(names):
            try:
                rows.append(decode((path / name if listing else path).read_bytes(), target))
                used.append(i)
            except (Bad, OSError) as error:
                failed.append((printable(name), str(error)))
    if not rows:
        listed = "; ".join(f"{name}: {reason}" for name, reason in failed[:3])
        raise ValueError(f"no picture of {path} can be used: {listed or 'there are none'}")
    return Files(
        names=tuple(printable(names[i]) for i in used),
        chunks=(np.stack(rows[i : i + _AT_ONCE]) for i in range(0, len(rows), _AT_ONCE)),
        labels=listing.labels[used] if listing and listing.labels is not None else None,
        classes=listing.classes if listing else (),
        failed=tuple(failed),
    )
