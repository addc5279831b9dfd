"""What a checkpoint's JSON files say: architecture, pooling, prompts and length, or why it is refused.

A folder comes in, `CheckpointSettings` go out.  A checkpoint that asks for something this implementation
does not do (a Dense module, another activation) would load and give vectors that are not its own; it is
refused.  What a folder leaves out is filled in as sentence-transformers does, and logged.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from minisearch.errors import ModelError
from minisearch.manifest import fingerprint

logger = logging.getLogger(__name__)

MAX_SIZE = 1 << 20  # four times the largest vocabulary in use; keeps every tensor's size a sane number

Pooling = Literal["mean", "cls", "max"]
Activation = Literal["identity", "sigmoid"]

CLASSIFIER = "BertForSequenceClassification"

# What this implementation does, key by key; a file may leave a key out but not say otherwise.
EXPECTED: dict[str, dict[str, object]] = {
    "config.json": {
        "model_type": "bert",
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "is_decoder": False,
    },
    "config_sentence_transformers.json": {"model_type": "SentenceTransformer", "truncate_dim": None},
    "sentence_bert_config.json": {"transformer_task": "feature-extraction"},
}
# What a cross-encoder's files say instead.
EXPECTED_OF_CLASSIFIER: dict[str, dict[str, object]] = {
    "config.json": EXPECTED["config.json"],
    "config_sentence_transformers.json": {"model_type": "CrossEncoder"},
    "sentence_bert_config.json": {"transformer_task": "sequence-classification"},
}
POOLINGS: dict[str, Pooling] = {"mean": "mean", "cls": "cls", "max": "max"}
# How older checkpoints say it: one flag a mode. Newer ones have a single word under pooling_mode.
POOLING_FLAGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
}


@dataclass(frozen=True, slots=True)
class MiniLMConfig:
    """The numbers that fix the architecture; the defaults are MiniLM-L6-H384's. Names as in config.json.

    Raises ModelError, naming the number and its value, for one that makes no sense.
    """

    vocab_size: int = 30_522
    hidden_size: int = 384
    num_hidden_layers: int = 6
    num_attention_heads: int = 12
    intermediate_size: int = 1_536
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1

    def __post_init__(self) -> None:
        for number in fields(self):
            value = getattr(self, number.name)
            if number.type == "int":  # a string, as this module's annotations are
                is_sensible = type(value) is int and 1 <= value <= MAX_SIZE
                expected = f"a whole number from 1 to {MAX_SIZE}"
            else:
                is_sensible = type(value) in {int, float} and 0 <= value <= 1
                expected = "a number from 0 to 1"
            if not is_sensible:
                raise ModelError(f"{number.name} is {value!r}, expected {expected}")
        if self.hidden_size % self.num_attention_heads:
            raise ModelError(
                f"num_attention_heads is {self.num_attention_heads}, "
                f"expected a divisor of hidden_size, {self.hidden_size}"
            )


def n_parameters(config: MiniLMConfig, *, n_labels: int | None = None) -> int:
    """A model's count of numbers; with ``n_labels``, that of BERT's pooler and a classifier too.

    An embedder is counted without the pooler, which its vectors do not pass, though most files hold it:
    figures found elsewhere are higher by D² + D for that (22.7 against 22.6 million for all-MiniLM-L6-v2).
    """
    width, inner = config.hidden_size, config.intermediate_size
    norm, square = 2 * width, width * width + width
    rows = config.vocab_size + config.max_position_embeddings + config.type_vocab_size
    layer = 4 * square + norm + (width * inner + inner) + (inner * width + width) + norm
    head = 0 if n_labels is None else square + n_labels * (width + 1)
    return rows * width + norm + config.num_hidden_layers * layer + head


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """What a checkpoint's JSON files say; ``max_length`` counts tokens, special ones included.

    ``prompts`` are texts by name, put before a text that is encoded under that name; ``default_prompt``
    goes before every other text ("" for none).  ``normalize`` says that the checkpoint itself asks for unit
    vectors.  A cross-encoder has ``n_labels`` outputs, None for any other checkpoint, and its scores go
    through ``activation``.
    """

    config: MiniLMConfig
    pooling: Pooling
    max_length: int
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str = ""
    normalize: bool = False
    n_labels: int | None = None
    activation: Activation = "identity"


def query_prompt(prompts: Mapping[str, str], default: str) -> str:
    """What goes before a query."""
    return prompts.get("query", default)


def document_prompt(prompts: Mapping[str, str], default: str) -> str:
    """What goes before a text that is to be found, under any of the names sentence-transformers knows."""
    return next((prompts[name] for name in ("document", "passage", "corpus") if name in prompts), default)


def fingerprint_of_vectors(
    weights_sha256: str,
    tokenizer_sha256: str,
    config: MiniLMConfig,
    *,
    pooling: Pooling,
    max_length: int,
    document_prompt: str,
) -> str:
    """What differs whenever an embedder's vectors would, but for the dtype that they are computed in."""
    prompt = [document_prompt] if document_prompt else []
    return fingerprint(weights_sha256, config, tokenizer_sha256, pooling, max_length, *prompt)


def read_settings(folder: Path) -> CheckpointSettings:
    """The settings of the checkpoint in a folder.

    Without modules.json a folder holds a bare encoder: its token vectors are averaged, up to the
    tokenizer's own length.  Raises ModelError, naming file, key and value, for what is not understood.
    """
    content = _read_object(folder / "config.json")
    architectures = content.get("architectures") or []
    is_classifier = isinstance(architectures, list) and CLASSIFIER in architectures
    _refuse_the_unexpected(folder, EXPECTED_OF_CLASSIFIER if is_classifier else EXPECTED)
    config = _architecture(folder / "config.json")
    if is_classifier:
        return _cross_encoder(folder, config, content)
    if not (folder / "modules.json").exists():
        length = _max_length(folder, {}, config)
        logger.info("model: no modules.json in %s: mean pooling of at most %d tokens", folder, length)
        return CheckpointSettings(config, "mean", length)
    modules = _modules(folder, ["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
    prompts, default_prompt = _prompts(folder / "config_sentence_transformers.json")
    return CheckpointSettings(
        config=config,
        pooling=_pooling(modules["Pooling"] / "config.json", has_prompts=any(prompts.values())),
        max_length=_max_length(folder, _read_if_there(folder / "sentence_bert_config.json"), config),
        prompts=prompts,
        default_prompt=default_prompt,
        normalize="Normalize" in modules,
    )


def _refuse_the_unexpected(folder: Path, expected: dict[str, dict[str, object]]) -> None:
    for name, values in expected.items():
        content = _read_object(folder / name) if (folder / name).exists() else {}
        for key, value in values.items():
            if content.get(key, value) != value:
                raise ModelError(f"{folder / name}: {key} is {content[key]!r}, expected {value!r}")


def _cross_encoder(folder: Path, config: MiniLMConfig, content: dict[str, Any]) -> CheckpointSettings:
    if (folder / "modules.json").exists():
        _modules(folder, ["Transformer"])
    path = folder / "config.json"
    labels = content.get("id2label")
    n_labels = content.get(
        "num_labels", len(labels) if isinstance(labels, dict) else 2
    )  # 2: transformers' own
    if type(n_labels) is not int or not 1 <= n_labels <= MAX_SIZE:
        raise ModelError(f"{path}: num_labels is {n_labels!r}, expected a whole number from 1 to {MAX_SIZE}")
    sentence = folder / "sentence_bert_config.json"
    return CheckpointSettings(
        config=config,
        pooling="cls",
        max_length=_max_length(folder, _read_object(sentence) if sentence.exists() else {}, config),
        n_labels=n_labels,
        activation=_activation(folder, content, n_labels),
    )


def _activation(folder: Path, content: dict[str, Any], n_labels: int) -> Activation:
    """What the scores go through: said in one of three places, by the age of the checkpoint, or nowhere."""
    path, key = folder / "config_sentence_transformers.json", "activation_fn"
    asked = _read_object(path).get(key) if path.exists() else None
    if asked is None:
        path, inner = folder / "config.json", content.get("sentence_transformers")
        asked = inner.get(key) if isinstance(inner, dict) else None
    if asked is None:
        key = "sbert_ce_default_activation_function"
        asked = content.get(key)
    if asked is None:
        return "sigmoid" if n_labels == 1 else "identity"
    name = str(asked).rpartition(".")[2].lower()
    if name == "sigmoid":
        return "sigmoid"
    if name == "identity":
        return "identity"
    raise ModelError(f"{path}: {key} is {asked!r}, expected Identity or Sigmoid")


def _architecture(path: Path) -> MiniLMConfig:
    names = {number.name for number in fields(MiniLMConfig)}
    try:
        return MiniLMConfig(**{key: value for key, value in _read_object(path).items() if key in names})
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _modules(folder: Path, *known: list[str]) -> dict[str, Path]:
    """The folder of each module; ModelError unless the modules are those that are implemented here."""
    path = folder / "modules.json"
    rows = _read_json(path)
    try:
        modules = [(str(row["type"]).rpartition(".")[2], Path(folder, row["path"])) for row in rows]
    except (TypeError, KeyError) as error:
        raise ModelError(f"{path}: expected a list of objects with type and path") from error
    names = [name for name, _ in modules]
    if names not in known:
        expected = " or ".join(", ".join(one) for one in known)
        raise ModelError(f"{path}: its modules are {names}, expected {expected}")
    if modules[0][1] != folder:
        raise ModelError(f"{path}: Transformer is in {modules[0][1]}, expected in {folder}")
    return dict(modules)


def _prompts(path: Path) -> tuple[dict[str, str], str]:
    """The prompts by name, and the one for texts that are encoded under no name."""
    content = _read_object(path) if path.exists() else {}
    prompts = content.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise ModelError(f"{path}: prompts is {prompts!r}, expected an object of texts")
    default = content.get("default_prompt_name")
    if default is None:
        return prompts, ""
    if default not in prompts:
        raise ModelError(
            f"{path}: default_prompt_name is {default!r}, expected one of its prompts: {list(prompts)}"
        )
    return prompts, prompts[default]


def _pooling(path: Path, *, has_prompts: bool) -> Pooling:
    content = _read_if_there(path)
    flags = [key for key, value in content.items() if key.startswith("pooling_mode_") and value]
    asked = content.get("pooling_mode", [POOLING_FLAGS.get(flag, flag) for flag in flags] or "mean")
    names = [str(name) for name in (asked if isinstance(asked, list) else [asked])]
    if len(names) != 1 or names[0] not in POOLINGS:
        raise ModelError(f"{path}: pooling is {asked!r}, expected one of {', '.join(POOLINGS)}")
    if has_prompts and content.get("include_prompt", True) is not True:
        raise ModelError(f"{path}: include_prompt is {content['include_prompt']!r}, expected True")
    return POOLINGS[names[0]]


def _max_length(folder: Path, sentence: dict[str, Any], config: MiniLMConfig) -> int:
    """The checkpoint's length or else its tokenizer's, never above the positions that it has vectors for."""
    n_positions = config.max_position_embeddings
    path, key, asked = folder / "sentence_bert_config.json", "max_seq_length", sentence.get("max_seq_length")
    if asked is None:
        path, key = folder / "tokenizer_config.json", "model_max_length"
        asked = _read_if_there(path).get(key, n_positions)
        logger.info("model: %s of %s, at most %d positions, sets the length", key, path, n_positions)
    # transformers writes int(1e30) where there is no limit.
    if isinstance(asked, bool) or not isinstance(asked, int | float) or not asked >= 3:
        raise ModelError(f"{path}: {key} is {asked!r}, expected a number of tokens, at least 3")
    if n_positions < 3:
        raise ModelError(
            f"{folder / 'config.json'}: max_position_embeddings is {n_positions}, expected at least 3"
        )
    return int(min(asked, n_positions))


def _read_if_there(path: Path) -> dict[str, Any]:
    if path.exists():
        return _read_object(path)
    logger.info("model: no %s: using what sentence-transformers assumes without it", path)
    return {}


def _read_object(path: Path) -> dict[str, Any]:
    content = _read_json(path)
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds {type(content).__name__}, expected a JSON object")
    return content


def _read_json(path: Path) -> Any:  # noqa: ANN401 - JSON is anything
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error
