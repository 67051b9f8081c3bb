"""Scores during training, by which the weights that serve may be chosen."""

from __future__ import annotations

CHOICE_EVERY = 25_000
"""Images between looks at a recipe's own errors, unless --evaluate-every says otherwise."""
CHOICE_ROWS = 4_000
