"""The page about a run: it is whole, refers to nothing outside, and lets nothing in."""

import base64
import dataclasses
import io
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gansmith
from gansmith.cli import main
from gansmith.engine import start
from gansmith.options import Count, TrainOptions
from gansmith.recipes.gan import GAN
from gansmith.report import report
from gansmith.run import Run

OPTIONS = TrainOptions(images=Count(512), log_every=Count(64), precision="fp32", device="cpu", seed=3)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'</style></title>\ud800"


class Page(HTMLParser):
    """What a page holds, as a browser reads it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.words = text, ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "meta", "hr"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words += f"{data} "

    def images(self, alt: str) -> list[Image.Image]:
        found = []
        for tag, attributes in self.tags:
            if tag == "img" and alt in (attributes["alt"] or ""):
                data = (attributes["src"] or "").split(",", 1)[1]
                found.append(Image.open(io.BytesIO(base64.b64decode(data, validate=True))))
        return found


def page_of(run: Path, **options: Any) -> Page:
    out = run.parent / f"{run.name}.html"
    report(Run(run), out, **options)
    page = Page(out.read_text(encoding="utf-8"))
    assert out.stat().st_size < 5e6
    refers_to_nothing_outside(page)
    return page


def refers_to_nothing_outside(page: Page) -> None:
    allowed = {"img": "data:image/", "a": "#"}
    anchors = {attributes.get("id") for _, attributes in page.tags}
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base", "form", "svg")
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            if value := attributes.get(name):
                assert value.startswith(allowed[tag])
                assert tag != "a" or value[1:] in anchors
    assert not re.search(r"https?://|url\(|@import|file:", page.text)
    assert "default-src 'none'" in str(page.tags)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "digits-run"
    start.train(GAN(width=16, z_dim=8), "digits", OPTIONS, out=folder, name="gan")
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the run, its run.json changed: `copy((["data", "source"], "x"))`."""

    def change(*changes: tuple[list[str], Any]) -> Path:
        run = shutil.copytree(trained, tmp_path / "copy")
        record = json.loads((run / "run.json").read_text())
        for keys, value in changes:
            inner = record
            for key in keys[:-1]:
                inner = inner[key]
            inner[keys[-1]] = value
        (run / "run.json").write_text(json.dumps(record))
        return run

    return change


def test_a_finished_run_in_full(trained: Path) -> None:
    page = page_of(trained)
    for text in ("gan on digits", "512", "finished", "Goodfellow", "arXiv:1406.2661", "z_dim", "AI-generated"):
        assert text in page.words
    again = r"gansmith train gan --data digits --images 512 --seed 3 --precision fp32 --layout n(chw|hwc) --device cpu"
    assert re.search(again, page.words)
    assert "--z-dim 8 --width 16" in page.words and "--lr" not in page.words
    assert "Not evaluated" in page.words and f"gansmith evaluate {trained}" in page.words
    assert json.loads((trained / "run.json").read_text())["data"]["digest"] in page.words
    assert "178 (9.9%)" in page.words  # zeros among the digits
    assert "D/real" in page.words and "Too early to read" in page.text
    for alt in ("averaged weights", "weights of the last step", "samples after 0 images", "film of"):
        (image,) = page.images(alt)
        assert "AI model" in str(image.info["comment" if image.format == "GIF" else "Comment"])
    assert getattr(page.images("film of")[0], "n_frames", 1) > 3
    assert "Comment" not in page.images("pictures of the training data")[0].info


def test_the_nearest_are_the_nearest(trained: Path) -> None:
    page = page_of(trained, seed=5)
    samples, real = page.images("sample "), page.images("training picture ")
    assert len(samples) == 12 and len(real) == 36
    store = np.load(Path(Run(trained).record["data"]["store"]) / "x.npy")
    shown = [np.asarray(image, np.float64) for image in samples]
    nearest = [np.asarray(image, np.float64) for image in real]
    for i, sample in enumerate(shown):
        distances = np.sort(np.sqrt(((store[..., 0] - sample) ** 2).mean((1, 2))))
        for j in range(3):
            assert np.sqrt(((nearest[3 * i + j] - sample) ** 2).mean()) == pytest.approx(distances[j], rel=1e-6)
            assert f"{distances[j] / 255:.1%}" in page.words
    found = [np.sqrt(((store[..., 0] - s) ** 2).mean((1, 2))).min() for s in shown[6:]]
    assert found == sorted(found)


def test_the_training_data_can_be_left_out(trained: Path) -> None:
    page = page_of(trained, show_data=False)
    assert not page.images("training picture ") and not page.images("pictures of the training data")
    assert "left out" in page.words and page.images("averaged weights")


def test_an_unfinished_run(copy: Callable[..., Path]) -> None:
    run = copy()
    for folder in ("checkpoints", "model"):
        shutil.rmtree(run / folder)
        (run / folder).mkdir()
    lines = (run / "log.jsonl").read_text().splitlines(keepends=True)
    (run / "log.jsonl").write_text("".join(lines[:2]) + lines[2][:20])
    frames = sorted((run / "samples").iterdir())
    frames[-1].write_bytes(frames[-1].read_bytes()[:100])  # torn
    page = page_of(run)
    assert "Training has not finished" in page.words and "has saved no model yet" in page.words
    assert "128" in page.words and page.images("samples during training")

    shutil.rmtree(run / "samples")
    (run / "log.jsonl").unlink()
    page = page_of(run)
    for text in ("No samples yet", "No frames yet", "Nothing is logged yet", "Not looked for"):
        assert text in page.words


def test_data_that_are_gone(copy: Callable[..., Path]) -> None:
    page = page_of(copy((["data", "store"], "/nowhere")))
    assert "not there any more" in page.words and page.images("averaged weights") and not page.images("training pict")


def test_data_that_are_others(copy: Callable[..., Path]) -> None:
    page = page_of(copy((["data", "digest"], "0" * 64)))
    assert "now holds other data" in page.words and not page.images("training picture")


@pytest.mark.parametrize(
    "changed",
    [
        [["data", "source"], ["data", "digest"], ["created"], ["machine", "processor"], ["versions", "gansmith"]],
        [["setting", "device"], ["options", "seed"], ["options", HOSTILE], ["data", "spec", "classes"]],
        [["recipe", "name"], ["data", "store"]],
        [["recipe", "fields", HOSTILE]],
        [["recipe", "fields", "width"]],
    ],
)
def test_nothing_gets_in(copy: Callable[..., Path], changed: list[list[str]]) -> None:
    run = copy(*[(keys, [HOSTILE] * 10 if keys[-1] == "classes" else HOSTILE) for keys in changed])
    assert page_of(run).words.count("alert(1)") >= len(changed)


def test_nothing_gets_in_by_scores_log_or_frames(copy: Callable[..., Path]) -> None:
    run = copy()
    scores = {
        "model": {HOSTILE: 1.5, "nested": {HOSTILE: [HOSTILE]}},
        "floor": HOSTILE,
        "flags": {"copying": "yes"},
        "reading": [HOSTILE],
        "notes": {HOSTILE: 1},
        "protocol": {HOSTILE: HOSTILE, "encoder": HOSTILE, "weights": HOSTILE},
        "class_shares": {"model": [0.1] * 10},
        HOSTILE: {HOSTILE: HOSTILE},
    }
    (run / "scores").mkdir()
    (run / "scores" / "<b>x.json").write_text(json.dumps(scores))
    (run / "scores" / "broken.json").write_text("[")
    (run / "scores" / "training.jsonl").write_text(json.dumps({"images": HOSTILE, "scores": {HOSTILE: HOSTILE}}))
    with open(run / "log.jsonl", "a") as log:
        log.write(json.dumps({"step": 9, "images": 576, "seconds": 1.0, f"D/{HOSTILE}": 1.0}) + "\n")
    shutil.copy(next((run / "samples").iterdir()), run / "samples" / "<i>x.png")
    page = page_of(run)
    assert page.words.count("alert(1)") > 10 and "<i>x" in page.words
    assert "samples are training samples" in page.words and "broken.json is damaged" in page.words


def test_scores_with_their_floor_control_and_protocol(copy: Callable[..., Path]) -> None:
    run = copy()
    scores = {
        "model": {"FD-own": 26.84, "recall": 0.2127},
        "floor": {"FD-own": 1.184, "recall": None},
        "control": {"FD-own": 0.0011, "C_T": -14.2},
        "better": {"FD-own": "lower"},
        "flags": {"collapsed": "perhaps"},
        "reading": ["no model can be asked for less"],
        "notes": ["only 898 samples"],
        "protocol": {"encoder": "own", "num_real": 899, "weights": "ema", "reference_digest": "ab" * 32},
        "run": {"images": 256},
        "class_shares": {"model": [0.5, 0.5, 0, 0, 0, 0, 0, 0, 0, 0]},
        "key": "cb471554",
        "something new": [1, 2],
    }
    (run / "scores").mkdir()
    (run / "scores" / "a.json").write_text(json.dumps(scores))
    lines = [{"images": 100 * i, "scores": {"FD-own": 50.5 - i}, "best": True} for i in range(40)]
    (run / "scores" / "training.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n{torn")
    words = " ".join(page_of(run).words.split())
    assert "recall 0.2127 not finite" in words
    assert "FD-own 26.84 1.184 0.0011 lower" in words and "C_T -14.2" in words
    for text in ("After 256 images, ema weights", "the samples above are from 512", "no model can be asked for less"):
        assert text in words
    for text in ("only 898 samples", "Protocol cb471554", "899", "something new", "samples are more alike", "50.0%"):
        assert text in words
    assert "During training" in words and "3,900 11.5 best so far" in words and "abababababababab..." in words
    assert "Not evaluated" not in words


def test_points(tmp_path: Path) -> None:
    run = tmp_path / "ring"
    options = dataclasses.replace(OPTIONS, images=Count(128), sample_every=Count(64))
    start.train(GAN(width=16, z_dim=8), "toy:ring", options, out=run, name="gan")
    page = page_of(run)
    assert "vectors of 2" in page.words and "Euclidean" in page.words
    assert page.images("averaged weights")[0].width == 640 and not page.images("training picture")
    page = page_of(run, show_data=False)
    assert page.images("averaged weights") and not page.images("film of")


def test_a_recipe_of_ones_own_is_neither_run_nor_read(copy: Callable[..., Path], tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    source = Path(gansmith.__file__).with_name("recipes") / "gan.py"
    own.write_text(source.read_text().replace("from ..", "from gansmith.").replace("from gansmith. ", "from gansmith "))
    with open(own, "a") as file:
        file.write(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    run = copy((["recipe", "name"], str(own)))
    page = page_of(run)
    assert "Add --recipe-file" in page.words and "Goodfellow" not in page.words
    assert not (tmp_path / "ran").exists()
    page = page_of(run, recipe_file=own)
    assert "Goodfellow" in page.words and page.images("averaged weights") and (tmp_path / "ran").exists()


def test_what_cannot_be_written_or_read(copy: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder"):
        report(Run(copy()), tmp_path / "none" / "x.html")
    shutil.rmtree(tmp_path / "copy")
    with pytest.raises(ValueError, match="not a data specification"):
        report(Run(copy((["data", "spec"], {}))), tmp_path / "x.html")
    shutil.rmtree(tmp_path / "copy")
    with pytest.raises(ValueError, match=r"it lacks data\.store"):
        report(Run(copy((["data"], {"source": "digits"}))), tmp_path / "x.html")
    shutil.rmtree(tmp_path / "copy")
    run = copy()
    (run / "log.jsonl").write_text('{"step": "9", "images": 1, "seconds": 1}\n')
    with pytest.raises(ValueError, match="is damaged"):
        report(Run(run), tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_the_command(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(trained)]) == 0
    assert capsys.readouterr().out == f"{trained / 'report.html'}\n"
    refers_to_nothing_outside(Page((trained / "report.html").read_text(encoding="utf-8")))
    out = tmp_path / "x.html"
    assert main(["report", str(trained), "--out", str(out), "--seed", "1", "--no-training-data"]) == 0
    assert "seed 1, unselected" in out.read_text(encoding="utf-8")
    assert main(["report", str(trained), "--out", str(tmp_path / "x.pdf")]) == 2
    assert main(["report", str(tmp_path / "none")]) == 1
