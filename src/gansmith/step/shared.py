"""What ranks exchange: gathering with a gradient, and means through the shared memory of one machine.

That is far less work than sockets for gradients of megabytes.
"""

from __future__ import annotations

import os
import platform
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..machine import alive

MOST = 8
"""Ranks: each reads what all have written, so many of them are better served by a ring."""
PATIENCE = 1800.0
"""Seconds to wait for the others: as long as PyTorch's own backends do."""

LOOK = 0.5
"""Seconds of waiting between looks at whether the others are still there."""

Gather = Callable[[Tensor], Tensor]
"""The tensor (...) of every rank: (world, ...), the same on all of them."""


class Gathered(torch.autograd.Function):
    """The tensors of all ranks, (...) to (world, ...), whose gradient reaches the rank that each came from.

    A step takes the mean over ranks of the gradients that each finds of its own loss. So what other ranks' losses owe
    to one's own tensor is added up here, and the mean later makes it that of the joined batch.
    """

    @staticmethod
    def forward(ctx: Any, own: Tensor, gather: Gather, rank: int) -> Tensor:
        """One exchange."""
        ctx.gather, ctx.rank = gather, rank
        return gather(own)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Another one."""
        everyone: Any = Gathered.apply(gradients[0], ctx.gather, ctx.rank)  # differentiable, for penalties
        return everyone[:, ctx.rank].sum(0), None, None


class Shared:
    """Memory that all ranks of one machine see: two places for each rank's numbers, and how far each rank is.

    Every rank writes its own, waits for the others, and adds up all in the order of ranks, so all get the same bits.
    There are two places because a slow rank may still be reading the last numbers while a quick one writes the next.
    """

    def __init__(self, rank: int, world: int) -> None:
        """Every rank must call it, with PyTorch's process group there already."""
        self.rank, self.world = rank, world
        pids: list[int] = [0] * world
        torch.distributed.all_gather_object(pids, os.getpid())
        self._pids = pids
        self._room = 0
        self._count = 0
        self._places = torch.empty(0)
        self._done = torch.empty(0, dtype=torch.int64)

    def __deepcopy__(self, _: object) -> Shared:
        return self  # a copy of a network exchanges where the network does

    @staticmethod
    def fits(world: int) -> bool:
        """Whether so many ranks can use it: all on this machine, whose processor keeps the order of writes."""
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "0"))
        return here == world <= MOST and platform.machine().lower() in ("x86_64", "amd64") and os.name == "posix"

    def mean(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor, on the CPU, by its mean over ranks."""
        everyone = self._exchange(tensors)
        torch._foreach_copy_(list(tensors), everyone[0])
        for other in everyone[1:]:
            torch._foreach_add_(list(tensors), other)
        torch._foreach_div_(list(tensors), self.world)

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensor (...), on the CPU, of every rank: (world, ...)."""
        return torch.stack([own for (own,) in self._exchange([tensor])])

    def _exchange(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Show these to the others; what each rank showed, to be read before the exchange after the next."""
        starts, size = [], 0
        for t in tensors:
            starts.append(size)
            size += -(-t.nbytes // 64) * 64
        if size > self._room:
            self._map(size)
        place = self._places[self._count % 2]

        def of(rank: int) -> list[Tensor]:
            each = zip(tensors, starts, strict=True)
            return [place[rank, at : at + t.nbytes].view(t.dtype).view(t.shape) for t, at in each]

        torch._foreach_copy_(of(self.rank), list(tensors))
        self._count += 1
        self._wait()
        return [of(rank) for rank in range(self.world)]

    def _wait(self) -> None:
        """Until every rank has written its numbers. Raises `ConnectionError` if one has ended and never will."""
        done = self._done.numpy()
        done[self.rank * 8] = self._count  # eight apart: each in a line of the cache of its own
        began = looked = time.monotonic()
        spins = 0
        while (done[::8] < self._count).any():
            spins += 1
            if spins <= 1000:
                continue
            time.sleep(5e-5)
            now = time.monotonic()
            if now - looked > LOOK:
                looked = now
                # Looked at in this order: a rank writes its last numbers before it ends.
                ended = [rank for rank, pid in enumerate(self._pids) if not alive(pid)]
                late = [rank for rank in ended if done[rank * 8] < self._count]
                if late or now - began > PATIENCE:
                    why = f"rank {late[0]} has ended" if late else f"nothing came for {PATIENCE:.0f} s"
                    raise ConnectionError(
                        f"rank {self.rank} waits in vain for the others: {why} (killed, or out of memory?); "
                        "--resume goes on from the last checkpoint"
                    )

    def _map(self, size: int) -> None:
        """Map a file large enough for two times the numbers of each rank; its name is gone when all have it."""
        if self._room:
            torch.distributed.barrier()  # nobody reads the old one any more
        room = -(-size // 4096) * 4096
        name = torch.zeros(16, dtype=torch.uint8)
        if self.rank == 0:
            name = torch.frombuffer(bytearray(secrets.token_bytes(16)), dtype=torch.uint8)
        torch.distributed.broadcast(name, 0)
        folder = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
        path = folder / f"gansmith-{bytes(name.tolist()).hex()}"
        whole = 4096 + 2 * self.world * room
        if self.rank == 0:
            with open(path, "xb") as file:
                file.truncate(whole)
        torch.distributed.barrier()
        try:
            mapped = torch.from_file(str(path), shared=True, size=whole, dtype=torch.uint8)
        finally:
            torch.distributed.barrier()
            if self.rank == 0:
                path.unlink()
        self._done = mapped[: self.world * 64].view(torch.int64)
        self._places = mapped[4096:].view(2, self.world, room)
        self._room, self._count = room, 0
