"""The judge of text: overlap with real lines, with one another, variety, copies, likelihoods, token by token.

It scores in the same way as the judge of pictures and vectors in `evaluate`: the model, held-out real lines (the
floor) and a replay of training lines (the control).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ..._version import __version__
from ...data import Store, TextCodec
from ...data.text import Oracle, tokenise
from ...metrics import text as M
from ..protocol import Protocol

METRICS = ("bleu", "self-bleu", "variety", "copying", "likelihood")
MOST_SELF = 2_000
"""Lines among which self-BLEU is taken: it rises with their number."""
NLL = "NLL of real lines"
ORACLE_NLL = "oracle NLL"

_Lines = list[tuple[str, ...]]


class TextJudge:
    """The real side of an evaluation of text, and the scores of any lines against it."""

    frechet, kernel = "", ""

    def __init__(
        self,
        store: Store,
        *,
        judged: Store | None = None,
        metrics: Sequence[str] = (),
        n: int = 10_000,
        reference: int = 10_000,
        seed: int = 0,
        num_fake: int = 0,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`store` is what the model was trained on, `judged` what it is held against (by default the same).

        Raises `ValueError` for unknown metrics, or too few lines.
        """
        if unknown := sorted(set(metrics) - set(METRICS)):
            raise ValueError(f"there are no metrics {unknown[0]!r} of text; there are {', '.join(METRICS)}")
        judged = store if judged is None or judged.digest == store.digest else judged
        codec, other = store.spec.codec, judged.spec.codec
        if not isinstance(codec, TextCodec) or not isinstance(other, TextCodec):
            raise ValueError(f"{judged.source} holds {judged.spec.kind}s, the model makes text")
        self.store, self.judged, self.spec, self.codec, self.seed, self.say = (
            store,
            judged,
            store.spec,
            codec,
            seed,
            say,
        )
        self.metrics = tuple(dict.fromkeys(metrics)) or METRICS
        self.notes: list[str] = []
        self.oracle = Oracle.seeded(0) if store.source == "toy:oracle" else None
        self.net: nn.Module | None = None
        order = np.random.Generator(np.random.Philox(key=[seed % 2**64, 7])).permutation(len(judged))
        lines = other.tokens(np.asarray(judged.fields["x"]))
        self.training = lines if judged is store else codec.tokens(np.asarray(store.fields["x"]))
        if self.oracle is not None and judged is store:
            drawn = self.oracle.sample(min(n, 10_000), self.spec.shape[0], seed=2**32 + seed)
            pool, self.held_name, self.held_seen = codec.tokens(drawn), f"{store.source}, drawn anew", False
            self.known = set(self.training)
        else:
            share = min(n, len(lines) // 2)
            pool, order = [lines[i] for i in order[:share]], order[share:]
            self.held_name, self.held_seen = f"another part of {judged.source}", judged is store
            self.known = {lines[i] for i in order} if judged is store else set(self.training)
        self.num = min(n, len(pool), num_fake or n)
        if self.num < 10 or len(order) < 10:
            raise ValueError(f"{judged.source} holds {len(judged)} lines: too few to score anything")
        if self.num < n:
            self.notes.append(f"{self.num:,} lines are scored, not {n:,}: there are no more held-out or drawn ones")
        if self.held_seen:
            self.notes.append(
                f"the floor is {self.held_name}: the model may have been trained on it; --data names lines it never saw"
            )
        self.held = pool[: self.num]
        self.reference = [lines[i] for i in order[:reference]]
        random = np.random.Generator(np.random.Philox(key=[seed % 2**64, 9]))
        known = sorted(self.known)
        self.replay = [known[i] for i in random.integers(len(known), size=self.num)]
        self._references = M.References(self.reference, 5) if "bleu" in self.metrics else None

    def attach(self, nets: nn.ModuleDict) -> None:
        """The networks whose likelihood of real lines is a score, if one of them has a `log_prob`."""
        self.net = next((net for net in nets.values() if callable(getattr(net, "log_prob", None))), None)

    def protocol(self, *, weights: str, checkpoint: str, sample_seed: int) -> Protocol:
        """The record of scores by this judge."""
        return Protocol(
            kind="text",
            container=f"lines of {self.codec.level}s",
            packing="lower case" if self.codec.lowercase else "as written",
            quantised=False,
            reference=self.judged.source,
            reference_digest=self.judged.digest,
            reference_seed=self.seed,
            num_real=len(self.reference),
            num_fake=self.num,
            held_out=self.held_name,
            held_out_seen=self.held_seen,
            num_training=len(self.known),
            copying="equal token by token",
            encoder="none",
            encoder_sha256="",
            encoder_resize="none",
            encoder_antialias=False,
            encoder_input="none",
            encoder_scaling="none",
            encoder_features=0,
            weights=weights,
            checkpoint=checkpoint,
            sample_seed=sample_seed,
            versions=f"gansmith {__version__}, torch {torch.__version__}",
        )

    def score(self, fake: np.ndarray) -> tuple[dict[str, float], dict[str, Any]]:
        """Scores of lines (num,) of text."""
        lines = [tuple(tokenise(str(line), self.codec.level, self.codec.lowercase)) for line in fake]
        values = self._measure(lines)
        if "likelihood" in self.metrics and self.net is not None:
            values[NLL] = self._nll(self.net)
        return values, {}

    def yardsticks(self) -> tuple[dict[str, float], dict[str, float], dict[str, Any]]:
        """The scores of the floor and of the control."""
        self.say("scoring held-out real lines (the floor) and a replay of training lines (the control)")
        return self._measure(self.held), self._measure(self.replay), {}

    def flags(self, values: dict[str, float], floor: dict[str, float], control: dict[str, float]) -> dict[str, str]:
        """`copying`, `control_flagged` and `collapsed`, in comparison with held-out lines."""
        found = {}
        if "exact copies" in values:
            found["copying"] = _copying(values, floor)
            found["control_flagged"] = "yes" if _copying(control, floor) == "yes" else "no"
        if "distinct-2" in values:
            share, more = (
                values["distinct-2"] / max(floor["distinct-2"], 1e-9),
                values["duplicates"] - floor["duplicates"],
            )
            found["collapsed"] = (
                "yes" if share < 0.3 or more > 0.2 else "perhaps" if share < 0.6 or more > 0.05 else "no"
            )
        return found

    def _measure(self, lines: _Lines) -> dict[str, float]:
        values: dict[str, float] = {}
        if self._references is not None:
            found = [M.sentence_bleu(line, self._references) for line in lines]
            values |= {f"BLEU-{k}": float(np.mean([f[k - 1] for f in found])) for k in (2, 3, 4, 5)}
        if "self-bleu" in self.metrics:
            values |= {f"self-BLEU-{k}": v for k, v in M.self_bleu(lines[:MOST_SELF]).items()}
        if "variety" in self.metrics:
            values |= {"distinct-2": M.distinct(lines, 2), "duplicates": M.duplicates(lines)}
            values["tokens a line"] = float(np.mean([len(line) for line in lines]))
        if "copying" in self.metrics:
            values["exact copies"] = sum(line in self.known for line in lines) / len(lines)
        if "likelihood" in self.metrics and self.oracle is not None:
            values[ORACLE_NLL] = float(self.oracle.nll(self.codec.number_tokens(lines, self.spec.shape[0])).mean())
        return values

    def _nll(self, net: nn.Module) -> float:
        """Of held-out lines under the model, in nats per token, the end token counted; unknown words are <unk>."""
        length, words = self.spec.shape[0], set(self.codec.vocabulary)
        unknown = self.codec.vocabulary[max(self.codec.unknown, 0)]
        fits = [line for line in self.held if len(line) <= length and (self.codec.end >= 0 or len(line) == length)]
        if not fits:
            return math.nan
        lines = [[w if w in words else unknown for w in line] for line in fits]
        rows = torch.from_numpy(self.codec.number_tokens(lines, length)).long()
        log_prob: Any = getattr(net, "log_prob")  # noqa: B009
        device = next(net.parameters()).device
        with torch.no_grad():
            total = sum(float(log_prob(part.to(device)).sum()) for part in rows.split(64))
        count = sum(min(len(line) + (self.codec.end >= 0), length) for line in lines)
        return -total / count


def _copying(values: dict[str, float], floor: dict[str, float]) -> str:
    more = values["exact copies"] - floor["exact copies"]
    return "yes" if more > 0.05 else "perhaps" if more > 0.005 else "no"
