"""docs/tables.md and docs/tabular.md show the recorded results to the letter; what needs no training is right."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import figures, learns, ndb, stacked_mnist, tables, tabular, toys

import gansmith


@pytest.mark.parametrize("path", tables.PAGES, ids=lambda path: path.stem)
def test_the_page_shows_what_was_recorded(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert tables.updated(page, tables.PAGES[path]) == page, "run python -m benchmarks.tables"


def test_every_recorded_figure_holds_or_is_known_not_to() -> None:
    """Where this fails, code that figures were measured with has changed. `python -m benchmarks.figures` looks whether
    it still does the same, and notes which figures are to be measured again; then `python -m benchmarks.tables`.
    """
    assert figures.unseen() == []


@pytest.mark.parametrize("path", dict.fromkeys(quote.path for quote in learns.QUOTES), ids=lambda path: path.stem)
def test_docstrings_quote_what_was_kept(path: Path) -> None:
    for file, before, now in learns.written():
        assert file != path or before == now, "run python -m benchmarks.learns --text"


def test_code_is_told_by_what_it_does_and_not_by_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    monkeypatch.setattr(figures, "SOURCE", tmp_path / "gansmith")
    shutil.copytree(Path(gansmith.__file__).parent, tmp_path / "gansmith")

    def now(recipe: str) -> str:
        figures.code_of.cache_clear()
        return figures.code_of(recipe)

    before, other = now("sngan"), now("lsgan")
    losses, spectral = tmp_path / "gansmith/losses.py", tmp_path / "gansmith/nets/spectral.py"
    losses.write_text(losses.read_text().replace('"""', '"""Well: ', 1) + "\n# a remark\n")
    assert (now("sngan"), now("lsgan")) == (before, other)
    spectral.write_text(spectral.read_text().replace("range(15)", "range(14)"))
    assert now("sngan") != before
    figures.code_of.cache_clear()


def test_a_figure_is_looked_at_by_a_probe_when_its_code_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    probes = {"same": {"D": 1.0}, "other": {"D": 1.01}}
    for what, found in probes.items():
        monkeypatch.setattr(figures, "code_of", lambda name: "new")
        monkeypatch.setattr(figures, "probe", lambda name, chosen=(), found=found: found)
        before = figures.Figure(values=figures.digest([{"x": 1}]), code="old", probe={"D": 1.0})
        after = figures.looked("file", "gan", [{"x": 1}], before)
        assert after.code == "new" and bool(after.stale) == (what == "other")
        again = figures.looked("file", "gan", [{"x": 2}], after)
        assert not again.stale and again.probe == found, "measured anew"


def test_seeds_of_equal_settings_are_kept() -> None:
    first = tabular.merged({}, {"images": 5}, 2, {"a": 1})
    second = tabular.merged({"machine": {}, **first}, {"images": 5}, 0, {"a": 2})
    assert list(second) == ["images", "seed 0", "seed 2"] and tabular.seeds_of(second) == [{"a": 2}, {"a": 1}]
    assert tabular.merged(second, {"images": 5}, 2, {"a": 3})["seed 2"] == {"a": 3}
    assert tabular.merged(second, {"images": 6}, 1, {"a": 4}) == {"images": 6, "seed 1": {"a": 4}}


def test_means_of_adult() -> None:
    def found(f1: float) -> dict:
        score = {"F1": f1, "column shapes": 0.5, "pair trends": 0.25, "nearer to training": 0.5}
        how = f"conditioned on a = b, which {100 * f1:.1f}% of 9 rows drawn obeyed; the others were dropped"
        conditions = {"a": {"how": how, "rows that satisfy it": 1.0}}
        return {"seconds": 3.0, "scores": dict.fromkeys(tabular.LABELS, score), "conditions": conditions}

    results = {"images": 7, "seed 0": found(0.5), "seed 1": found(0.6)}
    assert "| Gaussian copula | 0.550 | 0.500, 0.600 | 0.500 | 0.250 | 0.50 |" in tabular.table(results)
    assert "| a | 50.0 % | 100 % |" in tabular.conditions_table(results)


def test_the_summary_is_that_of_the_rows() -> None:
    results = toys.recorded()
    assert results["summary"] == json.loads(json.dumps(toys.summary(results["rows"])))


def test_the_toys_were_run_with_the_settings_of_the_file() -> None:
    for row in toys.recorded()["rows"]:
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


def test_claims_are_paired_by_seed() -> None:
    def row(name: str, seed: int, modes: int, toy: str = "ring") -> dict:
        score = {"modes": modes, "reverse_kl": 1 / modes}
        return {"name": name, "toy": toy, "seed": seed, "ema": score, "raw": score}

    rows = [row("pacgan-1", s, m) for s, m in enumerate((5, 7, 6))]
    rows += [row("pacgan-2", s, 8) for s in (2, 1, 0, 3)]
    rows += [row("r3gan", s, 25, "grid") for s in (0, 1)]
    said = toys.claims({"rows": rows})
    assert toys.changes({"rows": rows}, "ring", "raw", "modes") == [3, 1, 2]
    assert "| packing gains more than one ring mode | 2.0 ± 0.6 | 3 | on average |" in said  # 1.7 errors beyond the bar
    assert "| packing lowers reverse KL on the ring | -0.045 ± 0.017 | 3 | yes |" in said
    assert "| packing gains grid modes | - | 0 | too few seeds |" in said
    assert "| r3gan finds at least 24.5 of 25 grid modes | 25.0 ± 0.0 | 2 | too few seeds |" in said


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
