"""`gansmith report`: one HTML file that tells all about a run, to read offline, print, or put beside the weights.

The page refers to nothing outside itself and runs no script; its own policy forbids both. Every text is escaped where
it is put in (`_tag`), for a run's files may come from anybody. It shows what is there: an unfinished run, or one whose
data are gone, gives a shorter page that says what is missing and how to get it.
"""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import json
import shlex
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor, nn

from . import catalog, doctor, info, pictures
from ._version import __version__
from .data import DataSpec, Store
from .metrics import nearest_training
from .model import Model, build_recipe, load
from .options import TrainOptions
from .recipe import Recipe, load_recipe
from .run import Run, read_json, write_atomically

GRID = 64
"""Samples in a grid; fewer of large pictures."""
NEIGHBOURS = 3
SHOWN = 6
"""Samples shown beside their nearest training pictures: as many as drawn, and as many of those that lie nearest."""
_FILM_BYTES = 1_800_000
_READ_BYTES = 2**31
"""What is read of the training data to look for neighbours; of larger data, evenly spaced samples."""
_LAYERED = 30_000_000
"""Networks of more parameters are not built to list their layers, only counted."""


def report(run: Run, out: Path, *, recipe_file: Path | None = None, seed: int = 0, show_data: bool = True) -> None:
    """Write the page of a run to `out`.

    Args:
        run: finished or not, with or without scores.
        out: the file to write; what was there is replaced.
        recipe_file: the .py of the recipe, for a run that used one of your own; without it nothing can be drawn.
        seed: of the samples.
        show_data: False leaves the training data's own samples out, for data that must not be passed on.

    Raises:
        FileNotFoundError: there is no recipe file, or no folder for `out`.
        ValueError: the run is damaged.
    """
    page = _document(_gather(run, recipe_file, seed, show_data))
    if not out.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {out.parent} to write {out.name} into")
    data = page.encode("utf-8", "xmlcharrefreplace")  # JSON may hold halves of characters, which no file can
    write_atomically(out, lambda part: part.write_bytes(data))


# --- what is there ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Neighbours:
    """Samples and their nearest training samples; distances are root mean squares in shares of the range."""

    samples: np.ndarray
    """Rows of the samples drawn, those shown: first as drawn, then the nearest."""
    training: np.ndarray
    """(len(samples), NEIGHBOURS) rows of the training data."""
    distances: np.ndarray
    """Beside them."""
    of_samples: np.ndarray
    """To the nearest, of every sample drawn (N,)."""
    of_training: np.ndarray
    """To the nearest other, of some training samples: what the distances are to be held against."""
    searched: int
    """Training samples searched."""


@dataclass(frozen=True)
class _Network:
    kind: str
    parameters: int
    serves: bool


@dataclass(frozen=True, kw_only=True)
class _Facts:
    run: Run
    spec: DataSpec
    seed: int
    show_data: bool
    progress: dict[str, Any]
    log: list[dict[str, Any]]
    page: catalog.RecipePage | None
    recipe: Recipe | None
    networks: dict[str, _Network]
    """By role; empty without the recipe."""
    model: Model | None
    samples: np.ndarray | None
    raw: np.ndarray | None
    store: Store | None
    neighbours: _Neighbours | None
    scores: dict[str, dict[str, Any]]
    missing: list[str]
    """What could not be had, and how to get it."""
    warnings: list[str]


def _gather(run: Run, recipe_file: Path | None, seed: int, show_data: bool) -> _Facts:
    record, missing, warnings = run.record, list[str](), list[str]()
    try:
        saved, spec = record["recipe"], DataSpec.from_json(record["data"]["spec"])
        name = str(saved["name"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{run.path / 'run.json'} is damaged: it lacks {error}") from error

    # A recipe of the user's own is code: neither run nor read because a run names it.
    own = load_recipe(str(recipe_file)) if recipe_file else None
    page, recipe, networks = None, None, dict[str, _Network]()
    if name.endswith(".py") and own is None:
        missing.append(
            f"The recipe is a file of one's own, {name}: nothing was drawn without it. Add --recipe-file {name}."
        )
    else:
        try:
            page = catalog.describe(str(recipe_file) if recipe_file else name)
            recipe = build_recipe(saved, own)
            networks = _counted(recipe, spec)
        except Exception as error:  # code of the user's, or fields of the wrong type from a file: it may be anything
            recipe = None
            missing.append(f"The recipe cannot be used: {error}")

    model, store = None, None
    if recipe is not None:
        try:
            model = load(run.path, own)
        except (OSError, ValueError) as error:
            missing.append(f"There is no model to draw from: {error}")
    try:
        store = Store.open(str(record["data"]["store"]))
        if store.digest != record["data"]["digest"]:
            missing.append("The training data's place now holds other data: nothing of it is shown.")
            store = None
    except (OSError, ValueError, KeyError) as error:
        missing.append(f"The training data are not there any more: {error}")

    samples, raw, neighbours = None, None, None
    if model is not None:
        grid = _grid_size(spec)
        drawn = max(grid, {True: 256, False: 32}[max(spec.shape[-2:]) <= 64]) if spec.kind == "image" else 2_000
        samples = model.sample(drawn, seed=seed)
        raw = model.sample(grid if spec.kind == "image" else drawn, seed=seed, weights="raw")
        if store is not None:
            neighbours = _neighbours(samples[:512], store)
            warnings += _seen(samples, spec, store)
    progress, log = _progress(run)
    if not progress["finished"]:
        warnings.append(
            "Training has not finished: this is how it stood when the page was made. To go on: "
            f"gansmith train --resume --out {shlex.quote(str(run.path))}"
        )
    warnings += [s for s in pictures.reading(log) if "training broke" in s]
    if store is not None and store.quarantined:
        warnings.append(
            f"{len(store.quarantined):,} files or rows were left out of the training data, the first: "
            f"{store.quarantined[0].name} ({store.quarantined[0].reason})"
        )
    scores = _scores(run, warnings)
    warnings += _flagged(scores)
    return _Facts(
        run=run,
        spec=spec,
        seed=seed,
        show_data=show_data,
        progress=progress,
        log=log,
        page=page,
        recipe=recipe,
        networks=networks if recipe is not None else {},
        model=model,
        samples=samples,
        raw=raw,
        store=store,
        neighbours=neighbours,
        scores=scores,
        missing=missing,
        warnings=warnings,
    )


def _progress(run: Run) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How far it is, and its log. Raises `ValueError` if they hold anything but numbers there."""
    try:
        progress, log = run.progress(), run.log()
        for entry in (progress, *log):
            for key in ("step", "images", "seconds"):
                float(entry[key])
                if isinstance(entry[key], str):
                    raise TypeError(f"{key} is a text")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"log.jsonl or a checkpoint's note in {run.path} is damaged: {error}") from error
    return progress, log


def _grid_size(spec: DataSpec) -> int:
    """A square number of pictures that makes a grid of about 1,000 pixels at most."""
    return min(max(1_024 // max(spec.shape[-2:]), 2) ** 2, GRID) if spec.kind == "image" else GRID


def _seen(samples: np.ndarray, spec: DataSpec, store: Store) -> list[str]:
    """What the doctor sees in the samples."""
    real = np.array(store.fields["x"][_spaced(len(store), 256)])
    encode = spec.codec.encode
    found = doctor.look(encode(torch.from_numpy(samples[:256])), encode(torch.from_numpy(real)))
    return [f"{text[0].upper()}{text[1:]}." for text in found.values()]


def _scores(run: Run, warnings: list[str]) -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted((run.path / "scores").glob("*.json")):
        try:
            found[path.stem] = read_json(path)
        except (ValueError, OSError) as error:
            warnings.append(f"Scores left out: {error}")
    return found


def _flagged(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the scores of a run warn of, most serious first."""
    words = {
        ("copying", "yes"): "samples are training samples, or nearly so",
        ("collapsed", "yes"): "samples are much more alike than real ones",
        ("copying", "perhaps"): "samples may be copies of training samples: look at the closest pairs",
        ("collapsed", "perhaps"): "samples are more alike than real ones",
        ("control_flagged", "no"): "the control, a replay of training data, was not flagged: copying would go unseen",
    }
    return [
        f"Scores {name}: {text}."
        for (flag, value), text in words.items()
        for name, saved in scores.items()
        if _object(saved, "flags").get(flag) == value
    ]


def _spaced(n: int, most: int) -> np.ndarray:
    """Up to `most` rows of n, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def _neighbours(samples: np.ndarray, store: Store) -> _Neighbours | None:
    """The nearest training samples, a slice of the data at a time, so that any size is searched in little memory."""
    x = store.fields["x"]
    if len(x) <= NEIGHBOURS + 1:
        return None
    saved = store.spec.codec.to_json()
    image = store.spec.kind == "image"
    low, high = (float(saved["low"]), float(saved["high"])) if image else (0.0, 1.0)

    def flat(part: np.ndarray) -> Tensor:
        """(N, d), so scaled that a distance is the root mean square of the differences, in shares of the range."""
        values = torch.from_numpy(np.array(part)).to(torch.float32).flatten(1).sub_(low).div_(high - low)
        return values.div_(values.shape[1] ** 0.5) if image else values

    rows = _spaced(len(x), max(_READ_BYTES // x[:1].nbytes, 1_000))
    witnesses = _spaced(len(rows), 128)  # positions in rows
    queries = torch.cat([flat(samples), flat(x[rows[witnesses]])])
    own = torch.full((len(queries),), -1)
    own[len(samples) :] = torch.from_numpy(rows[witnesses])
    best = torch.full((len(queries), NEIGHBOURS), torch.inf, dtype=torch.float64)
    index = torch.full((len(queries), NEIGHBOURS), -1)
    step = max(2**27 // (4 * queries.shape[1]), NEIGHBOURS + 1)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        found = nearest_training(queries, flat(x[part]), k=min(NEIGHBOURS + 1, len(part)))
        which = torch.from_numpy(part)[found.indices]
        distances = found.distances.masked_fill(which == own[:, None], torch.inf)  # no sample is its own neighbour
        best, order = torch.cat([best, distances], 1).sort(dim=1, stable=True)
        index = torch.cat([index, which], 1).gather(1, order)[:, :NEIGHBOURS]
        best = best[:, :NEIGHBOURS]
    n = len(samples)
    first = np.arange(min(SHOWN, n))
    nearest = [i for i in best[:n, 0].argsort(stable=True).tolist() if i not in set(first.tolist())][:SHOWN]
    chosen = np.concatenate([first, np.array(nearest, np.int64)])
    return _Neighbours(
        samples=chosen,
        training=index[chosen].numpy(),
        distances=best[chosen].numpy(),
        of_samples=best[:n, 0].numpy(),
        of_training=best[n:, 0].numpy(),
        searched=len(rows),
    )


# --- markup -----------------------------------------------------------------------------------------------------------


class _Html(str):
    """Markup; any other text is escaped where it is put in."""

    __slots__ = ()


_Child = str | None | Iterable["_Child"]


def _tag(name: str, /, *children: _Child, **attributes: str) -> _Html:
    """An element. Children are texts, elements, or lists of both; `class_` stands for class."""
    written = "".join(f' {k.rstrip("_").replace("_", "-")}="{html.escape(v)}"' for k, v in attributes.items())
    if name in ("img", "meta", "hr"):
        return _Html(f"<{name}{written}>")
    return _Html(f"<{name}{written}>{_inside(children)}</{name}>")


def _inside(child: _Child) -> str:
    if child is None:
        return ""
    if isinstance(child, _Html):
        return str(child)
    if isinstance(child, str):
        return html.escape(child)
    return "".join(map(_inside, child))


def _table(head: Sequence[_Child], rows: Iterable[Sequence[_Child]], numeric: Sequence[int] = ()) -> _Html:
    """A table that scrolls by itself on a narrow screen; columns `numeric` are aligned to the right."""

    def cells(name: str, row: Sequence[_Child]) -> _Html:
        return _tag("tr", [_tag(name, cell, **({"class_": "n"} if i in numeric else {})) for i, cell in enumerate(row)])

    body = _tag("tbody", [cells("td", row) for row in rows])
    return _tag("div", _tag("table", _tag("thead", cells("th", head)) if head else None, body), class_="scroll")


def _pairs(rows: Iterable[tuple[str, _Child]]) -> _Html:
    """Names and values, two columns."""
    return _tag("dl", [[_tag("dt", name), _tag("dd", value)] for name, value in rows])


def _figure(picture: _Html, *caption: _Child, class_: str = "") -> _Html:
    return _tag("figure", picture, _tag("figcaption", *caption), class_=class_)


def _said(value: Any) -> str:
    """A value of a JSON file in words."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {_said(v)}" for k, v in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        shown = ", ".join(map(_said, value[:12]))
        return f"{shown}, ... ({len(value):,} values)" if len(value) > 12 else shown or "none"
    return str(value)


def _kind(spec: DataSpec) -> str:
    """What the samples are: pictures of 32x32 in 3 channels."""
    if spec.kind == "vector":
        return f"vectors of {spec.shape[0]:,}"
    channels, height, width = spec.shape
    return f"pictures, {height}x{width}, {channels} channel{'s' if channels > 1 else ''}"


def _at(value: Any, *keys: str) -> Any:
    """An entry of nested objects; "not recorded" where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return "not recorded" if value is None else value


def _clock(seconds: Any) -> str:
    if not isinstance(seconds, (int, float)):
        return str(seconds)
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


# --- pictures ---------------------------------------------------------------------------------------------------------


def _img(image: Image.Image, alt: str, *, most: int = 1_280, made: bool = False, class_: str = "") -> _Html:
    """A picture inside the page, no side longer than `most`; PNG, or JPEG where that would be large.

    `made`: a model made it, and the file says so.
    """
    if image.mode not in ("L", "RGB"):
        ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    if max(image.size) > most:
        shrink = most / max(image.size)
        size = max(round(image.width * shrink), 1), max(round(image.height * shrink), 1)
        image = image.resize(size, Image.Resampling.LANCZOS)
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Software", pictures.SOFTWARE)
    if made:
        notes.add_text("Comment", pictures.COMMENT)
    file, kind = io.BytesIO(), "png"
    image.save(file, "PNG", pnginfo=notes, optimize=True)
    if file.tell() > 120_000:
        file, kind = io.BytesIO(), "jpeg"
        image.save(file, "JPEG", quality=88, comment=pictures.COMMENT.encode() if made else b"")
    return _raw_img(file.getvalue(), kind, alt, image.size, class_)


def _raw_img(data: bytes, kind: str, alt: str, size: tuple[int, int], class_: str) -> _Html:
    uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return _tag("img", src=uri, alt=alt, width=str(size[0]), height=str(size[1]), class_=class_)


def _sheet(facts: _Facts, samples: np.ndarray, alt: str, *, made: bool = True) -> _Html:
    if facts.spec.kind == "image":
        image = pictures.sheet(samples[: _grid_size(facts.spec)], facts.spec, samples[:0])
        return _img(image, alt, made=made, class_="px" if max(facts.spec.shape[-2:]) < 64 else "")
    real = facts.store.fields["x"] if facts.store is not None and facts.show_data else samples[:0]
    return _img(pictures.sheet(samples, facts.spec, np.asarray(real)), alt, made=made, class_="chart")


def _singles(facts: _Facts, images: np.ndarray, alt: Sequence[str], *, made: bool) -> Iterator[_Html]:
    """Pictures each on its own, small."""
    saved = facts.spec.codec.to_json()
    for picture, text in zip(pictures.to_8_bit(images, (float(saved["low"]), float(saved["high"]))), alt, strict=True):
        image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
        yield _img(image, text, most=128, made=made, class_="px" if max(image.size) < 96 else "")


def _frames(run: Run) -> list[Path]:
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


def _film(frames: Sequence[Path], alt: str, class_: str) -> _Html:
    """The film made again, small enough for a page: smaller and fewer pictures until it fits."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "film.gif"
        for side, most in ((480, 32), (400, 24), (320, 16), (240, 10)):
            chosen = [frames[i] for i in _spaced(len(frames), most)]
            small = []
            for path in chosen:
                small.append(Path(folder) / path.name)
                _shrunk(path, side).save(small[-1])
            pictures.film(small, out, max_frames=most)
            if out.stat().st_size <= _FILM_BYTES:
                break
        with Image.open(out) as image:
            size = image.size
        return _raw_img(out.read_bytes(), "gif", alt, size, class_)


def _shrunk(path: Path, side: int) -> Image.Image:
    with Image.open(path) as file:
        image = file.convert("RGB")
    if max(image.size) > side:
        scale = side / max(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BOX)
    return image


# --- the page ---------------------------------------------------------------------------------------------------------


def _document(facts: _Facts) -> str:
    record = facts.run.record
    title = f"{_recipe_name(facts)} on {_source_name(facts)}"
    sections = [
        ("samples", "Samples", _samples(facts)),
        ("film", "Through training", _through_training(facts)),
        ("curves", "Curves", _curves(facts)),
        ("scores", "Scores", _score_tables(facts)),
        ("nearest", "Nearest training samples", _nearest(facts)),
        ("data", "Training data", _data(facts)),
        ("made", "How it was made", _made(facts)),
        ("networks", "Networks", _networks(facts)),
        ("recipe", "The recipe", _recipe(facts)),
        ("card", "Model card", _card(facts)),
    ]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    head = [
        _tag("meta", charset="utf-8"),
        _Html(f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">'),
        _tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        _tag("meta", name="color-scheme", content="light dark"),
        _tag("meta", name="generator", content=f"gansmith {__version__}"),
        _tag("title", f"{title} - gansmith report"),
        _tag("style", _Html(_STYLE)),
    ]
    header = _tag(
        "header",
        _tag("p", "gansmith report", class_="eyebrow"),
        _tag("h1", title),
        _tag("p", _prose(facts.page.summary), class_="lead") if facts.page else None,
        _key_facts(facts),
        _notes("Look out", facts.warnings, "warn"),
        _notes("Not shown", facts.missing, "note"),
        _tag("nav", [_tag("a", text, href=f"#{anchor}") for anchor, text, _ in sections]),
    )
    main = [_tag("section", _tag("h2", text), body, id=anchor) for anchor, text, body in sections]
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    footer = _tag(
        "footer",
        f"Made {made} by gansmith {__version__} from the run {facts.run.path.resolve().name}, started "
        f"{_said(_at(record, 'created'))}. Pictures of samples on this page are AI-generated.",
    )
    body = _tag("body", header, _tag("main", main), footer)
    return f"<!doctype html>\n{_tag('html', _tag('head', head), body, lang='en')}\n"


def _recipe_name(facts: _Facts) -> str:
    name = str(facts.run.record["recipe"]["name"])
    return Path(name).stem if name.endswith(".py") else name


def _source_name(facts: _Facts) -> str:
    """The source as given; of a path the last part, for the rest is nobody's business."""
    source = str(_at(facts.run.record, "data", "source"))
    return Path(source).name or source if "/" in source else source


def _notes(title: str, lines: Sequence[str], class_: str) -> _Html | None:
    if not lines:
        return None
    return _tag("div", _tag("strong", title), _tag("ul", [_tag("li", line) for line in lines]), class_=f"box {class_}")


def _key_facts(facts: _Facts) -> _Html:
    record, progress = facts.run.record, facts.progress
    images, seconds = progress["images"], progress["seconds"]
    rate = f"{images / seconds:,.0f} images a second" if seconds else "not measured"
    served = [net.parameters for net in facts.networks.values() if net.serves]
    total = sum(net.parameters for net in facts.networks.values())
    cells = [
        ("Images shown", f"{images:,}", "finished" if progress["finished"] else "not finished"),
        ("Training time", _clock(seconds), rate),
        (
            "Generator",
            f"{sum(served):,}" if served else "unknown",
            f"parameters, of {total:,}" if total else "parameters",
        ),
        (
            "Training data",
            _said(_at(record, "data", "count")),
            _kind(facts.spec),
        ),
        (
            "Machine",
            f"{_said(_at(record, 'setting', 'device'))}, {_said(_at(record, 'setting', 'precision'))}",
            f"{_said(_at(record, 'machine', 'cores'))} cores, {_said(_at(record, 'machine', 'processor'))}",
        ),
        ("Seed", _said(_at(record, "options", "seed")), f"{_said(_at(record, 'options', 'batch_size'))} images a step"),
    ]
    return _tag(
        "div",
        [_tag("div", _tag("span", name), _tag("b", value), _tag("small", more)) for name, value, more in cells],
        class_="cards",
    )


# --- sections ---------------------------------------------------------------------------------------------------------


def _samples(facts: _Facts) -> _Child:
    image = facts.spec.kind == "image"
    if facts.samples is None or facts.raw is None or facts.model is None:
        frames = _frames(facts.run)
        if not frames:
            return _tag(
                "p", "No samples yet: a run draws some at its start, and saves a model at its first checkpoint."
            )
        return _figure(
            _img(_shrunk(frames[-1], 640), "samples during training", made=True, class_="" if image else "chart"),
            f"As drawn during training, after {_shown(frames[-1])}.",
            class_="half",
        )
    after = f"after {facts.model.images:,} images, seed {facts.seed}, unselected"
    what = "" if image else "; grey: training data" if facts.store is not None and facts.show_data else ""
    figures = [
        _figure(
            _sheet(facts, facts.samples, "samples drawn with the averaged weights"),
            _tag("b", "Averaged weights (EMA)"),
            f", {after}{what}. Sampling uses these.",
            class_="big",
        ),
        _figure(
            _sheet(facts, facts.raw, "samples drawn with the weights of the last step"),
            _tag("b", "Raw weights"),
            " of the last step, same latents.",
        ),
    ]
    if facts.store is not None and facts.show_data and image:
        rows = _spaced(len(facts.store), _grid_size(facts.spec))
        real = np.array(facts.store.fields["x"][rows])
        figures.append(
            _figure(
                _sheet(facts, real, "pictures of the training data", made=False),
                _tag("b", "Training data"),
                f", {len(rows)} of {len(facts.store):,}, evenly spaced.",
            )
        )
    return _tag("div", figures, class_="samples")


def _shown(frame: Path) -> str:
    return f"{int(frame.stem):,} images" if frame.stem.isdigit() else frame.stem


def _through_training(facts: _Facts) -> _Child:
    frames = _frames(facts.run)
    if not frames:
        return _tag("p", "No frames yet: they come while the run trains.")
    if facts.spec.kind == "vector" and not facts.show_data:
        return _tag("p", "Left out: the frames of points show the training data, too.")
    chart = "" if facts.spec.kind == "image" else "chart"
    strip = [
        _figure(_img(_shrunk(frames[i], 240), f"samples after {_shown(frames[i])}", made=True, class_=chart), text)
        for i in _spaced(len(frames), 6)
        for text in [_shown(frames[i])]
    ]
    film = _figure(
        _film(frames, "film of samples of fixed latents through training", chart),
        f"The same latents through training, {len(frames)} moments, averaged weights.",
        class_="film",
    )
    if len(frames) == 1:
        return _tag("div", strip, class_="strip")
    return _tag("div", film, _tag("div", strip, class_="strip"), class_="through")


def _curves(facts: _Facts) -> _Child:
    if not facts.log:
        return _tag("p", "Nothing is logged yet.")
    said = pictures.reading(facts.log)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "curves.png"
        pictures.curves(facts.log, path)
        with Image.open(path) as image:
            picture = _img(image.convert("RGB"), f"the terms of each player's loss. {' '.join(said)}", class_="chart")
    rows = []
    for turn, (_, terms) in pictures.terms_of(facts.log).items():
        for name, values in terms.items():
            late = values[-max(len(values) // 4, 1) :]
            finite = values[np.isfinite(values)]
            spread = [f"{finite.min():.4g}", f"{finite.max():.4g}"] if len(finite) else ["none", "none"]
            rows.append([f"{turn}/{name}", f"{values[-1]:.4g}", f"{np.median(late):.4g}", *spread])
    return [
        _figure(picture, "One panel a player, over the images shown.", class_="curves"),
        _tag("ul", [_tag("li", sentence) for sentence in said], class_="narrow"),
        _table(["term", "last", "median, last quarter", "lowest", "highest"], rows, numeric=range(1, 5)),
    ]


_COLUMNS = {"model": "this model", "floor": "floor: real", "control": "control: replay"}
_TOLD = {"format", "model", "scores", "floor", "control", "better", "flags", "reading", "notes", "protocol", "run"}
_TOLD |= {"class_shares", "closest", "key"}
"""Entries of a file of scores that have a place of their own; others are listed as they stand."""


def _score_tables(facts: _Facts) -> _Child:
    if not facts.scores:
        return _tag(
            "p",
            "Not evaluated: nothing on this page measures quality. To score it, with its floor and its control: ",
            _tag("code", f"gansmith evaluate {shlex.quote(str(facts.run.path))}"),
        )
    return [
        _tag(
            "p",
            "A score means something only beside its floor (held-out real data, scored alike: no model can be asked "
            "for more) and its control (a replay of training data, which flatters every score of fidelity and must be "
            "flagged as copying), and it compares only with scores of the same protocol.",
        ),
        [_score_table(facts, name, saved) for name, saved in facts.scores.items()],
        _during_training(facts),
    ]


def _score_table(facts: _Facts, name: str, saved: Mapping[str, Any]) -> list[_Child]:
    sides = {"model": saved.get("model", saved.get("scores"))} | {k: saved.get(k) for k in ("floor", "control")}
    flat = {side: dict(_leaves(values)) for side, values in sides.items() if isinstance(values, Mapping)}
    # JSON has no infinity: what was not finite is null there.
    flat = {side: {k: "not finite" if v == "none" else v for k, v in values.items()} for side, values in flat.items()}
    better = dict(_leaves(_object(saved, "better")))
    best = {"lower": "lower", "higher": "higher", "floor": "as the floor"}
    rows = [
        [metric, *(flat[side].get(metric, "") for side in flat), best.get(better.get(metric, ""), "")]
        for metric in dict.fromkeys(metric for values in flat.values() for metric in values)
    ]
    ran, protocol = _object(saved, "run"), dict(_leaves(_object(saved, "protocol")))
    protocol = {k: f"{v[:16]}..." if len(v) == 64 else v for k, v in protocol.items()}  # the file holds whole digests
    title = ", ".join(
        [
            f"after {_said(ran['images'])} images" if "images" in ran else name,
            *(f"{protocol[k]} {k}" for k in ("weights", "checkpoint") if protocol.get(k)),
        ]
    )
    parts: list[_Child] = [_tag("h3", title[0].upper() + title[1:])]
    if facts.model is not None and ran.get("images", facts.model.images) != facts.model.images:
        text = f"Scored after {_said(ran['images'])} images; the samples above are from {facts.model.images:,}."
        parts.append(_tag("p", text, class_="quiet"))
    if rows:
        head = ["metric", *(_COLUMNS[side] for side in flat), "better"]
        parts.append(_table(head, rows, numeric=range(1, len(head) - 1)))
    for side in sides.keys() - flat.keys():
        parts.append(_tag("p", f"No {_COLUMNS[side].split(':')[0]} was scored.", class_="quiet"))
    reading, notes = _lines(saved.get("reading")), _lines(saved.get("notes"))
    if reading:
        parts.append(_tag("ul", [_tag("li", line) for line in reading]))
    parts.append(_notes("What weakens these scores", notes, "note"))
    key = f" {saved['key']}" if "key" in saved else ""
    rest = dict(_leaves({k: v for k, v in saved.items() if k not in _TOLD}))
    for heading, entries in ((f"Protocol{key}", protocol), ("Also recorded", rest)):
        if entries:
            inside = _tag("div", _pairs(entries.items()), class_="fine")
            parts.append(_tag("details", _tag("summary", heading), inside, open=""))
    return parts


def _object(saved: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An entry that should be an object; an empty one if it is anything else."""
    value = saved.get(key)
    return value if isinstance(value, Mapping) else {}


def _lines(value: Any) -> list[str]:
    return [_said(line) for line in value] if isinstance(value, list) else []


def _during_training(facts: _Facts) -> _Child:
    """Scores that were taken while it trained, about a dozen of them."""
    path = facts.run.path / "scores" / "training.jsonl"
    found = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # torn by a crash
        if isinstance(line, dict) and isinstance(line.get("scores"), dict):
            found.append(line)
    if not found:
        return None
    chosen = [found[i] for i in _spaced(len(found), 12)]
    names = list(dict.fromkeys(name for line in chosen for name in line["scores"]))[:8]
    rows = [
        [
            _said(line.get("images")),
            *(_said(line["scores"].get(name)) for name in names),
            "best so far" if line.get("best") else "",
        ]
        for line in chosen
    ]
    return [
        _tag("h3", "During training"),
        _table(["images", *names, ""], rows, numeric=range(len(names) + 1)),
    ]


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The entries of nested objects, by dotted names; a value with its interval is one entry."""
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, f"{name}.")
        else:
            yield name, _said(inner)


def _nearest(facts: _Facts) -> _Child:
    found = facts.neighbours
    if found is None or facts.samples is None or facts.store is None:
        return _tag("p", "Not looked for: that takes a model and the training data.")
    image = facts.spec.kind == "image"

    def far(value: float) -> str:
        return f"{value:.1%}" if image else f"{value:.3g}"

    unit = (
        "Distance: root mean square of the differences between pixel values, as a share of their range, on decoded "
        "pictures."
        if image
        else "Distance: Euclidean, in the data's own units."
    )
    blind = (
        "a copy that is shifted, mirrored or recoloured is far by this measure, and a smooth or blurred sample is near "
        "to many without being a copy"
        if image
        else "where the data lie densely, anything plausible is near to some of them without being a copy"
    )
    searched = (
        f"all {found.searched:,} training samples"
        if found.searched == len(facts.store)
        else f"{found.searched:,} evenly spaced training samples of {len(facts.store):,}"
    )
    exact = int(np.count_nonzero(found.of_samples == 0))
    rows = [
        ["of this model", f"{len(found.of_samples):,}", *(far(v) for v in _quartiles(found.of_samples))],
        ["of the training data, to the nearest other", f"{len(found.of_training):,}"]
        + [far(v) for v in _quartiles(found.of_training)],
    ]
    parts: list[_Child] = [
        _table(["samples", "number", "nearest", "lower quartile", "median"], rows, numeric=range(1, 5)),
        _tag(
            "p",
            f"{unit} Searched: {searched}. ",
            f"{exact:,} of {len(found.of_samples):,} samples equal a training sample exactly. " if exact else "",
            "What it shows: samples much nearer to training data than training data are to one another are copies, or "
            f"nearly. What it cannot show: {blind}. It is no proof that nothing was memorised.",
        ),
    ]
    if not image:
        return parts
    if not facts.show_data:
        return [*parts, _tag("p", "The pictures are left out: the page was made without the training data's own.")]
    first = min(SHOWN, len(found.of_samples))
    for title, chosen in (
        (f"The first {first} samples", range(first)),
        (
            f"The {len(found.samples) - first} nearest of {len(found.of_samples):,} samples (selected)",
            range(first, len(found.samples)),
        ),
    ):
        if not chosen:
            continue
        parts.append(_tag("h3", title))
        parts.append(_tag("div", [_row(facts, found, i, far) for i in chosen], class_="pairs"))
    return parts


def _row(facts: _Facts, found: _Neighbours, i: int, far: Any) -> _Html:
    """A sample on the left, its nearest training pictures on the right."""
    assert facts.samples is not None and facts.store is not None
    row = int(found.samples[i])
    (sample,) = _singles(facts, facts.samples[row : row + 1], [f"sample {row}"], made=True)
    rows = [int(r) for r in found.training[i]]
    real = np.stack([np.array(facts.store.fields["x"][r]) for r in rows])
    shown = _singles(facts, real, [f"training picture {r}" for r in rows], made=False)
    near = [
        _figure(picture, far(float(d))) for picture, d in zip(shown, found.distances[i], strict=True) if np.isfinite(d)
    ]
    return _tag("div", _figure(sample, f"sample {row}"), _tag("hr"), near, class_="pair")


def _quartiles(values: np.ndarray) -> list[float]:
    return [float(v) for v in np.percentile(values, (0, 25, 50))]


def _data(facts: _Facts) -> _Child:
    record = facts.run.record
    store = facts.store
    rows: list[tuple[str, _Child]] = [
        ("source", str(_at(record, "data", "source"))),
        ("samples", _said(_at(record, "data", "count"))),
        ("each one of", _kind(facts.spec)),
        ("classes", f"{len(facts.spec.classes):,}" if facts.spec.classes else "none"),
        ("codec", _said(facts.spec.codec.to_json())),
        ("digest", _tag("code", str(_at(record, "data", "digest")))),
    ]
    if store is not None:
        rows.append(("packing", _said(store.options)))
        rows.append(("left out", f"{len(store.quarantined):,} files or rows"))
        rows += [("note", note) for note in store.notes[:8]]
    parts: list[_Child] = [_pairs(rows)]
    if store is not None and "y" in store.fields:
        counts = np.bincount(np.asarray(store.fields["y"]), minlength=len(facts.spec.classes))
        parts += [
            _tag("h3", "Classes of the training data"),
            _bars([*zip(facts.spec.classes, counts.tolist(), strict=True)]),
        ]
    for name, saved in facts.scores.items():
        if shares := _class_shares(saved, facts.spec.classes):
            encoder = _said(_object(saved, "protocol").get("encoder", "an encoder"))
            parts.append(_tag("h3", f"Classes of the samples, as the encoder {encoder} sees them ({name})"))
            parts.append(_bars(shares))
    return parts


def _class_shares(saved: Mapping[str, Any], classes: Sequence[str]) -> list[tuple[str, float]]:
    """The share of each class among the samples, by an encoder's verdict; empty if a file of scores has none."""
    shares = _object(saved, "class_shares").get("model")
    if not isinstance(shares, list) or len(shares) != len(classes):
        return []
    sound = all(isinstance(v, (int, float)) and v >= 0 for v in shares)
    return list(zip(classes, shares, strict=True)) if sound else []


def _bars(counts: Sequence[tuple[str, float]]) -> list[_Child]:
    """A horizontal bar a class, in the order given; of many, the largest."""
    shown = list(counts)
    if len(shown) > 40:
        shown = sorted(shown, key=lambda pair: -pair[1])[:40]
    top, total = max((v for _, v in shown), default=0) or 1, sum(v for _, v in counts) or 1
    rows = [
        _tag(
            "div",
            _tag("span", name),
            _tag("i", _tag("u", style=f"width:{value / top:.1%}")),
            _tag("span", f"{value:,} ({value / total:.1%})" if value == int(value) else f"{value / total:.1%}"),
        )
        for name, value in shown
    ]
    more = _tag("p", f"The largest 40 of {len(counts):,} classes.", class_="quiet") if len(counts) > 40 else None
    return [_tag("div", rows, class_="bars"), more]


def _made(facts: _Facts) -> _Child:
    record = facts.run.record
    setting, versions, machine = (_at(record, key) for key in ("setting", "versions", "machine"))
    rows: list[tuple[str, _Child]] = [("started", _said(_at(record, "created")))]
    for title, entries in (("setting", setting), ("machine", machine), ("versions", versions)):
        if isinstance(entries, Mapping):
            rows.append((title, _said({k: v for k, v in entries.items() if k != "timings"})))
    options = _at(record, "options")
    if not isinstance(options, Mapping):
        return _pairs(rows)
    defaults = {f.name: _plain(f.default) for f in dataclasses.fields(TrainOptions)}
    changed = {k: v for k, v in options.items() if k not in defaults or v != defaults[k]}
    table = [
        [
            _tag("code", k),
            _tag("b", _said(v)) if k in changed else _said(v),
            _said(defaults[k]) if k in defaults else "",
        ]
        for k, v in options.items()
    ]
    return [
        _tag("p", "To train it again:"),
        _tag("pre", _tag("code", _command(facts, changed))),
        _pairs(rows),
        _tag("details", _tag("summary", "All training options"), _table(["option", "value", "default"], table)),
    ]


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(value, default=str))


def _command(facts: _Facts, changed: Mapping[str, Any]) -> str:
    """The command line that trains it again: what differs from the defaults."""
    saved = facts.run.record["recipe"]
    words = ["gansmith", "train", str(saved["name"]), "--data", str(_at(facts.run.record, "data", "source"))]
    known = {f.name: f.default for f in facts.page.fields} if facts.page else {}
    own = {k: v for k, v in dict(saved["fields"]).items() if k not in known or _plain(known[k]) != v}
    taken = {f.name for f in dataclasses.fields(TrainOptions)} | {"data", "out", "resume"}
    for name, value in [*changed.items(), *((f"recipe.{k}" if k in taken else k, v) for k, v in own.items())]:
        flag = str(name).replace("_", "-")
        if value is None:
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif name == "size" and isinstance(value, list):
            words += [f"--{flag}", "x".join(map(str, value))]
        else:
            words += [f"--{flag}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    return " ".join(map(shlex.quote, words))


def _counted(recipe: Recipe, spec: DataSpec) -> dict[str, _Network]:
    """Its networks, counted without memory for them."""
    with torch.device("meta"):
        nets = recipe.networks(spec)
    return {
        role: _Network(type(net).__name__, sum(p.numel() for p in net.parameters()), role in recipe.serving)
        for role, net in nets.items()
    }


def _networks(facts: _Facts) -> _Child:
    if facts.recipe is None:
        return _tag("p", "Not known without the recipe.")
    total = sum(net.parameters for net in facts.networks.values())
    rows = [
        [role, net.kind, f"{net.parameters:,}", "draws the samples" if net.serves else "for training only"]
        for role, net in facts.networks.items()
    ]
    rows.append([f"{len(rows)} networks", "", f"{total:,}", ""])
    parts: list[_Child] = [_table(["network", "type", "parameters", "role"], rows, numeric=(2,))]
    if total > _LAYERED:
        return parts
    with torch.random.fork_rng([]):
        nets = nn.ModuleDict(facts.recipe.networks(facts.spec))
    for role, layers in info.layers(facts.recipe, nets).items():
        table = _table(
            ["layer", "type", "output", "parameters"],
            [[x.name, x.kind, x.shape, f"{x.parameters:,}" if x.parameters else ""] for x in layers],
            numeric=(3,),
        )
        parts.append(_tag("details", _tag("summary", f"{role}, layer by layer"), table))
    return parts


def _recipe(facts: _Facts) -> _Child:
    page, fields = facts.page, dict(facts.run.record["recipe"]["fields"])
    if page is None:
        return _table(["field", "value"], [[_tag("code", k), _said(v)] for k, v in fields.items()])
    texts = (("Source", page.source), ("Differs from the paper", page.differs), ("Expect", page.expect))
    known = {f.name: f for f in page.fields}
    rows = []
    for name, value in fields.items():
        field = known.get(name)
        same = field is not None and _plain(field.default) == value
        rows.append(
            [
                _tag("code", name),
                _said(value) if same else _tag("b", _said(value)),
                _said(field.default) if field and field.default is not ... else "",
                _prose(field.help) if field else "",
            ]
        )
    return [
        _tag("p", _prose(page.summary)),
        _pairs([(title, _prose(text)) for title, text in texts if text]),
        _tag("h3", "Its fields"),
        _table(["field", "here", "default", "meaning"], rows) if rows else None,
    ]


def _prose(text: str) -> list[_Child]:
    """A docstring's words in one line, what stands in backticks as code."""
    pieces = " ".join(text.split()).split("`")
    return [_tag("code", piece) if i % 2 else piece for i, piece in enumerate(pieces)]


def _card(facts: _Facts) -> _Child:
    record = facts.run.record
    unmeasured = [
        "other seeds: one run says nothing of how much runs differ, and a comparison takes several",
        "bias, privacy and licences of the training data, and fitness for any use",
    ]
    if facts.scores:
        unmeasured.insert(0, "whatever is not in the tables under Scores")
    else:
        unmeasured.insert(0, "quality, diversity and coverage: no scores, and so no floor and no control")
    if facts.neighbours is not None:
        unmeasured.append("copying beyond the distances shown, which see only plain likeness")
    else:
        unmeasured.append("copying of training data")
    digest = facts.run.path / "model" / "model.json"
    try:
        weights = str(_at(read_json(digest), "sha256")) if digest.is_file() else "no model saved yet"
    except ValueError as error:
        weights = str(error)
    used = facts.model.images if facts.model else facts.progress["images"]
    return [
        _tag(
            "p",
            _tag("strong", "Samples of this model are AI-generated."),
            " Pictures that gansmith writes say so in their metadata; keep that notice when you pass them on.",
        ),
        _pairs(
            [
                ("what it is", f"a generative adversarial network, recipe {_recipe_name(facts)}"),
                ("what it makes", _kind(facts.spec)),
                ("trained on", f"{_said(_at(record, 'data', 'count'))} samples of {_source_name(facts)}"),
                ("shown", f"{_said(used)} images, with repetition"),
                ("weights", "moving average (default) and raw, both saved"),
                ("sha256 of the weights", _tag("code", weights)),
                ("digest of the data", _tag("code", str(_at(record, "data", "digest")))),
                ("codec", _said(facts.spec.codec.to_json())),
                ("made with", f"gansmith {_said(_at(record, 'versions', 'gansmith'))}"),
            ]
        ),
        _tag("h3", "Not measured"),
        _tag("ul", [_tag("li", line) for line in unmeasured]),
        _tag(
            "p",
            "This page holds samples of the training data themselves: whoever gets it gets those.",
            class_="quiet",
        )
        if facts.store is not None and facts.show_data
        else None,
    ]


_STYLE = """
:root{--ink:#1d2129;--soft:#5d6572;--line:#e1e4ea;--paper:#fff;--card:#f6f7f9;--accent:#0072b2;--warn:#fdf3e0;
--warn-line:#e69f00;--note:#eaf3f9;--note-line:#56b4e9}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8ec;--soft:#a0a8b4;--line:#343a44;--paper:#16191f;--card:#20242c;
--accent:#6cb8e6;--warn:#33290f;--warn-line:#b07c08;--note:#132937;--note-line:#2f7ba8}
img.chart{filter:invert(1) hue-rotate(180deg) brightness(1.3);mix-blend-mode:screen}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:64rem;padding:2.5rem 1.5rem 4rem;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
h1{font-size:2.1rem;line-height:1.15;margin:.1rem 0 .6rem;letter-spacing:-.015em;text-wrap:balance}
h2{font-size:1.35rem;margin:0 0 1rem;padding-top:1.6rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.6rem 0 .6rem}
p,ul{margin:.6rem 0}
main p,main li,main dd{max-width:48rem}
section{margin-top:2.4rem}
.eyebrow{margin:0;color:var(--accent);font-size:.8rem;font-weight:600;letter-spacing:.06em;text-transform:uppercase}
.lead{font-size:1.1rem;color:var(--soft);max-width:46rem;margin:0 0 1.4rem}
.quiet,figcaption,footer,small{color:var(--soft);font-size:.86rem}
code,pre{font:.86em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
pre{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem;white-space:pre-wrap}
a{color:var(--accent)}
nav{display:flex;flex-wrap:wrap;gap:.35rem 1.1rem;margin-top:1.4rem;font-size:.92rem}
nav a{text-decoration:none}nav a:hover{text-decoration:underline}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.2rem,1fr));gap:.7rem}
.cards>div{background:var(--card);border-radius:8px;padding:.7rem .9rem;display:flex;flex-direction:column}
.cards span{color:var(--soft);font-size:.8rem}.cards b{font-size:1.08rem;line-height:1.35;overflow-wrap:normal}
.box{border-left:4px solid var(--note-line);background:var(--note);border-radius:0 8px 8px 0;padding:.7rem 1rem;
margin-top:1rem}
.box.warn{border-color:var(--warn-line);background:var(--warn)}.box ul{margin:.3rem 0 0;padding-left:1.2rem}
figure{margin:0}figcaption{margin-top:.4rem;line-height:1.4}
img{display:block;max-width:100%;height:auto;border-radius:4px}
.curves img{width:100%}
img.px{image-rendering:pixelated}
.samples{display:grid;grid-template-columns:2fr 1fr;gap:1.2rem 1.4rem;align-items:start}
.samples .big{grid-row:span 2}.samples img{width:100%}
.half{max-width:30rem}
.through{display:grid;grid-template-columns:1.35fr 1fr;gap:1.4rem;align-items:start}.film img{width:100%}
.strip{display:grid;grid-template-columns:repeat(6,1fr);gap:.7rem}.strip img{width:100%}
.through .strip{grid-template-columns:repeat(2,1fr)}
.strip figcaption{font-size:.78rem}
.scroll{overflow-x:auto;margin:.8rem 0}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums;overflow-wrap:break-word}
th{text-align:left;color:var(--soft);font-weight:600;font-size:.8rem;vertical-align:bottom}
th,td{padding:.38rem 1rem .38rem 0;border-bottom:1px solid var(--line)}
td{vertical-align:top}.n{text-align:right;white-space:nowrap}th.n{white-space:normal}
th:last-child,td:last-child{padding-right:0}
dl{display:grid;grid-template-columns:minmax(8rem,13rem) 1fr;gap:.3rem 1.2rem;margin:.8rem 0;font-size:.93rem}
dt{color:var(--soft)}dd{margin:0}
.fine{columns:2;column-gap:2rem}.fine dl{display:block;margin:0;font-size:.84rem}.fine dt,.fine dd{display:inline}
.fine dt::after{content:": "}.fine dd::after{content:"";display:block}
details{margin:.8rem 0}summary{cursor:pointer;font-weight:600;font-size:.92rem}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(24rem,1fr));gap:1rem 2rem}
.pair{display:grid;grid-template-columns:1fr 1px repeat(3,1fr);gap:.5rem;align-items:start}
.pair img{width:100%}.pair hr{margin:0;border:0;width:1px;height:100%;background:var(--soft)}
.pair figcaption{font-size:.78rem;margin-top:.2rem}
.bars{display:grid;grid-template-columns:fit-content(14rem) 1fr max-content;column-gap:.8rem;align-items:center;
font-size:.88rem;line-height:1.7;max-width:44rem;font-variant-numeric:tabular-nums}
.bars>div{display:contents}.bars i{display:block}
.bars u{display:block;height:.7rem;border-radius:2px;background:var(--accent);
print-color-adjust:exact;-webkit-print-color-adjust:exact}
.narrow{display:none}
footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--line)}
@media (max-width:42rem){body{padding:1.4rem 1rem 3rem}h1{font-size:1.6rem}.narrow{display:block}
.samples{grid-template-columns:1fr 1fr}.samples .big{grid-column:span 2;grid-row:auto}
.strip{grid-template-columns:repeat(3,1fr)}.pairs{grid-template-columns:1fr}
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}.fine{columns:1}
table{font-size:.8rem}th{font-size:.74rem}th,td{padding-right:.55rem}
.through,.through .strip{grid-template-columns:1fr}.through .strip{grid-template-columns:repeat(3,1fr)}}
@page{size:A4;margin:15mm}
@media print{:root{--ink:#000;--soft:#444;--line:#ccc;--paper:#fff;--card:#f4f4f4;--accent:#0072b2;--warn:#fff;
--note:#fff}img.chart{filter:none;mix-blend-mode:normal}body{font-size:10pt;padding:0;max-width:none}nav,.film{display:none}
.through{display:block}.through .strip{grid-template-columns:repeat(6,1fr)}
section{margin-top:1.2rem}h2,h3,summary{break-after:avoid}figure,.pair,tr,.cards,.box,dl>*{break-inside:avoid}
.pairs{grid-template-columns:1fr 1fr}.scroll{overflow:visible}.samples{grid-template-columns:2fr 1fr}}
"""
