"""Text of a known distribution: SeqGAN's synthetic oracle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .codec import TextCodec


@dataclass(frozen=True, kw_only=True, eq=False)
class Oracle:
    """A random LSTM whose distribution over sequences is known: what a model of text can be measured against.

    Source: Yu et al., "SeqGAN", 2017, arXiv:1609.05473, section 4: all parameters from N(0, 1), vocabulary 5,000,
    embedding and state 32, sequences of 20; the first input is token 0. The parameters here are drawn by us, from a
    seed: an NLL under them need not equal one under the authors' parameters (`published` reads those).
    """

    embedding: Tensor
    """(V, E)."""
    gates: Tensor
    """(E + H, 4 H): input, forget, output, candidate."""
    gate_bias: Tensor
    head: Tensor
    """(H, V)."""
    head_bias: Tensor

    @classmethod
    def seeded(cls, seed: int = 0, vocabulary: int = 5_000, size: int = 32) -> Oracle:
        """All parameters from N(0, 1)."""
        random = np.random.Generator(np.random.Philox(key=[seed % 2**64, 30]))

        def draw(*shape: int) -> Tensor:
            return torch.from_numpy(random.standard_normal(shape).astype(np.float32))

        return cls(
            embedding=draw(vocabulary, size),
            gates=draw(2 * size, 4 * size),
            gate_bias=draw(4 * size),
            head=draw(size, vocabulary),
            head_bias=draw(vocabulary),
        )

    @classmethod
    def published(cls, path: Path) -> Oracle:
        """The authors' parameters as an .npz of p00 ... p14: embedding, then W, U, b of each gate, then the head."""
        with np.load(path, allow_pickle=False) as file:
            p = [torch.from_numpy(np.asarray(file[f"p{i:02d}"], np.float32)) for i in range(15)]
        gates = torch.cat([torch.cat((p[1 + 3 * k], p[2 + 3 * k])) for k in range(4)], 1)
        bias = torch.cat([p[3 + 3 * k] for k in range(4)])
        return cls(embedding=p[0], gates=gates, gate_bias=bias, head=p[13], head_bias=p[14])

    def step(self, token: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Logits (N, V) of the token that follows, and the new state, after one more token (N,)."""
        hidden, cell = state
        i, f, o, g = (torch.cat((self.embedding[token], hidden), 1) @ self.gates + self.gate_bias).chunk(4, 1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        return hidden @ self.head + self.head_bias, (hidden, cell)

    def start(self, n: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The first token (n,), which is not part of a sequence, and the first state."""
        zeros = torch.zeros(n, self.head.shape[0])
        return torch.zeros(n, dtype=torch.long), (zeros, zeros)

    def sample(self, n: int, length: int = 20, seed: int = 0) -> np.ndarray:
        """n sequences (n, length) int32."""
        random = np.random.Generator(np.random.Philox(key=[seed % 2**64, 31]))
        uniform = torch.from_numpy(random.random((n, length), np.float32))
        parts = []
        for u in uniform.split(500):
            token, state = self.start(len(u))
            row = []
            for t in range(length):
                logits, state = self.step(token, state)
                weight = (logits - logits.amax(1, keepdim=True)).exp().cumsum(1)
                token = torch.searchsorted(weight, (u[:, t] * weight[:, -1])[:, None], right=True)[:, 0]
                token = token.clamp_max(len(self.embedding) - 1)
                row.append(token)
            parts.append(torch.stack(row, 1))
        return torch.cat(parts).numpy().astype(np.int32)

    def nll(self, rows: np.ndarray) -> np.ndarray:
        """Negative log-likelihood per token, in nats, of each sequence (N, T): (N,)."""
        parts = []
        for x in torch.from_numpy(np.asarray(rows).astype(np.int64)).split(500):
            token, state = self.start(len(x))
            total = torch.zeros(len(x))
            for t in range(x.shape[1]):
                logits, state = self.step(token, state)
                token = x[:, t]
                total += torch.nn.functional.cross_entropy(logits, token, reduction="none")
            parts.append(total / x.shape[1])
        return torch.cat(parts).numpy()


ORACLE_LINES = 10_000


def oracle_codec(vocabulary: int = 5_000) -> TextCodec:
    """Tokens of an oracle are called by their numbers; every sequence is equally long, so none is an end."""
    return TextCodec(level="word", vocabulary=tuple(map(str, range(vocabulary))))
