"""Spoilt samples move the metric that is meant for the fault, and raise no alarm of another kind."""

import importlib.util
import sys
from pathlib import Path

import pytest

COPYING = {"1-NN fake (low)", "authenticity", "C_T"}
DIVERSITY = {"recall", "coverage", "class reverse KL", "duplicate rate"}
FIDELITY = {"precision", "density"}
DISTANCES = {"Frechet distance", "kernel distance", "sliced Wasserstein"}

MOVED = 4.0  # standard deviations of the metric on unspoilt samples


@pytest.fixture(scope="module")
def matrix() -> dict[str, dict[str, float]]:
    spec = importlib.util.spec_from_file_location(
        "metrics_benchmark", Path(__file__).parents[2] / "benchmarks" / "metrics.py"
    )
    assert spec is not None and spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = benchmark  # where a dataclass looks for the types of its fields
    spec.loader.exec_module(benchmark)
    return benchmark.metamorphic(n=400, seeds=6)


@pytest.mark.parametrize(
    ("fault", "moved", "still"),
    [
        # Every fake leaves the real manifold, so nothing reaches the real samples either: recall and coverage fall too.
        ("blur", DISTANCES | FIDELITY | {"coverage"}, COPYING | {"class reverse KL", "duplicate rate"}),
        ("blur of a quarter", DISTANCES | FIDELITY, COPYING | {"recall", "class reverse KL", "duplicate rate"}),
        (
            "dropped class",
            DISTANCES | {"coverage", "class reverse KL", "different bins"},
            COPYING | FIDELITY | {"duplicate rate"},
        ),
        (
            "duplicated half",
            {"duplicate rate", "1-NN fake (high)", "recall", "coverage"},
            COPYING | FIDELITY | {"class reverse KL", "two-sample AUC", "Frechet distance"},
        ),
        ("copied training set", COPYING, DISTANCES | FIDELITY | DIVERSITY | {"two-sample AUC", "Vendi"}),
    ],
)
def test_each_fault_moves_its_own_metrics(
    matrix: dict[str, dict[str, float]], fault: str, moved: set[str], still: set[str]
) -> None:
    row = matrix[fault]
    assert {m: row[m] for m in moved if row[m] < MOVED} == {}
    assert {m: row[m] for m in still if row[m] >= MOVED} == {}
