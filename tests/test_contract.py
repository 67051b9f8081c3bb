"""The contract that every recipe file passes: tiny networks, CPU, seconds each (items as in the design).

A recipe of your own can be put through it too: `pytest tests/test_contract.py --recipe my/own.py`.
"""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gansmith.asks import Ask, Choice, Class, Condition, Noise, Number, Numbers, Picture, Rows, Switch
from gansmith.data import ByCondition, Column, DataSpec, HeldOut, ImageCodec, TableCodec, TextCodec, VectorCodec
from gansmith.data.kinds.series.codec import SeriesCodec
from gansmith.model.draw import apply_to, draw_samples
from gansmith.model.model import Model
from gansmith.model.saved import load, save_model
from gansmith.nets.spectral import Spectral
from gansmith.recipe import Batch, Recipe, load_recipe, recipe_names
from gansmith.step import randomness
from gansmith.step.graphs import Static, quick
from gansmith.step.randomness import Stream, draws
from gansmith.step.ranks import Ranks
from gansmith.step.step import Step

BATCH = 24  # packs of 2 and 3 samples and groups of 4 divide it and its half


def two(kind: Any, a: tuple[int, ...], b: tuple[int, ...]) -> DataSpec:
    parts = {k: DataSpec(kind="image", shape=shape, codec=ImageCodec()) for k, shape in (("a", a), ("b", b))}
    return DataSpec(kind=kind, shape=b, codec=ImageCodec(), parts=parts)


def table(holes: bool) -> tuple[DataSpec, np.ndarray]:
    """A table of every type of column, and its stored rows; with missing cells or without."""
    random = np.random.default_rng(0)
    rows = np.stack(
        [
            np.concatenate((random.normal(-3, 0.2, 40), random.normal(5, 1.0, 40))),
            random.integers(0, 50, 80),
            random.integers(0, 3, 80),
            random.integers(0, 2, 80),
            86400.0 * random.integers(0, 900, 80),
            np.zeros(80),
        ],
        1,
    )
    if holes:
        rows[random.random(rows.shape) < 0.2] = np.nan
        rows[:, 5] = 0
    gone, low, high = np.isnan(rows).sum(0).tolist(), np.nanmin(rows, 0).tolist(), np.nanmax(rows, 0).tolist()
    kinds: list[Any] = ["continuous", "integer", "category", "boolean", "date", "constant"]
    values = [(), (), ("a", "b", "c"), ("False", "True"), (), ("same",)]
    columns = tuple(
        Column(
            name=kind,
            type=kind,
            low=low[i],
            high=high[i],
            step={"integer": 1.0, "date": 86400.0}.get(kind, 0.0),
            form="%Y-%m-%d" if kind == "date" else "",
            values=values[i],
            counts=tuple(int((rows[:, i] == k).sum()) for k in range(len(values[i]))) or (80 - gone[i],),
            missing=gone[i],
            encoding="onehot" if values[i] else "range",
        )
        for i, kind in enumerate(kinds)
    )
    codec = TableCodec(columns=columns)
    return DataSpec(kind="table", shape=(codec.width,), codec=codec), rows


def series() -> tuple[DataSpec, np.ndarray]:
    """Series of 3 to 6 steps with a number, a category and a column that does not change, and their stored rows."""
    random = np.random.default_rng(0)
    x = np.stack(
        [
            random.normal(size=(80, 6)),
            random.integers(0, 3, (80, 6)),
            np.repeat(random.integers(0, 2, 80), 6).reshape(80, 6),
        ],
        2,
    ).astype(np.float64)
    for row, length in zip(x, random.integers(3, 7, 80), strict=True):
        row[length:] = np.nan
    shown = {"dtype": "text", "encoding": "onehot"}
    columns = (
        Column(name="level", type="continuous", low=float(np.nanmin(x[..., 0])), high=float(np.nanmax(x[..., 0]))),
        Column(name="state", type="category", values=("a", "b", "c"), counts=(1, 1, 1), **shown),
        Column(name="sex", type="category", values=("f", "m"), counts=(1, 1), **shown),
    )
    codec = SeriesCodec(columns=columns, static=(False, False, True))
    return DataSpec(kind="series", shape=codec.shape((6, 3)), codec=codec), x


SPECS = {
    "series": series()[0],
    "grey 8x8": DataSpec(kind="image", shape=(1, 8, 8), codec=ImageCodec(), classes=("no", "yes")),
    "rgb 17x24": DataSpec(kind="image", shape=(3, 17, 24), codec=ImageCodec(), classes=("no", "yes")),
    "pairs 8x8": two("pairs", (1, 8, 8), (1, 8, 8)),
    "pairs 17x24": two("pairs", (3, 17, 24), (3, 17, 24)),
    "domains 8x8": two("domains", (1, 8, 8), (1, 8, 8)),
    "domains 17x24": two("domains", (3, 17, 24), (3, 17, 24)),
    "vector": DataSpec(kind="vector", shape=(2,), codec=VectorCodec(mean=(0.0, 0.0)), classes=("no", "yes")),
    "table": table(holes=True)[0],
    "whole table": table(holes=False)[0],
    "text": DataSpec(
        kind="text",
        shape=(5,),
        codec=TextCodec(level="word", vocabulary=("<end>", "<unk>", *"abcdefg"), end=0, unknown=1),
    ),
}
ROWS = {"table": table(holes=True)[1], "whole table": table(holes=False)[1], "series": series()[1]}
SMALL = {"width": 8, "max_width": 16, "blocks": 2, "patch": 1, "pac": 2, "hint_rate": 0.1}
SMALL |= {"margin": 0.01}  # among the energies of untrained fakes: far above them all margins are alike
SMALL |= {"likelihood_steps": 1, "discriminator_steps": 1, "discriminator_moves": 2, "density_steps": 1}
SMALL |= {"embedding_steps": 1, "supervised_steps": 1, "rests_below": 1.5}
SMALL |= {"burn_in": 1, "lr": 2e-4}  # three longer steps of a tiny D meet a hinge, and then nothing moves
"""Fields that set the size of networks and the length of stages, made tiny here; and chances of cells, so that few
rows hold some."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    own = metafunc.config.getoption("recipe")
    cases = []
    for name in own or recipe_names():
        kinds = load_recipe(name).kinds
        cases += [pytest.param(name, s, id=f"{Path(name).stem}-{s}") for s in SPECS if SPECS[s].kind in kinds]
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", [pytest.param(c.values, id=c.id) for c in cases])
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", own or recipe_names())


OF_ONE = {"doppelganger": {"together": 3}}
"""The same, where another recipe has a field of that name which means something else."""


def tiny(name: str, **changes: Any) -> Recipe:
    kind = load_recipe(name)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    small = {k: v for k, v in SMALL.items() if k in fields} | OF_ONE.get(name, {})
    return kind(**(small | changes))


def step_of(recipe: Recipe, spec: DataSpec, dtype: torch.dtype = torch.float32, **options: Any) -> Step:
    torch.manual_seed(0)
    nets = nn.ModuleDict(recipe.networks(spec)).to(dtype)
    arguments = {"seed": 1, "batch_size": BATCH} | options
    return recipe.step_class(nets, recipe.turns(), recipe.optimizers(), recipe.serving, recipe.average(), **arguments)


def stored(spec: DataSpec) -> np.ndarray:
    """The stored rows that a table's specification was measured on; none are kept of other kinds."""
    assert isinstance(spec.codec, TableCodec)
    return ROWS["table" if spec.codec.columns[0].missing else "whole table"]


def fitted(recipe: Recipe, spec: DataSpec) -> DataSpec:
    """The specification with the codec that the recipe makes of it, as the engine does."""
    fields = {"x": stored(spec) if spec.kind == "table" else ROWS["series"]} if spec.kind in ("table", "series") else {}
    codec = recipe.codec(spec, fields)
    return dataclasses.replace(spec, codec=codec, shape=codec.shape(spec.shape))


def tokens(spec: DataSpec, generator: torch.Generator) -> Tensor:
    """A batch of text as the data layer would encode it: nothing behind the end."""
    assert isinstance(spec.codec, TextCodec)
    x = torch.randint(0, len(spec.codec.vocabulary), (BATCH, *spec.shape), generator=generator)
    return x.masked_fill((x == spec.codec.end).cumsum(1) > 0, spec.codec.end)


def feed(spec: DataSpec, dtype: torch.dtype = torch.float32, rows: slice = slice(None)):
    def rows_of_a_table(k: int) -> Batch:
        """As the feed makes them; where the codec knows conditions, with those of training by sampling."""
        draw = ByCondition() if spec.codec.indicators else HeldOut()
        picked, more = draw.bind(spec.codec, {"x": stored(spec)}).batch(0, k, BATCH, 80)
        x = spec.codec.encode(torch.from_numpy(stored(spec)[picked]))
        return {"x": x.to(dtype)[rows]} | {name: torch.from_numpy(v)[rows] for name, v in more.items()}

    def batch(k: int) -> Batch:
        if spec.kind == "table":
            return rows_of_a_table(k)
        if spec.kind == "series":
            picked = np.random.default_rng(k).integers(0, 80, BATCH)
            return {"x": spec.codec.encode(torch.from_numpy(ROWS["series"][picked])).to(dtype)[rows]}
        generator = torch.Generator().manual_seed(k)
        if spec.kind == "text":
            return {"x": tokens(spec, generator)[rows]}
        shapes = {k: part.shape for k, part in spec.parts.items()} or {"x": spec.shape}
        fields = {k: torch.rand(BATCH, *shape, generator=generator) * 2 - 1 for k, shape in shapes.items()}
        batch = {
            **{k: v.to(dtype)[rows] for k, v in fields.items()},
            "y": torch.randint(0, 2, (BATCH,), generator=generator)[rows],
        }
        if "x" in batch:  # as `FewLabels` draws them
            told = torch.rand(BATCH, *spec.shape, generator=generator) * 2 - 1
            batch["labelled.x"] = told.to(dtype)[rows]
            batch["labelled.y"] = torch.randint(0, 2, (BATCH,), generator=generator)[rows]
        return batch

    return batch


def smallest(kinds: frozenset[str]) -> str:
    """The first of the specs in the order of simplicity that a recipe of these kinds takes."""
    return next(name for name in ("vector", *SPECS) if SPECS[name].kind in kinds)


def ways(recipe: Recipe, spec: DataSpec, n: int, seed: int) -> tuple[Batch, ...]:
    """What `sample` is given, for each way: nothing, or n pictures."""
    generator = torch.Generator().manual_seed(seed)
    return recipe.given({k: torch.rand(n, *p.shape, generator=generator) * 2 - 1 for k, p in spec.parts.items()})


def params(step: Step, role: str) -> list[Tensor]:
    return [p.detach().clone() for p in step.nets[role].parameters()]


def equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_1_builds_and_two_steps_are_finite(case: tuple[str, str]) -> None:
    name, spec = case[0], fitted(tiny(case[0]), SPECS[case[1]])
    step = step_of(tiny(name), spec)
    for k in range(2):
        terms = step.take(k, feed(spec))
        assert terms and all(t.dim() == 0 and torch.isfinite(t) for t in terms.values()), terms
    assert all(torch.isfinite(v).all() for v in step.state().values())
    # What outlives a step must not remember how it was computed, or memory grows with every step.
    lasting = {f"average.{k}": v for k, v in (*step.average.named_parameters(), *step.average.named_buffers())}
    lasting |= {f"nets.{k}": v for k, v in step.nets.named_buffers()} | terms
    lasting |= {f"moment.{i}": v for o in step.optimizers.values() for s in o.state.values() for i, v in s.items()}
    assert not [k for k, v in lasting.items() if v.requires_grad]
    assert not [k for k, v in step.nets.named_parameters() if not v.is_leaf or v.grad is not None]


def test_2_each_turn_moves_all_of_its_networks_and_no_other(case: tuple[str, str]) -> None:
    name, spec = case[0], fitted(tiny(case[0]), SPECS[case[1]])
    step = step_of(tiny(name), spec)
    for k in range(3):
        step.take(k, feed(spec))  # fix-up initialisation starts some layers at zero: gradients flow after a few steps
    moved: dict[str, set[str]] = {role: set() for role in step.specs}
    for turn in step.turns:
        before = {role: params(step, role) for role in step.nets}
        batch = {**feed(spec)(9), "step": torch.tensor(3.0), "images": torch.tensor(24.0)}
        step.move(turn, batch, 5)
        for role in step.nets:
            after = params(step, role)
            if role in turn.nets:
                named = zip(step.nets[role].named_parameters(), before[role], after, strict=True)
                found = {key for (key, _), a, b in named if not torch.equal(a, b)}
                assert found, f"the turn of {turn.name} left {role} where it was"
                moved[role] |= found
            else:
                assert equal(before[role], after), f"the turn of {turn.name} moved {role}"
    # A turn of its own for a penalty on slopes need not move biases, but some turn must. A critic judged by differences
    # alone has an output bias that nothing can move.
    for role, keys in moved.items():
        still = [k for k, p in step.nets[role].named_parameters() if k not in keys and p.numel() > 1]
        assert not still, f"no turn of {role} moved its {still}"


def test_2_each_term_has_a_gradient_to_a_moving_network(case: tuple[str, str]) -> None:
    fields = {f.name for f in dataclasses.fields(load_recipe(case[0]))}
    # Energies above a margin move nothing, and should not: here it is above them all.
    recipe = tiny(case[0], **({"margin": 1.0} if "margin" in fields else {}))
    spec = fitted(recipe, SPECS[case[1]])
    step = step_of(recipe, spec)
    for k in range(3):
        step.take(k, feed(spec))
    for turn in step.turns:
        moving = [p for role in turn.nets for p in step.nets[role].parameters()]
        batch = {**feed(spec)(9), "step": torch.tensor(3.0), "images": torch.tensor(24.0)}
        for term in turn.loss(step.nets, batch):
            value = turn.loss(step.nets, batch)[term]
            found = torch.autograd.grad(value, moving, allow_unused=True)
            assert any(g is not None and bool(g.abs().sum() > 0) for g in found), f"{turn.name}/{term} moves nothing"


def fingerprint(recipe: Recipe, spec: DataSpec) -> str:
    """Everything a field may change: initial weights, schedule, optimisers, and what three steps make of them."""
    spec = fitted(recipe, spec)
    step = step_of(recipe, spec)
    digest = hashlib.sha256(
        repr(
            [
                [(t.nets, t.repeat, t.every, t.start, t.stop, t.rate, t.fresh) for t in recipe.turns()],
                recipe.optimizers(),
                recipe.average(),
                recipe.draw(),
                spec.codec.to_json(),
            ]
        ).encode()
    )
    for k in range(3):
        step.take(k, feed(spec))
    for tensor in step.state().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    for given in ways(recipe, spec, 4, 0):
        digest.update(draw_samples(recipe, step.average, 4, 0, given).numpy().tobytes())
    return digest.hexdigest()


def perturbed(value: object) -> object:
    match value:
        case bool():
            return not value
        case int():
            return value + 1 if value < 4 else value * 2
        case float():
            return value * 1.5 if value else 0.45
        case tuple():
            return tuple(0.9 * v + 0.01 if isinstance(v, float) else v * 2 for v in value)
    return None


def test_3_no_knob_is_dead(name: str) -> None:
    """Changing any field changes something: from the defaults, or from the recipe with every switch on."""
    recipe = tiny(name)
    spec = SPECS[smallest(recipe.kinds)]
    fields = dataclasses.fields(recipe)
    on = {
        f.name: True if isinstance(v, bool) else type(v)(20)
        for f in fields
        if (v := getattr(recipe, f.name)) in (False, 0)
    }
    bases = [recipe, dataclasses.replace(recipe, **on)]
    further = ("rgb 17x24", "pairs 17x24", "domains 17x24", "whole table")
    spec_of = [spec, *(SPECS[n] for n in further if SPECS[n].kind in recipe.kinds)][:2]
    prints = [(b, s, fingerprint(b, s)) for b in bases for s in spec_of]
    dead = []
    for field in fields:
        new = perturbed(getattr(recipe, field.name))
        if new is None:
            continue  # a choice among names: each has tests of its own
        if not any(
            fingerprint(dataclasses.replace(b, **{field.name: perturbed(getattr(b, field.name))}), s) != p
            for b, s, p in prints
        ):
            dead.append(field.name)
    assert not dead, f"changing {dead} of {name} changes nothing"


def test_4_samples_have_shape_range_and_repeat_from_a_seed(case: tuple[str, str]) -> None:
    name, spec = case[0], fitted(tiny(case[0]), SPECS[case[1]])
    recipe = tiny(name)
    step = step_of(recipe, spec)
    step.take(0, feed(spec))
    for nets in (step.average, step.nets):
        for given, others in zip(ways(recipe, spec, 70, 3), ways(recipe, spec, 70, 4), strict=True):
            samples = draw_samples(recipe, nets, 70, 3, given)
            made = spec.made(given).spec
            assert samples.shape == (70, *made.shape) and torch.isfinite(samples).all()
            decoded = made.codec.decode(samples)
            if made.codec.channels_last:  # a network without tanh may leave [-1, 1]; what is decoded is in range
                assert decoded.dtype == "uint8" and decoded.shape == (70, *made.shape[1:], made.shape[0])
            if isinstance(made.codec, TextCodec):
                assert samples.dtype == torch.int64 and decoded.shape == (70,) and decoded.dtype.kind == "U"
                assert samples.min() >= 0 and samples.max() < len(made.codec.vocabulary)
                ended = (samples == made.codec.end).cumsum(1) > 0
                assert (samples[ended] == made.codec.end).all(), "something stands behind the end"
            assert torch.equal(samples, draw_samples(recipe, nets, 70, 3, given))
            assert not torch.equal(samples, draw_samples(recipe, nets, 70, 4, others))
            # the first k of n are the k: to rounding, as another batch size may take another kernel
            few = draw_samples(recipe, nets, 5, 3, {k: v[:5] for k, v in given.items()})
            torch.testing.assert_close(samples[:5], few, rtol=1e-3, atol=1e-5)
    assert step.nets.training, "sampling must leave the networks in train mode"


def test_5_state_and_model_restore_to_the_bit(case: tuple[str, str], tmp_path: Path) -> None:
    name, spec = case[0], fitted(tiny(case[0]), SPECS[case[1]])
    recipe = tiny(name)
    one, two = step_of(recipe, spec), step_of(recipe, spec)
    for k in range(2):
        one.take(k, feed(spec))
    two.load_state({k: v.clone() for k, v in one.state().items()}, one.moves)
    for k in range(2, 4):
        a, b = one.take(k, feed(spec)), two.take(k, feed(spec))
        assert {k: float(v) for k, v in a.items()} == {k: float(v) for k, v in b.items()}
    assert equal(list(one.state().values()), list(two.state().values()))
    save_model(tmp_path, recipe, name, spec, one.nets, one.average, 32)
    model = load(tmp_path, type(recipe) if name.endswith(".py") else None)
    assert (model.recipe, model.spec, model.images) == (recipe, spec, 32)
    for given in ways(recipe, spec, 6, 0):
        codec = spec.made(given).spec.codec
        for nets, weights in ((one.average, "ema"), (one.nets, "raw")):
            expected = codec.decode(draw_samples(recipe, nets, 6, 2, given))
            np.testing.assert_array_equal(model.stored(6, seed=2, weights=weights, given=given), expected)
            found = model.sample(6, seed=2, weights=weights, given=given)
            assert repr(found) == repr(codec.present(expected))


def test_6_what_it_makes_of_real_samples_has_shape_and_is_of_each_alone(case: tuple[str, str]) -> None:
    recipes = (tiny(case[0]), *with_switches(tiny(case[0])))
    if not any(recipe.gives() for recipe in recipes):
        pytest.skip("its samples are drawn from noise alone")
    for recipe in recipes:
        spec = fitted(recipe, SPECS[case[1]])
        step = step_of(recipe, spec)
        step.take(0, feed(spec))
        x = feed(spec)(5)["x"]
        for what in recipe.gives():
            made = apply_to(recipe, step.average, x, what)
            assert made.dtype == torch.float32 and torch.isfinite(made).all()
            if what == "picture":
                assert made.shape == x.shape
            else:
                assert made.dim() == 2 and len(made) == len(x)
            if what in ("class", "cluster"):
                assert (made >= 0).all()
                torch.testing.assert_close(made.sum(1), torch.ones(len(x)))
            if what == "class":
                assert made.shape[1] == len(spec.classes)
            assert torch.equal(made, apply_to(recipe, step.average, x, what))
            torch.testing.assert_close(made[3:5], apply_to(recipe, step.average, x[3:5], what), rtol=1e-3, atol=1e-5)
            assert not torch.equal(made, apply_to(recipe, step.average, feed(spec)(6)["x"], what))
        with pytest.raises(ValueError, match="of real samples"):
            apply_to(recipe, step.average, x, "sound")  # type: ignore[arg-type]
    assert step.nets.training


def with_switches(recipe: Recipe) -> tuple[Recipe, ...]:
    """The recipe with clusters, or with labels, if it knows of such and has none."""
    off = [f.name for f in dataclasses.fields(recipe) if f.name in ("clusters", "num_labels")]
    own = dataclasses.asdict(recipe)
    return tuple(type(recipe)(**(own | {name: 4})) for name in off if not own[name])


def test_7_steps_over_static_tensors_equal_eager_ones(case: tuple[str, str]) -> None:
    """What a graph captures: nothing that changes from step to step may be a number of the host or drawn inside."""
    name, spec = case[0], fitted(tiny(case[0]), SPECS[case[1]])
    own = step_of(tiny(name), spec)
    if type(own).take is not Step.take or type(own).move is not Step.move:
        said = []
        assert quick(own, "capture", said.append) == own.take
        assert said == ["steps are taken eagerly: this recipe has a step of its own"]
        return
    eager, step = step_of(tiny(name), spec), step_of(tiny(name), spec)
    said: list[str] = []
    taker = Static(step, said.append, capture=False)
    for k in range(4):
        a, b = eager.take(k, feed(spec)), taker.take(k, feed(spec))
        assert {key: float(v) for key, v in a.items()} == {key: float(v) for key, v in b.items()}
    assert equal(list(eager.state().values()), list(step.state().values()))
    assert not said


def joined(asked: str, rank: int | None) -> dict[str, Tensor]:
    """The state after three steps in float64: of the whole batch, or of one rank of two with its half.

    `asked`: a recipe's name, and fields of it as JSON.
    """
    name, _, fields = asked.partition(" ")
    recipe = without_dropout(name, **json.loads(fields or "{}"))
    kinds = recipe.kinds - ({"vector"} if getattr(recipe, "nets", "") == "conv" else set())
    spec = fitted(recipe, SPECS[smallest(kinds)])
    ranks = Ranks() if rank is None else Ranks(rank, 2)
    rows = slice(None) if rank is None else slice(rank * BATCH // 2, (rank + 1) * BATCH // 2)
    step = step_of(recipe, spec, torch.float64, ranks=ranks)
    for k in range(3):
        step.take(k, feed(spec, torch.float64, rows))
    return step.state()


def without_dropout(name: str, **changes: Any) -> Recipe:
    """Dropout is drawn apart on each rank, so it has no part in the comparison."""
    fields = {f.name for f in dataclasses.fields(load_recipe(name))}
    return tiny(name, **({"dropout": 0.0} if "dropout" in fields else {}), **changes)


RANKS = """
import sys, time
from pathlib import Path
sys.path[:0] = [{tests!r}]
import torch
from test_contract import joined
torch.distributed.init_process_group("gloo")
rank, folder, done = torch.distributed.get_rank(), Path({folder!r}), set()
while not (folder / "stop").exists():
    for asked in set(folder.glob("*.asked")) - done:  # one at a time, so both ranks take it up alike
        part = folder / f"{{rank}}.part"
        torch.save(joined(asked.read_text(), rank), part)
        part.replace(asked.with_suffix(f".{{rank}}"))
        done.add(asked)
    time.sleep(0.02)
torch.distributed.destroy_process_group()
"""


class Pair:
    """Two processes that are started once: launching them takes longer than what they are asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count, self.process = folder, 0, None

    def __call__(self, name: str) -> list[dict[str, Tensor]]:
        """`joined` of both ranks."""
        if self.process is None or self.process.poll() is not None:
            script = self.folder / "ranks.py"
            script.write_text(RANKS.format(tests=str(Path(__file__).parent), folder=str(self.folder)))
            command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", str(script)]
            with (self.folder / "said").open("w") as said:
                environment = os.environ | {"OMP_NUM_THREADS": "1"}
                self.process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        asked = self.folder / f"{self.count}.asked"
        self.count += 1
        part = asked.with_suffix(".new")
        part.write_text(name)
        part.replace(asked)
        files = [asked.with_suffix(f".{rank}") for rank in range(2)]
        patience = time.monotonic() + 200
        while not all(f.exists() for f in files):
            if self.process.poll() is not None or time.monotonic() > patience:
                self.close()
                asked.unlink()
                pytest.fail((self.folder / "said").read_text()[-4_000:])
            time.sleep(0.02)
        return [torch.load(f, weights_only=True) for f in files]

    def close(self) -> None:
        """End both."""
        if self.process is None:
            return
        (self.folder / "stop").touch()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait(20)
        (self.folder / "stop").unlink()


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    started = Pair(tmp_path_factory.mktemp("ranks"))
    yield started
    started.close()


def test_8_two_ranks_equal_one(name: str, pair: Pair) -> None:
    spec = fitted(tiny(name), SPECS[smallest(load_recipe(name).kinds)])
    nets = nn.ModuleDict(without_dropout(name).networks(spec))
    assert not any(isinstance(m, nn.Dropout) and m.p for m in nets.modules()), "give the recipe a field `dropout`"
    same_on_two(name, pair)


@pytest.mark.parametrize(
    "asked",
    [
        'gan {"kernels": 3}',
        'gan {"nets": "conv", "width": 32, "kernels": 3}',
        # There D rests by one rank's rows and not by all: mlp's scores begin with one sign.
        'gan {"nets": "conv", "width": 32, "balance": 0.2}',
        'gan {"matching": true, "history": 0.1}',
        'gan {"nets": "conv", "width": 32, "matching": true, "history": 0.1}',
    ],
)
def test_8_two_ranks_equal_one_where_samples_are_compared(asked: str, pair: Pair) -> None:
    same_on_two(asked, pair)


def same_on_two(asked: str, pair: Pair) -> None:
    whole = joined(asked, None)
    for r, found in enumerate(pair(asked)):
        assert found.keys() == whole.keys()
        for key, value in found.items():
            torch.testing.assert_close(value, whole[key], rtol=1e-7, atol=1e-10, msg=f"{key} of rank {r}")


def test_9_gradients_in_bfloat16_point_where_those_in_float32_do(case: tuple[str, str]) -> None:
    """Where they do not, what needs its digits is computed without them: a tanh at its ends, a sum of squares."""
    name, spec = case[0], fitted(tiny(case[0]), SPECS[case[1]])
    step = step_of(tiny(name), spec)
    if min(spec.shape[1:], default=0) == 8 and any(isinstance(m, nn.InstanceNorm2d) for m in step.nets.modules()):
        pytest.skip("maps of 2 x 2 pixels: instance norm makes the rounding of equal values as large as any value")
    for k in range(3):
        step.take(k, feed(spec))
    batch = {**feed(spec)(9), "step": torch.tensor(3.0), "images": torch.tensor(24.0)}
    for turn in step.turns:
        moving = [p for role in turn.nets for p in step.params[role]]
        found: list[Tensor] = []
        for precision in ("fp32", "bf16"):
            step.setting = dataclasses.replace(step.setting, precision=precision)
            total: list[Tensor] = []
            step._gradients(turn, batch, step.stream(5, 0), moving, total)
            found.append(torch.cat([g.flatten().float() for g in total]))
        alike = torch.nn.functional.cosine_similarity(*found, dim=0)
        assert alike > 0.85, f"the gradients of {turn.name} have a cosine of {alike:.3f}"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_9_losses_and_samples_are_finite_at_the_ends_of_what_is_drawn(
    case: tuple[str, str], precision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A uniform draw may be 0, and as near to 1 as float32 goes; once in millions, which is once in a long run."""
    fill = randomness.fill

    def ends(kind: randomness.Kind, tensor: Tensor, generator: torch.Generator | None) -> None:
        fill(kind, tensor, generator)
        if kind == "uniform":
            tensor[tensor < 0.1] = 0.0
            tensor[tensor > 0.9] = 1 - 2.0**-24

    monkeypatch.setattr(randomness, "fill", ends)
    spec = fitted(tiny(case[0]), SPECS[case[1]])
    step = step_of(tiny(case[0]), spec)
    step.setting = dataclasses.replace(step.setting, precision=precision)
    for k in range(4):
        terms = step.take(k, feed(spec))
        assert all(torch.isfinite(v) for v in terms.values()), (k, {n: float(v) for n, v in terms.items()})
    assert all(torch.isfinite(p).all() for p in step.nets.parameters())


def test_8_parts_of_a_batch_are_worth_the_whole_or_the_recipe_says_not(name: str) -> None:
    """A batch too large for memory may be split unasked only where its terms are means over samples."""
    spec = fitted(tiny(name), SPECS[smallest(load_recipe(name).kinds)])
    found = []
    for parts in (1, 2):
        step = step_of(without_dropout(name), spec, torch.float64, micro_batches=parts)
        if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in step.nets.modules()):
            pytest.skip("batch normalisation, which training refuses to split unasked")
        for module in step.nets.modules():
            if isinstance(module, Spectral):
                module.eval()  # each part is one more iteration towards the same singular value
        found.append(step.take(0, feed(spec, torch.float64)))
    apart = [key for key in found[0] if not torch.isclose(found[0][key], found[1][key], rtol=1e-7, atol=1e-10)]
    assert bool(apart) == (not without_dropout(name).rows_together()), apart


# --- what can be asked for --------------------------------------------------------------------------------------------


class Watched(dict[str, Tensor]):
    """A `given` that remembers the names it was asked for."""

    def __init__(self, given: Batch, names: set[str]) -> None:
        super().__init__(given)
        self.names = names

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return super().__contains__(name)

    def __getitem__(self, name: str) -> Tensor:
        self.names.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def asking(recipe: Recipe) -> tuple[Recipe, ...]:
    """The recipe, and with labels, if it has a field that says whether they are used."""
    fields = {f.name for f in dataclasses.fields(recipe)}
    return (recipe, dataclasses.replace(recipe, labels="use")) if "labels" in fields else (recipe,)


def shaken(recipe: Recipe, spec: DataSpec) -> nn.ModuleDict:
    """Networks to sample with, none of whose weights is at a value where a label or a style has no effect."""
    torch.manual_seed(0)
    nets = nn.ModuleDict({role: net for role, net in recipe.networks(spec).items() if role in recipe.serving})
    for p in nets.parameters():
        p.data += 0.3 * torch.randn_like(p)
    return nets.requires_grad_(False)


def in_range(ask: Ask, which: int, n: int, spec: DataSpec) -> Tensor:
    """n values that an ask allows: the first (`which` 0) and the last (1) of its range, or two at random."""
    generator = torch.Generator().manual_seed(which)
    match ask:
        case Class(count=count) | Choice(count=count) | Condition(count=count):
            assert count > 1
            return torch.full((n,), which * (count - 1))
        case Noise(size=size):
            return torch.randn(n, size, generator=generator)
        case Numbers(size=size, low=low, high=high):
            assert size > 0
            return torch.full((n, size), (low, high)[which])
        case Number(low=low, high=high, default=default):
            assert low <= default <= high
            return torch.full((n,), (low, high)[which])
        case Switch():
            return torch.full((n,), float(which))
        case Picture(shape=shape):
            return torch.rand(n, *shape, generator=generator) * 2 - 1
        case Rows(width=width):
            x = feed(spec)(which)["x"][:n]
            assert x.shape == (n, width)
            return x


def refuses(recipe: Recipe, nets: nn.ModuleDict, name: str) -> bool:
    """Whether `sample` looks at a name only to say that it cannot be given."""
    try:
        with torch.no_grad(), draws(Stream(torch.Generator(), rows=6)):
            recipe.sample(nets, 6, {name: torch.zeros(6, dtype=torch.int64)})
    except ValueError:
        return True
    except RuntimeError:  # it went on with it, as far as it came
        return False
    return False


EVERY = {"label", "code", "continuous", "z", "truncation", "temperature", "condition", "x", "draw", "a", "b", "hue"}


def test_10_what_is_asked_for_is_used_and_all_that_is_used_can_be_asked_for(case: tuple[str, str]) -> None:
    for recipe in asking(tiny(case[0])):
        spec = fitted(recipe, SPECS[case[1]])
        asks, nets = recipe.asks(spec), shaken(recipe, spec)
        sources = {name for way in ways(recipe, spec, 1, 0) for name in way}
        assert {name for name, ask in asks.items() if isinstance(ask, Picture)} == sources
        assert all(ask.help.endswith(".") and "\n" not in ask.help for ask in asks.values())
        looked: set[str] = set()
        for way in ways(recipe, spec, 6, 0):
            options = {k: in_range(a, 1, 6, spec) for k, a in asks.items() if not isinstance(a, Picture)}
            for given in (way, {**way, **options}):
                nets.eval()
                with torch.no_grad(), draws(Stream(torch.Generator().manual_seed(0), rows=6)):
                    recipe.sample(nets, 6, Watched(given, looked))
            model = Model(recipe, case[0], spec, {"ema": nets, "raw": nets}, 0)
            for name in EVERY - asks.keys():
                with pytest.raises(ValueError, match=r"cannot be given|made of pictures"):
                    model.sample(6, given={**way, name: torch.zeros(6, dtype=torch.int64)})
            for name, ask in asks.items():
                if isinstance(ask, Picture) and name not in way:
                    continue
                low, high = (model.stored(6, given={**way, name: in_range(ask, k, 6, spec)}) for k in (0, 1))
                assert not np.array_equal(low, high), f"{name} changes nothing"
                if isinstance(ask, Class | Choice | Condition):
                    with pytest.raises(ValueError, match=f"whole numbers from 0 to {ask.count - 1}"):
                        model.sample(6, given={**way, name: torch.full((6,), ask.count)})
                elif not isinstance(ask, Picture):
                    with pytest.raises(ValueError, match="has shape"):
                        model.sample(6, given={**way, name: torch.zeros(6, 1, 99)})
        assert asks.keys() <= looked
        more = {name for name in looked - asks.keys() if not refuses(recipe, nets, name)}
        assert not more, f"sample takes {more}, of which asks says nothing"


def test_10_labels_can_be_asked_for_only_of_data_that_has_them(name: str) -> None:
    for recipe in asking(tiny(name)):
        spec = fitted(recipe, SPECS[smallest(recipe.kinds)])
        assert "label" not in recipe.asks(dataclasses.replace(spec, classes=(), counts=()))


@pytest.mark.parametrize(
    ("takes", "said"),
    [
        ({"label"}, "sample takes {'z'}, of which asks says nothing"),
        ({"label", "z", "temperature"}, "temperature changes nothing"),
        ({"label", "z", "hue"}, "takes 'hue': its `asks` must say what that is"),
        ({"label", "z", "code"}, "has no field categories"),
    ],
)
def test_10_a_recipe_that_says_what_is_not_so_is_found_out(
    takes: set[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_recipe("cgan"), "takes", frozenset(takes))
    with pytest.raises((AssertionError, NotImplementedError, pytest.fail.Exception), match=said):
        test_10_what_is_asked_for_is_used_and_all_that_is_used_can_be_asked_for(("cgan", "vector"))
