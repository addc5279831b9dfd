"""Words by which a passage is found besides those in it: parts of compound names, numbers, the file's name.

A text or the path of a file comes in, words come out that a store indexes beside the text.  A query looks
numbers up in the same forms (`search.words`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from minisearch.text import normalised_words

N_FOLDERS = 3  # above a file: their names are searched too

_PART = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+|\d+")
_ASCII_WORD = re.compile(r"[A-Za-z\d]{3,60}")
_COMPOUND = re.compile(r".*(?:[a-z][A-Z]|[A-Z]{2}[a-z]{2}).*|[A-Za-z]{1,8}\d{3,20}")
_VERSION = re.compile(r"[vV](?<![^\W_].)(\d+(?:\.\d+)+)(?!\w)")
# Spaces that may stand within a number, and the signs between its groups.
_SPACE = "[ \u00a0\u2009\u202f]"
_SIGN = rf"(?:{_SPACE}?[-\u2010\u2011/()]{{1,2}}{_SPACE}?|{_SPACE}|\.|[,'’](?=\d{{3}}(?!\d)))"
_NUMBER = re.compile(rf"(?<![\w.,:-])(?:\+{_SPACE}?)?\(?\d+(?:{_SIGN}(?:\d+|X)(?![\w:]))*(?![\w:])")
_IBAN = re.compile(
    rf"[A-Z]{{2}}\d\d(?<!\w.{{4}})(?:(?:-|{_SPACE})[A-Z\d]{{4}}){{2,7}}(?:(?:-|{_SPACE})[A-Z\d]{{1,3}})?(?!\w)"
)
_COUNTRY_CODE = re.compile(  # ITU-T E.164
    r"\A(?:1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{3})"
)
FEWEST_DIGITS, MOST_DIGITS, MOST_IN_PHONE = 7, 34, 17
_THOUSANDS = re.compile(rf"([1-9]\d{{0,2}}(?:({_SPACE}|[.,'’])\d{{3}})(?:\2\d{{3}})*)(?:[.,]\d\d?)?")

_MONTHS = [  # in English, German, French and Spanish
    r"jan(?:uary|uar|vier)?|j[äa]nner|enero",
    r"feb(?:ruary|ruar|rero)?|f[ée]vr(?:ier)?",
    r"mar(?:ch|s|zo)?|m[äa]rz",
    r"apr(?:il)?|avr(?:il)?|abr(?:il)?",
    r"may|mai|mayo",
    r"june?|juni|juin|junio",
    r"july?|juli|juil(?:let)?|julio",
    r"aug(?:ust)?|ao[ûu]t|agosto",
    r"sep(?:t(?:ember|embre|iembre)?)?",
    r"o[ck]t(?:ober|obre|ubre)?",
    r"nov(?:ember|embre|iembre)?",
    r"de[cz](?:ember)?|d[ée]c(?:embre)?|dic(?:iembre)?",
]
_MONTH, _DAY, _YEAR = rf"({'|'.join(_MONTHS)})", "([0-3]?[0-9])", "((?:1[5-9]|2[01])[0-9]{2})"
_HAS_YEAR = re.compile(rf"(?<![0-9]){_YEAR}(?![0-9])")  # most texts have none, and need no second look
_DAY_IN_WORDS, _GAP = rf"{_DAY}(?:st|nd|rd|th|er|º)?", r"[\s.,_-]{1,3}(?:(?:of|de|del)\s)?"
_DATE = re.compile(
    rf"""(?<![^\W_])(?<!\d[.,:/-])(?:
        {_DAY_IN_WORDS}{_GAP}{_MONTH}{_GAP}{_YEAR} | {_MONTH}{_GAP}{_DAY_IN_WORDS}{_GAP}{_YEAR}
      | {_YEAR}{_GAP}{_MONTH}{_GAP}{_DAY} | {_DAY}[./-]([01]?[0-9])[./-]{_YEAR}
      | {_YEAR}[./-]([01]?[0-9])[./-]{_DAY}
    )(?:(?=T[0-9])|(?![^\W_]|[./-][0-9]))""",
    re.VERBOSE | re.IGNORECASE,
)


def further_words(text: str) -> str:
    """Words by which a text is found besides its own: parts of names and versions, numbers without signs.

    >>> further_words("HTTPSConnectionPool: call +44 (0)20 7946 0018, ISBN 978-3-16-148410-0")
    'HTTPS Connection Pool 442079460018 2079460018 9783161484100'
    """
    words = dict.fromkeys(_ASCII_WORD.findall(text))
    names = [word for word in words if not (word.islower() or word.istitle()) and _COMPOUND.fullmatch(word)]
    numbers = (form for number, forms in numbers_in(text) for form in forms if form != number)
    parts = [part for name in names for part in _parts(name)]
    return " ".join([*parts, *dict.fromkeys([*_VERSION.findall(text), *numbers])])


def numbers_in(text: str) -> Iterator[tuple[str, list[str]]]:
    """Dates, telephone numbers, and numbers in groups, each with the forms in which they are compared.

    The form of a date is 20260314, that of a number its digits; a telephone number has one without the code
    of the country and the zero too: people write one number with and without them.
    """
    for date in _DATE.finditer(text) if _HAS_YEAR.search(text) else ():
        yield date[0], _forms_of_date(date)
    for number in _IBAN.findall(text):
        yield number, [re.sub(r"\W", "", number)]
    for number in _NUMBER.findall(text):
        if thousands := _THOUSANDS.fullmatch(number):
            yield thousands[1], [re.sub(r"\D", "", thousands[1])]
        else:
            yield number, [form for form in _forms(number) if FEWEST_DIGITS <= len(form) <= MOST_DIGITS]


def _forms_of_date(date: re.Match[str]) -> list[str]:
    """The form of a date; two where the month of 3/4/2026 may be either number."""
    one, two, three = (part for part in date.groups() if part)
    if one.isdigit() and len(one) == len("2026"):
        year, pairs = one, [(two, three)]
    elif not two.isdigit() or "." in date[0]:
        year, pairs = three, [(two, one)]
    else:
        year, pairs = three, [(one, two), (two, one)]
    if not one.isdigit():
        pairs = [(one, two)]
    days = dict.fromkeys((_month(month), int(day)) for month, day in pairs if day.isdigit())
    return [f"{year}{month:02}{day:02}" for month, day in days if 1 <= month <= 12 and 1 <= day <= 31]


def _month(text: str) -> int:
    """The number of a month; 0 if it is none."""
    names = (n for n, names in enumerate(_MONTHS, start=1) if re.fullmatch(names, text, re.IGNORECASE))
    return int(text) if text.isdigit() else next(names, 0)


def _forms(number: str) -> list[str]:
    groups = re.findall(r"\d+|X", number)
    digits = "".join(groups)
    if number[0] in "+0(" and groups[0] != "0" and len(digits) <= MOST_IN_PHONE:
        if number[0] != "+" and not digits.startswith("00"):
            return [digits, digits.removeprefix("0")] if digits[0] == "0" else [digits]
        digits = digits.lstrip("0")
        after_code = _COUNTRY_CODE.sub("", digits)
        national = after_code.lstrip("0")
        return [digits.removesuffix(after_code) + national, national]
    signs = set(re.findall(r"[^\dX]+", number))
    return [digits] if len(signs) == 1 and len(groups) > 1 + (signs == {"."}) else []


def words_of_name(path: str) -> str:
    """The words in the name of a file and of the folders above it, compound ones whole and in parts.

    >>> words_of_name("bills/acmeInvoice_2025-03-04.txt")
    'bills acmeInvoice acme Invoice 2025 03 04 txt 20250304'
    """
    names = " ".join(path.split("/")[-1 - N_FOLDERS :])
    words = [part for word in normalised_words(names) for part in dict.fromkeys((word, *_parts(word)))]
    forms = dict.fromkeys(form for _, forms in numbers_in(names.replace("_", " ")) for form in forms)
    return " ".join([*words, *forms])


def _parts(word: str) -> list[str]:
    """The parts of a word that begin with a capital or a digit after other letters; none of a simple word."""
    parts = _PART.findall(word)
    return parts if len(parts) > 1 and "".join(parts) == word else []
