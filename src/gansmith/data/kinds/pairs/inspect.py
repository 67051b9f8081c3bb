"""What is in two sets of samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from ....options import DataOptions, Size
from ...found import Report, warnings_of
from ...plan import Quarantined
from ..image.inspect import report_of_pictures
from ..image.source import PictureSource
from ..image.survey import Survey, choose, survey


def halved(seen: Survey) -> Survey:
    """What the headers of joined pictures say of each half."""
    found = dataclasses.replace(seen, sizes=type(seen.sizes)())
    for (height, width), n in seen.sizes.items():
        if width % 2 == 0:
            found.sizes[height, width // 2] += n
    return found


def report_of_joined(name: str, files: PictureSource, options: DataOptions, progress: bool) -> Report:
    """Pictures that are pairs side by side: what is said of them, with the size of a half."""
    whole = report_of_pictures(files, dataclasses.replace(options, size=Size((1, 1))), progress)
    shape, problem, notes = whole.shape, whole.problem, list(whole.notes)
    if not problem:
        try:
            seen = halved(survey(files.files, files.listing, progress))
            target, more = choose(name, seen, options, files.listing)
            shape, notes = (target.channels, target.height, target.width), [*files.listing.notes, *more]
        except ValueError as error:
            shape, problem = (), str(error)
    return dataclasses.replace(whole, source=name, kind="pairs", shape=shape, problem=problem, notes=tuple(notes))


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
