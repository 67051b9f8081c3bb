"""Few labels, and what `gansmith apply` makes of data with a classifier or an encoder."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gansmith
from gansmith.cli import main
from gansmith.data import FewLabels, ImageCodec
from gansmith.metrics.clusters import matched
from gansmith.options import Count
from gansmith.recipe import Recipe
from gansmith.recipes.aae import AAE
from gansmith.recipes.cogan import CoGAN
from gansmith.recipes.semi import Semi
from gansmith.use import picture_files
from gansmith.use.predict import predict, score


def digits(n: int = 240) -> dict[str, np.ndarray]:
    """Dark and bright pictures: class 0 and 1."""
    random = np.random.default_rng(0)
    y = np.arange(n) % 2
    x = (random.integers(0, 60, (n, 8, 8, 1)) + 150 * y[:, None, None, None]).astype(np.uint8)
    return {"x": x, "y": y.astype(np.int64)}


def train(recipe: Recipe, data: object, out: Path, images: int = 2_400) -> gansmith.Model:
    options = gansmith.TrainOptions(
        images=Count(images), batch_size=24, device="cpu", precision="fp32", layout="nchw", sample_every=Count(10**9)
    )
    return gansmith.load(gansmith.train(recipe, data, options, out=out).path)


def test_few_labels_are_told_evenly_and_once_for_a_seed() -> None:
    y = np.repeat(np.arange(4), [50, 30, 20, 100])
    draw = FewLabels(12).bind(ImageCodec(), {"y": y})
    told = draw.record(7)["labelled"]
    assert np.bincount(y[told]).tolist() == [3, 3, 3, 3]
    assert told == draw.record(7)["labelled"] == FewLabels(12).bind(ImageCodec(), {"y": y}).record(7)["labelled"]
    assert told != draw.record(8)["labelled"]
    beside = [draw.further(7, k, 6, len(y))["labelled"] for k in range(4)]
    assert sorted(np.concatenate(beside[:2])) == told, "each once before one comes again"
    assert set(np.concatenate(beside)) == set(told)
    assert np.array_equal(draw.rows(7, 3, 6, len(y)), FewLabels(12).rows(7, 3, 6, len(y)))


def test_few_labels_say_what_they_cannot() -> None:
    y = np.repeat(np.arange(3), [50, 5, 20])
    with pytest.raises(ValueError, match="this data has none"):
        FewLabels(9).bind(ImageCodec(), {})
    with pytest.raises(ValueError, match="multiple of 3"):
        FewLabels(10).bind(ImageCodec(), {"y": y})
    with pytest.raises(ValueError, match="smallest has 5"):
        FewLabels(30).bind(ImageCodec(), {"y": y})
    whole = FewLabels(0).bind(ImageCodec(), {"y": y})
    assert whole.record(0) == {} and len(set(whole.further(0, 0, 75, 75)["labelled"])) == 75


def test_matching_clusters_with_classes() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
    assert matched(torch.tensor([2, 2, 2, 0, 0, 0, 1, 1, 1]), labels) == (1.0, 1.0)
    accuracy, purity = matched(torch.tensor([0, 0, 0, 1, 1, 2, 3, 3, 4]), labels)  # more clusters than classes
    assert accuracy == pytest.approx(7 / 9) and purity == 1.0
    assert matched(torch.zeros(9, dtype=torch.long), labels) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("semi") / "run"
    train(Semi(width=8, num_labels=4, average_images=500.0), digits(), out)
    return out


def test_classes_into_a_table(classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads((classifier / "run.json").read_text())
    assert len(record["data"]["labelled"]) == 4
    np.savez(tmp_path / "test.npz", **digits(60))
    assert main(["apply", str(classifier), str(tmp_path / "test.npz"), "--out", str(tmp_path / "out.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == ["file", "class", "probability", "label"] and len(rows) == 60
    wrong = sum(row["class"] != row["label"] for row in rows)
    assert f"{wrong} errors of 60" in capsys.readouterr().out
    assert wrong <= 6, "dark and bright are easily told"
    assert all(0.5 <= float(row["probability"]) <= 1 for row in rows)
    assert main(["apply", str(classifier), str(tmp_path / "test.npz"), "--out", str(tmp_path / "out.csv")]) != 0
    assert "existing" in capsys.readouterr().err


def test_files_of_a_folder_keep_their_names(classifier: Path, tmp_path: Path) -> None:
    data = digits(8)
    for i, (x, y) in enumerate(zip(data["x"], data["y"], strict=True)):
        path = tmp_path / "in" / str(y) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(x[..., 0]).resize((16, 16), Image.Resampling.NEAREST).save(path)
    (tmp_path / "in" / "0" / "broken.png").write_bytes(b"\x89PNG nothing")
    model = gansmith.load(classifier)
    found = predict(model, tmp_path / "in", "class")
    assert found.names[:2] == ("0/0.png", "0/2.png") and len(found.names) == 8
    assert found.failed[0][0] == "0/broken.png"
    assert score(found)["samples"] == 8
    alone = predict(model, tmp_path / "in" / "1" / "3.png", "class")
    assert alone.names == ("3.png",) and alone.labels is None and score(alone) == {}
    np.testing.assert_allclose(alone.values[0], found.values[found.names.index("1/3.png")], rtol=1e-3, atol=1e-5)


def test_what_a_model_does_not_give_is_refused(classifier: Path, tmp_path: Path) -> None:
    model = gansmith.load(classifier)
    with pytest.raises(ValueError, match="this recipe makes class"):
        model.apply(digits()["x"][:3], "cluster")
    with pytest.raises(ValueError, match="draws from noise"):
        picture_files.apply(model, tmp_path, tmp_path / "out")


def test_reconstructions_codes_and_clusters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = digits(96)
    model = train(AAE(width=16, z_dim=3, clusters=2, lr=1e-3), data, tmp_path / "run", images=4_800)
    made = model.apply(data["x"], "picture")
    error = np.square(made.astype(float) - data["x"]).mean()
    assert made.dtype == np.uint8 and made.shape == data["x"].shape
    assert error < np.square(data["x"].mean(0) - data["x"]).mean() / 2, "no better than the mean picture"
    assert model.apply(data["x"], "latent").shape == (96, 3)
    np.testing.assert_allclose(model.apply(data["x"]).sum(1), 1, rtol=1e-5)
    Image.fromarray(data["x"][1, ..., 0]).resize((24, 40)).save(tmp_path / "one.png")
    run, one = str(tmp_path / "run"), str(tmp_path / "one.png")
    assert main(["apply", run, one, "--what", "picture", "--out", str(tmp_path / "again.png")]) == 0
    with Image.open(tmp_path / "again.png") as again:
        assert again.size == (24, 40)
    assert main(["apply", run, one, "--what", "latent", "--out", str(tmp_path / "z.csv")]) == 0
    assert (tmp_path / "z.csv").read_text().startswith("file,z0,z1,z2\none.png,")
    np.savez(tmp_path / "test.npz", **data)
    capsys.readouterr()
    assert main(["apply", run, str(tmp_path / "test.npz"), "--out", str(tmp_path / "c.csv")]) == 0
    assert "matched with classes: accuracy" in capsys.readouterr().out
    assert main(["apply", run, one, "--out", str(tmp_path / "pictures")]) != 0
    assert "name a .csv" in capsys.readouterr().err


def test_pairs_are_drawn_of_noise(tmp_path: Path) -> None:
    x = digits(48)["x"]
    model = train(CoGAN(width=4, z_dim=3), {"a": x, "b": 255 - x[:30]}, tmp_path / "run", images=480)
    assert model.from_noise
    assert model.sample(5).shape == (5, 8, 16, 1)
    assert main(["sample", str(tmp_path / "run"), "-n", "4", "--out", str(tmp_path / "grid.png")]) == 0
    assert (tmp_path / "run" / "film.gif").is_file()
