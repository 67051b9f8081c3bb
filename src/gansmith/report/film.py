"""Samples of fixed latents through training: the moments that were kept, and the film made of them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from .. import show
from ..run import Run
from ..show import Media
from ..show.film import sound
from .facts import Facts
from .inline import embed, encoded, img, shrunk
from .markup import Child, Html, figure, tag
from .spaced import spaced

LEFT_OUT = "Left out: the frames show the training data, too."
_FILM_BYTES = 1_800_000
_MIMES = {
    ".png": "image/png",
    ".txt": "text/plain",
    ".gif": "image/gif",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}
"""What moments are, by the suffixes that `Show.moment` may give them."""


def section(facts: Facts) -> Child:
    """A few moments side by side, and the film of all."""
    kept = moments(facts.run)
    if not kept:
        return tag("p", "No frames yet: they come while the run trains.")
    if facts.show.reveals and not facts.show_data:
        return tag("p", LEFT_OUT)
    chosen = [kept[i] for i in spaced(len(kept), 6)]
    figures = [
        figure(moment(path, f"samples after {when(path)}", facts, side=240, rows=5), when(path)) for path in chosen
    ]
    if kept[-1].suffix == ".txt":
        return figures
    strip = tag("div", figures, class_="strip")
    stills = [path for path in kept if path.suffix == ".png"]
    if len(stills) < 2:
        return strip
    film = figure(
        _film(stills, "film of samples of fixed latents through training", _class(facts)),
        f"The same latents through training, {len(stills)} moments, averaged weights.",
        class_="film",
    )
    return tag("div", film, strip, class_="through")


def moments(run: Run) -> list[Path]:
    """The moments of the film that can be read: one may be cut short by a full disk."""
    found = []
    for path in sorted((run.path / "samples").glob("[!.]*")):
        if path.suffix not in _MIMES:
            continue
        if path.suffix in (".png", ".gif") and not sound(path):
            continue
        found.append(path)
    return found


def when(path: Path) -> str:
    """When a moment was drawn."""
    return f"{int(path.stem):,} images" if path.stem.isdigit() else path.stem


def moment(path: Path, alt: str, facts: Facts, *, side: int, rows: int) -> list[Html]:
    """A moment inside the page: a picture no side longer than `side`, the first `rows` lines, or a player."""
    mime = _MIMES[path.suffix]
    if mime == "image/png":
        return [img(_opened(path, side), alt, made=True, class_=_class(facts))]
    data = path.read_bytes()
    if mime == "text/plain":
        data = "\n".join(data.decode("utf-8", "replace").splitlines()[:rows]).encode()
    return embed([Media(mime=mime, data=data, alt=alt, size=_size(path))])


def _size(path: Path) -> tuple[int, int] | None:
    if path.suffix != ".gif":
        return None
    with Image.open(path) as image:
        return image.size


def _class(facts: Facts) -> str:
    return "chart" if facts.show.chart else ""


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
