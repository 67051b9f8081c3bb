"""What the doctor must see, and what it must not."""

import torch

from gansmith.doctor.look import look


def real() -> torch.Tensor:
    return torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_healthy_samples_raise_nothing() -> None:
    assert look(real().flip(0) * 0.9, real()) == {}


def test_collapse_is_seen() -> None:
    one = real()[:1].expand(64, -1, -1, -1) + 0.01 * real()
    assert set(look(one, real())) == {"alike"}


def test_saturation_is_seen_unless_the_data_is_so() -> None:
    assert set(look(real().sign(), real())) == {"saturated"}
    assert look(real().sign(), real().roll(1, 0).sign()) == {}


def test_values_that_are_not_finite_are_seen() -> None:
    bad = real()
    bad[3, 0, 2, 2] = float("nan")
    assert set(look(bad, real())) == {"not finite"}
