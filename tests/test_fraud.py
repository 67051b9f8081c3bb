"""The benchmark of rare frauds: recall at a precision, SMOTE, and that no test row is learnt from."""

import numpy as np
import pytest
from benchmarks import fraud


def test_recall_at_a_precision() -> None:
    truth, scores = np.array([1, 1, 0, 1, 0, 0]), np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    assert fraud.recall_at(truth, scores, 1.0) == pytest.approx(2 / 3)
    assert fraud.recall_at(truth, scores, 0.75) == 1.0
    assert fraud.recall_at(1 - truth, scores, 0.9) == 0.0
    assert fraud.recall_at(truth, np.zeros(6), 0.75) == 0.0  # equal scores cannot be parted


def test_smote_lies_between_neighbours() -> None:
    random = np.random.default_rng(0)
    rows = np.concatenate((random.normal(0, 0.1, (20, 2)), random.normal(9, 0.1, (20, 2))))
    found = fraud.smote(rows, 500, random)
    near = np.abs(found[:, None] - np.array([[0, 0], [9, 9]])).max(2).min(1)
    assert near.max() < 0.6 and len(np.unique(found, axis=0)) == 500


def test_test_rows_are_never_learnt_from() -> None:
    y = np.repeat([0.0, 1.0], (900, 300))
    train, test = fraud.split(y, 3)
    assert not set(train) & set(test) and len(test) == 600 and y[test].sum() == 150
    assert y[train].sum() == fraud.FEW and (y[train] == 0).sum() == 450


def test_differences_are_paired_by_seed() -> None:
    def found(plain: float, other: float) -> dict:
        rows = {
            f"{tool}, {learner}": {"recall": other, "average precision": 0.5}
            for tool in fraud.TOOLS
            for learner in fraud.LEARNERS
        }
        return rows | {f"nothing, {learner}": {"recall": plain, "average precision": 0.5} for learner in fraud.LEARNERS}

    text = fraud.table({"precision": 0.95, "frauds": 40, "seed 0": found(0.2, 0.3), "seed 1": found(0.6, 0.7)})
    assert "| SMOTE | gradient boosting | 0.500 | +0.100 ± 0.000 | 0.500 |" in text
    assert "| nothing | gradient boosting | 0.400 | - | 0.500 |" in text
