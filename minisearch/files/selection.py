"""Which of a folder's files are taken: what a user chose beyond the ignore files.

Patterns and limits come in as a caller gave them; how they are applied is the walk's part.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from minisearch.errors import InputError

MAX_BYTES = 50_000_000

Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class FileChoice:
    """A choice of files below one folder; what is None is left as it was.

    ``include`` and ``exclude`` are patterns as in a ``.gitignore`` of that folder.  With ``include``, only
    what they name is taken, hidden and ignored names too; ``exclude`` always wins.  A file of more than
    ``max_bytes`` is passed over.  ``keep_secrets`` reads keys, tokens and files that hold such as they are.
    """

    include: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    max_bytes: int | None = None
    keep_secrets: bool | None = None

    def __post_init__(self) -> None:
        for name in ("include", "exclude"):
            patterns = getattr(self, name)
            if isinstance(patterns, str):
                raise InputError(f"{name} is the text {patterns!r}: expected a list of patterns")
            if patterns is not None:
                _check(name, patterns)
                object.__setattr__(self, name, tuple(patterns))
        n = self.max_bytes
        if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
            raise InputError(f"max_bytes is {n!r}: expected at least 1 byte")

    def over(self, earlier: FileChoice) -> FileChoice:
        """What this one says, and the earlier one where it says nothing; what is as usual is None again."""
        return FileChoice(
            include=_said(self.include, earlier.include, usual=()),
            exclude=_said(self.exclude, earlier.exclude, usual=()),
            max_bytes=_said(self.max_bytes, earlier.max_bytes, usual=MAX_BYTES),
            keep_secrets=_said(self.keep_secrets, earlier.keep_secrets, usual=False),
        )

    def options(self) -> str:
        """The options of the command that say the same, each with a space before it."""
        is_forgetting = () in (self.include, self.exclude)
        usual = AS_USUAL if is_forgetting else FileChoice()
        said = ["--forget-choices"] if is_forgetting else []
        for name in ("include", "exclude"):
            said += [f"--{name} {shlex.quote(pattern)}" for pattern in getattr(self, name) or ()]
        said += [] if self.max_bytes == usual.max_bytes else [f"--max-bytes {self.max_bytes}"]
        if self.keep_secrets != usual.keep_secrets:
            said.append("--keep-secrets" if self.keep_secrets else "--blank-secrets")
        return "".join(f" {one}" for one in said)

    def __str__(self) -> str:
        said = [f"--include {pattern}" for pattern in self.include or ()]
        said += [f"--exclude {pattern}" for pattern in self.exclude or ()]
        said += [] if self.max_bytes is None else [f"--max-bytes {self.max_bytes}"]
        said += ["--keep-secrets"] if self.keep_secrets else []
        return " ".join(said)


def _said(now: Said | None, earlier: Said | None, *, usual: Said) -> Said | None:
    said = earlier if now is None else now
    return None if said == usual else said


def _check(name: str, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern.strip():
            raise InputError(f"{name} has the pattern {pattern!r}: expected one such as '*.md' or 'drafts/'")
        if pattern.startswith("!"):
            other = "exclude" if name == "include" else "include"
            raise InputError(
                f"{name} has the pattern {pattern!r}: expected one without '!'; what is to be the other way "
                f"round goes to {other}"
            )


AS_USUAL = FileChoice((), (), MAX_BYTES, False)
"""Every choice as it is without one."""
