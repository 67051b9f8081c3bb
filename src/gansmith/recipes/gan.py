"""GAN: two fully connected networks, one that makes samples and one that tells them from real ones.

Source: Goodfellow et al., "Generative Adversarial Nets", 2014, arXiv:1406.2661, Algorithm 1, Eq. 1 and section 3.
Differs from the paper: LeakyReLU instead of maxout and sigmoid units; Adam instead of momentum.
Expect: "D/real" and "D/fake" settle between 0.3 and 0.7 (0.69 is a D that cannot tell). Ring of 8
    Gaussians, width 32, dropout 0, lr 1e-3, z_dim 8, batch 64, 190,000 images, seeds 0-2: all 8 modes, 41 to 56 % of
    high quality (`pytest -s tests/test_learns.py`); the defaults do much worse there: dropout blurs the modes.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from .. import losses
from ..nets import mlp
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, noise, normal


@dataclass(frozen=True, kw_only=True)
class GAN(Recipe):
    """Fully connected GAN; see the module's docstring."""

    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    z_dim: int = 100
    """Length of the noise vector; data of few columns want about as few."""
    width: int = 256
    """Units of G's first layer and D's last; the two layers beside have 2 and 4 times as many."""
    dropout: float = 0.3
    """Share of D's units that are dropped in training."""
    saturating: bool = False
    """G minimises log(1 - D(G(z))), the minimax game, instead of -log D(G(z))."""
    balance: float = 0.0
    """D rests on real samples, or on fakes, while its accuracy on that part of the batch is within this of 0.5.
    Adam's momentum still moves it. The accuracy is that of one rank's micro-batch. 0 means it never rests."""
    instance_noise: float = 0.0
    """Standard deviation of the Gaussian noise added to real and fake samples before D sees them."""
    noise_decay_images: float = 0.0
    """Instance noise falls linearly to 0 over so many images shown; 0 keeps it constant."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        widths = (self.width, 2 * self.width, 4 * self.width)
        return {
            "G": mlp.Generator(self.z_dim, data.shape, widths, bounded=data.kind == "image"),
            "D": mlp.Discriminator(data.shape, widths[::-1], self.dropout),
        }

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 1, from scores."""
        with torch.no_grad():
            fake = self.sample(nets, len(batch["x"]))
        both = torch.cat((self.blur(batch["x"], batch), self.blur(fake, batch)))
        real_scores, fake_scores = nets["D"](both).chunk(2)
        return {
            "real": self.rest(losses.logistic_real(real_scores), real_scores > 0),
            "fake": self.rest(losses.logistic_fake(fake_scores), fake_scores < 0),
        }

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Section 3 (non-saturating), or Eq. 1."""
        scores = nets["D"](self.blur(self.sample(nets, len(batch["x"])), batch))
        return {"adversarial": losses.saturating(scores) if self.saturating else losses.logistic_real(scores)}

    def blur(self, x: Tensor, batch: Batch) -> Tensor:
        """x with instance noise (Sonderby et al., 2016, arXiv:1610.04490)."""
        if not self.instance_noise:
            return x
        decay = (1 - batch["images"] / self.noise_decay_images).clamp_min(0) if self.noise_decay_images else 1.0
        return x + self.instance_noise * decay * normal(x)

    def rest(self, loss: Tensor, correct: Tensor) -> Tensor:
        """The loss, or 0 with no gradient while about half of the answers are correct; without a device wait."""
        return torch.where((correct.float().mean() - 0.5).abs() < self.balance, loss.detach() * 0, loss)
