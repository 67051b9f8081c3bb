"""Shared fixtures: one thread a worker, a cache of our own, and the folder of real data where there is one."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: the suite runs one process a core


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packed stores of the tests, never the user's cache."""
    path = tmp_path_factory.mktemp("cache")
    os.environ["GANSMITH_CACHE"] = str(path)
    return path


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; the test is skipped where there is none."""
    default = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    path = Path(os.environ.get("GANSMITH_TEST_DATA", default))
    if not path.is_dir():
        pytest.skip(f"no real data at {path}: set GANSMITH_TEST_DATA to a folder with mnist/ and so on")
    return path


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--recipe", action="append", default=[], help="put a recipe file of your own through the contract")
