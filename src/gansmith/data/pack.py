"""Packing: a plan becomes a folder of arrays, in parallel, in constant memory, restartable and all or nothing.

Rows are written at their place into one raw file, chunk by chunk; a journal notes every finished chunk with its
checksum. A packer that was killed finds the journal, checks the chunks, and does the rest. Rows that turned out to be
bad leave holes, which a last pass closes. The folder gets its name only when it is whole.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import threading
import zlib
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..files import sha256, write_atomically
from .bars import progress_bar, workers
from .plan import Plan, Quarantined, nothing_usable, quarantine_notes

if TYPE_CHECKING:
    from .kind import Kind

MANIFEST = "manifest.json"
FORMAT = 1
_HEADER = 128
"""Bytes of an .npy header as written here: the number of rows is known only after the last, so its room is fixed."""
_BLOCK = 8 << 20


def pack(plan: Plan, kind: Kind, final: Path, progress: bool) -> None:
    """Pack into the folder `final`, which afterwards is whole; if another process does it meanwhile, wait for it.

    `kind`: that of the plan, which says what surrounds the decoding and describes what was packed.
    Raises `ValueError` if no row is good, `OSError` if the disk is full.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    with claim(final) as work:
        if work is None:
            return
        planned = f"{plan.digest} {plan.shape} {plan.dtype} {zlib.crc32(plan.chunks.tobytes())}"
        if _read_digest(work / "digest") != planned:
            for old in work.iterdir():
                old.unlink()
            (work / "digest").write_text(planned)
        try:
            with kind.decoding(plan):
                bad = _write_rows(plan, work, progress)
            _finish(plan, kind, work, bad)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise _full(plan, work) from error
        if final.is_dir() and not any(final.iterdir()):
            final.rmdir()
        os.replace(work, final)


def _full(plan: Plan, work: Path) -> OSError:
    need = plan.rows * plan.row_bytes
    return OSError(
        errno.ENOSPC,
        f"the disk that holds {work.parent} is full: packing {plan.source} takes {need / 1e6:,.0f} MB. Free some, or "
        "name a folder on another disk (out=..., or the environment variable GANSMITH_CACHE); packing then goes on "
        "where it stopped",
    )


def _read_digest(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


@contextlib.contextmanager
def claim(final: Path) -> Generator[Path | None]:
    """The work folder of `final`, ours alone; None if `final` was finished by another process while we waited."""
    try:
        import fcntl
    except ImportError:  # no file locks here: a folder of our own, which cannot be found again after a kill
        work = final.with_name(f".{final.name}.{os.getpid()}.partial")
        work.mkdir(exist_ok=True)
        yield work
        return
    work = final.with_name(f".{final.name}.partial")
    while True:
        if (final / MANIFEST).is_file():
            yield None
            return
        work.mkdir(exist_ok=True)
        handle = os.open(work, os.O_RDONLY)
        try:
            # The lock is on the folder itself: it dies with its owner, and follows the folder when it is renamed.
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_same(work, handle):
                yield work
                return
        finally:
            os.close(handle)


def _is_same(work: Path, handle: int) -> bool:
    """Whether the folder that was locked still has its name: its last owner may have finished and renamed it."""
    try:
        return work.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False


def _write_rows(plan: Plan, work: Path, progress: bool) -> dict[int, str]:
    """Decode every chunk that is not there yet into `x.raw`; the bad rows and their reasons."""
    raw = work / "x.raw"
    size = _HEADER + plan.rows * plan.row_bytes
    if not raw.exists() or raw.stat().st_size != size:
        (work / "journal").unlink(missing_ok=True)
        if shutil.disk_usage(work).free < size:
            raise _full(plan, work)
        with raw.open("wb") as f:
            f.truncate(size)
    bad: dict[int, str] = {}
    with raw.open("r+b") as f, progress_bar(progress) as bar:
        done = _finished(plan, work / "journal", f, bad)
        task = bar.add_task(f"packing {plan.source}", total=plan.rows)
        bar.advance(task, sum(int(plan.chunks[c + 1] - plan.chunks[c]) for c in done))
        lock = threading.Lock()

        def chunk(number: int, payload: Any) -> str:
            block = plan.reader.decode(payload)
            first, last = int(plan.chunks[number]), int(plan.chunks[number + 1])
            assert block.rows.shape == (last - first, *plan.shape) and block.rows.dtype == plan.dtype
            for position in block.bad:
                block.rows[position] = 0  # the bytes of a row that is left out must not depend on how far it got
            data = np.ascontiguousarray(block.rows).data.cast("B")
            with lock:
                f.seek(_HEADER + first * plan.row_bytes)
                f.write(data)
                f.flush()
            return json.dumps(
                {"chunk": number, "crc": zlib.crc32(data), "bad": {str(k): v for k, v in block.bad.items()}}
            )

        with (work / "journal").open("a", encoding="utf-8") as journal, ThreadPoolExecutor(workers()) as pool:
            running: list[Future[str]] = []

            def collect() -> None:
                line = running.pop(0).result()
                journal.write(line + "\n")
                journal.flush()
                number = _note(plan, json.loads(line), bad)
                bar.advance(task, int(plan.chunks[number + 1] - plan.chunks[number]))

            try:
                left = [c for c in range(len(plan.chunks) - 1) if c not in done]
                payloads = plan.reader.read([(int(plan.chunks[c]), int(plan.chunks[c + 1])) for c in left])
                for number in left:
                    running.append(pool.submit(chunk, number, next(payloads)))  # held by its chunk alone
                    if len(running) > workers():
                        collect()
                while running:
                    collect()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return bad


def _note(plan: Plan, entry: dict[str, Any], bad: dict[int, str]) -> int:
    first = int(plan.chunks[entry["chunk"]])
    bad.update({first + int(position): reason for position, reason in entry["bad"].items()})
    return entry["chunk"]


def _finished(plan: Plan, journal: Path, raw: IO[bytes], bad: dict[int, str]) -> set[int]:
    """The chunks that an earlier packer finished and whose bytes are as it left them."""
    done: set[int] = set()
    if not journal.is_file():
        return done
    text = journal.read_text(encoding="utf-8")
    kept = []
    for line in text.split("\n")[:-1]:  # what follows the last line feed was cut off
        with contextlib.suppress(json.JSONDecodeError, KeyError, IndexError):
            entry = json.loads(line)
            first, last = int(plan.chunks[entry["chunk"]]), int(plan.chunks[entry["chunk"] + 1])
            raw.seek(_HEADER + first * plan.row_bytes)
            if zlib.crc32(raw.read((last - first) * plan.row_bytes)) == entry["crc"]:
                done.add(_note(plan, entry, bad))
                kept.append(line + "\n")
    journal.write_text("".join(kept), encoding="utf-8")
    return done


def _finish(plan: Plan, kind: Kind, work: Path, bad: dict[int, str]) -> None:
    """Close the holes of bad rows, write headers, labels and manifest, remove the scaffolding."""
    keep = np.ones(plan.rows, bool)
    keep[list(bad)] = False
    count = int(keep.sum())
    quarantined = plan.quarantined + tuple(Quarantined(plan.reader.name(i), bad[i]) for i in sorted(bad) if bad[i])
    if count == 0:
        raise ValueError(nothing_usable(plan.source, quarantined))
    if count < plan.rows:
        with (work / "x.raw").open("rb") as source, (work / "x.kept").open("wb") as target:
            target.write(bytes(_HEADER))
            step = max(_BLOCK // plan.row_bytes, 1)
            source.seek(_HEADER)
            for first in range(0, plan.rows, step):
                rows = keep[first : first + step]
                block = np.frombuffer(source.read(len(rows) * plan.row_bytes), np.uint8).reshape(len(rows), -1)
                target.write(block[rows].data)
        os.replace(work / "x.kept", work / "x.raw")
    with (work / "x.raw").open("r+b") as f:
        f.write(_npy_header(plan.dtype, (count, *plan.shape)))
        f.flush()
        os.fsync(f.fileno())
    os.replace(work / "x.raw", work / "x.npy")
    x = np.load(work / "x.npy", mmap_mode="r", allow_pickle=False)
    fields = {"x": x}
    if plan.labels is not None:
        np.save(work / "y.npy", plan.labels[keep].astype(np.int64), allow_pickle=False)
        fields["y"] = np.load(work / "y.npy", mmap_mode="r", allow_pickle=False)
    spec, notes = kind.describe(plan, x)
    manifest = {
        "format": FORMAT,
        "digest": plan.digest,
        "source": plan.source,
        "count": count,
        "spec": spec.to_json(),
        "fields": {
            name: {
                "file": f"{name}.npy",
                "dtype": field.dtype.name,
                "shape": list(field.shape),
                "sha256": sha256(work / f"{name}.npy"),
            }
            for name, field in fields.items()
        },
        "options": plan.options,
        "quarantined": [[q.name, q.reason] for q in quarantined],
        "ignored": list(plan.ignored),
        "notes": [*plan.notes, *notes, *quarantine_notes(quarantined)],
    }
    write_manifest(work, manifest)
    for name in ("journal", "digest"):
        (work / name).unlink()


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """The file that makes a folder a packed store."""
    text = json.dumps(manifest, indent=1) + "\n"
    write_atomically(folder / MANIFEST, lambda part: part.write_text(text, encoding="utf-8"))


def _npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """An .npy header, version 1.0, padded to `_HEADER` bytes."""
    described = np.lib.format.dtype_to_descr(np.dtype(dtype).newbyteorder("<"))
    text = f"{{'descr': {described!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    assert len(text) < _HEADER - 10
    return b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little") + text.ljust(_HEADER - 11).encode() + b"\n"
