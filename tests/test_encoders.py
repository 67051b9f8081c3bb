"""Encoders: what they compute, what they refuse, and what their scores are called."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gansmith.data import Store, open_store
from gansmith.encoders import (
    PUBLISHED_INCEPTION,
    Encoder,
    cifar_resnet,
    convert_weights,
    dinov2,
    inception,
    load_own,
    score_name,
    train_own,
)
from gansmith.encoders.changes import changed
from gansmith.encoders.cifar_resnet import CifarResNet
from gansmith.encoders.inception import Inception
from gansmith.encoders.learning import contrast
from gansmith.encoders.resize import resized
from gansmith.encoders.trunks import OwnNet
from gansmith.encoders.weights import fill
from gansmith.extras import MissingExtra
from gansmith.files import sha256
from gansmith.metrics import frechet_distance
from gansmith.options import DataOptions


class Mean(nn.Module):
    """Features: each channel's mean; logits: the same. Also notes whether it was in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert not self.training
        means = x.mean((2, 3)) * self.weight
        return means, means / 255


def tiny(**fields: Any) -> Encoder:
    plain: dict[str, Any] = {
        "name": "tiny",
        "net": Mean().train(),
        "shape": (3, 4, 4),
        "dim": 3,
        "classes": 3,
        "sha256": "0" * 64,
        "resize": "area",
        "scaling": "x",
        "repeats_grey": True,
        "batch_size": 4,
    }
    return Encoder(**plain | fields)


def pictures(n: int, height: int, width: int, channels: int, dtype: type[np.unsignedinteger] = np.uint8) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, np.iinfo(dtype).max + 1, (n, height, width, channels)).astype(dtype)


@pytest.fixture(scope="module")
def digits() -> Store:
    return open_store("digits", progress=False)


@pytest.fixture(scope="module")
def own(digits: Store) -> Encoder:
    return train_own(digits, images=8_000)


# --- resizing ---------------------------------------------------------------------------------------------------------


def test_tf1_bilinear_by_hand():
    row = torch.tensor([0.0, 30.0, 90.0]).view(1, 1, 1, 3)
    # 3 to 6: read at 0, .5, 1, 1.5, 2, 2.5; the last lies beyond the last pixel and repeats it.
    assert resized(row, (1, 6), "tf1-bilinear").flatten().tolist() == [0, 15, 30, 60, 90, 90]
    # 3 to 2: read at 0 and 1.5: not antialiased.
    assert resized(row, (1, 2), "tf1-bilinear").flatten().tolist() == [0, 60]
    column = resized(row.transpose(2, 3), (6, 1), "tf1-bilinear")
    assert column.flatten().tolist() == [0, 15, 30, 60, 90, 90]


def test_torch_bilinear_by_hand():
    row = torch.tensor([0.0, 30.0, 90.0]).view(1, 1, 1, 3)
    # 3 to 6: read at -.25, .25, .75, 1.25, 1.75, 2.25, clamped.
    found = resized(row, (1, 6), "torch-bilinear").flatten()
    torch.testing.assert_close(found, torch.tensor([0, 7.5, 22.5, 45, 75, 90]))


def test_pil_bicubic_is_pillows_on_floats():
    x = torch.from_numpy(pictures(2, 9, 7, 3).astype(np.float32)).permute(0, 3, 1, 2)
    found = resized(x, (5, 11), "pil-bicubic")
    wanted = np.asarray(Image.fromarray(x[1, 2].numpy()).resize((11, 5), Image.Resampling.BICUBIC))
    assert found.shape == (2, 3, 5, 11)
    np.testing.assert_array_equal(found[1, 2].numpy(), np.clip(wanted, 0, 255))
    assert float(found.min()) >= 0 and float(found.max()) <= 255


@pytest.mark.parametrize("how", ["area", "tf1-bilinear", "torch-bilinear", "pil-bicubic"])
def test_a_resize_keeps_flat_pictures_and_its_own_size(how):
    flat = torch.full((1, 2, 6, 6), 77.0)
    torch.testing.assert_close(resized(flat, (4, 3), how), torch.full((1, 2, 4, 3), 77.0))
    x = torch.rand(1, 1, 5, 5)
    assert resized(x, (5, 5), how) is x


def test_resizes_differ_on_a_shrunken_checkerboard():
    board = torch.from_numpy(np.indices((32, 32)).sum(0) % 2 * 255.0).float()[None, None]
    spread = {h: float(resized(board, (9, 9), h).std()) for h in ("tf1-bilinear", "torch-bilinear", "pil-bicubic")}
    assert spread["pil-bicubic"] < 10 < 40 < min(spread["tf1-bilinear"], spread["torch-bilinear"])


def test_no_resize_refuses_another_size():
    with pytest.raises(ValueError, match=r"8x8; this encoder takes 4x4.*pack the data"):
        resized(torch.rand(1, 1, 8, 8), (4, 4), "none")


# --- what an encoder takes --------------------------------------------------------------------------------------------


def test_bytes_deep_colour_and_floats_mean_the_same():
    x = pictures(6, 4, 4, 3)
    encoder = tiny()
    wanted = encoder.features(x)
    assert wanted.dtype == torch.float32 and wanted.shape == (6, 3)
    torch.testing.assert_close(encoder.features(x.astype(np.uint16) * 257), wanted)
    torch.testing.assert_close(encoder.features(x.astype(np.float32) / 127.5 - 1, (-1, 1)), wanted)
    torch.testing.assert_close(encoder.features(x.astype(np.float64) / 255, (0, 1)), wanted)
    torch.testing.assert_close(wanted, torch.from_numpy(x.astype(np.float32).mean((1, 2))))


def test_probabilities_sum_to_one_and_grey_is_repeated():
    rows = tiny().probabilities(pictures(5, 4, 4, 1))
    torch.testing.assert_close(rows, torch.full((5, 3), 1 / 3))


@pytest.mark.parametrize(
    ("images", "bounds", "message"),
    [
        (np.zeros((3, 4, 4), np.uint8), None, r"shape \(3, 4, 4\)"),
        (np.zeros((0, 4, 4, 3), np.uint8), None, "N >= 1"),
        (np.zeros((1, 4, 4, 3), np.int64), None, "int64"),
        (np.zeros((1, 4, 4, 3), np.float32), None, "say what black and white are"),
        (np.full((1, 4, 4, 3), 1.5, np.float32), (-1, 1), "reach from 1.5 to 1.5; bounds are -1 and 1"),
        (np.full((1, 4, 4, 3), np.nan, np.float32), (-1, 1), "nan"),
        (np.zeros((1, 4, 4, 3), np.uint8), (1, 1), "the first is less"),
        (np.zeros((1, 4, 4, 2), np.uint8), None, "2 channels; the encoder tiny takes 3"),
    ],
)
def test_refused_pictures(images, bounds, message):
    with pytest.raises(ValueError, match=message):
        tiny().features(images, bounds)


def test_it_leaves_the_process_settings_as_they_were():
    before = torch.backends.cudnn.deterministic, torch.get_float32_matmul_precision()
    tiny().features(pictures(1, 4, 4, 3))
    assert (torch.backends.cudnn.deterministic, torch.get_float32_matmul_precision()) == before


def test_reduced_precision_outside_does_not_reach_the_features(own, digits):
    x = digits.fields["x"][:64]
    wanted = own.features(x)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            found = own.features(x)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(found, wanted)


def test_names_of_scores():
    inception_like = {"name": "inception", "sha256": PUBLISHED_INCEPTION}
    assert score_name(tiny()) == "FD-tiny"
    assert score_name(tiny(**inception_like, resize="tf1-bilinear")) == "FID"
    assert score_name(tiny(**inception_like, resize="torch-bilinear")) == "FD-inception-torch-bilinear"
    assert score_name(tiny(**inception_like, resize="pil-bicubic")) == "FD-inception-pil-bicubic"
    assert score_name(tiny(name="inception", resize="tf1-bilinear")) == "FD-inception-00000000-tf1-bilinear"


# --- own --------------------------------------------------------------------------------------------------------------


def test_own_learns_the_digits_and_says_so(own, digits):
    assert own.facts["held_out"]["accuracy"] > 0.95 and own.facts["held_out"]["count"] == 180
    assert (own.dim, own.classes, own.shape, own.resize) == (128, 10, (1, 8, 8), "none")
    right = own.probabilities(digits.fields["x"]).argmax(1).numpy() == digits.fields["y"]
    assert right.mean() > 0.95
    assert {"weights_sha256", "resize", "antialias", "dtype", "tf32", "batch_size"} <= own.protocol().keys()
    assert json.loads(json.dumps(own.protocol())) == own.protocol()
    assert score_name(own) == "FD-own"


def test_features_do_not_depend_on_how_many_are_asked_for(own, digits):
    x = digits.fields["x"][:300]
    assert torch.equal(own.features(x)[:3], own.features(x[:3]))
    assert torch.equal(own.features(x)[256:], own.features(x[256:]))


def test_own_is_trained_once_and_loads_from_its_folder(own, digits, cache, tmp_path):
    again = train_own(digits, images=8_000)
    assert again.facts == own.facts
    [folder] = [p.parent for p in (cache / "encoders").glob("*/encoder.json") if own.sha256 in p.read_text()]
    moved = load_own(shutil.copytree(folder, tmp_path / "moved"))
    x = digits.fields["x"][:10]
    assert moved.sha256 == own.sha256 == sha256(folder / "encoder.safetensors")
    assert torch.equal(moved.features(x), own.features(x))


def test_own_is_reproducible_and_follows_its_seed(digits, tmp_path):
    state = torch.random.get_rng_state()
    first, second, other = (
        train_own(digits, images=600, seed=seed, folder=tmp_path / name)
        for seed, name in ((1, "a"), (1, "b"), (2, "c"))
    )
    assert first.sha256 == second.sha256 != other.sha256
    assert torch.equal(state, torch.random.get_rng_state())
    with pytest.raises(ValueError, match="other settings"):
        train_own(digits, images=700, seed=1, folder=tmp_path / "a")


def test_damaged_own_is_refused(digits, tmp_path):
    folder = tmp_path / "own"
    with pytest.raises(FileNotFoundError, match="no encoder"):
        load_own(folder)
    train_own(digits, images=200, folder=folder)
    note = json.loads((folder / "encoder.json").read_text())
    (folder / "encoder.json").write_text(json.dumps(note | {"input": [1, 8, 10**9]}))
    with pytest.raises(ValueError, match="does not describe an encoder"):
        load_own(folder)
    (folder / "encoder.json").write_text(json.dumps(note | {"network": "resnet"}))
    with pytest.raises(ValueError, match="not weights of"):
        load_own(folder)
    (folder / "encoder.json").write_text(json.dumps(note))
    with open(folder / "encoder.safetensors", "ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match="damaged or was swapped"):
        load_own(folder)


def test_own_without_labels_tells_digits_apart(digits, tmp_path):
    encoder = train_own(digits, images=8_000, use_labels=False, folder=tmp_path / "own")
    assert encoder.classes == 0 and encoder.facts["classes"] == []
    assert encoder.facts["held_out"]["accuracy"] > 0.04  # chance is .01
    features = nn.functional.normalize(encoder.features(digits.fields["x"]))
    nearest = (features @ features.T).fill_diagonal_(-1).argmax(1).numpy()
    y = digits.fields["y"]
    assert (y[nearest] == y).mean() > 0.9
    with pytest.raises(ValueError, match="trained without labels"):
        encoder.probabilities(digits.fields["x"][:2])


def test_own_distance_sees_a_dropped_class_and_blur(own, digits):
    x, y = digits.fields["x"], digits.fields["y"]
    order = np.random.default_rng(0).permutation(len(x))
    real, rest = order[:900], order[900:]
    reference = own.features(x[real])
    floor = frechet_distance(reference, own.features(x[rest])).value
    dropped = frechet_distance(reference, own.features(x[rest[y[rest] != 3]])).value
    blurred = x[rest].copy()
    blurred[:, 1:] = (blurred[:, 1:].astype(int) + blurred[:, :-1]) // 2
    assert dropped > 2 * floor and frechet_distance(reference, own.features(blurred)).value > 2 * floor


@pytest.mark.parametrize(
    ("shape", "dtype", "shrunk"),
    [
        ((5, 9, 2), np.uint8, None),
        ((40, 24, 4), np.uint16, None),
        ((100, 50, 3), np.uint8, (64, 32)),
        ((2, 2, 1), np.uint8, None),
    ],
)
def test_own_takes_any_picture(tmp_path, shape, dtype, shrunk):
    x = pictures(24, *shape, dtype=dtype)
    store = open_store({"x": x, "y": np.arange(24) % 2}, out=tmp_path / "store", progress=False)
    encoder = train_own(store, images=48, folder=tmp_path / "own")
    assert encoder.features(store.fields["x"]).shape == (24, 128)
    assert encoder.shape[1:] == (shrunk or shape[:2])
    assert encoder.resize == ("area" if shrunk else "none")
    with pytest.raises(ValueError, match=r"images are .* channels; the encoder own takes"):
        encoder.features(x[:, 1:])


def test_own_refuses_vectors_and_crumbs(tmp_path):
    ring = open_store("toy:ring", progress=False)
    with pytest.raises(ValueError, match="vectors; they are their own features"):
        train_own(ring)
    few = open_store(pictures(5, 8, 8, 1), out=tmp_path / "few", progress=False)
    with pytest.raises(ValueError, match="5 pictures; an encoder is trained on 20"):
        train_own(few)


def test_a_time_limit_ends_training_and_is_noted(digits, tmp_path):
    encoder = train_own(digits, images=10_000_000, minutes=0.01, folder=tmp_path / "own")
    assert encoder.facts["ended_by"] == "minutes" and encoder.facts["shown"] < 10_000_000


def test_contrast_in_closed_form():
    # Two pictures, views equal, pictures orthogonal: every row sees its partner at 1 and two others at 0.
    z = torch.eye(2).repeat(2, 1)
    wanted = np.log(1 + 2 * np.exp(-1 / 0.2))
    assert contrast(z).item() == pytest.approx(wanted, rel=1e-5)


def test_changes_at_no_strength_are_none():
    x = torch.rand(3, 2, 7, 5) * 255
    torch.testing.assert_close(changed(x, torch.Generator(), 0.0), x, atol=1e-3, rtol=0)


def test_a_turn_is_rigid_on_a_picture_that_is_not_square():
    net = OwnNet("resnet", (1, 64, 20), 0)
    features, logits = net.eval()(torch.zeros(2, 1, 64, 20))
    assert features.shape == (2, 128) and logits.shape == (2, 0) and float(features.detach().min()) >= 0


# --- Inception --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory) -> Path:
    """Random weights under the names of the published file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    state = {k: v for k, v in Inception().state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, path)
    return path


def test_inception_has_the_published_layout():
    with torch.device("meta"):
        net = Inception()
    shapes = {k: tuple(v.shape) for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert len(shapes) == 94 * 5 + 2  # 94 convolutions, each with four tensors of batch norm
    assert sum(p.numel() for p in net.parameters()) == 23_850_960
    assert sum(4 * int(np.prod(s)) for s in shapes.values()) == 95_541_568  # of the published file's 95,628,359 bytes
    published = {
        "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3),
        "Conv2d_3b_1x1.conv.weight": (80, 64, 1, 1),
        "Conv2d_4a_3x3.bn.running_var": (192,),
        "Mixed_5b.branch_pool.conv.weight": (32, 192, 1, 1),
        "Mixed_5d.branch5x5_2.conv.weight": (64, 48, 5, 5),
        "Mixed_6a.branch3x3dbl_3.conv.weight": (96, 96, 3, 3),
        "Mixed_6b.branch7x7_2.conv.weight": (128, 128, 1, 7),
        "Mixed_6c.branch7x7dbl_2.conv.weight": (160, 160, 7, 1),
        "Mixed_6e.branch7x7dbl_5.conv.weight": (192, 192, 1, 7),
        "Mixed_7a.branch7x7x3_4.conv.weight": (192, 192, 3, 3),
        "Mixed_7b.branch3x3_2b.conv.weight": (384, 384, 3, 1),
        "Mixed_7c.branch3x3dbl_1.conv.weight": (448, 2048, 1, 1),
        "Mixed_7c.branch3x3dbl_3a.conv.weight": (384, 384, 1, 3),
        "Mixed_7c.branch_pool.bn.bias": (192,),
        "fc.weight": (1008, 2048),
        "fc.bias": (1008,),
    }
    assert {k: shapes.get(k) for k in published} == published
    assert net.get_submodule("Mixed_7c.branch_pool.bn").eps == 0.001


def test_inception_pools_as_the_graph_did():
    net = Inception().eval()
    block = net.Mixed_5b
    seen: dict[str, torch.Tensor] = {}
    block.branch_pool.register_forward_pre_hook(lambda _, x: seen.update(average=x[0]))
    net.Mixed_7c.branch_pool.register_forward_pre_hook(lambda _, x: seen.update(maximum=x[0]))
    with torch.no_grad():
        block(torch.ones(1, 192, 5, 5))
        net.Mixed_7c(torch.arange(64.0).view(1, 1, 8, 8).expand(1, 2048, 8, 8))
    assert torch.equal(seen["average"], torch.ones(1, 192, 5, 5))  # counting the padding would give 4/9 in a corner
    assert seen["maximum"][0, 0, 0, 0] == 9.0 and seen["maximum"][0, 0, 7, 7] == 63.0


def test_inception_loads_and_computes(inception_file):
    digest = sha256(inception_file)
    encoder = inception(inception_file, sha256=digest, batch_size=2)
    assert encoder.sha256 == digest and encoder.protocol()["scaling"] == "(x - 128) / 128"
    features, probabilities = encoder.outputs(pictures(2, 20, 24, 3))
    assert features.shape == (2, 2048) and probabilities.shape == (2, 1008)
    assert not torch.equal(features[0], features[1])
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2))
    assert isinstance(encoder.net, Inception)
    logits = nn.functional.linear(features, encoder.net.fc.weight)
    torch.testing.assert_close(probabilities, logits.softmax(1))  # without the bias
    assert score_name(encoder) == f"FD-inception-{digest[:8]}-tf1-bilinear"
    port = inception(inception_file, sha256=digest, resize="torch-bilinear")
    assert port.protocol()["scaling"] == "(x - 127.5) / 127.5"


def test_inception_refuses_other_files(inception_file, tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights at"):
        inception(tmp_path / "none.pth")
    with pytest.raises(ValueError, match=r"has sha256 .*; expected 6726825d.*not opened"):
        inception(inception_file)
    with pytest.raises(ValueError, match="resize is 'area'"):
        inception(inception_file, resize="area")
    net, state = Inception(), torch.load(inception_file, weights_only=True)
    for change, message in [
        ({"fc.bias": None}, r"lacks fc\.bias"),
        ({"AuxLogits.fc.bias": torch.zeros(3)}, "has the unknown AuxLogits"),
        ({"fc.weight": torch.zeros(1000, 2048)}, r"fc\.weight is torch\.float32 \(1000, 2048\), expected"),
        ({"fc.bias": torch.full((1008,), torch.nan)}, r"NaN or infinity in fc\.bias"),
    ]:
        with pytest.raises(ValueError, match=message):
            fill(net, {k: v for k, v in (state | change).items() if v is not None}, "Inception")
    path = tmp_path / "short.pth"
    torch.save({k: v for k, v in state.items() if k != "Mixed_7b.branch1x1.bn.running_mean"}, path)
    with pytest.raises(ValueError, match=r"Inception-v3 .*lacks Mixed_7b\.branch1x1\.bn\.running_mean"):
        inception(path, sha256=sha256(path))


def test_a_pickle_that_runs_code_is_never_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / "hostile.pth"
    torch.save({"fc.weight": Hostile()}, path)
    for digest in (PUBLISHED_INCEPTION, sha256(path)):
        with pytest.raises(ValueError, match=r"not opened|not a file of weights alone"):
            convert_weights(path, tmp_path / "out.safetensors", accepted=[digest])
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out.safetensors").exists()


def test_converted_weights_are_verified(tmp_path):
    source, target = tmp_path / "weights.pth", tmp_path / "weights.safetensors"
    torch.save(CifarResNet(1).state_dict(), source)
    convert_weights(source, target, accepted=[sha256(source)])
    assert cifar_resnet(target).sha256 == sha256(source)
    damaged = bytearray(target.read_bytes())
    damaged[-1] ^= 1
    target.write_bytes(damaged)
    with pytest.raises(ValueError, match="does not have the sha256"):
        cifar_resnet(target)


# --- CIFAR ResNets ----------------------------------------------------------------------------------------------------


def test_cifar_resnet_layout():
    counts = {n: sum(p.numel() for p in CifarResNet((n - 2) // 6).parameters()) for n in (20, 56)}
    assert counts == {20: 269_722, 56: 853_018}  # .27 and .85 million in the paper
    features, logits = CifarResNet(1).eval()(torch.zeros(2, 3, 32, 32))
    assert features.shape == (2, 64) and logits.shape == (2, 10)


def test_cifar_resnet_refuses_what_it_is_not(tmp_path):
    path = tmp_path / "other.th"
    torch.save({"state_dict": {"conv1.weight": torch.zeros(1)}}, path)
    with pytest.raises(ValueError, match="not opened"):
        cifar_resnet(path)
    with pytest.raises(ValueError, match="0 blocks"):
        cifar_resnet(path, sha256=sha256(path))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "published"), [("resnet20-12fca82f.th", 0.917), ("resnet56-4bfd9763.th", 0.934)])
def test_cifar_resnet_reaches_its_published_accuracy(real_data, name, published):
    path, sheet = real_data / "weights/cifar10_resnet" / name, real_data / "cifar10/test_batch.webp"
    if not path.is_file() or not sheet.is_file():
        pytest.skip(f"{path} or {sheet} is not there")
    import gzip

    with gzip.open(real_data / "cifar10/labels_filenames.json.gz", "rt") as file:
        labels = np.asarray(json.load(file)["test_batch"]["labels"])[:2000]
    tiles = np.asarray(Image.open(sheet).convert("RGB")).reshape(100, 32, 100, 32, 3).transpose(0, 2, 1, 3, 4)
    encoder = cifar_resnet(path)
    features, probabilities = encoder.outputs(tiles.reshape(-1, 32, 32, 3)[:2000])
    assert features.shape == (2000, 64)
    accuracy = (probabilities.argmax(1).numpy() == labels).mean()
    assert abs(accuracy - published) < 0.02  # three standard errors of 2,000 pictures


# --- the order trap ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_first_mnist_test_digits_are_not_a_random_sample(real_data):
    """MNIST's first 5,000 test digits come from tidier writers: order is part of the protocol."""
    if not (real_data / "mnist").is_dir():
        pytest.skip(f"{real_data} holds no mnist/")
    options = DataOptions(data_dir=real_data)
    train, test = (open_store(name, options, progress=False) for name in ("mnist", "mnist:test"))
    encoder = train_own(train)
    features, probabilities = encoder.outputs(test.fields["x"])
    assert (probabilities.argmax(1).numpy() == test.fields["y"]).mean() >= 0.993
    reference = encoder.features(train.fields["x"][:10_000])
    drawn = torch.from_numpy(np.random.default_rng(0).permutation(len(features))[:5000])
    first, floor = (frechet_distance(reference, part).value for part in (features[:5000], features[drawn]))
    assert first > 2 * floor


@pytest.fixture
def dino_folder(tmp_path: Path) -> Path:
    """A small DINOv2 with random weights, in the layout of the published ones."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=224)
    transformers.Dinov2Model(config).save_pretrained(tmp_path / "dino")
    return tmp_path / "dino"


def test_dinov2_gives_the_class_token(dino_folder: Path) -> None:
    import transformers

    encoder = dinov2(dino_folder, batch_size=2)
    assert (encoder.dim, encoder.classes, score_name(encoder)) == (32, 0, "FD-dinov2")
    pictures = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x = torch.from_numpy((pictures / 255 - mean) / deviation).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        expected = transformers.Dinov2Model.from_pretrained(dino_folder).eval()(x).pooler_output
    torch.testing.assert_close(encoder.features(pictures), expected, rtol=1e-4, atol=1e-4)
    assert encoder.features(pictures[:, :40, :50]).shape == (3, 32)


def test_dinov2_refuses_other_files(dino_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing"):
        dinov2(tmp_path)
    note = json.loads((dino_folder / "config.json").read_text())
    (dino_folder / "config.json").write_text(json.dumps({**note, "num_hidden_layers": 3}))
    with pytest.raises(ValueError, match="does not fit"):
        dinov2(dino_folder)


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'gansmith\[dinov2\]'"):
        dinov2(tmp_path)
