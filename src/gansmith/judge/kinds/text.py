"""The judge of text: overlap with real lines and with one another, variety, copies, likelihoods, token by token."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from ...data import Store, TextCodec
from ...data.kinds.text.oracle import Oracle
from ...metrics import text as M
from ...model.ask import Asked
from ...options import DataOptions
from .. import labels, words
from ..features import encoder_record
from ..judge import Better, Judge, Judgement, JudgeOptions, Values, joined
from ..real import Drawn, Real, Split, rows_of

MOST_SELF = 2_000
"""Lines among which self-BLEU is taken: it rises with their number."""
MOST_ORACLE = 10_000
"""Lines that the oracle draws at most."""
NLL, ORACLE_NLL = "NLL of real lines", "oracle NLL"

Lines = Sequence[tuple[str, ...]]
"""Tokens of each line."""

GROUPS: dict[str, Callable[[Text, Lines], Values]] = {
    "bleu": lambda judge, lines: judge.bleu(lines),
    "self-bleu": lambda _, lines: {f"self-BLEU-{k}": v for k, v in M.self_bleu(lines[:MOST_SELF]).items()},
    "variety": lambda judge, lines: judge.variety(lines),
    "copying": lambda judge, lines: {"exact copies": sum(line in judge.known for line in lines) / len(lines)},
    "likelihood": lambda judge, lines: judge.oracle_likelihood(lines),
}


class Text(Judge):
    """Lines of text (n,) as strings, compared token by token."""

    groups: ClassVar = tuple(GROUPS)
    usual: ClassVar = groups
    watched: ClassVar = groups
    better: ClassVar[Mapping[str, Better]] = {
        **dict.fromkeys(("BLEU", "self-BLEU", "distinct-2", "tokens a line"), "floor"),
        **dict.fromkeys(("duplicates", "exact copies", NLL, ORACLE_NLL), "lower"),
    }
    samples: ClassVar = "lines"
    caution: ClassVar = "; --data names lines it never saw"
    most_watched: ClassVar = 500

    def __init__(self, real: Real, options: JudgeOptions, say: Callable[[str], object]) -> None:
        """`options.encoder` is not needed."""
        super().__init__(real, options, say)
        self.codec = _codec(real.store)
        self.oracle = oracle_of(real.store)

    @staticmethod
    def comparable(a: Store, b: Store) -> bool:
        """Lines of any length and vocabulary: they are compared as tokens, not as they are stored."""
        return True

    @staticmethod
    def unseen(store: Store, packing: DataOptions, split: Split) -> Drawn | None:
        """Lines of the oracle, drawn anew."""
        if (oracle := oracle_of(store)) is None:
            return None
        drawn = oracle.sample(min(split.n, MOST_ORACLE), store.spec.shape[0], seed=2**32 + split.seed)
        return drawn, f"{store.source}, drawn anew"

    @staticmethod
    def decoded(store: Store, rows: np.ndarray) -> np.ndarray:
        """These lines of a store as strings."""
        return store.spec.codec.decode(torch.from_numpy(rows_of(store, rows)))

    @property
    def headline(self) -> str:
        """The likelihood of samples under the oracle where it is known, else of real lines under the model."""
        return NLL if self.oracle is None else ORACLE_NLL

    @functools.cached_property
    def known(self) -> frozenset[tuple[str, ...]]:
        """The training lines, but for those that play the held-out ones."""
        return frozenset(self.codec.tokens(np.asarray(self.real.store.fields["x"][self.real.known_rows])))

    @functools.cached_property
    def held(self) -> Lines:
        """Held-out real lines."""
        return _codec(self.real.judged).tokens(self.real.held)

    @functools.cached_property
    def references(self) -> M.References:
        """The real lines that overlap is counted with."""
        return M.References(_codec(self.real.judged).tokens(self.real.reference), 5)

    def score(self, samples: np.ndarray, asked: Asked | None = None, nets: nn.ModuleDict | None = None) -> Judgement:
        """Scores of lines (n,); of `nets`, the one that has a `log_prob` says how likely real lines are to it."""
        lines = [tuple(self.codec.tokenise(str(line))) for line in samples]
        net = next((net for net in (nets or {}).values() if callable(getattr(net, "log_prob", None))), None)
        likely = {NLL: self._nll(net)} if net is not None and "likelihood" in self.metrics else {}
        obeyed = Judgement() if asked is None else labels.NOT_SCORED
        return joined((self._measured(lines), Judgement(values=likely), obeyed))

    def floor(self) -> Judgement:
        """Scores of held-out lines."""
        return self._measured(self.held)

    def control(self) -> Judgement:
        """Scores of training lines drawn again: each different line is as likely as any other."""
        known = sorted(self.known)
        return self._measured([known[i] for i in self.real.random(9).integers(len(known), size=self.real.num)])

    def own_protocol(self) -> dict[str, Any]:
        """Tokens, and no encoder."""
        return {
            "container": f"lines of {self.codec.level}s",
            "packing": "lower case" if self.codec.lowercase else "as written",
            "quantised": False,
            "num_training": len(self.known),
            "copying": "equal token by token",
            **encoder_record({"encoder": "none", "input": ("none",), "features": 0}, self.spec),
        }

    def flags(self, judgement: Judgement, floor: Values, control: Values) -> dict[str, str]:
        """Copying and collapse, in comparison with held-out lines."""
        values, found = judgement.values, {}
        if "exact copies" in values:
            found["copying"] = _copying(values, floor)
            found["control_flagged"] = "yes" if _copying(control, floor) == "yes" else "no"
        if "distinct-2" in values:
            share = values["distinct-2"] / max(floor["distinct-2"], 1e-9)
            more = values["duplicates"] - floor["duplicates"]
            some = "perhaps" if share < 0.6 or more > 0.05 else "no"
            found["collapsed"] = "yes" if share < 0.3 or more > 0.2 else some
        return found

    def sentences(self, judgement: Judgement, floor: Values) -> Sequence[str]:
        """BLEU beside self-BLEU: neither means anything without the other."""
        values = judgement.values
        if "BLEU-4" not in values or "self-BLEU-4" not in values:
            return ()
        bleu, own = (
            f"{words.number(values[name])} ({what}{words.number(floor[name])})"
            for name, what in (("BLEU-4", "held-out lines "), ("self-BLEU-4", ""))
        )
        return (
            f"BLEU-4 {bleu} at self-BLEU-4 {own}: a higher BLEU bought with a higher self-BLEU is caution, not "
            "quality; a lower sampling temperature does the same",
        )

    def bleu(self, lines: Lines) -> Values:
        """Overlap with real lines."""
        found = [M.sentence_bleu(line, self.references) for line in lines]
        return {f"BLEU-{k}": float(np.mean([f[k - 1] for f in found])) for k in (2, 3, 4, 5)}

    def variety(self, lines: Lines) -> Values:
        """Different pairs of tokens, equal lines, and how long lines are."""
        values = {"distinct-2": M.distinct(lines, 2), "duplicates": M.duplicates(lines)}
        return values | {"tokens a line": float(np.mean([len(line) for line in lines]))}

    def oracle_likelihood(self, lines: Lines) -> Values:
        """Of lines under the oracle, in nats per token; nothing of other data."""
        if self.oracle is None:
            return {}
        return {ORACLE_NLL: float(self.oracle.nll(self.codec.number_tokens(lines, self.spec.shape[0])).mean())}

    def _measured(self, lines: Lines) -> Judgement:
        return joined(Judgement(values=GROUPS[name](self, lines)) for name in self.metrics)

    def _nll(self, net: nn.Module) -> float:
        """Of held-out lines under the model, in nats per token, the end token counted; unknown words are <unk>."""
        length, known = self.spec.shape[0], set(self.codec.vocabulary)
        unknown = self.codec.vocabulary[max(self.codec.unknown, 0)]
        fits = [line for line in self.held if len(line) <= length and (self.codec.end >= 0 or len(line) == length)]
        if not fits:
            return math.nan
        lines = [[word if word in known else unknown for word in line] for line in fits]
        rows = torch.from_numpy(self.codec.number_tokens(lines, length)).long()
        log_prob: Any = getattr(net, "log_prob")  # noqa: B009
        device = next(net.parameters()).device
        with torch.no_grad():
            total = sum(float(log_prob(part.to(device)).sum()) for part in rows.split(64))
        count = sum(min(len(line) + (self.codec.end >= 0), length) for line in lines)
        return -total / count


def oracle_of(store: Store) -> Oracle | None:
    """The oracle whose lines a store holds."""
    return Oracle.seeded(0) if store.source == "toy:oracle" else None


def _codec(store: Store) -> TextCodec:
    codec = store.spec.codec
    assert isinstance(codec, TextCodec)
    return codec


def _copying(values: Values, floor: Values) -> str:
    more = values["exact copies"] - floor["exact copies"]
    return "yes" if more > 0.05 else "perhaps" if more > 0.005 else "no"


JUDGE = Text
