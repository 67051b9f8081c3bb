"""Sources without pictures: the first words of the message are what is wrong."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gansmith.data import open_store
from gansmith.data.inspect import inspect


def refused(source: object, words: str) -> None:
    """Packing says so, and inspect says the same, whether it reports or raises."""
    with pytest.raises(ValueError, match=words) as raised:
        open_store(source, progress=False)
    try:
        assert inspect(source, progress=False).problem == str(raised.value)
    except ValueError as error:
        assert str(error) == str(raised.value)


def tables(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("train.csv", "a,b\n1,2\n")
    return path


def test_a_spreadsheet(tmp_path: Path) -> None:
    refused(tables(tmp_path / "a.xlsx"), r"^\S*a\.xlsx is a spreadsheet: save it as CSV")


def test_a_zip_and_a_folder_of_tables(tmp_path: Path) -> None:
    refused(tables(tmp_path / "a.zip"), r"^tables such as train\.csv, .*: unpack it, and give the table")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.csv").write_text("a,b\n1,2\n")
    refused(tmp_path / "set", rf"^tables such as train\.csv, .*--data {tmp_path}/set/train\.csv")


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_a_tar_without_pictures(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as t:
        info = tarfile.TarInfo("notes.txt")
        info.size = 2
        t.addfile(info, io.BytesIO(b"hi"))
    refused(tmp_path / name, r"^texts such as notes\.txt, and there are no pictures")


def test_half_a_zip(tmp_path: Path) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as z:
        picture = io.BytesIO()
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(picture, "PNG")
        for i in range(9):
            z.writestr(f"{i}.png", picture.getvalue())
    (tmp_path / "a.zip").write_bytes(whole.getvalue()[:-300])
    refused(tmp_path / "a.zip", r"^the zip \S*a\.zip is cut off")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "^nothing is in"),
        (("a.mp4",), r"^videos such as a\.mp4"),
        (("a.npy",), r"^arrays such as a\.npy"),
        (("a.docx", "b.docx"), r"^2 other files such as a\.docx"),
    ],
)
def test_a_folder_of_other_files(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    refused(tmp_path, words)


def test_links_alone(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "set" / "a.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "set" / ".keep").write_bytes(b"")
    refused(tmp_path / "set", r"^a link that leads out of the folder \(--follow-links follows it\): 1 files")
