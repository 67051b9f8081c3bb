"""A field of a store too large for memory: rows are read from its file, the next batch's while a step runs."""

from __future__ import annotations

import mmap
import os
import weakref

import numpy as np


class OnDisk:
    """Rows of one packed field. Reading them leaves no page of the file with this process, so its memory stays flat.

    Where the system cannot read at a place of a file (Windows), or the field is no mapped file, it is indexed instead.
    """

    def __init__(self, field: np.ndarray):
        self.field = field
        self.size = field[:1].nbytes
        self.file = -1
        # A view of a mapped file says the whole file's offset, not its own: only the whole of it is read by place.
        if isinstance(field, np.memmap) and isinstance(field.base, mmap.mmap) and hasattr(os, "preadv"):
            assert field.filename is not None
            self.file = os.open(field.filename, os.O_RDONLY)
            weakref.finalize(self, os.close, self.file)

    def at(self, rows: np.ndarray) -> np.ndarray:
        """These rows (n, ...), in their order."""
        order = np.argsort(rows)  # ascending: neighbours on disk are read together
        picked = np.empty((len(order), *self.field.shape[1:]), self.field.dtype)
        if self.file < 0:
            picked[order] = self.field[rows[order]]
            return picked
        places = picked.reshape(-1).view(np.uint8).data
        for i in order.tolist():
            self._read(places[i * self.size : (i + 1) * self.size], int(rows[i]))
        return picked

    def _read(self, into: memoryview, row: int) -> None:
        assert isinstance(self.field, np.memmap)
        done, start = 0, self.field.offset + row * self.size
        while done < self.size:
            got = os.preadv(self.file, [into[done:]], start + done)
            if not got:
                raise OSError(f"{self.field.filename} ends before row {row}: it was cut while it was in use")
            done += got

    def ahead(self, rows: np.ndarray) -> None:
        """Ask the system to fetch these rows from the disk meanwhile; they will be wanted next."""
        if self.file < 0 or not hasattr(os, "posix_fadvise"):
            return
        assert isinstance(self.field, np.memmap)
        for row in rows.tolist():
            os.posix_fadvise(self.file, self.field.offset + row * self.size, self.size, os.POSIX_FADV_WILLNEED)
