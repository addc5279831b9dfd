"""Filters: what makes no sense is refused, and the text form is parsed as written."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timezone
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minisearch.errors import InputError
from minisearch.filters import (
    And,
    Before,
    Contains,
    Extension,
    Field,
    Filter,
    Language,
    Not,
    Or,
    Path,
    Since,
    check_fields,
    parse_where,
)


@pytest.mark.parametrize("condition", [Path, Extension, Language, Contains])
@pytest.mark.parametrize("given", [None, 3, b"md", ["md"], datetime(2024, 1, 1), Extension("md")])
def test_what_should_be_a_text_is_one(condition, given):
    with pytest.raises(InputError, match=rf"{condition.__name__}: expected a text, got "):
        condition(given)


@pytest.mark.parametrize("condition", [Since, Before])
@pytest.mark.parametrize("given", [None, "2024", "2024-01-01", 1_700_000_000, date(2024, 1, 1)])
def test_a_moment_is_a_datetime_and_the_error_shows_one(condition, given):
    with pytest.raises(InputError) as error:
        condition(given)
    message = str(error.value)
    assert message.startswith(
        f"{condition.__name__}: expected a datetime such as datetime(2024, 1, 31), got "
    )
    assert message.endswith(repr(given))


@pytest.mark.parametrize("given", [None, (), ["a"], date(2024, 1, 1), Decimal(1), 1j, np.int64(3), b"x"])
def test_a_field_is_compared_with_a_text_a_number_or_a_truth_value(given):
    with pytest.raises(InputError, match=r"author = .*: expected a text, a number, True or False"):
        Field("author", "=", given)


@pytest.mark.parametrize("given", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_a_field_is_not_compared_with_what_is_no_finite_number(given):
    with pytest.raises(InputError, match=r"year < .*: expected a finite number"):
        Field("year", "<", given)


@pytest.mark.parametrize("operator", ["like", "", "==", "CONTAINS", None, 3, ["="]])
def test_an_unknown_comparison_is_refused_with_those_there_are(operator):
    with pytest.raises(InputError, match="expected one of = != < <= > >= contains, got "):
        Field("a", operator, "x")


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "contains"])
def test_a_truth_value_is_equal_or_not(operator):
    with pytest.raises(InputError, match=f"draft {operator} True: true and false take only = and !="):
        Field("draft", operator, True)


@pytest.mark.parametrize("name", [None, 3, b"author"])
def test_the_name_of_a_field_is_a_text(name):
    with pytest.raises(InputError, match="Field: expected the name of a field, a text, got "):
        Field(name, "=", "x")


@pytest.mark.parametrize("part", ["x = 1", None, ("a",), Extension])
@pytest.mark.parametrize(
    "join",
    [
        Not,
        lambda part: And((Extension("md"), part)),
        lambda part: Or((part,)),
        lambda part: Extension("md") & part,
        lambda part: Extension("md") | part,
    ],
)
def test_only_conditions_are_joined(join, part):
    with pytest.raises(InputError, match=r"expected a condition of minisearch\.filters, got "):
        join(part)


@pytest.mark.parametrize("join", [And, Or])
@pytest.mark.parametrize("given", [None, Extension("md"), [Extension("md")], "md"])
def test_the_parts_of_a_condition_are_a_tuple(join, given):
    with pytest.raises(InputError, match=f"{join.__name__}: expected a tuple of conditions, got "):
        join(given)


def test_an_error_shows_only_the_beginning_of_what_was_given():
    with pytest.raises(InputError) as error:
        Path(["x" * 100_000])
    assert len(str(error.value)) < 200


def test_what_makes_sense_is_kept_as_it_was_given():
    moment = datetime(2024, 1, 31, tzinfo=timezone.utc)
    assert Since(moment).moment is moment
    assert Field("", "contains", 10**5_000).value == 10**5_000
    assert Field("year", "=", np.float64(1.5)).value == 1.5
    assert Path("").pattern == ""
    assert And(()).parts == Or(()).parts == ()
    either: Filter = Path("a") & Extension("md") | ~Contains("x")
    assert either == Or((And((Path("a"), Extension("md"))), Not(Contains("x"))))


# --- the text form ---


def field(name, operator="=", value="1"):
    return Field(name, operator, value)


A, B, C = (Field(name, "=", 1.0) for name in "abc")


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("text, expected, caret_at", [
    ("", "expected the name of a field, as in: author = x, got the end", 0),
    ("   ", "expected the name of a field", 3),
    ("author", "expected =, !=, <, <=, >, >= or contains after author, got the end", 6),
    ("author is x", "contains after author, got 'is'", 7),
    ("author = ", "a value after =: a word, a number, true, false, or a text in quotes, got the end", 9),
    ("author == x", "expected a value after =", 8),
    ("author = and b = 1", "expected a value after =.*got 'and'", 9),
    ("author <> x", "expected a value after <", 8),
    ('author = "x', "expected a second quotation mark that ends the text from here", 9),
    ("author = 'x\\'", "expected a second quotation mark", 9),
    ("a = 1 b = 2", "expected and, or, or the end, got 'b'", 6),
    ("a = x y", "expected and, or, or the end, got 'y'", 6),
    ("(a = 1", r"expected and, or, or \), got the end", 6),
    ("a = 1)", r"expected and, or, or the end, got '\)'", 5),
    ("a = 1 and", "expected the name of a field", 9),
    ("or a = 1", "expected the name of a field.*got 'or'", 0),
    ("not", "expected the name of a field", 3),
    ("()", r"expected the name of a field.*got '\)'", 1),
    ("= 1", "expected the name of a field.*got '='", 0),
    ("draft < true", r"expected a text or a number after < \(true and false take only = and !=\)", 8),
    ("draft contains FALSE", "a text or a number after contains", 15),
    ("b;drop", "contains after b, got ';drop'", 1),
    ("'' = 1", "expected the name of a field.*got '='", 3),
    ("'a = 1", "a second quotation mark", 0),
])  # fmt: skip
def test_an_error_says_what_was_expected_and_points_at_the_place(text, expected, caret_at):
    with pytest.raises(InputError, match=f"cannot read the condition: .*{expected}") as caught:
        parse_where(text)
    _, shown, caret = str(caught.value).split("\n")
    assert shown == "  " + text
    assert caret == "  " + " " * caret_at + "^"


def test_a_long_text_is_shown_around_the_place():
    with pytest.raises(InputError) as caught:
        parse_where("a = 1 and " * 500 + "b ?")
    _, shown, caret = str(caught.value).split("\n")
    assert shown[len(caret) - 1] == "?"
    assert len(shown) < 70


def test_the_caret_stands_below_wide_characters_and_line_breaks():
    with pytest.raises(InputError) as caught:
        parse_where("作者 =\n'甲' x")
    assert str(caught.value).split("\n")[1:] == ["  作者 = '甲' x", "  " + " " * 12 + "^"]


def test_depth_is_bounded_and_the_number_of_conditions_is_not():
    assert parse_where("(" * 19 + "a = 1" + ")" * 19) == A
    for text in ("(" * 20 + "a = 1" + ")" * 20, "(" * 100_000, "not " * 100_000):
        with pytest.raises(InputError, match="expected at most 20 levels of not and parentheses"):
            parse_where(text)
    assert parse_where(" and ".join(["a = 1"] * 5_000)) == And((A,) * 5_000)


def test_what_is_no_text_is_refused():
    with pytest.raises(InputError, match="expected a condition, a text, got int"):
        parse_where(3)


# --- what is read -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text, value", [
    ("x", "x"), ("12", 12.0), ("-1.5e3", -1500.0), (".5", 0.5), ("true", True), ("FALSE", False),
    ("'true'", "true"), ("'12'", "12"), ("2024-01-31", "2024-01-31"), ("1.2.3", "1.2.3"),
    ("1e999", "1e999"), ("nan", "nan"), ("c++", "c++"),
    ("a/b:c,d", "a/b:c,d"), ("'two words'", "two words"), ('"it\'s"', "it's"), ("''", ""),
    (r"'it\'s \"so\" \\ \n'", r"""it's "so" \ n"""), ("'and'", "and"), ("android", "android"),
    ("作者", "作者"), ("'a\nb'", "a\nb"), ("$x", "$x"),
])  # fmt: skip
def test_values(text, value):
    found = parse_where(f"f={text}")
    assert found == Field("f", "=", value)
    assert type(found.value) is type(value)


@pytest.mark.parametrize("operator", ["=", "!=", "<", "<=", ">", ">=", "contains"])
def test_operators(operator):
    assert parse_where(f"f {operator} x") == Field("f", operator, "x")
    assert parse_where(f" f\t{operator.upper()}\n'x' ") == Field("f", operator, "x")


def test_names_keep_dots_dashes_and_case():
    for name in ("site.Owner-name", "_x", "1", "path", "since", "andy", "not-this", "作者"):
        assert parse_where(f"{name}=1") == Field(name, "=", 1.0)


def test_a_name_with_spaces_or_of_a_keyword_is_quoted():
    for name in ("created at", "and", "dc:title", "ति", 'the "best"'):
        quoted = name.replace('"', r"\"")
        assert parse_where(f'"{quoted}"=1') == Field(name, "=", 1.0)


def test_not_binds_closer_than_and_and_that_closer_than_or():
    assert parse_where("a=1 or b=1 and c=1") == Or((A, And((B, C))))
    assert parse_where("not a=1 and b=1 or c=1") == Or((And((Not(A), B)), C))
    assert parse_where("not (a=1 and b=1) or c=1") == Or((Not(And((A, B))), C))
    assert parse_where("(a=1 or b=1) and c=1") == And((Or((A, B)), C))
    assert parse_where("not not a=1") == Not(Not(A))
    assert parse_where("NOT(a=1)AND b=1 Or(c=1)") == Or((And((Not(A), B)), C))


def test_the_example_of_the_help():
    assert parse_where('author = "x" and tags contains "y"') == And(
        (Field("author", "=", "x"), Field("tags", "contains", "y"))
    )


# --- any tree, any text ------------------------------------------------------------------------------

names = st.text(min_size=1, max_size=8)
comparable = st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False)
conditions = st.builds(
    Field, names, st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "contains"]), comparable
) | st.builds(Field, names, st.sampled_from(["=", "!="]), st.booleans())


def wider(trees):
    parts = st.lists(trees, min_size=2, max_size=4).map(tuple)
    return st.builds(And, parts) | st.builds(Or, parts) | st.builds(Not, trees)


trees = st.recursive(conditions, wider, max_leaves=12)


def show(tree: Filter) -> str:
    """The tree in words, with parentheses around all that has parts."""
    match tree:
        case Field(name, operator, value):
            shown = quoted(value) if isinstance(value, str) else str(value).lower()
            is_plain = re.fullmatch(r"[\w.-]+", name) and name.lower() not in {"and", "or", "not", "contains"}
            return f"{name if is_plain else quoted(name)} {operator} {shown}"
        case Not(part):
            return f"not ({show(part)})"
        case And(parts):
            return " and ".join(f"({show(part)})" for part in parts)
        case Or(parts):
            return " or ".join(f"({show(part)})" for part in parts)
    raise AssertionError(tree)


def quoted(text: str) -> str:
    return '"' + re.sub(r"([\\\"])", r"\\\1", text) + '"'


def depth(tree: Filter) -> int:
    parts = getattr(tree, "parts", (tree.part,) if isinstance(tree, Not) else ())
    return 1 + isinstance(tree, Not) + max(map(depth, parts), default=0)


@given(trees.filter(lambda tree: depth(tree) < 20))
@example(Field("a", "=", '\\"'))
def test_a_tree_that_is_shown_and_read_is_the_same(tree):
    assert parse_where(show(tree)) == tree


words = st.sampled_from([
    "a", "and", "or", "not", "contains", "(", ")", "=", "!=", "<", ">=", "'", '"', "\\", "1", "true", " ",
    "\n", "é", "\0", "\ud800", "-", ".", "e9",
])  # fmt: skip


@given(st.text() | st.lists(words, max_size=20).map(" ".join) | st.lists(words, max_size=20).map("".join))
def test_any_text_is_a_tree_or_a_clear_error(text):
    try:
        assert isinstance(parse_where(text), Filter)
    except InputError as error:
        assert str(error).startswith("cannot read the condition: expected ")
        assert len(str(error).split("\n")) == 3


# --- fields that no document has ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("autor = y", "no document has a field autor: did you mean author?"),
        ("not autor != y", "no document has a field autor: did you mean author?"),
        ("draft = true or drafts = true", "no document has a field drafts: did you mean draft?"),
        ("zzz contains 1", "no document has a field zzz: there are author, draft, état"),
        (
            "zzz = 1 and (autor = 1 or zzz < 2)",
            "no document has a field zzz: there are author, draft, état; "
            "no document has a field autor: did you mean author?",
        ),
        ('AUTHOR = y and "E\u0301TAT" = 1', None),
        ("zzz != 1 and not (zzz = 1 or zzz < 2)", None),
    ],
)
def test_a_field_that_no_document_has_is_refused_where_only_documents_with_it_match(text, message):
    if message is None:
        check_fields(parse_where(text), ["author", "draft", "état"])
        return
    with pytest.raises(InputError) as error:
        check_fields(parse_where(text), ["author", "draft", "état"])
    assert str(error.value) == message


def test_of_many_unknown_fields_two_are_named():
    with pytest.raises(InputError) as error:
        check_fields(parse_where(" and ".join(f"q{number} = 1" for number in range(200))), ["a"])
    assert str(error.value) == (
        "no document has a field q0: there is a; no document has a field q1: there is a; "
        "198 more fields of the filter are unknown"
    )


@pytest.mark.parametrize(
    ("known", "end"),
    [
        ([f"a{number}" for number in range(12)], ": there are a0, a1, a2, a3, a4, a5, a6, a7 and 4 more"),
        (["a"], ": there is a"),
        ([], ", or any other"),
    ],
)
def test_a_few_of_the_known_fields_are_named(known, end):
    with pytest.raises(InputError, match=f"no document has a field zzz{end}$"):
        check_fields(Field("zzz", "=", 1), known)


def test_conditions_on_files_and_optional_fields_are_never_refused_and_a_long_chain_is_no_trouble():
    check_fields(Extension("md") | Not(Contains("x")) | Field("zzz", "=", 1, is_optional=True), [])
    chain: Filter = Field("a", "=", 1)
    for _ in range(5_000):
        chain = ~chain & Field("b", "=", 2)
    with pytest.raises(InputError, match=r"^no document has a field a, or any other; .* field b, or any oth"):
        check_fields(chain, [])
