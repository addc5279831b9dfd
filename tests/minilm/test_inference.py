"""encode: any number of texts, in order, on every core, in every dtype, and it stops when it is told to."""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from minisearch.errors import InputError, ModelError
from minisearch.minilm import MiniLMConfig, SentenceTransformer, inference
from minisearch.minilm.inference import Inference, batches, compute_dtype

TEXTS = [" ".join(["retry the failed task"] * n) + f" number {n}" for n in (1, 40, 3, 3, 12, 55, 1, 7)] * 3


@pytest.fixture(scope="module")
def models(minilm: SentenceTransformer) -> dict[str, SentenceTransformer]:
    others = {
        dtype: SentenceTransformer.from_pretrained("all-MiniLM-L6-v2", device="cpu", dtype=dtype)
        for dtype in ("auto", "bfloat16", "int8")
    }
    return {"float32": minilm, **others}


@pytest.fixture(scope="module")
def expected(models: dict[str, SentenceTransformer]) -> np.ndarray:
    """By the readable modules, one text at a time."""
    model = models["float32"]
    with torch.inference_mode():
        return np.concatenate([model(torch.tensor([ids])).numpy() for ids in model.tokenizer.ids(TEXTS)])


@pytest.mark.parametrize(
    ("dtype", "min_cosine"), [("float32", 0.999999), ("bfloat16", 0.9998), ("int8", 0.999), ("auto", 0.9998)]
)
@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_vectors_keep_their_order_and_are_near_float32s(
    models: dict[str, SentenceTransformer],
    expected: np.ndarray,
    dtype: str,
    min_cosine: float,
    n_threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    vectors = models[dtype].encode(TEXTS)
    assert vectors.dtype == np.float32
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6
    assert (vectors * expected).sum(1).min() >= min_cosine
    if dtype == "float32":
        assert np.abs(vectors - expected).max() <= 2e-6


def test_the_dtype_does_not_change_the_fingerprint(models: dict[str, SentenceTransformer]) -> None:
    assert len({model.fingerprint for model in models.values()}) == 1


def test_a_query_is_computed_in_float32_unless_asked_otherwise(
    models: dict[str, SentenceTransformer], expected: np.ndarray
) -> None:
    assert np.abs(models["auto"].encode_query(TEXTS) - expected).max() <= 2e-6
    assert np.array_equal(models["bfloat16"].encode_query(TEXTS), models["bfloat16"].encode(TEXTS))


def test_eight_bit_weights_take_little_memory_and_lose_little(
    models: dict[str, SentenceTransformer], expected: np.ndarray
) -> None:
    assert models["int8"].n_weight_bytes <= 30e6
    assert models["float32"].n_weight_bytes > 90e6
    assert (models["int8"].encode(TEXTS) * expected).sum(1).mean() >= 0.999


def test_eight_bit_weights_give_the_same_through_forward_as_through_encode(
    models: dict[str, SentenceTransformer],
) -> None:
    model = models["int8"]
    with torch.inference_mode():
        forward = np.concatenate([model(torch.tensor([ids])).numpy() for ids in model.tokenizer.ids(TEXTS)])
    assert (forward * model.encode(TEXTS)).sum(1).min() >= 0.9998  # bfloat16's own error


CPU = torch.device("cpu")


@pytest.mark.parametrize("ability", ["avx512_bf16", "amx_bf16"])
def test_a_processor_with_bfloat16_uses_it(ability: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {ability: True})
    assert compute_dtype("auto", CPU) == compute_dtype("int8", CPU) == torch.bfloat16
    assert compute_dtype("float32", CPU) == torch.float32


@pytest.mark.parametrize("missing", ["bfloat16", "oneDNN", "get_capabilities"])
def test_a_processor_without_bfloat16_gives_float32s_vectors(
    missing: str,
    expected: np.ndarray,
    models: dict[str, SentenceTransformer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if missing == "bfloat16":
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    elif missing == "oneDNN":
        monkeypatch.setattr(inference, "has_onednn", lambda device, dtype: False)
        monkeypatch.setattr("minisearch.minilm.packed.has_onednn", lambda device, dtype: False)
    else:  # an older torch
        monkeypatch.delattr(torch.cpu, "get_capabilities")
    monkeypatch.setattr(models["auto"], "inference", Inference(models["auto"].model))
    assert models["auto"].inference.dtype == torch.float32
    assert np.abs(models["auto"].encode(TEXTS) - expected).max() <= 2e-6


def test_bfloat16_asked_for_by_name_is_done_without_help_from_the_processor(
    models: dict[str, SentenceTransformer], expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minisearch.minilm.packed.has_onednn", lambda device, dtype: dtype == torch.float32)
    model = models["bfloat16"]
    monkeypatch.setattr(model, "inference", Inference(model.model, "bfloat16"))
    assert (model.encode(TEXTS) * expected).sum(1).min() >= 0.9998


def test_an_unknown_dtype_is_refused_with_the_choices() -> None:
    with pytest.raises(
        InputError, match="unknown dtype 'fp16': expected one of auto, float32, bfloat16, int8"
    ):
        SentenceTransformer.from_pretrained("all-MiniLM-L6-v2", dtype="fp16")


@pytest.mark.parametrize("device", ["nonsense", "meta", *([] if torch.cuda.is_available() else ["cuda"])])
def test_a_device_that_is_not_here_is_refused_before_anything_is_loaded(device: str) -> None:
    with pytest.raises(InputError, match=f"device '{device}'"):
        SentenceTransformer.from_pretrained("no-such-model", device=device)


def test_no_texts_give_no_vectors(minilm: SentenceTransformer) -> None:
    assert minilm.encode([]).shape == (0, 384)
    assert minilm.encode([], output="tokens") == []


@pytest.mark.parametrize(
    "limit", [{"batch_size": 1}, {"batch_size": 7}, {"batch_tokens": 1}, {"batch_tokens": 9_999}]
)
def test_the_size_of_batches_does_not_change_a_vector(
    minilm: SentenceTransformer, expected: np.ndarray, limit: dict[str, int]
) -> None:
    assert np.abs(minilm.encode(TEXTS, **limit) - expected).max() <= 2e-6


@pytest.mark.parametrize("limit", [{"batch_size": 0}, {"batch_tokens": -1}])
def test_a_batch_of_nothing_is_refused(minilm: SentenceTransformer, limit: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"batch_(size|tokens) is (0|-1): expected at least 1"):
        minilm.encode(TEXTS, **limit)


def test_every_position_is_in_one_batch_and_no_batch_is_too_large() -> None:
    lengths = np.random.default_rng(0).integers(1, 300, 500).tolist()
    planned = list(batches(lengths, 1_000, 20))
    assert sorted(row for rows in planned for row in rows) == list(range(500))
    assert all(len(rows) <= 20 and sum(lengths[row] for row in rows) <= 1_000 for rows in planned)
    assert all([lengths[row] for row in rows] == sorted(lengths[row] for row in rows) for rows in planned)
    assert sum(lengths[row] for row in planned[0]) > sum(lengths[row] for row in planned[-1])


def test_batches_for_several_cores_end_small() -> None:
    lengths = [20] * 1_000
    sizes = [sum(lengths[row] for row in rows) for rows in batches(lengths, 1_024, n_workers=2)]
    assert sum(sizes) == 20_000
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-2]) == (1_020, 240)


def test_vectors_of_tokens_pool_to_the_vector_of_the_text(
    minilm: SentenceTransformer, expected: np.ndarray
) -> None:
    tokens = minilm.encode(TEXTS, output="tokens", normalize=False)
    assert [len(text) for text in tokens] == [len(ids) for ids in minilm.tokenizer.ids(TEXTS)]
    pooled = np.stack([text.mean(0) for text in tokens])
    assert np.abs(pooled / np.linalg.norm(pooled, axis=1, keepdims=True) - expected).max() <= 2e-6
    assert np.abs(minilm.encode(TEXTS, normalize=False) - pooled).max() <= 1e-5
    units = minilm.encode(TEXTS[:3], output="tokens")
    assert all(np.abs(np.linalg.norm(text, axis=1) - 1).max() < 1e-6 for text in units)


def test_training_reaches_the_next_encode() -> None:
    model = SentenceTransformer(MiniLMConfig(vocab_size=50, num_hidden_layers=1), max_length=8)
    seen: list[torch.Tensor] = []
    ids = [[1, 2, 3]]
    model.inference.run(ids, lambda rows, tokens: seen.append(tokens.float().clone()))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.tensor(ids)).sum().backward()
    optimiser.step()
    model.inference.run(ids, lambda rows, tokens: seen.append(tokens.float().clone()))
    assert not torch.equal(seen[0], seen[1])
    with torch.inference_mode():
        assert torch.allclose(seen[1], model.eval().model(torch.tensor(ids)), atol=0.05)


def test_encode_in_train_mode_has_no_dropout_and_leaves_the_mode_alone(minilm: SentenceTransformer) -> None:
    expected = minilm.encode(TEXTS[:4])
    try:
        assert np.array_equal(minilm.train().encode(TEXTS[:4]), expected)
        assert minilm.training
    finally:
        minilm.eval()


def test_several_threads_may_encode_at_once(models: dict[str, SentenceTransformer]) -> None:
    model = SentenceTransformer.from_pretrained("all-MiniLM-L6-v2", device="cpu", dtype="float32")
    with ThreadPoolExecutor(6) as pool:
        parts = list(pool.map(lambda n: model.encode(TEXTS[n:]), range(6)))
    whole = models["float32"].encode(TEXTS)
    assert all(np.abs(part - whole[n:]).max() <= 2e-6 for n, part in enumerate(parts))


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_an_error_in_one_thread_stops_all_and_comes_out(
    minilm: SentenceTransformer, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    calls = []

    def consume(rows: list[int], tokens: torch.Tensor) -> None:
        calls.append(rows)
        if len(calls) == 3:
            raise error

    with pytest.raises(type(error)):
        minilm.inference.run([[1, 2, 3]] * 400, consume, batch_size=1)
    assert len(calls) < 10
    for thread in threading.enumerate():
        if thread.name.startswith("minisearch-encode"):
            thread.join(5)
            assert not thread.is_alive()


CTRL_C = """
import os, signal, threading, time
from minisearch.minilm import SentenceTransformer, packed
at_work = []
forward = packed.Packed.__call__
def counted(*arguments):
    at_work.append(None)
    try:
        return forward(*arguments)
    finally:
        at_work.pop()
packed.Packed.__call__ = counted
model = SentenceTransformer.from_pretrained("all-MiniLM-L6-v2", device="cpu", offline=True)
texts = ["retry the failed task " * 60] * 400
model.encode(texts[:8])
threading.Timer({delay_s}, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    while True:
        model.encode(texts)
except KeyboardInterrupt:
    raise SystemExit(7 + len(at_work))
"""


@pytest.mark.parametrize("delay_s", [0.05, 0.3, 0.55, 0.8])
def test_ctrl_c_leaves_no_thread_behind_in_torch(delay_s: float) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CTRL_C.format(delay_s=delay_s)], capture_output=True, text=True
    )
    assert ended.returncode == 7, ended.stderr


def test_threads_begun_during_and_after_encode_still_use_every_core(minilm: SentenceTransformer) -> None:
    n_before = torch.get_num_threads()
    if n_before == 1:
        pytest.skip("a claim about several cores")
    found: list[int] = []

    def note() -> None:
        thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        thread.start()
        thread.join()

    minilm.inference.run([[1, 2, 3]] * 400, lambda rows, tokens: note(), batch_size=100)
    note()
    assert len(found) > 3
    assert set(found) == {n_before}
    assert torch.get_num_threads() == n_before


def test_a_copy_of_a_model_that_has_encoded_encodes_alike(minilm: SentenceTransformer) -> None:
    expected = minilm.encode(TEXTS[:4])
    assert np.array_equal(copy.deepcopy(minilm).encode(TEXTS[:4]), expected)


def test_a_layer_whose_weights_are_replaced_is_packed_anew() -> None:
    model = SentenceTransformer(MiniLMConfig(vocab_size=50, num_hidden_layers=1), max_length=8)
    packed = model.inference.packed
    assert model.inference.packed is packed
    layer = model.model.encoder.layers[0]
    layer.expand.weight = torch.nn.Parameter(torch.zeros_like(layer.expand.weight))
    assert model.inference.packed is not packed


def test_batches_that_will_be_padded_are_counted_so() -> None:
    lengths = [10] * 60 + [500]
    assert [len(rows) for rows in batches(lengths, 1_000)] == [51, 10]
    assert [len(rows) for rows in batches(lengths, 1_000, is_padded=True)] == [2, 59]


def test_a_progress_bar_is_shown_on_a_terminal_when_asked_for(
    minilm: SentenceTransformer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    minilm.encode(TEXTS[:4], show_progress=True)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # how rich is told that it writes to a terminal
    minilm.encode(TEXTS[:4])
    assert capsys.readouterr() == ("", "")
    minilm.encode(TEXTS[:4], show_progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Encoding" in shown.err


def test_similarity_is_the_cosine_of_every_pair(minilm: SentenceTransformer) -> None:
    a = np.array([[3.0, 4.0], [0.0, 2.0]], np.float32)
    b = np.array([[4.0, 3.0], [-1.0, 0.0], [0.0, 0.0]], np.float32)
    assert minilm.similarity(a, b) == pytest.approx(np.array([[0.96, -0.6, 0], [0.6, 0, 0]]), abs=1e-6)
    with pytest.raises(InputError, match="encode the texts first"):
        minilm.similarity(["a"], ["b"])
    with pytest.raises(InputError, match="384 and 2 wide"):
        minilm.similarity(np.zeros((1, 384), np.float32), b)


def test_prompts_go_before_the_texts(minilm: SentenceTransformer, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = minilm.encode(["find: a task"])
    monkeypatch.setattr(minilm, "settings", replace(minilm.settings, prompts={"query": "find: "}))
    assert np.array_equal(minilm.encode_query(["a task"]), expected)
    assert np.array_equal(minilm.encode(["a task"], prompt_name="query"), expected)
    assert not np.array_equal(minilm.encode(["a task"]), expected)
    with pytest.raises(InputError, match=r"unknown prompt_name 'passage': the prompts of .* are: query"):
        minilm.encode(["a task"], prompt_name="passage")
    before = minilm.fingerprint
    monkeypatch.setattr(minilm, "settings", replace(minilm.settings, default_prompt="find: "))
    assert np.array_equal(minilm.encode(["a task"]), expected)
    assert minilm.fingerprint != before, "these are other vectors"


def test_documents_get_their_own_prompt_and_leave_room_for_it(
    minilm: SentenceTransformer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected, before = minilm.encode(["passage: a task"]), (minilm.fingerprint, minilm.max_tokens)
    prompts = {"query": "query: ", "passage": "passage: "}
    monkeypatch.setattr(minilm, "settings", replace(minilm.settings, prompts=prompts))
    assert np.array_equal(minilm.encode_document(["a task"]), expected)
    assert minilm.fingerprint != before[0]
    assert minilm.max_tokens == before[1] - 2  # "passage", ":"
    minilm.encode_document(["word " * minilm.max_tokens])
    assert "cut" not in caplog.text


@pytest.mark.parametrize("wrong", [{"output": "token"}, {"output": None}])
def test_an_output_that_there_is_not_is_refused(minilm: SentenceTransformer, wrong: dict[str, str]) -> None:
    with pytest.raises(InputError, match="expected 'sentences' or 'tokens'"):
        minilm.encode(["a"], **wrong)
    with pytest.raises(ModelError, match="unknown pooling 'avg': expected one of mean, cls, max"):
        SentenceTransformer(pooling="avg")


def test_a_max_length_of_ones_own_is_kept_and_one_beyond_the_model_refused(weights: Path) -> None:
    model = SentenceTransformer.from_pretrained(str(weights), max_length=16)
    assert len(model.tokenizer.ids(["word " * 40])[0]) == model.max_length == 16
    with pytest.raises(ModelError, match="max_length is 513, expected 3 to 512"):
        SentenceTransformer.from_pretrained(str(weights), max_length=513)
