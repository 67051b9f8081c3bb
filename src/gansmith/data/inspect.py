"""What is in a source, and what training would make of it: said before a minute of training is spent."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from array import array
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..files import cache_dir
from ..options import DataOptions, Size
from .arrays import ArraySource, Rows, channel_axis, index_labels, row_name
from .found import Report, warnings_of
from .found import describe as describe
from .listing import Bytes, printable
from .pack import MANIFEST, Quarantined, even_chunks, progress_bar, workers
from .paired import DomainSource, JoinedSource, PairSource, halved
from .pictures import MOST_BYTES, Bad, open_picture, quiet
from .sources import PictureSource, choose, recognise, survey
from .store import Store
from .table import TableCodec, describe_columns
from .tabular import TableSource
from .text import TextSource

_MOST_DECODED = 10_000
_DEFAULTS = DataOptions()


@dataclass
class _Seen:
    """What looking at every file or row gathered. 64 bits of a digest tell a million samples apart."""

    digests: array[int] = field(default_factory=lambda: array("Q"))
    which: array[int] = field(default_factory=lambda: array("Q"))
    constant: int = 0
    decoded: int = 0

    def add(self, digest: bytes, which: int) -> None:
        self.digests.append(int.from_bytes(digest[:8], "little"))
        self.which.append(which)

    def duplicates(self, name: Callable[[int], str]) -> tuple[int, tuple[tuple[str, ...], ...]]:
        """How many repeat an earlier one, and the names of some that are equal."""
        if not self.digests:
            return 0, ()
        values, which = np.frombuffer(self.digests, np.uint64), np.frombuffer(self.which, np.uint64)
        found, counts = np.unique(values, return_counts=True)
        groups = [np.sort(which[values == value])[:5].tolist() for value in found[counts > 1][:20]]
        return int((counts - 1).sum()), tuple(tuple(name(i) for i in group) for group in sorted(groups))


def inspect(
    source: str | Path | np.ndarray | Mapping[str, np.ndarray] | Any,
    options: DataOptions = _DEFAULTS,
    *,
    progress: bool = True,
) -> Report:
    """Look at a source without packing it. All headers are read; of many files only some are decoded.

    Raises `FileNotFoundError` if it is not there, `ValueError` if it is nothing that is known.
    """
    if isinstance(source, (str, Path)) and (Path(source) / MANIFEST).is_file():
        return _of_store(Store.open(source))
    found = recognise(source, options, cache_dir(), progress)
    if isinstance(found, PairSource | DomainSource):
        return _of_two(found, options, progress)
    if isinstance(found, JoinedSource):
        return _of_joined(found, options, progress)
    if isinstance(found, PictureSource):
        return _of_pictures(found, options, progress)
    if isinstance(found, TableSource):
        return _of_table(found, options)
    if isinstance(found, TextSource):
        return _of_text(found, options)
    assert isinstance(found, ArraySource)
    return _of_array(found, options)


# --- text -------------------------------------------------------------------------------------------------------------


def _of_text(source: TextSource, options: DataOptions) -> Report:
    found, problem = None, ""
    try:
        found = source.look(options)
    except ValueError as error:
        problem = str(error)
    lines = source.read() if found is None else found.lines
    bad = {} if found is None else found.bad
    places: dict[str | bytes, list[int]] = {}
    for i, line in enumerate(lines):
        if i not in bad:
            places.setdefault(line, []).append(i + 1)
    groups = [rows for rows in places.values() if len(rows) > 1]
    usable = len(lines) - len(bad) if found else 0
    quarantined = tuple(Quarantined(f"line {i + 1}", reason) for i, reason in bad.items() if reason)
    facts: list[str] = []
    duplicates = sum(len(rows) - 1 for rows in groups)
    if found is not None:
        low, middle, high = (int(v) for v in np.percentile(found.lengths, (0, 50, 100)))
        total = int(found.lengths.sum())
        facts = [
            f"tokens a line: {low} to {high}, median {middle}; {total:,} in all",
            f"vocabulary: {len(found.codec.vocabulary):,} of {found.words:,} different {found.codec.level}s, special "
            f"tokens included; {found.unknown / max(total, 1):.2%} of all tokens unknown",
        ]
    return Report(
        source=source.name,
        kind="text",
        found=len(lines),
        usable=usable,
        decoded=len(lines),
        modes={},
        formats={},
        depths={},
        classes={},
        duplicates=duplicates,
        duplicate_groups=tuple(tuple(f"line {i}" for i in rows[:5]) for rows in groups[:20]),
        constant=0,
        quarantined=quarantined,
        ignored=(),
        notes=found.notes if found else (),
        shape=(found.length,) if found else (),
        dtype="int32" if found else "",
        problem=problem,
        warnings=tuple(warnings_of(usable, {}, duplicates, 0, len(quarantined))) if found else (),
        facts=tuple(facts),
    )


# --- pictures ---------------------------------------------------------------------------------------------------------


def _of_pictures(source: PictureSource, options: DataOptions, progress: bool) -> Report:
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
    classes = _count(listing.labels, listing.classes, keep)
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


def _of_joined(source: JoinedSource, options: DataOptions, progress: bool) -> Report:
    """Pictures that are pairs side by side: what is said of them, with the size of a half."""
    files = source.pictures
    whole = _of_pictures(files, dataclasses.replace(options, size=Size((1, 1))), progress)
    shape, problem, notes = whole.shape, whole.problem, list(whole.notes)
    if not problem:
        try:
            seen = halved(survey(files.files, files.listing, progress))
            target, more = choose(source.name, seen, options, files.listing)
            shape, notes = (target.channels, target.height, target.width), [*files.listing.notes, *more]
        except ValueError as error:
            shape, problem = (), str(error)
    return dataclasses.replace(
        whole, source=source.name, kind="pairs", shape=shape, problem=problem, notes=tuple(notes)
    )


def _of_two(source: PairSource | DomainSource, options: DataOptions, progress: bool) -> Report:
    """Each of the two sets, and what they are together."""
    parts = {
        name: _of_pictures(half, options, progress) if isinstance(half, PictureSource) else _of_array(half, options)
        for name, half in source.halves.items()
    }
    pairs = isinstance(source, PairSource)
    aside = source.quarantined if isinstance(source, PairSource) else ()
    return _together(source.name, "pairs" if pairs else "domains", parts, aside, source.notes)


def _together(
    name: str, kind: str, parts: dict[str, Report], aside: Sequence[Quarantined], notes: Sequence[str]
) -> Report:
    a, b = parts["a"], parts["b"]
    quarantined = (*aside, *a.quarantined, *b.quarantined)
    problem = "; ".join(f"{k}: {part.problem}" for k, part in parts.items() if part.problem)
    # A pair of which either half is broken is left out; at least so many are, at most the sum.
    usable = min(a.usable, b.usable) if kind == "pairs" else max(a.usable, b.usable)
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
        parts=parts,
    )


def _examine(source: PictureSource, known_bad: dict[int, str], progress: bool) -> tuple[_Seen, dict[int, str]]:
    """Decode all files, or evenly spaced ones if there are many; compare the bytes of those of equal length."""
    listing = source.listing
    total = len(listing.names)
    sizes = np.frombuffer(listing.sizes, np.uint64) if total else np.zeros(0, np.uint64)
    _, inverse, repeats = np.unique(sizes, return_inverse=True, return_counts=True)
    alike = repeats[inverse.reshape(-1)] > 1
    every = max(-(-total // _MOST_DECODED), 1)
    seen, bad = _Seen(), {}

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


# --- arrays and stores ------------------------------------------------------------------------------------------------


def _of_array(source: ArraySource, options: DataOptions) -> Report:
    shape: tuple[int, ...] = ()
    kind, dtype, problem = ("vector" if len(source.x.shape) == 2 else "image"), "", ""
    notes = list(source.notes)
    try:
        plan = source.plan(options, "", {}, False)
        shape = (plan.shape[2], *plan.shape[:2]) if plan.kind == "image" else plan.shape
        kind, dtype, notes = plan.kind, plan.dtype, list(plan.notes)
    except ValueError as error:
        problem = str(error)
    classes: dict[str, int] = {}
    if source.y is not None and not problem:
        labels, names = index_labels(source.y, source.classes, len(source.x))
        classes = _count(labels, names, np.ones(len(labels), bool))
    sizes: tuple[tuple[int, int, int], ...] = ()
    if kind == "image" and shape:
        h, w = _native(source.x.shape)
        sizes = ((h, w, len(source.x)),)
    return _of_rows(source.name, kind, source.x, sizes, classes, (), (), notes, shape, dtype, problem)


def _native(shape: tuple[int, ...]) -> tuple[int, int]:
    h, w = (n for i, n in enumerate(shape) if i not in (0, channel_axis("", shape)))
    return h, w


def _of_table(source: TableSource, options: DataOptions) -> Report:
    try:
        codec, rows, notes, bad = source.read(options.columns)
    except ValueError as error:
        return _of_rows(source.name, "table", Rows(np.zeros((0, 0))), (), {}, (), (), [], (), "", str(error))
    return _table_report(source.name, codec, rows, tuple(bad), notes)


def _table_report(
    name: str, codec: TableCodec, rows: np.ndarray, bad: tuple[Quarantined, ...], notes: list[str]
) -> Report:
    there = np.nan_to_num(rows, nan=-0.125)  # missing cells are no fault of a row
    found = _of_rows(name, "table", Rows(there), (), {}, bad, (), notes, (rows.shape[1],), "float64", "")
    return dataclasses.replace(
        found, found=len(rows) + len(bad), usable=len(rows), columns=tuple(describe_columns(codec))
    )


def _of_store(store: Store) -> Report:
    if store.spec.parts:
        parts = {}
        for (name, spec), x in zip(store.spec.parts.items(), store.fields.values(), strict=True):
            sizes = ((x.shape[1], x.shape[2], len(x)),)
            parts[name] = _of_rows(name, "image", Rows(x), sizes, {}, (), (), [], spec.shape, x.dtype.name, "")
        name = f"{store.path} (packed from {store.source})"
        return _together(name, store.spec.kind, parts, store.quarantined, store.notes)
    x = store.fields["x"]
    if isinstance(store.spec.codec, TableCodec):
        name = f"{store.path} (packed from {store.source})"
        return _table_report(name, store.spec.codec, np.asarray(x), store.quarantined, list(store.notes))
    sizes = ((x.shape[1], x.shape[2], len(x)),) if store.spec.kind == "image" else ()
    labels = store.fields.get("y")
    classes = _count(labels, store.spec.classes, np.ones(len(x), bool))
    return _of_rows(
        f"{store.path} (packed from {store.source})",
        store.spec.kind,
        Rows(x),
        sizes,
        classes,
        store.quarantined,
        store.ignored,
        list(store.notes),
        store.spec.shape,
        x.dtype.name,
        "",
    )


def _of_rows(
    name: str,
    kind: str,
    rows: Rows,
    sizes: tuple[tuple[int, int, int], ...],
    classes: dict[str, int],
    quarantined: tuple[Quarantined, ...],
    ignored: tuple[str, ...],
    notes: list[str],
    shape: tuple[int, ...],
    dtype: str,
    problem: str,
) -> Report:
    seen = _Seen()
    bad: list[Quarantined] = []
    total = rows.shape[0] if rows.shape else 0
    if rows.dtype.kind in "buif" and len(rows.shape) >= 2 and 0 not in rows.shape:
        row = 0
        for block in rows.blocks(even_chunks(total, int(np.prod(rows.shape[1:])) * rows.dtype.itemsize)):
            flat = np.ascontiguousarray(block).reshape(len(block), -1)
            good = np.isfinite(flat).all(axis=1) if flat.dtype.kind == "f" else np.ones(len(flat), bool)
            broken = set(np.flatnonzero(~np.asarray(good)).tolist())
            if kind == "image":
                seen.constant += int(np.count_nonzero((flat.min(1) == flat.max(1)) & good))
            for i, values in enumerate(flat):
                if i not in broken:
                    seen.add(hashlib.blake2b(values.data, digest_size=8).digest(), row + i)
                else:
                    bad.append(Quarantined(row_name(row + i), "not finite"))
            row += len(flat)
        seen.decoded = total
    duplicates, groups = seen.duplicates(row_name)
    quarantined = (*quarantined, *bad)
    usable = total - len(bad)
    return Report(
        source=name,
        kind=kind,
        found=total,
        usable=usable,
        decoded=seen.decoded,
        sizes=sizes,
        num_sizes=len(sizes),
        modes={rows.dtype.name: total},
        formats={},
        depths={dtype: total} if dtype else {},
        classes=classes,
        duplicates=duplicates,
        duplicate_groups=groups,
        constant=seen.constant,
        quarantined=quarantined,
        ignored=ignored,
        notes=tuple(notes),
        shape=shape,
        dtype=dtype,
        problem=problem,
        warnings=tuple(warnings_of(usable, classes, duplicates, seen.constant, len(quarantined))),
    )


# --- what to make of it -----------------------------------------------------------------------------------------------


def _count(labels: np.ndarray | None, names: tuple[str, ...], keep: np.ndarray) -> dict[str, int]:
    if labels is None:
        return {}
    counts = np.bincount(labels[keep], minlength=len(names))
    return {name: int(n) for name, n in zip(names, counts, strict=True)}
