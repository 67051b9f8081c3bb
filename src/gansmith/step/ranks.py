"""Processes that train together, and what a step runs on."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..machine import check_device
from .shared import Shared

GRACE = 60.0
"""Seconds that ranks have to save together once the process that launched them is gone."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together (`torchrun`); (0, 1) when alone."""

    rank: int = 0
    world: int = 1
    shared: Shared | None = None
    """Means on the CPU go through it; else through PyTorch's backend."""

    def mean(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over all ranks: one flat all-reduce, in place."""
        if self.world == 1 or not tensors:
            return
        if self.shared is not None and tensors[0].device.type == "cpu":
            return self.shared.mean(tensors)
        flat = torch.cat([t.reshape(-1) for t in tensors])
        torch.distributed.all_reduce(flat)  # sum: gloo knows no mean
        flat /= self.world
        parts = flat.split([t.numel() for t in tensors])
        torch._foreach_copy_(list(tensors), [part.view_as(t) for part, t in zip(parts, tensors, strict=True)])

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensor (...) of every rank: (world, ...), the same on all of them."""
        if self.world == 1:
            return tensor.clone()[None]
        if self.shared is not None and tensor.device.type == "cpu":
            return self.shared.gather(tensor)
        everyone = tensor.new_empty(self.world * tensor.numel())  # flat: gloo puts rows one after the other
        torch.distributed.all_gather_into_tensor(everyone, tensor.reshape(-1))
        return everyone.view(self.world, *tensor.shape)


@dataclass(frozen=True)
class Setting:
    """What a step runs on. Recorded in the run: the same setting at resume is what makes resume bit-exact."""

    device: str = "cpu"
    precision: str = "fp32"
    """`fp32` or `bf16` (autocast; weights, optimiser state and the arithmetic of penalties stay float32)."""
    channels_last: bool = False

    def place(self, module: nn.Module) -> None:
        """Move a module to the device and memory format, in place: its parameters keep their identity."""
        module.to(self.device)
        if self.channels_last:
            for t in (*module.parameters(), *module.buffers()):
                if t.dim() == 4:
                    t.data = t.data.contiguous(memory_format=torch.channels_last)

    def autocast(self) -> torch.autocast:
        """The context in which losses are computed."""
        return torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.precision == "bf16")


@contextlib.contextmanager
def joined(device: str) -> Generator[tuple[Ranks, str]]:
    """Join the other ranks if `torchrun` launched us; the device of this one.

    Raises `ConnectionError` within it where another rank has ended, which PyTorch tells as `RuntimeError`.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    check_device(device)
    if world == 1:
        yield Ranks(), device
        return
    _watch_parent()
    if device.startswith("cuda"):  # also at resume, where rank 0's was recorded
        device = f"cuda:{local}"
        torch.cuda.set_device(local)
    torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        rank = torch.distributed.get_rank()
        shared = Shared(rank, world) if device == "cpu" and Shared.fits(world) else None
        yield Ranks(rank, world, shared), device
        torch.distributed.barrier()
    except RuntimeError as error:
        if not any(word in str(error) for word in ("gloo", "NCCL", "Connection")):
            raise
        raise ConnectionError(
            f"rank {torch.distributed.get_rank()} has lost the others: one has ended (killed, or out of memory?); "
            f"--resume goes on from the last checkpoint ({str(error).splitlines()[0][:200]})"
        ) from error
    finally:
        torch.distributed.destroy_process_group()


def _watch_parent(grace: float = GRACE, every: float = 1.0) -> None:
    """End this process some time after the one that launched it: a rank must not wait for others for ever.

    The loop sees it too, and saves if the others are still there. What hangs, in the kernels of a GPU that wait for a
    rank that is gone, say, is ended here.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every)
        time.sleep(grace)
        print(f"gansmith: error: process {parent}, which started this one, has ended", file=sys.stderr, flush=True)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def barrier(ranks: Ranks) -> None:
    """Wait for all ranks."""
    if ranks.world > 1:
        torch.distributed.barrier()
