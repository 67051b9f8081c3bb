"""The draw and the feed: every epoch a permutation, ranks' slices the joint batch, one truth on every route."""

import mmap
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gansmith.data import Feed, Store, Uniform, open_store
from gansmith.data.ondisk import OnDisk


@pytest.fixture(scope="module", params=["uint8", "grey", "uint16", "float32", "vector"])
def store(request: pytest.FixtureRequest) -> Store:
    generator = np.random.default_rng(0)
    n = 37
    x = {
        "uint8": generator.integers(0, 256, (n, 6, 5, 3), dtype=np.uint8),
        "grey": generator.integers(0, 256, (n, 6, 5), dtype=np.uint8),
        "uint16": generator.integers(0, 65536, (n, 6, 5, 3), dtype=np.uint16),
        "float32": generator.normal(size=(n, 6, 5, 3)).astype(np.float32),
        "vector": generator.normal(size=(n, 4)),
    }[request.param]
    return open_store({"x": x, "y": np.arange(n)}, progress=False)


@settings(deadline=None)
@given(st.integers(0, 2**40), st.integers(1, 50), st.integers(1, 120), st.integers(0, 40))
def test_every_epoch_is_a_permutation(seed: int, n: int, batch_size: int, first: int) -> None:
    draw = Uniform()
    start = first * n // batch_size
    batches = range(start, start + 3 * n // batch_size + 3)
    rows = np.concatenate([draw.rows(seed, k, batch_size, n) for k in batches])
    skip = -start * batch_size % n
    for epoch in range((len(rows) - skip) // n):
        part = rows[skip + epoch * n : skip + (epoch + 1) * n]
        assert np.array_equal(np.sort(part), np.arange(n))


def test_epochs_and_seeds_differ_and_batches_repeat() -> None:
    draw = Uniform()
    assert not np.array_equal(draw.rows(0, 0, 100, 100), draw.rows(0, 1, 100, 100))
    assert not np.array_equal(draw.rows(0, 0, 100, 100), draw.rows(1, 0, 100, 100))
    assert np.array_equal(draw.rows(5, 7, 64, 100), Uniform().rows(5, 7, 64, 100))


@pytest.mark.parametrize("world", [1, 2, 4])
def test_ranks_join_to_the_joint_batch(store: Store, world: int) -> None:
    def feed(rank: int, world: int) -> Feed:
        return Feed(store, store.spec.codec, Uniform(), seed=3, batch_size=12, rank=rank, world=world)

    for k in (0, 3, 9):
        whole = feed(0, 1)(k)
        parts = [feed(rank, world)(k) for rank in range(world)]
        for key in ("x", "y"):
            assert torch.equal(torch.cat([p[key] for p in parts]), whole[key])


@pytest.mark.parametrize("channels_last", [False, True])
def test_memory_and_disk_give_the_same_batches(store: Store, channels_last: bool) -> None:
    held, mapped = (
        Feed(
            store,
            store.spec.codec,
            Uniform(),
            seed=1,
            batch_size=8,
            channels_last=channels_last,
            in_memory=in_memory,
        )
        for in_memory in (True, False)
    )
    for k in (7, 0, 4, 7):
        a, b = held(k), mapped(k)
        rows = Uniform().rows(1, k, 8, len(store))
        raw = torch.from_numpy(np.array(store.fields["x"])[rows])
        assert torch.equal(a["x"], store.spec.codec.encode(raw)) and torch.equal(a["x"], b["x"])
        assert a["x"].shape == (8, *store.spec.shape) and a["x"].dtype == torch.float32
        assert a["y"].tolist() == b["y"].tolist() == rows.tolist() and a["y"].dtype == torch.int64
        for x in (a["x"], b["x"]):
            if x.dim() == 4:
                layout = torch.channels_last if channels_last else torch.contiguous_format
                assert x.is_contiguous(memory_format=layout)
        a["x"].zero_()  # a caller's change must not reach the data
    assert torch.equal(held(7)["x"], mapped(7)["x"])
    assert mapped(7)["x"].any()


def test_a_batch_that_does_not_split_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        Feed(store, store.spec.codec, Uniform(), seed=0, batch_size=10, world=4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_feed_never_waits_for_the_gpu(store: Store) -> None:
    for in_memory in (True, False):
        feed = Feed(store, store.spec.codec, Uniform(), seed=0, batch_size=8, device="cuda", in_memory=in_memory)
        feed(0)
        torch.cuda.set_sync_debug_mode("error")
        try:
            batch = feed(1)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        cpu = Feed(store, store.spec.codec, Uniform(), seed=0, batch_size=8)(1)
        assert torch.equal(batch["y"].cpu(), cpu["y"])
        torch.testing.assert_close(batch["x"].cpu(), cpu["x"])


def resident() -> int:
    """Bytes of this process in memory, mapped files included."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="Linux tells what is resident")
@pytest.mark.parametrize(("channels", "channels_last"), [(1, False), (3, False), (3, True)])
def test_data_lies_in_memory_once(channels: int, channels_last: bool, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40_000, 32, 32, channels), np.uint8)
    size = pixels.nbytes
    open_store(pixels, out=tmp_path / "store", progress=False)
    del pixels
    store = Store.open(tmp_path / "store")
    before = resident()
    feed = Feed(
        store, store.spec.codec, Uniform(), seed=0, batch_size=1_000, in_memory=True, channels_last=channels_last
    )
    for k in range(40):  # every row is touched
        feed(k)
    assert resident() - before < 1.5 * size


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="Linux tells what is resident")
def test_data_on_disk_leaves_memory_flat(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40_000, 32, 32, 3), np.uint8)
    size = pixels.nbytes
    open_store(pixels, out=tmp_path / "store", progress=False)
    del pixels
    store = Store.open(tmp_path / "store")
    feed = Feed(store, store.spec.codec, Uniform(), seed=0, batch_size=100, in_memory=False)
    feed(0)
    before = resident()
    for k in range(400):
        feed(k)
    assert resident() - before < 0.2 * size


def test_a_store_that_is_cut_while_in_use_is_an_error(tmp_path: Path) -> None:
    open_store(np.zeros((100, 8, 8, 1), np.uint8), out=tmp_path / "store", progress=False)
    store = Store.open(tmp_path / "store")
    feed = Feed(store, store.spec.codec, Uniform(), seed=0, batch_size=100, in_memory=False)
    with (tmp_path / "store" / "x.npy").open("r+b") as file:
        file.truncate(1_000)
    with pytest.raises(OSError, match="cut while it was in use"):
        feed(0)


def test_a_view_of_a_mapped_file_is_read_where_it_lies(tmp_path: Path) -> None:
    rows = np.arange(60, dtype=np.uint8).reshape(20, 3)
    np.save(tmp_path / "x.npy", rows)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    wanted = np.array([7, 0, 3])
    for field in (mapped, mapped[5:], mapped[::2], mapped.reshape(10, 6)):
        assert np.array_equal(OnDisk(field).at(wanted), np.asarray(field)[wanted])
