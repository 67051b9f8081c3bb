"""Few frauds: does a classifier find more of them if ctgan makes further ones? Beside plain tools, over seeds.

    python -m benchmarks.fraud --data creditcard_sample.csv.gz --seeds 0 1 2 3 4 [--table]

Per seed the rows are split in two, stratified. Of the frauds among the training rows only `FEW` are kept, so that there
is something to gain; ctgan, SMOTE and the others see these training rows alone. **Test rows are real, and are never
resampled.** Each tool brings frauds up to as many as there are honest rows (class weights do so in the loss). Told is
recall at a precision of `PRECISION` of the test rows, thresholds taken there, and average precision, of logistic
regression and of gradient boosting.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gansmith
from gansmith.data import TableCodec
from gansmith.data.kinds.table.source import table_source
from gansmith.data.kinds.table.write import write_table
from gansmith.options import Count
from gansmith.recipes.ctgan import CTGAN
from gansmith.records import read as read_json
from gansmith.use.where import sample_where

from . import RESULTS, save

FEW, PRECISION, TARGET, STEPS, BATCH = 40, 0.95, "Class", 300, 100
TOOLS = ("nothing", "class weights", "random oversampling", "SMOTE", "ctgan of all rows", "ctgan of frauds")
LEARNERS = ("logistic regression", "gradient boosting")


def recall_at(truth: np.ndarray, scores: np.ndarray, precision: float) -> float:
    """The largest recall (share of the positives found) of any threshold at which precision is at least so high."""
    order = np.argsort(-scores, kind="stable")
    hits = truth[order].astype(bool).cumsum()
    last = np.append(np.diff(scores[order]) != 0, True)  # a threshold cannot part equal scores
    good = last & (hits / np.arange(1, len(hits) + 1) >= precision)
    return float(hits[good].max() / truth.sum()) if good.any() else 0.0


def smote(rows: np.ndarray, n: int, random: np.random.Generator, k: int = 5) -> np.ndarray:
    """n points, each on the line from a row to one of its k nearest others, numbers in standard deviations.

    Chawla et al., "SMOTE: Synthetic Minority Over-sampling Technique", 2002.
    """
    scaled = (rows - rows.mean(0)) / np.where(rows.std(0) > 0, rows.std(0), 1.0)
    apart = np.square(scaled[:, None] - scaled[None]).sum(2)
    np.fill_diagonal(apart, np.inf)
    near = apart.argsort(1)[:, :k]
    first = random.integers(len(rows), size=n)
    second = near[first, random.integers(near.shape[1], size=n)]
    return rows[first] + random.random((n, 1)) * (rows[second] - rows[first])


def split(y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and test rows: half of each class, and `FEW` frauds of the training half."""
    random = np.random.default_rng(seed)
    train, test = [], []
    for value in (0, 1):
        rows = random.permutation(np.flatnonzero(y == value))
        half = len(rows) // 2
        train.append(rows[:half][: FEW if value else half])
        test.append(rows[half:])
    return np.concatenate(train), np.concatenate(test)


def made(tool: str, codec: TableCodec, rows: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n further frauds (n, D) of training rows (N, D), as the tool makes them."""
    target = codec.index(TARGET)
    frauds = rows[rows[:, target] == 1]
    random = np.random.default_rng(seed)
    if tool == "random oversampling":
        return frauds[random.integers(len(frauds), size=n)]
    if tool == "SMOTE":
        return smote(frauds, n, random)
    of_all = tool == "ctgan of all rows"
    alone = "" if of_all else TARGET
    with tempfile.TemporaryDirectory() as folder:
        write_table(codec, rows if of_all else frauds, Path(folder) / "train.csv")
        options = gansmith.TrainOptions(
            images=Count(STEPS * BATCH),
            batch_size=BATCH,
            seed=seed,
            precision="fp32",
            sample_every=Count(10**9),
            columns=",".join(f"{c.name}={'constant' if c.name == alone else c.type}" for c in codec.columns),
        )
        run = gansmith.train(CTGAN(), Path(folder) / "train.csv", options, out=Path(folder) / "run")
        model = gansmith.load(run.path)
        found = sample_where(model, n, f"{TARGET} = 1", seed=seed).stored if of_all else model.stored(n, seed=seed)
    found = np.array(found)
    found[:, target] = 1
    return found


def learners(weighted: bool, seed: int) -> dict[str, Any]:
    """Classifiers that give scores."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    balance = "balanced" if weighted else None
    regression = LogisticRegression(class_weight=balance, max_iter=1_000)
    boosting = HistGradientBoostingClassifier(class_weight=balance, max_iter=60, random_state=seed)
    return dict(zip(LEARNERS, (make_pipeline(StandardScaler(), regression), boosting), strict=True))


def measure(path: Path, seed: int) -> dict[str, Any]:
    """Every tool, with one seed."""
    from sklearn.metrics import average_precision_score

    codec, rows, _, _ = table_source(path).read(f"{TARGET}=category")
    target = codec.index(TARGET)
    y = rows[:, target]
    train, test = split(y, seed)
    assert not set(train) & set(test)
    truth, found = y[test], {}
    n = int((y[train] == 0).sum() - (y[train] == 1).sum())
    for tool in TOOLS:
        more = rows[:0] if tool in ("nothing", "class weights") else made(tool, codec, rows[train], n, seed)
        learnt = np.concatenate((rows[train], more))
        x, label = np.delete(learnt, target, 1), learnt[:, target]
        for name, learner in learners(tool == "class weights", seed).items():
            scores = learner.fit(x, label).predict_proba(np.delete(rows[test], target, 1))[:, 1]
            recall, area = recall_at(truth, scores, PRECISION), float(average_precision_score(truth, scores))
            found[f"{tool}, {name}"] = {"recall": recall, "average precision": area}
            print(f"fraud seed {seed}: {tool}, {name}: recall {recall:.3f}, average precision {area:.4f}", flush=True)
    return found


def table(results: Mapping[str, Any]) -> str:
    """Means over seeds, and the difference to nothing, paired by seed, with its standard error."""
    seeds = [v for k, v in results.items() if k.startswith("seed ")]
    head = f"recall at {results['precision']:.0%} precision"
    lines = [
        f"| frauds to learn from | learner | {head} | more than with nothing | average precision |",
        "|---" * 5 + "|",
    ]
    for learner in LEARNERS:
        plain = np.array([found[f"nothing, {learner}"]["recall"] for found in seeds])
        for tool in TOOLS:
            mine = [found[f"{tool}, {learner}"] for found in seeds]
            recall = np.array([row["recall"] for row in mine])
            more = recall - plain
            error = more.std(ddof=1) / np.sqrt(len(more)) if len(more) > 1 else np.nan
            gained = "-" if tool == "nothing" else f"{more.mean():+.3f} ± {error:.3f}"
            area = np.mean([row["average precision"] for row in mine])
            lines.append(f"| {tool} | {learner} | {recall.mean():.3f} | {gained} | {area:.3f} |")
    return "\n".join([*lines, f"\n{len(seeds)} seeds; {results['frauds']} frauds to learn from; ± one standard error."])


def main() -> None:
    """Measure and record."""
    from .tabular import merged

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--table", action="store_true", help="print what was recorded")
    given = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "fraud.json"
    settings = {"frauds": FEW, "precision": PRECISION, "steps": STEPS, "batch": BATCH}
    for seed in given.seeds if given.data else ():
        before = read_json(path) if path.is_file() else {}
        save("fraud", merged(before, settings, seed, measure(given.data, seed)))
    if given.table:
        print(table(read_json(path)))


if __name__ == "__main__":
    main()
