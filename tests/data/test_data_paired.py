"""Pairs and domains: found, matched, packed as a whole, drawn together or apart."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gansmith.data import Feed, Store, Uniform, Unpaired, open_store, read_spec
from gansmith.data.inspect import describe, inspect
from gansmith.engine.prepare import spec_for
from gansmith.options import DataOptions, Size, Span
from gansmith.recipe import load_recipe


def picture(i: int, mode: str = "RGB", size: tuple[int, int] = (9, 8)) -> Image.Image:
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    return Image.fromarray(np.random.default_rng(i).integers(0, 256, shape, dtype=np.uint8))


def folders(root: Path, a: list[str], b: list[str], names: tuple[str, str] = ("a", "b")) -> Path:
    """Grey pictures in a, colour ones in b; what a picture shows depends on its stem."""
    for folder, files, mode, salt in ((names[0], a, "L", 0), (names[1], b, "RGB", 1000)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for file in files:
            picture(salt + int(Path(file).stem), mode).save(root / folder / file)
    return root


def numbered(n: int, suffix: str = ".png") -> list[str]:
    return [f"{i:03d}{suffix}" for i in range(n)]


def test_pairs_are_matched_by_name_and_packed_as_they_are(tmp_path: Path) -> None:
    root = folders(tmp_path / "set", numbered(40), numbered(40, ".bmp"))
    store = open_store(f"pairs:{root}")
    assert store.spec.kind == "pairs" and len(store) == 40
    assert (store.spec.parts["a"].shape, store.spec.parts["b"].shape) == ((1, 8, 9), (3, 8, 9))
    assert (store.spec.shape, store.spec.codec) == ((3, 8, 9), store.spec.parts["b"].codec)
    for i in range(40):
        assert np.array_equal(store.fields["a"][i, ..., 0], np.asarray(picture(i, "L")))
        assert np.array_equal(store.fields["b"][i], np.asarray(picture(1000 + i)))
    store.verify()
    assert read_spec(store.spec.to_json()) == store.spec
    assert Store.open(store.path).fields["b"].base is not None  # views of one memory-mapped file


def test_a_broken_half_takes_its_partner_with_it(tmp_path: Path) -> None:
    root = folders(tmp_path / "set", [*numbered(10), "077.png"], numbered(10))
    (root / "b" / "003.png").write_bytes((root / "b" / "003.png").read_bytes()[:-30])
    (root / "a" / "005.png").write_bytes(b"not a picture")
    store = open_store(f"pairs:{root}")
    assert len(store) == 8
    reasons = {q.name: q.reason for q in store.quarantined}
    assert "has no partner in b" in reasons["a/077.png"]
    assert any("b cannot be decoded" in reason for reason in reasons.values())
    assert any("a not a picture" in reason for reason in reasons.values())
    kept = [i for i in range(10) if i not in (3, 5)]
    for row, i in enumerate(kept):  # what is left is still aligned
        assert np.array_equal(store.fields["a"][row, ..., 0], np.asarray(picture(i, "L")))
        assert np.array_equal(store.fields["b"][row], np.asarray(picture(1000 + i)))
    said = describe(inspect(f"pairs:{root}"))
    assert "077.png: has no partner" in said and "a: " in said and "b: " in said


def test_the_test_split_stays_unseen(tmp_path: Path) -> None:
    """A well-known script appends the test folder to the training set."""
    root = folders(tmp_path / "set", numbered(6), numbered(9), ("trainA", "trainB"))
    folders(root, [f"{i}.png" for i in range(50, 53)], [f"{i}.png" for i in range(60, 63)], ("testA", "testB"))
    store = open_store(str(root))  # these names need no prefix
    assert store.spec.kind == "domains"
    assert {k: len(v) for k, v in store.fields.items()} == {"a": 6, "b": 9}
    assert any("not used" in note for note in store.notes) and any("two domains" in note for note in store.notes)
    test = open_store(f"domains:{root}:testA:testB")
    assert {k: len(v) for k, v in test.fields.items()} == {"a": 3, "b": 3}
    test.verify()
    assert "domains" in str(test.spec.kind) and Store.open(test.path).digest == test.digest


def test_matching_names_make_pairs_of_themselves_and_it_is_said(tmp_path: Path) -> None:
    root = folders(tmp_path / "set", numbered(5), numbered(5), ("trainA", "trainB"))
    store = open_store(str(root))
    assert store.spec.kind == "pairs"
    assert any("match one to one" in note for note in store.notes)
    assert open_store(f"domains:{root}").spec.kind == "domains"


def test_folders_a_and_b_without_a_prefix_are_classes(tmp_path: Path) -> None:
    root = folders(tmp_path / "set", numbered(3), numbered(3))
    assert open_store(str(root)).spec.classes == ("a", "b")


def test_zip_with_folders_of_other_names_and_splits(tmp_path: Path) -> None:
    root = folders(tmp_path / "set" / "train", numbered(4), numbered(4), ("label", "photo"))
    folders(tmp_path / "set" / "test", numbered(2), numbered(2), ("label", "photo"))
    packed = tmp_path / "set.zip"
    with zipfile.ZipFile(packed, "w") as z:
        for file in sorted((tmp_path / "set").rglob("*.png")):
            z.write(file, file.relative_to(tmp_path).as_posix())
    store = open_store(f"pairs:{packed}:set/train/label:set/train/photo")
    plain = open_store(f"pairs:{root}:label:photo")
    assert len(store) == 4 and all(np.array_equal(store.fields[k], plain.fields[k]) for k in "ab")
    with pytest.raises(ValueError, match="no two folders called a and b"):
        open_store(f"pairs:{packed}")


def test_joined_pictures_are_cut_in_the_middle(tmp_path: Path) -> None:
    root = tmp_path / "joined"
    root.mkdir()
    for i in range(5):
        whole = Image.new("RGB", (18, 8))
        whole.paste(picture(i), (0, 0))
        whole.paste(picture(100 + i), (9, 0))
        whole.save(root / f"{i}.png")
    picture(7, size=(11, 8)).save(root / "odd.png")
    left, right = open_store(f"pairs:{root}:left", DataOptions(size=Size((8, 9)))), None
    right = open_store(f"pairs:{root}:right", DataOptions(size=Size((8, 9))))
    assert len(left) == 5 and left.quarantined[0].reason == "11 pixels cannot be halved"
    for i in range(5):
        assert np.array_equal(left.fields["a"][i], np.asarray(picture(i)))
        assert np.array_equal(left.fields["b"][i], np.asarray(picture(100 + i)))
    assert np.array_equal(left.fields["a"], right.fields["b"])
    assert inspect(f"pairs:{root}:left", DataOptions(size=Size((8, 9)))).shape == (3, 8, 9)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("pairs:/nowhere/at/all", "there is no"),
        ("pairs:{root}:one", "is not understood"),
        ("pairs:{root}:a:nothing", "no pictures in 'nothing'"),
        ("pairs:{root}", "no file of a has a partner"),
    ],
)
def test_what_cannot_be_found_is_said(source: str, message: str, tmp_path: Path) -> None:
    root = folders(tmp_path / "set", ["1.png"], ["2.png"])
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        open_store(source.format(root=root))


def test_arrays_in_python() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2**16, (7, 6, 5), dtype=np.uint16), rng.random((7, 6, 5, 3), dtype=np.float32)
    store = open_store({"a": a, "b": b})
    assert store.spec.kind == "pairs"
    assert np.array_equal(store.fields["a"][..., 0], a) and np.array_equal(store.fields["b"], b)
    assert store.spec.parts["a"].codec.to_json()["high"] == 65535.0
    apart = open_store({"a": a[:5], "b": b})
    assert apart.spec.kind == "domains" and len(apart) == 7
    with pytest.raises(ValueError, match="and no more"):
        open_store({"a": a, "b": b, "c": b})


@pytest.mark.parametrize("in_memory", [True, False])
def test_pairs_are_drawn_together_and_domains_apart(in_memory: bool) -> None:
    count = np.arange(12, dtype=np.uint8)
    a = np.broadcast_to(count[:, None, None], (12, 4, 4)).copy()
    store = open_store({"a": a, "b": a + 100})

    def rows(draw: Uniform, k: int) -> tuple[list[int], list[int]]:
        feed = Feed(store, store.spec.codecs, draw, seed=3, batch_size=6, in_memory=in_memory)
        batch = feed(k)
        assert batch["a"].dtype == torch.float32 and batch["a"].shape == (6, 1, 4, 4)
        first, second = (((batch[f][:, 0, 0, 0] + 1) * 127.5).round().int() for f in ("a", "b"))
        return first.tolist(), (second - 100).tolist()

    for k in range(4):
        one, other = rows(Uniform(), k)
        assert one == other
    epoch = [rows(Unpaired(), k) for k in range(2)]
    for half in (0, 1):  # each once an epoch, in orders that have nothing to do with one another
        assert sorted(epoch[0][half] + epoch[1][half]) == list(range(12))
    assert epoch[0][0] != epoch[0][1]
    assert epoch[0] == rows(Unpaired(), 0)
    feed = Feed(store, store.spec.codecs, Uniform(), seed=3, batch_size=6, in_memory=in_memory)
    assert ((feed.spaced(4)["a"][:, 0, 0, 0] + 1) * 127.5).round().tolist() == [0, 3, 6, 9]


def test_domains_cannot_be_drawn_together() -> None:
    store = open_store({"a": np.zeros((3, 4, 4), np.uint8), "b": np.ones((5, 4, 4), np.uint8)})
    with pytest.raises(ValueError, match="not aligned"):
        Feed(store, store.spec.codecs, Uniform(), seed=0, batch_size=2)


def test_two_sets_of_any_kind_are_packed_as_each_is_alone(tmp_path: Path) -> None:
    """Nothing about pairs or domains knows what a half is: each is read, recorded and encoded by its own kind."""
    random = np.random.default_rng(0)
    vectors, pictures = random.normal(size=(30, 5)), random.integers(0, 256, (30, 8, 9, 3), dtype=np.uint8)
    lines = np.array([f"word {i} and {'more ' * (i % 3)}" for i in range(30)])
    alone = {"vector": open_store(vectors), "image": open_store(pictures), "text": open_store(lines.tolist())}
    for a, b in ((vectors, pictures), (lines, vectors), (pictures, lines)):
        store = open_store({"a": a, "b": b})
        assert store.spec.kind == "pairs" and read_spec(store.spec.to_json()) == store.spec
        for name, part in store.spec.parts.items():
            other = alone[part.kind]
            assert part.shape == other.spec.shape
            np.testing.assert_array_equal(store.fields[name], other.fields["x"])
            rows = torch.from_numpy(np.array(store.fields[name]))
            torch.testing.assert_close(part.codec.encode(rows), other.spec.codec.encode(rows), rtol=0, atol=0)
        batch = Feed(store, store.spec.codecs, Uniform(), seed=0, batch_size=4)(0)
        assert {k: tuple(v.shape[1:]) for k, v in batch.items()} == {k: p.shape for k, p in store.spec.parts.items()}
        Store.open(store.path).verify()
        assert "30 pairs" in describe(inspect(store.path))
    apart = open_store({"a": vectors[:20], "b": lines})
    assert apart.spec.kind == "domains" and "20 vectors of a, 30 lines of text of b" in apart.notes
    assert {"size", "text_level"} <= set(apart.options)


def test_two_files_of_a_folder_may_be_two_sets(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two\n\nthree four\n" * 10)
    (tmp_path / "b.txt").write_text("uno dos\nnada\ntres cuatro\n" * 10)
    store = open_store(f"pairs:{tmp_path}", DataOptions(text_lowercase=True))
    assert len(store) == 20 and len(store.quarantined) == 10 and store.options["text_lowercase"] is True
    assert store.quarantined[0].name == "line 2" and store.quarantined[0].reason == "a cannot be used"
    rows = {
        k: part.codec.decode(torch.from_numpy(np.array(store.fields[k][:2]))) for k, part in store.spec.parts.items()
    }
    assert rows["a"].tolist() == ["one two", "three four"] and rows["b"].tolist() == ["uno dos", "tres cuatro"]
    assert open_store(f"domains:{tmp_path}:a.txt:b.txt").spec.counts == ()
    assert [len(v) for v in open_store(f"domains:{tmp_path}:a.txt:b.txt").fields.values()] == [20, 30]
    with pytest.raises(ValueError, match="--size is for pictures"):
        open_store(f"pairs:{tmp_path}", DataOptions(size=Size((8, 8))))


def test_rows_that_do_not_belong_together_are_no_pairs(tmp_path: Path) -> None:
    table = "".join(f"{i / 8},{'xyz'[i % 3]}\n" for i in range(30))
    (tmp_path / "whole.csv").write_text("n,c\n" + table)
    (tmp_path / "ragged.csv").write_text("n,c\n1\n" + table)
    (tmp_path / "short.csv").write_text("n,c\n" + table[: len(table) // 2].rpartition("\n")[0] + "\n")
    with pytest.raises(ValueError, match=r"b has 1 that cannot be read \(row 0: 1 cells, not 2\)"):
        open_store(f"pairs:{tmp_path}:whole.csv:ragged.csv")
    with pytest.raises(ValueError, match="pairs need as many of both"):
        open_store(f"pairs:{tmp_path}:whole.csv:short.csv")
    assert len(open_store(f"domains:{tmp_path}:whole.csv:ragged.csv").fields["b"]) == 30


def test_a_recipe_of_pictures_refuses_two_sets_of_anything_else() -> None:
    store = open_store({"a": np.ones((20, 3)) * np.arange(20)[:, None], "b": np.eye(20)})
    with pytest.raises(ValueError, match="recipe cyclegan takes two sets of pictures; arrays holds vectors"):
        spec_for(load_recipe("cyclegan")(), "cyclegan", store)


def test_halves_of_an_odd_width_are_said_first(tmp_path: Path) -> None:
    for i in range(3):
        picture(i, size=(41, 20)).save(tmp_path / f"{i}.png")
    with pytest.raises(ValueError, match=r"^41 pixels cannot be halved: .* are 20x41$"):
        open_store(f"pairs:{tmp_path}:left")
    report = inspect(f"pairs:{tmp_path}:left", progress=False)
    assert report.problem.startswith("41 pixels cannot be halved") and report.usable == 0
    assert not any("1x1" in note for note in report.notes)


def test_inspect_says_of_pairs_what_packing_says(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 3)))
    np.save(tmp_path / "b.npy", np.zeros((5, 3)))
    with pytest.raises(ValueError, match="a holds 4 samples, b 5"):
        open_store(f"pairs:{tmp_path}")
    assert "a holds 4 samples, b 5" in inspect(f"pairs:{tmp_path}", progress=False).problem
    with pytest.raises(ValueError, match=r"--labels is for .* holds pairs: leave it out"):
        open_store(f"pairs:{tmp_path}", DataOptions(labels="none"))


@pytest.mark.parametrize("kind", ["pairs", "domains"])
def test_two_sets_of_twelve_bits_linked_from_elsewhere(tmp_path: Path, kind: str) -> None:
    for half in "ab":
        (tmp_path / f"real_{half}").mkdir()
        for i in range(4):
            values = np.random.default_rng(i).integers(0, 4096, (8, 8)).astype(np.uint16)
            values[0, 0] = 4095
            Image.fromarray(values).save(tmp_path / f"real_{half}" / f"{i}.tif")
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / half).symlink_to(tmp_path / f"real_{half}")
    with pytest.raises(ValueError, match=r"set: a link .*--follow-links"):
        open_store(f"{kind}:{tmp_path}/set")
    store = open_store(f"{kind}:{tmp_path}/set", DataOptions(follow_links=True))
    assert {f"{half}: {TWELVE}" for half in "ab"} <= set(store.notes)
    given = open_store(f"{kind}:{tmp_path}/set", DataOptions(follow_links=True, range=Span((0, 4095))))
    for part in given.spec.parts.values():
        assert part.codec.to_json()["high"] == 4095.0
    assert not any("values end" in note for note in given.notes)


TWELVE = "values end at 4,095 of 65,535: --range 0,4095 makes -1 to 1 of the range that is used"
