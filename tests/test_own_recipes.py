"""Mistakes in a recipe of one's own: each is said in one line before anything is trained."""

import re
from pathlib import Path

import pytest

from gansmith.cli import main

GOOD = '''"""Mine: a recipe of my own."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from gansmith.recipe import EMPTY, Adam, Batch, DataSpec, Recipe, Turn, noise


@dataclass(frozen=True, kw_only=True)
class Mine(Recipe):
    width: int = 8

    def networks(self, data: DataSpec):
        c, h, w = data.shape
        return {
            "G": nn.Sequential(nn.Linear(4, c * h * w), nn.Unflatten(1, (c, h, w)), nn.Tanh()),
            "D": nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 1), nn.Flatten(0)),
        }

    def optimizers(self):
        return {"G": Adam(1e-3), "D": Adam(1e-3)}

    def turns(self):
        return (Turn(("D",), self.d_loss), Turn(("G",), self.g_loss))

    def sample(self, nets, n, given: Batch = EMPTY):
        return nets["G"](noise(nets, n, 4))

    def d_loss(self, nets, batch):
        fake = self.sample(nets, len(batch["x"]))
        return {"gap": nets["D"](fake).mean() - nets["D"](batch["x"]).mean()}

    def g_loss(self, nets, batch):
        return {"score": -nets["D"](self.sample(nets, len(batch["x"]))).mean()}
'''
D_LOSS = 'return {"gap": nets["D"](fake).mean() - nets["D"](batch["x"]).mean()}'


def gap(value: str) -> tuple[str, str]:
    """d_loss with another value of its term."""
    return D_LOSS, 'return {"gap": ' + value + "}"


BROKEN = {
    "loss returns a tensor": (
        D_LOSS,
        'return nets["D"](fake).mean()',
        r"d_loss\(\): it returned a tensor \(\); .* dict",
    ),
    "loss returns nothing": (D_LOSS, "pass", r"d_loss\(\): it returned None: a return is missing"),
    "term is no scalar": (
        D_LOSS,
        'return {"gap": nets["D"](fake)}',
        r"term 'gap' has the shape \(16,\); it must be \(\)",
    ),
    "term is a float": (
        D_LOSS,
        'return {"gap": nets["D"](fake).mean().item()}',
        r"term 'gap' is .*float.* no \.item\(\)",
    ),
    "term of whole numbers": (*gap('(nets["D"](fake) > 0).sum()'), r"term 'gap' is of torch\.int64"),
    "term of nobody": (
        D_LOSS,
        'return {"gap": batch["x"].mean()}',
        r"d_loss\(\): .*(depends on D|does not require grad)",
    ),
    "network that is not there": ('nets["D"](fake)', 'nets["C"](fake)', r"d_loss\(\): 'C' is not there.*line \d+ of"),
    "layer of another size": ("nn.Linear(4, c", "nn.Linear(5, c", r"d_loss\(\): RuntimeError: mat1.*line \d+ of"),
    "samples of another shape": ("nn.Unflatten(1, (c, h, w)), ", "", r"(sample|d_loss|g_loss)\(\): .*64"),
    "sample returns nothing": ('return nets["G"](noise', 'nets["G"](noise', r"(sample|d_loss)\(\): "),
    "a turn without its comma": (
        'return (Turn(("D",), self.d_loss), Turn(("G",), self.g_loss))',
        'return (Turn(("D", "G"), self.d_loss))',
        r"turns\(\): it returned one Turn; .* comma",
    ),
    "names without their comma": ('Turn(("D",),', 'Turn(("D"),', r"turns\(\): Turn 1 moves 'D'; names .* \('D',\)"),
    "a turn of nobody": ('Turn(("D",),', 'Turn(("E",),', r"turns\(\): Turn 1 moves 'E'; networks\(\) builds D, G"),
    "every 0": ("self.d_loss)", "self.d_loss, every=0)", r"turns\(\): Turn 1 has every=0; .* from 1 on"),
    "a loss that was called": ("self.d_loss)", "self.d_loss(None, None))", r"turns\(\): "),
    "optimiser of nobody": ('"D": Adam', '"E": Adam', r"optimizers\(\): it names 'E'; networks\(\) builds D, G"),
    "no optimiser": ('"D": Adam(1e-3)', '"D": 1e-3', r"optimizers\(\): for D it gives 0\.001 .* Adam"),
    "whole betas": ('"D": Adam(1e-3)', '"D": Adam(1e-3, (0, 0.9))', r"optimizers\(\): for D betas are \(0, 0\.9\)"),
    "no dict of networks": (
        '        return {\n            "G"',
        '        return 1, {\n            "G"',
        r"networks\(\): ",
    ),
    "a network without a name": (
        '"G": nn.Sequential(nn',
        '"H": nn.Sequential(nn',
        r"networks\(\): it builds H, D, not G",
    ),
    "no dataclass": ("@dataclass(frozen=True, kw_only=True)\n", "", r"Mine is no frozen dataclass"),
    "a field without a type": ("width: int = 8", "width = 8", r"Mine\.width = 8 has no type"),
}
DOUBTFUL = {
    "waits": (D_LOSS, D_LOSS.replace("return", "if fake.mean() > 9: print()\n        return"), "waits for the device"),
    "noise of PyTorch": ("noise(nets, n, 4)", "torch.randn(n, 4)", "draws numbers otherwise than by noise"),
    "noise of NumPy": (
        "noise(nets, n, 4)",
        "torch.from_numpy(np.random.standard_normal((n, 4)).astype('float32'))",
        "of the same batch and networks",
    ),
    "not finite": (D_LOSS, 'return {"gap": nets["D"](fake).mean() + float("inf")}', "gap -?inf at the first step"),
}


def train(folder: Path, old: str, new: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    text = GOOD.replace(old, new, 1)
    assert text != GOOD or not old
    (folder / "mine.py").write_text(text)
    words = ["--data", "digits", "--images", "64", "--batch-size", "32", "--precision", "fp32", "--layout", "nchw"]
    code = main(["train", str(folder / "mine.py"), *words, "--device", "cpu", "--out", str(folder / "run")])
    return code, capsys.readouterr().err


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_mistake_is_one_line(mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, said = BROKEN[mistake]
    code, errors = train(tmp_path, old, new, capsys)
    last = errors.strip().splitlines()[-1]
    assert code in (1, 2) and "Traceback" not in errors
    assert re.search(said, errors if code == 2 else last), errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("doubt", [name for name, (*_, said) in DOUBTFUL.items() if said])
def test_a_doubt_is_a_warning(doubt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, said = DOUBTFUL[doubt]
    _, errors = train(tmp_path, old, new, capsys)
    assert re.search(f"warning: .*{said}", errors), errors


def test_scores_that_spread_are_doubted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flat = "nn.Linear(c * h * w, 1), nn.Flatten(0)"
    text = GOOD.replace(D_LOSS, 'return {"gap": (nets["D"](fake) - nets["D"](batch["x"])[:, 0]).mean()}')
    (tmp_path / "mine.py").write_text(text.replace(flat, "nn.Linear(c * h * w, 1)"))
    words = ["--images", "64", "--batch-size", "32", "--precision", "fp32", "--out", str(tmp_path / "run")]
    assert main(["train", str(tmp_path / "mine.py"), *words]) == 0
    assert "sub of (16,) and (16, 1), which is (16, 16)" in capsys.readouterr().err


def test_check_says_what_holds_and_what_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(GOOD)
    assert main(["check", str(mine)]) == 0
    found = capsys.readouterr().out
    assert found.count("ok") == 6 and "WRONG" not in found
    mine.write_text(GOOD.replace("fake = self.sample(", 'nets["G"][0].bias.data.add_(1)\n        fake = self.sample('))
    assert main(["check", str(mine)]) == 1
    assert "the turn of D moves G too" in capsys.readouterr().out
    mine.write_text(GOOD.replace('return {"score": -nets', 'return {"score": batch["x"].std(0).mean() - nets'))
    assert main(["check", str(mine)]) == 1
    assert "let rows_together() say how many" in capsys.readouterr().out
    mine.write_text(GOOD.replace("noise(nets, n, 4)", "torch.ones(n, 4)"))
    assert main(["check", str(mine)]) == 1
    assert "another seed gave the same" in capsys.readouterr().out
    assert main(["check", "gan"]) == 0, "one of ours"


def test_a_sound_recipe_is_not_doubted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, errors = train(tmp_path, "", "", capsys)
    assert code == 0 and "warning" not in errors
