"""How each kind of data is seen and written; a sixth kind needs a file of its own and no other; writers are atomic."""

import ast
import contextlib
import io
import itertools
import pkgutil
import resource
import signal
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import gansmith
from gansmith import catalog, show
from gansmith.cli import main
from gansmith.data import Codec, DataSpec, ImageCodec, TableCodec, TextCodec, VectorCodec, open_store
from gansmith.engine.film import film_samples, show_sources
from gansmith.model.model import Model
from gansmith.recipe import load_recipe
from gansmith.report import facts, film, nearest, samples
from gansmith.report.markup import tag
from gansmith.show import Media, Near, show_of
from gansmith.show import kinds as folder
from gansmith.show.files import save_arrays, save_lines
from gansmith.show.words import count, duration, number
from gansmith.use import complete, picture_files, predict

SOURCE = Path(gansmith.__file__).parent
KINDS = ("domains", "image", "pairs", "table", "text", "vector")
RANDOM = np.random.default_rng(0)


@dataclass(frozen=True, kw_only=True)
class Some:
    """Samples of a kind, and real ones."""

    spec: DataSpec
    samples: np.ndarray
    real: np.ndarray


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Some]:
    place = tmp_path_factory.mktemp("some")
    rows = "".join(f"{RANDOM.normal():.3f},{'abc'[i % 3]}\n" for i in range(60))
    (place / "t.csv").write_text(f"height,kind\n{rows}")
    table = open_store(place / "t.csv", progress=False)
    pictures = RANDOM.integers(0, 256, (12, 8, 8, 1)).astype(np.uint8)
    image = DataSpec(kind="image", shape=(1, 8, 8), codec=ImageCodec())
    parts = {"a": DataSpec(kind="image", shape=(1, 8, 8), codec=ImageCodec()), "b": image}
    text = TextCodec(level="word", vocabulary=("", "red", "green", "blue"), end=0)
    tokens = RANDOM.integers(1, 4, (12, 5)).astype(np.int32)
    points = RANDOM.normal(size=(40, 2)).astype(np.float32)
    x = np.array(table.fields["x"])
    return {
        "image": Some(spec=image, samples=pictures, real=pictures),
        "vector": Some(
            spec=DataSpec(kind="vector", shape=(2,), codec=VectorCodec(mean=(0.0, 0.0))), samples=points, real=points
        ),
        "table": Some(spec=table.spec, samples=x[:20], real=x),
        "text": Some(
            spec=DataSpec(kind="text", shape=(5,), codec=text),
            samples=text.decode(torch.from_numpy(tokens)),
            real=tokens,
        ),
        **{
            kind: Some(
                spec=DataSpec(kind=kind, shape=(1, 8, 8), codec=image.codec, parts=parts),
                samples=pictures,
                real=pictures[:5],
            )
            for kind in ("pairs", "domains")
        },
    }


# --- kinds ------------------------------------------------------------------------------------------------------------


def test_kinds_are_files_and_say_what_they_write() -> None:
    names = sorted(module.name for module in pkgutil.iter_modules(folder.__path__))
    assert set(KINDS) <= set(names)
    assert catalog.written() == {name: dict(show_of(name).writes) for name in names}
    for name in names:
        assert type(show_of(name)).__module__ == f"gansmith.show.kinds.{name}"
        assert show_of(name).suffix(Path(show_of(name).out)) in show_of(name).writes
        assert len(type(show_of(name)).__mro__) == 4, "final: below Show alone"


@pytest.mark.parametrize("name", ["os", "../image", "image.codec", "__init__", "", "Image", "image/", "kinds", "show"])
def test_nothing_but_a_file_of_kinds_is_imported(name: str) -> None:
    with pytest.raises(ValueError, match="there are domains, image, pairs"):
        show_of(name)


def test_only_kinds_know_kinds_by_name() -> None:
    """Of what is drawn and reported; words of a spec are those of data/kinds."""
    spared = {"report/words.py", "report/console.py"}
    wrong = []
    for path in itertools.chain((SOURCE / "show").glob("*.py"), (SOURCE / "report").glob("*.py"), [SOURCE / "cli"]):
        where = str(path.relative_to(SOURCE))
        if path.suffix != ".py" or where in spared:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare) and any(
                isinstance(part, ast.Constant) and part.value in KINDS for part in ast.walk(node)
            ):
                wrong.append(f"{where}:{node.lineno}")
    assert not wrong


@pytest.mark.parametrize("kind", KINDS)
def test_every_suffix_is_written_and_marked(kind: str, some: dict[str, Some], tmp_path: Path) -> None:
    it, view = some[kind], show_of(kind)
    for suffix in view.writes:
        out = tmp_path / f"out{suffix}"
        if suffix == ".parquet" and not find_spec("pyarrow"):
            continue
        view.write(it.samples, it.spec, it.real, out)
        assert out.exists() and not list(tmp_path.rglob("*.part"))
        if suffix == ".png":
            with Image.open(out) as image:
                assert "AI model" in image.info["Comment"] and min(image.size) > 100
        elif suffix == ".npz":
            arrays = np.load(out)
            assert (arrays["x"] == it.samples).all() and "AI model" in str(arrays["notice"])
        elif not suffix:
            assert len(list(out.iterdir())) == len(it.samples)
    with pytest.raises(ValueError, match="does not fit these samples, which go into "):
        view.write(it.samples, it.spec, it.real, tmp_path / "x.docx")
    moment = view.moment(it.samples, it.spec, it.real, tmp_path / "000000000640")
    assert moment.is_file() and moment.stem == "000000000640"


@pytest.mark.parametrize("kind", KINDS)
def test_media_are_files_of_their_type(kind: str, some: dict[str, Some]) -> None:
    it, view = some[kind], show_of(kind)
    for made in (True, False):
        for media in view.media(it.samples, it.spec, it.real, "what it is", made=made):
            assert media.alt == "what it is"
            if media.mime == "text/plain":
                assert media.data.decode().split("\n") == it.samples.tolist()
                continue
            with Image.open(io.BytesIO(media.data)) as image:
                assert image.size == media.size and ("Comment" in image.info) == made
    if view.apart and not it.spec.parts:
        (one,) = view.single(it.samples[3], it.spec, "one")
        assert one.size == (8, 8) or one.data.decode() == it.samples[3]


def test_text_is_shown_as_a_store_keeps_it_too(some: dict[str, Some]) -> None:
    it = some["text"]
    (media,) = show_of("text").media(it.real, it.spec, it.real[:0], "lines", made=False)
    assert media.data.decode().split("\n") == it.samples.tolist()
    assert show_of("text").sheet(it.samples, it.spec, it.real).size[1] > 100


def test_samples_stand_beside_their_sources(some: dict[str, Some]) -> None:
    it = some["pairs"]
    drawn = np.asarray(show_of("pairs").sheet(it.samples[:6], it.spec, it.real, columns=1))
    cell = (drawn.shape[0] - 7 * 2) // 6  # with gaps of 2 pixels
    for i in range(6):
        y = 2 + i * (cell + 2)
        assert drawn[y, 2] == it.real[i % 5, 0, 0, 0] and drawn[y, cell + 4] == it.samples[i, 0, 0, 0]


def test_the_range_of_pictures_is_that_of_their_codec() -> None:
    spec = DataSpec(kind="image", shape=(1, 1, 2), codec=ImageCodec(dtype="float32", low=-2.0, high=6.0))
    pictures = np.array([-2.0, 6.0], np.float32).reshape(1, 1, 2, 1)
    assert show_of("image").pictures(pictures, spec).ravel().tolist() == [0, 255]
    near = show_of("image").near(spec)
    assert isinstance(near, Near) and near.scale == 8 and near.figure(0.0123) == "1.2%"


# --- a sixth kind -----------------------------------------------------------------------------------------------------

SERIES = '''
"""Series: lines over real ones; a table of times."""
from pathlib import Path
from typing import ClassVar
import numpy as np
from PIL import Image, ImageDraw
from gansmith.files import write_atomically
from gansmith.show.files import save
from gansmith.show.show import Near, Show

class SeriesShow(Show):
    """Series (N, T, D)."""
    film = 16
    reveals = True
    chart = True
    out = "series.csv"
    writes: ClassVar = {".csv": "a row a time", ".png": "lines"}

    def sheet(self, samples, spec, real, columns=0):
        image = Image.new("RGB", (300, 200), "white")
        draw = ImageDraw.Draw(image)
        for rows, colour in ((real[:8], "silver"), (samples[:8], "navy")):
            for row in rows:
                draw.line([(i * 300 / len(row), 100 - 30 * float(v)) for i, v in enumerate(row[:, 0])], colour)
        return image

    def write(self, samples, spec, real, out, columns=0):
        if self.suffix(out) == ".png":
            save(self.sheet(samples, spec, real), out)
        else:
            rows = [(i, t, *v) for i, x in enumerate(samples) for t, v in enumerate(x)]
            text = "".join(",".join(map(str, row)) + "\\n" for row in rows)
            write_atomically(out, lambda part: part.write_text(text))

    def near(self, spec):
        return Near(scale=1.0, mean=False, unit="Euclidean over all times", blind="a shift in time is far")

SHOW = SeriesShow()
'''
AUDIO = '''
"""Audio: what it looks like, and players."""
import io, wave
from typing import ClassVar
import numpy as np
from PIL import Image
from gansmith.files import write_atomically
from gansmith.show.show import Media, Show
from gansmith.show.grid import grid

class AudioShow(Show):
    """Clips (N, T)."""
    writes: ClassVar = {"": "a .wav each"}

    def sheet(self, samples, spec, real, columns=0):
        return grid(self.pictures(samples, spec), columns)

    def pictures(self, samples, spec):
        return np.abs(samples).repeat(16, 1).reshape(len(samples), -1, 16, 1).astype(np.uint8)

    def write(self, samples, spec, real, out, columns=0):
        self.suffix(out)
        out.mkdir(parents=True, exist_ok=True)
        for i, clip in enumerate(samples):
            write_atomically(out / f"{i:06d}.wav", lambda part: part.write_bytes(_wav(clip)))

    def media(self, samples, spec, real, alt, *, made=True):
        heard = [Media(mime="audio/wav", data=_wav(clip), alt=alt) for clip in samples[:2]]
        return super().media(samples, spec, real, alt, made=made) + heard

SHOW = AudioShow()

def _wav(clip):
    file = io.BytesIO()
    with wave.open(file, "wb") as w:
        w.setparams((1, 2, 8000, 0, "NONE", ""))
        w.writeframes(clip.astype("<i2").tobytes())
    return file.getvalue()
'''


@dataclass(frozen=True, kw_only=True)
class Plain(Codec):
    """Stored as encoded."""

    def encode(self, raw: Tensor) -> Tensor:
        return raw.float()

    def decode(self, x: Tensor) -> np.ndarray:
        return x.numpy()

    def to_json(self) -> dict[str, Any]:
        return {"kind": "plain"}


@pytest.fixture
def sixth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two kinds more: a file each, where files of kinds lie."""
    (tmp_path / "kinds").mkdir()
    for name, text in (("waves", SERIES), ("audio", AUDIO)):
        (tmp_path / "kinds" / f"{name}.py").write_text(text)
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path / "kinds")])
    monkeypatch.setattr(catalog, "_SHOWN", tmp_path / "kinds")
    yield
    for name in ("waves", "audio"):
        sys.modules.pop(f"gansmith.show.kinds.{name}", None)
        with contextlib.suppress(AttributeError):
            delattr(folder, name)


def told(spec: DataSpec, made: np.ndarray, run: Path, *, show_data: bool = True) -> facts.Facts:
    view = show_of(spec.kind)
    near = view.near(spec)
    store: Any = type("Rows", (), {"fields": {"x": made[::-1].copy()}, "__len__": lambda _: len(made)})()
    return facts.Facts(
        run=SimpleNamespace(path=run),  # ty: ignore[invalid-argument-type]
        spec=spec,
        show=view,
        seed=0,
        show_data=show_data,
        progress={},
        log=[],
        page=None,
        recipe=None,
        networks={},
        drawn=facts.Drawn(images=64, averaged=made, encoded=torch.from_numpy(made), raw=made),
        store=store,
        neighbours=facts.search(made, store, near) if isinstance(near, Near) else None,
        scores={},
        missing=[],
        warnings=[],
    )


def test_a_sixth_kind_is_shown_written_and_reported(
    sixth: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    series: Any = DataSpec(kind="waves", shape=(24, 2), codec=Plain())  # type: ignore[arg-type]
    made = RANDOM.normal(size=(40, 24, 2)).astype(np.float32)
    assert film_samples(series) == 16
    (tmp_path / "samples").mkdir()
    for images in (0, 640):
        show_of("waves").moment(made, series, made, tmp_path / "samples" / f"{images:012d}")
    page = str(tag("div", *(module.section(told(series, made, tmp_path)) for module in (samples, film, nearest))))
    assert page.count('class="chart"') > 20 and "grey: training data" in page and "image/gif" in page
    assert "Euclidean over all times" in page and "40 of 40 samples equal a training sample exactly" in page
    private = told(series, made, tmp_path, show_data=False)
    assert "data:" not in str(tag("div", film.section(private)))

    model = SimpleNamespace(
        from_noise=True, spec=series, recipe=SimpleNamespace(takes=frozenset()), recipe_name="timegan", images=64
    )
    model.stored = lambda n, **_: made[:n]
    monkeypatch.setattr("gansmith.model.saved.load", lambda *_: model)
    assert main(["sample", str(tmp_path), "-n", "3"]) == 0
    assert "3 samples of timegan after 64 images" in capsys.readouterr().out
    assert len((tmp_path / "series.csv").read_text().splitlines()) == 72
    assert main(["sample", str(tmp_path), "--out", str(tmp_path / "x.png")]) == 0
    with Image.open(tmp_path / "x.png") as image:
        assert image.size == (300, 200)
    assert main(["sample", str(tmp_path), "--out", str(tmp_path / "folder")]) == 1
    assert main(["sample", str(tmp_path), "--out", str(tmp_path / "x.npz")]) == 2
    assert "waves: a .csv for a row a time" in capsys.readouterr().err
    assert main(["sample", str(tmp_path), "--where", "a = 1", "--sweep", "label"]) == 1
    assert "--where says which samples are drawn: pass no --sweep" in capsys.readouterr().err


def test_a_kind_that_is_heard_has_players_and_stands_beside_its_source(sixth: None, tmp_path: Path) -> None:
    audio: Any = DataSpec(kind="audio", shape=(64,), codec=Plain())  # type: ignore[arg-type]
    made = RANDOM.integers(0, 255, (6, 64)).astype(np.float32)
    page = str(tag("div", samples.section(told(audio, made, tmp_path))))
    assert page.count("<audio ") == 6 and page.count("<img ") == 3  # averaged, raw, real
    show_of("audio").write(made, audio, made, tmp_path / "clips")
    assert len(list((tmp_path / "clips").iterdir())) == 6
    with wave.open(str(tmp_path / "clips" / "000005.wav")) as clip:
        assert clip.getnframes() == 64
    parts = {"a": audio, "b": audio}
    both: Any = DataSpec(kind="domains", shape=(64,), codec=Plain(), parts=parts)  # type: ignore[arg-type]
    rows = {"a": torch.from_numpy(made), "b": torch.from_numpy(made)}
    assert show_sources(both, rows, [({"a": rows["a"]}, made)]).size[0] > 64
    show_of("domains").write(made, both, made, tmp_path / "translated")
    assert len(list((tmp_path / "translated").iterdir())) == 6
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "000000000064.wav").write_bytes((tmp_path / "clips" / "000000.wav").read_bytes())
    assert str(tag("div", film.section(told(audio, made, tmp_path)))).count('<audio src="data:audio/wav;base64,') == 1


def test_a_page_without_training_data_has_no_frame_that_shows_them(some: dict[str, Some], tmp_path: Path) -> None:
    it = some["pairs"]
    (tmp_path / "samples").mkdir()
    show_of("pairs").moment(it.samples, it.spec, it.real, tmp_path / "samples" / "000000000064")
    for show_data in (True, False):
        view = replace(told(it.spec, it.samples, tmp_path, show_data=show_data), drawn=None, store=None)
        for module in (samples, film):
            assert ("data:" in str(tag("div", module.section(view)))) == show_data


# --- writers ----------------------------------------------------------------------------------------------------------


def writers(some: dict[str, Some]) -> dict[str, tuple[str, Callable[[Path], object]]]:
    """Everything that writes samples or results: the name of the file, and the call."""
    found: dict[str, tuple[str, Callable[[Path], object]]] = {}
    for kind, it in some.items():
        for suffix in show_of(kind).writes:
            if suffix:
                found[f"{kind} {suffix}"] = (
                    f"out{suffix}",
                    lambda out, kind=kind, it=it: show_of(kind).write(it.samples, it.spec, it.real, out),
                )
    image = Image.fromarray(RANDOM.integers(0, 256, (30, 30, 3)).astype(np.uint8))
    found |= {
        f"apply {form}": (f"out{suffix}", lambda out, form=form: picture_files._save(image, out, form, {}))
        for suffix, form in ((".png", "PNG"), (".jpg", "JPEG"), (".tif", "TIFF"), (".webp", "WEBP"), (".bmp", "BMP"))
    }
    lines = [{"images": 10 * i, "D/real": 1.0 / (i + 1)} for i in range(20)]
    said = predict.Predicted(
        what="class",
        names=tuple(map(str, range(50))),
        values=np.eye(50, dtype=np.float32),
        classes=tuple(map(str, range(50))),
        labels=None,
        known=(),
        failed=(),
    )
    return found | {
        "curves": ("curves.png", lambda out: show.curves(lines, out)),
        "lines": ("lines.txt", lambda out: save_lines(["a line"] * 90, out)),
        "arrays": ("x.npz", lambda out: save_arrays({"x": np.zeros((9, 9))}, out)),
        "predict": ("classes.csv", lambda out: predict.write(said, out)),
        "film": ("film.gif", lambda out: show.film([image_beside(out)], out)),
        "moment": ("000000000064.txt", lambda out: moment(some["text"], out)),
    }


def image_beside(out: Path) -> Path:
    path = out.parent.parent / "frame.png"
    if not path.exists():
        show.save(Image.fromarray(np.zeros((40, 40, 3), np.uint8)), path)
    return path


def moment(it: Some, out: Path) -> None:
    show_of("text").moment(it.samples, it.spec, it.real, out.with_suffix(""))


@contextlib.contextmanager
def full_disk(most: int = 40) -> Iterator[None]:
    """No file may grow beyond so many bytes: a write fails in its middle, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fails_whole(write: Callable[[], object], folder: Path) -> None:
    """The write fails in its middle, and the folder is as it was."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OSError), full_disk():  # noqa: PT011, RUF100
        write()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before and before


def test_a_write_that_fails_in_its_middle_leaves_what_was_there(some: dict[str, Some], tmp_path: Path) -> None:
    for name, (file, write) in writers(some).items():
        if name.endswith(".parquet") and not find_spec("pyarrow"):
            continue
        place = tmp_path / name.replace(" ", "-")
        place.mkdir()
        write(place / file)
        assert [path.name for path in place.iterdir()] == [file], name
        fails_whole(lambda write=write, out=place / file: write(out), place)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_a_table_that_cannot_be_completed_leaves_what_was_there(
    suffix: str, some: dict[str, Some], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    spec = some["table"].spec
    assert isinstance(spec.codec, TableCodec)
    frame = pandas.DataFrame({"height": [0.1, None, 0.3] * 9, "kind": ["a", "b", "c"] * 9})
    source, out = tmp_path / f"holes{suffix}", tmp_path / "out" / f"full{suffix}"
    frame.to_parquet(source) if suffix == ".parquet" else frame.to_csv(source, index=False)
    model = Model(load_recipe("gain")(), "gain", spec, {}, 0)
    monkeypatch.setattr(complete, "fill", lambda model, rows, **_: np.where(np.isnan(rows), 0.25, rows))
    assert complete.complete(model, source, out).filled == {"height": 9}
    fails_whole(lambda: complete.complete(model, source, out), out.parent)


def test_a_process_that_is_killed_in_the_middle_leaves_what_was_there(tmp_path: Path) -> None:
    show.save(Image.fromarray(np.zeros((4, 4), np.uint8)), tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    code = f"""
import os, signal
from pathlib import Path
from gansmith import show
class Dying:
    def save(self, path, *_, **__):
        path.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
show.save(Dying(), Path({str(tmp_path / "a.png")!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL and (tmp_path / "a.png").read_bytes() == before


def test_two_writers_do_not_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that begins while another of the same file is under way, in another process."""
    pids = iter((1, 2))
    monkeypatch.setattr("gansmith.files.os.getpid", lambda: next(pids))
    image = Image.fromarray(np.zeros((4, 4), np.uint8))

    class Slow:
        def save(self, path: Path, *words: Any, **options: Any) -> None:
            show.save(image, tmp_path / "a.png")
            image.save(path, *words, **options)

    show.save(Slow(), tmp_path / "a.png")  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (float("nan"), "-"), (float("inf"), "inf"), (0.12345, "0.123"), (3.0, "3"), (12345.6, "12,346")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.21, "3.2 s"), (59.4, "59.4 s"), (245, "4 min 5 s"), (9000, "2 h 30 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("images", "text"), [(640, "640"), (12_800, "13k"), (200_000, "200k"), (1_500_000, "1.5M")])
def test_counts(images: int, text: str) -> None:
    assert count(images) == text


def test_a_page_names_media_that_it_cannot_show() -> None:
    from gansmith.report.inline import embed

    (text,) = embed([Media(mime="chemical/x-mdl", data=b"<b>", alt="<i>")])
    assert text == "<p>&lt;i&gt; (chemical/x-mdl, 3 bytes)</p>"
