"""An encoder of one's own: a small network trained in minutes on the user's data, for data that ImageNet never saw.

With labels it is a classifier and its features are the penultimate layer. Without, the same network learns to tell
every sample from every other under small changes, and its features are those before the projection. The network goes
by the axes of a sample:

| samples | encoded | network | changes without labels |
|---|---|---|---|
| small grey pictures | (1, H, W) | LeNet | place, size, angle, contrast, brightness, a covered patch |
| other pictures | (C, H, W) | residual, 2-D | the same |
| series; audio | (T, W); (C, T) | residual, 1-D | place in time, amplitude, a little noise, a covered stretch |
| volumes; clips | (C, D, H, W); (C, T, H, W) | residual, 3-D | place, contrast, brightness, a covered block |

Samples that are no pictures are encoded by the data's own codec, so missing values and masks reach the network as that
codec writes them; what it writes must be finite. A codec whose samples have three axes but are no pictures (a
spectrogram) gets the residual network in 2-D with the changes of volumes. With labels only the place is changed, half
as far.

Source: Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning of Visual Representations",
2020, arXiv:2002.05709 (learning without labels); the networks' sources are in `trunks`.
Differs: no flips, since a mirrored digit is another thing; no decay of the colours.

Limits, to be known when its scores are read. It knows its training data better than held-out data, so the floor
(held-out real samples) belongs beside every score, and memorisation must be judged by other means. A classifier sees
what tells the classes apart and little else; the network without labels is blind on purpose to what its changes do:
small shifts, turns, contrast; of series and audio also how loud a sample is within a factor of 1.4, and noise below a
twentieth of the data's deviation. Long axes are reduced by means over neighbours, so finer texture is not seen:
pictures to 64 a side, series and audio to 16,384 steps (a second at 16 kHz), volumes and clips to 32 along each axis.
Each channel is brought to the data's mean and deviation, one pair for all times and places. Scores compare only on one
encoder: the sha256 says which.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from .. import records
from ..data import Codec, Store, read_codec
from ..files import cache_dir, sha256, write_json, write_tensors
from .encoder import Encoder, placed, written
from .inputs import Input, input_of, taken_of
from .learning import Learning
from .trunks import DIM, LARGEST, AxesNet, OwnNet, network
from .weights import fill

FORMAT = 1
HELD_OUT = 0.1


def train_own(
    store: Store,
    *,
    seed: int = 0,
    images: int = 0,
    minutes: float = 0.0,
    use_labels: bool = True,
    channels: Literal["auto", "first", "last"] = "auto",
    device: str = "cpu",
    folder: Path | None = None,
    progress: bool = True,
) -> Encoder:
    """Train an encoder on a store of any kind, or load it where it was trained before with these settings.

    On a CPU equal stores, settings and numbers of threads give equal weights; another machine may round otherwise, so
    to compare across machines copy the folder and use `load_own`.

    Args:
        store: of samples that its codec encodes as float tensors of channels and one to three axes, of any size. A
            tenth of it is held out, to report what was learnt.
        seed: of the weights, the order and the changes.
        images: how many samples are shown; 0 is five times the data, at least 60,000 and at most 240,000.
        minutes: end earlier than that, the learning rate falling in time; 0 is no limit. What is then learnt depends
            on the machine's speed.
        use_labels: False trains without the store's labels.
        channels: where the channels of an encoded sample are; see `input_of` for the default, which is right for
            pictures, series (T, W), volumes, clips, and audio (C, T) whose codec says `channels_last`.
        device: cpu, cuda or cuda:N.
        folder: where it is kept; by default the cache, under the store's digest and the settings.
        progress: a bar on a terminal after three seconds.

    Raises:
        ValueError: the store holds vectors, text, two sets, or fewer than 20 samples, or an option is out of range.
    """
    taken = input_of(store, channels)
    if len(store) < 20:
        raise ValueError(f"{store.source} holds {len(store)} {taken.noun}s; an encoder is trained on 20 or more")
    if images < 0 or minutes < 0:
        raise ValueError(f"images is {images} and minutes {minutes}; neither is negative, and 0 is the default")
    held = max(2, round(HELD_OUT * len(store)))
    settings = {
        "format": FORMAT,
        "store": store.digest,
        "seed": seed,
        "images": images or min(240_000, max(60_000, 5 * (len(store) - held))),
        "minutes": float(minutes),
        "labels": use_labels and _labelled(store),
        "device": torch.device(device).type,
        **taken.settings,
    }
    if folder is None:
        folder = cache_dir() / "encoders" / f"own-{sha256_text(json.dumps(settings, sort_keys=True))[:32]}"
    if not folder.exists():
        _train(store, taken, settings, held, device, folder, progress)
    found = load_own(folder, device=device, codec=store.spec.codec)
    if found.facts["settings"] != settings:
        raise ValueError(f"{folder} holds an encoder trained with other settings or data: name another folder")
    return found


def _labelled(store: Store) -> bool:
    """Whether every sample has a label, of one of two classes or more."""
    found = np.unique(store.fields["y"]) if "y" in store.fields else np.zeros(0)
    return len(found) > 1 and bool(found[0] >= 0)


def _train(
    store: Store, taken: Input, settings: dict[str, Any], held: int, device: str, folder: Path, progress: bool
) -> None:
    """Train by the settings and keep what came of it in the folder."""
    classes = store.spec.classes if settings["labels"] else ()
    with torch.random.fork_rng([]):
        torch.manual_seed(settings["seed"])
        net = network(taken.trunk, taken.shape, len(classes))
        projection = nn.Sequential(nn.Linear(DIM, DIM), nn.ReLU(), nn.Linear(DIM, 64))
    unlabelled = None if settings["labels"] else projection
    learning = Learning(store, taken, held, settings["seed"], device, net, unlabelled)
    report = learning.train(settings["images"], settings["minutes"], progress)
    record = {
        "format": FORMAT,
        "settings": settings,
        "source": store.source,
        "network": taken.trunk,
        **taken.record,
        "input": list(taken.shape),
        "classes": list(classes),
    }
    _keep(folder, net, record, report)


def _keep(folder: Path, net: nn.Module, record: dict[str, Any], report: dict[str, Any]) -> None:
    """Write weights and note beside the folder and rename them into it."""
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        digest = write_tensors(part / "encoder.safetensors", net.state_dict(), "encoder weights")
        made = {"sha256": digest, **report, "threads": torch.get_num_threads(), "torch": str(torch.__version__)}
        write_json(part / "encoder.json", record | made)
        try:
            part.rename(folder)  # all or nothing; where another process was quicker, its encoder is the one to use
        except OSError:
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load_own(folder: str | Path, *, device: str = "cpu", codec: Codec | None = None) -> Encoder:
    """The encoder that `train_own` left in a folder: `encoder.safetensors` and `encoder.json`.

    Args:
        folder: where it is.
        device: cpu, cuda or cuda:N.
        codec: of the samples that it will be given; by default the one it was trained with, from the note. Pictures
            need none.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or it was trained on samples of another codec.
    """
    folder = Path(folder)
    note, weights = folder / "encoder.json", folder / "encoder.safetensors"
    for path in (note, weights):
        if not path.is_file():
            raise FileNotFoundError(f"no encoder at {folder}: {path.name} is missing")
    saved = records.read(note)
    if saved.get("format") != FORMAT:
        raise ValueError(f"{note} has format {saved.get('format')!r}; this gansmith reads {FORMAT}: train it again")
    digest = sha256(weights)
    if saved.get("sha256") != digest:
        raise ValueError(f"{weights} does not have the sha256 that {note.name} states: it is damaged or was swapped")
    net, about = _described(note, saved, codec)
    try:
        fill(net, load_file(weights), f"the encoder {folder}")
    except SafetensorError as error:
        raise ValueError(f"{weights} is damaged: {error}") from error
    return Encoder(
        name="own",
        net=placed(net, device),
        dim=DIM,
        classes=len(saved["classes"]),
        sha256=digest,
        batch_size=256,
        facts=saved,
        **about,
    )


def _described(note: Path, saved: dict[str, Any], codec: Codec | None) -> tuple[OwnNet | AxesNet, dict[str, Any]]:
    """The network that a note describes, its weights still to be filled in, and the encoder's fields that go with it.

    Raises:
        ValueError: it describes none, or one of another codec than the given one.
    """
    match saved:
        case {
            "network": "lenet" | "resnet" as trunk,
            "pictures": [int(c), int(height), int(width)],
            "input": [int(channels), int(h), int(w)],
            "classes": [*names],
            "settings": {},
        } if c == channels and _sane((channels, h, w), names):
            about: dict[str, Any] = {
                "shape": (channels, h, w),
                "fits": (channels, height, width),
                "resize": "none" if (h, w) == (height, width) else "area",
                "scaling": "(x - 127.5) / 127.5",
            }
        case {
            "network": "residual" as trunk,
            "sample": [*sample],
            "input": [*shape],
            "channels": "first" | "last" as where,
            "codec": str(text),
            "classes": [*names],
            "settings": {},
        } if _sane(shape, names) and _counts(sample, len(shape)) and tuple(shape) == taken_of(sample, where):
            if codec is not None and written(codec) != text:
                raise ValueError(
                    f"{note.parent} holds an encoder of samples of another codec ({text[:100]}): train one on this data"
                )
            about = {
                "shape": tuple(shape),
                "fits": tuple(sample),
                "codec": read_codec(records.parse(text, str(note))) if codec is None else codec,
                "channels": where,
                "resize": "none" if math.prod(sample) == math.prod(shape) else "area",
                "scaling": "(codec(x) - mean of its channel) / deviation of its channel",
            }
        case _:
            raise ValueError(f"{note} is damaged: it does not describe an encoder")
    with torch.random.fork_rng([]):
        return network(trunk, about["shape"], len(names)), about


def _sane(shape: Sequence[int], names: Sequence[Any]) -> bool:
    """Whether a network of this input may be built: a damaged or hostile note must not ask for all memory."""
    if len(shape) - 1 not in LARGEST or not _counts(shape, len(shape)):
        return False
    return shape[0] <= 4096 and max(shape[1:]) <= LARGEST[len(shape) - 1] and len(names) <= 100_000


def _counts(values: Sequence[Any], num: int) -> bool:
    """Whether these are so many whole numbers above 0."""
    return len(values) == num and all(isinstance(v, int) and v > 0 for v in values)


def sha256_text(text: str) -> str:
    """The sha256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
