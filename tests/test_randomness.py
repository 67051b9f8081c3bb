"""Draws: taped ones equal fresh ones; dropout drops as often as it says."""

import pytest
import torch
from torch import Tensor, nn

from gansmith.nets.dropout import Dropout
from gansmith.step.randomness import Stream, Tape, draws, kept, noise, normal, uniform


def drawn(stream: Stream) -> list[Tensor]:
    nets, like = nn.ModuleDict({"G": nn.Linear(1, 1)}), torch.zeros(6, 5, dtype=torch.float64)
    with draws(stream):
        return [noise(nets, 3, 4), uniform(like, 3), kept(like, 0.3).double(), normal(like), noise(nets, 3, 40)]


def test_taped_draws_are_those_that_would_be_made() -> None:
    common, own, tape = torch.Generator(), torch.Generator(), Tape()

    def stream(seed: int, replayed: bool, tape: Tape | None = tape) -> Stream:
        common.manual_seed(seed)
        own.manual_seed(seed + 1)
        return Stream(common, 1, 2, own=own, tape=tape, replayed=replayed)

    first = drawn(stream(3, False))
    assert [kind for kind, *_ in tape.asked] == ["normal", "uniform", "bits", "normal", "normal"]
    for seed in (3, 8):
        fresh = drawn(stream(seed, False, None))
        taped = stream(seed, True)
        tape.fill(taped)
        places = [t.data_ptr() for t in tape.made]
        found = drawn(taped)
        assert all(torch.equal(a, b) for a, b in zip(fresh, found, strict=True))
        assert places == [t.data_ptr() for t in tape.made], "static"
    assert not torch.equal(first[0], found[0])
    with pytest.raises(RuntimeError, match="something else"), draws(stream(3, True)):
        uniform(torch.zeros(1), 9)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_dropout_drops_as_often_as_it_says_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(1000, 333)
    y = Dropout(p)(x)
    share = float((y == 0).float().mean())
    assert abs(share - p) < 4 * (p * (1 - p) / x.numel()) ** 0.5 + 1 / 65_536
    assert y.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)], rel=1e-3)
    assert abs(float(y.mean()) - 1) < 0.01
    neighbours = ((y[:, 1:] == 0) & (y[:, :-1] == 0)).float().mean()  # four values come of one draw
    assert abs(float(neighbours) - p * p) < 0.005
    assert Dropout(p).eval()(x) is x and not Dropout(1.0)(x).any()
