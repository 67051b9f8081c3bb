"""The rows that a judge holds against one another: which, of what shape, and which of them are equal."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .. import metrics as M
from ..data import Store, open_store
from ..data import toy as toys
from ..data.kinds.table.codec import TableCodec
from ..data.kinds.table.source import rows_like
from ..metrics.features import wide
from ..options import DataOptions, Size

Source = str | Path | np.ndarray | Mapping[str, np.ndarray]
COPY_VALUES, COPY_DIM = 1_024, 64


def toy_of(store: Store) -> str:
    """The name of the toy that a store holds, or nothing."""
    kind, _, name = store.source.partition(":")
    return name if kind == "toy" and name in toys.NAMES else ""


def held_out_of(store: Store, options: DataOptions, n: int, seed: int) -> tuple[np.ndarray, str] | None:
    """Samples that no training saw: the source's own test split, drawn at random, or fresh ones of a toy."""
    if name := toy_of(store):
        return toys.sample(name, n, seed=2**32 + seed)[0], f"{store.source}, drawn anew"
    if store.source not in ("mnist", "fashion-mnist", "cifar10"):
        return None
    try:
        test = open_store(f"{store.source}:test", _like(options, store), progress=False)
    except (OSError, ValueError):
        return None
    order = np.random.Generator(np.random.Philox(key=[seed % 2**64, 11])).permutation(len(test))
    return rows_of(test, order[:n]), test.source


def _like(options: DataOptions, store: Store) -> DataOptions:
    """The options that pack another source to the shape of this store."""
    if store.spec.kind != "image":
        return options
    channels: dict[int, Literal["grey", "rgb", "rgba"]] = {1: "grey", 3: "rgb", 4: "rgba"}
    kept: dict[str, Any] = {k: store.options[k] for k in ("fit", "resample") if k in store.options}
    size = tuple(store.options.get("size", (0, 0)))
    chosen = store.options.get("channels", channels.get(store.spec.shape[0], "auto"))
    return dataclasses.replace(options, size=Size(size), channels=chosen, **kept)


def as_store(source: Source, options: DataOptions, like: Store) -> Store:
    """Another source, packed as this store is; a table is read with this one's columns, so that codes mean the same."""
    codec = like.spec.codec
    if not isinstance(codec, TableCodec):
        return open_store(source, _like(options, like), progress=False)
    rows, notes = rows_like(source, codec)
    digest = hashlib.sha256(rows.tobytes()).hexdigest()
    name = str(source) if isinstance(source, str | Path) else "table"
    return dataclasses.replace(like, source=name, digest=digest, fields={"x": rows}, notes=tuple(notes))


def rows_of(store: Store, rows: np.ndarray) -> np.ndarray:
    """These rows, in this order; read from the disk in ascending order."""
    order = np.argsort(rows, kind="stable")
    found = np.empty((len(rows), *store.fields["x"].shape[1:]), store.fields["x"].dtype)
    found[order] = store.fields["x"][rows[order]]
    return found


def container(store: Store) -> str:
    """What one stored sample is, such as `uint8 28x28x1`."""
    x = store.fields["x"]
    return f"{x.dtype.name} {'x'.join(map(str, x.shape[1:]))}"


def reduced(raw: np.ndarray, bounds: tuple[float, float] | None) -> Tensor:
    """Pictures (N, H, W, C) as float32 (N, d) in [0, 1], reduced to at most COPY_VALUES."""
    low, high = bounds or (0.0, 65535.0 if raw.dtype == np.uint16 else 255.0)
    height, width, channels = raw.shape[1:]
    shrink = max(1.0, math.sqrt(height * width * channels / COPY_VALUES))
    size = [max(1, int(height / shrink)), max(1, int(width / shrink))]
    parts = []
    for start in range(0, len(raw), 4_096):
        x = torch.from_numpy(np.asarray(raw[start : start + 4_096]).astype(np.float32)).permute(0, 3, 1, 2)
        if size != list(x.shape[2:]):
            x = torch.nn.functional.interpolate(x, size, mode="area")
        parts.append(((x - low) / (high - low)).flatten(1))
    return torch.cat(parts)


def basis_of(x: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the main directions (d, k) of vectors (N, d)."""
    moments = M.Moments.of(x)
    _, vectors = torch.linalg.eigh(wide(moments.covariance))
    k = min(COPY_DIM, x.shape[1])
    return moments.mean.float(), vectors[:, -k:].float()


def hashes_of(raw: np.ndarray) -> dict[bytes, int]:
    """How often each different sample occurs, by a hash of its bytes."""
    counts: Counter[bytes] = Counter()
    for start in range(0, len(raw), 4_096):
        block = np.ascontiguousarray(raw[start : start + 4_096])
        counts.update(hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in block)
    return counts


def share_of_exact(raw: np.ndarray, known: Mapping[bytes, int]) -> float:
    """The share of samples that equal one of the known, byte for byte."""
    return sum(count for digest, count in hashes_of(raw).items() if digest in known) / len(raw)
