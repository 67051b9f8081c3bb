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
