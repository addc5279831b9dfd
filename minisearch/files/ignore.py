"""Which paths an ignore file names: ``.gitignore`` and ``.minisearchignore``, read as git reads them.

The patterns themselves are pathspec's.  What is added here is git's manner of walking: a rule is asked
about each path by itself, folder by folder on the way down, the deepest file with an opinion decides,
and an ignored folder is never entered.  So nothing here needs to ask whether a parent is ignored.  And a
pattern of many stars takes no longer than git takes for it: such files come with every cloned repository.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from pathspec.patterns.gitignore import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

# pathspec lets a rule for a folder match all that lies below it, and marks where the folder ended with
# this group.  Git's precedence needs the narrower query: does the rule name this very path?
FOLDER_MARK = "ps_d"

# How pathspec spells a star, and two stars between slashes; and the pieces of what it makes of a pattern.
STAR = "[^/]*"
ANY_FOLDERS = "(?:/.+)?/"
FIRST_FOLDERS = "^(?:.+/)?"
PIECES = re.compile(r"\\.|\[\^/\][*+]?|\[\^?\]?[^\]]*\]|.", re.DOTALL)


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
            self._rules.append(Rule(regex, ignores, last.removeprefix("\\").startswith("."), words))

    def deciding(self, path: str, *, is_folder: bool) -> Rule | None:
        """The rule that decides on this very path, None when no rule names it."""
        relative = path[self._n_base :]
        for rule in reversed(self._rules):  # the last rule that matches decides
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
        expression, ignores = GitIgnoreSpecPattern.pattern_to_regex(line)
        if expression is None:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # re's opinion on a set like [[a]
            return re.compile(_without_detours(expression)), bool(ignores)
    except (GitIgnorePatternError, re.error):  # pathspec lets [z-a] through to re
        return None


def _without_detours(expression: str) -> str:
    """The expression as git means it: a set names no slash, and no star is tried more often than need be.

    What stands between two stars is taken where it is found first, and that is final: the second star can
    take all that another choice would have left.  Else eight stars and a name of sixty letters take a minute.
    """
    numbers = count()

    def final(choice: str) -> str:  # "(?>...)", which Python has from 3.11 on
        name = f"final_{next(numbers)}"
        return f"(?=(?P<{name}>{choice}))(?P={name})"

    done, behind_star = "", None
    for piece in [*PIECES.findall(expression), ""]:
        if behind_star is not None and piece in (STAR, "/", "(", ""):
            done += final(f"{STAR}?{behind_star}") if piece == STAR else STAR + behind_star
            behind_star = None
        if piece == STAR:
            behind_star = ""
            continue
        if piece.startswith("[") and not piece.startswith("[^/]"):
            piece = "(?!/)" + piece
        if behind_star is None:
            done += piece
        else:
            behind_star += piece
    first, *others = done.split(ANY_FOLDERS)
    if not others:
        return done
    if first.startswith(FIRST_FOLDERS):
        first = "^" + final(f"(?:.+?/)??{first.removeprefix(FIRST_FOLDERS)}(?=/)")
    between = (final(f"(?:/.+?)??/{part}(?=/)") for part in others[:-1])
    return "".join([first, *between, ANY_FOLDERS, others[-1]])
