"""DoppelGANger: what holds for a whole series first, then its range, then its steps, several at a time.

Source: Lin, Jain, Wang, Fanti & Sekar, "Using GANs for Sharing Networked Time Series Data: Challenges, Initial Promise,
    and Open Questions", 2020, arXiv:1909.13403: section 4.1 (batched steps, auto-normalisation), 4.2 (attributes before
    steps, auxiliary discriminator), appendix B and the authors' code (sizes, flags).
Differs from the paper: a series ends within a turn of the LSTM, not only with it, so its steps need not be divisible;
    layers have PyTorch's initial weights; samples are drawn with averaged weights (`--weights raw` takes the last).
Expect: "D+A/gap" falls within some hundred steps, then climbs towards 0. How good samples are is not measured yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..data import Codec
from ..data.kinds.series.codec import SeriesCodec
from ..losses import wasserstein
from ..nets import mlp, series
from ..penalties import wgan_gp
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, noise


@dataclass(frozen=True, kw_only=True)
class DoppelGANger(Recipe):
    """GAN of attributes and series; see the module's docstring."""

    kinds: ClassVar[frozenset[str]] = frozenset({"series"})

    z_dim: int = 5
    """Length of the noise vector of attributes, and of that of ranges."""
    z_step: int = 5
    """Length of the noise vector of each turn of the LSTM."""
    together: int = 0
    """Steps that a turn of the LSTM makes (S); 0 takes a fiftieth of the longest series, as the paper advises."""
    own_range: bool = True
    """Scale each series by its own range and make that range an attribute, against series that are all alike."""
    width: int = 100
    """Units of the two hidden layers of G that make attributes, and of those that make ranges."""
    cell: int = 100
    """Units of the LSTM."""
    d_width: int = 200
    """Units of the four hidden layers of D, and of A."""
    penalty: float = 10.0
    """Weight of the gradient penalty, of D and of A."""
    auxiliary: float = 1.0
    """Weight of A, which judges attributes and ranges alone, for G (alpha)."""
    lr: float = 1e-3
    """Adam's step size, of all networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of all networks."""

    def codec(self, raw: DataSpec, stored: Mapping[str, np.ndarray]) -> Codec:
        assert isinstance(raw.codec, SeriesCodec)
        return replace(raw.codec, per_series=self.own_range)

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        assert isinstance(data.codec, SeriesCodec)
        z_dims = (self.z_dim, self.z_step)
        g = series.Doppelganger(data.codec, data.shape[0], self.together, z_dims, self.width, 2, self.cell)
        # Where nothing holds for a whole series, A sees one 0 and G learns nothing from it.
        return {
            "G": g,
            "D": mlp.Discriminator((g.num_judged,), (self.d_width,) * 4, slope=0.0),
            "A": mlp.Discriminator((max(g.num_attributes, 1),), (self.d_width,) * 4, slope=0.0),
        }

    def optimizers(self) -> dict[str, Adam]:
        return {role: Adam(self.lr, self.betas) for role in "GDA"}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D", "A"), self.critic_loss), Turn(("G",), self.generator_loss))

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return _g(nets).encoded(*self.made(nets, n))

    def made(self, nets: nn.ModuleDict, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Attributes and ranges, channels of steps, flags; of noise."""
        return nets["G"](noise(nets, n, _g(nets).num_noise))

    def critic_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Section 4.2, each with the penalty of arXiv:1704.00028, Eq. 3: one weight between real and fake for a whole
        series, its attributes and its steps.
        """
        with torch.no_grad():
            fake = _g(nets).flat(*self.made(nets, len(batch["x"])))
        real = _g(nets).judged(batch["x"]).to(fake.dtype)
        terms = {}
        for role, name in (("D", ""), ("A", "attribute_")):
            x, made = (_g(nets).known(rows) if role == "A" else rows for rows in (real, fake))
            terms[f"{name}gap"] = wasserstein(*nets[role](torch.cat((x, made))).chunk(2))
            terms[f"{name}penalty"] = self.penalty * wgan_gp(nets[role], x, made)
        return terms

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Both critics' scores."""
        fake = _g(nets).flat(*self.made(nets, len(batch["x"])))
        return {
            "score": -nets["D"](fake).float().mean(),
            "attribute_score": -self.auxiliary * nets["A"](_g(nets).known(fake)).float().mean(),
        }


def _g(nets: nn.ModuleDict) -> series.Doppelganger:
    net = nets["G"]
    assert isinstance(net, series.Doppelganger)
    return net
