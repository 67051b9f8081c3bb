"""The end of a run: its last frame, its film, its curves, and what to do next."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path

from .. import show
from ..judge.watch import earlier_scores
from ..model.saved import model_images
from ..run import Run
from ..show.words import count
from .film import Film
from .session import Session

TABLES = (".csv", ".gz", ".tsv", ".parquet", ".pq")


def complete(s: Session, film: Film) -> None:
    """Draw the last frame, the film and the curves, on the first rank. Raises `OSError` on a full disk."""
    if s.ranks.rank > 0:
        return
    if s.at.images:
        film.look(s.at)
    show.film(sorted((s.run.path / "samples").glob("*.png")), s.run.path / "film.gif")
    show.curves(s.run.log(), s.run.path / "curves.png")


def missing(run: Run, chosen_by: str) -> str:
    """What a run that says it is finished lacks of what a finished run holds; empty if nothing.

    Files may have been deleted, or an older gansmith was killed after its last checkpoint and before the rest.
    """
    images, path = run.progress()["images"], run.path
    reached = model_images(path / "model")
    if reached is None or (reached < images and not chosen_by):
        return "the model"
    frames = sorted(file for file in (path / "samples").glob("*") if file.stem.isdigit())
    if images and (not frames or int(frames[-1].stem) < images):
        return "the last frame"
    film = not any(file.suffix == ".png" for file in frames) or (path / "film.gif").is_file()
    return "" if film and (path / "curves.png").is_file() else "the film or the curves"


def summary(s: Session, film: Film) -> str:
    """What there is now and what can be done with it, in words."""
    path, images = s.run.path, s.at.images
    pictures = any((path / "samples").glob("*.png"))
    rate = images / s.at.seconds if s.at.seconds else 0.0
    return (
        f"done: {images:,} images in {s.at.seconds:.0f} s ({rate:,.0f} a second)\n"
        f"  {path}/{'film.gif' if pictures else 'samples/'}    {film} through training"
        f"{f'; {path}/samples/ holds the frames' if pictures else ''}\n"
        f"  {path}/curves.png  the terms of each player, read for you\n"
        f"  {path}/model/      the generator{_chosen(path, images, s.recipe.chosen_by)}\n"
        f"next: {_use(s)}\n"
        f"      gansmith info {shlex.quote(str(path))}\n"
        f"      {s.run.how_to_resume('--images', count(2 * images))}"
    )


def _use(s: Session) -> str:
    """The command that puts the model to use, to be pasted into a shell."""
    words = ["sample", str(s.run.path), "-n", "64", "--out", _free(show.show_of(s.spec.kind).out)]
    if not s.recipe.from_noise:
        given = _given(str(s.run.record["data"]["source"]))
        stem, dot, suffix = given.name.partition(".")
        words = ["apply", str(s.run.path), str(given), "--out", _free(f"{stem}-applied{dot}{suffix}")]
    return shlex.join(["gansmith", *words, *(["--recipe-file", s.name] if s.name.endswith(".py") else [])])


def _free(name: str) -> str:
    """The name with a number, if there is such a file: lines.txt may be what was trained on."""
    stem, dot, suffix = name.partition(".")
    names = (f"{stem}{f'-{k}' if k > 1 else ''}{dot}{suffix}" for k in itertools.count(1))
    return next(name for name in names if not Path(name).exists())


def _given(source: str) -> Path:
    """What of the training data a model that needs something can be given; INPUT where no such file is known."""
    path = Path(source) if Path(source).exists() else Path(source.partition(":")[2] or "INPUT")
    if path.suffix.lower() in TABLES and path.is_file():
        return path
    return next((path / name for name in ("a", "A", "trainA") if (path / name).is_dir()), Path("INPUT"))


def _chosen(run: Path, images: int, name: str) -> str:
    """Which weights serve, where a recipe's own error chooses them."""
    lines = earlier_scores(run, images + 1) if name else []
    best = [line for line in lines if line["best"] and line["scores"].get(name) is not None][-1:]
    return f" at {best[0]['images']:,} images, of the lowest {name}: {best[0]['scores'][name]:.4g}" if best else ""
