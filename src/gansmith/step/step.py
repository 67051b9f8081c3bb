"""One training step: who moves, down which gradient, with which randomness.

A `Turn` names the networks that move and the loss they descend. A `Step` takes every due turn in order and then
updates the moving average. It never waits for the device (no `.item()`, `.cpu()`, `if tensor:`), so one and the same
step runs eagerly, compiled or captured.

Randomness is not carried from step to step: the draws of a move are a pure function of (seed, step, turn, move), so a
resumed run repeats them without any saved generator state, and `noise` and `uniform` give rank r of R (and each
micro-batch) its slice of one common draw, so that R ranks compute what one rank would on the joined batch.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from .randomness import Stream, Tape, derive, draws, fill
from .ranks import Ranks, Setting
from .synced import synchronise
from .turn import Average, Batch, Ramp, Rule, Terms, Turn


class Step:
    """One training step: every due turn in order, then the moving average.

    Owns what training changes: `nets`, their optimisers, the averaged copies in `average`, and `moves`, the number of
    batches drawn so far. `state` and `load_state` are all that a checkpoint needs.
    """

    def __init__(
        self,
        nets: nn.ModuleDict,
        turns: Sequence[Turn],
        optimizers: Mapping[str, Rule],
        averaged: Sequence[str],
        average: Average,
        *,
        seed: int,
        batch_size: int,
        micro_batches: int = 1,
        setting: Setting = Setting(),
        ranks: Ranks = Ranks(),
    ) -> None:
        self.nets, self.turns, self.specs = nets, tuple(turns), dict(optimizers)
        self.seed, self.batch_size, self.micro_batches = seed, batch_size, micro_batches
        self.setting, self.ranks, self.decay = setting, ranks, average
        self.moves = 0
        _check(self)
        nets.train()
        for name, net in nets.items():
            setting.place(net)
            if name not in self.specs:
                net.eval().requires_grad_(False)
        self.params = {name: [p for p in nets[name].parameters() if p.requires_grad] for name in self.specs}
        self.optimizers = {name: spec.build(self.params[name]) for name, spec in self.specs.items()}
        self.average = nn.ModuleDict({name: copy.deepcopy(nets[name]).requires_grad_(False) for name in averaged})
        self.average.eval()
        if ranks.world > 1:
            synchronise(nets, ranks.rank, ranks.gather)
        self._generator = torch.Generator(setting.device)
        # Not torch.manual_seed: it formats a stack trace for each kind of device that is absent, half a tiny step.
        self._default = _default_generator(torch.device(setting.device))
        self._shadow: list[Tensor] = [p for name in averaged for p in self.average[name].parameters()]
        self._live: list[Tensor] = [p for name in averaged for p in nets[name].parameters()]
        self._shadow_buffers = [b for name in averaged for b in self.average[name].buffers()]
        self._live_buffers = [b for name in averaged for b in nets[name].buffers()]
        saved = nets.state_dict().keys()  # a buffer that is not saved is a constant, the same on all ranks
        self._statistics = [
            buffer
            for place, module in nets.named_modules()
            if not getattr(module, "alike", False)  # its buffers are the same on every rank as they are
            for name, buffer in module.named_buffers(place, recurse=False)
            if buffer.is_floating_point() and name in saved
        ]

    def take(self, step: int, batches: Callable[[int], Batch]) -> Terms:
        """Take step number `step` (from 0). `batches(k)` gives this rank's rows of the run's k-th batch.

        Returns the terms of every turn taken, as `"D/real"`, detached and still on the device, averaged over the
        moves of that turn.
        """
        logged: Terms = {}
        self.begin(step)
        for number, move in self.due(step):
            batch = {**batches(self.moves), **self.scalars(step)}
            self.moves += 1
            terms = self.move(self.turns[number], batch, derive(self.seed, step, number, move))
            self.log(logged, number, terms)
        self.finish(step)
        return logged

    def due(self, step: int) -> list[tuple[int, int]]:
        """The moves of a step: number of the turn, number of its repetition."""
        return [(k, move) for k, turn in enumerate(self.turns) if turn.due(step) for move in range(turn.repeat)]

    def begin(self, step: int) -> None:
        """What precedes the turns: learning rates are set to those of this step, and stages that begin begin afresh."""
        for turn in self.turns:
            if turn.fresh and step == turn.start:
                for state in (s for name in turn.nets for s in self.optimizers[name].state.values()):
                    for moment in state.values():
                        moment.zero_()  # in place: a captured step knows these tensors
        for name, spec in self.specs.items():
            if isinstance(spec.lr, Ramp):
                _set_lr(self.optimizers[name], spec.lr(step * self.batch_size))

    def scalars(self, step: int) -> dict[str, Tensor]:
        """What every batch holds beside its rows."""
        return {"step": self._scalar(step), "images": self._scalar(step * self.batch_size)}

    def log(self, logged: Terms, number: int, terms: Terms) -> None:
        """Add the terms of one move of a turn to those of the step: the mean over its moves."""
        turn = self.turns[number]
        for name, term in terms.items():
            key = f"{turn.name}/{name}"
            logged[key] = logged[key] + term / turn.repeat if key in logged else term / turn.repeat

    def pull(self, step: int) -> float:
        """How far the average is drawn towards the weights at the end of this step."""
        return 1.0 - self.decay.decay((step + 1) * self.batch_size, self.batch_size)

    @torch.no_grad()  # the live weights require gradients: else a graph of all steps so far hangs on the average
    def finish(self, step: int, pull: Tensor | None = None) -> None:
        """What follows the turns: statistics of all ranks, and the moving average (by `pull` () if that is given)."""
        self.ranks.mean(self._statistics)  # running statistics are those of all ranks, so rank 0 holds the whole state
        if self._shadow and pull is not None:
            torch._foreach_lerp_(self._shadow, self._live, [pull for _ in self._live])
        elif self._shadow:
            torch._foreach_lerp_(self._shadow, self._live, self.pull(step))
        if self._shadow_buffers:
            torch._foreach_copy_(self._shadow_buffers, self._live_buffers)

    def move(self, turn: Turn, batch: Batch, seed: int, streams: Callable[[int, int], Stream] | None = None) -> Terms:
        """One move of one turn: gradients of its loss with respect to its networks, then their optimisers.

        `streams`: where micro-batch `part` draws from, by (seed, part); `stream` if it is not given.
        """
        params = [p for name in turn.nets for p in self.params[name]]
        total: list[Tensor] = []
        logged: Terms = {}
        for part, rows in enumerate(_split(batch, self.micro_batches)):
            stream = (streams or self.stream)(seed, part)
            for name, term in self._gradients(turn, rows, stream, params, total).items():
                logged[name] = logged[name] + term if name in logged else term
        self.ranks.mean(total)
        for param, gradient in zip(params, total, strict=True):
            # Fused Adam walks through memory and never looks at strides; those of double backward are often others.
            same = gradient.stride() == param.stride()
            param.grad = gradient if same else torch.empty_like(param).copy_(gradient)
        for name in turn.nets:
            with _scaled(self.optimizers[name], turn.rate):
                self.optimizers[name].step()
        for param in params:
            param.grad = None
        return logged

    def stream(self, seed: int, part: int, tape: Tape | None = None, replayed: bool = False) -> Stream:
        """Where micro-batch `part` of a move draws from; seeds the generators."""
        rank, world = self.ranks.rank, self.ranks.world
        parts, part = world * self.micro_batches, part + rank * self.micro_batches
        self._default.manual_seed(derive(seed, part))  # dropout and the like: independent on each rank and micro-batch
        self._generator.manual_seed(seed)  # noise and mixing: one common draw, of which each takes its slice
        gather = self.ranks.gather if world > 1 else None
        return Stream(self._generator, part, parts, 0, rank, gather, self._default, tape, replayed)

    def generators(self) -> tuple[torch.Generator, torch.Generator]:
        """The generator of each rank and micro-batch, which is PyTorch's global one, and the common one."""
        return self._default, self._generator

    def drew_elsewhere(self, stream: Stream, seed: int) -> bool:
        """Whether the last part drew from PyTorch's global generator what its tape does not know. Waits."""
        assert stream.tape is not None
        state = self._default.get_state()
        self._default.manual_seed(derive(seed, stream.part))
        for kind, shape, device, dtype in stream.tape.asked:
            if kind == "bits":
                fill(kind, torch.empty(shape, device=device, dtype=dtype), self._default)
        return not torch.equal(state, self._default.get_state())

    def _gradients(
        self, turn: Turn, batch: Batch, stream: Stream, params: list[nn.Parameter], total: list[Tensor]
    ) -> Terms:
        """Add the gradients of one micro-batch to `total`; return its share of the terms."""
        share = 1.0 / self.micro_batches
        with draws(stream), self.setting.autocast():
            terms = turn.loss(self.nets, batch)
            terms = {name: term.float() if term.dtype == torch.bfloat16 else term for name, term in terms.items()}
            loss = torch.stack(list(terms.values())).sum()
        found = torch.autograd.grad(loss * share, params, allow_unused=True)
        if all(g is None for g in found):
            raise ValueError(
                f"none of the terms of the turn of {turn.name} ({', '.join(terms)}) depends on {turn.name}"
            )
        gradients = [torch.zeros_like(p) if g is None else g for p, g in zip(params, found, strict=True)]
        if total:
            torch._foreach_add_(total, gradients)
        else:
            total.extend(gradients)
        return {name: term.detach() * share for name, term in terms.items()}

    def _scalar(self, value: float) -> Tensor:
        return torch.full((), float(value), device=self.setting.device)

    def state(self) -> dict[str, Tensor]:
        """Every tensor that training changes, by name; the same tensors, not copies."""
        tensors = {f"nets.{k}": v for k, v in self.nets.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for i, param in enumerate(self.params[name]):
                tensors |= {f"optimizer.{name}.{i}.{key}": v for key, v in optimizer.state[param].items()}
        return tensors

    def load_state(self, tensors: Mapping[str, Tensor], moves: int) -> None:
        """Continue from `state()`, copied into place.

        Raises `ValueError` if the tensors are not those of these networks.
        """
        rest = dict(tensors)
        for prefix, module in (("nets.", self.nets), ("average.", self.average)):
            own = {k[len(prefix) :]: rest.pop(k) for k in list(rest) if k.startswith(prefix)}
            try:
                module.load_state_dict(own)
            except RuntimeError as error:
                raise ValueError(f"the saved networks do not fit this recipe: {error}") from error
        for name, optimizer in self.optimizers.items():
            for i, param in enumerate(self.params[name]):
                prefix = f"optimizer.{name}.{i}."
                saved = {k[len(prefix) :]: rest.pop(k) for k in list(rest) if k.startswith(prefix)}
                # Moments take the parameter's device and memory format; the step count stays where Adam keeps it.
                optimizer.state[param] = {
                    k: v.clone() if v.dim() == 0 else torch.empty_like(param, dtype=v.dtype).copy_(v)
                    for k, v in saved.items()
                }
                if param.is_cuda and "step" in saved:
                    optimizer.state[param]["step"] = saved["step"].to(param.device)
        if rest:
            raise ValueError(f"the saved state holds unknown entries: {', '.join(sorted(rest)[:3])}")
        self.moves = moves


def _check(step: Step) -> None:
    """What can be said of turns and optimisers before anything runs."""
    names = set(step.nets.keys())
    moving = {name for turn in step.turns for name in turn.nets}
    if moving - names:
        raise ValueError(f"turns name {sorted(moving - names)}; networks() builds {sorted(names)}")
    if moving != set(step.specs):
        raise ValueError(f"turns move {sorted(moving)} but optimizers() names {sorted(step.specs)}: they must agree")
    owner: dict[int, str] = {}
    for name, net in step.nets.items():
        for param in net.parameters():
            if owner.setdefault(id(param), name) != name:
                raise ValueError(f"{owner[id(param)]} and {name} share a parameter: each must belong to one network")
    pieces = step.ranks.world * step.micro_batches
    if step.batch_size % pieces:
        raise ValueError(
            f"batch size {step.batch_size} cannot be split over {step.ranks.world} ranks x {step.micro_batches} "
            f"micro-batches: choose a multiple of {pieces}"
        )


def _default_generator(device: torch.device) -> torch.Generator:
    """The generator that dropout and the like draw from on that device."""
    if device.type == "cuda":
        torch.cuda.init()
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator


def _split(batch: Batch, parts: int) -> Iterator[Batch]:
    if parts == 1:
        yield batch
        return
    rows = {k: v.shape[0] // parts for k, v in batch.items() if v.dim()}
    for i in range(parts):
        yield {k: v[i * rows[k] : (i + 1) * rows[k]] if v.dim() else v for k, v in batch.items()}


@contextlib.contextmanager
def _scaled(optimizer: torch.optim.Optimizer, rate: float) -> Generator[None]:
    """Within this, the step size is `rate` times what it is outside."""
    if rate == 1.0:
        yield
        return
    kept = [g["lr"].clone() if isinstance(g["lr"], Tensor) else g["lr"] for g in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] *= rate  # a tensor in place
    yield
    for group, lr in zip(optimizer.param_groups, kept, strict=True):
        if isinstance(lr, Tensor):
            group["lr"].copy_(lr)
        else:
            group["lr"] = lr


def _set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr
