"""PacGAN: D judges several samples together, all real or all fake, so that missing variety shows.

Source: Lin et al., "PacGAN: The power of two samples in generative adversarial networks", 2018, arXiv:1712.04086,
    section 2 (packing: only D's first layer grows), appendix on experiments (networks); losses of Goodfellow et al.,
    2014, Eq. 1. Vectors: width 50, z_dim 2, lr 1e-4 and betas 0.8 0.999 are the toy experiments'.
Differs from the paper: the batch size counts samples where the authors' code counts packs: multiply it by `pack`. Both
    networks do not move at once but in turns. Noise is normal; a pack is made of neighbours in the batch. Samples are
    of averaged weights (`--weights raw` takes the last ones).
Expect: "D/real" and "D/fake" as of `gan`. Ring of 8 Gaussians, width 8, z_dim 2, lr 1e-3, betas 0.8 0.999, batch 200,
    1,000,000 images, seeds 0-2: 7 or 8 modes, 81 to 91 % of high quality (`pytest -s -m slow tests/test_learns.py`).
    Beside its unpacked twin: docs/tables.md.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from .. import losses
from ..nets import conv, mlp
from ..nets.shapes import picture
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, judged, noise


@dataclass(frozen=True, kw_only=True)
class PacGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    pack: int = 2
    """Samples that D judges together (m in the paper). 1 is the plain GAN with the same networks."""
    z_dim: int = 100
    """Length of the noise vector."""
    width: int = 64
    """Pictures: channels at half size, doubled at every halving, up to 8 times. Vectors: G's four layers are 8 times
    as wide, D's three 4 times."""
    pieces: int = 5
    """Vectors: linear pieces of each of D's maxout units."""
    norm: Literal["batch", "none"] = "batch"
    """Batch norm in G and, for pictures, in D; none where ranks must equal one process."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        if self.pack < 1:
            raise ValueError(f"pack is {self.pack}: D judges at least 1 sample at a time")
        joined = (self.pack * data.shape[0], *data.shape[1:])
        if picture(data.shape):
            return {
                "G": conv.Generator(self.z_dim, data.shape, self.width, self.norm),
                "D": conv.Discriminator(joined, self.width, self.norm),
            }
        widths, batch_norm = (8 * self.width,) * 4, self.norm == "batch"
        nets: dict[str, nn.Module] = {
            "G": mlp.Generator(self.z_dim, data.shape, widths, bounded=False, slope=0.0, batch_norm=batch_norm),
            "D": mlp.MaxoutDiscriminator(joined, (4 * self.width,) * 3, self.pieces),
        }
        for layer in [m for net in nets.values() for m in net.modules() if isinstance(m, nn.Linear)]:
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        return nets

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr, self.betas)}

    def rows_together(self) -> int:
        return self.pack

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Goodfellow et al., Eq. 1, of packs."""
        real, fake = judged(nets, self.sample, batch["x"], view=self.packed)
        return {"real": losses.logistic_real(real), "fake": losses.logistic_fake(fake)}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Goodfellow et al., section 3: non-saturating."""
        fake = self.sample(nets, len(batch["x"]))
        return {"adversarial": losses.logistic_real(nets["D"](self.packed(fake)))}

    def packed(self, x: Tensor) -> Tensor:
        """Samples (N, d) as (N / pack, pack d), pictures (N, C, H, W) as (N / pack, pack C, H, W)."""
        if len(x) % self.pack:
            raise ValueError(
                f"{len(x)} samples cannot be joined in packs of {self.pack}: choose a batch size that is a multiple "
                f"of {self.pack} x ranks x micro-batches"
            )
        return x.reshape(len(x) // self.pack, self.pack * x.shape[1], *x.shape[2:])
