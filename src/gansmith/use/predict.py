"""What a trained model says of data: its class, its cluster, its code; as a table, and counted where labels are known.

The data is a folder or file of pictures, or anything else that `train --data` takes, such as `mnist:test`.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..data import kind_of, open_store
from ..data.kind import Files
from ..files import write_atomically
from ..metrics.clusters import matched
from ..model.draw import Weights, apply_to
from ..model.model import Model
from ..options import DataOptions
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
    files = None if (path / "manifest.json").is_file() else kind_of(model.spec.kind).files(path, model.spec)
    read = _stored(model, source, options) if files is None else files
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


def _stored(model: Model, source: str | Path, options: DataOptions) -> Files:
    """Any other source, packed as for training, in the size of training."""
    spec = model.spec
    options = kind_of(spec.kind).alike(options, {}, spec)
    store = open_store(str(source), options, progress=False)
    if store.spec.kind != spec.kind or store.spec.shape != spec.shape:
        raise ValueError(
            f"{source} holds data of kind {store.spec.kind}, {store.spec.shape}; the model was trained on "
            f"{spec.kind}, {spec.shape}"
        )
    x = store.fields["x"]
    return Files(
        names=tuple(map(str, range(len(x)))),
        chunks=(np.array(x[i : i + ROWS]) for i in range(0, len(x), ROWS)),
        labels=np.array(store.fields["y"]) if "y" in store.fields else None,
        classes=store.spec.classes,
        failed=tuple((q.name, q.reason) for q in store.quarantined),
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
