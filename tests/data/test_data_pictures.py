"""Folders, tables and archives of pictures: the corpus of awkward files, sizes, labels, notes."""

import io
import os
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gansmith.data import Store, open_store
from gansmith.data.inspect import describe, inspect
from gansmith.options import DataOptions, Size


def picture(seed: int = 0, h: int = 12, w: int = 12, c: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (h, w, c), dtype=np.uint8)


def encode(array: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array.squeeze()).save(out, kind, **options)
    return out.getvalue()


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    def chunk(tag: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bomb(side: int = 30_000) -> bytes:
    return png(side, side, 8, 2, bytes(99))


def corpus(root: Path, outside: Path) -> dict[str, str]:
    """Awkward files below root; returns those that must be left out, with a word of the reason."""
    root.mkdir()
    rgb = picture()
    (root / "good.png").write_bytes(encode(rgb))
    (root / "jpeg_named.png").write_bytes(encode(rgb, "JPEG"))
    (root / "no_suffix").write_bytes(encode(rgb))
    Image.fromarray(rgb).convert("CMYK").save(root / "cmyk.jpg")
    Image.fromarray(rgb).convert("YCbCr").save(root / "ycbcr.tif")
    Image.fromarray(rgb).convert("P").save(root / "palette.png")
    Image.fromarray(rgb).convert("RGBA").save(root / "rgba.webp", lossless=True)
    Image.fromarray(rgb).convert("LA").save(root / "la.png")
    Image.fromarray(rgb).convert("1").save(root / "bits.png")
    Image.fromarray(rgb).convert("P").save(root / "palette_alpha.png", transparency=bytes(range(256)))
    Image.fromarray(np.arange(144, dtype=np.uint16).reshape(12, 12) * 400).save(root / "deep.png")
    frames = [Image.fromarray(picture(i)) for i in range(3)]
    frames[0].save(root / "moving.gif", save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(1, 12, 20)).save(root / "turned.jpg", exif=exif)
    Image.fromarray(picture(1, 12, 20)).save(root / "turned.tif", exif=exif)
    (root / "one_pixel.png").write_bytes(encode(picture(2, 1, 1)))
    (root / "thin.bmp").write_bytes(encode(picture(3, 40, 3), "BMP"))
    (root / "notes.txt").write_text("not a picture")
    (root / ".hidden.png").write_bytes(b"resource fork")
    (root / "README").write_text("no suffix, no picture")

    bad = {}

    def leave_out(name: str, content: bytes, reason: str) -> None:
        (root / name).write_bytes(content)
        bad[name] = reason

    leave_out("cut.jpg", encode(rgb, "JPEG")[:-90], "truncated")
    leave_out("cut.png", encode(rgb)[:-60], "truncated")
    leave_out("empty.png", b"", "empty")
    leave_out("text.png", b"hello, this is text\n" * 9, "not a picture")
    leave_out("bomb.png", bomb(), "too large")
    float_tiff = io.BytesIO()
    Image.fromarray(np.ones((12, 12), np.float32)).save(float_tiff, "TIFF")
    leave_out("float.tif", float_tiff.getvalue(), "float")
    outside.write_bytes(encode(rgb))
    (root / "escape.png").symlink_to(outside)
    (root / "dangling.png").symlink_to(root / "nothing.png")
    (root / "folder.png").mkdir()
    bad |= {"escape.png": "out of the folder", "dangling.png": "No such file", "folder.png": "a folder"}
    if os.geteuid() != 0:
        leave_out("locked.png", encode(rgb), "denied")
        (root / "locked.png").chmod(0)
    return bad


def reasons(store: Store) -> dict[str, str]:
    return {q.name: q.reason for q in store.quarantined}


def test_corpus_is_packed_and_every_bad_file_is_listed(tmp_path: Path) -> None:
    bad = corpus(tmp_path / "corpus", tmp_path / "outside.png")
    options = DataOptions(size=Size((12, 12)))
    report = inspect(tmp_path / "corpus", options, progress=False)
    store = open_store(tmp_path / "corpus", options, progress=False)
    assert set(reasons(store)) == set(bad)
    for name, word in bad.items():
        assert word in reasons(store)[name], (name, reasons(store)[name])
    assert set(store.ignored) == {"notes.txt", ".hidden.png", "README"}
    assert len(store) == 16 and store.spec.shape == (3, 12, 12) and store.fields["x"].dtype == np.uint8
    notes = "\n".join(store.notes)
    for word in ("left out", "transparency", "EXIF", "first frame", "bit depth", "grey pictures made colour"):
        assert word in notes
    names = sorted(p.name for p in (tmp_path / "corpus").iterdir() if p.name not in {*bad, *store.ignored})
    rows = dict(zip(names, store.fields["x"], strict=True))
    assert np.array_equal(rows["good.png"], picture()) and np.array_equal(rows["no_suffix"], picture())
    assert np.array_equal(rows["moving.gif"].shape, (12, 12, 3))
    assert {q.name: q.reason for q in report.quarantined} == reasons(store)  # one function decides for both
    assert report.usable == 16 and report.problem == "" and "left out" in describe(report)
    store.verify()


def test_exif_turns_before_the_size_is_judged(tmp_path: Path) -> None:
    array = picture(5, 10, 16)
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("png", "tif", "webp"):
        folder = tmp_path / kind
        folder.mkdir()
        Image.fromarray(array).save(folder / f"x.{kind}", exif=exif, **({"lossless": True} if kind == "webp" else {}))
        store = open_store(folder, progress=False)
        assert np.array_equal(store.fields["x"][0], np.rot90(array, -1)), kind


def test_differing_sizes_are_an_error_that_names_them(tmp_path: Path) -> None:
    for i, (h, w) in enumerate([(8, 6), (8, 6), (9, 9)]):
        (tmp_path / f"{i}.png").write_bytes(encode(picture(i, h, w)))
    with pytest.raises(ValueError, match=r"2 of 8x6, 1 of 9x9.*--size 8x6"):
        open_store(tmp_path, progress=False)
    assert "--size 8x6" in inspect(tmp_path, progress=False).problem
    assert open_store(tmp_path, DataOptions(size=Size((8, 6))), progress=False).spec.shape == (3, 8, 6)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_fit(tmp_path: Path, fit: str) -> None:
    array = np.zeros((4, 8, 3), np.uint8)
    array[:, :2], array[:, 2:6], array[:, 6:] = 50, 100, 200
    (tmp_path / "a.png").write_bytes(encode(array))
    x = open_store(
        tmp_path,
        DataOptions(size=Size((4, 4)), fit=fit, resample="box"),  # ty: ignore[invalid-argument-type]
        progress=False,
    ).fields["x"][0, ..., 0]
    expected = {"crop": [[100] * 4] * 4, "stretch": [[50, 100, 100, 200]] * 4}
    expected["pad"] = [[0] * 4, [50, 100, 100, 200], [50, 100, 100, 200], [0] * 4]
    assert x.tolist() == expected[fit]


def test_majority_decides_channels_and_depth(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (2, 6, 7), dtype=np.uint16)
    for i, array in enumerate(deep):
        Image.fromarray(array).save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_bytes(encode(np.full((6, 7, 1), 9, np.uint8)))
    store = open_store(tmp_path, progress=False)
    assert store.fields["x"].dtype == np.uint16 and store.spec.shape == (1, 6, 7)
    assert np.array_equal(store.fields["x"][:2, ..., 0], deep) and (store.fields["x"][2] == 9 * 257).all()
    colour = open_store(tmp_path, DataOptions(channels="rgb"), progress=False)
    assert np.array_equal(colour.fields["x"][:2, ..., 2], deep)


def test_float_pictures_keep_their_range(tmp_path: Path) -> None:
    for i in range(2):
        Image.fromarray(np.full((4, 4), 5.0 + i, np.float32) - np.eye(4, dtype=np.float32)).save(tmp_path / f"{i}.tif")
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(tmp_path / "bad.tif")
    store = open_store(tmp_path, progress=False)
    assert store.fields["x"].dtype == np.float32 and len(store) == 2 and "not finite" in reasons(store)["bad.tif"]
    assert store.spec.codec.to_json()["high"] == 255.0 and any("values from 4 to 6" in n for n in store.notes)


def test_alpha_is_kept_on_request_and_else_laid_on_white(tmp_path: Path) -> None:
    array = np.zeros((5, 5, 4), np.uint8)
    array[2, 2] = (10, 20, 30, 255)
    (tmp_path / "a.png").write_bytes(encode(array))
    store = open_store(tmp_path, progress=False)
    assert store.fields["x"][0, 2, 2].tolist() == [10, 20, 30] and (store.fields["x"][0, 0] == 255).all()
    kept = open_store(tmp_path, DataOptions(channels="rgba"), progress=False)
    assert np.array_equal(kept.fields["x"][0], array)


def test_class_folders(tmp_path: Path) -> None:
    for name in ("cat", "dog", "ant/deep"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(2):
            (tmp_path / "set" / name / f"{i}.png").write_bytes(encode(picture(i)))
    for root in (tmp_path, tmp_path / "set"):
        store = open_store(root, progress=False)
        assert store.spec.classes == ("ant", "cat", "dog") and store.fields["y"].tolist() == [0, 0, 1, 1, 2, 2]
    (tmp_path / "set" / "loose.png").write_bytes(encode(picture()))
    assert "loose.png" in reasons(open_store(tmp_path / "set", progress=False))  # one stray is no reason for no classes
    (tmp_path / "set" / "loose.png").unlink()
    for old, new in (("cat", "train"), ("dog", "test"), ("ant", "val")):
        (tmp_path / "set" / old).rename(tmp_path / "set" / new)
    splits = open_store(tmp_path / "set", progress=False)
    assert (
        splits.spec.classes == () and len(splits) == 2 and "are splits, not classes: train is read" in splits.notes[0]
    )


def test_labels_of_quarantined_files_go_with_them(tmp_path: Path) -> None:
    for k, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        for i in range(3):
            data = encode(picture(10 * k + i))
            (tmp_path / name / f"{i}.png").write_bytes(data[:-60] if i == k else data)
    store = open_store(tmp_path, progress=False)
    assert store.fields["y"].tolist() == [0, 0, 1, 1] and len(store.quarantined) == 2
    assert np.array_equal(store.fields["x"], np.stack([picture(i) for i in (1, 2, 10, 12)]))
    store.verify()


@pytest.mark.parametrize("header", ["", "Filename,Label\n", "label,extra,file\n"])
def test_csv_of_labels(tmp_path: Path, header: str) -> None:
    (tmp_path / "sub").mkdir()
    for i in range(3):
        (tmp_path / "sub" / f"{i}.png").write_bytes(encode(picture(i)))
    rows = [("sub/0.png", "10"), ("sub/1.png", "9"), ("sub/2.png", "10"), ("sub/3.png", "9"), ("../x.png", "9")]
    swap = header.startswith("label")
    text = header + "".join(f"{label},z,{name}\n" if swap else f"{name},{label}\n" for name, label in rows)
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8-sig")
    for source in (tmp_path, tmp_path / "labels.csv"):
        store = open_store(source, progress=False)
        assert store.spec.classes == ("9", "10") and store.fields["y"].tolist() == [1, 0, 1]
        assert "No such file" in reasons(store)["sub/3.png"] and "leads out" in reasons(store)["../x.png"]


def test_csv_that_is_no_table_of_files(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("age,income,sex\n1,2,3\n")
    with pytest.raises(ValueError, match="no column to learn from"):  # it is a table, of one row
        open_store(tmp_path / "t.csv", progress=False)
    (tmp_path / "t.csv").write_text("id,file,label\n7,x.png,cat\n")
    with pytest.raises(ValueError, match="no pictures"):  # it names files that are not there
        open_store(tmp_path / "t.csv", progress=False)


def members() -> dict[str, bytes]:
    good = {f"top/{c}/{i}.png": encode(picture(i + 5 * k)) for k, c in enumerate("ab") for i in range(3)}
    return good | {"../evil.png": encode(picture()), "/abs.png": encode(picture()), "top/readme.txt": b"hi"}


def test_zip_and_tar_equal_the_folder(tmp_path: Path) -> None:
    files = members()
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in reversed(files.items()):
            z.writestr(zipfile.ZipInfo(name), data)
        z.writestr("__MACOSX/top/a/._0.png", b"fork")
        z.writestr("top/a/cut.png", files["top/a/0.png"][:-60])
    for mode, path in (("w", "b.tar"), ("w:gz", "b.tar.gz"), ("w:xz", "b.txz")):
        with tarfile.open(tmp_path / path, mode) as t:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
            link = tarfile.TarInfo("top/a/link.png")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            t.addfile(link)
    expected = np.stack([picture(i + 5 * k) for k in range(2) for i in range(3)])
    for path in ("a.zip", "b.tar", "b.tar.gz", "b.txz"):
        store = open_store(tmp_path / path, progress=False)
        assert np.array_equal(store.fields["x"], expected), path
        assert store.spec.classes == ("a", "b") and store.fields["y"].tolist() == [0, 0, 0, 1, 1, 1]
        left_out = reasons(store)
        assert "leads out" in left_out["../evil.png"] and "absolute" in left_out["/abs.png"]
        assert "link" in left_out["top/a/link.png"] if path != "a.zip" else "truncated" in left_out["top/a/cut.png"]
        assert "top/readme.txt" in store.ignored
        report = inspect(tmp_path / path, progress=False)
        assert report.usable == 6 and report.classes == {"a": 3, "b": 3}


def test_damaged_archives_are_clear_errors(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and nothing")
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as t:
        info = tarfile.TarInfo("a.png")
        data = os.urandom(9000)
        info.size = len(data)
        t.addfile(info, io.BytesIO(data))
    whole = (tmp_path / "b.tar.gz").read_bytes()
    (tmp_path / "b.tar.gz").write_bytes(whole[:5000])
    for name in ("a.zip", "b.tar.gz"):
        with pytest.raises(ValueError, match=name):
            open_store(tmp_path / name, progress=False)


def test_nothing_usable_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match="no pictures"):
        open_store(tmp_path, progress=False)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.png: empty file"):
        open_store(tmp_path, progress=False)
    (tmp_path / "a.png").write_bytes(encode(picture())[:-60])
    with pytest.raises(ValueError, match="truncated"):
        open_store(tmp_path, progress=False)
    assert "a.png: cannot be decoded" in inspect(tmp_path, progress=False).problem
    with pytest.raises(FileNotFoundError, match="toy:ring"):
        open_store(tmp_path / "nowhere", progress=False)


def test_names_that_are_not_text_survive(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff[/red].png")).write_bytes(b"junk")
    except OSError:
        pytest.skip("this file system takes only text as names")
    (tmp_path / "ok.png").write_bytes(encode(picture()))
    store = open_store(tmp_path, progress=False)
    assert "\\xff[/red].png" in reasons(store)
    describe(inspect(tmp_path, progress=False)).encode()


def test_inspect_counts_duplicates_and_flat_pictures(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(encode(picture(i // 2)))
    (tmp_path / "flat.png").write_bytes(encode(np.full((12, 12, 3), 7, np.uint8)))
    report = inspect(tmp_path, progress=False)
    assert report.duplicates == 2 and report.duplicate_groups == (("0.png", "1.png"), ("2.png", "3.png"))
    assert report.constant == 1 and report.decoded == 5 and report.shape == (3, 12, 12)
    assert any("overfits" in w for w in report.warnings) and any("memorising" in w for w in report.warnings)


def test_sixteen_bit_colour_is_read_with_a_note(tmp_path: Path) -> None:
    values = np.arange(4 * 5 * 3).reshape(4, 15) * 1000
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    (tmp_path / "deep.png").write_bytes(png(5, 4, 16, 2, rows))
    store = open_store(tmp_path, progress=False)
    assert store.fields["x"].dtype == np.uint8 and np.array_equal(store.fields["x"].reshape(4, 15), values >> 8)
    assert any("16-bit colour" in note for note in store.notes)


def test_a_picture_that_warns_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(encode(picture(0, 30, 30)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # 900 pixels: Pillow warns, and pytest makes that an error
    assert len(open_store(tmp_path, progress=False)) == 1
    assert inspect(tmp_path, progress=False).usable == 1
