"""Tokens are the original's, and each knows its place in the text."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer as Original
from transformers import AutoTokenizer, BertTokenizerFast

from minisearch.errors import InputError, ModelError
from minisearch.minilm import MiniLMTokenizer, SentenceTransformer
from minisearch.minilm.numpy_encoder import NumpyEncoder
from tests.minilm.checkpoints import sentencepiece
from tests.minilm.texts import varied_texts


@pytest.fixture(scope="module")
def tokenizer() -> MiniLMTokenizer:
    return MiniLMTokenizer("all-MiniLM-L6-v2", max_length=64)


@pytest.fixture(scope="module")
def original(weights: Path) -> BertTokenizerFast:
    return BertTokenizerFast.from_pretrained(str(weights))


def test_ids_and_mask_are_the_originals(tokenizer: MiniLMTokenizer, original: BertTokenizerFast) -> None:
    texts = varied_texts()[:80]
    ours = tokenizer.encode(texts)
    theirs = original(texts, max_length=64, truncation=True, padding=True, return_tensors="pt")
    assert (ours["input_ids"] == theirs["input_ids"]).all()
    assert (ours["attention_mask"] == theirs["attention_mask"]).all()


def test_spans_are_the_places_of_the_tokens(tokenizer: MiniLMTokenizer, original: BertTokenizerFast) -> None:
    for text, spans in zip(varied_texts(), tokenizer.spans(varied_texts()), strict=True):
        expected = original(text, add_special_tokens=False, return_offsets_mapping=True).offset_mapping
        assert spans.tolist() == [list(span) for span in expected]
        assert spans.shape == (len(expected), 2)


def test_spans_count_characters_not_bytes(tokenizer: MiniLMTokenizer) -> None:
    text = "😀 Größe 速い"
    (spans,) = tokenizer.spans([text])
    assert [text[start:end] for start, end in spans][:2] == ["😀", "Gr"]


def test_cutting_at_the_length_is_not_silent(
    tokenizer: MiniLMTokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        (ids,) = tokenizer.ids(["word " * 100])
    assert len(ids) == 64
    assert ids[-1] == 102, "[SEP] stays the last token"
    assert caplog.messages == ["1 of 1 texts were cut at 64 tokens"]


def test_a_query_that_is_cut_is_called_one_and_its_words_alone_are_not_told_again(
    minilm: SentenceTransformer, weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for encoder in (minilm, NumpyEncoder.from_pretrained(str(weights))):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            encoder.encode_query(["word " * 300])
            encoder.word_vectors(["word " * 300])
        assert caplog.messages == ["1 of 1 queries were cut at 256 tokens"]


def test_decode_gives_the_text_back_in_lower_case(tokenizer: MiniLMTokenizer) -> None:
    (ids,) = tokenizer.ids(["Retry the failed task"])
    assert tokenizer.decode(ids) == "retry the failed task"


def test_no_texts_give_no_ids(tokenizer: MiniLMTokenizer) -> None:
    assert tokenizer.ids([]) == []
    assert tokenizer.spans([]) == []
    for tensor in tokenizer.encode([]).values():
        assert (tensor.shape, tensor.dtype) == ((0, 0), torch.int64)


def test_what_is_no_list_of_texts_is_refused(tokenizer: MiniLMTokenizer) -> None:
    with pytest.raises(InputError, match="a list of texts, got one str"):
        tokenizer.ids("hello")
    with pytest.raises(InputError, match="got int at position 1"):
        tokenizer.ids(["hello", 7])
    with pytest.raises(InputError, match="got ndarray at position 0"):
        tokenizer.ids([np.array(1)])
    for none, kind in [(None, "NoneType"), (7, "int")]:
        with pytest.raises(InputError, match=f"expected a list of texts, got {kind}"):
            tokenizer.ids(none)


def test_texts_that_can_be_read_but_once_are_read_once(tokenizer: MiniLMTokenizer) -> None:
    texts = ["Retry the task", "Größe"]
    assert tokenizer.ids(text for text in texts) == tokenizer.ids(texts)
    assert tokenizer.pair_ids("a query", iter(texts)) == tokenizer.pair_ids("a query", texts)


def test_half_a_character_is_a_query_mark_and_stops_no_other_text(tokenizer: MiniLMTokenizer) -> None:
    odd, texts = "Größe\ud83d \udce9 task", ["one", "two"]
    assert tokenizer.ids([*texts, odd]) == tokenizer.ids([*texts, "Größe? ? task"])
    assert tokenizer.pair_ids(odd, [odd]) == tokenizer.pair_ids("Größe? ? task", ["Größe? ? task"])
    (spans,) = tokenizer.spans([odd])
    assert [odd[start:end] for start, end in spans][-2:] == ["\udce9", "task"], "places are the text's own"


def test_many_texts_are_tokenised_a_slice_at_a_time_and_the_cut_counted_once(
    tokenizer: MiniLMTokenizer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    texts = ["one", "word " * 99, "three three", "word " * 98, "five"]
    ids, pairs, spans = tokenizer.ids(texts), tokenizer.pair_ids("a", texts), tokenizer.spans(texts)
    caplog.clear()
    sizes = []

    class Counting:
        def __getattr__(self, name: str):
            method = getattr(original, name)
            if not name.startswith("encode_batch"):
                return method
            return lambda texts, **options: sizes.append(len(texts)) or method(texts, **options)

    original = tokenizer._tokenizer
    monkeypatch.setattr(tokenizer, "_tokenizer", Counting())
    monkeypatch.setattr("minisearch.minilm.tokenizer.MAX_TEXTS_PER_CALL", 2)
    assert tokenizer.ids(texts) == ids
    assert tokenizer.pair_ids("a", texts) == pairs
    for ours, theirs in zip(tokenizer.spans(texts), spans, strict=True):
        assert (ours == theirs).all()
    assert max(sizes) == 2
    assert caplog.messages == ["2 of 5 texts were cut at 64 tokens", "2 of 5 pairs were cut at 64 tokens"]


def test_many_are_decoded_as_one_is(tokenizer: MiniLMTokenizer) -> None:
    ids = tokenizer.ids(["Retry the task", "", "Größe 速い"])
    assert tokenizer.decode_batch(ids) == [tokenizer.decode(one) for one in ids]
    assert tokenizer.decode_batch(ids)[0] == "retry the task"


def test_a_length_without_room_for_text_is_refused(weights: Path) -> None:
    with pytest.raises(InputError, match="max_length is 2, expected at least 3"):
        MiniLMTokenizer.from_folder(weights, max_length=2)


# --- other kinds of tokenizer ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def unigram(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tokenizer.json of XLM-R's kind."""
    folder = tmp_path_factory.mktemp("unigram")
    sentencepiece(varied_texts()).save_pretrained(folder)
    return folder


def test_a_sentencepiece_vocabularys_special_tokens_are_found(unigram: Path) -> None:
    tokenizer = MiniLMTokenizer.from_folder(unigram, max_length=16)
    (ids,) = tokenizer.ids(["retry the task " * 9])
    assert (ids[0], ids[-1], len(ids)) == (0, 2, 16)
    assert tokenizer.pad_id == 1
    assert tokenizer.n_special_tokens == 2
    encoded = tokenizer.encode(["retry the task", ""])
    assert encoded["input_ids"][1].tolist() == [0, 2, 1, 1, 1], "shorter texts are filled with <pad>"


def test_padding_is_what_the_file_says_it_is(unigram: Path, tmp_path: Path) -> None:
    shutil.copy(unigram / "tokenizer.json", tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["padding"] = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None}
    content["padding"] |= {"pad_id": 3, "pad_type_id": 0, "pad_token": "<unk>"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert MiniLMTokenizer.from_folder(tmp_path, max_length=16).pad_id == 3


@pytest.mark.parametrize("max_length", [6, 7, 16, 33, 64, 512])
@pytest.mark.parametrize("kind", ["bert", "unigram"])
def test_pairs_are_cut_as_transformers_cuts_them(
    kind: str, max_length: int, weights: Path, unigram: Path
) -> None:
    folder = weights if kind == "bert" else unigram
    theirs = AutoTokenizer.from_pretrained(str(folder))
    ours = MiniLMTokenizer.from_folder(folder, max_length=max_length)
    # One short pair at a time: transformers keeps all combinations of the pieces that it cuts off.
    texts = [text for text in varied_texts() if len(text) < 200][:60]
    for query in ["", "task", "how do I retry a failed task " * 2, "word " * 30]:
        room = {"truncation": "longest_first", "max_length": max_length}
        for text, (ids, segments) in zip(texts, ours.pair_ids(query, texts), strict=True):
            expected = theirs([query], [text], return_token_type_ids=True, **room)
            assert ([ids], [segments]) == (expected["input_ids"], expected["token_type_ids"])


def test_pairs_cut_short_are_counted_and_no_texts_give_no_pairs(
    tokenizer: MiniLMTokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert tokenizer.pair_ids("a query", []) == []
        tokenizer.pair_ids("a query", ["short", "long " * 99])
    assert caplog.messages == ["1 of 2 pairs were cut at 64 tokens"]
    with pytest.raises(InputError, match="got int at position 0"):
        tokenizer.pair_ids("a query", [7])
    with pytest.raises(InputError, match="a list of texts, got one str"):
        tokenizer.pair_ids("a query", "text")


@pytest.mark.parametrize(
    "settings",
    [
        None,
        {"do_lower_case": True},
        {"do_lower_case": False},
        {"do_lower_case": False, "strip_accents": True},
        {"strip_accents": False, "tokenize_chinese_chars": False},
    ],
)
def test_a_vocabulary_alone_makes_berts_own_tokenizer(
    weights: Path, tmp_path: Path, settings: dict | None
) -> None:
    shutil.copy(weights / "vocab.txt", tmp_path)
    if settings is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    ours = MiniLMTokenizer.from_folder(tmp_path, max_length=64)
    theirs = BertTokenizerFast(vocab=str(tmp_path / "vocab.txt"), **settings or {})
    texts = varied_texts()
    expected = theirs(texts, max_length=64, truncation=True)["input_ids"]
    assert ours.ids(texts) == expected
    assert ours.decode_batch(expected) == theirs.batch_decode(expected, skip_special_tokens=True)
    assert ours.pad_id == 0


def test_tokenizers_that_differ_have_hashes_that_differ(weights: Path, tmp_path: Path) -> None:
    shutil.copy(weights / "vocab.txt", tmp_path)
    lower = MiniLMTokenizer.from_folder(tmp_path, max_length=64).sha256
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    cased = MiniLMTokenizer.from_folder(tmp_path, max_length=64).sha256
    (tmp_path / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    lower_first = MiniLMTokenizer.from_folder(tmp_path, max_length=64).sha256
    assert len({lower, cased, lower_first}) == 3


def test_lower_case_asked_for_is_done_with_a_cased_tokenizer(tiny: Path) -> None:
    content = json.loads((tiny / "tokenizer.json").read_text())
    content["normalizer"]["lowercase"] = False
    (tiny / "tokenizer.json").write_text(json.dumps(content))
    (tiny / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": false}'
    )
    (tiny / "sentence_bert_config.json").write_text('{"max_seq_length": 32, "do_lower_case": true}')
    texts = ["Retry The FAILED Task", "ΑΒΓ Größe İ"]
    ours = MiniLMTokenizer.from_folder(tiny, max_length=32)
    theirs = Original(str(tiny), device="cpu", local_files_only=True).tokenizer
    assert ours.ids(texts) == theirs(texts)["input_ids"]
    assert ours.decode(ours.ids(texts)[0]) == "retry the failed task"
    (spans,) = ours.spans(["Task The"])
    assert spans.tolist() == [[0, 4], [5, 8]]


def test_a_tokenizer_without_special_tokens_is_refused(weights: Path, tmp_path: Path) -> None:
    content = json.loads((weights / "tokenizer.json").read_text()) | {"post_processor": None}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"tokenizer in .* adds no special tokens, expected some"):
        MiniLMTokenizer.from_folder(tmp_path, max_length=64)


@pytest.mark.parametrize(
    ("name", "content"), [("tokenizer.json", "{"), ("vocab.txt", "no special tokens"), ("vocab.txt", "")]
)
def test_a_tokenizer_that_cannot_be_used_is_named(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ModelError, match=f"no usable tokenizer at .*{name}"):
        MiniLMTokenizer.from_folder(tmp_path, max_length=64)
