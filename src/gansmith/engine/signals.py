"""SIGINT (Ctrl-C) and SIGTERM: noted, so that the loop saves within a step and ends."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from types import FrameType
from typing import Any

import torch

from ..step.ranks import Ranks


class Signals:
    """The first SIGINT or SIGTERM is noted, for the loop to save and stop; the second exits at once."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.caught = 0
        """The signal that this rank got, until it is agreed upon; others may have got none, or another."""
        self._since = 0.0
        self._before: dict[int, Any] = {}
        self._parent = os.getppid()
        self._flags = torch.zeros(3)
        # NCCL would make the loop wait for the GPU: these few flags go over gloo, on the CPU.
        self._group = torch.distributed.new_group(backend="gloo") if ranks.world > 1 else None

    def __enter__(self) -> Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):  # only the main thread may; elsewhere the caller handles signals
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # torchrun repeats to its workers the Ctrl-C that the terminal sent them already: that is no second signal.
        if self.caught and not (self.ranks.world > 1 and time.monotonic() - self._since < 5):
            os._exit(128 + number)
        if not self.caught:
            self._since = time.monotonic()
            self.caught = number

    def agree(self, save: bool, over: bool) -> tuple[int, bool, bool]:
        """The signal that stopped any rank (or 0), and whether any wants to save or is out of time: the same on all."""
        if self._group is None:
            return self.caught, save, over
        if os.getppid() != self._parent and not self.caught:
            self.caught = signal.SIGTERM  # torchrun was killed: nobody else will stop its workers
        self._flags[0], self._flags[1], self._flags[2] = self.caught, save, over
        torch.distributed.all_reduce(self._flags, torch.distributed.ReduceOp.MAX, group=self._group)
        # What was caught meanwhile is not among the flags: it stays in `caught`, for the next step.
        stop, any_save, any_over = self._flags.tolist()
        return int(stop), bool(any_save), bool(any_over)
