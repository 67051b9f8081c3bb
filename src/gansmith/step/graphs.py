"""The fast path: a step captured as CUDA graphs, or with compiled losses, equal to the eager one.

A captured step is replayed without Python: nothing inside may depend on a number of the host. So everything that
changes from step to step is put into static tensors before it: the rows of its batches, how far training is, the
learning rates, the pull of the moving average, and all random draws (`randomness.Tape`). Turns that are due at
different steps make different patterns; each pattern is a graph of its own. The first step of a pattern is taken
eagerly, which sets up optimisers and takes down the draws; the second is captured; gradients of gradients and the
all-reduce over ranks are inside.

Where it cannot be done, the reason is printed once and steps are taken eagerly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from .randomness import Stream, Tape
from .step import Step, derive
from .turn import Batch, Terms, Turn

Mode: TypeAlias = Literal["auto", "off", "capture", "compile"]
Take: TypeAlias = Callable[[int, Callable[[int], Batch]], Terms]
Pattern: TypeAlias = tuple[tuple[int, int], ...]
"""The moves of a step: number of the turn, number of its repetition."""


def quick(step: Step, mode: Mode, say: Callable[[str], None]) -> Take:
    """How to take steps: `Step.take` or something equal to it that is faster on this device."""
    cuda = torch.device(step.setting.device).type == "cuda"
    if mode == "off" or (mode == "auto" and not cuda):
        return step.take
    if type(step).take is not Step.take or type(step).move is not Step.move:
        say("steps are taken eagerly: this recipe has a step of its own")
        return step.take
    if mode == "compile":
        compile_losses(step, say)
        return step.take
    if not cuda:
        say("steps are taken eagerly: only a GPU can capture them")
        return step.take
    return Static(step, say, capture=True).take


# --- static steps -----------------------------------------------------------------------------------------------------


@dataclass
class _Move:
    """One move of a pattern, and where what changes from step to step is kept."""

    number: int
    move: int
    batch: dict[str, Tensor]
    tapes: list[Tape] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)


@dataclass
class _Plan:
    """A step of one pattern over static tensors."""

    moves: list[_Move]
    pull: Tensor
    graph: torch.cuda.CUDAGraph | None = None
    terms: Terms = field(default_factory=dict)


class Static:
    """Takes the steps of a `Step` over static tensors, and captures them as CUDA graphs if `capture`.

    Without `capture` the same plans run eagerly, on any device: what is captured can so be tested without a GPU.
    """

    def __init__(self, step: Step, say: Callable[[str], None], *, capture: bool) -> None:
        self.step, self.say, self.capture = step, say, capture
        self.plans: dict[Pattern, _Plan] = {}
        self.eager = False
        """Whether something forbids static steps; why was said."""
        self._pool = torch.cuda.graph_pool_handle() if capture else None

    def take(self, number: int, batches: Callable[[int], Batch]) -> Terms:
        """As `Step.take`."""
        pattern = tuple(self.step.due(number))
        plan = self.plans.get(pattern)
        if self.eager or not pattern:
            return self.step.take(number, batches)
        if plan is None:
            return self._first(number, pattern, batches)
        self._load(plan, number, batches)
        if self.capture and plan.graph is None:
            self._capture(plan)
        if plan.graph is None:
            return self._run(plan, number)
        plan.graph.replay()
        return {name: term.clone() for name, term in plan.terms.items()}  # the next replay writes over them

    def _first(self, number: int, pattern: Pattern, batches: Callable[[int], Batch]) -> Terms:
        """Take the first step of a pattern eagerly, and take down what it draws."""
        if not self.capture:
            return self._taken_down(number, pattern, batches)
        side, now = torch.cuda.Stream(), torch.cuda.current_stream()
        side.wait_stream(now)
        with torch.cuda.stream(side):  # libraries set up their workspaces for a stream that is not the default one
            terms = self._taken_down(number, pattern, batches)
        now.wait_stream(side)
        return terms

    def _taken_down(self, number: int, pattern: Pattern, batches: Callable[[int], Batch]) -> Terms:
        step, logged = self.step, {}
        step.begin(number)
        moves: list[_Move] = []
        for k, repetition in pattern:
            # Clones: a batch may share its memory with the data, and these are written over.
            batch = {name: t.clone() for name, t in batches(step.moves).items()} | step.scalars(number)
            step.moves += 1
            move = _Move(k, repetition, batch)
            moves.append(move)
            seed = derive(step.seed, number, k, repetition)

            def stream(seed: int, part: int, move: _Move = move) -> Stream:
                move.tapes.append(Tape())
                made = step.stream(seed, part, move.tapes[-1])
                move.streams.append(dataclasses.replace(made, replayed=True))
                return made

            step.log(logged, k, step.move(step.turns[k], batch, seed, stream))
            if not self.eager and step.drew_elsewhere(move.streams[-1], seed):
                self._give_up(
                    f"the loss of {step.turns[k].name} draws from PyTorch's global generator; let it draw with noise, "
                    "uniform and normal of gansmith.recipe, and drop out with gansmith.nets.dropout"
                )
        step.finish(number)
        pull = torch.zeros((), device=step.setting.device, dtype=next(step.nets.parameters()).dtype)
        self.plans[pattern] = _Plan(moves, pull)
        return logged

    def _load(self, plan: _Plan, number: int, batches: Callable[[int], Batch]) -> None:
        """Put into the static tensors what this step is about."""
        step = self.step
        step.begin(number)
        plan.pull.fill_(step.pull(number))
        for move in plan.moves:
            fresh = {**batches(step.moves), **step.scalars(number)}
            step.moves += 1
            for name, tensor in fresh.items():
                move.batch[name].copy_(tensor, non_blocking=True)
            seed = derive(step.seed, number, move.number, move.move)
            for part, tape in enumerate(move.tapes):
                tape.fill(step.stream(seed, part, tape))

    def _run(self, plan: _Plan, number: int = 0) -> Terms:
        """The step itself: nothing here depends on a number of the host."""
        logged: Terms = {}
        for move in plan.moves:
            for tape in move.tapes:
                tape.rewind()
            turn = self.step.turns[move.number]
            terms = self.step.move(turn, move.batch, 0, lambda _, part, move=move: move.streams[part])
            self.step.log(logged, move.number, terms)
        self.step.finish(number, plan.pull)
        return logged

    def _capture(self, plan: _Plan) -> None:
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                plan.terms = self._run(plan)
        except RuntimeError as error:
            self._give_up(str(error).splitlines()[0])
            return
        plan.graph = graph

    def _give_up(self, reason: str) -> None:
        self.eager, self.capture = True, False
        self.say(f"steps are taken eagerly: {reason}")


# --- compiled losses --------------------------------------------------------------------------------------------------


def compile_losses(step: Step, say: Callable[[str], None], backend: str = "inductor") -> None:
    """Let `torch.compile` compile the loss of each turn of the step, in place.

    A loss that it cannot compile, or whose gradients it cannot take (those of gradients), stays as it is; the first
    reason is said.
    """
    told: list[str] = []

    def careful(turn: Turn) -> Turn:
        loss = turn.loss
        compiled = torch.compile(loss, backend=backend, dynamic=False)
        refused: list[str] = []

        def either(nets: torch.nn.ModuleDict, batch: Batch) -> Terms:
            if not refused:
                refused.append(_refused(step, turn, compiled, batch))
                if refused[0] and not told:
                    told.append(turn.name)
                    say(f"the loss of {turn.name}, and others like it, is not compiled: {refused[0]}")
            return (loss if refused[0] else compiled)(nets, batch)

        return dataclasses.replace(turn, loss=either)

    step.turns = tuple(careful(turn) for turn in step.turns)


def _refused(step: Step, turn: Turn, loss: Callable[..., Terms], batch: Batch) -> str:
    """Why the loss and its gradients cannot be had compiled; "" if they can. What the try changes is put back."""
    buffers = [(b, b.clone()) for b in step.nets.buffers()]
    own, common = step.generators()
    states = own.get_state(), common.get_state()
    try:
        total = torch.stack([term.float() for term in loss(step.nets, batch).values()]).sum()
        torch.autograd.grad(total, [p for name in turn.nets for p in step.params[name]], allow_unused=True)
    except Exception as error:  # whatever the compiler raises, the eager loss is right
        return (str(error) or type(error).__name__).splitlines()[0]
    finally:
        own.set_state(states[0])
        common.set_state(states[1])
        for buffer, before in buffers:
            buffer.data.copy_(before)
    return ""
