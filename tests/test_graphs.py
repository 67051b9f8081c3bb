"""Static, captured and compiled steps equal the eager ones."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from gansmith.nets.dropout import Dropout
from gansmith.penalties import scored, squared_norm
from gansmith.recipe import Batch, DataSpec, Ramp, Recipe, Terms, Turn
from gansmith.step.graphs import Static, compile_losses, quick
from gansmith.step.ranks import Setting
from gansmith.step.step import Step
from test_step import Tiny, batches, build, same, weights


@dataclass(frozen=True, kw_only=True)
class Lazy(Tiny):
    """A dropout of ours, critic moves, a penalty with double backward every third step, D's moments anew at 2."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        return {
            "G": nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2)),
            "D": nn.Sequential(nn.Linear(2, 8), nn.Tanh(), Dropout(0.5), nn.Linear(8, 1)),
        }

    def turns(self) -> tuple[Turn, ...]:
        d, g = Tiny.turns(self)
        return (d, Turn(("D",), self.slope, every=3, start=2, fresh=True), g)

    def slope(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        return {"slope": squared_norm(scored(nets["D"], batch["x"])[1]).mean() * (1 + batch["images"] / 100)}


LAZY = Lazy(lr=Ramp(1e-2, 1e-3, 100), repeat=2)


def silent(text: str) -> None:
    raise AssertionError(text)


def static(step: Step) -> Static:
    return Static(step, silent, capture=False)


@pytest.mark.parametrize("micro_batches", [1, 2])
def test_static_steps_equal_eager_ones_to_the_bit(micro_batches: int) -> None:
    eager, other = build(LAZY, micro_batches=micro_batches), build(LAZY, micro_batches=micro_batches)
    taker = static(other)
    for k in range(8):
        a, b = eager.take(k, batches()), taker.take(k, batches())
        assert {n: float(t) for n, t in a.items()} == {n: float(t) for n, t in b.items()}, k
        assert same(weights(eager), weights(other)), k
        torch.rand(3)  # what is drawn outside is of no consequence
    assert eager.moves == other.moves
    assert len(taker.plans) == 2, "one for the steps with the penalty, one for the others"


def test_nothing_that_changes_is_outside_the_static_tensors() -> None:
    """A plan run again over the same static tensors does the same; so no number of the host goes into it."""
    step = build(LAZY)
    taker = static(step)
    for k in range(5):
        taker.take(k, batches())
    plan = taker.plans[tuple(step.due(4))]
    places = [t.data_ptr() for m in plan.moves for t in m.batch.values()]
    before = {n: v.clone() for n, v in step.state().items()}
    taker._run(plan)
    once = weights(step)
    step.load_state(before, step.moves)
    step.seed, step.batch_size = 99, 16
    torch.manual_seed(7)
    taker._run(plan)
    assert same(once, weights(step))
    taker.take(5, batches())
    assert places == [t.data_ptr() for m in plan.moves for t in m.batch.values()]


def test_a_loss_that_draws_elsewhere_is_taken_eagerly_and_why_is_said_once() -> None:
    said: list[str] = []
    eager, step = build(Tiny(dropout=0.5)), build(Tiny(dropout=0.5))  # torch.nn.Dropout
    taker = Static(step, said.append, capture=False)
    for k in range(3):
        eager.take(k, batches())
        taker.take(k, batches())
    assert same(weights(eager), weights(step))
    assert len(said) == 1 and "global generator" in said[0]


def test_what_cannot_be_captured_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    step = build()
    assert quick(step, "auto", silent) == step.take and quick(step, "off", silent) == step.take
    assert quick(step, "capture", said.append) == step.take and "only a GPU" in said[0]

    class Own(Step):
        def take(self, step: int, batches: object) -> Terms:
            return {}

    recipe = Tiny()
    own = Own(step.nets, recipe.turns(), recipe.optimizers(), ("G",), recipe.average(), seed=0, batch_size=4)
    assert quick(own, "compile", said.append) == own.take and "step of its own" in said[1]


@pytest.mark.filterwarnings("ignore")  # of the compiler, in which they would be errors
def test_compiled_losses_equal_eager_ones() -> None:
    """By the compiler's front end and automatic differentiation; generated code needs a C++ compiler and minutes."""
    said: list[str] = []
    eager, step = build(LAZY), build(LAZY)
    compile_losses(step, said.append, backend="aot_eager")
    for k in range(4):
        a, b = eager.take(k, batches()), step.take(k, batches())
        for name, term in a.items():
            torch.testing.assert_close(b[name], term, rtol=1e-5, atol=1e-6)
    for x, y in zip(weights(eager), weights(step), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)
    assert len(said) == 1 and "double backward" in said[0], "the penalty stays eager, which is said"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("recipe", [Tiny(), LAZY])
def test_captured_steps_equal_eager_ones(recipe: Recipe) -> None:
    setting = Setting("cuda:0")
    eager, step = build(recipe, setting=setting), build(recipe, setting=setting)
    taker = Static(step, silent, capture=True)

    def fed(k: int) -> Batch:
        return {name: t.cuda() for name, t in batches()(k).items()}

    for k in range(8):
        a, b = eager.take(k, fed), taker.take(k, fed)
        for name, term in a.items():
            torch.testing.assert_close(b[name], term, rtol=1e-5, atol=1e-6)
    assert all(plan.graph is not None for plan in taker.plans.values())
    for x, y in zip(weights(eager), weights(step), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)
