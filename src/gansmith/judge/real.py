"""Which real rows an evaluation uses, drawn once for every kind of judge.

Every draw takes its own Philox key beside the seed, so that no draw depends on how many others there were: 7 orders the
rows of the data, 8 draws training rows where those are of another source, 9 the replay, 10 the rows of a set of files,
11 held-out rows of a test split, 12 the labels that a model is asked for (`gansmith.model.ask`).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Store, kind_of, open_store
from ..files import cache_dir
from ..options import DataOptions

Source = str | Path | np.ndarray | Mapping[str, np.ndarray]
Drawn = tuple[np.ndarray, str]
"""Stored rows (n, ...) that no training saw, and where they come from."""
LEAST = 10
"""Samples below which nothing is scored."""


def as_store(source: Source, options: DataOptions, like: Store) -> Store:
    """Another source, packed or read as this store was. Raises as `open_store` does."""
    again = reread_store(source, like)
    if again is not None:
        return again
    alike = kind_of(like.spec.kind).alike(options, like.options, like.spec)
    return open_store(source, alike, progress=False)


def reread_store(source: Source, like: Store) -> Store | None:
    """Another source's rows as a store like this one, of a kind that is read anew; None of every other kind."""
    if (again := kind_of(like.spec.kind).reread(source, like.spec)) is None:
        return None
    rows, notes = again
    digest = hashlib.sha256(rows.tobytes()).hexdigest()
    name = str(source) if isinstance(source, str | Path) else like.spec.kind
    return dataclasses.replace(like, source=name, digest=digest, fields={"x": rows}, notes=tuple(notes))


def container(store: Store) -> str:
    """What one stored sample is, such as `uint8 28x28x1`."""
    x = store.fields["x"]
    return f"{x.dtype.name} {'x'.join(map(str, x.shape[1:]))}"


def rows_of(store: Store, rows: np.ndarray) -> np.ndarray:
    """These stored rows, in this order; read from the disk in ascending order."""
    order = np.argsort(rows, kind="stable")
    found = np.empty((len(rows), *store.fields["x"].shape[1:]), store.fields["x"].dtype)
    found[order] = store.fields["x"][rows[order]]
    return found


def hashes_of(raw: np.ndarray) -> dict[bytes, int]:
    """How often each different sample occurs, by a hash of its bytes."""
    counts: Counter[bytes] = Counter()
    for start in range(0, len(raw), 4_096):
        block = np.ascontiguousarray(raw[start : start + 4_096])
        counts.update(hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in block)
    return counts


def random_of(seed: int, key: int) -> np.random.Generator:
    """The generator of one draw; its key is one of those in the module's docstring."""
    return np.random.Generator(np.random.Philox(key=[seed % 2**64, key]))


@dataclass(frozen=True, kw_only=True)
class Split:
    """How many real rows play each part, and the seed that draws them. Raises `ValueError` for fewer than 10."""

    n: int = 10_000
    """Samples of the model, of the floor and of the control."""
    reference: int = 10_000
    """Real samples that every score holds the others against."""
    training: int = 20_000
    """Training samples among which near copies are looked for."""
    seed: int = 0
    num_fake: int = 0
    """Samples there are to score, where that is a given number; it limits `n`. 0: as many as are wanted."""

    def __post_init__(self) -> None:
        for name in ("n", "reference", "training"):
            if (value := getattr(self, name)) < LEAST:
                raise ValueError(f"{name} is {value}; scores need at least {LEAST} samples, and thousands to mean much")


class Real:
    """Real rows in their four parts: reference, held out (the floor), training, and its replay (the control)."""

    def __init__(self, store: Store, judged: Store, split: Split, unseen: Drawn | None = None) -> None:
        """`store` is what the model was trained on; `judged` what samples are held against, by default the same.

        `unseen`: samples that no training saw. Without them rows of `judged` are set apart, which training may have
        seen where that is `store`. Raises `ValueError` if there are too few rows.
        """
        self.store, self.judged, self.split, self.seed = store, judged, split, split.seed
        order = self.random(7).permutation(len(judged))
        apart = order[:0]
        if unseen is None:
            share = min(split.n, len(judged) // 2)
            apart, order = order[:share], order[share:]
            unseen = rows_of(judged, apart), f"another part of {judged.source}"
            self.held_seen = judged is store
        else:
            self.held_seen = False
        pool, self.held_name = unseen
        self.num = min(split.n, len(pool), split.num_fake or split.n)
        """Samples of the model, of the floor and of the control."""
        if 0 < split.num_fake < LEAST:
            raise ValueError(f"there are {split.num_fake} samples to score, too few: at least {LEAST} are needed")
        if self.num < LEAST or len(order) < LEAST:
            name, count = (judged.source, len(judged)) if len(pool) >= LEAST else (self.held_name, len(pool))
            raise ValueError(
                f"{name} holds {count} samples: too few to score anything, which takes {LEAST} of each part"
            )
        self.held = np.asarray(pool[: self.num])
        """Stored rows (num, ...) of the floor."""
        self.known_rows = np.delete(np.arange(len(store)), apart) if self.held_seen else slice(None)
        """What exact copies are looked for among: all training rows but those that play the held-out ones."""
        self.reference_rows = order[: split.reference]
        self.training_rows = (order if judged is store else self.random(8).permutation(len(store)))[: split.training]

    def random(self, key: int) -> np.random.Generator:
        """The generator of one draw of this evaluation; see `random_of`."""
        return random_of(self.seed, key)

    @property
    def reference(self) -> np.ndarray:
        """Stored rows that samples are held against; read from the disk at each call."""
        return rows_of(self.judged, self.reference_rows)

    @property
    def training(self) -> np.ndarray:
        """Stored rows among which near copies are looked for; read from the disk at each call."""
        return rows_of(self.store, self.training_rows)

    @functools.cached_property
    def replay(self) -> np.ndarray:
        """Training rows (num, ...) drawn again: a perfect copier's samples."""
        few = self.num > len(self.training_rows)
        return rows_of(self.store, self.random(9).choice(self.training_rows, self.num, replace=few))

    def cache(self, identity: Mapping[str, Any]) -> Path:
        """Where what was computed of these rows is kept, without a suffix; `identity` says by what it was computed."""
        key = hash_of([self.judged.digest, self.store.digest, identity, self.seed, self.held_name])
        counts = f"{len(self.reference_rows)}-{len(self.training_rows)}-{self.num}"
        return cache_dir() / "judge" / f"{key[:24]}-{counts}"

    def protocol(self) -> dict[str, Any]:
        """The part of a score's record that says which rows were used."""
        return {
            "kind": self.store.spec.kind,
            "reference": self.judged.source,
            "reference_digest": self.judged.digest,
            "reference_seed": self.seed,
            "num_real": len(self.reference_rows),
            "num_fake": self.num,
            "held_out": self.held_name,
            "held_out_seen": self.held_seen,
            "num_training": len(self.training_rows),
        }


def hash_of(value: Any) -> str:
    """The sha256 of a JSON value, in hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
