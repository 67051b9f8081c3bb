"""Networks for sequences of tokens: an LSTM that writes them, and a CNN with a highway layer that reads them."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .dropout import Dropout
from .mlp import Head

WINDOWS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20)
_BLOCK = {"cpu": 1 << 20}
"""Logits held at once: what a core's cache takes; elsewhere some ten million."""
_FLAT = 256
"""Vocabularies up to this size are searched in one go, larger ones in two."""


def _rows(vocabulary: int, like: Tensor) -> int:
    return max(_BLOCK.get(like.device.type, 1 << 24) // vocabulary, 1)


def pick(logits: Tensor, u: Tensor) -> Tensor:
    """One token (N,) for each row of logits (N, V): the inverse of its distribution function at u (N,) in [0, 1).

    Two searches, for the span of tokens and then within it, so that V numbers are added up but never accumulated.
    """
    chances = logits.softmax(1, dtype=torch.promote_types(logits.dtype, torch.float32))
    words = chances.shape[1]
    if words <= _FLAT:
        return _search(chances, u)[0]
    span = math.isqrt(words)
    cut = words // span * span
    spans = torch.cat((chances[:, :cut].unflatten(1, (-1, span)).sum(2), chances[:, cut:].sum(1, keepdim=True)), 1)
    where, rest = _search(spans, u)
    tokens = where[:, None] * span + torch.arange(span, device=logits.device)
    inside = chances.gather(1, tokens.clamp_max(words - 1)).masked_fill(tokens >= words, 0.0)
    return where * span + _search(inside, rest)[0]


def _search(weights: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Of each row of weights (N, K), the first (N,) whose running sum exceeds the share u, and the share left in it."""
    sums = weights.cumsum(1)
    wanted = u * sums[:, -1]
    # Rounding must not lead past the last of the weights that is not 0.
    wanted = torch.minimum(wanted, sums[:, -1] * (1 - torch.finfo(u.dtype).eps))
    found = torch.searchsorted(sums, wanted[:, None].contiguous(), right=True).clamp_max(weights.shape[1] - 1)
    weight = weights.gather(1, found)[:, 0]
    return found[:, 0], ((wanted - sums.gather(1, found)[:, 0] + weight) / weight).clamp(0.0, 1.0)


class TokenNLL(torch.autograd.Function):
    """-log softmax(h W^T + b)[token] of each row, for a large vocabulary: of all logits only their chances are kept.

    Equal to `cross_entropy(linear(h, W, b), token, reduction="none")`, a part of the rows at a time, so that logits
    stay in a cache. Differentiable once.
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor, bias: Tensor, token: Tensor, keep: bool) -> Tensor:
        """(M,) from h (M, H), weight (V, H), bias (V,), token (M,); `keep` what the gradient needs."""
        kept, found = [], []
        h = torch.cat((h, torch.ones_like(h[:, :1])), 1)  # the bias as one more unit: half the writes of `linear`
        both = torch.cat((weight, bias[:, None]), 1)
        for rows in _parts(h, weight):
            logits = h[rows] @ both.T
            chances = logits.softmax(1)
            # log sum exp by the likeliest token, whose chance is at least 1 / V.
            whole = logits.amax(1) - chances.amax(1).log()
            found.append(whole - logits.gather(1, token[rows, None])[:, 0])
            kept += [chances] if keep else []
        ctx.save_for_backward(h, weight, token, *kept)
        return torch.cat(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Gradients of h, weight and bias."""
        h, weight, token, *kept = ctx.saved_tensors
        share = h * grad[:, None]
        both = share.new_zeros(len(weight), share.shape[1])
        for rows, chances in zip(_parts(h, weight), kept, strict=True):
            both.addmm_(chances.T, share[rows])
        both.index_add_(0, token, -share)
        expected = torch.cat([chances @ weight for chances in kept])
        return (expected - weight[token]) * grad[:, None], both[:, :-1], both[:, -1], None, None


def token_nll(h: Tensor, weight: Tensor, bias: Tensor, token: Tensor) -> Tensor:
    """-log softmax(h W^T + b)[token] (M,) of rows h (M, H); see `TokenNLL`."""
    with torch.autocast(h.device.type, enabled=False):  # sums over a vocabulary, and a gradient written by hand
        h = h.float() if h.dtype == torch.bfloat16 else h
        found = TokenNLL.apply(h, weight, bias, token, torch.is_grad_enabled())
    assert isinstance(found, Tensor)
    return found


def _parts(h: Tensor, weight: Tensor) -> list[slice]:
    rows = _rows(len(weight), h)
    return [slice(i, i + rows) for i in range(0, len(h), rows)]


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

    def states(self, x: Tensor) -> Tensor:
        """What the LSTM knows (N, T, hidden) before every token of x (N, T), from the true tokens, in one pass."""
        return self.lstm(self.embed(torch.cat((self._start(len(x), x), x[:, :-1]), 1)))[0]

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, T, V) of every token of x (N, T), each from the true tokens before it."""
        return self.head(self.states(x))

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probability (N, T) of every token of x (N, T), at least float32; 0 after the end."""
        h, (weight, bias) = self.states(x).flatten(0, 1), (self.head.weight, self.head.bias)
        if h.dtype == torch.bfloat16:
            h = h.to(weight.dtype)
        found = -token_nll(h, weight, bias, x.flatten()).view_as(x)
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

    def rollouts(self, x: Tensor, u: Tensor, first: int = 0) -> Tensor:
        """Sequences (N, R, P, T) that begin with `first`, `first` + 1, ... tokens of x (N, T) and go on by sampling.

        u (N, R, P, T) is uniform noise. All prefixes and repeats go through the LSTM together: step t moves the
        sequences that have left x by then, so there are T calls and not T^2 / 2.
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
            if first <= t < first + prefixes:  # those that keep t tokens of x leave it now
                outputs = torch.cat((outputs, _repeat(output[:, 0], repeats, 0)))
                fresh = tuple(_repeat(s, repeats, 1) for s in base)
                active = fresh if active is None else tuple(torch.cat(s, 1) for s in zip(active, fresh, strict=True))
                done = torch.cat((done, gone[None, :, None].expand(1, n, repeats)))
            if now := len(done):
                noise = u[:, :, :now, t].permute(2, 0, 1).reshape(-1)
                parts = zip(*(each.split(_rows(self.head.out_features, u)) for each in (outputs, noise)), strict=True)
                chosen = torch.cat([pick(self.head(o).to(u.dtype), v) for o, v in parts])
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
    """A copy of a generator that follows it: old weights keep the share `keep` once a step. It is never trained."""

    seen: Tensor

    def __init__(self, net: Generator, keep: float):
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
