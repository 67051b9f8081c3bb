"""A mean over recent images, kept as buffers: for path lengths, ADA's statistic, the centre of the styles."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Running(nn.Module):
    """The mean of what was observed over the last `half_life` images or so.

    What a step observes counts from the next step on: by then micro-batches have been summed and ranks averaged (as
    every floating buffer is), so that both see what one process with the whole batch would see.
    """

    mean: Tensor
    latest: Tensor
    parts: Tensor
    seen: Tensor

    def __init__(self, *shape: int, half_life: float):
        super().__init__()
        self.half_life = half_life
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("latest", torch.zeros(shape))  # the mean of this step so far
        self.register_buffer("parts", torch.zeros(()))  # micro-batches in it
        self.register_buffer("seen", torch.zeros(()))  # images shown when the last step observed something

    @torch.no_grad()
    def advance(self, images: Tensor) -> Tensor:
        """Begin the step at so many images shown: what the last one observed counts from here on.

        Returns () the images since then: 0 if this step was begun before, as in all but its first micro-batch.
        """
        images = images.to(self.seen)
        passed = images - self.seen
        new = passed > 0
        rate = math.log(2) / self.half_life
        # The first weight is 1, so that the mean is not pulled to 0, where it starts.
        weight = torch.expm1(-rate * passed) / torch.expm1(-rate * images).clamp_max(-1e-12)
        mean = self.mean.lerp(self.latest, weight.expand_as(self.mean))
        self.mean.copy_(torch.where(new, mean, self.mean))
        self.latest.copy_(torch.where(new, 0.0, self.latest))
        self.parts.copy_(torch.where(new, 0.0, self.parts))
        self.seen.copy_(images)
        return passed

    @torch.no_grad()
    def add(self, values: Tensor) -> None:
        """Take in values (N, *shape) of the step that was begun; its micro-batches are alike in size."""
        self.parts.add_(1)
        self.latest.add_((values.detach().to(self.latest).mean(0) - self.latest) / self.parts)
