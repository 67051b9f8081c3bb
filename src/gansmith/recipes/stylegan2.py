"""StyleGAN2 with adaptive augmentation (ADA) or DiffAugment: styles for each layer, for small data sets too.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv:1912.04958, section 2 to 4
    and appendix B; "Training Generative Adversarial Networks with Limited Data", 2020, arXiv:2006.06676 (ADA);
    "A Style-Based Generator Architecture", 2019, arXiv:1812.04948, section 3 and appendix B (mixing, truncation);
    Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020, arXiv:2006.10738 (DiffAugment);
    Mescheder et al., 2018, arXiv:1801.04406, Eq. 9 (R1).
Differs from the paper: sized for a CPU by default (`paper_f` and `paper_cifar` have the papers' sizes); pictures of any
    size and shape, as the constant that G starts from has 4 to 7 pixels a side; R1 punishes the slope at what D is
    shown, after augmentation, in a move of its own and by default at every step, not every 16th; groups of the
    minibatch deviation are neighbouring rows; no path length regularisation by default; a longer step. The label that D
    is shown passes one normalised layer, where the authors' code has a mapping network of eight.
Expect: "D/real" and "D/fake" between 0.5 and 0.65, "D/r1" falls slowly. Digits, lr 1e-3, gamma 1, batch 32, fp32, 8
    minutes of one core (238,336 images), seed 0: judged as by
    `python -m benchmarks.demo --recipe stylegan2 --batch-size 32 --minutes 8`, confidence 0.94 (real 0.96), each class
    4.4 % or more. With R1 every 16 steps at 0.3 samples lost their variety, and with path length regularisation too.
    CIFAR-10, 80,000 images in batches of 16, half of these widths, seeds 0, 1: Frechet distance 11.7, 13.3 where dcgan
    has 15.7, 17.7 (docs/tables.md). With 1e-3, the default until then, next to nothing was learned at 20,000 images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from .. import losses
from ..asks import Ask, Class, Number
from ..augment.ada import ADA
from ..augment.build import build
from ..nets import stylegan
from ..nets.conditional import chances
from ..penalties import PathLength, path_lengths, zero_centred
from ..recipe import EMPTY, Adam, Average, Batch, DataSpec, Recipe, Terms, Turn, noise, of, uniform


@dataclass(frozen=True, kw_only=True)
class StyleGAN2(Recipe):
    takes: ClassVar[frozenset[str]] = frozenset({"truncation", "label"})

    z_dim: int = 128
    """Length of the noise vector and of a style (512 in the paper)."""
    width: int = 32
    """Channels at the picture's own size, doubled at every halving."""
    max_width: int = 256
    """At most so many channels (512 in the paper)."""
    mapping_layers: int = 2
    """Layers from noise to style: 2 in the ADA paper below 512 pixels, 8 in StyleGAN2."""
    labels: Literal["none", "use"] = "none"
    """use: the data's labels steer G and D."""
    augment: Literal["ada", "diffaugment", "none"] = "ada"
    """What is done to pictures before D sees them. ada starts with nothing and does what overfitting asks for."""
    ada_target: float = 0.6
    """ada: the mean sign of D's scores of real pictures that augmentation is to hold."""
    ada_images: float = 500_000
    """ada: images that its strength takes at least from 0 to 1; fewer for short runs."""
    gamma: float = 0.0
    """Weight of R1. 0 takes 1e-5 for each pixel (the paper's 10 at 1024 x 1024), and at least 1. Raise it if D wins
    and samples lose their variety; the ADA paper has 0.01 for CIFAR-10, with much larger networks."""
    r1_every: int = 1
    """R1 is taken once in so many steps, and so many times as strong: 16 in the paper, which is cheaper; digits lost
    their variety with it."""
    path_length: float = 0.0
    """Weight of path length regularisation, 2 in the paper. 0 leaves it out, as the ADA paper does at 32 x 32: on small
    pictures it shrinks what styles do."""
    path_every: int = 4
    """Path lengths are looked at once in so many steps, with so many times the weight."""
    mixing: float = 0.9
    """Share of pictures whose coarse and fine styles come from two different noise vectors."""
    group: int = 4
    """Pictures whose standard deviation D is shown; 1 shows none."""
    residual: bool = True
    """Skip connections in D."""
    truncation: float = 1.0
    """psi when sampling: below 1 styles are drawn to their centre, for fewer odd pictures and less variety."""
    average_images: float = 10_000
    """Half-life of the moving average of G's weights."""
    lr: float = 4e-3
    """Adam's step size, of both networks; 2.5e-3 in the ADA paper and 2e-3 in StyleGAN2, for far more images."""
    betas: tuple[float, float] = (0.0, 0.99)
    """Adam's decay rates, of both networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        if min(self.r1_every, self.path_every) < 1:
            raise ValueError(f"--r1-every {self.r1_every}, --path-every {self.path_every}: each is at least 1 step")
        if self.labels == "use" and not data.classes:
            raise ValueError("--recipe.labels use: the data has no labels; leave it at none, or give class folders")
        share = chances(data.classes, data.counts) if self.labels == "use" else ()
        size = (self.width, self.max_width)
        return {
            "G": stylegan.Generator(self.z_dim, data.shape, *size, self.mapping_layers, share),
            "D": stylegan.Discriminator(data.shape, *size, self.group, self.residual, len(share)),
            "A": build(self.augment, data.shape, self.ada_target, self.ada_images),
            "P": PathLength(),
        }

    def optimizers(self) -> dict[str, Adam]:
        return {"G": self.lazy(self.path_every if self.path_length else 0), "D": self.lazy(self.r1_every)}

    def lazy(self, every: int) -> Adam:
        """Adam for a network that moves once more every so many steps (Karras et al., 2020, appendix B)."""
        c = every / (every + 1) if every else 1.0
        return Adam(self.lr * c, (float(self.betas[0]) ** c, float(self.betas[1]) ** c))

    def average(self) -> Average:
        return Average(half_life=self.average_images)

    def rows_together(self) -> int:
        return self.group

    def turns(self) -> tuple[Turn, ...]:
        turns = [
            Turn(("D",), self.discriminator_loss),
            Turn(("D",), self.slope_loss, every=self.r1_every),
            Turn(("G",), self.generator_loss),
        ]
        return (*turns, Turn(("G",), self.path_loss, every=self.path_every)) if self.path_length else tuple(turns)

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        """`given`: "truncation", psi (n,), else the recipe's; "label", classes (n,), else as often as in the
        data.
        """
        g = of(nets, "G", stylegan.Generator)
        z, y = noise(nets, n, self.z_dim), given.get("label")
        if y is not None and not g.mapping.classes:
            raise ValueError("this stylegan2 was trained without labels: train with --recipe.labels use to choose one")
        if y is None and g.mapping.classes:
            y = uniform(z, n)
        psi = given.get("truncation", z.new_full((n,), self.truncation))
        return g(z, y, noise(nets, n, g.noise_size), psi)

    def asks(self, data: DataSpec) -> Mapping[str, Ask]:
        about = "psi: below 1 fewer odd pictures and less variety."
        asks: dict[str, Ask] = {"truncation": Number(low=0.0, high=2.0, default=self.truncation, help=about)}
        return asks | ({"label": Class(names=data.classes)} if self.labels == "use" and data.classes else {})

    def styles(self, nets: nn.ModuleDict, n: int, y: Tensor | None) -> Tensor:
        """A style for each layer (n, styles, z_dim), mixed from two at a random layer (Karras et al., 2019, 3.1)."""
        g = of(nets, "G", stylegan.Generator)
        w = g.mapping(noise(nets, n, self.z_dim), y)[:, None].expand(-1, g.styles, -1)
        if not self.mixing:
            return w
        other = g.mapping(noise(nets, n, self.z_dim), y)[:, None]
        draw = uniform(w, n, 2)[:, :, None, None]
        first = 1 + (draw[:, 0] * (g.styles - 1)).floor()  # the first layer that takes the other
        layer = torch.arange(g.styles, device=w.device)[:, None]
        return torch.where((draw[:, 1] < self.mixing) & (layer >= first), other, w)

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Non-saturating logistic loss of augmented pictures; ADA looks at D's scores of the real ones."""
        real, y = batch["x"], self.labels_of(batch)
        with torch.no_grad():
            fake = self.fakes(nets, self.styles(nets, len(real), y))
        if isinstance(ada := nets["A"], ADA):
            ada.adjust(batch["images"])
        scores = nets["D"](nets["A"](real), y)
        if isinstance(ada, ADA):
            ada.observe(scores)
        return {
            "real": losses.logistic_real(scores),
            "fake": losses.logistic_fake(nets["D"](nets["A"](fake), y)),
        }

    def slope_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """R1 at augmented real pictures, for all the steps that it is not taken at."""
        y, gamma = self.labels_of(batch), self.gamma or max(1e-5 * batch["x"][0, 0].numel(), 1.0)
        with torch.no_grad():
            augmented = nets["A"](batch["x"])
        r1 = zero_centred(lambda x: nets["D"](x, y), augmented)
        return {"r1": gamma / 2 * self.r1_every * r1}

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Non-saturating logistic loss; the centre of the styles follows them."""
        y = self.labels_of(batch)
        w, centre = self.styles(nets, len(batch["x"]), y), of(nets, "G", stylegan.Generator).centre
        centre.advance(batch["images"])
        centre.add(w[:, 0])
        scores = nets["D"](nets["A"](self.fakes(nets, w)), y)
        return {"adversarial": losses.logistic_real(scores)}

    def path_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Path length regularisation of half a batch, which is enough for it (Karras et al., 2020, appendix B)."""
        n, y = max(len(batch["x"]) // 2, 1), self.labels_of(batch)
        w = self.styles(nets, n, None if y is None else y[:n])
        penalty = nets["P"](path_lengths(self.fakes(nets, w), w), batch["images"])
        return {"path_length": self.path_length * self.path_every * penalty}

    def fakes(self, nets: nn.ModuleDict, w: Tensor) -> Tensor:
        """Pictures of these styles with fresh noise."""
        g = of(nets, "G", stylegan.Generator)
        return g.synthesis(w, noise(nets, len(w), g.noise_size))

    def labels_of(self, batch: Batch) -> Tensor | None:
        """The batch's labels if they are to be used."""
        return batch["y"] if self.labels == "use" else None


def paper_f() -> StyleGAN2:
    """Config F of StyleGAN2, for pictures of 1024 x 1024: batch 32, 25 M images shown."""
    return StyleGAN2(
        z_dim=512,
        width=32,
        max_width=512,
        mapping_layers=8,
        augment="none",
        gamma=10.0,
        r1_every=16,
        path_length=2.0,
        lr=2e-3,
    )


def paper_cifar() -> StyleGAN2:
    """The ADA paper's setting for CIFAR-10 (appendix D): batch 64, 100 M images shown."""
    return StyleGAN2(
        z_dim=512,
        width=512,
        max_width=512,
        gamma=0.01,
        r1_every=16,
        lr=2.5e-3,
        mixing=0.0,
        group=32,
        residual=False,
        average_images=500_000,
    )
