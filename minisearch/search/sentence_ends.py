"""Where the sentences of running prose end: after a stop, but for that of an abbreviation or an ordinal.

A stretch of prose comes in; the places go out at which a next sentence begins.  Abbreviations are known by
lists, in English and German with a few of French and Spanish; what is no prose is left to `sentences`.
"""

from __future__ import annotations

import re

from minisearch.text import FUNCTION_WORDS

STOP = re.compile(r"[.!?][\"'”’)\]]*\s+(?=[^\sa-z])|[。！？][」』”’）]*")
LAST_WORD = re.compile(r"(?<![-/])(?<![^\W_])[^\W_](?:[\w.'’-]*[^\W_])?\Z")
NEXT_WORD = re.compile(r"(?:[^\w\s]|_)*([^\W_]*)(\.?)")
NUMBER = re.compile(r"\d|[IVXLC]{2,}\Z")
LETTER_WITH_DOT = re.compile(r"(?<!\w)[^\W\d_]\.\Z")
BEFORE_NUMBERING = ".:;!?()"  # or nothing
WINDOW = 24  # characters on either side of a stop that are looked at; every word in the lists is shorter

NEVER_LAST = frozenset(
    """
    Mr Mrs Ms Messrs Dr dr Prof prof Rev Hon Capt Sgt Gov Rep Sen Mme Mlle Mgr Hr Hrn Fr Frl Dipl Ing Sra Srta
    med dent rer nat phil habil Dña
    e.g E.g i.e I.e cf Cf vs viz approx Approx ca Ca env aprox incl Incl esp c.-à-d
    bzw vgl Vgl inkl Inkl exkl zzgl ggf Ggf evtl Evtl sog bzgl lt ehem geb EE
    """.split()  # noqa: SIM905 - as in `function_words`
)
NUMBERED = frozenset(  # not the last before a number; some are words too: "No. 5", but "No. Never."
    """
    No no Nos nos Nr nr Nrn Art art Abs Sec sec Sect Ch ch Chap chap Kap Ziff Anm Aufl Vol vol Bd p pp P Pp S
    pág págs núm Fig Figs fig figs Abb Tab Eq Eqs eq eqs Pos Abt Tel tel Fax max Max min Min mind
    Jan Feb Febr Mar Apr Jun Jul Aug Sep Sept Oct Okt Nov Dec Dez Mon Tue Tues Wed Thu Thur Thurs Fri Sat Sun
    """.split()  # noqa: SIM905 - as in `function_words`
)
SELDOM_LAST = frozenset(  # unless a word follows that begins sentences
    """
    Inc Ltd Co Corp Bros Jr Sr St Ave Av Avda Rd Blvd Mt Dept al Str ex ej Mio Mrd Std Sek Jh Chr UU
    """.split()  # noqa: SIM905 - as in `function_words`
)
FIRST_WORDS = FUNCTION_WORDS | {"der", "die", "ein", "eine", "er", "sie", "es", "wir", "ich"}


def sentence_starts(text: str, start: int, end: int) -> list[int]:
    """The places between ``start`` and ``end`` at which a sentence begins after another, ascending."""
    stops = STOP.finditer(text, start, end)
    return [stop.end() for stop in stops if stop.end() < end and _is_last(text, start, stop)]


def _is_last(text: str, start: int, stop: re.Match[str]) -> bool:
    """Whether the sentence ends with this stop."""
    dot, following = stop.start(), stop.end()
    if text[dot] in "。！？":
        return True
    if text[following].islower():
        return False
    if text[dot] != "." or not text[dot + 1].isspace():  # what closes with the stop closes the sentence
        return True
    before = text[max(start, dot - WINDOW) : dot]
    if before.endswith("."):
        return False
    word = LAST_WORD.search(before)
    if word is None:  # a bracket, a quotation, code
        return True
    after = text[following : min(following + WINDOW, stop.endpos)]
    return _ends_with(word[0], before[: word.start()].rstrip(), after)


def _ends_with(word: str, before: str, after: str) -> bool:
    """Whether a sentence ends with this word and a dot, given what stands before and after them."""
    found = NEXT_WORD.match(after)
    assert found  # it matches the empty string too
    following, dot = found.groups()
    if word in NEVER_LAST or (word in NUMBERED and NUMBER.match(following)):
        return False
    if word[-1].isdigit():
        may_be_last = _is_no_ordinal(word, before)
        if not may_be_last and before[-1:] in BEFORE_NUMBERING:  # "First: 1. The"
            return False
    elif "." in word:
        may_be_last = max(map(len, word.split("."))) > 2  # a file; "U.S", "a.m", "J.-P"
    elif len(word) == 1 and word.isupper():  # "J. Weber", but "180 °C. Put it"
        may_be_last = not after[0].isalpha() or before[-1:].isdigit() or before.endswith("°")
    elif len(word) == 1 and word.islower():  # "z. B.", "d. h."
        goes_on = dot == "." and (len(following) == 1 or following in SELDOM_LAST)
        may_be_last = not goes_on and not LETTER_WITH_DOT.search(before)
    else:
        may_be_last = word not in SELDOM_LAST and not (word.endswith("str") and word[0].isupper())
    return may_be_last or (not dot and following[:1].isupper() and following.lower() in FIRST_WORDS)


def _is_no_ordinal(number: str, before: str) -> bool:
    """Whether it is a year or a longer count, or what an abbreviation asks for: "p. 5"."""
    named = LAST_WORD.search(before[:-1]) if before.endswith(".") else None
    return (len(number) > 2 and number[-3:].isdigit()) or (named is not None and named[0] in NUMBERED)
