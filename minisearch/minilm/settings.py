"""Read a checkpoint's JSON files: architecture, pooling, prompts and length.

A folder goes in, `CheckpointSettings` come out.  A checkpoint that needs something this implementation lacks
(a Dense module, another activation) is refused, because its vectors would be wrong.  For a missing file the
defaults of sentence-transformers apply, and that is logged.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from minisearch.errors import ModelError
from minisearch.manifest import fingerprint

logger = logging.getLogger(__name__)

MAX_SIZE = 1 << 20  # four times the largest vocabulary in use; bounds the size of every tensor

Pooling = Literal["mean", "cls", "max"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
Activation = Literal["identity", "sigmoid"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)

CLASSIFIER = "BertForSequenceClassification"
CONFIG, SENTENCE_CONFIG = "config.json", "sentence_bert_config.json"
LIBRARY_CONFIG = "config_sentence_transformers.json"

# The only supported values: a file may omit a key, but must not have another value.
BERT: dict[str, object] = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
}
EXPECTED: dict[str, dict[str, object]] = {
    CONFIG: BERT,
    LIBRARY_CONFIG: {"model_type": "SentenceTransformer", "truncate_dim": None},
    SENTENCE_CONFIG: {"transformer_task": "feature-extraction"},
}
EXPECTED_OF_CLASSIFIER: dict[str, dict[str, object]] = {
    CONFIG: BERT,
    LIBRARY_CONFIG: {"model_type": "CrossEncoder"},
    SENTENCE_CONFIG: {"transformer_task": "sequence-classification"},
}
# Older checkpoints have one flag for each mode, newer ones a single word under pooling_mode.
POOLING_FLAGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
}


@dataclass(frozen=True, slots=True)
class MiniLMConfig:
    """The numbers of the architecture, named as in config.json; the defaults are those of MiniLM-L6-H384.

    Raises ModelError, with name and value, for a number out of range.
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
            if number.type == "int":  # a string, because annotations are not evaluated
                is_valid = type(value) is int and 1 <= value <= MAX_SIZE
                expected = f"a whole number from 1 to {MAX_SIZE}"
            else:
                is_valid = type(value) in {int, float} and 0 <= value <= 1
                expected = "a number from 0 to 1"
            if not is_valid:
                raise ModelError(f"{number.name} is {value!r}, expected {expected}")
        if self.hidden_size % self.num_attention_heads:
            raise ModelError(
                f"num_attention_heads is {self.num_attention_heads}, "
                f"expected a divisor of hidden_size, {self.hidden_size}"
            )


def n_parameters(config: MiniLMConfig, *, n_labels: int | None = None) -> int:
    """Number of parameters of a model; with ``n_labels``, including BERT's pooler and a classifier.

    An embedder does not use the pooler, so it is not counted, although most files contain it.  Published
    figures include its D² + D parameters (22.7 instead of 22.6 million for all-MiniLM-L6-v2).
    """
    width, inner = config.hidden_size, config.intermediate_size
    norm, square = 2 * width, width * width + width
    rows = config.vocab_size + config.max_position_embeddings + config.type_vocab_size
    layer = 4 * square + norm + (width * inner + inner) + (inner * width + width) + norm
    head = 0 if n_labels is None else square + n_labels * (width + 1)
    return rows * width + norm + config.num_hidden_layers * layer + head


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """The settings of a checkpoint; ``max_length`` counts tokens, including special ones.

    ``prompts`` maps names to prefixes for texts; ``default_prompt`` is the prefix if no name is given, ""
    for none.  ``normalize`` is True if the checkpoint itself normalises its vectors.  ``n_labels`` is the
    number of outputs of a cross-encoder, None for any other checkpoint; ``activation`` is applied to them.
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
    """The prefix for a query."""
    return prompts.get("query", default)


def document_prompt(prompts: Mapping[str, str], default: str) -> str:
    """The prefix for a document, under any of the names that sentence-transformers accepts."""
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
    """A hash of everything that determines an embedder's document vectors, except the dtype."""
    prompt = [document_prompt] if document_prompt else []
    return fingerprint(weights_sha256, config, tokenizer_sha256, pooling, max_length, *prompt)


def read_settings(folder: Path) -> CheckpointSettings:
    """The settings of the checkpoint in a folder.

    A folder without modules.json holds a bare encoder: mean pooling, and the length of its tokenizer.
    Raises ModelError, with file, key and value, for anything that is not supported.
    """
    content = _read_object(folder / CONFIG)
    architectures = content.get("architectures") or []
    is_classifier = isinstance(architectures, list) and CLASSIFIER in architectures
    for name, values in (EXPECTED_OF_CLASSIFIER if is_classifier else EXPECTED).items():
        found = _read_optional(folder / name)
        for key, value in values.items():
            if found.get(key, value) != value:
                raise ModelError(f"{folder / name}: {key} is {found[key]!r}, expected {value!r}")
    config = _architecture(folder / CONFIG, content)
    if is_classifier:
        return _cross_encoder(folder, config, content)
    if not (folder / "modules.json").exists():
        length = _max_length(folder, {}, config)
        logger.info("model: no modules.json in %s: mean pooling of at most %d tokens", folder, length)
        return CheckpointSettings(config, "mean", length)
    modules = _modules(folder, ["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
    prompts, default_prompt = _prompts(folder / LIBRARY_CONFIG)
    return CheckpointSettings(
        config=config,
        pooling=_pooling(modules["Pooling"] / "config.json", has_prompts=any(prompts.values())),
        max_length=_max_length(folder, _read_or_log(folder / SENTENCE_CONFIG), config),
        prompts=prompts,
        default_prompt=default_prompt,
        normalize="Normalize" in modules,
    )


def _architecture(path: Path, content: dict[str, Any]) -> MiniLMConfig:
    names = {number.name for number in fields(MiniLMConfig)}
    try:
        return MiniLMConfig(**{key: value for key, value in content.items() if key in names})
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _cross_encoder(folder: Path, config: MiniLMConfig, content: dict[str, Any]) -> CheckpointSettings:
    if (folder / "modules.json").exists():
        _modules(folder, ["Transformer"])
    labels = content.get("id2label")
    default = len(labels) if isinstance(labels, dict) else 2  # 2 is the default of transformers
    n_labels = content.get("num_labels", default)
    if type(n_labels) is not int or not 1 <= n_labels <= MAX_SIZE:
        raise ModelError(
            f"{folder / CONFIG}: num_labels is {n_labels!r}, expected a whole number from 1 to {MAX_SIZE}"
        )
    return CheckpointSettings(
        config=config,
        pooling="cls",
        max_length=_max_length(folder, _read_optional(folder / SENTENCE_CONFIG), config),
        n_labels=n_labels,
        activation=_activation(folder, content, n_labels),
    )


def _activation(folder: Path, content: dict[str, Any], n_labels: int) -> Activation:
    """The activation of the scores; checkpoints of different ages have it in different places."""
    inner = content.get("sentence_transformers")
    places: list[tuple[str, str, dict[str, Any]]] = [
        (LIBRARY_CONFIG, "activation_fn", _read_optional(folder / LIBRARY_CONFIG)),
        (CONFIG, "activation_fn", inner if isinstance(inner, dict) else {}),
        (CONFIG, "sbert_ce_default_activation_function", content),
    ]
    for file, key, values in places:
        value = values.get(key)
        if value is not None:
            name = str(value).rpartition(".")[2].lower()
            for activation in ACTIVATIONS:
                if activation == name:
                    return activation
            raise ModelError(f"{folder / file}: {key} is {value!r}, expected Identity or Sigmoid")
    return "sigmoid" if n_labels == 1 else "identity"


def _modules(folder: Path, *supported: list[str]) -> dict[str, Path]:
    """The folder of each module by name; ModelError unless the list of names is a supported one."""
    path = folder / "modules.json"
    try:
        modules = [(str(row["type"]).rpartition(".")[2], Path(folder, row["path"])) for row in _read(path)]
    except (TypeError, KeyError) as error:
        raise ModelError(f"{path}: expected a list of objects with type and path") from error
    names = [name for name, _ in modules]
    if names not in supported:
        expected = " or ".join(", ".join(one) for one in supported)
        raise ModelError(f"{path}: its modules are {names}, expected {expected}")
    if modules[0][1] != folder:
        raise ModelError(f"{path}: Transformer is in {modules[0][1]}, expected in {folder}")
    return dict(modules)


def _prompts(path: Path) -> tuple[dict[str, str], str]:
    """The prompts by name, and the default prompt."""
    content = _read_optional(path)
    prompts = content.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise ModelError(f"{path}: prompts is {prompts!r}, expected an object of texts")
    default = content.get("default_prompt_name")
    if default is not None and default not in prompts:
        raise ModelError(
            f"{path}: default_prompt_name is {default!r}, expected one of its prompts: {list(prompts)}"
        )
    return prompts, "" if default is None else prompts[default]


def _pooling(path: Path, *, has_prompts: bool) -> Pooling:
    content = _read_or_log(path)
    flags = [key for key, value in content.items() if key.startswith("pooling_mode_") and value]
    mode = content.get("pooling_mode", [POOLING_FLAGS.get(flag, flag) for flag in flags] or "mean")
    names = mode if isinstance(mode, list) else [mode]
    pooling = next((known for known in POOLINGS if names == [known]), None)
    if pooling is None:
        raise ModelError(f"{path}: pooling is {mode!r}, expected one of {', '.join(POOLINGS)}")
    if has_prompts and content.get("include_prompt", True) is not True:
        raise ModelError(f"{path}: include_prompt is {content['include_prompt']!r}, expected True")
    return pooling


def _max_length(folder: Path, sentence: dict[str, Any], config: MiniLMConfig) -> int:
    """The length of the checkpoint or else of its tokenizer, at most the number of positions."""
    n_positions = config.max_position_embeddings
    path, key, length = folder / SENTENCE_CONFIG, "max_seq_length", sentence.get("max_seq_length")
    if length is None:
        path, key = folder / "tokenizer_config.json", "model_max_length"
        length = _read_or_log(path).get(key, n_positions)
        logger.info("model: %s of %s, at most %d positions, sets the length", key, path, n_positions)
    # transformers writes int(1e30) for no limit.
    if isinstance(length, bool) or not isinstance(length, int | float) or not length >= 3:
        raise ModelError(f"{path}: {key} is {length!r}, expected a number of tokens, at least 3")
    if n_positions < 3:
        raise ModelError(f"{folder / CONFIG}: max_position_embeddings is {n_positions}, expected at least 3")
    return int(min(length, n_positions))


def _read_or_log(path: Path) -> dict[str, Any]:
    """The JSON object in a file; if the file is missing, an empty one and a log entry."""
    if not path.exists():
        logger.info("model: no %s: using the defaults of sentence-transformers", path)
    return _read_optional(path)


def _read_optional(path: Path) -> dict[str, Any]:
    return _read_object(path) if path.exists() else {}


def _read_object(path: Path) -> dict[str, Any]:
    content = _read(path)
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds {type(content).__name__}, expected a JSON object")
    return content


def _read(path: Path) -> Any:  # noqa: ANN401 - JSON is anything
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error
