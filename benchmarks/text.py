"""SeqGAN against its own first stage: the oracle protocol, and captions.

    python -m benchmarks.text oracle --vocabulary 1000
    python -m benchmarks.text captions --data captions.txt.gz --test test.txt.gz
    python -m benchmarks.text steps

`oracle`: G learns by maximum likelihood to a plateau of the oracle's NLL of its lines, then through D's rewards. The
protocol of the paper is --vocabulary 5000 --width 100 --rollouts 16 and 18,840 likelihood steps; any other budget is
written into the result as what it is. `captions`: BLEU against held-out lines and self-BLEU of the likelihood-only
generator at several temperatures, and of the adversarial one. `steps`: what a move of each stage costs.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmarks import save
from gansmith.data import DataSpec, Feed, TextCodec, Uniform, open_store
from gansmith.data.kinds.text.oracle import Oracle, oracle_codec
from gansmith.machine import tame_allocator
from gansmith.metrics import text as scores
from gansmith.model.draw import draw_samples
from gansmith.nets.sequence import Discriminator, Generator
from gansmith.options import DataOptions
from gansmith.recipes.seqgan import SeqGAN
from gansmith.step.ranks import Setting
from gansmith.step.step import Step
from gansmith.step.turn import Batch


@dataclass(frozen=True, kw_only=True)
class Blind(SeqGAN):
    """The control: each token is rewarded alike, whatever D says. What this gains owes D nothing."""

    def rewards(self, nets: nn.ModuleDict, lines: Tensor) -> Tensor:
        """(N, T) of ones."""
        return torch.ones(lines.shape)


def build(recipe: SeqGAN, spec: DataSpec, batch: int, seed: int, precision: str) -> Step:
    """A step on the CPU."""
    torch.manual_seed(seed)
    nets = nn.ModuleDict(recipe.networks(spec))
    step = Step(
        nets,
        recipe.turns(),
        recipe.optimizers(),
        recipe.serving,
        recipe.average(),
        seed=seed,
        batch_size=batch,
        setting=Setting("cpu", precision),
    )
    return step


def nll(step: Step, rows: np.ndarray) -> float:
    """Of real lines under G, in nats per token of a full-length line."""
    g = step.nets["G"]
    assert isinstance(g, Generator)
    with torch.no_grad():
        parts = [-g.log_prob(torch.from_numpy(part.astype(np.int64))).sum() for part in np.array_split(rows, 8)]
    return float(torch.stack(parts).sum() / rows.size)


def keep(step: Step, path: Path, series: list[dict[str, Any]], k: int) -> None:
    """Save G's first stage, so that several second stages can start from the same one."""
    tensors = {name: value.contiguous() for name, value in step.state().items() if ".G." in name}
    save_file(tensors, path, {"step": str(k), "moves": str(step.moves), "series": json.dumps(series)})


def resume(step: Step, path: Path, series: list[dict[str, Any]]) -> int:
    """Go on from it; returns the step."""
    with safe_open(path, "pt") as file:
        kept = file.metadata()
    step.load_state(step.state() | load_file(path), int(kept["moves"]))
    series += json.loads(kept["series"])
    return int(kept["step"])


def verdicts(step: Step, truth: Oracle, made: np.ndarray, train: np.ndarray, held: np.ndarray) -> dict[str, float]:
    """What D knows: held-out and training lines against samples (area under the curve), and of the samples' quality."""
    d = step.nets["D"]
    assert isinstance(d, Discriminator)
    with torch.no_grad():
        of = [d.certain(torch.from_numpy(rows[:1_000].astype(np.int64))).numpy() for rows in (made, train, held)]
    known = {
        f"auc_{name}": float((x[:, None] > of[0]).mean()) for name, x in zip(("train", "held"), of[1:], strict=True)
    }
    return known | {"correlation_with_oracle": float(np.corrcoef(of[0], -truth.nll(made[:1_000]))[0, 1])}


def oracle(args: argparse.Namespace) -> dict[str, Any]:
    """Both stages against the oracle."""
    truth = Oracle.published(args.published) if args.published else Oracle.seeded(0, vocabulary=args.vocabulary)
    words = len(truth.embedding)
    train, held = truth.sample(args.lines, seed=0), truth.sample(2_000, seed=1)
    spec = DataSpec(kind="text", shape=(train.shape[1],), codec=oracle_codec(words))
    recipe = (Blind if args.blind else SeqGAN)(
        likelihood_steps=args.likelihood_steps,
        discriminator_steps=args.discriminator_steps,
        discriminator_moves=args.moves,
        rollouts=args.rollouts,
        rollout_keep=args.keep,
        baseline=args.baseline,
        width=args.width,
        g_lr=args.g_lr,
        d_lr=args.d_lr,
        policy_rate=args.policy_rate,
    )
    step = build(recipe, spec, args.batch, args.seed, args.precision)

    def batches(k: int) -> Batch:
        return {"x": torch.from_numpy(train[Uniform().rows(args.seed, k, args.batch, len(train))].astype(np.int64))}

    series: list[dict[str, Any]] = []
    cooled: dict[str, float] = {}

    def look(k: int, stage: str) -> None:
        made = draw_samples(recipe, step.nets, 2_000, 5).numpy()
        line = {"step": k, "oracle_nll": float(truth.nll(made).mean()), "nll_held_out": nll(step, held)}
        line |= {"seconds": round(time.process_time() - began, 1), "duplicates": scores.duplicates(made.tolist())}
        line |= verdicts(step, truth, made, train, held) if stage == "adversarial" else {}
        series.append({"stage": stage} | line)
        print(
            " ".join(f"{a} {b:.4g}" if isinstance(b, float) else f"{a} {b}" for a, b in series[-1].items()), flush=True
        )

    began, first = time.process_time(), 0
    if args.state and args.state.is_file():
        first = resume(step, args.state, series)
    second = args.likelihood_steps + args.discriminator_steps
    for k in range(first, second + args.adversarial_steps):
        if first < k <= args.likelihood_steps and (
            k == args.likelihood_steps or k % max(args.likelihood_steps // 24, 1) == 0
        ):
            look(k, "likelihood")
            if args.state:
                keep(step, args.state, series, k)
        elif k >= second and (k - second) % args.look == 0:
            look(k, "adversarial")
        if k == max(first, args.likelihood_steps):
            for t in (0.95, 0.9, 0.8):
                made = draw_samples(recipe, step.nets, 2_000, 5, {"temperature": torch.full((2_000,), t)}).numpy()
                cooled[str(t)] = float(truth.nll(made).mean())
            print("likelihood alone, by temperature:", cooled, flush=True)
        found = step.take(k, batches)
        if k >= args.likelihood_steps and k % args.look == 0:
            print({name: round(float(v), 4) for name, v in found.items()}, flush=True)
        if time.process_time() - began > args.minutes * 60:
            break
    look(k + 1, "adversarial")
    plateau = min(line["oracle_nll"] for line in series if line["stage"] == "likelihood")
    best = min(line["oracle_nll"] for line in series if line["stage"] == "adversarial")
    return {
        "protocol": f"oracle LSTM, {'published parameters' if args.published else 'own parameters, seed 0'}, "
        f"vocabulary {words}, length 20, {args.lines} training sequences; NLL per token of 2,000 generated sequences",
        "recipe": asdict(recipe),
        "rewards": "1 for every token (control)" if args.blind else "D's",
        "batch": args.batch,
        "seed": args.seed,
        "oracle_nll_of_itself": float(truth.nll(held).mean()),
        "oracle_nll_of_random_tokens": float(truth.nll(np.random.default_rng(0).integers(0, words, held.shape)).mean()),
        "likelihood_plateau": plateau,
        "likelihood_by_temperature": cooled,
        "adversarial_last": series[-1]["oracle_nll"],
        "adversarial_best": best,
        "gain_last": plateau - series[-1]["oracle_nll"],
        "nll_held_out_rise": series[-1]["nll_held_out"]
        - min(line["nll_held_out"] for line in series if line["stage"] == "likelihood"),
        "series": series,
    }


def steps(args: argparse.Namespace) -> dict[str, Any]:
    """What a move of each stage costs, in CPU seconds, on random tokens."""
    spec = DataSpec(kind="text", shape=(20,), codec=oracle_codec(args.vocabulary))
    recipe = SeqGAN(rollouts=args.rollouts, width=args.width)
    step = build(recipe, spec, args.batch, args.seed, args.precision)
    found: dict[str, float] = {}
    for name, turn in zip(("likelihood", "policy", "discriminator"), recipe.turns(), strict=True):
        for k in range(2 if name == "policy" else 4):  # the first is a warm-up
            x = torch.randint(args.vocabulary, (args.batch, 20), generator=torch.Generator().manual_seed(k))
            began = time.process_time()
            step.move(turn, {"x": x, "step": torch.tensor(float(k))}, k)
            found[name] = time.process_time() - began
    print({name: round(seconds, 3) for name, seconds in found.items()})
    size = {"vocabulary": args.vocabulary, "batch": args.batch, "rollouts": args.rollouts, "width": args.width}
    return {"protocol": "CPU seconds of the last of a few moves of each kind, length 20", **size, "seconds": found}


def captions(args: argparse.Namespace) -> dict[str, Any]:
    """Both stages on lines of text, against held-out ones."""
    options = DataOptions(text_min_count=args.min_count, text_max_length=args.max_length)
    store, test = open_store(args.data, options), open_store(args.test, options)
    codec, other = store.spec.codec, test.spec.codec
    assert isinstance(codec, TextCodec) and isinstance(other, TextCodec)
    known = set(codec.vocabulary)
    held = [line for line in other.tokens(np.asarray(test.fields["x"])) if len(line) <= store.spec.shape[0]]
    real = codec.tokens(np.asarray(store.fields["x"]))
    n = args.num
    order = np.random.default_rng(0).permutation(len(held))
    references, floor = [held[i] for i in order[n:]][: args.references], [held[i] for i in order[:n]]
    written = [tuple(w if w in known else codec.vocabulary[codec.unknown] for w in line) for line in floor]
    rows = codec.number_tokens(written, store.spec.shape[0])
    recipe = SeqGAN(
        likelihood_steps=args.likelihood_steps,
        discriminator_steps=args.discriminator_steps,
        discriminator_moves=args.moves,
        rollouts=args.rollouts,
        width=args.width,
        hidden=args.hidden,
        embedding=args.hidden,
        g_lr=args.g_lr,
        d_lr=args.d_lr,
        baseline=args.baseline,
        policy_rate=args.policy_rate,
    )
    step = build(recipe, store.spec, args.batch, args.seed, args.precision)
    feed = Feed(store, codec, recipe.draw(), seed=args.seed, batch_size=args.batch)
    found: dict[str, Any] = {}

    def judge(name: str, lines: list[tuple[str, ...]], held_out: float | None = None) -> None:
        both = scores.bleu(lines, references), scores.self_bleu(lines)
        found[name] = {f"BLEU-{k}": v for k, v in both[0].items()} | {f"self-BLEU-{k}": v for k, v in both[1].items()}
        found[name] |= {"distinct-2": scores.distinct(lines, 2), "copies": scores.copies(lines, real)}
        found[name] |= {"NLL of held-out lines": held_out} if held_out is not None else {}
        print(name, {k: round(v, 3) for k, v in found[name].items()}, flush=True)

    def draw(temperature: float) -> list[tuple[str, ...]]:
        given = {"temperature": torch.full((n,), temperature)}
        return codec.tokens(draw_samples(recipe, step.nets, n, 5, given).numpy())

    judge("held-out lines (floor)", floor)
    judge("training lines (control)", [real[i] for i in np.random.default_rng(1).permutation(len(real))[:n]])
    began = time.process_time()
    total = args.likelihood_steps + args.discriminator_steps + args.adversarial_steps
    for k in range(total):
        if k == args.likelihood_steps:
            for temperature in (1.0, 0.9, 0.8, 0.7):
                judge(f"likelihood only, temperature {temperature}", draw(temperature), nll(step, rows))
            print(f"{time.process_time() - began:.0f} s", flush=True)
        terms = step.take(k, feed)
        if k % args.look == 0:
            print(k, {name: round(float(v), 4) for name, v in terms.items()}, flush=True)
        if time.process_time() - began > args.minutes * 60:
            break
    judge("adversarial, temperature 1.0", draw(1.0), nll(step, rows))
    return {
        "protocol": f"{n} lines against {len(references)} held-out lines of {Path(args.test).name}, token by token as "
        "the tokeniser splits them; BLEU with method 1 smoothing, mean over lines",
        "recipe": asdict(recipe),
        "batch": args.batch,
        "seed": args.seed,
        "vocabulary": len(codec.vocabulary),
        "adversarial_steps": k + 1 - args.likelihood_steps - args.discriminator_steps,
        "cpu_seconds": round(time.process_time() - began),
        "scores": found,
        "examples": codec.decode(draw_samples(recipe, step.nets, 5, 5)).tolist(),
    }


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The options, of the command line if none are given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("oracle", "captions", "steps"))
    parser.add_argument("--published", type=Path, help="the authors' oracle parameters as an .npz")
    parser.add_argument("--data", help="training lines")
    parser.add_argument("--test", help="held-out lines")
    parser.add_argument("--name", required=True, help="of the file in results/")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--baseline", action="store_true")
    parser.add_argument("--blind", action="store_true", help="oracle: reward all tokens alike, as a control")
    for name, default in (
        *(("vocabulary", 5_000), ("lines", 10_000), ("batch", 64), ("seed", 0), ("look", 10), ("hidden", 32)),
        *(("likelihood_steps", 18_840), ("discriminator_steps", 200), ("adversarial_steps", 200), ("moves", 15)),
        *(("rollouts", 16), ("width", 100), ("num", 1_000), ("references", 5_000), ("min_count", 1), ("max_length", 0)),
    ):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    for name, value in (("keep", 0.0), ("g_lr", 1e-2), ("d_lr", 1e-4), ("policy_rate", 1.0), ("minutes", 15.0)):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value)
    parser.add_argument("--state", type=Path, help="a file for the likelihood stage: used if it is there, else written")
    return parser.parse_args(words)


def main() -> None:
    """Measure and save."""
    args = parse()
    tame_allocator()
    save(args.name, {"oracle": oracle, "captions": captions, "steps": steps}[args.what](args))


if __name__ == "__main__":
    main()
