"""The character encoding of a file: bytes go in, an `Origin` and notes come out.

A byte-order mark decides.  Else a file is UTF-8 where it is valid UTF-8, except where it declares an encoding
whose text can look like UTF-8.  Else its declaration is used, with the labels that browsers know, if the file
is valid in it.  Else the encoding is detected: UTF-16 by its control bytes, others by the frequent letters of
languages and the frequent characters of Chinese, Japanese and Korean, the rest by charset-normalizer.  A
detected encoding is named in a note, and called a guess where another one is nearly as likely.  Where no
encoding fits, a file with enough characters of UTF-8 is UTF-8, and any other Windows-1252.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from minisearch.errors import IngestError
from minisearch.types import Origin

# Longest first: the mark of UTF-32 begins with the mark of UTF-16.
BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
SNIFF_BYTES = 8192
SAMPLE_BYTES = 1 << 16  # from the first one beyond ASCII on
MAX_COMPARED_BYTES = 3_000  # of lines beyond ASCII, to compare encodings by
MARGIN = 80  # bytes before the first one beyond ASCII

ASCII = bytes(range(128))
CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
# Also what UTF-8 excludes, such as half a pair of UTF-16.
UTF_8_FORM = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
SURROGATE = re.compile("[\ud800-\udfff]")


def origin_of(data: bytes, format_: str = "text") -> tuple[Origin, tuple[str, ...]]:
    """The decoded file, and notes about its encoding; ``format_`` says where a declaration may stand.

    Raises IngestError when it is binary, or is not in the encoding that its byte-order mark names.
    """
    for bom, encoding in BOMS:
        if data.startswith(bom):
            return _marked(data, bom, encoding), ()
    if CONTROL.search(data, 0, SNIFF_BYTES) and (encoding := _utf_16(data)):
        return Origin(data.decode(encoding), encoding), (f"not UTF-8; read as {shown(encoding)}",)
    if b"\0" in data[:SNIFF_BYTES]:
        raise IngestError("binary file")
    n_high = len(data.translate(None, ASCII))
    source = data.decode("utf-8", "surrogateescape")
    n_invalid = len(data) - len(source.encode("utf-8", "ignore")) if n_high else 0
    labels = declared_labels(data, format_)
    for charset in filter(None, map(charset_of, labels)):
        is_shifting = SHIFTING.fullmatch(charset) and format_ != "email"
        may_be_it = n_invalid or is_shifting or (0 < n_high < 10 and charset in FREQUENT)
        if may_be_it and (origin := _declared(data, charset)):
            return origin, ()
    declared = ""
    # In HTML, "utf-16" in a declaration that can be read as ASCII means UTF-8.
    usual = ("utf-8", "utf-16-le", "utf-16-be") if format_ == "html" else ("utf-8",)
    if labels and format_ != "email" and n_high and charset_of(labels[0]) not in usual:
        is_known = charset_of(labels[0]) is not None
        declared = f"declared as {labels[0]}, {'but is not' if is_known else 'an unknown encoding'}; "
    n_formed = len(data) - len(UTF_8_FORM.sub(b"", data)) if n_invalid else n_high
    n_other = n_high - n_formed
    found = detect(data) if n_formed < 3 * n_other else None
    if n_formed >= (3 if found and found.is_good else 2 / 3) * n_other:
        return Origin(source), (f"{declared}read as UTF-8",) * ("but" in declared)
    encoding, is_sure = (found.encoding, found.is_sure) if found else ("cp1252", False)
    note = f"{declared}not UTF-8; read as {shown(encoding)}{'' if is_sure else ', a guess'}"
    return Origin(data.decode(encoding, "surrogateescape"), encoding), (note,)


def _marked(data: bytes, bom: bytes, encoding: str) -> Origin:
    # A byte in a surrogate can be encoded back into UTF-8, but not into units of two or four bytes.
    errors = "surrogateescape" if encoding == "utf-8" else "strict"
    try:
        return Origin(data[len(bom) :].decode(encoding, errors), encoding, len(bom))
    except UnicodeDecodeError as error:
        raise IngestError(f"marked as {encoding.upper()}, but is not: {error.reason}") from error


def _declared(data: bytes, encoding: str) -> Origin | None:
    """The file in an encoding, or in a wider one of the same name; None where it is not valid in it."""
    for name in (encoding, *STILL_WIDER.get(encoding, ())):
        with suppress(UnicodeDecodeError):
            return Origin(data.decode(name), name)
    return None


# --- names -------------------------------------------------------------------------------------------------

# Only character sets: Python has other codecs with names (zip, punycode, unicode_escape ...).
CHARSET_NAME = re.compile(r"[A-Za-z0-9][\w.:+-]{0,39}", re.ASCII)
CHARSETS = re.compile(
    r"ascii|utf-(?:7|8|16|32)(?:-[lb]e|-sig)?|iso8859-\d+|iso2022_\w+|cp\d+|koi8-[rtu]|gb\w+|hz|big5\w*|euc_\w+"
    r"|shift_jis\w*|johab|mac-\w+|tis-620|ptcp154|kz1048|hp-roman8"
)
# What programs that write the first name mean (https://encoding.spec.whatwg.org, section 4.2); Python refuses
# UTF-16 without a byte-order mark.
WIDER = {
    "ascii": "utf-8", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
    "shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "big5": "cp950",
    "utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le",
}  # fmt: skip
STILL_WIDER = {"cp950": ("big5hkscs",), "euc_jp": ("euc_jis_2004",), "cp932": ("shift_jis_2004",)}
SHIFTING = re.compile(r"utf-7|iso2022_\w+|hz")  # other letters, written as ASCII
LABELS = {  # of browsers, that Python does not know
    "macintosh": "mac-roman", "windows-31j": "cp932", "windows-949": "cp949", "windows-874": "cp874",
    "dos-874": "cp874", "cn-big5": "big5", "unicode-1-1-utf-8": "utf-8", "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "koi": "koi8-r", "koi8": "koi8-r", "koi8-ru": "koi8-u", "mac-ukrainian": "mac-cyrillic",
    "gb_2312": "gb2312", "gb_2312-80": "gb2312",
}  # fmt: skip


def charset_of(name: str) -> str | None:
    """Python's name of a character set; None where neither it nor the browsers' standard knows it."""
    if not CHARSET_NAME.fullmatch(name):
        return None
    short = name.lower().removeprefix("x-").removeprefix("x-")
    for label in (name, LABELS.get(short, short)):
        try:
            found = codecs.lookup(label).name
        except LookupError:
            continue
        return WIDER.get(found, found) if CHARSETS.fullmatch(found) else None
    return None


def shown(encoding: str) -> str:
    """The name of an encoding that users know."""
    usual = {"cp932": "Shift_JIS", "cp949": "EUC-KR", "cp950": "Big5", "mac-roman": "Mac Roman"}
    windows = re.sub(r"^cp(125\d)$", r"Windows-\1", encoding)
    return usual.get(encoding, windows if windows != encoding else encoding.upper().replace("_", "-"))


# --- declarations ------------------------------------------------------------------------------------------

XML = re.compile(rb"""\s{0,99}<\?xml[^>]{0,200}?\sencoding\s{0,9}=\s{0,9}["']([\w.:+-]{1,40})["']""")
META = re.compile(
    rb"""<meta\s[^>]{0,500}?charset\s{0,9}=\s{0,9}["']?\s{0,9}([\w.:+-]{1,40})""", re.IGNORECASE
)
CSS = re.compile(rb'@charset "([\w.:+-]{1,40})";')
MAIL = re.compile(rb"""^(?:Content-Type:|[ \t])[^\r\n]{0,200}?charset="?([\w.:+-]{1,40})""", re.I | re.M)
# In the first two lines of source, as Python (PEP 263), Emacs and Vim read it.
CODING = re.compile(
    rb"^[^\r\n]{0,100}?(?:#|-\*-|\bvim?:|\bex:).{0,200}?(?:coding[:=]|\bfenc=)[ \t]*([\w.-]{1,40})",
    re.MULTILINE,
)
MAX_DECLARED = 20


def declared_labels(data: bytes, format_: str) -> list[str]:
    """The encodings that a file declares in the way of its format, the first first; a mail has many."""
    head = data[:SNIFF_BYTES]
    if format_ == "email":
        found = list(dict.fromkeys(MAIL.findall(data)))[:MAX_DECLARED]
    else:
        declared = XML.match(head) or CSS.match(head)
        if format_ == "html":
            declared = declared or META.search(head)
        elif format_ in ("code", "text"):
            declared = declared or CODING.search(b"\n".join(head.splitlines()[:2]))
        found = [declared[1]] if declared else []
    # Emacs adds the line breaks: latin-1-unix.
    return [re.sub("-(unix|dos|mac)$", "", label.decode("ascii", "replace")) for label in found]


# --- detection ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Detected:
    """An encoding, whether no other is nearly as likely, and whether the text is spelt as in a language."""

    encoding: str
    is_sure: bool
    is_good: bool = True


# The letters beyond ASCII of languages, the frequent ones first, and frequent words in ASCII.
LANGUAGES = {
    "éàèêçâîôûùëïœüæÿ": "le la les de des et un une est que pour dans",
    "üäößé": "der die das und ist nicht ein eine mit von zu den",
    "óíáéñúü": "el la los las de que y en un una por con para",
    "ãçáéóíõêâúàôü": "o a os as de que e do da em um uma para com",
    "èàùòéìî": "il la le di che e un una per non con del in",
    "äåöéü": "och att det som en ett av med den inte till om",
    "äöå": "ja on ei se joka tai oli kun voi ovat",
    "øåæéôò": "og at det som en et af av til ikke med den er",
    "ëéïöüè": "de het een en van is dat niet te op in",
    "íáéěřýčžšůúťňóď": "a se v na je s z o k do pro ale jako",
    "áíéčýžšúľťôóňďäŕĺ": "a sa v na je s z o k do pre ako nie",
    "óężąśłćńź": "i w na z do nie to jest o jak po dla",
    "áéöóőüíúű": "a az hogy nem egy is van ez meg de",
    "čšžćđ": "i u je na se da za su in v ki so od",
    "ăîâțșţş": "de la a cu pe nu este un o care din",
    "ıüşğöçİâ": "ve bir bu da de ile ne olarak daha",
    "оеаинтсрвлкмдпуяызьбгчйхжюшцщэфёъ": "",
    "оаинвеіртслкдумпязбьгчйхїцюєшжщґф": "",
    "аоиетнрвслкдпмзбуъягчцжщшйхюфь": "",
    "αοιετσνηυρπκμλςωάίόδέγύχήθφώβξζψϊϋΐΰ": "",
    "יוהלאתרבמשנדעקחםפכטזגןצסךףץ": "",
    "اليمونرتبةعدسفهكقحجأشطصخإىذزضثئغءظؤآ": "",
    "ารนอกเง่มยล้วดัทสตะปิบคหีแจพชขใืไุู็์โผศำธณถซึญ": "",
}
WEIGHTS = {
    letters: {letter: 1 - place / len(letters) / 4 for place, letter in enumerate(letters)}
    for letters in LANGUAGES
}
ALPHABETS = ("cp1252", "cp1250", "cp1251", "koi8-r", "koi8-u", "mac-roman", "cp437", "cp850", "cp866",
             "cp1254", "iso8859-2", "cp1253", "mac-cyrillic", "iso8859-5", "cp852", "cp1255", "cp1256",
             "iso8859-6", "cp874")  # fmt: skip
# Characters beside the letters that prose has, and those that may stand between two letters.
TYPOGRAPHY = frozenset("\xa0–—…«»„“”‘’°§€£©®·¿¡№™•ªº\u2011")
IN_WORDS = frozenset("’·\xa0\u2011")
IN_CONTEXT = re.compile("(?<=(.))([^\0-\x7f])(?=(.))", re.DOTALL)
# The two bytes of the frequent characters of East Asian encodings: punctuation, and what their standards list
# first (JIS X 0208 with kana, KS X 1001 hangul, GB 2312 and Big5 level 1); the narrower range first.
FREQUENT = {
    "cp949": re.compile(rb"[\xa1\xa3\xb0-\xc8][\xa1-\xfe]"),
    "euc_jp": re.compile(rb"[\xa1\xa3-\xa5\xb0-\xcf][\xa1-\xfe]"),
    "cp932": re.compile(rb"[\x81-\x83\x88-\x97].|\x98[\x40-\x72]", re.DOTALL),
    "gb18030": re.compile(rb"[\xa1\xa3\xb0-\xd7][\xa1-\xfe]"),
    "cp950": re.compile(rb"[\xa1-\xc6]."),
}
NOT_ASCII = re.compile(rb"[\x80-\xff]")
GOOD_SCORE = 0.75
FAIR_SCORE = 0.3
OTHERS = ("cp1255", "cp1256", "cp1257", "cp1258", "cp874", "iso8859-6", "iso8859-8")


def detect(data: bytes) -> Detected | None:
    """The most likely encoding of a text that is not UTF-8; None where none fits."""
    sample = _sample(data)
    words = Counter(re.findall(r"(?<![^\s])[a-z]+(?![^\s])", sample.decode("ascii", "replace").lower()))
    frequent = {letters: sum(words[word] for word in common.split()) for letters, common in LANGUAGES.items()}
    most = max(1, *frequent.values())
    hints = {letters: n / most / 5 for letters, n in frequent.items()}
    scores: dict[str, tuple[float, str]] = {}  # of each different text the first encoding
    for encoding in ALPHABETS:
        text = sample.decode(encoding, "surrogateescape")
        if text not in scores:
            scores[text] = _score(text, hints), encoding
    for encoding in FREQUENT:
        text = sample.decode(encoding, "surrogateescape")
        scores.setdefault(text, (_east_asian_score(text, encoding), encoding))
    (best, encoding), (second, _), *_ = sorted([*scores.values(), (-1.0, "")], key=lambda found: -found[0])
    margin = best - second
    if best >= GOOD_SCORE:
        return Detected(encoding, margin >= 0.1 or margin * len(sample.translate(None, ASCII)) >= 4)
    found = _by_library(sample)
    if (found and found.is_good) or best < FAIR_SCORE:
        return found
    usual, _ = scores[sample.decode("cp1252", "surrogateescape")]  # the most used
    return Detected(
        "cp1252" if best - usual < 0.1 else encoding, margin >= 0.1 or best - usual < 0.1, is_good=False
    )


def _sample(data: bytes) -> bytes:
    """Lines with bytes beyond ASCII, each from the first of them on."""
    found = NOT_ASCII.search(data)
    begin = max(found.start() - MARGIN, 0) if found else 0
    lines = data[begin : begin + SAMPLE_BYTES].split(b"\n")
    spans = ((line, NOT_ASCII.search(line)) for line in lines)
    sample = b"\n".join(line[max(first.start() - MARGIN, 0) :] for line, first in spans if first)
    part = sample[:MAX_COMPARED_BYTES]
    if len(part) == len(sample):
        return sample
    # No character of several bytes has one of these.
    cut = part[: max(map(part.rfind, (b" ", b"\n", b"\r", b"<", b",")))]
    return part if cut.isascii() else cut


def _score(text: str, hints: dict[str, float]) -> float:
    """How well the characters beyond ASCII fit the spelling of one language, about 1 for a text in it.

    A letter counts less the rarer it is.  A letter of another language, a capital after a small letter, a
    letter of another script than its neighbours', and a sign inside a word count against the text; a capital
    after another does a little.
    """
    signs, letters = 0.0, Counter[str]()
    contexts = Counter(IN_CONTEXT.findall(f" {text} "))
    for (before, character, after), n in contexts.items():
        if not (character.isalpha() or unicodedata.category(character) == "Mn") or character in "ªº":
            is_inside = before.isalpha() and after.isalpha() and character not in IN_WORDS
            signs += n * (0.7 if character in TYPOGRAPHY and not is_inside else -1)
        elif (before.islower() and character.isupper()) or _is_other_script(character, before + after):
            signs -= n
        else:
            letters[character.lower()] += n
            signs -= n / 40 * (before.isupper() and character.isupper())
    best = max(
        hint + sum(n * WEIGHTS[language].get(letter, -1) for letter, n in letters.items()) / contexts.total()
        for language, hint in hints.items()
    )
    return best + signs / contexts.total()


def _is_other_script(letter: str, neighbours: str) -> bool:
    return letter >= "\u0370" and any(other.isalpha() and other < "\u0370" for other in neighbours)


def _east_asian_score(text: str, encoding: str) -> float:
    """The share of frequent characters beyond ASCII, less that of invalid bytes and of those in words."""
    score = n_characters = 0.0
    for (before, character, _), n in Counter(IN_CONTEXT.findall(f" {text} ")).items():
        is_frequent = FREQUENT[encoding].fullmatch(character.encode(encoding, "surrogateescape"))
        is_in_word = before.isascii() and before.isalpha()
        score += n * ((is_frequent is not None) - (SURROGATE.match(character) is not None) - 0.7 * is_in_word)
        n_characters += n
    return score / n_characters


def _by_library(sample: bytes) -> Detected | None:
    from charset_normalizer import from_bytes

    names = [name.replace("-", "_") for name in (*FREQUENT, *OTHERS)]
    best = from_bytes(sample, cp_isolation=names, preemptive_behaviour=False).best()
    if best is None:
        return None
    has_words = best.coherence > 0
    return Detected(codecs.lookup(best.encoding).name, has_words and best.chaos < 0.05, has_words)


def _utf_16(data: bytes) -> str:
    """The byte order of UTF-16 without a mark; "" where the file is not a text in it."""
    found = []
    for encoding in ("utf-16-le", "utf-16-be") if len(data) % 2 == 0 and len(data) >= 8 else ():
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        text = text[:SAMPLE_BYTES]
        kinds = Counter(unicodedata.category(character) for character in text)
        n_controls = kinds["Cc"] - len(re.findall("[\t\n\f\r\x1b]", text))
        n_words = sum(n for kind, n in kinds.items() if kind[0] in "LMZ")
        if not (n_controls or kinds["Cn"] or kinds["Co"]) and n_words * 10 >= len(text) * 6:
            pages = Counter(ord(character) >> 8 for character in text)
            n_usual = len(re.findall("[ -~\n\r、。，的]", text))
            if n_usual or max(pages.values()) * 10 >= len(text) * 6:
                found.append((len(pages) - n_usual, encoding))
    return min(found)[1] if found else ""
