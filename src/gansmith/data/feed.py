"""Batches: one gather from the packed store plus one normalisation. Batch k is a pure function of k."""

from __future__ import annotations

import hashlib
import mmap
import warnings
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..machine import free_bytes
from .codec import Codec
from .draw import Draw
from .ondisk import OnDisk
from .store import Store

_MOST = 4 << 30


class Feed:
    """This rank's rows of every batch of a run, encoded, on the device.

    Small stores are held in memory (on the device if it has its own); large ones stay on disk (`OnDisk`), from which
    the next batch is fetched while a step runs. Both give the same bits.
    """

    def __init__(
        self,
        store: Store,
        codec: Codec | Mapping[str, Codec],
        draw: Draw,
        *,
        seed: int,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        device: str = "cpu",
        channels_last: bool = False,
        in_memory: bool | None = None,
    ) -> None:
        """`batch_size` counts the rows of all ranks; `in_memory` None decides by what is free.

        `codec`: of the field `x`, or of every field that has one (`DataSpec.codecs`).
        Raises `ValueError` if the batch cannot be split evenly over the ranks, or fields that are drawn together
        differ in length.
        """
        if batch_size % world:
            raise ValueError(
                f"batch size {batch_size} cannot be split over {world} ranks: choose a multiple of {world}"
            )
        self.codecs = {"x": codec} if isinstance(codec, Codec) else dict(codec)
        self.seed, self.batch_size = seed, batch_size
        self.draw = draw.bind(self.codecs["x"], store.fields) if "x" in self.codecs else draw
        self.device = torch.device(device)
        self._counts = {k: len(field) for k, field in store.fields.items()}
        if draw.together and len(set(self._counts.values())) > 1:
            raise ValueError(f"{store.source} holds {self._counts}: its fields are not aligned and cannot be paired")
        self._slice = slice(batch_size // world * rank, batch_size // world * (rank + 1))
        self._channels_last = channels_last
        self._reordered = {k for k, codec in self.codecs.items() if codec.channels_last}
        size = sum(field.nbytes for field in store.fields.values())
        if in_memory is None:
            in_memory = size < min(_MOST, free_bytes(self.device) // 4)
        # Held in the order in which the networks want it, so that a batch is one gather and one pass of arithmetic.
        self._planar = self._reordered if in_memory and not channels_last else set()
        self._held = {k: self._hold(k, v) for k, v in store.fields.items()} if in_memory else {}
        self._on_disk = {} if in_memory else {k: OnDisk(v) for k, v in store.fields.items()}

    def __call__(self, k: int) -> dict[str, Tensor]:
        """`"x"` (N, *shape) float32 and, if the data has labels, `"y"` (N,) int64: this rank's rows of batch k.

        Of pairs and domains `"a"` and `"b"`; and what the draw adds.
        """
        for name, field in self._on_disk.items():
            field.ahead(self._rows(name, k + 1))
        if not self.draw.together:
            return self.at({name: self._rows(name, k) for name in self._counts})
        (n,) = set(self._counts.values())
        rows, more = self.draw.batch(self.seed, k, self.batch_size, n)
        added = {name: _to(torch.from_numpy(v[self._slice].copy()), self.device) for name, v in more.items()}
        batch = self.at(dict.fromkeys(self._counts, rows[self._slice])) | added
        for beside, others in self.draw.further(self.seed, k, self.batch_size, n).items():
            found = self.at(dict.fromkeys(self._counts, others[self._slice]))
            batch |= {f"{beside}.{name}": field for name, field in found.items()}
        return batch

    def _rows(self, name: str, k: int) -> np.ndarray:
        """This rank's rows of one field in batch k; of fields drawn together all are the same."""
        seed = self.seed if self.draw.together else _own_seed(self.seed, name)
        return self.draw.rows(seed, k, self.batch_size, self._counts[name])[self._slice]

    def spaced(self, n: int) -> dict[str, Tensor]:
        """At most n evenly spaced rows of every field, encoded, on the device: the same in every run.

        Fields that are drawn together come with what the draw knows of these rows.
        """
        n = min(n, *self._counts.values())
        if self.draw.together:
            rows = dict.fromkeys(self._counts, self.draw.spaced(n, min(self._counts.values())))
        else:
            rows = {name: self.draw.spaced(n, count) for name, count in self._counts.items()}
        more = self.draw.beside(next(iter(rows.values()))) if self.draw.together else {}
        return self.at(rows) | {name: _to(torch.from_numpy(v), self.device) for name, v in more.items()}

    def at(self, rows: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """These rows of each field, encoded, on the device."""
        raw = self._gather(rows)
        for name, codec in self.codecs.items():
            x = raw[name]
            if x.dtype == torch.int16:
                x = x.view(torch.uint16)
            if name in self._reordered and not self._channels_last:
                # Reordered while pixels are still small integers; `encode` sees its (N, ..., C) and undoes nothing.
                planar = x if name in self._planar else x.movedim(-1, 1).contiguous()
                x = planar.movedim(1, -1)
            raw[name] = codec.encode(x)
        return raw

    def _hold(self, name: str, field: np.ndarray) -> Tensor:
        """The field in memory: the packed file's own pages where they lie as the networks want them, else a copy."""
        wanted = np.moveaxis(field, -1, 1) if name in self._planar else field
        if self.device.type == "cpu" and wanted.flags.c_contiguous:
            _advise(field, "MADV_WILLNEED")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the mapped file cannot be written to: nobody does
                return _tensor(wanted)
        held = np.empty(wanted.shape, wanted.dtype)
        rows = max((16 << 20) // max(wanted[:1].nbytes, 1), 1)
        for first in range(0, len(wanted), rows):
            held[first : first + rows] = wanted[first : first + rows]
            _advise(field, "MADV_DONTNEED")  # or the data would lie in memory twice
        return _tensor(held).to(self.device)

    def _gather(self, rows: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        if self._held:
            index: dict[int, Tensor] = {}  # fields drawn together share one array of rows, copied to the device once
            for wanted in rows.values():
                if id(wanted) not in index:  # a copy: the draw's own array is read only
                    index[id(wanted)] = _to(torch.from_numpy(wanted.copy()), self.device)
            return {k: v.index_select(0, index[id(rows[k])]) for k, v in self._held.items()}
        return {k: _to(_tensor(field.at(rows[k])), self.device) for k, field in self._on_disk.items()}


def _own_seed(seed: int, field: str) -> int:
    """The seed of a field that is drawn on its own."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {field}".encode(), digest_size=8).digest(), "little")


def _tensor(array: np.ndarray) -> Tensor:
    """uint16 travels as int16: PyTorch cannot index uint16 everywhere."""
    return torch.from_numpy(array.view(np.int16) if array.dtype == np.uint16 else array)


def _advise(field: np.ndarray, advice: str) -> None:
    """Tell the kernel what comes, where the field is a mapped file and the system knows such advice."""
    mapped = getattr(field, "_mmap", None)
    if mapped is not None and hasattr(mmap, advice):
        mapped.madvise(getattr(mmap, advice))


def _to(tensor: Tensor, device: torch.device) -> Tensor:
    """To the device without waiting for it."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
