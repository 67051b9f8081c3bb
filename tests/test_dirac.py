"""The Dirac-GAN: the smallest game in which a GAN's training converges or does not, to known figures.

Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018, arXiv:1801.04406, section 2: the data
are one point at 0, the fake is one point theta, D(x) = psi x. Both players take plain gradient steps of size 0.2 from
theta = 1, psi = -1 (the paper's sign of psi is the opposite), at once or in turns, G first. What is compared is the
distance |(theta, psi)| from the equilibrium after 500 steps.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gansmith import losses, penalties

Loss = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]


def logistic(net, real: Tensor, fake: Tensor) -> Tensor:
    return losses.logistic_real(net(real)) + losses.logistic_fake(net(fake))


def wasserstein(net, real: Tensor, fake: Tensor) -> Tensor:
    return losses.wasserstein(net(real), net(fake))


def relativistic(net, real: Tensor, fake: Tensor) -> Tensor:
    return losses.relativistic(net(real), net(fake))


def with_r1(gamma: float) -> Loss:
    return lambda net, real, fake: logistic(net, real, fake) + gamma / 2 * penalties.zero_centred(net, real)


def with_gp(net, real: Tensor, fake: Tensor) -> Tensor:
    return wasserstein(net, real, fake) + 0.5 * penalties.wgan_gp(net, real, fake, target=0.3)


def play(discriminator: Loss, generator: Callable[[Tensor], Tensor], in_turns: bool) -> float:
    theta, psi = torch.tensor(1.0, dtype=torch.float64), torch.tensor(-1.0, dtype=torch.float64)
    real = torch.zeros(1, 1, dtype=torch.float64)

    def g_step(theta: Tensor, psi: Tensor) -> Tensor:
        theta = theta.clone().requires_grad_()
        return 0.2 * torch.autograd.grad(generator((psi * theta).reshape(1)), theta)[0]

    def d_step(theta: Tensor, psi: Tensor) -> Tensor:
        psi = psi.clone().requires_grad_()
        loss = discriminator(lambda x: (psi * x).flatten(), real, theta.reshape(1, 1))
        return 0.2 * torch.autograd.grad(loss, psi)[0]

    for _ in range(500):
        moved = theta - g_step(theta, psi)
        psi = psi - d_step(moved if in_turns else theta, psi)
        theta = moved
    return math.hypot(float(theta), float(psi))


TABLE = {
    "minimax": (logistic, losses.saturating, 3.097, 1.421),
    "non-saturating": (logistic, losses.logistic_real, 0.6402, 0.2839),
    "relativistic": (relativistic, lambda s: losses.relativistic(s, torch.zeros_like(s)), 0.6402, 0.2839),
    "wasserstein": (wasserstein, lambda s: -s.mean(), 2.56e4, 1.398),
    "wgan-gp": (with_gp, lambda s: -s.mean(), 0.4252, 0.4248),
    "r1, gamma 0.3": (with_r1(0.3), losses.logistic_real, 2.2e-6, 1.5e-7),
    "r1, gamma 1": (with_r1(1.0), losses.logistic_real, 1.5e-23, 1.9e-17),
}
CONVERGENT = {"r1, gamma 0.3", "r1, gamma 1"}


@pytest.mark.parametrize("in_turns", [False, True])
@pytest.mark.parametrize("name", TABLE)
def test_table(name: str, in_turns: bool) -> None:
    discriminator, generator, at_once, alternating = TABLE[name]
    expected = alternating if in_turns else at_once
    found = play(discriminator, generator, in_turns)
    digits = len(f"{expected:.4e}".split("e")[0].rstrip("0").replace(".", ""))
    assert float(f"{found:.{digits - 1}e}") == expected
    assert found < 1e-4 if name in CONVERGENT else found > 0.2
