"""What README and CONTRIBUTING tell people to type works."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gansmith
from gansmith import catalog
from gansmith.options import Count

ROOT = Path(__file__).parents[1]


def blocks(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The recipe that CONTRIBUTING shows, as a file."""
    path = tmp_path / "lsgan.py"
    path.write_text(blocks("CONTRIBUTING.md")[0])
    return path


def test_the_recipe_of_contributing_trains_and_samples_by_path(own: Path, tmp_path: Path) -> None:
    options = gansmith.TrainOptions(images=Count(640), precision="fp32", device="cpu")
    run = gansmith.train(str(own), "digits", options, out=tmp_path / "run")
    with pytest.raises(ValueError, match="never run by itself"):
        gansmith.load(run.path)
    model = gansmith.load(run.path, gansmith.load_recipe(str(own)))
    assert model.sample(5).shape == (5, 8, 8, 1)


def test_the_recipe_of_contributing_passes_the_contract(own: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", "not test_8"]
    command += [str(ROOT / "tests" / "test_contract.py"), "--recipe", str(own)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "passed" in done.stdout


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_python_of_the_readme_runs(readme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = blocks(readme)
    assert "images=500_000" in code
    exec(compile(code.replace("images=500_000", "images=1_024"), readme, "exec"), {})
    assert (tmp_path / "runs" / "first" / "film.gif").is_file()


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_readme_names_every_recipe_and_command(readme: str) -> None:
    from gansmith.cli import COMMANDS

    text = (ROOT / readme).read_text(encoding="utf-8")
    for name in catalog.names():
        assert f"| `{name}` |" in text, f"{readme} does not list the recipe {name}"
    for name in COMMANDS:
        assert f"gansmith {name}" in text, f"{readme} does not show gansmith {name}"
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (ROOT / picture).is_file(), f"{readme} shows {picture}, which is not there"


def test_the_table_of_faults_is_the_measured_one() -> None:
    measured = json.loads((ROOT / "benchmarks" / "results" / "metrics.json").read_text())["metamorphic"]["deviations"]
    lines = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| score | blur |"))
    faults = [cell.strip() for cell in lines[start].strip("| ").split("|")][1:]
    for line in lines[start + 2 : start + 2 + len(next(iter(measured.values())))]:
        score, *values = (cell.strip().strip("*") for cell in line.strip("| ").split("|"))
        assert [float(v) for v in values] == [measured[fault][score] for fault in faults], score
