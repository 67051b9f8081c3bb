"""ClusterGAN: noise that is part one-hot, and an encoder that finds it again: clusters without labels.

Source: Mukherjee, Asnani, Lin & Kannan, "ClusterGAN: Latent Space Clustering in Generative Adversarial Networks", 2018,
    arXiv:1809.03627, Eq. 3 (the code is found again) and section 3 (normal part of deviation 0.1 beside a one-hot one);
    critic of Gulrajani et al., 2017, arXiv:1704.00028, as in the authors' code, with their networks (those of InfoGAN,
    without norm in the critic and the encoder), Adam, weights and 5 moves.
Differs from the paper: as many convolutions as halve a picture of any size to 7 pixels or more; no weight decay.
    Samples are of averaged weights (`--weights raw` takes the last ones).
Expect: "G+E/cluster" falls to nearly 0 within some thousand steps: E reads the cluster of every sample.
    MNIST, 75,000 images, seed 0: 42 % of test digits in the right cluster, k-means on pixels 53 (`python -m
    benchmarks.clusters cluster_gan --images 75k --seeds 0`); the paper's .95 is of many more images.
    Digits, width 16, lr 1e-3, 1 move, 100,000 images: 50 %, seeds 0, 1 (untrained 25, 22 %).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import losses, penalties
from ..nets import dense
from ..recipe import EMPTY, Adam, Batch, DataSpec, Made, Recipe, Terms, Turn, noise, uniform


@dataclass(frozen=True, kw_only=True)
class ClusterGAN(Recipe):
    serving: ClassVar[tuple[str, ...]] = ("G", "E")

    clusters: int = 10
    """How many clusters there are."""
    z_dim: int = 30
    """Length of the normal part of the noise."""
    spread: float = 0.1
    """Its standard deviation: small beside the one-hot part, which so decides."""
    width: int = 64
    """Channels at half the picture's size; doubled at every halving, up to 8 times."""
    find_noise: float = 10.0
    """Weight of finding the normal part again (beta_n)."""
    find_cluster: float = 10.0
    """Weight of finding the cluster again (beta_c)."""
    penalty: float = 10.0
    """Weight of the gradient penalty of the critic."""
    moves: int = 5
    """Moves of the critic a step."""
    lr: float = 1e-4
    """Adam's step size, of all networks."""
    betas: tuple[float, float] = (0.5, 0.9)
    """Adam's decay rates, of all networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        both = self.z_dim + self.clusters
        return {
            "G": dense.Generator(both, data.shape, self.width),
            "E": dense.Encoder(data.shape, self.width, both),
            "D": dense.Discriminator(data.shape, self.width),
        }

    def optimizers(self) -> dict[str, Adam]:
        return dict.fromkeys(("G", "E", "D"), Adam(self.lr, self.betas))

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn(("D",), self.critic_loss, repeat=self.moves),
            Turn(("G", "E"), self.generator_loss),
        )

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](self.prior(nets, n)[0])

    def gives(self) -> tuple[Made, ...]:
        return ("cluster", "picture", "latent")

    def apply(self, nets: nn.ModuleDict, x: Tensor, what: Made) -> Tensor:
        z, logits = self.encode(nets, x)
        code = torch.cat((z, logits.softmax(1)), 1)
        return {"cluster": code[:, self.z_dim :], "latent": code}[what] if what != "picture" else nets["G"](code)

    def prior(self, nets: nn.ModuleDict, n: int) -> tuple[Tensor, Tensor]:
        """Noise (n, z_dim + clusters), and the cluster of each (n,)."""
        z = self.spread * noise(nets, n, self.z_dim)
        cluster = (uniform(z, n) * self.clusters).long()
        return torch.cat((z, F.one_hot(cluster, self.clusters).to(z.dtype)), 1), cluster

    def encode(self, nets: nn.ModuleDict, x: Tensor) -> tuple[Tensor, Tensor]:
        """What E reads off samples: the normal part (N, z_dim), and logits of clusters (N, clusters)."""
        z, logits = nets["E"](x).split((self.z_dim, self.clusters), 1)
        return z, logits

    def critic_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Gulrajani et al., Eq. 3."""
        with torch.no_grad():
            fake = self.sample(nets, len(batch["x"]))
        return {
            "wasserstein": losses.wasserstein(nets["D"](batch["x"]), nets["D"](fake)),
            "penalty": self.penalty * penalties.wgan_gp(nets["D"], batch["x"], fake),
        }

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 3."""
        code, cluster = self.prior(nets, len(batch["x"]))
        fake = nets["G"](code)
        z, logits = self.encode(nets, fake)
        return {
            "adversarial": -nets["D"](fake).mean(),
            "noise": self.find_noise * (z - code[:, : self.z_dim]).square().mean(),
            "cluster": self.find_cluster * F.cross_entropy(logits, cluster),
        }
