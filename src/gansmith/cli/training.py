"""`train`: the recipe among the words, its fields beside the options of training, and what may change at resume."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_args

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, arg

from .. import catalog, records
from ..machine import cores
from ..options import MOST_RANKS, TrainOptions, option_of
from .parsing import Usage, given_in, page_of, parse, recipe_of, value_of


def train(words: list[str]) -> int:
    """Train a GAN into a run directory, or continue one with --resume."""
    words, numbers = _without(words, ESTIMATE_JSON)
    written = words
    name, words = _take_recipe(words)
    given = given_in(words)
    record: dict[str, Any] = {}
    if "resume" in given and not given & {"h", "help"}:
        record = _record(value_of(words, "--out"), name)
        name = name or str(record["recipe"]["name"])
    elif not name and not given & {"h", "help"}:
        raise Usage(f"say which recipe to train: {', '.join(catalog.names())}, or the path of a .py")
    page = page_of(name) if name else None
    options = parse(_train_arguments(page), words, f"gansmith train {page.name if page else 'RECIPE'}", _about(page))
    assert page is not None  # without a recipe the parser has printed help and left
    fields = {f.name: getattr(options.recipe, f.name) for f in dataclasses.fields(options.recipe)}
    _refuse_mixed_up(page, given, options.train)
    if options.resume and options.overwrite:
        raise Usage("--resume continues a run and --overwrite replaces it: pass one of them")
    if options.resume:
        _check_unchanged(record, page, given, options, fields)

    if "WORLD_SIZE" not in os.environ:
        ranks = _ranks(record) if record else options.train.ranks
        if ranks == 0:
            if options.out and not (options.resume or options.estimate):
                from ..run import refuse_existing

                refuse_existing(options.out, overwrite=options.overwrite)  # before anything is timed
            ranks = _quickest(written, options.train)
            written = [*written, "--ranks", str(ranks)]
            options = dataclasses.replace(options, train=dataclasses.replace(options.train, ranks=ranks))
        if ranks > 1:
            _launch(ranks, ["train", *written, *([ESTIMATE_JSON, numbers] if numbers else [])])
    _train_here(page, fields, options, given, numbers)
    if "WORLD_SIZE" in os.environ:
        # Some ranks abort while the interpreter is torn down, and torchrun then reports a failure; all is saved by now.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


def _refuse_mixed_up(page: catalog.RecipePage, given: set[str], train: TrainOptions) -> None:
    """Raises `Usage` where a training option was given what only the recipe's field of the same name can be."""
    for field in dataclasses.fields(catalog.options_class(page)):
        option = option_of(field.name)
        value = getattr(train, field.name, None)
        words = [word for part in (field.type, *get_args(field.type)[:1]) for word in get_args(part)]
        if option.startswith("--recipe.") and field.name in given and value and value in words and value != "none":
            said = option.replace("recipe.", "")
            raise Usage(f"{said} {value}: {said} is about the data; the field of {page.name} is {option} {value}")


def _train_here(
    page: catalog.RecipePage, fields: Mapping[str, Any], options: Any, given: set[str], numbers: str
) -> None:
    """Train, resume or estimate in this process; the numbers of an estimate go into a file, if one is named."""
    from ..engine import start

    recipe = recipe_of(page)
    if options.estimate:
        from ..engine.estimate import estimate

        found = estimate(recipe(**fields), page.name, options.data, options.train, options.out)
        if os.environ.get("RANK", "0") == "0":
            print(found)
            if numbers:
                Path(numbers).write_text(json.dumps({"images_per_second": found.rate}), encoding="utf-8")
    elif options.resume:
        start.resume(
            options.out,
            recipe=recipe if page.name.endswith(".py") else None,
            images=options.train.images if "images" in given else None,
            minutes=options.train.minutes if "minutes" in given else None,
        )
    else:
        # A path is recorded in full: the run may be continued from another folder.
        label = str(page.path.resolve()) if page.name.endswith(".py") else page.name
        made, out, anew = recipe(**fields), options.out, options.overwrite
        start.train(made, options.data, options.train, out=out, name=label, overwrite=anew)


def _quickest(words: list[str], options: TrainOptions) -> int:
    """How many ranks to start: one a GPU, or on a CPU as many as take the quickest steps of the run of these words."""
    import torch

    if options.device == "auto" and torch.cuda.is_available():
        return torch.cuda.device_count()
    if options.device.startswith("cuda"):
        return 1
    powers = {2**k for k in range(cores().bit_length())}
    counts = [n for n in sorted({*powers, cores()}) if options.batch_size % n == 0]
    rates: dict[int, float] = {}
    for ranks in counts if len(counts) > 1 else ():
        rate, problem = _rate(words, ranks)
        if not problem:
            rates[ranks] = rate
        elif ranks == 1:  # the run itself says it: what is wrong is wrong without ranks
            break
        else:
            print(f"ranks: {ranks} cannot be timed: {problem}", file=sys.stderr)
    if not rates:
        return 1
    # More processes take more memory: they must be worth it.
    best = next(n for n, rate in rates.items() if rate >= 0.95 * max(rates.values()))
    rated = ", ".join(f"{n} at {float(f'{rate:.3g}'):,g} images/s" for n, rate in rates.items())
    print(f"ranks: {best}, of {rated}", file=sys.stderr)
    return best


def _rate(words: list[str], ranks: int) -> tuple[float, str]:
    """Images a second that so many ranks would show in the run of these words; or in a sentence, what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "estimate.json"
        command = [sys.executable, "-P", "-m", "gansmith", "train", *words]
        command += ["--estimate", ESTIMATE_JSON, str(path), "--ranks", str(ranks)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if path.is_file():
            return float(json.loads(path.read_text(encoding="utf-8"))["images_per_second"]), ""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    told = (line.split(MISTAKE, 1)[1] for line in lines if MISTAKE in line)  # a launcher writes much around it
    return 0.0, next(told, lines[-1] if lines else f"it ended with exit code {done.returncode} and no word")


MISTAKE = "gansmith: error: "
ESTIMATE_JSON = "--estimate-json"
"""An option that help does not show: with --estimate, the file for its numbers. `--ranks 0` reads them."""


def _without(words: list[str], option: str) -> tuple[list[str], str]:
    """The words without an option and its value; and the value, empty if it was not written."""
    value = value_of(words, option)
    if option in words:
        at = words.index(option)
        return words[:at] + words[at + 2 :], value
    return [word for word in words if not word.startswith(f"{option}=")], value


def _launch(ranks: int, words: list[str]) -> NoReturn:
    """Become PyTorch's launcher of so many processes on this machine, each with its share of the cores."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(cores() // ranks, 1)))
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    os.environ["PYTHONSAFEPATH"] = "1"  # no module of the folder that one works in is taken for Python's own
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", *launcher, "-m", "gansmith", *words])


def _about(page: catalog.RecipePage | None) -> str:
    if page is None:
        return (
            "Train a GAN into a run directory. `gansmith train RECIPE --help` adds the recipe's own options; recipes: "
            f"{', '.join(catalog.names())}, or the path of a .py."
        )
    return page.summary


def _train_arguments(page: catalog.RecipePage | None) -> type[Any]:
    """What `train` parses: where from and to, the training options, and the recipe's fields, in groups of their own.

    A field named like a training option is reached as `--recipe.<field>`, so neither hides the other.
    """
    fields: list[Any] = []
    for field in dataclasses.fields(catalog.options_class(page)) if page else ():
        annotation: Any = field.type
        text = next((mark.text for mark in get_args(annotation)[1:] if isinstance(mark, catalog.Help)), "")
        own = option_of(field.name)
        name = own.removeprefix("--") if own.startswith("--recipe.") else None
        annotation = Annotated[annotation, arg(name=name, help=text)]
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            fields.append((field.name, annotation))
        elif field.default_factory is not dataclasses.MISSING:
            fields.append((field.name, annotation, dataclasses.field(default_factory=field.default_factory)))
        else:
            fields.append((field.name, annotation, field.default))
    recipe: Any = dataclasses.make_dataclass("Fields", fields, frozen=True, kw_only=True)
    recipe.__doc__ = f"The recipe's own: gansmith recipes {page.name}" if page else ""
    whole: list[Any] = [
        ("data", Annotated[str, arg(metavar="SRC", help=_DATA_HELP)], "digits"),
        ("out", Annotated[Path | None, arg(help="The run's directory; runs/<recipe>-<data> by default.")], None),
        ("resume", Annotated[bool, FlagCreatePairsOff, arg(help=_RESUME_HELP)], False),
        ("overwrite", Annotated[bool, FlagCreatePairsOff, arg(help=_OVERWRITE_HELP)], False),
        ("estimate", Annotated[bool, FlagCreatePairsOff, arg(help=_ESTIMATE_HELP)], False),
        ("train", Annotated[TrainOptions, OmitArgPrefixes]),
        ("recipe", Annotated[recipe, OmitArgPrefixes]),
    ]
    return dataclasses.make_dataclass("Train", whole, frozen=True, kw_only=True)


_DATA_HELP = (
    "A folder of pictures (sub-folders are classes), zip, tar, CSV of files, table (.csv, .parquet; table:FILE says "
    "so), .npy, .npz or packed store; or digits, mnist, fashion-mnist, cifar10, toy:ring, toy:grid, toy:spiral. Two "
    "sets of pictures: pairs:SRC or domains:SRC, a folder or zip that holds folders a and b (or "
    "SRC:FOLDER_A:FOLDER_B); pairs:SRC:left for pictures side by side. Text: a .txt of lines, text:FILE.csv#column, "
    "toy:oracle."
)
_RESUME_HELP = (
    "Continue the run at --out to the last bit, with its recorded options; --images or --minutes may be raised."
)
_OVERWRITE_HELP = "Train anew in place of the run at --out, which is removed; no other folder is ever overwritten."
_ESTIMATE_HELP = "Take a few steps, print what the run would take (images/s, time, memory, disk), and leave no run."
_BOOLEAN = {"--resume", "--overwrite", "--estimate", "-h", "--help"}


def _take_recipe(words: list[str]) -> tuple[str, list[str]]:
    """The recipe among the words, wherever it stands, and the other words; "" if there is none."""
    free: list[int] = []
    i = 0
    while i < len(words):
        if not words[i].startswith("-"):
            free.append(i)
        elif words[i] not in _BOOLEAN and "=" not in words[i] and not words[i].startswith("--no-"):
            i += 1  # its value
        i += 1
    known = {*catalog.names()}
    named = [i for i in free if words[i].replace("-", "_").lower() in known or words[i].endswith(".py")]
    # A field may take several values, so that a number in a free place is no recipe.
    for i in named or [i for i in free if not words[i].replace(".", "").isdecimal()]:
        return words[i], words[:i] + words[i + 1 :]
    return "", words


def _ranks(record: Mapping[str, Any]) -> int:
    """How many processes a run was told to train with."""
    ranks = record["options"].get("ranks", 1)
    if not isinstance(ranks, int) or not 1 <= ranks <= MOST_RANKS:
        raise ValueError(f"run.json is damaged: options.ranks is {ranks!r}; it must be from 1 to {MOST_RANKS:,}")
    return ranks


def _record(out: str, recipe: str) -> dict[str, Any]:
    """`run.json` of the run to continue, read without PyTorch."""
    if not out:
        raise Usage("--resume continues the run at --out: say which")
    path = Path(out) / "run.json"
    if not path.is_file():
        raise FileNotFoundError(f"no run at {out}: it holds no run.json")
    record = records.read(path, records.WHOLE_RUN)
    name = record["recipe"]["name"]
    if name.endswith(".py") and not recipe:
        raise ValueError(
            f"{out} was trained by a recipe of your own; to run its code, name it: "
            f"{shlex.join(['gansmith', 'train', name, '--resume', '--out', out])}"
        )
    return record


def _check_unchanged(
    record: Mapping[str, Any],
    page: catalog.RecipePage,
    given: set[str],
    options: Any,
    fields: Mapping[str, Any],
) -> None:
    """Repeating what the run was started with is fine; anything else cannot be continued. Raises `ValueError`."""
    recorded = str(record["recipe"]["name"])
    if page.name != recorded and not (recorded.endswith(".py") and page.name.endswith(".py")):
        raise ValueError(f"{options.out} was trained with {recorded}, not {page.name}: leave the recipe out")
    now = {"data": options.data} | dataclasses.asdict(options.train)
    then = {"data": record["data"]["source"]} | dict(record["options"])
    now |= {f"recipe.{k}": v for k, v in fields.items()} | {k: v for k, v in fields.items() if k not in now}
    saved = dict(record["recipe"]["fields"])
    then |= {f"recipe.{k}": v for k, v in saved.items()} | {k: v for k, v in saved.items() if k not in then}
    for name in sorted(given - {"images", "minutes", "out", "resume"}):
        if _plain(now.get(name)) != _plain(then.get(name)):
            raise ValueError(
                f"--{name.replace('_', '-')} is {now.get(name)}, but {options.out} was started with {then.get(name)}: "
                "a run goes on as it was started, only --images and --minutes may be raised"
            )


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))
