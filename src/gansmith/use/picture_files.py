"""A translator put to work on picture files: folders, EXIF, colour profiles, transparency, animations.

Names, sizes and metadata of the files are kept; what cannot be used is listed, and the rest is done.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps, ImageSequence, PngImagePlugin

from ..data import DataSpec
from ..data.kinds.image.codec import bounds_of
from ..data.kinds.image.decode import Bad, Header, Target, decode, open_picture, quiet
from ..files import write_atomically
from ..model.draw import Weights
from ..model.model import Model
from ..settle import checked
from ..show import COMMENT, SOFTWARE
from ..step.randomness import derive
from .translate import Direction, Scale, image_codec, picture_paths, translate, way

Existing = Literal["refuse", "skip", "replace"]

_WRITTEN = {
    ".png": "PNG",
    ".apng": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
}
MOST_FRAMES = 2_000
MOST_FRAME_BYTES = 1 << 28
"""Of an animation: its frames are held in memory until the last is translated."""
_ALPHA = ("PNG", "WEBP", "TIFF", "GIF")


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What was done."""

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    """Results that were there already and were left alone."""
    failed: tuple[tuple[str, str], ...]
    """Inputs that could not be used, and why."""
    ignored: tuple[str, ...]
    """Files of the folder that are no pictures."""


@checked
def apply(
    model: Model,
    source: str | Path,
    out: str | Path,
    *,
    direction: Direction = "auto",
    scale: Scale = "native",
    seed: int = 0,
    weights: Weights = "ema",
    existing: Existing = "refuse",
    say: Callable[[str], object] = lambda _: None,
) -> Applied:
    """Put a model to work on a file or a folder, and write what it makes of it to `out`.

    `direction`: a2b or b2a, for a model that knows both; auto is a2b. `scale`: "native" shows pictures to the network
    in their own size, "trained" in the size it was trained at, and enlarges the result. `seed`: of the noise, if the
    network has some; a result depends on the seed and the file's name, not on the other files.
    Raises `FileNotFoundError` if there is no `source`, `FileExistsError` if `out` holds something (`existing`
    "refuse"), `ValueError` if the model is for something else or no file can be used.
    """
    match model.spec.kind:
        case "pairs" | "domains" if not model.from_noise:
            return _pictures(model, Path(source), Path(out), direction, scale, seed, weights, existing, say)
        case "image" if "picture" in model.recipe.gives():
            return _pictures(model, Path(source), Path(out), direction, scale, seed, weights, existing, say)
    raise ValueError(
        f"a model of {model.recipe_name} draws from noise and takes no input: use gansmith sample; apply is for models "
        "that make something of something, such as pix2pix, cyclegan and bigan"
    )


def _pictures(
    model: Model,
    source: Path,
    out: Path,
    direction: Direction,
    scale: Scale,
    seed: int,
    weights: Weights,
    existing: Existing,
    say: Callable[[str], object],
) -> Applied:
    _, before, after = way(model, direction)
    _check_writable(after)
    _check_writable(before)
    files, failed, ignored = picture_paths(source)
    places = _places(source, out, [name for _, name in files], existing)
    written: list[Path] = []
    kept: list[Path] = []
    used: dict[Path, str] = {}
    for file, name in files:
        place = places[name]
        try:
            with quiet(), file.open("rb") as handle:
                image, header = open_picture(handle)
                with image:
                    place = _place(place, header, after)
                    if place in used:
                        raise Bad(f"its result would have the name of that of {used[place]}")
                    used[place] = name
                    if place.exists() and existing == "skip":
                        kept.append(place)
                        continue

                    def make(raw: np.ndarray, own: int = derive(seed, "apply", name)) -> np.ndarray:
                        return translate(model, raw, direction=direction, scale=scale, seed=own, weights=weights)

                    _redraw(image, header, handle, before, after, make, place)
            written.append(place)
            say(f"{name} -> {place}")
        except Bad as error:
            failed.append((name, str(error)))
        except OSError as error:
            if error.errno in (28, 122):  # the disk is full: no other file would fare better
                raise
            failed.append((name, error.strerror or str(error)))
        except (RuntimeError, MemoryError) as error:
            if "memory" not in str(error).lower() and not isinstance(error, MemoryError):
                raise
            failed.append((name, "takes more memory than there is at its own size: --scale trained"))
    if not written and not kept:
        listed = "; ".join(f"{name}: {reason}" for name, reason in failed[:3])
        raise ValueError(f"nothing in {source} can be used: {listed or 'there are no pictures'}")
    return Applied(written=tuple(written), kept=tuple(kept), failed=tuple(failed), ignored=tuple(ignored))


def _places(source: Path, out: Path, names: Sequence[str], existing: Existing) -> dict[str, Path]:
    """Where the result of each file goes. Raises `ValueError`, `FileExistsError` for an `out` that cannot take them."""
    whole = source.is_dir()
    if whole and out.suffix.lower() in _WRITTEN and not out.is_dir():
        raise ValueError(f"--out {out}: {source} is a folder, so name a folder")
    if whole and out.resolve() == source.resolve():
        raise ValueError(f"--out {out} is the folder of the input: name another")
    single = not whole and not out.is_dir() and out.suffix != ""
    if single and out.suffix.lower() not in _WRITTEN:
        raise ValueError(f"--out {out}: name a folder, or a file that ends in {', '.join(_WRITTEN)}")
    places = {name: out if single else out / name for name in names}
    taken = [place for place in places.values() if place.exists()]
    if existing == "refuse" and (taken or (whole and out.is_dir() and any(out.iterdir()))):
        raise FileExistsError(
            f"{taken[0] if taken else out} is there already: pass another --out, --existing skip to go on where an "
            "earlier call stopped, or --existing replace"
        )
    return places


def _check_writable(spec: DataSpec) -> None:
    codec, channels = image_codec(spec), spec.shape[0]
    good = {"uint8": (1, 3, 4), "uint16": (1,), "float32": (1,)}[codec.dtype]
    if channels not in good:
        raise ValueError(
            f"the model is for {codec.dtype} pictures of {channels} channels, which no picture file holds unchanged: "
            "use gansmith.use.translate.translate in Python, which takes arrays"
        )


def _place(place: Path, header: Header, after: DataSpec) -> Path:
    """Where the result goes: by the name of the input, with .png or .tif where its kind of file cannot hold it."""
    codec, channels = image_codec(after), after.shape[0]
    kind = _WRITTEN.get(place.suffix.lower(), "")
    if codec.dtype == "float32":
        return place if kind == "TIFF" else place.with_name(f"{place.name}.tif")
    holds = bool(kind) and not (kind in ("JPEG", "BMP") and channels == 4)
    holds &= not (codec.dtype == "uint16" and kind not in ("PNG", "TIFF"))
    holds &= not (kind == "JPEG" and header.alpha and channels < 4)
    return place if holds else place.with_name(f"{place.name}.png")


def _redraw(
    image: Image.Image,
    header: Header,
    handle: Any,
    before: DataSpec,
    after: DataSpec,
    make: Callable[[np.ndarray], np.ndarray],
    place: Path,
) -> None:
    """One file: decoded, translated, written with what was known of it. Raises `Bad`, `OSError`."""
    codec = image_codec(before)
    target = Target(
        height=header.height,
        width=header.width,
        channels=before.shape[0],
        dtype=codec.dtype,
        fit="stretch",
        resample="lanczos",
        bounds=bounds_of(codec),
        whole=codec.whole,
    )
    kind = _WRITTEN[place.suffix.lower()]
    known: dict[str, Any] = {k: image.info[k] for k in ("icc_profile", "dpi") if image.info.get(k)}
    mode = image.mode
    try:
        exif = image.getexif()
        if exif:
            exif[0x0112] = 1  # it is upright now
            known["exif"] = exif.tobytes()
    except Exception:  # damaged metadata are no reason to lose a picture
        known.pop("exif", None)
    if header.animated and kind in ("GIF", "WEBP", "PNG"):
        _check_frames(image)
        frames, durations = [], []
        for frame in _frames(image):
            durations.append(int(frame.info.get("duration", 0)) or 100)
            upright = frame.convert("RGBA")
            held = io.BytesIO()
            upright.save(held, "PNG")
            made = make(decode(held.getvalue(), replace(target, height=upright.height, width=upright.width))[None])
            frames.append(_as_image(made[0], after, upright.getchannel("A") if header.alpha else None, kind))
        extra = {
            "save_all": True,
            "append_images": frames[1:],
            "duration": durations,
            "loop": image.info.get("loop", 0),
        }
        _save(frames[0], place, kind, known | extra)
        return
    if header.animated:
        raise Bad("has several pages: save each as a file of its own")
    handle.seek(0)
    made = make(decode(handle.read(), target)[None])
    alpha = None
    if header.alpha and after.shape[0] < 4:
        handle.seek(0)
        with Image.open(handle) as again:
            alpha = ImageOps.exif_transpose(again.convert("RGBA")).getchannel("A")
    result = _as_image(made[0], after, alpha, kind)
    grey = not result.mode.startswith("RGB")
    if grey == header.colour or mode not in ("L", "LA", "RGB", "RGBA", "P"):
        known.pop("icc_profile", None)  # a profile of grey says nothing about colours
    _save(result, place, kind, known)


def _check_frames(image: Image.Image) -> None:
    """Raises `Bad` for an animation of which more would be held than fits; the frames are counted, not decoded."""
    most = min(MOST_FRAMES, MOST_FRAME_BYTES // (4 * image.width * image.height))
    try:
        for k in range(1, most + 1):
            image.seek(k)
    except EOFError:
        image.seek(0)
        return
    except Exception as error:  # as many kinds as there are decoders
        raise Bad(f"cannot be decoded: {error}") from None
    raise Bad(
        f"more than {most:,} frames of {image.width}x{image.height}: they would take more memory than there is for one "
        "animation: split it into shorter ones"
    )


def _frames(image: Image.Image) -> Iterator[Image.Image]:
    try:
        yield from ImageSequence.Iterator(image)
    except Exception as error:  # as many kinds as there are decoders
        raise Bad(f"cannot be decoded: {error}") from None


def _as_image(made: np.ndarray, spec: DataSpec, alpha: Image.Image | None, kind: str) -> Image.Image:
    picture = np.ascontiguousarray(made[..., 0] if made.shape[-1] == 1 else made)
    result = Image.fromarray(picture)
    if alpha is not None and spec.shape[0] < 4 and result.mode in ("L", "RGB") and kind in _ALPHA:
        result = result.convert("RGBA")
        result.putalpha(alpha)
    return result


def _save(image: Image.Image, place: Path, kind: str, known: dict[str, Any]) -> None:
    """Whole or not at all; with the mark that a model made it, where the format has room for one."""
    options = dict(known)
    if kind == "PNG":
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Software", SOFTWARE)
        notes.add_text("Comment", COMMENT)
        options["pnginfo"] = notes
    elif kind == "JPEG":
        options |= {"quality": 95, "comment": COMMENT.encode()}
    elif kind == "GIF":
        options = {k: v for k, v in options.items() if k not in ("exif", "icc_profile", "dpi")}
        options["comment"] = COMMENT.encode()
    elif kind == "BMP":
        options.pop("exif", None)
        options.pop("icc_profile", None)
    elif kind == "WEBP":
        options.pop("dpi", None)
        options["quality"] = 95
    place.parent.mkdir(parents=True, exist_ok=True)
    file = io.BytesIO()  # Pillow's JPEG writer takes no notice of a disk that is full after half of a file
    image.save(file, kind, **options)
    write_atomically(place, lambda part: part.write_bytes(file.getvalue()))
