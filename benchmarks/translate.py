"""Translation, judged on facades: pix2pix beside an L1-only U-Net, cyclegan's label maps beside chance.

    python -m benchmarks.translate --data facades_256_photo_label.zip --encoder resnet56-4bfd9763.th [--work DIR]

`--data`: a zip or folder with facades/train/label, facades/train/photo and the same under facades/test. pix2pix
learns label -> photo from the training pairs; on the test pairs, which no training saw, two distances to the true
photo are measured: L1, and one in the features of a fixed network, the CIFAR-10 ResNet-56 (after each of its three
stages and its first layer: features of unit length per pixel, squared difference, mean; it is not LPIPS). The L1-only
U-Net is pix2pix without its adversarial term: same network, same pictures shown. CycleGAN is trained on the same
training pictures, shuffled; of its photo -> label direction the share of pixels whose nearest palette colour is that
of the true label map is measured, and the mean of that share over the 12 classes. Chance: the true label map of
another test facade; and the commonest label everywhere.

Interrupted, the same command with the same --work goes on where it stopped, also to more images.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from . import save, trained

PALETTE = (
    *((0, 0, 222), (0, 48, 255), (0, 128, 255), (1, 207, 255), (32, 255, 224), (112, 254, 142)),
    *((192, 255, 63), (255, 240, 1), (255, 159, 0), (255, 80, 0), (253, 1, 2), (174, 0, 1)),
)


class Perceptual:
    """Distance of pictures in the features of the CIFAR-10 ResNet-56."""

    def __init__(self, weights: Path) -> None:
        from gansmith.encoders.cifar_resnet import cifar_resnet

        self.encoder = cifar_resnet(weights)
        self.net: Any = self.encoder.net

    def features(self, pictures: np.ndarray) -> list[Any]:
        """Of uint8 pictures (N, H, W, 3): four maps (N, C, h, w), each of unit length along C."""
        import torch
        import torch.nn.functional as F

        net = self.net
        with torch.no_grad():
            x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
            x = F.relu(net.bn1(net.conv1((x / 255 - net.mean) / net.deviation)))
            maps = [x]
            for layer in (net.layer1, net.layer2, net.layer3):
                maps.append(layer(maps[-1]))
        return [F.normalize(m, dim=1, eps=1e-8) for m in maps]

    def __call__(self, made: np.ndarray, true: np.ndarray) -> float:
        """The mean over pictures, layers and pixels of the squared difference."""
        pairs = zip(self.features(made), self.features(true), strict=True)
        return float(np.mean([float((m - t).square().sum(1).mean()) for m, t in pairs]))


def classes(pictures: np.ndarray) -> np.ndarray:
    """The nearest palette colour of each pixel: (N, H, W, 3) to (N, H, W)."""
    palette = np.array(PALETTE, np.float32)
    return np.stack([np.square(p[..., None, :] - palette).sum(-1).argmin(-1) for p in pictures.astype(np.float32)])


def share(found: np.ndarray, true: np.ndarray) -> float:
    """Of pixels whose class is right."""
    return round(float((found == true).mean()), 4)


def per_class(found: np.ndarray, true: np.ndarray) -> float:
    """The mean over the classes of the share of their pixels that are right: one class everywhere gets 1 / classes."""
    return round(float(np.mean([(found == true)[true == c].mean() for c in np.unique(true)])), 4)


def grid(folder: Path | None, name: str, *rows: np.ndarray) -> None:
    """Ten pictures of each row, to a PNG."""
    if folder is not None:
        from PIL import Image

        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate([np.concatenate(list(r[:10]), 1) for r in rows])).save(folder / f"{name}.png")


def model_of(recipe: Any, source: str, options: Any, out: Path) -> tuple[Any, float]:
    """The model of a run that is started, or continued, or already there; and its minutes of training."""
    import gansmith

    run = trained(recipe, source, options, out)
    return gansmith.load(run.path), run.progress()["seconds"] / 60


def table_of_photos(results: dict[str, Any]) -> str:
    """Label to photo, row by row."""
    rows = results["label to photo, 106 test pairs"]
    lines = [
        f"| {name} | {row['l1']:.3f} | {row['perceptual']:.3f} | {row.get('minutes', '')} |"
        for name, row in rows.items()
    ]
    about = (
        f"{results['size']} x {results['size']} pixels, {results['images']:,} pairs shown, width {results['width']}."
    )
    return "\n".join(["| photo | L1 | in features | minutes |", "|---|---|---|---|", *lines, "", about])


def table_of_labels(results: dict[str, Any]) -> str:
    """Photo to label, row by row."""
    rows = results["photo to label, pixel accuracy"]
    lines = [
        f"| {name} | {row['accuracy']:.3f} | {row['per_class']:.3f} | {row.get('minutes', '')} |"
        for name, row in rows.items()
    ]
    about = (
        f"{results['size']} x {results['size']} pixels, {results['cycle_images']:,} pictures of each kind shown, "
        f"width {results['cycle_width']}."
    )
    return "\n".join(
        ["| label map | pixels right | mean over classes | minutes |", "|---|---|---|---|", *lines, "", about]
    )


def main() -> None:
    """Measure and record."""
    import gansmith
    from gansmith.data import open_store
    from gansmith.options import Count, Size
    from gansmith.recipes.cyclegan import CycleGAN
    from gansmith.recipes.pix2pix import Pix2Pix
    from gansmith.use.translate import translate

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--images", type=Count.parse, default=Count(8_000))
    parser.add_argument("--cycle-images", type=Count.parse, default=Count(3_000))
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--lr", type=float, default=4e-4, help="of pix2pix; the paper's 2e-4 is for a batch of one")
    parser.add_argument("--cycle-width", type=int, default=16)
    parser.add_argument("--cycle-lr", type=float, default=4e-4, help="the paper's 2e-4 is for a batch of one")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--recipes", nargs="+", choices=("pix2pix", "cyclegan"), default=["pix2pix", "cyclegan"])
    parser.add_argument("--name", default="translate", help="of the file in results/")
    parser.add_argument("--grids", type=Path, help="where to leave pictures: source, result and truth, row by row")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp())
    source, held_out = (f"pairs:{given.data}:facades/{s}/label:facades/{s}/photo" for s in ("train", "test"))

    def options(images: int, seed: int) -> gansmith.TrainOptions:
        return gansmith.TrainOptions(
            images=Count(images),
            batch_size=given.batch_size,
            seed=seed,
            size=Size((given.size, given.size)),
            validation=held_out,
            precision=given.precision,
            layout="nchw",
            checkpoint_every=Count(1_000),
        )

    test = open_store(held_out, options(1, 0))
    label, photo = (np.array(test.fields[k]) for k in ("a", "b"))
    far = Perceptual(given.encoder)

    def judged(made: np.ndarray) -> dict[str, float]:
        l1 = float(np.abs(made.astype(np.float32) - photo.astype(np.float32)).mean() / 255)
        return {"l1": round(l1, 4), "perceptual": round(far(made, photo), 4)}

    true = classes(label)
    rows: dict[str, Any] = {
        "doing nothing (the label map as it is)": judged(label),
        "the mean training photo": judged(
            np.broadcast_to(
                np.rint(np.array(open_store(source, options(1, 0)).fields["b"]).mean(0)), photo.shape
            ).astype(np.uint8)
        ),
        "another true photo": judged(np.roll(photo, 1, axis=0)),
    }
    accuracy: dict[str, Any] = {
        f"chance: {name}": {"accuracy": share(found, true), "per_class": per_class(found, true)}
        for name, found in (
            ("label map of another facade", np.roll(true, 1, axis=0)),
            ("the commonest label", np.full_like(true, np.bincount(true.ravel()).argmax())),
        )
    }
    print({"held-out pairs": len(label)} | rows | accuracy, flush=True)
    # Constant, then to 0 in a straight line: the schedule of both papers' released code.
    cycle_half, half = given.cycle_images / 2, given.images / 2
    cycle = CycleGAN(width=given.cycle_width, lr=given.cycle_lr, constant_images=cycle_half, decay_images=cycle_half)
    pix2pix = Pix2Pix(width=given.width, lr=given.lr, constant_images=half, decay_images=half)
    for seed in given.seeds:
        for name, recipe in (
            ("pix2pix", pix2pix),
            ("l1", dataclasses.replace(pix2pix, adversarial=0.0)),
        ):
            if "pix2pix" not in given.recipes:
                continue
            model, minutes = model_of(recipe, source, options(given.images, seed), work / f"{name}-{seed}")
            made = translate(model, label)
            row = judged(made) | {"minutes": round(minutes, 1)}
            rows[f"{'pix2pix' if name == 'pix2pix' else 'L1-only U-Net'}, seed {seed}"] = row
            print(name, seed, row, flush=True)
            grid(given.grids, f"{given.name}_{name}_{seed}", label, made, photo)
        if "cyclegan" in given.recipes:
            model, minutes = model_of(cycle, source, options(given.cycle_images, seed), work / f"cyclegan-{seed}")
            made = translate(model, photo, direction="b2a")
            found = classes(made)
            accuracy[f"cyclegan, photo to label, seed {seed}"] = {
                "accuracy": share(found, true),
                "per_class": per_class(found, true),
                "held against another facade": share(np.roll(found, 1, axis=0), true),
                "minutes": round(minutes, 1),
            }
            print("cyclegan", seed, accuracy[f"cyclegan, photo to label, seed {seed}"], flush=True)
            grid(given.grids, f"{given.name}_cyclegan_label_{seed}", photo, made, label)
            grid(given.grids, f"{given.name}_cyclegan_photo_{seed}", label, translate(model, label), photo)
    save(
        given.name,
        {
            "data": "facades, 400 training pairs, 106 test pairs",
            "size": given.size,
            "images": given.images,
            "cycle_images": given.cycle_images,
            "batch_size": given.batch_size,
            "width": given.width,
            "lr": given.lr,
            "cycle_width": given.cycle_width,
            "cycle_lr": given.cycle_lr,
            "precision": given.precision,
            "perceptual": f"{far.encoder.name}, sha256 {far.encoder.sha256}",
            "label to photo, 106 test pairs": rows,
            "photo to label, pixel accuracy": accuracy,
        },
    )


if __name__ == "__main__":
    main()
