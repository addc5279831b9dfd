"""The NumPy encoder gives the vectors of the model, or refuses a checkpoint that it does not support."""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from minisearch.errors import InputError, ModelError
from minisearch.minilm import MiniLMConfig, MiniLMModel, SentenceTransformer
from minisearch.minilm.loader import to_hugging_face
from minisearch.minilm.numpy_encoder import (
    Mapped,
    NumpyEncoder,
    SentenceEncoder,
    UnsupportedCheckpoint,
    erf,
    map_weights,
)
from minisearch.minilm.settings import CheckpointSettings, read_settings, shapes
from tests.minilm.texts import ODD, SCRIPTS

MAX_DELTA = 2e-6


def texts() -> list[str]:
    """Odd texts, other scripts, and lengths from one word to more than the model sees."""
    generator = np.random.default_rng(11)
    words = "retry failed task vector index ocean bread sleep engine law music garden run of the".split()  # noqa: SIM905
    lengths = [1, 2, 3, 100, 253, 254, 255, 400, *generator.integers(1, 60, 30)]
    return ODD + SCRIPTS + [" ".join(generator.choice(words, length)) for length in lengths]


@pytest.fixture(scope="module")
def numpy_encoder() -> NumpyEncoder:
    return NumpyEncoder.from_pretrained("all-MiniLM-L6-v2")


def delta(ours: np.ndarray, theirs: np.ndarray) -> float:
    assert ours.dtype == theirs.dtype == np.float32
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max())


def test_the_vectors_are_the_models(numpy_encoder: NumpyEncoder, minilm: SentenceTransformer) -> None:
    assert delta(numpy_encoder.encode(texts()), minilm.encode(texts())) <= MAX_DELTA
    assert delta(numpy_encoder.encode_query(texts()[:20]), minilm.encode_query(texts()[:20])) <= MAX_DELTA


def test_a_texts_vector_is_its_own_whatever_goes_through_with_it(numpy_encoder: NumpyEncoder) -> None:
    alone = np.concatenate([numpy_encoder.encode([text]) for text in texts()])
    assert delta(numpy_encoder.encode(texts()), alone) <= MAX_DELTA


def test_name_fingerprint_and_sizes_are_the_models(
    numpy_encoder: NumpyEncoder, minilm: SentenceTransformer
) -> None:
    for name in ("name", "fingerprint", "dimension", "max_tokens"):
        assert getattr(numpy_encoder, name) == getattr(minilm, name), name


def test_an_iterator_of_texts_gives_their_vectors(numpy_encoder: NumpyEncoder) -> None:
    assert delta(numpy_encoder.encode(text for text in ["a", "b"]), numpy_encoder.encode(["a", "b"])) == 0


def test_no_texts_give_no_vectors(numpy_encoder: NumpyEncoder) -> None:
    assert numpy_encoder.encode([]).shape == (0, 384)


@pytest.mark.parametrize("wrong", ["text", [3], None, 7])
def test_what_is_no_list_of_texts_is_refused_in_the_models_words(
    numpy_encoder: NumpyEncoder, minilm: SentenceTransformer, wrong: object
) -> None:
    with pytest.raises(InputError) as theirs:
        minilm.encode(wrong)
    with pytest.raises(InputError, match=re.escape(str(theirs.value))):
        numpy_encoder.encode(wrong)


def test_erf_is_the_error_function() -> None:
    x = np.linspace(-7, 7, 20_001).astype(np.float32)
    assert np.abs(erf(x) - [math.erf(value) for value in x.tolist()]).max() <= 5e-7


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("heads", [3, 12])
def test_pooling_heads_and_length_are_the_checkpoints(tiny: Path, pooling: str, heads: int) -> None:
    (tiny / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": pooling}))
    config = json.loads((tiny / "config.json").read_text())
    config |= {"num_attention_heads": heads, "layer_norm_eps": 1e-3}
    (tiny / "config.json").write_text(json.dumps(config))
    ours = NumpyEncoder.from_pretrained(str(tiny))
    theirs = SentenceTransformer.from_pretrained(str(tiny), device="cpu", dtype="float32")
    assert ours.fingerprint == theirs.fingerprint
    assert ours.max_tokens == theirs.max_tokens == 30
    some = texts()[:30]
    assert delta(ours.encode(some), theirs.encode(some)) <= MAX_DELTA


@pytest.mark.parametrize("default", [None, "passage"])
def test_prompts_are_the_checkpoints(tiny: Path, default: str | None) -> None:
    said = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": default}
    (tiny / "config_sentence_transformers.json").write_text(json.dumps(said))
    ours = NumpyEncoder.from_pretrained(str(tiny))
    theirs = SentenceTransformer.from_pretrained(str(tiny), device="cpu", dtype="float32")
    assert delta(ours.encode(["bread"]), theirs.encode(["bread"])) <= MAX_DELTA
    assert delta(ours.encode_query(["bread"]), theirs.encode_query(["bread"])) <= MAX_DELTA
    assert delta(ours.encode_query(["bread"]), ours.encode(["bread"])) > 1e-3


def test_the_expected_tensors_are_a_models_own() -> None:
    config = MiniLMConfig(vocab_size=50, hidden_size=24, num_hidden_layers=2, intermediate_size=48)
    state = MiniLMModel(config).state_dict()
    assert shapes(config) == {to_hugging_face(name): tuple(tensor.shape) for name, tensor in state.items()}


# --- unsupported checkpoints ---------------------------------------------------------------------------


def rewritten(folder: Path, change: dict[str, torch.Tensor | None]) -> None:
    """The folder's weights with some tensors changed, or gone."""
    path = folder / "model.safetensors"
    stored = load_file(path) | change
    save_file({name: tensor for name, tensor in stored.items() if tensor is not None}, path)


QUERY = "encoder.layer.0.attention.self.query.weight"


@pytest.mark.parametrize(
    "change",
    [
        {QUERY: torch.zeros(24, 24, dtype=torch.float16)},
        {QUERY: torch.zeros(24, 24, dtype=torch.bfloat16)},
        {QUERY: torch.zeros(24, 24, dtype=torch.int32)},
        {QUERY: torch.zeros(24, 23)},
        {QUERY: torch.zeros(576)},
        {QUERY: None},
        {"encoder.layer.1.output.dense.bias": torch.zeros(24)},
    ],
    ids=["float16", "bfloat16", "integers", "misshapen", "flat", "missing", "surplus"],
)
def test_other_tensors_are_unsupported(tiny: Path, change: dict[str, torch.Tensor | None]) -> None:
    rewritten(tiny, change)
    with pytest.raises(UnsupportedCheckpoint):
        NumpyEncoder.from_pretrained(str(tiny))


def test_a_folder_without_safetensors_is_unsupported(tiny: Path) -> None:
    (tiny / "model.safetensors").rename(tiny / "pytorch_model.bin")
    with pytest.raises(UnsupportedCheckpoint, match=r"model\.safetensors"):
        NumpyEncoder.from_pretrained(str(tiny))


@pytest.mark.parametrize("n_bytes", [0, 4, 8, 100, 10_000, -1, -1_000])
def test_a_truncated_file_is_unsupported(tiny: Path, n_bytes: int) -> None:
    path = tiny / "model.safetensors"
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(UnsupportedCheckpoint):
        NumpyEncoder.from_pretrained(str(tiny))


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("data_offsets", [-2_304, 0]),
        ("data_offsets", [2**62, 2**62 + 2_304]),
        ("data_offsets", [0, 2_304.0]),
        ("data_offsets", [2_304, 0]),
        ("data_offsets", [1, 2_305]),
        ("data_offsets", "0"),
        ("shape", [24, 25]),
        ("shape", [-24, -24]),
        ("shape", None),
        ("dtype", "F64"),
    ],
)
def test_a_wrong_header_entry_is_unsupported(tiny: Path, said: str, instead: object) -> None:
    path = tiny / "model.safetensors"
    content = path.read_bytes()
    n_header = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + n_header])
    header[QUERY][said] = instead
    changed = json.dumps(header).encode()
    changed += b" " * (-len(changed) % 8)
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + n_header :])
    with pytest.raises(UnsupportedCheckpoint):
        map_weights(path, read_settings(tiny).config)


def test_bytes_beyond_the_last_tensor_are_unsupported(tiny: Path) -> None:
    with (tiny / "model.safetensors").open("ab") as file:
        file.write(bytes(4))
    with pytest.raises(UnsupportedCheckpoint, match=r"model\.safetensors: .*[Ii]ncomplete"):
        NumpyEncoder.from_pretrained(str(tiny))


@pytest.mark.parametrize(
    "content", [b"[]", b"7", b"{", b'{"a": 1}', b"\xff\xfe", b"[" * 100_000], ids=range(6)
)
def test_a_header_that_is_not_json_of_tensors_is_unsupported(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(content).to_bytes(8, "little") + content)
    with pytest.raises(UnsupportedCheckpoint):
        map_weights(path, MiniLMConfig())


def test_without_a_tokenizer_it_is_unsupported(tiny: Path) -> None:
    (tiny / "tokenizer.json").write_text("{")
    with pytest.raises(UnsupportedCheckpoint):
        NumpyEncoder.from_pretrained(str(tiny))


def test_another_models_vocabulary_is_unsupported(tiny: Path) -> None:
    config = json.loads((tiny / "config.json").read_text()) | {"vocab_size": 100}
    (tiny / "config.json").write_text(json.dumps(config))
    rewritten(tiny, {"embeddings.word_embeddings.weight": torch.zeros(100, 24)})
    with pytest.raises(UnsupportedCheckpoint, match="vocabulary"):
        NumpyEncoder.from_pretrained(str(tiny))


def test_the_weights_that_are_hashed_are_those_that_are_used(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny / "model.safetensors"
    used = hashlib.sha256(path.read_bytes()).hexdigest()

    def map_and_replace(*arguments: Any) -> Mapped:
        mapped = map_weights(*arguments)
        (tiny / "new").write_bytes(b"what somebody else puts in its place")
        (tiny / "new").replace(path)
        return mapped

    monkeypatch.setattr("minisearch.minilm.numpy_encoder.map_weights", map_and_replace)
    encoder = NumpyEncoder.from_pretrained(str(tiny))
    assert encoder._hash.result() == used


def test_no_vector_is_given_out_when_the_hash_fails_for_any_reason(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise ValueError("no hash today")

    monkeypatch.setattr("minisearch.minilm.numpy_encoder.verified_sha256", fail)
    encoder = NumpyEncoder.from_pretrained(str(tiny))
    for _ in range(2):
        with pytest.raises(ValueError, match="no hash today"):
            encoder.encode(["a"])
    with pytest.raises(ValueError, match="no hash today"):
        _ = encoder.fingerprint


def test_no_vector_is_given_out_of_weights_that_are_not_the_catalogs(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.rename(tmp_path / "all-MiniLM-L6-v2")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="expected 53aa5117"):
        NumpyEncoder.from_pretrained("all-MiniLM-L6-v2").encode(["a"])
    with pytest.raises(ModelError, match="expected 53aa5117"):
        _ = NumpyEncoder.from_pretrained("all-MiniLM-L6-v2").fingerprint


# --- word vectors --------------------------------------------------------------------------------------


class Words(SentenceEncoder):
    """An encoder of texts that are ids between a first and a last one; it has word embeddings alone."""

    def __init__(self, embeddings: np.ndarray) -> None:
        self.settings = CheckpointSettings(MiniLMConfig(hidden_size=12 * embeddings.shape[1]), "mean", 8)
        self.embeddings, self.tokenizer = np.repeat(embeddings, 12, axis=1), self

    def ids(self, texts: list[str], *, kind: str) -> list[list[int]]:
        return [[0, *map(int, text.split()), 0] for text in texts]

    def _embedded(self, ids: np.ndarray) -> np.ndarray:
        return self.embeddings[ids]


def test_rarer_words_count_more() -> None:
    embeddings = np.zeros((3_000, 2), np.float32)
    embeddings[1_000], embeddings[2_999] = (1, 0), (0, 1)
    (vector,) = Words(embeddings).word_vectors(["1000 2999"])
    x, y = vector[:12], vector[12:]
    assert np.allclose(y / x, np.log(2_004) / np.log(5), atol=1e-5)
    assert np.isclose((x * x + y * y).sum(), 1)


def test_a_text_without_words_has_no_direction() -> None:
    encoder = Words(np.ones((2, 3), np.float32))
    assert not encoder.word_vectors(["", "1"])[0].any()
    assert encoder.word_vectors([]).shape == (0, 36)


def test_texts_of_alike_words_are_near(minilm: SentenceTransformer) -> None:
    texts = ["the dog barks at night", "puppies howl in the evening", "interest rates on savings"]
    dog, puppy, bank = minilm.word_vectors(texts)
    assert dog @ puppy > dog @ bank + 0.1


def test_both_encoders_and_8_bits_agree(minilm: SentenceTransformer) -> None:
    texts = ["the dog barks at night", "", "昆布"]
    expected = minilm.word_vectors(texts)
    assert np.allclose(NumpyEncoder.from_pretrained(minilm.name, offline=True).word_vectors(texts), expected)
    small = SentenceTransformer.from_pretrained(minilm.name, dtype="int8", offline=True)
    assert (small.word_vectors(texts) * expected).sum(axis=1)[[0, 2]].min() > 0.99
