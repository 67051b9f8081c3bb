"""Encoders and friends: who learns from what, and the defects of well-known implementations that are absent here.

The scripts of eriklindernoren/PyTorch-GAN that concern these recipes: `aae` (L1, one phase for both), `cluster_gan`
(players stepped before gradients were taken; batches of one size only; CUDA tensors spelt out), `cogan` (D shares the
wrong layers; squared error), `sgan` (every label is used; softmax before cross-entropy; no feature matching).
"""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansmith import losses
from gansmith.data import DataSpec, ImageCodec
from gansmith.nets import coupled, pixelcnn, weight_norm
from gansmith.recipe import Batch, Recipe, normal
from gansmith.step.sghmc import Chain
from test_contract import SPECS, feed, step_of, tiny, two

GREY = SPECS["grey 8x8"]
BATCH = {**feed(GREY)(3), "step": torch.tensor(3.0), "images": torch.tensor(72.0)}


def turn_of(recipe: Recipe, nets: tuple[str, ...]) -> Any:
    """The turn of these networks that is not the very first step's alone."""
    return next(t for t in recipe.turns() if t.nets == nets and t.stop != 1)


def built(recipe: Recipe, spec: DataSpec = GREY) -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict(recipe.networks(spec))


def gradient(term: Tensor, net: nn.Module) -> float:
    found = torch.autograd.grad(term, list(net.parameters()), allow_unused=True, retain_graph=True)
    return float(sum(g.abs().sum() for g in found if g is not None))


# --- aae --------------------------------------------------------------------------------------------------------------


def test_aae_has_two_phases_and_a_euclidean_cost() -> None:
    recipe = tiny("aae")
    assert [t.nets for t in recipe.turns()] == [("E", "G"), ("D",), ("E",)]
    nets = built(recipe)
    terms = recipe.turns()[0].loss(nets, BATCH)
    assert set(terms) == {"reconstruction"}, "the reconstruction phase knows no adversary"
    made = nets["G"](nets["E"](BATCH["x"]))
    torch.testing.assert_close(terms["reconstruction"], (made - BATCH["x"]).square().sum((1, 2, 3)).mean() / 2)
    terms = recipe.turns()[2].loss(nets, BATCH)
    assert set(terms) == {"adversarial"}
    assert gradient(terms["adversarial"], nets["E"]) > 0
    assert gradient(terms["adversarial"], nets["G"]) == 0


def test_aae_clusters_have_an_adversary_of_their_own() -> None:
    recipe = tiny("aae", clusters=3)
    assert [t.nets for t in recipe.turns()] == [("E", "G"), ("D", "D_y"), ("E",)]
    z, y = recipe.prior(built(recipe), 600)
    assert z.shape == (600, 8)
    assert y.shape == (600, 3) and (y.sum(1) == 1).all() and (y.mean(0) > 0.25).all()


# --- bigan ------------------------------------------------------------------------------------------------------------


def test_bigan_gives_generator_and_encoder_the_inverse_objective() -> None:
    recipe = tiny("bigan")
    nets = built(recipe).eval()
    torch.manual_seed(1)
    mine = recipe.turns()[1].loss(nets, BATCH)
    torch.manual_seed(1)
    real, fake = recipe.scores(nets, BATCH["x"])
    torch.testing.assert_close(mine["code"], -torch.log(1 - real.sigmoid()).mean())
    torch.testing.assert_close(mine["sample"], -torch.log(fake.sigmoid()).mean())
    assert gradient(mine["code"], nets["E"]) > 0 and gradient(mine["code"], nets["G"]) == 0
    assert gradient(mine["sample"], nets["G"]) > 0 and gradient(mine["sample"], nets["E"]) == 0
    assert recipe.prior(nets, 500).abs().max() <= 1


# --- vaegan -----------------------------------------------------------------------------------------------------------


def test_vaegan_keeps_each_signal_with_whom_it_is_for() -> None:
    """Section 3.2: the adversary teaches nothing to E, the likeness nothing to D."""
    recipe = tiny("vaegan")
    nets = built(recipe)
    terms = {t.nets[0]: t.loss(nets, BATCH) for t in recipe.turns()}
    assert set(terms["E"]) == {"prior", "likeness"}
    assert set(terms["D"]) == {"real", "reconstruction", "fake"}
    assert set(terms["G"]) == {"likeness", "reconstruction", "sample"}
    double = tiny("vaegan", similarity=2 * recipe.similarity)
    torch.manual_seed(2)
    once = recipe.turns()[1].loss(nets, BATCH)
    torch.manual_seed(2)
    twice = double.turns()[1].loss(nets, BATCH)
    torch.testing.assert_close(twice["likeness"], 2 * once["likeness"])
    torch.testing.assert_close(twice["sample"], once["sample"])


def test_divergence_from_the_normal_distribution() -> None:
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, np.log(4.0)]], dtype=torch.float32)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (log_variance / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    ).sum()
    torch.testing.assert_close(losses.normal_divergence(mean, log_variance), expected)
    assert losses.normal_divergence(torch.zeros(3, 2), torch.zeros(3, 2)) == 0


# --- cluster_gan ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [2, 7, 24])
def test_cluster_gan_takes_batches_of_any_size(rows: int) -> None:
    recipe = tiny("cluster_gan")
    step = step_of(recipe, GREY, batch_size=rows)
    batch = feed(GREY)
    for k in range(2):
        terms = step.take(k, lambda k: {name: v[:rows] for name, v in batch(k).items()})
    assert all(torch.isfinite(t) for t in terms.values())


def test_cluster_gan_finds_its_noise_again() -> None:
    recipe = tiny("cluster_gan")
    nets = built(recipe)
    z, cluster = recipe.prior(nets, 2000)
    assert z[:, :30].std() == pytest.approx(0.1, rel=0.05)
    assert torch.equal(z[:, 30:].argmax(1), cluster) and (z[:, 30:].sum(1) == 1).all()
    assert torch.bincount(cluster, minlength=10).min() > 120

    class Perfect(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :40] * torch.cat((torch.ones(30), 100 * torch.ones(10)))

    class Copy(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return F.pad(z, (0, 24)).view(-1, 1, 8, 8)

    nets = nn.ModuleDict({"D": nets["D"], "G": Copy(), "E": Perfect()})
    terms = recipe.turns()[1].loss(nets, BATCH)
    assert float(terms["noise"]) == 0 and float(terms["cluster"]) == pytest.approx(0, abs=1e-6)


# --- cogan ------------------------------------------------------------------------------------------------------------


def test_cogan_shares_what_lies_deep() -> None:
    """G decodes alike and paints apart; D looks apart and judges alike, not the other way round."""
    torch.manual_seed(0)
    g, d = coupled.Generator(5, (1, 16, 16), (1, 16, 16), 4), coupled.Discriminator((1, 16, 16), (1, 16, 16), 4)
    a, b = g.eval()(torch.randn(6, 5))
    assert gradient(a.square().sum(), g.own_b) == 0 and gradient(b.square().sum(), g.own_a) == 0
    assert gradient(a.square().sum(), g.shared) > 0 and gradient(b.square().sum(), g.shared) > 0
    assert not torch.equal(a, b)
    one, other = d.eval()(a.detach(), b.detach())
    assert gradient(one.sum(), d.own_b) == 0 and gradient(other.sum(), d.own_a) == 0
    for score in (one, other):
        assert gradient(score.sum(), d.head) > 0 and gradient(score.sum(), d.shared) > 0


def test_cogan_is_judged_by_cross_entropy() -> None:
    recipe = tiny("cogan")
    spec = two("domains", (1, 8, 8), (1, 8, 8))
    nets = built(recipe, spec).eval()
    batch: Batch = feed(spec)(0)
    real_a, _ = nets["D"](batch["a"], batch["b"])
    found = recipe.turns()[0].loss(nets, batch)["real_a"]
    torch.testing.assert_close(found, F.binary_cross_entropy_with_logits(real_a, torch.ones_like(real_a)))


def test_cogan_asks_for_pictures_of_one_kind() -> None:
    with pytest.raises(ValueError, match="cogan draws pairs of one size"):
        tiny("cogan").networks(two("domains", (1, 8, 8), (3, 8, 8)))


# --- semi, badgan -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["semi", "badgan"])
def test_labels_that_are_not_told_teach_nothing(name: str) -> None:
    recipe = tiny(name)
    nets = built(recipe)
    for turn in recipe.turns():
        found = []
        for change in (0, 1):
            torch.manual_seed(4)
            fresh = built(recipe)
            found.append(turn.loss(fresh, {**BATCH, "y": (BATCH["y"] + change) % 2}))
        assert all(torch.equal(found[0][k], found[1][k]) for k in found[0])
    torch.manual_seed(5)
    before = weight_norm.labelled(nets["D"], BATCH)
    torch.manual_seed(5)
    assert not torch.equal(before, weight_norm.labelled(nets["D"], {**BATCH, "labelled.y": 1 - BATCH["labelled.y"]}))


def test_semi_takes_no_softmax_before_its_cross_entropy_and_holds_the_fake_logit_at_0() -> None:
    recipe = tiny("semi", noise=0.0, input_noise=0.0)
    nets = built(recipe)
    logits = nets["D"](BATCH["labelled.x"])
    expected = -logits.log_softmax(1)[range(24), BATCH["labelled.y"]].mean()
    torch.testing.assert_close(weight_norm.labelled(nets["D"], BATCH), expected)
    terms = turn_of(recipe, ("D",)).loss(nets, BATCH)
    sums = nets["D"](BATCH["x"]).exp().sum(1)
    torch.testing.assert_close(terms["real"], -0.5 * torch.log(sums / (sums + 1)).mean())


def test_semi_without_unlabelled_samples_is_a_plain_classifier() -> None:
    recipe = tiny("semi", unlabelled=0.0)
    assert set(turn_of(recipe, ("D",)).loss(built(recipe), BATCH)) == {"labelled"}


def test_feature_matching_and_pull_away() -> None:
    real, fake = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[2.0, 3.0], [2.0, 0.0]])
    assert float(losses.feature_matching(real, fake)) == pytest.approx(0 + 1.5**2)
    assert float(losses.pull_away(torch.eye(3))) == 0
    assert float(losses.pull_away(torch.ones(4, 3))) == pytest.approx(1)
    half = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert float(losses.pull_away(half)) == pytest.approx(0.5)


def test_weight_norm_is_set_by_a_batch() -> None:
    torch.manual_seed(0)
    net = weight_norm.Classifier((1, 8, 8), 3, (16, 8), 0.0, 0.0)
    x = torch.rand(200, 1, 8, 8) * 2 - 1
    net.fit(x)
    hidden = net.hidden[0]((x.flatten(1) + 1) / 2)
    for made in (hidden, net(x)):
        torch.testing.assert_close(made.mean(0), torch.zeros(made.shape[1]), atol=1e-4, rtol=0)
        torch.testing.assert_close(made.std(0, correction=0), torch.ones(made.shape[1]), atol=1e-3, rtol=0)
    before = net(x)
    with torch.no_grad():
        for layer in net.hidden:
            layer.weight.mul_(3.0)  # its length is no part of a normalised weight
    torch.testing.assert_close(net(x), before, atol=1e-4, rtol=1e-4)
    assert "scale" not in dict(net.hidden[0].named_parameters()) and "scale" in dict(net.last.named_parameters())


def test_noise_is_added_in_training_alone() -> None:
    torch.manual_seed(0)
    net = weight_norm.Classifier((1, 8, 8), 3, (16, 8), 0.3, 0.5)
    x = BATCH["x"]
    assert torch.equal(net(x), net(x))
    assert not torch.equal(net(x, normal), net(x, normal))


@pytest.mark.parametrize("channels", [1, 2])
def test_the_density_sees_only_what_came_before(channels: int) -> None:
    torch.manual_seed(0)
    net = pixelcnn.PixelCNN(channels, 4, 2, 3, 0.1)
    x = (torch.rand(1, channels, 4, 5) * 2 - 1).requires_grad_(True)
    seen = {}
    hook = net.last.register_forward_hook(lambda _, __, made: seen.update(made=made))
    net(x)
    hook.remove()
    for row in range(4):
        for column in range(5):
            (found,) = torch.autograd.grad(seen["made"][0, :, row, column].sum(), x, retain_graph=True)
            after = torch.arange(20).view(4, 5) >= row * 5 + column
            assert (found[0][:, after] == 0).all(), f"pixel {row}, {column} sees itself or what comes after"
            if row and column < 4:
                assert found[0, :, row - 1, column + 1].abs().sum() > 0, "a blind spot above to the right"


def test_the_density_is_one_over_all_pictures() -> None:
    """All 5 ** 2 pictures of two pixels and five values: their probabilities sum to 1."""
    torch.manual_seed(0)
    net = pixelcnn.PixelCNN(1, 4, 1, 3, 0.1, levels=5).double()
    values = torch.linspace(-1, 1, 5, dtype=torch.float64)
    pictures = torch.cartesian_prod(values, values).view(25, 1, 1, 2)
    assert float(net(pictures).exp().sum().detach()) == pytest.approx(1, abs=1e-6)


def test_the_threshold_is_the_share_that_was_asked_for() -> None:
    net = pixelcnn.PixelCNN(1, 4, 1, 3, 0.1)
    for k in range(200):
        net.observe(torch.linspace(0, 1, 101) + (5 if k < 50 else 0))  # old batches are forgotten
    assert float(net.low) == pytest.approx(0.1, abs=1.2)
    assert float(net.seen) == 200


# --- bayesian ---------------------------------------------------------------------------------------------------------


def test_chains_draw_from_the_posterior() -> None:
    """U = N theta^2 / 2: the posterior is N(0, 1 / N), and so is where the chain goes, whatever it starts at."""
    observed = 50.0
    theta = nn.Parameter(torch.full((4000,), 0.7))
    chain = Chain(0.05, 0.3, observed).build([theta])
    chain.generator = torch.Generator().manual_seed(0)
    spreads = []
    for k in range(1200):
        theta.grad = theta.detach().clone()
        chain.step()
        if k > 200:
            spreads.append(float(theta.detach().var()))
    assert np.mean(spreads) == pytest.approx(1 / observed, rel=0.04)


def test_a_chain_begins_with_the_moves_of_adam() -> None:
    one, two_ = (nn.Parameter(torch.linspace(-1, 1, 5)) for _ in range(2))
    chain = Chain(0.05, 0.3, 50.0, burn_in=3, adam_lr=0.01).build([one])
    chain.generator = torch.Generator().manual_seed(0)
    adam = torch.optim.Adam([two_], lr=0.01, betas=(0.5, 0.999))
    for k in range(4):
        assert torch.allclose(one, two_)
        for theta, optimizer in ((one, chain), (two_, adam)):
            theta.grad = theta.detach() ** 3 + k
            optimizer.step()
    assert not torch.allclose(one, two_)  # the fourth move is the chain's


def test_noise_of_chains_is_a_function_of_the_step_and_nothing_else() -> None:
    recipe = tiny("bayesian", generators=2)
    spec = SPECS["vector"]
    one, two_ = step_of(recipe, spec), step_of(recipe, spec)
    torch.manual_seed(123)  # what the global generator does is no matter
    for k in range(3):
        one.take(k, feed(spec))
    torch.rand(17)
    for k in range(3):
        two_.take(k, feed(spec))
    assert all(torch.equal(a, b) for a, b in zip(one.state().values(), two_.state().values(), strict=True))
    assert any(name.endswith("velocity") for name in one.state())


def test_samples_go_round_the_generators() -> None:
    recipe = tiny("bayesian", generators=3)
    nets = built(recipe, SPECS["vector"])

    class Constant(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = nn.Parameter(torch.tensor(value))

        def forward(self, z: Tensor) -> Tensor:
            return self.value.expand(len(z), 2)

    nets["G"] = nn.ModuleList(Constant(float(j)) for j in range(3))
    assert recipe.sample(nets, 7)[:, 0].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert recipe.sample(nets, 2)[:, 0].tolist() == [0, 1]


def test_recipes_of_few_labels_refuse_data_without_any() -> None:
    bare = DataSpec(kind="image", shape=(1, 8, 8), codec=ImageCodec())
    for recipe in (tiny("semi"), tiny("badgan"), tiny("bayesian", num_labels=10)):
        with pytest.raises(ValueError, match="no labels"):
            recipe.networks(bare)
