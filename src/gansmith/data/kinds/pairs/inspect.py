"""What is in two sets of samples."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence

import numpy as np

from ....options import DataOptions
from ...found import Report, warnings_of
from ...listing import Listing
from ...plan import Quarantined
from ..image.decode import Bad, Target, examine, fit_array, read_header
from ..image.inspect import report_of_pictures
from ..image.source import PictureSource
from ..image.survey import Survey, choose


def choose_half(name: str, seen: Survey, options: DataOptions, listing: Listing) -> tuple[Target, list[str]]:
    """What each half of joined pictures becomes, and what there is to say about it. Raises `ValueError`."""
    found = dataclasses.replace(seen, sizes=type(seen.sizes)())
    for (height, width), n in seen.sizes.items():
        if width % 2 == 0:
            found.sizes[height, width // 2] += n
    if seen.good and not found.good:
        (height, width), _ = seen.sizes.most_common(1)[0]
        raise ValueError(
            f"{uneven(width)}: pictures that hold two halves side by side have an even width, and those of {name} are "
            f"{height}x{width}"
        )
    return choose(name, found, options, listing)


def uneven(width: int) -> str:
    """What is said of a picture of two halves that has no middle."""
    return f"{width} pixels cannot be halved"


def halves_of(data: bytes, target: Target) -> tuple[Sequence[np.ndarray], bool]:
    """The left and the right half of a picture file, each made into the target; whether it has a single colour.

    Raises `Bad`.
    """
    header = read_header(io.BytesIO(data))
    if header.width % 2:
        raise Bad(uneven(header.width))
    whole, constant = examine(data, dataclasses.replace(target, height=header.height, width=header.width))
    return [fit_array(cut, target)[0] for cut in np.split(whole[None], 2, axis=2)], constant


def report_of_joined(name: str, files: PictureSource, options: DataOptions, progress: bool) -> Report:
    """Pictures that are pairs side by side: what is said of them, with the size of a half."""
    found = report_of_pictures(files, options, progress, choose_half, halves_of, name)
    return dataclasses.replace(found, kind="pairs")


def together(
    name: str,
    kind: str,
    parts: Mapping[str, Report],
    aside: Sequence[Quarantined],
    notes: Sequence[str],
    *,
    smaller: bool,
) -> Report:
    """Two sets as one report; `smaller`: no more are usable than the smaller of the two holds."""
    a, b = parts["a"], parts["b"]
    quarantined = (*aside, *a.quarantined, *b.quarantined)
    problem = "; ".join(f"{k}: {part.problem}" for k, part in parts.items() if part.problem)
    # A pair of which either half is broken is left out; at least so many are, at most the sum.
    usable = min(a.usable, b.usable) if smaller else max(a.usable, b.usable)
    return dataclasses.replace(
        b,
        source=name,
        kind=kind,
        found=max(a.found, b.found),
        usable=usable,
        decoded=min(a.decoded, b.decoded),
        duplicates=0,
        duplicate_groups=(),
        quarantined=quarantined,
        ignored=tuple(sorted({*a.ignored, *b.ignored})),
        notes=tuple(notes),
        shape=() if problem else b.shape,
        problem=problem,
        warnings=tuple(warnings_of(usable, {}, 0, 0, len(quarantined))),
        at_most=smaller and bool(quarantined),
        parts=dict(parts),
    )
