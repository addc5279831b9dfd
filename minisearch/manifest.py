"""The manifest of an index: settings and file choices go in, one record comes out, kept in the store.

The first run writes the `Manifest` of an index; every later run uses it, and refuses an encoder whose vectors
do not fit the stored ones.  What the settings do is left to the parsers, the chunker and the encoders.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from minisearch.errors import (
    FingerprintMismatch,
    IndexCorrupt,
    IndexNotFound,
    InputError,
    install_line,
    short,
)
from minisearch.paths import DATABASE, IndexLocation, Trusted, is_below, quoted

if TYPE_CHECKING:
    from minisearch.types import Encoder

DEFAULT_MODEL = "all-MiniLM-L6-v2"
# Of the vector index, each with the command that installs its library.
BACKENDS = {"faiss": "pip install faiss-cpu", "annoy": install_line("annoy"), "flat": "pip install numpy"}
DEFAULT_BACKEND = "faiss"

# What the model computes in. Vectors of one model fit together whichever it was.
Dtype = Literal["auto", "float32", "bfloat16", "int8"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)

# Raise when the same file would be parsed or split otherwise than before: it is then read again.
INGEST_VERSION = 16

# Raise when the score baseline is measured otherwise than before: it is then measured again.
BASELINE_VERSION = 2

MAX_BYTES = 50_000_000
MAX_DIMENSION = 1 << 16  # of any model's vectors: a number from elsewhere could ask for all memory

KEY = "manifest"  # in the store's metadata

# --- settings ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Settings:
    """How documents are split into chunks.

    ``max_tokens`` is the limit of a chunk; None means all that the encoder sees.  ``overlap_tokens`` is the
    most that a chunk repeats of the one before it, in whole sentences.
    """

    max_tokens: int | None = None
    # nDCG@10 on data/ with 0, 32 and 64 tokens of overlap: .950, .947, .948. No gain there, but it is kept
    # so that an answer on both sides of a border stands whole in one chunk.
    overlap_tokens: int = 32

    def __post_init__(self) -> None:
        if self.max_tokens is not None and self.max_tokens < 8:
            raise InputError(f"max_tokens is {self.max_tokens}; a chunk needs at least 8 tokens")
        if self.overlap_tokens < 0:
            raise InputError(f"overlap_tokens is {self.overlap_tokens}; it cannot be negative")

    def chunk_tokens(self, encoder_max_tokens: int) -> int:
        """The limit with this encoder: never more tokens than it reads."""
        return min(self.max_tokens or encoder_max_tokens, encoder_max_tokens)


def as_dtype(name: str) -> Dtype:
    """The dtype of this name; InputError if there is none."""
    for dtype in DTYPES:
        if dtype == name:
            return dtype
    raise InputError(f"unknown dtype '{name}': expected one of {', '.join(DTYPES)}")


def fingerprint(*parts: object) -> str:
    """Sixteen hexadecimal digits that differ when any part does.

    >>> fingerprint("a", 1) == fingerprint("a", 2)
    False
    """
    digest = hashlib.sha256("\x1f".join(map(repr, parts)).encode())
    return digest.hexdigest()[:16]


# --- file choices --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileChoice:
    """Which files below one folder are indexed; None keeps the choice of an earlier run.

    ``include`` and ``exclude`` are patterns as in a ``.gitignore`` of that folder.  With ``include``, only
    matching files are indexed, hidden and ignored ones too; ``exclude`` always wins.  A file of more than
    ``max_bytes`` is skipped.  With ``keep_secrets``, keys, tokens and files with them are indexed unchanged.
    With ``ocr``, the words of scanned pages are recognised.
    """

    include: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    max_bytes: int | None = None
    keep_secrets: bool | None = None
    ocr: bool | None = None

    def __post_init__(self) -> None:
        for name in ("include", "exclude"):
            patterns = getattr(self, name)
            if isinstance(patterns, str):
                raise InputError(f"{name} is the text {patterns!r}: expected a list of patterns")
            if patterns is not None:
                _check_patterns(name, patterns)
                object.__setattr__(self, name, tuple(patterns))
        n = self.max_bytes
        if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
            raise InputError(f"max_bytes is {n!r}: expected at least 1 byte")
        for name in ("keep_secrets", "ocr"):
            if getattr(self, name) not in (None, True, False):
                raise InputError(f"{name} is {getattr(self, name)!r}: expected True or False")

    def over(self, earlier: FileChoice) -> FileChoice:
        """The choice, with None replaced by the earlier choice; a default value becomes None."""
        merged: dict[str, Any] = {}
        for name, default in asdict(DEFAULT_CHOICE).items():
            now = getattr(self, name)
            value = getattr(earlier, name) if now is None else now
            merged[name] = None if value == default else value
        return FileChoice(**merged)

    def options(self, quote: Callable[[str], str] = shlex.quote) -> str:
        """The command-line options for this choice, each with a space before it."""
        is_reset = () in (self.include, self.exclude)
        default = DEFAULT_CHOICE if is_reset else FileChoice()
        options = ["--forget-choices"] if is_reset else []
        for name in ("include", "exclude"):
            options += [f"--{name} {quote(pattern)}" for pattern in getattr(self, name) or ()]
        options += [] if self.max_bytes == default.max_bytes else [f"--max-bytes {self.max_bytes}"]
        if self.keep_secrets != default.keep_secrets:
            options.append("--keep-secrets" if self.keep_secrets else "--blank-secrets")
        if self.ocr != default.ocr:
            options.append("--ocr" if self.ocr else "--no-ocr")
        return "".join(f" {one}" for one in options)

    def __str__(self) -> str:
        return self.options(str).strip()


def _check_patterns(name: str, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern.strip():
            raise InputError(f"{name} has the pattern {pattern!r}: expected one such as '*.md' or 'drafts/'")
        if pattern.startswith("!"):
            other = "exclude" if name == "include" else "include"
            raise InputError(
                f"{name} has the pattern {pattern!r}: expected one without '!'; use {other} for the opposite"
            )


DEFAULT_CHOICE = FileChoice((), (), MAX_BYTES, keep_secrets=False, ocr=False)
"""All defaults, which reset every earlier choice."""

Choices = Mapping[str, FileChoice]
"""Choices by the absolute path of a folder or file; a choice applies to all folders below."""


def with_choice(earlier: Choices, roots: Iterable[str], choice: FileChoice | None) -> dict[str, FileChoice]:
    """The choices with a new one for these roots; its None values keep the earlier choice."""
    merged = dict(earlier)
    if choice is not None:
        merged |= {root: choice.over(merged.get(root, FileChoice())) for root in roots}
    return {path: one for path, one in merged.items() if one != FileChoice()}


def keeps_secrets(choices: Choices, path: str) -> bool:
    """Whether secrets are kept in the file at an absolute path; the nearest choice applies."""
    nearest = [
        (len(folder), one.keep_secrets)
        for folder, one in choices.items()
        if one.keep_secrets is not None and is_below(path, {folder})
    ]
    return bool(nearest and max(nearest)[1])


# --- the record ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScoreBaseline:
    """Best cosine scores of unrelated queries, the baseline for relevance: median and 95th percentile.

    ``generic`` are those of everyday queries about anything; ``own`` of sentences of its own documents,
    searched for in all the other documents.  ``n_documents`` were in the index when it was measured.
    """

    generic: tuple[float, float]
    own: tuple[float, float]
    n_documents: int = 0


class HasMeta(Protocol):
    """The part of a snapshot that a manifest is read from: texts by name."""

    def meta(self) -> Mapping[str, str]: ...  # noqa: D102 - as `Snapshot`


class SetsMeta(HasMeta, Protocol):
    """The part of a store that a manifest is written to."""

    def set_meta(self, **values: str) -> None: ...  # noqa: D102 - as `Store`


@dataclass(frozen=True, slots=True)
class Manifest:
    """The model, settings, roots and choices of one index.

    ``encoder_max_tokens`` is what the encoder sees, ``chunk_tokens`` the limit of a chunk.  ``roots`` are
    the folders and files that are indexed, ``choices`` the choices for them, by stored paths.
    ``baseline`` is None where the index is empty, or where it was not measured: then its version differs.
    """

    model: str
    model_fingerprint: str
    dimension: int
    encoder_max_tokens: int
    chunk_tokens: int
    overlap_tokens: int
    backend: str
    roots: tuple[str, ...] = ()
    choices: Mapping[str, FileChoice] = field(default_factory=dict)
    trusted: Trusted = field(default_factory=Trusted)
    baseline: ScoreBaseline | None = None
    baseline_version: int = 0

    @classmethod
    def of(cls, encoder: Encoder, settings: Settings, backend: str) -> Manifest:
        """The manifest of a new index."""
        return cls(
            model=encoder.name,
            model_fingerprint=encoder.fingerprint,
            dimension=encoder.dimension,
            encoder_max_tokens=encoder.max_tokens,
            chunk_tokens=settings.chunk_tokens(encoder.max_tokens),
            overlap_tokens=settings.overlap_tokens,
            backend=backend,
        )

    @classmethod
    def read(cls, store: HasMeta, folder: Path) -> Manifest:
        """The manifest in a store; IndexNotFound if no run has written it yet, IndexCorrupt for damage."""
        text = store.meta().get(KEY)
        if text is None:
            raise IndexNotFound(f"the index in {folder} is empty: fill it with: minisearch index FOLDER")
        try:
            return cls.from_json(text)
        except ValueError as error:
            raise IndexCorrupt(
                f"{folder / DATABASE} is damaged (its manifest: {error}): restore it from a backup, or "
                f"delete {DATABASE}* and vectors-* in {folder} and index again"
            ) from error

    def write(self, store: SetsMeta) -> None:
        """Write it to a store, unless it is there already."""
        text = self.to_json()
        if store.meta().get(KEY) != text:
            store.set_meta(**{KEY: text})

    def to_json(self) -> str:
        """The JSON that `from_json` reads."""
        return json.dumps({_STORED_AS.get(name, name): value for name, value in asdict(self).items()})

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """The manifest from the JSON of `to_json`; ValueError if it is damaged."""
        try:
            held = json.loads(text)
        except RecursionError as error:
            raise ValueError("it is nested too deep") from error
        if not isinstance(held, dict):
            raise ValueError("expected a JSON object")
        names = {one.name: _STORED_AS.get(one.name, one.name) for one in fields(cls)}
        if held.keys() != set(names.values()):
            raise ValueError(f"its fields are {short(', '.join(map(str, held)))}")
        if held["baseline_version"] != BASELINE_VERSION:
            held["baseline"] = None  # measured by another version
        return cls(**{name: _checked(stored, held[stored]) for name, stored in names.items()})

    @property
    def settings(self) -> Settings:
        """The settings for splitting documents into chunks."""
        return Settings(max_tokens=self.chunk_tokens, overlap_tokens=self.overlap_tokens)

    def with_settings(self, settings: Settings) -> Manifest:
        """The same with other settings."""
        chunk_tokens = settings.chunk_tokens(self.encoder_max_tokens)
        return replace(self, chunk_tokens=chunk_tokens, overlap_tokens=settings.overlap_tokens)

    @property
    def ingest(self) -> str:
        """The fingerprint of everything that determines the chunks of a file."""
        chunk_tokens = self.settings.chunk_tokens(self.encoder_max_tokens)
        return fingerprint(INGEST_VERSION, chunk_tokens, self.overlap_tokens)

    @property
    def is_baseline_due(self) -> bool:
        """Whether the score baseline was never measured, or by another version."""
        return self.baseline_version != BASELINE_VERSION

    def is_baseline_outgrown(self, n_documents: int) -> bool:
        """Whether there is none, or there are twice as many documents as when it was measured."""
        return self.baseline is None or n_documents >= 2 * self.baseline.n_documents

    def with_baseline(self, baseline: ScoreBaseline | None) -> Manifest:
        """The same with a baseline that was just measured; None for an empty index."""
        return replace(self, baseline=baseline, baseline_version=BASELINE_VERSION)

    def root_paths(self, location: IndexLocation) -> list[str]:
        """The absolute paths of the roots, in order."""
        return list(map(location.absolute, self.roots))

    def with_roots(self, roots: Iterable[str], location: IndexLocation) -> Manifest:
        """The same with these absolute paths as roots; one below another is left out."""
        named = set(roots)
        tops = [root for root in named if not is_below(os.path.dirname(root), named - {root})]  # noqa: PTH120
        return replace(self, roots=tuple(sorted(map(location.key_of, tops))))

    def choice_paths(self, location: IndexLocation) -> dict[str, FileChoice]:
        """The choices by absolute paths."""
        return {location.absolute(key): choice for key, choice in self.choices.items()}

    def with_choices(self, choices: Choices, location: IndexLocation) -> Manifest:
        """The same with these choices by absolute paths."""
        return replace(self, choices={location.key_of(path): one for path, one in sorted(choices.items())})

    def check(self, encoder: Encoder, folder: Path) -> None:
        """FingerprintMismatch unless the encoder's vectors fit the stored ones."""
        if encoder.fingerprint == self.model_fingerprint:
            return
        if encoder.name == self.model:
            raise FingerprintMismatch(
                f"{folder} was made with other weights of {encoder.name} than those found now (fingerprint "
                f"{self.model_fingerprint}, here {encoder.fingerprint}): restore the old weights, or make a "
                f"new index: minisearch index PATH --index NEW_FOLDER"
            )
        raise FingerprintMismatch(
            f"{folder} was made with {self.model}, and vectors of {encoder.name} do not match it: leave "
            f"out --model, or make a new index: "
            f"minisearch index PATH --index NEW_FOLDER --model {quoted(encoder.name)}"
        )


def _checked(name: str, value: object) -> Any:  # noqa: ANN401 - of the field's own type
    """The value of a field; ValueError if it is damaged."""
    try:
        return _FIELDS[name](value)
    except (ValueError, TypeError, KeyError, AttributeError, InputError) as error:
        raise ValueError(f"its {name}: {short(repr(value))}") from error


def _text(value: Any) -> str:  # noqa: ANN401 - of a damaged manifest, as below
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    if not isinstance(value, list):
        raise TypeError
    return tuple(map(_text, value))


def _number(least: int, most: int = 1 << 63) -> Callable[[Any], int]:
    def number(value: Any) -> int:  # noqa: ANN401
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise TypeError
        return value

    return number


def _choices(value: Any) -> dict[str, FileChoice]:  # noqa: ANN401
    return {key: FileChoice(**choice) for key, choice in value.items()}


def _trusted(value: Any) -> Trusted:  # noqa: ANN401
    return Trusted(_number(0)(value["inode"]), _text(value["folder"]), _texts(value["paths"]))


def _baseline(value: Any) -> ScoreBaseline | None:  # noqa: ANN401
    if value is None:
        return None
    return ScoreBaseline(_pair(value["generic"]), _pair(value["own"]), _number(0)(value["n_documents"]))


def _pair(value: Any) -> tuple[float, float]:  # noqa: ANN401
    median, high = map(float, value)
    if not -1 <= median <= high <= 1:
        raise ValueError
    return median, high


_STORED_AS = {"encoder_max_tokens": "max_tokens"}  # names of fields, where the JSON has another one
_FIELDS: Mapping[str, Callable[[Any], object]] = {
    "model": _text,
    "model_fingerprint": _text,
    "dimension": _number(1, MAX_DIMENSION),
    "max_tokens": _number(1),
    "chunk_tokens": _number(1),
    "overlap_tokens": _number(0),
    "backend": _text,
    "roots": _texts,
    "choices": _choices,
    "trusted": _trusted,
    "baseline": _baseline,
    "baseline_version": _number(0),
}
