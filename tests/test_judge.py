"""One judge a kind of data, chosen by a file's name; what judges share is composed, so that a new kind is one file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gansmith import catalog
from gansmith.data import Store, open_store
from gansmith.judge import features, words
from gansmith.judge.copies import Copies, coordinates
from gansmith.judge.features import Features, Side
from gansmith.judge.judge import Judge, Judgement, JudgeOptions, Values, build_judge, joined, judge_of, judged_kinds
from gansmith.judge.kinds.table import Table
from gansmith.judge.kinds.vector import Vector
from gansmith.judge.real import Real, Split
from gansmith.judge.watch import earlier_scores, note_scores
from gansmith.model.ask import Asked

SMALL = Split(n=200, reference=200, training=400)


@pytest.fixture
def ring() -> Store:
    return open_store("toy:ring", progress=False)


@pytest.mark.parametrize("kind", judged_kinds())
def test_every_file_of_kinds_holds_a_judge_that_says_what_it_does(kind: str) -> None:
    judge = judge_of(kind)
    assert catalog.metric_groups()[kind] == judge.groups
    assert {*judge.usual, *judge.watched} <= set(judge.groups)
    assert set(judge.better.values()) <= {"lower", "higher", "floor"}
    assert judge.usual and judge.watched and judge.most_watched >= 10


def test_nothing_else_is_imported_as_a_judge() -> None:
    for name in ("os", "../features", "image.reduced", "__init__", "kinds", ""):
        with pytest.raises(ValueError, match="there is no kind of data"):
            judge_of(name)


def test_data_whose_samples_are_not_drawn_from_noise_is_refused(tmp_path: Path) -> None:
    pictures = np.zeros((20, 8, 8, 1), np.uint8)
    store = open_store({"a": pictures, "b": pictures[:19]}, progress=False)
    with pytest.raises(ValueError, match=r"holds domains: evaluate scores samples drawn from noise.*gansmith apply"):
        build_judge(store)
    with pytest.raises(ValueError, match="drawn from noise"):
        judge_of("pairs")


def test_groups_of_another_kind_and_modes_of_other_vectors_are_refused(ring: Store) -> None:
    with pytest.raises(ValueError, match="no metrics 'shapes' of kind vector, as toy:ring is: modes, fd"):
        build_judge(ring, split=SMALL, options=JudgeOptions(metrics=("shapes",)))
    rows = open_store(np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32), progress=False)
    with pytest.raises(ValueError, match=r"the modes of .* are not known"):
        build_judge(rows, split=SMALL, options=JudgeOptions(metrics=("modes",)))
    judge = build_judge(rows, split=SMALL)
    assert "modes" not in judge.metrics and "modes" in build_judge(ring, split=SMALL).metrics
    with pytest.raises(ValueError, match="--target kind is a column of a table; this data is none"):
        build_judge(ring, split=SMALL, options=JudgeOptions(target="kind"))
    with pytest.raises(ValueError, match="training is 5; scores need at least 10"):
        Split(training=5)


def test_directions_are_of_the_longest_name_that_fits(ring: Store) -> None:
    judge = build_judge(ring, split=SMALL)
    found = {n: judge.direction(n) for n in ("FD-points", "FD-points infinity", "modes", "mode width", "spread", "FDx")}
    assert found == {
        "FD-points": "lower",
        "FD-points infinity": "lower",
        "modes": "higher",
        "mode width": "floor",
        "spread": "floor",
        "FDx": "",
    }


def test_real_rows_play_one_part_each(ring: Store) -> None:
    rows = open_store(np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32), progress=False)
    real = Real(rows, rows, Split(n=100, reference=100, training=300))
    reference, known = set(real.reference_rows.tolist()), set(np.asarray(real.known_rows).tolist())
    assert len(reference) == 100 and len(known) == 400 and reference < known and real.held_seen
    held = {row.tobytes() for row in real.held}
    assert len(held) == 100 and not held & {row.tobytes() for row in rows.fields["x"][real.known_rows]}
    assert {row.tobytes() for row in real.replay} <= {row.tobytes() for row in real.training}
    fresh = Vector.of(ring, split=SMALL).real
    assert (fresh.held_name, fresh.held_seen) == ("toy:ring, drawn anew", False)
    assert fresh.known_rows == slice(None), "what was drawn anew hides no training row"


def test_yardsticks_come_from_the_cache_and_another_target_does_not(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lines = [f"{random.normal():.3f},{random.integers(9)},{'abc'[random.integers(3)]}" for _ in range(300)]
    (tmp_path / "t.csv").write_text("\n".join(("x,n,kind", *lines)) + "\n")
    store, said = open_store(tmp_path / "t.csv", progress=False), []
    split = Split(n=50, reference=50, training=50)
    first = Table.of(store, split=split, say=said.append).yardsticks()
    assert len(said) == 1 and "the floor" in said[0]
    again = Table.of(store, split=split, say=said.append).yardsticks()
    assert len(said) == 1 and [j.values for j in again] == [j.values for j in first]
    Table.of(store, split=split, options=JudgeOptions(target="x"), say=said.append).yardsticks()
    assert len(said) == 2


def test_floors_that_an_earlier_version_kept_are_read(ring: Store) -> None:
    judge = Vector.of(ring, split=SMALL)
    judge.yardsticks()
    base = judge.real.cache({"encoder": "none"})
    (path,) = base.parent.glob(f"{base.name}-*.json")
    old = {"floor": {"FD-points": 1.5}, "control": {"FD-points": 2.5}, "more": {"modes": 8, "shares": [0.5, 0.5]}}
    path.write_text(json.dumps(old))
    floor, control = Vector.of(ring, split=SMALL).yardsticks()
    assert (floor.values, floor.shares, control.values) == ({"FD-points": 1.5}, (0.5, 0.5), {"FD-points": 2.5})
    path.write_text("{}")  # damaged: scored again
    assert Vector.of(ring, split=SMALL).yardsticks()[0].values["FD-points"] < 0.1


def test_a_full_disk_leaves_the_scores_of_earlier_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for images in (100, 200):
        assert note_scores(tmp_path, images, {"FD-own": 1 / images}, "FD-own", 50)
    whole = Path.write_text

    def cut(path: Path, text: str, **options: Any) -> int:
        whole(path, text[:20], **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", cut)
    with pytest.raises(OSError, match="No space"):
        note_scores(tmp_path, 300, {"FD-own": 0.0}, "FD-own", 50)
    assert [line["images"] for line in earlier_scores(tmp_path, 10**6)] == [100, 200]
    assert [path.name for path in (tmp_path / "scores").iterdir()] == ["training.jsonl"]


def test_the_best_of_a_score_whose_higher_values_are_better(tmp_path: Path) -> None:
    best = [
        note_scores(tmp_path, i, {"pair trends": v}, "pair trends", 9, higher=True)
        for i, v in enumerate((0.5, 0.4, 0.5, 0.6))
    ]
    assert best == [True, False, False, True]


# --- a kind that does not exist yet ---


class Sums(nn.Module):
    """An encoder of waves (n, T): what an own encoder of another number of axes gives."""

    name, classes, facts = "own", 2, {"held_out": {"accuracy": 0.9, "of": "classes"}}

    def outputs(self, raw: np.ndarray, bounds: tuple[float, float] | None = None) -> tuple[Tensor, Tensor]:
        assert bounds == (-2.0, 2.0)
        x = torch.from_numpy(np.asarray(raw, np.float32))
        spectrum = torch.fft.rfft(x).abs()
        return spectrum, torch.stack([x.sum(1), -x.sum(1)], 1).softmax(1)

    def protocol(self) -> dict[str, Any]:
        return {"encoder": "own", "weights_sha256": "0" * 64, "input": [16], "features": 9}


GROUPS: dict[str, Callable[["Wave", Side], Judgement]] = {
    "fd": lambda judge, fake: judge.features.frechet(fake),
    "kd": lambda judge, fake: judge.features.kernel(fake),
    "prdc": lambda judge, fake: judge.features.prdc(fake),
    "diversity": lambda judge, fake: judge.features.diversity(fake),
    "copying": lambda judge, fake: judge.copies.score(fake.raw, fake.parts),
}


class Wave(Judge):
    """What `kinds/series.py` may be: nothing but compositions."""

    groups: ClassVar = tuple(GROUPS)
    usual = watched = groups
    better: ClassVar = features.BETTER

    def __init__(self, real: Real, options: JudgeOptions, say: Callable[[str], object]) -> None:
        super().__init__(real, options, say)
        self.features = Features(real, Sums(), say, bounds=(-2.0, 2.0))  # type: ignore[arg-type]
        self.copies = Copies(real, coordinates, dim=8)

    @property
    def headline(self) -> str:
        return self.features.frechet_name

    @property
    def identity(self) -> dict[str, Any]:
        return self.features.identity

    def score(self, samples: np.ndarray, asked: Asked | None = None, nets: nn.ModuleDict | None = None) -> Judgement:
        return self._measured(self.features.side(samples))

    def floor(self) -> Judgement:
        return self._measured(self.features.floor)

    def control(self) -> Judgement:
        return self._measured(self.features.side(self.real.replay))

    def own_protocol(self) -> dict[str, Any]:
        own = {"container": "float32 16", "packing": "none", "quantised": False, "copying": "values, PCA 8"}
        return own | self.features.protocol()

    def flags(self, judgement: Judgement, floor: Values, control: Values) -> dict[str, str]:
        return words.copying_flags(judgement.values, floor, control) | words.variety_flag(judgement.values, floor)

    def _measured(self, fake: Side) -> Judgement:
        return joined(GROUPS[name](self, fake) for name in self.metrics)


def waves(n: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    phase, speed = random.uniform(0, 6, (n, 1)), random.uniform(0.3, 1.2, (n, 1))
    return (np.sin(speed * np.arange(16) + phase) + random.normal(0, 0.1, (n, 16))).astype(np.float32)


def test_another_kind_composes_features_and_copies() -> None:
    store, said = open_store(waves(1_200, 0), progress=False), []
    split = Split(n=300, reference=300, training=500)
    judge = Wave.of(store, split=split, say=said.append)
    floor, control = judge.yardsticks()
    copied, honest = judge.score(judge.real.replay), judge.score(waves(300, 1))
    assert judge.flags(copied, floor.values, control.values)["copying"] == "yes"
    assert judge.flags(copied, floor.values, control.values)["control_flagged"] == "yes"
    assert judge.flags(honest, floor.values, control.values)["copying"] == "no"
    one = judge.score(np.repeat(waves(1, 2), 300, 0))
    assert judge.flags(one, floor.values, control.values)["collapsed"] == "yes"
    assert one.values["FD-own"] > 5 * honest.values["FD-own"]
    record = judge.protocol(weights="ema", checkpoint="last", sample_seed=0)
    assert (record.encoder, record.encoder_input, record.encoder_features) == ("own", "16", 9)
    lines = words.sentences(judge, honest, floor.values, judge.flags(honest, floor.values, control.values))
    assert lines == [
        "collapsed: no",
        "copies of training data: no",
        "the control, a replay of training data, was flagged as copying: these tests can see it",
    ]
    assert said.count("encoding real samples") == 1
    Wave.of(store, split=split, say=said.append).score(waves(300, 1))
    assert said.count("encoding real samples") == 1, "features of real samples come from the cache"


def test_an_asked_label_without_a_classifier_is_said_and_not_scored() -> None:
    rows = open_store(np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32), progress=False)
    judge = build_judge(rows, split=SMALL, options=JudgeOptions(metrics=("fd",)))
    found = judge.score(rows.fields["x"][:50], Asked(kind="label", values=np.zeros(50, np.int64)))
    assert set(found.values) == {"FD-points"} and "no classifier of these classes" in found.notes[0]
    assert not judge.score(rows.fields["x"][:50]).notes
