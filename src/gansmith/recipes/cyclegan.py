"""CycleGAN: between two sets of pictures that are not paired: there and back must come home.

Source: Zhu, Park, Isola & Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
    2017, arXiv:1703.10593, Eq. 1 to 3, section 4 (least squares, pool of 50 past fakes, D's loss halved, weight 10),
    section 5.2 (identity loss of half that weight), section 7.1 and 7.2 (Adam 2e-4, linear decay, networks).
Differs from the paper: D and G move on batches of their own; lr is constant unless `decay_images` is given; samples
    come from averaged weights; identity is on everywhere, as in the released code (the paper has it for paintings).
Expect: "cycle" terms fall; D's terms start near 0.5 and 0 and come towards 0.125 each, where D cannot tell. Digits of
    16 x 16 pixels to a fixed colouring, unpaired, width 16, two blocks, no identity loss, lr 1e-3, batch 16, 4,000
    shown, seeds 0 to 2: mean absolute error 9.0 to 9.4 of 255 on digits that were not trained on, the mean picture's is
    24.9 (`tests/test_learns_translation.py`). Facades: docs/translation.md.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ..augment.jitter import jitter
from ..losses import least_squares
from ..nets import patch, pool, translator
from ..recipe import EMPTY, Adam, Batch, DataSpec, Draw, Ramp, Recipe, Terms, Turn, Unpaired, of_all_ranks, uniform


@dataclass(frozen=True, kw_only=True)
class CycleGAN(Recipe):
    kinds: ClassVar[frozenset[str]] = frozenset({"domains", "pairs"})
    serving: ClassVar[tuple[str, ...]] = ("G_ab", "G_ba")
    from_noise: ClassVar[bool] = False

    width: int = 64
    """Channels at full size of G, and of D's first layer."""
    blocks: int = 0
    """Residual blocks of G; 0 takes the paper's: 6 for pictures under 256 pixels, 9 from there on."""
    upsample: Literal["transposed", "resize"] = "transposed"
    """How G enlarges: transposed convolutions as in the paper, or resizing and a convolution: no checkerboard."""
    patch: int = 3
    """Strided layers of D: a score sees 16, 34, 70 or 142 pixels a side with 1, 2, 3 or 4 (fewer on small pictures)."""
    norm: Literal["instance", "batch", "none"] = "instance"
    """Normalisation of D."""
    cycle: float = 10.0
    """Weight of the way there and back (lambda in Eq. 3)."""
    identity: float = 0.5
    """Weight of leaving alone what is there already, as a share of `cycle`; 0 for none."""
    pool: int = 50
    """Past fakes of each kind that D is shown half of the time; 0 for none."""
    enlarge: float = 1.1171875
    """Jitter: pictures are enlarged by this factor and cut back to their size at a random place; 1 leaves them.
    The papers' is 286 / 256."""
    mirror: bool = True
    """Jitter: pictures are mirrored at random."""
    lr: float = 2e-4
    """Adam's step size, of all networks."""
    decay_images: float = 0.0
    """Over so many images shown, after `constant_images`, lr falls to 0 in a straight line; 0 keeps it."""
    constant_images: float = 0.0
    """Images shown before the decay begins."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates, of all networks."""

    def networks(self, data: DataSpec) -> dict[str, nn.Module]:
        a, b = data.parts["a"].shape, data.parts["b"].shape
        if a[1:] != b[1:] or (self.identity and a[0] != b[0]):
            raise ValueError(
                f"a is {a[1]}x{a[2]} in {a[0]} channels, b {b[1]}x{b[2]} in {b[0]}; cyclegan takes pictures of one size"
                " (--size), and for the identity loss of as many channels: --channels rgb or grey, or --identity 0"
            )
        blocks = self.blocks or (6 if min(a[1:]) < 256 else 9)
        return {
            "G_ab": translator.Translator(a[0], b[0], self.width, blocks, self.upsample),
            "G_ba": translator.Translator(b[0], a[0], self.width, blocks, self.upsample),
            "D_a": patch.PatchGAN(a, self.width, self.patch, self.norm),
            "D_b": patch.PatchGAN(b, self.width, self.patch, self.norm),
            "past_a": pool.Pool(self.pool, a),
            "past_b": pool.Pool(self.pool, b),
        }

    def optimizers(self) -> dict[str, Adam]:
        decay = self.decay_images
        lr = Ramp(self.lr, 0.0, decay, after=self.constant_images, linear=True) if decay else self.lr
        return dict.fromkeys(("G_ab", "G_ba", "D_a", "D_b"), Adam(lr, self.betas))

    def turns(self) -> tuple[Turn, ...]:
        return (Turn(("G_ab", "G_ba"), self.generator_loss), Turn(("D_a", "D_b"), self.discriminator_loss))

    def draw(self) -> Draw:
        return Unpaired()

    def given(self, batch: Batch) -> tuple[Batch, ...]:
        return ({"a": batch["a"]}, {"b": batch["b"]})

    def sample(self, nets: nn.ModuleDict, n: int, given: Batch = EMPTY) -> Tensor:
        return nets["G_ab"](given["a"]) if "a" in given else nets["G_ba"](given["b"])

    def both(self, batch: Batch) -> list[Tensor]:
        """A picture of each kind, each jittered on its own."""
        return [jitter(batch[k], enlarge=self.enlarge, mirror=self.mirror)[0] for k in ("a", "b")]

    def generator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Eq. 3 and section 5.2; the squares of section 4 are not halved, those of `least_squares` are."""
        a, b = self.both(batch)
        fake_b, fake_a = nets["G_ab"](a), nets["G_ba"](b)
        terms = {
            "fool_b": 2 * least_squares(nets["D_b"](fake_b), 1.0),
            "fool_a": 2 * least_squares(nets["D_a"](fake_a), 1.0),
            "cycle_a": self.cycle * (nets["G_ba"](fake_b).float() - a).abs().mean(),
            "cycle_b": self.cycle * (nets["G_ab"](fake_a).float() - b).abs().mean(),
        }
        if self.identity:
            weight = self.identity * self.cycle
            terms["same_a"] = weight * (nets["G_ba"](a).float() - a).abs().mean()
            terms["same_b"] = weight * (nets["G_ab"](b).float() - b).abs().mean()
        return terms

    def discriminator_loss(self, nets: nn.ModuleDict, batch: Batch) -> Terms:
        """Section 4, halved, on the fakes that the pool returns."""
        a, b = self.both(batch)
        terms = {}
        for k, real, source, make in (("a", a, b, "G_ba"), ("b", b, a, "G_ab")):
            with torch.no_grad():
                fakes, own = of_all_ranks(nets[make](source))
                draws, _ = of_all_ranks(uniform(source, len(source), 2))
                fake = nets[f"past_{k}"](fakes, draws)[own]
            terms[f"real_{k}"] = least_squares(nets[f"D_{k}"](real), 1.0)
            terms[f"fake_{k}"] = least_squares(nets[f"D_{k}"](fake), 0.0)
        return terms
