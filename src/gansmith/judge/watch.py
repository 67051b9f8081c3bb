"""Scores during training, and the best model so far."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..data import Codec, Store
from ..encoders import Encoder
from ..model.draw import draw_samples
from ..recipe import Recipe
from .kinds.image import Judge, toy_of
from .kinds.text import NLL, ORACLE_NLL, TextJudge
from .words import better, number


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

        `codec` decodes the samples: the recipe's own, where it is not the one the store proposes.
        """
        self.run, self.path = run, run / "scores" / "training.jsonl"
        self.codec = store.spec.codec if codec is None else codec
        self.judge: Judge | TextJudge
        if store.spec.kind == "text":
            self.judge = TextJudge(store, n=min(n, 500), reference=5_000, say=say)
            self.name = ORACLE_NLL if self.judge.oracle is not None else NLL
            return
        with torch.random.fork_rng([]):
            groups = {"image": ("fd", "prdc", "diversity", "classes"), "table": ("trends", "shapes")}.get(
                store.spec.kind, ("fd", "sliced")
            )
            chosen = (*groups, "modes") if toy_of(store) else groups
            self.judge = Judge(store, metrics=chosen, n=n, reference=5_000, training=1_000, encoder=encoder, say=say)
        self.name = self.judge.frechet if store.spec.kind != "table" else "pair trends"

    def look(self, recipe: Recipe, nets: nn.ModuleDict, images: int, seed: int) -> tuple[str, bool]:
        """Score these networks; append the line. Returns it in words, and whether no earlier one was as good."""
        return evaluate_nets(self, recipe, nets, images, seed)


def earlier_scores(run: Path, images: int) -> list[dict[str, Any]]:
    """The scores taken in training before so many images: later ones were of a run that went back to a checkpoint."""
    path = run / "scores" / "training.jsonl"
    if not path.is_file():
        return []
    found = []
    for text in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            line = json.loads(text)
            if line["images"] < images:
                found.append(line)
    return found


def note_scores(run: Path, images: int, values: Mapping[str, float], key: str, count: int) -> bool:
    """Append scores taken in training, of `count` samples or rows; returns whether no earlier `key` was as good."""
    lines = earlier_scores(run, images)
    finite = {k: v if math.isfinite(v) else None for k, v in values.items()}
    sign = -1 if better(key) == "higher" else 1
    own = sign * values.get(key, math.nan)
    known = [v for line in lines if (v := line["scores"].get(key)) is not None]
    best = all(own < sign * v for v in known)
    line = {"images": images, "scores": finite, "best": best, "num_fake": count, "key": key}
    path = run / "scores" / "training.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in [*lines, line]), encoding="utf-8")
    return best


def evaluate_nets(watch: Watch, recipe: Recipe, nets: nn.ModuleDict, images: int, seed: int) -> tuple[str, bool]:
    """Score networks during training; see `Watch.look`."""
    judge = watch.judge
    if isinstance(judge, TextJudge):
        judge.attach(nets)
    with torch.random.fork_rng([]):
        encoded = draw_samples(recipe, nets, judge.num, seed)
        values, _ = judge.score(watch.codec.decode(encoded))
    best = note_scores(watch.run, images, values, watch.name, judge.num)
    shown = ", ".join(f"{k} {number(v)}" for k, v in values.items())
    return f"at {images:,} images ({judge.num:,} samples): {shown}{' (best so far)' if best else ''}", best
