"""The scores of tables: closed forms, sdmetrics, the leak guard, and controls that must be seen."""

import math

import numpy as np
import pytest

from gansmith.metrics import closest_records, column_shapes, efficacy, pair_trends
from gansmith.metrics.tables import binned, contingency_similarity, correlation_similarity, ks_complement, tv_complement


def sets(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Two tables (N, 4): two numbers, two categories, holes; the second is distributed in another way."""
    found = []
    for seed, shift in ((0, 0.0), (1, 0.7)):
        random = np.random.default_rng(seed)
        x = random.normal(shift, 1, n)
        rows = np.stack(
            [
                x,
                np.round(x * (1 - shift / 2) + random.normal(0, 0.5, n), 2),
                (x > 0.3).astype(float) + random.integers(0, 2, n),
                random.choice(4, n, p=(0.1, 0.2, 0.3, 0.4) if not shift else (0.4, 0.3, 0.3, 0.0)).astype(float),
            ],
            1,
        )
        rows[random.random(rows.shape) < 0.05] = np.nan
        found.append(rows)
    return found[0], found[1]


DISCRETE = [False, False, True, True]


def test_closed_forms() -> None:
    assert ks_complement(np.arange(4.0), np.arange(4.0) + 2) == pytest.approx(0.5)
    assert ks_complement(np.arange(4.0), np.arange(4.0) + 9) == 0.0
    assert tv_complement(np.array([0, 0, 1, 1.0]), np.array([0, 0, 0, 1.0, math.nan])) == pytest.approx(0.75)
    line = np.stack([np.arange(9.0), 2 * np.arange(9.0)], 1)
    assert correlation_similarity(line, line * (1, -1)) == pytest.approx(0.0)
    assert math.isnan(correlation_similarity(line, np.ones((9, 2))))
    same, other = np.array([[0, 0], [1, 1.0]]), np.array([[0, 1], [1, 0.0]])
    assert contingency_similarity(same, other) == 0.0 and contingency_similarity(same, same) == 1.0
    real, _ = sets()
    assert np.allclose(column_shapes(real, real, DISCRETE), 1) and np.nanmin(pair_trends(real, real, DISCRETE)) > 0.9999


def test_they_are_those_of_sdmetrics() -> None:
    pandas = pytest.importorskip("pandas")
    pairs = pytest.importorskip("sdmetrics.column_pairs")
    single = pytest.importorskip("sdmetrics.single_column")
    real, fake = sets()
    a, b = (pandas.DataFrame(rows, columns=list("wxyz")) for rows in (real, fake))
    shapes, trends = column_shapes(real, fake, DISCRETE), pair_trends(real, fake, DISCRETE)
    for j, name in enumerate("wxyz"):
        theirs = single.TVComplement if DISCRETE[j] else single.KSComplement
        # sdmetrics rounds to a few decimals, and adds 1e-6 to a category that is not there.
        assert shapes[j] == pytest.approx(theirs.compute(a[name], b[name]), abs=1e-5)
    assert trends[0, 1] == pytest.approx(pairs.CorrelationSimilarity.compute(a[["w", "x"]], b[["w", "x"]]))
    assert trends[2, 3] == pytest.approx(pairs.ContingencySimilarity.compute(a[["y", "z"]], b[["y", "z"]]))
    cuts = binned(real[:, 0], fake[:, 0])
    mixed = [pandas.DataFrame({"w": cut, "y": frame["y"]}) for cut, frame in zip(cuts, (a, b), strict=True)]
    assert trends[0, 2] == pytest.approx(pairs.ContingencySimilarity.compute(*mixed))


def test_efficacy_tells_real_from_noise_and_guards_the_test_rows() -> None:
    random = np.random.default_rng(3)

    def rows(n: int) -> np.ndarray:
        x = random.normal(0, 1, (n, 2))
        return np.concatenate((x, (x.sum(1, keepdims=True) + random.normal(0, 0.3, (n, 1)) > 0.8).astype(float)), 1)

    train, test = rows(600), rows(400)
    noise = np.stack([random.permutation(train[:, j]) for j in range(3)], 1)
    discrete, places = [False, False, True], [0, 0, 2]
    good, bad = (efficacy(r, test, discrete, 2, places) for r in (train, noise))
    assert set(good) == {"decision tree", "AdaBoost", "logistic regression", "MLP"}
    assert np.mean(list(good.values())) > 0.75 > 0.5 > np.mean(list(bad.values()))
    assert efficacy(train, test, [False] * 3, 0, [0] * 3)["ridge"] > 0.1
    with pytest.raises(ValueError, match="test on real rows that neither"):
        efficacy(train, train[:100], discrete, 2, places)
    one_class = train[train[:, 2] == 0]
    assert max(efficacy(one_class, test, discrete, 2, places).values()) == 0.0


def test_copies_are_nearer_to_training_rows_and_new_rows_are_not() -> None:
    random = np.random.default_rng(4)

    def rows(n: int) -> np.ndarray:
        return np.stack([random.normal(0, 1, n), random.normal(0, 9, n), random.integers(0, 3, n).astype(float)], 1)

    training, holdout, new = rows(300), rows(300), rows(1_000)
    discrete, places = [False, False, True], [0, 0, 3]
    copies = training[random.integers(0, 300, 1_000)] + random.normal(0, 0.001, (1_000, 3)) * (1, 1, 0)
    assert closest_records(copies, training, holdout, discrete, places).share > 0.95
    found = closest_records(new, training, holdout, discrete, places)
    assert found.share == pytest.approx(0.5, abs=0.06) and found.exact == 0
    assert closest_records(training, training, holdout, discrete, places).exact == 1
    with pytest.raises(ValueError, match="as many of each"):
        closest_records(new, training, holdout[:10], discrete, places)
