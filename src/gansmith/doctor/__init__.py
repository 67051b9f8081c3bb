"""What can be wrong with a run, by name."""

from .look import look

__all__ = ["look"]
