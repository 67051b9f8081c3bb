"""What `python -m benchmarks` trains: recipe, sizes and data of each workload, the same on both sides."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One training loop, ours and plain."""

    letter: str
    what: str
    recipe: str
    data: str
    """mnist, colour, domains, vectors or table."""
    size: int = 0
    channels: int = 3
    batch: int
    fields: dict[str, Any] = field(default_factory=dict)
    pattern: int = 1
    """Steps after which the turns repeat: both sides are timed over whole patterns."""
    ranks: bool = True
    """Whether two ranks are timed too."""


TRAINING = (
    Workload(
        letter="a",
        what="the tutorials' MLP GAN, MNIST, batch 100",
        recipe="gan",
        data="mnist",
        size=28,
        channels=1,
        batch=100,
        fields={"z_dim": 100},
    ),
    Workload(
        letter="b",
        what="DCGAN, MNIST at 32 px, batch 64",
        recipe="dcgan",
        data="mnist",
        size=32,
        channels=1,
        batch=64,
        fields={"z_dim": 100},
    ),
    Workload(
        letter="c",
        what="WGAN-GP, MLP on MNIST as vectors, 5 critic moves, batch 64",
        recipe="wgan_gp",
        data="vectors",
        size=28,
        channels=1,
        batch=64,
        fields={"z_dim": 128},
    ),
    Workload(
        letter="d",
        what="residual networks of BigGAN's size, R3GAN, colour at 32 px, batch 16",
        recipe="r3gan",
        data="colour",
        size=32,
        batch=16,
        fields={"nets": "resnet", "width": 192, "z_dim": 128, "lr": 1e-4},
    ),
    Workload(
        letter="e",
        what="CycleGAN, 256 px, batch 1",
        recipe="cyclegan",
        data="domains",
        size=256,
        batch=1,
        ranks=False,  # one picture cannot be split
    ),
    Workload(
        letter="f32",
        what="StyleGAN2, colour at 32 px, batch 16, R1 every 16 steps, path lengths every 4",
        recipe="stylegan2",
        data="colour",
        size=32,
        batch=16,
        fields={"augment": "none", "r1_every": 16, "path_length": 2.0, "path_every": 4},
        pattern=16,
    ),
    Workload(
        letter="f64",
        what="StyleGAN2, colour at 64 px, batch 8, R1 every 16 steps, path lengths every 4",
        recipe="stylegan2",
        data="colour",
        size=64,
        batch=8,
        fields={"augment": "none", "r1_every": 16, "path_length": 2.0, "path_every": 4},
        pattern=16,
    ),
    Workload(
        letter="g",
        what="R3GAN, MNIST at 32 px, batch 64",
        recipe="r3gan",
        data="mnist",
        size=32,
        channels=1,
        batch=64,
        fields={"z_dim": 64},
    ),
    Workload(
        letter="h",
        what="CTGAN on adult, batch 500",
        recipe="ctgan",
        data="table",
        batch=500,
    ),
)


def by_letter(letter: str) -> Workload:
    """The workload of that letter."""
    return next(work for work in TRAINING if work.letter == letter)


def prepare(work: Workload, scratch: Path, data_dir: Path | None) -> str:
    """Write the workload's data under `scratch`, if it is not there; returns what it is, in words."""
    if work.data == "table":
        source = (
            next((p for p in (data_dir / "tabular", data_dir) if (p / "adult.csv.gz").is_file()), None)
            if (data_dir)
            else None
        )
        if source is None:
            raise FileNotFoundError("workload h trains on adult.csv.gz: say where it lies with --data-dir")
        link = scratch / "adult.csv.gz"
        if not link.exists():
            link.symlink_to((source / "adult.csv.gz").resolve())
        return "adult"
    if work.data == "domains":
        for name in ("a", "b"):
            folder = scratch / "domains" / name
            if not folder.is_dir():
                folder.mkdir(parents=True)
                for i, picture in enumerate(_noise(12, work.size, 3, ord(name))):
                    Image.fromarray(picture).save(folder / f"{i:03d}.png")
        return "12 + 12 pictures of smooth noise"
    path = scratch / f"{work.data}-{work.size if work.data == 'colour' else 28}.npy"
    if work.data == "colour":
        if not path.is_file():
            np.save(path, _noise(4096, work.size, 3, 0))
        return "4,096 pictures of smooth noise"
    digits = mnist(data_dir)
    if not path.is_file():
        pixels = digits if digits is not None else _noise(60_000, 28, 1, 0)
        if work.data == "vectors":
            np.save(path, (pixels[:20_000].reshape(-1, 28 * 28).astype(np.float32) / 127.5) - 1)
        else:
            np.save(path, pixels)
    return "MNIST" if digits is not None else "60,000 pictures of smooth noise in MNIST's shape"


def mnist(data_dir: Path | None) -> np.ndarray | None:
    """MNIST's training pictures (60000, 28, 28, 1), if they lie under that folder."""
    folder = (
        next((p for p in (data_dir / "mnist", data_dir) if p.is_dir() and any(p.glob("train-images*"))), None)
        if (data_dir)
        else None
    )
    if folder is None:
        return None
    from gansmith.data import open_store
    from gansmith.options import TrainOptions

    return np.asarray(open_store("mnist", TrainOptions(data_dir=folder), progress=False).fields["x"])


def _noise(n: int, size: int, channels: int, seed: int) -> np.ndarray:
    """Smooth noise (n, size, size, channels) uint8: speed does not depend on what pictures show."""
    dice = np.random.default_rng(seed)
    coarse = dice.integers(0, 256, (n, size // 4, size // 4, channels), np.uint8)
    return coarse.repeat(4, 1).repeat(4, 2)
