"""The Dirac-GAN: the smallest game in which a GAN's training converges or does not, to known figures.

    python -m benchmarks.dirac [--table]

Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018, arXiv:1801.04406, section 2: the data
are one point at 0, the fake is one point theta, D(x) = psi x. Both players take plain gradient steps of size 0.2 from
theta = 1, psi = -1 (the paper's sign of psi is the opposite), at once or in turns, G first. What is printed is the
distance |(theta, psi)| from the equilibrium after 500 steps (it starts at 1.414), and the eigenvalues of the field of
gradients at the equilibrium: a negative real part draws in, a zero one cycles.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gansmith import losses, penalties

from . import RESULTS, save

Net = Callable[[Tensor], Tensor]
Loss = Callable[["Line", Tensor, Tensor], Tensor]
STEP, STEPS, START = 0.2, 500, (1.0, -1.0)
GROWN, CONVERGED = 1.05 * math.hypot(*START), 1e-4
NOISE, UNROLLED, BOUND = 1.0, 5, 1.0


class Line:
    """D(x) = psi x, from (N, 1) to (N,)."""

    def __init__(self, psi: Tensor):
        self.psi = psi

    def __call__(self, x: Tensor) -> Tensor:
        """(N, 1) to (N,)."""
        return (self.psi * x).flatten()


def _logistic(net: Net, real: Tensor, fake: Tensor) -> Tensor:
    return losses.logistic_real(net(real)) + losses.logistic_fake(net(fake))


def _wasserstein(net: Net, real: Tensor, fake: Tensor) -> Tensor:
    return losses.wasserstein(net(real), net(fake))


def _hinge(net: Net, real: Tensor, fake: Tensor) -> Tensor:
    return losses.hinge_real(net(real)) + losses.hinge_fake(net(fake))


def _least_squares(fake_label: float) -> Loss:
    return lambda net, real, fake: losses.least_squares(net(real), 1.0) + losses.least_squares(net(fake), fake_label)


def _plus(loss: Loss, weight: float, penalty: Loss) -> Loss:
    return lambda net, real, fake: loss(net, real, fake) + weight * penalty(net, real, fake)


def _of_both(loss: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    return lambda net, real, fake: loss(net(real), net(fake))


def _of_fakes(loss: Callable[[Tensor], Tensor]) -> Loss:
    return lambda net, real, fake: loss(net(fake))


def _blurred(loss: Loss) -> Loss:
    """With instance noise: the mean over 200 points of a normal distribution, equally likely."""
    points = torch.special.ndtri((torch.arange(200, dtype=torch.float64) + 0.5) / 200)[:, None]
    points = NOISE * points / points.square().mean().sqrt()
    return lambda net, real, fake: loss(net, real + points, fake + points)


def _foreseen(net: Line, real: Tensor, fake: Tensor) -> Tensor:
    """Minus D's loss after its next moves, which answer to the fake."""
    psi = net.psi.detach().requires_grad_()
    for _ in range(UNROLLED):
        psi = psi - STEP * torch.autograd.grad(_logistic(Line(psi), real, fake), psi, create_graph=True)[0]
    return -_logistic(Line(psi), real, fake)


def _r1(net: Net, real: Tensor, fake: Tensor) -> Tensor:
    return penalties.zero_centred(net, real)


def _r2(net: Net, real: Tensor, fake: Tensor) -> Tensor:
    return penalties.zero_centred(net, fake)


NON_SATURATING, SCORE = _of_fakes(losses.logistic_real), _of_fakes(lambda s: -s.mean())
GAMES: dict[str, tuple[Loss, Loss, str]] = {
    "minimax": (_logistic, _of_fakes(losses.saturating), "no"),
    "non-saturating": (_logistic, NON_SATURATING, "no"),
    "relativistic": (
        _of_both(losses.relativistic),
        _of_both(lambda real, fake: losses.relativistic(fake, real)),
        "not in it",
    ),
    "relativistic average": (
        _of_both(losses.relativistic_average),
        _of_both(lambda real, fake: losses.relativistic_average(fake, real)),
        "not in it",
    ),
    "least squares 0, 1, 1": (_least_squares(0.0), _of_fakes(lambda s: losses.least_squares(s, 1.0)), "not in it"),
    "least squares -1, 1, 0": (_least_squares(-1.0), _of_fakes(lambda s: losses.least_squares(s, 0.0)), "not in it"),
    "hinge": (_hinge, SCORE, "not in it"),
    "softmax": (_of_both(losses.softmax_real), _of_both(losses.softmax_all), "not in it"),
    "boundary-seeking": (_logistic, _of_fakes(losses.boundary), "not in it"),
    "unrolled, 5 moves": (_logistic, _foreseen, "not in it"),
    "instance noise 1": (_blurred(_logistic), _blurred(NON_SATURATING), "yes"),
    "wasserstein": (_wasserstein, SCORE, "no"),
    "wasserstein, clipped at 1": (_wasserstein, SCORE, "no"),
    "wgan-gp": (
        _plus(_wasserstein, 0.5, lambda net, real, fake: penalties.wgan_gp(net, real, fake, target=0.3)),
        SCORE,
        "no",
    ),
    "wgan-div": (_plus(_wasserstein, 0.1, penalties.wgan_div), SCORE, "not in it"),
    "dragan": (
        _plus(_logistic, 0.5, lambda net, real, fake: penalties.dragan(net, real, 0.1, target=0.3)),
        NON_SATURATING,
        "not in it",
    ),
    "r1, gamma 0.3": (_plus(_logistic, 0.15, _r1), NON_SATURATING, "yes"),
    "r1, gamma 1": (_plus(_logistic, 0.5, _r1), NON_SATURATING, "yes"),
    "r2, gamma 1": (_plus(_logistic, 0.5, _r2), NON_SATURATING, "yes"),
}
"""D's loss, G's loss, and whether the paper says that it converges."""
BOUNDS = {"wasserstein, clipped at 1": BOUND}
"""Games whose psi is clipped after each of D's moves."""


def field(discriminator: Loss, generator: Loss, theta: Tensor, psi: Tensor) -> tuple[Tensor, ...]:
    """The descent directions of theta and psi, () float64 each."""
    real = torch.zeros(1, 1, dtype=torch.float64)
    theta, psi = theta.detach().requires_grad_(), psi.detach().requires_grad_()
    (down_theta,) = torch.autograd.grad(generator(Line(psi.detach()), real, theta.reshape(1, 1)), theta)
    (down_psi,) = torch.autograd.grad(discriminator(Line(psi), real, theta.detach().reshape(1, 1)), psi)
    return -down_theta, -down_psi


def play(discriminator: Loss, generator: Loss, in_turns: bool, bound: float = math.inf) -> tuple[float, float]:
    """theta and psi after 500 steps, both players at once or in turns; psi is kept within the bound."""
    theta, psi = (torch.tensor(value, dtype=torch.float64) for value in START)
    for _ in range(STEPS):
        moved = theta + STEP * field(discriminator, generator, theta, psi)[0]
        psi = (psi + STEP * field(discriminator, generator, moved if in_turns else theta, psi)[1]).clamp(-bound, bound)
        theta = moved
    return float(theta), float(psi)


def eigenvalues(discriminator: Loss, generator: Loss) -> list[complex]:
    """Of the Jacobian of `field` at the equilibrium (0, 0); none where it has none (the field jumps there)."""
    coarse, fine = (_jacobian(discriminator, generator, width) for width in (1e-3, 1e-4))
    if not torch.allclose(coarse, fine, atol=1e-3):
        return []
    return sorted((complex(v) for v in torch.linalg.eigvals(fine).tolist()), key=lambda v: -v.imag)


def _jacobian(discriminator: Loss, generator: Loss, width: float) -> Tensor:
    """By central differences, float64 (2, 2)."""
    columns = []
    for direction in ((width, 0.0), (0.0, width)):
        ahead, behind = (
            field(discriminator, generator, *(torch.tensor(sign * d, dtype=torch.float64) for d in direction))
            for sign in (1, -1)
        )
        columns.append([float(a - b) / (2 * width) for a, b in zip(ahead, behind, strict=True)])
    return torch.tensor(columns, dtype=torch.float64).T


def verdict(theta: float, psi: float) -> str:
    """What the state after 500 steps says. A G that is at the data stays there whatever D is left with."""
    radius = math.hypot(theta, psi)
    if radius < CONVERGED:
        return "converges"
    if abs(theta) < CONVERGED:
        return "G arrives, D stops short"
    if abs(psi) < CONVERGED:
        return "D gives up, G stops short"
    return "cycles or crawls" if radius <= GROWN else "diverges"


def measured() -> list[dict[str, Any]]:
    """One row for each game."""
    rows = []
    for name, (discriminator, generator, paper) in GAMES.items():
        at_once, in_turns = (
            play(discriminator, generator, turns, BOUNDS.get(name, math.inf)) for turns in (False, True)
        )
        rows.append(
            {
                "game": name,
                "at_once": math.hypot(*at_once),
                "in_turns": math.hypot(*in_turns),
                "verdict": verdict(*at_once),
                "verdict_in_turns": verdict(*in_turns),
                "eigenvalues": [[v.real, v.imag] for v in eigenvalues(discriminator, generator)],
                "converges_in_paper": paper,
            }
        )
    return rows


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "| game | eigenvalues at 0 | at once | | in turns | | converges, says the paper |",
        "|---|---|---:|---|---:|---|---|",
    ]
    for row in results["rows"]:
        match row["eigenvalues"]:
            case []:
                plain = "none: the field jumps at 0"
            case [[re, im], _] if abs(im) > 1e-3:
                plain = f"{_near(re)} ± {_near(im)}i"
            case [[re, _], [re2, _]]:
                plain = f"{_near(re)}, {_near(re2)}"
        lines.append(
            f"| {row['game']} | {plain} | {row['at_once']:.4g} | {row['verdict']} | {row['in_turns']:.4g} "
            f"| {row['verdict_in_turns']} | {row['converges_in_paper']} |"
        )
    return "\n".join(lines)


def _near(value: float) -> str:
    """Three decimals; no minus before a zero."""
    return f"{round(value, 3) + 0.0:.3g}"


def main() -> None:
    """Measure, print and record; with --table print what was recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print the recorded results as Markdown")
    if not parser.parse_args().table:
        save("dirac", {"step": STEP, "steps": STEPS, "start": START, "rows": measured()})
    print(table(json.loads((RESULTS / "dirac.json").read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
