"""What is in a folder, archive or array of pictures."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ....options import DataOptions, Size
from ...bars import progress_bar, workers
from ...found import Report, warnings_of
from ...listing import MOST_BYTES, Bytes, Listing, printable
from ...looked import MOST_DECODED, Seen, count_classes
from ...plan import Quarantined, nothing_usable
from .codec import measured
from .decode import Bad, Target, examine, quiet
from .find import no_pictures
from .survey import Survey, survey
from .survey import choose as choose_size

if TYPE_CHECKING:
    from .source import PictureSource


Look = Callable[[bytes, Target], tuple[Sequence[np.ndarray], bool]]
"""What training makes of a picture file, and whether that has a single colour. Raises `Bad`."""


def as_is(data: bytes, target: Target) -> tuple[Sequence[np.ndarray], bool]:
    """One picture of a file."""
    array, constant = examine(data, target)
    return (array,), constant


def report_of_pictures(
    source: PictureSource,
    options: DataOptions,
    progress: bool,
    choose: Callable[[str, Survey, DataOptions, Listing], tuple[Target, list[str]]] = choose_size,
    look: Look = as_is,
    name: str = "",
) -> Report:
    """Read all headers, and make of all files, or of evenly spaced ones of many, what training would.

    `choose`, `look`: how the headers decide the target, and what is made of a file; other than usual for pictures that
    are not samples as a whole. `name`: what the source is called, where it is not by its files.
    """
    listing, name = source.listing, name or source.name
    total = len(listing.names)
    headers = survey(source.files, listing, progress) if total else Survey()
    target, problem, notes = None, "", list(listing.notes)
    try:
        if not total:
            raise ValueError(no_pictures(source.name, listing))
        target, more = choose(name, headers, options, listing)
        notes += more
    except ValueError as error:
        problem = str(error)
    tried = target
    if tried is None and headers.good:  # in any size, to see what can be decoded
        tried = choose_size(source.name, headers, replace(options, size=Size((1, 1))), listing)[0]
    seen, bad = _examine(source, headers.bad, tried, look, progress)
    bad = headers.bad | bad
    quarantined = (
        *listing.quarantined,
        *(Quarantined(printable(listing.names[i]), bad[i]) for i in sorted(bad) if bad[i]),
    )
    usable = total - len(bad)
    if not problem and not usable:
        problem = nothing_usable(name, quarantined)
    if target is not None and not problem and target.bounds is None and seen.low <= seen.high:
        try:
            notes += measured(name, target.dtype, seen.low, seen.high)[1]
        except ValueError as error:
            problem = str(error)
    keep = np.ones(total, bool)
    keep[list(bad)] = False
    classes = count_classes(listing.labels, listing.classes, keep)
    duplicates, groups = seen.duplicates(lambda i: printable(listing.names[i]))
    trainable = target is not None and not problem
    return Report(
        source=name,
        kind="image",
        found=total - sum(not reason for reason in bad.values()),
        usable=usable,
        decoded=seen.decoded,
        sizes=tuple((h, w, n) for (h, w), n in headers.sizes.most_common(20)),
        num_sizes=len(headers.sizes),
        modes=dict(headers.modes.most_common()),
        formats=dict(headers.formats.most_common()),
        depths=dict(headers.depths.most_common()),
        classes=classes,
        duplicates=duplicates,
        duplicate_groups=groups,
        constant=seen.constant,
        quarantined=quarantined,
        ignored=tuple(sorted([*listing.ignored, *headers.ignored])),
        notes=tuple(notes),
        shape=(target.channels, target.height, target.width) if trainable else (),
        dtype=target.dtype if trainable else "",
        problem=problem,
        warnings=tuple(warnings_of(usable, classes, duplicates, seen.constant, len(quarantined))),
    )


def _examine(
    source: PictureSource, known_bad: dict[int, str], target: Target | None, look: Look, progress: bool
) -> tuple[Seen, dict[int, str]]:
    """Decode all files, or evenly spaced ones if there are many; compare the bytes of those of equal length."""
    listing = source.listing
    total = len(listing.names) if target is not None else 0
    sizes = np.frombuffer(listing.sizes, np.uint64) if total else np.zeros(0, np.uint64)
    _, inverse, repeats = np.unique(sizes, return_inverse=True, return_counts=True)
    alike = repeats[inverse.reshape(-1)] > 1
    every = max(-(-total // MOST_DECODED), 1)
    seen, bad = Seen(), {}

    def chunk(first: int, files: Sequence[Bytes]) -> list[tuple[int, bytes, bool, _Values, str]]:
        assert target is not None
        results = []
        for i, file in enumerate(files, first):
            if i in known_bad or not (alike[i] or i % every == 0):
                continue
            values = _Values()
            try:
                with file.open() as f:
                    data = f.read()
                digest = hashlib.blake2b(data, digest_size=8).digest() if alike[i] else b""
                if i % every == 0:
                    arrays, constant = look(data, target)
                    values = _Values(min(a.min() for a in arrays), max(a.max() for a in arrays), constant)
                results.append((i, digest, i % every == 0, values, ""))
            except Bad as error:
                results.append((i, b"", True, values, str(error)))
            except OSError as error:
                results.append((i, b"", True, values, error.strerror or str(error)))
        return results

    bounds = listing.chunks(0).tolist() if total else [0]
    ranges = list(itertools.pairwise(bounds))
    with quiet(), progress_bar(progress) as bar, ThreadPoolExecutor(workers()) as pool:
        task = bar.add_task(f"decoding {source.name}", total=total)
        running = []

        def collect() -> None:
            for i, digest, decoded, values, reason in running.pop(0).result():
                seen.decoded += decoded
                seen.constant += values.constant
                seen.low, seen.high = min(seen.low, float(values.low)), max(seen.high, float(values.high))
                if reason:
                    bad[i] = reason
                elif digest:
                    seen.add(digest, i)
            bar.update(task, completed=total if not running else None)

        files = source.files.read(listing, ranges, MOST_BYTES) if ranges else iter(())
        for (first, last), batch in zip(ranges, files, strict=True):
            running.append(pool.submit(chunk, first, batch))
            del batch
            if len(running) > workers():
                collect()
                bar.update(task, completed=last)
        while running:
            collect()
    return seen, bad


@dataclass(frozen=True)
class _Values:
    """The least and the greatest value of a decoded picture, and whether the file has one colour."""

    low: float = math.inf
    high: float = -math.inf
    constant: bool = False
