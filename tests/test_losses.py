"""Losses against closed forms, and their gradients against finite differences."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gansmith import losses


def sigmoid(s: float) -> float:
    return 1 / (1 + math.exp(-s))


ONE_SIDED = {
    "logistic_real": (losses.logistic_real, lambda s: -math.log(sigmoid(s))),
    "logistic_fake": (losses.logistic_fake, lambda s: -math.log(sigmoid(-s))),
    "saturating": (losses.saturating, lambda s: math.log(sigmoid(-s))),
    "hinge_real": (losses.hinge_real, lambda s: max(0.0, 1 - s)),
    "hinge_fake": (losses.hinge_fake, lambda s: max(0.0, 1 + s)),
    "least_squares 1": (lambda s: losses.least_squares(s, 1.0), lambda s: (s - 1) ** 2 / 2),
    "logistic_real 0.9": (
        lambda s: losses.logistic_real(s, 0.9),
        lambda s: -0.9 * math.log(sigmoid(s)) - 0.1 * math.log(sigmoid(-s)),
    ),
    "boundary": (losses.boundary, lambda s: (math.log(sigmoid(s)) - math.log(sigmoid(-s))) ** 2 / 2),
    "margin": (lambda s: losses.margin(s, 1.5), lambda s: max(0.0, 1.5 - s)),
    "least_squares 0": (lambda s: losses.least_squares(s, 0.0), lambda s: s**2 / 2),
}
TWO_SIDED = {
    "wasserstein": (losses.wasserstein, lambda real, fake: fake - real),
    "relativistic": (losses.relativistic, lambda higher, lower: -math.log(sigmoid(higher - lower))),
}
SCORES = st.lists(st.floats(-20, 20), min_size=1, max_size=5)


@pytest.mark.parametrize("name", ONE_SIDED)
@given(scores=SCORES)
def test_one_sided_closed_form(name: str, scores: list[float]) -> None:
    loss, expected = ONE_SIDED[name]
    found = loss(torch.tensor(scores, dtype=torch.float64))
    assert found.shape == ()
    assert found.item() == pytest.approx(sum(map(expected, scores)) / len(scores), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", TWO_SIDED)
@given(scores=SCORES)
def test_two_sided_closed_form(name: str, scores: list[float]) -> None:
    loss, expected = TWO_SIDED[name]
    other = [s / 3 + 1 for s in reversed(scores)]
    found = loss(torch.tensor(scores, dtype=torch.float64), torch.tensor(other, dtype=torch.float64))
    wanted = sum(expected(a, b) for a, b in zip(scores, other, strict=True)) / len(scores)
    assert found.shape == ()
    assert found.item() == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", [*ONE_SIDED, *TWO_SIDED])
def test_gradients_by_finite_differences(name: str) -> None:
    scores = torch.linspace(-3.1, 2.7, 7, dtype=torch.float64, requires_grad=True)
    if name in ONE_SIDED:
        assert torch.autograd.gradcheck(ONE_SIDED[name][0], (scores,))
    else:
        other = torch.linspace(2.0, -1.3, 7, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(TWO_SIDED[name][0], (scores, other))


@pytest.mark.parametrize("name", ONE_SIDED)
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_huge_scores_are_finite(name: str, scale: float) -> None:
    scores = torch.full((3,), scale, requires_grad=True)
    loss = ONE_SIDED[name][0](scores)
    (gradient,) = torch.autograd.grad(loss, scores)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", [*ONE_SIDED, *TWO_SIDED])
def test_half_precision_scores_are_averaged_in_float32(name: str) -> None:
    scores = torch.linspace(-2, 3, 1001).bfloat16()

    def loss(s: Tensor) -> Tensor:
        return ONE_SIDED[name][0](s) if name in ONE_SIDED else TWO_SIDED[name][0](s, s.flip(0) / 2)

    assert loss(scores).dtype == torch.float32
    assert loss(scores).item() == pytest.approx(loss(scores.double()).item(), rel=1e-4, abs=1e-4)


def test_pairing_is_the_logistic_loss_of_the_difference() -> None:
    real, fake = torch.randn(2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert losses.relativistic(real, fake) == losses.logistic_real(real - fake)


def two_samples(n: int = 7, m: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return tuple(torch.randn(k, dtype=torch.float64, generator=generator) for k in (n, m))  # type: ignore[return-value]


def test_relativistic_average_compares_each_score_with_the_mean_of_the_others() -> None:
    real, fake = two_samples(5, 8)
    wanted = -sum(math.log(sigmoid(r - fake.mean().item())) for r in real.tolist()) / 5
    wanted -= sum(math.log(1 - sigmoid(f - real.mean().item())) for f in fake.tolist()) / 8
    assert losses.relativistic_average(real, fake).item() == pytest.approx(wanted)
    leaves = [t.clone().requires_grad_() for t in (real, fake)]
    assert torch.autograd.gradcheck(losses.relativistic_average, tuple(leaves))
    found = torch.autograd.grad(losses.relativistic_average(*leaves), leaves)
    assert (found[0] < 0).all() and (found[1] > 0).all()  # real scores rise, fake ones fall, through both terms
    assert torch.autograd.grad(losses.relativistic_average(*leaves), leaves)[0].sum() == pytest.approx(
        -found[1].sum().item()  # a constant added to all scores changes nothing
    )


def test_softmax_gan_is_the_cross_entropy_of_one_softmax_with_its_two_targets() -> None:
    real, fake = two_samples(4, 6)
    log_shares = torch.cat((real, fake)).log_softmax(0)
    torch.testing.assert_close(losses.softmax_real(real, fake), -log_shares[:4].mean())
    torch.testing.assert_close(losses.softmax_all(real, fake), -log_shares.mean())
    # With D's optimum nothing is left but the entropy of its target; with G's, that of the even one.
    far = torch.full((4,), 60.0, dtype=torch.float64)
    assert losses.softmax_real(far, -far[:3]).item() == pytest.approx(math.log(4))
    assert losses.softmax_all(far, far).item() == pytest.approx(math.log(8))
    leaves = [t.clone().requires_grad_() for t in (real, fake)]
    assert torch.autograd.gradcheck(losses.softmax_real, tuple(leaves))
    assert torch.autograd.gradcheck(losses.softmax_all, tuple(leaves))
    assert torch.isfinite(losses.softmax_real(torch.full((3,), -1e4), torch.full((3,), 1e4)))


def test_pull_away_is_the_mean_squared_cosine_of_different_samples() -> None:
    codes = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cosines = [
        torch.nn.functional.cosine_similarity(codes[i], codes[j], dim=0).item() ** 2
        for i in range(5)
        for j in range(5)
        if i != j
    ]
    assert losses.pull_away(codes).item() == pytest.approx(sum(cosines) / 20)
    assert losses.pull_away(torch.eye(4)).item() == pytest.approx(0.0, abs=1e-6)
    assert losses.pull_away(torch.ones(4, 3)).item() == pytest.approx(1.0)
    assert torch.autograd.gradcheck(losses.pull_away, (codes.clone().requires_grad_(),))


def test_feature_matching_sees_means_alone() -> None:
    real, fake = torch.tensor([[0.0, 2.0], [2.0, 4.0]]), torch.tensor([[4.0, 3.0], [0.0, 1.0], [2.0, 2.0]])
    assert losses.feature_matching(real, fake).item() == pytest.approx((1 - 2) ** 2 + (3 - 2) ** 2)
    assert losses.feature_matching(real, real.flip(0)).item() == 0.0


@pytest.mark.parametrize(("correct", "rests"), [((1, 1, 0, 0), True), ((1, 1, 1, 0), False), ((1, 0, 0, 0), False)])
def test_resting_takes_the_gradient_away_near_an_accuracy_of_half(correct: tuple[int, ...], rests: bool) -> None:
    scores = torch.ones(4, requires_grad=True)
    loss = losses.resting(scores.sum(), torch.tensor(correct).bool(), within=0.2)
    (gradient,) = torch.autograd.grad(loss, scores)
    assert bool((gradient == 0).all()) == rests
    assert (loss.item() == 0) == rests
