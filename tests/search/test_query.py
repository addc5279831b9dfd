from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minisearch.errors import InputError
from minisearch.results import Query
from minisearch.search.query import checked_query, is_number, literal_query, parse_query


def test_a_phrase_is_required_and_stays_in_the_text() -> None:
    assert parse_query('bread  "sour  dough" rises') == Query("bread sour dough rises", ("sour dough",))


def test_a_word_after_a_minus_is_excluded_and_leaves_the_text() -> None:
    assert parse_query('bread -rye flour -"spelt  flour"') == Query(
        "bread flour", excluded=("rye", "spelt flour")
    )


def test_concepts_steer_by_their_weight() -> None:
    query = parse_query('bread +crust +"wood oven"^0.5 -sugar^2 -"white flour"^.25')
    steers = (("crust", 1.0), ("wood oven", 0.5), ("sugar", -2.0), ("white flour", -0.25))
    assert query == Query("bread", steers=steers)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("276098106512345", True),
        ("040 / 669 12-70", True),
        ("DE89 3704 0044", True),
        ("INV-2024-0031", True),
        ("12.03.2024", True),
        ("٠٤٠ ٦٦٩", True),
        ("python3", False),
        ("call 040 669", False),
        ("5 apples", False),
        ("- / -", False),
        ("", False),
    ],
)
def test_a_number_is_a_text_whose_every_word_is_mostly_digits(text: str, expected: bool) -> None:
    assert is_number(text) is expected


def test_steers_alone_are_a_query() -> None:
    assert parse_query("+bread -sugar^1") == Query("", steers=(("bread", 1.0), ("sugar", -1.0)))


@pytest.mark.parametrize(
    "text",
    [
        "minisearch query --all",
        "ls -v",
        "x^3 -x^2 +y",
        "state-of-the-art e-mail",
        "10 - 5",
        "warmer than -5 or +3",
        "+49 170 1234567",
        "-40°C",
        "c++ g++ - +",
        "a -> b :-) -.- +1",
        "-",
        "+",
        'a 12" pipe and a 15" pipe',
        "don't ask O'Neill 'single quoted'",
        'an "open quotation',
        '-"open',
        "«open",
        "Settings » Network » Proxy",
        "a«b»c",
        "pages 3–5 — see",
        "2^10 foo^2",
        "東京-大阪 の 「発酵」",
        "naïve café",
        "-ö +я",
    ],
)
def test_what_is_no_operator_stays_as_it_was(text: str) -> None:
    assert parse_query(text) == Query(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“sour dough” rises", Query("sour dough rises", ("sour dough",))),
        ("« sour dough » rises", Query("sour dough rises", ("sour dough",))),
        ("„Guten Tag“ „Tak“ »hej«", Query("Guten Tag Tak hej", ("Guten Tag", "Tak", "hej"))),
        ("„a „b c“", Query("„a b c", ("b c",))),
        ("＂a b＂ c", Query("a b c", ("a b",))),
        ('猫"東京タワー"の写真', Query("猫東京タワーの写真", ("東京タワー",))),
        ("猫\u3000－犬\u3000＋鳥＾０．５", Query("猫", (), ("犬",), (("鳥", 0.5),))),
        ('("a b")', Query("(a b)", ("a b",))),
        ('"Linux"issa', Query("Linuxissa", ("Linux",))),
        ('x-"y z"', Query("x-y z", ("y z",))),
        ('"-v" option', Query("-v option", ("-v",))),
        ('ls -"v"', Query("ls", (), ("v",))),
        ("ls -la", Query("ls", (), ("la",))),
        ("rm -rf build", Query("rm build", (), ("rf",))),
        ("grep -P2P -__init__", Query("grep", (), ("P2P", "__init__"))),
        ("bread, -rye, -wheat.", Query("bread,", (), ("rye", "wheat"))),
        ("bread -rye -rye", Query("bread", (), ("rye",))),
        ('"a b" "a b"', Query("a b a b", ("a b",))),
        ('bread "" rises', Query("bread rises")),
        ('bread "->" rises', Query("bread -> rises")),
        ('bread -"..." +"" rises', Query("bread rises")),
        ('"a b"^2', Query("a b^2", ("a b",))),
        ("bread +crust^0.5.", Query("bread", steers=(("crust", 0.5),))),
        ("a\tb\n\nc", Query("a b c")),
        ("half a \ud83d character", Query("half a ? character")),
    ],
)
def test_operators_in_many_hands(text: str, expected: Query) -> None:
    assert parse_query(text) == expected


@pytest.mark.parametrize("text", ["", "  \n", '""', '-""', "“ ”"])
def test_nothing_is_no_query(text: str) -> None:
    with pytest.raises(InputError, match="the query is empty: say what you are looking for"):
        parse_query(text)


@pytest.mark.parametrize("text", ["-rye", '-"sour dough" -rye', "-rye^0.5", "-rye -sugar^2"])
def test_leaving_out_alone_is_no_query(text: str) -> None:
    with pytest.raises(InputError, match=r"only says what to leave out \(.*rye.*\): add what"):
        parse_query(text)


@pytest.mark.parametrize(
    "operator", ["+a1^", "+crust^x", "+crust^0,5", "+crust^0", "-crust^10.01", "+crust^1e400", '+"a b"^-1']
)
def test_a_weight_is_a_number_in_bounds(operator: str) -> None:
    with pytest.raises(InputError, match=r"above 0 and at most 10, such as \+concept\^0\.5, got"):
        parse_query(f"bread {operator} rises")


def test_a_literal_query_keeps_every_character() -> None:
    text = ' "a b" -c  +d^2\n'
    assert literal_query(text) == Query(text)
    with pytest.raises(InputError, match="the query is empty"):
        literal_query(" ")


@pytest.mark.parametrize("parse", [parse_query, literal_query])
def test_only_a_text_is_a_query(parse: object) -> None:
    assert callable(parse)
    with pytest.raises(InputError, match="expected a query, a text, got bytes"):
        parse(b"bread")


@pytest.mark.parametrize("weight", [math.inf, -math.inf, math.nan, 0, 10.01, 10**400, "1", None])
def test_a_callers_weight_is_a_number_in_bounds_too(weight: object) -> None:
    query = Query("bread", steers=(("crust", 1.0), ("oven", weight)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"oven.*expected a weight from -10 to 10, not 0, got"):
        checked_query(query)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Query(3), "text is 3: expected a text"),
        (Query("bread", required=("sour dough", 3)), "required holds 3: expected a text"),
        (Query("bread", excluded=(None,)), "excluded holds None: expected a text"),
        (Query("bread", required="rye"), "required is 'rye': expected a tuple of texts"),
        (Query("bread", excluded=3), "excluded is 3: expected a tuple of texts"),
        (
            Query("bread", steers=(("crust",),)),
            r"steers holds \('crust',\): expected a concept and its weight",
        ),
        (Query("bread", steers="crust"), "steers is 'crust': expected a tuple of pairs"),
        (Query("bread", steers=((3, 1.0),)), "steers holds 3: expected a text"),
        (Query("", excluded=("rye",)), "only says what to leave out"),
        ("bread", "expected a query, a text or a Query, got str"),
    ],
)
def test_a_callers_query_is_checked_where_it_enters(query: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked_query(query)  # type: ignore[arg-type]


def test_a_callers_query_that_makes_sense_comes_back() -> None:
    steers = (("crust", 0.5), ("sugar", -10), ("oven", np.float32(2)))
    query = Query("bread", ("sour dough",), ("rye",), steers)  # type: ignore[arg-type]
    assert checked_query(query) == query


def test_a_callers_halves_of_characters_are_replaced_like_a_terminals() -> None:
    halves = Query("a\ud83d", ("b\ud83d",), ("c\ud83d",), (("d\ud83d", 1.0),))
    assert checked_query(halves) == Query("a?", ("b?",), ("c?",), (("d?", 1.0),))


@pytest.mark.parametrize("mark", ['"', "“", "„", "«", "»", "+", '-"', " +“", "+ab^", "-ab ", "-a"])
def test_a_page_full_of_marks_is_read_at_once(mark: str) -> None:
    try:
        parse_query(mark * 100_000)
    except InputError as error:
        assert len(str(error)) < 1_000


HOSTILE = st.text(st.sampled_from('ab5 -+^"“”„«»＂－＋＾.0猫\n\ud800\u3000_'), max_size=30)


@settings(deadline=None)
@given(st.text() | HOSTILE)
@example('"')
@example('"" -a')
def test_any_text_is_a_query_or_a_clear_error(text: str) -> None:
    try:
        query = parse_query(text)
    except InputError:
        return
    assert query.text == " ".join(query.text.split())
    assert query.text or query.steers
    for phrase in query.required:
        assert phrase in query.text
    for phrase in (*query.required, *query.excluded, *(concept for concept, _ in query.steers)):
        assert any(character.isalnum() for character in phrase)


@settings(deadline=None)
@given(st.text())
def test_a_text_without_marks_comes_back(text: str) -> None:
    text = re.sub('["＂“”„«»+＋－-]', "", text)
    if text.strip():
        whole = text.encode("utf-8", "replace").decode()
        assert parse_query(text) == Query(" ".join(whole.split()))
