"""Which paths an ignore file names: ``.gitignore`` and ``.minisearchignore``, read as git reads them.

The patterns themselves are pathspec's.  What is added here is git's manner of walking: a rule is asked
about each path by itself, folder by folder on the way down, the deepest file with an opinion decides,
and an ignored folder is never entered.  So nothing here needs to ask whether a parent is ignored.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pathspec.patterns.gitignore import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

# pathspec lets a rule for a folder match all that lies below it, and marks where the folder ended with
# this group.  Git's precedence needs the narrower question: does the rule name this very path?
FOLDER_MARK = "ps_d"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an ignore file: whether it ignores what it names, or keeps it, and its words.

    ``names_hidden`` when it is about names that begin with a dot, which ``*`` does not mean to everybody.
    """

    regex: re.Pattern[str]
    ignores: bool
    names_hidden: bool
    words: str


class Rules:
    """The rules of one ignore file, for paths below the folder ``base``, an absolute path with a slash.

    ``source`` is how the file is called in reasons.
    """

    def __init__(self, lines: Sequence[str], base: str, source: str) -> None:
        self._n_base = len(base)
        # Last first: the last rule that matches decides.
        self._rules: list[Rule] = []
        for number, line in enumerate(lines, start=1):
            self._add(line, f"{source}, line {number}: {line.strip()}")

    @classmethod
    def read(cls, file: str, base: str, source: str) -> Rules:
        """Those in a file; OSError when it cannot be read."""
        content = Path(file).read_bytes()
        text = os.fsdecode(content.removeprefix(b"\xef\xbb\xbf"))
        return cls([line.removesuffix("\r") for line in text.split("\n")], base, source)

    @classmethod
    def given(cls, patterns: Sequence[str], base: str, option: str) -> Rules:
        """Those of an option that is called so; a pattern that makes no sense names nothing."""
        rules = cls((), base, "")
        for pattern in patterns:
            rules._add(pattern, f"{option} {pattern}")
        return rules

    def _add(self, line: str, words: str) -> None:
        if compiled := _compiled(line):
            regex, ignores = compiled
            last = line.strip().removeprefix("!").rstrip("/").rpartition("/")[2]
            self._rules.insert(0, Rule(regex, ignores, last.removeprefix("\\").startswith("."), words))

    def deciding(self, path: str, *, is_folder: bool) -> Rule | None:
        """The rule that decides on this very path, None when no rule names it."""
        relative = path[self._n_base :]
        for rule in self._rules:
            match = rule.regex.search(relative)
            if match and match.groupdict().get(FOLDER_MARK) is None:
                return rule
            if is_folder and FOLDER_MARK in rule.regex.groupindex:
                as_folder = relative + "/"
                if any(found.end(FOLDER_MARK) == len(as_folder) for found in rule.regex.finditer(as_folder)):
                    return rule
        return None


def is_pattern(text: str) -> bool:
    """Whether a line of an ignore file names anything: it is no comment, not blank, and makes sense."""
    return _compiled(text) is not None


def deciding(path: str, chain: Sequence[Rules], *, is_folder: bool) -> Rule | None:
    """The rule of the deepest file with an opinion on this path; the outermost file comes first."""
    for rules in reversed(chain):
        rule = rules.deciding(path, is_folder=is_folder)
        if rule is not None:
            return rule
    return None


def _compiled(line: str) -> tuple[re.Pattern[str], bool] | None:
    """A line as an expression, and whether it ignores; None where, to git, it matches nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # re's opinion on a set like [[a]
            pattern = GitIgnoreSpecPattern(line)
    except (GitIgnorePatternError, re.error):  # pathspec lets [z-a] through to re
        return None
    return None if pattern.regex is None else (pattern.regex, bool(pattern.include))
