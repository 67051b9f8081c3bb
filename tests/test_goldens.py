"""What the code computed at a known commit, so that a change meant to keep behaviour is seen to keep it.

Eight recipes are trained for twenty steps, eight sources packed, four kinds of data scored. On the kind of processor
that wrote `goldens.json` everything is equal to the bit; elsewhere sums are rounded in another order, and numbers are
compared within a tolerance. A change meant to alter something writes the file anew and names what it altered:

    OMP_NUM_THREADS=1 python -m tests.test_goldens
"""

import hashlib
import json
import math
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits

import gansmith
from gansmith.data import open_store
from gansmith.judge.evaluate import evaluate

FILE = Path(__file__).with_name("goldens.json")
WHEN = 1_700_000_000
"""Files of a folder are told apart by their time of change too."""
RECIPES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "r3gan": ("digits", {"width": 4, "nets": "resnet"}, {}),
    "dcgan": ("photos", {"width": 4}, {}),
    "ctgan": ("table.csv", {"width": 16, "pac": 2}, {}),
    "gain": ("holes.csv", {"width": 16}, {"evaluate_every": 160}),
    "seqgan": (
        "lines.txt",
        {"hidden": 8, "embedding": 8, "width": 4, "rollouts": 2, "discriminator_moves": 2}
        | {"likelihood_steps": 8, "discriminator_steps": 4},
        {},
    ),
    "pix2pix": ("pairs:sides", {"width": 4, "patch": 1}, {}),
    "cyclegan": ("domains:sides", {"width": 4, "blocks": 1, "patch": 1}, {}),
    "bayesian": ("digits", {"width": 4, "burn_in": 4}, {}),
}
SOURCES = ("digits", "photos", "table.csv", "lines.txt", "pairs:sides", "domains:sides", "toy:ring", "rows.npy")
SCORED = {
    "digits": ("gan", "digits"),
    "vector": ("gan", "toy:ring"),
    "table": ("ctgan", "table.csv"),
    "text": ("seqgan", "lines.txt"),
}


def write_sources(folder: Path) -> None:
    """The same bytes and times on every machine."""
    random = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for i in range(40):
        Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8)).save(folder / "photos" / f"{i:02}.bmp")
    for name, digits in (("a", load_digits().images[:40]), ("b", load_digits().images[40:80])):
        (folder / "sides" / name).mkdir(parents=True)
        for i, digit in enumerate(digits):
            Image.fromarray((digit * 15.9).astype(np.uint8)).save(folder / "sides" / name / f"{i:02}.bmp")
    rows = [f"{random.normal():.3f},{random.integers(40)},{'abc'[random.integers(3)]}" for _ in range(300)]
    (folder / "table.csv").write_text("\n".join(("height,count,kind", *rows)) + "\n", newline="\n")
    rows[::5] = [row.replace(row.split(",")[0], "", 1) for row in rows[::5]]
    (folder / "holes.csv").write_text("\n".join(("height,count,kind", *rows)) + "\n", newline="\n")
    lines = [" ".join(random.choice(list("abcdefg"), 6)) for _ in range(300)]
    (folder / "lines.txt").write_text("\n".join(lines) + "\n", newline="\n")
    np.save(folder / "rows.npy", random.normal(size=(100, 4)).astype(np.float32))
    for path in folder.rglob("*"):
        os.utime(path, (WHEN, WHEN))


def machine() -> str:
    """Equal where sums are rounded alike."""
    cpu = platform.machine()
    if (info := Path("/proc/cpuinfo")).is_file():
        cpu = next(
            (x.partition(":")[2].strip() for x in info.read_text().splitlines() if x.startswith("model name")), cpu
        )
    return f"{cpu}, torch {torch.__version__}, numpy {np.__version__}"


def train(recipe: str, source: str, out: Path, fields: dict[str, Any], **options: Any) -> gansmith.Run:
    chosen = {"images": 20 * 16, "batch_size": 16, "precision": "fp32", "layout": "nchw", "log_every": 160} | options
    return gansmith.train(
        gansmith.load_recipe(recipe)(**fields), source, gansmith.TrainOptions(**chosen), out=out, name=recipe
    )


def trained(recipe: str, out: Path) -> dict[str, Any]:
    """Of a run: the log, and each tensor of the last checkpoint and of the model, summed up."""
    source, fields, options = RECIPES[recipe]
    run = train(recipe, source, out, fields, **options)
    times = ("seconds", "images_per_second")
    log = [{k: v for k, v in line.items() if k not in times} for line in run.log()]
    whole = hashlib.sha256(json.dumps(log, sort_keys=True).encode())
    sizes = {}
    for path in (run.checkpoints()[-1].path, run.path / "model" / "model.safetensors"):
        whole.update(path.read_bytes())
        sizes |= {f"{path.parent.name}.{k}": float(v.double().norm()) for k, v in load_file(path).items()}
    frames = sorted(p.name for p in (run.path / "samples").iterdir())
    return {"sha256": whole.hexdigest(), "log": log, "sizes": sizes, "samples": frames}


def packed(source: str) -> dict[str, Any]:
    store = open_store(source, progress=False)
    rows = hashlib.sha256()
    for name in sorted(store.fields):
        rows.update(np.ascontiguousarray(store.fields[name]).tobytes())
    return {"digest": store.digest, "rows": rows.hexdigest(), "spec": store.spec.to_json()}


def scored(kind: str, out: Path) -> dict[str, Any]:
    recipe, source = SCORED[kind]
    fields = RECIPES[recipe][1] if recipe in RECIPES else {"width": 32}
    run = train(recipe, source, out, fields)
    found = evaluate(run, n=100, reference=100, training=200).to_json()
    del found["created"], found["seconds"], found["protocol"]["versions"]
    found["run"].pop("seconds", None)
    return found


def everything(out: Path) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Every golden's name, and how it is made; the current folder holds the sources."""
    yield from ((f"train {name}", lambda name=name: trained(name, out / name)) for name in RECIPES)
    yield from ((f"pack {name}", lambda name=name: packed(name)) for name in SOURCES)
    yield from ((f"score {kind}", lambda kind=kind: scored(kind, out / f"scored-{kind}")) for kind in SCORED)


def differences(was: Any, now: Any, exact: bool, at: str = "") -> list[str]:
    """Where two JSON values differ; hashes are compared only where sums are rounded alike."""
    if isinstance(was, dict) and isinstance(now, dict):
        rest = was.keys() ^ now.keys()
        both = [d for k in was if k in now for d in differences(was[k], now[k], exact, f"{at}/{k}")]
        return [f"{at}/{k} is there once only" for k in sorted(rest)] + both
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        return [d for i, (a, b) in enumerate(zip(was, now, strict=True)) for d in differences(a, b, exact, f"{at}/{i}")]
    if exact or not isinstance(was, float) or not isinstance(now, float):
        hashed = at.endswith("/sha256") and not exact
        return [] if was == now or hashed else [f"{at} was {was!r:.80}, is {now!r:.80}"]
    close = math.isclose(was, now, rel_tol=0.05, abs_tol=1e-2) or (math.isnan(was) and math.isnan(now))
    return [] if close else [f"{at} was {was!r:.80}, is {now!r:.80}"]


NAMES = [name for name, _ in everything(Path())]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("goldens")
    write_sources(folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_what_was_computed_is_computed_still(
    name: str, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    monkeypatch.chdir(sources)
    made = json.loads(json.dumps(dict(everything(tmp_path))[name]()))
    exact = kept["machine"] == machine() and torch.get_num_threads() == 1
    if name.startswith("score") and not exact:
        pytest.skip(f"scores of twenty steps are only compared on {kept['machine']}")
    found = differences(kept["found"][name], made, exact)
    assert not found, found[:12]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        os.environ["GANSMITH_CACHE"] = str(Path(name) / "cache")
        folder = Path(name) / "sources"
        folder.mkdir()
        write_sources(folder)
        os.chdir(folder)
        found = {key: make() for key, make in everything(Path(name) / "runs")}
    FILE.write_text(
        json.dumps({"machine": machine(), "found": found}, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    print(f"wrote {FILE}: {len(found)} goldens", file=sys.stderr)


if __name__ == "__main__":
    main()
