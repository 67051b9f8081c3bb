"""AAE: an autoencoder whose codes an adversary makes to look like draws from a prior.

Source: Makhzani, Shlens, Jaitly, Goodfellow & Frey, "Adversarial Autoencoders", 2015, arXiv:1511.05644, section 2 (the
    two phases; deterministic posterior), section 5 (clusters), appendix A (two hidden layers of ReLU, Euclidean cost;
    for clusters batch norm in the encoder, its last layer included: without it all samples fall into one cluster).
Differs from the paper: Adam instead of momentum with falling rates, its moments shared by both phases of E; E has no
    dropout on its input when it clusters. Samples are of averaged weights (`--weights raw` takes the last ones); the
    codes' prior is N(0, 1).
Expect: "E+G/reconstruction" falls and stays low while "D" terms settle near 0.7: D cannot tell codes from the prior.
    Digits, width 200, batch 100, 30,000 images, seed 0: squared error on held-out digits 2,156, of the mean picture
    4,872. 10 clusters of the same, lr 1e-3, 40,000 images, seeds 0-2: 73, 77 and 77 % of held-out digits as their
    labels say, k-means on pixels 76, untrained 27 to 32 (`pytest -s -m "slow or not slow"
    tests/test_learns_encoders.py`).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import losses
from ..nets import mlp
from ..recipe import EMPTY, Adam, Batch, DataSpec, Made, Recipe, Terms, Turn, noise, uniform


@dataclass(frozen=True, kw_only=True)
class AAE(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})
    serving: ClassVar[tuple[str, ...]] = ("G", "E")

    z_dim: int = 8
    """Length of the code, its prior standard normal. With clusters it holds what they leave open (the style)."""
    clusters: int = 0
    """So many clusters beside the code: a one-hot code of its own, made to look like draws of equally likely ones."""
    width: int = 1000
    """Units of each hidden layer of all networks."""
    adversarial: float = 1.0
    """Weight of the regularisation phase in E, beside half the squared error summed over a sample's values."""
    lr: float = 2e-4
    """Adam's step size, of all networks."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of all networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        widths, both, norm = (self.width, self.width), self.z_dim + self.clusters, bool(self.clusters)
        nets: dict[str, nn.Module] = {
            "G": mlp.Generator(both, data.shape, widths, bounded=data.bounded, slope=0.0),
            "E": mlp.Encoder(data.shape, widths, both, slope=0.0, batch_norm=norm, last_norm=norm),
            "D": mlp.Discriminator((self.z_dim,), widths, slope=0.0),
        }
        return nets | ({"D_y": mlp.Discriminator((self.clusters,), widths, slope=0.0)} if self.clusters else {})

    def optimizers(self) -> dict[str, Adam]:
        return dict.fromkeys(("G", "E", *self.judges()), Adam(self.lr, self.betas))

    def turns(self) -> tuple[Turn, ...]:
        return (
            Turn(("E", "G"), self.reconstruction_loss),
            Turn(self.judges(), self.discriminator_loss),
            Turn(("E",), self.regularisation_loss),
        )

    def judges(self) -> tuple[str, ...]:
        """The discriminators: of the code, and of the one-hot code."""
        return ("D", "D_y") if self.clusters else ("D",)

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](torch.cat(self.prior(nets, n), 1))

    def gives(self) -> tuple[Made, ...]:
        return ("cluster", "picture", "latent") if self.clusters else ("picture", "latent")

    def apply(self, nets: nn.ModuleDict, x: Tensor, what: Made) -> Tensor:
        codes = self.encode(nets, x)
        return {"cluster": codes[-1], "latent": codes[0]}[what] if what != "picture" else nets["G"](torch.cat(codes, 1))

    def prior(self, nets: nn.ModuleDict, n: int) -> tuple[Tensor, ...]:
        """What codes are to look like: (n, z_dim), and one-hot (n, clusters)."""
        z = noise(nets, n, self.z_dim)
        if not self.clusters:
            return (z,)
        return z, F.one_hot((uniform(z, n) * self.clusters).long(), self.clusters).to(z.dtype)

    def encode(self, nets: nn.ModuleDict, x: Tensor) -> tuple[Tensor, ...]:
        """The codes of x: (n, z_dim), and a probability for each cluster (n, clusters)."""
        z, logits = nets["E"](x).split((self.z_dim, self.clusters), 1)
        return (z, logits.softmax(1)) if self.clusters else (z,)

    def reconstruction_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Section 2, the reconstruction phase."""
        again = nets["G"](torch.cat(self.encode(nets, batch["x"]), 1))
        return {"reconstruction": losses.squared_error(again, batch["x"])}

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Section 2, the regularisation phase: draws of the prior are what is real."""
        with torch.no_grad():
            codes = self.encode(nets, batch["x"])
        terms = {}
        for name, real, fake in zip(self.judges(), self.prior(nets, len(batch["x"])), codes, strict=True):
            terms[f"real{name[1:]}"] = losses.logistic_real(nets[name](real))
            terms[f"fake{name[1:]}"] = losses.logistic_fake(nets[name](fake))
        return terms

    def regularisation_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """The same phase: E is the generator of codes."""
        codes = self.encode(nets, batch["x"])
        return {
            f"adversarial{name[1:]}": self.adversarial * losses.logistic_real(nets[name](code))
            for name, code in zip(self.judges(), codes, strict=True)
        }
