"""Measurements: each module is a command, `python -m benchmarks.NAME`, that prints and writes a file in results/."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gansmith import Run, TrainOptions
    from gansmith.recipe import Recipe

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import torch

    model = platform.processor() or platform.machine()
    flags: list[str] = []
    if (cpuinfo := Path("/proc/cpuinfo")).is_file():
        lines = cpuinfo.read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
        found = next((line.split() for line in lines if line.startswith("flags")), [])
        flags = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in found]
    return {
        "processor": model,
        "flags": flags,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def save(name: str, results: dict[str, Any]) -> Path:
    """Write the results with the machine beside them; returns the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **results}, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")
    return path


def trained(recipe: Recipe, data: str, options: TrainOptions, out: Path) -> Run:
    """A run of that many images: begun, gone on with, or as it lies there.

    Raises `ValueError` if what lies there is of another recipe, or of other fields, such as a step size that falls.
    """
    import gansmith
    from gansmith.model.saved import build_recipe

    if not (out / "run.json").is_file():
        return gansmith.train(recipe, data, options, out=out)
    run = gansmith.Run(out)
    if (there := build_recipe(run.record["recipe"])) != recipe:
        raise ValueError(f"{out} holds a run of {there}, not of {recipe}: keep runs elsewhere")
    return gansmith.resume(out, images=options.images) if run.progress()["images"] < (options.images or 0) else run
