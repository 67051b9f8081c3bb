"""The other side of `python -m benchmarks`: training loops in the form that tutorials and papers' scripts teach.

Each is a generator that takes one step and yields the images that it showed. They use the networks, batch sizes and
losses of our recipes (in PyTorch's own layers), and none of our training code: a DataLoader with a transform for each
sample, Sigmoid and BCELoss, `zero_grad` and `backward`, Adam as PyTorch builds it by default, `.item()` at every step.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from gansmith.nets.conv import FewIn, FewOut
from gansmith.nets.dropout import Dropout

Loop = Callable[[nn.ModuleDict, Any, Any], Iterator[int]]
"""(networks, workload, data) to images shown, step by step."""


def usual(net: nn.Module) -> nn.Module:
    """The network with PyTorch's own layers where ours compute the same in a faster way, in place."""
    for module in net.modules():
        for quick, plain in ((FewIn, nn.Conv2d), (FewOut, nn.ConvTranspose2d), (Dropout, nn.Dropout)):
            if isinstance(module, quick):
                module.__class__ = plain
    return net


class Pictures(Dataset):
    """Pictures (N, H, W, C) uint8; each is made a PIL image, resized, made a tensor and normalised when asked for."""

    def __init__(self, pixels: np.ndarray, size: int, flat: bool = False):
        self.pixels, self.size, self.flat = pixels, size, flat

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> Tensor:
        x = to_tensor(resized(Image.fromarray(self.pixels[i].squeeze()), self.size))
        return x.flatten() if self.flat else x


class Unaligned(Dataset):
    """Two folders of pictures: enlarged, cut at random, mirrored at random, one at a time."""

    def __init__(self, folder: Path, size: int, enlarge: float):
        self.files = [sorted((folder / k).glob("*.png")) for k in ("a", "b")]
        self.size, self.large = size, round(size * enlarge)

    def __len__(self) -> int:
        return max(map(len, self.files))

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        a, b = self.files
        return self.load(a[i % len(a)]), self.load(random.choice(b))

    def load(self, path: Path) -> Tensor:
        """One picture (3, size, size) in [-1, 1]."""
        image = Image.open(path).convert("RGB").resize((self.large, self.large), Image.Resampling.BICUBIC)
        x, y = (random.randint(0, self.large - self.size) for _ in range(2))
        image = image.crop((x, y, x + self.size, y + self.size))
        return to_tensor(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else image)


def resized(image: Image.Image, size: int) -> Image.Image:
    """As a Resize transform does it."""
    return image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BILINEAR)


def to_tensor(image: Image.Image) -> Tensor:
    """As a ToTensor and a Normalize transform with mean and deviation 0.5 do it."""
    pixels = torch.from_numpy(np.array(image, copy=True)).view(image.height, image.width, -1)
    x = pixels.permute(2, 0, 1).contiguous().float().div(255)
    half = torch.full((x.shape[0], 1, 1), 0.5)
    return x.sub(half).div(half)


def endless(data: Dataset, batch: int) -> Iterator[Any]:
    """Batches, epoch after epoch."""
    while True:
        yield from DataLoader(data, batch, shuffle=True, drop_last=True)


def gan(nets: nn.ModuleDict, work: Any, data: Any) -> Iterator[int]:
    """The tutorial's GAN: two passes of D, a fresh fake for G."""
    G, D = nets["G"], nn.Sequential(nets["D"], nn.Sigmoid())
    g_optimizer = torch.optim.Adam(G.parameters(), lr=2e-4)
    d_optimizer = torch.optim.Adam(D.parameters(), lr=2e-4)
    criterion = nn.BCELoss()
    for images in endless(Pictures(data, work.size), work.batch):
        ones, zeros = torch.ones(work.batch), torch.zeros(work.batch)
        d_loss = criterion(D(images), ones)
        fake = G(torch.randn(work.batch, work.fields["z_dim"]))
        d_loss = d_loss + criterion(D(fake), zeros)
        d_optimizer.zero_grad()
        g_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        fake = G(torch.randn(work.batch, work.fields["z_dim"]))
        g_loss = criterion(D(fake), ones)
        d_optimizer.zero_grad()
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        g_loss.item(), d_loss.item()
        yield work.batch


def dcgan(nets: nn.ModuleDict, work: Any, data: Any) -> Iterator[int]:
    """The DCGAN tutorial: D on real, D on the detached fake, G on the same fake."""
    G, D = nets["G"], nn.Sequential(nets["D"], nn.Sigmoid())
    g_optimizer = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(D.parameters(), lr=2e-4, betas=(0.5, 0.999))
    criterion = nn.BCELoss()
    for images in endless(Pictures(data, work.size), work.batch):
        D.zero_grad()
        label = torch.full((work.batch,), 1.0)
        real_loss = criterion(D(images), label)
        real_loss.backward()
        fake = G(torch.randn(work.batch, work.fields["z_dim"]))
        label.fill_(0.0)
        fake_loss = criterion(D(fake.detach()), label)
        fake_loss.backward()
        d_optimizer.step()
        G.zero_grad()
        label.fill_(1.0)
        g_loss = criterion(D(fake), label)
        g_loss.backward()
        g_optimizer.step()
        real_loss.item(), fake_loss.item(), g_loss.item()
        yield work.batch


def wgan_gp(nets: nn.ModuleDict, work: Any, data: Any) -> Iterator[int]:
    """Five critic moves, each on a batch of its own, then one of G."""
    G, D, z_dim = nets["G"], nets["D"], work.fields["z_dim"]
    g_optimizer = torch.optim.Adam(G.parameters(), lr=1e-4, betas=(0.0, 0.9))
    d_optimizer = torch.optim.Adam(D.parameters(), lr=1e-4, betas=(0.0, 0.9))
    for i, real in enumerate(endless(Pictures(data, work.size, flat=True), work.batch), 1):
        d_optimizer.zero_grad()
        fake = G(torch.randn(work.batch, z_dim))
        alpha = torch.rand(work.batch, 1)
        between = (alpha * real.data + (1 - alpha) * fake.data).requires_grad_(True)
        scores = D(between)
        (gradients,) = torch.autograd.grad(
            scores, between, torch.ones_like(scores), create_graph=True, retain_graph=True, only_inputs=True
        )
        penalty = ((gradients.view(work.batch, -1).norm(2, dim=1) - 1) ** 2).mean()
        d_loss = -D(real).mean() + D(fake).mean() + 10 * penalty
        d_loss.backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        if i % 5 == 0:
            g_loss = -D(G(torch.randn(work.batch, z_dim))).mean()
            g_loss.backward()
            g_optimizer.step()
            d_loss.item(), g_loss.item()
            yield work.batch


def r3gan(nets: nn.ModuleDict, work: Any, data: Any) -> Iterator[int]:
    """Relativistic pairing with R1 and R2, each from a gradient of its own, and a moving average."""
    G, D, z_dim = nets["G"], nets["D"], work.fields["z_dim"]
    ema = copy.deepcopy(G).eval().requires_grad_(False)
    g_optimizer = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.0, 0.99))
    d_optimizer = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.0, 0.99))
    gamma = 0.001 * work.channels * work.size**2
    for real in endless(Pictures(data, work.size), work.batch):
        real = real.detach().requires_grad_(True)
        fake = G(torch.randn(work.batch, z_dim)).detach().requires_grad_(True)
        real_scores, fake_scores = D(real), D(fake)
        r1 = zero_centred(real, real_scores)
        r2 = zero_centred(fake, fake_scores)
        pairing = F.softplus(-(real_scores - fake_scores))
        d_loss = (pairing + gamma / 2 * (r1 + r2)).mean()
        d_optimizer.zero_grad(set_to_none=True)
        d_loss.backward()
        d_optimizer.step()
        fake = G(torch.randn(work.batch, z_dim))
        g_loss = F.softplus(-(D(fake) - D(real.detach()))).mean()
        g_optimizer.zero_grad(set_to_none=True)
        g_loss.backward()
        g_optimizer.step()
        lag(ema, G, 0.5 ** (work.batch / 10_000))
        d_loss.item(), g_loss.item(), r1.mean().item(), r2.mean().item()
        yield work.batch


def zero_centred(samples: Tensor, scores: Tensor) -> Tensor:
    """The squared length of each sample's gradient: (N,)."""
    (gradient,) = torch.autograd.grad(outputs=scores.sum(), inputs=samples, create_graph=True)
    return gradient.square().sum([1, 2, 3])


def lag(ema: nn.Module, net: nn.Module, beta: float) -> None:
    """The moving average, parameter by parameter."""
    with torch.no_grad():
        for slow, fast in zip(ema.parameters(), net.parameters(), strict=True):
            slow.copy_(fast.lerp(slow, beta))
        for slow, fast in zip(ema.buffers(), net.buffers(), strict=True):
            slow.copy_(fast)


class Buffer:
    """The last 50 fakes, one by one."""

    def __init__(self) -> None:
        self.data: list[Tensor] = []

    def push_and_pop(self, fakes: Tensor) -> Tensor:
        """Half of the time an older one."""
        returned = []
        for fake in fakes.data:
            fake = fake[None]
            if len(self.data) < 50:
                self.data.append(fake)
                returned.append(fake)
            elif random.random() > 0.5:
                i = random.randint(0, 49)
                returned.append(self.data[i].clone())
                self.data[i] = fake
            else:
                returned.append(fake)
        return torch.cat(returned)


def cyclegan(nets: nn.ModuleDict, work: Any, data: Any) -> Iterator[int]:
    """Both translators together, then one discriminator after the other, on the fakes of the translators' step."""
    G_AB, G_BA, D_A, D_B = (nets[k] for k in ("G_ab", "G_ba", "D_a", "D_b"))
    settings: Any = {"lr": 2e-4, "betas": (0.5, 0.999)}
    g_optimizer = torch.optim.Adam([*G_AB.parameters(), *G_BA.parameters()], **settings)
    optimizers = [torch.optim.Adam(D.parameters(), **settings) for D in (D_A, D_B)]
    squares, absolute, pools = nn.MSELoss(), nn.L1Loss(), (Buffer(), Buffer())
    for a, b in endless(Unaligned(data, work.size, 286 / 256), work.batch):
        g_optimizer.zero_grad()
        identity = (absolute(G_BA(a), a) + absolute(G_AB(b), b)) / 2
        fake_b, fake_a = G_AB(a), G_BA(b)
        scores_b, scores_a = D_B(fake_b), D_A(fake_a)
        adversarial = (squares(scores_b, torch.ones_like(scores_b)) + squares(scores_a, torch.ones_like(scores_a))) / 2
        cycle = (absolute(G_BA(fake_b), a) + absolute(G_AB(fake_a), b)) / 2
        g_loss = adversarial + 10 * cycle + 5 * identity
        g_loss.backward()
        g_optimizer.step()
        losses = []
        for D, optimizer, real, fake, pool in zip((D_A, D_B), optimizers, (a, b), (fake_a, fake_b), pools, strict=True):
            optimizer.zero_grad()
            scores = D(real)
            old = D(pool.push_and_pop(fake).detach())
            loss = (squares(scores, torch.ones_like(scores)) + squares(old, torch.zeros_like(old))) / 2
            loss.backward()
            optimizer.step()
            losses.append(loss)
        g_loss.item(), losses[0].item(), losses[1].item()
        yield work.batch


def stylegan2(nets: nn.ModuleDict, work: Any, data: Any) -> Iterator[int]:
    """The four phases of the official loop: G, its path lengths every 4 steps, D, its R1 every 16."""
    G, D, fields = nets["G"], nets["D"], work.fields
    ema = copy.deepcopy(G).eval().requires_grad_(False)

    def adam(net: nn.Module, every: int) -> torch.optim.Adam:
        c = every / (every + 1)
        return torch.optim.Adam(net.parameters(), lr=1e-3 * c, betas=(0.0, 0.99**c))

    g_optimizer, d_optimizer = adam(G, fields["path_every"]), adam(D, fields["r1_every"])
    mean_length = torch.zeros([])

    def run(n: int) -> tuple[Tensor, Tensor]:
        w = G.mapping(torch.randn(n, 128))[:, None].repeat(1, G.styles, 1)
        cutoff = torch.empty([], dtype=torch.int64).random_(1, G.styles)
        cutoff = torch.where(torch.rand([]) < 0.9, cutoff, torch.full_like(cutoff, G.styles))
        w[:, cutoff:] = G.mapping(torch.randn(n, 128))[:, None].repeat(1, G.styles, 1)[:, cutoff:]
        return G.synthesis(w, torch.randn(n, G.noise_size)), w

    for step, real in enumerate(endless(Pictures(data, work.size), work.batch)):
        g_optimizer.zero_grad(set_to_none=True)
        g_loss = F.softplus(-D(run(work.batch)[0])).mean()
        g_loss.backward()
        g_optimizer.step()
        if step % fields["path_every"] == 0:
            g_optimizer.zero_grad(set_to_none=True)
            made, w = run(max(work.batch // 2, 1))
            y = torch.randn_like(made) / np.sqrt(made.shape[2] * made.shape[3])
            (slope,) = torch.autograd.grad(outputs=[(made * y).sum()], inputs=[w], create_graph=True, only_inputs=True)
            lengths = slope.square().sum(2).mean(1).sqrt()
            mean = mean_length.lerp(lengths.mean(), 0.01)
            mean_length.copy_(mean.detach())
            ((lengths - mean).square() * fields["path_length"]).mean().mul(fields["path_every"]).backward()
            g_optimizer.step()
        d_optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            fake = run(work.batch)[0]
        fake_loss = F.softplus(D(fake)).mean()
        fake_loss.backward()
        real_loss = F.softplus(-D(real)).mean()
        real_loss.backward()
        d_optimizer.step()
        if step % fields["r1_every"] == 0:
            d_optimizer.zero_grad(set_to_none=True)
            shown = real.detach().requires_grad_(True)
            (zero_centred(shown, D(shown)) / 2).mean().mul(fields["r1_every"]).backward()
            d_optimizer.step()
        lag(ema, G, 0.5 ** (work.batch / 10_000))
        g_loss.item(), fake_loss.item(), real_loss.item()
        yield work.batch


def ctgan(nets: nn.ModuleDict, work: Any, data: Any) -> Iterator[int]:
    """Training by sampling in the usual form: rows are transformed once; each row of a batch is picked on its own.

    `data`: (encoded rows (N, W) float32, the codec, the raw rows).
    """
    rows, codec, raw = data
    G, D = nets["G"], nets["D"]
    settings: Any = {"lr": 2e-4, "betas": (0.5, 0.9), "weight_decay": 1e-6}
    g_optimizer, d_optimizer = (
        torch.optim.Adam(G.parameters(), **settings),
        torch.optim.Adam(D.parameters(), **settings),
    )
    members, chances, starts, at = [], [], [], 0
    for span in codec.choices:
        column = raw[:, span.column]
        place = np.isnan(column) if span.kind == "missing" else np.where(np.isnan(column), span.width - 1, column)
        members.append([np.nonzero(place == k)[0] for k in range(span.width)])
        weight = np.log1p(np.array([len(m) for m in members[-1]], float))
        chances.append(weight / weight.sum())
        starts.append(at)
        at += span.width

    def conditions(n: int) -> tuple[Tensor, Tensor, list[int], list[int]]:
        columns = np.random.choice(len(members), n)
        picked = [np.random.choice(len(chances[c]), p=chances[c]) for c in columns]
        vector = np.zeros((n, at), np.float32)
        vector[np.arange(n), [starts[c] + k for c, k in zip(columns, picked, strict=True)]] = 1
        mask = np.zeros((n, len(members)), np.float32)
        mask[np.arange(n), columns] = 1
        return torch.from_numpy(vector), torch.from_numpy(mask), list(columns), picked

    def activate(made: Tensor) -> Tensor:
        parts = []
        for span in codec.spans:
            part = made[:, span.start : span.end]
            parts.append(torch.tanh(part) if span.kind == "scalar" else F.gumbel_softmax(part, tau=0.2))
        return torch.cat(parts, 1)

    def packs(x: Tensor) -> Tensor:
        return x.reshape(-1, x.shape[1] * 10)

    while True:
        vector, mask, columns, picked = conditions(work.batch)
        fake = torch.cat((activate(G(torch.randn(work.batch, 128), vector)), vector), 1)
        order = np.random.permutation(work.batch)
        which = [np.random.choice(members[columns[i]][picked[i]]) for i in order]
        real = torch.cat((torch.from_numpy(rows[which].astype("float32")), vector[order]), 1)
        real_scores, fake_scores = D(packs(real)), D(packs(fake))
        alpha = torch.rand(work.batch // 10, 1, 1).repeat(1, 10, real.shape[1]).view(-1, real.shape[1])
        between = packs((alpha * real + (1 - alpha) * fake).detach()).requires_grad_(True)
        scores = D(between)
        (gradients,) = torch.autograd.grad(
            scores, between, torch.ones_like(scores), create_graph=True, retain_graph=True, only_inputs=True
        )
        penalty = ((gradients.norm(2, dim=1) - 1) ** 2).mean() * 10
        d_loss = -(real_scores.mean() - fake_scores.mean())
        d_optimizer.zero_grad(set_to_none=False)
        penalty.backward(retain_graph=True)
        d_loss.backward()
        d_optimizer.step()
        vector, mask, columns, picked = conditions(work.batch)
        made = G(torch.randn(work.batch, 128), vector)
        fake = activate(made)
        missed = []
        for j, span in enumerate(codec.choices):
            target = torch.argmax(vector[:, starts[j] : starts[j] + span.width], 1)
            missed.append(F.cross_entropy(made[:, span.start : span.end], target, reduction="none"))
        condition = (torch.stack(missed, 1) * mask).sum() / work.batch
        g_loss = -D(packs(torch.cat((fake, vector), 1))).mean() + condition
        g_optimizer.zero_grad(set_to_none=False)
        g_loss.backward()
        g_optimizer.step()
        g_loss.item(), d_loss.item()
        yield work.batch


LOOPS: dict[str, Loop] = {
    "gan": gan,
    "dcgan": dcgan,
    "wgan_gp": wgan_gp,
    "r3gan": r3gan,
    "cyclegan": cyclegan,
    "stylegan2": stylegan2,
    "ctgan": ctgan,
}
