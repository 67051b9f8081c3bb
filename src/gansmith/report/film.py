"""Samples of fixed latents through training: the frames that were kept, and the film made of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from .. import show
from ..run import Run
from .facts import Facts
from .inline import encoded, img, shrunk
from .markup import Child, Html, figure, tag
from .spaced import spaced

_FILM_BYTES = 1_800_000


def section(facts: Facts) -> Child:
    """A few moments side by side, and the film of all."""
    if texts := text_frames(facts.run):
        moments = [texts[i] for i in spaced(len(texts), 6)]
        return [figure(lines(path.read_text(encoding="utf-8").splitlines()[:5]), when(path)) for path in moments]
    kept = frames(facts.run)
    if not kept:
        return tag("p", "No frames yet: they come while the run trains.")
    if facts.spec.kind != "image" and not facts.show_data:
        return tag("p", "Left out: the frames of points and columns show the training data, too.")
    moments = [kept[i] for i in spaced(len(kept), 6)]
    strip = tag(
        "div",
        [figure(still(path, 240, f"samples after {when(path)}", facts), when(path)) for path in moments],
        class_="strip",
    )
    if len(kept) == 1:
        return strip
    film = figure(
        _film(kept, "film of samples of fixed latents through training", _class(facts)),
        f"The same latents through training, {len(kept)} moments, averaged weights.",
        class_="film",
    )
    return tag("div", film, strip, class_="through")


def frames(run: Run) -> list[Path]:
    """The frames of the film that can be read: one may be cut short by a full disk."""
    found = []
    for path in sorted((run.path / "samples").glob("*.png")):
        try:
            with Image.open(path) as image:
                image.verify()
        except (OSError, SyntaxError):
            continue
        found.append(path)
    return found


def text_frames(run: Run) -> list[Path]:
    """The frames of a run on text: a file of lines each."""
    return sorted((run.path / "samples").glob("*.txt"))


def lines(texts: Iterable[str]) -> Html:
    """Texts as a list, a line each."""
    return tag("ul", [tag("li", text) for text in texts])


def when(frame: Path) -> str:
    """At what moment a frame was drawn."""
    return f"{int(frame.stem):,} images" if frame.stem.isdigit() else frame.stem


def still(frame: Path, side: int, alt: str, facts: Facts) -> Html:
    """A frame inside the page."""
    return img(_opened(frame, side), alt, made=True, class_=_class(facts))


def _class(facts: Facts) -> str:
    return "" if facts.spec.kind == "image" else "chart"


def _film(kept: Sequence[Path], alt: str, class_: str) -> Html:
    """The film made again, small enough for a page: smaller and fewer pictures until it fits."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "film.gif"
        for side, most in ((480, 32), (400, 24), (320, 16), (240, 10)):
            small = []
            for path in (kept[i] for i in spaced(len(kept), most)):
                small.append(Path(folder) / path.name)
                _opened(path, side).save(small[-1])
            show.film(small, out)
            if out.stat().st_size <= _FILM_BYTES:
                break
        with Image.open(out) as image:
            size = image.size
        return encoded(out.read_bytes(), "gif", alt, size, class_)


def _opened(frame: Path, side: int) -> Image.Image:
    with Image.open(frame) as file:
        return shrunk(file.convert("RGB"), side, Image.Resampling.BOX)
