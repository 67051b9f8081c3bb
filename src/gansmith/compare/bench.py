"""Recipes against one another under one budget: trains, scores and compares; what is done already is not done again.

One process a core, each with one thread: on small networks that beats one process with many threads. On this machine,
or on all machines of a Ray cluster (extra `ray`) that see the same folder.
"""

from __future__ import annotations

import itertools
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import records
from ..extras import need
from ..files import sha256, write_json
from ..machine import cores
from ..options import option_of
from ..run import Run
from ..settle import checked
from .compare import compare
from .comparison import Comparison

_HELD = {"precision": "fp32", "layout": "nchw"}
"""Options that training would choose by timing, for each run anew: held equal, unless `train` has them."""

Say = Callable[[str], object]
Call = Callable[[Sequence[str], Path, Mapping[str, str]], str]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A recipe with the fields that differ from its defaults, written `gan` or `gan:pack=2,lr=1e-4`."""

    recipe: str
    """Its name, or the path of a .py."""
    fields: dict[str, str]
    """As written."""

    @classmethod
    def parse(cls, text: str) -> Entry:
        """Raises `ValueError` if it is not written like that."""
        recipe, _, rest = text.partition(":")
        fields = {}
        for part in filter(None, rest.split(",")):
            name, equals, value = part.partition("=")
            if not equals or not name or not value:
                raise ValueError(f"{text!r}: write a recipe's fields as recipe:field=value,field=value")
            fields[name.replace("-", "_")] = value
        if not recipe:
            raise ValueError(f"{text!r} names no recipe")
        return cls(recipe=recipe, fields=fields)

    @property
    def folder(self) -> str:
        """Its name as that of a folder."""
        text = "-".join([Path(self.recipe).stem, *(f"{k}-{v}" for k, v in self.fields.items())])
        return "".join(c if c.isalnum() or c in "-_." else "-" for c in text)

    @property
    def words(self) -> list[str]:
        """Its fields on the command line."""
        found = []
        for name, value in self.fields.items():
            option = option_of(name)
            found += [f"--no-{option[2:]}"] if value == "False" else [option] if value == "True" else [option, value]
        return found


def seeds(text: str) -> tuple[int, ...]:
    """`0..4` or `0,3,7` as numbers. Raises `ValueError` for anything else."""
    try:
        first, dots, last = text.partition("..")
        found = tuple(range(int(first), int(last) + 1)) if dots else tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r} are no seeds: write 0..4 or 0,1,2") from None
    if not found or len(set(found)) < len(found):
        raise ValueError(f"{text!r} are no seeds: write 0..4 or 0,1,2, each once")
    return found


@checked
def bench(
    recipes: Sequence[str],
    out: str | Path,
    *,
    data: str = "digits",
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    train: Sequence[str] = (),
    evaluate: Sequence[str] = (),
    jobs: int = 0,
    ray: str = "",
    say: Say = print,
) -> Comparison:
    """Train every recipe with every seed, score all, and compare; returns the comparison, also written to `out`.

    A finished run is kept, a stopped one resumed, a score that is there is read: the same command goes on where it
    was stopped. A run that fails (diverged, say) is reported, and its output kept in `train.txt` beside it.

    Args:
        recipes: as `Entry.parse` takes them.
        out: a folder: a run each in `<recipe>/seed-<seed>`, then compare.json and compare.html.
        data: a source.
        seeds: of the runs.
        train: more options of `gansmith train`, the same for all: the budget among them. Without `--precision` and
            `--layout` all runs are trained in fp32 and nchw.
        evaluate: more options of `gansmith evaluate`.
        jobs: runs at a time; 0 is one a core, of all machines.
        ray: the address of a Ray cluster, `auto` for the one that this machine belongs to, `local` for one of this
            machine alone; empty runs without Ray. `out`, the data and the cache must be on a disk that all share.
        say: is told what is going on.

    Raises:
        ValueError: options that do not fit, another benchmark in that folder, or no run that succeeded.
        MissingExtra: Ray is not installed.
        ConnectionError: there is no cluster at that address.
    """
    folder = Path(out).resolve() if ray else Path(out)  # workers have a working directory of their own
    entries = [Entry.parse(text) for text in dict.fromkeys(recipes)]
    if not entries or not seeds:
        raise ValueError("name at least one recipe and one seed")
    if len({entry.folder for entry in entries}) < len(entries):
        raise ValueError("two of the recipes have the same folder: name each once")
    _same(folder, {"data": data, "train": list(train)})
    told = {word.partition("=")[0] for word in train}
    held = [word for name, word in _HELD.items() if f"--{name}" not in told for word in (f"--{name}", word)]
    call, number = _on_ray(ray) if ray else (_call, cores())
    jobs = jobs or number
    plans = [(entry, seed, folder / entry.folder / f"seed-{seed}") for entry in entries for seed in seeds]
    for entry, _, path in plans:
        _unchanged(entry, path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
    how = f"; all with {' '.join(held)}" if held else ""
    say(f"{len(plans)} runs, {jobs} at a time, in {folder}{how}")
    failed: dict[Path, str] = {}
    done = itertools.count(1)

    def trained(plan: tuple[Entry, int, Path]) -> None:
        entry, seed, path = plan
        state = _state(path)
        if state != "finished":
            words = ["train", "--resume", "--out", str(path)]
            if entry.recipe.endswith(".py"):
                words.insert(1, entry.recipe)
            if state == "new":
                words = ["train", entry.recipe, "--data", data, "--seed", str(seed), "--out", str(path)]
                words += [*entry.words, *train, *held]
            began = time.monotonic()
            if problem := call(words, path.with_name(f"{path.name}.train.txt"), environment):
                failed[path] = problem
            state = f"{'failed: ' + problem if problem else 'trained'} in {time.monotonic() - began:.0f} s"
        say(f"[{next(done)}/{len(plans)}] {entry.folder} seed {seed}: {state}")

    _each(jobs, plans, trained)
    left = [(entry, seed, path) for entry, seed, path in plans if path not in failed]
    if not left:
        raise ValueError(f"every run failed; the first: {next(iter(failed.values()))}")

    def scored(plan: tuple[Entry, int, Path]) -> None:
        entry, seed, path = plan
        words = ["evaluate", str(path), *evaluate]
        if entry.recipe.endswith(".py"):
            words += ["--recipe-file", entry.recipe]
        if problem := call(words, path.with_name(f"{path.name}.evaluate.txt"), environment):
            failed[path] = problem
            say(f"{entry.folder} seed {seed} could not be scored: {problem}")

    say(f"scoring {len(left)} runs")
    scored(left[0])  # the first trains the encoder and encodes the real samples, which the others then find
    _each(jobs, left[1:], scored)
    good = [path for _, _, path in left if path not in failed]
    if not good:
        raise ValueError(f"no run could be scored; the first: {next(iter(failed.values()))}")
    notes = [f"{path.relative_to(folder)} is left out, it failed: {problem}" for path, problem in failed.items()]
    return compare(good, out=folder, notes=notes)


def _each(jobs: int, plans: Sequence[Any], work: Callable[[Any], None]) -> None:
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(work, plan) for plan in plans]
        try:
            for future in futures:
                future.result()
        except BaseException:  # Ctrl-C reaches the children too: they save and stop; those not begun never begin
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _call(words: Sequence[str], log: Path, environment: Mapping[str, str]) -> str:
    """Run a command of gansmith, its output into a file; returns the last line of what went wrong, or nothing."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8") as file:
        found = subprocess.run(
            [sys.executable, "-P", "-m", "gansmith", *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            check=False,
        )
    if found.returncode == 0:
        return ""
    if found.returncode in (130, -2):
        raise KeyboardInterrupt
    return _last_line(log) or f"exit code {found.returncode}"


def _on_ray(address: str) -> tuple[Call, int]:
    """`_call` as a task on whatever machine of the cluster has a core free, and the number of its cores."""
    ray: Any = need("ray", "ray", "a benchmark on several machines")
    if not ray.is_initialized():
        where = {"num_cpus": cores()} if address == "local" else {"address": address}
        # Its dashboard and its copies of the workers' output are not wanted: every run has a file for that.
        ray.init(**where, include_dashboard=False, log_to_driver=False, configure_logging=False)
    task = ray.remote(num_cpus=1, max_retries=1)(_shared_call)

    def call(words: Sequence[str], log: Path, environment: Mapping[str, str]) -> str:
        log.parent.mkdir(parents=True, exist_ok=True)
        # Only our own settings travel: paths to libraries differ between machines.
        kept = {k: v for k, v in environment.items() if k.startswith("GANSMITH_") or k.endswith("_NUM_THREADS")}
        return ray.get(task.remote(list(words), log, kept))

    return call, max(int(ray.cluster_resources().get("CPU", 1)), 1)


def _shared_call(words: Sequence[str], log: Path, environment: Mapping[str, str]) -> str:
    if not log.parent.is_dir():
        return f"{log.parent} is not there on {platform.node()}: the folder must be on a disk that all machines share"
    return _call(words, log, {**os.environ, **environment})


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    told: Iterator[str] = (line for line in reversed(lines) if line.startswith("gansmith: error: "))
    return next(told, lines[-1] if lines else "").removeprefix("gansmith: error: ")


def _state(path: Path) -> str:
    """`new`, `stopped` or `finished`."""
    if not (path / "run.json").is_file():
        return "new"
    return "finished" if Run(path).progress()["finished"] else "stopped"


def _unchanged(entry: Entry, path: Path) -> None:
    """Raises `ValueError` if a run was trained by another state of the recipe's file, or the file is not there."""
    if not entry.recipe.endswith(".py"):
        return
    file = Path(entry.recipe)
    if not file.is_file():
        raise ValueError(f"no recipe file at {file}")
    now = sha256(file)
    if _state(path) != "new" and Run(path).record["recipe"].get("source_sha256", now) != now:
        raise ValueError(f"{file} has changed since {path} was trained with it: use another --out")


def _same(folder: Path, plan: dict[str, Any]) -> None:
    """Note what a benchmark is; raises `ValueError` if the folder holds another one."""
    path = folder / "bench.json"
    if path.is_file():
        before = records.read(path)
        if odd := [name for name in plan if before.get(name) != plan[name]]:
            raise ValueError(
                f"{folder} holds a benchmark whose {odd[0]} is {before.get(odd[0])!r}, not {plan[odd[0]]!r}: runs of "
                "unequal budgets do not compare; use another --out"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, plan)
