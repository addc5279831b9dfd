"""Natural language: scripts, words, names, stop words, stems, sentences, front matter, lines.

Text comes in; words, or places in the text, come out.  Each of these is defined here and nowhere else, so
that the chunker, the full text, the search and the command line agree on them.  What a file format means
(Markdown, reStructuredText) is left to `parsers`, the tokens of a model to `minilm`.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

# --- scripts -----------------------------------------------------------------------------------------------
# Character ranges, to stand inside the brackets of a regular expression.

# Letters of scripts that put no spaces between words: Chinese characters, Japanese kana, Bopomofo.
UNSPACED = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
HANGUL = "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7a3\ud7b0-\ud7fb"
CJK = UNSPACED + HANGUL

# Thai, Lao, Burmese and Khmer, without their digits: scripts without spaces, too, whose vowels may be marks.
SOUTH_EAST_ASIAN = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecf\u0edc-\u0edf\u1000-\u103f\u1050-\u108f\u109a-\u109d"
    "\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f\u1780-\u17d3\u17d7\u17dc\u17dd"
)

# Everything that East Asian scripts print in a square: letters, punctuation, full-width forms.
EAST_ASIAN = (
    "\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uffef\U00020000-\U0003ffff"
)

# With accents, ligatures, full-width forms and the International Phonetic Alphabet.
LATIN = "A-Za-z\u00aa-\u02af\u1e00-\u1eff\u2c60-\u2c7f\ua722-\ua7ff\ufb00-\ufb06\uff21-\uff5a"

# Text that is searched by pairs of characters, here called paired: it has no reliable spaces between words.
PAIRED_RUN = re.compile(f"[{CJK}{SOUTH_EAST_ASIAN}]+")

A_LETTER = re.compile(r"[^\W\d_]")
LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_A_LETTER_NOT_LATIN = re.compile(rf"[^\W\d_{LATIN}]")


@cache
def _east_asian() -> re.Pattern[str]:
    return re.compile(f"[{EAST_ASIAN}]")  # which takes 2 ms


def begins_wide(text: str) -> bool:
    """Whether a text begins with a character that East Asian scripts print in a square."""
    return not text[:1].isascii() and _east_asian().match(text) is not None


def is_mostly_latin(text: str) -> bool:
    """Whether at least half of the letters are Latin; True where there are none."""
    return text.isascii() or 2 * len(_A_LETTER_NOT_LATIN.findall(text)) <= len(A_LETTER.findall(text))


# --- words -------------------------------------------------------------------------------------------------

_SIGN = re.compile(r"[^\w\s]|_")  # also combining marks, which belong to the letter before them
_MNEMONIC = re.compile(r"\[([A-Za-z])\](?=[a-z])")
_ENDINGS = re.compile("(?:ing|ed|es|s)$"), re.compile("[eiy]$")
_SHORTEST_STEM = 3

# English words that say nothing of what a text is about.
STOP_WORDS = frozenset(
    """
    a an the this that these those such same own other another each every either neither both all any some
    no not nor only just also too very more most much many few less least
    i me my mine myself you your yours he him his she her hers it its itself we us our ours they them their
    theirs one ones someone something anyone anything
    who whom whose what which when where why how
    and or but if then else than as so because while although though until unless whether
    of in on at by for from to into onto with without within about above below under over between among
    through during before after against around up down out off again
    be am is are was were been being do does did doing done have has had having
    can could may might must shall should will would
    there here now ever never yet still
    get gets got let s t d m ll re ve
    """.split()  # noqa: SIM905 - one per line would be 160 lines
)


def normalised_words(text: str) -> list[str]:
    """The words of a text in order, in NFKC (CO₂ becomes CO2): letters and digits with their marks.

    Punctuation and symbols separate words, characters that are not shown do not; case and endings stay.

    >>> normalised_words("Ｐｙｔｈｏｎ's co-rou\u00adtines")
    ['Python', 's', 'co', 'routines']
    """
    text = without_mnemonics(text)
    if text.isascii():
        return words_between_signs(text)
    # A sign separates words even where NFKC makes letters of it: Python™ is two words, and so is 20℃.
    apart = _SIGN.sub(lambda found: found[0] if is_mark(found[0]) else f" {found[0]} ", visible(text))
    return words_between_signs(_wrap().sub("", unicodedata.normalize("NFKC", apart)))


@cache
def _wrap() -> re.Pattern[str]:
    """A line break inside a sentence of a script without spaces; compiled when first used: it takes 5 ms."""
    return re.compile(rf"(?<=[{UNSPACED}])[ \t]*\r?\n[ \t]*(?=[{UNSPACED}])")


def content_words(text: str) -> list[str]:
    """The normalised words of a text without stop words."""
    return [word for word in normalised_words(text) if word.lower() not in STOP_WORDS]


def words_between_signs(text: str) -> list[str]:
    """The words of a text, its characters unchanged."""
    parted = _SIGN.sub(lambda found: found[0] if is_mark(found[0]) else " ", text)
    return [word for word in parted.split() if LETTER_OR_DIGIT.search(word)]


def is_mark(character: str) -> bool:
    """Whether it is a combining mark, such as an accent."""
    return unicodedata.category(character).startswith("M")


def without_mnemonics(text: str) -> str:
    """The text with the letters put back that manuals and quotations set apart: no model knows E[x]tract.

    >>> without_mnemonics("E[x]tract a g[z]ipped archive; a[i] stays")
    'Extract a gzipped archive; a[i] stays'
    """
    return _MNEMONIC.sub(r"\1", text) if "[" in text else text


def paired_parts(text: str) -> list[tuple[str, bool]]:
    """The runs of paired text and the text between them, in order, each with whether it is such a run.

    >>> paired_parts("Python入門 2")
    [('Python', False), ('入門', True), (' 2', False)]
    """
    if text.isascii():
        return [(text, False)] if text else []
    parts = []
    end = 0
    for run in PAIRED_RUN.finditer(text):
        parts += [(text[end : run.start()], False), (run[0], True)]
        end = run.end()
    parts.append((text[end:], False))
    return [part for part in parts if part[0]]


def bigrams(run: str) -> list[str]:
    """The overlapping pairs of a run of paired text, which stand for words; a single one stands alone.

    >>> bigrams("検索する")
    ['検索', '索す', 'する']
    """
    return [run[i : i + 2] for i in range(max(1, len(run) - 1))]


def stem(word: str) -> str:
    """A lower-case English word without its common endings; at least three letters are left.

    >>> [stem(word) for word in ("retry", "retries", "retrying", "red")]
    ['retr', 'retr', 'retr', 'red']
    """
    for ending in _ENDINGS:
        shorter = ending.sub("", word)
        word = shorter if len(shorter) >= _SHORTEST_STEM else word
    return word


# --- names -------------------------------------------------------------------------------------------------

_SUFFIX = re.compile(r"\.[A-Za-z]\w{0,9}\Z")
_BETWEEN_WORDS = re.compile(  # also underscores; hyphens and dots stay in dates and versions
    r"[\s_]+|(?<!\d)[-.]+|[-.]+(?!\d)|(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][^\W\d_A-Z]{2})"
)


def title_of_name(path: str) -> str:
    """A title for a file without one, from its name.

    >>> title_of_name("bills/acme_invoice-2025-03-04.txt"), title_of_name("HTTPServer.java")
    ('acme invoice 2025-03-04', 'HTTP Server')
    """
    name = _SUFFIX.sub("", storable(path).rpartition("/")[2])
    return " ".join(_BETWEEN_WORDS.sub(" ", visible(name)).split())


# --- sentences ---------------------------------------------------------------------------------------------
# A sentence ends at a stop, except one that belongs to an abbreviation or an ordinal.  Abbreviations are
# listed: English and German, with a few of French and Spanish.

# The end of a sentence, with closing quotation marks and brackets.
CLOSED = r"[.!?][\"'”’)\]]*|[。！？][」』”’）]*"
_STOP = re.compile(r"[.!?][\"'”’)\]]*\s+(?=[^\sa-z])|[。！？][」』”’）]*")
_LAST_WORD = re.compile(r"(?<![-/])(?<![^\W_])[^\W_](?:[\w.'’-]*[^\W_])?\Z")
_NEXT_WORD = re.compile(r"(?:[^\w\s]|_)*([^\W_]*)(\.?)")
_NUMBER = re.compile(r"\d|[IVXLC]{2,}\Z")
_LETTER_WITH_DOT = re.compile(r"(?<!\w)[^\W\d_]\.\Z")
_BEFORE_NUMBERING = ".:;!?()"  # or nothing
_WINDOW = 24  # characters looked at on either side of a stop; every word in the lists is shorter

_NEVER_LAST = frozenset(
    """
    Mr Mrs Ms Messrs Dr dr Prof prof Rev Hon Capt Sgt Gov Rep Sen Mme Mlle Mgr Hr Hrn Fr Frl Dipl Ing Sra Srta
    med dent rer nat phil habil Dña
    e.g E.g i.e I.e cf Cf vs viz approx Approx ca Ca env aprox incl Incl esp c.-à-d
    bzw vgl Vgl inkl Inkl exkl zzgl ggf Ggf evtl Evtl sog bzgl lt ehem geb EE
    """.split()  # noqa: SIM905 - as in STOP_WORDS
)
_NUMBERED = frozenset(  # not the last word before a number; some are words too: "No. 5", but "No. Never."
    """
    No no Nos nos Nr nr Nrn Art art Abs Sec sec Sect Ch ch Chap chap Kap Ziff Anm Aufl Vol vol Bd p pp P Pp S
    pág págs núm Fig Figs fig figs Abb Tab Eq Eqs eq eqs Pos Abt Tel tel Fax max Max min Min mind
    Jan Feb Febr Mar Apr Jun Jul Aug Sep Sept Oct Okt Nov Dec Dez Mon Tue Tues Wed Thu Thur Thurs Fri Sat Sun
    """.split()  # noqa: SIM905 - as in STOP_WORDS
)
_SELDOM_LAST = frozenset(  # last only where a word follows that begins sentences
    """
    Inc Ltd Co Corp Bros Jr Sr St Ave Av Avda Rd Blvd Mt Dept al Str ex ej Mio Mrd Std Sek Jh Chr UU
    """.split()  # noqa: SIM905 - as in STOP_WORDS
)
_FIRST_WORDS = STOP_WORDS | {"der", "die", "ein", "eine", "er", "sie", "es", "wir", "ich"}


def sentence_starts(text: str, start: int, end: int) -> list[int]:
    """The places between ``start`` and ``end`` at which a sentence begins after another, ascending."""
    stops = _STOP.finditer(text, start, end)
    return [stop.end() for stop in stops if stop.end() < end and _ends_sentence(text, start, stop)]


def _ends_sentence(text: str, start: int, stop: re.Match[str]) -> bool:
    dot, following = stop.start(), stop.end()
    if text[dot] in "。！？":
        return True
    if text[following].islower():
        return False
    if text[dot] != "." or not text[dot + 1].isspace():  # a bracket or quotation that closes ends it
        return True
    before = text[max(start, dot - _WINDOW) : dot]
    if before.endswith("."):
        return False
    word = _LAST_WORD.search(before)
    if word is None:  # a bracket, a quotation, code
        return True
    after = text[following : min(following + _WINDOW, stop.endpos)]
    return _can_be_last(word[0], before[: word.start()].rstrip(), after)


def _can_be_last(word: str, before: str, after: str) -> bool:
    """Whether a sentence ends with this word and a dot, given the text before and after them."""
    found = _NEXT_WORD.match(after)
    assert found  # it matches the empty string too
    following, dot = found.groups()
    if word in _NEVER_LAST or (word in _NUMBERED and _NUMBER.match(following)):
        return False
    if word[-1].isdigit():
        can_be_last = not _is_ordinal(word, before)
        if not can_be_last and before[-1:] in _BEFORE_NUMBERING:  # "First: 1. The"
            return False
    elif "." in word:
        can_be_last = max(map(len, word.split("."))) > 2  # a file; "U.S", "a.m", "J.-P"
    elif len(word) == 1 and word.isupper():  # "J. Weber", but "180 °C. Put it"
        can_be_last = not after[0].isalpha() or before[-1:].isdigit() or before.endswith("°")
    elif len(word) == 1 and word.islower():  # "z. B.", "d. h."
        goes_on = dot == "." and (len(following) == 1 or following in _SELDOM_LAST)
        can_be_last = not goes_on and not _LETTER_WITH_DOT.search(before)
    else:
        can_be_last = word not in _SELDOM_LAST and not (word.endswith("str") and word[0].isupper())
    return can_be_last or (not dot and following[:1].isupper() and following.lower() in _FIRST_WORDS)


def _is_ordinal(number: str, before: str) -> bool:
    """Whether it may be an ordinal: neither a year, nor a number after an abbreviation, as in "p. 5"."""
    named = _LAST_WORD.search(before[:-1]) if before.endswith(".") else None
    is_long = len(number) > 2 and number[-3:].isdigit()
    return not is_long and (named is None or named[0] not in _NUMBERED)


NAVIGATION = "Navigation links"  # the heading of what stands around the content of a page

# --- front matter ------------------------------------------------------------------------------------------

_LINE_BREAK = r"(?:\r\n|\r(?!\n)|\n)"  # only one way to match each, so the time stays linear
_FRONT_MATTER = re.compile(
    rf"(?:(?P<yaml>---)[ \t]*{_LINE_BREAK}(?![ \t]*{_LINE_BREAK})|(?P<toml>\+\+\+)[ \t]*{_LINE_BREAK})"
    rf"(?P<body>(?:[^\r\n]*{_LINE_BREAK})*?)"
    rf"(?(yaml)(?:---|\.\.\.)|\+\+\+)[ \t]*(?:{_LINE_BREAK}|\Z)"
)


def front_matter(text: str) -> re.Match[str] | None:
    """The fields between two rules at the beginning of a text, rules and line breaks included; else None.

    The group ``body`` holds the fields; the group ``yaml`` or ``toml`` took part, depending on the language.
    """
    return _FRONT_MATTER.match(text)


# --- lines -------------------------------------------------------------------------------------------------

LINE_BREAK = re.compile(r"\r\n|\r|\n")


# The dots between a title and its page number in a table of contents; tried once for each run of them.
LEADER = re.compile(
    r"(?<![ \t.…·])[ \t]*(?:(?:\.[ \t]?){4,}|…{2,}|·{4,})[ \t]*(?=(?:\d{1,4}|[ivxlc]{1,6})\b)"
)
SHORT_LEADER = " .... "


def short_leaders(text: str) -> str:
    """The text with four dots before the page numbers of a table of contents.

    >>> short_leaders("2.1 Herons . . . . . . . . . . 12")
    '2.1 Herons .... 12'
    """
    return LEADER.sub(SHORT_LEADER, text) if has_dots(text) else text


def has_dots(text: str) -> bool:
    """Whether a text may have a `LEADER`."""
    return "...." in text or ". . . ." in text or "……" in text or "····" in text


def newlines(text: str) -> str:
    r"""The text with every line break written ``\n``; every character keeps its position.

    >>> newlines("a\r\nb\rc")
    'a \nb\nc'
    """
    return text.replace("\r\n", " \n").replace("\r", "\n") if "\r" in text else text


def line_number(text: str, position: int) -> int:
    """The line that a position is on, from 1."""
    return len(LINE_BREAK.findall(text, 0, position)) + 1


LIST_MARKER = r"(?:[-*+•]|\d{1,9}[.)])"  # a bullet or a number, as a part of other patterns


def count(n: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "file"), count(1200, "file")
    ('1 file', '1,200 files')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


# --- characters --------------------------------------------------------------------------------------------

# Characters that are not shown, such as soft hyphens, zero-width spaces, joiners, and selectors of a glyph:
# Unicode's default ignorable code points.
IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_IGNORABLE = re.compile(rf"\u00ad[ \t]*\r?\n[ \t]*|[{IGNORABLE}]+")  # a soft hyphen joins two lines

# Accents, the points of Hebrew and Arabic, and the line that stretches Arabic words: most people leave them
# out.  The breve and dots of Cyrillic letters stay, since й and ї are letters of their own, and so do marks
# of other scripts, which are vowels.
ACCENTS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f"
    "\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
)
_ACCENT = re.compile(f"(?![\u0306\u0308])[{ACCENTS}]|(?<![\u0400-\u052f])[\u0306\u0308]")

# Lower-case letters that no normal form of Unicode takes apart, and how they are typed; those of Persian are
# typed for those of Arabic.
_SPELT = str.maketrans("łøđðħŧıёیىک", "loddhtiеييك") | str.maketrans({"þ": "th", "æ": "ae", "œ": "oe"})


def visible(text: str) -> str:
    """The text in NFC, without characters that are not shown.

    >>> visible("Do\u00adnau\u200b"), visible("Ma\u0308rz")
    ('Donau', 'März')
    """
    return text if text.isascii() else unicodedata.normalize("NFC", _IGNORABLE.sub("", text))


def folded(text: str) -> str:
    """A text with case removed, for comparison.

    >>> folded("STRASSE") == folded("Stra\u00dfe"), folded("E\u0301") == folded("\u00e9")
    (True, True)
    """
    return unicodedata.normalize("NFC", visible(text).casefold())


def folded_letters(text: str) -> str:
    """A text in lower case, without accents, each letter in one spelling: words are compared so.

    >>> folded_letters("Straße, ŁÓDŹ, Ｆøﬁ, ığdır, ΟΔΥΣΣΕΎΣ, отчёт, май")
    'strasse, lodz, fofi, igdir, οδυσσευσ, отчет, май'
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKC", visible(text)).casefold()
    apart = unicodedata.normalize("NFD", unicodedata.normalize("NFC", plain).translate(_SPELT))
    return unicodedata.normalize("NFC", _ACCENT.sub("", apart))


UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # SQLite and tokenizers accept neither NUL nor lone surrogates


def storable(text: str) -> str:
    """The text with U+FFFD in place of each character that cannot be stored."""
    return UNSTORABLE.sub("\ufffd", text)
