"""Everything that a user or an enemy may hand in, at random: options, files of a run, archives, calls in Python.

    python -m benchmarks.fuzz --seed 0 --count 300 --parts options json archives calls

Each trial is a process of its own, forked from one that has read the package, with a limit of time and of memory. What
must not be: a traceback, a trial that does not end, more than 512 MiB above the start. One line of the output is one
trial that was such; the last lines count.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

LIMIT = 60.0
"""Seconds that a trial may take: a short training run is among them."""
MOST_MIB = 512
"""Memory above the start that a trial may take."""
ADDRESSES = 12 << 30
"""Bytes of address space of a trial."""

Kind = Literal["fine", "refused", "busy", "traceback", "hang"]
"""Busy: it was at work when its time was up, and showed how far it was."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What became of one."""

    name: str
    kind: Kind
    seconds: float
    mebibytes: int
    said: str
    """The last line of what was printed, or the whole traceback."""


def tried(name: str, call: Callable[[], object], folder: Path, limit: float = LIMIT) -> Trial:
    """Run it in a child of its own, in `folder`. A command's mistakes are its own; in Python `ValueError` and kin."""
    read, write = os.pipe()
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _in_child(call, folder, said.fileno(), write)
        os.close(write)
        ended = _wait(child, began + limit)
        seconds = time.monotonic() - began
        told = os.read(read, 200).decode()
        os.close(read)
        said.seek(0)
        text = said.read().decode(errors="replace").strip()
    kind, _, memory = told.partition(" ")
    if not ended and re.search(r"\d+% .* left", text):
        return Trial(name=name, kind="busy", seconds=seconds, mebibytes=0, said=text.splitlines()[-1])
    if not ended or not kind:
        return Trial(name=name, kind="hang", seconds=seconds, mebibytes=0, said=text[-300:])
    known: Kind = "traceback" if "Traceback (most recent" in text else kind  # ty: ignore[invalid-assignment]
    last = text if known == "traceback" else (text.splitlines() or [""])[-1]
    return Trial(name=name, kind=known, seconds=seconds, mebibytes=int(memory), said=last)


def _wait(child: int, until: float) -> bool:
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _in_child(call: Callable[[], object], folder: Path, said: int, write: int) -> None:
    os.setsid()
    os.chdir(folder)
    os.dup2(said, 1)
    os.dup2(said, 2)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    sys.stdout, sys.stderr = (open(n, "w", closefd=False) for n in (1, 2))  # noqa: SIM115
    start, kind = _memory("VmRSS"), "traceback"
    try:
        kind = "refused" if call() in (1, 2) else "fine"
    except SystemExit as stop:
        kind = "refused" if stop.code else "fine"
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        if _said(error):
            print(f"{type(error).__name__}: {error}")
            kind = "refused"
        else:
            traceback.print_exc()
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
        sys.stderr.flush()
    os.write(write, f"{kind} {max(_memory('VmHWM') - start, 0)}".encode())
    os._exit(0)


def _said(error: BaseException) -> bool:
    """Whether a line of this package raised it in words, and no library by itself."""
    if isinstance(error, OSError):  # they name the file
        return True
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return "gansmith" in Path(frame.filename).parts and (frame.line or "").startswith("raise ")


def _memory(key: str) -> int:
    """MiB; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith(key)), 0)


# --- what is tried ----------------------------------------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.0, 10**6, 10**9, 2**31, 2**63, 10**400, 1e308, 1e-320),
    *(float("nan"), float("inf"), "", "x", "0", "-1", "nan", "../x", "a" * 5_000, "\x1b[31m", "\x00", "é\udcff"),
    *([], [1], ["x"], [None], [[[]]], {}, {"x": 1}, {"kind": "image"}),
)
"""Values that are put in the place of others."""
WORDS = (
    *("", "0", "1", "-1", "2", "1e9", "1e400", "nan", "inf", "-inf", "1k", "1.5M", "99999999999999999999", "0.5"),
    *(
        "x",
        "auto",
        "cpu",
        "cuda:7",
        "tpu",
        "None",
        "True",
        "8",
        "8x8",
        "0x8",
        "-8x8",
        "8x",
        "../x",
        ".",
        "/",
        "/dev/zero",
    ),
    *("digits", "toy:ring", "toy:", "text:", "pairs:.", "mnist:x", "a=b", "a=category", "gan", "é", "a" * 3_000, "--"),
)


@dataclass(frozen=True)
class World:
    """What trials work on: short runs of some kinds of data, and a place."""

    folder: Path
    runs: tuple[Path, ...]


def made_world(folder: Path) -> World:
    """Three runs of a few steps: of pictures, a table, texts."""
    import gansmith

    table = "a,b,c\n" + "".join(f"{i % 7}.5,{'xyz'[i % 3]},{i * 37 % 11}\n" for i in range(200))
    (folder / "t.csv").write_text(table)
    settings: dict[str, Any] = {"device": "cpu", "precision": "fp32", "layout": "nchw"}
    options = gansmith.TrainOptions(images=64, batch_size=16, log_every=16, checkpoint_every=32, **settings)
    data: dict[str, Any] = {
        "gan": "digits",
        "ctgan": folder / "t.csv",
        "seqgan": ["a b c", "b c a", "c a b", "a c b"] * 16,
    }
    runs = [gansmith.train(name, source, options, out=folder / name).path for name, source in data.items()]
    return World(folder, tuple(runs))


def options_trials(world: World, rng: random.Random) -> Iterator[tuple[str, Callable[[], object]]]:
    """Commands with options of odd values."""
    from gansmith import catalog
    from gansmith.cli import main

    def flags(page: catalog.RecipePage) -> list[str]:
        return [f"--{field.name.replace('_', '-')}" for field in page.fields]

    training = ["--images", "--minutes", "--batch-size", "--micro-batches", "--seed", "--device", "--size", "--fit"]
    training += [
        "--resample",
        "--channels",
        "--columns",
        "--log-every",
        "--sample-every",
        "--checkpoint-every",
        "--keep",
    ]
    training += [
        "--validation",
        "--evaluate-every",
        "--graphs",
        "--layout",
        "--precision",
        "--data",
        "--text-max-length",
    ]
    drawing = ["-n", "--seed", "--weights", "--out", "--label", "--where", "--truncation", "--temperature", "--sweep"]
    scoring = ["-n", "--reference", "--training", "--metrics", "--encoder", "--resize", "--seed", "--data", "--target"]
    while True:
        odd = rng.choice(WORDS)
        match rng.randrange(7):
            case 0 | 1 | 2:
                page = catalog.describe(rng.choice(catalog.names()))
                name = rng.choice(flags(page) or training) if rng.random() < 0.6 else rng.choice(training)
                words = ["train", page.name, "--images", "16", "--batch-size", "8", "--device", "cpu"]
                words += ["--precision", "fp32", "--layout", "nchw", "--out", "out", "--data", "toy:ring"]
                words += [name, odd]
            case 3:
                words = ["sample", str(rng.choice(world.runs)), "-n", "2", "--out", "s.npz", rng.choice(drawing), odd]
            case 4:
                words = ["evaluate", str(world.runs[0]), "-n", "32", rng.choice(scoring), odd]
                words += ["--metrics", "none"] if "--metrics" not in words else []
            case 5:
                words = ["data", rng.choice(["inspect", "pack"]), odd, rng.choice(training), rng.choice(WORDS)]
            case _:
                command = rng.choice(["info", "report", "compare", "apply", "bench", "recipes", "data", "train", odd])
                words = [command, *(rng.choice((*WORDS, str(rng.choice(world.runs)))) for _ in range(rng.randrange(3)))]
                words = [word for word in words if word != "/"]
        yield " ".join(words)[:200], lambda words=tuple(words): main(list(words))


def _places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    inner = value.items() if isinstance(value, dict) else enumerate(value[:4]) if isinstance(value, list) else ()
    for key, part in inner:
        yield from _places(part, (*here, key))


def _damaged(value: Any, rng: random.Random) -> tuple[Any, str]:
    """A copy with one key gone, renamed, or of another value; and where."""
    place = rng.choice([p for p in _places(value) if p])
    changed = copy.deepcopy(value)
    holder = changed
    for key in place[:-1]:
        holder = holder[key]
    what = rng.choice(["gone", "renamed", "odd", "odd", "odd", "odd"])
    if what == "odd" or not isinstance(holder, dict):
        holder[place[-1]] = rng.choice(ODD)
        what = f"{holder[place[-1]]!r:.40}"
    else:
        old = holder.pop(place[-1])
        if what == "renamed":
            holder["unknown"] = old
    return changed, f"{'.'.join(map(str, place))} {what}"


def json_trials(world: World, rng: random.Random) -> Iterator[tuple[str, Callable[[], object]]]:
    """Commands on runs of which one file of JSON is damaged."""
    from gansmith.cli import main

    commands = (["info"], ["sample", "-n", "2", "--out", "s.npz"], ["report", "--out", "r.html"], ["resume"])
    while True:
        run = rng.choice(world.runs)
        files = [run / "run.json", run / "log.jsonl", run / "model" / "model.json", *run.glob("checkpoints/*.json")]
        file = rng.choice(files)
        text = file.read_text()
        match rng.randrange(8):
            case 0:
                text, how = "[" * 100_000, "deep"
            case 1:
                at = rng.randrange(len(text))
                text, how = text[:at] + rng.choice(["", "\x00", "}", '"', "9" * 5_000]) + text[at + 1 :], "a character"
            case _ if file.suffix == ".jsonl":
                lines = text.splitlines()
                i = rng.randrange(len(lines))
                value, how = _damaged(json.loads(lines[i]), rng)
                lines[i] = json.dumps(value)
                text = "\n".join(lines) + "\n"
            case _:
                value, how = _damaged(json.loads(text), rng)
                text = json.dumps(value)
        command = rng.choice(commands)

        def call(run: Path = run, file: Path = file, text: str = text, command: list[str] = command) -> object:
            shutil.copytree(run, "run")
            (Path("run") / file.relative_to(run)).write_text(text, errors="surrogatepass")
            if command == ["resume"]:
                return main(["train", "--resume", "--out", "run", "--images", "96"])
            return main([command[0], "run", *command[1:]])

        yield f"{run.name}: {file.relative_to(run)}: {how}: {command[0]}", call


def _archive(rng: random.Random) -> tuple[str, bytes]:
    """An honest archive or array of some kind: its name and bytes."""
    import gzip
    import tarfile

    def picture(side: int) -> bytes:
        file = io.BytesIO()
        pixels = np.random.default_rng(side).integers(0, 255, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file, rng.choice(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]))
        return file.getvalue()

    file = io.BytesIO()
    members = {f"{'ab'[i % 2]}/{i}.png": picture(8) for i in range(4)}
    if rng.random() < 0.3:
        members["labels.csv"] = b"file,label\n" + b"".join(f"{name},{i}\n".encode() for i, name in enumerate(members))
    match rng.randrange(8):
        case 0 | 1:
            with zipfile.ZipFile(file, "w", rng.choice([0, 8, 12, 14])) as archive:
                for name, data in members.items():
                    archive.writestr(name, data)
            return "a.zip", file.getvalue()
        case 2 | 3:
            mode = rng.choice(["w", "w:gz", "w:bz2", "w:xz"])
            with tarfile.open(fileobj=file, mode=mode) as archive:  # ty: ignore[no-matching-overload]
                for name, data in members.items():
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
            return "a.tar", file.getvalue()
        case 4:
            rng.choice([np.savez, np.savez_compressed])(file, x=np.zeros((9, 8, 8), np.uint8), y=np.arange(9) % 3)
            return "a.npz", file.getvalue()
        case 5:
            np.save(file, np.random.default_rng(0).normal(size=(9, 8)))
            return "a.npy", file.getvalue()
        case 6:
            text = "a,b,c\n" + "".join(f"{i},{i % 3},{'xy'[i % 2]}\n" for i in range(200))
            return rng.choice([("a.csv", text.encode()), ("a.csv.gz", gzip.compress(text.encode()))])
    return rng.choice(["a/a.png", "a/a"]), picture(16)


def archives_trials(world: World, rng: random.Random) -> Iterator[tuple[str, Callable[[], object]]]:
    """Sources of which some bytes are others."""
    del world
    from gansmith.cli import main

    while True:
        name, honest = _archive(rng)
        data = bytearray(honest)
        for _ in range(rng.choice([1, 1, 2, 8, 64])):
            at = rng.randrange(len(data))
            match rng.randrange(4):
                case 0:
                    data[at : at + 1] = bytes([rng.randrange(256)])
                case 1:
                    data[at : at + 4] = rng.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
                case 2:
                    del data[at:]
                    data += b"\0"
                case _:
                    data[at:at] = bytes(data[at : at + rng.randrange(1, 64)])
        prefix = rng.choice(["", "", "", "", "table:", "text:", "series:", "pairs:", "image:", "vector:"])
        command = rng.choice(["inspect", "pack"])

        def call(name: str = name, data: bytes = bytes(data), prefix: str = prefix, command: str = command) -> object:
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_bytes(data)
            source = f"{prefix}{name.partition('/')[0]}"
            return main(["data", command, source, *(["--out", "out"] if command == "pack" else [])])

        yield f"{command} {prefix}{name}", call


def calls_trials(world: World, rng: random.Random) -> Iterator[tuple[str, Callable[[], object]]]:
    """Functions of the package with odd values."""
    import gansmith
    from gansmith.compare.bench import bench
    from gansmith.compare.compare import compare
    from gansmith.data.inspect import inspect
    from gansmith.judge.evaluate import evaluate, evaluate_sets
    from gansmith.recipe import load_recipe
    from gansmith.use.translate import translate
    from gansmith.use.where import sample_where

    odd: tuple[Any, ...] = (
        *ODD,
        b"x",
        object(),
        np.zeros(3),
        np.zeros((4, 8, 8)),
        np.array(["a"]),
        int,
        print,
        (8,),
        1j,
    )
    fields = {"gan": ("width", "z_dim", "lr", "betas", "kernels", "loss"), "ctgan": ("pac", "modes", "temperature")}
    settings = ("images", "batch_size", "device", "size", "seed", "minutes", "keep", "columns", "validation", "ranks")
    short: dict[str, Any] = {"images": 16, "batch_size": 8, "device": "cpu", "precision": "fp32", "layout": "nchw"}

    def model(i: int) -> Any:
        return gansmith.load(world.runs[i])

    while True:
        value = rng.choice(odd)
        i = rng.randrange(3)
        setting, recipe = rng.choice(settings), rng.choice(sorted(fields))
        field = rng.choice(fields[recipe])
        asked = rng.choice(["label", "condition", "z", "temperature", "x", "truncation", "nothing"])
        wanted = rng.choice(["n", "seed", "weights", "given"])
        scored = rng.choice(["n", "metrics", "encoder", "device", "seed", "reference", "data", "weights"])
        calls: dict[str, Callable[[], object]] = {
            "train(data)": lambda v=value: gansmith.train("gan", v, gansmith.TrainOptions(**short), out="o"),
            f"TrainOptions({setting})": lambda v=value, k=setting: gansmith.train(
                "gan", "toy:ring", gansmith.TrainOptions(**{**short, k: v}), out="o"
            ),
            f"{recipe}({field})": lambda v=value, r=recipe, k=field: gansmith.train(
                load_recipe(r)(**{k: v}), world.folder / "t.csv", gansmith.TrainOptions(**short), out="o"
            ),
            "train(recipe)": lambda v=value: gansmith.train(v, "toy:ring", gansmith.TrainOptions(**short), out="o"),
            "train(options)": lambda v=value: gansmith.train("gan", "toy:ring", v, out="o"),
            "train(out)": lambda v=value: gansmith.train("gan", "toy:ring", gansmith.TrainOptions(**short), out=v),
            "load": lambda v=value: gansmith.load(v),
            "resume": lambda v=value: gansmith.resume(v),
            "resume(images)": lambda v=value, i=i: gansmith.resume(shutil.copytree(world.runs[i], "r"), images=v),
            f"sample({wanted})": lambda v=value, i=i, k=wanted: model(i).sample(**{"n": 2, k: v}),
            f"sample(given {asked})": lambda v=value, i=i, k=asked: model(i).sample(2, given={k: v}),
            "apply": lambda v=value, i=i: model(i).apply(v),
            "to": lambda v=value, i=i: model(i).to(v),
            f"evaluate({scored})": lambda v=value, k=scored: evaluate(world.runs[0], **{"n": 32, "metrics": (), k: v}),
            "evaluate(run)": lambda v=value: evaluate(v, n=32),
            "evaluate_sets": lambda v=value: evaluate_sets(v, "digits", n=32),
            "compare": lambda v=value: compare(v),
            "bench": lambda v=value: bench(
                ["gan"], Path("b"), seeds=v, data="toy:ring", train=SHORT, evaluate=["-n", "200"]
            ),
            "bench(recipes)": lambda v=value: bench(
                v, Path("b"), seeds=(0,), data="toy:ring", train=SHORT, evaluate=["-n", "200"]
            ),
            "translate": lambda v=value, i=i: translate(model(i), v),
            "sample_where": lambda v=value: sample_where(model(1), v, "b = x"),
            "sample_where(where)": lambda v=value: sample_where(model(1), 3, v),
            "inspect": lambda v=value: inspect(v, progress=False),
        }
        name = rng.choice(sorted(calls))
        yield f"{name} {value!r:.40}", calls[name]


SHORT = ("--images", "16", "--batch-size", "8", "--device", "cpu", "--precision", "fp32", "--layout", "nchw")
PARTS = {
    "options": options_trials,
    "json": json_trials,
    "archives": archives_trials,
    "calls": calls_trials,
}


def fuzz(part: str, seed: int, count: int, world: World, limit: float = LIMIT) -> Iterator[Trial]:
    """So many trials of a part; equal seeds try the same."""
    rng = random.Random(f"{part} {seed}")
    trials = PARTS[part](world, rng)
    for _ in range(count):
        name, call = next(trials)
        with tempfile.TemporaryDirectory() as folder:
            inside = Path(folder) / "a" / "b"  # so that `../x` is in the folder, too
            inside.mkdir(parents=True)
            yield tried(name, call, inside, limit)


def is_bad(trial: Trial) -> bool:
    """Whether it is what must not be."""
    return trial.kind in ("traceback", "hang") or trial.mebibytes > MOST_MIB


def main() -> None:
    """Try, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=300, help="trials of each part")
    parser.add_argument("--parts", nargs="+", choices=sorted(PARTS), default=sorted(PARTS))
    arguments = parser.parse_args()
    os.environ["GANSMITH_CACHE"] = tempfile.mkdtemp()
    with tempfile.TemporaryDirectory() as folder:
        world = made_world(Path(folder))
        for part in arguments.parts:
            counts, most, slowest = Counter[str](), 0, 0.0
            for trial in fuzz(part, arguments.seed, arguments.count, world):
                counts[trial.kind] += 1
                most, slowest = max(most, trial.mebibytes), max(slowest, trial.seconds)
                if is_bad(trial):
                    print(
                        f"{trial.kind} {trial.seconds:.1f}s {trial.mebibytes} MiB: {trial.name}\n{trial.said}\n",
                        flush=True,
                    )
            listed = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
            print(f"{part}: {listed}; at most {most} MiB above the start, {slowest:.1f} s", flush=True)
    shutil.rmtree(os.environ["GANSMITH_CACHE"])


if __name__ == "__main__":
    main()
