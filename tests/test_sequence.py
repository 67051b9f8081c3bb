"""Networks that write and read tokens, and SeqGAN's rewards, against enumeration and against step-by-step loops."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gansmith.data import DataSpec, TextCodec
from gansmith.model.draw import draw_samples
from gansmith.nets import sequence
from gansmith.nets.sequence import Discriminator, Follower, Generator, alive, pick, token_nll
from gansmith.recipes.seqgan import SeqGAN
from gansmith.step.randomness import Stream, draws
from gansmith.step.step import Step


def generator(words: int = 5, length: int = 4, end: int = 0, spread: float = 3.0) -> Generator:
    torch.manual_seed(0)
    net = Generator(words, length, 6, 7, end=end)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(spread / 0.1 * 0.3)
    return net.double()


def sequences(words: int, length: int) -> Tensor:
    return torch.tensor(list(itertools.product(range(words), repeat=length)))


def test_pick_inverts_the_distribution_function() -> None:
    logits = torch.tensor([[0.1, 0.2, 0.0, 0.7]]).log().expand(5, 4)
    assert pick(logits, torch.tensor([0.0, 0.0999, 0.11, 0.31, 0.999999])).tolist() == [0, 0, 1, 3, 3]
    u = torch.rand(50_000, generator=torch.Generator().manual_seed(0))
    shares = torch.bincount(pick(logits[:1].expand(50_000, 4), u), minlength=4) / 50_000
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.2, 0.0, 0.7]), atol=0.01, rtol=0)


@pytest.mark.parametrize("words", [3, 256, 257, 1_000, 1_009])
def test_pick_in_two_searches_is_pick_in_one(words: int) -> None:
    random = torch.Generator().manual_seed(words)
    logits = 3 * torch.randn(500, words, generator=random, dtype=torch.float64)
    logits[::3, : words // 2] = -torch.inf  # chances that are exactly 0
    logits[1::3, -(words // 2) :] = -torch.inf
    u = torch.rand(500, generator=random, dtype=torch.float64)
    u[:6] = torch.tensor([0.0, 0.0, 0.0, 1 - 1e-16, 1 - 1e-16, 1 - 1e-16])
    sums = logits.softmax(1).cumsum(1)
    plain = torch.searchsorted(sums, (u * sums[:, -1] * (1 - 1e-15))[:, None], right=True)[:, 0]
    assert torch.equal(pick(logits, u), plain)
    single = pick(logits.float(), u.float())
    assert torch.isfinite(logits.gather(1, single[:, None])).all(), "a token without a chance was picked"
    assert (single == plain).float().mean() > 0.98


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_the_nll_of_tokens_is_that_of_pytorch(kind: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sequence._BLOCK, "cpu", 4 * 50)  # four rows at a time, the last part shorter
    random = torch.Generator().manual_seed(0)
    h, weight, bias, grad = (3 * torch.randn(*s, generator=random).to(kind) for s in ((11, 6), (50, 6), (50,), (11,)))
    token = torch.randint(0, 50, (11,), generator=random)
    leaves = [t.requires_grad_() for t in (h, weight, bias)]
    plain = nn.functional.cross_entropy(nn.functional.linear(h, weight, bias), token, reduction="none")
    found = token_nll(h, weight, bias, token)
    torch.testing.assert_close(found, plain)
    assert float(plain.detach().max()) > 20, "a token of a tiny chance is among them"
    for a, b in zip(*(torch.autograd.grad((t * grad).sum(), leaves) for t in (found, plain)), strict=True):
        torch.testing.assert_close(a, b)
    with torch.no_grad():
        torch.testing.assert_close(token_nll(h, weight, bias, token), plain)


@pytest.mark.parametrize("end", [-1, 0])
def test_probabilities_of_all_lines_sum_to_one_and_samples_follow_them(end: int) -> None:
    net = generator(words=3, length=3, end=end)
    net.requires_grad_(False)
    everything = sequences(3, 3)
    if end == 0:  # what stands behind the end is the end
        everything = torch.unique(everything.masked_fill(~alive(everything, 0), 0), dim=0)
    p = net.log_prob(everything).sum(1).exp()
    assert float(p.sum()) == pytest.approx(1)
    u = torch.rand(40_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        drawn = net(u)
    counts = torch.stack([(drawn == line).all(1).double().mean() for line in everything])
    assert (counts - p).abs().max() < 0.01
    assert float(counts.sum()) == pytest.approx(1), "a line was drawn that cannot be"


def test_temperature_sharpens_and_flattens() -> None:
    net = generator(end=-1, spread=1.0)
    u = torch.rand(500, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        found = [
            len(torch.unique(net(u, torch.full((500,), t, dtype=torch.float64)), dim=0)) for t in (0.01, 0.5, 1, 5)
        ]
        torch.testing.assert_close(net(u, torch.ones(500, dtype=torch.float64)), net(u))
    assert found == sorted(found) and found[0] == 1 and found[-1] > 100, found


def step_by_step(net: Generator, x: Tensor, u: Tensor) -> Tensor:
    """`rollouts` as T^2 / 2 loops, a prefix and a repeat at a time."""
    n, repeats, prefixes, length = u.shape
    result = torch.empty(n, repeats, prefixes, length, dtype=torch.long)
    for r, p in itertools.product(range(repeats), range(prefixes)):
        line = x.clone()
        for t in range(p, length):
            chosen = pick(net.logits(line)[:, t], u[:, r, p, t])
            ended = (line[:, :t] == net.end).any(1)
            line[:, t] = torch.where(ended, net.end, chosen) if net.end >= 0 else chosen
        result[:, r, p] = line
    return result


@pytest.mark.parametrize("end", [-1, 0])
def test_rollouts_in_one_pass_are_those_of_loops(end: int) -> None:
    net = generator(end=end)
    random = torch.Generator().manual_seed(1)
    u = torch.rand(6, 3, 4, 4, generator=random, dtype=torch.float64)
    with torch.no_grad():
        x = net(torch.rand(6, 4, generator=random, dtype=torch.float64))
        ways = net.rollouts(x, u)
        assert torch.equal(ways, step_by_step(net, x, u))
        assert torch.equal(net.rollouts(x, u[:, :, 1:], first=1), ways[:, :, 1:])
    for p in range(4):
        assert (ways[:, :, p, :p] == x[:, None, :p]).all(), "a continuation begins as its line does"
    assert not (ways[:, 0] == ways[:, 1]).all()


def test_a_follower_moves_once_a_step() -> None:
    net = nn.Linear(1, 1)
    follower = Follower(net, keep=0.75)
    with torch.no_grad():
        net.weight.fill_(0.0)
        follower.follow(net, torch.tensor(5.0))  # the first time it becomes the network
        assert float(follower.net.weight) == 0.0
        net.weight.fill_(1.0)
        for _ in range(3):
            follower.follow(net, torch.tensor(6.0))
        assert float(follower.net.weight) == 0.25
        follower.follow(net, torch.tensor(7.0))
    assert float(follower.net.weight) == pytest.approx(0.4375)


def test_the_discriminator_leaves_wide_windows_out_and_is_certain_without_dropout() -> None:
    torch.manual_seed(0)
    net = Discriminator(10, 7, 4, 100, 0.5)
    assert [c.kernel_size[0] for c in net.convs] == [1, 2, 3, 4, 5, 6, 7]
    assert [c.out_channels for c in net.convs] == [100, 200, 200, 200, 200, 100, 100]
    whole = Discriminator(10, 20, 4, 100, 0.5)
    assert [c.out_channels for c in whole.convs][-3:] == [100, 160, 160]
    assert sum(c.out_channels for c in whole.convs) == 1_720  # as the authors' code has it
    x = torch.randint(0, 10, (9, 7))
    assert not torch.equal(net(x), net(x)) and torch.equal(net.certain(x), net.certain(x))
    torch.testing.assert_close(net.certain(x), net.eval()(x))


# --- rewards ----------------------------------------------------------------------------------------------------------


class Judge(Discriminator):
    """A discriminator whose verdict is known: a number for each first token, or the sum of a line's tokens."""

    def __init__(self, first: bool, steep: bool = False) -> None:
        super().__init__(9, 4, 2, 4, 0.0)
        self.first, self.steep = first, steep

    def features(self, x: Tensor) -> Tensor:
        return (x[:, :1] if self.first else x.sum(1, keepdim=True)).double()

    def certain(self, x: Tensor) -> Tensor:
        if self.steep:
            return self.features(x)[:, 0] - 18
        return (self.features(x)[:, 0] + 1).log()  # sigmoid of it is (x + 1) / (x + 2)


def rewarded(recipe: SeqGAN, nets: nn.ModuleDict, n: int, seed: int) -> tuple[Tensor, Tensor]:
    with torch.no_grad(), draws(Stream(torch.Generator().manual_seed(seed))):
        lines = recipe.sample(nets, n)
        return lines, recipe.rewards(nets, lines)


def test_each_token_gets_the_reward_of_its_own_line_and_place() -> None:
    recipe = SeqGAN(rollouts=3)
    nets = nn.ModuleDict({"G": generator(words=9, length=4, end=-1), "D": Judge(first=True)})
    lines, rewards = rewarded(recipe, nets, 40, 1)
    expected = (lines[:, :1] + 1) / (lines[:, :1] + 2.0)
    assert rewards.shape == (40, 4)
    torch.testing.assert_close(rewards, expected.double().expand(40, 4))
    assert len(torch.unique(rewards)) > 3, "the lines differ, or the test would see nothing"
    # What a known implementation does: rewards of (rollout x place, line) read as (line, place, rollout).
    flat = expected.double().T.expand(3 * 4, 40)
    scrambled = flat.reshape(40, 4, 3).mean(2)
    assert (scrambled - rewards).abs().max() > 0.1, "the control must be told apart"


def test_later_tokens_know_more_of_the_verdict() -> None:
    recipe = SeqGAN(rollouts=200)
    nets = nn.ModuleDict({"G": generator(words=9, length=4, end=-1, spread=1.0), "D": Judge(first=False)})
    lines, rewards = rewarded(recipe, nets, 30, 1)
    final = ((lines.sum(1) + 1) / (lines.sum(1) + 2.0)).double()
    torch.testing.assert_close(rewards[:, -1], final)
    errors = (rewards - final[:, None]).square().mean(0)
    assert (errors.diff() < 0).all(), errors
    # With a baseline the rewards of a line add up to its verdict, less what an empty line is worth.
    lines, parts = rewarded(SeqGAN(rollouts=200, baseline=True), nets, 30, 1)
    final = ((lines.sum(1) + 1) / (lines.sum(1) + 2.0)).double()
    assert float((final - parts.sum(1)).std()) < 0.02 and parts.shape == (30, 4)


@pytest.mark.parametrize("baseline", [False, True])
def test_the_policy_gradient_is_that_of_the_expected_reward(baseline: bool) -> None:
    net = generator(words=3, length=3, end=0, spread=1.0)
    recipe = SeqGAN(rollouts=4, baseline=baseline)
    nets = nn.ModuleDict({"G": net, "D": Judge(first=False)})
    everything = sequences(3, 3)
    everything = torch.unique(everything.masked_fill(~alive(everything, 0), 0), dim=0)
    verdict = nets["D"].certain(everything).sigmoid()  # ty: ignore[call-non-callable]
    expected = torch.autograd.grad((net.log_prob(everything).sum(1).exp() * verdict).sum(), tuple(net.parameters()))
    with draws(Stream(torch.Generator().manual_seed(0))):
        batch = {"x": torch.zeros(30_000, 3, dtype=torch.long), "step": torch.tensor(0.0)}
        found = torch.autograd.grad(recipe.policy_loss(nets, batch)["policy"], tuple(net.parameters()))
    a, b = (torch.cat([g.flatten() for g in grads]) for grads in (expected, found))
    b = -b
    assert float((a - b).norm() / a.norm()) < 0.1, (float(a.norm()), float(b.norm()))


def test_stages_follow_one_another() -> None:
    recipe = SeqGAN(likelihood_steps=2, discriminator_steps=3, discriminator_moves=4)
    due = [[(t.nets[0], t.loss.__name__, t.repeat) for t in recipe.turns() if t.due(k)] for k in range(7)]
    likelihood, policy = ("G", "likelihood_loss", 1), ("G", "policy_loss", 1)
    judge = ("D", "discriminator_loss", 4)
    assert due == [[likelihood]] * 2 + [[judge]] * 3 + [[policy, judge]] * 2


def test_rewards_raise_what_the_discriminator_likes() -> None:
    """A tiny game with a fixed judge: the mean verdict of samples rises towards its maximum."""
    codec = TextCodec(level="word", vocabulary=tuple("abcdefghi"))
    spec = DataSpec(kind="text", shape=(4,), codec=codec)
    recipe = SeqGAN(rollouts=4, width=4, likelihood_steps=0, discriminator_steps=0, g_lr=0.02)
    torch.manual_seed(0)
    nets = nn.ModuleDict(recipe.networks(spec))
    nets["D"] = Judge(first=False, steep=True)
    optimizer = torch.optim.Adam(nets["G"].parameters(), 0.02)
    means = []
    for k in range(60):
        with draws(Stream(torch.Generator().manual_seed(k))):
            loss = recipe.policy_loss(nets, {"x": torch.zeros(32, 4), "step": torch.tensor(float(k))})["policy"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        means.append(float(draw_samples(recipe, nets, 64, 0).float().sum(1).mean()))
    assert means[0] < 18 and np.mean(means[-5:]) > 22, means[::10]  # 32 is the most


@pytest.mark.parametrize("keep", [0.0, 0.8])
def test_micro_batches_draw_what_the_whole_batch_draws(keep: float) -> None:
    """The slices of noise are right in every stage, and the follower moves once a step, however often it is asked."""
    codec = TextCodec(level="word", vocabulary=tuple("abcdefg"), end=0)
    spec = DataSpec(kind="text", shape=(4,), codec=codec)
    recipe = SeqGAN(
        rollouts=2,
        width=4,
        hidden=4,
        embedding=4,
        dropout=0.0,
        likelihood_steps=1,
        discriminator_steps=1,
        discriminator_moves=2,
        rollout_keep=keep,
    )

    def state(parts: int) -> dict[str, Tensor]:
        torch.manual_seed(0)
        nets = nn.ModuleDict(recipe.networks(spec)).double()
        arguments = (recipe.turns(), recipe.optimizers(), recipe.serving, recipe.average())
        step = Step(nets, *arguments, seed=1, batch_size=8, micro_batches=parts)
        for k in range(4):
            step.take(k, lambda i: {"x": torch.randint(1, 7, (8, 4), generator=torch.Generator().manual_seed(i))})
        return step.state()

    whole = state(1)
    for key, value in state(2).items():
        torch.testing.assert_close(value, whole[key], rtol=1e-7, atol=1e-10, msg=key)
