"""RSGAN: D says of a real and a fake sample which is which, and G is judged by the same question.

Source: Jolicoeur-Martineau, "The relativistic discriminator: a key element missing from standard GAN", 2018,
    arXiv:1807.00734, section 4.1, Eq. 9 and 10.
Differs from the paper: pictures use DCGAN's networks; vectors fully connected ones. Samples are of averaged weights
    (`--weights raw` takes the last ones).
Expect: "D/pairing" starts at 0.69 and drops; "G/pairing" rises. Ring of 8 Gaussians, width 16, z_dim 2, lr 1e-3,
    batch 64, 150,000 images, seed 0 alone: 8 modes, 53.6 % of high quality (`pytest -s -m slow
    tests/test_learns_objectives.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..losses import relativistic
from ..nets.pair import pair
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, judged, noise


@dataclass(frozen=True, kw_only=True)
class RSGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    z_dim: int = 100
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors: layers are 8 times as wide."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        return pair(self.z_dim, data.shape, self.width)

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 9."""
        return {"pairing": relativistic(*judged(nets, self.sample, batch["x"]))}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 10: the real scores take part, though G cannot change them."""
        with torch.no_grad():
            real_scores = nets["D"](batch["x"])
        return {"pairing": relativistic(nets["D"](self.sample(nets, len(batch["x"]))), real_scores)}
