"""`gansmith info`: what a run is, how far it is, how it goes, and its networks layer by layer."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .. import records
from ..data import kind_of, read_spec
from ..model.saved import build_recipe
from ..recipe import Recipe
from ..run import Run
from ..show import reading
from ..show.words import duration
from .layers import built, layers


def render(run: Run, recipe: type[Recipe] | None = None, console: Console | None = None) -> None:
    """Print all about a run.

    `recipe` is needed only if the run used a recipe file of your own, whose networks are not shown without it.
    """
    console = console or Console(highlight=False)
    for title, text in [*_what(run), *_how_far(run), *_how_it_goes(run)]:
        console.print(f"[bold]{title:10}[/]{escape(text)}", soft_wrap=True)
    saved = run.record["recipe"]
    if str(saved["name"]).endswith(".py") and recipe is None:
        console.print(f"\nIts recipe is a file of your own: add --recipe-file {saved['name']} to see its networks.")
        return
    _networks(run, build_recipe(saved, recipe), console)


def _what(run: Run) -> list[tuple[str, str]]:
    record = run.record
    records.check(record, records.WHOLE_RUN, str(run.path / "run.json"))
    data, setting = record["data"], record["setting"]
    spec = read_spec(data["spec"], str(run.path / "run.json"))
    fields = ", ".join(f"{k}={v}" for k, v in record["recipe"]["fields"].items())
    shape = "x".join(map(str, spec.shape))
    classes = f", {len(spec.classes)} classes" if spec.classes else ""
    what = kind_of(spec.kind).samples
    layout = " channels-last" if setting["channels_last"] else ""
    return [
        ("run", str(run.path)),
        ("recipe", f"{record['recipe']['name']} ({fields})"),
        ("data", f"{data['source']}: {data['count']:,} {what} of {shape}{classes}"),
        ("setting", f"{setting['precision']}{layout} on {setting['device']}, {run.options.batch_size} a step"),
    ]


def _how_far(run: Run) -> list[tuple[str, str]]:
    progress = run.progress()
    images, seconds = progress["images"], progress["seconds"]
    options = run.options
    of = f" of {options.budget:,}" if images <= options.budget else ""  # a resumed run may have gone on beyond it
    rate = f", {images / seconds:,.0f} a second" if seconds else ""
    state = "finished" if progress["finished"] else "not finished"
    saved = run.checkpoints()
    last = f"; the last checkpoint is at {saved[-1].meta['images']:,}" if saved else "; no checkpoint yet"
    return [("progress", f"{images:,}{of} images in {duration(seconds)}{rate}; {state}{last}")]


def _how_it_goes(run: Run) -> list[tuple[str, str]]:
    log = run.log()
    if not log:
        return [("terms", "nothing logged yet")]
    terms = ", ".join(f"{k} {v:.3g}" for k, v in log[-1].items() if "/" in k and isinstance(v, (int, float)))
    sentences = reading(log)
    return [("terms", terms)] + [("reading" if i == 0 else "", s) for i, s in enumerate(sentences)]


def _networks(run: Run, recipe: Recipe, console: Console) -> None:
    spec = read_spec(run.record["data"]["spec"], str(run.path / "run.json"))
    nets = built(recipe, spec)
    total = 0
    for role, rows in layers(recipe, nets, spec).items():
        parameters = sum(p.numel() for p in nets[role].parameters())
        total += parameters
        serving = "draws the samples" if role in recipe.serving else "for training only"
        table = Table(box=box.SIMPLE_HEAD)
        shaped = any(row.shape for row in rows)
        for heading in ("layer", "type", *(("output",) if shaped else ())):
            table.add_column(heading, overflow="fold")
        table.add_column("parameters", justify="right")
        for row in rows:
            cells = (row.name, row.kind, *((row.shape,) if shaped else ()))
            table.add_row(*map(escape, cells), f"{row.parameters:,}" if row.parameters else "")
        head = f"{role}: {type(nets[role]).__name__}, {parameters:,} parameters, {serving}"
        console.print(f"\n[bold]{escape(head)}[/]", soft_wrap=True)
        console.print(table)
    console.print(f"{len(nets)} networks, {total:,} parameters in all")
