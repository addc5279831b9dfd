"""Which paths git would leave alone: ``.gitignore`` files, nested and negated, read as git reads them.

The patterns themselves are pathspec's.  What is added here is git's manner of walking: a rule is asked
about each path by itself, folder by folder on the way down, the deepest file with an opinion decides,
and an ignored folder is never entered.  So nothing here needs to ask whether a parent is ignored.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from pathspec.patterns.gitignore import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

# pathspec lets a rule for a folder match all that lies below it, and marks where the folder ended with
# this group.  Git's precedence needs the narrower question: does the rule name this very path?
FOLDER_MARK = "ps_d"


class Rules:
    """The rules of one ignore file, for paths below the folder ``base`` (``""``, or ending in a slash)."""

    def __init__(self, content: bytes, base: str) -> None:
        self.base = base
        # Last first, each with whether it ignores: the last rule that matches decides.
        self._rules: list[tuple[re.Pattern[str], bool]] = []
        for line in os.fsdecode(content.removeprefix(b"\xef\xbb\xbf")).split("\n"):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", FutureWarning)  # re's opinion on a set like [[a]
                    pattern = GitIgnoreSpecPattern(line.removesuffix("\r"))
            except (GitIgnorePatternError, re.error):  # pathspec lets [z-a] through to re
                continue  # to git, a pattern that makes no sense matches nothing
            if pattern.regex is not None:
                self._rules.insert(0, (pattern.regex, bool(pattern.include)))

    def verdict(self, path: str, *, is_folder: bool) -> bool | None:
        """True when the path is ignored, False when it is kept by name, None when no rule names it."""
        relative = path[len(self.base) :]
        for regex, ignores in self._rules:
            match = regex.search(relative)
            if match and match.groupdict().get(FOLDER_MARK) is None:
                return ignores
            if is_folder and FOLDER_MARK in regex.groupindex:
                as_folder = relative + "/"
                if any(found.end(FOLDER_MARK) == len(as_folder) for found in regex.finditer(as_folder)):
                    return ignores
        return None


def is_ignored(path: str, chain: Sequence[Rules], *, is_folder: bool) -> bool:
    """Whether the rules, the outermost file first, ignore this path; a deeper file overrules."""
    for rules in reversed(chain):
        verdict = rules.verdict(path, is_folder=is_folder)
        if verdict is not None:
            return verdict
    return False


def rules_above(folder: Path) -> tuple[str, tuple[Rules, ...]]:
    """The folder's place in its git repository ("" or "docs/api/"), and the rules from above it.

    Outside a repository no rules come from above.  Raises OSError when an ignore file cannot be read.
    """
    folder = folder.resolve()
    top = next((above for above in (folder, *folder.parents) if (above / ".git").exists()), None)
    if top is None:
        return "", ()
    above = [parent for parent in reversed(folder.parents) if parent.is_relative_to(top)]
    sources = [(top / ".git" / "info" / "exclude", "")]
    sources += [(parent / ".gitignore", _place(parent, top)) for parent in above]
    chain = tuple(Rules(file.read_bytes(), base) for file, base in sources if file.is_file())
    return _place(folder, top), chain


def _place(folder: Path, top: Path) -> str:
    relative = folder.relative_to(top).as_posix()
    return "" if relative == "." else relative + "/"
