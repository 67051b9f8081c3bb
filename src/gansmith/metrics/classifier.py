"""What a classifier can tell: real from fake (two-sample test), and classes learnt from one side on the other.

Source: Lopez-Paz, Oquab, "Revisiting Classifier Two-Sample Tests", 2017, arXiv:1610.06545 (C2ST and its null);
DeLong, DeLong, Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating characteristic
curves", 1988 (the area's variance); Shmelkov, Schmid, Alahari, "How good is my GAN?", 2018, arXiv:1807.09499
(GAN-train, GAN-test); Ravuri, Vinyals, "Classification Accuracy Score for Conditional Generative Models", 2019,
arXiv:1905.10887.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from .features import pair

Kind = Literal["logistic", "mlp"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class AreaUnderCurve:
    """The probability that a positive scores above a negative (a tie counts half), with a confidence interval."""

    value: float
    """In [0, 1]; 1/2 is chance."""
    low: float
    """Lower end of the interval, not below 0."""
    high: float
    """Upper end of the interval, not above 1."""
    confidence: float
    """Of the interval."""


def area_under_curve(positive: Tensor, negative: Tensor, *, confidence: float = 0.95) -> AreaUnderCurve:
    """The area under the ROC curve of scores (n,) of positives and (m,) of negatives, with DeLong's variance.

    Raises:
        ValueError: fewer than 2 scores on a side, or confidence outside (0, 1).
    """
    if positive.ndim != 1 or negative.ndim != 1 or min(len(positive), len(negative)) < 2:
        raise ValueError(
            f"scores have shapes {tuple(positive.shape)} and {tuple(negative.shape)}; each is (n,) with n >= 2"
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it is in (0, 1)")

    def wins(scores: Tensor, others: Tensor) -> Tensor:
        """The share of `others` below each score, ties counted half."""
        ordered = others.sort().values
        below, upto = torch.searchsorted(ordered, scores), torch.searchsorted(ordered, scores, right=True)
        return (below + upto).double() / (2 * len(others))

    of_positive, of_negative = wins(positive, negative), 1.0 - wins(negative, positive)
    value = float(of_positive.mean())
    variance = float(of_positive.var() / len(positive) + of_negative.var() / len(negative))
    reach = math.sqrt(2.0 * variance) * float(torch.erfinv(torch.tensor(confidence, dtype=torch.float64)))
    return AreaUnderCurve(value=value, low=max(0.0, value - reach), high=min(1.0, value + reach), confidence=confidence)


@dataclass(frozen=True, kw_only=True)
class ClassifierTwoSample:
    """Held-out accuracy at telling real from fake, with its distribution under equal distributions."""

    accuracy: float
    """In [0, 1]; 1/2 is chance."""
    p_value: float
    """P(accuracy at least this) under N(1/2, 1 / (4 n)): one-sided, uniform if real and fake are equal in law."""
    null_deviation: float
    """1 / (2 sqrt(n)): the accuracy's standard deviation under equal distributions."""
    auc: AreaUnderCurve
    """Of the classifier's scores, real as positives."""
    num_test: int
    """Held-out samples n of both sides."""
    classifier: Kind
    """What was trained."""


def classifier_two_sample(
    real: Tensor, fake: Tensor, *, seed: int, classifier: Kind = "logistic", test_share: float = 0.5
) -> ClassifierTwoSample:
    """Train a classifier to tell real from fake on one part of the samples, and test it on the rest.

    Args:
        real: features (N, d).
        fake: features (N, d).
        seed: of the split and of the classifier.
        classifier: `logistic` regression, or `mlp`: one hidden layer of 64.
        test_share: share of the samples held out, in (0, 1).

    Raises:
        ValueError: unequal counts (chance would not be 1/2), fewer than 10 a side, or test_share out of range.
    """
    real, fake = pair(real, fake, 10)
    if len(real) != len(fake):
        raise ValueError(
            f"{len(real)} real and {len(fake)} fake samples; chance is 1/2 only with equal counts: draw equally many"
        )
    held = round(len(real) * test_share) if 0 < test_share < 1 else 0
    if not 2 <= held <= len(real) - 2:
        raise ValueError(f"test_share is {test_share}; it leaves {held} of {len(real)} samples a side to test on")
    values = np.concatenate([real.cpu().numpy(), fake.cpu().numpy()])
    labels = np.repeat([1, 0], len(real))
    # Each side is split apart. Split together, a surplus of one label in training is a lack of it in testing, and the
    # accuracy falls below 1/2 under equal distributions.
    random = np.random.Generator(np.random.Philox(seed))
    orders = random.permutation(len(real)), len(real) + random.permutation(len(real))
    test, train = (np.concatenate([o[part] for o in orders]) for part in (slice(held), slice(held, None)))
    num_test = len(test)
    model = _fit(values[train], labels[train], seed, classifier)
    scores = model.predict_proba(values[test])[:, 1]
    accuracy = float((model.predict(values[test]) == labels[test]).mean())
    deviation = 0.5 / math.sqrt(num_test)
    found = torch.from_numpy(np.ascontiguousarray(scores))
    positive = torch.from_numpy(labels[test] == 1)
    return ClassifierTwoSample(
        accuracy=accuracy,
        p_value=0.5 * math.erfc((accuracy - 0.5) / deviation / math.sqrt(2)),
        null_deviation=deviation,
        auc=area_under_curve(found[positive], found[~positive]),
        num_test=num_test,
        classifier=classifier,
    )


@dataclass(frozen=True, kw_only=True)
class ClassAccuracy:
    """Accuracy of a classifier on data it was not trained on, whole and class by class."""

    accuracy: float
    """Share of test samples classified right."""
    per_class: dict[int, float]
    """The same by true class, of the classes in the test set."""
    missing: tuple[int, ...]
    """Classes of the test set that the training set lacks."""
    num_train: int
    """Training samples."""
    num_test: int
    """Test samples."""
    classifier: Kind
    """What was trained."""


def gan_train(
    fake: Tensor, fake_labels: Tensor, real: Tensor, real_labels: Tensor, *, seed: int, classifier: Kind = "logistic"
) -> ClassAccuracy:
    """Train on fakes, test on real data that the generator has not seen: what the fakes teach.

    Lost diversity lowers it too. Compare with `class_accuracy` of as many real training samples.

    Args:
        fake: features (M, d).
        fake_labels: the classes they were asked for (M,), integers.
        real: features (N, d).
        real_labels: their classes (N,), integers.
        seed: of the classifier.
        classifier: see `classifier_two_sample`.

    Raises:
        ValueError: labels that are not integers (N,), or one class alone.
    """
    return class_accuracy(fake, fake_labels, real, real_labels, seed=seed, classifier=classifier)


def gan_test(
    real: Tensor, real_labels: Tensor, fake: Tensor, fake_labels: Tensor, *, seed: int, classifier: Kind = "logistic"
) -> ClassAccuracy:
    """Train on real data, test on fakes: whether each fake looks like its class. Blind to diversity.

    Above the accuracy on held-out real data the fakes are easier than reality: copies or prototypes.

    Args:
        real: features (N, d).
        real_labels: their classes (N,), integers.
        fake: features (M, d).
        fake_labels: the classes they were asked for (M,), integers.
        seed: of the classifier.
        classifier: see `classifier_two_sample`.

    Raises:
        ValueError: labels that are not integers (N,), or one class alone.
    """
    return class_accuracy(real, real_labels, fake, fake_labels, seed=seed, classifier=classifier)


def class_accuracy(
    train: Tensor,
    train_labels: Tensor,
    test: Tensor,
    test_labels: Tensor,
    *,
    seed: int,
    classifier: Kind = "logistic",
) -> ClassAccuracy:
    """Accuracy on `test` (N, d) of a classifier trained on `train` (M, d).

    Raises:
        ValueError: labels that are not integers (N,), or one class alone in the training set.
    """
    train, test = pair(train, test, names=("train", "test"))
    known, truth = _labels(train_labels, train, "train_labels"), _labels(test_labels, test, "test_labels")
    if len(np.unique(known)) < 2:
        raise ValueError(f"the training set holds class {known[0]} alone; a classifier needs two")
    model = _fit(train.cpu().numpy(), known, seed, classifier)
    right = model.predict(test.cpu().numpy()) == truth
    classes = [int(c) for c in np.unique(truth)]
    return ClassAccuracy(
        accuracy=float(right.mean()),
        per_class={c: float(right[truth == c].mean()) for c in classes},
        missing=tuple(c for c in classes if c not in known),
        num_train=len(train),
        num_test=len(test),
        classifier=classifier,
    )


@dataclass(frozen=True, kw_only=True)
class PerClass(Generic[T]):
    """A metric taken class by class."""

    values: dict[int, T]
    """By class, of the classes that both sides hold."""
    missing: tuple[int, ...]
    """Classes of the real side that have no fake: a finding, never dropped from the report."""
    unknown: tuple[int, ...]
    """Classes of the fake side that have no real sample."""


def per_class(
    metric: Callable[[Tensor, Tensor], T], real: Tensor, real_labels: Tensor, fake: Tensor, fake_labels: Tensor
) -> PerClass[T]:
    """`metric(real, fake)` of each class's features; (N, d) and (M, d) with integer labels (N,) and (M,).

    Raises:
        ValueError: labels that are not integers (N,), or what the metric raises.
    """
    real, fake = pair(real, fake)
    truth, made = _labels(real_labels, real, "real_labels"), _labels(fake_labels, fake, "fake_labels")
    of_real, of_fake = {int(c) for c in truth}, {int(c) for c in made}
    return PerClass(
        values={
            c: metric(real[torch.from_numpy(truth == c)], fake[torch.from_numpy(made == c)])
            for c in sorted(of_real & of_fake)
        },
        missing=tuple(sorted(of_real - of_fake)),
        unknown=tuple(sorted(of_fake - of_real)),
    )


def _labels(labels: Tensor, features: Tensor, name: str) -> np.ndarray:
    if labels.shape != (len(features),) or labels.is_floating_point() or labels.is_complex():
        raise ValueError(
            f"{name} is {labels.dtype} {tuple(labels.shape)} for {len(features)} samples; "
            f"it is integer ({len(features)},)"
        )
    return labels.cpu().numpy()


def _fit(values: np.ndarray, labels: np.ndarray, seed: int, classifier: Kind) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    match classifier:
        case "logistic":
            model = LogisticRegression(max_iter=5000)
        case "mlp":
            # Stops by a held-out part of its own training samples, so it never runs into max_iter on noise.
            model = MLPClassifier((64,), early_stopping=True, max_iter=1000, random_state=seed)
        case _:
            raise ValueError(f"no classifier is called {classifier!r}; there are logistic, mlp")
    return make_pipeline(StandardScaler(), model).fit(values, labels)
