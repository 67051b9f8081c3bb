"""Defects of a well-known collection of GAN scripts (PyTorch-GAN), each pinned here so that it cannot be ours.

The classic objectives. Where a script does not run at all, the contract is the test: every recipe here takes steps,
resumes and samples (`tests/test_contract.py`); what is wrong without an error needs a test of its own.
"""

import ast
import copy
import inspect

import pytest
import torch
from torch import Tensor, nn

from gansmith import losses
from gansmith.recipe import Batch, Recipe, load_recipe, recipe_names
from gansmith.step.step import Step
from test_contract import SPECS, feed, fitted, smallest, step_of, tiny

CLASSIC = ("lsgan", "wgan", "wgan_div", "dragan", "rsgan", "ragan", "softmax_gan", "bgan", "ebgan", "began", "sngan")
CLASSIC += ("unrolled", "wgan_gp", "gan", "dcgan")
PICTURES = SPECS["rgb 17x24"]


def batch_of(spec=PICTURES) -> Batch:
    return {**feed(spec)(3), "step": torch.tensor(3.0), "images": torch.tensor(72.0)}


def begun(name: str, **fields: object) -> tuple[Recipe, Step]:
    """The recipe on small pictures after two steps."""
    recipe = tiny(name, **fields)
    step = step_of(recipe, PICTURES)
    for k in range(2):
        step.take(k, feed(PICTURES))
    return recipe, step


def slope(step: Step, turn: int, role: str, term: str | None = None) -> list[Tensor]:
    """The gradient of a turn's loss, or of one of its terms, with respect to a network."""
    torch.manual_seed(0)
    terms = step.turns[turn].loss(step.nets, batch_of())
    loss = terms[term] if term else torch.stack(list(terms.values())).sum()
    found = torch.autograd.grad(loss, list(step.nets[role].parameters()), allow_unused=True)
    return [g for g in found if g is not None]


@pytest.mark.parametrize("name", recipe_names())
def test_no_norm_has_an_eps_meant_as_a_momentum(name: str) -> None:
    """22 of its files build BatchNorm2d(channels, 0.8): an eps of 0.8 that hides most of the signal."""
    spec = SPECS[smallest(load_recipe(name).kinds)]
    spec = fitted(tiny(name), PICTURES if "image" in load_recipe(name).kinds else spec)
    for module in nn.ModuleDict(tiny(name).networks(spec)).modules():
        assert getattr(module, "eps", 0.0) <= 1e-3 or not isinstance(module, nn.Module)
    assert nn.BatchNorm2d(3, 0.8).eps > 1e-3  # the control


@pytest.mark.parametrize("name", CLASSIC)
def test_d_descends_its_adversarial_loss(name: str) -> None:
    """dragan.py calls backward on the penalty alone, so D never learns to tell real from fake."""
    _, step = begun(name, **({"margin": 1.0} if name == "ebgan" else {}))
    terms = step.turns[0].loss(step.nets, batch_of())
    adversarial = [t for t in terms if t != "penalty"]
    assert adversarial
    for term in adversarial:
        assert any(g.abs().sum() > 0 for g in slope(step, 0, "D", term)), f"{term} does not move D"


@pytest.mark.parametrize("name", ["dragan", "wgan_gp", "wgan_div"])
def test_penalties_take_the_length_over_all_values_of_each_sample(name: str) -> None:
    """dragan.py takes the norm over channels alone, at points mixed value by value."""
    recipe = tiny(name)

    class Plane(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.linspace(-1, 1, 3 * 17 * 24).reshape(3, 17, 24) / 10)
            self.seen: list[Tensor] = []

        def forward(self, x: Tensor) -> Tensor:
            self.seen.append(x.detach())
            return (x * self.weight).flatten(1).sum(1)

    step = step_of(recipe, PICTURES)
    plane = step.nets["D"] = Plane()
    found = step.turns[0].loss(step.nets, batch_of())["penalty"]
    length = plane.weight.detach().flatten().norm()
    power = (length**6) if name == "wgan_div" else (length - 1) ** 2
    assert not torch.isclose(length, plane.weight.detach().norm(dim=0).mean())  # the control: it tells them apart
    torch.testing.assert_close(found.detach(), recipe.penalty * power, rtol=1e-4, atol=1e-5)  # type: ignore[attr-defined]


def test_wgan_div_scores_real_samples_higher_and_penalises_the_sixth_power() -> None:
    """Its issue 33: which way the signs go. The critic's own descent must raise real scores over fake ones."""
    recipe, step = begun("wgan_div", lr=1e-2)
    real, fake = batch_of()["x"], recipe.sample(step.nets, 24).detach()

    def gap() -> Tensor:
        return (step.nets["D"](real).mean() - step.nets["D"](fake).mean()).detach()

    with torch.no_grad():  # a critic that has it the wrong way round
        for p in step.nets["D"].get_submodule("head").parameters():
            p.mul_(-gap().sign())
    assert gap() < 0
    for k in range(30):
        step.move(step.turns[0], batch_of(), k)
    assert gap() > 0
    before = step.nets["D"](recipe.sample(step.nets, 24)).mean().detach()
    torch.manual_seed(1)
    for k in range(20):
        step.move(step.turns[1], batch_of(), k)
    assert step.nets["D"](recipe.sample(step.nets, 24)).mean() > before


@pytest.mark.parametrize("name", ["bgan", "gan", "dcgan", "dragan", "rsgan", "ragan", "softmax_gan", "lsgan", "sngan"])
def test_a_sure_d_gives_finite_losses_and_gradients(name: str) -> None:
    """bgan.py takes log(D) and log(1 - D) of a sigmoid: infinite as soon as D is sure."""
    _, step = begun(name)
    with torch.no_grad():
        for p in step.nets["D"].get_submodule("head").parameters():
            p.mul_(1e4)
    for turn, role in ((0, "D"), (1, "G")):
        assert all(torch.isfinite(t).all() for t in step.turns[turn].loss(step.nets, batch_of()).values())
        assert all(torch.isfinite(g).all() for g in slope(step, turn, role))
    sure = torch.tensor([200.0])
    assert torch.isinf(torch.log(1 - torch.sigmoid(sure))) and torch.isfinite(losses.boundary(sure))  # the control


@pytest.mark.parametrize("name", ["rsgan", "ragan", "softmax_gan", "r3gan"])
def test_gs_loss_looks_at_real_samples(name: str) -> None:
    """relativistic_gan.py computes the relativistic loss of G and overwrites it with the plain one a line later."""
    _, step = begun(name)
    batch, other = batch_of(), batch_of() | {"x": batch_of()["x"].flip(0) * 0.1}
    values = []
    for rows in (batch, other):
        torch.manual_seed(0)
        values.append(torch.stack(list(step.turns[1].loss(step.nets, rows).values())).sum())
    assert values[0] != values[1]
    _, plain = begun("gan", dropout=0.0)  # the control: G's plain loss does not
    found = []
    for rows in (batch, other):
        torch.manual_seed(0)
        found.append(plain.turns[1].loss(plain.nets, rows)["adversarial"])
    assert found[0] == found[1]


def test_ebgan_sends_the_gradient_through_both_sides_of_the_reconstruction_error() -> None:
    """ebgan.py detaches the fakes that are to be reconstructed, and so loses half of G's gradient."""
    recipe, step = begun("ebgan", pull_away=0.0)
    found = slope(step, 1, "G")
    torch.manual_seed(0)
    fake = recipe.sample(step.nets, 24)
    again = step.nets["D"](fake)[0]
    weights = list(step.nets["G"].parameters())
    for target, same in ((fake, True), (fake.detach(), False)):
        expected = torch.autograd.grad((again - target).square().mean(), weights, retain_graph=True)
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, expected, strict=True)) == same


@pytest.mark.parametrize("name", ["ebgan", "began", "wgan_gp", "wgan_div", "dragan", "sngan", "unrolled"])
def test_no_batch_norm_where_a_verdict_is_one_samples_own(name: str) -> None:
    """ebgan.py and began.py put batch norm into D, dualgan.py into a critic under a gradient penalty."""
    _, step = begun(name)
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in step.nets["D"].modules())


@pytest.mark.parametrize("name", ["began", "lsgan", "softmax_gan"])
def test_d_and_g_move_on_noise_of_their_own(name: str) -> None:
    """began.py shows D the fakes that G has just been trained on; the paper draws z_D and z_G."""
    recipe = tiny(name)
    step = step_of(recipe, PICTURES)
    drawn: list[Tensor] = []
    step.nets["G"].register_forward_pre_hook(lambda _, inputs: drawn.append(inputs[0].clone()))
    step.take(0, feed(PICTURES))
    assert len(drawn) == 2 and not torch.equal(drawn[0], drawn[1])


def test_began_steers_k_by_the_rule_and_does_not_wait_for_the_device() -> None:
    """began.py crashes on `.data[0]`; k must move without a number leaving the device."""
    _, step = begun("began", gamma=0.9, gain=0.05)
    module = step.nets["K"]
    before, total, parts = module.k.clone(), module.total.clone(), module.parts.clone()
    step.take(2, feed(PICTURES))
    assert parts == 2
    torch.testing.assert_close(module.k, (before + 0.05 * total).clamp(0, 1))
    assert module.k > 0
    tree = ast.parse(inspect.getsource(inspect.getmodule(type(tiny("began")))))
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in ("item", "data")]


@pytest.mark.parametrize("name", CLASSIC)
def test_gs_turn_gathers_no_gradient_of_ds_loss_and_sees_the_moved_d(name: str) -> None:
    """softmax_gan.py zeroes both gradients first and then steps D before G has gone back through it."""
    _, one = begun(name)
    _, two = begun(name)
    one.move(one.turns[0], batch_of(), 4)
    for step in (one, two):
        assert all(p.grad is None for p in step.nets.parameters())
    for a, b in zip(two.nets["D"].parameters(), one.nets["D"].parameters(), strict=True):
        a.data.copy_(b.data)
    two.nets["D"].load_state_dict(one.nets["D"].state_dict())
    if name == "began":
        two.nets["K"].load_state_dict(one.nets["K"].state_dict())
    if name == "unrolled":  # it foresees D's moves from where D's Adam stands
        two.optimizers["D"].load_state_dict(copy.deepcopy(one.optimizers["D"].state_dict()))
    two.nets["G"].load_state_dict(one.nets["G"].state_dict())
    for step in (one, two):  # G's move is the same whether D's move was made or copied
        step.move(step.turns[1], batch_of(), 5)
    for a, b in zip(one.nets["G"].parameters(), two.nets["G"].parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("name", "lr", "betas", "moves"),
    [("wgan_gp", 1e-4, (0.0, 0.9), 5), ("wgan", 5e-5, (0.0, 0.99), 5), ("began", 1e-4, (0.5, 0.999), 1)],
)
def test_step_sizes_are_the_papers(name: str, lr: float, betas: tuple[float, float], moves: int) -> None:
    """wgan_gp.py and began.py keep Adam's 2e-4 of the other scripts."""
    recipe = load_recipe(name)()
    spec = recipe.optimizers()["D"]
    assert (spec.lr, spec.betas, recipe.turns()[0].repeat) == (lr, betas, moves)


def test_wgan_clips_after_each_move_of_the_critic_and_never_g() -> None:
    _, step = begun("wgan")
    assert max(p.abs().max() for p in step.nets["D"].parameters()) <= 0.01
    assert max(p.abs().max() for p in step.nets["G"].parameters()) > 0.01
