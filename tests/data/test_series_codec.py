"""The codec of series: round trips of every type of column, of lengths and of missing cells; what JSON is refused."""

import copy
import dataclasses
import datetime as dt
import json
from typing import Any

import numpy as np
import pytest
import torch

from gansmith.data import Column
from gansmith.data.kinds.series.codec import SeriesCodec, stored_lengths

DAY = 86_400.0
DYNAMIC: list[dict[str, Any]] = [
    {"name": "level", "type": "continuous", "decimals": 3, "dtype": "float"},
    {"name": "count", "type": "integer", "dtype": "int", "step": 1.0},
    {"name": "day", "type": "date", "step": DAY, "form": "%Y-%m-%d"},
    {"name": "state", "type": "category", "values": ("low", "mid", "high"), "encoding": "onehot"},
    {"name": "flag", "type": "boolean", "values": ("False", "True"), "encoding": "onehot", "dtype": "bool"},
    {"name": "site", "type": "constant", "values": ("here",)},
    {"name": "sex", "type": "category", "values": ("f", "m"), "encoding": "onehot"},
    {"name": "age", "type": "integer", "dtype": "int", "step": 1.0},
]
STATIC = (False,) * 6 + (True, True)


def series(n: int = 40, steps: int = 12, holes: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Stored series of the columns above and their lengths."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, steps + 1, n)
    lengths[:2] = 1, steps
    raw = np.stack(
        [
            np.round(random.normal(0, 3, (n, 1)) + random.normal(0, 0.2, (n, steps)), 3),
            random.integers(-5, 1_000, (n, steps)),
            DAY * random.integers(0, 20_000, (n, steps)),
            random.integers(0, 3, (n, steps)),
            random.integers(0, 2, (n, steps)),
            np.zeros((n, steps)),
            np.repeat(random.integers(0, 2, (n, 1)), steps, 1),
            np.repeat(random.integers(18, 90, (n, 1)), steps, 1),
        ],
        2,
    ).astype(np.float64)
    gone = random.random(raw.shape) < holes
    gone[..., 5] = False
    gone[..., 6:] = random.random((n, 1, 2)) < holes
    raw[gone] = np.nan
    raw[np.arange(steps) >= lengths[:, None]] = np.nan
    return raw, lengths


def codec_of(raw: np.ndarray, per_series: bool = False) -> SeriesCodec:
    rows = raw[~np.isnan(raw).all(2)]
    columns = []
    for i, given in enumerate(DYNAMIC):
        cells = rows[:, i]
        values = given.get("values", ())
        counts = tuple(int((cells == k).sum()) for k in range(len(values)))
        columns.append(
            Column(
                **given,
                low=float(np.nanmin(cells)),
                high=float(np.nanmax(cells)),
                counts=counts or (int((~np.isnan(cells)).sum()),),
                missing=int(np.isnan(cells).sum()),
            )
        )
    return SeriesCodec(columns=tuple(columns), static=STATIC, per_series=per_series, key="id")


@pytest.mark.parametrize("per_series", [False, True])
@pytest.mark.parametrize("holes", [0.0, 0.2])
@pytest.mark.parametrize("steps", [12, 3_000])
def test_what_is_encoded_comes_back_equal(per_series: bool, holes: float, steps: int) -> None:
    raw, lengths = series(40 if steps == 12 else 4, steps, holes)
    codec = codec_of(raw, per_series)
    x = codec.encode(torch.from_numpy(raw))
    assert x.dtype == torch.float32 and x.shape == (len(raw), *codec.shape(raw.shape[1:]))
    assert torch.isfinite(x).all() and x.abs().max() <= 1 + 1e-6
    assert codec.lengths(x).tolist() == lengths.tolist() == stored_lengths(raw).tolist()
    np.testing.assert_array_equal(codec.decode(x), raw)


def test_the_channels_are_where_they_are_said_to_be() -> None:
    raw, lengths = series(holes=0.2)
    for per_series in (False, True):
        codec = codec_of(raw, per_series)
        found = [(c.kind, codec.columns[c.column].name if c.column >= 0 else "", c.width) for c in codec.channels]
        assert found[:8] == [
            *(("number", "level", 1), ("missing", "level", 1), ("number", "count", 1), ("missing", "count", 1)),
            *(("number", "day", 1), ("missing", "day", 1), ("category", "state", 4), ("category", "flag", 3)),
        ]
        assert found[8:11] == [("category", "sex", 3), ("number", "age", 1), ("missing", "age", 1)]
        assert (len(codec.ranges), codec.channels[-1].kind) == (6 if per_series else 0, "alive")
        assert (*codec.changing, *codec.still, *codec.ranges) == codec.channels[:-1]
        assert [c.start for c in codec.channels[1:]] == [c.end for c in codec.channels[:-1]]
        x = codec.encode(torch.from_numpy(raw))
        behind = torch.arange(raw.shape[1]) >= torch.from_numpy(lengths)[:, None]
        changing, rest = x[..., : codec.changing[-1].end], x[..., codec.still[0].start : -1]
        assert (changing[behind] == 0).all() and (rest == rest[:, :1]).all() and (x[..., -1][behind] == -1).all()
        assert (x[..., -1][~behind] == 1).all()
        sex = x[:, 0, codec.still[0].start : codec.still[0].end]
        expected = np.nan_to_num(raw[:, 0, 6], nan=2).astype(int)
        assert sex.argmax(1).tolist() == expected.tolist() and (sex.sum(1) == 1).all()


def test_numbers_are_scaled_by_the_range_of_all_or_of_their_own_series() -> None:
    raw = np.full((2, 3, 1), np.nan)
    raw[0, :, 0], raw[1, :2, 0] = (0.0, 5.0, 10.0), (2.0, 3.0)
    column = Column(name="x", type="continuous", low=0.0, high=10.0)
    whole = SeriesCodec(columns=(column,), static=(False,))
    x = whole.encode(torch.from_numpy(raw))
    torch.testing.assert_close(x[..., 0], torch.tensor([[-1.0, 0.0, 1.0], [-0.6, -0.4, 0.0]]))
    own = dataclasses.replace(whole, per_series=True)
    x = own.encode(torch.from_numpy(raw))
    torch.testing.assert_close(x[0], torch.tensor([[-1.0, 0.0, 1.0, 1.0], [0.0, 0, 1, 1], [1.0, 0, 1, 1]]))
    torch.testing.assert_close(x[1], torch.tensor([[-1.0, -0.5, -0.8, 1], [1.0, -0.5, -0.8, 1], [0, -0.5, -0.8, -1]]))
    raw[1, :2, 0] = 4.0  # a series that does not move has no range to divide by
    np.testing.assert_allclose(own.decode(own.encode(torch.from_numpy(raw))), raw, rtol=1e-7)


def test_a_series_ends_where_the_last_channel_says_and_has_at_least_one_step() -> None:
    raw, _ = series(4, 5)
    codec = codec_of(raw)
    x = codec.encode(torch.from_numpy(raw))
    x[..., -1] = torch.tensor([[-1, 1, 1, 1, 1], [0.1, -0.1, 0.5, 1, 1], [1, 1, 1, 1, 1], [1, 1, 0.01, -1, 1]])
    decoded = codec.decode(x)
    assert stored_lengths(decoded).tolist() == [1, 1, 5, 3]
    assert np.isnan(decoded[3, 3:]).all() and not np.isnan(decoded[3, :3]).any()


def test_whatever_networks_make_is_decoded_within_the_observed_ranges() -> None:
    raw, _ = series(holes=0.2)
    for per_series in (False, True):
        codec = codec_of(raw, per_series)
        made = codec.decode(3 * torch.randn(200, 12, codec.width, generator=torch.Generator().manual_seed(0)))
        rows, _ = codec.rows(made)
        for i, c in enumerate(codec.columns):
            cells = rows[:, i][~np.isnan(rows[:, i])]
            assert len(cells) and cells.min() >= c.low and cells.max() <= c.high
            if c.step:
                assert ((cells - c.low) % c.step == 0).all()
        still = made[:, :, 6:]
        same = (still == still[:, :1]) | np.isnan(still)
        assert same.all(), "a static column changes within a series"


def test_presented_series_have_the_types_of_a_table() -> None:
    raw, lengths = series(5, 6, holes=0.3)
    codec = codec_of(raw)
    rows = codec.present(raw)
    assert rows.dtype.names == ("id", *(c.name for c in codec.columns)) and len(rows) == lengths.sum()
    assert rows["id"].tolist() == np.repeat(np.arange(5), lengths).tolist()
    live = raw[~np.isnan(raw).all(2)]
    assert rows["count"].tolist() == [None if np.isnan(v) else int(v) for v in live[:, 1]]
    days = ["" if np.isnan(v) else str((dt.datetime(1970, 1, 1) + dt.timedelta(seconds=v)).date()) for v in live[:, 2]]
    assert rows["day"].tolist() == days and set(rows["site"]) == {"here"}
    assert set(rows["state"]) <= {"", "low", "mid", "high"} and set(rows["flag"]) <= {True, False, None}


def test_json_gives_an_equal_codec() -> None:
    for per_series in (False, True):
        codec = codec_of(series(holes=0.2)[0], per_series)
        assert SeriesCodec.from_json(json.loads(json.dumps(codec.to_json()))) == codec
    assert codec.stored(codec.shape((12, 8))) == ((12, 8), "float64")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "table"},
        {"static": [True]},
        {"static": [0, 1, 0, 0, 0, 0, 0, 0]},
        {"static": "no"},
        {"per_series": 1},
        {"key": ""},
        {"key": "level"},
        {"key": 3},
        {"delimiter": ",,"},
        {"columns": []},
        {"columns": "level"},
        {"columns": [1, 2, 3, 4, 5, 6, 7, 8]},
        {"unknown": 1},
    ],
)
def test_json_that_is_no_codec_is_refused(change: dict[str, Any]) -> None:
    saved = json.loads(json.dumps(codec_of(series()[0]).to_json()))
    with pytest.raises(ValueError, match="not a c"):
        SeriesCodec.from_json(saved | change)
    for missing in saved:
        with pytest.raises(ValueError, match="not a codec"):
            SeriesCodec.from_json({k: v for k, v in saved.items() if k != missing})
    for other in (None, [], "series", 3, {}):
        with pytest.raises(ValueError, match="not a codec"):
            SeriesCodec.from_json(other)


@pytest.mark.parametrize(
    ("column", "change"),
    [
        (0, {"low": 1e9}),
        (0, {"low": float("nan")}),
        (0, {"high": "9"}),
        (0, {"decimals": 400}),
        (0, {"decimals": -2}),
        (0, {"missing": -1}),
        (0, {"encoding": "modes", "modes": [[1.0, 0.0, 1.0]]}),
        (0, {"type": "picture"}),
        (0, {"name": "count"}),
        (0, {"name": ""}),
        (0, {"extra": 1}),
        (1, {"step": -1.0}),
        (1, {"counts": 5}),
        (2, {"high": 1e15}),
        (2, {"dtype": "datetime64[Y]"}),
        (3, {"values": ["low", "low", "high"]}),
        (3, {"values": ["low"]}),
        (3, {"values": []}),
        (3, {"values": 7}),
        (3, {"values": [1, 2, 3]}),
    ],
)
def test_json_of_a_column_that_could_not_be_decoded_is_refused(column: int, change: dict[str, Any]) -> None:
    saved = copy.deepcopy(codec_of(series()[0]).to_json())
    saved["columns"][column] |= change
    with pytest.raises(ValueError, match="not a c"):
        SeriesCodec.from_json(saved)
