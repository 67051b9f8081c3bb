"""SeqGAN: a recurrent generator of text, rewarded by a discriminator for every token through policy gradients.

Source: Yu, Zhang, Wang, Yu, "SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient", 2017,
    arXiv:1609.05473, Algorithm 1, Eq. 1, 4, 5 and 8, section 3.2. Defaults: sections 4 and 5 and the authors' code.
Differs from the paper: shorter first stages, so that 200,000 lines reach the last. D sees fresh samples of G at each of
    `discriminator_moves` moves, where the paper draws 10,000 and passes over them several times. No gradient clipping.
Expect: "G/nll" falls to a plateau in the first stage; then "D/fake" falls; "G/policy" then says little by itself. With
    the authors' oracle: plateau 9.00 (published 9.038), in the last stage 8.66 after 60 steps (published 8.736). A
    control that rewards all tokens alike has the same gain: it is that of a lower temperature (docs/text.md).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from .. import losses
from ..data import TextCodec
from ..nets import sequence
from ..recipe import EMPTY, Adam, Average, Batch, DataSpec, Recipe, Terms, Turn, judged, of, uniform


@dataclass(frozen=True, kw_only=True)
class SeqGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"text"})
    takes: ClassVar[frozenset[str]] = frozenset({"temperature"})

    likelihood_steps: int = 2_800
    """Steps in which G alone learns by maximum likelihood. In the authors' code 18,720: 120 epochs of 156
    whole batches of 64."""
    discriminator_steps: int = 100
    """Steps after them in which D alone learns; from then on both move."""
    discriminator_moves: int = 15
    """Moves of D in each of its steps, each on a fresh batch of real and of drawn lines. The authors' D moves some
    4,680 times (15 epochs of 312 batches) for each step of G, and 46,800 before the first."""
    rollouts: int = 16
    """Ways in which a line is continued from each of its tokens, whose mean score is that token's reward (N)."""
    rollout_keep: float = 0.0
    """Share of its old weights that the network which continues lines keeps each step: 0 is G itself, as in
    Algorithm 1; the authors' code has 0.8."""
    baseline: bool = False
    """Take the reward of the tokens before away from each reward: the same gradient on average, less noise."""
    embedding: int = 32
    """Length of G's vector of a token; D's is twice as long."""
    hidden: int = 32
    """Units of G's LSTM."""
    width: int = 100
    """Feature maps of D's narrowest windows; others have up to twice as many."""
    dropout: float = 0.25
    """Share of D's features that are dropped in training."""
    penalty: float = 0.2
    """Weight of the squared norm (halved) of D's last layer."""
    g_lr: float = 1e-2
    """Adam's step size, of G."""
    policy_rate: float = 1.0
    """How much of it G's moves by rewards take."""
    d_lr: float = 1e-4
    """Adam's step size, of D."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        assert isinstance(data.codec, TextCodec)
        words, (length,), end = len(data.codec.vocabulary), data.shape, data.codec.end
        g = sequence.Generator(words, length, self.embedding, self.hidden, end=end)
        d = sequence.Discriminator(words, length, 2 * self.embedding, self.width, self.dropout)
        return {"G": g, "D": d} | ({"R": sequence.Follower(g, self.rollout_keep)} if self.rollout_keep else {})

    def optimizers(self) -> dict[str, Adam]:
        return {"G": Adam(self.g_lr, (0.9, 0.999)), "D": Adam(self.d_lr, (0.9, 0.999))}

    def turns(self) -> tuple[Turn, ...]:
        first, second = self.likelihood_steps, self.likelihood_steps + self.discriminator_steps
        return (
            Turn(("G",), self.likelihood_loss, stop=first),
            Turn(("G",), self.policy_loss, start=second, rate=self.policy_rate, fresh=True),
            Turn(("D",), self.discriminator_loss, start=first, repeat=self.discriminator_moves),
        )

    def average(self) -> Average:
        return Average(half_life=0)  # G itself is sampled: few steps of the last stage change much

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        g = of(nets, "G", sequence.Generator)
        return g(uniform(g.head.weight, n, g.length), given.get("temperature"))

    def likelihood_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Negative log-likelihood of real lines, a token."""
        lines = batch["x"]
        return {"nll": -of(nets, "G", sequence.Generator).log_prob(lines).sum(1).mean() / lines.shape[1]}

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 5."""
        real, fake = judged(nets, self.sample, batch["x"], together=True)
        head = of(nets, "D", sequence.Discriminator).head
        decay = torch.stack([p.square().sum() for p in head.parameters()]).sum() / 2
        return {
            "real": losses.logistic_real(real),
            "fake": losses.logistic_fake(fake),
            "decay": self.penalty * decay,
        }

    def policy_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 8, summed over tokens: its gradient is that of minus the expected reward."""
        g = of(nets, "G", sequence.Generator)
        with torch.no_grad():
            if self.rollout_keep:
                of(nets, "R", sequence.Follower).follow(g, batch["step"])
            lines = self.sample(nets, len(batch["x"]))
            rewards = self.rewards(nets, lines)
        # A sum over tokens, as in the authors' code; Adam of this stage begins with moments of its own.
        return {"policy": -(g.log_prob(lines) * rewards).sum(1).mean()}

    def rewards(self, nets: nn.ModuleDict, lines: Tensor) -> Tensor:
        """Eq. 4: of each token (N, T) of lines (N, T), how real D finds lines that begin as this one up to it."""
        (n, length), first = lines.shape, 0 if self.baseline else 1
        policy = of(nets, "R", sequence.Follower).net if self.rollout_keep else of(nets, "G", sequence.Generator)
        ways = policy.rollouts(lines, uniform(policy.head.weight, n, self.rollouts, length - first, length), first)
        d = of(nets, "D", sequence.Discriminator)
        before = d.certain(ways.flatten(0, 2)).sigmoid().view(n, self.rollouts, -1).mean(1)
        rewards = torch.cat((before, d.certain(lines).sigmoid()[:, None]), 1)
        return rewards.diff(dim=1) if self.baseline else rewards
