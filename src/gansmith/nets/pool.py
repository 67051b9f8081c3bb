"""A pool of past fakes for D, so that it does not forget what G made before.

Source: Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", 2017,
arXiv:1612.07828, section 2.3; as Zhu et al., 2017, arXiv:1703.10593, section 4, have it: 50 pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Pool(nn.Module):
    """The last fakes, (size, *shape), as buffers: saved with the run, so that a resumed run goes on with them.

    It takes the fakes of all ranks in one order, so it is the same on every rank.
    """

    alike = True
    fakes: Tensor
    count: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]):
        super().__init__()
        self.size = size
        self.register_buffer("fakes", torch.zeros(size, *shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, fakes: Tensor, draws: Tensor) -> Tensor:
        """Fakes (n, *shape) and uniform numbers (n, 2) to fakes (n, *shape), in which past ones take some places.

        One by one: while the pool is not full, each is kept and returned; then with a chance of half one of the pool
        is returned and replaced by it, else it is returned itself.
        """
        if not self.size:
            return fakes
        returned = []
        for fake, (swap, where) in zip(fakes.to(self.fakes.dtype), draws, strict=True):
            full = self.count >= self.size
            slot = torch.where(full, (where * self.size).long().clamp(max=self.size - 1), self.count)[None]
            old = self.fakes.index_select(0, slot)
            taken = full & (swap < 0.5)
            kept = taken | ~full
            returned.append(torch.where(taken, old[0], fake))
            self.fakes.index_copy_(0, slot, torch.where(kept, fake[None], old))
            self.count += ~full
        return torch.stack(returned)
