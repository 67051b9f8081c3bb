"""DCGAN: strided convolutions and batch norm, the first GAN that learned pictures reliably.

Source: Radford et al., "Unsupervised Representation Learning with Deep Convolutional GANs", 2015, arXiv:1511.06434,
    section 3 and 4 (architecture, Adam 2e-4, beta1 0.5, N(0, 0.02)); losses of Goodfellow et al., 2014, Eq. 1.
    Options: instance noise, Sonderby et al., 2016, arXiv:1610.04490; Salimans et al., 2016, arXiv:1606.03498, section
    3.1 (feature matching), 3.2 (minibatch discrimination), 3.3 (historical averaging), 3.4 (one-sided label smoothing);
    two time scales, Heusel et al., 2017, arXiv:1706.08500; weights, He et al., 2015, and Glorot & Bengio, 2010.
Differs from the paper: noise is normal, not uniform; a picture of H x W pixels gets as many stages as halve it to about
    4 pixels (64 x 64 has the paper's four); `width` is 64 where the paper's G has 128.
Expect: "D/real" and "D/fake" stay well below 0.69; both near 0 for long means that D has won.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from .. import losses
from ..augment import instance_noise
from ..nets import conv
from ..nets.initial import initialise
from ..penalties import History
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, joined, judged, noise, of_all_ranks


@dataclass(frozen=True, kw_only=True)
class DCGAN(Recipe):
    """Deep convolutional GAN; see the module's docstring."""

    z_dim: int = 100
    """Length of the noise vector."""
    width: int = 64
    """Channels at half the picture's size; doubled at every halving, up to 8 times."""
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
    """How weights start: own (the paper's N(0, 0.02)), he, xavier or normal."""
    lr: float = 2e-4
    """Adam's step size, of both networks."""
    lr_ratio: float = 1.0
    """D's step size over G's: two time scales where it is not 1."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        nets: dict[str, nn.Module] = {
            "G": conv.Generator(self.z_dim, data.shape, self.width),
            "D": conv.Discriminator(data.shape, self.width, kernels=self.kernels),
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
        """Goodfellow et al., Eq. 1."""
        real, fake = judged(nets, self.sample, batch["x"], view=lambda x: self.blurred(x, batch))
        return {
            "real": self.rested(losses.logistic_real(real, 1 - self.label_smoothing), real > 0),
            "fake": self.rested(losses.logistic_fake(fake), fake < 0),
        } | self.past(nets, "D", batch)

    def rested(self, loss: Tensor, correct: Tensor) -> Tensor:
        """The loss, unless D is to rest: so many of its answers to all ranks' rows are correct."""
        return losses.resting(loss, of_all_ranks(correct.float())[0], self.balance) if self.balance else loss

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Goodfellow et al., section 3: non-saturating; or feature matching."""
        fake = self.blurred(self.sample(nets, len(batch["x"])), batch)
        if self.matching:
            features = nets["D"].get_submodule("layers")
            with torch.no_grad():
                real = features(self.blurred(batch["x"], batch))
            terms = {"matching": losses.feature_matching(joined(real), joined(features(fake)))}
        else:
            terms = {"adversarial": losses.logistic_real(nets["D"](fake))}
        return terms | self.past(nets, "G", batch)

    def blurred(self, x: Tensor, batch: Batch) -> Tensor:
        """x with instance noise."""
        return instance_noise(x, self.instance_noise, batch["images"], self.noise_decay_images)

    def past(self, nets: nn.ModuleDict, role: str, batch: Batch) -> Terms:
        """Historical averaging of one network, if it has a weight."""
        if not self.history:
            return {}
        return {"history": self.history * nets[f"past_{role}"](nets[role], batch["images"])}
