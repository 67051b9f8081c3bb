"""The end of a run: its last frame, its film, its curves, and what to do next."""

from __future__ import annotations

from pathlib import Path

from .. import show
from ..judge.watch import earlier_scores
from ..show.words import count
from .film import Film
from .session import Session


def finish(s: Session, film: Film) -> None:
    """Draw the last frame, the film and the curves, and say what there is now and what can be done with it."""
    if s.ranks.rank > 0:
        return
    path, images = s.run.path, s.at.images
    if images:
        film.look(s.at)
    frames = sorted((path / "samples").glob("*.png"))
    show.film(frames, path / "film.gif")
    show.curves(s.run.log(), path / "curves.png")
    rate = images / s.at.seconds if s.at.seconds else 0.0
    out = show.show_of(s.spec.kind).out
    use = f"sample {path} -n 64 --out {out}" if s.recipe.from_noise else f"apply {path} INPUT --out OUT"
    s.say(
        f"done: {images:,} images in {s.at.seconds:.0f} s ({rate:,.0f} a second)\n"
        f"  {path}/{'film.gif' if frames else 'samples/'}    {film} through training"
        f"{f'; {path}/samples/ holds the frames' if frames else ''}\n"
        f"  {path}/curves.png  the terms of each player, read for you\n"
        f"  {path}/model/      the generator{_chosen(path, images, s.recipe.chosen_by)}\n"
        f"next: gansmith {use}\n"
        f"      gansmith info {path}\n"
        f"      gansmith train --resume --out {path} --images {count(2 * images)}"
    )


def _chosen(run: Path, images: int, name: str) -> str:
    """Which weights serve, where a recipe's own error chooses them."""
    lines = earlier_scores(run, images + 1) if name else []
    best = [line for line in lines if line["best"] and line["scores"].get(name) is not None][-1:]
    return f" at {best[0]['images']:,} images, of the lowest {name}: {best[0]['scores'][name]:.4g}" if best else ""
