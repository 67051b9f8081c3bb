"""What is in a folder, archive or array of pictures."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from ....options import DataOptions
from ...bars import progress_bar, workers
from ...found import Report, warnings_of
from ...listing import MOST_BYTES, Bytes, printable
from ...looked import MOST_DECODED, Seen, count_classes
from ...plan import Quarantined
from .decode import Bad, open_picture, quiet
from .survey import choose, survey

if TYPE_CHECKING:
    from .source import PictureSource


def report_of_pictures(source: PictureSource, options: DataOptions, progress: bool) -> Report:
    """Read all headers, and decode all files or evenly spaced ones of many."""
    listing = source.listing
    total = len(listing.names)
    headers = survey(source.files, listing, progress)
    seen, bad = _examine(source, headers.bad, progress)
    bad = headers.bad | bad
    quarantined = (
        *listing.quarantined,
        *(Quarantined(printable(listing.names[i]), bad[i]) for i in sorted(bad) if bad[i]),
    )
    shape: tuple[int, ...] = ()
    dtype, problem, notes = "", "", list(listing.notes)
    try:
        if not total:
            raise ValueError(f"there are no pictures in {source.name}")
        target, more = choose(source.name, headers, options, listing)
        shape, dtype = (target.channels, target.height, target.width), target.dtype
        notes += more
    except ValueError as error:
        problem = str(error)
    usable = total - len(bad)
    if not problem and not usable:
        problem = f"none of the {total} files in {source.name} is a readable picture"
    keep = np.ones(total, bool)
    keep[list(bad)] = False
    classes = count_classes(listing.labels, listing.classes, keep)
    duplicates, groups = seen.duplicates(lambda i: printable(listing.names[i]))
    return Report(
        source=source.name,
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
        shape=shape if not problem else (),
        dtype=dtype if not problem else "",
        problem=problem,
        warnings=tuple(warnings_of(usable, classes, duplicates, seen.constant, len(quarantined))),
    )


def _examine(source: PictureSource, known_bad: dict[int, str], progress: bool) -> tuple[Seen, dict[int, str]]:
    """Decode all files, or evenly spaced ones if there are many; compare the bytes of those of equal length."""
    listing = source.listing
    total = len(listing.names)
    sizes = np.frombuffer(listing.sizes, np.uint64) if total else np.zeros(0, np.uint64)
    _, inverse, repeats = np.unique(sizes, return_inverse=True, return_counts=True)
    alike = repeats[inverse.reshape(-1)] > 1
    every = max(-(-total // MOST_DECODED), 1)
    seen, bad = Seen(), {}

    def chunk(first: int, files: Sequence[Bytes]) -> list[tuple[int, bytes, bool, bool, str]]:
        results = []
        for i, file in enumerate(files, first):
            if i in known_bad or not (alike[i] or i % every == 0):
                continue
            try:
                with file.open() as f:
                    digest = hashlib.blake2b(f.read(), digest_size=8).digest() if alike[i] else b""
                    f.seek(0)
                    constant = i % every == 0 and _is_constant(f)
                results.append((i, digest, i % every == 0, constant, ""))
            except Bad as error:
                results.append((i, b"", True, False, str(error)))
            except OSError as error:
                results.append((i, b"", True, False, error.strerror or str(error)))
        return results

    bounds = listing.chunks(0).tolist() if total else [0]
    ranges = list(itertools.pairwise(bounds))
    with quiet(), progress_bar(progress) as bar, ThreadPoolExecutor(workers()) as pool:
        task = bar.add_task(f"decoding {source.name}", total=total)
        running = []

        def collect() -> None:
            for i, digest, decoded, constant, reason in running.pop(0).result():
                seen.decoded += decoded
                seen.constant += constant
                if reason:
                    bad[i] = reason
                elif digest:
                    seen.add(digest, i)
            bar.update(task, completed=total if not running else None)

        for (first, last), batch in zip(ranges, source.files.read(listing, ranges, MOST_BYTES), strict=True):
            running.append(pool.submit(chunk, first, batch))
            del batch
            if len(running) > workers():
                collect()
                bar.update(task, completed=last)
        while running:
            collect()
    return seen, bad


def _is_constant(f: Any) -> bool:
    """Whether a picture has one colour only. Raises `Bad` if it cannot be decoded."""
    image, _ = open_picture(f)
    with image:
        try:
            image.load()
            bands = image.getextrema()
        except Exception as error:  # as many kinds as there are decoders
            raise Bad(f"cannot be decoded: {error}") from None
    return all(b[0] == b[1] for b in (bands if isinstance(bands[0], tuple) else (bands,)))
