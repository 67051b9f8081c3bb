"""The machine a run lives on: cores, free memory, and how glibc keeps what was freed."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line asks for cores before anything needs PyTorch
    import torch

GIB = 2**30


def tame_allocator() -> None:
    """Keep glibc from returning activations to the kernel after every step: faster, for more memory.

    Process-wide, so GANSMITH_MALLOPT=0 opts out.
    """
    if platform.libc_ver()[0] == "glibc" and os.environ.get("GANSMITH_MALLOPT", "1") != "0":
        libc = ctypes.CDLL(None)
        trim_threshold, mmap_threshold = -1, -3  # malloc.h
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, 2**31 - 1)


def release() -> None:
    """Give what is free back to the kernel, once: what a trial leaves is in pieces that the next cannot fill."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def free_bytes(device: torch.device) -> int:
    """Bytes of memory that are free on the device: of the machine, or of the container that we are in."""
    if device.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)[0]
    return min(_free_of_machine(), _free_of_container())


def _free_of_container() -> int:
    """What the control group (version 2) still allows; everything where there is none."""
    group = Path("/sys/fs/cgroup")
    try:
        most = (group / "memory.max").read_text().strip()
        return sys.maxsize if most == "max" else max(int(most) - int((group / "memory.current").read_text()), 0)
    except (OSError, ValueError):
        return sys.maxsize


def _free_of_machine() -> int:
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 4 << 30


def check_device(device: str) -> None:
    """Raises `ValueError` for what is no device, or none that is here. `auto` is for whoever asks to settle."""
    match = re.fullmatch(r"auto|cpu|cuda(?::(\d{1,4}))?", device)
    if match is None:
        raise ValueError(f"--device {device[:40]!r}: it must be auto, cpu, cuda or cuda:N")
    if not device.startswith("cuda"):
        return
    import torch

    if not torch.cuda.is_available():
        raise ValueError(f"--device {device}: PyTorch {torch.__version__} sees no GPU here; use --device cpu")
    if int(match[1] or 0) >= torch.cuda.device_count():
        raise ValueError(f"--device {device}: there are {torch.cuda.device_count()} GPUs, the first is cuda:0")


def check_samples(n: int, values: int) -> None:
    """Raises `ValueError` for more samples of so many numbers than memory holds at once."""
    import torch

    wanted, free = 4 * n * values, free_bytes(torch.device("cpu"))
    if wanted > free:
        raise ValueError(
            f"{n:,} samples take {wanted / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB of memory are free: draw fewer at a "
            "time, with another seed each"
        )


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def alive(pid: int) -> bool:
    """Whether a process of this machine still runs; one that has ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's; no process has such a number
        return pid < 2**31
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):  # no Linux; or it ended just now, which the next look sees
        return True
