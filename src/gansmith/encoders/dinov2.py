"""DINOv2, a self-supervised vision transformer: features that were never told ImageNet's classes.

Source: Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", 2023, arXiv:2304.07193; its use
for a Frechet distance is that of Stein et al., "Exposing flaws of generative model evaluation metrics and their unfair
treatment of diffusion models", 2023, arXiv:2306.04675 (ViT-L/14, 224 pixels, the class token after the last norm).
The network is that of the `transformers` library (extra `dinov2`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ..extras import need
from ..files import sha256
from .encoder import Encoder, placed

PUBLISHED = "facebook/dinov2-large"
SIZE = 224


class _DinoV2(nn.Module):
    """Pictures (N, 3, 224, 224) in [0, 255] to the class token (N, dim); it cannot classify."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225])[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, 224, 224) to (N, dim) and (N, 0)."""
        found = self.net(pixel_values=(x / 255 - self.mean) / self.deviation).last_hidden_state[:, 0]
        return found, found.new_empty(len(x), 0)


def dinov2(path: str | Path | None = None, *, batch_size: int = 32, device: str = "cpu") -> Encoder:
    """DINOv2 as an encoder; its size (384 to 1,536 features) is that of the weights.

    Args:
        path: a folder with `config.json` and `model.safetensors`, as published; without one `facebook/dinov2-large`
            is downloaded by the `transformers` library into its own cache.
        batch_size: see `Encoder`.
        device: cpu, cuda or cuda:N.

    Raises:
        MissingExtra: `transformers` is not installed.
        FileNotFoundError: the folder lacks a file.
        ValueError: the files are not those of a DINOv2, or are damaged.
        OSError: the download failed.
    """
    library: Any = need("transformers", "dinov2", "the encoder dinov2")
    folder = Path(path) if path is not None else _downloaded(library)
    config_file, weights = folder / "config.json", folder / "model.safetensors"
    for file in (config_file, weights):
        if not file.is_file():
            raise FileNotFoundError(f"no DINOv2 at {folder}: {file.name} is missing")
    config = library.AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.model_type != "dinov2" or SIZE % config.patch_size:
        raise ValueError(f"{config_file} describes no DINOv2 for {SIZE} pixels but a {config.model_type}")
    try:  # the library knows the names that tensors had in earlier versions of it
        net, found = library.Dinov2Model.from_pretrained(
            folder, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"{weights} is damaged, or does not fit {config_file.name}: {error}") from error
    if odd := sorted(str(name) for kind in ("missing_keys", "unexpected_keys") for name in found[kind]):
        raise ValueError(f"{weights} does not fit {config_file.name}: {len(odd)} tensors are amiss, such as {odd[0]}")
    return Encoder(
        name="dinov2",
        net=placed(_DinoV2(net.float()), device),
        shape=(3, SIZE, SIZE),
        dim=int(config.hidden_size),
        classes=0,
        sha256=sha256(weights),
        resize="pil-bicubic",
        scaling="(x / 255 - mean) / deviation of ImageNet",
        repeats_grey=True,
        batch_size=batch_size,
        facts={"layers": int(config.num_hidden_layers), "patch": int(config.patch_size)},
    )


def _downloaded(library: Any) -> Path:
    """The folder of the published weights, from the library's cache or from its hub."""
    found = library.utils.cached_file(PUBLISHED, "model.safetensors")
    library.utils.cached_file(PUBLISHED, "config.json")
    return Path(found).parent
