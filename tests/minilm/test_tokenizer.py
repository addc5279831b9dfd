"""Tokens are the original's, and each knows its place in the text."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertTokenizerFast

from minisearch.errors import InputError
from minisearch.minilm import MiniLMTokenizer
from tests.minilm.test_parity import varied_texts


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
