"""Read a checkpoint's JSON files: architecture, pooling, prompts and length.

A folder goes in, `CheckpointSettings` come out.  A checkpoint that needs something this implementation lacks
(a Dense module, another activation) is refused, because its vectors would be wrong.  For a missing file the
defaults of sentence-transformers apply, and that is logged.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args

from minisearch.errors import ModelError
from minisearch.manifest import fingerprint

logger = logging.getLogger(__name__)

MAX_SIZE = 1 << 20  # four times the largest vocabulary in use; bounds the size of every tensor

Pooling = Literal["mean", "cls", "max"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
Activation = Literal["identity", "sigmoid"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)

CLASSIFIER = "BertForSequenceClassification"
CONFIG, SENTENCE_CONFIG, MODULES = "config.json", "sentence_bert_config.json", "modules.json"
LIBRARY_CONFIG = "config_sentence_transformers.json"
WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"
TASKS = ("feature-extraction", "sequence-classification")


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


def shapes(config: MiniLMConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of an embedder's tensors, by Hugging Face's names."""
    width, inner = config.hidden_size, config.intermediate_size
    tensors: dict[str, tuple[int, ...]] = {
        WORD_EMBEDDINGS: (config.vocab_size, width),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, width),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, width),
    }
    modules: dict[str, tuple[int, ...]] = {"embeddings.LayerNorm": (width,)}  # shapes of the weights
    for number in range(config.num_hidden_layers):
        layer = f"encoder.layer.{number}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            modules[f"{layer}.attention.{part}"] = (width, width)
        modules[f"{layer}.attention.output.LayerNorm"] = (width,)
        modules[f"{layer}.intermediate.dense"] = (inner, width)
        modules[f"{layer}.output.dense"] = (width, inner)
        modules[f"{layer}.output.LayerNorm"] = (width,)
    for name, shape in modules.items():
        tensors |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return tensors


def n_parameters(config: MiniLMConfig, *, n_labels: int | None = None) -> int:
    """Number of parameters of a model; with ``n_labels``, including BERT's pooler and a classifier.

    An embedder does not use the pooler, so it is not counted, although most files contain it.  Published
    figures include its D² + D parameters (22.7 instead of 22.6 million for all-MiniLM-L6-v2).
    """
    head = 0 if n_labels is None else (config.hidden_size + n_labels) * (config.hidden_size + 1)
    return sum(map(math.prod, shapes(config).values())) + head


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """The settings of a checkpoint; ``max_length`` counts tokens, including special ones.

    ``prompts`` maps names to prefixes for texts; ``default_prompt`` is the prefix if no name is given, ""
    for none.  ``normalize`` is True if the checkpoint itself normalises its vectors.  ``n_labels`` is the
    number of outputs of a cross-encoder, None for any other checkpoint, ``labels`` their names, if the
    checkpoint has them; ``activation`` is applied to them.
    """

    config: MiniLMConfig
    pooling: Pooling
    max_length: int
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str = ""
    normalize: bool = False
    n_labels: int | None = None
    labels: tuple[str, ...] = ()
    activation: Activation = "identity"

    @property
    def query_prompt(self) -> str:
        """The prefix for a query."""
        return self.prompts.get("query", self.default_prompt)

    @property
    def document_prompt(self) -> str:
        """The prefix for a document, under any of the names that sentence-transformers accepts."""
        names = ("document", "passage", "corpus")
        return next((self.prompts[name] for name in names if name in self.prompts), self.default_prompt)

    def fingerprint(self, weights_sha256: str, tokenizer_sha256: str) -> str:
        """A hash of everything that determines an embedder's document vectors, except the dtype."""
        prompt = [self.document_prompt] if self.document_prompt else []
        return fingerprint(
            weights_sha256, self.config, tokenizer_sha256, self.pooling, self.max_length, *prompt
        )


def read_settings(folder: Path) -> CheckpointSettings:
    """The settings of the checkpoint in a folder.

    A folder without modules.json holds a bare encoder: mean pooling, and the length of its tokenizer.
    Raises ModelError, with file, key and value, for anything that is not supported.
    """
    if static_folder(folder):
        raise ModelError(
            f"{folder} holds a static model, one vector for each token: expected a BERT model; search and "
            f"StaticEncoder.from_pretrained take it"
        )
    content = _read_object(folder / CONFIG)
    sentence, library = _read_optional(folder / SENTENCE_CONFIG), _read_optional(folder / LIBRARY_CONFIG)
    architectures = content.get("architectures") or []
    is_classifier = isinstance(architectures, list) and CLASSIFIER in architectures
    # The only supported values: a file may omit a key, but must not have another value.
    for name, found, key, value in [
        (CONFIG, content, "model_type", "bert"),
        (CONFIG, content, "hidden_act", "gelu"),
        (CONFIG, content, "position_embedding_type", "absolute"),
        (CONFIG, content, "is_decoder", False),
        (LIBRARY_CONFIG, library, "model_type", "CrossEncoder" if is_classifier else "SentenceTransformer"),
        (LIBRARY_CONFIG, library, "truncate_dim", None),
        (SENTENCE_CONFIG, sentence, "transformer_task", TASKS[is_classifier]),
    ]:
        if found.get(key, value) != value:
            raise ModelError(f"{folder / name}: {key} is {found[key]!r}, expected {value!r}")
    config = _architecture(folder / CONFIG, content)
    if is_classifier:
        if (folder / MODULES).exists():
            _modules(folder, ["Transformer"])
        n_labels = _n_labels(folder, content)
        activation = _activation(folder, content, library, n_labels)
        length = _max_length(folder, sentence, config)
        labels = _labels(content, n_labels)
        return CheckpointSettings(
            config, "cls", length, n_labels=n_labels, labels=labels, activation=activation
        )
    if not (folder / MODULES).exists():
        length = _max_length(folder, {}, config)
        logger.info("model: no modules.json in %s: mean pooling of at most %d tokens", folder, length)
        return CheckpointSettings(config, "mean", length)
    modules = _modules(folder, ["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
    prompts, default_prompt = _prompts(folder / LIBRARY_CONFIG, library)
    return CheckpointSettings(
        config=config,
        pooling=_pooling(modules["Pooling"] / "config.json", has_prompts=any(prompts.values())),
        max_length=_max_length(folder, sentence, config),
        prompts=prompts,
        default_prompt=default_prompt,
        normalize="Normalize" in modules,
    )


def static_folder(folder: Path) -> Path | None:
    """Where a static model's weights and tokenizer are; None if the model in a folder is no static one.

    Its first module is sentence-transformers' StaticEmbedding, or it was saved by model2vec.  Damaged files
    are left to those who need them.
    """
    with suppress(ModelError):
        if (folder / MODULES).exists():
            name, path = (_listed_modules(folder / MODULES) or [("", folder)])[0]
            return path if name == "StaticEmbedding" else None
    with suppress(ModelError):
        content = _read(folder / CONFIG) if (folder / CONFIG).exists() else None
        if isinstance(content, dict) and content.get("model_type") == "model2vec":
            return folder
    return None


def check_static(folder: Path) -> None:
    """ModelError, with file, key and value, if a static model needs something that is not supported."""
    if (folder / MODULES).exists():
        modules = _supported_modules(folder, ["StaticEmbedding"], ["StaticEmbedding", "Normalize"])
        name, place = modules[0]
        if place != folder and (place.parent != folder or place.name == ".."):
            raise ModelError(f"{folder / MODULES}: {name} is in {place}, expected in {folder}")
    path = folder / LIBRARY_CONFIG
    content = _read_object(path) if path.exists() else {}
    if content.get("truncate_dim") is not None:
        raise ModelError(f"{path}: truncate_dim is {content['truncate_dim']!r}, expected None")
    prompts, _ = _prompts(path, content)
    if any(prompts.values()):  # the same vector would be added to all texts
        raise ModelError(f"{path}: prompts is {prompts!r}, expected none for a static model")


def _architecture(path: Path, content: dict[str, Any]) -> MiniLMConfig:
    names = {number.name for number in fields(MiniLMConfig)}
    try:
        return MiniLMConfig(**{key: value for key, value in content.items() if key in names})
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _n_labels(folder: Path, content: dict[str, Any]) -> int:
    labels = content.get("id2label")
    default = len(labels) if isinstance(labels, dict) else 2  # 2 is the default of transformers
    n_labels = content.get("num_labels", default)
    if type(n_labels) is not int or not 1 <= n_labels <= MAX_SIZE:
        raise ModelError(
            f"{folder / CONFIG}: num_labels is {n_labels!r}, expected a whole number from 1 to {MAX_SIZE}"
        )
    return n_labels


def _labels(content: dict[str, Any], n_labels: int) -> tuple[str, ...]:
    """The names of the outputs; none unless there is one for each."""
    names = content.get("id2label")
    found = [names.get(str(number)) for number in range(n_labels)] if isinstance(names, dict) else []
    texts = [name for name in found if isinstance(name, str)]
    return tuple(texts) if len(texts) == n_labels else ()


def _activation(folder: Path, content: dict[str, Any], library: dict[str, Any], n_labels: int) -> Activation:
    """The activation of the scores; checkpoints of different ages have it in different places."""
    inner = content.get("sentence_transformers")
    for file, key, values in [
        (LIBRARY_CONFIG, "activation_fn", library),
        (CONFIG, "activation_fn", inner if isinstance(inner, dict) else {}),
        (CONFIG, "sbert_ce_default_activation_function", content),
    ]:
        value = values.get(key)
        if value is not None:
            name = str(value).rpartition(".")[2].lower()
            if name not in ACTIVATIONS:
                raise ModelError(f"{folder / file}: {key} is {value!r}, expected Identity or Sigmoid")
            return name
    return "sigmoid" if n_labels == 1 else "identity"


def _modules(folder: Path, *supported: list[str]) -> dict[str, Path]:
    """The folder of each module by name; ModelError unless the list of names is a supported one."""
    modules = _supported_modules(folder, *supported)
    if modules[0][1] != folder:
        raise ModelError(f"{folder / MODULES}: {modules[0][0]} is in {modules[0][1]}, expected in {folder}")
    return dict(modules)


def _supported_modules(folder: Path, *supported: list[str]) -> list[tuple[str, Path]]:
    modules = _listed_modules(folder / MODULES)
    names = [name for name, _ in modules]
    if names not in supported:
        expected = " or ".join(", ".join(one) for one in supported)
        raise ModelError(f"{folder / MODULES}: its modules are {names}, expected {expected}")
    return modules


def _listed_modules(path: Path) -> list[tuple[str, Path]]:
    """The names of the modules, and their folders."""
    try:
        return [(str(row["type"]).rpartition(".")[2], path.parent / row["path"]) for row in _read(path)]
    except (TypeError, KeyError) as error:
        raise ModelError(f"{path}: expected a list of objects with type and path") from error


def _prompts(path: Path, content: dict[str, Any]) -> tuple[dict[str, str], str]:
    """The prompts by name, and the default prompt."""
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
    """The word under pooling_mode; older checkpoints have a flag such as pooling_mode_cls_token."""
    content = _read_optional(path)
    flags = [key for key, value in content.items() if key.startswith("pooling_mode_") and value]
    mode = content.get(
        "pooling_mode", [re.sub("^pooling_mode_|_tokens?$", "", one) for one in flags] or "mean"
    )
    (name, *others) = mode if isinstance(mode, list) and mode else [mode]
    if others or name not in POOLINGS:
        raise ModelError(f"{path}: pooling is {mode!r}, expected one of {', '.join(POOLINGS)}")
    if has_prompts and content.get("include_prompt", True) is not True:
        raise ModelError(f"{path}: include_prompt is {content['include_prompt']!r}, expected True")
    return cast("Pooling", name)


def _max_length(folder: Path, sentence: dict[str, Any], config: MiniLMConfig) -> int:
    """The length of the checkpoint or else of its tokenizer, at most the number of positions."""
    n_positions = config.max_position_embeddings
    path, key, length = folder / SENTENCE_CONFIG, "max_seq_length", sentence.get("max_seq_length")
    if length is None:
        path, key = folder / "tokenizer_config.json", "model_max_length"
        length = _read_optional(path).get(key, n_positions)
        logger.info("model: %s of %s, at most %d positions, sets the length", key, path, n_positions)
    # transformers writes int(1e30) for no limit.
    if isinstance(length, bool) or not isinstance(length, int | float) or not length >= 3:
        raise ModelError(f"{path}: {key} is {length!r}, expected a number of tokens, at least 3")
    if n_positions < 3:
        raise ModelError(f"{folder / CONFIG}: max_position_embeddings is {n_positions}, expected at least 3")
    return int(min(length, n_positions))


def _read_optional(path: Path) -> dict[str, Any]:
    """The JSON object in a file; if the file is missing, an empty one and a log entry."""
    if path.exists():
        return _read_object(path)
    logger.info("model: no %s: using the defaults of sentence-transformers", path)
    return {}


def _read_object(path: Path) -> dict[str, Any]:
    content = _read(path)
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds {type(content).__name__}, expected a JSON object")
    return content


def _read(path: Path) -> Any:  # noqa: ANN401 - JSON is anything
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path.parent} is no complete model folder: there is no {path.name}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error
