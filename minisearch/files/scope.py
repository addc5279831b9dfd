"""Which names in a folder are taken: ignore files, hidden names and the user's choices.

A name in the folder goes in, a verdict comes out: taken, or left out and why.  ``exclude`` is the strongest,
then ``include``, then ``.minisearchignore``; hidden names and ``.gitignore`` come after.  Rules are applied
as git does: to each path by itself, folder by folder on the way down; the deepest file with a matching rule
decides, and an ignored folder is never entered.  What a pattern matches is left to `globs`, and the walk to
`walk`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from minisearch.errors import InputError
from minisearch.files.git import pattern_files
from minisearch.files.junk import cure, junk_kind
from minisearch.globs import Pattern, parse_pattern
from minisearch.manifest import MAX_BYTES, Choices, FileChoice
from minisearch.text import visible

GIT_FILE, OWN_FILE, REPOSITORY = ".gitignore", ".minisearchignore", ".git"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an ignore file: its pattern, and how reasons call it.

    ``names_hidden`` when it means names that begin with a dot, which not every user means by ``*``.
    """

    pattern: Pattern
    names_hidden: bool
    words: str

    @property
    def ignores(self) -> bool:
        """Whether it ignores what it matches, or takes it back."""
        return not self.pattern.is_negated


class Rules:
    """The rules of one ignore file, for paths below the folder ``base``, an absolute path with a slash."""

    def __init__(self, rules: Sequence[Rule], base: str, *, is_by_bytes: bool) -> None:
        self._last_first = tuple(reversed(rules))
        self._n_base = len(base)
        self._is_by_bytes = is_by_bytes

    @classmethod
    def read(cls, file: str, base: str, source: str) -> Rules:
        """The rules in a file, which reasons call ``source``; OSError when it cannot be read."""
        content = Path(file).read_bytes().removeprefix(b"\xef\xbb\xbf")
        rules = []
        for number, line in enumerate(content.split(b"\n"), start=1):
            words = f"{source}, line {number}: {os.fsdecode(line).strip()}"
            rules.append(_rule(line.removesuffix(b"\r").decode("latin-1"), words))
        return cls([rule for rule in rules if rule], base, is_by_bytes=True)

    @classmethod
    def given(cls, patterns: Sequence[str], base: str, option: str) -> Rules:
        """The rules of an option of this name; an invalid pattern matches nothing."""
        rules = [_rule(visible(pattern), f"{option} {pattern}") for pattern in patterns]
        return cls([rule for rule in rules if rule], base, is_by_bytes=False)

    def deciding(self, path: str, *, is_folder: bool) -> Rule | None:
        """The last rule that matches this very path, None when there is none."""
        relative = path[self._n_base :]
        if not relative.isascii():
            relative = os.fsencode(relative).decode("latin-1") if self._is_by_bytes else visible(relative)
        name = relative.rpartition("/")[2]
        for rule in self._last_first:
            pattern = rule.pattern
            if (is_folder or not pattern.is_folder) and pattern.regex.fullmatch(
                name if pattern.is_name else relative
            ):
                return rule
        return None


def _rule(line: str, words: str) -> Rule | None:
    pattern = parse_pattern(line)
    if pattern is None:
        return None
    last = line.strip().removeprefix("!").rstrip("/").rpartition("/")[2]
    return Rule(pattern, last.removeprefix("\\").startswith("."), words)


def deciding(path: str, chain: Sequence[Rules], *, is_folder: bool) -> Rule | None:
    """The rule of the deepest file that has one for this path; the outermost file comes first."""
    for rules in reversed(chain):
        rule = rules.deciding(path, is_folder=is_folder)
        if rule is not None:
            return rule
    return None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a name: ``kind`` is "hidden", "ignored", "excluded" or of `junk`, "" where it is taken.

    ``is_named`` when an include names it, ``is_wanted`` when a rule of ``.minisearchignore`` does;
    ``is_kept`` when it is taken though git ignores it.  A folder that is entered only for what an include
    names further down has the verdict on all ``others`` in it.
    """

    kind: str = ""
    reason: str = ""
    is_named: bool = False
    is_wanted: bool = False
    is_kept: bool = False
    others: Verdict | None = None


TAKEN = Verdict()


@dataclass(frozen=True, slots=True)
class Scope:
    """The rules in one folder, those of folders above first."""

    git: tuple[Rules, ...] = ()
    own: tuple[Rules, ...] = ()
    exclude: tuple[Rules, ...] = ()
    include: Rules | None = None
    ways: Rules | None = None  # the folders on the way to what ``include`` names
    max_bytes: int = MAX_BYTES
    keeps_secrets: bool = False
    uses_ocr: bool = False
    is_included: bool = False  # a folder above was named by an include
    left_out: Verdict | None = None  # what holds for all names here that no include names

    def verdict(self, path: str, name: str, *, is_folder: bool) -> Verdict:
        """What becomes of this name in the folder; ``path`` is its absolute path."""
        if self.exclude and (rule := deciding(path, self.exclude, is_folder=is_folder)):
            return Verdict("excluded", f"excluded: {rule.words}")
        named = self.include.deciding(path, is_folder=is_folder) if self.include else None
        if named and _may_take(named, name):
            return Verdict(is_named=True, is_kept=self._ignoring(path, is_folder=is_folder) is not None)
        usual = self.left_out or self._usual(path, name, is_folder=is_folder)
        if self.include is None:
            return usual
        if is_folder:
            is_way = usual.kind and self.ways and self.ways.deciding(path, is_folder=True)
            return Verdict(others=usual) if is_way else usual
        if self.is_included or usual.kind:
            return usual
        return Verdict("excluded", "not named by any --include")

    def _usual(self, path: str, name: str, *, is_folder: bool) -> Verdict:
        """The verdict of ignore files, of the convention that a dot hides a name, and of `junk`."""
        own = deciding(path, self.own, is_folder=is_folder)
        if own and own.ignores:
            return Verdict("ignored", f"ignored by {own.words}")
        if own and _may_take(own, name):
            return Verdict(is_wanted=True, is_kept=self._ignoring(path, is_folder=is_folder) is not None)
        if name.startswith("."):
            return Verdict("hidden", "hidden")
        if rule := self._ignoring(path, is_folder=is_folder):
            return Verdict("ignored", f"ignored by {rule.words}")
        kind = junk_kind(path, name, is_folder=is_folder)
        return Verdict(kind, f"{kind}: {cure(kind, name, OWN_FILE)}") if kind else TAKEN

    def _ignoring(self, path: str, *, is_folder: bool) -> Rule | None:
        """The rule of git that ignores this path, if one does."""
        rule = deciding(path, self.git, is_folder=is_folder)
        return rule if rule and rule.ignores else None

    def below(self, verdict: Verdict) -> Scope:
        """The scope of a folder with this verdict, before its own ignore files are read."""
        scope = self
        if verdict.is_named:
            scope = replace(scope, is_included=True, left_out=None)
        if verdict.is_kept:  # the rules that ignore the folder ignore all that is in it
            scope = replace(scope, git=())
        if verdict.others:
            scope = replace(scope, left_out=verdict.others)
        return scope

    def inside(self, folder: str, names: Sequence[str], choices: Choices, *, shown: str) -> Scope:
        """The scope inside a folder with these names; ``shown`` is how reasons call the folder.

        In a repository only git's rules of that repository count.  Raises OSError when an ignore file cannot
        be read.
        """
        scope, base = self, _base(folder)
        if REPOSITORY in names:
            files = pattern_files(folder)
            scope = replace(scope, git=tuple(Rules.read(file, base, file) for file in files))
        if GIT_FILE in names:
            rules = Rules.read(f"{base}{GIT_FILE}", base, f"{shown}{GIT_FILE}")
            scope = replace(scope, git=(*scope.git, rules))
        if OWN_FILE in names:
            rules = Rules.read(f"{base}{OWN_FILE}", base, f"{shown}{OWN_FILE}")
            scope = replace(scope, own=(*scope.own, rules))
        return scope.chosen(choices[folder], folder) if folder in choices else scope

    def chosen(self, choice: FileChoice, folder: str) -> Scope:
        """The same with a choice for the folder; the nearest include counts, and every exclude."""
        scope, base = self, _base(folder)
        if choice.exclude:
            rules = Rules.given(_patterns("exclude", choice.exclude), base, "--exclude")
            scope = replace(scope, exclude=(*scope.exclude, rules))
        if choice.include:
            patterns = _patterns("include", choice.include)
            scope = replace(
                scope,
                include=Rules.given(patterns, base, "--include"),
                ways=Rules.given([way for pattern in patterns for way in ways_to(pattern)], base, ""),
                is_included=False,
            )
        if choice.max_bytes is not None:
            scope = replace(scope, max_bytes=choice.max_bytes)
        if choice.keep_secrets is not None:
            scope = replace(scope, keeps_secrets=choice.keep_secrets)
        if choice.ocr is not None:
            scope = replace(scope, uses_ocr=choice.ocr)
        return scope


def scope_above(folder: str, choices: Choices) -> Scope:
    """The scope of a folder, by its absolute path, from the folders above it.

    ``.gitignore`` counts from the top of a repository downwards, and nowhere else; ``.minisearchignore`` and
    choices count from every folder above.  Raises OSError when an ignore file cannot be read.
    """
    scope, is_in_repository = Scope(), False
    for parent in map(str, reversed(Path(folder).parents)):
        base = _base(parent)
        is_top = os.path.exists(base + REPOSITORY)  # noqa: PTH110 - False where it may not look
        is_in_repository = is_in_repository or is_top
        files = [GIT_FILE, OWN_FILE] if is_in_repository else [OWN_FILE]
        names = [name for name in files if os.path.isfile(base + name)]  # noqa: PTH113 - as above
        scope = scope.inside(parent, [REPOSITORY] * is_top + names, choices, shown=base)
    return scope


def ways_to(pattern: str) -> list[str]:
    """Patterns of the folders to enter for what a pattern matches; none where that may be anywhere.

    >>> ways_to("build/docs/*.md"), ways_to("out/**/a.md"), ways_to("*.md")
    (['/build/', '/build/docs/'], ['/out/', '/out/**/'], [])
    """
    names = pattern.rstrip("/").removeprefix("/").split("/")
    if ("/" not in pattern.rstrip("/")) or names[0] == "**":
        return []
    ways: list[str] = []
    for n in range(1, len(names)):
        ways.append("/" + "/".join(names[:n]) + "/")
        if names[n - 1] == "**":
            break
    return ways


def _may_take(rule: Rule, name: str) -> bool:
    """Whether a rule that keeps a name takes it: a hidden name has to be meant, and ``.git`` never is."""
    return not name.startswith(".") or (rule.names_hidden and name != ".git")


def _patterns(option: str, patterns: Sequence[str]) -> list[str]:
    """The patterns as lines of an ignore file; InputError for one that matches nothing."""
    lines = [f"\\{pattern}" if pattern.startswith("#") else pattern for pattern in patterns]
    for line in lines:
        if parse_pattern(line) is None:
            raise InputError(f"--{option} {line} is no pattern: expected one such as '*.md' or 'drafts/'")
    return lines


def _base(folder: str) -> str:
    return folder if folder.endswith("/") else folder + "/"
