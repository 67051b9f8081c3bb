"""Dropout whose draws are cheap and belong to the step."""

from __future__ import annotations

from torch import Tensor, nn

from ..step.randomness import kept


class Dropout(nn.Dropout):
    """Each value is 0 with probability `p` in training, else it is scaled to keep its mean.

    As `torch.nn.Dropout`, but with 16 random bits a value instead of 64: p is rounded to 1 part in 65,536 (the scale is
    that of the rounded one). Its draws come from the step's generators, so that a captured step repeats them.
    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014, section 4.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(...) to the same."""
        if not self.training or not self.p:
            return input
        share = round((1 - self.p) * 65_536) / 65_536
        if not share:
            return input * 0
        return input * kept(input, share).to(input.dtype).mul_(1 / share)
