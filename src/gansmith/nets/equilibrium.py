"""BEGAN's k: how much D cares about fakes, moved so that both players stay in balance.

Source: Berthelot et al., "BEGAN: Boundary Equilibrium Generative Adversarial Networks", 2017, arXiv:1703.10717, section
3.4: k is 0 at first and k + gain (gamma L(x) - L(G(z))) after each step, kept within [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Equilibrium(nn.Module):
    """k as a buffer: saved with the run, so that a resumed run goes on with it.

    What the moves of a step add counts from the next step on: by then micro-batches have been summed and ranks
    averaged, so that both find the k that one process with the whole batch would.
    """

    k: Tensor
    total: Tensor
    parts: Tensor
    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("k", torch.zeros(()))
        self.register_buffer("total", torch.zeros(()))  # gamma L(x) of D's moves, - L(G(z)) of G's, in this step
        self.register_buffer("parts", torch.zeros(()))  # how many were added up: two for each micro-batch
        self.register_buffer("seen", torch.zeros(()))  # images shown when the last step began

    @torch.no_grad()
    def advance(self, images: Tensor, gain: float) -> Tensor:
        """k at the step that begins at so many images shown: () float32, no device wait."""
        new = images > self.seen
        moved = (self.k + gain * 2 * self.total / self.parts.clamp_min(1)).clamp(0, 1)
        self.k.copy_(torch.where(new, moved, self.k))
        self.total.copy_(torch.where(new, 0.0, self.total))
        self.parts.copy_(torch.where(new, 0.0, self.parts))
        self.seen.copy_(torch.maximum(self.seen, images))
        return self.k.clone()

    @torch.no_grad()
    def add(self, value: Tensor) -> None:
        """Take in gamma L(x) or - L(G(z)) of one micro-batch, a () tensor."""
        self.total.add_(value.detach().to(self.total))
        self.parts.add_(1)
