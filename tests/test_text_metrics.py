"""Scores of texts against closed forms and against NLTK's BLEU."""

import random

import pytest

from gansmith.metrics.text import References, bleu, copies, distinct, duplicates, self_bleu, sentence_bleu


def lines(seed: int, n: int = 12) -> list[tuple[str, ...]]:
    draw = random.Random(seed)
    return [tuple(draw.choice("abcdef") for _ in range(draw.randint(2, 9))) for _ in range(n)]


def test_bleu_of_known_sentences() -> None:
    known = References([["the", "cat", "is", "on", "the", "mat"], ["there", "is", "a", "cat", "on", "the", "mat"]], 4)
    found = sentence_bleu(["the", "cat", "the", "cat", "on", "the", "mat"], known)
    # Unigrams: "the" counts twice at most, "cat" once: 5 of 7. Bigrams: the cat (1 of 2), cat on, on the, the mat: 4 of
    # 6. Trigrams: cat on the, on the mat: 2 of 5. Of 4-grams one of 4. Lengths agree: no brevity penalty.
    products = (5 / 7, 5 / 7 * 4 / 6, 5 / 7 * 4 / 6 * 2 / 5, 5 / 7 * 4 / 6 * 2 / 5 * 1 / 4)
    assert found == pytest.approx([p ** (1 / k) for k, p in enumerate(products, 1)])
    none = sentence_bleu(["mat", "the"], known)  # no bigram: 0.1 of 1
    assert none[1] == pytest.approx((0.1**0.5) * 2.718281828 ** (1 - 6 / 2))
    assert sentence_bleu(("nothing", "here"), known) == (0.0,) * 4
    assert sentence_bleu((), known) == (0.0,) * 4
    short = sentence_bleu(["the", "cat"], known)
    assert short[0] == pytest.approx(2.718281828 ** (1 - 6 / 2))  # brevity against the nearest length, 6


def test_bleu_is_nltks() -> None:
    nltk = pytest.importorskip("nltk.translate.bleu_score", reason="NLTK is the reference here")
    smooth = nltk.SmoothingFunction().method1
    made, known = lines(1), lines(2)
    for n in (2, 3, 4, 5):
        weights = (1 / n,) * n
        expected = [nltk.sentence_bleu(known, line, weights, smoothing_function=smooth) for line in made]
        assert bleu(made, known)[n] == pytest.approx(sum(expected) / len(expected), rel=1e-9)
        others = [
            nltk.sentence_bleu(made[:i] + made[i + 1 :], line, weights, smoothing_function=smooth)
            for i, line in enumerate(made)
        ]
        assert self_bleu(made)[n] == pytest.approx(sum(others) / len(others), rel=1e-9)


def test_self_bleu_leaves_the_line_itself_out() -> None:
    assert self_bleu([("a", "b", "c", "d", "e"), ("v", "w", "x", "y", "z")])[2] == 0
    assert self_bleu([("a", "b", "c", "d", "e")] * 2)[5] == pytest.approx(1)
    made = lines(3, 30)
    plain = [
        sum(sentence_bleu(line, References(made[:i] + made[i + 1 :], 3))[2] for i, line in enumerate(made)) / len(made)
    ]
    assert self_bleu(made, 3)[3] == pytest.approx(plain[0])
    with pytest.raises(ValueError, match="at least 2"):
        self_bleu([("a",)])


def test_variety_and_copies() -> None:
    made = [("a", "b"), ("a", "b"), ("a", "c")]
    assert distinct(made, 1) == pytest.approx(3 / 6) and distinct(made, 2) == pytest.approx(2 / 3)
    assert duplicates(made) == pytest.approx(1 / 3)
    assert copies(made, [("a", "c"), ("x",)]) == pytest.approx(1 / 3)
    assert distinct([], 2) == 0 and copies([], []) == 0
