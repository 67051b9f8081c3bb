"""Text as data: tokens and back, sources and their mistakes, the oracle."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gansmith.data import Store, TextCodec, open_store, read_codec, read_spec
from gansmith.data.inspect import describe, inspect
from gansmith.data.kinds.text.codec import join, level_of, tokenise
from gansmith.data.kinds.text.oracle import Oracle, oracle_codec
from gansmith.options import DataOptions, Size

LINES = ["A man rides a horse.", "Two dogs, one ball.", "A cat sits (alone) on a mat.", "A man rides a horse."]


def test_words_are_split_at_punctuation_and_joined_readably() -> None:
    line = 'He said "it\'s a well-known (old) story," then left: $5, 3 % ...'
    tokens = tokenise(line, "word")
    assert tokens[:6] == ["He", "said", '"', "it's", "a", "well-known"] and tokens[6:9] == ["(", "old", ")"]
    joined = join(tokens, "word")
    assert joined == 'He said "it\'s a well-known (old) story," then left: $5, 3%...'
    assert tokenise(joined, "word") == tokens, "what is joined is split as before"
    assert tokenise("The DOG", "word", lowercase=True) == ["the", "dog"]


def test_scripts_without_spaces_are_split_into_characters() -> None:
    poem = "秦 川 雄 帝 宅 ， 函 谷 壮 皇 居 。"
    assert level_of([poem]) == "character" and level_of(LINES) == "word" and level_of(["это текст"]) == "word"
    assert join(tokenise(poem, "character"), "character") == "秦川雄帝宅，函谷壮皇居。"
    assert tokenise("a  b", "character") == ["a", " ", "b"], "spaces between letters are kept"


def test_store_and_codec_restore_the_lines(tmp_path: Path) -> None:
    store = open_store(LINES, out=tmp_path / "s")
    assert store.spec.kind == "text" and store.fields["x"].dtype == np.int32 and store.source == "array"
    codec = store.spec.codec
    assert isinstance(codec, TextCodec) and codec.end == 0 and codec.unknown == 1
    encoded = codec.encode(torch.from_numpy(np.array(store.fields["x"])))
    assert encoded.dtype == torch.int64 and codec.decode(encoded).tolist() == LINES
    assert codec.lengths(encoded.numpy()).tolist() == [6, 6, 10, 6]
    assert read_codec(json.loads(json.dumps(codec.to_json()))) == codec
    assert read_spec(json.loads(json.dumps(store.spec.to_json()))) == store.spec
    assert Store.open(tmp_path / "s").spec == store.spec


@pytest.mark.parametrize(
    "change", [{"vocabulary": []}, {"vocabulary": [1]}, {"end": 99}, {"level": "byte"}, {"end": "0"}]
)
def test_a_codec_of_another_form_is_refused(change: dict) -> None:
    saved = TextCodec(level="word", vocabulary=("<end>", "<unk>", "a"), end=0, unknown=1).to_json()
    assert read_codec(saved)
    with pytest.raises(ValueError, match="not a codec of text"):
        read_codec(saved | change)


def test_rare_words_are_unknown_and_counted() -> None:
    options = DataOptions(text_min_count=2, text_lowercase=True)
    report = inspect(LINES, options)
    assert report.kind == "text" and report.duplicates == 1 and report.duplicate_groups == (("line 1", "line 4"),)
    # a (6), man, rides, horse (2 each), "." (4) are kept: 16 of 28 tokens
    assert "42.86% of all tokens unknown" in describe(report), describe(report)
    codec = open_store(LINES, options).spec.codec
    assert isinstance(codec, TextCodec)
    assert codec.decode(torch.from_numpy(codec.numbers(["A ZEBRA."], 4))).tolist() == ["a <unk>."]
    assert len(codec.vocabulary) == 2 + 5
    limited = open_store(LINES, DataOptions(text_max_vocabulary=3)).spec.codec
    assert isinstance(limited, TextCodec) and limited.vocabulary[2:] == (".", "A", "a")


def test_equal_lengths_need_no_end() -> None:
    codec = open_store(["ab cd", "ef gh", "ab gh"]).spec.codec
    assert isinstance(codec, TextCodec) and codec.end == -1 and codec.vocabulary[0] == "<unk>"
    with pytest.raises(ValueError, match="cannot be written"):
        codec.numbers(["ab"], 2)


def test_files_of_lines_tables_and_json(tmp_path: Path) -> None:
    plain = tmp_path / "lines.txt"
    plain.write_bytes("\ufeffone two\r\n\r\nthree\n".encode() + b"\xff\xfe bad\n")
    store = open_store(plain)
    assert store.spec.codec.decode(torch.from_numpy(np.array(store.fields["x"]))).tolist() == ["one two", "three"]
    assert [(q.name, q.reason) for q in store.quarantined] == [("line 4", "not UTF-8")]
    assert any("1 empty lines" in note for note in store.notes)
    zipped = tmp_path / "lines.txt.gz"
    zipped.write_bytes(gzip.compress(b"one two\nthree four\n"))
    assert len(open_store(zipped)) == len(open_store(f"text:{zipped}")) == 2
    table = tmp_path / "t.csv"
    table.write_text('id,caption\n1,"a dog, small"\n2,"a\ncat"\n')
    store = open_store(f"text:{table}#caption")
    assert store.spec.codec.decode(torch.from_numpy(np.array(store.fields["x"]))).tolist() == ["a dog, small", "a cat"]
    rows = tmp_path / "t.jsonl"
    rows.write_text('{"text": "one"}\n\n{"text": "two more"}\n')
    assert len(open_store(f"text:{rows}#text")) == 2
    for source, said in (
        (f"text:{table}#nope", "no column 'nope'; it has id, caption"),
        (f"text:{table}", "a table needs its column"),
        (f"text:{plain}#x", "lines have no columns"),
        (f"text:{rows}#other", "no field 'other'"),
    ):
        with pytest.raises(ValueError, match=said):
            open_store(source)
    with pytest.raises(FileNotFoundError, match="no file"):
        open_store("text:missing.txt")
    with pytest.raises(ValueError, match="every sample is one string"):
        open_store(["a", 3])


def test_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="--size is for pictures; array holds lines of text"):
        open_store(LINES, DataOptions(size=Size((8, 8))))
    with pytest.raises(ValueError, match="text_min_count is 0"):
        open_store(LINES, DataOptions(text_min_count=0))
    with pytest.raises(ValueError, match="pass --text-max-length"):
        open_store(["word " * 70] * 5)
    kept = open_store([*LINES, "word " * 70], DataOptions(text_max_length=8))
    assert len(kept) == 3 and any("2 lines of more than 8 words" in note for note in kept.notes)


def test_options_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="--text-min-count is for lines of text; array holds pictures"):
        open_store(np.zeros((4, 2, 2), np.uint8), DataOptions(text_min_count=3))
    assert open_store(LINES).digest != open_store(LINES, DataOptions(text_min_count=3)).digest


# --- the oracle -------------------------------------------------------------------------------------------------------


def test_the_oracle_knows_its_own_sequences() -> None:
    oracle = Oracle.seeded(3, vocabulary=50, size=8)
    rows = oracle.sample(400, length=6, seed=1)
    assert rows.shape == (400, 6) and rows.dtype == np.int32 and rows.min() >= 0 and rows.max() < 50
    assert (rows == oracle.sample(400, length=6, seed=1)).all() and (rows != oracle.sample(400, length=6, seed=2)).any()
    random = np.random.default_rng(0).integers(0, 50, (400, 6))
    assert oracle.nll(rows).mean() < oracle.nll(random).mean() - 1
    # Closed form: the probabilities of all one-token sequences sum to 1, and samples occur as often as they say.
    p = np.exp(-oracle.nll(np.arange(50)[:, None]))
    assert p.sum() == pytest.approx(1, abs=1e-5)
    first = np.bincount(oracle.sample(20_000, length=1, seed=5)[:, 0], minlength=50) / 20_000
    assert np.abs(first - p).max() < 4 * np.sqrt(p.max() / 20_000)


def test_the_cell_is_that_of_pytorch() -> None:
    oracle = Oracle.seeded(0, vocabulary=20, size=4)
    lstm = torch.nn.LSTMCell(4, 4)
    i, f, o, g = oracle.gates.T.split(4)  # PyTorch's order is i, f, g, o
    with torch.no_grad():
        lstm.weight_ih.copy_(torch.cat((i, f, g, o))[:, :4])
        lstm.weight_hh.copy_(torch.cat((i, f, g, o))[:, 4:])
        b = oracle.gate_bias.split(4)
        lstm.bias_ih.copy_(torch.cat((b[0], b[1], b[3], b[2])))
        lstm.bias_hh.zero_()
        token, state = oracle.start(3)
        expected = (state[0], state[1])
        for token in (token, torch.tensor([4, 5, 6])):  # noqa: B020
            logits, state = oracle.step(token, state)
            expected = lstm(oracle.embedding[token], expected)
    torch.testing.assert_close(state[0], expected[0])
    torch.testing.assert_close(logits, expected[0] @ oracle.head + oracle.head_bias)


def test_the_published_oracle_gives_the_published_nll_of_its_own_sequences(real_data: Path) -> None:
    oracle = Oracle.published(real_data / "text" / "seqgan_target_params.npz")
    # "Real" in table 1 of Guo et al., "LeakGAN", 2017, arXiv:1709.08624; a thousand sequences have an error of 0.02.
    assert oracle.nll(oracle.sample(1_000)).mean() == pytest.approx(5.750, abs=0.06)
    assert oracle_codec().vocabulary[4_999] == "4999"
