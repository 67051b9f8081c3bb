"""Whether a source is what it was: its size, time of change and content, recorded when a run begins."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from ..files import sha256

_MOST_HASHED = 1 << 30
"""Bytes of the largest file whose content is compared; of larger ones size and time of change tell."""


def origin_of(source: str) -> dict[str, Any]:
    """What a source on disk is now; empty for one that is no file or folder (`digits`, `toy:ring`, arrays).

    `path` absolute; of a file `bytes`, `changed` (nanoseconds) and `sha256`; of a folder `files` and the `sha256` of
    their names, sizes and times of change.
    """
    path = _path_of(source)
    if path is None:
        return {}
    if path.is_file():
        known = path.stat()
        found: dict[str, Any] = {"path": str(path), "bytes": known.st_size, "changed": known.st_mtime_ns}
        return found | ({"sha256": sha256(path)} if known.st_size <= _MOST_HASHED else {})
    whole, count = hashlib.sha256(), 0
    for here, folders, files in os.walk(path):
        folders.sort()
        for file in sorted(files):
            known = os.lstat(os.path.join(here, file))
            name = os.path.relpath(os.path.join(here, file), path)
            whole.update(os.fsencode(f"{name}\0{known.st_size}\0{known.st_mtime_ns}\n"))
            count += 1
    return {"path": str(path), "files": count, "sha256": whole.hexdigest()}


def change_of(recorded: dict[str, Any]) -> str:
    """In words what became of a source since `origin_of` gave this; empty where it is the same, or not known."""
    if not recorded:
        return ""
    path = Path(str(recorded["path"]))
    if not path.exists():
        return f"{path} is gone"
    if path.is_file() and "bytes" in recorded:
        known = path.stat()
        if (known.st_size, known.st_mtime_ns) == (recorded["bytes"], recorded["changed"]):
            return ""
        if known.st_size != recorded["bytes"]:
            return f"{path} has changed: it holds {known.st_size:,} bytes, not {recorded['bytes']:,}"
        same = "sha256" in recorded and sha256(path) == recorded["sha256"]
        return f"{path} was written again, with the same content" if same else f"{path} has changed"
    now = origin_of(str(path))
    if now.get("sha256") == recorded.get("sha256"):
        return ""
    count = "" if now.get("files") == recorded.get("files") else f": {now.get('files')} files, not {recorded['files']}"
    return f"{path} has changed{count}"


def _path_of(source: str) -> Path | None:
    """The file or folder that a source names, with or without a prefix, a `#column` or sub-folders behind it."""
    after = source.partition(":")[2]
    for text in (source, after, after.partition("#")[0], after.rsplit(":", 1)[0], after.rsplit(":", 2)[0]):
        try:
            if text and os.path.exists(text):
                return Path(os.path.abspath(text))
        except ValueError:
            continue
    return None
