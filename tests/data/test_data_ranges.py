"""Pixel values that fill less of their integers, or more, than these hold; and one answer from inspect and train."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gansmith.data import ImageCodec, Store, open_store, read_codec
from gansmith.data.inspect import describe, inspect
from gansmith.options import DataOptions, Size, Span, TrainOptions


def deep(
    folder: Path, low: int = 0, high: int = 4095, dtype: type = np.uint16, suffix: str = "tif", n: int = 4
) -> Path:
    """Grey pictures whose values reach from `low` to `high`."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(4):
        values = np.random.default_rng(i).integers(low, high + 1, (8, 8)).astype(dtype)
        values[0, :2] = low, high
        Image.fromarray(values).save(folder / f"{i}.{suffix}")
    return folder


def packed(source: object, **options: object) -> Store:
    return open_store(source, DataOptions(**options), progress=False)  # ty: ignore[invalid-argument-type]


def codec_of(store: Store) -> ImageCodec:
    assert isinstance(store.spec.codec, ImageCodec)
    return store.spec.codec


def both(source: object, **options: object) -> tuple[str, str]:
    """What inspect and packing say of a source: empty for one that can be trained on."""
    asked = DataOptions(**options)  # ty: ignore[invalid-argument-type]
    report = inspect(source, asked, progress=False)
    try:
        store = open_store(source, asked, progress=False)
    except ValueError as error:
        assert report.problem == str(error) and not report.shape
        return report.problem, str(error)
    assert not report.problem and report.shape == store.spec.shape and report.dtype == store.fields["x"].dtype.name
    assert report.usable == len(store)
    missing = [note for note in report.notes if note not in store.notes]
    assert not missing, missing
    return "", ""


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_twelve_bits_in_sixteen_are_said_and_can_be_given(tmp_path: Path, suffix: str) -> None:
    source = deep(tmp_path / "set", suffix=suffix)
    both(source)
    plain = packed(source)
    assert codec_of(plain).range == (0.0, 65535.0)
    said = "values end at 4,095 of 65,535: --range 0,4095 makes -1 to 1 of the range that is used"
    assert said in plain.notes and said in describe(inspect(source, progress=False))
    both(source, range=Span((0, 4095)))
    store = packed(source, range=Span((0, 4095)))
    assert codec_of(store).range == (0.0, 4095.0) and not any("values end" in note for note in store.notes)
    assert np.array_equal(store.fields["x"], plain.fields["x"])
    assert store.digest != plain.digest and read_codec(store.spec.codec.to_json()) == store.spec.codec
    x = store.spec.codec.encode(torch.from_numpy(store.fields["x"].astype(np.int32)))
    assert x.min() == -1 and x.max() == 1
    assert np.array_equal(store.spec.codec.decode(x), store.fields["x"])


def test_masks_of_a_few_values(tmp_path: Path) -> None:
    source = deep(tmp_path / "set", 0, 4, np.uint8, "png")
    assert any(note.startswith("values end at 4 of 255: --range 0,4 ") for note in packed(source).notes)
    store = packed(source, range=Span((0, 4)))
    assert codec_of(store).range == (0.0, 4.0) and store.fields["x"].max() == 4
    assert not packed(deep(tmp_path / "photos", 0, 255, np.uint8, "png")).notes


def test_arrays_alike(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 4096, (6, 8, 8)).astype(np.uint16)
    x[0, 0, 0] = 4095
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    for source in (x, tmp_path / "x.npy", tmp_path / "x.npz"):
        both(source)
        assert any("values end at 4,095 of 65,535" in note for note in packed(source).notes)
        both(source, range=Span((0, 4095)))
        assert codec_of(packed(source, range=Span((0, 4095)))).range == (0.0, 4095.0)


def test_a_value_outside_the_range_leaves_the_picture_out(tmp_path: Path) -> None:
    source = deep(tmp_path / "set")
    Image.fromarray(np.full((8, 8), 5000, np.uint16)).save(source / "z.tif")
    both(source, range=Span((0, 4095)))
    store = packed(source, range=Span((0, 4095)))
    assert [q.name for q in store.quarantined] == ["z.tif"] and len(store) == 4
    assert store.quarantined[0].reason.startswith("5000 is outside the range 0,4095")
    x = np.stack([np.full((8, 8), v, np.uint16) for v in (0, 4000, 9000)])
    both(x, range=Span((0, 4095)))
    assert len(packed(x, range=Span((0, 4095)))) == 2


def test_a_filter_stays_within_the_range(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for i, dtype in enumerate((np.uint8, np.uint8)):
        Image.fromarray(np.kron(np.eye(4), np.full((5, 5), 4)).astype(dtype)).save(folder / f"{i}.png")
    store = packed(folder, range=Span((0, 4)), size=Size((13, 13)))
    assert store.fields["x"].max() == 4
    both(folder, range=Span((0, 4)), size=Size((13, 13)))


@pytest.mark.parametrize("form", ["tif", "npy"])
def test_signed_values_are_named_and_can_be_kept(tmp_path: Path, form: str) -> None:
    if form == "tif":
        source = deep(tmp_path / "set", -1024, 3071, np.int32)
    else:
        source = tmp_path / "x.npy"
        x = np.random.default_rng(0).integers(-1024, 3072, (6, 8, 8)).astype(np.int16)
        x[:, 0, :2] = -1024, 3071
        np.save(source, x)
    said, _ = both(source)
    assert "-1024 is below 0" in said and "--range=-1024,3071" in said and "float32" in said
    both(source, range=Span((-1024, 3071)))
    store = packed(source, range=Span((-1024, 3071)))
    codec = codec_of(store)
    assert codec.whole and codec.dtype == "float32" and codec.range == (-1024.0, 3071.0)
    assert read_codec(codec.to_json()) == codec and store.fields["x"].min() == -1024 and store.fields["x"].max() == 3071
    assert np.array_equal(codec.decode(codec.encode(torch.from_numpy(np.array(store.fields["x"])))), store.fields["x"])
    made = codec.decode(torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8))
    assert np.array_equal(made, np.rint(made)) and made.min() == -1024 and made.max() == 3071


def test_floats_take_the_range_that_is_given() -> None:
    x = np.random.default_rng(0).uniform(2, 5, (5, 8, 8)).astype(np.float32)
    both(x, range=Span((0, 10)))
    assert codec_of(packed(x, range=Span((0, 10)))).range == (0.0, 10.0)


def test_a_range_is_two_numbers_that_ascend() -> None:
    assert Span.parse("-1024,3071") == (-1024.0, 3071.0) and Span.parse("") == ()
    for text in ("5", "3,1", "1,1", "a,b", "0,inf", "1,2,3"):
        with pytest.raises(ValueError, match="least and the greatest value"):
            Span.parse(text)
    assert TrainOptions(range=[0, 4095]).range == (0.0, 4095.0)  # ty: ignore[invalid-argument-type]


def test_another_source_is_packed_in_the_same_range(tmp_path: Path) -> None:
    from gansmith.judge.real import as_store

    store = packed(deep(tmp_path / "a"), range=Span((0, 4095)))
    again = as_store(str(deep(tmp_path / "b")), DataOptions(), store)
    assert codec_of(again).range == (0.0, 4095.0)


UNUSABLE = {
    "not finite": np.full((4, 8, 8), np.nan),
    "vectors": np.full((4, 3), np.inf),
    "one value": np.full((4, 8, 8), 300.0, np.float32),
    "signed": np.full((4, 8, 8), -5, np.int16),
    "objects as labels": {"x": np.zeros((2, 8, 8), np.uint8), "y": np.array([1, "a"], object)},
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_train_refuses_inspect_refuses_with_the_same_words(name: str) -> None:
    if name == "objects as labels":
        with pytest.raises(ValueError, match="Python objects"):
            inspect(UNUSABLE[name], progress=False)
        return
    said, _ = both(UNUSABLE[name])
    assert said


def test_pictures_that_train_refuses(tmp_path: Path) -> None:
    source = tmp_path / "set"
    source.mkdir()
    for i in range(3):
        (source / f"{i}.png").write_bytes(b"not at all")
    both(source)
    Image.fromarray(np.full((8, 8), np.nan, np.float32)).save(source / "nan.tif")
    said, _ = both(source)
    assert said.startswith("nothing in") and "nan.tif: has pixels that are not finite" in said
    # A float picture among integers is left out by both.
    other = deep(tmp_path / "mixed")
    Image.fromarray(np.ones((8, 8), np.float32)).save(other / "f.tif")
    both(other)


@pytest.mark.parametrize("name", ["signed", "nan"])
def test_inspect_ends_with_1_where_nothing_is_usable(tmp_path: Path, name: str) -> None:
    if name == "signed":
        source = deep(tmp_path / "set", -1024, 3071, np.int32)
    else:
        source = tmp_path / "nan.npy"
        np.save(source, np.full((4, 8, 8), np.nan))
    command = [sys.executable, "-m", "gansmith", "data", "inspect", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "training cannot start: nothing in" in done.stdout
    assert "training would see" not in done.stdout
    if name == "signed":
        kept = subprocess.run([*command, "--range=-1024,3071"], capture_output=True, text=True, check=False)
        assert kept.returncode == 0 and "float32" in kept.stdout, kept.stdout + kept.stderr
