"""Where labels come from: folders, splits, lists as people write them, dataset.json; what is left out, and said."""

import io
import json
import os
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gansmith
from gansmith.data import Store, open_store
from gansmith.data.inspect import describe, inspect
from gansmith.data.lists import cells_of
from gansmith.options import DataOptions, TrainOptions


def png(seed: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def write(root: Path, *names: str) -> Path:
    """A picture of its own for each name."""
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(i))
    return root


def classes(root: Path, *folders: str, each: int = 4) -> Path:
    return write(root, *(f"{folder}/{i}.png" for folder in folders for i in range(each)))


def zipped(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as z:
        for name, data in members.items():
            info = zipfile.ZipInfo()
            info.filename = name  # as it is: a constructor would cut or replace
            z.writestr(info, data)
    return path


def opened(source: Path | str, **options: object) -> Store:
    return open_store(source, DataOptions(**options), progress=False)  # ty: ignore[invalid-argument-type]


def left_out(store: Store) -> dict[str, str]:
    return {q.name: q.reason for q in store.quarantined}


def same_in_inspect(source: Path | str, store: Store, **options: object) -> None:
    """The report says of classes, rows and files left out what the store holds."""
    report = inspect(source, DataOptions(**options), progress=False)  # ty: ignore[invalid-argument-type]
    y = np.asarray(store.fields.get("y", np.zeros(0, np.int64)))
    counts = np.bincount(y[y >= 0], minlength=len(store.spec.classes)) if store.spec.classes else []
    assert report.classes == dict(zip(store.spec.classes, map(int, counts), strict=True))
    assert report.usable == len(store) and {q.name for q in report.quarantined} == set(left_out(store))
    assert set(report.notes) <= set(store.notes)


STYLEGAN = {f"{i // 3:05}/img{i:08}.png": i % 2 for i in range(6)}


@pytest.mark.parametrize("form", ["pairs", "mapping", "one-hot"])
@pytest.mark.parametrize("where", ["folder", "a.zip", "b.tar", "below.zip"])
def test_stylegan_labels(tmp_path: Path, form: str, where: str) -> None:
    labels: object = [[name, label] for name, label in STYLEGAN.items()]
    if form == "mapping":
        labels = STYLEGAN
    if form == "one-hot":
        labels = [[name, [1.0 - label, float(label)]] for name, label in STYLEGAN.items()]
    text = json.dumps({"labels": labels}).encode()
    top = "set/" if where.startswith("below") else ""
    files = {f"{top}{name}": png(i) for i, name in enumerate(STYLEGAN)} | {f"{top}dataset.json": text}
    source = tmp_path / where
    if where == "folder":
        for name, data in files.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(data)
    elif where.endswith(".zip"):
        zipped(source, files)
    else:
        with tarfile.open(source, "w") as t:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
    store = opened(source)
    assert store.spec.classes == ("0", "1") and store.fields["y"].tolist() == [0, 1] * 3
    assert any("dataset.json" in note for note in store.notes) and len(store) == 6
    same_in_inspect(source, store)


@pytest.mark.parametrize(
    "text", ['{"labels": null}', '{"labels": [["00000/0.png", [0.2, 0.9]]]}', '{"images": 3}', '{"labels": 7}']
)
def test_shards_are_no_classes_beside_a_dataset_json(tmp_path: Path, text: str) -> None:
    classes(tmp_path, "00000", "00001")
    (tmp_path / "dataset.json").write_text(text)
    store = opened(tmp_path)
    assert store.spec.classes == () and len(store) == 8
    assert any(note.startswith("no labels") and "dataset.json" in note for note in store.notes)
    (tmp_path / "dataset.json").unlink()
    assert opened(tmp_path).spec.classes == ("00000", "00001")  # by themselves such folders may well be classes


def test_a_dataset_json_below(tmp_path: Path) -> None:
    classes(tmp_path / "set", "00000", "00001", each=2)
    labels = [[f"0000{k}/{i}.png", i] for k in range(2) for i in range(2)]
    (tmp_path / "set" / "dataset.json").write_text(json.dumps({"labels": labels}))
    store = opened(tmp_path)
    assert store.spec.classes == ("0", "1") and store.fields["y"].tolist() == [0, 1, 0, 1]


def test_a_foreign_dataset_json_leaves_class_folders_alone(tmp_path: Path) -> None:
    classes(tmp_path, "cat", "dog")
    (tmp_path / "dataset.json").write_text('{"images": []}')
    assert opened(tmp_path).spec.classes == ("cat", "dog")


@pytest.mark.parametrize("stray", ["cover.png", "LICENSE"])
def test_one_stray_file_beside_class_folders_is_left_out(tmp_path: Path, stray: str) -> None:
    write(classes(tmp_path, "cat", "dog"), stray)
    store = opened(tmp_path)
    assert store.spec.classes == ("cat", "dog") and len(store) == 8
    if stray == "cover.png":
        assert "beside the folders cat, dog" in left_out(store)[stray]
        assert any("cover.png" in note for note in store.notes)
    else:
        assert stray in store.ignored
    same_in_inspect(tmp_path, store)
    everything = opened(tmp_path, labels="none")
    assert everything.spec.classes == () and len(everything) == 9


def test_many_pictures_beside_folders_are_no_strays_and_said(tmp_path: Path) -> None:
    write(classes(tmp_path, "cat", "dog"), *(f"{i}.png" for i in range(5)))
    store = opened(tmp_path)
    assert store.spec.classes == () and len(store) == 13
    assert any(note.startswith("no labels: 5 files") and "cat, dog" in note for note in store.notes)


def test_strays_above_the_class_folders(tmp_path: Path) -> None:
    write(classes(tmp_path / "set", "cat", "dog"), "../cover.png", "also.png")
    store = opened(tmp_path)
    assert store.spec.classes == ("cat", "dog") and set(left_out(store)) == {"cover.png", "set/also.png"}


def test_a_zip_with_backslashes(tmp_path: Path) -> None:
    source = zipped(tmp_path / "a.zip", {f"cls{k}\\{i}.png": png(9 * k + i) for k in range(2) for i in range(3)})
    store = opened(source)
    assert store.spec.classes == ("cls0", "cls1") and store.fields["y"].tolist() == [0] * 3 + [1] * 3
    assert any("backslashes" in note for note in store.notes)
    assert len(np.unique(store.fields["x"].reshape(6, -1), axis=0)) == 6
    same_in_inspect(source, store)


def test_an_empty_label_is_unlabelled(tmp_path: Path) -> None:
    write(tmp_path, *(f"{i}.png" for i in range(6)))
    (tmp_path / "labels.csv").write_text("file,label\n0.png,a\n1.png,b\n2.png,a\n3.png,b\n4.png,\n5.png, \n")
    store = opened(tmp_path)
    assert store.spec.classes == ("a", "b") and store.fields["y"].tolist() == [0, 1, 0, 1, -1, -1]
    assert any("2 pictures are unlabelled in labels.csv, such as 4.png" in note for note in store.notes)
    same_in_inspect(tmp_path, store)
    assert "2 classes: a 2, b 2" in describe(inspect(tmp_path, progress=False))
    assert opened(tmp_path, labels="none").spec.classes == ()


def test_members_without_a_label_in_an_archive_are_unlabelled(tmp_path: Path) -> None:
    files = {f"top/{i}.png": png(i) for i in range(4)} | {"top/labels.csv": b"file;label\n0.png;x\n1.png;y\n2.png;\n"}
    store = opened(zipped(tmp_path / "a.zip", files))
    assert store.spec.classes == ("x", "y") and store.fields["y"].tolist() == [0, 1, -1, -1]


@pytest.fixture
def partly(tmp_path: Path) -> Path:
    """Sixteen pictures, of which every other has a label."""
    write(tmp_path / "set", *(f"{i:02}.png" for i in range(16)))
    rows = "".join(f"{i:02}.png,{'ab'[i % 4 // 2] if i % 2 == 0 else ''}\n" for i in range(16))
    (tmp_path / "set" / "labels.csv").write_text("file,label\n" + rows)
    return tmp_path / "set"


@pytest.mark.parametrize("recipe", ["cgan", "dcgan", "semi"])
def test_recipes_that_are_told_labels_train_on_labelled_pictures_alone(partly: Path, recipe: str) -> None:
    from gansmith.engine.prepare import spec_for
    from gansmith.engine.tuning import build_feed
    from gansmith.recipe import load_recipe
    from gansmith.step.ranks import Ranks, Setting

    made = load_recipe(recipe)(**({"num_labels": 4} if recipe == "semi" else {}))
    store = opened(partly)
    spec = spec_for(made, recipe, store)
    assert spec.counts == (4, 4) and spec.classes == ("a", "b")
    feed = build_feed(made, spec, store, TrainOptions(batch_size=4), Setting("cpu", "fp32", False), Ranks())
    batches = [feed(k) for k in range(8)]
    seen = np.concatenate([batch["y"].numpy() for batch in batches])
    assert (seen >= 0).all() == (recipe == "cgan")
    if recipe == "cgan":
        assert np.bincount(seen).tolist() == [16, 16] and (feed.spaced(6)["y"] >= 0).all()
    if recipe == "semi":
        assert all((batch["labelled.y"] >= 0).all() for batch in batches)
    again = build_feed(made, spec, store, TrainOptions(batch_size=4), Setting("cpu", "fp32", False), Ranks())
    assert all(np.array_equal(again(k)["x"], batches[k]["x"]) for k in (7, 2))


@pytest.mark.parametrize("recipe", ["cgan", "semi"])
def test_a_partly_labelled_set_trains_samples_and_is_scored(partly: Path, recipe: str) -> None:
    options = TrainOptions(images=32, batch_size=4, precision="fp32", layout="nchw", device="cpu")  # ty: ignore[invalid-argument-type]
    made = gansmith.load_recipe(recipe)(**({"num_labels": 4, "width": 8} if recipe == "semi" else {}))
    run = gansmith.train(made, partly, options, out=partly.parent / "run")
    assert gansmith.load(run.path).sample(3).shape == (3, 8, 8, 3)
    gansmith.resume(run.path, images=48)


@pytest.mark.parametrize("names", [("train", "val"), ("Training", "Test", "extra"), ("train2017", "val2017")])
def test_splits_are_no_classes_and_train_is_read(tmp_path: Path, names: tuple[str, ...]) -> None:
    classes(tmp_path, *(f"{name}/{c}" for name in names for c in ("cat", "dog")), each=3)
    store = opened(tmp_path)
    assert store.spec.classes == ("cat", "dog") and len(store) == 6
    said = next(note for note in store.notes if "are splits, not classes" in note)
    assert f"{names[0]} is read" in said and f"--data {tmp_path}/{names[0]}" in said and "--split" in said
    assert np.array_equal(store.fields["x"], opened(tmp_path / names[0]).fields["x"])
    same_in_inspect(tmp_path, store)
    other = opened(tmp_path, split=names[1])
    assert other.spec.classes == ("cat", "dog") and len(other) == 6
    assert np.array_equal(other.fields["x"], opened(tmp_path / names[1]).fields["x"])
    every = opened(tmp_path, split="all")
    assert every.spec.classes == ("cat", "dog") and len(every) == 6 * len(names)
    with pytest.raises(ValueError, match=r"--split dev: .* holds the splits"):
        opened(tmp_path, split="dev")


def test_a_picture_beside_splits_is_said(tmp_path: Path) -> None:
    store = opened(write(classes(tmp_path, "train/cat", "train/dog", "val/cat", "val/dog"), "cover.png"))
    assert store.spec.classes == ("cat", "dog") and len(store) == 8 and set(left_out(store)) == {"cover.png"}


def test_a_list_below_is_said(tmp_path: Path) -> None:
    write(tmp_path / "set", "0.png", "1.png")
    (tmp_path / "set" / "labels.csv").write_text("file,label\n0.png,a\n1.png,b\n")
    assert any("set/labels.csv lists these files" in note for note in opened(tmp_path).notes)


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--split val: .* holds no folders that are splits"):
        opened(classes(tmp_path, "cat", "dog"), split="val")


def test_splits_without_one_for_training(tmp_path: Path) -> None:
    store = opened(classes(tmp_path, "val", "test"))
    assert store.spec.classes == () and len(store) == 8 and any("look like splits" in note for note in store.notes)


CELEBA = "4\nSmiling Male \n0.png  -1  1\n1.png   1 -1\n2.png   1  1\n3.png  -1 -1\n"
LISTS = {
    "semicolons": ("file;label\n0.png;a\n1.png;b\n2.png;a\n3.png;b\n", ""),
    "without suffix": ("id,breed\n0,a\n1,b\n2,a\n3,b\n", ""),
    "tabs": ("0.png\ta\n1.png\tb\n2.png\ta\n3.png\tb\n", ""),
    "blanks": ("0.png a\n1.png b\n2.png a\n3.png b\n", ""),
    "own name of a column": ("image_id,Smiling,Male\n0.png,a,1\n1.png,b,1\n2.png,a,0\n3.png,b,0\n", "Smiling"),
    "number of a column": ("0.png,1,a\n1.png,1,b\n2.png,0,a\n3.png,0,b\n", "3"),
    "a column of any name": ("shot|breed\n0.png|a\n1.png|b\n2.png|a\n3.png|b\n", ""),
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("suffix", [".csv", ".txt"])
def test_lists_of_labels(tmp_path: Path, name: str, suffix: str) -> None:
    text, column = LISTS[name]
    if name == "without suffix" and suffix == ".txt":
        pytest.skip("a .txt must name files in full")
    write(tmp_path, *(f"{i}.png" for i in range(4)))
    path = tmp_path / f"list{suffix}"
    path.write_text(text)
    store = opened(path, labels=column)
    assert store.spec.kind == "image" and store.spec.classes == ("a", "b")
    assert store.fields["y"].tolist() == [0, 1, 0, 1]
    same_in_inspect(path, store, labels=column)
    # Of the folder, the list is named; without, it is said that there is one.
    named = opened(tmp_path, labels=f"{path}#{column}" if column else str(path))
    assert named.spec.classes == ("a", "b") and named.fields["y"].tolist() == [0, 1, 0, 1]
    assert any(f"--labels {path}" in note for note in opened(tmp_path).notes)


def test_tables_beside_pictures_stay_tables(tmp_path: Path) -> None:
    write(tmp_path / "photos", *(f"{i}.png" for i in range(40)))
    counts = "\n".join(f"{i / 7:.3f},{i % 13},{'abc'[i % 3]}" for i in range(40))
    ids = "\n".join(f"{i},{i * 1.5},{'abc'[i % 3]}" for i in range(40))
    for name, text in (("counts.csv", f"height,count,kind\n{counts}\n"), ("ids.csv", f"id,height,kind\n{ids}\n")):
        (tmp_path / name).write_text(text)
        assert opened(tmp_path / name).spec.kind == "table"
    assert opened(f"image:{tmp_path}/ids.csv", labels="kind").spec.classes == ("a", "b", "c")
    (tmp_path / "pairs.csv").write_text("a,b\n" + "\n".join(f"{i},{i % 5}" for i in range(40)) + "\n")
    assert opened(tmp_path / "pairs.csv").spec.kind == "table"


def test_celeba(tmp_path: Path) -> None:
    write(tmp_path / "img", *(f"{i}.png" for i in range(4)))
    (tmp_path / "img" / "list_attr_celeba.txt").write_text(CELEBA)
    (tmp_path / "list_attr_celeba.txt").write_text(CELEBA)
    assert cells_of(CELEBA)[:2] == [["file", "Smiling", "Male"], ["0.png", "-1", "1"]]
    for source, labels in (
        (tmp_path / "img" / "list_attr_celeba.txt", "Smiling"),
        (tmp_path / "img", f"{tmp_path}/list_attr_celeba.txt#Smiling"),
        (tmp_path / "img", "list_attr_celeba.txt#smiling"),
    ):
        store = opened(source, labels=labels)
        assert store.spec.classes == ("-1", "1") and store.fields["y"].tolist() == [0, 1, 1, 0]
    bare = opened(tmp_path / "img" / "list_attr_celeba.txt")
    assert bare.spec.classes == () and len(bare) == 4
    assert any("--labels names one: Smiling, Male" in note for note in bare.notes)
    with pytest.raises(ValueError, match=r"--labels Young: .* has no such column.*Smiling, Male"):
        opened(tmp_path / "img" / "list_attr_celeba.txt", labels="Young")


def test_labels_that_name_nothing_here(tmp_path: Path) -> None:
    write(tmp_path / "set", "0.png", "1.png")
    with pytest.raises(ValueError, match=r"--labels breed: .* holds no list of labels"):
        opened(tmp_path / "set", labels="breed")
    (tmp_path / "l.csv").write_text("file,label\n7.png,a\n8.png,b\n")
    with pytest.raises(ValueError, match=r"none of its 2 rows names a file .* its first is 7\.png"):
        opened(tmp_path / "set", labels=str(tmp_path / "l.csv"))
    (tmp_path / "l.csv").write_text("file,label\n0.png,a\n8.png,b\n")
    store = opened(tmp_path / "set", labels=str(tmp_path / "l.csv"))
    assert store.spec.classes == ("a",) and store.fields["y"].tolist() == [0, -1]
    assert any("1 rows of" in note and "8.png" in note for note in store.notes)


def test_lists_in_other_encodings(tmp_path: Path) -> None:
    write(tmp_path, "0.png", "1.png")
    text = "file,label\n0.png,Löwe\n1.png,Bär\n"
    path = tmp_path / "l.csv"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_text(text, encoding=encoding)
        assert opened(path).spec.classes == ("Bär", "Löwe")
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"is not UTF-8 text: byte 0xf6 at .*--encoding latin-1"):
        opened(path)
    assert opened(path, encoding="latin-1").spec.classes == ("Bär", "Löwe")
    with pytest.raises(ValueError, match="--encoding klingon: no such encoding"):
        opened(path, encoding="klingon")


def test_a_short_row_of_a_list_is_left_out_and_named(tmp_path: Path) -> None:
    write(tmp_path, "0.png", "1.png", "2.png")
    (tmp_path / "labels.csv").write_text("file,label\n0.png,a\n1.png\n2.png,b\n")
    store = opened(tmp_path)
    assert store.fields["y"].tolist() == [0, 1] and "1 cells, not 2: 1.png" in "".join(left_out(store).values())


def test_a_table_with_addresses_of_pictures_is_a_table_with_a_hint(tmp_path: Path) -> None:
    rows = [f"T{i % 7},{i / 2},https://ex.org/{i % 5}.jpg" for i in range(40)]
    path = tmp_path / "poster.csv"
    path.write_text("title,price,image\n" + "\n".join(rows) + "\n")
    store = opened(path)
    assert store.spec.kind == "table" and any("addresses of pictures" in note for note in store.notes)
    assert any("addresses of pictures" in note for note in inspect(path, progress=False).notes)


def test_class_names_that_are_not_utf_8(tmp_path: Path) -> None:
    classes(tmp_path, "ok")
    odd = os.fsencode(tmp_path) + b"/caf\xe9"
    try:
        os.mkdir(odd)
    except OSError:
        pytest.skip("this file system takes only text as names")
    for i in range(4):
        Path(os.fsdecode(odd + f"/{i}.png".encode())).write_bytes(png(i))
    store = opened(tmp_path)
    assert store.spec.classes == ("caf\\xe9", "ok") and store.fields["y"].tolist() == [0] * 4 + [1] * 4
    same_in_inspect(tmp_path, store)
    json.dumps(store.spec.to_json(), ensure_ascii=False).encode()


def test_links_are_followed_where_that_is_asked_for(tmp_path: Path) -> None:
    classes(tmp_path / "elsewhere", "dog")
    write(tmp_path / "set" / "cat", "0.png", "1.png", "2.png", "3.png")
    (tmp_path / "set" / "dog").symlink_to(tmp_path / "elsewhere" / "dog")
    (tmp_path / "set" / "cat" / "again").symlink_to(tmp_path / "set")
    store = opened(tmp_path / "set")
    assert len(store) == 4 and "--follow-links" in left_out(store)["dog"]
    followed = opened(tmp_path / "set", follow_links=True)
    assert followed.spec.classes == ("cat", "dog") and len(followed) == 8
    assert "lies in" in left_out(followed)["cat/again"]
    same_in_inspect(tmp_path / "set", followed, follow_links=True)


def test_arrays_of_an_npz_are_named(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    rows = np.random.default_rng(1).normal(size=(6, 3))
    kind, age = np.array(["a", "b"] * 3), np.arange(6) % 3
    path = tmp_path / "a.npz"
    np.savez(path, pictures=pictures, rows=rows, kind=kind, age=age)
    with pytest.raises(ValueError, match="--array"):
        opened(path)
    store = opened(path, array="pictures", labels="kind")
    assert (
        store.spec.kind == "image"
        and store.spec.classes == ("a", "b")
        and np.array_equal(store.fields["x"][..., 0], pictures)
    )
    assert opened(path, array="rows", labels="age").spec.classes == ("0", "1", "2")
    assert opened(path, array="rows").spec.classes == () and opened(path, array="rows").spec.kind == "vector"
    with pytest.raises(ValueError, match=r"--labels sex: .* no such array; it holds pictures"):
        opened(path, array="rows", labels="sex")
    np.save(tmp_path / "x.npy", rows)
    np.save(tmp_path / "y.npy", kind)
    assert opened(tmp_path / "x.npy", labels=str(tmp_path / "y.npy")).spec.classes == ("a", "b")


def test_labels_that_are_python_objects() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3))
    for y in (np.array(["cat", "dog", "cat", "dog"], object), np.array([[0], [1], [0], [1]], object)):
        store = open_store({"x": x, "y": y}, progress=False)
        assert store.fields["y"].tolist() == [0, 1, 0, 1]
    with pytest.raises(ValueError, match="7 among them is of type int"):
        open_store({"x": x, "y": np.array(["cat", 7, "cat", "dog"], object)}, progress=False)
    assert open_store({"x": x, "y": np.arange(4) % 2}, DataOptions(labels="none"), progress=False).spec.classes == ()


@pytest.mark.parametrize(
    "y",
    [
        np.array(["a", "", "b", " "]),
        np.array([3.0, np.nan, 5.0, np.nan]),
        np.array(["a", None, "b", None], object),
        np.array([3, None, 5, float("nan")], object),
        np.array([b"a", b"", b"b", b""]),
    ],
)
def test_labels_of_arrays_that_are_none(y: np.ndarray) -> None:
    for x in (np.random.default_rng(0).normal(size=(4, 3)), np.zeros((4, 8, 8), np.uint8) + np.uint8(200)):
        store = open_store({"x": x, "y": y}, progress=False)
        assert store.fields["y"].tolist() == [0, -1, 1, -1] and store.spec.classes in (("a", "b"), ("3", "5"))
        assert any("2 rows are unlabelled" in note for note in store.notes)
        assert any("2 rows are unlabelled" in note for note in inspect({"x": x, "y": y}, progress=False).notes)
    with pytest.raises(ValueError, match="all 4 labels are empty"):
        open_store({"x": x, "y": np.array([""] * 4)}, progress=False)


def test_whole_numbers_as_pandas_writes_them(tmp_path: Path) -> None:
    write(tmp_path, *(f"{i}.png" for i in range(4)))
    (tmp_path / "labels.csv").write_text("file,label\n0.png,2.0\n1.png,10.0\n2.png,\n3.png,2.0\n")
    store = opened(tmp_path)
    assert store.spec.classes == ("2", "10") and store.fields["y"].tolist() == [0, 1, -1, 0]


def test_a_list_that_is_a_header_alone(tmp_path: Path) -> None:
    write(tmp_path, "0.png")
    (tmp_path / "labels.csv").write_text("file,label\n")
    with pytest.raises(ValueError, match=r"labels\.csv names no file"):
        opened(tmp_path)


def test_files_in_another_folder_than_the_list_says(tmp_path: Path) -> None:
    write(tmp_path / "train", "x0.png", "x1.png")
    (tmp_path / "l.csv").write_text("id,breed\nx0,a\nx1,b\n")
    store = opened(tmp_path / "l.csv")
    assert store.spec.classes == ("a", "b") and any("2 files lie in another folder" in note for note in store.notes)
