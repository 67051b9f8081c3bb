"""An independent implementation on the same features: torchmetrics' FID, KID and SSIM."""

import pytest
import torch
from torch import Tensor, nn

from gansmith.metrics import frechet_distance, kernel_distance, ms_ssim

pytest.importorskip("torchmetrics")

from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance


def images(n: int, seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


class Encoder(nn.Module):
    """A fixed random network: what it measures does not matter, only that both sides use it."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.randn(192, 24, generator=torch.Generator().manual_seed(5)) / 14
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x.to(self.weight.dtype).flatten(1) @ self.weight).relu()


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance`:UserWarning")
def test_frechet_and_kernel_distances_agree() -> None:
    encoder = Encoder()
    real, fake = images(400, 0), images(300, 1, 1.2)
    fid = FrechetInceptionDistance(feature=encoder, input_img_size=(3, 8, 8)).set_dtype(torch.float64)
    fid.update(real, real=True)
    fid.update(fake, real=False)
    ours = frechet_distance(encoder(real), encoder(fake))
    assert ours.value == pytest.approx(float(fid.compute()), rel=1e-4)

    # Subsets of everything: the draw does not matter.
    kid = KernelInceptionDistance(feature=encoder, subsets=2, subset_size=300)
    kid.update(real[:300], real=True)
    kid.update(fake, real=False)
    found = kernel_distance(encoder(real[:300]), encoder(fake), seed=0, num_subsets=2, subset_size=300)
    assert found.value == pytest.approx(float(kid.compute()[0]), rel=1e-4)


def test_ms_ssim_agrees() -> None:
    a = torch.rand(2, 3, 192, 192, generator=torch.Generator().manual_seed(0))
    b = (a + 0.2 * torch.rand(2, 3, 192, 192, generator=torch.Generator().manual_seed(1))).clamp(max=1)
    theirs = multiscale_structural_similarity_index_measure(a, b, data_range=1.0, reduction="none")
    torch.testing.assert_close(ms_ssim(a, b, scales=5, data_range=1.0).float(), theirs, rtol=0.01, atol=0)
