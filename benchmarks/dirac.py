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

Loss = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]
STEP, STEPS, START = 0.2, 500, (1.0, -1.0)
GROWN, CONVERGED = 1.05 * math.hypot(*START), 1e-4


def _logistic(net: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    return losses.logistic_real(net(real)) + losses.logistic_fake(net(fake))


def _wasserstein(net: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    return losses.wasserstein(net(real), net(fake))


def _relativistic(net: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    return losses.relativistic(net(real), net(fake))


def _with_r1(gamma: float) -> Loss:
    return lambda net, real, fake: _logistic(net, real, fake) + gamma / 2 * penalties.zero_centred(net, real)


def _with_gp(net: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    return _wasserstein(net, real, fake) + 0.5 * penalties.wgan_gp(net, real, fake, target=0.3)


GAMES: dict[str, tuple[Loss, Callable[[Tensor], Tensor], str]] = {
    "minimax": (_logistic, losses.saturating, "no"),
    "non-saturating": (_logistic, losses.logistic_real, "no"),
    "relativistic": (_relativistic, lambda s: losses.relativistic(s, torch.zeros_like(s)), "not in it"),
    "wasserstein": (_wasserstein, lambda s: -s.mean(), "no"),
    "wgan-gp": (_with_gp, lambda s: -s.mean(), "no"),
    "r1, gamma 0.3": (_with_r1(0.3), losses.logistic_real, "yes"),
    "r1, gamma 1": (_with_r1(1.0), losses.logistic_real, "yes"),
}
"""D's loss, G's loss, and whether the paper says that it converges. Relativistic: G is judged against the real 0."""


def field(discriminator: Loss, generator: Callable[[Tensor], Tensor], theta: Tensor, psi: Tensor) -> tuple[Tensor, ...]:
    """The descent directions of theta and psi, () float64 each."""
    real = torch.zeros(1, 1, dtype=torch.float64)
    theta, psi = theta.detach().requires_grad_(), psi.detach().requires_grad_()
    (down_theta,) = torch.autograd.grad(generator((psi.detach() * theta).reshape(1)), theta)
    loss = discriminator(lambda x: (psi * x).flatten(), real, theta.detach().reshape(1, 1))
    (down_psi,) = torch.autograd.grad(loss, psi)
    return -down_theta, -down_psi


def play(discriminator: Loss, generator: Callable[[Tensor], Tensor], in_turns: bool) -> float:
    """The distance from the equilibrium after 500 steps, both players at once or in turns."""
    theta, psi = (torch.tensor(value, dtype=torch.float64) for value in START)
    for _ in range(STEPS):
        moved = theta + STEP * field(discriminator, generator, theta, psi)[0]
        psi = psi + STEP * field(discriminator, generator, moved if in_turns else theta, psi)[1]
        theta = moved
    return math.hypot(float(theta), float(psi))


def eigenvalues(discriminator: Loss, generator: Callable[[Tensor], Tensor]) -> list[complex]:
    """Of the Jacobian of `field` at the equilibrium (0, 0); none where it has none (the field jumps there)."""
    coarse, fine = (_jacobian(discriminator, generator, width) for width in (1e-3, 1e-4))
    if not torch.allclose(coarse, fine, atol=1e-3):
        return []
    return sorted((complex(v) for v in torch.linalg.eigvals(fine).tolist()), key=lambda v: -v.imag)


def _jacobian(discriminator: Loss, generator: Callable[[Tensor], Tensor], width: float) -> Tensor:
    """By central differences, float64 (2, 2)."""
    columns = []
    for direction in ((width, 0.0), (0.0, width)):
        ahead, behind = (
            field(discriminator, generator, *(torch.tensor(sign * d, dtype=torch.float64) for d in direction))
            for sign in (1, -1)
        )
        columns.append([float(a - b) / (2 * width) for a, b in zip(ahead, behind, strict=True)])
    return torch.tensor(columns, dtype=torch.float64).T


def verdict(radius: float) -> str:
    """What a distance after 500 steps says."""
    return "diverges" if radius > GROWN else "converges" if radius < CONVERGED else "cycles or crawls"


def measured() -> list[dict[str, Any]]:
    """One row for each game."""
    rows = []
    for name, (discriminator, generator, paper) in GAMES.items():
        at_once, in_turns = (play(discriminator, generator, turns) for turns in (False, True))
        rows.append(
            {
                "game": name,
                "at_once": at_once,
                "in_turns": in_turns,
                "verdict": verdict(at_once),
                "verdict_in_turns": verdict(in_turns),
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
