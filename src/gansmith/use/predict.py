"""What a trained model says of data: its class, its cluster, its code; as a table, and counted where labels are known.

The data is a folder or file of pictures, or anything else that `train --data` takes, such as `mnist:test`.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..data import ImageCodec, open_store
from ..data.kinds.image.decode import SUFFIXES, Bad, Target, decode, quiet
from ..data.listing import Folder, printable
from ..files import write_atomically
from ..metrics.clusters import matched
from ..model.draw import Weights, apply_to
from ..model.model import Model
from ..options import DataOptions, Size
from ..recipe import Made

ROWS = 2_000
"""So many samples are held as tensors at a time."""


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What was found, a row for each sample."""

    what: Made
    names: tuple[str, ...]
    """The files, or the rows of a source that has no files."""
    values: np.ndarray
    """Float32: probabilities of classes or clusters (n, K), or codes (n, D)."""
    classes: tuple[str, ...]
    """The names of the classes; of clusters and codes their numbers."""
    labels: np.ndarray | None
    """What each sample is: its place in `known`, or -1 where its label is none of them. None without labels."""
    known: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    """Files that could not be used, and why."""

    @property
    def chosen(self) -> np.ndarray:
        """The likeliest class or cluster of each sample, int64 (n,)."""
        return self.values.argmax(1)


def predict(
    model: Model, source: str | Path, what: Made, options: DataOptions = DataOptions(), weights: Weights = "ema"
) -> Predicted:
    """Put a model to work on a file, a folder, or any source of data of the kind that it was trained on.

    Pictures of another size are brought to that of training. Labels are those of the source: folders or names of
    classes. Raises `FileNotFoundError` if there is no such source, `ValueError` if nothing of it can be used, or the
    recipe gives no such thing.
    """
    path = Path(source)
    folder = path.is_dir() and not (path / "manifest.json").is_file()
    single = path.is_file() and path.suffix.lower() in SUFFIXES
    read = _files(model, path) if model.spec.kind == "image" and (folder or single) else _stored(model, source, options)
    found = []
    for rows in read.chunks:
        x = model.spec.codec.encode(torch.from_numpy(rows)).contiguous()
        found.append(apply_to(model.recipe, model.weights(weights), x, what).numpy())
    values = np.concatenate(found)
    labels, known = read.labels, read.classes
    if labels is not None and model.spec.classes and known != model.spec.classes:
        place = {name: i for i, name in enumerate(model.spec.classes)}  # another order, or some of them
        labels, known = np.array([place.get(name, -1) for name in known])[labels], model.spec.classes
    return Predicted(
        what=what,
        names=read.names,
        values=values,
        classes=model.spec.classes if what == "class" else tuple(map(str, range(values.shape[1]))),
        labels=labels,
        known=known,
        failed=tuple(read.failed),
    )


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A source: its samples in chunks as they are stored, and what is known of them."""

    names: tuple[str, ...]
    chunks: Sequence[np.ndarray]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    failed: Sequence[tuple[str, str]]


def _files(model: Model, path: Path) -> _Read:
    """Picture files; sub-folders are their classes, as for training."""
    assert isinstance(model.spec.codec, ImageCodec)
    channels, height, width = model.spec.shape
    target = Target(
        height=height,
        width=width,
        channels=channels,
        dtype=model.spec.codec.dtype,
        fit="crop",
        resample="lanczos",
    )
    listing = Folder(path, SUFFIXES).listing() if path.is_dir() else None
    names = [path.name] if listing is None else list(listing.names)
    failed = [(q.name, q.reason) for q in listing.quarantined] if listing else []
    used, rows = [], []
    with quiet():
        for i, name in enumerate(names):
            try:
                rows.append(decode((path / name if listing else path).read_bytes(), target))
                used.append(i)
            except (Bad, OSError) as error:
                failed.append((printable(name), str(error)))
    if not rows:
        listed = "; ".join(f"{name}: {reason}" for name, reason in failed[:3])
        raise ValueError(f"no picture of {path} can be used: {listed or 'there are none'}")
    return _Read(
        names=tuple(printable(names[i]) for i in used),
        chunks=[np.stack(rows[i : i + ROWS]) for i in range(0, len(rows), ROWS)],
        labels=listing.labels[used] if listing and listing.labels is not None else None,
        classes=listing.classes if listing else (),
        failed=failed,
    )


def _stored(model: Model, source: str | Path, options: DataOptions) -> _Read:
    """Any other source, packed as for training, in the size of training."""
    spec = model.spec
    if spec.kind == "image" and tuple(options.size) == (0, 0):
        options = replace(options, size=Size((spec.shape[1], spec.shape[2])))
    store = open_store(str(source), options, progress=False)
    if store.spec.kind != spec.kind or store.spec.shape != spec.shape:
        raise ValueError(
            f"{source} holds data of kind {store.spec.kind}, {store.spec.shape}; the model was trained on "
            f"{spec.kind}, {spec.shape}"
        )
    x = store.fields["x"]
    return _Read(
        names=tuple(map(str, range(len(x)))),
        chunks=[np.array(x[i : i + ROWS]) for i in range(0, len(x), ROWS)],
        labels=np.array(store.fields["y"]) if "y" in store.fields else None,
        classes=store.spec.classes,
        failed=[(q.name, q.reason) for q in store.quarantined],
    )


def write(found: Predicted, out: Path) -> None:
    """A .csv of one line a sample: file, class and probability; file, cluster and probability; or file and code.

    The class that the source gives follows where it is known. Raises `OSError`, what was there intact.
    """
    columns: Sequence[str] = (found.what, "probability")
    if found.what == "latent":
        columns = [f"z{i}" for i in range(found.values.shape[1])]
    chosen = found.chosen

    def fill(part: Path) -> None:
        with part.open("w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(["file", *columns, *(["label"] if found.labels is not None else [])])
            for i, name in enumerate(found.names):
                if found.what == "latent":
                    row = [f"{v:.6g}" for v in found.values[i]]
                else:
                    row = [found.classes[chosen[i]], f"{found.values[i, chosen[i]]:.4f}"]
                told = [] if found.labels is None else [found.known[k] if (k := found.labels[i]) >= 0 else ""]
                lines.writerow([name, *row, *told])

    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, fill)


def score(found: Predicted) -> dict[str, float]:
    """`errors` of so many `samples` for classes; for clusters `accuracy` when each is matched with one class
    (Hungarian) and `purity`, when each stands for the class that most of it has. Nothing without labels."""
    if found.labels is None or found.what == "latent" or (found.labels < 0).any():
        return {}
    if found.what == "class":
        return {"errors": int((found.chosen != found.labels).sum()), "samples": len(found.labels)}
    accuracy, purity = matched(torch.from_numpy(found.chosen), torch.from_numpy(found.labels))
    return {"accuracy": accuracy, "purity": purity, "samples": len(found.labels)}
