"""Scores of texts, each a sequence of tokens: n-gram overlap with real lines, with one another, variety, copies.

A score of overlap alone is no proof of quality: a generator that repeats one real line has a perfect BLEU, and one that
is only cautious has a better one than real lines. So BLEU is read beside self-BLEU, and both beside those of held-out
real lines (Caccia et al., "Language GANs Falling Short", 2018, arXiv:1811.02549).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

Line = Sequence[Hashable]
_EPSILON = 0.1


class References:
    """Lines that others are held against: of every n-gram, the most often it occurs in one line, and in which."""

    def __init__(self, lines: Sequence[Line], n: int) -> None:
        """`n` is the longest n-gram. Raises `ValueError` if there are no lines."""
        if not lines:
            raise ValueError("BLEU needs at least one reference")
        self.n = n
        self.lengths = Counter(len(line) for line in lines)
        # The most, whose it is, and the most in any other line: what a line is held against when it is one of these.
        self.most: dict[tuple[Hashable, ...], tuple[int, int, int]] = {}
        for i, line in enumerate(lines):
            for k in range(1, n + 1):
                for gram, count in _grams(line, k).items():
                    first, whose, second = self.most.get(gram, (0, -1, 0))
                    if count > first:
                        self.most[gram] = (count, i, first)
                    elif count > second:
                        self.most[gram] = (first, whose, count)

    def count(self, gram: tuple[Hashable, ...], without: int = -1) -> int:
        """The most often an n-gram occurs in one line, line number `without` left out."""
        first, whose, second = self.most.get(gram, (0, -1, 0))
        return second if whose == without and without >= 0 else first

    def length(self, target: int, own: int = -1) -> int:
        """The length nearest to `target`, the shorter of two; one line of length `own` left out."""
        found = [n for n, count in self.lengths.items() if count > (n == own)]
        return min(found, key=lambda n: (abs(n - target), n))


def _grams(line: Line, k: int) -> Counter[tuple[Hashable, ...]]:
    return Counter(tuple(line[i : i + k]) for i in range(len(line) - k + 1))


def sentence_bleu(line: Line, references: References, without: int = -1) -> tuple[float, ...]:
    """BLEU-1 ... BLEU-n of one line: geometric mean of clipped n-gram precisions, times the brevity penalty.

    Source: Papineni et al., "BLEU", 2002, section 2.3; a precision of 0 becomes 0.1 / count (method 1 of Chen & Cherry,
    2014), as the Texygen benchmark scores. A line that shares no word with the references scores 0. `without`: the
    number of the reference that is this line itself.
    """
    length = len(line)
    if not length:
        return (0.0,) * references.n
    logs, found = 0.0, []
    reference = references.length(length, length if without >= 0 else -1)
    brevity = 0.0 if length > reference else 1 - reference / length
    for k in range(1, references.n + 1):
        own = _grams(line, k)
        hits = sum(min(count, references.count(gram, without)) for gram, count in own.items())
        if k == 1 and not hits:
            return (0.0,) * references.n
        logs += math.log((hits or _EPSILON) / max(sum(own.values()), 1))
        found.append(math.exp(brevity + logs / k))
    return tuple(found)


def bleu(lines: Sequence[Line], references: Sequence[Line], n: int = 5) -> dict[int, float]:
    """{2: BLEU-2, ... n: BLEU-n}, each the mean over the lines, against all references at once."""
    known = References(references, n)
    return _means([sentence_bleu(line, known) for line in lines], n)


def self_bleu(lines: Sequence[Line], n: int = 5) -> dict[int, float]:
    """{2: ..., n: ...}: the mean BLEU of each line against all the others. High means that lines resemble one another.

    Source: Zhu et al., "Texygen", 2018, arXiv:1802.01886, section 2.2.
    """
    if len(lines) < 2:
        raise ValueError("self-BLEU needs at least 2 lines")
    known = References(lines, n)
    return _means([sentence_bleu(line, known, without=i) for i, line in enumerate(lines)], n)


def _means(found: Sequence[tuple[float, ...]], n: int) -> dict[int, float]:
    return {k: sum(scores[k - 1] for scores in found) / max(len(found), 1) for k in range(2, n + 1)}


def distinct(lines: Sequence[Line], k: int) -> float:
    """The share of k-grams, of all lines together, that are different ones.

    Source: Li et al., "A Diversity-Promoting Objective Function for Neural Conversation Models", 2016,
    arXiv:1510.03055. It falls with the number of lines: compare equal numbers.
    """
    grams = [tuple(line[i : i + k]) for line in lines for i in range(len(line) - k + 1)]
    return len(set(grams)) / max(len(grams), 1)


def duplicates(lines: Sequence[Line]) -> float:
    """The share of lines that repeat an earlier one."""
    return 1 - len(set(map(tuple, lines))) / max(len(lines), 1)


def copies(lines: Sequence[Line], known: Sequence[Line]) -> float:
    """The share of lines that are, token by token, one of the known."""
    there = set(map(tuple, known))
    return sum(tuple(line) in there for line in lines) / max(len(lines), 1)
