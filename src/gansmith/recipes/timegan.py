"""TimeGAN: a GAN of series in the space of a recurrent autoencoder, with a supervisor that teaches the next step.

Source: Yoon, Jarrett & van der Schaar, "Time-series Generative Adversarial Networks", 2019 (NeurIPS), Eq. 7 to 11 and
    section 4.2; weights, the moment loss, the stages and D's rest of the authors' code.
Differs from the paper: lengths and what does not change are channels that G makes itself, where the code copies lengths
    from real data; columns are mapped to [0, 1] over all data. In a joint step G moves `moves` times, then E and R as
    often, each on a fresh batch; the code alternates them on one batch. Where D rests, its Adam still moves by what it
    has gathered. Adam of the joint stage starts anew, as in the code. GRUs have PyTorch's initial weights. Samples are
    of averaged weights (`--weights raw` takes the last ones).
Expect: in the first stage "E+R/restored" falls, in the second "S/next", then "G+S/moments". How good samples are is
    not measured yet.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.kinds.series.codec import SeriesCodec
from ..nets import series
from ..recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Terms, Turn, joined, uniform


@dataclass(frozen=True, kw_only=True)
class TimeGAN(Recipe):
    """GAN of series in the space of an autoencoder; see the module's docstring."""

    kinds: ClassVar[frozenset[str]] = frozenset({"series"})
    serving: ClassVar[tuple[str, ...]] = ("G", "S", "R")

    embedding_steps: int = 1_000
    """Steps in which E and R alone learn to code series and restore them. The authors' code: as many as joint ones."""
    supervised_steps: int = 1_000
    """Steps after them in which S alone learns the next code of real series; from then on all move. Also as many."""
    moves: int = 2
    """Moves of G with S, and of E with R, in a step of the joint stage."""
    hidden: int = 24
    """Units of each layer of all networks, and the length of a code."""
    layers: int = 3
    """Layers of all networks but S, which has one less."""
    z_dim: int = 0
    """Length of the noise vector of each step; 0 takes as many as the data has channels."""
    restore: float = 10.0
    """Weight of the root of the mean squared error of restored series, in [0, 1]."""
    supervised: float = 100.0
    """Weight, for G and S, of the root of S's mean squared error in the next code (eta)."""
    leading: float = 0.1
    """Weight of that mean squared error for E and R (lambda)."""
    moments: float = 100.0
    """Weight of the differences of mean and deviation over the batch, of each channel at each step."""
    gamma: float = 1.0
    """Weight of D's scores of what G makes, beside those of what S makes of it."""
    rests_below: float = 0.15
    """D rests while its loss is below this."""
    lr: float = 1e-3
    """Adam's step size, of all networks."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's decay rates, of all networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        assert isinstance(data.codec, SeriesCodec)
        (steps, width), hidden = data.shape, self.hidden
        return {
            "E": series.Recurrent(width, hidden, self.layers, hidden),
            "R": series.Recovery(data.codec, hidden, self.layers),
            "G": series.Writer(steps, self.z_dim or width, hidden, self.layers),
            "S": series.Recurrent(hidden, hidden, max(self.layers - 1, 1), hidden),
            "D": series.Recurrent(hidden, hidden, self.layers, 1, bounded=False),
        }

    def optimizers(self) -> dict[str, Adam]:
        return {role: Adam(self.lr, self.betas) for role in "ERGSD"}

    def rows_together(self) -> int:
        return 0  # roots of means, moments over the batch, D's rest

    def turns(self) -> tuple[Turn, ...]:
        first, second = self.embedding_steps, self.embedding_steps + self.supervised_steps
        return (
            Turn(("E", "R"), self.autoencoder_loss, stop=first),
            # The code lists G here too, but its supervised loss is of real codes alone: no gradient reaches G.
            Turn(("S",), self.supervisor_loss, start=first, stop=second),
            Turn(("G", "S"), self.generator_loss, repeat=self.moves, start=second, fresh=True),
            Turn(("E", "R"), self.embedding_loss, repeat=self.moves, start=second, fresh=True),
            Turn(("D",), self.discriminator_loss, start=second),
        )

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return _r(nets).encoded(nets["R"](nets["S"](self.written(nets, n))))

    def written(self, nets: nn.ModuleDict, n: int) -> Tensor:
        """G's codes (n, T, hidden) of uniform noise."""
        g = nets["G"]
        assert isinstance(g, series.Writer)
        return g(uniform(g.head.weight, n, g.steps, g.z_dim))

    def autoencoder_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 7, as a root."""
        x = _r(nets).unit(batch["x"])
        return {"restored": self.restore * _error(nets["R"](nets["E"](x)), x).sqrt()}

    def supervisor_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 9: S makes the next code of each."""
        with torch.no_grad():
            h = nets["E"](_r(nets).unit(batch["x"]))
        return {"next": _next(nets["S"](h), h)}

    def embedding_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 10: the codes must also be such that S knows the next."""
        x = _r(nets).unit(batch["x"])
        h = nets["E"](x)
        return {
            "restored": self.restore * _error(nets["R"](h), x).sqrt(),
            "next": self.leading * _next(nets["S"](h), h),
        }

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 8 and 11 for G and S, and the moments of what R makes of their codes."""
        x = _r(nets).unit(batch["x"])
        with torch.no_grad():
            h = nets["E"](x)
        written = self.written(nets, len(x))
        led, known = nets["S"](torch.cat((written, h))).chunk(2)
        scores, direct = nets["D"](torch.cat((led, written))).chunk(2)
        made, real = joined(nets["R"](led)), joined(x)
        deviations = [(rows.var(0, correction=0) + 1e-6).sqrt() for rows in (made, real)]
        moments = (made.mean(0) - real.mean(0)).abs().mean() + (deviations[0] - deviations[1]).abs().mean()
        return {
            "fool": F.softplus(-scores).mean(),
            "direct": self.gamma * F.softplus(-direct).mean(),
            "next": self.supervised * _next(known, h).sqrt(),
            "moments": self.moments * moments,
        }

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 8 for D, at every step of a series; all terms are 0 while their sum is below `rests_below`."""
        with torch.no_grad():
            h = nets["E"](_r(nets).unit(batch["x"]))
            written = self.written(nets, len(h))
            led = nets["S"](written)
        real, fake, direct = nets["D"](torch.cat((h, led, written))).chunk(3)
        terms = {"real": F.softplus(-real), "fake": F.softplus(fake), "direct": self.gamma * F.softplus(direct)}
        terms = {name: joined(t.mean((1, 2))).mean() for name, t in terms.items()}
        # Without a device wait: whether D moves is decided by tensors.
        moves = torch.stack(list(terms.values())).sum() > self.rests_below
        return {name: torch.where(moves, t, t.detach() * 0) for name, t in terms.items()}


def _error(made: Tensor, x: Tensor) -> Tensor:
    """Mean squared error over the batch of all ranks."""
    return joined((made - x).square().mean((1, 2))).mean()


def _next(led: Tensor, h: Tensor) -> Tensor:
    """The mean squared error of S at step t against the code of step t + 1."""
    return _error(led[:, :-1], h[:, 1:])


def _r(nets: nn.ModuleDict) -> series.Recovery:
    net = nets["R"]
    assert isinstance(net, series.Recovery)
    return net
