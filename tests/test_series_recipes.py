"""The contract of `test_contract.py` for recipes of series, and what they promise beside it."""

import dataclasses
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gansmith.data import Column, DataSpec
from gansmith.data.kinds.series.codec import SeriesCodec, stored_lengths
from gansmith.model.draw import draw_samples
from gansmith.nets.recurrent import GRU
from gansmith.nets.series import Doppelganger
from gansmith.recipe import Batch, Recipe, load_recipe
from gansmith.recipes.doppelganger import DoppelGANger
from gansmith.recipes.timegan import TimeGAN
from gansmith.step import Ranks
from gansmith.step.graphs import Static
from test_contract import equal, params, perturbed, step_of

BATCH = 24
NAMES = ("timegan", "doppelganger")
SMALL: dict[str, Any] = {"embedding_steps": 1, "supervised_steps": 1, "hidden": 6, "layers": 2, "rests_below": 1.5}
SMALL |= {"width": 8, "cell": 7, "d_width": 12, "together": 3, "lr": 2e-4}


def rows(holes: bool) -> np.ndarray:
    """Stored series: one number of one length; or numbers, categories, static ones, gaps and lengths of 1 to 8."""
    random = np.random.default_rng(0)
    walk = random.normal(size=(80, 8)).cumsum(1)
    if not holes:
        return walk[..., None]
    state, sex, age = random.integers(0, 3, (80, 8)), random.integers(0, 2, (80, 1)), random.integers(9, 60, (80, 1))
    raw = np.stack((walk, state, sex.repeat(8, 1), age.repeat(8, 1)), 2).astype(np.float64)
    raw[..., :2][random.random((80, 8, 2)) < 0.1] = np.nan
    raw[:, :, 3][random.random(80) < 0.2] = np.nan
    raw[np.arange(8) >= random.integers(1, 9, (80, 1))] = np.nan
    return raw


def spec_of(raw: np.ndarray) -> DataSpec:
    cells = raw[~np.isnan(raw).all(2)]
    gone = np.isnan(cells).sum(0).tolist()
    given: list[dict[str, Any]] = [
        {"type": "continuous"},
        {"type": "category", "values": ("a", "b", "c"), "encoding": "onehot"},
        {"type": "category", "values": ("f", "m"), "encoding": "onehot"},
        {"type": "integer", "step": 1.0},
    ]
    columns = tuple(
        Column(
            name=f"c{i}",
            low=float(np.nanmin(cells[:, i])),
            high=float(np.nanmax(cells[:, i])),
            missing=gone[i],
            counts=tuple(int((cells[:, i] == k).sum()) for k in range(len(given[i].get("values", "1")))),
            **given[i],
        )
        for i in range(raw.shape[2])
    )
    codec = SeriesCodec(columns=columns, static=(False, False, True, True)[: raw.shape[2]])
    return DataSpec(kind="series", shape=codec.shape(raw.shape[1:]), codec=codec)  # type: ignore[arg-type]


ROWS = {"plain": rows(False), "mixed": rows(True)}


@pytest.fixture(params=[(n, s) for n in NAMES for s in ROWS], ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


def tiny(name: str, **changes: Any) -> Recipe:
    kind = load_recipe(name)
    fields = {f.name for f in dataclasses.fields(kind)}
    return kind(**({k: v for k, v in SMALL.items() if k in fields} | changes))


def fitted(recipe: Recipe, which: str) -> DataSpec:
    spec = spec_of(ROWS[which])
    codec = recipe.codec(spec, {"x": ROWS[which]})
    return dataclasses.replace(spec, codec=codec, shape=codec.shape(ROWS[which].shape[1:]))


def feed(
    spec: DataSpec, which: str, dtype: torch.dtype = torch.float32, part: slice = slice(None)
) -> Callable[[int], Batch]:
    def batch(k: int) -> Batch:
        picked = torch.randint(0, 80, (BATCH,), generator=torch.Generator().manual_seed(k)).numpy()
        return {"x": spec.codec.encode(torch.from_numpy(ROWS[which][picked])).to(dtype)[part]}

    return batch


def started(case: tuple[str, str], steps: int, **options: Any) -> tuple[Recipe, DataSpec, Any]:
    recipe = tiny(case[0])
    spec = fitted(recipe, case[1])
    step = step_of(recipe, spec, **options)
    for k in range(steps):
        step.take(k, feed(spec, case[1]))
    return recipe, spec, step


def told(spec: DataSpec, which: str) -> Batch:
    return {**feed(spec, which)(9), "step": torch.tensor(4.0), "images": torch.tensor(96.0)}


def test_1_builds_and_four_steps_are_finite(case: tuple[str, str]) -> None:
    recipe, spec, step = started(case, 0)
    assert recipe.kinds == {"series"}
    seen: set[str] = set()
    for k in range(4):
        terms = step.take(k, feed(spec, case[1]))
        assert terms and all(t.dim() == 0 and torch.isfinite(t) for t in terms.values()), terms
        seen |= terms.keys()
    assert {key.split("/")[0] for key in seen} == {turn.name for turn in recipe.turns()}
    assert all(torch.isfinite(v).all() for v in step.state().values())


def test_2_each_turn_moves_all_of_its_networks_and_no_other(case: tuple[str, str]) -> None:
    _, spec, step = started(case, 4)
    moved: dict[str, set[str]] = {role: set() for role in step.specs}
    for turn in step.turns:
        before = {role: params(step, role) for role in step.nets}
        step.move(turn, told(spec, case[1]), 5)
        for role in step.nets:
            after = params(step, role)
            if role not in turn.nets:
                assert equal(before[role], after), f"the turn of {turn.name} moved {role}"
                continue
            named = zip(step.nets[role].named_parameters(), before[role], after, strict=True)
            found = {key for (key, _), a, b in named if not torch.equal(a, b)}
            assert found, f"the turn of {turn.name} left {role} where it was"
            moved[role] |= found
    for role, keys in moved.items():
        still = [k for k, p in step.nets[role].named_parameters() if k not in keys and p.numel() > 1]
        assert not still, f"no turn of {role} moved its {still}"


def test_2_each_term_has_a_gradient_to_a_moving_network(case: tuple[str, str]) -> None:
    _, spec, step = started(case, 4)
    for turn in step.turns:
        moving = [p for role in turn.nets for p in step.nets[role].parameters()]
        for term in turn.loss(step.nets, told(spec, case[1])):
            value = turn.loss(step.nets, told(spec, case[1]))[term]
            found = torch.autograd.grad(value, moving, allow_unused=True)
            assert any(g is not None and bool(g.abs().sum() > 0) for g in found), f"{turn.name}/{term} moves nothing"


def fingerprint(recipe: Recipe, which: str) -> str:
    spec = fitted(recipe, which)
    step = step_of(recipe, spec)
    told_of = [
        [(t.nets, t.repeat, t.every, t.start, t.stop, t.rate, t.fresh) for t in recipe.turns()],
        *(recipe.optimizers(), recipe.average(), recipe.draw(), spec.codec.to_json()),
    ]
    digest = hashlib.sha256(repr(told_of).encode())
    for k in range(4):
        step.take(k, feed(spec, which))
    for tensor in step.state().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("name", NAMES)
def test_3_no_knob_is_dead(name: str) -> None:
    recipe = tiny(name)
    whole = fingerprint(recipe, "mixed")
    for field in dataclasses.fields(recipe):
        new = perturbed(getattr(recipe, field.name))
        changed = dataclasses.replace(recipe, **{field.name: new})
        assert fingerprint(changed, "mixed") != whole, f"changing {field.name} to {new} changes nothing"


def test_4_samples_have_shape_range_and_repeat_from_a_seed(case: tuple[str, str]) -> None:
    recipe, spec, step = started(case, 3)
    assert isinstance(spec.codec, SeriesCodec)
    for nets in (step.average, step.nets):
        samples = draw_samples(recipe, nets, 70, 3)
        assert samples.shape == (70, *spec.shape) and samples.dtype == torch.float32
        assert samples.abs().max() <= 1 and torch.isfinite(samples).all()
        decoded = spec.codec.decode(samples)
        assert decoded.shape == (70, *ROWS[case[1]].shape[1:])
        assert stored_lengths(decoded).tolist() == spec.codec.lengths(samples).tolist()
        assert torch.equal(samples, draw_samples(recipe, nets, 70, 3))
        assert not torch.equal(samples, draw_samples(recipe, nets, 70, 4))
        torch.testing.assert_close(samples[:5], draw_samples(recipe, nets, 5, 3), rtol=1e-3, atol=1e-5)
    assert step.nets.training


def test_5_state_restores_to_the_bit_in_every_stage(case: tuple[str, str]) -> None:
    for begun in (1, 2, 3, 4):
        _, spec, one = started(case, begun)
        two = started(case, 0)[2]
        two.load_state({k: v.clone() for k, v in one.state().items()}, one.moves)
        for k in range(begun, begun + 3):
            a, b = (step.take(k, feed(spec, case[1])) for step in (one, two))
            assert {k: float(v) for k, v in a.items()} == {k: float(v) for k, v in b.items()}
        assert equal(list(one.state().values()), list(two.state().values()))


def test_7_steps_over_static_tensors_equal_eager_ones(case: tuple[str, str]) -> None:
    _, spec, eager = started(case, 0)
    step = started(case, 0)[2]
    said: list[str] = []
    taker = Static(step, said.append, capture=False)
    for k in range(5):
        a, b = eager.take(k, feed(spec, case[1])), taker.take(k, feed(spec, case[1]))
        assert {key: float(v) for key, v in a.items()} == {key: float(v) for key, v in b.items()}
    assert equal(list(eager.state().values()), list(step.state().values())) and not said


def test_9_in_bfloat16_losses_are_finite_and_gradients_point_the_same_way(case: tuple[str, str]) -> None:
    recipe, spec, step = started(case, 3)
    for turn in step.turns:
        moving = [p for role in turn.nets for p in step.params[role]]
        found: list[Tensor] = []
        for precision in ("fp32", "bf16"):
            step.setting = dataclasses.replace(step.setting, precision=precision)
            total: list[Tensor] = []
            step._gradients(turn, told(spec, case[1]), step.stream(5, 0), moving, total)
            found.append(torch.cat([g.flatten().float() for g in total]))
        assert torch.nn.functional.cosine_similarity(*found, dim=0) > 0.85
    for k in range(3, 6):
        terms = step.take(k, feed(spec, case[1]))
        assert all(torch.isfinite(t) for t in terms.values())
    with step.setting.autocast():
        made = recipe.sample(step.nets, 4)
    assert made.dtype == torch.float32 and torch.isfinite(made).all()


def state_after(name: str, rank: int | None) -> dict[str, Tensor]:
    """After four steps in float64: of the whole batch, or of one rank of two with its half."""
    recipe = tiny(name)
    spec = fitted(recipe, "mixed")
    ranks = Ranks() if rank is None else Ranks(rank, 2)
    part = slice(None) if rank is None else slice(rank * BATCH // 2, (rank + 1) * BATCH // 2)
    step = step_of(recipe, spec, torch.float64, ranks=ranks)
    for k in range(4):
        step.take(k, feed(spec, "mixed", torch.float64, part))
    return step.state()


RANKS = """
import sys
sys.path[:0] = [{tests!r}]
import torch
from test_series_recipes import NAMES, state_after
torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()
for name in NAMES:
    torch.save(state_after(name, rank), f"{folder}/{{name}}.{{rank}}")
torch.distributed.destroy_process_group()
"""


def test_8_two_ranks_equal_one(tmp_path: Path) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(RANKS.format(tests=str(Path(__file__).parent), folder=tmp_path))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", str(script)]
    run = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr[-4_000:]
    for name in NAMES:
        whole = state_after(name, None)
        for rank in range(2):
            found = torch.load(tmp_path / f"{name}.{rank}", weights_only=True)
            assert found.keys() == whole.keys()
            for key, value in found.items():
                torch.testing.assert_close(value, whole[key], rtol=1e-7, atol=1e-10, msg=f"{name} {key} {rank}")


# --- what belongs to these alone --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [1, 3])
def test_the_gru_is_that_of_pytorch(layers: int) -> None:
    torch.manual_seed(0)
    net = GRU(4, 5, layers).double()
    x = torch.randn(3, 6, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(net(x), net.net(x)[0], rtol=1e-12, atol=1e-14)
    found, expected = (
        torch.autograd.grad((made * weight).sum(), [x, *net.parameters()]) for made in (net(x), net.net(x)[0])
    )
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)


def test_the_stages_of_timegan_are_those_of_the_paper() -> None:
    recipe = TimeGAN(embedding_steps=10, supervised_steps=5)

    def movers(step: int) -> list[str]:
        return [turn.name for turn in recipe.turns() for _ in range(turn.repeat) if turn.due(step)]

    assert movers(0) == movers(9) == ["E+R"]
    assert movers(10) == movers(14) == ["S"]
    assert movers(15) == movers(99) == ["G+S", "G+S", "E+R", "E+R", "D"]


def test_timegans_losses_are_those_of_the_paper() -> None:
    """Each term against the paper's formula, written once more with D's probabilities and all means spelt out."""
    _, spec, step = started(("timegan", "mixed"), 3)
    recipe, nets = tiny("timegan", gamma=0.5), step.nets
    batch = feed(spec, "mixed")(1)
    unit = nets["R"].unit(batch["x"])
    assert unit.min() == 0 and unit.max() == 1
    h = nets["E"](unit)
    restored, led = ((nets["R"](h) - unit) ** 2).mean(), ((nets["S"](h)[:, :-1] - h[:, 1:]) ** 2).mean()
    found = recipe.embedding_loss(nets, batch)
    torch.testing.assert_close(found["restored"], 10 * restored**0.5)
    torch.testing.assert_close(found["next"], 0.1 * led)
    torch.testing.assert_close(recipe.supervisor_loss(nets, batch)["next"], led)
    torch.testing.assert_close(recipe.autoencoder_loss(nets, batch)["restored"], 10 * restored**0.5)
    torch.manual_seed(3)
    written = recipe.written(nets, len(unit))
    made = nets["R"](nets["S"](written))
    chances = [nets["D"](codes).sigmoid() for codes in (h, nets["S"](written), written)]
    torch.manual_seed(3)
    found = recipe.generator_loss(nets, batch)
    torch.testing.assert_close(found["fool"], -chances[1].log().mean())
    torch.testing.assert_close(found["direct"], -0.5 * chances[2].log().mean())
    torch.testing.assert_close(found["next"], 100 * led**0.5)
    spread = [((x - x.mean(0)) ** 2).mean(0).add(1e-6).sqrt() for x in (made, unit)]
    moments = (spread[0] - spread[1]).abs().mean() + (made.mean(0) - unit.mean(0)).abs().mean()
    torch.testing.assert_close(found["moments"], 100 * moments)
    torch.manual_seed(3)
    found = recipe.discriminator_loss(nets, batch)
    expected = -chances[0].log().mean(), -(1 - chances[1]).log().mean(), -0.5 * (1 - chances[2]).log().mean()
    torch.testing.assert_close(torch.stack([found[k] for k in ("real", "fake", "direct")]), torch.stack(expected))


def test_timegans_discriminator_rests_while_its_loss_is_small() -> None:
    _, spec, step = started(("timegan", "mixed"), 3)
    batch = feed(spec, "mixed")(1)
    moving = list(step.nets["D"].parameters())
    for below, rests in ((1.0, False), (5.0, True)):
        terms = tiny("timegan", rests_below=below).discriminator_loss(step.nets, batch)
        found = torch.autograd.grad(torch.stack(list(terms.values())).sum(), moving)
        assert all(bool((g == 0).all()) for g in found) == rests


def test_doppelganger_of_nothing_that_holds_for_a_whole_series() -> None:
    recipe = tiny("doppelganger", own_range=False)
    spec = fitted(recipe, "plain")
    step = step_of(recipe, spec)
    for k in range(2):
        assert all(torch.isfinite(t) for t in step.take(k, feed(spec, "plain")).values())
    assert draw_samples(recipe, step.nets, 5, 0).shape == (5, *spec.shape)


@pytest.mark.parametrize("together", [1, 3, 8])
def test_doppelgangers_series_are_judged_as_they_are_encoded(together: int) -> None:
    """D sees G's own series as it sees the same ones encoded, but for soft flags; of dead steps nothing is left."""
    recipe = tiny("doppelganger", together=together)
    spec = fitted(recipe, "mixed")
    torch.manual_seed(0)
    g = recipe.networks(spec)["G"]
    assert isinstance(g, Doppelganger) and isinstance(spec.codec, SeriesCodec)
    with torch.no_grad():
        g.head.weight.mul_(20)
        g.head.bias.view(together, -1)[:, -2] += 4.0
        attributes, channels, flags = g(torch.randn(400, g.num_noise))
        x = g.encoded(attributes, channels, flags)
        lengths = spec.codec.lengths(x)
        assert len(lengths.unique()) > 4 and ((x[..., -1] > 0).sum(1) == lengths).all()
        dead = torch.arange(8) >= lengths[:, None]
        assert (channels[dead] == 0).all() and (flags[dead] == 0).all()
        torch.testing.assert_close(flags[~dead].sum(1), torch.ones(int(lengths.sum())))
        hard = torch.nn.functional.one_hot(flags.argmax(2), 2) * ~dead[..., None]
        hard[:, -1] = torch.where(dead[:, -1:], 0, torch.tensor([0, 1]))  # nothing follows the last step there is
        torch.testing.assert_close(g.judged(x), g.flat(attributes, channels, hard.float()))


def test_doppelgangers_attributes_do_not_learn_from_steps() -> None:
    recipe = tiny("doppelganger")
    g = recipe.networks(fitted(recipe, "mixed"))["G"]
    assert isinstance(g, Doppelganger) and g.attributes is not None and g.range_of is not None
    attributes, channels, _ = g(torch.randn(6, g.num_noise))
    before = [*g.attributes.parameters(), *g.range_of.parameters()]
    assert all(p is None for p in torch.autograd.grad(channels.sum(), before, allow_unused=True, retain_graph=True))
    of_ranges = attributes[:, g.sizes[1] :].sum()
    assert all(not p.any() for p in torch.autograd.grad(of_ranges, list(g.attributes.parameters())))


def test_doppelganger_makes_a_fiftieth_of_a_long_series_at_once() -> None:
    raw = np.random.default_rng(0).normal(size=(4, 400, 1))
    recipe = DoppelGANger()
    spec = spec_of(raw)
    spec = dataclasses.replace(spec, codec=recipe.codec(spec, {"x": raw}), shape=(400, 4))
    g = recipe.networks(spec)["G"]
    assert isinstance(g, Doppelganger) and isinstance(g, nn.Module) and (g.together, g.turns) == (8, 50)
