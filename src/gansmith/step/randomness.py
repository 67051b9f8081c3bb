"""Randomness that can be repeated: draws that are a pure function of a seed, split over ranks and micro-batches.

Losses draw through `noise`, `uniform` and `normal`, dropout through `kept`. Within `draws` they come from the
generators of a `Stream`, and may be taken down on a `Tape`, to be made before the next step like it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Generator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from .shared import Gather, Gathered

Kind: TypeAlias = Literal["normal", "uniform", "bits"]


def derive(seed: int, *path: int | str) -> int:
    """A seed of 63 bits for one purpose, as a pure function of the run's seed and the purpose's path."""
    digest = hashlib.blake2b(repr((seed, *path)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class Tape:
    """The draws of one part of a move, so that they can be made before the move instead of within it.

    It first takes down what is drawn, then holds a tensor for each draw, which `fill` fills with what the same
    generators would have given: nothing random is left inside, and the tensors keep their place in memory.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Kind, tuple[int, ...], torch.device, torch.dtype]] = []
        self.made: list[Tensor] = []
        self._at = 0

    def take_down(self, kind: Kind, made: Tensor) -> None:
        """Note a draw."""
        self.asked.append((kind, tuple(made.shape), made.device, made.dtype))

    def rewind(self) -> None:
        """Begin the part again; from now on draws are read."""
        if not self.made:
            self.made = [torch.empty(shape, device=device, dtype=dtype) for _, shape, device, dtype in self.asked]
        self._at = 0

    def fill(self, stream: Stream) -> None:
        """Make all draws, in their order."""
        self.rewind()
        for (kind, *_), tensor in zip(self.asked, self.made, strict=True):
            fill(kind, tensor, stream.own if kind == "bits" else stream.generator)

    def read(self, kind: Kind, shape: tuple[int, ...]) -> Tensor:
        """The next draw. Raises `RuntimeError` if another one was taken down."""
        if self._at == len(self.made) or self.asked[self._at][:2] != (kind, shape):
            raise RuntimeError(f"the loss draws {kind} {shape} where it drew something else before")
        self._at += 1
        return self.made[self._at - 1]


@dataclass(frozen=True)
class Stream:
    """Where `noise` and `uniform` come from: slice `part` of `parts` of draws of at least `rows` rows.

    `own` is the generator of this rank and micro-batch alone, for dropout; without it PyTorch's global one.
    """

    generator: torch.Generator
    part: int = 0
    parts: int = 1
    rows: int = 0
    rank: int = 0
    gather: Gather | None = None
    """What ranks exchange rows by; none where there is one."""
    own: torch.Generator | None = None
    tape: Tape | None = None
    replayed: bool = False
    """Whether draws are read from the tape; else they are made, and taken down if there is a tape."""


_stream: ContextVar[Stream | None] = ContextVar("stream", default=None)


@contextlib.contextmanager
def draws(stream: Stream) -> Generator[None]:
    """Within this, `noise` and `uniform` draw from the stream instead of PyTorch's global generator."""
    token = _stream.set(stream)
    try:
        yield
    finally:
        _stream.reset(token)


def fill(kind: Kind, tensor: Tensor, generator: torch.Generator | None) -> None:
    """Fill a tensor with a draw of that kind, in place."""
    match kind:
        case "normal":
            torch.randn(tensor.shape, generator=generator, out=tensor)
        case "uniform":
            torch.rand(tensor.shape, generator=generator, out=tensor)
        case "bits":
            tensor.random_(-(2**63), None, generator=generator)


def _made(kind: Kind, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """A draw of the stream, whole; of PyTorch's global generator where there is none."""
    stream = _stream.get()
    if stream is not None and stream.tape is not None and stream.replayed:
        return stream.tape.read(kind, shape)
    tensor = torch.empty(shape, device=device, dtype=dtype)
    fill(kind, tensor, None if stream is None else stream.own if kind == "bits" else stream.generator)
    if stream is not None and stream.tape is not None:
        stream.tape.take_down(kind, tensor)
    return tensor


def _draw(kind: Kind, n: int, shape: tuple[int, ...], like: Tensor) -> Tensor:
    stream = _stream.get()
    dtype = torch.promote_types(like.dtype, torch.float32)  # bfloat16 has 256 numbers in [0, 1)
    if stream is None:
        return _made(kind, (n, *shape), like.device, dtype)
    rows = max(n * stream.parts, stream.rows)
    # Every rank and micro-batch draws all rows and keeps its own: cheap beside a network, and exact.
    joint = _made(kind, (rows, *shape), like.device, dtype)
    return joint[stream.part * n : stream.part * n + n]


def kept(like: Tensor, share: float) -> Tensor:
    """Which values of `like` are kept, as booleans of its shape: each with a chance of `share`, to 1 part in 65,536.

    For dropout: drawn apart on each rank and micro-batch, 16 random bits a value, four values from each draw.
    """
    n = like.numel()
    bits = _made("bits", (-(-n // 4),), like.device, torch.int64)
    return (bits.view(torch.int16)[:n] < round(share * 65_536) - 32_768).view(like.shape)


def noise(nets: nn.ModuleDict, n: int, *shape: int) -> Tensor:
    """Standard normal noise (n, *shape) with the device and dtype of the networks."""
    return _draw("normal", n, shape, next(nets.parameters()))


def uniform(like: Tensor, n: int, *shape: int) -> Tensor:
    """Uniform noise (n, *shape) in [0, 1) with the device of `like`, and its dtype but never less than float32."""
    return _draw("uniform", n, shape, like)


def gumbel(like: Tensor, n: int, *shape: int) -> Tensor:
    """Standard Gumbel noise (n, *shape), drawn as `uniform` is: the largest of logits with it is a draw of them.

    Jang et al., "Categorical Reparameterization with Gumbel-Softmax", 2016, arXiv:1611.01144, section 2.
    """
    # Not in bfloat16: all above .998 is 1 there, where this is infinite.
    return -(-uniform(like, n, *shape).clamp(1e-7, 1 - 1e-7).log()).log()


def normal(like: Tensor) -> Tensor:
    """Standard normal noise of the shape and device of `like`, whose first dimension is the batch, and of its dtype but
    never less than float32.
    """
    return _draw("normal", len(like), tuple(like.shape[1:]), like)


def of_all_ranks(rows: Tensor) -> tuple[Tensor, slice]:
    """The rows (n, ...) of every rank, in the order of ranks and without a gradient, and where one's own lie in it.

    For state that a loss keeps of samples (CycleGAN's pool): kept of all of them it is the same on every rank, and
    its module says so with `alike = True`.
    """
    stream = _stream.get()
    own = rows.detach().contiguous()
    if own.dtype == torch.bfloat16:  # not every backend carries it
        own = own.float()
    if stream is None or stream.gather is None:
        return own, slice(0, len(rows))
    return stream.gather(own).flatten(0, 1), slice(stream.rank * len(rows), (stream.rank + 1) * len(rows))


def gathered(rows: Tensor) -> Tensor:
    """The rows (n, ...) of every rank, in the order of ranks; a gradient flows into those of all.

    For a network whose answers to its own rows depend on the others: what the losses of other ranks owe to one's rows
    is exchanged on the way back, so that means over ranks are those of the joined batch.
    """
    stream = _stream.get()
    if stream is None or stream.gather is None:
        return rows
    everyone: Any = Gathered.apply(rows.float() if rows.dtype == torch.bfloat16 else rows, stream.gather, stream.rank)
    return everyone.flatten(0, 1)


def joined(rows: Tensor) -> Tensor:
    """The rows (n, ...) of every rank, in the order of ranks; a gradient flows into one's own.

    For a loss that is no mean over samples (a softmax over the batch, a mean inside a logarithm): computed from these
    on every rank, it and its gradient are those of the joined batch. The gradient of one's own rows counts as many
    times as there are ranks, as the step takes the mean over them. Micro-batches stay apart.
    """
    stream = _stream.get()
    if stream is None or stream.gather is None:
        return rows
    everyone, own = of_all_ranks(rows)
    live = rows.to(everyone.dtype)
    world = len(everyone) // len(rows)
    live = live.detach() + world * (live - live.detach())  # the difference is 0 and carries the gradient
    return torch.cat((everyone[: own.start], live, everyone[own.stop :]))
