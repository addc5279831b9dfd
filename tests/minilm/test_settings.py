"""A checkpoint's JSON files are understood as sentence-transformers understands them, or refused by name."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import CrossEncoder
from sentence_transformers import SentenceTransformer as Original
from transformers import BertConfig, BertForSequenceClassification

from minisearch.errors import ModelError
from minisearch.minilm import MiniLMConfig, SentenceTransformer
from minisearch.minilm.settings import read_settings

TEXTS = ["", "Retry the failed task", "word " * 600]


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


def merge(path: Path, **changes: Any) -> None:
    write(path, json.loads(path.read_text()) | changes)


def load(folder: Path) -> SentenceTransformer:
    return SentenceTransformer.from_pretrained(str(folder), device="cpu", dtype="float32")


def no_modules(folder: Path) -> None:
    (folder / "modules.json").unlink()


def no_modules_and_cls(folder: Path) -> None:
    no_modules(folder)
    merge(folder / "1_Pooling" / "config.json", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)


def no_sentence_config(folder: Path) -> None:
    (folder / "sentence_bert_config.json").unlink()


def tokenizers_length(folder: Path) -> None:
    no_sentence_config(folder)
    write(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "model_max_length": 40})


def endless_tokenizer(folder: Path) -> None:
    no_sentence_config(folder)
    write(
        folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "model_max_length": int(1e30)}
    )


def saved_anew(folder: Path) -> None:
    Original(str(folder), device="cpu", local_files_only=True).save(str(folder), create_model_card=False)
    assert "max_seq_length" not in json.loads((folder / "sentence_bert_config.json").read_text())


def cls_pooling(folder: Path) -> None:
    merge(folder / "1_Pooling" / "config.json", pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)


def max_pooling_in_one_word(folder: Path) -> None:
    write(folder / "1_Pooling" / "config.json", {"embedding_dimension": 24, "pooling_mode": "max"})


def pooling_elsewhere(folder: Path) -> None:
    cls_pooling(folder)
    (folder / "1_Pooling").rename(folder / "pooled")
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["path"] = "pooled"
    write(folder / "modules.json", modules)


def no_normalize(folder: Path) -> None:
    write(folder / "modules.json", json.loads((folder / "modules.json").read_text())[:2])


@pytest.mark.parametrize(
    ("change", "length"),
    [
        (lambda folder: None, 32),
        (no_modules, 512),
        (no_modules_and_cls, 512),
        (no_sentence_config, 512),
        (tokenizers_length, 40),
        (endless_tokenizer, 512),
        (saved_anew, 32),
        (cls_pooling, 32),
        (max_pooling_in_one_word, 32),
        (pooling_elsewhere, 32),
        (no_normalize, 32),
    ],
)
def test_a_folder_gives_the_length_and_the_vectors_that_it_gives_sentence_transformers(
    tiny: Path, change, length: int
) -> None:
    change(tiny)
    original = Original(str(tiny), device="cpu", local_files_only=True)
    ours = load(tiny)
    assert ours.max_length == original.max_seq_length == length
    expected = original.encode(TEXTS, normalize_embeddings=True)
    assert np.abs(ours.encode(TEXTS) - expected).max() < 2e-6


@pytest.mark.parametrize(
    ("name", "length"),
    [("1_Pooling/config.json", 32), ("sentence_bert_config.json", 512), ("modules.json", 512)],
)
def test_what_a_folder_leaves_out_is_logged(
    tiny: Path, caplog: pytest.LogCaptureFixture, name: str, length: int
) -> None:
    (tiny / name).unlink()
    with caplog.at_level(logging.INFO, "minisearch"):
        model = load(tiny)
    assert (model.pooling, model.max_length) == ("mean", length)
    assert any(name in message for message in caplog.messages if message.startswith("model: no "))


def test_no_length_goes_beyond_the_positions_that_have_a_vector(tiny: Path) -> None:
    write(tiny / "sentence_bert_config.json", {"max_seq_length": 4_096})
    model = load(tiny)
    assert model.max_length == 512
    assert model.encode(["word " * 600]).shape == (1, 24)


def dense(modules: list[dict]) -> None:
    modules.insert(2, {"idx": 2, "path": "2_Dense", "type": "sentence_transformers.models.Dense"})


def elsewhere(modules: list[dict]) -> None:
    modules[0]["path"] = "0_Transformer"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dense, r"its modules are \['Transformer', 'Pooling', 'Dense', 'Normalize'\], expected Transformer"),
        (lambda modules: modules.pop(1), r"its modules are \['Transformer', 'Normalize'\]"),
        (lambda modules: modules.reverse(), r"its modules are \['Normalize', 'Pooling', 'Transformer'\]"),
        (elsewhere, r"Transformer is in .*0_Transformer, expected in"),
        (lambda modules: modules.append("Normalize"), "expected a list of objects with type and path"),
        (lambda modules: modules[1].pop("path"), "expected a list of objects with type and path"),
        (lambda modules: modules.clear(), r"its modules are \[\]"),
    ],
)
def test_a_checkpoint_with_modules_that_are_not_implemented_is_refused(
    tiny: Path, change, message: str
) -> None:
    modules = json.loads((tiny / "modules.json").read_text())
    change(modules)
    write(tiny / "modules.json", modules)
    with pytest.raises(ModelError, match=rf"modules\.json: {message}"):
        load(tiny)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "gpt2"),
        ("hidden_act", "relu"),
        ("position_embedding_type", "relative_key"),
        ("is_decoder", True),
    ],
)
def test_another_architecture_is_refused(tiny: Path, key: str, value: object) -> None:
    merge(tiny / "config.json", **{key: value})
    with pytest.raises(ModelError, match=rf"config\.json: {key} is {value!r}, expected"):
        load(tiny)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "CrossEncoder"),
        ("truncate_dim", 8),
        ("default_prompt_name", "query"),
        ("prompts", 7),
        ("prompts", "query: "),
    ],
)
def test_vectors_made_in_another_way_are_refused(tiny: Path, key: str, value: object) -> None:
    write(tiny / "config_sentence_transformers.json", {key: value})
    with pytest.raises(
        ModelError, match=rf"config_sentence_transformers\.json: {key} is {value!r}, expected"
    ):
        load(tiny)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_attention_heads", 5),
        ("num_attention_heads", "12"),
        ("num_attention_heads", 0),
        ("num_hidden_layers", -1),
        ("num_hidden_layers", True),
        ("hidden_size", 24.0),
        ("hidden_size", [24]),
        ("vocab_size", None),
        ("vocab_size", 10**30),
        ("intermediate_size", {}),
        ("max_position_embeddings", 2),
        ("type_vocab_size", 0),
        ("layer_norm_eps", "1e-12"),
        ("layer_norm_eps", float("nan")),
        ("hidden_dropout_prob", 1.5),
        ("attention_probs_dropout_prob", -0.1),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_by_file_key_and_value(
    tiny: Path, key: str, value: object
) -> None:
    merge(tiny / "config.json", **{key: value})
    with pytest.raises(ModelError) as caught:
        load(tiny)
    assert f"{tiny / 'config.json'}: {key} is {value!r}, expected" in str(caught.value)


def test_a_config_made_by_hand_holds_no_nonsense_either() -> None:
    with pytest.raises(ModelError, match="num_attention_heads is 7, expected a divisor of hidden_size, 384"):
        MiniLMConfig(num_attention_heads=7)


@pytest.mark.parametrize("value", ["256", 2, -1, True, [256], float("nan")])
def test_a_length_that_makes_no_sense_is_refused(tiny: Path, value: object) -> None:
    write(tiny / "sentence_bert_config.json", {"max_seq_length": value})
    with pytest.raises(
        ModelError, match=r"sentence_bert_config\.json: max_seq_length is .*, expected a number"
    ):
        load(tiny)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"pooling_mode_weightedmean_tokens": True}, "weightedmean"),
        ({"pooling_mode": "lasttoken"}, "lasttoken"),
        ({"pooling_mode": ["mean", "max"]}, r"\['mean', 'max'\]"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, r"\['mean', 'cls'\]"),
        ({"pooling_mode": {"mean": True}}, "mean"),
    ],
)
def test_an_unknown_pooling_is_refused(tiny: Path, content: dict, named: str) -> None:
    write(tiny / "1_Pooling" / "config.json", content)
    with pytest.raises(
        ModelError, match=rf"config\.json: pooling is .*{named}.*, expected one of mean, cls, max"
    ):
        load(tiny)


def test_what_the_folder_says_of_prompts_and_length_is_read(tiny: Path) -> None:
    settings = read_settings(tiny)
    assert (settings.prompts, settings.default_prompt, settings.normalize) == ({}, "", True)
    assert (settings.n_labels, settings.pooling, settings.max_length) == (None, "mean", 32)
    no_normalize(tiny)
    prompts = {"query": "query: ", "document": ""}
    write(tiny / "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": "query"})
    settings = read_settings(tiny)
    assert (settings.prompts, settings.default_prompt, settings.normalize) == (prompts, "query: ", False)


@pytest.mark.parametrize("default", [None, "query"])
def test_prompts_go_before_the_texts_that_sentence_transformers_puts_them_before(
    tiny: Path, default: str | None
) -> None:
    content = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": default}
    write(tiny / "config_sentence_transformers.json", content)
    original, ours = Original(str(tiny), device="cpu", local_files_only=True), load(tiny)
    for vectors, expected in [
        (ours.encode(TEXTS), original.encode(TEXTS)),
        (ours.encode_query(TEXTS), original.encode_query(TEXTS)),
        (ours.encode(TEXTS, prompt_name="passage"), original.encode(TEXTS, prompt_name="passage")),
    ]:
        assert np.abs(vectors - expected).max() < 2e-6
    assert np.abs(ours.encode(TEXTS, prompt_name="passage") - ours.encode_query(TEXTS)).max() > 1e-4


def test_prompts_that_are_not_to_be_pooled_are_refused(tiny: Path) -> None:
    pooling = tiny / "1_Pooling" / "config.json"
    merge(pooling, include_prompt=False)
    assert load(tiny).pooling == "mean", "without prompts there is nothing to leave out"
    write(tiny / "config_sentence_transformers.json", {"prompts": {"query": "query: "}})
    with pytest.raises(ModelError, match=r"config\.json: include_prompt is False, expected True"):
        load(tiny)


# --- cross-encoders --------------------------------------------------------------------------------

SIGMOID, IDENTITY = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"


@pytest.fixture
def classifier(tiny: Path) -> Path:
    """A folder as transformers saves a cross-encoder of one label: neither modules nor pooling."""
    for name in ("modules.json", "sentence_bert_config.json", "1_Pooling/config.json"):
        (tiny / name).unlink()
    model = BertForSequenceClassification(BertConfig.from_pretrained(str(tiny), num_labels=1))
    model.save_pretrained(tiny)
    write(tiny / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "model_max_length": 48})
    return tiny


@pytest.mark.parametrize(
    ("changes", "activation"),
    [
        ({}, "sigmoid"),
        ({"sentence_transformers": {"activation_fn": IDENTITY}}, "identity"),
        ({"sentence_transformers": {"activation_fn": SIGMOID}}, "sigmoid"),
        ({"sbert_ce_default_activation_function": IDENTITY}, "identity"),
        ({"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}}, "identity"),
    ],
)
def test_a_cross_encoders_labels_and_activation_are_those_of_sentence_transformers(
    classifier: Path, changes: dict, activation: str
) -> None:
    merge(classifier / "config.json", **changes)
    settings = read_settings(classifier)
    if "id2label" in changes:  # its weights are of another shape now
        assert (settings.n_labels, settings.activation) == (2, activation)
        return
    original = CrossEncoder(str(classifier), device="cpu", local_files_only=True)
    assert (
        (settings.n_labels, settings.max_length) == (original.num_labels, original.max_seq_length) == (1, 48)
    )
    assert settings.activation == activation == type(original.activation_fn).__name__.lower()
    original.save_pretrained(str(classifier))  # the newest layout, with modules and the activation elsewhere
    assert json.loads((classifier / "modules.json").read_text())
    assert read_settings(classifier) == settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sentence_transformers": {"activation_fn": "torch.nn.Tanh"}}, "activation_fn is 'torch.nn.Tanh'"),
        ({"num_labels": 0}, "num_labels is 0, expected a whole number"),
        ({"num_labels": "1"}, "num_labels is '1', expected a whole number"),
        ({"model_type": "roberta"}, "model_type is 'roberta', expected 'bert'"),
    ],
)
def test_a_cross_encoder_that_is_not_understood_is_refused(
    classifier: Path, changes: dict, message: str
) -> None:
    merge(classifier / "config.json", **changes)
    with pytest.raises(ModelError, match=rf"config\.json: {message}"):
        read_settings(classifier)


FILES = [
    "config.json",
    "tokenizer.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", ["", "7", "{", "\x00\xff"])
def test_a_broken_json_file_is_named(tiny: Path, name: str, content: str) -> None:
    (tiny / name).write_text(content)
    with pytest.raises(ModelError, match=name):
        load(tiny)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_file_that_nothing_stands_in_for_is_named(tiny: Path, name: str) -> None:
    (tiny / name).unlink()
    with pytest.raises(ModelError, match=name):
        load(tiny)


def change_heads(folder: Path) -> None:
    merge(folder / "config.json", num_attention_heads=6)


def change_epsilon(folder: Path) -> None:
    merge(folder / "config.json", layer_norm_eps=1e-5)


def change_length(folder: Path) -> None:
    write(folder / "sentence_bert_config.json", {"max_seq_length": 16})


@pytest.mark.parametrize("change", [change_heads, change_epsilon, change_length, cls_pooling])
def test_the_fingerprint_changes_when_the_vectors_do(tiny: Path, tmp_path: Path, change) -> None:
    before = load(tiny)
    again = load(shutil.copytree(tiny, tmp_path / "copy"))
    assert again.fingerprint == before.fingerprint
    change(tiny)
    after = load(tiny)
    texts = ["Retry the failed task " * 8]
    assert np.abs(after.encode(texts) - before.encode(texts)).max() > 1e-7
    assert after.fingerprint != before.fingerprint
