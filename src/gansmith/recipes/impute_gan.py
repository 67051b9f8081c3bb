"""ImputeGAN: fills the holes of a table by what it learnt from hiding cells, and draws them by a game. Of no paper.

Source: none for the whole. Guesses: cells that are there are hidden at random and guessed from the rest, as in Vincent
    et al., "Extracting and Composing Robust Features with Denoising Autoencoders", 2008. Draws: posterior sampling by a
    conditional GAN, whose mean is tied to the guess (Bendel et al., "A Regularized Conditional GAN for Posterior
    Sampling in Image Recovery Problems", 2023, arXiv:2210.13389, has the idea; the unbiased product of two draws'
    errors is ours). The game: relativistic pairing with R1 and R2 (arXiv:2501.05441, Eq. 2, 4, 5).
How it works: G guesses every hidden cell; that is what `apply` writes, and D has no part in it. Beside it, a small
    network adds noise to the guess, so that D cannot tell the completed row from the real one: D sees both, and which
    cells were known. There is no hint. `apply --draw` writes such draws: several of them show how sure a cell is.
Expect: "G/guess" is in units of each column's variance (and nats). What was measured: docs/tabular.md.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..data import Draw, HeldOut, TableCodec
from ..losses import relativistic
from ..nets import mlp, table
from ..penalties import scored, squared_norm
from ..recipe import EMPTY, Adam, Average, Batch, DataSpec, Ramp, Recipe, Terms, Turn, noise, uniform


@dataclass(frozen=True, kw_only=True)
class ImputeGAN(Recipe):
    """Imputation by hiding cells, with a GAN for draws; see the module's docstring."""

    kinds: ClassVar[frozenset[str]] = frozenset({"table"})
    takes: ClassVar[frozenset[str]] = frozenset({"x", "draw"})
    chosen_by: ClassVar[str] = "RMSE of held-out cells"

    width: int = 128
    """Units of G's blocks and of D's layers."""
    blocks: int = 3
    """Residual blocks of G."""
    waves: int = 4
    """Frequencies in which G sees a number, beside the number itself."""
    hide: float = 0.4
    """Each row hides a share of its cells to learn from, uniform between 0 and this."""
    held_out: float = 0.05
    """Share of the observed cells that losses leave out. The weights that fill them best serve."""
    adversarial: float = 0.1
    """Weight of the game for draws; 0 has neither D nor draws of numbers."""
    gamma: float = 0.1
    """Weight of D's gradient penalties R1 and R2."""
    z_dim: int = 16
    """Length of a draw's noise."""
    temperature: float = 0.2
    """Of the Gumbel-softmax that shows categories to D."""
    lr: float = 2e-3
    """Adam's step size, of both networks."""
    decay_images: float = 1e6
    """Over so many rows shown, lr falls to 2 % along half a cosine."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Adam's decay rates, of both networks."""
    weight_decay: float = 0.01
    """Of G."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        assert isinstance(data.codec, TableCodec)
        z_dim = self.z_dim if self.adversarial else 0
        nets: dict[str, nn.Module] = {"G": table.Completer(data.codec, self.width, self.blocks, self.waves, z_dim)}
        return nets | ({"D": mlp.Discriminator((3 * data.codec.width,), (self.width,) * 2)} if z_dim else {})

    def optimizers(self) -> dict[str, Adam]:
        lr = Ramp(self.lr, 0.02 * self.lr, self.decay_images)
        whole = {"G": Adam(lr, self.betas, weight_decay=self.weight_decay), "D": Adam(lr, self.betas)}
        return whole if self.adversarial else {"G": whole["G"]}

    def draw(self) -> Draw:
        return HeldOut(self.held_out)

    def average(self) -> Average:
        return Average(half_life=50_000)

    def turns(self) -> tuple[Turn, ...]:
        guess = Turn(("G",), self.generator_loss)
        return (Turn(("D",), self.discriminator_loss), guess) if self.adversarial else (guess,)

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        """`given["x"]` (n, W): encoded rows, NaN where a cell is missing. Guesses, or draws if `"draw"` is given (n,).
        Without rows, draws of whole rows.
        """
        net, like = _g(nets), next(nets.parameters())
        x = given["x"].to(like) if "x" in given else like.new_full((n, net.cells.size), torch.nan)
        there = ~x.isnan()
        features, raw = net(x, there)
        if "x" not in given or "draw" in given:
            raw = self.moved(nets, features, raw)
            noisy = -(-uniform(raw, *raw.shape).clamp(1e-6, 1 - 1e-6).log()).log()
            raw = raw + torch.where(net.cells.binary, noisy, 0.0)  # the largest is a draw (Gumbel)
        return torch.where(there, x, net.row(raw))

    def moved(self, nets: nn.ModuleDict, features: Tensor, raw: Tensor) -> Tensor:
        """A draw about a guess; the guess itself where there is no game."""
        return _g(nets).drawn(features, raw, noise(nets, len(raw), self.z_dim)) if self.adversarial else raw

    def hidden(self, nets: nn.ModuleDict, x: Tensor) -> tuple[Tensor, Tensor]:
        """Which of the cells that are there stay known, and which are hidden to be guessed, each (N, W)."""
        cells, there = _g(nets).cells, ~x.isnan()
        rate = self.hide * uniform(x, len(x), 1)
        asked = there & (cells.by_column(uniform(x, len(x), cells.num_columns)) < rate)
        return there & ~asked, asked

    def judged(
        self, nets: nn.ModuleDict, x: Tensor, drawn: Tensor, known: Tensor, asked: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What D sees: real rows, the same completed, and beside either which cells were known and which hidden."""
        real = torch.where(known | asked, _g(nets).standard(x), 0.0)
        made = _g(nets).chosen(drawn, uniform(x, *x.shape), self.temperature)
        return real, torch.where(asked, made, real), torch.cat((known, asked), 1).to(real.dtype)

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Real rows against their completions, in pairs; penalties on the gradient by the cells alone."""
        x = table.kept(batch)
        with torch.no_grad():
            known, asked = self.hidden(nets, x)
            drawn = self.moved(nets, *nets["G"](x, known))
            real, fake, masks = self.judged(nets, x, drawn, known, asked)
        beside = torch.cat((masks, masks))
        scores, slope = scored(lambda rows: nets["D"](torch.cat((rows, beside), 1)), torch.cat((real, fake)))
        penalty = self.gamma / 2 * squared_norm(slope)
        r1, r2 = penalty.chunk(2)
        return {"pairing": relativistic(*scores.chunk(2)), "r1": r1.mean(), "r2": r2.mean()}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Guesses of the hidden cells; draws that D takes for real rows, whose mean is the guess."""
        x, net = table.kept(batch), _g(nets)
        known, asked = self.hidden(nets, x)
        net.observe(x, known | asked, batch["images"])
        features, guess = net(x, known)
        most = 2 / self.hide  # one over the share of cells that is hidden on average
        terms = {"guess": most * net.missed(guess, guess, x, asked)}
        if not self.adversarial:
            return terms
        features, guess = features.detach(), guess.detach()  # the guess is no business of D's
        one, two = (self.moved(nets, features, guess) for _ in range(2))
        real, fake, masks = self.judged(nets, x, one, known, asked)
        target = nets["D"](torch.cat((real, masks), 1)).detach()
        fooled = relativistic(nets["D"](torch.cat((fake, masks), 1)), target)
        return terms | {"draws": most * net.missed(one, two, x, asked), "pairing": self.adversarial * fooled}

    def errors(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Of the observed cells that losses leave out."""
        x, known = batch["x"], table.kept(batch)
        made = self.sample(nets, len(x), {"x": known})
        return {self.chosen_by: _g(nets).cells.error(made, x, known.isnan() & ~x.isnan())}


def _g(nets: nn.ModuleDict) -> table.Completer:
    found = nets["G"]
    assert isinstance(found, table.Completer)
    return found
