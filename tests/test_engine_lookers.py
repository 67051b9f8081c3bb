"""What looks on changes no weight: twenty steps with and without each of them end in the same bits."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch

from gansmith.data import open_store
from gansmith.engine.checkpoints import Checkpoints
from gansmith.engine.film import Film
from gansmith.engine.log import Log
from gansmith.engine.loop import Observer, loop
from gansmith.engine.prepare import initial_networks, spec_for
from gansmith.engine.scores import Chosen, Watched
from gansmith.engine.session import At, Session
from gansmith.engine.signals import Signals
from gansmith.options import Count, TrainOptions
from gansmith.recipe import load_recipe
from gansmith.run import Run
from gansmith.step.ranks import Ranks, Setting

STEPS, BATCH = 20, 16
RECIPES: Mapping[str, tuple[str, dict[str, object]]] = {
    "dcgan": ("digits", {"width": 4}),  # batch norm: what is drawn in training mode would move its statistics
    "gan": ("toy:ring", {"width": 8}),
    "gain": ("holes.csv", {"width": 8}),  # its own errors choose the weights; dropout-like masks
    "cyclegan": ("domains:sides", {"width": 4, "blocks": 1, "patch": 1}),  # shows sources; keeps a pool of pictures
    "ctgan": ("table.csv", {"width": 8, "pac": 2}),  # dropout, from PyTorch's global generator
}


class Nobody:
    """Never looks."""

    def due(self, at: At) -> bool:
        return False

    def look(self, at: At) -> None:
        raise AssertionError


class Meddler:
    """The control: an observer that draws from the generator of all, or moves a weight."""

    def __init__(self, s: Session) -> None:
        self.s = s

    def due(self, at: At) -> bool:
        return at.step == 7

    def look(self, at: At) -> None:
        with torch.no_grad():
            next(self.s.step.nets.parameters()).mul_(1.0 + 1e-6)


class Odd(Checkpoints):
    """Checkpoints at every step that is not even."""

    def due(self, at: At) -> bool:
        return at.step % 2 == 1


class Never(Checkpoints):
    """No checkpoints."""

    def due(self, at: At) -> bool:
        return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.test_goldens import write_sources

    path = tmp_path_factory.mktemp("sources")
    write_sources(path)
    return path


def session(recipe: str, out: Path) -> Session:
    source, fields = RECIPES[recipe]
    options = TrainOptions(
        images=Count(STEPS * BATCH),
        batch_size=BATCH,
        log_every=Count(3 * BATCH),
        sample_every=Count(5 * BATCH),
        evaluate_every=Count(7 * BATCH) if recipe != "cyclegan" else Count(0),
    )
    built, store = load_recipe(recipe)(**fields), open_store(source, options, progress=False)
    spec = spec_for(built, recipe, store)
    run = Run.create(
        out,
        {
            "recipe": {"name": recipe, "fields": fields},
            "options": {},
            "data": {"source": "digits", "store": "nowhere", "digest": "", "count": 1, "spec": {}},
            "setting": {"device": "cpu", "precision": "fp32", "channels_last": False, "threads": 1},
        },
    )
    return Session(run, built, recipe, spec, store, initial_networks(built, spec, 3), options, Setting(), Ranks())


def ways(s: Session) -> Iterator[tuple[str, Observer, list[Observer], Checkpoints]]:
    """Without anybody, with each alone, with all: the log, the others, the checkpoints."""
    yield "nobody", Nobody(), [], Never(s)
    yield "log", Log(s), [], Never(s)
    yield "film", Nobody(), [Film(s)], Never(s)
    yield "scores", Nobody(), [Chosen(s) if s.recipe.chosen_by else Watched(s)], Never(s)
    yield "checkpoints", Nobody(), [], Odd(s)
    yield "all", Log(s), [Film(s), Chosen(s) if s.recipe.chosen_by else Watched(s)], Odd(s)
    yield "meddler", Nobody(), [Meddler(s)], Never(s)


def state(s: Session) -> str:
    """The sha256 of all that training changes."""
    whole = hashlib.sha256(f"{s.at.step} {s.step.moves}".encode())
    for name, tensor in sorted(s.step.state().items()):
        whole.update(name.encode() + tensor.detach().contiguous().numpy().tobytes())
    return whole.hexdigest()


@pytest.mark.parametrize("recipe", RECIPES)
def test_lookers_on_change_no_bit(recipe: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    ended: dict[str, str] = {}
    for number in range(7):
        s = session(recipe, tmp_path / str(number))
        name, log, others, checkpoints = list(ways(s))[number]
        assert loop(s, log, others, checkpoints, Signals(s.ranks)) == 0
        ended[name] = state(s)
        files = {path.name for path in s.run.path.rglob("*") if path.is_file()}
        assert ("log.jsonl" in files) == (name in ("log", "all"))
        assert any(file.startswith("0000") for file in files) == (name in ("film", "all"))
        if recipe != "cyclegan":
            assert ("training.jsonl" in files) == (name in ("scores", "all"))
        assert len(s.run.checkpoints()) == (2 if name in ("checkpoints", "all") else 0)
    assert ended.pop("meddler") != ended["nobody"], "a meddler would not be seen"
    assert len(set(ended.values())) == 1, ended
