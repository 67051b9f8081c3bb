"""Kinds of data: three files of one name each, found by their checked names; options of another kind are refused."""

import json
from pathlib import Path

import numpy as np
import pytest

import gansmith
from gansmith.data import all_kinds, kind_names, kind_of, open_store, read_codec, read_spec
from gansmith.judge.judge import judge_of
from gansmith.options import DataOptions, Size
from gansmith.show.show import show_of

SOURCE = Path(gansmith.__file__).parent


@pytest.mark.parametrize("name", kind_names())
def test_a_kind_is_three_files_of_one_name(name: str) -> None:
    kind = kind_of(name)
    assert kind.name == name and kind.samples and kind.sources and kind.example
    assert show_of(name).writes
    if kind.unscored:
        assert not (SOURCE / "judge" / "kinds" / f"{name}.py").exists()
        with pytest.raises(ValueError, match="evaluate"):
            judge_of(name)
    else:
        assert judge_of(name).groups


def test_kinds_are_asked_in_an_order_that_does_not_hang_on_names() -> None:
    order = [kind.first for kind in all_kinds()]
    assert order == sorted(order) and len(set(order)) == len(order)


@pytest.mark.parametrize("name", ["os", "../spec", "image.codec", "image/codec", "__init__", "", "Image", "kinds"])
def test_nothing_but_a_kind_is_imported_because_a_saved_file_names_it(name: str) -> None:
    for read in (read_codec, read_spec):
        with pytest.raises(ValueError, match="there is no kind of data"):
            read({"kind": name})
    with pytest.raises(ValueError, match="kind"):
        show_of(name)
    with pytest.raises(ValueError, match="there is no kind of data"):
        judge_of(name)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text_lowercase": True}, "--text-lowercase is for lines of text"),
        ({"columns": "a=integer"}, "--columns is for"),
    ],
)
def test_options_of_another_kind_are_refused_by_name(change: dict[str, object], words: str) -> None:
    pictures = np.arange(4 * 4 * 4, dtype=np.uint8).reshape(4, 4, 4)
    with pytest.raises(ValueError, match=words):
        open_store(pictures, DataOptions(**change))  # type: ignore[arg-type]


def test_sizes_are_refused_where_there_are_no_pixels(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1.5,x\n2.5,y\n3.5,x\n")
    for source in (np.zeros((8, 3), np.float32), ["a b", "b a"], str(tmp_path / "rows.csv"), "toy:ring"):
        with pytest.raises(ValueError, match="--size is for pictures"):
            open_store(source, DataOptions(size=Size((8, 8))))
        with pytest.raises(ValueError, match="--fit is for pictures"):
            open_store(source, DataOptions(fit="pad"))


def test_a_prefix_is_heeded_and_an_unknown_source_lists_what_there_is(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(6, 5, 4)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    assert open_store(str(tmp_path / "rows.npy")).spec.kind == "image"
    assert open_store(f"image:{tmp_path / 'rows.npy'}").spec.kind == "image"
    with pytest.raises(ValueError, match=r"vectors are \(N, D\)"):
        open_store(f"vector:{tmp_path / 'rows.npy'}")
    with pytest.raises(FileNotFoundError, match=r"digits.*toy:ring"):
        open_store("no-such-thing")


def test_parts_of_two_sets_are_samples_of_any_kind_but_of_two_sets() -> None:
    part = {
        "kind": "vector",
        "shape": [2],
        "codec": {"kind": "vector", "mean": [0.0, 0.0], "scale": 1.0},
        "classes": [],
    }
    two = {"kind": "domains", "parts": {"a": part, "b": part}}
    spec = read_spec(two)
    assert spec.parts["a"].kind == "vector" and read_spec(json.loads(json.dumps(spec.to_json()))) == spec
    with pytest.raises(ValueError, match="two sets"):
        read_spec({"kind": "pairs", "parts": {"a": two, "b": part}})
