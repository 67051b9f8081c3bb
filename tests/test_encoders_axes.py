"""An encoder of one's own on samples that are no pictures: series, audio, volumes, clips."""

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from rich.console import Console
from rich.progress import Progress

from gansmith.data import Codec, DataSpec, VectorCodec
from gansmith.data.store import Store
from gansmith.encoders import Encoder, learning, load_own, train_own
from gansmith.encoders.changes import NOISE, shaken
from gansmith.encoders.encoder import encoded, placed, pooled, written
from gansmith.encoders.inputs import input_of
from gansmith.encoders.named import encoder_of
from gansmith.encoders.trunks import LARGEST, AxesNet
from gansmith.metrics import frechet_distance

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Plain(Codec):
    """Numbers as they are, divided by one."""

    by: float = 1.0

    def encode(self, raw: torch.Tensor) -> torch.Tensor:
        return raw.to(torch.float32) / self.by

    def decode(self, x: torch.Tensor) -> np.ndarray:
        return x.numpy() * self.by

    def to_json(self) -> dict[str, Any]:
        return {"kind": type(self).__name__, "by": self.by}


@dataclass(frozen=True, kw_only=True)
class Sound(Codec):
    """Stored (N, T, C) int16, encoded (N, C, T) in [-1, 1]: as the codec of audio says it."""

    channels_last = True

    def encode(self, raw: torch.Tensor) -> torch.Tensor:
        return raw.movedim(-1, 1).to(torch.float32) / 2**15

    def decode(self, x: torch.Tensor) -> np.ndarray:
        return (x.movedim(1, -1) * 2**15).to(torch.int16).numpy()

    def to_json(self) -> dict[str, Any]:
        return {"kind": "Sound"}


@dataclass(frozen=True, kw_only=True)
class Gaps(Codec):
    """Series with missing values, stored (N, T, W) with NaN, encoded (N, T, 2 W): values, 0 where none, and a mask."""

    def encode(self, raw: torch.Tensor) -> torch.Tensor:
        known = ~raw.isnan()
        return torch.cat([raw.nan_to_num(0.0), known], -1).to(torch.float32)

    def decode(self, x: torch.Tensor) -> np.ndarray:
        values, known = x.chunk(2, -1)
        return torch.where(known > 0.5, values, torch.nan).numpy()

    def to_json(self) -> dict[str, Any]:
        return {"kind": "Gaps"}


def packed(
    x: np.ndarray, y: np.ndarray | None = None, codec: Codec = Plain(), shape: tuple[int, ...] | None = None
) -> Store:
    """A store in memory; its digest is of what it holds."""
    fields = {"x": x} | ({} if y is None else {"y": y})
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(v).tobytes() for v in fields.values())).hexdigest()
    classes = () if y is None else tuple(map(str, range(int(y.max()) + 1)))
    spec = DataSpec(kind=cast(Any, "series"), shape=shape or x.shape[1:], codec=codec, classes=classes)
    return Store(
        path=Path(),
        source="memory",
        digest=digest,
        spec=spec,
        fields=fields,
        options={},
        quarantined=(),
        ignored=(),
        notes=(),
    )


# --- populations ------------------------------------------------------------------------------------------------------


def waves(kind: str, n: int, random: np.random.Generator) -> np.ndarray:
    """(n, 32, 1): of any phase, pitch and loudness, with noise; all kinds of equal power."""
    turns = random.uniform(2, 4, (n, 1)) * np.arange(32) / 32 + random.uniform(0, 1, (n, 1))
    shape = {
        "sine": np.sin(2 * np.pi * turns) * np.sqrt(2),
        "square": np.sign(np.sin(2 * np.pi * turns)),
        "rising": (2 * (turns % 1) - 1) * np.sqrt(3),
        "falling": (1 - 2 * (turns % 1)) * np.sqrt(3),
    }[kind]
    loud = shape * random.uniform(0.5, 2, (n, 1)) + 0.2 * random.normal(size=shape.shape)
    return loud[..., None].astype(np.float32)


def solids(kind: str, n: int, random: np.random.Generator) -> np.ndarray:
    """(n, 1, 8, 8, 8): balls, or shells of about their volume, of any place and size, with noise."""
    axes = np.stack(np.meshgrid(*[np.arange(8) + 0.5] * 3, indexing="ij"))
    centre, radius = random.uniform(2.8, 5.2, (n, 3, 1, 1, 1)), random.uniform(1.4, 2.2, (n, 1, 1, 1))
    away = np.sqrt(((axes - centre) ** 2).sum(1)) / radius
    inside = away < 1.24 if kind == "ball" else (away > 1.15) & (away < 1.5)
    return (inside + 0.1 * random.normal(size=inside.shape)).astype(np.float32)[:, None]


def two(make: Callable[..., np.ndarray], one: str, other: str, n: int, random: np.random.Generator) -> np.ndarray:
    return np.concatenate([make(one, n, random), make(other, n, random)])


def labels(n: int) -> np.ndarray:
    return np.repeat([0, 1], n).astype(np.int64)


def untrained(encoder: Encoder) -> Encoder:
    """The same network with the weights it began with, and the same scaling of its input."""
    torch.manual_seed(int(encoder.facts["settings"]["seed"]))
    net = AxesNet(encoder.shape, encoder.classes)
    assert isinstance(encoder.net, AxesNet)
    net.center.copy_(encoder.net.center)
    net.spread.copy_(encoder.net.spread)
    return dataclasses.replace(encoder, net=placed(net, "cpu"))


def accuracy(encoder: Encoder, x: np.ndarray) -> float:
    return float((encoder.probabilities(x).argmax(1).numpy() == labels(len(x) // 2)).mean())


def separation(encoder: Encoder, x: np.ndarray) -> float:
    """The distance of the first half of `x` from the second, in distances between the halves of the first half."""
    features, n = encoder.features(x), len(x) // 4
    apart = frechet_distance(features[:n], features[2 * n : 3 * n]).value
    return apart / frechet_distance(features[:n], features[n : 2 * n]).value


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("make", "one", "other", "shown"), [(waves, "sine", "square", 9_000), (solids, "ball", "shell", 4_000)]
)
def test_with_labels_it_tells_classes_apart(make, one, other, shown, seed, tmp_path):
    random = np.random.default_rng(seed)
    store = packed(two(make, one, other, 400, random), labels(400))
    encoder = train_own(store, images=shown, seed=seed, folder=tmp_path / "own")
    assert (encoder.classes, encoder.dim, encoder.facts["network"]) == (2, 128, "residual")
    unseen = two(make, one, other, 300, random)
    assert accuracy(encoder, unseen) > 0.95
    assert encoder.facts["held_out"]["accuracy"] > 0.9 and encoder.facts["held_out"]["count"] == 80
    assert accuracy(untrained(encoder), unseen) < 0.7


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("make", "one", "other", "shown"),
    # Rising and falling waves are one another's mirror image: an encoder that ignored flips would see no difference.
    [(waves, "rising", "falling", 6_000), (solids, "ball", "shell", 4_000)],
)
def test_without_labels_populations_separate(make, one, other, shown, seed, tmp_path):
    random = np.random.default_rng(seed)
    store = packed(two(make, one, other, 400, random), labels(400))
    encoder = train_own(store, images=shown, seed=seed, use_labels=False, folder=tmp_path / "own")
    assert encoder.classes == 0 and encoder.facts["held_out"]["accuracy"] > 0.04  # chance is 1 in 80
    assert "of a sample among" in encoder.facts["held_out"]["of"]
    unseen = two(make, one, other, 300, random)
    learnt, control = separation(encoder, unseen), separation(untrained(encoder), unseen)
    print(f"{one}, {other}, seed {seed}: {learnt:.1f}; untrained {control:.1f}")
    assert learnt > 20 and learnt > 3 * control


# --- which axis is which ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "codec", "channels", "taken"),
    [
        ((24, 6), Plain(), "auto", (6, 24)),
        ((24, 6), Plain(), "first", (24, 6)),
        ((2, 24), Sound(), "auto", (2, 24)),
        ((3, 9, 7), Plain(), "auto", (3, 9, 7)),
        ((9, 7, 3), Plain(), "last", (3, 9, 7)),
        ((2, 5, 6, 7), Plain(), "auto", (2, 5, 6, 7)),
        ((5, 6, 7, 2), Plain(), "last", (2, 5, 6, 7)),
        ((40_000, 2), Plain(), "auto", (2, 16_384)),
        ((1, 16, 100, 32), Plain(), "auto", (1, 16, 32, 32)),
    ],
)
def test_axes(shape, codec, channels, taken):
    store = packed(np.zeros((1, *shape), np.float32), codec=codec)
    assert input_of(store, channels).shape == taken


def test_series_and_audio_of_one_content_give_one_network(tmp_path):
    stored = np.random.default_rng(0).integers(-(2**15), 2**15, (30, 40, 2)).astype(np.int16)
    audio = packed(stored, codec=Sound(), shape=(2, 40))
    series = packed(stored, codec=Plain(by=2.0**15))
    one, other = (train_own(s, images=60, folder=tmp_path / n) for s, n in ((audio, "a"), (series, "b")))
    assert one.shape == other.shape == (2, 40) and (one.channels, other.channels) == ("first", "last")
    assert one.sha256 == other.sha256
    assert torch.equal(one.features(stored), other.features(stored))
    assert train_own(series, images=60, channels="first", folder=tmp_path / "c").sha256 != other.sha256


def test_what_it_does_not_take():
    with pytest.raises(ValueError, match=r"shape \(7,\), vectors; they are their own features"):
        train_own(packed(np.zeros((30, 7), np.float32)))
    with pytest.raises(ValueError, match="channels and 1 to 3 axes"):
        train_own(packed(np.zeros((30, 1, 2, 2, 2, 2), np.float32)))
    with pytest.raises(ValueError, match="19 samples; an encoder is trained on 20"):
        train_own(packed(np.zeros((19, 8, 1), np.float32)))
    parts = packed(np.zeros((30, 8, 1), np.float32))
    parts = dataclasses.replace(parts, spec=dataclasses.replace(parts.spec, parts={"a": parts.spec, "b": parts.spec}))
    with pytest.raises(ValueError, match="name one part"):
        train_own(parts)


# --- missing values, bounds of size -----------------------------------------------------------------------------------


def test_missing_values_reach_the_network_as_the_codec_writes_them(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 20, 1))
    x[random.random(x.shape) < 0.2] = np.nan
    encoder = train_own(packed(x, codec=Gaps(), shape=(20, 2)), images=500, folder=tmp_path / "own")
    assert encoder.shape == (2, 20)
    features = encoder.features(x)
    assert bool(torch.isfinite(features).all())
    assert not torch.equal(features, encoder.features(np.nan_to_num(x)))  # a missing value is not a zero
    with pytest.raises(ValueError, match="Plain encodes samples as NaN or infinity"):
        train_own(packed(x), folder=tmp_path / "other")
    assert not (tmp_path / "other").exists()
    known = train_own(packed(np.nan_to_num(x)), images=60, folder=tmp_path / "known")
    with pytest.raises(ValueError, match="encodes samples as NaN"):
        known.features(x)


def test_long_axes_are_reduced_by_means():
    x = torch.arange(24.0).view(1, 1, 4, 6)
    assert torch.equal(pooled(x, (4, 6), CPU), x)
    wanted = x.view(1, 1, 2, 2, 3, 2).mean((3, 5))
    torch.testing.assert_close(pooled(x, (2, 3), CPU), wanted)
    long = torch.arange(2.0 * LARGEST[1]).view(1, 1, -1)
    torch.testing.assert_close(pooled(long, (LARGEST[1],), CPU), long.view(1, 1, -1, 2).mean(-1))


def test_large_samples_are_encoded_a_few_at_a_time(monkeypatch):
    held = []
    monkeypatch.setattr(Plain, "encode", lambda _, raw: (held.append(raw.numel()), raw.to(torch.float32))[1])
    x = np.random.default_rng(0).normal(size=(9, 1, 128, 128, 256)).astype(np.float32)
    found = input_of(packed(x)).read(x, CPU)
    assert found.shape == (9, 1, 32, 32, 32) and max(held) <= 2**24 and sum(held) == x.size
    torch.testing.assert_close(found, torch.from_numpy(x).view(9, 1, 32, 4, 32, 4, 32, 8).mean((3, 5, 7)))


@pytest.mark.parametrize(
    ("shape", "taken"),
    [
        ((1, 1), (1, 1)),
        ((2, 3), (3, 2)),
        ((40_000, 1), (1, 16_384)),
        ((2, 3, 2, 40), (2, 3, 2, 32)),
        ((3, 1, 1, 1), (3, 1, 1, 1)),
        ((2, 40, 5), (2, 40, 5)),
        ((1, 80, 5), (1, 64, 5)),
    ],
)
def test_any_size_is_taken(shape, taken, tmp_path):
    x = np.random.default_rng(0).normal(size=(20, *shape)).astype(np.float32)
    encoder = train_own(packed(x), images=20, folder=tmp_path / "own")
    assert encoder.shape == taken and encoder.fits == shape
    assert encoder.resize == encoder.protocol()["resize"] == ("area" if max(taken) < max(shape) else "none")
    features, probabilities = encoder.outputs(x)
    assert features.shape == (20, 128) and probabilities.shape == (20, 0) and float(features.min()) >= 0


# --- the network ------------------------------------------------------------------------------------------------------


def test_each_channel_is_measured_and_its_unit_does_not_matter():
    random = torch.Generator().manual_seed(0)
    x = torch.randn(50, 3, 16, generator=random)
    x[:, 2] = 7.0
    net = AxesNet((3, 16), 0).eval()
    net.measure([x[:7], x[7:]])
    torch.testing.assert_close(net.center.flatten(), x.mean((0, 2)))
    torch.testing.assert_close(net.spread.flatten()[:2], x.std((0, 2), correction=0)[:2])
    assert float(net.spread[0, 2, 0]) == 1.0  # a constant channel is only shifted
    plain = net(x)[0]
    unit, zero = torch.tensor([1e3, 1e-9, 1.0])[:, None], torch.tensor([5.0, 0.0, 0.0])[:, None]
    net.measure([x * unit + zero])
    torch.testing.assert_close(net(x * unit + zero)[0], plain, rtol=1e-3, atol=1e-4)


def test_short_axes_keep_their_places():
    torch.manual_seed(0)
    net = AxesNet((1, 2, 32, 32), 0).eval()
    clips = torch.rand(2, 1, 2, 32, 32)
    assert not torch.allclose(net(clips)[0], net(clips.flip(2))[0])
    linear = net.features[0]
    assert isinstance(linear, torch.nn.Linear) and linear.in_features == 64 * 2 * 2 * 2  # two frames, 2 x 2 places


# --- the changes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(40,), (9, 7), (6, 5, 4)])
def test_no_strength_changes_nothing_and_equal_generators_change_alike(size):
    x = torch.rand(5, 2, *size)
    unit = torch.ones(1, 2, *(1,) * len(size))
    assert torch.equal(shaken(x, torch.Generator(), 0.0, unit=unit), x)
    one, other, third = (shaken(x, torch.Generator().manual_seed(s), 1.0, unit=unit, paint=True) for s in (3, 3, 4))
    assert torch.equal(one, other) and not torch.equal(one, third) and one.shape == x.shape


@pytest.mark.parametrize("size", [(60,), (24, 30), (12, 18, 24)])
def test_places_shift_by_a_sixth_at_most_and_never_flip(size):
    for axis, length in enumerate(size):
        ramp = torch.arange(float(length)).view(1, 1, *(length if a == axis else 1 for a in range(len(size))))
        x = ramp.expand(200, 1, *size)
        moved = shaken(x, torch.Generator().manual_seed(0), 1.0, unit=torch.ones(1)).movedim(axis + 2, -1)
        away = moved[..., length // 2] - length // 2
        assert float(away.abs().max()) == length / 6 and float(away.min()) == -length / 6
        assert float(moved.diff().min()) == 0 and float(moved.diff().max()) == 1  # edges repeat, order stays


@pytest.mark.parametrize("size", [(64,), (16, 16), (8, 8, 8)])
def test_a_quarter_is_covered_by_the_mean(size):
    random = torch.Generator().manual_seed(0)
    x = torch.zeros(400, 1, *size)
    x[:] = torch.rand(size, generator=random)
    axes = tuple(range(2, x.dim()))
    unit = torch.zeros(1, 1, *(1,) * len(size))  # no noise, no brightness
    found = shaken(x, random, 0.0, unit=unit, paint=True)
    covered = (found - x).abs() > 1e-5
    share = covered.float().mean(axes)
    assert 0.2 < float(share.max()) <= 0.3
    hidden = found[covered]
    torch.testing.assert_close(hidden, x[0].mean().expand_as(hidden))


def test_noise_is_of_signals_and_goes_by_the_unit_of_a_channel():
    unit = torch.tensor([1.0, 100.0]).view(1, 2, 1)
    signal = shaken(torch.zeros(200, 2, 64), torch.Generator().manual_seed(0), 1.0, unit=unit, paint=True)
    uncovered = signal[:, :, :].std((0, 2))
    torch.testing.assert_close(uncovered[1] / uncovered[0], torch.tensor(100.0), rtol=0.05, atol=0)
    assert 0.8 * NOISE < float(uncovered[0]) < NOISE
    volume = shaken(torch.zeros(200, 1, 4, 4, 4), torch.Generator(), 1.0, unit=torch.ones(1, 1, 1, 1, 1), paint=True)
    levels = [len(v.unique()) for v in volume]
    assert max(levels) <= 2  # one brightness, and the mean where it is covered


# --- kept and found again ---------------------------------------------------------------------------------------------


def test_it_is_trained_once_by_content_codec_and_axis(cache, tmp_path):
    x = np.random.default_rng(5).normal(size=(40, 12, 2))
    store = packed(x)
    first = train_own(store, images=100)
    again = train_own(store, images=100)
    assert again.facts == first.facts and again.sha256 == first.sha256
    train_own(packed(x, codec=Plain(by=2.0)), images=100)
    train_own(store, images=100, channels="first")
    kept = [json.loads(p.read_text()) for p in (cache / "encoders").glob("*/encoder.json")]
    assert len([k for k in kept if k["settings"]["store"] == store.digest]) == 3
    with pytest.raises(ValueError, match="another codec"):
        own = next(p.parent for p in (cache / "encoders").glob("*/encoder.json") if first.sha256 in p.read_text())
        train_own(packed(x, codec=Plain(by=3.0)), images=100, folder=own)
    state = torch.random.get_rng_state()
    fresh = train_own(store, images=100, folder=tmp_path / "fresh")
    assert fresh.sha256 == first.sha256 and torch.equal(state, torch.random.get_rng_state())
    assert train_own(store, images=100, seed=1, folder=tmp_path / "other").sha256 != first.sha256


def test_it_loads_with_the_codec_of_its_note_and_refuses_another(tmp_path):
    codec = VectorCodec(mean=(1.0, 2.0), scale=3.0)
    x = np.random.default_rng(0).normal(size=(30, 10, 2)).astype(np.float32)
    trained = train_own(packed(x, codec=codec), images=60, folder=tmp_path / "own")
    loaded = load_own(tmp_path / "own")
    assert loaded.codec == codec and torch.equal(loaded.features(x), trained.features(x))
    assert json.loads(json.dumps(loaded.protocol())) == trained.protocol()
    assert loaded.protocol()["codec"] == written(codec)
    with pytest.raises(ValueError, match="another codec"):
        load_own(tmp_path / "own", codec=Plain())
    named = encoder_of(f"own:{tmp_path / 'own'}", packed(x, codec=codec), "none", "cpu", print)
    assert named.sha256 == trained.sha256
    with pytest.raises(ValueError, match="no pictures: say own"):
        encoder_of("pixels", packed(x, codec=codec), "none", "cpu", print)


def test_a_damaged_note_is_refused(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 10, 2)).astype(np.float32)
    train_own(packed(x), images=60, folder=tmp_path / "own")
    file = tmp_path / "own" / "encoder.json"
    note = json.loads(file.read_text())
    for change in (
        {"input": [2, 10**9]},
        {"input": [10**9, 10]},
        {"input": []},
        {"input": [2]},
        {"input": [2, 9]},
        {"sample": ["10", 2]},
        {"channels": "middle"},
    ):
        file.write_text(json.dumps(note | change))
        with pytest.raises(ValueError, match="does not describe an encoder"):
            load_own(tmp_path / "own", codec=Plain())
    file.write_text(json.dumps(note | {"input": [2, 40], "sample": [40, 2]}))
    with pytest.raises(ValueError, match="not weights of"):
        load_own(tmp_path / "own", codec=Plain())
    file.write_text(json.dumps(note))
    with pytest.raises(ValueError, match="no kind of data"):  # only codecs of the kinds there are can be read
        load_own(tmp_path / "own")


def test_features_do_not_depend_on_how_many_are_asked_for(tmp_path):
    x = np.random.default_rng(0).normal(size=(300, 12, 2))
    encoder = train_own(packed(x), images=200, folder=tmp_path / "own")
    whole = encoder.features(x)
    assert torch.equal(whole[:3], encoder.features(x[:3])) and torch.equal(whole[256:], encoder.features(x[256:]))
    x.flags.writeable = False  # as a mapped file's
    assert torch.equal(encoder.features(x), whole)


def test_refused_samples(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 12, 2))
    encoder = train_own(packed(x), images=60, folder=tmp_path / "own")
    with pytest.raises(ValueError, match=r"encoded as \(11, 2\); this encoder takes \(12, 2\)"):
        encoder.features(x[:, 1:])
    with pytest.raises(ValueError, match="no samples"):
        encoder.features(x[:0])
    with pytest.raises(ValueError, match="only pictures have any"):
        encoder.features(x, (-1, 1))
    assert encoded(x, Plain(), "last", (12, 2)).shape == (30, 2, 12)


@pytest.mark.parametrize(("patience", "shown"), [(0.0, True), (1e6, False)])
def test_a_bar_is_shown_when_it_takes_long(patience, shown, monkeypatch, tmp_path):
    seen = io.StringIO()
    console = Console(file=seen, force_terminal=True, width=80)
    monkeypatch.setattr(learning, "progress_bar", lambda _: Progress(console=console, transient=True))
    monkeypatch.setattr(learning, "PATIENCE", patience)
    x = np.random.default_rng(0).normal(size=(30, 12, 2))
    train_own(packed(x), images=300, folder=tmp_path / "own")
    assert ("training the encoder" in seen.getvalue()) == shown
