"""A translator applied to pictures as arrays, and pictures read from files into the size a model was trained at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..data import DataSpec, ImageCodec
from ..data.bounded import check_regular
from ..data.folders import Folder
from ..data.kinds.image.codec import bounds_of
from ..data.kinds.image.decode import SUFFIXES, Bad, Target, decode, fit_array, quiet
from ..data.listing import Reading, printable
from ..model.draw import Weights, apply_to, draw_samples
from ..model.model import Model
from ..settle import checked

Direction = Literal["auto", "a2b", "b2a"]
Scale = Literal["native", "trained"]


def way(model: Model, direction: Direction) -> tuple[str, DataSpec, DataSpec]:
    """The field that is given, what it is, and what is made of it. Raises `ValueError` if the model cannot do it."""
    if not model.spec.parts:
        if direction != "auto":
            raise ValueError(
                f"--direction {direction}: {model.recipe_name} reconstructs pictures and has no directions"
            )
        return "x", model.spec, model.spec
    blank = {name: torch.zeros(1, *part.shape) for name, part in model.spec.parts.items()}
    known = {next(iter(given)): given for given in model.recipe.given(blank) if given}
    wanted = {"auto": next(iter(known), ""), "a2b": "a", "b2a": "b"}[direction]
    if wanted not in known:
        listed = ", ".join(f"{name}2{model.spec.made(given).field}" for name, given in known.items())
        raise ValueError(f"--direction {direction}: {model.recipe_name} has learned {listed or 'no direction'} alone")
    return wanted, model.spec.parts[wanted], model.spec.made(known[wanted]).spec


@checked
def translate(
    model: Model,
    pictures: np.ndarray,
    *,
    direction: Direction = "auto",
    scale: Scale = "native",
    seed: int = 0,
    weights: Weights = "ema",
) -> np.ndarray:
    """Pictures (N, H, W, C) in the units of the training data to pictures (N, H, W, C'), of the same size.

    Reconstructions are made in the size of training and brought back to the pictures' own size.
    Picture i depends on the seed and on i. Raises `ValueError` for pictures of other channels or type.
    """
    name, before, after = way(model, direction)
    codec, channels = image_codec(before), before.shape[0]
    dtype = codec.dtype
    if pictures.ndim != 4 or pictures.shape[3] != channels or pictures.dtype.name != dtype:
        raise ValueError(
            f"pictures are {pictures.dtype.name} {pictures.shape}; the model takes {dtype} (N, H, W, {channels})"
        )
    if scale == "trained" or name == "x":  # a code is of a picture in the size of training
        target = Target(
            height=before.shape[1],
            width=before.shape[2],
            channels=channels,
            dtype=dtype,
            fit="stretch",
            resample="lanczos",
            bounds=bounds_of(codec),
            whole=codec.whole,
        )
        small = fit_array(pictures, target)
        made = _through(model, name, before, after, small, seed, weights)
        target = replace(target, height=pictures.shape[1], width=pictures.shape[2], channels=after.shape[0])
        codec = image_codec(after)
        return fit_array(made, replace(target, dtype=codec.dtype, bounds=bounds_of(codec), whole=codec.whole))
    return _through(model, name, before, after, pictures, seed, weights)


def _through(
    model: Model, name: str, before: DataSpec, after: DataSpec, pictures: np.ndarray, seed: int, weights: Weights
) -> np.ndarray:
    """Through the network, in the pictures' own size: what is too small for it is continued as in a mirror."""
    height, width = pictures.shape[1:3]
    # Networks take every size from that of training on; what is below is padded, and the padding cut off again.
    room = [max(before.shape[1] - height, 0), max(before.shape[2] - width, 0)]
    if any(room):
        edges = [(r // 2, r - r // 2) for r in room]
        pictures = np.pad(pictures, [(0, 0), *edges, (0, 0)], mode="symmetric")
    x: Tensor = before.codec.encode(torch.from_numpy(np.array(pictures, order="C"))).contiguous()
    nets = model.weights(weights)
    if name == "x":
        return after.codec.decode(apply_to(model.recipe, nets, x, "picture", seed))
    made = after.codec.decode(draw_samples(model.recipe, nets, len(x), seed, {name: x}))
    return made[:, room[0] // 2 : room[0] // 2 + height, room[1] // 2 : room[1] // 2 + width]


def sources(model: Model, path: Path, direction: Direction) -> tuple[dict[str, Tensor], np.ndarray, list[str]]:
    """The pictures of a file or folder in the size of training: encoded, as they are, and what could not be used.

    Raises `FileNotFoundError` if there is none, `ValueError` if none can be used.
    """
    name, before, _ = way(model, direction)
    codec = image_codec(before)
    target = Target(
        height=before.shape[1],
        width=before.shape[2],
        channels=before.shape[0],
        dtype=codec.dtype,
        fit="crop",
        resample="lanczos",
        bounds=bounds_of(codec),
        whole=codec.whole,
    )
    found, failed = [], []
    with quiet():
        for file, relative in picture_paths(path)[0]:
            try:
                found.append(decode(file.read_bytes(), target))
            except (Bad, OSError) as error:
                failed.append(f"{relative}: {error}")
    if not found:
        raise ValueError(f"no picture of {path} can be used: {'; '.join(failed[:3]) or 'there are none'}")
    raw = np.stack(found)
    return {name: codec.encode(torch.from_numpy(raw)).contiguous()}, raw, failed


def picture_paths(source: Path) -> tuple[list[tuple[Path, str]], list[tuple[str, str]], list[str]]:
    """The files of a folder (or the one file) with their names inside it, those set aside, and those ignored."""
    if source.is_dir():
        found = Folder(source, SUFFIXES, Reading(labels="none", every=True)).listing()
        files = [(source / name, printable(name)) for name in found.names]
        return files, [(q.name, q.reason) for q in found.quarantined], found.ignored
    if not source.exists():
        raise FileNotFoundError(f"there is no {source}: give a picture, an animation, or a folder of pictures")
    check_regular(source)
    return [(source, source.name)], [], []


def image_codec(spec: DataSpec) -> ImageCodec:
    """The codec of pictures. Raises `ValueError` for anything else."""
    if not isinstance(spec.codec, ImageCodec):
        raise ValueError(f"pictures are translated; this model is for data of kind {spec.kind}")
    return spec.codec
