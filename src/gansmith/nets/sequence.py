"""Networks for sequences of tokens: an LSTM that writes them, and a CNN with a highway layer that reads them."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .dropout import Dropout
from .mlp import Head

WINDOWS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20)
_BLOCK = 1 << 22
"""Logits held at once while rollouts are drawn: a few million are quick everywhere, all of them may not fit."""


def pick(logits: Tensor, u: Tensor) -> Tensor:
    """One token (N,) for each row of logits (N, V): the inverse of its distribution function at u (N,) in [0, 1)."""
    weights = (logits - logits.amax(1, keepdim=True)).exp().cumsum(1)
    found = torch.searchsorted(weights, (u * weights[:, -1])[:, None].contiguous(), right=True)
    return found[:, 0].clamp_max(logits.shape[1] - 1)


def alive(x: Tensor, end: int) -> Tensor:
    """Which tokens of (N, T) are part of the text, its first end token included: all where `end` is -1."""
    ends = x == end
    return ends.cumsum(1) - ends.long() == 0


class Generator(nn.Module):
    """An LSTM language model over `vocabulary` tokens: each token's logits from the tokens before it.

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997; as Yu et al. (2017, arXiv:1609.05473) use it.
    `end` is the token after which nothing follows but itself, or -1. All parameters start from N(0, 0.1^2).
    """

    def __init__(self, vocabulary: int, length: int, embedding: int, hidden: int, layers: int = 1, end: int = -1):
        super().__init__()
        self.length, self.end = length, end
        self.embed = nn.Embedding(vocabulary + 1, embedding)  # the last one stands before the first token
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, vocabulary)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.1)

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, T, V) of every token of x (N, T), each from the true tokens before it, in one pass."""
        return self.head(self.lstm(self.embed(torch.cat((self._start(len(x), x), x[:, :-1]), 1)))[0])

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probability (N, T) of every token of x (N, T), at least float32; 0 after the end."""
        logits = self.logits(x)
        full = logits.float() if logits.dtype == torch.bfloat16 else logits
        found = -F.cross_entropy(full.flatten(0, 1), x.flatten(), reduction="none").view_as(x)
        return found * alive(x, self.end)

    def forward(self, u: Tensor, temperature: Tensor | None = None) -> Tensor:
        """Sequences (N, T) int64 from uniform noise (N, T); `temperature` (N,) divides the logits."""
        token, state, row = self._start(len(u), u), None, []
        done = torch.zeros(len(u), dtype=torch.bool, device=u.device)
        for t in range(self.length):
            output, state = self.lstm(self.embed(token), state)
            logits = self.head(output[:, 0]).to(u.dtype)
            chosen = pick(logits if temperature is None else logits / temperature[:, None], u[:, t])
            chosen, done = self._ended(chosen, done)
            token = chosen[:, None]
            row.append(token)
        return torch.cat(row, 1)

    def rollouts(self, x: Tensor, u: Tensor) -> Tensor:
        """Sequences (N, R, P, T) that begin with the first 0, 1, ... P - 1 tokens of x (N, T) and go on by sampling.

        u (N, R, P, T) is uniform noise. All prefixes and repeats go through the LSTM together: step t moves the
        (t + 1) N R sequences that have left x by then, so there are T calls and not T^2 / 2.
        """
        n, repeats, prefixes, length = u.shape
        token, base, active = self._start(n, x), None, None
        tokens, done = x.new_zeros(0, n, repeats), torch.zeros(0, n, repeats, dtype=torch.bool, device=x.device)
        gone = torch.zeros(n, dtype=torch.bool, device=x.device)  # x has ended
        result = x[:, None, None].repeat(1, repeats, prefixes, 1)
        for t in range(length):
            output, base = self.lstm(self.embed(token), base)
            outputs = output.new_zeros(0, output.shape[2])
            if active is not None:
                moved, active = self.lstm(self.embed(tokens.reshape(-1, 1)), active)
                outputs = moved[:, 0]
            if t < prefixes:  # those that keep t tokens of x leave it now
                outputs = torch.cat((outputs, _repeat(output[:, 0], repeats, 0)))
                fresh = tuple(_repeat(s, repeats, 1) for s in base)
                active = fresh if active is None else tuple(torch.cat(s, 1) for s in zip(active, fresh, strict=True))
                done = torch.cat((done, gone[None, :, None].expand(1, n, repeats)))
            now = len(done)
            noise = u[:, :, :now, t].permute(2, 0, 1).reshape(-1)
            rows = max(_BLOCK // self.head.out_features, 1)
            chosen = torch.cat(
                [pick(self.head(o).to(u.dtype), v) for o, v in zip(outputs.split(rows), noise.split(rows), strict=True)]
            )
            tokens, done = self._ended(chosen.view(now, n, repeats), done)
            result[:, :, :now, t] = tokens.permute(1, 2, 0)
            token = x[:, t : t + 1]
            gone = gone | (token[:, 0] == self.end)
        return result

    def _start(self, n: int, like: Tensor) -> Tensor:
        return torch.full((n, 1), self.embed.num_embeddings - 1, dtype=torch.long, device=like.device)

    def _ended(self, chosen: Tensor, done: Tensor) -> tuple[Tensor, Tensor]:
        """After its end a text holds nothing but ends."""
        if self.end < 0:
            return chosen, done
        chosen = chosen.masked_fill(done, self.end)
        return chosen, done | (chosen == self.end)


def _repeat(x: Tensor, repeats: int, dim: int) -> Tensor:
    return x.repeat_interleave(repeats, dim)


class Follower(nn.Module):
    """A copy of a network that follows it: old weights keep the share `keep` once a step. It is never trained."""

    seen: Tensor

    def __init__(self, net: nn.Module, keep: float):
        super().__init__()
        self.net, self.keep = copy.deepcopy(net).requires_grad_(False), keep
        self.register_buffer("seen", torch.full((), -1.0))

    @torch.no_grad()
    def follow(self, net: nn.Module, step: Tensor) -> None:
        """Move towards `net`, once for each value of `step` () however often it is called; without a device wait."""
        share = torch.where(step > self.seen, 1 - self.keep, 0.0)
        for own, other in zip(self.net.parameters(), net.parameters(), strict=True):
            own.copy_(torch.where(self.seen < 0, other, own + (other - own) * share.to(own.dtype)))
        self.seen.copy_(torch.maximum(self.seen, step))


class Discriminator(nn.Module):
    """Sequences (N, T) of tokens to scores (N,): convolutions of many widths, maxima over time, a highway layer.

    Source: Zhang & LeCun, 2015, arXiv:1502.01710, and Kim, 2014, arXiv:1408.5882, as section 3.2 of Yu et al. (2017,
    arXiv:1609.05473) joins them with Srivastava et al., "Highway Networks", 2015, arXiv:1505.00387. Windows wider than
    the sequence are left out; `width` feature maps for one token and for 6 and more, twice as many for 2 to 5, 1.6
    times as many for 15 and 20.
    """

    def __init__(self, vocabulary: int, length: int, embedding: int, width: int, dropout: float):
        super().__init__()
        maps = {w: max(round(width * (2 if 2 <= w <= 5 else 1.6 if w > 10 else 1)), 1) for w in WINDOWS if w <= length}
        self.embed = nn.Embedding(vocabulary, embedding)
        self.convs = nn.ModuleList(nn.Conv1d(embedding, count, window) for window, count in maps.items())
        total = sum(maps.values())
        self.gate, self.transform = nn.Linear(total, total), nn.Linear(total, total)
        nn.init.constant_(self.gate.bias, -2.0)  # at first most of the features are carried through
        self.dropout = Dropout(dropout)
        self.head = Head(nn.Linear(total, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N,) of sequences (N, T) int64."""
        return self.head(self.dropout(self.features(x)))

    def certain(self, x: Tensor) -> Tensor:
        """The same without dropout, whatever the mode, and some thousand sequences at a time: for rewards."""
        return torch.cat([self.head(self.features(part)) for part in x.split(1024)])

    def features(self, x: Tensor) -> Tensor:
        """(N, T) to what the last layer sees."""
        e = self.embed(x).transpose(1, 2)
        found = torch.cat([F.relu(conv(e)).amax(2) for conv in self.convs], 1)
        gate = self.gate(found).sigmoid()
        return gate * F.relu(self.transform(found)) + (1 - gate) * found
