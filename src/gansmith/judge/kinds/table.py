"""The judge of tables: shapes of columns, trends of pairs, what classifiers learn, and the closest records."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from torch import nn

from ... import metrics as M
from ...data import TableCodec
from ...model.ask import Asked
from .. import labels
from ..features import encoder_record
from ..judge import Better, Judge, Judgement, JudgeOptions, Values, joined
from ..protocol import METRICS_VERSION
from ..real import Real, container, hashes_of, rows_of

UNSEEN = ("efficacy", "closest")
"""Groups that mean nothing on rows that the model may have seen."""
VERSION = METRICS_VERSION + 1
"""Exact copies are looked for among all training rows; R2 is of a scaled target."""
_Parts = tuple[slice, slice]
_WHOLE = slice(None), slice(None)

GROUPS: dict[str, Callable[[Table, np.ndarray, _Parts], Values]] = {
    "shapes": lambda judge, rows, _: judge.shapes(rows),
    "trends": lambda judge, rows, _: judge.trends(rows),
    "efficacy": lambda judge, rows, parts: judge.efficacy(rows, parts),
    "closest": lambda judge, rows, parts: judge.closest(rows, parts),
}


class Table(Judge):
    """Rows of a table (n, columns) as float64: numbers, and codes of what is no number."""

    groups: ClassVar = tuple(GROUPS)
    usual: ClassVar = ("shapes", "trends", "efficacy", "closest")
    watched: ClassVar = ("trends", "shapes")
    better: ClassVar[Mapping[str, Better]] = {
        **dict.fromkeys(("column shapes", "pair trends", "F1", "R2"), "higher"),
        "nearer to training": "floor",
        "exact copies": "lower",
    }
    takes_target: ClassVar = True

    def __init__(self, real: Real, options: JudgeOptions, say: Callable[[str], object]) -> None:
        """`options.target`: the column that classifiers are to tell; the last discrete one by default."""
        codec = real.store.spec.codec
        assert isinstance(codec, TableCodec)
        self.codec, self.target = codec, _target(codec, options.target)
        super().__init__(real, options, say)
        self.discrete = [column.discrete for column in codec.columns]
        self.places = [len(column.values) for column in codec.columns]
        if real.held_seen and not options.metrics:
            note = "efficacy and closest records need rows that the model never saw: --data HELDOUT.csv"
            self.notes.insert(0, note)

    def refusal(self, group: str) -> str:
        """The leak guard: some groups need rows that no training saw."""
        if group in UNSEEN and self.real.held_seen:
            return f"{group} needs real rows that the model never saw: pass data (--data HELDOUT.csv)"
        return ""

    @property
    def headline(self) -> str:
        """The trends of pairs of columns."""
        return "pair trends"

    @property
    def yardstick_key(self) -> str:
        """The target, and the version of these scores."""
        return f"FD-points{self.target} {VERSION}"

    def score(self, samples: np.ndarray, asked: Asked | None = None, nets: nn.ModuleDict | None = None) -> Judgement:
        """Scores of stored rows (n, columns)."""
        return joined((self._measured(np.asarray(samples)), Judgement() if asked is None else labels.NOT_SCORED))

    def floor(self) -> Judgement:
        """Scores of held-out rows; where rows are held against held-out ones, of one half against the other."""
        half = self.real.num // 2
        return self._measured(self.real.held, (slice(half, None), slice(None, half)))

    def control(self) -> Judgement:
        """Scores of training rows drawn again."""
        return self._measured(self.real.replay)

    def own_protocol(self) -> dict[str, Any]:
        """The target, and coordinates as they are."""
        return {
            "metrics_version": VERSION,
            "container": f"{container(self.real.store)}, target {self.target}",
            "packing": "none",
            "quantised": False,
            "copying": "coordinates",
            **encoder_record(self.identity, self.spec),
        }

    def flags(self, judgement: Judgement, floor: Values, control: Values) -> dict[str, str]:
        """None: what is wrong with rows is read off the scores beside their floor."""
        return {}

    def shapes(self, rows: np.ndarray) -> Values:
        """How alike the distributions of each column are, on average."""
        return {"column shapes": float(np.nanmean(M.column_shapes(self.real.reference, rows, self.discrete)))}

    def trends(self, rows: np.ndarray) -> Values:
        """How alike the dependences of each two columns are, on average."""
        return {"pair trends": float(np.nanmean(M.pair_trends(self.real.reference, rows, self.discrete)))}

    def efficacy(self, rows: np.ndarray, parts: _Parts) -> Values:
        """How well classifiers that learn from the rows tell the target of held-out ones."""
        found = self._taught(rows[parts[0]], self.real.held[parts[1]])
        if self.discrete[self.codec.index(self.target)]:
            return {"F1": float(np.mean(list(found.values())))} | {f"F1 {k}": v for k, v in found.items()}
        found = {k: v for k, v in found.items() if k in self._able}
        mean = {"R2": float(np.mean(list(found.values())))} if found else {}
        return mean | {f"R2 {k}": v for k, v in found.items()}

    def _taught(self, rows: np.ndarray, against: np.ndarray) -> Values:
        """What each learner makes of these rows."""
        target = self.codec.index(self.target)
        return M.efficacy(rows, against, self.discrete, target, self.places, seed=self.real.seed)

    @functools.cached_property
    def _able(self) -> frozenset[str]:
        """The learners that, taught by real rows, tell the target of held-out rows better than its mean does."""
        found = self._taught(self.real.replay, self.real.held)
        failed = {k: v for k, v in found.items() if not v > 0}
        if failed:
            listed = ", ".join(f"{k} {v:.2f}" for k, v in failed.items())
            self.notes.append(
                f"R2 leaves out what real rows do not pass either: the mean of {self.target.strip()} is a better guess "
                f"than what it learns from them ({listed})"
            )
        return frozenset(found) - frozenset(failed)

    def closest(self, rows: np.ndarray, parts: _Parts) -> Values:
        """The share of rows that are nearer to training rows than to held-out ones, and of exact copies."""
        scored, against = rows[parts[0]], self.real.held[parts[1]]
        count = min(len(against), len(self.real.training_rows))
        training = rows_of(self.real.store, self.real.training_rows[:count])
        near = M.closest_records(scored, training, against[:count], self.discrete, self.places)
        copies = sum(n for digest, n in hashes_of(rows).items() if digest in self._known)
        return {"nearer to training": near.share, "exact copies": copies / len(rows)}

    @functools.cached_property
    def _known(self) -> frozenset[bytes]:
        """All training rows, by a hash of their bytes."""
        return frozenset(hashes_of(np.asarray(self.real.store.fields["x"])[self.real.known_rows]))

    def _measured(self, rows: np.ndarray, parts: _Parts = _WHOLE) -> Judgement:
        return joined(Judgement(values=GROUPS[name](self, rows, parts)) for name in self.metrics)


def _target(codec: TableCodec, name: str) -> str:
    """The column that classifiers are to tell."""
    if name:
        return codec.columns[codec.index(name)].name
    some = [c.name for c in codec.columns if c.discrete] or [c.name for c in codec.columns if c.type != "constant"]
    return some[-1]


JUDGE = Table
