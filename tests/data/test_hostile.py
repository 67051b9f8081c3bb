"""Files that are hostile or broken: each ends in a sentence, soon, in little memory; none is believed what it says."""

from __future__ import annotations

import csv
import gzip
import io
import os
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gansmith.cli import main
from gansmith.data import bounded, open_store
from gansmith.data.inspect import inspect
from gansmith.data.kinds.image.decode import Bad
from gansmith.options import DataOptions
from gansmith.show.film import film, sound
from gansmith.use.picture_files import _check_frames

MB = 1 << 20


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The bound on what unpacks is 2 MB here, so that bombs may be small."""
    monkeypatch.setattr(bounded, "FREE", 2 * MB)
    monkeypatch.setattr(bounded, "MOST_FIELD", 1 * MB)
    csv.field_size_limit(1 * MB)
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    yield
    csv.field_size_limit(16 * MB)


def _png(side: int = 16) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def _png_bomb(side: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(bytes((1 + 4 * side) * side), 9)
    head = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def _tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # ty: ignore[no-matching-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def _changed(path: Path, at: Callable[[bytes], list[tuple[int, bytes]]]) -> Path:
    data = bytearray(path.read_bytes())
    for place, new in at(bytes(data)):
        data[place : place + len(new)] = new
    path.write_bytes(data)
    return path


def _labels(folder: Path, local: int, central: int, new: bytes) -> Path:
    """A zip whose labels.csv has other bytes at these places behind its local and its central header (0: none)."""
    path = _zip(folder / "a.zip", {"a.png": _png(), "labels.csv": b"file,label\na.png,0\n" * 50})
    marks = [(b"PK\x03\x04", local)] + [(b"PK\x01\x02", central)] * (central > 0)
    return _changed(path, lambda d: [(d.rfind(mark) + place, new) for mark, place in marks])


def _header(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def _summed(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    return bytes(header)


def _negative(folder: Path) -> Path:
    header = bytearray(tarfile.TarInfo("a.png").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (-5).to_bytes(12, "big", signed=True)
    (folder / "a.tar").write_bytes(_summed(header) + bytes(1024))
    return folder / "a.tar"


def _sparse(folder: Path) -> Path:
    header = bytearray(tarfile.TarInfo("a.png").tobuf(tarfile.GNU_FORMAT))
    header[156:157], header[386:398], header[398:410] = b"S", b"00000000000\0", b"00000000000\0"
    header[483:495] = b"07777777777\0"
    (folder / "a.tar").write_bytes(_summed(header) + bytes(1024))
    return folder / "a.tar"


def _packed(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(gzip.compress(data, 9))
    return folder / name


def _corrupt(folder: Path, name: str) -> Path:
    rows = "".join(f"{i},{i * i}\n" for i in range(20_000)).encode()
    return _changed(_packed(folder, name, rows), lambda d: [(5_000, b"\xff" * 50)])


def _npy(folder: Path, header: str) -> Path:
    text = header.encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    (folder / "a.npy").write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + bytes(256))
    return folder / "a.npy"


def _npz(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez_compressed(folder / "a.npz", **arrays)
    return folder / "a.npz"


def _text(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def _idx(folder: Path) -> str:
    head = b"\0\0\x08\x03" + struct.pack(">III", 60_000, 28, 28)
    _packed(folder, "train-images-idx3-ubyte.gz", head + bytes(12 * MB))
    _packed(folder, "train-labels-idx1-ubyte.gz", b"\0\0\x08\x01" + struct.pack(">I", 4) + bytes(4))
    return "mnist"


def _pictures(folder: Path) -> Path:
    (folder / "pictures").mkdir()
    for i in range(3):
        (folder / "pictures" / f"{i}.png").write_bytes(_png_bomb(2_000))
    return folder / "pictures"


def _pipe(folder: Path, name: str) -> Path:
    os.mkfifo(folder / name)
    return folder / name


def _huge_file(folder: Path) -> Path:
    (folder / "huge").mkdir()
    with open(folder / "huge" / "a.png", "wb") as file:
        file.write(_png())
        file.truncate(1 << 40)
    return folder / "huge"


ZEROS = bytes(12 * MB)
HEADER = "{'descr': '|u1', 'fortran_order': False, 'shape': %s"
HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "zip bomb": (lambda f: _zip(f / "a.zip", {"a.png": ZEROS}), "unpacks to more than"),
    "zip bomb of lzma": (lambda f: _zip(f / "a.zip", {"a.png": ZEROS}, zipfile.ZIP_LZMA), "unpacks to more than"),
    "zip of labels": (lambda f: _zip(f / "a.zip", {"a.png": _png(), "labels.csv": ZEROS}), "unpacks to more than"),
    "zip encrypted": (lambda f: _labels(f, 6, 8, b"\1\0"), "encrypted"),
    "zip of an unknown method": (lambda f: _labels(f, 8, 10, b"\x63\0"), "not supported"),
    "zip damaged": (lambda f: _labels(f, 40, 0, b"\xff" * 8), "cannot be unpacked"),
    "tar bomb": (lambda f: _tar(f / "a.tar.gz", {"a.png": _png(), "b.png": ZEROS}), "unpacks to more than"),
    "tar bomb of bzip2": (lambda f: _tar(f / "a.tar", {"a.png": _png(), "b.png": ZEROS}, "w:bz2"), "unpacks to more"),
    "tar bomb of xz": (lambda f: _tar(f / "a.tar", {"a.png": _png(), "b.png": ZEROS}, "w:xz"), "unpacks to more than"),
    "tar of labels": (lambda f: _tar(f / "a.tar.gz", {"labels.csv": ZEROS}), "unpacks to more than"),
    "tar of a long name": (lambda f: _packed(f, "a.tar.gz", _header(b"L", 12 * MB) + ZEROS), "no source that is known"),
    "tar of a long record": (lambda f: _packed(f, "a.tar.gz", _header(b"x", 12 * MB) + ZEROS), "no source that is"),
    "tar of a negative size": (_negative, "no source that is known"),
    "tar of a sparse file": (_sparse, "no pictures"),
    "pictures": (_pictures, "too large to decompress safely"),
    "picture of a terabyte": (_huge_file, "more than a picture has"),
    "npz bomb": (lambda f: _npz(f, x=np.zeros((12, 1000, 1000), np.uint8)), "unpacks to more than"),
    "npz of labels": (lambda f: _npz(f, x=np.zeros((4, 8, 8)), y=np.zeros(12 * MB, np.uint8)), "unpacks to more than"),
    "npz encrypted": (
        lambda f: _changed(_npz(f, x=np.zeros((4, 8, 8))), lambda d: [(6, b"\1"), (d.rfind(b"PK\x01\x02") + 8, b"\1")]),
        "encrypted",
    ),
    "npz damaged": (
        lambda f: _changed(
            _npz(f, x=np.random.default_rng(0).integers(0, 255, (400, 8, 8))), lambda d: [(3_000, bytes(100))]
        ),
        "cannot be unpacked",
    ),
    "npy that is not closed": (lambda f: _npy(f, HEADER % "(4,8,8)"), "cannot be read as NumPy arrays"),
    "npy of a negative size": (lambda f: _npy(f, HEADER % "(4,-8,8), }"), "cannot be read as NumPy arrays"),
    "npy of a terabyte": (lambda f: _npy(f, HEADER % "(1000000000000,8,8), }"), "cannot be read as NumPy arrays"),
    "npy of deep brackets": (lambda f: _npy(f, HEADER % ("(" * 4_000)), "cannot be read as NumPy arrays"),
    "csv bomb": (lambda f: _packed(f, "a.csv.gz", ZEROS), "unpacks to more than"),
    "csv damaged": (lambda f: _corrupt(f, "a.csv.gz"), "damaged gzip"),
    "csv cut off": (
        lambda f: _changed(_packed(f, "a.csv.gz", b"a,b\n1,2\n"), lambda d: [(10, b"\0\0")]),
        "damaged gzip",
    ),
    "csv of a long cell": (lambda f: _text(f, "a.csv", "a,b\n1," + "x" * (2 * MB)), "a cell has more than"),
    "csv of an open quote": (lambda f: _text(f, "a.csv", 'a,b\n1,"' + "x\n" * MB), "is a quote not closed?"),
    "text bomb": (lambda f: _packed(f, "a.txt.gz", ZEROS), "unpacks to more than"),
    "text damaged": (lambda f: _corrupt(f, "a.txt.gz"), "damaged gzip"),
    "text of one line": (lambda f: _text(f, "a.txt", "a b c " * (MB // 5)), "0 of 1 lines can be used"),
    "series bomb": (lambda f: f"series:{_packed(f, 'a.csv.gz', ZEROS)}", "unpacks to more than"),
    "idx bomb": (_idx, "unpacks to more than"),
    "pipe": (lambda f: _pipe(f, "a"), "is a pipe"),
    "pipe called csv": (lambda f: _pipe(f, "a.csv"), "is a pipe"),
    "pipe called npy": (lambda f: _pipe(f, "a.npy"), "is a pipe"),
    "device": (lambda f: "/dev/zero", "is a device"),
    "nothing": (lambda f: "", "there is no ''"),
    "a name that is too long": (lambda f: "x" * 5_000, "there is no"),
}


def _memory(key: str) -> int:
    """Bytes in use, or (`VmHWM`) the most of them since the last call; 0 where the system does not say."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0
    found = next(line for line in status.read_text().splitlines() if line.startswith(key))
    Path("/proc/self/clear_refs").write_text("5")
    return int(found.split()[1]) * 1024


@pytest.mark.parametrize("case", HOSTILE)
def test_ends_in_a_sentence_soon_and_in_little_memory(case: str, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    make, said = HOSTILE[case]
    source = str(make(tmp_path))
    before = set(tmp_path.rglob("*"))
    options = ["--data-dir", str(tmp_path)] if source == "mnist" else []
    for command in (["inspect", source], ["pack", source, "--out", str(tmp_path / "out")]):
        start = _memory("VmRSS")
        assert main(["data", *command, *options]) == 1
        lines = capfd.readouterr()
        assert said in lines.out + lines.err
        assert "Traceback" not in lines.err
        assert _memory("VmHWM") - start < 120 * MB
    assert {p for p in set(tmp_path.rglob("*")) - before if "cache" not in p.parts} == set()


def test_what_a_member_declares_is_not_believed(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"a.png": ZEROS})
    _changed(path, lambda d: [(d.rfind(b"PK\x01\x02") + 24, struct.pack("<I", 100))])
    assert "none of the 1 files" in inspect(path, progress=False).problem


def test_honest_files_that_pack_well_are_read(tmp_path: Path) -> None:
    white = io.BytesIO()
    Image.new("RGB", (700, 700), "white").save(white, "PNG")  # 1.5 MB in 2 kB
    assert len(open_store(_zip(tmp_path / "a.zip", {"a.png": white.getvalue()}), progress=False)) == 1
    table = "a,b\n" + "".join(f"{i % 7},{i % 3}\n" for i in range(300_000))
    assert len(open_store(_packed(tmp_path, "a.csv.gz", table.encode()), progress=False)) == 300_000
    for name, mode in (("a.tar", "w"), ("a.tgz", "w:gz"), ("b.tar.bz2", "w:bz2"), ("a.tar.xz", "w:xz")):
        members = {f"{i}/{k * 'x'}{i}.png": _png(15 + i) for i in range(3) for k in (1, 150)}
        found = inspect(_tar(tmp_path / name, members, mode), DataOptions(size=(8, 8)), progress=False)
        assert (found.usable, len(found.classes)) == (6, 3), name
    members = {"a.png": _png() + bytes(-len(_png()) % 512), "b.png": _png()}  # a member that ends where its block does
    assert inspect(_tar(tmp_path / "c.tar", members, "w"), progress=False).usable == 2


def test_parquet_that_holds_more_than_its_size(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    many = arrow.table({"a": np.zeros(MB, np.int64), "b": np.arange(MB) % 2})
    text = arrow.DictionaryArray.from_arrays(arrow.array(np.zeros(300, np.int32)), arrow.array(["x" * MB]))
    same = arrow.table({"a": text, "b": np.arange(300)})
    for name, table in (("many", many), ("same", same)):
        path = tmp_path / f"{name}.parquet"
        parquet.write_table(table, path, store_schema=False)
        with pytest.raises(ValueError, match="unpacks to more than"):
            open_store(path, progress=False)
    (tmp_path / "noise.parquet").write_bytes(bytes(range(256)) * 8)
    with pytest.raises(ValueError, match="cannot be read as parquet"):
        open_store(tmp_path / "noise.parquet", progress=False)
    honest = arrow.table({"a": [f"name {i % 50}" for i in range(2_000)], "b": np.arange(2_000) % 9})
    parquet.write_table(honest, tmp_path / "honest.parquet")
    assert len(open_store(tmp_path / "honest.parquet", progress=False)) == 2_000


def test_many_columns_of_one_name(tmp_path: Path) -> None:
    rows = ["a"] * 3_000, ["1"] * 3_000, ["2"] * 3_000
    report = inspect(_text(tmp_path, "a.csv", "\n".join(map(",".join, rows))), progress=False)
    assert report.columns[2].strip().startswith("a (3)")
    assert report.shape == (3_000,)


def test_folders_that_are_very_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.png").write_bytes(_png())
    monkeypatch.chdir(tmp_path / "deep")
    try:
        for _ in range(1_200):
            os.mkdir("d")
            os.chdir("d")
        monkeypatch.chdir(tmp_path)
        found = inspect(tmp_path / "deep", progress=False)
        assert found.usable == 1
        assert "deep" in found.quarantined[0].reason
        (tmp_path / "deep" / "labels.csv").write_text("file,label\na.png,0\n")
        assert inspect(tmp_path / "deep", progress=False).usable == 1
    finally:  # too deep for whoever cleans up after tests
        monkeypatch.chdir(tmp_path)
        subprocess.run(["rm", "-r", str(tmp_path / "deep")], check=True)


def test_animations_of_more_frames_than_fit(tmp_path: Path) -> None:
    frames = [Image.new("L", (16, 16), i % 256) for i in range(2_100)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=20)
    with Image.open(tmp_path / "a.gif") as image, pytest.raises(Bad, match="more than 2,000 frames"):
        _check_frames(image)
    frames[0].save(tmp_path / "b.gif", save_all=True, append_images=frames[1:5], duration=20)
    with Image.open(tmp_path / "b.gif") as image:
        _check_frames(image)
        assert image.tell() == 0


def test_a_film_leaves_out_frames_that_are_bombs(tmp_path: Path) -> None:
    good, bad = tmp_path / "000000000001.png", tmp_path / "000000000002.png"
    good.write_bytes(_png())
    bad.write_bytes(_png_bomb(6_000))
    assert sound(good)
    assert not sound(bad)
    film([good, bad], tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as image:
        assert image.size == (16, 42)


def test_memory_that_is_not_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("gansmith.data.inspect.inspect", fail)
    assert main(["data", "inspect", "digits"]) == 1
    said = capsys.readouterr().err
    assert "not enough memory" in said
    assert "--batch-size" in said
    assert said.count("\n") == 1
