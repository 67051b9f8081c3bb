"""Batches: one gather from the packed store plus one normalisation. Batch k is a pure function of k."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .draw import Draw
from .spec import Codec, ImageCodec
from .store import Store

_MOST = 4 << 30


class Feed:
    """This rank's rows of every batch of a run, encoded, on the device.

    Small stores are held in memory (on the device if it has its own); large ones stay on disk, memory-mapped. Both
    give the same bits.
    """

    def __init__(
        self,
        store: Store,
        codec: Codec,
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

        Raises `ValueError` if the batch cannot be split evenly over the ranks.
        """
        if batch_size % world:
            raise ValueError(
                f"batch size {batch_size} cannot be split over {world} ranks: choose a multiple of {world}"
            )
        self.codec, self.seed, self.batch_size = codec, seed, batch_size
        self.draw = draw.bind(codec, store.fields)
        self.device = torch.device(device)
        self._n = len(store)
        self._slice = slice(batch_size // world * rank, batch_size // world * (rank + 1))
        self._channels_last = channels_last
        self._image = isinstance(codec, ImageCodec)
        size = sum(field.nbytes for field in store.fields.values())
        if in_memory is None:
            in_memory = size < min(_MOST, _free(self.device) // 4)
        # Held in the order in which the networks want it, so that a batch is one gather and one pass of arithmetic.
        self._planar = in_memory and self._image and not channels_last
        self._held = {k: self._hold(k, v) for k, v in store.fields.items()} if in_memory else {}
        self._mapped = {} if in_memory else store.fields

    def __call__(self, k: int) -> dict[str, Tensor]:
        """`"x"` (N, *shape) float32 and, if the data has labels, `"y"` (N,) int64, and what the
        draw adds: this rank's rows of batch k."""
        rows, more = self.draw.batch(self.seed, k, self.batch_size, self._n)
        raw = self._gather(rows[self._slice])
        raw |= {name: _to(torch.from_numpy(v[self._slice].copy()), self.device) for name, v in more.items()}
        x = raw.pop("x")
        if x.dtype == torch.int16:
            x = x.view(torch.uint16)
        if self._image and not self._channels_last:
            # Reordered while the pixels are still small integers; `encode` sees its (N, H, W, C) and undoes nothing.
            planar = x if self._planar else x.permute(0, 3, 1, 2).contiguous()
            x = planar.permute(0, 2, 3, 1)
        raw["x"] = self.codec.encode(x)
        return raw

    def _hold(self, name: str, field: np.ndarray) -> Tensor:
        planar = self._planar and name == "x"
        return _tensor(np.array(field.transpose(0, 3, 1, 2) if planar else field, order="C")).to(self.device)

    def _gather(self, rows: np.ndarray) -> dict[str, Tensor]:
        if self._held:
            index = _to(torch.from_numpy(rows.copy()), self.device)  # a copy: the draw's own array is read only
            return {k: v.index_select(0, index) for k, v in self._held.items()}
        order = np.argsort(rows)  # ascending: neighbours on disk are read together
        batch = {}
        for k, field in self._mapped.items():
            picked = np.empty((len(rows), *field.shape[1:]), field.dtype)
            picked[order] = field[rows[order]]
            batch[k] = _to(_tensor(picked), self.device)
        return batch


def _tensor(array: np.ndarray) -> Tensor:
    """uint16 travels as int16: PyTorch cannot index uint16 everywhere."""
    return torch.from_numpy(array.view(np.int16) if array.dtype == np.uint16 else array)


def _to(tensor: Tensor, device: torch.device) -> Tensor:
    """To the device without waiting for it."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _free(device: torch.device) -> int:
    """Bytes of memory that are free."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 4 << 30
