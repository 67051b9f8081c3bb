"""Grids, clouds, curves and films, read back from the files."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gansmith import show
from gansmith.data import DataSpec, ImageCodec, VectorCodec
from gansmith.show.kinds.image import save_singles
from gansmith.show.kinds.vector import scatter


def noise(*shape: int, dtype: Any = np.uint8, high: int = 256) -> np.ndarray:
    return np.random.default_rng(0).integers(0, high, shape).astype(dtype)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 30),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.integers(1, 6),
    columns=st.integers(0, 8),
)
def test_every_picture_is_in_the_grid_unchanged(n: int, height: int, width: int, channels: int, columns: int) -> None:
    images = noise(n, height, width, channels)
    drawn = np.asarray(show.grid(images, columns, scale=1))
    drawn = drawn[..., None] if drawn.ndim == 2 else drawn
    columns = min(columns or max(round(math.sqrt(n * height / width)), 1), n)
    gap = 2 if min(height, width) >= 32 else 1
    shown = show.to_8_bit(images)
    assert drawn.shape[:2] == (-(-n // columns) * (height + gap) + gap, columns * (width + gap) + gap)
    for i in range(n):
        y, x = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        assert (drawn[y : y + height, x : x + width] == shown[i]).all()


def test_small_pictures_are_enlarged_to_blocks() -> None:
    image = show.grid(noise(64, 8, 8, 1))
    assert 400 <= min(image.size) <= max(image.size) <= 900
    cell = np.asarray(image)[2:82, 2:82]
    assert (cell[:10, :10] == cell[0, 0]).all()


def test_deep_and_float_pictures_are_mapped_by_their_bounds() -> None:
    deep = np.array([0, 32768, 65535], np.uint16).reshape(1, 1, 3, 1)
    assert show.to_8_bit(deep).ravel().tolist() == [0, 128, 255]
    assert show.to_8_bit(deep, (0, 32768)).ravel().tolist() == [0, 255, 255]
    real = np.array([-1.0, 0.0, 1.0, np.nan], np.float32).reshape(1, 1, 4, 1)
    assert show.to_8_bit(real, (-1, 1)).ravel().tolist() == [0, 128, 255, 0]


def test_channels_that_cannot_be_shown() -> None:
    assert show.to_8_bit(noise(2, 4, 4, 2)).shape[-1] == 1
    assert show.to_8_bit(noise(2, 4, 4, 7)).shape[-1] == 3
    with pytest.raises(ValueError, match=r"N, H, W, C"):
        show.grid(noise(4, 4, 1))
    with pytest.raises(ValueError, match="no pictures"):
        show.grid(noise(0, 4, 4, 1))


def test_saved_pictures_say_that_a_model_made_them(tmp_path: Path) -> None:
    show.save(show.grid(noise(4, 8, 8, 3)), tmp_path / "grid.png")
    save_singles(noise(2, 5, 7, 3), tmp_path / "folder")
    for path in (tmp_path / "grid.png", tmp_path / "folder" / "000001.png"):
        with Image.open(path) as image:
            assert image.info["Software"] == "gansmith"
            assert "AI model" in image.info["Comment"]
    assert sorted(p.name for p in (tmp_path / "folder").iterdir()) == ["000000.png", "000001.png"]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_single_pictures_come_back_as_they_were(tmp_path: Path, channels: int) -> None:
    images = noise(3, 5, 7, channels)
    for path, image in zip(save_singles(images, tmp_path), images, strict=True):
        with Image.open(path) as read:
            assert (np.asarray(read).reshape(image.shape) == image).all()


def test_grey_pictures_of_16_bits_keep_them(tmp_path: Path) -> None:
    images = noise(2, 5, 7, 1, dtype=np.uint16, high=65536)
    with Image.open(save_singles(images, tmp_path)[1]) as read:
        assert (np.asarray(read) == images[1, ..., 0]).all()


@pytest.mark.parametrize(
    "images", [noise(1, 4, 4, 3, dtype=np.uint16), noise(1, 4, 4, 1, dtype=np.float32), noise(1, 4, 4, 2)]
)
def test_what_png_cannot_hold_is_refused(tmp_path: Path, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="npz"):
        save_singles(images, tmp_path)


def test_samples_outside_the_frame_do_not_move_it() -> None:
    real = np.random.default_rng(0).normal(size=(500, 2))
    near = scatter(real, real)
    far = scatter(np.vstack([real, np.full((9, 2), 1e6), np.full((1, 2), np.nan)]), real)
    assert near.size == far.size
    body = (0, 0, near.width, near.width)
    assert np.array_equal(np.asarray(near.crop(body)), np.asarray(far.crop(body)))


@pytest.mark.parametrize("dimensions", [1, 2, 3, 9])
def test_vectors_of_any_length_make_a_picture(dimensions: int) -> None:
    points = np.random.default_rng(0).normal(size=(50, dimensions)).astype(np.float32)
    for real in (points, points[:1], points[:0], np.zeros_like(points)):
        assert min(scatter(points, real).size) > 300


def test_the_sheet_follows_the_kind_of_data() -> None:
    image = DataSpec(kind="image", shape=(1, 4, 4), codec=ImageCodec(dtype="uint16", low=0, high=1000))
    full = np.full((4, 4, 4, 1), 1000, np.uint16)
    assert np.asarray(show.show_of("image").sheet(full, image, full)).min() == 255
    vector = DataSpec(kind="vector", shape=(2,), codec=VectorCodec(mean=(0.0, 0.0)))
    points = np.random.default_rng(0).normal(size=(9, 2))
    assert show.show_of("vector").sheet(points, vector, points).mode == "RGB"


# --- curves -----------------------------------------------------------------------------------------------------------


def log_of(n: int = 100, **terms: Any) -> list[dict[str, Any]]:
    """Lines of a log whose terms are functions of how far training is, in [0, 1), with a little noise."""
    rng = np.random.default_rng(0)
    return [
        {"step": i, "images": 100 * (i + 1), "seconds": 0.1 * i, "images_per_second": 9.0}
        | {k.replace("__", "/"): float(f(i / n) + 0.005 * rng.normal()) for k, f in terms.items()}
        for i in range(n)
    ]


@pytest.mark.parametrize(
    "log",
    [
        [],
        log_of(1, D__real=lambda t: 1),
        log_of(300, D__real=lambda t: 1 - t, D__fake=lambda t: 1, G__score=lambda t: math.exp(12 * t)),
        log_of(30, D__gap=lambda t: -3, GQ__loss=lambda t: 0),
        [*log_of(20, D__real=lambda t: 1), {"step": 20, "images": 2100, "D/real": math.nan}],
        [{"step": 0, "images": 0, "D/real": 1e30, "G/x": -1e30}] * 30,
        [{"step": i, "images": i, "D/real": 1.0, **({"D/r1": 2.0} if i % 16 == 0 else {})} for i in range(64)],
    ],
)
def test_any_log_makes_curves(tmp_path: Path, log: list[dict[str, Any]]) -> None:
    show.curves(log, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width >= 900
        assert image.info["Software"] == "gansmith"


def test_terms_are_told_from_other_numbers() -> None:
    found = show.terms_of(log_of(3, D__real=lambda t: 1, D__r1=lambda t: 2, G__adversarial=lambda t: 3))
    assert {turn: list(terms) for turn, (_, terms) in found.items()} == {"D": ["real", "r1"], "G": ["adversarial"]}


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"D__real": lambda t: 0.69, "D__fake": lambda t: 0.69}, "close to even"),
        ({"D__real": lambda t: 0.02, "D__fake": lambda t: 0.03}, "nearly all apart"),
        ({"D__real": lambda t: 0.4, "D__fake": lambda t: 0.3}, "D is ahead"),
        ({"D__pairing": lambda t: 1.2}, "above even"),
        ({"G__score": lambda t: 1 + 2 * t}, "rises from 2.2"),
        ({"G__score": lambda t: 3 - 2 * t}, "falls from 1.7"),
        ({"G__score": lambda t: 1.0}, "holds level"),
    ],
)
def test_the_reading(terms: dict[str, Any], said: str) -> None:
    text = " ".join(show.reading(log_of(**terms)))
    assert said in text
    assert "no level means quality" in text


def test_the_reading_claims_nothing_of_losses_it_does_not_know() -> None:
    text = " ".join(show.reading(log_of(D__gap=lambda t: -1, D__penalty=lambda t: 0.1, G__score=lambda t: 1)))
    assert "logistic" not in text


def test_a_term_that_is_not_on_every_line_is_held() -> None:
    log: list[dict[str, Any]] = [{"images": i, "D/real": 1.0, **({"D/r1": i} if i % 4 == 2 else {})} for i in range(12)]
    assert show.terms_of(log)["D"][1]["r1"].tolist() == [2, 2, 2, 2, 2, 2, 6, 6, 6, 6, 10, 10]
    assert "not a finite" not in " ".join(show.reading(log))


def test_the_reading_of_a_short_or_broken_log() -> None:
    assert "Too early" in show.reading(log_of(5, D__real=lambda t: 1))[0]
    assert "Too early" in show.reading([])[0]
    broken = show.reading(log_of(50, D__real=lambda t: math.nan if t > 0.5 else 1))
    assert len(broken) == 1 and "D/real is not a finite number at 2,700 images" in broken[0]


# --- film -------------------------------------------------------------------------------------------------------------


def test_the_film_shows_first_and_last_and_holds_the_last(tmp_path: Path) -> None:
    frames = []
    for i in range(9):
        frames.append(tmp_path / f"{i * 1000:012d}.png")
        show.save(show.grid(np.full((4, 8, 8, 1), 28 * i, np.uint8)), frames[-1])
    show.film(frames, tmp_path / "film.gif", max_frames=4)
    with Image.open(tmp_path / "film.gif") as film:
        assert getattr(film, "n_frames", 1) == 4
        assert b"AI model" in film.info["comment"]
        durations, middle = [], []
        for k in range(4):
            film.seek(k)
            durations.append(film.info["duration"])
            middle.append(int(np.asarray(film.convert("L"))[30, 30]))
    assert durations[-1] == 3000 > durations[0]
    assert middle[0] < 8 and abs(middle[-1] - 224) < 8
    assert middle == sorted(middle)


def test_a_film_of_nothing_is_not_written(tmp_path: Path) -> None:
    show.film([], tmp_path / "film.gif")
    assert not (tmp_path / "film.gif").exists()


def test_a_failed_write_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = show.grid(noise(1, 8, 8, 1))
    show.save(image, tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()

    def full(self: Image.Image, path: Path, *_: object, **__: object) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="disk full"):
        show.save(image, tmp_path / "a.png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before
