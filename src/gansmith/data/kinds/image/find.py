"""Where picture files are: folders, archives, lists of them; and what a source without any holds instead."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ....options import DataOptions
from ...archives import Tar, Zip
from ...bounded import is_tar
from ...folders import Folder, Table, is_file_list
from ...listing import Files, Listing, Reading
from .decode import SUFFIXES

_SHEETS = frozenset((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers"))
_TABLES = frozenset((".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".json"))
_LISTS = frozenset((".csv", ".tsv", ".txt"))
_CLIPS = frozenset((".mp4", ".avi", ".mov", ".mkv", ".webm"))
_SOUNDS = frozenset((".wav", ".mp3", ".flac", ".ogg", ".m4a"))
_ARRAYS = frozenset((".npy", ".npz", ".mat", ".h5", ".hdf5", ".nii", ".dcm", ".pkl", ".pt"))
_ZIP = b"PK\x03\x04"


def reading_of(options: DataOptions) -> Reading:
    """How a source of pictures is read, by the options."""
    return Reading(
        labels=options.labels, split=options.split, follow_links=options.follow_links, encoding=options.encoding
    )


def files_at(path: Path, reading: Reading, *, listed: bool = False) -> Files | None:
    """The picture files of a folder, an archive or a list of them; None for anything else.

    `listed`: a CSV or text is said to be a list of pictures, so it is not asked whether it looks like one.

    Raises `ValueError` for a spreadsheet, and for an archive that is cut off.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        return Folder(path, SUFFIXES, reading)
    if suffix in _SHEETS:
        raise ValueError(f"{path} is a spreadsheet: save it as CSV, and give that")
    if suffix in _LISTS:
        return Table(path, SUFFIXES, reading) if listed or lists_pictures(path) else None
    if zipfile.is_zipfile(path):
        return Zip(path, SUFFIXES, reading)
    with path.open("rb") as f:
        if f.read(4) == _ZIP:
            raise ValueError(
                f"the zip {path} is cut off or damaged: it begins as one, but its table of contents, which stands at "
                "the end, is missing: copy or download it again"
            )
    return Tar(path, SUFFIXES, reading) if is_tar(path) else None


def lists_pictures(path: Path) -> bool:
    """Whether a CSV or text is a list of picture files rather than a table of values or a text, by its content.

    It is one if cells of a column file, image, id ... end like a picture or name a file beside it, or if most cells of
    any column do. Addresses on the web are no files.
    """
    return is_file_list(path, SUFFIXES)


def no_pictures(name: str, listing: Listing) -> str:
    """Why there is nothing to train on in a source without pictures: what it holds instead, in a sentence."""
    if listing.quarantined:
        reasons = Counter(q.reason for q in listing.quarantined).most_common(3)
        first = {reason: next(q.name for q in listing.quarantined if q.reason == reason) for reason, _ in reasons}
        told = "; ".join(f"{reason}: {n:,} files, such as {first[reason]}" for reason, n in reasons)
        return f"{told}; so there are no pictures in {name}"
    others = [file for file in listing.ignored if not PurePosixPath(file).name.startswith(".")]
    if not others:
        return f"nothing is in {name}: there are no pictures"
    what, how = _others(name, others)
    return f"{what}, and there are no pictures in {name}{f': {how}' if how else ''}"


def _others(name: str, ignored: Iterable[str]) -> tuple[str, str]:
    """What kind of files there are instead of pictures, and what to do."""
    by: dict[str, list[str]] = {}
    for file in ignored:
        by.setdefault(PurePosixPath(file).suffix.lower(), []).append(file)
    packed = not Path(name).is_dir()

    def first(suffixes: frozenset[str]) -> str:
        return next((files[0] for suffix, files in by.items() if suffix in suffixes), "")

    if (file := first(_TABLES)) and not first(_ARRAYS):
        path = file if packed else f"{name}/{file}"
        return f"tables such as {file}", f"{'unpack it, and ' if packed else ''}give the table, as in --data {path}"
    if file := first(_SHEETS):
        return f"spreadsheets such as {file}", "save them as CSV, and give that"
    if file := first(frozenset((".txt",))):
        path = file if packed else f"{name}/{file}"
        return f"texts such as {file}", f"{'unpack it, and ' if packed else ''}give the text, as in --data {path}"
    if file := first(_CLIPS):
        return f"videos such as {file}", "write their frames as pictures"
    if file := first(_SOUNDS):
        return f"sounds such as {file}", ""
    if file := first(_ARRAYS):
        return f"arrays such as {file}", "give an .npy or .npz itself" + (", unpacked" if packed else "")
    count = sum(map(len, by.values()))
    return f"{count:,} other files such as {next(iter(by.values()))[0]}", ""
