"""What a person sees while it trains: how far, how fast, the terms, and a line when something is worth saying."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..options import TrainOptions

PLAIN_EVERY = 10.0
"""Seconds between lines where the output is not a terminal."""


class Progress:
    """A live line on a terminal, a plain line every few seconds elsewhere, nothing on the other ranks."""

    def __init__(self, options: TrainOptions, *, quiet: bool = False) -> None:
        self.options, self.quiet = options, quiet
        self.console = Console(stderr=True, highlight=False)
        self._live = Live(console=self.console, auto_refresh=False, transient=True)
        self._terms: Mapping[str, float] = {}
        self._shown = 0.0
        self._mark: tuple[float, int] = (0.0, 0)
        self._rate = 0.0

    def __enter__(self) -> Progress:
        self._shown = time.monotonic()
        self._mark = (-1.0, 0)
        if not self.quiet and self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Print a line (or more) that stays."""
        if not self.quiet:
            self.console.print(text, markup=False, soft_wrap=True)

    def terms(self, values: Mapping[str, float]) -> None:
        """The newest means of the terms."""
        self._terms = values

    def at(self, images: int, seconds: float) -> None:
        """Show how far it is; cheap to call every step."""
        now = time.monotonic()
        live = self._live.is_started
        if self.quiet or now - self._shown < (0.2 if live else PLAIN_EVERY):
            return
        self._shown = now
        if seconds > self._mark[0] >= 0:
            self._rate = (images - self._mark[1]) / (seconds - self._mark[0])
        elif seconds > 0 and self._mark[0] < 0 and not self._rate:
            self._rate = images / seconds
        if seconds - self._mark[0] > 5 or self._mark[0] < 0:
            self._mark = (seconds, images)
        line = self._line(images, seconds)
        if live:
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)
        else:
            self.console.print(line, markup=False, soft_wrap=True)

    def _line(self, images: int, seconds: float) -> str:
        budget, limit = self.options.budget or math.inf, self.options.minutes * 60 or math.inf
        left = min((budget - images) / self._rate if self._rate else math.inf, limit - seconds)
        share = max(images / budget, seconds / limit)
        terms = "  ".join(f"{name} {value:.3g}" for name, value in self._terms.items())
        return f"{share:4.0%}  {images:,} images  {self._rate:,.0f}/s  {_clock(left)} left  {terms}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
