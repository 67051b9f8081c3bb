"""Data sets that go by a name: digits, MNIST, Fashion-MNIST, CIFAR-10. Found beside you, in the cache, or fetched once.

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998; Xiao, Rasul, Vollgraf,
"Fashion-MNIST", 2017, arXiv:1708.07747; Krizhevsky, "Learning multiple layers of features from tiny images", 2009;
digits: Alpaydin & Kaynak, UCI, 1998, as shipped with scikit-learn.
"""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....files import sha256, write_atomically
from ...arrays import Arrays, Rows
from ...bars import progress_bar
from ...bounded import read_content, read_file, tar_members

KNOWN = ("digits", "mnist", "fashion-mnist", "cifar10")


@dataclass(frozen=True)
class Official:
    """A file as its authors publish it."""

    name: str
    size: int
    sha256: str
    url: str


def _idx(url: str, entries: dict[str, tuple[int, str]]) -> dict[str, Official]:
    return {name: Official(name, size, sha256, url + name) for name, (size, sha256) in entries.items()}


_IDX = {
    "mnist": _idx(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte.gz": (
                9912422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            "train-labels-idx1-ubyte.gz": (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            "t10k-images-idx3-ubyte.gz": (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            "t10k-labels-idx1-ubyte.gz": (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        },
    ),
    "fashion-mnist": _idx(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images-idx3-ubyte.gz": (
                26421880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            "train-labels-idx1-ubyte.gz": (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            "t10k-images-idx3-ubyte.gz": (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            "t10k-labels-idx1-ubyte.gz": (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        },
    ),
}
_CIFAR10 = Official(
    "cifar-10-binary.tar.gz",
    170052171,
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
)
_CIFAR10_FOLDER = "cifar-10-batches-bin"
_CLASSES = {
    "digits": tuple("0123456789"),
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar10": (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
}


def known_source(name: str, split: str, data_dir: Path | None, cache: Path, progress: bool) -> Arrays:
    """The data set of that name. Raises `FileNotFoundError` if its files are not here and cannot be fetched."""
    if split not in ("train", "test") or (name == "digits" and split == "test"):
        splits = "only train" if name == "digits" else "train (the default) and test"
        raise ValueError(f"{name}:{split} does not exist: {name} has {splits}")
    if name == "digits":
        return _digits()
    title = name if split == "train" else f"{name}:{split}"
    if data_dir is not None and not data_dir.is_dir():
        raise FileNotFoundError(f"the data_dir {data_dir} is not a folder")
    if name == "cifar10":
        return _cifar10(title, split, data_dir, cache, progress)
    return _mnist(name, title, split, data_dir, cache, progress)


def _digits() -> Arrays:
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = np.rint(found.images * (255 / 16)).astype(np.uint8)  # 0 ... 16 in the original
    identity = "digits " + hashlib.sha256(pixels.tobytes() + found.target.astype(np.int64).tobytes()).hexdigest()
    return Arrays(name="digits", identity=identity, x=Rows(pixels), y=found.target, classes=_CLASSES["digits"])


# --- finding and fetching ---------------------------------------------------------------------------------------------


def _places(name: str, data_dir: Path | None, cache: Path) -> list[Path]:
    """Folders to look in: the one given, those directly in it, then the cache."""
    near = [] if data_dir is None else [data_dir, *sorted(p for p in data_dir.iterdir() if p.is_dir())]
    # Fashion-MNIST has MNIST's file names: a folder named after one is never searched for the other.
    others = {"mnist", "fashion-mnist", "fashion_mnist", "fashionmnist"} - {
        name,
        name.replace("-", "_"),
        name.replace("-", ""),
    }
    return [p for p in near if p.name.lower() not in others or p == data_dir] + [cache / "downloads" / name]


def _find(folders: Sequence[Path], names: Sequence[str]) -> Path | None:
    return next((folder / name for folder in folders for name in names if (folder / name).exists()), None)


def _obtain(
    title: str, wanted: Sequence[tuple[Official, Sequence[str]]], folders: Sequence[Path], progress: bool
) -> list[Path]:
    """Every wanted file (or one of its other names), fetched into the last folder if it is nowhere."""
    found = [_find(folders, [official.name, *names]) for official, names in wanted]
    missing = [official for (official, _), path in zip(wanted, found, strict=True) if path is None]
    try:
        for official in missing:
            fetch(official, folders[-1], progress)
    except (OSError, ValueError) as error:
        listed = "\n".join(f"  {o.name} ({o.size} bytes, sha256 {o.sha256})\n    from {o.url}" for o in missing)
        raise FileNotFoundError(
            f"{title} needs these files, which are not here and could not be fetched ({error}):\n{listed}\n"
            f"put them into {folders[-1]}, or into any folder and pass it as --data-dir; looked in "
            f"{', '.join(map(str, folders))}"
        ) from error
    return [path or folders[-1] / official.name for (official, _), path in zip(wanted, found, strict=True)]


def fetch(official: Official, folder: Path, progress: bool) -> None:
    """Download one file; it gets its name only once its size and sha256 are right."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        write_atomically(folder / official.name, lambda part: _download(official, part, progress))
    except urllib.error.URLError as error:
        raise OSError(f"no connection to {official.url}: {error.reason}") from error


def _download(official: Official, part: Path, progress: bool) -> None:
    """Raises `ValueError` if other bytes come than the official file has."""
    digest = hashlib.sha256()
    size = 0
    with (
        urllib.request.urlopen(official.url, timeout=30) as response,
        part.open("wb") as f,
        progress_bar(progress) as bar,
    ):
        task = bar.add_task(f"fetching {official.name} (bytes)", total=official.size)
        while block := response.read(1 << 18):
            f.write(block)
            digest.update(block)
            size += len(block)
            bar.advance(task, len(block))
            if size > official.size:
                break
    if size != official.size or digest.hexdigest() != official.sha256:
        raise ValueError(f"{official.url} gave other bytes than the official file has")


# --- MNIST and Fashion-MNIST ------------------------------------------------------------------------------------------


def _mnist(name: str, title: str, split: str, data_dir: Path | None, cache: Path, progress: bool) -> Arrays:
    prefix = "train" if split == "train" else "t10k"
    wanted = [_IDX[name][f"{prefix}-{what}-ubyte.gz"] for what in ("images-idx3", "labels-idx1")]
    other_names = [[o.name.removesuffix(".gz"), o.name.removesuffix(".gz").replace("-idx", ".idx")] for o in wanted]
    folders = _places(name, data_dir, cache)
    paths = _obtain(title, list(zip(wanted, other_names, strict=True)), folders, progress)
    digests = [sha256(path) for path in paths]
    notes = [
        f"{path} is not the official file byte for byte (sha256 {digest})"
        for path, digest, official in zip(paths, digests, wanted, strict=True)
        if digest != official.sha256
    ]
    # The two sets have the same file names, so a folder of one is easily given for the other.
    for other, files in _IDX.items():
        if other != name and digests[0] in {official.sha256 for official in files.values()}:
            raise ValueError(f"{paths[0]} is {other}, not {name}: give the source {other}, or another data_dir")
    images, labels = (read_idx(path) for path in paths)
    if images.ndim != 3 or labels.shape != (len(images),):
        raise ValueError(f"{paths[0]} holds {images.shape}, {paths[1]} {labels.shape}: these are not {title}")
    return Arrays(
        name=title,
        identity=f"{name} {' '.join(digests)}",
        x=Rows(images),
        y=labels,
        classes=_CLASSES[name],
        notes=tuple(notes),
    )


def read_idx(path: Path) -> np.ndarray:
    """A uint8 array in the IDX format, gzipped or not. Raises `ValueError` if the file is not well-formed."""
    data = read_file(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != 8 or len(data) < 4 + 4 * data[3]:
        raise ValueError(f"{path} is not an IDX file of bytes: it begins with {data[:4].hex()}")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", data[3], 4))
    start = 4 + 4 * data[3]
    if len(data) - start != int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"{path} promises {shape} bytes but holds {len(data) - start}: it is cut off or damaged")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


# --- CIFAR-10 ---------------------------------------------------------------------------------------------------------

_RECORD = 1 + 3 * 32 * 32


def _cifar10(title: str, split: str, data_dir: Path | None, cache: Path, progress: bool) -> Arrays:
    files = [f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else ["test_batch.bin"]
    folders = _places("cifar10", data_dir, cache)
    unpacked = next((f for f in (*folders, *(p / _CIFAR10_FOLDER for p in folders)) if (f / files[0]).is_file()), None)
    if unpacked is not None:
        if missing := [f for f in files if not (unpacked / f).is_file()]:
            raise FileNotFoundError(f"{unpacked} lacks {', '.join(missing)}")
        read: Callable[[str], bytes] = lambda f: (unpacked / f).read_bytes()  # noqa: E731
        notes: tuple[str, ...] = ()
        return _cifar10_source(title, [read(f) for f in files], unpacked, notes)
    [path] = _obtain(title, [(_CIFAR10, ())], folders, progress)
    digest = sha256(path)
    notes = () if digest == _CIFAR10.sha256 else (f"{path} is not the official file byte for byte (sha256 {digest})",)
    parts: dict[str, bytes] = {}
    try:
        for t, member in tar_members(path):
            name = member.name.rpartition("/")[2]
            if name in files and member.isreg() and not member.issparse():
                parts[name] = read_content(t, member, member.size)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} is damaged: {error}. Delete it; it is then fetched again") from error
    if missing := [f for f in files if f not in parts]:
        raise ValueError(f"{path} lacks {', '.join(missing)}: it is not CIFAR-10's binary version")
    return _cifar10_source(title, [parts[f] for f in files], path, notes)


def _cifar10_source(title: str, parts: list[bytes], path: Path, notes: tuple[str, ...]) -> Arrays:
    for part in parts:
        if not part or len(part) % _RECORD:
            raise ValueError(f"{path} holds a batch of {len(part)} bytes; whole records of {_RECORD} are needed")
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    rows = np.concatenate([np.frombuffer(part, np.uint8).reshape(-1, _RECORD) for part in parts])
    return Arrays(
        name=title,
        identity=f"cifar10 {whole.hexdigest()}",
        x=Rows(rows[:, 1:].reshape(-1, 3, 32, 32)),
        y=rows[:, 0],
        classes=_CLASSES["cifar10"],
        notes=notes,
    )
