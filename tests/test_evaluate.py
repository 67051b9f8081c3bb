"""A score carries its protocol, comes with floor and control, and tells a copier and a collapse from a model."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import gansmith
from gansmith.cli import main
from gansmith.data import open_store
from gansmith.judge.evaluate import evaluate, evaluate_sets
from gansmith.judge.judge import JudgeOptions
from gansmith.judge.kinds.image import Image
from gansmith.judge.kinds.vector import Vector
from gansmith.judge.protocol import KEYS, Protocol, differences, read_scores, scores_of
from gansmith.judge.real import Split
from gansmith.judge.watch import Watch
from gansmith.judge.words import table
from gansmith.model.saved import load
from gansmith.options import Count, TrainOptions
from gansmith.recipe import load_recipe

PIXELS = JudgeOptions(encoder="pixels", metrics=("fd",))
TINY = TrainOptions(images=Count(640), batch_size=32, sample_every=Count(640), precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "gan"
    return gansmith.train("gan", "digits", TINY, out=path).path


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return np.array(open_store("digits", progress=False).fields["x"])


def blobs(n: int, seed: int) -> np.ndarray:
    """Pictures (n, 8, 8, 1) of a bright spot somewhere on noise: a distribution that can be drawn from at will."""
    random = np.random.Generator(np.random.Philox(seed))
    place, width = random.uniform(1, 6, (n, 2, 1, 1)), random.uniform(0.8, 2.0, (n, 1, 1))
    grid = np.mgrid[:8, :8]
    value = np.exp(-((grid[0] - place[:, 0]) ** 2 + (grid[1] - place[:, 1]) ** 2) / (2 * width**2))
    value = 220 * value + random.uniform(0, 30, (n, 8, 8))
    return value[..., None].astype(np.uint8)


# --- a run ---


def test_a_run_is_scored_and_the_score_says_how(run: Path) -> None:
    scores = evaluate(run, encoder="pixels", n=400, reference=500, seed=3, reference_seed=5)
    p = scores.protocol
    assert (p.reference, p.reference_order, p.reference_seed, p.sample_seed) == ("digits", "random", 5, 3)
    assert (p.num_fake, p.num_real, p.weights, p.checkpoint) == (400, 500, "ema", "last")
    assert p.reference_digest == open_store("digits", progress=False).digest
    assert p.container == "uint8 8x8x1" and p.quantised
    assert p.held_out_seen, "digits has no test split, and the record must say so"
    assert any("not held out from training" in note for note in scores.notes)
    assert set(scores.scores) == set(scores.floor) == set(scores.control) == set(scores.better)
    saved = run / "scores" / scores.file_name
    assert read_scores(saved) == scores
    assert scores in scores_of(run)
    assert scores.scores["FD-pixels"] > 5 * scores.floor["FD-pixels"]
    assert "FID" not in table(scores)


def test_the_score_says_how_samples_were_drawn(tmp_path: Path) -> None:
    """Two truncations, and labels drawn evenly or as the data has them, are other scores."""
    small = {"width": 4, "max_width": 8, "z_dim": 8, "labels": "use", "augment": "none"}
    keys = []
    for psi in (1.0, 0.3):
        recipe = load_recipe("stylegan2")(**small, truncation=psi)
        run = gansmith.train(recipe, "digits", dataclasses.replace(TINY, images=Count(64)), out=tmp_path / f"{psi}")
        p = evaluate(run.path, encoder="pixels", n=200, reference=200, metrics=("fd",)).protocol
        assert p.truncation == ("none" if psi == 1.0 else "psi 0.3") and p.class_prior == "as the data has them"
        keys.append(p.key)
    assert keys[0] != keys[1]


def test_the_control_is_flagged_and_said(run: Path) -> None:
    scores = evaluate(run, encoder="pixels", n=400)
    assert scores.flags["control_flagged"] == "yes"
    assert scores.control["authenticity"] == 0
    assert scores.control["exact copies"] == 1 and scores.floor["exact copies"] < 0.02
    assert scores.control["C_T"] < -3 < scores.floor["C_T"]


def test_the_reference_is_drawn_at_random_and_its_seed_decides(run: Path) -> None:
    judges = [
        Image.of(open_store("digits", progress=False), split=Split(n=300, reference=300, seed=s), options=PIXELS)
        for s in (0, 0, 1)
    ]
    rows = [judge.real.reference_rows for judge in judges]
    assert np.array_equal(rows[0], rows[1]) and not np.array_equal(rows[0], rows[2])
    assert not np.array_equal(np.sort(rows[0]), np.arange(300)), "never the first rows"
    a, b = (judge.protocol(weights="ema", checkpoint="last", sample_seed=0) for judge in judges[1:])
    assert differences(a, b) == ["reference_seed is 0 in one and 1 in the other"]


def test_floor_reference_and_training_rows_are_disjoint() -> None:
    store = open_store("digits", progress=False)
    real = Image.of(store, split=Split(n=500, reference=500), options=PIXELS).real
    held = {row.tobytes() for row in real.held}
    reference = {np.ascontiguousarray(row).tobytes() for row in np.asarray(store.fields["x"])[real.reference_rows]}
    assert len(held & reference) <= 2  # digits holds a few pictures twice


def test_a_repeated_evaluation_is_read_and_an_added_metric_joins(run: Path) -> None:
    said: list[str] = []
    first = evaluate(run, encoder="pixels", n=350, metrics=["fd"])
    again = evaluate(run, encoder="pixels", n=350, metrics=["fd"], say=said.append)
    assert again == first and any("were there" in text for text in said)
    both = evaluate(run, encoder="pixels", n=350, metrics=["prdc"])
    assert set(both.scores) == {"FD-pixels", "precision", "recall", "density", "coverage"}
    assert both.scores["FD-pixels"] == first.scores["FD-pixels"]


def test_scores_are_equal_with_and_without_the_cache(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluate(run, encoder="pixels", n=300, fresh=True)
    again = evaluate(run, encoder="pixels", n=300, fresh=True)
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path))
    cold = evaluate(run, encoder="pixels", n=300, fresh=True)
    assert first.scores == again.scores == cold.scores
    assert first.floor == again.floor == cold.floor and first.control == cold.control


def test_raw_and_ema_are_apart(run: Path) -> None:
    ema, raw = (evaluate(run, encoder="pixels", n=300, metrics=["fd"], weights=w) for w in ("ema", "raw"))
    assert ema.file_name != raw.file_name
    assert [text.split()[0] for text in differences(ema.protocol, raw.protocol)] == ["weights"]


def test_a_model_alone_needs_its_data(run: Path) -> None:
    model = load(run)
    with pytest.raises(ValueError, match="pass data"):
        evaluate(model)
    scores = evaluate(model, data="digits", encoder="pixels", n=300, metrics=["fd"])
    assert scores.run["recipe"] == "gan"


def test_best_must_exist(run: Path) -> None:
    with pytest.raises(FileNotFoundError, match="evaluate-every"):
        evaluate(run, checkpoint="best")


# --- sets of samples ---


def test_a_replay_is_flagged_as_copying_and_held_out_data_is_not() -> None:
    real = blobs(1_600, 0)
    random = np.random.Generator(np.random.Philox(1))
    noisy = np.clip(real[random.choice(1_600, 800)].astype(int) + random.integers(-1, 2, (800, 8, 8, 1)), 0, 255)
    kinds = {
        "replay": real[random.choice(1_600, 800)],
        "noisy replay": noisy.astype(np.uint8),  # no pixel-exact copy: must be seen by distances
        "honest": blobs(800, 2),
    }
    flags = {
        name: evaluate_sets(real, fake, encoder="pixels", metrics=["copying"]).flags["copying"]
        for name, fake in kinds.items()
    }
    # In a set without a held-out part of its own, half of the replay is of the part that plays the held-out one.
    assert flags["replay"] == "yes"
    assert flags["noisy replay"] in ("yes", "perhaps")
    assert flags["honest"] == "no"


def test_a_collapsed_generator_is_flagged_and_names_the_missing_classes(digits: np.ndarray) -> None:
    labels = np.array(open_store("digits", progress=False).fields["y"])
    random = np.random.Generator(np.random.Philox(1))
    one = digits[labels == 3][:1].astype(int) + random.integers(-3, 4, (600, 8, 8, 1))
    collapsed = np.clip(one, 0, 255).astype(np.uint8)
    scores = evaluate_sets({"x": digits, "y": labels}, collapsed, n=500, metrics=["fd", "classes", "diversity"])
    assert scores.flags["collapsed"] == "yes"
    assert len(scores.flags["classes_missing"].split(", ")) == 9
    assert "YES" in table(scores)
    healthy = evaluate_sets({"x": digits, "y": labels}, digits, n=500, metrics=["classes", "diversity"])
    assert healthy.flags["collapsed"] == "no" and healthy.flags["classes_missing"] == "none"


def test_other_sizes_and_depths_are_refused(digits: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"uint8 8x8x1.*uint8 4x4x1"):
        evaluate_sets(digits, digits[:, ::2, ::2])
    with pytest.raises(ValueError, match="uint16"):
        evaluate_sets(digits, digits.astype(np.uint16) * 257)


def test_few_samples_are_warned_of(digits: np.ndarray) -> None:
    scores = evaluate_sets(digits, digits[:60], encoder="pixels", metrics=["fd", "kd"])
    assert any("mostly bias" in note for note in scores.notes)
    assert scores.protocol.num_fake == 60


def test_vectors_count_modes() -> None:
    run_like = gansmith.data.toy.sample("ring", 4_000, seed=9)[0]
    one = run_like[:1] + np.random.Generator(np.random.Philox(0)).normal(0, 0.01, (500, 2)).astype(np.float32)
    split = Split(n=500, reference=500, training=1_000)
    judge = Vector.of(open_store("toy:ring", progress=False), split=split)
    whole, single = (judge.score(points).values for points in (run_like[:500], one))
    assert whole["modes"] == 8 and whole["high quality"] > 0.95
    assert single["modes"] == 1 and single["reverse KL"] == pytest.approx(np.log(8))
    assert single["C2ST"] > 0.8 > whole["C2ST"]


# --- during training ---


def test_watch_keeps_the_best_and_forgets_what_was_undone(run: Path, tmp_path: Path) -> None:
    watch = Watch(tmp_path, open_store("digits", progress=False), n=200, encoder="pixels")
    model = load(run)
    before = torch.get_rng_state()
    text, best = watch.look(model.recipe, model.networks, 100, 0)
    assert best and "FD-pixels" in text
    assert torch.equal(torch.get_rng_state(), before)
    _, again = watch.look(model.recipe, model.networks, 200, 0)
    assert not again, "an equal score is not better"
    watch.look(model.recipe, model.networks, 150, 0)  # the run was resumed from before 200
    lines = [json.loads(line) for line in watch.path.read_text().splitlines()]
    assert [line["images"] for line in lines] == [100, 150]


# --- the record ---


def test_a_protocol_survives_json_and_refuses_what_it_does_not_know(run: Path) -> None:
    p = evaluate(run, encoder="pixels", n=300, metrics=["fd"]).protocol
    saved = json.loads(json.dumps(p.to_json()))
    assert Protocol.from_json(saved) == p
    with pytest.raises(ValueError, match="no field 'odd'"):
        Protocol.from_json(saved | {"odd": 1})
    with pytest.raises(ValueError, match="lacks 'encoder'"):
        Protocol.from_json({k: v for k, v in saved.items() if k != "encoder"})
    with pytest.raises(ValueError, match="num_real"):
        Protocol.from_json(saved | {"num_real": "many"})


def test_every_key_is_compared_and_noise_is_not(run: Path) -> None:
    p = evaluate(run, encoder="pixels", n=300, metrics=["fd"]).protocol
    for name in KEYS:
        value = getattr(p, name)
        other = (not value) if isinstance(value, bool) else value + 1 if isinstance(value, int) else f"{value}x"
        changed = dataclasses.replace(p, **{name: other})
        assert len(differences(p, changed)) == 1 and differences(p, changed)[0].startswith(f"{name} is ")
        assert changed.key != p.key
    assert not differences(p, dataclasses.replace(p, sample_seed=9, versions="other"))


def test_directions_are_known_for_every_default_score(run: Path) -> None:
    scores = evaluate(run, encoder="pixels", n=300)
    assert set(scores.better) == set(scores.scores)
    assert set(scores.better.values()) == {"lower", "higher", "floor"}, "none is left open"


# --- the command ---


def test_the_command(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--encoder", "pixels", "-n", "300", "--metrics", "fd", "prdc"]) == 0
    out = capsys.readouterr().out
    assert "floor (real)" in out and "control (replay)" in out and "protocol" in out
    assert main(["evaluate"]) == 2
    assert "say which RUN" in capsys.readouterr().err
    assert main(["evaluate", str(run), "--metrics", "fid"]) == 1
    assert "no metrics 'fid'" in capsys.readouterr().err
    assert main(["evaluate", str(run), "--size", "9"]) == 2
    assert main(["evaluate", str(run), "--encoder", "resnet"]) == 1


def test_mnist_is_drawn_at_random_from_its_own_test_split(real_data: Path) -> None:
    """Its test file is sorted by source: the first rows are another distribution than the file."""
    from gansmith.options import DataOptions

    options = DataOptions(data_dir=real_data / "mnist")
    store, test = (open_store(name, options, progress=False) for name in ("mnist", "mnist:test"))
    judge = Image.of(store, packing=options, split=Split(n=2_000, reference=4_000), options=PIXELS)
    assert (judge.real.held_name, judge.real.held_seen) == ("mnist:test", False)
    random = judge.score(judge.real.held).values[judge.headline]
    first = judge.score(np.asarray(test.fields["x"][:2_000])).values[judge.headline]
    assert first > 1.5 * random
