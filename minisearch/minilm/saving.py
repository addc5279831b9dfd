"""Save a model: an embedder or reranker goes in, a folder in the format of sentence-transformers comes out.

`minisearch --model FOLDER` and ``sentence_transformers.SentenceTransformer(FOLDER)`` load an embedder, with
the same vectors, and ``model2vec.StaticModel.from_pretrained(FOLDER)`` one that is static; `minisearch query
--rerank-model FOLDER` and ``sentence_transformers.CrossEncoder(FOLDER)`` load a reranker, with the same
scores.  The folder is written beside and then renamed, so that it is either complete or as it was before.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as as_safetensors
from torch import Tensor

from minisearch.errors import InputError, ModelError
from minisearch.minilm.catalog import WEIGHTS
from minisearch.minilm.loader import in_bare_encoder, to_hugging_face
from minisearch.minilm.models import CrossEncoder, SentenceTransformer
from minisearch.minilm.settings import (
    CLASSIFIER,
    CONFIG,
    LIBRARY_CONFIG,
    MODULES,
    POOLINGS,
    SENTENCE_CONFIG,
    CheckpointSettings,
)
from minisearch.minilm.static import TABLE_WITHOUT_UNKNOWN, StaticEncoder

OF_EMBEDDERS = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
OF_STATIC_MODELS = {"StaticEmbedding": "", "Normalize": "1_Normalize"}
POOLING_FLAGS = {
    "mean": "pooling_mode_mean_tokens",
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
}


def save_pretrained(
    model: SentenceTransformer | CrossEncoder | StaticEncoder,
    folder: str | os.PathLike[str],
    *,
    files: Mapping[str, bytes] | None = None,
) -> None:
    """Write the model, and other ``files`` by name, to a folder; an earlier model there is replaced.

    Raises InputError if the folder holds anything but a model, ModelError if it cannot be written: an earlier
    model is then still there, or the error names where it is.
    """
    target = Path(os.path.realpath(folder))
    new, former = (
        target.with_name(f"{target.name}.{word}-{os.getpid()}") for word in ("unfinished", "former")
    )
    try:
        check_target(target)
        new.mkdir(parents=True)
        _write_static(model, new) if isinstance(model, StaticEncoder) else _write(model, new)
        for name, content in (files or {}).items():
            (new / name).write_bytes(content)
        _sync(new)
        if target.exists() and any(target.iterdir()):
            target.rename(former)
        new.rename(target)
    except BaseException as error:
        outcome = _restore(former, target)
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise ModelError(f"cannot write the model to {folder}: {reason}; {outcome}") from error
        raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if target.exists():
            shutil.rmtree(former, ignore_errors=True)


def _restore(former: Path, target: Path) -> str:
    """Rename an earlier model back, if it was renamed; what an error says of it."""
    try:
        if former.exists() and not target.exists():
            former.rename(target)
    except OSError:
        return f"the earlier model is in {former}: rename it to {target.name}"
    return "nothing was changed"


def check_target(folder: Path, *, is_new: bool = False) -> None:
    """InputError unless a model may be saved in this folder: absent, empty or, unless ``is_new``, a model."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder for the model")
    is_used = folder.exists() and any(folder.iterdir())
    if is_used and (is_new or not (folder / WEIGHTS).exists()):
        raise InputError(f"the folder {folder} is not empty: name a new folder for the model")


def _write(model: SentenceTransformer | CrossEncoder, folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(as_safetensors(_tensors(model), metadata={"format": "pt"}))
    model.tokenizer.save(folder)
    if isinstance(model, CrossEncoder):
        _write_config(model, folder, CLASSIFIER, _classifier_settings(model))
    else:
        _write_config(model, folder, "BertModel", {})
        _write_settings(model.settings, folder)


def _write_config(
    model: SentenceTransformer | CrossEncoder, folder: Path, architecture: str, more: Mapping[str, object]
) -> None:
    _write_json(
        folder / CONFIG,
        {"model_type": "bert", "architectures": [architecture], "hidden_act": "gelu"}
        | {"position_embedding_type": "absolute", "pad_token_id": model.tokenizer.pad_id}
        | asdict(model.model.config)
        | dict(more),
    )


def _classifier_settings(model: CrossEncoder) -> dict[str, object]:
    function = {"identity": "linear.Identity", "sigmoid": "activation.Sigmoid"}[model.activation]
    return {
        "id2label": {str(number): label for number, label in enumerate(model.labels)},
        "label2id": {label: number for number, label in enumerate(model.labels)},
        "sentence_transformers": {"activation_fn": f"torch.nn.modules.{function}"},
    }


def _write_settings(settings: CheckpointSettings, folder: Path) -> None:
    """What sentence-transformers reads beside the encoder: length, prompts, pooling, normalisation."""
    _write_json(folder / SENTENCE_CONFIG, {"max_seq_length": settings.max_length, "do_lower_case": False})
    _write_json(folder / LIBRARY_CONFIG, _library_settings(settings))
    _write_modules(OF_EMBEDDERS, folder)
    pooling = {POOLING_FLAGS[name]: name == settings.pooling for name in POOLINGS}
    _write_json(
        folder / OF_EMBEDDERS["Pooling"] / "config.json",
        {"word_embedding_dimension": settings.config.hidden_size, **pooling},
    )


def _write_static(model: StaticEncoder, folder: Path) -> None:
    tensors = {TABLE_WITHOUT_UNKNOWN: torch.from_numpy(model.table)}
    (folder / WEIGHTS).write_bytes(as_safetensors(tensors, metadata={"format": "pt"}))
    model.tokenizer.save(folder)
    # Without a length, or model2vec would cut texts at 512 tokens, which sentence-transformers does not.
    config = {"model_type": "model2vec", "architectures": ["StaticModel"], "max_length": None}
    _write_json(folder / CONFIG, {**config, "hidden_dim": model.dimension, "normalize": True})
    _write_modules(OF_STATIC_MODELS, folder)


def _write_modules(modules: Mapping[str, str], folder: Path) -> None:
    """List the modules, and make a folder for each that is not in the model's own."""
    rows = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{name}"}
        for number, (name, path) in enumerate(modules.items())
    ]
    _write_json(folder / MODULES, rows)
    for path in filter(None, modules.values()):
        (folder / path).mkdir()
        _write_json(folder / path / "config.json", {})


def _library_settings(settings: CheckpointSettings) -> dict[str, Any]:
    default = next((name for name, text in settings.prompts.items() if text == settings.default_prompt), None)
    return {
        "prompts": dict(settings.prompts),
        "default_prompt_name": default if settings.default_prompt else None,
        "similarity_fn_name": "cosine",
    }


def _tensors(model: SentenceTransformer | CrossEncoder) -> dict[str, Tensor]:
    """The weights in float32 by Hugging Face's names."""
    weights = {
        to_hugging_face(name): tensor.detach().float().cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    if any(name.endswith(".scale") for name in weights):
        raise InputError("a model with 8-bit weights cannot be saved: load it with dtype='float32'")
    if isinstance(model, CrossEncoder):
        return weights
    weights = {in_bare_encoder(name): tensor for name, tensor in weights.items()}
    # Sentence vectors do not use BERT's pooler, but transformers warns at length where it is missing.
    width = model.settings.config.hidden_size
    return weights | {
        "pooler.dense.weight": torch.zeros(width, width),
        "pooler.dense.bias": torch.zeros(width),
    }


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _sync(folder: Path) -> None:
    """Have the system write the files to the disk now: a full one may otherwise say so after the rename."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
