"""Two-sample tests, the area under the curve, GAN-train and GAN-test."""

import math
from typing import Literal

import pytest
import torch
from torch import Tensor

from gansmith.metrics import area_under_curve, classifier_two_sample, frechet_distance, gan_test, gan_train, per_class


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_area_under_curve_counts_pairs() -> None:
    positive, negative = torch.tensor([3.0, 2.0, 1.0, 1.0]), torch.tensor([0.0, 1.0, 2.5])
    pairs = [(p > n) + 0.5 * (p == n) for p in positive.tolist() for n in negative.tolist()]
    found = area_under_curve(positive, negative)
    assert found.value == pytest.approx(sum(pairs) / 12)
    assert 0.0 <= found.low < found.value < found.high <= 1.0
    assert area_under_curve(positive + 10, negative).value == 1.0
    assert area_under_curve(negative, positive).value == pytest.approx(1 - found.value)


def test_area_interval_covers_the_truth() -> None:
    """Normals a deviation apart: the area is Phi(1 / sqrt 2); 95 % of intervals hold it."""
    truth = 0.5 * (1 + math.erf(0.5))
    hits = 0
    for s in range(300):
        found = area_under_curve(normal(60, 1, 2 * s)[:, 0] + 1, normal(50, 1, 2 * s + 1)[:, 0])
        hits += found.low <= truth <= found.high
    assert 0.90 <= hits / 300 <= 0.985


def test_two_sample_p_value_is_uniform_under_the_null() -> None:
    found = [classifier_two_sample(normal(100, 4, 2 * s), normal(100, 4, 2 * s + 1), seed=s) for s in range(150)]
    assert found[0].num_test == 100 and found[0].null_deviation == pytest.approx(0.05)
    accuracy = torch.tensor([f.accuracy for f in found])
    assert abs(float(accuracy.mean()) - 0.5) < 4 * 0.05 / 150**0.5
    assert float(accuracy.std()) == pytest.approx(0.05, rel=0.25)
    p = torch.tensor([f.p_value for f in found]).sort().values
    # Kolmogorov-Smirnov at the 0.1 % level; accuracy moves in steps of 1/100, which p follows in steps of up to .08.
    assert float((p - torch.arange(1, 151) / 150).abs().max()) < 1.95 / math.sqrt(150) + 0.08


@pytest.mark.parametrize("classifier", ["logistic", "mlp"])
def test_two_sample_sees_a_difference(classifier: Literal["logistic", "mlp"]) -> None:
    real, fake = normal(300, 4, 0), normal(300, 4, 1)
    fake = fake + 1 if classifier == "logistic" else 2.5 * fake  # equal means: only the net can tell
    found = classifier_two_sample(real, fake, seed=0, classifier=classifier)
    assert found.p_value < 1e-3 and found.auc.low > 0.6
    assert found == classifier_two_sample(real, fake, seed=0, classifier=classifier)


def classes(n: int, seed: int, num: int = 4) -> tuple[Tensor, Tensor]:
    labels = torch.arange(n) % num
    return 4 * torch.eye(num, 6)[labels] + normal(n, 6, seed), labels


def test_gan_train_falls_with_a_dropped_class_and_gan_test_does_not() -> None:
    (real, truth), (fake, made) = classes(200, 0), classes(200, 1)
    kept = made != 2
    dropped = gan_train(fake[kept], made[kept], real, truth, seed=0)
    assert gan_train(fake, made, real, truth, seed=0).accuracy > 0.95
    assert dropped.accuracy < 0.8 and dropped.per_class[2] == 0.0 and dropped.missing == (2,)
    assert gan_test(real, truth, fake[kept], made[kept], seed=0).accuracy > 0.95
    with pytest.raises(ValueError, match="needs two"):
        gan_train(fake[:3], torch.zeros(3, dtype=torch.long), real, truth, seed=0)
    with pytest.raises(ValueError, match="integer"):
        gan_train(fake, made.float(), real, truth, seed=0)


def test_per_class_names_what_is_missing() -> None:
    (real, truth), (fake, made) = classes(400, 0), classes(400, 1)
    fake[made == 1] += 3
    kept = made != 3
    found = per_class(lambda x, y: frechet_distance(x, y).value, real, truth, fake[kept], made[kept])
    assert set(found.values) == {0, 1, 2} and found.missing == (3,) and found.unknown == ()
    assert found.values[1] > 20 * found.values[0]


def test_refusals() -> None:
    x = normal(20, 2, 0)
    with pytest.raises(ValueError, match="equal counts"):
        classifier_two_sample(x, x[:10], seed=0)
    with pytest.raises(ValueError, match="test_share is 1"):
        classifier_two_sample(x, x, seed=0, test_share=1.0)
