"""The store: validated, restartable, safe to pack twice at once; arrays, known sets and toys as sources."""

import errno
import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from gansmith.data import ImageCodec, Store, VectorCodec, open_store, pack, toy
from gansmith.data.arrays import Rows
from gansmith.data.inspect import describe, inspect
from gansmith.data.kinds.image.arrays import channel_axis
from gansmith.options import DataOptions, Size


def pictures(folder: Path, n: int) -> Path:
    folder.mkdir()
    for i in range(n):
        array = np.random.default_rng(i).integers(0, 256, (8, 9, 3), dtype=np.uint8)
        Image.fromarray(array).save(folder / f"{i:05d}.png")
        if i % 97 == 5:
            (folder / f"{i:05d}.png").write_bytes((folder / f"{i:05d}.png").read_bytes()[:-40])
    return folder


def contents(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in path.iterdir()}


SCRIPT = """
import sys, os
from pathlib import Path
import gansmith.data.kinds.image.source as sources
from gansmith.data import open_store
inner, left = sources.decode, [int(sys.argv[3])]
def decode(data, target):
    left[0] -= 1
    if left[0] == 0:
        os._exit(9)
    return inner(data, target)
sources.decode = decode
store = open_store(sys.argv[1], out=Path(sys.argv[2]), progress=False)
print(len(store), int(sys.argv[3]) - left[0])
"""


def packer(source: Path, out: Path, die_after: int = -1) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(source), str(out), str(die_after)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_packer_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    source = pictures(tmp_path / "pictures", 1200)
    whole = open_store(source, out=tmp_path / "whole", progress=False)
    assert len(whole) == 1187 and len(whole.quarantined) == 13
    killed = packer(source, tmp_path / "restarted", die_after=900)
    killed.communicate(timeout=60)
    assert killed.returncode == 9 and not (tmp_path / "restarted").exists()
    partial = tmp_path / ".restarted.partial"
    with (partial / "journal").open("a") as journal:
        journal.write('{"chunk": 4, "crc"')  # a line cut short by the kill
    lines = (partial / "journal").read_text().splitlines()
    assert 1 <= len(lines) - 1 < 5
    with (partial / "x.raw").open("r+b") as raw:  # a finished chunk whose bytes were lost with the power
        raw.seek(pack._HEADER + 10)
        raw.write(bytes(20))
    again = packer(source, tmp_path / "restarted")
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    count, decoded = map(int, out.split())
    assert count == 1187 and decoded <= 1200 - 256 * (len(lines) - 2)
    assert contents(tmp_path / "restarted") == contents(tmp_path / "whole")
    assert not partial.exists()


def test_two_processes_pack_the_same_store_at_once(tmp_path: Path) -> None:
    source = pictures(tmp_path / "pictures", 300)
    both = [packer(source, tmp_path / "store") for _ in range(2)]
    results = [p.communicate(timeout=60) for p in both]
    assert [p.returncode for p in both] == [0, 0], results
    store = Store.open(tmp_path / "store")
    store.verify()
    assert len(store) == 296 and sorted(p.name for p in tmp_path.iterdir()) == ["pictures", "store"]


def test_full_disk_is_a_clear_error_and_packing_goes_on_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))  # ty: ignore
        with pytest.raises(OSError, match="GANSMITH_CACHE") as caught:
            open_store(np.ones((4, 2)), out=tmp_path / "a", progress=False)
        assert caught.value.errno == errno.ENOSPC and not (tmp_path / "a").exists()
    assert len(open_store(np.ones((4, 2)), out=tmp_path / "a", progress=False)) == 4


def test_a_changed_source_or_option_is_another_store(tmp_path: Path) -> None:
    source = pictures(tmp_path / "pictures", 4)
    first = open_store(source, progress=False)
    assert open_store(source, progress=False).path == first.path
    assert open_store(source, DataOptions(channels="grey"), progress=False).digest != first.digest
    os.utime(source / "00001.png", ns=(1, 1))
    assert open_store(source, progress=False).digest != first.digest
    with pytest.raises(ValueError, match="other options"):
        open_store(source, out=first.path, progress=False)
    assert open_store(first.path, progress=False).digest == first.digest
    with pytest.raises(ValueError, match="does not exist yet"):
        open_store(source, out=source, progress=False)


def test_damaged_stores_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s"
    x = np.zeros((5, 4, 4), np.uint8)
    open_store({"x": x, "y": np.array([0, 1, 0, 1, 2])}, out=path, progress=False)
    manifest = (path / "manifest.json").read_text()
    saved = json.loads(manifest)

    def refused(change: dict[str, object], match: str) -> None:
        (path / "manifest.json").write_text(json.dumps(saved | change))
        with pytest.raises(ValueError, match=match):
            Store.open(path)

    refused({"format": 99}, "pack it again")
    refused({"count": 6}, "were expected")
    refused({"spec": {"kind": "os"}}, "no kind of data")
    refused({"fields": {**saved["fields"], "../z": saved["fields"]["x"]}}, "unknown field")
    refused({"fields": {"x": saved["fields"]["x"]}}, "do not go together")
    refused({"fields": {**saved["fields"], "x": {**saved["fields"]["x"], "dtype": "uint16"}}}, "manifest says")
    refused({"spec": {**saved["spec"], "classes": ["a", "b"]}}, "labels outside")
    (path / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        Store.open(path)
    (path / "manifest.json").write_text(manifest)
    Store.open(path).verify()
    data = bytearray((path / "x.npy").read_bytes())
    data[-1] ^= 1
    (path / "x.npy").write_bytes(data)
    with pytest.raises(ValueError, match="not what was packed"):
        Store.open(path).verify()
    (path / "x.npy").write_bytes(data[:-1])
    with pytest.raises(ValueError, match="damaged"):
        Store.open(path)
    with pytest.raises(FileNotFoundError):
        Store.open(tmp_path)


@settings(deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
    )
)
def test_integers_survive_encode_and_decode(x: np.ndarray) -> None:
    high = float(np.iinfo(x.dtype).max)
    codec = ImageCodec(dtype=x.dtype.name, low=0.0, high=high)
    raw = torch.from_numpy(x.copy())
    assert np.array_equal(codec.decode(codec.encode(raw)), x)
    assert np.array_equal(raw.numpy(), x)


def test_every_uint16_survives_and_floats_are_not_changed_in_place() -> None:
    x = np.arange(65536, dtype=np.uint16).reshape(1, 256, 256, 1)
    codec = ImageCodec(dtype="uint16", low=0.0, high=65535.0)
    assert np.array_equal(codec.decode(codec.encode(torch.from_numpy(x))), x)
    raw = torch.ones(1, 2, 2, 1)
    ImageCodec(dtype="float32", low=0.0, high=1.0).encode(raw)
    vectors = VectorCodec(mean=(1.0, 2.0), scale=3.0)
    points = torch.randn(5, 2)
    before = points.clone()
    np.testing.assert_allclose(vectors.decode(vectors.encode(points)), before.numpy(), atol=1e-6)
    assert torch.equal(points, before) and torch.equal(raw, torch.ones(1, 2, 2, 1))


@pytest.mark.parametrize("shape", [(6, 5, 7), (6, 5, 7, 1), (6, 5, 7, 3), (6, 3, 5, 7), (6, 8, 9, 5), (6, 5, 8, 9)])
def test_layouts_of_arrays(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    store = open_store(x, progress=False)
    axis = channel_axis("", shape)
    expected = x[..., None] if axis == 0 else np.moveaxis(x, axis, 3)
    assert np.array_equal(store.fields["x"], expected) and store.spec.shape[0] == expected.shape[3]


@pytest.mark.parametrize("shape", [(6, 3, 3, 3), (6, 8, 8, 8), (6,), (0, 4, 4), (2, 2, 2, 2, 2), (6, 3, 9, 3)])
def test_layouts_that_cannot_be_told_are_errors(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shape"):
        open_store(np.zeros(shape, np.uint8), progress=False)


def test_dtypes_of_arrays() -> None:
    base = np.random.default_rng(0).integers(0, 256, (3, 4, 5))
    for x, dtype, high in (
        (base, "uint8", 255.0),
        (base * 200, "uint16", 65535.0),
        (base / 255, "float32", 1.0),
        (base.astype(np.float16), "float32", 255.0),
        (base > 99, "uint8", 255.0),
        (base * 9.0 - 7, "float32", float(np.float32((base * 9.0 - 7).max()))),
    ):
        store = open_store(x, progress=False)
        assert store.fields["x"].dtype == dtype and store.spec.codec.to_json()["high"] == high
    for x, match in ((base - 300, "below 0.*float32"), (base.astype(str), "numbers are needed")):
        with pytest.raises(ValueError, match=match):
            open_store(x, progress=False)
    with pytest.raises(ValueError, match="nothing to learn"):
        open_store(np.full((3, 4, 5), 700.5), progress=False)


def test_rows_that_are_not_finite_are_left_out_and_listed() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    x[7, 1], x[30] = np.nan, np.inf
    store = open_store({"x": x, "y": np.arange(50) % 5}, progress=False)
    assert [q.name for q in store.quarantined] == ["row 7", "row 30"]
    keep = np.delete(np.arange(50), [7, 30])
    assert np.array_equal(store.fields["x"], x[keep].astype(np.float32))
    assert np.array_equal(store.fields["y"], keep % 5)
    encoded = store.spec.codec.encode(torch.from_numpy(np.array(store.fields["x"])))
    assert encoded.mean(0).abs().max() < 1e-6 and abs(float(encoded.square().mean()) - 1) < 1e-5
    assert inspect({"x": x}, progress=False).usable == 48


def test_arrays_are_resized_and_recoloured() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    store = open_store(grey, DataOptions(size=Size((4, 6)), channels="rgb"), progress=False)
    assert store.spec.shape == (3, 4, 6)
    deep = open_store(grey.astype(np.uint16) * 257, DataOptions(size=Size((4, 6)), resample="box"), progress=False)
    eight = open_store(grey, DataOptions(size=Size((4, 6)), resample="box"), progress=False)
    assert np.abs(deep.fields["x"] / 257 - eight.fields["x"]).max() <= 1
    with pytest.raises(ValueError, match="channels"):
        open_store(np.zeros((2, 9, 9, 5), np.uint8), DataOptions(channels="rgb"), progress=False)
    with pytest.raises(ValueError, match="vectors"):
        open_store(np.zeros((4, 2)), DataOptions(size=Size((4, 4))), progress=False)


def test_npy_and_npz(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (9, 6, 5, 3), dtype=np.uint8)
    y = np.array(["b", "a", "c"] * 3)
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "b.npz", images=x, labels=y, extra=np.ones(3))
    np.savez_compressed(tmp_path / "c.npz", arr_0=x, y=y[:, None])
    np.savez_compressed(tmp_path / "d.npz", x=np.asfortranarray(x))
    for name in ("a.npy", "b.npz", "c.npz", "d.npz"):
        store = open_store(tmp_path / name, progress=False)
        assert np.array_equal(store.fields["x"], x), name
        assert inspect(tmp_path / name, progress=False).usable == 9
    store = open_store(tmp_path / "b.npz", progress=False)
    assert store.spec.classes == ("a", "b", "c") and store.fields["y"].tolist() == [1, 0, 2] * 3
    assert store.notes == ("arrays not used: extra",)
    np.save(tmp_path / "o.npy", np.array([{}, 1], object), allow_pickle=True)
    np.savez(tmp_path / "two.npz", p=x, q=x)
    (tmp_path / "junk.npz").write_bytes(b"junk")
    for name, match in (("o.npy", "Python objects"), ("two.npz", "'x'"), ("junk.npz", "junk")):
        with pytest.raises(ValueError, match=match):
            open_store(tmp_path / name, progress=False)
    with pytest.raises(ValueError, match="one label a sample"):
        open_store({"x": x, "y": np.zeros(3)}, progress=False)
    with pytest.raises(ValueError, match="unknown fields"):
        open_store({"x": x, "z": x}, progress=False)


def test_digits() -> None:
    store = open_store("digits", progress=False)
    assert len(store) == 1797 and store.spec.shape == (1, 8, 8) and store.spec.classes == tuple("0123456789")
    assert store.fields["x"].max() == 255 and open_store("digits", progress=False).path == store.path
    assert "10 classes" in describe(inspect("digits", progress=False))
    assert inspect(store.path, progress=False).classes == inspect("digits", progress=False).classes


@pytest.mark.parametrize("name", toy.NAMES)
def test_toys(name: str) -> None:
    store = open_store(f"toy:{name}", progress=False)
    centres, sigma = toy.centres(name), toy.sigma(name)
    assert len(store) == 100_000 and len(np.unique(centres.round(6), axis=0)) == len(centres) == len(store.spec.classes)
    modes, share = toy.quality(store.fields["x"], centres, sigma)
    assert modes == len(centres) and share >= 0.9889 - 0.001
    if name != "spiral":  # its modes overlap their neighbours' 3 sigma
        assert abs(share - (1 - np.exp(-4.5))) < 0.001
        nearest = np.square(store.fields["x"][:, None] - centres).sum(-1).argmin(1)
        assert np.array_equal(nearest, store.fields["y"])
    assert toy.quality(np.full((4, 2), 99.0), centres, sigma) == (0, 0.0)
    with pytest.raises(ValueError, match="grid, ring, spiral"):
        open_store("toy:disc", progress=False)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def test_idx_files_of_ones_own_are_taken_with_a_note(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)
    y = np.arange(7, dtype=np.uint8)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(x)))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(y))
    for data_dir in (folder, tmp_path):
        store = open_store("mnist", DataOptions(data_dir=data_dir), progress=False)
        assert np.array_equal(store.fields["x"][..., 0], x) and np.array_equal(store.fields["y"], y)
        assert sum("not the official file" in note for note in store.notes) == 2
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(y)[:-1])
    with pytest.raises(ValueError, match="cut off"):
        open_store("mnist", DataOptions(data_dir=folder), progress=False)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(x))[:-20])
    with pytest.raises(ValueError, match="damaged gzip"):
        open_store("mnist", DataOptions(data_dir=folder), progress=False)


def test_cifar10_binary(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    planes = generator.integers(0, 256, (6, 4, 3, 32, 32), dtype=np.uint8)
    labels = generator.integers(0, 10, (6, 4, 1), dtype=np.uint8)
    for i, name in enumerate([*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]):
        np.concatenate([labels[i], planes[i].reshape(4, -1)], 1).tofile(folder / name)
    archive = tmp_path / "archive"
    archive.mkdir()
    with tarfile.open(archive / "cifar-10-binary.tar.gz", "w:gz") as t:
        t.add(folder, folder.name)
    for data_dir in (tmp_path, folder, archive):
        store = open_store("cifar10", DataOptions(data_dir=data_dir), progress=False)
        assert np.array_equal(store.fields["x"], planes[:5].reshape(20, 3, 32, 32).transpose(0, 2, 3, 1))
        assert np.array_equal(store.fields["y"], labels[:5].reshape(-1)) and store.spec.classes[8] == "ship"
    test = open_store("cifar10:test", DataOptions(data_dir=tmp_path), progress=False)
    assert np.array_equal(test.fields["x"], planes[5].transpose(0, 2, 3, 1))
    (folder / "data_batch_3.bin").write_bytes(b"123")
    with pytest.raises(ValueError, match="whole records of 3073"):
        open_store("cifar10", DataOptions(data_dir=folder), progress=False)
    with pytest.raises(ValueError, match="has train"):
        open_store("cifar10:dev", progress=False)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_offline_error_says_which_files_and_where(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(FileNotFoundError) as caught:
        open_store(name, DataOptions(data_dir=tmp_path), progress=False)
    text = str(caught.value)
    assert "sha256" in text and "bytes" in text and "http" in text and "--data-dir" in text
    assert str(tmp_path / "cache" / "downloads" / name) in text and "unreachable" in text
    for file in ("cifar-10-binary.tar.gz",) if name == "cifar10" else ("train-images-idx3", "train-labels-idx1"):
        assert file in text


def test_a_download_must_have_the_official_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(b"a login page"))
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="other bytes than the official file"):
        open_store("mnist", progress=False)
    assert list((tmp_path / "downloads" / "mnist").iterdir()) == []


def test_real_mnist(real_data: Path) -> None:
    if not (real_data / "mnist").is_dir():
        pytest.skip(f"no mnist/ in {real_data}")
    store = open_store("mnist", DataOptions(data_dir=real_data), progress=False)
    assert len(store) == 60_000 and store.spec.shape == (1, 28, 28) and store.notes == ()
    assert np.bincount(store.fields["y"]).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert abs(float(store.fields["x"].mean()) / 255 - 0.1307) < 1e-4
    with pytest.raises(ValueError, match="is mnist, not fashion-mnist"):
        open_store("fashion-mnist", DataOptions(data_dir=real_data / "mnist"), progress=False)
    assert len(open_store("mnist:test", DataOptions(data_dir=real_data / "mnist"), progress=False)) == 10_000


@pytest.mark.slow
def test_real_cifar10(real_data: Path, tmp_path: Path) -> None:
    if not (real_data / "unpack.py").is_file():
        pytest.skip(f"no unpack.py in {real_data}")
    command = [sys.executable, str(real_data / "unpack.py"), "cifar10", str(tmp_path)]
    subprocess.run(command, check=True, timeout=600)
    store = open_store("cifar10", DataOptions(data_dir=tmp_path), progress=False)
    assert len(store) == 50_000 and np.bincount(store.fields["y"]).tolist() == [5000] * 10
    means = store.fields["x"].mean((0, 1, 2)) / 255
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=1e-4)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_rows_of_an_archive_are_read_at_any_ascending_place(write: Any, tmp_path: Path) -> None:
    """A packer that was killed goes on behind the chunks that are done."""
    x = np.random.default_rng(0).integers(0, 256, (3_000, 40, 40), dtype=np.uint8)
    write(tmp_path / "x.npz", x=x)
    ranges = [(0, 2), (2, 3), (700, 900), (2_999, 3_000)]
    for (first, last), rows in zip(ranges, Rows(None, (tmp_path / "x.npz", "x.npy")).at(ranges), strict=True):
        np.testing.assert_array_equal(rows, x[first:last])
