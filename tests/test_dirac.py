"""The Dirac-GAN's published verdicts and our distances after 500 steps; the game itself is in `benchmarks/dirac.py`."""

import math

import pytest
from benchmarks.dirac import BOUNDS, GAMES, eigenvalues, play, verdict

TABLE = {
    "minimax": (3.097, 1.421),
    "non-saturating": (0.6402, 0.2839),
    "relativistic": (0.6402, 0.2839),
    "relativistic average": (0.9077, 0.2062),
    "least squares 0, 1, 1": (1.186, 1.188),
    "least squares -1, 1, 0": (1.318, 1.304),
    "hinge": (1.705, 1.398),
    "softmax": (1.751, 1.719),
    "boundary-seeking": (1.281, 1.238),
    "unrolled, 5 moves": (1.37e-10, 6.85e-12),
    "instance noise 1": (4.74e-11, 5.1e-12),
    "wasserstein": (2.56e4, 1.398),
    "wasserstein, clipped at 1": (1.002, 1.024),
    "wgan-gp": (0.4252, 0.4248),
    "wgan-div": (0.824, 0.3482),
    "dragan": (0.6, 0.6),
    "r1, gamma 0.3": (2.2e-6, 1.5e-7),
    "r1, gamma 1": (1.5e-23, 1.9e-17),
    "r2, gamma 1": (1.5e-23, 1.9e-17),
}
CONVERGENT = {"r1, gamma 0.3", "r1, gamma 1", "r2, gamma 1", "instance noise 1"}
ALSO = {"unrolled, 5 moves"}
"""Converges too; the paper does not treat it."""


def test_every_game_is_in_the_table() -> None:
    assert set(TABLE) == set(GAMES)
    assert {name for name, game in GAMES.items() if game[2] == "yes"} == CONVERGENT


@pytest.mark.parametrize("in_turns", [False, True])
@pytest.mark.parametrize("name", TABLE)
def test_table(name: str, in_turns: bool) -> None:
    discriminator, generator, _ = GAMES[name]
    expected = TABLE[name][in_turns]
    found = math.hypot(*play(discriminator, generator, in_turns, BOUNDS.get(name, math.inf)))
    digits = len(f"{expected:.4e}".split("e")[0].rstrip("0").replace(".", ""))
    assert float(f"{found:.{digits - 1}e}") == expected
    assert found < 1e-4 if name in CONVERGENT | ALSO else found > 0.2


@pytest.mark.parametrize("name", ["least squares -1, 1, 0", "softmax", "boundary-seeking"])
def test_where_g_wants_the_boundary_it_arrives_and_d_stops_short(name: str) -> None:
    theta, psi = play(*GAMES[name][:2], in_turns=False)
    assert abs(theta) < 1e-12 < abs(psi)
    assert verdict(theta, psi) == "G arrives, D stops short"


def test_verdicts() -> None:
    assert verdict(1e-6, 1e-6) == "converges"
    assert verdict(1.0, 1e-9) == "D gives up, G stops short"
    assert verdict(1.0, 1.0) == "cycles or crawls"
    assert verdict(2.0, 1.0) == verdict(math.nan, 1.0) == "diverges"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("minimax", (0.5j, -0.5j)),  # +- i f'(0); for the logistic loss f'(0) = 1/2
        ("non-saturating", (0.5j, -0.5j)),
        ("relativistic", (0.5j, -0.5j)),
        ("relativistic average", (1j, -1j)),  # two terms, each with the slope 1/2
        ("least squares 0, 1, 1", (0, 0)),  # D has no slope at (0, 0), where its score of 0 for fakes is right
        ("least squares -1, 1, 0", (0, 0)),  # G has none, where fakes lie on the boundary
        ("softmax", (0, 0)),
        ("boundary-seeking", (0, 0)),
        ("hinge", (1j, -1j)),
        ("wasserstein", (1j, -1j)),
        ("wasserstein, clipped at 1", (1j, -1j)),
        ("wgan-div", (1j, -1j)),  # the sixth power is flat at 0
        ("unrolled, 5 moves", (-0.25 + 0.1875**0.5 * 1j, -0.25 - 0.1875**0.5 * 1j)),  # -K e/4 +- sqrt((K e/4)^2 - 1/4)
        ("instance noise 1", (-0.25 + 0.1875**0.5 * 1j, -0.25 - 0.1875**0.5 * 1j)),  # -s^2/4 +- sqrt(s^4/16 - 1/4)
        ("r1, gamma 0.3", (-0.15 + 0.2275**0.5 * 1j, -0.15 - 0.2275**0.5 * 1j)),  # -g/2 +- sqrt(g^2/4 - f'(0)^2)
        ("r1, gamma 1", (-0.5, -0.5)),  # critical damping
        ("r2, gamma 1", (-0.5, -0.5)),
        ("wgan-gp", ()),  # (|psi| - 0.3)^2 has a kink at 0
        ("dragan", ()),
    ],
)
def test_eigenvalues(name: str, expected: tuple[complex, ...]) -> None:
    found = eigenvalues(*GAMES[name][:2])
    assert found == [pytest.approx(v, abs=1e-3) for v in expected]
