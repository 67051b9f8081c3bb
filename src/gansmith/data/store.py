"""The packed store: one memory-mapped array file per field beside a manifest that says what they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from .. import records
from ..files import cache_dir, sha256
from ..options import DataOptions
from ..settle import checked
from .kind import kind_of, read_spec, refuse_foreign
from .pack import FORMAT, MANIFEST
from .plan import Quarantined
from .source import recognise
from .spec import DataSpec

_DEFAULTS = DataOptions()


@dataclass(frozen=True, kw_only=True)
class Store:
    """Samples as they are kept on disk; nothing is read into memory before it is asked for."""

    path: Path
    source: str
    """What it was packed from."""
    digest: str
    """Of the source's listing and the options: equal digests, equal stores."""
    spec: DataSpec
    fields: dict[str, np.ndarray]
    """`"x"`: pictures (N, H, W, C) uint8, uint16 or float32, vectors (N, D) float32, rows of a table (N, D) float64,
    tokens (N, T) int32; `"y"`: labels (N,) int64, -1 where a sample has none. Of pairs and domains `"a"` and `"b"`:
    pictures (N, H, W, C), of domains not as many of both."""
    options: dict[str, Any]
    quarantined: tuple[Quarantined, ...]
    """Files or rows left out, and why."""
    ignored: tuple[str, ...]
    """Files that are not pictures."""
    notes: tuple[str, ...]
    """What a reader should know: conversions made, files left out."""

    def __len__(self) -> int:
        return max(len(field) for field in self.fields.values())

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """Open a store folder. Raises `FileNotFoundError` if there is none, `ValueError` if it is damaged."""
        path = Path(path)
        if not (path / MANIFEST).is_file():
            raise FileNotFoundError(f"{path} is not a packed store: it holds no {MANIFEST}")
        try:
            saved = records.read(path / MANIFEST)
            if saved["format"] != FORMAT:
                raise ValueError(f"it has format {saved['format']}; this version reads {FORMAT}: pack it again")
            spec = read_spec(saved["spec"])
            fields = {name: _open_field(path, name, entry) for name, entry in saved["fields"].items()}
            fields = kind_of(spec.kind).fields(spec, path, fields)
            for name, field in fields.items() if spec.parts else ():
                _check(spec.parts[name], {"x": field}, len(field))
            if not spec.parts:
                _check(spec, fields, saved["count"])
            return cls(
                path=path,
                source=str(saved["source"]),
                digest=str(saved["digest"]),
                spec=spec,
                fields=fields,
                options=dict(saved["options"]),
                quarantined=tuple(Quarantined(str(n), str(r)) for n, r in saved["quarantined"]),
                ignored=tuple(map(str, saved["ignored"])),
                notes=tuple(map(str, saved["notes"])),
            )
        except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
            what = f"its manifest lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"the packed store {path} is damaged: {what}. Delete it and pack it again") from error

    def content(self) -> str:
        """A hash of the bytes that were packed, as the manifest states them: that of other bytes is another."""
        saved = records.read(self.path / MANIFEST)
        sums = {name: entry["sha256"] for name, entry in saved["fields"].items()}
        for name in self.spec.parts:
            if (self.path / name / MANIFEST).is_file():
                sums[name] = Store.open(self.path / name).content()
        return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()

    def verify(self) -> None:
        """Read everything and compare with the manifest's sha256. Raises `ValueError` if a file differs."""
        saved = records.read(self.path / MANIFEST)
        for entry in saved["fields"].values():
            if sha256(self.path / entry["file"]) != entry["sha256"]:
                raise ValueError(f"{self.path / entry['file']} is not what was packed: delete the store, pack it again")
        for name in self.spec.parts:
            if (self.path / name / MANIFEST).is_file():
                Store.open(self.path / name).verify()


def _open_field(path: Path, name: str, entry: dict[str, Any]) -> np.ndarray:
    if entry["file"] != f"{name}.npy" or name not in ("x", "y"):
        raise ValueError(f"it has an unknown field {name!r} in {entry['file']!r}")
    array = np.load(path / entry["file"], mmap_mode="r", allow_pickle=False)
    if array.dtype.name != entry["dtype"] or list(array.shape) != entry["shape"]:
        raise ValueError(
            f"{entry['file']} holds {array.dtype.name} {array.shape}; the manifest says {entry['dtype']} "
            f"{tuple(entry['shape'])}"
        )
    return array


def _check(spec: DataSpec, fields: dict[str, np.ndarray], count: int) -> None:
    """That the arrays are samples of this spec, `count` of them."""
    x = fields["x"]
    shape, dtype = spec.codec.stored(spec.shape)
    if x.shape != (count, *shape) or x.dtype.name != dtype or count < 1:
        raise ValueError(f"x.npy holds {x.dtype.name} {x.shape}; {count} samples of {dtype} {shape} were expected")
    if "y" in fields and (fields["y"].shape != (count,) or fields["y"].dtype != np.int64):
        raise ValueError(f"y.npy holds {fields['y'].dtype.name} {fields['y'].shape}; int64 ({count},) was expected")
    if ("y" in fields) != bool(spec.classes):
        raise ValueError("labels and class names do not go together")
    if "y" in fields and not (fields["y"].min() >= -1 and fields["y"].max() < len(spec.classes)):
        raise ValueError(f"y.npy holds labels outside 0 ... {len(spec.classes) - 1}, or -1 for none")


def is_store(source: Any) -> TypeGuard[str | Path]:
    """Whether a source is the folder of a packed store."""
    try:
        return isinstance(source, str | Path) and (Path(source) / MANIFEST).is_file()
    except OSError:  # longer than any name of a file
        return False


@checked
def open_store(
    source: str | Path | np.ndarray | Mapping[str, np.ndarray] | Sequence[str] | Any,
    options: DataOptions = _DEFAULTS,
    *,
    out: Path | None = None,
    progress: bool = True,
) -> Store:
    """The packed store of a source; packs it into `out` or the cache unless an equal one is there.

    A source is the folder of a packed store, a folder of pictures (sub-folders are classes), a CSV of files and
    labels, a table (.csv, .csv.gz, .tsv, .parquet, a pandas DataFrame; `table:FILE` says so), a zip or tar of
    pictures, an .npy or .npz file, `digits`, `mnist`, `fashion-mnist`, `cifar10` (with
    `:test` for the other split), `toy:ring`, `toy:grid`, `toy:spiral`; a .txt of lines, `text:FILE`,
    `text:FILE.csv#column`, `toy:oracle`; or an array, {"x": array, "y": labels}, or a list of strings.

    Two sets of pictures, a and b: `pairs:SRC` (a folder or zip that holds folders a and b, or A and B, or trainA and
    trainB; files of one name but for the suffix are a pair) or `domains:SRC` (the same, unaligned);
    `pairs:SRC:FOLDER_A:FOLDER_B` and `domains:SRC:FOLDER_A:FOLDER_B` for folders of other names inside SRC;
    `pairs:SRC:left` for pictures that hold both halves side by side, a on the left (`:right`: a on the right); a
    folder that holds trainA and trainB needs no prefix: pairs if all names match, else domains; in Python
    {"a": array, "b": array}, pairs if there are as many of both.

    Raises `FileNotFoundError` if it is not there, `ValueError` if it cannot be used, `OSError` if the disk is full.
    """
    if is_store(source):
        return Store.open(source)
    found = recognise(source, options, cache_dir(), progress)
    kind = kind_of(found.kind)
    refuse_foreign(found, options)
    recorded = kind.recorded(options, found)
    key = json.dumps([FORMAT, found.identity, recorded], sort_keys=True)
    digest = hashlib.sha256(key.encode()).hexdigest()
    final = cache_dir() / "stores" / digest if out is None else Path(out)
    if not (final / MANIFEST).is_file():
        if final.exists() and not (final.is_dir() and not any(final.iterdir())):
            raise ValueError(f"{final} exists and is not a packed store: name a folder that does not exist yet")
        kind.pack(found, options, digest, recorded, final, progress)
    store = Store.open(final)
    if store.digest != digest or store.spec.kind != kind.name:
        raise ValueError(
            f"{final} holds a store of {store.source} with other options or from other files: delete it, or name "
            "another folder"
        )
    return store
