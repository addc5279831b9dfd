"""Kinds of chunks that rarely answer a query: references, contents, links, licences, tests, navigation.

A chunk's text and the name of its file go in, its kind comes out, None for all others.  The rules are
strict: a paragraph with a few citations, or about a licence, is no such chunk.  `ranking` puts chunks of
a kind lower unless the query asks for the kind.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Literal

from minisearch.search.sentences import MAIL_HEADER, MIN_MAIL_HEADERS
from minisearch.text import LEADER, NAVIGATION, has_dots, normalised_words

Kind = Literal["references", "contents", "links", "licence", "test", "headers", "navigation"]

# A query with one of these words asks for chunks of the kind.
ASKED_BY: dict[Kind, frozenset[str]] = {
    "references": frozenset(
        """
        article articles author authors bibliography book books citation citations cite cited cites citing doi
        journal journals literature paper papers publication publications published reference references
        """.split()  # noqa: SIM905 - words are read more easily without their quotes
    ),
    "contents": frozenset({"chapter", "chapters", "contents", "index", "outline", "page", "pages", "toc"}),
    "links": frozenset({"contents", "index", "link", "links", "list", "overview", "toc", "toctree"}),
    "navigation": frozenset({"link", "links", "menu", "menus", "navigation"}),
    "licence": frozenset(
        """
        agpl apache bsd commercial commercially copyleft copyright copyrighted copyrights disclaimer gpl lgpl
        liability licence licences license licensed licenses licensing mit patent patents redistribute
        redistribution sublicense warranties warranty
        """.split()  # noqa: SIM905 - words are read more easily without their quotes
    ),
    "headers": frozenset(
        """
        email emails mail mails message messages received recipient recipients sender sent subject wrote
        """.split()  # noqa: SIM905 - words are read more easily without their quotes
    ),
    "test": frozenset(
        """
        assert asserts benchmark fake fixture fixtures mock mocks pytest spec specs test tested testing tests
        unittest
        """.split()  # noqa: SIM905 - words are read more easily without their quotes
    ),
}


def kind_of(text: str, path: str = "", heading: str = "") -> Kind | None:
    r"""The kind of a chunk of the file ``path`` under the path of headings ``heading``.

    >>> kind_of("1 Introduction ....... 1\n2 Methods ....... 7\n3 Results ....... 19\n4 Summary ....... 22")
    'contents'
    """
    if heading.endswith(NAVIGATION):
        return "navigation"
    if path.startswith("/"):
        path = "/".join(path.split("/")[-N_PARTS_OF_ABSOLUTE:])
    if TEST_FILE.search(path):
        return "test"
    if _is_contents(text):
        return "contents"
    if _is_references(text, heading):
        return "references"
    if _is_licence(text) or (LICENCE_FILE.match(PurePath(path).name) and LICENCE_WORD.search(text)):
        return "licence"
    if _is_headers(text):
        return "headers"
    return "links" if _is_links(text) else None


def asked_for(query: str) -> set[Kind]:
    """The kinds that a query asks for by name."""
    words = {word.casefold() for word in normalised_words(query)}
    return {kind for kind, names in ASKED_BY.items() if not words.isdisjoint(names)}


def _lines(text: str) -> list[str]:
    return [line for row in text.splitlines() if (line := row.strip())]


def _is_headers(text: str) -> bool:
    """Whether it is the headers of a mail or of a saved page, without anything that the mail says."""
    lines = _lines(text) if MAIL_HEADER.match(text.lstrip()) else []
    return len(lines) >= MIN_MAIL_HEADERS and all(map(MAIL_HEADER.fullmatch, lines))


# --- tests -------------------------------------------------------------------------------------------------

# Source code in a folder of tests, or with the name of a test.  A file outside the folder of the index has an
# absolute path: only its last folder counts, since those above its project say nothing.
N_PARTS_OF_ABSOLUTE = 2
TEST_FILE = re.compile(
    r"""(?: (?:^|/)(?:tests?|__tests__)/(?:.*/)?[^/]+ | (?:^|/)(?:test_[^/]*|conftest)
      | [^/]*(?:[_.-](?:tests?|spec)|Tests?|Spec) )
    \.(?:c|cc|cpp|cs|cxx|go|h|hpp|java|jsx?|kt|mjs|php|pyi?|rb|rs|scala|swift|tsx?)$""",
    re.VERBOSE,
)

# --- tables of contents and indexes ------------------------------------------------------------------------

MIN_ENTRIES = 4  # of a list of entries
MOST = 0.7  # of the lines
MAX_ENTRY = 160  # characters, on average

DOTS = 0.3  # of the characters: a piece of a table of contents that has few entries
# "2.1 Methods 7" and "arrays, 12, 45-47": words, and one or more numbers of pages.
PAGED = re.compile(
    r"(?!.*: )[^|]*?[^\W\d_]{2}[^|]*?[\s,]\s*(\d{1,4})(?:[-–]\d{1,4})?(?:,\s*\d{1,4}(?:[-–]\d{1,4})?)*"
)
MAX_PAGE = 1_500  # a larger number is a year


def _is_contents(text: str) -> bool:
    """Whether most of the text is entries with the numbers of pages, which ascend or stand after commas."""
    if has_dots(text) and (n_entries := len(LEADER.findall(text))):
        lines = _lines(text)
        if sum(LEADER.search(line) is not None for line in lines) >= MOST * len(lines):
            return True
        n_dots = text.count(".") + text.count("…") + text.count("·")
        if _are_many(n_entries, text) or n_dots > DOTS * (len(text) - text.count(" ")):
            return True
    if sum(row[-1:].isdigit() for row in text.split("\n")) < MIN_ENTRIES:
        return False
    lines = _lines(text)
    ending = [line for line in lines if line[-1].isdigit() and len(line) <= MAX_ENTRY]
    if len(ending) < MOST * len(lines):
        return False
    found = [entry for line in ending if (entry := PAGED.fullmatch(line))]
    if len(found) < MOST * len(lines) or not _are_many(len(found), text):
        return False
    pages = [int(entry[1]) for entry in found]
    if max(pages) > MAX_PAGE:
        return False
    if sum(line.rstrip("0123456789-– ").endswith(",") for line in lines) >= MOST * len(lines):
        return True
    is_counted = pages == list(range(pages[0], pages[0] + len(pages)))  # "Room 1", "Room 2", "Room 3"
    return pages == sorted(pages) and pages[0] < pages[-1] and not is_counted


def _are_many(n_entries: int, text: str) -> bool:
    return n_entries >= MIN_ENTRIES and len(text) <= MAX_ENTRY * n_entries


# --- references --------------------------------------------------------------------------------------------

YEAR = re.compile(r"\b(?:1[89]|20)\d\d[a-z]?\b")
INITIAL = re.compile(r"\b[A-Z]\.(?=[\s,;:&-]|[A-Z]\.)")
CITED = re.compile(
    r"""\b(?:et\ al|pp|pages|vol|volume|no|doi|arxiv|proc|proceedings|journal|trans|transactions|conference
    |symposium|press|isbn|eds?|university|review|technical\ report|thesis)\b""",
    re.VERBOSE | re.IGNORECASE,
)
BIBLIOGRAPHY = re.compile(  # the last heading of a path
    r"(?:^|> )[\W\d]*(?:references|bibliograph(?:y|ie)|bibliograf[ií]a|works cited|literature cited|literatur"
    r"(?:verzeichnis)?|r[ée]f[ée]rences bibliographiques)\W*$",
    re.IGNORECASE,
)
# Marks to words: a paragraph with many citations has half of it.  One or two references must have more.
MIN_DENSITY, MIN_DENSITY_OF_FEW = 0.15, 0.25
FEW_YEARS = 3
MARKS_PER_YEAR = 1.5  # at least: years alone are a history


def _is_references(text: str, heading: str) -> bool:
    """Whether it is a list of references: by its heading, or years, initials and words of citations."""
    n_years = len(YEAR.findall(text)) if "18" in text or "19" in text or "20" in text else 0
    if not n_years:
        return False
    if BIBLIOGRAPHY.search(heading) or BIBLIOGRAPHY.search(text.split("\n", 1)[0]):
        return True
    n_marks = n_years + len(INITIAL.findall(text)) / 2 + len(CITED.findall(text))
    density = MIN_DENSITY if n_years >= FEW_YEARS else MIN_DENSITY_OF_FEW
    return n_marks > MARKS_PER_YEAR * n_years and n_marks >= density * (text.count(" ") + 1)


# --- licences ----------------------------------------------------------------------------------------------

LICENCE_FILE = re.compile(
    r"(?:(?:un)?licen[cs]es?|copying|notice|eula)(?:[-._](?:apache|mit|bsd|[al]?gpl|mpl)[\w.-]*)?"
    r"(?:\.(?:txt|md|rst|html))?$",
    re.IGNORECASE,
)
LICENCE_WORD = re.compile(r"licen[cs]e|copyright|warrant|liab", re.IGNORECASE)
LICENCE = re.compile(
    r"""permission\ is\ hereby\ granted | provided\ [\"“']?as\ is | without\ warrant(?:y|ies) | merchantab
    | redistributions?\ (?:and\ use|of\ source|in\ binary) | general\ public\ licen[cs]e | licensed\ under
    | copyright\ (?:notice|holders?|owners?|\(c\)|©) | fitness\ for\ a\ particular | spdx-licen
    | all\ rights\ reserved | except\ in\ compliance | derivative\ works? | covered\ work | this\ licen[cs]e
    | the\ terms\ of | liable\ for | (?:consequential|incidental)\ (?:or\ \w+\ )?damages | sublicen[cs]e
    | licensor | infring | corresponding\ source | object\ code
    | you\ may\ (?:not\ )?(?:copy|convey|modify|distribute|reproduce)""",
    re.VERBOSE,
)
MIN_PHRASES = 4
MAX_PER_PHRASE = 200  # characters


def _is_licence(text: str) -> bool:
    """Whether stock phrases of licences follow each other closely."""
    lower = text.lower()
    if not ("licen" in lower or "warrant" in lower or "copyright" in lower):
        return False
    phrases = LICENCE.findall(" ".join(lower.split()))
    return len({*phrases}) >= MIN_PHRASES and len(text) <= MAX_PER_PHRASE * len(phrases)


# --- links -------------------------------------------------------------------------------------------------

LINK = re.compile(
    r"(?:[-*+•]\s+|\d+\.\s+)?(?:\[[^\]]+\]\([^)]*\)|:\w+:`[^`]+`|`[^`]+`_{1,2}|<?https?://\S+>?)[\s.,;:|)-]*"
)
ENTRY_OF_TREE = re.compile(r"\S+(?:\s*<[^>]+>)?|:\w+:.*")


def _is_links(text: str) -> bool:
    """Whether most of the lines are nothing but a link."""
    is_tree = "toctree::" in text
    n_signs = text.count("](") + text.count("://") + text.count(":`") + text.count("`_")
    if not is_tree and n_signs < MIN_ENTRIES:
        return False
    lines = [line for line in _lines(text) if any(map(str.isalnum, line))]
    n_links = sum(
        LINK.fullmatch(line) is not None or (is_tree and ENTRY_OF_TREE.fullmatch(line) is not None)
        for line in lines
    )
    return n_links >= max(MIN_ENTRIES, MOST * len(lines))
