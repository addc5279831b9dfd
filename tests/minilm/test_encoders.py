"""Which encoder is chosen: the one without torch as long as that is faster, else the given or loaded one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minisearch import MiniSearch
from minisearch.errors import InputError, ModelError
from minisearch.minilm import SentenceTransformer
from minisearch.minilm.encoders import NUMPY_TOKENS, TOKENS_PER_QUERY, Encoders
from minisearch.minilm.numpy_encoder import NumpyEncoder, UnsupportedCheckpoint
from tests.fakes import HashingEncoder

MODEL = "all-MiniLM-L6-v2"


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """How the model was loaded, each time, in a process that seems never to have seen torch."""
    loads = []

    def from_pretrained(name: str, **how: object) -> HashingEncoder:
        loads.append({"name": name, **how})
        return HashingEncoder(name)

    monkeypatch.setattr(SentenceTransformer, "from_pretrained", from_pretrained)
    monkeypatch.delitem(sys.modules, "torch")
    return loads


def test_the_first_queries_are_encoded_without_torch_and_then_it_is_loaded_once(loads) -> None:
    encoders = Encoders(given=None, model=None)
    query = "word " * 100
    for _ in range(NUMPY_TOKENS // (100 + TOKENS_PER_QUERY)):
        assert isinstance(encoders.to_query(MODEL, query), NumpyEncoder)
    assert loads == []
    assert not isinstance(encoders.to_query(MODEL, query), NumpyEncoder)
    assert not isinstance(encoders.to_query(MODEL, "short"), NumpyEncoder)
    assert loads == [{"name": MODEL, "dtype": "auto", "offline": False}]


def test_a_text_longer_than_the_model_sees_costs_no_more_than_the_longest_it_sees(loads) -> None:
    encoders = Encoders(given=None, model=None)
    assert isinstance(encoders.to_query(MODEL, "word " * (2 * NUMPY_TOKENS)), NumpyEncoder)


def test_a_few_texts_are_added_without_torch_and_many_with_it(loads) -> None:
    encoders = Encoders(given=None, model=None)
    assert isinstance(encoders.to_add(MODEL, 0), NumpyEncoder), "tokenising needs no torch"
    assert isinstance(encoders.to_add(MODEL, NUMPY_TOKENS - 10), NumpyEncoder)
    assert isinstance(encoders.to_add(MODEL, 10), NumpyEncoder)
    assert loads == []
    assert not isinstance(encoders.to_add(MODEL, 1), NumpyEncoder)
    assert len(loads) == 1
    assert not isinstance(encoders.to_add(MODEL, 0), NumpyEncoder), "once loaded, it is used"


def test_a_loaded_model_is_used(loads) -> None:
    encoders = Encoders(given=None, model=None)
    model = encoders.to_index(MODEL)
    assert encoders.to_query(MODEL, "short") is model


def test_an_encoder_that_was_given_is_used(loads, encoder: HashingEncoder) -> None:
    encoders = Encoders(given=encoder, model=None)
    assert encoders.to_query(MODEL, "short") is encoders.to_index(MODEL) is encoder
    assert loads == []


def test_if_torch_is_loaded_already_it_is_used(loads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", sys)
    assert not isinstance(Encoders(given=None, model=None).to_query(MODEL, "short"), NumpyEncoder)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_a_dtype_that_only_torch_has_is_honoured(loads, dtype: str) -> None:
    Encoders(given=None, model=None, dtype=dtype).to_query(MODEL, "short")
    assert [load["dtype"] for load in loads] == [dtype]


def test_weights_that_only_torch_reads_are_read_by_it_without_a_message(loads, monkeypatch, caplog) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UnsupportedCheckpoint("float16")

    monkeypatch.setattr(NumpyEncoder, "from_pretrained", refuse)
    assert not isinstance(Encoders(given=None, model=None).to_query(MODEL, "short"), NumpyEncoder)
    assert len(loads) == 1
    assert caplog.text == ""


def test_an_index_whose_model_folder_is_gone_says_so_and_that_it_may_be_elsewhere(loads, tmp_path) -> None:
    gone = str(tmp_path / "gone")
    for ask in (Encoders.to_index, lambda encoders, model: encoders.to_query(model, "short")):
        with pytest.raises(
            ModelError, match=rf"this index was made with the model in {gone}.*--model FOLDER"
        ):
            ask(Encoders(given=None, model=None), gone)
        assert loads == []
    moved = Encoders(given=None, model=str(tmp_path))
    assert moved.to_index(gone).name == str(tmp_path)


def test_an_unknown_dtype_lists_the_choices(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="unknown dtype 'float8': expected one of auto, float32, bfloat16, int8"
    ):
        MiniSearch.open(tmp_path, dtype="float8")


def test_a_new_process_prints_what_the_model_answers(tmp_path: Path, minilm: SentenceTransformer) -> None:
    query = "how do I try a failed task again?"
    with MiniSearch.open(tmp_path, encoder=minilm) as ms:
        ms.index(Path(__file__).parents[2] / "data" / "docs" / "programming")
        expected = ms.query(query, k=5)
    command = [sys.executable, "-m", "minisearch", "query", query, "-k", "5", "--json", "--index"]
    done = subprocess.run([*command, tmp_path / ".minisearch"], capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 5
    assert [hit["chunk_id"] for hit in found] == [hit.chunk_id for hit in expected]
    assert np.abs(np.subtract([hit["score"] for hit in found], [hit.score for hit in expected])).max() < 2e-6
    assert done.stderr == ""


def test_the_marked_sentences_are_the_same_with_torch_and_without(
    tmp_path: Path, minilm: SentenceTransformer
) -> None:
    data = Path(__file__).parents[2] / "data"
    lines = (data / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    queries = [json.loads(line)["text"] for line in lines[:12]]
    with MiniSearch(tmp_path, encoder=minilm) as ms:
        ms.index(data / "docs" / "gardening", data / "docs" / "cooking")
    marked = []
    for encoder in (minilm, NumpyEncoder.from_pretrained(MODEL, offline=True)):
        with MiniSearch(tmp_path, encoder=encoder) as ms:
            pages = ms.query_many(queries, k=5, evidence=True)
            marked.append([[(hit.chunk_id, hit.evidence.text) for hit in page] for page in pages])
    assert marked[0] == marked[1]
