"""The training of an encoder of one's own: the split, the batches, the two objectives, and the progress shown.

Source: Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning of Visual Representations",
2020, arXiv:2002.05709, eq. 1 (the loss without labels).
"""

from __future__ import annotations

import contextlib
import math
import time
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data import Store
from ..data.bars import progress_bar
from .encoder import placed
from .inputs import Input
from .trunks import AxesNet, OwnNet

BATCH = 128
RATE = 3e-3
TEMPERATURE = 0.2
MEASURED = 1_000
"""Training samples whose mean and deviation stand for the data's."""
PATIENCE = 3.0
"""Seconds of training without a bar."""


class Learning:
    """One training: the split, the batches, the loss, and what the held-out part says."""

    def __init__(
        self,
        store: Store,
        taken: Input,
        held: int,
        seed: int,
        device: str,
        net: OwnNet | AxesNet,
        projection: nn.Module | None,
    ):
        """`held` rows are kept apart; with a `projection` labels are not looked at."""
        self.x, self.y, self.taken = store.fields["x"], store.fields.get("y"), taken
        self.device = torch.device(device)
        placed(net, device)
        self.net = net.requires_grad_(True)
        self.projection = None if projection is None else projection.to(self.device)
        self.random = np.random.Generator(np.random.Philox(key=[seed % 2**64, 1]))
        self.changes = torch.Generator().manual_seed(seed % 2**63)
        order = self.random.permutation(len(store))
        self.test, self.rest = np.sort(order[:held]), order[held:]
        self.queue = self.rest[:0]
        unit = torch.ones(1, device=self.device)
        if isinstance(net, AxesNet):
            rows = np.sort(self.rest[:MEASURED])
            net.measure(self._inputs(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH))
            unit = net.spread
        self.change = taken.change(unit)

    def train(self, shown: int, minutes: float, progress: bool) -> dict[str, Any]:
        """Show so many samples; returns what the note says of it."""
        batch = min(BATCH, len(self.rest))
        steps = math.ceil(shown / batch)
        modules = nn.ModuleList([self.net] if self.projection is None else [self.net, self.projection])
        optimizer = torch.optim.AdamW(modules.parameters(), RATE, weight_decay=0.01)
        start = time.perf_counter()
        modules.train()
        step = 0
        bar = progress_bar(progress)
        task = bar.add_task("training the encoder", total=steps * batch)
        with contextlib.ExitStack() as stack:
            for step in range(1, steps + 1):
                spent = time.perf_counter() - start
                share = max((step - 1) / steps, spent / 60 / minutes if minutes else 0.0)
                if share >= 1:
                    break
                rate = RATE * min(share / 0.15 + 0.02, 1.0) * (1 + math.cos(math.pi * share)) / 2
                for group in optimizer.param_groups:
                    group["lr"] = rate
                loss = self._loss(self._rows(batch))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if spent > PATIENCE and not bar.live.is_started:
                    stack.enter_context(bar)
                bar.update(task, completed=step * batch)
        seconds = time.perf_counter() - start
        self.net.eval()
        return {
            "held_out": self._score(),
            "shown": step * batch,
            "seconds": round(seconds, 1),
            "ended_by": "minutes" if step < steps else "images",
        }

    def _rows(self, batch: int) -> np.ndarray:
        """The next rows of an endless sequence of shuffled epochs."""
        while len(self.queue) < batch:
            self.queue = np.concatenate([self.queue, self.random.permutation(self.rest)])
        rows, self.queue = self.queue[:batch], self.queue[batch:]
        return rows

    def _inputs(self, rows: np.ndarray) -> Tensor:
        return self.taken.read(self.x[rows], self.device)

    def _labels(self, rows: np.ndarray) -> Tensor:
        assert self.y is not None
        return torch.from_numpy(self.y[rows]).to(self.device)

    def _loss(self, rows: np.ndarray) -> Tensor:
        x = self._inputs(rows)
        if self.projection is None:
            return F.cross_entropy(self.net(self.change(x, self.changes, 0.5))[1], self._labels(rows))
        views = torch.cat([self.change(x, self.changes, 1.0, paint=True) for _ in range(2)])
        return contrast(self.projection(self.net(views)[0]))

    @torch.no_grad()
    def _score(self) -> dict[str, Any]:
        """Accuracy on the part that was held out: of the classes, or of finding a sample's other view among 100."""
        right, count = 0, 0
        rows = self.test[:10_000]
        if self.projection is None:
            for i in range(0, len(rows), 500):
                part = rows[i : i + 500]
                right += int((self.net(self._inputs(part))[1].argmax(1) == self._labels(part)).sum())
                count += len(part)
            return {"accuracy": right / count, "of": "classes", "count": count}
        for i in range(0, len(rows), 100):
            x = self._inputs(rows[i : i + 100])
            one, two = (F.normalize(self.net(self.change(x, self.changes, 1.0, paint=True))[0]) for _ in range(2))
            right += int(((one @ two.T).argmax(1).cpu() == torch.arange(len(x))).sum())
            count += len(x)
        noun = self.taken.noun
        return {"accuracy": right / count, "of": f"finding the other view of a {noun} among 100", "count": count}


def contrast(z: Tensor) -> Tensor:
    """NT-Xent (eq. 1): rows i and i + N of (2N, d) are two views of a sample; every other row is to be unlike them."""
    z = F.normalize(z)
    n = len(z) // 2
    likeness = (z @ z.T / TEMPERATURE).masked_fill(torch.eye(2 * n, dtype=torch.bool, device=z.device), -torch.inf)
    return F.cross_entropy(likeness, torch.arange(2 * n, device=z.device).roll(n))
