"""Files that are whole or not there: written beside, flushed, then renamed; JSON, tensors, checksums, the cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, flush it to the disk, and rename it into place.

    Raises `OSError` with the old file intact and the unfinished one removed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            write(temporary)
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except SafetensorError as error:  # how safetensors reports an I/O error, such as a full disk
            raise OSError(str(error)) from error
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: str) -> str:
    """Write tensors atomically as safetensors; returns the file's sha256. Equal tensors give equal bytes."""
    flat = {name: t.detach().to("cpu").contiguous() for name, t in tensors.items()}
    digest = ""

    def write(part: Path) -> None:
        nonlocal digest
        save_file(flat, part, metadata={"gansmith": metadata})  # one key: the order of several is not fixed
        digest = sha256(part)

    write_atomically(path, write)
    return digest


def sha256(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_dir() -> Path:
    """Where packed stores and downloads are kept: $GANSMITH_CACHE, $XDG_CACHE_HOME/gansmith or ~/.cache/gansmith."""
    if named := os.environ.get("GANSMITH_CACHE"):
        return Path(named)
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "gansmith"
    return Path.home() / ".cache" / "gansmith"
