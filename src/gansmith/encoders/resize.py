"""Named resizes in front of an encoder. The choice moves a Frechet distance by more than most models differ.

Source: Parmar, Zhang, Zhu, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation", 2022, arXiv:2104.11222
(what each library does, and that only a filter that widens when it shrinks is right); the resize op of TensorFlow 1
(`align_corners=False`, before `half_pixel_centers` existed).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

Resize = Literal["none", "area", "tf1-bilinear", "torch-bilinear", "pil-bicubic"]
"""How pictures come to the encoder's size:

- `none`: they must have it already;
- `area`: the mean over the pixels that a new one covers; only ever shrinks here;
- `tf1-bilinear`: pixel i is read at i * in / out, clamped at the far edge, no antialias: the graph of the first FID;
- `torch-bilinear`: pixel i is read at (i + 1/2) * in / out - 1/2, no antialias: what PyTorch ports of it do;
- `pil-bicubic`: Pillow's bicubic on float channels, antialiased, clipped to [0, 255], not rounded: "clean" FID.
"""

ANTIALIASED: dict[Resize, bool] = {
    "none": False,
    "area": True,
    "tf1-bilinear": False,
    "torch-bilinear": False,
    "pil-bicubic": True,
}


def resized(x: Tensor, size: tuple[int, int], how: Resize) -> Tensor:
    """Pictures (N, C, H, W) float32 in [0, 255] to (N, C, *size), by the named resize, in float32.

    Raises:
        ValueError: an unknown name, or `none` and another size.
    """
    if how not in get_args(Resize):
        raise ValueError(f"no resize is called {how!r}; there are {', '.join(get_args(Resize))}")
    if tuple(x.shape[2:]) == size:  # every one of them is the identity then
        return x
    match how:
        case "area":
            return F.interpolate(x, size, mode="area")
        case "tf1-bilinear":
            return _lerp(_lerp(x, size[1], 3), size[0], 2)
        case "torch-bilinear":
            return F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=False)
        case "pil-bicubic":
            planes = x.cpu().numpy().reshape(-1, *x.shape[2:])
            made = np.stack(
                [np.asarray(Image.fromarray(p).resize((size[1], size[0]), Image.Resampling.BICUBIC)) for p in planes]
            )
            return torch.from_numpy(made.reshape(*x.shape[:2], *size)).clamp(0, 255).to(x.device)
        case _:
            raise ValueError(
                f"pictures are {x.shape[2]}x{x.shape[3]}; this encoder takes {size[0]}x{size[1]} and resizes nothing: "
                "pack the data at that size"
            )


def _lerp(x: Tensor, out: int, axis: int) -> Tensor:
    """TensorFlow 1's bilinear along one axis: no half-pixel offset, so the picture moves up and left as it grows."""
    old = x.shape[axis]
    place = np.arange(out, dtype=np.float32) * (np.float32(old) / np.float32(out))  # float32, as the op computes it
    low = np.minimum(np.floor(place).astype(np.int64), old - 1)
    high = np.minimum(low + 1, old - 1)
    share = torch.from_numpy(place - low.astype(np.float32)).to(x.device)
    share = share.view([-1 if a == axis else 1 for a in range(4)])
    first = x.index_select(axis, torch.from_numpy(low).to(x.device))
    last = x.index_select(axis, torch.from_numpy(high).to(x.device))
    return first + (last - first) * share
