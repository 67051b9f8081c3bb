"""A kind that is one file and nothing else: packed, opened, looked at, and half of pairs and domains."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from torch import Tensor

from gansmith.data import Codec, DataSpec, Feed, Kind, Store, Uniform, kind, kind_of, open_store, read_spec
from gansmith.data.folders import Folder
from gansmith.data.found import Report
from gansmith.data.inspect import describe, inspect
from gansmith.data.kind import Given, Source
from gansmith.data.listing import MOST_BYTES, Bytes, Files, Listing, printable
from gansmith.data.looked import report_of_rows
from gansmith.data.plan import Block, Plan, even_chunks
from gansmith.options import DataOptions, Size

LENGTH = 6


@dataclass(frozen=True, kw_only=True)
class TallyCodec(Codec):
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def encode(self, raw: Tensor) -> Tensor:
        return raw.float() / 127.5 - 1

    def decode(self, x: Tensor) -> np.ndarray:
        return np.rint((x.numpy() + 1) * 127.5).astype(np.uint8)

    def stored(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
        return shape, "uint8"

    def to_json(self) -> dict[str, Any]:
        return {"kind": "tally"}


@dataclass(frozen=True)
class TallyReader:
    files: Files
    listing: Listing

    def read(self, ranges: Sequence[tuple[int, int]]) -> Iterator[list[Bytes]]:
        return self.files.read(self.listing, ranges, MOST_BYTES)

    def decode(self, payload: list[Bytes]) -> Block:
        rows, bad = np.zeros((len(payload), LENGTH), np.uint8), {}
        for i, file in enumerate(payload):
            with file.open() as f:
                data = f.read()
            if len(data) == LENGTH:
                rows[i] = np.frombuffer(data, np.uint8)
            else:
                bad[i] = f"{len(data)} bytes, not {LENGTH}"
        return Block(rows, bad)

    def name(self, row: int) -> str:
        return printable(self.listing.names[row])


class TallySource:
    kind: ClassVar[str] = "tally"

    def __init__(self, files: Files) -> None:
        self.files, self.listing = files, files.listing()
        self.name, self.identity = files.name, self.listing.identity

    def plan(self, options: DataOptions, digest: str, recorded: dict[str, Any], progress: bool) -> Plan:
        return Plan(
            source=self.name,
            digest=digest,
            kind=self.kind,
            shape=(LENGTH,),
            dtype="uint8",
            bounds=None,
            codec=TallyCodec(),
            chunks=even_chunks(len(self.listing.names), LENGTH),
            reader=TallyReader(self.files, self.listing),
            options=recorded,
        )

    def report(self, options: DataOptions, progress: bool) -> Report:
        n = len(self.listing.names)
        rows = TallyReader(self.files, self.listing).decode(next(self.files.read(self.listing, [(0, n)], MOST_BYTES)))
        return report_of_rows(self.name, self.kind, rows.rows, shape=(LENGTH,))


class Tallies(Kind):
    name = "tally"
    samples = "tallies"
    sources = ("a folder of .tally",)
    example = "tallies/"
    first = 30
    rank = 1
    suffixes = frozenset({".tally"})

    def recognise(self, given: Given) -> Source | None:
        if given.path is None or not given.path.is_dir() or not any(given.path.glob("*.tally")):
            return None
        return self.source_of(Folder(given.path, self.suffixes))

    def source_of(self, files: Files) -> Source:
        return TallySource(files)

    def codec(self, saved: Mapping[str, Any]) -> Codec:
        return TallyCodec()

    def words(self, spec: DataSpec) -> str:
        return f"tallies of {spec.shape[0]}"


@pytest.fixture
def tally(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if `data/kinds/tally.py` were there."""
    module = ModuleType("gansmith.data.kinds.tally")
    module.KIND = Tallies()  # type: ignore[attr-defined]
    names = tuple(sorted([*kind.kind_names(), "tally"]))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(kind, "kind_names", lambda: names)


def write(folder: Path, rows: np.ndarray, skip: int = -1) -> None:
    folder.mkdir(parents=True)
    for i, row in enumerate(rows):
        if i != skip:
            (folder / f"{i:02d}.tally").write_bytes(row.tobytes())


def test_a_folder_is_told_from_one_of_pictures_and_its_options_from_theirs(tally: None, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (20, LENGTH), dtype=np.uint8)
    write(tmp_path / "all", rows)
    (tmp_path / "all" / "99.tally").write_bytes(b"short")
    store = open_store(str(tmp_path / "all"))
    np.testing.assert_array_equal(store.fields["x"], rows)
    assert store.spec.kind == "tally" and store.spec.bounded and store.options == {}
    assert [(q.name, q.reason) for q in store.quarantined] == [("99.tally", "5 bytes, not 6")]
    assert read_spec(store.spec.to_json()) == store.spec == Store.open(store.path).spec
    assert "21 tallies" in describe(inspect(str(tmp_path / "all")))
    assert "20 tallies" in describe(inspect(store.path))
    with pytest.raises(ValueError, match=r"--size is for pictures; .* holds tallies"):
        open_store(str(tmp_path / "all"), DataOptions(size=Size((8, 8))))
    with pytest.raises(FileNotFoundError, match=r"a folder of \.tally"):
        open_store("nowhere")


def test_two_folders_of_its_files_are_pairs_by_their_names(tally: None, tmp_path: Path) -> None:
    rows = np.random.default_rng(1).integers(0, 256, (2, 20, LENGTH), dtype=np.uint8)
    write(tmp_path / "a", rows[0])
    write(tmp_path / "b", rows[1], skip=3)
    (tmp_path / "b" / "05.tally").write_bytes(b"short")
    store = open_store(f"pairs:{tmp_path}")
    kept = [i for i in range(20) if i not in (3, 5)]
    for half, name in enumerate("ab"):
        np.testing.assert_array_equal(store.fields[name], rows[half, kept])
    reasons = {(q.name, q.reason) for q in store.quarantined}
    assert reasons == {("a/03.tally", "has no partner in b"), ("a/05.tally", "b 5 bytes, not 6")}
    assert {part.kind for part in store.spec.parts.values()} == {"tally"} and store.spec.bounded
    batch = Feed(store, store.spec.codecs, Uniform(), seed=0, batch_size=6)(0)
    found = {tuple(row) for row in np.concatenate([TallyCodec().decode(batch[k]) for k in "ab"], 1).tolist()}
    assert found <= {tuple(np.concatenate(pair).tolist()) for pair in zip(*rows[:, kept], strict=True)}
    assert "pairs" in describe(inspect(f"pairs:{tmp_path}")) and kind_of("pairs").words(store.spec) == "tallies of 6"
    apart = open_store(f"domains:{tmp_path}")
    assert [len(apart.fields[k]) for k in "ab"] == [20, 18] and "20 tallies of a, 18 of b" in apart.notes
