"""Scores during training, and the best model so far."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import records
from ..data import Codec, Store
from ..encoders import Encoder
from ..files import write_atomically
from ..model.draw import draw_samples
from ..recipe import Recipe
from .judge import JudgeOptions, build_judge, judge_of
from .real import Split
from .words import number


class Watch:
    """Scores during training: a small judge, a line a look, and whether this is the best so far."""

    def __init__(
        self,
        run: Path,
        store: Store,
        *,
        n: int = 2_000,
        encoder: str | Encoder = "own",
        codec: Codec | None = None,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Trains the own encoder where it was not yet; leaves the process's random state as it was.

        `n`: samples that are scored; a kind whose scores cost more takes fewer. `codec` decodes the samples: the
        recipe's own, where it is not the one the store proposes. Raises `ValueError` for data that no judge scores.
        """
        self.run, self.path = run, run / "scores" / "training.jsonl"
        self.codec = store.spec.codec if codec is None else codec
        options = JudgeOptions(watching=True, encoder=encoder)
        with torch.random.fork_rng([]):
            split = Split(n=min(n, judge_of(store.spec.kind).most_watched), reference=5_000, training=1_000)
            self.judge = build_judge(store, split=split, options=options, say=say)
        self.name = self.judge.headline

    def look(self, recipe: Recipe, nets: nn.ModuleDict, images: int, seed: int) -> tuple[str, bool]:
        """Score these networks; append the line. Returns it in words, and whether no earlier one was as good."""
        judge = self.judge
        with torch.random.fork_rng([]):
            encoded = draw_samples(recipe, nets, judge.real.num, seed)
            values = judge.score(self.codec.decode(encoded), nets=nets).values
        higher = judge.direction(self.name) == "higher"
        best = note_scores(self.run, images, values, self.name, judge.real.num, higher=higher)
        shown = ", ".join(f"{k} {number(v)}" for k, v in values.items())
        return f"at {images:,} images ({judge.real.num:,} samples): {shown}{' (best so far)' if best else ''}", best


def earlier_scores(run: Path, images: int) -> list[dict[str, Any]]:
    """The scores taken in training before so many images: later ones were of a run that went back to a checkpoint."""
    lines = records.read_lines(run / "scores" / "training.jsonl", records.SCORE)
    return [line for line in lines if line["images"] < images]


def note_scores(
    run: Path, images: int, values: Mapping[str, float], key: str, count: int, *, higher: bool = False
) -> bool:
    """Append scores taken in training, of `count` samples or rows; returns whether no earlier `key` was as good.

    `higher`: whether a higher `key` is better. Raises `OSError`, with the earlier lines intact, if the disk is full.
    """
    lines = earlier_scores(run, images)
    finite = {k: v if math.isfinite(v) else None for k, v in values.items()}
    sign = -1 if higher else 1
    own = sign * values.get(key, math.nan)
    known = [v for line in lines if (v := line["scores"].get(key)) is not None]
    best = all(own < sign * v for v in known)
    line = {"images": images, "scores": finite, "best": best, "num_fake": count, "key": key}
    text = "".join(json.dumps(entry) + "\n" for entry in [*lines, line])
    path = run / "scores" / "training.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))
    return best
