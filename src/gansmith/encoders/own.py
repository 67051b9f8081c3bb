"""An encoder of one's own: a small network trained in minutes on the user's data, for data that ImageNet never saw.

With labels it is a classifier (LeNet for small grey pictures, else a residual network) and its features are the
penultimate layer. Without, the same network learns to tell every picture from every other under small changes of
place, size, angle, contrast and a covered patch, and its features are those before the projection.

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998 (LeNet);
He et al., 2016, arXiv:1512.03385 (residual blocks); Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for
Contrastive Learning of Visual Representations", 2020, arXiv:2002.05709, eq. 1 (the loss without labels).
Differs: batch norm throughout; no flips, since a mirrored digit is another thing; no decay of the colours.

Limits, to be known when its scores are read. It knows its training data better than held-out data, so the floor
(held-out real samples) belongs beside every score, and memorisation must be judged by other means. A classifier sees
what tells the classes apart and little else; the network without labels is blind on purpose to what its changes do:
small shifts, turns, contrast. Scores compare only on one encoder: the sha256 says which.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..data.kinds.image.codec import ImageCodec
from ..data.store import Store
from ..files import cache_dir, read_json, sha256, write_json, write_tensors
from .encoder import Encoder, in_bytes, placed
from .resize import resized
from .weights import fill

FORMAT = 1
DIM = 128
LARGEST = 64
"""Pictures with a longer side are reduced to this by the mean over areas: finer texture is not seen."""
BATCH = 128
HELD_OUT = 0.1
RATE = 3e-3
TEMPERATURE = 0.2

Trunk = Literal["lenet", "resnet"]


class _Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Sequential(*_conv(channels, channels, 3), nn.ReLU())
        self.last = nn.Sequential(*_conv(channels, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.last(self.first(x)))


def _conv(inputs: int, channels: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, channels, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(channels)]


class OwnNet(nn.Module):
    """Pictures (N, *shape) in [0, 255] to DIM features, none negative, and logits (N, classes)."""

    def __init__(self, trunk: Trunk, shape: tuple[int, int, int], classes: int):
        super().__init__()
        channels, *size = shape
        if trunk == "lenet":
            layers: list[nn.Module] = []
            for width in (32, 64):
                layers += [*_conv(channels, width, 5), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
                channels, size = width, [math.ceil(s / 2) for s in size]
        else:
            stride = 2 if max(size) > 32 else 1
            width = 32
            layers = [*_conv(channels, width, 3, stride), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True), _Residual(width)]
            size = [math.ceil(math.ceil(s / stride) / 2) for s in size]
            while max(size) > 4:
                wider = min(2 * width, 128)
                layers += [*_conv(width, wider, 3, 2), nn.ReLU(), _Residual(wider)]
                width, size = wider, [math.ceil(s / 2) for s in size]
            channels = width
        # Not a mean over the picture: where something is remains part of what it is.
        self.trunk = nn.Sequential(*layers, nn.Flatten())
        self.features = nn.Sequential(
            nn.Linear(channels * math.prod(size), DIM, bias=False), nn.BatchNorm1d(DIM), nn.ReLU()
        )
        self.head = nn.Linear(DIM, classes) if classes else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) to (N, DIM) and (N, classes)."""
        features = self.features(self.trunk((x - 127.5) / 127.5))
        return features, features.new_empty(len(x), 0) if self.head is None else self.head(features)


def train_own(
    store: Store,
    *,
    seed: int = 0,
    images: int = 0,
    minutes: float = 0.0,
    use_labels: bool = True,
    device: str = "cpu",
    folder: Path | None = None,
) -> Encoder:
    """Train an encoder on a store of pictures, or load it where it was trained before with these settings.

    On a CPU equal stores, settings and numbers of threads give equal weights; another machine may round otherwise, so
    to compare across machines copy the folder and use `load_own`.

    Args:
        store: of pictures of any size and number of channels. A tenth of it is held out, to report what was learnt.
        seed: of the weights, the order and the changes.
        images: how many pictures are shown; 0 is five times the data, at least 60,000 and at most 240,000.
        minutes: end earlier than that, the learning rate falling in time; 0 is no limit. What is then learnt depends
            on the machine's speed.
        use_labels: False trains without the store's labels.
        device: cpu, cuda or cuda:N.
        folder: where it is kept; by default the cache, under the store's digest and the settings.

    Raises:
        ValueError: the store holds no pictures or fewer than 20, or an option is out of range.
    """
    codec = store.spec.codec
    if store.spec.kind != "image" or not isinstance(codec, ImageCodec):
        raise ValueError(f"{store.source} holds vectors; they are their own features: score them without an encoder")
    if len(store) < 20:
        raise ValueError(f"{store.source} holds {len(store)} pictures; an encoder is trained on 20 or more")
    if images < 0 or minutes < 0:
        raise ValueError(f"images is {images} and minutes {minutes}; neither is negative, and 0 is the default")
    labelled = use_labels and "y" in store.fields and len(np.unique(store.fields["y"])) > 1
    held = max(2, round(HELD_OUT * len(store)))
    shown = images or min(240_000, max(60_000, 5 * (len(store) - held)))
    settings = {
        "format": FORMAT,
        "store": store.digest,
        "seed": seed,
        "images": shown,
        "minutes": float(minutes),
        "labels": labelled,
        "device": torch.device(device).type,
    }
    if folder is None:
        key = sha256_text(json.dumps(settings, sort_keys=True))
        folder = cache_dir() / "encoders" / f"own-{key[:32]}"
    if folder.exists():
        found = load_own(folder, device=device)
        if found.facts["settings"] != settings:
            raise ValueError(f"{folder} holds an encoder trained with other settings or data: name another folder")
        return found

    channels, height, width = store.spec.shape
    shrink = max(1.0, max(height, width) / LARGEST)
    size = (max(1, round(height / shrink)), max(1, round(width / shrink)))
    grey = channels == 1 and max(size) <= 32
    trunk: Trunk = "lenet" if grey else "resnet"
    shape = (channels, *size)
    classes = len(store.spec.classes) if labelled else 0
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = OwnNet(trunk, shape, classes)
        projection = nn.Sequential(nn.Linear(DIM, DIM), nn.ReLU(), nn.Linear(DIM, 64))
    task = _Task(store, codec, size, held, seed, device, net, None if labelled else projection)
    report = task.train(shown, minutes)
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        digest = write_tensors(part / "encoder.safetensors", net.state_dict(), "encoder weights")
        record = {
            "format": FORMAT,
            "settings": settings,
            "source": store.source,
            "network": trunk,
            "pictures": [channels, height, width],
            "input": list(shape),
            "classes": list(store.spec.classes) if labelled else [],
            "sha256": digest,
            **report,
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
        }
        write_json(part / "encoder.json", record)
        try:
            part.rename(folder)  # all or nothing; where another process was quicker, its encoder is the one to use
        except OSError:
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return load_own(folder, device=device)


def load_own(folder: str | Path, *, device: str = "cpu") -> Encoder:
    """The encoder that `train_own` left in a folder: `encoder.safetensors` and `encoder.json`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged.
    """
    folder = Path(folder)
    note, weights = folder / "encoder.json", folder / "encoder.safetensors"
    for path in (note, weights):
        if not path.is_file():
            raise FileNotFoundError(f"no encoder at {folder}: {path.name} is missing")
    saved = read_json(note)
    if saved.get("format") != FORMAT:
        raise ValueError(f"{note} has format {saved.get('format')!r}; this gansmith reads {FORMAT}: train it again")
    digest = sha256(weights)
    if saved.get("sha256") != digest:
        raise ValueError(f"{weights} does not have the sha256 that {note.name} states: it is damaged or was swapped")
    match saved:
        case {
            "network": "lenet" | "resnet" as trunk,
            "pictures": [int(c), int(height), int(width)],
            "input": [int(channels), int(h), int(w)],
            "classes": [*names],
            "settings": {},
        } if 0 < c == channels <= 4096 and 0 < h <= LARGEST and 0 < w <= LARGEST and len(names) <= 100_000:
            with torch.random.fork_rng([]):
                net = OwnNet(trunk, (channels, h, w), len(names))
        case _:
            raise ValueError(f"{note} is damaged: it does not describe an encoder")
    try:
        fill(net, load_file(weights), f"the encoder {folder}")
    except SafetensorError as error:
        raise ValueError(f"{weights} is damaged: {error}") from error
    return Encoder(
        name="own",
        net=placed(net, device),
        shape=(channels, h, w),
        dim=DIM,
        classes=len(names),
        sha256=digest,
        resize="none" if (h, w) == (height, width) else "area",
        scaling="(x - 127.5) / 127.5",
        fits=(channels, height, width),
        batch_size=256,
        facts=saved,
    )


def sha256_text(text: str) -> str:
    """The sha256 of a text, in hex."""
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


class _Task:
    """One training: the split, the batches, the loss, and what the held-out part says."""

    def __init__(
        self,
        store: Store,
        codec: ImageCodec,
        size: tuple[int, int],
        held: int,
        seed: int,
        device: str,
        net: OwnNet,
        projection: nn.Module | None,
    ):
        self.x, self.y, self.codec, self.size = store.fields["x"], store.fields.get("y"), codec, size
        self.device = torch.device(device)
        placed(net, device)
        self.net = net.requires_grad_(True)
        self.projection = None if projection is None else projection.to(self.device)
        self.random = np.random.Generator(np.random.Philox(key=[seed % 2**64, 1]))
        self.changes = torch.Generator().manual_seed(seed % 2**63)
        order = self.random.permutation(len(store))
        self.test, self.rest = np.sort(order[:held]), order[held:]
        self.queue = self.rest[:0]

    def train(self, shown: int, minutes: float) -> dict[str, Any]:
        """Show so many pictures; returns what the note says of it."""
        batch = min(BATCH, len(self.rest))
        steps = math.ceil(shown / batch)
        modules = nn.ModuleList([self.net] if self.projection is None else [self.net, self.projection])
        optimizer = torch.optim.AdamW(modules.parameters(), RATE, weight_decay=0.01)
        start = time.perf_counter()
        modules.train()
        step = 0
        for step in range(1, steps + 1):
            spent = (time.perf_counter() - start) / 60
            share = max((step - 1) / steps, spent / minutes if minutes else 0.0)
            if share >= 1:
                break
            rate = RATE * min(share / 0.15 + 0.02, 1.0) * (1 + math.cos(math.pi * share)) / 2
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = self._loss(self._rows(batch))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds = time.perf_counter() - start
        self.net.eval()
        return {
            "held_out": self._score(),
            "shown": step * batch,
            "seconds": round(seconds, 1),
            "ended_by": "minutes" if step < steps else "images",
        }

    def _rows(self, batch: int) -> np.ndarray:
        """The next rows of an endless sequence of shuffled epochs."""
        while len(self.queue) < batch:
            self.queue = np.concatenate([self.queue, self.random.permutation(self.rest)])
        rows, self.queue = self.queue[:batch], self.queue[batch:]
        return rows

    def _pictures(self, rows: np.ndarray) -> Tensor:
        x = in_bytes(self.x[rows], self.codec.low, self.codec.high).to(self.device)
        return resized(x, self.size, "area").contiguous(memory_format=torch.channels_last)

    def _labels(self, rows: np.ndarray) -> Tensor:
        assert self.y is not None
        return torch.from_numpy(self.y[rows]).to(self.device)

    def _loss(self, rows: np.ndarray) -> Tensor:
        x = self._pictures(rows)
        if self.projection is None:
            return F.cross_entropy(self.net(changed(x, self.changes, 0.5))[1], self._labels(rows))
        views = torch.cat([changed(x, self.changes, 1.0, paint=True) for _ in range(2)])
        return contrast(self.projection(self.net(views)[0]))

    @torch.no_grad()
    def _score(self) -> dict[str, Any]:
        """Accuracy on the part that was held out: of the classes, or of finding a picture's other view among 100."""
        right, count = 0, 0
        rows = self.test[:10_000]
        if self.projection is None:
            for i in range(0, len(rows), 500):
                part = rows[i : i + 500]
                right += int((self.net(self._pictures(part))[1].argmax(1) == self._labels(part)).sum())
                count += len(part)
            return {"accuracy": right / count, "of": "classes", "count": count}
        for i in range(0, len(rows), 100):
            x = self._pictures(rows[i : i + 100])
            one, two = (F.normalize(self.net(changed(x, self.changes, 1.0, paint=True))[0]) for _ in range(2))
            right += int(((one @ two.T).argmax(1).cpu() == torch.arange(len(x))).sum())
            count += len(x)
        return {"accuracy": right / count, "of": "finding the other view of a picture among 100", "count": count}


def changed(x: Tensor, random: torch.Generator, strength: float, *, paint: bool = False) -> Tensor:
    """Pictures (N, C, H, W) in [0, 255], each turned, stretched and shifted a little; edges repeat.

    At strength 1: within 15 degrees, a fifth of its size, a sixth of its side. With `paint` also contrast within a
    factor of 1.4 about each picture's mean, brightness within a tenth of the range, and a square of half the side
    covered by that mean.
    """
    n, _, height, width = x.shape

    def within(most: float) -> Tensor:
        return (torch.rand(n, generator=random) * 2 - 1) * (most * strength)

    angle, across, down = within(0.26), within(0.2).exp(), within(0.2).exp()
    rows = [
        torch.stack([angle.cos() * across, -angle.sin() * across * height / width, within(0.33)], 1),
        torch.stack([angle.sin() * down * width / height, angle.cos() * down, within(0.33)], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1).to(x.device), list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    if not paint:
        return x
    mean = x.mean((1, 2, 3), keepdim=True)
    factor, offset = within(0.34).exp(), within(25.0)
    x = (x - mean) * factor.to(x.device)[:, None, None, None] + mean + offset.to(x.device)[:, None, None, None]
    top = (torch.rand(n, 1, generator=random) * height * 1.5 - height / 2).to(x.device)
    left = (torch.rand(n, 1, generator=random) * width * 1.5 - width / 2).to(x.device)
    y, z = torch.arange(height, device=x.device)[None], torch.arange(width, device=x.device)[None]
    tall, wide = (y >= top) & (y < top + height / 2), (z >= left) & (z < left + width / 2)
    return torch.where(tall[:, None, :, None] & wide[:, None, None, :], mean, x)


def contrast(z: Tensor) -> Tensor:
    """NT-Xent (eq. 1): rows i and i + N of (2N, d) are two views of a picture; every other row is to be unlike them."""
    z = F.normalize(z)
    n = len(z) // 2
    likeness = (z @ z.T / TEMPERATURE).masked_fill(torch.eye(2 * n, dtype=torch.bool, device=z.device), -torch.inf)
    return F.cross_entropy(likeness, torch.arange(2 * n, device=z.device).roll(n))
