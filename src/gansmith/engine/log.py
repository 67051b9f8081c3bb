"""The log of a run: mean terms, and the moment when one is no longer finite."""

from __future__ import annotations

from pathlib import Path


class Diverged(RuntimeError):
    """A term became infinite or NaN: holds the step, the term and the last good checkpoint."""

    def __init__(self, step: int, term: str, value: float, checkpoint: Path | None) -> None:
        self.step, self.term, self.value, self.checkpoint = step, term, value, checkpoint
        kept = f"the last good checkpoint is {checkpoint}" if checkpoint else "no checkpoint had been saved yet"
        super().__init__(
            f"training diverged: {term} became {value} by step {step}; {kept}. "
            "Try a lower --lr, a stronger penalty, or --precision fp32"
        )

    def __reduce__(self) -> tuple[type[Diverged], tuple[int, str, float, Path | None]]:
        return Diverged, (self.step, self.term, self.value, self.checkpoint)  # else a pool of processes breaks on it
