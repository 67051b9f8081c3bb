"""The last words of a run: its film, its curves, what to do next."""

from __future__ import annotations

from pathlib import Path

from ..judge.watch import earlier_scores


def _chosen(run: Path, images: int, name: str) -> str:
    """Which weights serve, where a recipe's own error chooses them."""
    lines = earlier_scores(run, images + 1) if name else []
    best = [line for line in lines if line["best"] and line["scores"].get(name) is not None][-1:]
    return f" at {best[0]['images']:,} images, of the lowest {name}: {best[0]['scores'][name]:.4g}" if best else ""
