"""Whether a value looks like a password or a token: the value alone goes in, yes or no comes out.

Where values stand in a text is left to `secrets`.
"""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from itertools import pairwise
from urllib.parse import unquote

LEAST = 8  # characters; a shorter part of a secret may be a common word
PLACEHOLDER = re.compile(
    r"example|sample|change|placeholder|dummy|your|redacted|x{4}|1234567|abcdef|qwerty|0{4}|\*{3}",
    re.IGNORECASE,
)
LEET = str.maketrans("013457@$!", "oieastasi")  # "P4$$w0rd" is a word too
COMMON = re.compile(r"pass|pw|secret|admin|welcome|hunter|letmein|login|user|test|root|guest|foo|abc")
NO_PASSWORD = re.compile(r"[$%{<\[!&*~./-]")  # a variable, a template, a tag, an option or a path
TEMPLATE = re.compile(r"[$%{\[]|[^{]*\{[^}]*\}|[\w.]+\(")  # so is a call, in an address
DOTTED = re.compile(r"\w+(?:[./]\w+)+")
PLAIN = re.compile(r"\w+")
NUMBER_IN_WORD = re.compile("[0-9][a-z]")
PART = re.compile(r"[-_./ +]+")
PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
PRONOUNCEABLE = re.compile("(?=.*[aeiouy])(?!.*[b-df-hj-np-tv-xz]{5})", re.IGNORECASE)
MAX_DIGITS = 5  # of a number in a name: X509, Rsa2048, Ed25519
WORDS = re.compile(r"[A-Z][a-z]{3,}|[a-z]{4,}|[A-Z]{5,}")
NUMBERS = re.compile(r"(?<=[A-Za-z])[0-9]+|[0-9]+(?=[A-Za-z])")
MAX_PASSWORD = 24  # characters
LONG = 16  # characters, of a generated value
LEAST_ENTROPY = 3.0  # bits a character; sixteen random hexadecimal digits have 3.2
LEAST_TURNS = 0.25  # of letters to digits, of small to capital, per character; 0.47 among hexadecimal digits


def is_password(value: str) -> bool:
    """Whether the value after the name of a password looks like a real one, random or chosen."""
    return is_random(value) or (len(value) <= MAX_PASSWORD and _is_strong(value.rstrip(".")))


def is_password_in_address(value: str) -> bool:
    """Whether the password in an address is a real one: no word, template or common value."""
    if is_random(value):
        return True
    if TEMPLATE.match(value) or not value.isascii() or _is_common(value):
        return False
    plain = unquote(value)
    is_like_words = PLAIN.fullmatch(PART.sub("", plain)) and not NUMBER_IN_WORD.search(plain)
    return not is_like_words or _share_of_words(plain, least=3) < 0.75


def is_random(value: str) -> bool:
    """Whether the value looks generated: letters and digits alternate often, and make no words."""
    if len(value) < LONG or PLACEHOLDER.search(value) or sum(map(str.isdigit, value)) < 2:
        return False
    n_in_words = sum(map(len, WORDS.findall(value)))
    is_strewn = len(NUMBERS.findall(value)) >= max(4, len(value) / 8)  # with digits, as no words are
    is_name = DOTTED.fullmatch(value) and _share_of_words(value, least=3) >= 0.6  # ed25519.PrivateKey
    if is_name or (n_in_words > len(value) / 2 and not is_strewn):
        return False
    kinds = "".join(map(_kind, value))
    turns = sum(a != b for a, b in pairwise(kinds) if "-" not in (a, b))
    return (is_strewn or turns >= LEAST_TURNS * len(value)) and _entropy(value) >= LEAST_ENTROPY


def is_token(value: str) -> bool:
    """Whether what follows the beginning of a maker's token looks like one: no words, and random enough."""
    n_digits = sum(map(str.isdigit, value))
    has_both = n_digits >= 2 and n_digits + 2 < len(value)
    return (
        has_both
        and not PLACEHOLDER.search(value)
        and _entropy(value) >= LEAST_ENTROPY
        and (is_random(value) or _share_of_words(value, least=4) < 0.5)
    )


def is_no_placeholder(value: str) -> bool:
    """Whether the value of a shape that only secrets have is none of a manual."""
    return not PLACEHOLDER.search(value)


def has_password(value: str) -> bool:
    """Whether it is the base64 of a user's name, a colon and a password."""
    try:
        decoded = base64.b64decode(value + "=" * (-len(value) % 4)).decode()
    except ValueError:
        return False
    _, colon, password = decoded.partition(":")
    return (
        bool(colon) and decoded.isprintable() and len(password) >= LEAST and is_password_in_address(password)
    )


def _is_strong(value: str) -> bool:
    """Whether a short value is a password: no word, no name in code and no placeholder.

    Letters and digits alternate three times, or it has three kinds of characters and few words, or all four.
    """
    if NO_PASSWORD.match(value) or _is_common(value) or _is_name(value):
        return False
    kinds = {*map(_kind, value)} - {"-"}
    is_mixed = len(kinds) >= 3 and "1" in kinds and _share_of_words(value, least=4) < 0.5
    return len(NUMBERS.findall(value)) >= 3 or is_mixed or len(kinds) == 4


def _is_common(value: str) -> bool:
    """Whether it is a placeholder, or a good part of it is what many passwords are."""
    n_common = sum(map(len, COMMON.findall(value.lower().translate(LEET))))
    return bool(PLACEHOLDER.search(value)) or n_common >= len(value) / 4


def _is_name(value: str) -> bool:
    """Whether it may be a name in code: Base64String, X509Cert2, self.p2p.V1x."""
    is_one = PLAIN.fullmatch(value) and len(NUMBERS.findall(value)) < 3
    return bool(is_one or DOTTED.fullmatch(value)) and _share_of_words(value, least=4) >= 0.5


def _share_of_words(value: str, *, least: int) -> float:
    """The share of the letters in pronounceable words of at least so many letters; 0 with a long number."""
    n_letters = n_in_words = 0
    for part in PART.split(value):
        pieces = PIECE.findall(part)
        words = [piece for piece in pieces if piece.isalpha()]
        if any(len(piece) > MAX_DIGITS for piece in pieces if piece.isdigit()):
            return 0
        n_letters += sum(map(len, words))
        # Capitals among other letters are an abbreviation.
        words = [word for word in words if len(words) == 1 or not word.isupper()]
        n_in_words += sum(len(word) for word in words if len(word) >= least and PRONOUNCEABLE.match(word))
    return n_in_words / n_letters if n_letters else 1


def _kind(character: str) -> str:
    if character in "_-./:":
        return "-"  # separators say nothing
    if character.isdigit():
        return "1"
    if character.isalpha():
        return "A" if character.isupper() else "a"
    return "!"


def _entropy(value: str) -> float:
    """Bits a character, by how often each occurs in the value."""
    counts = Counter(value).values()
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
