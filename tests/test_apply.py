"""`gansmith apply`: names, sizes and metadata are kept, broken files are listed, nothing is lost."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import gansmith
from gansmith.cli import main
from gansmith.data import DataSpec, ImageCodec
from gansmith.model.model import Model
from gansmith.model.saved import save_model
from gansmith.recipes.cyclegan import CycleGAN
from gansmith.recipes.pix2pix import Pix2Pix
from gansmith.use.picture_files import apply
from gansmith.use.translate import translate
from test_contract import two


class Negative(nn.Module):
    """A translator that can be checked: it turns black into white."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(tuple(x.shape))
        return -x * self.weight


def negative(spec: DataSpec | None = None) -> Model:
    """A cyclegan whose a2b is the negative, and whose b2a leaves things as they are."""
    spec = spec or two("domains", (3, 16, 16), (3, 16, 16))
    nets = nn.ModuleDict({"G_ab": Negative(), "G_ba": nn.Conv2d(spec.shape[0], spec.shape[0], 1, bias=False)})
    with torch.no_grad():
        nets["G_ba"].weight.copy_(torch.eye(spec.shape[0])[:, :, None, None])  # type: ignore[union-attr,operator]
    return Model(CycleGAN(), "cyclegan", spec, {"ema": nets.eval(), "raw": nets.eval()}, 0)


def noisy(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("size", [(16, 16), (5, 40), (1, 1), (33, 17), (3, 9)])
def test_any_size_comes_back_whole(size: tuple[int, int]) -> None:
    x = noisy(*size)[None]
    assert np.array_equal(translate(negative(), x), 255 - x)
    assert np.array_equal(translate(negative(), x, direction="b2a"), x)
    assert translate(negative(), x, scale="trained").shape == x.shape


def test_small_pictures_are_continued_as_in_a_mirror_for_the_network() -> None:
    model = negative()
    translate(model, noisy(5, 40)[None])
    assert model.networks["G_ab"].seen == [(1, 3, 16, 40)]  # type: ignore[union-attr]
    model = negative()
    translate(model, noisy(50, 40)[None], scale="trained")
    assert model.networks["G_ab"].seen == [(1, 3, 16, 16)]  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [(8, 8), (19, 30), (3, 5)])
def test_real_networks_take_any_size(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    spec = two("pairs", (3, 12, 16), (1, 12, 16))
    recipe = Pix2Pix(width=4)
    nets = nn.ModuleDict({"G": recipe.networks(spec)["G"]}).eval()
    model = Model(recipe, "pix2pix", spec, {"ema": nets, "raw": nets}, 0)
    made = translate(model, noisy(*size)[None])
    assert made.shape == (1, *size, 1)
    assert np.array_equal(made, translate(model, noisy(*size)[None]))
    assert not np.array_equal(made, translate(model, noisy(*size)[None], seed=1))  # dropout is its noise
    with pytest.raises(ValueError, match="has learned a2b alone"):
        translate(model, noisy(*size)[None], direction="b2a")


def folder(root: Path) -> Path:
    (root / "deep").mkdir(parents=True)
    Image.fromarray(noisy(20, 30)).save(root / "one.png")
    exif = Image.Exif()
    exif[0x010E] = "the harbour"
    exif[0x0112] = 6  # lies on its side
    Image.fromarray(noisy(24, 18)).save(root / "deep" / "two.jpg", exif=exif, icc_profile=b"profile", quality=95)
    Image.fromarray(noisy(9, 9, 1)[..., 0]).save(root / "grey.bmp")
    (root / "broken.png").write_bytes(b"\x89PNG nothing")
    (root / "notes.txt").write_text("not a picture")
    return root


def test_a_folder_keeps_names_sizes_and_metadata(tmp_path: Path) -> None:
    done = apply(negative(), folder(tmp_path / "in"), tmp_path / "out")
    assert sorted(p.relative_to(tmp_path / "out").as_posix() for p in done.written) == [
        "deep/two.jpg",
        "grey.bmp",
        "one.png",
    ]
    assert [name for name, _ in done.failed] == ["broken.png"] and list(done.ignored) == ["notes.txt"]
    with Image.open(tmp_path / "out" / "one.png") as made:
        assert np.array_equal(np.asarray(made), 255 - noisy(20, 30))
        assert "AI model" in made.text["Comment"]  # type: ignore[attr-defined]
    with Image.open(tmp_path / "out" / "deep" / "two.jpg") as made:
        assert made.size == (24, 18)  # upright
        assert made.getexif()[0x010E] == "the harbour" and made.getexif()[0x0112] == 1
        assert made.info["icc_profile"] == b"profile" and b"AI model" in made.info["comment"]
    with Image.open(tmp_path / "out" / "grey.bmp") as made:
        assert made.mode == "RGB" and made.size == (9, 9)


def test_results_do_not_depend_on_the_other_files(tmp_path: Path) -> None:
    torch.manual_seed(0)
    spec = two("pairs", (3, 8, 8), (3, 8, 8))
    nets = nn.ModuleDict({"G": Pix2Pix(width=4).networks(spec)["G"]}).eval()
    model = Model(Pix2Pix(width=4), "pix2pix", spec, {"ema": nets, "raw": nets}, 0)
    source = folder(tmp_path / "in")
    apply(model, source, tmp_path / "all")
    apply(model, source / "one.png", tmp_path / "single.png")
    apply(model, source / "one.png", tmp_path / "other.png", seed=1)
    read = [np.asarray(Image.open(tmp_path / n)) for n in ("all/one.png", "single.png", "other.png")]
    assert np.array_equal(read[0], read[1]) and not np.array_equal(read[0], read[2])


def test_sixteen_bits_do_not_turn_black_and_transparency_stays(tmp_path: Path) -> None:
    deep = (np.arange(400, dtype=np.uint16).reshape(20, 20) * 160).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    alpha = noisy(12, 14, 4)
    Image.fromarray(alpha).save(tmp_path / "clear.png")
    apply(negative(), tmp_path / "deep.png", tmp_path / "out")
    with Image.open(tmp_path / "out" / "deep.png") as made:
        assert np.abs(np.asarray(made)[..., 0].astype(int) - (255 - np.rint(deep / 257.0))).max() <= 1
    apply(negative(), tmp_path / "clear.png", tmp_path / "out")
    with Image.open(tmp_path / "out" / "clear.png") as made:
        assert made.mode == "RGBA" and np.array_equal(np.asarray(made)[..., 3], alpha[..., 3])


def test_models_of_sixteen_bits_write_them(tmp_path: Path) -> None:
    parts = {
        k: DataSpec(kind="image", shape=(1, 8, 8), codec=ImageCodec(dtype="uint16", high=65535.0)) for k in ("a", "b")
    }
    spec = DataSpec(kind="domains", shape=(1, 8, 8), codec=parts["b"].codec, parts=parts)
    deep = (np.arange(120, dtype=np.uint16).reshape(10, 12) * 500).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    apply(negative(spec), tmp_path / "deep.png", tmp_path / "made.png")
    with Image.open(tmp_path / "made.png") as made:
        assert np.array_equal(np.asarray(made).astype(int), 65535 - deep.astype(int))


def test_an_animation_keeps_its_frames_and_times(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 14), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=[100, 250, 70], loop=3)
    apply(negative(), tmp_path / "a.gif", tmp_path / "b.gif")
    with Image.open(tmp_path / "b.gif") as made:
        assert made.n_frames == 3 and made.size == (20, 14) and made.info["loop"] == 3  # type: ignore[attr-defined]
        times = []
        for i, expected in enumerate([(0, 255, 255), (255, 0, 255), (255, 255, 0)]):
            made.seek(i)
            times.append(made.info["duration"])
            assert np.abs(np.asarray(made.convert("RGB")).reshape(-1, 3).mean(0) - expected).max() < 3
        assert times == [100, 250, 70]


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    source = folder(tmp_path / "in")
    first = apply(negative(), source, tmp_path / "out")
    with pytest.raises(FileExistsError, match="--existing skip"):
        apply(negative(), source, tmp_path / "out")
    (tmp_path / "out" / "one.png").unlink()
    again = apply(negative(), source, tmp_path / "out", existing="skip")
    assert [p.name for p in again.written] == ["one.png"] and len(again.kept) == len(first.written) - 1
    assert len(apply(negative(), source, tmp_path / "out", existing="replace").written) == len(first.written)
    with pytest.raises(ValueError, match="folder of the input"):
        apply(negative(), source, source)


@pytest.mark.parametrize(
    ("source", "out", "error", "message"),
    [
        ("nothing", "out", FileNotFoundError, "there is no"),
        ("in/broken.png", "out.png", ValueError, "nothing in"),
        ("in", "out.png", ValueError, "name a folder"),
        ("in/one.png", "out.mp4", ValueError, "ends in"),
    ],
)
def test_mistakes_are_said(source: str, out: str, error: type[Exception], message: str, tmp_path: Path) -> None:
    folder(tmp_path / "in")
    with pytest.raises(error, match=message):
        apply(negative(), tmp_path / source, tmp_path / out)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    spec = two("domains", (3, 16, 16), (3, 16, 16))
    recipe = CycleGAN(width=4, blocks=1)
    nets = nn.ModuleDict(recipe.networks(spec))
    served = nn.ModuleDict({role: copy.deepcopy(nets[role]) for role in recipe.serving})
    save_model(tmp_path / "model", recipe, "cyclegan", spec, nets, served, 0)
    source = folder(tmp_path / "in")
    words = ["apply", str(tmp_path / "model"), str(source), "--out", str(tmp_path / "out"), "--direction", "b2a"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "3 written" in said.out and "1 left out" in said.out and "broken.png" in said.err
    assert main(words) == 1 and "is there already" in capsys.readouterr().err
    model = gansmith.load(tmp_path / "model")
    expected = translate(model, noisy(20, 30)[None], direction="b2a")[0]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "one.png")), expected)
    grid = ["sample", str(tmp_path / "model"), "--given", str(source), "-n", "6", "--out", str(tmp_path / "grid.png")]
    assert main(grid) == 0 and (tmp_path / "grid.png").is_file()
    assert main([*grid[:4], "-n", "5", "--out", str(tmp_path / "x.npz")]) == 0
    assert np.load(tmp_path / "x.npz")["x"].shape == (5, 16, 16, 3)
    assert main(["sample", str(tmp_path / "model")]) == 1
    assert "--given" in capsys.readouterr().err


def test_models_that_draw_from_noise_are_sent_to_sample(tmp_path: Path) -> None:
    spec = DataSpec(kind="image", shape=(1, 8, 8), codec=ImageCodec())
    recipe = gansmith.load_recipe("dcgan")()
    nets = nn.ModuleDict({"G": recipe.networks(spec)["G"]})
    model = Model(recipe, "dcgan", spec, {"ema": nets, "raw": nets}, 0)
    with pytest.raises(ValueError, match="gansmith sample"):
        apply(model, tmp_path, tmp_path / "out")
