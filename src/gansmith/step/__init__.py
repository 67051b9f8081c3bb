"""One training step, on one or many ranks."""

from .randomness import Stream, Tape, derive, draws, gathered, joined, kept, noise, normal, of_all_ranks, uniform
from .ranks import Ranks, Setting
from .step import Step
from .turn import EMPTY, Adam, Average, Batch, Ramp, Rule, Terms, Turn

__all__ = [
    "EMPTY",
    "Adam",
    "Average",
    "Batch",
    "Ramp",
    "Ranks",
    "Rule",
    "Setting",
    "Step",
    "Stream",
    "Tape",
    "Terms",
    "Turn",
    "derive",
    "draws",
    "gathered",
    "joined",
    "kept",
    "noise",
    "normal",
    "of_all_ranks",
    "uniform",
]
