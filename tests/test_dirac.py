"""The Dirac-GAN's published verdicts and our distances after 500 steps; the game itself is in `benchmarks/dirac.py`."""

import pytest
from benchmarks.dirac import GAMES, eigenvalues, play

TABLE = {
    "minimax": (3.097, 1.421),
    "non-saturating": (0.6402, 0.2839),
    "relativistic": (0.6402, 0.2839),
    "wasserstein": (2.56e4, 1.398),
    "wgan-gp": (0.4252, 0.4248),
    "r1, gamma 0.3": (2.2e-6, 1.5e-7),
    "r1, gamma 1": (1.5e-23, 1.9e-17),
}
CONVERGENT = {"r1, gamma 0.3", "r1, gamma 1"}


def test_every_game_is_in_the_table() -> None:
    assert set(TABLE) == set(GAMES)
    assert {name for name, game in GAMES.items() if game[2] == "yes"} == CONVERGENT


@pytest.mark.parametrize("in_turns", [False, True])
@pytest.mark.parametrize("name", TABLE)
def test_table(name: str, in_turns: bool) -> None:
    discriminator, generator, _ = GAMES[name]
    expected = TABLE[name][in_turns]
    found = play(discriminator, generator, in_turns)
    digits = len(f"{expected:.4e}".split("e")[0].rstrip("0").replace(".", ""))
    assert float(f"{found:.{digits - 1}e}") == expected
    assert found < 1e-4 if name in CONVERGENT else found > 0.2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("minimax", (0.5j, -0.5j)),  # +- i f'(0); for the logistic loss f'(0) = 1/2
        ("non-saturating", (0.5j, -0.5j)),
        ("relativistic", (0.5j, -0.5j)),
        ("wasserstein", (1j, -1j)),
        ("r1, gamma 0.3", (-0.15 + 0.2275**0.5 * 1j, -0.15 - 0.2275**0.5 * 1j)),  # -g/2 +- sqrt(g^2/4 - f'(0)^2)
        ("r1, gamma 1", (-0.5, -0.5)),  # critical damping
        ("wgan-gp", ()),  # (|psi| - 0.3)^2 has a kink at 0
    ],
)
def test_eigenvalues(name: str, expected: tuple[complex, ...]) -> None:
    found = eigenvalues(*GAMES[name][:2])
    assert found == [pytest.approx(v, abs=1e-3) for v in expected]
