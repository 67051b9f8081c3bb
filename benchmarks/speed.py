"""How fast training is beside the tutorials' loops: the orchestrator of `python -m benchmarks`."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from .workloads import Workload, prepare

ROOT = Path(__file__).parents[1]


class Side:
    """A process (or one a rank) that takes the steps of one side when told to."""

    def __init__(self, side: str, work: Workload, scratch: Path, threads: int, ranks: int = 1):
        self.name = side if ranks == 1 else f"{side}, {ranks} ranks"
        address = str(scratch / f"{side}-{ranks}-{work.letter}.socket")
        Path(address).unlink(missing_ok=True)
        environment = os.environ | {
            "OMP_NUM_THREADS": str(max(threads // ranks, 1)),
            "GANSMITH_CACHE": str(scratch / "cache"),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(_free_port()),
            "WORLD_SIZE": str(ranks),
            "LOCAL_WORLD_SIZE": str(ranks),
        }
        command = [sys.executable, "-m", "benchmarks.side", side, work.letter, str(scratch), address]
        with Listener(address) as listener:
            self.processes = [
                subprocess.Popen(command, env=environment | {"RANK": str(r), "LOCAL_RANK": str(r)}, cwd=ROOT)
                for r in range(ranks)
            ]
            self.link: Connection = _accepted(listener, self.processes)
        self.facts: dict[str, Any] = self.link.recv()
        self.rounds: list[dict[str, float]] = []

    def run(self, seconds: float) -> None:
        """Take steps for about so long, and note what it took."""
        self.link.send(seconds)
        self.rounds.append(self.link.recv())

    def close(self) -> None:
        """End its processes."""
        self.link.send(0)
        for process in self.processes:
            process.wait(timeout=60)

    def rates(self, batch: int) -> list[float]:
        """Images a second of each round."""
        return [batch * r["steps"] / r["seconds"] for r in self.rounds]


def beside(
    work: Workload, scratch: Path, data_dir: Path | None, rounds: int, seconds: float, threads: int
) -> dict[str, Any]:
    """Both sides of a workload in turn, `rounds` times `seconds` each."""
    data = prepare(work, scratch, data_dir)
    sides = [Side("plain", work, scratch, threads), Side("ours", work, scratch, threads)]
    if work.ranks and threads > 1:
        sides.append(Side("ours", work, scratch, threads, 2))
    for k in range(rounds):
        for side in sides if k % 2 == 0 else sides[::-1]:  # neither side always comes first
            side.run(seconds)
    found: dict[str, Any] = {"letter": work.letter, "what": work.what, "data": data, "batch": work.batch, "sides": {}}
    plain = sides[0].rates(work.batch)
    for side in sides:
        rates = side.rates(work.batch)
        row: dict[str, Any] = {
            "how": side.facts["how"],
            "images_per_second": round(statistics.median(rates), 2),
            "rounds": [round(r, 2) for r in rates],
            "peak_mib": round(max(r["peak_mib"] for r in side.rounds)),
            "files_mib": round(max(r["files_mib"] for r in side.rounds)),
        }
        if side is not sides[0]:
            ratios = [ours / theirs for ours, theirs in zip(rates, plain, strict=True)]
            row["ratio"] = round(statistics.median(ratios), 2)
            row["ratios"] = [round(r, 2) for r in ratios]
        if len(side.processes) > 1:
            row["exchange_share"] = round(statistics.median(r["exchange"] for r in side.rounds), 3)
        if side.facts["flops"]:
            row["gflop_per_step"] = round(side.facts["flops"] / 1e9, 2)
            row["gflop_per_second"] = round(side.facts["flops"] / 1e9 * statistics.median(rates) / work.batch, 1)
        found["sides"][side.name] = row
        side.close()
    return found


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _accepted(listener: Listener, processes: list[subprocess.Popen[bytes]]) -> Connection:
    """The link of rank 0; raises `RuntimeError` if it ended before it was ready."""
    inner = listener._listener._socket  # ty: ignore[unresolved-attribute]
    inner.settimeout(1.0)
    while True:
        try:
            return listener.accept()
        except TimeoutError:
            if any(p.poll() for p in processes):
                raise RuntimeError("a side of the benchmark ended; its error stands above") from None


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Where data, stores and sockets of one benchmark lie."""
    return tempfile.TemporaryDirectory(prefix="gansmith-speed-")
