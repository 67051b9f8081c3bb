"""GAN: two networks, one that makes samples and one that tells them from real ones; with the tricks of the early years.

Source: Goodfellow et al., "Generative Adversarial Nets", 2014, arXiv:1406.2661, Algorithm 1, Eq. 1 and section 3.
    Options: instance noise, Sonderby et al., 2016, arXiv:1610.04490; Salimans et al., 2016, arXiv:1606.03498, section
    3.1 (feature matching), 3.2 (minibatch discrimination), 3.3 (historical averaging), 3.4 (one-sided label smoothing);
    two time scales, Heusel et al., 2017, arXiv:1706.08500; weights, He et al., 2015, and Glorot & Bengio, 2010;
    `nets` conv, Radford et al., 2015, arXiv:1511.06434.
Differs from the paper: LeakyReLU instead of maxout and sigmoid units; Adam instead of momentum. Samples are of averaged
    weights (`--weights raw` takes the last ones); noise is normal, the paper's uniform.
Expect: "D/real" and "D/fake" settle between 0.3 and 0.7 (0.69 is a D that cannot tell). Ring of 8
    Gaussians, width 32, dropout 0, lr 1e-3, z_dim 8, batch 64, 190,000 images, seeds 0-2: all 8 modes, 43 to 56 % of
    high quality (`pytest -s tests/test_learns.py`); the defaults do much worse there: dropout blurs the modes.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from .. import losses
from ..augment.noise import instance_noise
from ..nets import conv, mlp
from ..nets.initial import initialise
from ..nets.shapes import picture
from ..penalties import History
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, joined, judged, noise, of_all_ranks


@dataclass(frozen=True, kw_only=True)
class GAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "vector"})

    z_dim: int = 100
    """Length of the noise vector; data of few columns want about as few."""
    nets: Literal["mlp", "conv"] = "mlp"
    """The networks: mlp is fully connected, as in the paper; conv takes those of `dcgan`, for pictures."""
    width: int = 256
    """mlp: units of G's first layer and D's last; the two layers beside have 2 and 4 times as many. conv: four times
    the channels at half the picture's size, which double at every halving, up to 8 times."""
    dropout: float = 0.3
    """mlp: share of D's units that are dropped in training."""
    saturating: bool = False
    """G minimises log(1 - D(G(z))), the minimax game, instead of -log D(G(z))."""
    balance: float = 0.0
    """D rests on real samples, or on fakes, while its accuracy on that part of the batch is within this of 0.5.
    Adam's momentum still moves it. The accuracy is that of one micro-batch. 0 means it never rests."""
    instance_noise: float = 0.0
    """Standard deviation of the Gaussian noise added to real and fake samples before D sees them."""
    noise_decay_images: float = 0.0
    """Instance noise falls linearly to 0 over so many images shown; 0 keeps it constant."""
    label_smoothing: float = 0.0
    """D calls real samples real with a probability of 1 minus this (one-sided); 0.1 is usual."""
    matching: bool = False
    """G matches the mean features of D's last hidden layer on real samples (feature matching) instead of fooling D."""
    kernels: int = 0
    """Kernels of minibatch discrimination before D's last layer; it compares the samples of one micro-batch."""
    history: float = 0.0
    """Weight of historical averaging: both networks are drawn to the mean of all their past weights."""
    initial: Literal["own", "he", "xavier", "normal"] = "own"
    """How weights start: own (PyTorch's; with conv N(0, 0.02)), he, xavier or normal (N(0, 0.02))."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    lr_ratio: float = 1.0
    """D's step size over G's: two time scales where it is not 1."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        nets: dict[str, nn.Module]
        if self.nets == "conv":
            if not picture(data.shape):
                raise ValueError("gan's conv takes pictures; the data are vectors: leave nets at mlp")
            channels = max(self.width // 4, 1)
            nets = {
                "G": conv.Generator(self.z_dim, data.shape, channels),
                "D": conv.Discriminator(data.shape, channels, kernels=self.kernels),
            }
        else:
            widths = (self.width, 2 * self.width, 4 * self.width)
            nets = {
                "G": mlp.Generator(self.z_dim, data.shape, widths, bounded=data.bounded),
                "D": mlp.Discriminator(data.shape, widths[::-1], self.dropout, kernels=self.kernels),
            }
        for net in nets.values():
            initialise(net, self.initial)
        return nets | ({f"past_{k}": History(net) for k, net in nets.items()} if self.history else {})

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.lr, self.betas), "D": Adam(self.lr * self.lr_ratio, self.betas)}

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("D",), self.discriminator_loss), Turn(("G",), self.generator_loss))

    def rows_together(self) -> int:
        return 0 if self.matching or self.kernels else 1

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G"](noise(nets, n, self.z_dim))

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 1, from scores."""
        # Batch norm is in conv alone; kernels compare real samples with each other, fakes with each other.
        together = self.nets == "mlp" and not self.kernels
        real, fake = judged(nets, self.sample, batch["x"], view=lambda x: self.blur(x, batch), together=together)
        return {
            "real": self.rest(losses.logistic_real(real, 1 - self.label_smoothing), real > 0),
            "fake": self.rest(losses.logistic_fake(fake), fake < 0),
        } | self.averaging(nets, "D", batch)

    def rest(self, loss: Tensor, correct: Tensor) -> Tensor:
        """The loss, unless D is to rest: so many of its answers to all ranks' rows are correct."""
        return losses.resting(loss, of_all_ranks(correct.float())[0], self.balance) if self.balance else loss

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Section 3 (non-saturating), Eq. 1, or feature matching."""
        fake = self.blur(self.sample(nets, len(batch["x"])), batch)
        if self.matching:
            features = nets["D"].get_submodule("layers")
            with torch.no_grad():
                real = features(self.blur(batch["x"], batch))
            terms = {"matching": losses.feature_matching(joined(real), joined(features(fake)))}
        else:
            scores = nets["D"](fake)
            terms = {"adversarial": losses.saturating(scores) if self.saturating else losses.logistic_real(scores)}
        return terms | self.averaging(nets, "G", batch)

    def blur(self, x: Tensor, batch: Batch) -> Tensor:
        """x with instance noise."""
        return instance_noise(x, self.instance_noise, batch["images"], self.noise_decay_images)

    def averaging(self, nets: nn.ModuleDict, role: str, batch: Batch) -> Terms:
        """Historical averaging of one network, if it has a weight."""
        if not self.history:
            return {}
        return {"history": self.history * nets[f"past_{role}"](nets[role], batch["images"])}
