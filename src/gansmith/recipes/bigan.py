"""BiGAN: an encoder beside the generator; D judges a sample together with its code.

Source: Donahue, Krahenbuhl & Darrell, "Adversarial Feature Learning", 2016, arXiv:1605.09782, Eq. 2 and 3, section 3.4
    (G and E are given the inverse objective), section 4.1 (two layers of 1,024, uniform noise of 50, batch norm).
    Found at the same time as ALI: Dumoulin et al., 2016, arXiv:1606.00704.
Differs from the paper: D has no batch norm; lr stays what it is; no weight decay; G has LeakyReLU. Samples are of
    averaged weights (`--weights raw` takes the last ones).
Expect: "D" terms stay above 0.2. Nothing but the game asks for it, and yet G(E(x)) comes to look like x: another sample
    of its kind rather than a copy.
    Digits, width 256, z_dim 20, lr 5e-4, batch 64, 120,000 images, seeds 0, 1: a classifier of real digits sees in
    75.3, 73.6 % of reconstructions of held-out ones what they were made of (untrained 9.6 %), and is .69, .73 sure of
    samples (`pytest -s -m "slow or not slow" tests/test_learns_pictures.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from .. import losses
from ..nets import mlp
from ..recipe import EMPTY, Adam, Batch, DataSpec, Made, Recipe, Terms, Turn, uniform


@dataclass(frozen=True, kw_only=True)
class BiGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})
    serving: ClassVar[tuple[str, ...]] = ("G", "E")

    z_dim: int = 50
    """Length of the code; its prior is uniform in [-1, 1]."""
    width: int = 1024
    """Units of each hidden layer of all networks."""
    lr: float = 2e-4
    """Adam's step size, of all networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of all networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        widths = (self.width, self.width)
        size = torch.Size(data.shape).numel()
        return {
            "G": mlp.Generator(self.z_dim, data.shape, widths, bounded=data.bounded, batch_norm=True),
            "E": mlp.Encoder(data.shape, widths, self.z_dim, batch_norm=True),
            "D": mlp.Discriminator((size + self.z_dim,), widths),
        }

    def optimizers(self) -> dict[str, Adam]:
        return dict.fromkeys(("G", "E", "D"), Adam(self.lr, self.betas))

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G", "E"), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](self.prior(nets, n))

    def gives(self) -> tuple[Made, ...]:
        return ("picture", "latent")

    def apply(self, nets: nn.ModuleDict, x: Tensor, what: Made) -> Tensor:
        z = nets["E"](x)
        return z if what == "latent" else nets["G"](z)

    def prior(self, nets: nn.ModuleDict, n: int) -> Tensor:
        """Codes (n, z_dim)."""
        return 2 * uniform(next(nets.parameters()), n, self.z_dim) - 1

    def scores(self, nets: nn.ModuleDict, x: Tensor) -> tuple[Tensor, Tensor]:
        """D's scores of real samples with their codes, and of fakes with the codes they were made of: (N,) each."""
        z = self.prior(nets, len(x))
        pairs = ((x, nets["E"](x)), (nets["G"](z), z))
        real, fake = (torch.cat((a.flatten(1), b), 1) for a, b in pairs)
        return nets["D"](real), nets["D"](fake)

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 2."""
        real, fake = self.scores(nets, batch["x"])
        return {"real": losses.logistic_real(real), "fake": losses.logistic_fake(fake)}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Section 3.4: each kind of pair is to pass for the other."""
        real, fake = self.scores(nets, batch["x"])
        return {"code": losses.logistic_fake(real), "sample": losses.logistic_real(fake)}
