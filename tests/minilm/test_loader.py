"""Loading takes a checkpoint whole or not at all, and says what it took."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from minisearch.errors import ModelError
from minisearch.minilm import MiniLMConfig, MiniLMTokenizer, SentenceTransformer, load_pretrained_weights
from minisearch.minilm.loader import to_hugging_face


def rewrite(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)


def test_every_name_of_the_model_is_renamed_to_one_of_the_real_checkpoint(
    weights: Path, minilm: SentenceTransformer
) -> None:
    names = load_file(weights / "model.safetensors").keys()
    renamed = [to_hugging_face(name) for name in minilm.model.state_dict()]
    unused = {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}
    assert (set(renamed), len(renamed), len(names)) == (names - unused, 101, 104)


def test_the_report_counts_what_was_loaded(minilm: SentenceTransformer) -> None:
    report = minilm.report
    assert report.n_tensors == 101
    assert report.n_parameters == sum(p.numel() for p in minilm.parameters()) == 22_565_376
    assert report.n_bytes == 4 * 22_565_376
    assert set(report.ignored) == {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}
    assert report.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def test_a_folder_is_loaded_with_its_own_sizes(tiny: Path) -> None:
    model = SentenceTransformer.from_pretrained(str(tiny), device="cpu")
    assert model.encode(["hello", ""]).shape == (2, 24)
    assert model.max_length == 32
    assert model.max_tokens == 30
    assert model.name == str(tiny)


def test_half_precision_weights_are_computed_in_float32(tiny: Path) -> None:
    def halve(state: dict) -> None:
        for name in state:
            if "position_ids" not in name:
                state[name] = state[name].half()

    before = SentenceTransformer.from_pretrained(str(tiny), device="cpu").encode(["hello world"])
    rewrite(tiny, halve)
    after = SentenceTransformer.from_pretrained(str(tiny), device="cpu").encode(["hello world"])
    assert after.dtype == np.float32
    assert after == pytest.approx(before, abs=5e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("encoder.layer.0.output.dense.bias"), "missing .*encoder.layer.0.output.dense.bias"),
        (lambda s: s.update({"extra.weight": torch.ones(2)}), "surplus .*extra.weight"),
        (
            lambda s: s.update({"embeddings.LayerNorm.bias": torch.ones(7)}),
            r"embeddings.LayerNorm.bias has shape \(7,\), expected \(24,\)",
        ),
        (
            lambda s: s.update({"embeddings.LayerNorm.bias": torch.ones(24, dtype=torch.int64)}),
            "embeddings.LayerNorm.bias is int64, expected float32, float16, bfloat16",
        ),
        (
            lambda s: s.update({"encoder.layer.0.output.dense.bias": torch.ones(24, dtype=torch.float64)}),
            "encoder.layer.0.output.dense.bias is float64, expected float32, float16, bfloat16",
        ),
        (
            lambda s: s.update({"embeddings.LayerNorm.gamma": torch.ones(24)}),
            "embeddings.LayerNorm.(weight|gamma) is there twice",
        ),
        (
            lambda s: s.update({"classifier.weight": torch.ones(1, 24), "classifier.bias": torch.ones(1)}),
            "surplus .*classifier.weight.* load it with CrossEncoder",
        ),
    ],
)
def test_a_tensor_missing_surplus_or_misshapen_is_refused_by_name(tiny: Path, change, message: str) -> None:
    rewrite(tiny, change)
    with pytest.raises(ModelError, match=message):
        SentenceTransformer.from_pretrained(str(tiny))


@pytest.mark.parametrize("size", [0, 7, 1_000, 100_000])
def test_a_truncated_weights_file_is_refused(tiny: Path, size: int) -> None:
    path = tiny / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelError, match="damaged or not a safetensors file"):
        SentenceTransformer.from_pretrained(str(tiny))


def test_weights_that_are_not_the_catalogs_are_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.rename(tmp_path / "all-MiniLM-L6-v2")
    monkeypatch.setenv("LLM_MODELS_PATH", str(tmp_path))
    with pytest.raises(ModelError, match=r"its SHA-256 is [0-9a-f]{64}, expected 53aa5117"):
        SentenceTransformer.from_pretrained("all-MiniLM-L6-v2")


def test_a_tokenizer_with_more_tokens_than_the_model_has_vectors_is_refused(tiny: Path) -> None:
    path = tiny / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.add_tokens(["a-token-of-another-model"])
    tokenizer.save(str(path))
    with pytest.raises(
        ModelError, match=r"tokenizer in .*tiny belongs to another model: .* 30523 tokens, .* 30522"
    ):
        SentenceTransformer.from_pretrained(str(tiny))


def test_a_model_built_by_hand_takes_pretrained_weights_and_keeps_its_length(
    minilm: SentenceTransformer,
) -> None:
    model = SentenceTransformer(num_hidden_layers=6, max_length=64)
    tokenizer = MiniLMTokenizer(model_name="all-MiniLM-L6-v2", max_length=64)
    model = load_pretrained_weights(model, model_name="all-MiniLM-L6-v2")
    encoded = tokenizer.encode(
        ["The quick brown fox jumps over the lazy dog", "I love natural language processing"]
    )
    with torch.no_grad():
        vectors = model(encoded["input_ids"], encoded["attention_mask"]).numpy()
    expected = minilm.encode(
        ["The quick brown fox jumps over the lazy dog", "I love natural language processing"]
    )
    assert np.abs(vectors - expected).max() < 1e-6
    assert model.max_tokens == 62


def test_a_model_with_another_number_of_layers_refuses_the_weights() -> None:
    with pytest.raises(ModelError, match=r"another architecture: missing .*encoder.layer.10"):
        load_pretrained_weights(SentenceTransformer(num_hidden_layers=12), model_name="all-MiniLM-L6-v2")


def test_a_model_without_weights_says_how_to_get_them() -> None:
    with pytest.raises(ModelError, match="load_pretrained_weights"):
        SentenceTransformer(num_hidden_layers=1).encode(["hello"])


def test_a_model_with_other_heads_refuses_the_weights_though_every_shape_fits() -> None:
    with pytest.raises(ModelError, match="its num_attention_heads is 12, the model's 6"):
        load_pretrained_weights(
            SentenceTransformer(MiniLMConfig(num_attention_heads=6)), model_name="all-MiniLM-L6-v2"
        )


# --- other ways in which a checkpoint may be saved ---------------------------------------------------


def pickled(folder: Path, change=lambda state: state, **options) -> Path:
    """The folder, its weights in a pytorch_model.bin instead."""
    path = folder / "model.safetensors"
    torch.save(change(load_file(path)), folder / "pytorch_model.bin", **options)
    path.unlink()
    return folder


def vector(folder: Path) -> np.ndarray:
    return SentenceTransformer.from_pretrained(str(folder), device="cpu", dtype="float32").encode(["hello"])


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pytorch_file_gives_the_vectors_of_the_safetensors(tiny: Path, zipped: bool) -> None:
    before = vector(tiny)
    pickled(tiny, _use_new_zipfile_serialization=zipped)
    model = SentenceTransformer.from_pretrained(str(tiny), device="cpu", dtype="float32")
    assert (model.encode(["hello"]) == before).all()
    assert (model.report.format, model.report.dtypes) == ("pytorch", ("float32",))
    assert model.report.source == str(tiny / "pytorch_model.bin")


def with_training_heads(state: dict) -> dict:
    """As BERT comes from its own training: the encoder as a part, old names, heads that nobody needs."""
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    renamed = {}
    for name, tensor in state.items():
        for new, spelling in old.items():
            name = name.replace(new, spelling)
        renamed[f"bert.{name}"] = tensor
    renamed["cls.predictions.bias"] = torch.zeros(7)
    renamed["cls.seq_relationship.weight"] = torch.zeros(2, 24)
    return renamed


def test_an_encoder_saved_with_its_training_heads_is_the_same_encoder(tiny: Path) -> None:
    before = vector(tiny)
    pickled(tiny, with_training_heads)
    model = SentenceTransformer.from_pretrained(str(tiny), device="cpu", dtype="float32")
    assert (model.encode(["hello"]) == before).all()
    assert model.report.ignored == {
        "bert.embeddings.position_ids": "a constant, 0, 1, 2 and so on",
        "bert.pooler.dense.bias": "BERT's pooler: sentence vectors do not use it",
        "bert.pooler.dense.weight": "BERT's pooler: sentence vectors do not use it",
        "cls.predictions.bias": "the training head that predicts masked words",
        "cls.seq_relationship.weight": "the training head that predicts the next sentence",
    }


class Payload:
    """What a malicious pickle holds: a call to be made while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_nothing_runs(
    tiny: Path, tmp_path: Path, zipped: bool
) -> None:
    trace = tmp_path / "it-ran"
    pickled(tiny, lambda state: state | {"x": Payload(trace)}, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match=r"is refused, and nothing in it was run: it calls posix\.system"):
        vector(tiny)
    assert not trace.exists()
    with contextlib.suppress(Exception):
        torch.load(tiny / "pytorch_model.bin", weights_only=False)
    assert trace.exists(), "the payload is a real one"


@pytest.mark.parametrize("size", [0, 7, 1_000, 100_000])
def test_a_truncated_pytorch_file_is_refused(tiny: Path, size: int) -> None:
    path = pickled(tiny) / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"pytorch_model\.bin is (damaged or not a PyTorch file|refused)"):
        vector(tiny)


@pytest.mark.parametrize("content", [[torch.ones(2)], {"model": {"a": torch.ones(2)}}, {1: torch.ones(2)}])
def test_a_pytorch_file_of_something_else_than_tensors_by_name_is_refused(tiny: Path, content) -> None:
    pickled(tiny, lambda _: content)
    with pytest.raises(ModelError, match=r"pytorch_model\.bin holds (list|dict), expected tensors by name"):
        vector(tiny)


def test_the_report_tells_which_dtypes_there_were(tiny: Path) -> None:
    rewrite(tiny, lambda s: s.update({"embeddings.LayerNorm.bias": torch.ones(24, dtype=torch.bfloat16)}))
    report = SentenceTransformer.from_pretrained(str(tiny), device="cpu").report
    assert report.dtypes == ("bfloat16", "float32")
    assert (report.format, report.vouched_by) == ("safetensors", "")


def test_a_checkpoint_with_only_a_vocabulary_is_whole(tiny: Path, weights: Path) -> None:
    before = vector(tiny)
    (tiny / "tokenizer.json").unlink()
    shutil.copy(weights / "vocab.txt", tiny)
    assert (vector(tiny) == before).all()


def test_pretrained_weights_go_into_the_parameters_that_the_model_has() -> None:
    model = SentenceTransformer(num_hidden_layers=6)
    before = list(model.parameters())
    load_pretrained_weights(model, model_name="all-MiniLM-L6-v2")
    assert all(a is b for a, b in zip(before, model.parameters(), strict=True)), "an optimiser may hold them"
