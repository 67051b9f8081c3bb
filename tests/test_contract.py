"""The contract that every recipe file passes: tiny networks, CPU, seconds each (items as in the design).

A recipe of your own can be put through it too: `pytest tests/test_contract.py --recipe my/own.py`.
"""

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansmith.data import DataSpec, ImageCodec, TextCodec, VectorCodec
from gansmith.model import draw_samples, load, save_model
from gansmith.recipe import Batch, Recipe, load_recipe, recipe_names
from gansmith.step import Ranks, Step

BATCH = 8
SPECS = {
    "grey 8x8": DataSpec(kind="image", shape=(1, 8, 8), codec=ImageCodec()),
    "rgb 17x24": DataSpec(kind="image", shape=(3, 17, 24), codec=ImageCodec()),
    "vector": DataSpec(kind="vector", shape=(2,), codec=VectorCodec(mean=(0.0, 0.0))),
    "text": DataSpec(
        kind="text",
        shape=(5,),
        codec=TextCodec(level="word", vocabulary=("<end>", "<unk>", *"abcdefg"), end=0, unknown=1),
    ),
}
SMALL = {"width": 8, "likelihood_steps": 1, "discriminator_steps": 1, "discriminator_moves": 2}
"""Fields that set the size of networks and the length of stages, made tiny here."""


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


def tiny(name: str, **changes: Any) -> Recipe:
    kind = load_recipe(name)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    return kind(**({k: v for k, v in SMALL.items() if k in fields} | changes))


def step_of(recipe: Recipe, spec: DataSpec, dtype: torch.dtype = torch.float32, **options: Any) -> Step:
    torch.manual_seed(0)
    nets = nn.ModuleDict(recipe.networks(spec)).to(dtype)
    arguments = {"seed": 1, "batch_size": BATCH} | options
    return recipe.step_class(nets, recipe.turns(), recipe.optimizers(), recipe.serving, recipe.average(), **arguments)


def real(spec: DataSpec, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """A batch as the data layer would encode it: numbers in [-1, 1], or tokens with nothing behind the end."""
    if isinstance(spec.codec, TextCodec):
        x = torch.randint(0, len(spec.codec.vocabulary), (BATCH, *spec.shape), generator=generator)
        return x.masked_fill((x == spec.codec.end).cumsum(1) > 0, spec.codec.end)
    return (torch.rand(BATCH, *spec.shape, generator=generator) * 2 - 1).to(dtype)


def first_spec(kinds: frozenset[str]) -> DataSpec:
    """Vectors where a recipe takes them, as they are the cheapest; else the first that fits."""
    return SPECS["vector"] if "vector" in kinds else next(s for s in SPECS.values() if s.kind in kinds)


def feed(spec: DataSpec, dtype: torch.dtype = torch.float32, rows: slice = slice(None)):
    def batch(k: int) -> Batch:
        generator = torch.Generator().manual_seed(k)
        return {
            "x": real(spec, generator, dtype)[rows],
            "y": torch.randint(0, 2, (BATCH,), generator=generator)[rows],
        }

    return batch


def params(step: Step, role: str) -> list[Tensor]:
    return [p.detach().clone() for p in step.nets[role].parameters()]


def equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_1_builds_and_two_steps_are_finite(case: tuple[str, str]) -> None:
    name, spec = case[0], SPECS[case[1]]
    step = step_of(tiny(name), spec)
    for k in range(2):
        terms = step.take(k, feed(spec))
        assert terms and all(t.dim() == 0 and torch.isfinite(t) for t in terms.values()), terms
    assert all(torch.isfinite(v).all() for v in step.state().values())


def test_2_each_turn_moves_all_of_its_networks_and_no_other(case: tuple[str, str]) -> None:
    name, spec = case[0], SPECS[case[1]]
    step = step_of(tiny(name), spec)
    for k in range(3):
        step.take(k, feed(spec))  # fix-up initialisation starts some layers at zero: gradients flow after a few steps
    for turn in step.turns:
        before = {role: params(step, role) for role in step.nets}
        batch = {**feed(spec)(9), "step": torch.tensor(3.0), "images": torch.tensor(24.0)}
        step.move(turn, batch, 5)
        for role in step.nets:
            after = params(step, role)
            if role in turn.nets:
                # A critic judged by differences alone has an output bias that nothing can move.
                still = [
                    key
                    for (key, p), a, b in zip(step.nets[role].named_parameters(), before[role], after, strict=True)
                    if torch.equal(a, b) and p.numel() > 1
                ]
                assert not still, f"the turn of {turn.name} left {still} of {role} where they were"
            else:
                assert equal(before[role], after), f"the turn of {turn.name} moved {role}"


def test_2_each_term_has_a_gradient_to_a_moving_network(case: tuple[str, str]) -> None:
    name, spec = case[0], SPECS[case[1]]
    step = step_of(tiny(name), spec)
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
    step = step_of(recipe, spec)
    digest = hashlib.sha256(
        repr(
            [
                [(t.nets, t.repeat, t.every, t.start, t.stop) for t in recipe.turns()],
                recipe.optimizers(),
                recipe.average(),
                recipe.draw(),
                recipe.codec(spec).to_json(),
            ]
        ).encode()
    )
    for k in range(3):
        step.take(k, feed(spec))
    for tensor in step.state().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    digest.update(draw_samples(recipe, step.average, 4, 0).numpy().tobytes())
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
    spec = first_spec(recipe.kinds)
    fields = dataclasses.fields(recipe)
    on = {
        f.name: True if isinstance(v, bool) else type(v)(20)
        for f in fields
        if (v := getattr(recipe, f.name)) in (False, 0)
    }
    bases = [recipe, dataclasses.replace(recipe, **on)]
    spec_of = [spec, *([SPECS["rgb 17x24"]] if "image" in recipe.kinds else [])]
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
    name, spec = case[0], SPECS[case[1]]
    recipe = tiny(name)
    step = step_of(recipe, spec)
    step.take(0, feed(spec))
    for nets in (step.average, step.nets):
        samples = draw_samples(recipe, nets, 70, 3)
        assert samples.shape == (70, *spec.shape) and torch.isfinite(samples).all()
        decoded = spec.codec.decode(samples)
        if spec.kind == "image":  # a network without tanh may leave [-1, 1]; what is decoded is in range
            assert decoded.dtype == "uint8" and decoded.shape == (70, *spec.shape[1:], spec.shape[0])
        if isinstance(spec.codec, TextCodec):
            assert samples.dtype == torch.int64 and decoded.shape == (70,) and decoded.dtype.kind == "U"
            assert samples.min() >= 0 and samples.max() < len(spec.codec.vocabulary)
            ended = (samples == spec.codec.end).cumsum(1) > 0
            assert (samples[ended] == spec.codec.end).all(), "something stands behind the end"
        assert torch.equal(samples, draw_samples(recipe, nets, 70, 3))
        assert not torch.equal(samples, draw_samples(recipe, nets, 70, 4))
        # the first k of n are the k: to rounding, as another batch size may take another kernel
        torch.testing.assert_close(samples[:5], draw_samples(recipe, nets, 5, 3), rtol=1e-3, atol=1e-5)
    assert step.nets.training, "sampling must leave the networks in train mode"


def test_5_state_and_model_restore_to_the_bit(case: tuple[str, str], tmp_path: Path) -> None:
    name, spec = case[0], SPECS[case[1]]
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
    expected = spec.codec.decode(draw_samples(recipe, one.average, 6, 2))
    assert (model.sample(6, seed=2) == expected).all()
    expected = spec.codec.decode(draw_samples(recipe, one.nets, 6, 2))
    assert (model.sample(6, seed=2, weights="raw") == expected).all()


def joined(name: str, rank: int | None) -> dict[str, Tensor]:
    """The state after three steps in float64: of the whole batch, or of one rank of two with its half."""
    spec = first_spec(load_recipe(name).kinds)
    ranks = Ranks() if rank is None else Ranks(rank, 2)
    rows = slice(None) if rank is None else slice(rank * BATCH // 2, (rank + 1) * BATCH // 2)
    step = step_of(without_dropout(name), spec, torch.float64, ranks=ranks)
    for k in range(3):
        step.take(k, feed(spec, torch.float64, rows))
    return step.state()


def without_dropout(name: str) -> Recipe:
    """Dropout is drawn apart on each rank, so it has no part in the comparison."""
    fields = {f.name for f in dataclasses.fields(load_recipe(name))}
    return tiny(name, **({"dropout": 0.0} if "dropout" in fields else {}))


def test_8_two_ranks_equal_one(name: str, tmp_path: Path) -> None:
    spec = first_spec(load_recipe(name).kinds)
    nets = nn.ModuleDict(without_dropout(name).networks(spec))
    if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in nets.modules()):
        pytest.skip("batch normalisation takes the statistics of each rank's own rows")
    assert not any(isinstance(m, nn.Dropout) and m.p for m in nets.modules()), "give the recipe a field `dropout`"
    script = tmp_path / "rank.py"
    script.write_text(
        f"import sys, torch; sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "from test_contract import joined\n"
        "torch.distributed.init_process_group('gloo')\n"
        "r = torch.distributed.get_rank()\n"
        f"torch.save(joined({name!r}, r), {str(tmp_path)!r} + f'/{{r}}.pt')\n"
        "torch.distributed.barrier(); torch.distributed.destroy_process_group()\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert (tmp_path / "0.pt").exists() and (tmp_path / "1.pt").exists(), done.stderr
    whole = joined(name, None)
    for r in range(2):
        for key, value in torch.load(tmp_path / f"{r}.pt", weights_only=True).items():
            torch.testing.assert_close(value, whole[key], rtol=1e-7, atol=1e-10, msg=f"{key} of rank {r}")
