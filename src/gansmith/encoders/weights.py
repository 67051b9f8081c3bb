"""Published weight files: read once, only where their sha256 is the expected one, and kept as safetensors.

A `.pth` file is a pickle. It is read here alone, by PyTorch's restricted loader, after its bytes were found to be
those that its author published (or those whose sha256 the caller states); never as a fallback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from .. import records
from ..files import sha256, write_json, write_tensors

FORMAT = 1


def convert_weights(source: Path, target: Path, *, accepted: Sequence[str]) -> None:
    """Write a published `.pth` or `.th` as `target` (safetensors), with a note of where it came from beside it.

    Args:
        source: a pickled dict of tensors, or one with such a dict under `state_dict`.
        target: its folder is made if need be.
        accepted: sha256 of the files that may be unpickled.

    Raises:
        FileNotFoundError: there is no source.
        ValueError: it has another sha256, or it is no dict of tensors.
    """
    if not source.is_file():
        raise FileNotFoundError(f"there are no weights at {source}")
    digest = sha256(source)
    if digest not in accepted:
        raise ValueError(
            f"{source} has sha256 {digest}; expected {' or '.join(accepted)}. It is a pickle, so it is not opened: "
            "fetch it again, or pass sha256= if you trust this very file"
        )
    try:
        found = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # the restricted loader raises many kinds for what it refuses or cannot read
        raise ValueError(f"{source} is not a file of weights alone: {error}") from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not found or not all(isinstance(v, Tensor) for v in found.values()):
        raise ValueError(f"{source} does not hold a dict of tensors")
    target.parent.mkdir(parents=True, exist_ok=True)
    # `module.` is what DataParallel puts before every name.
    tensors = {str(name).removeprefix("module."): tensor.clone() for name, tensor in found.items()}
    written = write_tensors(target, tensors, "encoder weights")
    write_json(
        target.with_suffix(".json"),
        {"format": FORMAT, "source": source.name, "source_sha256": digest, "sha256": written},
    )


def read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """The tensors of a safetensors file and the sha256 they are known by: that of the file they were converted from.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there are no weights at {path}")
    digest = sha256(path)
    known = digest
    note = path.with_suffix(".json")
    if note.is_file():
        saved = records.read(note)
        if saved.get("sha256") != digest:
            raise ValueError(f"{path} does not have the sha256 that {note.name} states: convert the weights again")
        known = str(saved.get("source_sha256", digest))
    try:
        return load_file(path), known
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, or not a safetensors file: {error}") from error


def fill(net: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Load the tensors into the network: every name, every shape, nothing over.

    Only batch norm's counters of training steps may be absent; they play no part in eval mode.

    Raises:
        ValueError: a tensor is missing, unknown, of another shape, or not finite; the message names it.
    """
    expected = net.state_dict()
    given = {name: t for name, t in tensors.items() if not name.endswith("num_batches_tracked")}
    wanted = {name: t for name, t in expected.items() if not name.endswith("num_batches_tracked")}
    for kind, names in (("lacks", wanted.keys() - given.keys()), ("has the unknown", given.keys() - wanted.keys())):
        if names:
            raise ValueError(f"these are not weights of {what}: the file {kind} {sorted(names)[0]} ({len(names)} such)")
    for name, tensor in wanted.items():
        if given[name].shape != tensor.shape or not given[name].is_floating_point():
            raise ValueError(
                f"these are not weights of {what}: {name} is {given[name].dtype} {tuple(given[name].shape)}, "
                f"expected {tensor.dtype} {tuple(tensor.shape)}"
            )
        if not bool(torch.isfinite(given[name]).all()):
            raise ValueError(f"the weights of {what} hold NaN or infinity in {name}: the file is damaged")
    net.load_state_dict(expected | given)
