"""BEGAN: D is an autoencoder, and the two players are held in balance by one number that is steered.

Source: Berthelot et al., "BEGAN: Boundary Equilibrium Generative Adversarial Networks", 2017, arXiv:1703.10717,
    section 3.4 (k, gamma, gain 0.001, L1 errors).
Differs from the paper: strided convolutions with layer norm in place of ELU and nearest-neighbour upsampling, tanh at
    the end (G and D's decoder are of one kind, as there); noise is normal; no decay of the step size on a plateau. k
    follows from the G move of the same step, and D moves first. Samples are of averaged weights (`--weights raw` takes
    the last ones).
Expect: "D/error" is the reconstruction error of real samples less k times that of fakes; "G/fake" stays near gamma
    times the former. It does not learn the ring of 8 Gaussians, which an autoencoder copies with ease: width
    16, z_dim 2, code 2, gain 0.01, lr 1e-3, batch 64, 100,000 images, seed 0 alone: no mode at all
    (`pytest -s -m slow tests/test_learns_objectives.py`). Pictures have not been measured yet.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..nets.autoencoder import AutoEncoder
from ..nets.equilibrium import Equilibrium
from ..nets.pair import pair
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, noise, of


@dataclass(frozen=True, kw_only=True)
class BEGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    z_dim: int = 64
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors: layers are 8 times as wide."""
    code: int = 64
    """Length of the code between D's encoder and decoder; data of few columns want fewer."""
    gamma: float = 0.5
    """The error of fakes over that of real samples that is steered to, 0 to 1: lower is sharper and less varied."""
    gain: float = 0.001
    """How fast k follows (lambda_k)."""
    lr: float = 1e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        return {
            "G": pair(self.z_dim, data.shape, self.width, norm="layer")["G"],
            "D": AutoEncoder(data.shape, self.width, self.code),
            "K": Equilibrium(),  # frozen: buffers alone
        }

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """L(x) - k L(G(z)), on fakes of D's own noise."""
        with torch.no_grad():
            fake = self.sample(nets, len(batch["x"]))
        k = of(nets, "K", Equilibrium).advance(batch["images"], self.gain)
        real_error, fake_error = self.reconstruction(nets, torch.cat((batch["x"], fake))).chunk(2)
        of(nets, "K", Equilibrium).add(self.gamma * real_error.mean())
        return {"error": real_error.mean() - k * fake_error.mean()}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """L(G(z)); k moves by gain (gamma L(x) - L(G(z))) before the next step."""
        error = self.reconstruction(nets, self.sample(nets, len(batch["x"]))).mean()
        of(nets, "K", Equilibrium).add(-error)
        return {"fake": error}

    def reconstruction(self, nets: nn.ModuleDict, x: Tensor) -> Tensor:
        """L: mean absolute error of a value, (N, ...) to (N,)."""
        again = nets["D"](x)[0]
        return (again.float() - x.float() if again.dtype == torch.bfloat16 else again - x).abs().flatten(1).mean(1)
