"""The step: whose turn it is, exact randomness, averages, micro-batches, ranks."""

import copy
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gansmith.data import DataSpec, VectorCodec
from gansmith.penalties import scored, squared_norm
from gansmith.recipe import EMPTY, Adam, Average, Batch, Ramp, Recipe, Terms, Turn, noise, uniform
from gansmith.step.randomness import Stream, derive, draws
from gansmith.step.ranks import Ranks, Setting  # noqa: F401  (the ranks' script uses Ranks)
from gansmith.step.step import Step

SPEC = DataSpec(kind="vector", shape=(2,), codec=VectorCodec(mean=(0.0, 0.0)))


@dataclass(frozen=True, kw_only=True)
class Tiny(Recipe):
    kinds = frozenset({"vector"})
    lr: float | Ramp = 1e-2
    repeat: int = 1
    dropout: float = 0.0

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        return {
            "G": nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)),
            "D": nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Dropout(self.dropout), nn.Linear(8, 1)),
        }

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr), "D": Adam(self.lr, betas=(0, 0.9))}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.d_loss, repeat=self.repeat), Turn(("G",), self.g_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, 3))

    def d_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        with torch.no_grad():
            fake = self.sample(nets, len(batch["x"]))
        between = fake + uniform(fake, len(fake), 1) * (batch["x"] - fake)
        return {
            "gap": nets["D"](fake).mean() - nets["D"](batch["x"]).mean(),
            "pull": nets["D"](between).square().mean(),
        }

    def g_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        return {"score": -nets["D"](self.sample(nets, len(batch["x"]))).mean()}


def build(recipe: Recipe | None = None, dtype: torch.dtype = torch.float32, **options: object) -> Step:
    recipe = recipe or Tiny()
    torch.manual_seed(0)
    nets = nn.ModuleDict(recipe.networks(SPEC)).to(dtype)
    arguments = {"seed": 1, "batch_size": 16} | options
    return Step(nets, recipe.turns(), recipe.optimizers(), recipe.serving, recipe.average(), **arguments)  # type: ignore[arg-type]


def batches(size: int = 16, dtype: torch.dtype = torch.float32, part: slice = slice(None)):
    def batch(k: int) -> Batch:
        return {"x": torch.randn(size, 2, generator=torch.Generator().manual_seed(k)).to(dtype)[part]}

    return batch


def weights(step: Step) -> list[Tensor]:
    return [v.clone() for v in step.state().values()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_rate_of_a_turn_scales_its_moves_and_no_others() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Slow(Tiny):
        rate: float = 1.0

        def turns(self) -> tuple[Turn, ...]:
            return (Turn(("G",), self.g_loss, rate=self.rate, stop=1), Turn(("D",), self.d_loss, start=1))

    moved = []
    for rate in (1.0, 0.25):
        step = build(Slow(rate=rate), torch.float64)
        before = [p.clone() for p in step.nets["G"].parameters()]
        step.take(0, batches(dtype=torch.float64))
        moved.append([p - b for p, b in zip(step.nets["G"].parameters(), before, strict=True)])
        assert [g["lr"] for o in step.optimizers.values() for g in o.param_groups] == [1e-2, 1e-2]
    for full, part in zip(*moved, strict=True):
        assert full.abs().max() > 0
        torch.testing.assert_close(part, 0.25 * full)


@pytest.mark.parametrize("fresh", [True, False])
def test_a_fresh_stage_forgets_what_the_optimisers_gathered_before_it(fresh: bool) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Staged(Tiny):
        def turns(self) -> tuple[Turn, ...]:
            return (
                Turn(("G",), self.g_loss, stop=4),
                Turn(("G",), self.g_loss, start=4, fresh=fresh),
                Turn(("D",), self.d_loss),
            )

    step, other = build(Staged(), torch.float64), build(Staged(), torch.float64)
    for k in range(4):
        step.take(k, batches(dtype=torch.float64))
    # The same weights with the moments of D alone are a stage that begins with a new optimiser of G.
    other.load_state({k: v for k, v in step.state().items() if not k.startswith("optimizer.G")}, step.moves)
    for k in range(4, 7):
        step.take(k, batches(dtype=torch.float64))
        other.take(k, batches(dtype=torch.float64))
    assert same(weights(step), weights(other)) is fresh


def test_two_runs_are_equal_to_the_bit_and_another_seed_is_not() -> None:
    states = []
    for seed in (1, 1, 2):
        step = build(Tiny(dropout=0.5), seed=seed)
        for k in range(5):
            step.take(k, batches())
        states.append(weights(step))
    assert same(states[0], states[1])
    assert not same(states[0], states[2])


def test_a_step_does_not_depend_on_what_was_drawn_outside_it() -> None:
    one, two = build(Tiny(dropout=0.5)), build(Tiny(dropout=0.5))
    for k in range(3):
        one.take(k, batches())
        torch.randn(7 * k + 1)
        two.take(k, batches())
    assert same(weights(one), weights(two))


def test_state_restores_to_the_bit() -> None:
    whole = build(Tiny(dropout=0.5, lr=Ramp(1e-2, 1e-3, 100)))
    for k in range(6):
        whole.take(k, batches())
        if k == 2:
            saved, moves = {n: v.clone() for n, v in whole.state().items()}, whole.moves
    again = build(Tiny(dropout=0.5, lr=Ramp(1e-2, 1e-3, 100)))
    again.load_state(saved, moves)
    for k in range(3, 6):
        again.take(k, batches())
    assert same(weights(whole), weights(again))


def test_state_of_other_networks_is_refused() -> None:
    step = build()
    state = {n: v.clone() for n, v in step.state().items()}
    with pytest.raises(ValueError, match="do not fit"):
        step.load_state({k: v for k, v in state.items() if k != "nets.G.0.weight"}, 0)
    with pytest.raises(ValueError, match="unknown"):
        step.load_state({**state, "extra": torch.zeros(1)}, 0)


def test_each_move_draws_a_fresh_batch() -> None:
    asked: list[int] = []

    def feed(k: int) -> Batch:
        asked.append(k)
        return batches()(k)

    step = build(Tiny(repeat=3))
    step.take(0, feed)
    step.take(1, feed)
    assert asked == list(range(8))


def test_turns_are_due_as_declared() -> None:
    turn = Turn(("D",), lambda nets, batch: {}, every=4, start=3, stop=12)
    assert [k for k in range(20) if turn.due(k)] == [4, 8]


def test_micro_batches_give_the_gradients_of_the_whole() -> None:
    whole, split = build(dtype=torch.float64), build(dtype=torch.float64, micro_batches=4)
    for k in range(3):
        a = whole.take(k, batches(dtype=torch.float64))
        b = split.take(k, batches(dtype=torch.float64))
        for name, term in a.items():
            torch.testing.assert_close(b[name], term, rtol=1e-12, atol=1e-14)
    for x, y in zip(weights(whole), weights(split), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-12)


def test_two_ranks_equal_one(tmp_path: Path) -> None:
    """Two gloo processes on halves of each batch against one process on the whole, in float64."""
    script = tmp_path / "rank.py"
    script.write_text(
        f"import sys, torch; sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "from test_step import *\n"
        "torch.distributed.init_process_group('gloo')\n"
        "r = torch.distributed.get_rank()\n"
        "step = build(dtype=torch.float64, ranks=Ranks(r, 2))\n"
        "for k in range(5):\n"
        "    step.take(k, batches(dtype=torch.float64, part=slice(8 * r, 8 * r + 8)))\n"
        f"torch.save(step.state(), {str(tmp_path)!r} + f'/{{r}}.pt')\n"
        "torch.distributed.barrier(); torch.distributed.destroy_process_group()\n"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (tmp_path / "1.pt").exists(), done.stderr
    one = build(dtype=torch.float64)
    for k in range(5):
        one.take(k, batches(dtype=torch.float64))
    for r in range(2):
        for name, value in torch.load(tmp_path / f"{r}.pt", weights_only=True).items():
            torch.testing.assert_close(value, one.state()[name], rtol=1e-9, atol=1e-12, msg=f"{name} of rank {r}")


def test_draws_of_ranks_join_to_the_common_draw() -> None:
    like = torch.zeros(1, dtype=torch.float64)

    def slice_of(part: int, parts: int, n: int) -> Tensor:
        with draws(Stream(torch.Generator().manual_seed(5), part, parts)):
            return uniform(like, n, 3)

    assert torch.equal(torch.cat([slice_of(p, 4, 2) for p in range(4)]), slice_of(0, 1, 8))


def test_the_average_is_the_closed_form() -> None:
    """With half-life h the average after steps 1..n is the recursion of its definition."""
    step = build()
    step.decay = Average(half_life=40, rampup=0.5)
    expected = step.nets["G"][0].weight.detach().double().clone()  # type: ignore[index]
    for k in range(8):
        step.take(k, batches())
        images = 16 * (k + 1)
        keep = 0.5 ** (16 / min(40, 0.5 * images))
        live = step.nets["G"][0].weight.detach().double()  # type: ignore[index]
        expected = keep * expected + (1 - keep) * live
    found = step.average["G"][0].weight.double()  # type: ignore[index]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_half_life_halves() -> None:
    average = Average(half_life=1_000, rampup=1.0)
    assert math.prod(average.decay(images, 10) for images in range(2_000, 3_000, 10)) == pytest.approx(0.5)
    assert Average(rampup=0.05).decay(0, 64) == 0.0


def test_ramp_is_half_a_cosine() -> None:
    ramp = Ramp(1.0, 0.2, 100)
    assert (ramp(0), ramp(50), ramp(100), ramp(500)) == pytest.approx((1.0, 0.6, 0.2, 0.2))
    for images in (0.0, 30.0, 100.0, 400.0):
        assert float(ramp.at(torch.tensor(images))) == pytest.approx(ramp(images), rel=1e-5)


def test_a_ramp_moves_the_learning_rate() -> None:
    step = build(Tiny(lr=Ramp(1e-2, 1e-4, 32)))
    rates = []
    for k in range(4):
        step.take(k, batches())
        rates.append(step.optimizers["G"].param_groups[0]["lr"])
    assert rates == pytest.approx([1e-2, (1e-2 + 1e-4) / 2, 1e-4, 1e-4])


def test_seeds_of_different_purposes_differ() -> None:
    assert len({derive(0, *p) for p in [(), (0,), ("0",), (0, 1), (1, 0), ("sample", 0)]} | {derive(1)}) == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"turns": (Turn(("X",), lambda n, b: {}),)}, "turns name"),
        ({"optimizers": {"G": Adam(1e-3)}}, "must agree"),
        ({"batch_size": 10, "micro_batches": 4}, "cannot be split"),
    ],
)
def test_a_wrong_recipe_is_refused_before_it_runs(change: dict[str, object], message: str) -> None:
    recipe = Tiny()
    nets = nn.ModuleDict(recipe.networks(SPEC))
    parts: dict[str, object] = {
        "nets": nets,
        "turns": recipe.turns(),
        "optimizers": recipe.optimizers(),
        "averaged": ("G",),
        "average": Average(),
        "seed": 0,
        "batch_size": 16,
    }
    with pytest.raises(ValueError, match=message):
        Step(**(parts | change))  # type: ignore[arg-type]


def test_shared_parameters_are_refused() -> None:
    recipe = Tiny()
    nets = nn.ModuleDict(recipe.networks(SPEC))
    nets["D"].extra = nets["G"][0]  # type: ignore[index]
    with pytest.raises(ValueError, match="share a parameter"):
        Step(nets, recipe.turns(), recipe.optimizers(), ("G",), Average(), seed=0, batch_size=4)


def test_a_loss_that_reaches_none_of_its_networks_raises() -> None:
    recipe = Tiny()
    nets = nn.ModuleDict(recipe.networks(SPEC))
    wrong = (Turn(("D",), recipe.g_loss), Turn(("G",), lambda n, b: {"d": n["D"](b["x"]).mean()}))
    step = Step(nets, wrong, recipe.optimizers(), ("G",), Average(), seed=0, batch_size=16)
    with pytest.raises(ValueError, match="depends on G"):
        step.take(0, batches())


def test_frozen_networks_stay_in_eval_and_still() -> None:
    recipe = Tiny()
    nets = nn.ModuleDict(recipe.networks(SPEC) | {"F": nn.Sequential(nn.Linear(2, 2), nn.Dropout())})
    before = nets["F"][0].weight.clone()  # type: ignore[index]
    step = Step(nets, recipe.turns(), recipe.optimizers(), ("G",), Average(), seed=0, batch_size=16)
    step.take(0, batches())
    assert not nets["F"].training and torch.equal(before, nets["F"][0].weight)  # type: ignore[index]


def test_bf16_keeps_weights_and_terms_near_float32() -> None:
    plain, half = build(), build(setting=Setting(precision="bf16"))
    a, b = plain.take(0, batches()), half.take(0, batches())
    for name in a:
        torch.testing.assert_close(a[name].float(), b[name].float(), rtol=0.05, atol=0.02)
    assert all(p.dtype == torch.float32 for p in half.nets.parameters())


@pytest.mark.parametrize("channels_last", [False, True])
def test_adam_moves_each_weight_by_its_own_gradient(channels_last: bool) -> None:
    """Gradients of double backward may lie in memory in another order than their weights; fused Adam ignores it."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 16, 4, 2, 1), nn.Flatten())
    net.append(nn.Linear(16 * 4 * 4, 1))
    start = copy.deepcopy(net)
    x = torch.randn(8, 3, 16, 16)

    def loss(nets: nn.ModuleDict, batch: Batch) -> Terms:
        scores, slope = scored(nets["D"], batch["x"])
        return {"score": scores.mean(), "penalty": squared_norm(slope).mean()}

    adam = Adam(0.01, (0.5, 0.9))
    setting = Setting(channels_last=channels_last)
    turn = Turn(("D",), loss)
    nets = nn.ModuleDict({"D": net})
    step = Step(nets, (turn,), {"D": adam}, (), Average(), seed=0, batch_size=8, setting=setting)
    plain = torch.optim.Adam(start.parameters(), 0.01, (0.5, 0.9), foreach=False)
    for k in range(3):
        step.take(k, lambda _: {"x": x})
        plain.zero_grad()
        terms = loss(nn.ModuleDict({"D": start}), {"x": x})
        (terms["score"] + terms["penalty"]).backward()
        plain.step()
    for ours, theirs in zip(net.parameters(), start.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
