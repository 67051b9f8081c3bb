"""The command line, as a person meets it: what is printed, what is written, the exit code."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gansmith import __version__
from gansmith.cli import COMMANDS, main
from gansmith.recipe import recipe_names

OWN = '''"""Mine: a recipe of my own."""

from dataclasses import dataclass

import torch
from torch import nn

from gansmith.recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Turn, noise


@dataclass(frozen=True, kw_only=True)
class Mine(Recipe):
    seed: int = 1
    """A field named like a training option."""
    fancy: bool = True

    def networks(self, data: DataSpec):
        c, h, w = data.shape
        return {
            "G": nn.Sequential(nn.Linear(4, c * h * w), nn.Unflatten(1, (c, h, w)), nn.Tanh()),
            "D": nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 1)),
        }

    def optimizers(self):
        return {"G": Adam(1e-3), "D": Adam(1e-3)}

    def turns(self):
        return (Turn(("D",), self.d), Turn(("G",), self.g))

    def sample(self, nets, n, given: Batch = EMPTY):
        return nets["G"](noise(nets, n, 4))

    def d(self, nets, batch):
        with torch.no_grad():
            fake = self.sample(nets, len(batch["x"]))
        return {"gap": (nets["D"](fake) - nets["D"](batch["x"])).mean().tanh()}

    def g(self, nets, batch):
        return {"score": -nets["D"](self.sample(nets, len(batch["x"]))).mean()}
'''


def gansmith(*words: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gansmith", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=os.environ | env, timeout=120)


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code and the first line on stderr."""
    code = main(words)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.err.splitlines()[0]


def succeeds(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    try:
        code = main(words)
    except SystemExit as stop:  # how the parser leaves after --help
        code = stop.code or 0
    assert code == 0
    return capsys.readouterr().out


# --- help -------------------------------------------------------------------------------------------------------------


def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("--help",), ("-h",), ("help",), ()):
        text = succeeds(capsys, *words)
        assert all(f"\n  {command}" in text for command in COMMANDS)
    assert succeeds(capsys, "--version") == f"gansmith {__version__}\n"


@pytest.mark.parametrize("command", [*COMMANDS, "data inspect", "data pack"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"usage: gansmith {command}" in succeeds(capsys, *command.split(), "--help")


def test_the_help_of_train(capsys: pytest.CaptureFixture[str]) -> None:
    plain = succeeds(capsys, "train", "--help")
    assert "gansmith train RECIPE --help" in plain.replace("\n", " ")
    assert "--checkpoint-every COUNT" in plain and "(default: 50k)" in plain
    assert "--z-dim" not in plain
    for words in (
        ("train", "wgan-gp", "--help"),
        ("train", "--help", "wgan_gp"),
        ("train", "--data", "gan", "wgan_gp", "-h"),
    ):
        text = succeeds(capsys, *words)
        assert "--critic-moves INT" in text and "lambda in Eq. 3" in text


@pytest.mark.parametrize(
    "words", [("--help",), ("--version",), ("recipes",), ("recipes", "gan"), ("train", "gan", "--help")]
)
def test_help_and_recipes_are_quick_and_need_no_torch(words: tuple[str, ...]) -> None:
    code = (
        "import sys\n"
        "from gansmith.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'sklearn', 'pandas', 'numpy', 'PIL', 'scipy'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert (
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0
    )  # 0.1-0.2 s; importing torch is 2 s


# --- recipes ----------------------------------------------------------------------------------------------------------


def test_recipes_are_listed_and_shown_in_full(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    listed = succeeds(capsys, "recipes")
    assert all(f"\n{name} " in f"\n{listed}" for name in recipe_names())
    page = succeeds(capsys, "recipes", "wgan-gp")
    for part in ("1704.00028", "--critic-moves", "n_critic", "Expect", "Differs from the paper"):
        assert part in page
    (tmp_path / "mine.py").write_text(OWN)
    assert "a recipe of my own" in succeeds(capsys, "recipes", str(tmp_path / "mine.py"))


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("trian gan", "did you mean train?"),
        ("train gann", "did you mean gan?"),
        ("recipes r3gam", "did you mean r3gan?"),
        ("train gan --imags 3", "no option --imags; did you mean --images?"),
        ("train wgan_gp --penalti 3", "no option --penalti; did you mean --penalty?"),
        ("train gan --critic-moves 3", "no option --critic-moves"),
        ("train gan more", "no place for 'more'"),
        ("train --data mnist", "say which recipe"),
        ("train --resume", "say which"),
        ("train gan --images abc", "'abc' is not a whole number: write 200000, 200k or 1.5M"),
        ("train gan --images 1.5", "'1.5' is not a whole number"),
        ("train gan --images inf", "'inf' is not a whole number"),
        ("train gan --size 3y", "'3y' is not a size: write 32, or 48x64"),
        ("train gan --precision fp8", "'fp32', 'bf16'"),
        ("train gan --seed", "--seed"),
        ("train gan --batch-size 0", "--batch-size is 0; it must be at least 1"),
        ("sample", "RUN"),
        ("sample run --out x.jpg", "a .png for a grid"),
        ("data inspct digits", "did you mean inspect?"),
        ("data pack digits", "--out"),
    ],
)
def test_what_cannot_be_understood_is_one_line_and_exits_with_2(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, line = fails(capsys, *words.split())
    assert code == 2
    assert line.startswith("gansmith: error: ") and said in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train gan --data {}/none --out {}/run", "none"),
        ("train dcgan --data toy:ring --out {}/run", "dcgan"),
        ("train --resume --out {}/none", "no run at"),
        ("train {}/none.py", "no recipe file"),
        ("sample {}/none", "none"),
        ("info {}/none", "no run at"),
        ("data inspect {}/none", "none"),
    ],
)
def test_mistakes_of_the_user_are_one_line_and_exit_with_1(
    words: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, line = fails(capsys, *words.replace("{}", str(tmp_path)).split())
    assert code == 1
    assert line.startswith("gansmith: error: ") and said in line


def test_the_traceback_can_be_had(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANSMITH_TRACEBACK", "1")
    assert main(["info", "/none"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_faults_of_ours_are_not_dressed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(words: list[str]) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setitem(COMMANDS, "info", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["info"])


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(COMMANDS, "info", stopped)
    assert main(["info"]) == 130


# --- a run, from training to samples ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few steps of `gan` on the digits, in a process of its own."""
    folder = tmp_path_factory.mktemp("cli")
    words = ("train", "--data", "digits", "gan", "--images", "640", "--width", "32", "--precision", "fp32")
    done = gansmith(*words, "--log-every", "64", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "640 images" in done.stderr
    return folder / "runs" / "gan-digits"


def test_a_run_has_pictures_to_look_at(run: Path) -> None:
    with Image.open(run / "curves.png") as curves, Image.open(run / "film.gif") as film:
        assert curves.width > 900 and getattr(film, "n_frames", 1) > 5


def test_samples_as_a_grid_a_folder_and_numbers(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "12 samples of gan" in succeeds(capsys, "sample", str(run), "-n", "12", "--out", str(tmp_path / "x.npz"))
    with np.load(tmp_path / "x.npz") as saved:
        x, notice = saved["x"], str(saved["notice"])
    assert x.shape == (12, 8, 8, 1) and x.dtype == np.uint8 and "AI model" in notice
    succeeds(capsys, "sample", str(run / "model"), "-n", "3", "--out", str(tmp_path / "folder"))
    singles = sorted((tmp_path / "folder").iterdir())
    assert [p.name for p in singles] == ["000000.png", "000001.png", "000002.png"]
    with Image.open(singles[2]) as image:
        assert (np.asarray(image) == x[2, ..., 0]).all()
        assert image.info["Software"] == "gansmith"
    succeeds(capsys, "sample", str(run), "--num", "9")
    with Image.open(run / "grid.png") as image:
        assert min(image.size) > 400 and "AI model" in image.info["Comment"]
    succeeds(capsys, "sample", str(run), "-n", "12", "--weights", "raw", "--out", str(tmp_path / "raw.npz"))
    succeeds(capsys, "sample", str(run), "-n", "12", "--seed", "1", "--out", str(tmp_path / "other.npz"))
    for name in ("raw.npz", "other.npz"):
        with np.load(tmp_path / name) as saved:
            assert (saved["x"] != x).any()
    code, line = fails(capsys, "sample", str(run), "--out", str(tmp_path / "folder"))
    assert code == 1 and "not an empty folder" in line
    code, line = fails(capsys, "sample", str(run), "-n", "0", "--out", str(tmp_path / "none.npz"))
    assert code == 1 and "at least 1" in line
    code, line = fails(capsys, "sample", str(run), "--truncation", "0.5")
    assert code == 1 and "gan takes no --truncation when it samples" in line
    code, line = fails(capsys, "sample", str(run), "--label", "cat")
    assert code == 1 and "label 'cat': the classes of" in line


def test_info_shows_what_how_far_how_it_goes_and_the_networks(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = succeeds(capsys, "info", str(run))
    for part in (
        "gan (z_dim=100",
        "digits: 1,797 pictures of 1x8x8",
        "640 of 640",
        "finished",
        "D/real",
        "Linear",
        "1x8x8",
    ):
        assert part in text
    assert "parameters in all" in text


def test_a_run_goes_on_as_it_was_started(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    succeeds(capsys, "train", "--resume", "--out", str(run))  # finished: nothing to do, and no error
    code, line = fails(capsys, "train", "--resume", "--out", str(run), "--images", "64")
    assert code == 1 and "larger --images" in line
    code, line = fails(capsys, "train", "gan", "--resume", "--out", str(run), "--images", "2k", "--batch-size", "32")
    assert code == 1 and "--batch-size is 32" in line and "started with 64" in line
    code, line = fails(capsys, "train", "--resume", "--out", str(run), "--images", "2k", "--width", "16")
    assert code == 1 and "--width is 16" in line
    code, line = fails(capsys, "train", "wgan_gp", "--resume", "--out", str(run))
    assert code == 1 and "trained with gan, not wgan_gp" in line
    words = ("train", "gan", "--resume", f"--out={run}", "--images", "704", "--width", "32", "--data", "digits")
    succeeds(capsys, *words)
    assert "704 images" in succeeds(capsys, "info", str(run))
    code, line = fails(capsys, "train", "gan", "--out", str(run))
    assert code == 1 and "--resume" in line


def test_a_recipe_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine, out = str(tmp_path / "mine.py"), str(tmp_path / "run")
    Path(mine).write_text(OWN)
    assert "--recipe.seed INT" in succeeds(capsys, "train", mine, "--help")
    words = ("--images", "128", "--precision", "fp32", "--seed", "5", "--recipe.seed", "7", "--no-fancy")
    succeeds(capsys, "train", *words, mine, "--out", out)
    assert "seed=7, fancy=False" in succeeds(capsys, "info", out, "--recipe-file", mine)
    assert "add --recipe-file" in succeeds(capsys, "info", out)
    code, line = fails(capsys, "sample", out)
    assert code == 1 and "--recipe-file" in line
    succeeds(capsys, "sample", out, "--recipe-file", mine)
    code, line = fails(capsys, "train", "--resume", "--out", out, "--images", "192")
    assert code == 1 and f"gansmith train {mine} --resume" in line
    succeeds(capsys, "train", mine, "--resume", "--out", out, "--images", "192", "--recipe.seed", "7", "--seed", "5")
    assert "192 images" in succeeds(capsys, "info", out)
    code, line = fails(capsys, "train", mine, "--resume", "--out", out, "--recipe.seed", "8")
    assert code == 1 and "--recipe.seed is 8" in line
    Path(mine).write_text(OWN + "\n# another day\n")
    code, line = fails(capsys, "train", mine, "--resume", "--out", out, "--images", "256")
    assert code == 1 and "mine.py is not what this was trained with" in line and "recipe.py goes on with it" in line
    succeeds(capsys, "train", f"{out}/recipe.py", "--resume", "--out", out, "--images", "256")


def test_points(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "ring")
    succeeds(capsys, "train", "gan", "--data", "toy:ring", "--images", "128", "--out", out, "--width", "8")
    succeeds(capsys, "sample", out, "-n", "50", "--out", str(tmp_path / "cloud.png"))
    with Image.open(tmp_path / "cloud.png") as image:
        assert min(image.size) > 400
    code, line = fails(capsys, "sample", out, "--out", str(tmp_path / "folder"))
    assert code == 1 and "vectors" in line


def test_data_is_inspected_and_packed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "1,797" in succeeds(capsys, "data", "inspect", "digits")
    store = str(tmp_path / "store")
    assert "1x12x16" in succeeds(capsys, "data", "pack", "digits", "--out", store, "--size", "12x16")
    assert "12x16" in succeeds(capsys, "data", "inspect", store)


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m gansmith recipes | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
