"""What the folders of a listing say: classes, splits, and files that lie beside them; labels by name as numbers."""

from __future__ import annotations

import contextlib
import os
import re

import numpy as np

from .listing import Listing, Reading, printable

_TRAIN = frozenset(("train", "training"))
_OTHER = frozenset(
    (
        *("val", "valid", "validation", "dev", "test", "testing", "holdout"),
        *("extra", "unlabeled", "unlabelled", "unsupervised"),
    )
)
_SHARD = re.compile(r"\d{5}")
"""StyleGAN's `dataset_tool.py` puts 1,000 pictures each into folders 00000, 00001, ..."""
_WHOLE = re.compile(r"-?\d+\.0+")
_LISTED = 5


def _split_of(folder: str) -> str:
    """`train2017` is `train`."""
    return folder.lower().rstrip("0123456789-_")


def is_splits(folders: list[str]) -> bool:
    """Whether folders of these names are the splits of one set, and no classes: train beside val or test, or such."""
    return {_split_of(f) for f in folders} <= _TRAIN | _OTHER and not all(f.isdigit() for f in folders)


def are_shards(found: Listing) -> bool:
    """Whether all files lie in folders that are called as StyleGAN's tool calls its shards."""
    parents = {name.rpartition("/")[0].rpartition("/")[2] for name in found.names}
    return bool(parents) and all(_SHARD.fullmatch(parent) for parent in parents)


def _groups(found: Listing, rows: np.ndarray, depth: int) -> tuple[dict[str, list[int]], list[int]]:
    """The files of each folder at this depth, and those that lie beside the folders."""
    groups: dict[str, list[int]] = {}
    loose: list[int] = []
    for i in rows.tolist():
        parts = found.names[i].split("/")
        if len(parts) < depth + 2:
            loose.append(i)
        else:
            groups.setdefault(parts[depth], []).append(i)
    return groups, loose


def label_by_folder(found: Listing, name: str, reading: Reading) -> np.ndarray:
    """Labels from the folders below those that hold everything; the numbers of the files that are kept.

    Of folders that are splits the one for training is kept, or the one that is asked for. A few files beside class
    folders are left out, with a note; where there are many the folders are no classes.
    Raises `ValueError` if a split is asked for that is not there.
    """
    kept = rows = np.arange(len(found.names))
    strays: list[int] = []
    depth, split = 0, False
    while True:
        groups, loose = _groups(found, rows, depth)
        folders = sorted(groups)
        stray = bool(loose) and (len(loose) == 1 or 4 * len(loose) <= len(rows) - len(loose))
        if not groups:
            break
        if loose and (not stray or reading.every):
            if len(groups) > 1 and not reading.every and reading.labels != "none":
                found.notes.append(
                    f"no labels: {len(loose):,} files such as {printable(found.names[loose[0]])} lie beside the "
                    f"folders {_listed(folders)}, which are classes only if every picture lies in one"
                )
            break
        if len(groups) > 1 and not split and is_splits(folders):
            if reading.every:
                break
            chosen = _chosen(found, name, reading, groups)
            if chosen is None:
                break
            _say_strays(found, loose, folders)
            split, strays = True, []
            kept = rows = np.sort(np.concatenate([groups[f] for f in chosen])).astype(np.int64)
            depth += 1
            continue
        strays += loose
        rows = np.setdiff1d(rows, loose, assume_unique=True) if loose else rows
        if len(groups) > 1 and reading.labels != "none":
            _say_strays(found, strays, folders)
            _code(found, groups)
            kept = rows
        if len(groups) > 1:
            break
        depth += 1
    if reading.split and not split and not reading.every:
        raise ValueError(f"--split {reading.split}: {name} holds no folders that are splits, such as train and val")
    return kept


def _chosen(found: Listing, name: str, reading: Reading, groups: dict[str, list[int]]) -> list[str] | None:
    """The folders of the split that is read; None: all, without labels, as none is for training."""
    folders = sorted(groups)
    counted = ", ".join(f"{printable(f)} ({len(groups[f]):,})" for f in folders)
    if reading.split == "all":
        found.notes.append(f"folders {counted} are splits, and all of them are read: --split all")
        found.reread("split all")
        return folders
    if reading.split:
        chosen = [f for f in folders if reading.split in (f, printable(f))]
        if not chosen:
            raise ValueError(f"--split {reading.split}: {name} holds the splits {counted}; all reads all of them")
    else:
        chosen = [f for f in folders if _split_of(f) in _TRAIN]
        if len(chosen) != 1:
            found.notes.append(
                f"sub-folders {_listed(folders)} look like splits, not classes: no labels, all files used; --split "
                "names the one to read"
            )
            return None
    rest = [f for f in folders if f not in chosen]
    others = f"{sum(len(groups[f]) for f in rest):,} files of {_listed(rest)} are not read"
    place = os.path.join(name, printable(found.names[groups[chosen[0]][0]]).split(f"{printable(chosen[0])}/")[0])
    how = f"--data {place}{printable(chosen[0])} says the same; " if os.path.isdir(name) else ""
    found.notes.append(
        f"folders {counted} are splits, not classes: {printable(chosen[0])} is read, and {others}. {how}--split names "
        "another, or all"
    )
    found.reread(f"split {chosen[0]}")
    return chosen


def _say_strays(found: Listing, strays: list[int], folders: list[str]) -> None:
    """Files beside the class folders are left out; those without a suffix are no pictures by their names."""
    if not strays:
        return
    claimed = [i for i in strays if "." in found.names[i].rpartition("/")[2]]
    for i in strays:
        if i in claimed:
            found.set_aside(found.names[i], f"beside the folders {_listed(folders)}, in none of them")
        else:
            found.ignore(found.names[i])
    if claimed:
        found.notes.append(
            f"{len(claimed):,} pictures beside the folders {_listed(folders)} are left out, such as "
            f"{printable(found.names[claimed[0]])}"
        )
    found.ignored.sort()
    found.reread("strays")


def _listed(folders: list[str]) -> str:
    more = f" and {len(folders) - _LISTED:,} more" if len(folders) > _LISTED else ""
    return ", ".join(map(printable, folders[:_LISTED])) + more


def _code(found: Listing, groups: dict[str, list[int]]) -> None:
    """A class a folder, in the order of names."""
    order = sorted(groups)
    found.labels = np.zeros(len(found.names), np.int64)
    for code, folder in enumerate(order):
        found.labels[groups[folder]] = code
    found.classes = tuple(map(printable, order))


def attach_labels(found: Listing, labels: list[str], of: str) -> None:
    """Give a listing the labels of its files, in their order; an empty one is none, and stored as -1.

    `of`: what the labels are read from.
    """
    if any(labels) and all(_WHOLE.fullmatch(label) for label in labels if label):
        labels = [label.partition(".")[0] for label in labels]  # as pandas writes whole numbers beside empty cells
        found.reread("whole")
    names = sorted(set(filter(None, labels)))
    if not names:
        return
    with contextlib.suppress(ValueError):
        names.sort(key=int)
    found.classes = tuple(map(printable, names))
    codes = {name: i for i, name in enumerate(names)}
    found.labels = np.array([codes.get(label, -1) for label in labels], np.int64)
    bare = np.flatnonzero(found.labels < 0)
    if len(bare):
        found.notes.append(
            f"{len(bare):,} pictures are unlabelled in {of}, such as {printable(found.names[bare[0]])}: recipes that "
            "are told labels train on the others"
        )
        found.reread("unlabelled")
