"""A run is a directory; commands meet only through it.

    run.json              recipe, fields, options, data, versions, setting: enough to train it again
    recipe.py             a copy of the recipe, where it is a file of one's own
    log.jsonl             one line every `log_every` images
    checkpoints/          the newest few, each a .safetensors with a .json beside it that holds its sha256
    samples/              one picture of the fixed latents at each sampling time
    curves.png, film.gif  the terms, and the samples through training
    model/                what sampling needs: model.safetensors and model.json

Every file is written beside its place, flushed to the disk, and renamed into it, so a crash or a full disk leaves the
old one whole. Nothing here is pickled.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from . import records
from .files import sha256, write_atomically, write_json, write_tensors
from .machine import alive
from .options import TrainOptions

FORMAT = 1
TRAINED = ("checkpoints", "samples", "model")
"""The folders that every run has."""
_PART = re.compile(r"\..+\.(\d+)\.part")
"""An unfinished file, and the process that writes it; see `files.write_atomically`."""


@dataclass(frozen=True)
class Checkpoint:
    """One saved state: `path` holds the tensors; `meta` says how far training was."""

    path: Path
    meta: dict[str, Any]


class Run:
    """The directory of a run. Opening one reads `run.json` and nothing else."""

    def __init__(self, path: str | Path) -> None:
        """Raises `FileNotFoundError` if there is no run, `ValueError` if it is damaged or of a newer gansmith."""
        self.path = Path(path)
        if not (self.path / "run.json").is_file():
            raise FileNotFoundError(f"no run at {self.path}: it holds no run.json")
        self.record = records.read(self.path / "run.json")
        if self.record.get("format") != FORMAT:
            raise ValueError(
                f"{self.path} has run format {self.record.get('format')!r}; this gansmith reads {FORMAT}: upgrade it"
            )
        records.check(self.record, records.RUN, str(self.path / "run.json"), only=True)

    @classmethod
    def create(cls, path: Path, record: Mapping[str, Any], *, overwrite: bool = False) -> Run:
        """Make the directory of a new run; with `overwrite` in place of a run that is there.

        Raises `FileExistsError` if something is there already, `BlockingIOError` if another process trains it.
        """
        refuse_existing(path, overwrite=overwrite)
        path.mkdir(parents=True, exist_ok=True)
        with held(path):
            refuse_existing(path, overwrite=overwrite)  # it may have waited for one that came first
            _remove_run(path)
            write_json(path / "run.json", {"format": FORMAT, **record})
            run = cls(path)
            run.tidy()
        return run

    def tidy(self) -> None:
        """Make the folders that are missing, and remove what killed writers left half done.

        Only for who holds the run's lock: what is half done would else be that of a writer who is at it.
        """
        for name in TRAINED:
            (self.path / name).mkdir(exist_ok=True)
        for part in _parts(self.path):
            part.unlink(missing_ok=True)
        for tensors in (self.path / "checkpoints").glob("step-*.safetensors"):
            if not tensors.with_suffix(".json").exists():  # the note is written last, and removed first
                tensors.unlink()

    def set_options(self, options: Mapping[str, Any]) -> None:
        """Record these options of training in `run.json`: a run that goes on may have a larger budget than before."""
        if self.record["options"] != options:
            self.record = {**self.record, "options": dict(options)}
            write_json(self.path / "run.json", self.record)

    @property
    def options(self) -> TrainOptions:
        """What it was told. Raises `ValueError` naming the file for options that are not known, or out of range."""
        try:
            return TrainOptions(**self.record["options"])
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{self.path / 'run.json'} is damaged: options: {error}") from error

    def how_to_resume(self, *more: object) -> str:
        """The command that goes on with the run, to be pasted into a shell; `more` is added to it.

        The file of a recipe of one's own is named, as no run makes anyone execute it.
        """
        recipe = str(self.record["recipe"]["name"])
        own = [recipe] if recipe.endswith(".py") else []
        return shlex.join(map(str, ("gansmith", "train", *own, "--resume", "--out", self.path, *more)))

    def lock(self, wait: float = 10.0) -> contextlib.AbstractContextManager[None]:
        """Hold the run for this process; see `held`."""
        return held(self.path, wait)

    # --- the log ---

    def log(self) -> list[dict[str, Any]]:
        """The lines of log.jsonl; one torn by a crash is left out. Raises `ValueError` for one that is no such line."""
        return records.read_lines(self.path / "log.jsonl", records.LINE)

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line to log.jsonl."""
        with open(self.path / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def rewind(self, step: int) -> None:
        """Drop what was logged and sampled after this step: the resumed run writes it again."""
        lines = self.log()
        kept = [line for line in lines if line["step"] <= step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_atomically(self.path / "log.jsonl", lambda part: part.write_text(text, encoding="utf-8"))

    # --- checkpoints ---

    def checkpoints(self) -> list[Checkpoint]:
        """The committed checkpoints, oldest first (their contents are not verified here)."""
        found = []
        for note in sorted((self.path / "checkpoints").glob("*.json")):
            try:
                found.append(Checkpoint(note.with_suffix(".safetensors"), records.read(note, records.NOTE)))
            except ValueError:
                continue  # `newest` tells about it
        return found

    def checkpoint_path(self, step: int) -> Path:
        """Where the checkpoint of a step lies."""
        return self.path / "checkpoints" / f"step-{step:010d}.safetensors"

    def save(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any], keep: int) -> Checkpoint:
        """Save a checkpoint, then drop all but the newest `keep`.

        The note with the sha256 is written last and makes it count. Raises `OSError`, the older ones intact.
        """
        path = self.checkpoint_path(int(meta["step"]))
        digest = write_tensors(path, tensors, "checkpoint")
        full = {**meta, "bytes": path.stat().st_size, "sha256": digest}
        write_json(path.with_suffix(".json"), full)
        notes = sorted((self.path / "checkpoints").glob("*.json"))
        for old in notes[: max(len(notes) - max(keep, 1), 0)]:
            old.unlink()
            old.with_suffix(".safetensors").unlink(missing_ok=True)
        return Checkpoint(path, full)

    def finish(self, checkpoint: Path) -> None:
        """Note in a checkpoint that training ended there and that all that a finished run holds is written."""
        note = checkpoint.with_suffix(".json")
        write_json(note, {**records.read(note), "finished": True})

    def newest(self, say: Callable[[str], object]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The tensors and note of the newest whole checkpoint; None if none was ever saved.

        A damaged one is passed over, and said. Raises `ValueError` if all are damaged.
        """
        notes = sorted((self.path / "checkpoints").glob("*.json"), reverse=True)
        for note in notes:
            try:
                meta = records.read(note, records.NOTE)
                path = note.with_suffix(".safetensors")
                if not path.is_file():
                    raise ValueError(f"{path.name} is missing")
                if sha256(path) != meta.get("sha256"):
                    raise ValueError(f"{path.name} does not have the sha256 that {note.name} states")
                return load_file(path), meta
            except (ValueError, SafetensorError) as error:
                say(f"checkpoint {note.stem} is damaged ({error}); going back to the one before it")
        if notes:
            raise ValueError(
                f"all {len(notes)} checkpoints of {self.path} are damaged: restore one from a copy, or train into "
                "another --out"
            )
        return None

    def progress(self) -> dict[str, Any]:
        """How far the run is: step, images, seconds, finished."""
        start = {"step": 0, "images": 0, "seconds": 0.0, "finished": False}
        saved = self.checkpoints()
        reached = start | ({k: v for k, v in saved[-1].meta.items() if k in start} if saved else {})
        log = self.log()
        if log and log[-1]["step"] > reached["step"]:
            reached |= {k: log[-1][k] for k in ("step", "images", "seconds")}
        return reached


@contextlib.contextmanager
def held(path: Path, wait: float = 10.0) -> Generator[None]:
    """Hold the directory of a run for this process; the lock ends with the process, however it ends.

    Waits so many seconds for another to end: one that was told to stop may still be saving. Raises `BlockingIOError` if
    another process trains it: two writers would mix their checkpoints.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise BlockingIOError(
                        error.errno, f"another process is training {path}: wait for it, or stop it"
                    ) from None
                time.sleep(0.1)
            except OSError:
                break  # a file system that knows no locks
        yield
    finally:
        os.close(folder)


def refuse_existing(path: Path, *, overwrite: bool = False) -> None:
    """Raises `FileExistsError` unless a new run may be made there: with `overwrite` a run may be there already."""
    if (path / "run.json").exists():
        if not overwrite:
            raise FileExistsError(
                f"{path} holds a run already: pass --resume to continue it, --overwrite to train anew in its place, or "
                "another --out"
            )
    elif path.exists() and not (path.is_dir() and all(_unborn(entry) for entry in path.iterdir())):
        raise FileExistsError(f"{path} exists and is neither a run nor an empty folder: pass another --out")


def _unborn(entry: Path) -> bool:
    """Whether it was left by a start that was killed before there was a run."""
    if entry.is_dir() and not entry.is_symlink():
        return entry.name in TRAINED and not any(entry.iterdir())
    return entry.is_file() and entry.name.startswith(".run.json.") and _PART.fullmatch(entry.name) is not None


def _parts(path: Path) -> Iterator[Path]:
    """Unfinished files of writers that are no more, where the caller holds the run."""
    for name in (*TRAINED, "best"):  # only who holds the run writes there
        yield from (path / name).glob(".*.part")
        yield path / name / "model.next.safetensors"
    for folder in (path, path / "scores"):  # other commands write there too: evaluate, report, sample
        for part in folder.glob(".*.part"):
            if (match := _PART.fullmatch(part.name)) and not alive(int(match[1])):
                yield part


def _remove_run(path: Path) -> None:
    """Remove what training and its scores left, and nothing else; `run.json` last, so that it stays a run till then."""
    for name in (
        *TRAINED,
        "best",
        "scores",
        "recipe.py",
        "log.jsonl",
        "film.gif",
        "curves.png",
        "report.html",
        "run.json",
    ):
        entry = path / name
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
