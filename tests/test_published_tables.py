"""docs/tables.md shows the recorded results to the letter, and what the benchmarks do without training is right."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import RESULTS, dirac, ndb, stacked_mnist, toys

PAGE = (Path(__file__).parents[1] / "docs" / "tables.md").read_text(encoding="utf-8")


def read(name: str) -> dict:
    return toys.read_json(RESULTS / f"{name}.json")


# The two that need MNIST are on the page once someone has run them.
@pytest.mark.parametrize("name", [n for n in ("dirac", "ndb", "stacked_mnist") if (RESULTS / f"{n}.json").is_file()])
def test_the_page_shows_what_was_measured(name: str) -> None:
    shown: dict[str, Callable[[dict], str]] = {
        "dirac": dirac.table,
        "ndb": ndb.table,
        "stacked_mnist": stacked_mnist.table,
    }
    assert shown[name](read(name)) in PAGE


def test_the_page_shows_the_toys() -> None:
    results = read("toys")
    assert results["summary"] == json.loads(json.dumps(toys.summary(results["rows"])))
    for heading, table in toys.tables(results):
        assert heading in PAGE
        assert table in PAGE


def test_the_toys_were_run_with_the_settings_of_the_file() -> None:
    for row in read("toys")["rows"]:
        assert row["setting"] == toys.as_json(toys.SETTINGS[row["name"]][row["toy"]])


def test_the_twins_differ_in_packing_alone() -> None:
    for toy in toys.TOYS:
        one, two = (toys.SETTINGS[name][toy] for name in ("pacgan-1", "pacgan-2"))
        assert {k for k in one.fields if one.fields[k] != two.fields[k]} == {"pack"}
        assert one.images / one.batch_size == two.images / two.batch_size


def test_means_and_errors() -> None:
    def row(seed: int, modes: int, kl: float | None) -> dict:
        score = {"modes": modes, "high_quality": 0.5, "reverse_kl": kl, "floor": 0.1, "width": None}
        return {"name": "gan", "toy": "ring", "seed": seed, "cpu_seconds": 1.0, "ema": score, "raw": score}

    line = toys.summary([row(0, 6, 0.2), row(1, 8, None)])[0]
    assert line["modes"] == (7.0, 1.0)
    assert line["reverse_kl"][0] == 0.2
    assert line["width"] is None
    assert "| 7.0 ± 1.0 | 50.0 ± 0.0 | 0.200 ± - | 0.100 | - |" in toys.table({"summary": [line]}, "ring", "ema")


def test_the_gain_is_paired_by_seed() -> None:
    def row(name: str, seed: int, modes: int) -> dict:
        return {"name": name, "toy": "ring", "seed": seed, "ema": {"modes": modes, "reverse_kl": None}}

    rows = [row("pacgan-1", 0, 5), row("pacgan-1", 1, 7), row("pacgan-2", 1, 8), row("pacgan-2", 0, 8)]
    said = toys.gain({"rows": [*rows, row("pacgan-2", 2, 1)]}, "ring", "ema")
    assert said == "pacgan-2 minus pacgan-1, 2 seeds in common: modes +2.0 ± 1.0"


def test_stacked_triples_and_their_modes() -> None:
    digits = np.repeat(np.arange(10, dtype=np.uint8), 784).reshape(10, 28, 28, 1)
    x = stacked_mnist.triples(digits, 500, 0)
    assert x.shape == (500, 28, 28, 3)
    assert np.array_equal(x, stacked_mnist.triples(digits, 500, 0))
    assert not np.array_equal(x, stacked_mnist.triples(digits, 500, 1))

    class Reader:
        def probabilities(self, images: np.ndarray) -> torch.Tensor:
            return torch.eye(10)[torch.from_numpy(images[:, 0, 0, 0]).long()]

    found = stacked_mnist.judged(x, Reader())
    assert found["modes"] == len(np.unique(x[:, 0, 0] @ np.array([100, 10, 1])))
    assert found["samples"] == 500
    assert stacked_mnist.judged(x[:1].repeat(50, 0), Reader())["kl"] == pytest.approx(np.log(1000), abs=1e-4)


def test_ndb_tells_controls_from_real_samples() -> None:
    dice = np.random.default_rng(0)
    shade = dice.integers(0, 256, (4000, 1, 1, 1)) * np.ones((1, 2, 2, 1))
    real, other = shade[:3000].astype(np.uint8), shade[3000:].astype(np.uint8)
    same, narrow = ndb.measured(real, {"same": other, "narrow": other // 2})
    assert same["ndb_3"] <= 3
    assert narrow["ndb_3"] > 30
    assert narrow["jensen_shannon"] > 10 * same["jensen_shannon"]
